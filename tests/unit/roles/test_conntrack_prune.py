# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role deletes by default is the founding story's stale entry, the same that the audit counts."""

from __future__ import annotations

import yaml
from support import CHECKOUT


def defaults(role: str) -> dict[str, object]:
    content = yaml.safe_load((CHECKOUT / "roles" / role / "defaults" / "main.yml").read_text())
    assert isinstance(content, dict)
    return content


def test_the_founding_story() -> None:
    assert defaults("conntrack_prune")["conntrack_prune_match"] == [
        {
            "protocol": "tcp",
            "state": "ESTABLISHED",
            "replied": False,
            "packets_original": {"max": 1},
            "bytes_original": {"max": 40},
        }
    ]


def test_the_audit_counts_what_the_prune_deletes() -> None:
    assert defaults("conntrack_audit")["conntrack_audit_stale"] == defaults("conntrack_prune")["conntrack_prune_match"]


def test_the_gate_is_on_by_default() -> None:
    prune = defaults("conntrack_prune")
    assert (prune["conntrack_prune_max_delete"], prune["conntrack_prune_protect_management"]) == ("95%", True)
