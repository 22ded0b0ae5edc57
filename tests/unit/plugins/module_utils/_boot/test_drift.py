# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._boot.drift import compare
from ansible_collections.netops.conntrack.plugins.module_utils._boot.next_boot import NextBoot
from ansible_collections.netops.conntrack.plugins.module_utils._boot.owners import Owner
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.sysctl_d import BootValue, Source

FILE = "/etc/sysctl.d/a.conf"
KUBE = Owner("kube-proxy", ("max", "tcp_timeout_established"), "process 7")


def value(number: int | None, line: int = 1, file: str = FILE) -> BootValue:
    return BootValue(number, "many" if number is None else str(number), Source(file, line))


def boot_with(*lost: str, hashsize: BootValue | None = None, **values: BootValue) -> NextBoot:
    module = "late" if lost else "builtin"
    return NextBoot(values, {}, module, None, None, hashsize, frozenset(lost))


@pytest.mark.parametrize(
    ("short", "now", "coming", "drift"),
    [
        ("max", 5, value(5), False),
        ("max", 5, value(6), True),
        ("max", None, value(6), None),
        ("max", 5, value(None), None),
        ("buckets", 1024, value(1000), False),
        ("buckets", 1024, value(1025), True),
        ("buckets", 1000, value(1000), True),
    ],
)
def test_drift(short: str, now: int | None, coming: BootValue, drift: bool | None) -> None:
    runtime = {} if now is None else {short: now}
    facts = compare(runtime, boot_with(**{short: coming}), [])
    assert facts["settings"] == {
        short: {
            "runtime": now,
            "boot": coming.value,
            "file": FILE,
            "line": 1,
            "drift": drift,
            "owners": [],
            "overridden": [],
        }
    }
    assert facts["drift"] == ([short] if drift else [])
    assert facts["invalid"] == ([short] if coming.value is None else [])


def test_what_is_lost_is_no_drift_but_its_line_is_named() -> None:
    facts = compare({"max": 5}, boot_with("max", max=value(6, 3)), [])
    assert facts["settings"]["max"] | {"overridden": None} == {
        "runtime": 5,
        "boot": None,
        "file": FILE,
        "line": 3,
        "drift": None,
        "owners": [],
        "overridden": None,
    }
    assert (facts["drift"], facts["lost_settings"]) == ([], ["max"])
    assert "nf_conntrack is loaded after" in facts["lost"]


def test_a_hash_size_sets_max_too() -> None:
    size = value(1024, 1, "/etc/modprobe.d/a.conf")
    facts = compare({"max": 8192, "buckets": 512}, boot_with(hashsize=size), [])
    assert {short: setting["drift"] for short, setting in facts["settings"].items()} == {"buckets": True, "max": False}
    assert facts["hashsize"] == {"value": 1024, "file": "/etc/modprobe.d/a.conf", "line": 1}


@pytest.mark.parametrize(("other", "overridden"), [(value(4), ["max"]), (value(5, 2), [])])
def test_a_line_that_loses(other: BootValue, overridden: list[str]) -> None:
    boot = NextBoot({"max": value(5, 9)}, {"max": [other]}, "builtin", None, None, None, frozenset())
    facts = compare({"max": 5}, boot, [])
    lost = {"value": other.value, "file": FILE, "line": other.source.line}
    assert facts["settings"]["max"]["overridden"] == [lost]
    assert facts["overridden"] == overridden


def test_a_service_that_writes_the_same() -> None:
    facts = compare({"max": 5, "tcp_timeout_established": 6}, boot_with(max=value(5)), [KUBE])
    expected: list[dict[str, t.Any]] = [
        {"owner": "kube-proxy", "settings": ["max", "tcp_timeout_established"], "evidence": "process 7"}
    ]
    assert facts["owners"] == expected
    assert facts["contested"] == ["max"]
    assert facts["settings"]["max"]["owners"] == ["kube-proxy"]
    untouched = facts["settings"]["tcp_timeout_established"]
    assert (untouched["runtime"], untouched["boot"], untouched["file"], untouched["drift"]) == (6, None, None, None)


def test_how_the_module_gets_there() -> None:
    early = NextBoot({}, {}, "early", Source("/etc/modules-load.d/a.conf", 2), None, None, frozenset())
    facts = compare({}, early, [])
    assert (facts["module"], facts["module_file"]) == ("early", {"file": "/etc/modules-load.d/a.conf", "line": 2})
    assert (facts["lost"], facts["replayed_by"], facts["hashsize"]) == (None, None, None)
