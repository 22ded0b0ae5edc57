# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._facts.unread import unread


def warnings(paths: list[str], user: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    return list(unread({"boot": {"unreadable": paths}, "stats": {"table_full": {"unreadable": "no right"}}}, None))


def test_what_could_not_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    boot, stats = warnings([f"/etc/sysctl.d/{number}" for number in range(5)], 1000, monkeypatch)
    for words in (
        "/etc/sysctl.d/0, /etc/sysctl.d/1, /etc/sysctl.d/2 and 2 more",
        "CAP_DAC_READ_SEARCH",
        "become: true",
    ):
        assert words in boot
    assert "no right" in stats
    assert "CAP_SYSLOG" in stats


def test_root_needs_no_other_right(monkeypatch: pytest.MonkeyPatch) -> None:
    assert warnings(["/etc/sysctl.d/0"], 0, monkeypatch) == []
