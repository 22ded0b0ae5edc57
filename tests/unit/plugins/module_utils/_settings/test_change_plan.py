# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a change of the limits of the machine is told, which tests in a namespace cannot change."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._settings import change_plan
from ansible_collections.netops.conntrack.plugins.module_utils._settings.change import Change
from ansible_collections.netops.conntrack.plugins.module_utils._settings.change_plan import Options
from ansible_collections.netops.conntrack.plugins.module_utils._settings.record import Before, Record
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import Sysctl

PARAMS: Options = {"sysctl_file": "/etc/sysctl.d/90-x.conf", "runtime": True}


def change(name: str, wanted: int, before: int | None) -> Change:
    return Change(Sysctl(name, f"net.netfilter.nf_conntrack_{name}", "/nowhere"), wanted, before)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([change("max", 262144, 2097152)], ["max goes back from 2097152 to 262144", "conntrack_tune_overrides"]),
        ([change("buckets", 65536, 262144)], ["buckets goes back from 262144 to 65536"]),
        ([change("max", 262144, 262144), change("max", 262144, 65536), change("max", 1, None)], []),
        ([change("udp_timeout", 30, 120)], []),
    ],
)
def test_a_limit_that_nobody_names_any_more_does_not_go_down_without_a_word(
    changes: list[Change], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be one that was raised by hand, or by an override on the command line, when the table was full."""
    before = {one.sysctl.short_name: Before(one.sysctl.name, one.wanted, None) for one in changes}
    monkeypatch.setattr(change_plan, "read_record", lambda _file: t.cast(Record, _Recorded(before)))
    monkeypatch.setattr(change_plan, "plan_restored", lambda _values: changes)
    monkeypatch.setattr(change_plan, "read_only_among", lambda _values: [])
    warnings = change_plan._plan_exclusive(PARAMS, set()).warnings
    assert len(warnings) == bool(words)
    assert all(word in warnings[0] for word in words)


class _Recorded(t.NamedTuple):
    settings: dict[str, Before]
