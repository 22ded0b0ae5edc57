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
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._settings.change import Change, apply
from ansible_collections.netops.conntrack.plugins.module_utils._settings.setting_plan import (
    desired_settings,
    nearly_full_warnings,
    plan,
    plan_restored,
    plan_unloaded,
)
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl import sysctl
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import (
    Sysctl,
    find_sysctls,
    read_count,
    read_settings,
    short_name_of,
)

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
    assert short_name_of(name) == short


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
        plan(desired_settings({"acct": 1}, {}), str(tmp_path))


def test_plan_uses_the_names_of_the_kernel(legacy: str) -> None:
    wanted = {"net.netfilter.nf_conntrack_max": 65536, "tcp_timeout_established": "15h"}
    changes = plan(desired_settings(wanted, {}), legacy)
    assert [(change.sysctl.name, change.wanted, change.before, change.needed) for change in changes] == [
        ("net.ipv4.ip_conntrack_max", 65536, 65536, False),
        ("net.ipv4.netfilter.ip_conntrack_tcp_timeout_established", 54000, 432000, True),
    ]


def test_plan_names_every_problem_at_once(legacy: str) -> None:
    wanted = {"ip_conntrack_max": 1100, "count": 5, "udp_timeout": 30, "acct": 1, "tcp_loose": 7, "tcp_lose": 0}
    with pytest.raises(ConntrackError) as caught:
        plan(desired_settings(wanted, {}), legacy)
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
    assert not plan(desired_settings({"max": 65536}, {}), root)[0].needed


@pytest.mark.parametrize(
    ("settings", "at_least", "words"),
    [
        ({"max": 70000, "ip_conntrack_max": 70001}, {}, ["settings.max (70000)", "settings.ip_conntrack_max (70001)"]),
        ({"max": 70000}, {"nf_conntrack_max": 80000}, ["settings.max (70000)", "at_least.nf_conntrack_max (80000)"]),
        ({"max": 70000}, {"max": 70000}, ["settings.max (70000)", "at_least.max (70000)"]),
        ({}, {"max": "1M", "ip_conntrack_max": "2M"}, ["at_least.max ('1M')", "at_least.ip_conntrack_max ('2M')"]),
    ],
)
def test_two_names_of_one_setting_contradict_each_other(
    legacy: str, settings: dict[str, object], at_least: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(ConntrackError, match="mean the same setting") as caught:
        plan(desired_settings(settings, at_least), legacy)
    for word in words:
        assert word in caught.value.message


def test_two_names_of_one_setting_agree(legacy: str) -> None:
    assert len(plan(desired_settings({"max": 70000, "ip_conntrack_max": "70000"}, {}), legacy)) == 1
    assert len(plan(desired_settings({}, {"max": 1 << 20, "ip_conntrack_max": "1M"}), legacy)) == 1


@pytest.mark.parametrize(
    ("least", "needed", "reached"),
    [(65535, False, 65536), (65536, False, 65536), ("64K", False, 65536), (65537, True, 65537), ("1M", True, 1 << 20)],
)
def test_at_least_raises_and_never_lowers(legacy: str, least: object, needed: bool, reached: int) -> None:
    (change,) = plan(desired_settings({}, {"max": least}), legacy)
    assert (change.needed, change.reached) == (needed, reached)
    apply([change], lambda: None)
    assert read_settings(legacy) == {**LEGACY_SETTINGS, "max": reached}


def test_at_least_leaves_no_limit_as_it_is(legacy: str, tmp_path: pathlib.Path) -> None:
    write_tree(tmp_path, {"net/ipv4/ip_conntrack_max": 0})
    (change,) = plan(desired_settings({}, {"max": "1M"}), legacy)
    assert (change.needed, change.reached) == (False, 0)
    (lowered,) = plan(desired_settings({"max": "1M"}, {}), legacy)
    assert lowered.needed


@pytest.mark.parametrize("name", ["tpc_timeout_established", "mxa", "count", "net.ipv4.ip_forward", "frag6_high_tresh"])
def test_without_the_module_a_name_that_no_kernel_has_is_refused(name: str) -> None:
    with pytest.raises(ConntrackError, match="is no connection-tracking setting of any kernel") as caught:
        plan_unloaded(desired_settings({"udp_timeout": 30, name: 5}, {}))
    assert len(caught.value.result["unsupported"]) == 1


def test_at_least_of_a_value_that_cannot_be_read(legacy: str, tmp_path: pathlib.Path) -> None:
    write_tree(tmp_path, {"net/netfilter/nf_conntrack_new": "a b"})
    with pytest.raises(ConntrackError, match=r"at_least\.new: the present value cannot be read.* Use settings\."):
        plan(desired_settings({}, {"new": 5}), legacy)
    assert plan(desired_settings({"new": 5}, {}), legacy)[0].needed


def test_what_was_there_before_is_planned_as_far_as_the_kernel_has_it(legacy: str) -> None:
    changes = plan_restored({"max": 65536, "tcp_loose": 0, "gone": 1}, legacy)
    assert [(change.sysctl.short_name, change.wanted, change.needed) for change in changes] == [
        ("max", 65536, False),
        ("tcp_loose", 0, True),
    ]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"max": 1100}, "settings.max: 1100, which was there before, is below the 1200 entries"),
        ({"max": 1100}, "Set max to what it shall be, or restore the other settings by their names, or prune the"),
        ({"count": 5}, "settings: count: cannot be written here"),
    ],
)
def test_what_was_there_before_cannot_be_had(legacy: str, values: dict[str, int], words: str) -> None:
    with pytest.raises(ConntrackError) as caught:
        plan_restored(values, legacy)
    assert words in caught.value.message


def test_a_limit_of_zero_that_was_there_before_is_no_limit(legacy: str) -> None:
    changes = plan_restored({"max": 0}, legacy)
    assert changes[0].needed
    assert not nearly_full_warnings(changes, legacy)


@pytest.mark.parametrize(
    ("limit", "warned"),
    [
        (1200, ["With max 1200, the table is 100 % full: it has 1200 entries now."]),
        (1263, ["With max 1263, the table is 95 % full: it has 1200 entries now."]),
        (1264, []),
        (LEGACY_SETTINGS["max"], []),
    ],
)
def test_a_limit_that_leaves_next_to_no_room(legacy: str, limit: int, warned: list[str]) -> None:
    assert nearly_full_warnings(plan_restored({"max": limit}, legacy), legacy) == warned
    assert nearly_full_warnings(plan(desired_settings({"max": limit}, {}), legacy), legacy) == warned


def test_a_limit_that_stays_is_not_warned_of(legacy: str, tmp_path: pathlib.Path) -> None:
    write_tree(tmp_path, {"net/ipv4/ip_conntrack_max": "1210"})
    assert not nearly_full_warnings(plan(desired_settings({"max": 1210}, {}), legacy), legacy)


def test_without_the_module_values_are_checked_and_names_are_those_of_today() -> None:
    changes = plan_unloaded(desired_settings({"ip_conntrack_max": "1M"}, {"tcp_timeout_established": "15h"}))
    assert [(change.sysctl.name, change.wanted, change.before, change.needed) for change in changes] == [
        ("net.netfilter.nf_conntrack_max", 1 << 20, None, True),
        ("net.netfilter.nf_conntrack_tcp_timeout_established", 54000, None, True),
    ]
    with pytest.raises(ConntrackError, match=r"settings\.max: 0 .*at_least\.generic_timeout: 'x' "):
        plan_unloaded(desired_settings({"max": 0}, {"generic_timeout": "x"}))


@pytest.fixture
def hashsize(tmp_path: pathlib.Path, legacy: str, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The module's parameter on an old kernel, which offers the number of buckets for reading only."""
    parameter = tmp_path / "hashsize"
    parameter.write_text("8192\n")
    (tmp_path / "net/ipv4/netfilter/ip_conntrack_buckets").chmod(0o444)
    monkeypatch.setattr(sysctl, "HASHSIZE", str(parameter))
    return parameter


def test_old_kernels_take_the_buckets_as_the_modules_parameter(hashsize: pathlib.Path, legacy: str) -> None:
    (change,) = plan(desired_settings({"buckets": 16384}, {}), legacy)
    change.write(16384)
    assert hashsize.read_text() == "16384\n"
    assert (change.sysctl.name, change.sysctl.read()) == ("net.ipv4.netfilter.ip_conntrack_buckets", 8192)


@pytest.mark.parametrize("read_only", ["hashsize", "net/ipv4/ip_conntrack_max"])
def test_where_the_limits_are_another_ones_the_parameter_is_no_way_round(
    hashsize: pathlib.Path, legacy: str, tmp_path: pathlib.Path, read_only: str
) -> None:
    (tmp_path / read_only).chmod(0o444)
    with pytest.raises(ConntrackError, match=r"one value of buckets for the whole machine.*parameters/hashsize") as it:
        plan(desired_settings({"buckets": 16384}, {}), legacy)
    assert it.value.result["read_only"] == ["buckets"]
    assert hashsize.read_text() == "8192\n"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The short names that are written, in their order."""
    order: list[str] = []
    write = Sysctl.write

    def recorded(self: Sysctl, value: int) -> None:
        order.append(self.short_name)
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
    apply(plan(desired_settings(wanted, {}), legacy), lambda: None)
    assert written == order
    assert read_settings(legacy) == wanted


def test_apply_puts_everything_back_when_the_end_fails(legacy: str) -> None:
    def fail() -> None:
        assert read_settings(legacy)["max"] == 100000
        raise ConntrackError("The file could not be replaced.")

    with pytest.raises(ConntrackError, match=r"could not be replaced\. Restored: .*ip_conntrack_max = 65536"):
        apply(plan(desired_settings({"max": 100000, "generic_timeout": 9}, {}), legacy), fail)
    assert read_settings(legacy) == LEGACY_SETTINGS


@pytest.fixture
def resizing(monkeypatch: pytest.MonkeyPatch, legacy: str) -> None:
    """A kernel that sets max to eight times the buckets whenever it resizes the table."""
    write = Sysctl.write

    def resize(self: Sysctl, value: int) -> None:
        write(self, value)
        if self.short_name == "buckets":
            write(find_sysctls(legacy)["max"], 8 * value)

    monkeypatch.setattr(Sysctl, "write", resize)


@pytest.mark.usefixtures("resizing")
@pytest.mark.parametrize(
    "wanted", [{"buckets": 16384}, {"buckets": 16384, "max": 100000}, {"buckets": 512, "max": 2000}]
)
def test_max_is_asserted_again_after_a_resize(legacy: str, wanted: dict[str, int]) -> None:
    apply(plan(desired_settings(wanted, {}), legacy), lambda: None)
    assert read_settings(legacy) == {**LEGACY_SETTINGS, **wanted}


@pytest.mark.usefixtures("resizing")
def test_max_is_asserted_again_when_a_resize_is_rolled_back(legacy: str) -> None:
    def fail() -> None:
        raise ConntrackError("The file could not be replaced.")

    with pytest.raises(ConntrackError, match=r"Restored: .*ip_conntrack_buckets = 8192"):
        apply(plan(desired_settings({"buckets": 16384}, {}), legacy), fail)
    assert read_settings(legacy) == LEGACY_SETTINGS


def test_what_cannot_be_restored_is_named(legacy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        monkeypatch.setattr(Sysctl, "write", lambda _self, _value: None)
        raise ConntrackError("The file could not be replaced.")

    with pytest.raises(ConntrackError) as caught:
        apply(plan(desired_settings({"tcp_loose": 0, "generic_timeout": 9}, {}), legacy), fail)
    assert "NOT restored: " in caught.value.message
    assert "ip_conntrack_tcp_loose (was 1)" in caught.value.message
    assert "Restored: " not in caught.value.message.replace("NOT restored: ", "")


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
