# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module against the kernel, in network namespaces of their own; sysctl(8) is the judge."""

from __future__ import annotations

import os
import pathlib
import stat
import sys
import typing as t

import pytest
from support import SYSTEM_PYTHON, ModuleResult, module_path, network_namespace, run, run_module

PREFIX = "net.netfilter.nf_conntrack_"

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


def sysctl(netns: str | None, short: str) -> int:
    return int(run(["sysctl", "-n", PREFIX + short], netns=netns))


def all_sysctls(netns: str) -> str:
    """Give all settings of the namespace as text, to be compared with a later state."""
    lines = run(["sysctl", "-a", "--pattern", "conntrack"], netns=netns).splitlines()
    assert len(lines) > len(MANY)
    return "\n".join(line for line in lines if not line.startswith(f"{PREFIX}count"))


def settings(args: dict[str, t.Any], **options: t.Any) -> ModuleResult:
    return run_module("conntrack_settings", args, **options)


def mounting(mount: str) -> list[str]:
    """Give a wrapper that mounts something first; 'ip netns exec' has mounts of its own, which end with it."""
    return ["sh", "-ec", f'{mount}; exec "$@"', "sh"]


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
def dropin(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "90-test.conf"


def assert_refused(result: ModuleResult, *words: str) -> None:
    assert result.failed
    assert result.rc == 1
    assert not result.data.get("changed")
    for word in words:
        assert word in result.msg


@pytest.mark.parametrize("python", [sys.executable, SYSTEM_PYTHON])
def test_founding_storys_values_and_again(netns: str, dropin: pathlib.Path, python: str) -> None:
    args = {"settings": {"tcp_timeout_established": "15h", "generic_timeout": "2m"}, "sysctl_file": str(dropin)}
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
        "boot_file": str(dropin),
    }
    assert "diff" not in first.data
    assert (sysctl(netns, "tcp_timeout_established"), sysctl(netns, "generic_timeout")) == (54000, 120)

    written = dropin.stat()
    assert stat.S_IMODE(written.st_mode) == 0o644
    again = settings(args, netns=netns, python=python)
    assert again.data["changed"] is False
    assert again.data["settings"]["generic_timeout"]["runtime_before"] == 120
    assert again.data["settings"]["generic_timeout"]["boot_before"] == 120
    assert (dropin.stat().st_ino, dropin.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    assert os.listdir(dropin.parent) == [dropin.name]


def test_the_file_is_what_sysctl_loads(netns: str, dropin: pathlib.Path) -> None:
    settings({"settings": MANY, "sysctl_file": str(dropin)}, netns=netns)
    tuned = all_sysctls(netns)
    with network_namespace("settings") as rebooted:
        assert all_sysctls(rebooted) != tuned
        run(["sysctl", "-p", str(dropin)], netns=rebooted)
        assert all_sysctls(rebooted) == tuned


def test_many_settings_in_one_call(netns: str) -> None:
    assert len(MANY) == 25
    result = settings({"settings": MANY, "persist": False}, netns=netns)
    assert sorted(result.data["settings"]) == sorted(MANY)
    for short, entry in result.data["settings"].items():
        assert entry["name"] == PREFIX + short
        assert entry["runtime_after"] == entry["wanted"] == sysctl(netns, short)
        assert entry["boot"] is entry["boot_before"] is entry["boot_file"] is None
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
def test_every_name_means_the_same_setting(netns: str, dropin: pathlib.Path, name: str) -> None:
    result = settings({"settings": {name: True}, "sysctl_file": str(dropin)}, netns=netns)
    assert list(result.data["settings"]) == ["acct"]
    assert sysctl(netns, "acct") == 1
    assert dropin.read_text().endswith(f"\n{PREFIX}acct = 1\n")


def test_check_mode_predicts_and_changes_nothing(untouched: str, netns: str, dropin: pathlib.Path) -> None:
    args = {"settings": {"generic_timeout": "2m", "acct": False}, "sysctl_file": str(dropin)}
    predicted = settings(args, netns=untouched, check=True, diff=True)
    assert not dropin.exists()
    assert settings(args, netns=netns, diff=True).data == predicted.data
    assert dropin.read_text() == predicted.data["diff"][1]["after"]
    assert settings(args, netns=netns, check=True, diff=True).data["changed"] is False


def test_diff_shows_what_changes_and_nothing_else(untouched: str, dropin: pathlib.Path) -> None:
    dropin.write_text(f"{PREFIX}generic_timeout = 100\n")
    args = {"settings": {"generic_timeout": "2m", "acct": False}, "sysctl_file": str(dropin)}
    runtime, file = settings(args, netns=untouched, check=True, diff=True).data["diff"]
    assert runtime == {
        "before_header": "run time",
        "after_header": "run time",
        "before": f"{PREFIX}generic_timeout = 600\n",
        "after": f"{PREFIX}generic_timeout = 120\n",
    }
    assert file == {
        "before_header": str(dropin),
        "after_header": str(dropin),
        "before": f"{PREFIX}generic_timeout = 100\n",
        "after": f"{PREFIX}acct = 0\n{PREFIX}generic_timeout = 120\n",
    }


def test_other_lines_of_the_file_stay(netns: str, dropin: pathlib.Path) -> None:
    dropin.write_text(f"# mine\nkernel.panic = 1\n{PREFIX}acct=0\n{PREFIX}timestamp=1\n")
    settings({"settings": {"acct": 1, "generic_timeout": 120}, "sysctl_file": str(dropin)}, netns=netns)
    assert dropin.read_text() == (
        f"# mine\nkernel.panic = 1\n{PREFIX}acct = 1\n{PREFIX}generic_timeout = 120\n{PREFIX}timestamp=1\n"
    )


def test_file_alone_out_of_date(netns: str, dropin: pathlib.Path) -> None:
    dropin.write_text(f"{PREFIX}acct = 1\n")
    args = {"settings": {"acct": 0}, "sysctl_file": str(dropin)}
    assert settings(args, netns=netns).data["changed"] is True
    assert dropin.read_text() == f"{PREFIX}acct = 0\n"
    assert settings(args, netns=netns).data["changed"] is False


def test_without_persist_the_file_is_left_alone(netns: str, dropin: pathlib.Path) -> None:
    settings({"settings": {"acct": True}, "sysctl_file": str(dropin), "persist": False}, netns=netns)
    assert sysctl(netns, "acct") == 1
    assert not dropin.exists()


def test_netns_option_leaves_the_namespace_of_the_process_alone(netns: str, untouched: str) -> None:
    for where in (netns, f"/run/netns/{netns}"):
        args = {"settings": {"generic_timeout": 111}, "netns": where, "persist": False}
        assert settings(args, netns=untouched).data["changed"] is (where == netns)
    assert sysctl(netns, "generic_timeout") == 111
    assert sysctl(untouched, "generic_timeout") == 600


def test_netns_that_cannot_be_kept_or_found(netns: str, untouched: str, dropin: pathlib.Path) -> None:
    args = {"settings": {"acct": 1}, "netns": netns, "sysctl_file": str(dropin)}
    assert_refused(settings(args, netns=untouched), "persist", "netns", "persist: false")
    assert sysctl(netns, "acct") == 0
    assert not dropin.exists()
    missing = {"settings": {"acct": 1}, "netns": "not-there", "persist": False}
    assert_refused(settings(missing, netns=untouched), "'not-there' cannot be opened", "ip netns list")


def test_pyroute2_is_needed_for_netns_only(netns: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\n\nsys.modules['pyroute2'] = None\n")
    without = {"PYTHONPATH": f"{tmp_path}:{module_path()}"}
    args = {"settings": {"acct": 1}, "persist": False}
    assert settings(args, netns=netns, env=without).data["changed"] is True
    result = settings({**args, "netns": netns}, netns=netns, env=without)
    assert_refused(result, "pyroute2 >= 0.7.2", "python3-pyroute2")


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
        ({"acct": 1, "nf_conntrack_acct": 0}, ["'acct' (1) and 'nf_conntrack_acct' (0) are two names"]),
        ({"acct": 2, "generic_timeout": 0}, ["settings.acct: 2 ", "settings.generic_timeout: 0 "]),
    ],
)
def test_bad_value_changes_nothing(
    untouched: str, dropin: pathlib.Path, wanted: dict[str, object], words: list[str]
) -> None:
    before = all_sysctls(untouched)
    result = settings({"settings": {"timestamp": 1, **wanted}, "sysctl_file": str(dropin)}, netns=untouched)
    assert_refused(result, *words)
    assert not dropin.exists()
    assert all_sysctls(untouched) == before


@pytest.mark.parametrize("check", [False, True])
def test_unknown_and_read_only_settings_are_named(untouched: str, dropin: pathlib.Path, check: bool) -> None:
    wanted = {"max": 262144, "buckets": 262144, "count": 5, "tcp_timout_established": 5, "a/b": 1, "acct": 1}
    result = settings({"settings": wanted, "sysctl_file": str(dropin)}, netns=untouched, check=check)
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
    assert not dropin.exists()


def test_read_only_settings_through_the_netns_option(untouched: str, netns: str) -> None:
    result = settings({"settings": {"max": 262144}, "netns": netns, "persist": False}, netns=untouched)
    assert_refused(result, "settings: max: cannot be written here", "on the host itself")


def test_failed_write_puts_the_others_back(netns: str, dropin: pathlib.Path) -> None:
    # The kernel refuses an upper threshold below the lower one: an error that only the write itself can meet.
    before = all_sysctls(netns)
    wanted = {"acct": 1, "generic_timeout": 120, "frag6_high_thresh": 5}
    result = settings({"settings": wanted, "sysctl_file": str(dropin)}, netns=netns)
    assert_refused(
        result,
        f"settings.frag6_high_thresh: {PREFIX}frag6_high_thresh does not take 5 (Invalid argument).",
        f"Put back: {PREFIX}acct = 0, {PREFIX}generic_timeout = 600.",
    )
    assert all_sysctls(netns) == before
    assert os.listdir(dropin.parent) == []


def test_thresholds_are_written_in_the_order_that_the_kernel_takes(netns: str) -> None:
    for low, high in ((8 << 20, 16 << 20), (1 << 20, 2 << 20)):
        result = settings(
            {"settings": {"frag6_low_thresh": low, "frag6_high_thresh": high}, "persist": False}, netns=netns
        )
        assert result.data["changed"] is True
        assert (sysctl(netns, "frag6_low_thresh"), sysctl(netns, "frag6_high_thresh")) == (low, high)


@pytest.mark.parametrize(
    ("mount", "name", "words"),
    [
        (":", "no-such-directory/90.conf", ["needs the directory", "Create it"]),
        (":", "directory.conf", ["not a regular file"]),
        (":", "90-conntrack", ["has to end in .conf"]),
        ("mount -t tmpfs -o ro tmpfs DIR", "90.conf", ["cannot be written", "persist: false"]),
        ("mount -t tmpfs -o size=4k tmpfs DIR; echo > DIR/full", "90.conf", ["No space left on device"]),
    ],
)
def test_file_that_cannot_be_written(
    untouched: str, tmp_path: pathlib.Path, mount: str, name: str, words: list[str]
) -> None:
    (tmp_path / "directory.conf").mkdir()
    result = settings(
        {"settings": {"acct": 1}, "sysctl_file": str(tmp_path / name)},
        netns=untouched,
        wrapper=mounting(mount.replace("DIR", str(tmp_path))),
    )
    assert_refused(result, "sysctl_file: ", name, *words)
    assert sysctl(untouched, "acct") == 0


@pytest.mark.parametrize("check", [False, True])
def test_not_root(untouched: str, check: bool) -> None:
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
        ("mount -t tmpfs tmpfs /proc/sys/net/netfilter", ["modprobe nf_conntrack", "ct state", "modules-load.d"]),
        ("mount --bind -o ro /proc/sys /proc/sys", ["/proc/sys is mounted read-only here", "container"]),
    ],
)
def test_no_settings_and_read_only_settings(untouched: str, mount: str, words: list[str]) -> None:
    result = settings({"settings": {"acct": 1}, "persist": False}, netns=untouched, wrapper=mounting(mount))
    assert_refused(result, *words)


def test_tcp_loose_off_is_warned_of_once(netns: str) -> None:
    args = {"settings": {"tcp_loose": False}, "persist": False}
    assert "will not be picked up" in str(settings(args, netns=netns).data["warnings"])
    assert not settings(args, netns=netns).data.get("warnings")


def test_host_takes_its_own_limits(dropin: pathlib.Path) -> None:
    present = {"max": sysctl(None, "max"), "buckets": sysctl(None, "buckets") - 1}
    result = settings({"settings": present, "sysctl_file": str(dropin)})
    assert result.data["changed"] is True  # only the file is new: the kernel rounds these buckets up to what it has
    assert result.data["settings"]["max"]["runtime_after"] == present["max"]
    assert result.data["settings"]["buckets"]["runtime_after"] == present["buckets"] + 1
    assert result.data["settings"]["buckets"]["boot"] == present["buckets"]
    assert settings({"settings": present, "sysctl_file": str(dropin)}).data["changed"] is False


def test_max_below_the_count_is_refused() -> None:
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
