# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names, values and order of the settings; the tree of an old kernel is the only one that has to be imitated."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    OptionError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._settings import (
    Change,
    apply,
    parse_value,
    plan,
    read_count,
    read_settings,
)
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl import Sysctl, find_sysctls, short_of

LEGACY = {
    "net/ipv4/ip_conntrack_max": 65536,
    "net/ipv4/netfilter/ip_conntrack_buckets": 8192,
    "net/ipv4/netfilter/ip_conntrack_count": 1200,
    "net/ipv4/netfilter/ip_conntrack_generic_timeout": 600,
    "net/ipv4/netfilter/ip_conntrack_log_invalid": 0,
    "net/ipv4/netfilter/ip_conntrack_tcp_loose": 1,
    "net/ipv4/netfilter/ip_conntrack_tcp_timeout_established": 432000,
}
"""A kernel of the years before 2.6.20, as Vyatta routers ran it: no net.netfilter at all."""

LEGACY_SETTINGS = {
    "buckets": 8192,
    "generic_timeout": 600,
    "log_invalid": 0,
    "max": 65536,
    "tcp_loose": 1,
    "tcp_timeout_established": 432000,
}


def write_tree(root: pathlib.Path, files: t.Mapping[str, object]) -> str:
    for path, value in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"{value}\n")
        (root / path).chmod(0o444 if path.endswith("_count") else 0o644)
    return str(root)


@pytest.fixture
def legacy(tmp_path: pathlib.Path) -> str:
    return write_tree(tmp_path, LEGACY)


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("max", "max"),
        ("nf_conntrack_max", "max"),
        ("ip_conntrack_max", "max"),
        ("net.netfilter.nf_conntrack_max", "max"),
        ("net/netfilter/nf_conntrack_max", "max"),
        ("net.nf_conntrack_max", "max"),
        ("net.ipv4.ip_conntrack_max", "max"),
        ("net.ipv4.netfilter.ip_conntrack_max", "max"),
        ("net/ipv4/netfilter/ip_conntrack_tcp_timeout_established", "tcp_timeout_established"),
        ("net.netfilter.nf_flowtable_udp_timeout", "flowtable_udp_timeout"),
        ("nf_flowtable_udp_timeout", "flowtable_udp_timeout"),
        ("flowtable_udp_timeout", "flowtable_udp_timeout"),
        ("net.ipv4.ip_forward", None),
        ("net.netfilter.max", None),
        ("net/netfilter/nf_conntrack_/../../../kernel/panic", None),
        ("../kernel/panic", None),
        ("Max", None),
        ("max ", None),
        ("", None),
    ],
)
def test_every_notation_of_a_name(name: str, short: str | None) -> None:
    assert short_of(name) == short


def test_legacy_names_are_read_under_the_short_names(legacy: str) -> None:
    assert read_settings(legacy) == LEGACY_SETTINGS
    assert read_count(legacy) == 1200


def test_present_name_wins_over_alias_and_legacy_name(legacy: str, tmp_path: pathlib.Path) -> None:
    write_tree(tmp_path, {"net/nf_conntrack_max": 2})
    assert find_sysctls(legacy)["max"].name == "net.nf_conntrack_max"
    write_tree(tmp_path, {"net/netfilter/nf_conntrack_max": 3})
    assert find_sysctls(legacy)["max"].name == "net.netfilter.nf_conntrack_max"


def test_setting_that_is_not_one_number_is_left_out(legacy: str, tmp_path: pathlib.Path) -> None:
    write_tree(tmp_path, {"net/netfilter/nf_conntrack_new": "a b"})
    assert "new" in find_sysctls(legacy)
    assert read_settings(legacy) == LEGACY_SETTINGS


def test_without_nf_conntrack(tmp_path: pathlib.Path) -> None:
    assert read_settings(str(tmp_path)) == {}
    assert read_count(str(tmp_path)) is None
    with pytest.raises(UnavailableError, match=r"modprobe nf_conntrack.*ct state.*modules-load\.d"):
        plan({"acct": 1}, str(tmp_path))


@pytest.mark.parametrize(
    ("short", "value", "number"),
    [
        ("max", 1048576, 1048576),
        ("max", " 1048576 ", 1048576),
        ("tcp_timeout_established", "15h", 54000),
        ("tcp_timeout_established", 54000, 54000),
        ("generic_timeout", "2m", 120),
        ("frag6_timeout", "1", 1),
        ("generic_timeout", 2147483, 2147483),
        ("acct", True, 1),
        ("acct", "no", 0),
        ("tcp_loose", "Off", 0),
        ("timestamp", "1", 1),
        ("events", 2, 2),
        ("events", True, 1),
        ("log_invalid", 255, 255),
        ("a_later_kernels_setting", 7, 7),
    ],
)
def test_value(short: str, value: object, number: int) -> None:
    assert parse_value(short, value, short) == number


@pytest.mark.parametrize(
    ("short", "value", "remedy"),
    [
        ("max", 0, "from 1 to 2147483647; 0 would mean no limit"),
        ("max", -1, "from 1 to"),
        ("max", 2**31, "from 1 to 2147483647"),
        ("max", "9" * 5000, "from 1 to"),
        ("max", "many", "whole number"),
        ("max", "", "whole number"),
        ("max", None, "whole number"),
        ("max", 1.5, "whole number"),
        ("max", True, "whole number"),
        ("max", [1], "whole number"),
        ("buckets", 0, "from 1 to 268435455"),
        ("buckets", 2**28, "from 1 to 268435455"),
        ("expect_max", 0, "from 1 to"),
        ("log_invalid", 256, "from 0 to 255"),
        ("log_invalid", True, "from 0 to 255"),
        ("tcp_max_retrans", 256, "from 0 to 255"),
        ("events", 3, "from 0 to 2"),
        ("acct", 2, "true or false"),
        ("acct", "maybe", "true or false"),
        ("tcp_loose", -1, "true or false"),
        ("generic_timeout", 0, "from 1|1 to 2147483 seconds"),
        ("generic_timeout", "0s", "every entry would expire at once"),
        ("generic_timeout", -1, "90s"),
        ("generic_timeout", 2147484, "1 to 2147483 seconds"),
        ("generic_timeout", "25d", "1 to 2147483 seconds"),
        ("generic_timeout", "soon", "90s"),
        ("generic_timeout", True, "90s"),
    ],
)
def test_refused_value(short: str, value: object, remedy: str) -> None:
    with pytest.raises(OptionError, match=remedy) as caught:
        parse_value(short, value, f"settings.{short}")
    assert caught.value.message.startswith(f"settings.{short}: {value!r} ")


def test_plan_uses_the_names_of_the_kernel(legacy: str) -> None:
    changes = plan({"net.netfilter.nf_conntrack_max": 65536, "tcp_timeout_established": "15h"}, legacy)
    assert [(change.sysctl.name, change.wanted, change.before, change.needed) for change in changes] == [
        ("net.ipv4.ip_conntrack_max", 65536, 65536, False),
        ("net.ipv4.netfilter.ip_conntrack_tcp_timeout_established", 54000, 432000, True),
    ]


def test_plan_names_every_problem_at_once(legacy: str) -> None:
    wanted = {"ip_conntrack_max": 1100, "count": 5, "udp_timeout": 30, "acct": 1, "tcp_loose": 7, "tcp_lose": 0}
    with pytest.raises(ConntrackError) as caught:
        plan(wanted, legacy)
    assert caught.value.result == {"unsupported": ["udp_timeout", "acct", "tcp_lose"], "read_only": ["count"]}
    for words in (
        "settings.max: 1100 is below the 1200 entries",
        "settings.tcp_loose: 7 cannot be used",
        "'udp_timeout' is no connection-tracking setting of this kernel",
        "'tcp_lose' is no connection-tracking setting of this kernel. Did you mean tcp_loose",
        "settings: count: cannot be written here",
    ):
        assert words in caught.value.message


def test_the_same_limit_below_the_count_is_no_change(tmp_path: pathlib.Path) -> None:
    root = write_tree(tmp_path, {**LEGACY, "net/ipv4/netfilter/ip_conntrack_count": 65537})
    assert not plan({"max": 65536}, root)[0].needed


def test_two_names_of_one_setting(legacy: str) -> None:
    assert len(plan({"max": 70000, "ip_conntrack_max": "70000"}, legacy)) == 1
    with pytest.raises(ConntrackError, match=r"'max' \(70000\) and 'ip_conntrack_max' \(70001\) are two names"):
        plan({"max": 70000, "ip_conntrack_max": 70001}, legacy)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The short names that are written, in their order."""
    order: list[str] = []
    write = Sysctl.write

    def recorded(self: Sysctl, value: int) -> None:
        order.append(self.short)
        write(self, value)

    monkeypatch.setattr(Sysctl, "write", recorded)
    return order


@pytest.mark.parametrize(
    ("limits", "order"),
    [
        ({"max": 100000, "buckets": 16384}, ["buckets", "generic_timeout", "max"]),
        ({"max": 2000, "buckets": 512}, ["max", "buckets", "generic_timeout"]),
        ({"max": 100000, "buckets": 8192}, ["generic_timeout", "max"]),
        ({}, ["generic_timeout"]),
    ],
)
def test_only_changes_are_written_and_max_never_outgrows_the_buckets(
    legacy: str, written: list[str], limits: dict[str, int], order: list[str]
) -> None:
    wanted = {**LEGACY_SETTINGS, **limits, "generic_timeout": 9}
    apply(plan(wanted, legacy), lambda: None)
    assert written == order
    assert read_settings(legacy) == wanted


def test_apply_puts_everything_back_when_the_end_fails(legacy: str) -> None:
    def fail() -> None:
        assert read_settings(legacy)["max"] == 100000
        raise ConntrackError("The file could not be replaced.")

    with pytest.raises(ConntrackError, match=r"could not be replaced\. Put back: .*ip_conntrack_max = 65536"):
        apply(plan({"max": 100000, "generic_timeout": 9}, legacy), fail)
    assert read_settings(legacy) == LEGACY_SETTINGS


def test_apply_fails_when_the_kernel_holds_another_value(legacy: str) -> None:
    maximum, loose = find_sysctls(legacy)["max"], find_sysctls(legacy)["tcp_loose"]
    unheard = Sysctl("tcp_loose", loose.name, os.devnull)
    with pytest.raises(ConntrackError, match=r"tcp_loose: 0 was written, but the kernel holds None"):
        apply([Change(maximum, 100000, 65536), Change(unheard, 0, 1)], lambda: None)
    assert read_settings(legacy) == LEGACY_SETTINGS


@pytest.mark.parametrize(
    ("short", "wanted", "before", "reached", "needed"),
    [
        ("buckets", 262144, 262144, 262144, False),
        ("buckets", 262143, 262144, 262144, False),
        ("buckets", 261633, 262144, 262144, False),
        ("buckets", 261632, 262144, 261632, True),
        ("buckets", 262145, 262144, 262656, True),
        ("buckets", 1, None, 512, True),
        ("max", 262143, 262144, 262143, True),
    ],
)
def test_buckets_come_in_pages(short: str, wanted: int, before: int | None, reached: int, needed: bool) -> None:
    change = Change(Sysctl(short, f"net.netfilter.nf_conntrack_{short}", os.devnull), wanted, before)
    assert (change.reached, change.needed) == (reached, needed)
