# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module against the kernel, in network namespaces of their own; sysctl(8) is the judge."""

from __future__ import annotations

import json
import os
import pathlib
import stat
import subprocess
import sys
import typing as t

import pytest
from helpers.settings_module import KEPT, LATE, PREFIX, Settings, all_sysctls, sysctl
from helpers.support import SYSTEM_PYTHON, assert_refused, module_path, network_namespace, run

MANY = {
    "acct": True,
    "timestamp": "yes",
    "checksum": False,
    "log_invalid": 255,
    "events": 1,
    "generic_timeout": "2m",
    "icmp_timeout": "20s",
    "icmpv6_timeout": 21,
    "udp_timeout": "22",
    "udp_timeout_stream": "3m",
    "gre_timeout": 23,
    "gre_timeout_stream": 24,
    "tcp_loose": 0,
    "tcp_be_liberal": 1,
    "tcp_ignore_invalid_rst": True,
    "tcp_max_retrans": 4,
    "tcp_timeout_syn_sent": 25,
    "tcp_timeout_syn_recv": 26,
    "tcp_timeout_established": "15h",
    "tcp_timeout_fin_wait": 27,
    "tcp_timeout_close_wait": 28,
    "tcp_timeout_last_ack": 29,
    "tcp_timeout_time_wait": 31,
    "tcp_timeout_close": 32,
    "frag6_timeout": "1m",
}
"""25 settings, in the notations that people use."""


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("settings") as name:
        yield name


@pytest.fixture(scope="module")
def untouched() -> t.Iterator[str]:
    """One namespace for all the tests that must not change it, and the proof that they did not."""
    with network_namespace("settings") as name:
        before = all_sysctls(name)
        yield name
        assert all_sysctls(name) == before


@pytest.fixture
def settings(tmp_path: pathlib.Path) -> Settings:
    return Settings(tmp_path / "etc")


@pytest.mark.parametrize("python", [sys.executable, SYSTEM_PYTHON])
def test_founding_storys_values_and_again(settings: Settings, netns: str, python: str) -> None:
    args = {"settings": {"tcp_timeout_established": "15h", "generic_timeout": "2m"}}
    first = settings(args, netns=netns, python=python)
    assert first.data["changed"] is True
    assert first.data["unsupported"] == first.data["read_only"] == []
    assert first.data["settings"]["tcp_timeout_established"] == {
        "name": f"{PREFIX}tcp_timeout_established",
        "wanted": 54000,
        "runtime_before": 432000,
        "runtime_after": 54000,
        "boot_before": None,
        "boot": 54000,
        "boot_file": settings.name,
        "boot_line": 5,
        "restored": False,
    }
    assert "diff" not in first.data
    assert (sysctl(netns, "tcp_timeout_established"), sysctl(netns, "generic_timeout")) == (54000, 120)

    written = settings.dropin.stat()
    assert stat.S_IMODE(written.st_mode) == 0o644
    again = settings(args, netns=netns, python=python)
    assert again.data["changed"] is False
    assert again.data["settings"]["generic_timeout"]["runtime_before"] == 120
    assert again.data["settings"]["generic_timeout"]["boot_before"] == 120
    assert (settings.dropin.stat().st_ino, settings.dropin.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    assert settings.files == KEPT


def test_the_file_is_what_sysctl_loads(settings: Settings, netns: str) -> None:
    settings({"settings": MANY}, netns=netns)
    tuned = all_sysctls(netns)
    with network_namespace("settings") as rebooted:
        assert all_sysctls(rebooted) != tuned
        run(["sysctl", "-p", str(settings.dropin)], netns=rebooted)
        assert all_sysctls(rebooted) == tuned


def test_many_settings_in_one_call(settings: Settings, netns: str) -> None:
    assert len(MANY) == 25
    result = settings({"settings": MANY, "persist": False}, netns=netns)
    assert sorted(result.data["settings"]) == sorted(MANY)
    for short, entry in result.data["settings"].items():
        assert entry["name"] == PREFIX + short
        assert entry["runtime_after"] == entry["wanted"] == sysctl(netns, short)
        assert entry["boot"] is entry["boot_before"] is entry["boot_file"] is entry["boot_line"] is None
    assert settings({"settings": MANY, "persist": False}, netns=netns).data["changed"] is False


@pytest.mark.parametrize(
    "name",
    [
        "acct",
        "nf_conntrack_acct",
        "net.netfilter.nf_conntrack_acct",
        "net/netfilter/nf_conntrack_acct",
        "ip_conntrack_acct",
        "net.ipv4.netfilter.ip_conntrack_acct",
    ],
)
def test_every_name_means_the_same_setting(settings: Settings, netns: str, name: str) -> None:
    result = settings({"settings": {name: True}}, netns=netns)
    assert list(result.data["settings"]) == ["acct"]
    assert sysctl(netns, "acct") == 1
    assert settings.dropin.read_text().endswith(f"\n{PREFIX}acct = 1\n")


def test_check_mode_predicts_and_changes_nothing(settings: Settings, untouched: str, netns: str) -> None:
    args = {"settings": {"generic_timeout": "2m", "acct": False}}
    predicted = settings(args, netns=untouched, check=True, diff=True)
    assert not settings.dropin.exists()
    assert settings(args, netns=netns, diff=True).data == predicted.data
    assert settings.dropin.read_text() == predicted.data["diff"][1]["after"]
    assert settings(args, netns=netns, check=True, diff=True).data["changed"] is False


def test_diff_shows_what_changes_and_nothing_else(settings: Settings, untouched: str) -> None:
    settings.dropin.write_text(f"{PREFIX}generic_timeout = 100\n")
    args = {"settings": {"generic_timeout": "2m", "acct": False}}
    runtime, file = settings(args, netns=untouched, check=True, diff=True).data["diff"]
    assert runtime == {
        "before_header": "run time",
        "after_header": "run time",
        "before": f"{PREFIX}generic_timeout = 600\n",
        "after": f"{PREFIX}generic_timeout = 120\n",
    }
    assert file == {
        "before_header": settings.name,
        "after_header": settings.name,
        "before": f"{PREFIX}generic_timeout = 100\n",
        "after": f"{PREFIX}acct = 0\n{PREFIX}generic_timeout = 120\n",
    }


def test_other_lines_of_the_file_stay(settings: Settings, netns: str) -> None:
    settings.dropin.write_text(f"# mine\nkernel.panic = 1\n{PREFIX}acct=0\n{PREFIX}timestamp=1\n")
    settings({"settings": {"acct": 1, "generic_timeout": 120}}, netns=netns)
    assert settings.dropin.read_text() == (
        f"# mine\nkernel.panic = 1\n{PREFIX}acct = 1\n{PREFIX}generic_timeout = 120\n{PREFIX}timestamp=1\n"
    )


def test_file_alone_out_of_date(settings: Settings, netns: str) -> None:
    settings.dropin.write_text(f"{PREFIX}acct = 1\n")
    args = {"settings": {"acct": 0}}
    assert settings(args, netns=netns).data["changed"] is True
    assert settings.dropin.read_text() == f"{PREFIX}acct = 0\n"
    assert settings(args, netns=netns).data["changed"] is False


def test_without_persist_the_file_is_left_alone(settings: Settings, netns: str) -> None:
    settings({"settings": {"acct": True}, "persist": False}, netns=netns)
    assert sysctl(netns, "acct") == 1
    assert not settings.dropin.exists()


def test_netns_option_leaves_the_namespace_of_the_process_alone(settings: Settings, netns: str, untouched: str) -> None:
    for where in (netns, f"/run/netns/{netns}"):
        args = {"settings": {"generic_timeout": 111}, "netns": where, "persist": False}
        assert settings(args, netns=untouched).data["changed"] is (where == netns)
    assert sysctl(netns, "generic_timeout") == 111
    assert sysctl(untouched, "generic_timeout") == 600


def test_netns_that_cannot_be_kept_or_found(settings: Settings, netns: str, untouched: str) -> None:
    args = {"settings": {"acct": 1}, "netns": netns}
    assert_refused(settings(args, netns=untouched), "persist", "netns", "persist: false")
    assert sysctl(netns, "acct") == 0
    assert not settings.dropin.exists()
    missing = {"settings": {"acct": 1}, "netns": "not-there", "persist": False}
    assert_refused(settings(missing, netns=untouched), "'not-there' cannot be opened", "ip netns list")


def test_pyroute2_is_needed_for_netns_only(settings: Settings, netns: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\n\nsys.modules['pyroute2'] = None\n")
    without = {"PYTHONPATH": f"{tmp_path}:{module_path()}"}
    args = {"settings": {"acct": 1}, "persist": False}
    assert settings(args, netns=netns, env=without).data["changed"] is True
    result = settings({**args, "netns": netns}, netns=netns, env=without)
    assert_refused(result, "pyroute2 >= 0.5.14", "python3-pyroute2")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"generic_timeout": 0}, ["settings.generic_timeout: 0 ", "1 to 2147483 seconds", "expire at once"]),
        ({"generic_timeout": -1}, ["settings.generic_timeout: -1 ", "90s"]),
        ({"generic_timeout": "text"}, ["settings.generic_timeout: 'text' ", "90s"]),
        ({"generic_timeout": ""}, ["settings.generic_timeout: '' ", "90s"]),
        ({"generic_timeout": 2**31}, ["settings.generic_timeout: 2147483648 ", "1 to 2147483 seconds"]),
        ({"tcp_loose": 2}, ["settings.tcp_loose: 2 ", "true or false"]),
        ({"log_invalid": 256}, ["settings.log_invalid: 256 ", "0 to 255"]),
        ({"net.netfilter.nf_conntrack_acct": "x"}, ["settings.net.netfilter.nf_conntrack_acct: 'x' "]),
        (
            {"acct": 1, "nf_conntrack_acct": 0},
            ["settings.acct (1) and settings.nf_conntrack_acct (0) mean the same setting"],
        ),
        ({"acct": 2, "generic_timeout": 0}, ["settings.acct: 2 ", "settings.generic_timeout: 0 "]),
    ],
)
def test_bad_value_changes_nothing(
    settings: Settings, untouched: str, wanted: dict[str, object], words: list[str]
) -> None:
    before = all_sysctls(untouched)
    result = settings({"settings": {"timestamp": 1, **wanted}}, netns=untouched)
    assert_refused(result, *words)
    assert not settings.dropin.exists()
    assert all_sysctls(untouched) == before


@pytest.mark.parametrize("check", [False, True])
def test_unknown_and_read_only_settings_are_named(settings: Settings, untouched: str, check: bool) -> None:
    other = sysctl(None, "max") + 4096
    wanted = {"max": other, "buckets": other, "count": 5, "tcp_timout_established": 5, "a/b": 1, "acct": 1}
    result = settings({"settings": wanted}, netns=untouched, check=check)
    assert_refused(
        result,
        "'tcp_timout_established' is no connection-tracking setting of this kernel. Did you mean tcp_timeout_establish",
        "'a/b' is no connection-tracking setting",
        "settings: buckets, count, max: cannot be written here",
        "one value of buckets, max for the whole machine",
        "on the host itself",
    )
    assert sorted(result.data["unsupported"]) == ["a/b", "tcp_timout_established"]
    assert result.data["read_only"] == ["buckets", "count", "max"]
    assert sysctl(untouched, "acct") == 0
    assert not settings.dropin.exists()


def test_value_that_holds_already_needs_no_writing(settings: Settings, netns: str) -> None:
    limit, buckets = sysctl(None, "max"), sysctl(None, "buckets")
    for args in (
        {"at_least": {"max": limit // 2}, "persist": False},
        {"settings": {"max": limit, "buckets": buckets - 1, "udp_timeout": 33}, "persist": False},
    ):
        assert not settings(args, netns=netns).failed
    assert sysctl(netns, "udp_timeout") == 33
    kept = settings({"settings": {"max": limit, "udp_timeout": 33}}, netns=netns)
    assert kept.data["changed"] is True
    assert f"{PREFIX}max = {limit}\n" in settings.dropin.read_text()
    assert settings({"state": "absent"}, netns=netns).data["restored"] == ["max", "udp_timeout"]
    assert settings.files == []
    assert_refused(settings({"at_least": {"max": limit + 4096}}, netns=netns), "settings: max: cannot be written here")
    assert_refused(settings({"settings": {"count": 0}}, netns=netns), "settings: count: cannot be written here")


def test_container_whose_values_hold_already(settings: Settings, netns: str) -> None:
    mount = "mount --bind -o ro /proc/sys /proc/sys"
    held = {"acct": 0, "udp_timeout": 30}
    result = settings({"settings": held}, netns=netns, mount=mount)
    assert result.data["changed"] is True
    assert f"{PREFIX}udp_timeout = 30\n" in settings.dropin.read_text()
    exclusive = settings({"settings": {"acct": 0}, "exclusive": True}, netns=netns, mount=mount)
    assert exclusive.data["restored"] == ["udp_timeout"]
    other = settings({"settings": {**held, "acct": 1}}, netns=netns, mount=mount)
    assert_refused(other, "/proc/sys is mounted read-only here")


def test_unsupported_settings_can_be_left_out(settings: Settings, netns: str) -> None:
    wanted = {"udp_timeout": 50, "udplite_timeout": 30, "net.netfilter.nf_conntrack_events_retry_timeout": 15}
    lacks = ["events_retry_timeout", "udplite_timeout"]
    refused = settings({"settings": wanted}, netns=netns)
    assert_refused(refused, "'udplite_timeout' is no ", "Other kernels have it", "unsupported: warn")
    assert sorted(refused.data["unsupported"]) == lacks
    assert settings.files == []

    args = {"settings": wanted, "at_least": {"icmp_timeout": 5}, "unsupported": "warn"}
    result = settings(args, netns=netns)
    assert (result.data["unsupported"], sorted(result.data["settings"])) == (lacks, ["icmp_timeout", "udp_timeout"])
    assert "This kernel does not have events_retry_timeout, udplite_timeout" in str(result.data["warnings"])
    assert "udplite" not in settings.dropin.read_text()
    assert settings(args, netns=netns).data["changed"] is False
    alone = settings({"settings": {"udplite_timeout": 30}, "unsupported": "warn"}, netns=netns)
    assert (alone.data["changed"], alone.data["settings"]) == (False, {})

    typo = settings({"settings": {**wanted, "tcp_timout_established": 5}, "unsupported": "warn"}, netns=netns)
    assert_refused(typo, "Did you mean tcp_timeout_established")
    assert typo.data["unsupported"] == ["tcp_timout_established"]


@pytest.mark.parametrize(
    ("value", "number"), [(54000.0, 54000), ("54000.0", 54000), (" 15h ", 54000), ("15.0h", 54000), (54000, 54000)]
)
def test_numbers_of_templates_are_taken(settings: Settings, netns: str, value: object, number: int) -> None:
    settings({"settings": {"tcp_timeout_established": value}, "persist": False}, netns=netns)
    assert sysctl(netns, "tcp_timeout_established") == number


def test_read_only_settings_through_the_netns_option(settings: Settings, untouched: str, netns: str) -> None:
    other = sysctl(None, "max") + 4096
    result = settings({"settings": {"max": other}, "netns": netns, "persist": False}, netns=untouched)
    assert_refused(result, "settings: max: cannot be written here", "on the host itself")


def test_failed_write_puts_the_others_back(settings: Settings, netns: str) -> None:
    # The kernel refuses an upper threshold below the lower one: an error that only the write itself can meet.
    before = all_sysctls(netns)
    wanted = {"acct": 1, "generic_timeout": 120, "frag6_high_thresh": 5}
    result = settings({"settings": wanted}, netns=netns)
    assert_refused(
        result,
        f"settings.frag6_high_thresh: {PREFIX}frag6_high_thresh does not take 5 (Invalid argument).",
        f"Restored: {PREFIX}acct = 0, {PREFIX}generic_timeout = 600.",
    )
    assert all_sysctls(netns) == before
    assert settings.files == []


def test_thresholds_are_written_in_the_order_that_the_kernel_takes(settings: Settings, netns: str) -> None:
    for low, high in ((8 << 20, 16 << 20), (1 << 20, 2 << 20)):
        result = settings(
            {"settings": {"frag6_low_thresh": low, "frag6_high_thresh": high}, "persist": False}, netns=netns
        )
        assert result.data["changed"] is True
        assert (sysctl(netns, "frag6_low_thresh"), sysctl(netns, "frag6_high_thresh")) == (low, high)


@pytest.mark.parametrize(("low", "high"), [(1 << 20, 2 << 20), (8 << 20, 16 << 20)])
def test_thresholds_are_kept_in_the_order_that_the_next_boot_takes(
    settings: Settings, netns: str, low: int, high: int
) -> None:
    settings({"settings": {"frag6_low_thresh": low, "frag6_high_thresh": high}}, netns=netns)
    with network_namespace("settings") as rebooted:
        run(["sysctl", "-p", str(settings.dropin)], netns=rebooted)
        assert (sysctl(rebooted, "frag6_low_thresh"), sysctl(rebooted, "frag6_high_thresh")) == (low, high)


@pytest.mark.parametrize(
    ("mount", "name", "words"),
    [
        (":", "no-such-directory/90.conf", ["needs the directory", "Create it"]),
        (":", "directory.conf", ["not a regular file"]),
        (":", "90-conntrack", ["has to end in .conf"]),
        ("mount -t tmpfs -o ro,mode=755 tmpfs DIR", "90.conf", ["cannot be written", "persist: false"]),
        ("mount -t tmpfs -o size=4k,mode=755 tmpfs DIR; echo > DIR/full", "90.conf", ["No space left on device"]),
    ],
)
def test_file_that_cannot_be_written(
    settings: Settings, untouched: str, tmp_path: pathlib.Path, mount: str, name: str, words: list[str]
) -> None:
    (tmp_path / "directory.conf").mkdir()
    result = settings(
        {"settings": {"acct": 1}, "sysctl_file": str(tmp_path / name)},
        netns=untouched,
        mount=mount.replace("DIR", str(tmp_path)),
    )
    assert_refused(result, "sysctl_file: ", name, *words)
    assert sysctl(untouched, "acct") == 0


@pytest.mark.parametrize("check", [False, True])
def test_not_root(settings: Settings, untouched: str, check: bool) -> None:
    result = settings(
        {"settings": {"acct": 1}, "persist": False},
        netns=untouched,
        python=SYSTEM_PYTHON,
        wrapper=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
        check=check,
    )
    assert_refused(result, "needs root", "become: true")


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        ("mount -t tmpfs tmpfs /proc/sys/net/netfilter", ["modprobe nf_conntrack", "ct state", "container"]),
        ("mount --bind -o ro /proc/sys /proc/sys", ["/proc/sys is mounted read-only here", "container"]),
    ],
)
def test_no_settings_and_read_only_settings(settings: Settings, untouched: str, mount: str, words: list[str]) -> None:
    result = settings({"settings": {"acct": 1}, "persist": False}, netns=untouched, mount=mount)
    assert_refused(result, *words)


def test_module_is_loaded_only_for_values_that_can_be_used(
    settings: Settings, untouched: str, tmp_path: pathlib.Path
) -> None:
    loader = tmp_path / "bin" / "modprobe"
    loader.parent.mkdir()
    loader.write_text(f"#!/bin/sh\necho $* >{tmp_path}/loaded\necho 'no such module' >&2\nexit 1\n")
    loader.chmod(0o755)
    options: dict[str, t.Any] = {
        "netns": untouched,
        "mount": "mount -t tmpfs tmpfs /proc/sys/net/netfilter",
        "env": {"PATH": f"{loader.parent}:{os.environ['PATH']}"},
    }
    assert_refused(settings({"settings": {"max": "lots"}}, **options), "settings.max: 'lots' cannot be used")
    assert_refused(settings({"settings": {"max": 5}, "load_module": False}, **options), "modprobe nf_conntrack")
    assert settings({"settings": {"max": 5}}, check=True, **options).data["changed"] is True
    assert not (tmp_path / "loaded").exists()
    assert_refused(settings({"settings": {"max": 5}}, **options), "did not load it: no such module")
    assert (tmp_path / "loaded").read_text() == "nf_conntrack\n"
    assert settings.files == []


def test_tcp_loose_off_is_warned_of_once(settings: Settings, netns: str) -> None:
    args = {"settings": {"tcp_loose": False}, "persist": False}
    assert "will not be picked up" in str(settings(args, netns=netns).data["warnings"])
    assert not settings(args, netns=netns).data.get("warnings")


def test_host_takes_its_own_limits(settings: Settings) -> None:
    present = {"max": sysctl(None, "max"), "buckets": sysctl(None, "buckets") - 1}
    result = settings({"settings": present})
    assert result.data["changed"] is True  # only the file is new: the kernel rounds these buckets up to what it has
    assert result.data["settings"]["max"]["runtime_after"] == present["max"]
    assert result.data["settings"]["buckets"]["runtime_after"] == present["buckets"] + 1
    assert result.data["settings"]["buckets"]["boot"] == present["buckets"]
    assert settings({"settings": present}).data["changed"] is False


def test_max_below_the_count_is_refused(settings: Settings) -> None:
    flow = ["-p", "udp", "-s", "198.18.77.1", "-d", "198.18.77.2", "--dport", "53"]
    ports = [str(port) for port in range(5001, 5004)]
    for port in ports:
        run(["conntrack", "-I", *flow, "--sport", port, "-t", "60"])
    try:
        # In check mode, because a mistake here would limit the whole machine.
        result = settings({"settings": {"max": 1}, "persist": False}, check=True)
    finally:
        for port in ports:
            run(["conntrack", "-D", *flow, "--sport", port])
    assert_refused(result, "settings.max: 1 is below the ", "entries in the table now", "conntrack_prune")


# At least, sizes, durations, and what is set at boot by others


@pytest.mark.parametrize(
    ("wanted", "held"),
    [
        ({"generic_timeout": "10m"}, 600),
        ({"generic_timeout": 599}, 600),
        ({"nf_conntrack_generic_timeout": 601}, 601),
        ({"generic_timeout": "1h"}, 3600),
    ],
)
def test_at_least_raises_and_never_lowers(settings: Settings, netns: str, wanted: dict[str, object], held: int) -> None:
    for persist in (False, True):
        args = {"at_least": wanted, "persist": persist}
        predicted = settings(args, netns=netns, check=True, diff=True)
        assert sysctl(netns, "generic_timeout") == (held if persist else 600)
        done = settings(args, netns=netns, diff=True)
        assert done.data == predicted.data
        assert sysctl(netns, "generic_timeout") == done.data["settings"]["generic_timeout"]["runtime_after"] == held
        assert settings(args, netns=netns).data["changed"] is False
    assert boot_value(settings, netns, "generic_timeout") >= held


def test_at_least_and_settings_together(settings: Settings, netns: str) -> None:
    args = {"settings": {"generic_timeout": 60}, "at_least": {"udp_timeout": 60, "icmp_timeout": 5}}
    settings(args, netns=netns)
    held = {short: sysctl(netns, short) for short in ("generic_timeout", "udp_timeout", "icmp_timeout")}
    assert held == {"generic_timeout": 60, "udp_timeout": 60, "icmp_timeout": 30}
    assert settings(args, netns=netns).data["changed"] is False


@pytest.mark.parametrize(("theirs", "line"), [(700, False), (650, False), (649, True)])
def test_at_least_at_boot_counts_what_others_set(settings: Settings, netns: str, theirs: int, line: bool) -> None:
    (settings.etc / "sysctl.d" / "99-zz.conf").write_text(f"{PREFIX}generic_timeout = {theirs}\n")
    result = settings({"at_least": {"generic_timeout": 650}}, netns=netns)
    assert settings.dropin.exists() is line
    assert sysctl(netns, "generic_timeout") == 650
    assert result.data["settings"]["generic_timeout"]["boot"] == theirs
    assert ("99-zz.conf" in str(result.data.get("warnings"))) is line


def test_sizes_and_durations(settings: Settings, netns: str) -> None:
    wanted = {"frag6_high_thresh": "8M", "frag6_low_thresh": " 512k ", "udp_timeout": "1h", "icmp_timeout": "1w"}
    settings({"settings": wanted}, netns=netns)
    for short, value in {"frag6_high_thresh": 8 << 20, "frag6_low_thresh": 512 << 10, "udp_timeout": 3600}.items():
        assert sysctl(netns, short) == value
        assert f"\n{PREFIX}{short} = {value}\n" in settings.dropin.read_text()
    same = {"frag6_high_thresh": 8 << 20, "frag6_low_thresh": "524288", "udp_timeout": "60m", "icmp_timeout": "7d"}
    assert settings({"settings": same}, netns=netns).data["changed"] is False


def test_another_dropin_that_wins_is_named(settings: Settings, netns: str) -> None:
    args = {"settings": {"acct": 1, "generic_timeout": 120}}
    (settings.etc / "sysctl.d" / "99-zz.conf").write_text(f"# theirs\n{PREFIX}acct = 0\n")
    for _again in range(2):
        result = settings(args, netns=netns)
        assert len(result.data["warnings"]) == 1
        words = "acct: the next boot does not set 1. /etc/sysctl.d/99-zz.conf:2 sets it to 0, and is read last"
        assert words in str(result.data["warnings"])
        found = result.data["settings"]["acct"]
        assert (found["boot"], found["boot_file"], found["boot_line"]) == (0, "/etc/sysctl.d/99-zz.conf", 2)
        assert found["runtime_after"] == 1


def test_bytes_that_are_no_text_are_kept_and_do_not_spoil_the_answer(settings: Settings, netns: str) -> None:
    settings.dropin.write_bytes(b"# caf\xe9\r\n")
    (settings.etc / "sysctl.d" / "99-zz.conf").write_bytes(f"{PREFIX}acct = ".encode() + b"\xe9\n")
    result = settings({"settings": {"acct": 1}}, netns=netns, diff=True)
    # Ansible refuses what cannot be encoded, after the change.
    assert "\N{REPLACEMENT CHARACTER}" in json.dumps(result.data, ensure_ascii=False).encode().decode()
    assert settings.dropin.read_bytes() == b"# caf\xe9\r\n" + f"{PREFIX}acct = 1\n".encode()


def test_dropin_that_no_boot_reads_is_warned_of(settings: Settings, netns: str, tmp_path: pathlib.Path) -> None:
    result = settings({"settings": {"acct": 1}, "sysctl_file": str(tmp_path / "90.conf")}, netns=netns)
    assert "The drop-in is in no directory that is read at boot. This system reads " in str(result.data["warnings"])


def boot_value(settings: Settings, netns: str, short: str) -> int:
    """Return what the next boot has: what the files set, or else what a new namespace has of itself."""
    with network_namespace("settings") as rebooted:
        for path in sorted((settings.etc / "sysctl.d").glob("*.conf")):
            run(["sysctl", "-p", str(path)], netns=rebooted)
        return sysctl(rebooted, short)


# Restoring what was there before the first run

MINE = f"# mine\nkernel.panic = 1\n-{PREFIX}generic_timeout=500\n"


@pytest.mark.parametrize("dropin", [None, MINE])
def test_absent_goes_back_to_what_was_there_before_the_first_run(
    settings: Settings, netns: str, dropin: str | None
) -> None:
    if dropin:
        settings.dropin.write_text(dropin)
    kernel, files = all_sysctls(netns), settings.texts
    settings({"settings": MANY}, netns=netns)
    settings({"settings": {"generic_timeout": 11, "acct": 0}, "at_least": {"udp_timeout": "5h"}}, netns=netns)
    tuned, tuned_files = all_sysctls(netns), settings.texts
    absent = {"state": "absent"}

    predicted = settings(absent, netns=netns, check=True, diff=True)
    assert predicted.data["changed"] is True
    assert (all_sysctls(netns), settings.texts) == (tuned, tuned_files)

    done = settings(absent, netns=netns, diff=True)
    assert done.data == predicted.data
    runtime, file = done.data["diff"]
    assert f"{PREFIX}generic_timeout = 11\n" in runtime["before"]
    assert f"{PREFIX}generic_timeout = 600\n" in runtime["after"]
    assert (file["before_header"], file["before"]) == (settings.name, tuned_files["sysctl.d/90-netops-conntrack.conf"])
    assert file["after"] == (dropin or "")
    assert (all_sysctls(netns), settings.texts) == (kernel, files)

    for check in (True, False):
        assert settings(absent, netns=netns, check=check).data["changed"] is False
    assert (all_sysctls(netns), settings.texts) == (kernel, files)


def test_absent_of_some_settings(settings: Settings, netns: str) -> None:
    before = all_sysctls(netns)
    settings({"settings": {"acct": 1, "generic_timeout": 120, "udp_timeout": 50}}, netns=netns)
    some = {"state": "absent", "settings": {"nf_conntrack_acct": None, "net/netfilter/nf_conntrack_udp_timeout": ""}}
    result = settings(some, netns=netns)
    assert {short: entry["runtime_after"] for short, entry in result.data["settings"].items()} == {
        "acct": 0,
        "udp_timeout": 30,
    }
    assert (sysctl(netns, "acct"), sysctl(netns, "udp_timeout"), sysctl(netns, "generic_timeout")) == (0, 30, 120)
    assert settings.dropin.read_text().endswith(f"\n\n{PREFIX}generic_timeout = 120\n")
    assert settings(some, netns=netns).data["changed"] is False
    settings({"state": "absent"}, netns=netns)
    assert (all_sysctls(netns), settings.files) == (before, [])


def test_absent_where_nothing_was_ever_set(settings: Settings, untouched: str) -> None:
    assert settings({"state": "absent"}, netns=untouched).data["changed"] is False
    assert settings.files == []


def test_absent_of_what_is_no_setting(settings: Settings, netns: str) -> None:
    settings({"settings": {"udp_timeout": 50}}, netns=netns)
    before = all_sysctls(netns), settings.texts
    names = {"udp_timeout": None, "udp_timout": None, f"{PREFIX}count": "", "acct": None, "dccp_loose": None}
    for runtime in (True, False):
        for check in (True, False):
            wrong = settings({"state": "absent", "settings": names, "runtime": runtime}, netns=netns, check=check)
            assert_refused(
                wrong,
                "settings: 'udp_timout' is no connection-tracking setting",
                "Did you mean udp_timeout",
                f"settings: '{PREFIX}count' is no connection-tracking setting",
            )
            assert wrong.data["unsupported"] == ["udp_timout", "count"]
    assert (all_sysctls(netns), settings.texts) == before


def test_absent_of_a_recorded_setting_that_no_kernel_has_any_more(settings: Settings, netns: str) -> None:
    settings({"settings": {"udp_timeout": 50}}, netns=netns)
    for path in (settings.record, settings.dropin):
        path.write_text(path.read_text().replace("udp_timeout", "odd_timeout"))
    done = settings({"state": "absent", "settings": {"odd_timeout": None}}, netns=netns)
    assert done.data["restored"] == ["odd_timeout"]
    assert settings.files == []


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"settings": {}}, ["settings: {} names nothing to set", "at_least", "exclusive: true"]),
        ({"state": "absent", "at_least": {"acct": 1}}, ["at_least: ", "option settings"]),
        ({"state": "absent", "persist": False}, ["persist: False ", "no record"]),
        ({"state": "absent", "settings": {"no such": 1}}, ["settings: 'no such' is no connection-tracking setting"]),
        ({"settings": {"acct": 1}, "confirm_within": "2h"}, ["confirm_within: '2h' is too long", "1h"]),
        ({"settings": {"acct": 1}, "confirm_within": "soon"}, ["confirm_within: 'soon' is not a duration", "90s"]),
    ],
)
def test_options_that_contradict_each_other(
    settings: Settings, untouched: str, args: dict[str, object], words: list[str]
) -> None:
    assert_refused(settings(args, netns=untouched), *words)
    assert settings.files == []


def test_record_that_is_not_whole_is_refused(settings: Settings, untouched: str) -> None:
    settings.record.write_text('{"settings": {"acct"')
    for args in ({"settings": {"acct": 1}}, {"state": "absent"}):
        assert_refused(settings(args, netns=untouched), f"{settings.name}.before", "is not the record", "remove it")
    assert settings.texts == {KEPT[1]: '{"settings": {"acct"'}


@pytest.fixture
def late(tmp_path: pathlib.Path) -> dict[str, str]:
    """The environment of a router on which nf_conntrack is a module that nothing loads early."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(LATE)
    return {"PYTHONPATH": f"{tmp_path / 'site'}:{module_path()}"}


def test_module_is_loaded_early_and_with_its_hash_size(settings: Settings, netns: str, late: dict[str, str]) -> None:
    limits = {short: sysctl(None, short) for short in ("buckets", "max")}
    settings.dropin.write_text("".join(f"{PREFIX}{short} = {value}\n" for short, value in limits.items()))
    before = settings.texts
    result = settings({"settings": {"acct": 1}}, netns=netns, env=late)
    assert "warnings" not in result.data
    name = "90-netops-conntrack.conf"
    assert settings.texts[f"modules-load.d/{name}"].endswith("\nnf_conntrack\n")
    assert settings.texts[f"modprobe.d/{name}"].endswith(f"\noptions nf_conntrack hashsize={limits['buckets']}\n")
    assert settings({"settings": {"acct": 1}}, netns=netns, env=late).data["changed"] is False
    settings({"state": "absent"}, netns=netns, env=late)
    assert settings.texts == before


def test_module_that_stays_late_loses_the_settings(settings: Settings, netns: str, late: dict[str, str]) -> None:
    result = settings({"settings": {"acct": 1}, "load_module": False}, netns=netns, env=late)
    words = "acct: the next boot does not set 1. nf_conntrack is loaded after the sysctls are applied"
    assert words in str(result.data["warnings"])
    assert result.data["settings"]["acct"]["boot"] is None


def test_absent_says_what_another_drop_in_loses_without_the_early_load(
    settings: Settings, netns: str, late: dict[str, str]
) -> None:
    other = "/etc/sysctl.d/80-mine.conf"
    settings({"settings": {"acct": 1, "udp_timeout": 50}}, netns=netns, env=late)
    second = settings({"settings": {"udp_timeout": 40}, "sysctl_file": other}, netns=netns, env=late)
    assert "modules-load.d/80-mine.conf" not in settings.texts, second.data
    settings({"settings": {"icmp_timeout": 20}, "sysctl_file": other}, netns=netns, env=late)
    kept = settings.texts
    for check in (True, False):
        done = settings({"state": "absent"}, netns=netns, env=late, check=check)
        assert f"The next boot no longer sets icmp_timeout, udp_timeout, in {other}." in str(done.data["warnings"])
        assert (settings.texts == kept) == check
    again = settings({"settings": {"icmp_timeout": 20}, "sysctl_file": other}, netns=netns, env=late)
    assert "warnings" not in again.data
    assert "modules-load.d/80-mine.conf" in settings.texts


# Owner and mode


def test_mode_is_given_to_new_and_present_files(settings: Settings, netns: str) -> None:
    args = {"settings": {"acct": 1}, "mode": "0600"}
    assert settings(args, netns=netns).data["changed"] is True
    assert {stat.S_IMODE(path.stat().st_mode) for path in (settings.dropin, settings.record)} == {0o600}
    assert settings(args, netns=netns).data["changed"] is False
    settings({"settings": {"acct": 0}}, netns=netns)
    assert stat.S_IMODE(settings.dropin.stat().st_mode) == 0o600

    other = {"settings": {"acct": 0}, "mode": "u=rw,g=r"}
    assert settings(other, netns=netns, check=True).data["changed"] is True
    assert stat.S_IMODE(settings.dropin.stat().st_mode) == 0o600
    assert settings(other, netns=netns).data["changed"] is True
    assert stat.S_IMODE(settings.dropin.stat().st_mode) == 0o640
    assert settings(other, netns=netns).data["changed"] is False


def test_mode_is_given_where_only_the_kernel_has_another_value(settings: Settings, netns: str) -> None:
    settings({"settings": {"acct": 1}}, netns=netns)
    run(["sysctl", "-w", f"{PREFIX}acct=0"], netns=netns)
    args = {"settings": {"acct": 1}, "mode": "0600"}
    settings(args, netns=netns)
    assert stat.S_IMODE(settings.dropin.stat().st_mode) == 0o600
    assert settings(args, netns=netns).data["changed"] is False


def test_owner_and_group_are_given_and_kept(settings: Settings, netns: str) -> None:
    settings({"settings": {"acct": 1}, "owner": "65534", "group": "65533"}, netns=netns)
    settings({"settings": {"acct": 0}}, netns=netns)
    assert (settings.dropin.stat().st_uid, settings.dropin.stat().st_gid) == (65534, 65533)


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        ({"owner": "nobody-such"}, "failed to look up user nobody-such"),
        ({"group": "nobody-such"}, "failed to look up group nobody-such"),
        ({"mode": "rubbish"}, "mode must be in octal or symbolic form"),
    ],
)
@pytest.mark.parametrize("present", [None, f"{PREFIX}acct = 0\n"])
def test_attributes_that_nobody_can_have_are_refused_before_anything_is_touched(
    settings: Settings, netns: str, attribute: dict[str, str], words: str, present: str | None
) -> None:
    if present:
        settings.dropin.write_text(present)
    before = all_sysctls(netns), settings.texts
    result = settings({"settings": {"acct": 1}, **attribute}, netns=netns)
    assert_refused(result, words)
    assert (all_sysctls(netns), settings.texts) == before


# Nothing is changed where something cannot be


@pytest.mark.parametrize("option", ["settings", "at_least"])
@pytest.mark.parametrize("value", ["text", "", "8MB", "1.5M", -1, 2**31, "2G", None, [1]])
def test_bad_number_changes_nothing(settings: Settings, untouched: str, option: str, value: object) -> None:
    result = settings({option: {"acct": 1, "frag6_high_thresh": value}}, netns=untouched)
    assert_refused(result, f"{option}.frag6_high_thresh: {value!r} ", "a whole number from 0 to 2147483647")
    assert settings.files == []


@pytest.mark.parametrize(
    "name",
    [
        "a/b",
        "/proc/sys/kernel/panic",
        "kernel.panic",
        "net/netfilter/nf_conntrack_/../../../kernel/panic",
        "acct\n",
        "",
    ],
)
def test_key_that_is_none_changes_nothing(settings: Settings, untouched: str, name: str) -> None:
    panic = run(["sysctl", "-n", "kernel.panic"])
    result = settings({"settings": {"acct": 1, name: 5}}, netns=untouched)
    assert_refused(result, f"{name!r} is no connection-tracking setting of this kernel")
    assert result.data["unsupported"] == [name]
    assert settings.files == []
    assert run(["sysctl", "-n", "kernel.panic"]) == panic


def test_etc_that_is_read_only_changes_nothing(settings: Settings, netns: str, late: dict[str, str]) -> None:
    settings.dropin.write_text(MINE)
    before = all_sysctls(netns), settings.texts
    for directory in ("", "/sysctl.d", "/modules-load.d"):
        mount = f"mount --bind /etc{directory} /etc{directory}; mount -o remount,bind,ro /etc{directory}"
        for check in (True, False):
            result = settings({"settings": {"acct": 1}}, netns=netns, mount=mount, env=late, check=check)
            assert_refused(result, "sysctl_file: ", "is mounted read-only", "persist: false")
            assert "become" not in result.msg
    assert (all_sysctls(netns), settings.texts) == before
    mount = "mount --bind /etc /etc; mount -o remount,bind,ro /etc"
    without = settings({"settings": {"acct": 1}, "persist": False}, netns=netns, mount=mount)
    assert without.data["changed"] is True


@pytest.fixture
def immutable(settings: Settings) -> t.Iterator[t.Callable[[pathlib.Path], None]]:
    """Make a file or a directory one that nobody can change, until the end."""
    made: list[str] = []

    def make(path: pathlib.Path) -> None:
        done = subprocess.run(["chattr", "+i", str(path)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"chattr +i: {done.stderr.strip()}")
        made.append(str(path))

    yield make
    for path in made:
        run(["chattr", "-i", path])


@pytest.mark.parametrize(("what", "words"), [("sysctl.d", "not even by root"), (KEPT[0], "(Operation not permitted)")])
def test_immutable_files_change_nothing(
    settings: Settings, netns: str, immutable: t.Callable[[pathlib.Path], None], what: str, words: str
) -> None:
    settings.dropin.write_text(MINE)
    before = all_sysctls(netns), settings.texts
    immutable(settings.etc / what)
    result = settings({"settings": {"acct": 1, "generic_timeout": 120}}, netns=netns)
    assert_refused(result, "sysctl_file: ", words)
    assert (all_sysctls(netns), settings.texts) == before


@pytest.mark.parametrize("name", ["sysctl.d", "modules-load.d", "modprobe.d"])
def test_file_that_cannot_be_replaced_has_the_kernel_and_the_others_restored(
    settings: Settings, netns: str, late: dict[str, str], tmp_path: pathlib.Path, name: str
) -> None:
    # A mount point, as a container has them in its /etc, can be written, but not be linked or replaced.
    limits = "".join(f"{PREFIX}{short} = {sysctl(None, short)}\n" for short in ("buckets", "max"))
    settings.dropin.write_text(MINE + limits)
    for directory in ("modules-load.d", "modprobe.d"):
        (settings.etc / directory / settings.dropin.name).write_text("# mine\n")
    before = all_sysctls(netns), settings.texts
    (tmp_path / "theirs").write_text("# theirs\n")
    mount = f"mount --bind {tmp_path}/theirs /etc/{name}/{settings.dropin.name}"
    result = settings({"settings": {"acct": 1}}, netns=netns, env=late, mount=mount)
    assert_refused(result, f"/etc/{name}/{settings.dropin.name}", "cannot be written", f"Restored: {PREFIX}acct = 0.")
    assert (all_sysctls(netns), settings.texts) == before
    assert (tmp_path / "theirs").read_text() == "# theirs\n"


@pytest.mark.parametrize("scarce", ["inodes", "bytes"])
@pytest.mark.parametrize("present", [False, True])
def test_full_disk_changes_nothing(
    settings: Settings, netns: str, late: dict[str, str], scarce: str, present: bool
) -> None:
    run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(settings.etc)])
    try:
        kept_in = [settings.etc / directory for directory in ("sysctl.d", "modules-load.d", "modprobe.d")]
        for directory in kept_in:
            directory.mkdir()
            if present:
                (directory / settings.dropin.name).write_text("# mine\n")
        (settings.etc / "other").write_text("# so that not even the least disk is empty\n")
        before = all_sysctls(netns), settings.texts
        give_room(settings.etc, scarce, 0)
        foretold = settings({"settings": {"acct": 1}}, netns=netns, env=late, check=True)
        assert_refused(foretold, "sysctl_file: ", "cannot be written (No space left on device)", "persist: false")
        for room in range(20):
            give_room(settings.etc, scarce, room)
            result = settings({"settings": {"acct": 1, "udp_timeout": 50}}, netns=netns, env=late)
            if not result.failed:
                break
            assert_refused(result, "sysctl_file: ", "cannot be written (No space left on device)")
            assert (all_sysctls(netns), settings.texts) == before
        # The record, modules-load.d and the drop-in; and a link, one after the other, to those that are there already.
        assert room == (4 if present and scarce == "inodes" else 3)
        assert sysctl(netns, "acct") == 1
        assert not [name for name in settings.files if "/." in name]
    finally:
        run(["umount", str(settings.etc)])


def give_room(tmpfs: pathlib.Path, scarce: str, room: int) -> None:
    """Let a tmpfs have room for so many more files, or blocks, and no more."""
    used = os.statvfs(tmpfs)
    inodes, blocks = used.f_files - used.f_ffree, used.f_blocks - used.f_bfree
    option = f"nr_inodes={inodes + room}" if scarce == "inodes" else f"size={(blocks + room) * used.f_bsize}"
    run(["mount", "-o", f"remount,{option}", str(tmpfs)])
