# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read from trees of files; tests/kernel/test_boot.py has the programs themselves as judges."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._boot.next_boot import NextBoot, next_boot
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.sysctl_d import (
    Source,
    assignments,
    number_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.values import whole_pages
from helpers.systems import build

MAX = "net.netfilter.nf_conntrack_max"
ACCT = "net.netfilter.nf_conntrack_acct"
LOAD = {"etc/modules-load.d/ct.conf": "nf_conntrack\n"}
SYSTEMD = {"run/systemd/system/": ""}
KERNEL = {
    "proc/sys/kernel/osrelease": "6.1.0\n",
    "proc/modules": "nf_conntrack 200704 1 nft_ct, Live 0x0\n",
    **{
        f"proc/sys/net/netfilter/nf_conntrack_{name}": "1\n"
        for name in ("acct", "buckets", "count", "max", "udp_timeout")
    },
    "proc/sys/net/nf_conntrack_max": "1\n",
}
"""A kernel with the module loaded, and two names for max."""

FIREWALLD = "install nf_conntrack /usr/sbin/modprobe --ignore-install nf_conntrack $CMDLINE_OPTS && /usr/sbin/sysctl "
FIREWALLD += "--quiet --pattern 'net[.]netfilter[.]nf_conntrack.*' --system\n"
UDEV = 'ACTION=="add", SUBSYSTEM=="module", KERNEL=="nf_conntrack", RUN+="/usr/lib/systemd/systemd-sysctl'

Tree = dict[str, str]


def boot_of(
    root: pathlib.Path, *trees: t.Mapping[str, str], overlay: t.Mapping[str, str | None] | None = None
) -> NextBoot:
    for tree in trees:
        build(root, tree)
    return next_boot(overlay, str(root))


def places(boot: NextBoot) -> dict[str, str]:
    """Return what will be set, as ``VALUE FILE:LINE``."""
    return {
        short: f"{value.value} {value.source.file}:{value.source.line}" for short, value in sorted(boot.values.items())
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a.b = 1", ("a.b", "1", False)),
        (" \ta.b\t=  1 2 \r", ("a.b", "1 2", False)),
        ("-a.b=1", ("a.b", "1", True)),
        ("- a.b=1", ("a.b", "1", True)),
        ("a.b=", ("a.b", "", False)),
        ("a.b=1=2", ("a.b", "1=2", False)),
        ("-a.b", ("a.b", None, True)),
        ("a.b", None),
        ("# a.b=1", None),
        ("  ;a.b=1", None),
        ("", None),
    ],
)
def test_a_line(line: str, expected: tuple[str, str | None, bool] | None) -> None:
    found = [(each.line, (each.name, each.value, each.dash)) for each in assignments(f"\n{line}\n")]
    assert found == ([(2, expected)] if expected else [])


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("net.netfilter.nf_conntrack_max", "net/netfilter/nf_conntrack_max"),
        ("net/netfilter/nf_conntrack_max", "net/netfilter/nf_conntrack_max"),
        ("/net//netfilter/./nf_conntrack_max", "net/netfilter/nf_conntrack_max"),
        ("net.ipv4.conf.eth0/5.rp_filter", "net/ipv4/conf/eth0.5/rp_filter"),
        ("net/ipv4/conf/eth0.5/rp_filter", "net/ipv4/conf/eth0.5/rp_filter"),
    ],
)
def test_the_first_separator_decides(name: str, key: str) -> None:
    assert next(assignments(f"{name}=1")).key == key


@pytest.mark.parametrize(
    ("name", "short"),
    [
        (MAX, "max"),
        ("net/nf_conntrack_max", "max"),
        ("net.ipv4.ip_conntrack_max", "max"),
        ("net.ipv4.netfilter.ip_conntrack_tcp_timeout_established", "tcp_timeout_established"),
        ("net.netfilter.nf_flowtable_tcp_timeout", "flowtable_tcp_timeout"),
        ("net/netfilter.nf_conntrack_max", None),
        ("net.netfilter.nf_conntrack_count", None),
        ("kernel.panic", None),
    ],
)
def test_the_short_name(name: str, short: str | None) -> None:
    assert next(assignments(f"{name}=1")).short == short


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5),
        ("-1", -1),
        ("0x10", 16),
        ("010", 8),
        ("0", 0),
        ("5 # five", 5),
        ("5#", None),
        ("15h", None),
        ("", None),
    ],
)
def test_the_number_that_the_kernel_takes(text: str, number: int | None) -> None:
    assert number_of(text) == number


SYSCTL_D: dict[str, tuple[Tree, dict[str, str]]] = {
    "nothing": ({}, {}),
    "the last line": ({"etc/sysctl.d/a.conf": f"{MAX}=1\n\n{MAX}=2\n"}, {"max": "2 /etc/sysctl.d/a.conf:3"}),
    "names sort over all directories": (
        {"etc/sysctl.d/10-a.conf": f"{MAX}=1", "usr/lib/sysctl.d/20-b.conf": f"{MAX}=2"},
        {"max": "2 /usr/lib/sysctl.d/20-b.conf:1"},
    ),
    "the same name, in each directory": (
        {
            f"{place}/sysctl.d/a.conf": f"{MAX}={number}"
            for number, place in enumerate(("lib", "usr/lib", "usr/local/lib", "run", "etc"))
        },
        {"max": "4 /etc/sysctl.d/a.conf:1"},
    ),
    "usr/local before usr": (
        {"usr/local/lib/sysctl.d/a.conf": f"{MAX}=1", "usr/lib/sysctl.d/a.conf": f"{MAX}=2"},
        {"max": "1 /usr/local/lib/sysctl.d/a.conf:1"},
    ),
    "lib of its own": ({"lib/sysctl.d/a.conf": f"{MAX}=1"}, {"max": "1 /lib/sysctl.d/a.conf:1"}),
    "lib is usr/lib": (
        {"usr/lib/sysctl.d/a.conf": f"{MAX}=1", "lib": "-> usr/lib"},
        {"max": "1 /usr/lib/sysctl.d/a.conf:1"},
    ),
    "masked by an empty file": ({"etc/sysctl.d/a.conf": "", "usr/lib/sysctl.d/a.conf": f"{MAX}=1"}, {}),
    "masked by a link": ({"etc/sysctl.d/a.conf": "-> /dev/null", "usr/lib/sysctl.d/a.conf": f"{MAX}=1"}, {}),
    "other files": (
        {"etc/sysctl.d/a.conf.dpkg-new": f"{MAX}=1", "etc/sysctl.d/.a.conf": f"{MAX}=1", "etc/sysctl.d/d.conf/": ""},
        {},
    ),
    "a directory hides nothing": (
        {"etc/sysctl.d/a.conf/": "", "usr/lib/sysctl.d/a.conf": f"{MAX}=1"},
        {"max": "1 /usr/lib/sysctl.d/a.conf:1"},
    ),
    "sysctl.conf by a link only": (
        {
            "etc/sysctl.conf": f"{MAX}=1",
            "etc/sysctl.d/99-sysctl.conf": "-> ../sysctl.conf",
            "etc/sysctl.d/z.conf": f"{ACCT}=1",
        },
        {"acct": "1 /etc/sysctl.d/z.conf:1", "max": "1 /etc/sysctl.d/99-sysctl.conf:1"},
    ),
    "sysctl.conf without a link": ({"etc/sysctl.conf": f"{MAX}=1"}, {}),
    "a name wins over a pattern": (
        {"etc/sysctl.d/a.conf": f"{MAX}=1", "etc/sysctl.d/b.conf": "net.netfilter.nf_conntrack_[am]*=0"},
        {"acct": "0 /etc/sysctl.d/b.conf:1", "max": "1 /etc/sysctl.d/a.conf:1"},
    ),
    "an exclusion": (
        {"etc/sysctl.d/a.conf": f"net.netfilter.nf_conntrack_[am]*=0\n-{MAX}"},
        {"acct": "0 /etc/sysctl.d/a.conf:1"},
    ),
    "no wildcard matches a slash": ({"etc/sysctl.d/a.conf": "net*max=2\nn*=2"}, {}),
    "a number that the kernel refuses": (
        {"etc/sysctl.d/a.conf": f"{ACCT}=2\nnet.netfilter.nf_conntrack_udp_timeout=5000000000"},
        {"acct": "None /etc/sysctl.d/a.conf:1", "udp_timeout": "None /etc/sysctl.d/a.conf:2"},
    ),
    "two names of one setting": (
        {"etc/sysctl.d/a.conf": f"{MAX}=1\nnet.nf_conntrack_max=2"},
        {"max": "2 /etc/sysctl.d/a.conf:2"},
    ),
    "a name that this kernel lacks": (
        {"etc/sysctl.d/a.conf": f"{MAX}=1\nnet.ipv4.ip_conntrack_max=2"},
        {"max": "1 /etc/sysctl.d/a.conf:1"},
    ),
    "a pattern with a value that is refused": (
        {"etc/sysctl.d/a.conf": "net.netfilter.nf_conntrack_*ct=0\nnet/netfilter/nf_conntrack_[a]*=many"},
        {"acct": "0 /etc/sysctl.d/a.conf:1"},
    ),
    "another name with a value that is refused": (
        {"etc/sysctl.d/a.conf": f"{MAX}=1\nnet.nf_conntrack_max=many"},
        {"max": "1 /etc/sysctl.d/a.conf:1"},
    ),
    "no number": ({"etc/sysctl.d/a.conf": f"{MAX}=1\n{MAX}=many"}, {"max": "None /etc/sysctl.d/a.conf:2"}),
    "bytes that are no text": ({"etc/sysctl.d/a.conf": f"# \x00\x7f\n{MAX}=1"}, {"max": "1 /etc/sysctl.d/a.conf:2"}),
}


@pytest.mark.parametrize(("files", "expected"), SYSCTL_D.values(), ids=list(SYSCTL_D))
def test_which_line_wins(files: Tree, expected: dict[str, str], tmp_path: pathlib.Path) -> None:
    assert places(boot_of(tmp_path, KERNEL, SYSTEMD, LOAD, files)) == expected


@pytest.mark.parametrize(
    ("init", "expected"),
    [
        ({}, "2 /etc/sysctl.conf:1"),
        ({"sbin/init": "-> /usr/sbin/openrc-init"}, "2 /etc/sysctl.conf:1"),
        ({"sbin/init": "-> ../lib/systemd/systemd"}, "1 /etc/sysctl.d/a.conf:1"),
        (SYSTEMD, "1 /etc/sysctl.d/a.conf:1"),
    ],
)
def test_sysctl_conf_is_read_last_without_systemd(init: Tree, expected: str, tmp_path: pathlib.Path) -> None:
    files = {"etc/sysctl.conf": f"{MAX}=2", "etc/sysctl.d/a.conf": f"{MAX}=1"}
    assert places(boot_of(tmp_path, KERNEL, LOAD, init, files)) == {"max": expected}


def test_before_the_module_is_loaded_every_name_counts(tmp_path: pathlib.Path) -> None:
    files = {"etc/sysctl.d/a.conf": "net.ipv4.ip_conntrack_max=2"}
    assert places(boot_of(tmp_path, LOAD, files)) == {"max": "2 /etc/sysctl.d/a.conf:1"}


def test_the_lines_that_lose(tmp_path: pathlib.Path) -> None:
    files = {
        "etc/sysctl.d/a.conf": f"{MAX}=1\nnet.ipv4.ip_conntrack_max=2",
        "etc/sysctl.d/b.conf": "net.netfilter.nf_conntrack_m*=3",
        "etc/sysctl.d/c.conf": f"{MAX}=4",
    }
    boot = boot_of(tmp_path, KERNEL, SYSTEMD, LOAD, files)
    assert places(boot) == {"max": "4 /etc/sysctl.d/c.conf:1"}
    assert {short: [(lost.value, *lost.source) for lost in lines] for short, lines in boot.overridden.items()} == {
        "max": [(1, "/etc/sysctl.d/a.conf", 1), (2, "/etc/sysctl.d/a.conf", 2), (3, "/etc/sysctl.d/b.conf", 1)]
    }


MODULES_DEP = (
    "kernel/net/netfilter/ipvs/ip_vs.ko.xz: kernel/net/netfilter/nf_conntrack.ko.xz kernel/lib/libcrc32c.ko.xz\n"
)
MODULES_DEP += "kernel/net/bridge/br_netfilter.ko.xz: kernel/net/bridge/bridge.ko.xz\n"
ALIASES = {
    "lib/modules/6.1.0/modules.dep": MODULES_DEP,
    "lib/modules/6.1.0/modules.alias": (
        "# Aliases extracted from modules themselves.\n"
        "alias ip_conntrack nf_conntrack\nalias foo-bar ip_vs\nalias br br_netfilter\nalias virtio:d00000001v* ip_vs\n"
    ),
}
NOT_LOADED = {"proc/sys/kernel/osrelease": "6.1.0\n", "proc/modules": "bridge 1 0 - Live 0x0\n"}
SYSVINIT = {
    "etc/inittab": "",
    "etc/init.d/procps": "",
    "etc/rcS.d/S07kmod": "-> ../init.d/kmod",
    "etc/rcS.d/S11procps": "-> ../init.d/procps",
}
BUILTIN = {name: text for name, text in KERNEL.items() if name != "proc/modules"}
MODULE: dict[str, tuple[Tree, str, Source | None]] = {
    "nothing loads it": ({}, "late", None),
    "a line": ({"etc/modules-load.d/a.conf": "# x\nnf_conntrack\n"}, "early", Source("/etc/modules-load.d/a.conf", 2)),
    "with a dash": ({"run/modules-load.d/a.conf": "nf-conntrack"}, "early", Source("/run/modules-load.d/a.conf", 1)),
    "a comment": ({"etc/modules-load.d/a.conf": ";nf_conntrack\n# nf_conntrack\n"}, "late", None),
    "words behind the name": ({"etc/modules-load.d/a.conf": "nf_conntrack hashsize=5\n"}, "late", None),
    "masked": (
        {"etc/modules-load.d/a.conf": "-> /dev/null", "usr/lib/modules-load.d/a.conf": "nf_conntrack"},
        "late",
        None,
    ),
    "etc/modules with systemd": ({"etc/modules": "nf_conntrack", **SYSTEMD}, "late", None),
    "etc/modules by a link": (
        {"etc/modules": "nf_conntrack", "etc/modules-load.d/modules.conf": "-> ../modules", **SYSTEMD},
        "early",
        Source("/etc/modules-load.d/modules.conf", 1),
    ),
    "etc/modules without systemd": (
        {"etc/modules": "nf_conntrack", **SYSVINIT},
        "early",
        Source("/etc/modules", 1),
    ),
    "another module needs it": (
        {"etc/modules-load.d/a.conf": "br_netfilter\nip-vs\n", "lib/modules/6.1.0/modules.dep": MODULES_DEP},
        "early",
        Source("/etc/modules-load.d/a.conf", 2),
    ),
    "another module does not": (
        {"etc/modules-load.d/a.conf": "br_netfilter\n", "lib/modules/6.1.0/modules.dep": MODULES_DEP},
        "late",
        None,
    ),
    "an alias of the module": (
        {"etc/modules-load.d/a.conf": "ip-conntrack\n", **ALIASES},
        "early",
        Source("/etc/modules-load.d/a.conf", 1),
    ),
    "an alias of a module that needs it": (
        {"etc/modules-load.d/a.conf": "foo_bar\n", **ALIASES},
        "early",
        Source("/etc/modules-load.d/a.conf", 1),
    ),
    "an alias of another module": ({"etc/modules-load.d/a.conf": "br\n", **ALIASES}, "late", None),
    "a hardware alias": (
        {"etc/modules-load.d/a.conf": "virtio:d00000001v00001AF4\n", **ALIASES},
        "early",
        Source("/etc/modules-load.d/a.conf", 1),
    ),
    "an alias of one's own": (
        {"etc/modules-load.d/a.conf": "mine\n", "etc/modprobe.d/a.conf": "alias mine nf-conntrack\n"},
        "early",
        Source("/etc/modules-load.d/a.conf", 1),
    ),
    "an alias of one's own in the place of the module": (
        {"etc/modules-load.d/a.conf": "nf_conntrack\n", "etc/modprobe.d/a.conf": "alias nf_conntrack off\n"},
        "late",
        None,
    ),
    "a soft dependency": (
        {
            "etc/modules-load.d/a.conf": "br_netfilter\n",
            "etc/modprobe.d/a.conf": "softdep br_netfilter post: nf_conntrack\n",
        },
        "early",
        Source("/etc/modules-load.d/a.conf", 1),
    ),
    "a soft dependency of the kernel": (
        {
            "etc/modules-load.d/a.conf": "br_netfilter\n",
            "lib/modules/6.1.0/modules.softdep": "softdep br_netfilter pre: nf_conntrack\n",
        },
        "early",
        Source("/etc/modules-load.d/a.conf", 1),
    ),
    "a weak dependency": (
        {"etc/modules-load.d/a.conf": "br_netfilter\n", "etc/modprobe.d/a.conf": "weakdep br_netfilter nf_conntrack\n"},
        "late",
        None,
    ),
    "blacklisted": ({**LOAD, "etc/modprobe.d/a.conf": "blacklist nf-conntrack\n"}, "late", None),
    "blacklisted on the kernel's command line": (
        {**LOAD, "proc/cmdline": "modprobe.blacklist=a,nf_conntrack"},
        "late",
        None,
    ),
    "refused by the kernel": ({**LOAD, "proc/cmdline": "module_blacklist=nf_conntrack"}, "late", None),
    "blacklisted, and another module needs it": (
        {
            "etc/modules-load.d/a.conf": "ip_vs\n",
            "etc/modprobe.d/a.conf": "blacklist nf_conntrack\n",
            "lib/modules/6.1.0/modules.dep": MODULES_DEP,
        },
        "early",
        Source("/etc/modules-load.d/a.conf", 1),
    ),
    "an install line in its place": (
        {**LOAD, "etc/modprobe.d/a.conf": "install nf_conntrack /bin/false\n"},
        "late",
        None,
    ),
    "an install line that loads it": (
        {**LOAD, "etc/modprobe.d/a.conf": "install nf_conntrack /sbin/modprobe -i nf_conntrack && true\n"},
        "early",
        Source("/etc/modules-load.d/ct.conf", 1),
    ),
    "an install line of another module that loads it": (
        {
            "etc/modules-load.d/a.conf": "mine\n",
            "etc/modprobe.d/a.conf": "install mine modprobe nf_conntrack; modprobe -i mine\n",
        },
        "early",
        Source("/etc/modules-load.d/a.conf", 1),
    ),
    "the command line": (
        {"proc/cmdline": "quiet modules-load=loop,nf_conntrack"},
        "early",
        Source("/proc/cmdline", 1),
    ),
    "the command line of the initrd": ({"proc/cmdline": "rd.modules_load=nf_conntrack"}, "late", None),
    "built in, not listed": (
        {"lib/modules/6.1.0/modules.builtin": "kernel/net/netfilter/nf_conntrack.ko\n"},
        "builtin",
        None,
    ),
}


@pytest.mark.parametrize(("files", "module", "source"), MODULE.values(), ids=list(MODULE))
def test_when_the_module_is_loaded(files: Tree, module: str, source: Source | None, tmp_path: pathlib.Path) -> None:
    init = {} if "etc/inittab" in files else SYSTEMD
    boot = boot_of(tmp_path, NOT_LOADED, init, files)
    assert (boot.module, boot.module_source) == (module, source)


@pytest.mark.parametrize(
    ("kernel", "module"), [(KERNEL, "late"), (BUILTIN, "builtin"), ({**BUILTIN, "proc/modules": "x 1\n"}, "builtin")]
)
def test_a_module_that_is_there_now(kernel: Tree, module: str, tmp_path: pathlib.Path) -> None:
    assert boot_of(tmp_path, kernel, SYSTEMD).module == module


def test_settings_are_lost_when_the_module_comes_late(tmp_path: pathlib.Path) -> None:
    boot = boot_of(tmp_path, KERNEL, SYSTEMD, {"etc/sysctl.d/a.conf": f"{MAX}=1"})
    assert places(boot) == {"max": "1 /etc/sysctl.d/a.conf:1"}
    assert boot.lost == {"max"}
    assert boot.in_force("max") is None
    assert "modules-load.d" in str(boot.why_lost)


def test_nothing_is_lost_when_it_comes_early(tmp_path: pathlib.Path) -> None:
    boot = boot_of(tmp_path, KERNEL, SYSTEMD, LOAD, {"etc/sysctl.d/a.conf": f"{MAX}=1"})
    assert (boot.lost, boot.why_lost, boot.in_force("max")) == (frozenset(), None, boot.values["max"])


DROPIN = {"etc/sysctl.d/a.conf": f"{ACCT}=1\nnet.nf_conntrack_max=2\n", "etc/sysctl.conf": f"{ACCT}=0\n"}
REPLAY: dict[str, tuple[Tree, set[str], str]] = {
    "firewalld": ({"usr/lib/modprobe.d/firewalld-sysctls.conf": FIREWALLD}, {"max"}, "0 /etc/sysctl.conf:1"),
    "without a pattern": (
        {"etc/modprobe.d/a.conf": "install nf_conntrack modprobe -i nf_conntrack \\\n && sysctl --system"},
        set(),
        "0 /etc/sysctl.conf:1",
    ),
    "a pattern that cannot be read": (
        {"etc/modprobe.d/a.conf": "install nf_conntrack modprobe -i nf_conntrack && sysctl -r '(' --system"},
        set(),
        "0 /etc/sysctl.conf:1",
    ),
    "another program": ({"etc/modprobe.d/a.conf": "install nf_conntrack /bin/true nf_conntrack"}, {"acct", "max"}, ""),
    "another module": ({"etc/modprobe.d/a.conf": "install bridge sysctl --system"}, {"acct", "max"}, ""),
    "a udev rule": (
        {"etc/udev/rules.d/9.rules": f'{UDEV} --prefix=/net/netfilter"\n'},
        {"max"},
        "1 /etc/sysctl.d/a.conf:1",
    ),
    "a udev rule with dots": ({"etc/udev/rules.d/9.rules": f'{UDEV} --prefix=net"'}, set(), "1 /etc/sysctl.d/a.conf:1"),
    "a udev rule for all": ({"run/udev/rules.d/9.rules": f'#\n{UDEV}"'}, set(), "1 /etc/sysctl.d/a.conf:1"),
    "no udev rule": ({"etc/udev/rules.d/9.txt": f'{UDEV}"'}, {"acct", "max"}, ""),
}


@pytest.mark.parametrize(("files", "lost", "acct"), REPLAY.values(), ids=list(REPLAY))
def test_what_applies_the_lines_to_a_late_module(
    files: Tree, lost: set[str], acct: str, tmp_path: pathlib.Path
) -> None:
    boot = boot_of(tmp_path, KERNEL, SYSTEMD, DROPIN, files)
    assert boot.lost == lost
    assert (boot.why_lost is None) == (not lost)
    if acct:
        assert places(boot)["acct"] == acct
        assert boot.replay is not None
        assert (boot.replay.source.file in str(boot.why_lost)) == bool(lost)


HASHSIZE: dict[str, tuple[Tree, str | None]] = {
    "none": ({}, None),
    "an option": ({"etc/modprobe.d/a.conf": "options nf_conntrack hashsize=1000"}, "1000 /etc/modprobe.d/a.conf:1"),
    "among others": (
        {"etc/modprobe.d/a.conf": "# x\noptions nf-conntrack acct=1 \\\n hashsize=1000\n"},
        "1000 /etc/modprobe.d/a.conf:2",
    ),
    "behind a continued line": (
        {"etc/modprobe.d/a.conf": "alias a \\\n b\n\noptions nf_conntrack hashsize=1000\n"},
        "1000 /etc/modprobe.d/a.conf:4",
    ),
    "the last one": (
        {
            "etc/modprobe.d/a.conf": "options nf_conntrack hashsize=1 hashsize=2",
            "lib/modprobe.d/b.conf": "options nf_conntrack hashsize=3",
        },
        "3 /lib/modprobe.d/b.conf:1",
    ),
    "the command line": (
        {
            "etc/modprobe.d/a.conf": "options nf_conntrack hashsize=1",
            "proc/cmdline": "quiet nf_conntrack.hashsize=4096\n",
        },
        "4096 /proc/cmdline:1",
    ),
    "another module": ({"etc/modprobe.d/a.conf": "options xt_recent hashsize=1"}, None),
    "another option": ({"etc/modprobe.d/a.conf": "options nf_conntrack expect_hashsize=1"}, None),
    "no number": ({"etc/modprobe.d/a.conf": "options nf_conntrack hashsize=big"}, "None /etc/modprobe.d/a.conf:1"),
}


@pytest.mark.parametrize(("files", "expected"), HASHSIZE.values(), ids=list(HASHSIZE))
def test_the_hash_size(files: Tree, expected: str | None, tmp_path: pathlib.Path) -> None:
    size = boot_of(tmp_path, KERNEL, files).hashsize
    assert (f"{size.value} {size.source.file}:{size.source.line}" if size else None) == expected


@pytest.mark.parametrize(
    ("files", "buckets", "limit"),
    [
        ({}, None, None),
        ({"etc/modprobe.d/a.conf": "options nf_conntrack hashsize=1000"}, 1000, 8 * whole_pages(1000)),
        ({"etc/modprobe.d/a.conf": "options nf_conntrack hashsize=0"}, 0, None),
        (
            {"etc/modprobe.d/a.conf": "options nf_conntrack hashsize=1024", "etc/sysctl.d/a.conf": f"{MAX}=5", **LOAD},
            1024,
            5,
        ),
        (
            {"etc/modprobe.d/a.conf": "options nf_conntrack hashsize=1024", "etc/sysctl.d/a.conf": f"{MAX}=5"},
            1024,
            8192,
        ),
        (
            {
                "etc/modprobe.d/a.conf": "options nf_conntrack hashsize=1024",
                "etc/sysctl.d/a.conf": "net.netfilter.nf_conntrack_buckets=7",
                **LOAD,
            },
            7,
            8192,
        ),
    ],
)
def test_what_is_in_force(files: Tree, buckets: int | None, limit: int | None, tmp_path: pathlib.Path) -> None:
    boot = boot_of(tmp_path, KERNEL, SYSTEMD, files)
    found = [value and value.value for value in (boot.in_force("buckets"), boot.in_force("max"))]
    assert found == [buckets, limit]


def test_modprobe_d_is_not_for_what_is_built_in(tmp_path: pathlib.Path) -> None:
    files = {"etc/modprobe.d/a.conf": "options nf_conntrack hashsize=1"}
    assert boot_of(tmp_path, BUILTIN, files).hashsize is None


OVERLAY: dict[str, tuple[Tree, dict[str, str | None], dict[str, str]]] = {
    "a new file": ({}, {"/etc/sysctl.d/a.conf": f"{MAX}=1"}, {"max": "1 /etc/sysctl.d/a.conf:1"}),
    "another text": (
        {"etc/sysctl.d/a.conf": f"{MAX}=1"},
        {"/etc/sysctl.d/a.conf": f"#\n{MAX}=2"},
        {"max": "2 /etc/sysctl.d/a.conf:2"},
    ),
    "no file any more": ({"etc/sysctl.d/a.conf": f"{MAX}=1"}, {"/etc/sysctl.d/a.conf": None}, {}),
    "what was hidden": (
        {"etc/sysctl.d/a.conf": "", "usr/lib/sysctl.d/a.conf": f"{MAX}=1"},
        {"/etc/sysctl.d/a.conf": None},
        {"max": "1 /usr/lib/sysctl.d/a.conf:1"},
    ),
    "behind a link": (
        {"etc/sysctl.conf": "", "etc/sysctl.d/99-sysctl.conf": "-> ../sysctl.conf"},
        {"/etc/sysctl.conf": f"{MAX}=1"},
        {"max": "1 /etc/sysctl.d/99-sysctl.conf:1"},
    ),
    "in a directory behind a link": (
        {"data/": "", "etc/sysctl.d": "-> ../data"},
        {"/data/a.conf": f"{MAX}=1"},
        {"max": "1 /etc/sysctl.d/a.conf:1"},
    ),
    "somewhere else": ({}, {"/srv/a.conf": f"{MAX}=1"}, {}),
}


@pytest.mark.parametrize(("files", "overlay", "expected"), OVERLAY.values(), ids=list(OVERLAY))
def test_as_it_will_be(
    files: Tree, overlay: dict[str, str | None], expected: dict[str, str], tmp_path: pathlib.Path
) -> None:
    build(tmp_path, {"etc/": "", **files})
    assert places(boot_of(tmp_path, KERNEL, SYSTEMD, overlay=overlay)) == expected


def test_the_module_as_it_will_be_loaded(tmp_path: pathlib.Path) -> None:
    overlay = {
        "/etc/modules-load.d/a.conf": "nf_conntrack\n",
        "/etc/modprobe.d/a.conf": "options nf_conntrack hashsize=1\n",
    }
    boot = boot_of(tmp_path, KERNEL, SYSTEMD, overlay=overlay)
    assert (boot.module, boot.hashsize and boot.hashsize.value) == ("early", 1)


def test_what_cannot_be_read_is_not_there(tmp_path: pathlib.Path) -> None:
    files = {"etc/sysctl.d": "a file\n", "etc/modprobe.d/a.conf": "-> a.conf", "run/sysctl.d/a.conf": "-> /nowhere"}
    assert places(boot_of(tmp_path, files)) == {}


def test_a_pipe_keeps_nobody_waiting(tmp_path: pathlib.Path) -> None:
    build(tmp_path, {**KERNEL, **SYSTEMD, **LOAD, "etc/sysctl.d/b.conf": f"{MAX}=1"})
    os.mkfifo(tmp_path / "etc/sysctl.d/a.conf")
    assert places(next_boot(root=str(tmp_path))) == {"max": "1 /etc/sysctl.d/b.conf:1"}
    assert next_boot(root=str(tmp_path)).sysctl_files == ("/etc/sysctl.d/b.conf",)


def test_firewalld_applies_lines_whether_there_are_any_yet(tmp_path: pathlib.Path) -> None:
    boot = boot_of(tmp_path, KERNEL, SYSTEMD, {"usr/lib/modprobe.d/firewalld-sysctls.conf": FIREWALLD})
    assert boot.replay is not None
    assert boot.replay.source == Source("/usr/lib/modprobe.d/firewalld-sysctls.conf", 1)
