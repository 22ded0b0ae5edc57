# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the next boot sets on the systems that people run routers on, each as a tree of files (helpers/systems.py)."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._boot.drift import compare
from ansible_collections.netops.conntrack.plugins.module_utils._boot.next_boot import NextBoot, next_boot, reads_at_boot
from ansible_collections.netops.conntrack.plugins.module_utils._boot.owners import competing_owners
from helpers import systems

DROPIN = "/etc/sysctl.d/90-netops-conntrack.conf"
KUBE = "buckets max tcp_timeout_close_wait tcp_timeout_established"


class Answer(t.NamedTuple):
    """What is right: the init, when the module is there and by which line, what is in force, what is lost, who writes.

    ``in_force`` has ``SHORT VALUE FILE:LINE`` for each setting, ``owners`` has ``OWNER SETTINGS EVIDENCE``.
    """

    init: str
    module: str
    by: str | None
    in_force: set[str]
    lost: str = ""
    owners: frozenset[str] = frozenset()
    undecided: str = ""


ANSWERS: dict[str, Answer] = {
    "debian 12": Answer(
        "systemd",
        "early",
        "/etc/modules-load.d/modules.conf:2",
        {
            "max 524288 /etc/sysctl.d/50-router.conf:1",
            "tcp_timeout_established 7200 /etc/sysctl.d/99-sysctl.conf:1",
        },
        owners=frozenset(
            {
                "ifupdown udp_timeout /etc/network/interfaces:4",
                "ifupdown checksum /etc/network/interfaces.d/wan:2",
            }
        ),
    ),
    "debian 13": Answer("systemd", "late", None, set(), lost="acct"),
    "ubuntu 24.04": Answer(
        "systemd",
        "late",
        None,
        set(),
        owners=frozenset(
            {
                "ufw tcp_loose /etc/ufw/sysctl.conf:1",
                "networkd-dispatcher acct /etc/networkd-dispatcher/routable.d/50-ct:2",
            }
        ),
        undecided="max",
    ),
    "alma 9": Answer(
        "systemd",
        "late",
        None,
        {"max 786432 /etc/sysctl.d/90-ct.conf:1"},
        owners=frozenset({"tuned acct /etc/tuned/router/tuned.conf:2"}),
    ),
    "leap 15": Answer(
        "systemd",
        "early",
        "/usr/lib/modules-load.d/ip_vs.conf:1",
        {
            "tcp_timeout_established 86400 /usr/lib/sysctl.d/50-default.conf:1",
            "acct 1 /etc/modprobe.d/50-ct.conf:1",
            "buckets 65536 /etc/modprobe.d/50-ct.conf:1",
            "max 524288 /etc/modprobe.d/50-ct.conf:1",
        },
    ),
    "arch": Answer(
        "systemd",
        "early",
        "/etc/mkinitcpio.conf:1",
        {"generic_timeout 30 /etc/sysctl.d/99-router.conf:1", "udp_timeout 10 /etc/sysctl.d/99-router.conf:2"},
        owners=frozenset({"unit ct.service max /etc/systemd/system/ct.service.d/override.conf:3"}),
    ),
    "alpine": Answer(
        "openrc",
        "early",
        "/etc/modules:2",
        {
            "acct 1 /etc/sysctl.d/99-router.conf:3",
            "max 131072 /etc/sysctl.conf:1",
            "tcp_timeout_established 86400 /usr/lib/sysctl.d/00-alpine.conf:1",
        },
        owners=frozenset({"local.d udp_timeout /etc/local.d/ct.start:2"}),
    ),
    "openwrt 24.10": Answer(
        "procd",
        "early",
        "/etc/modules.d/nf-conntrack:1",
        {
            "acct 1 /etc/sysctl.d/11-nf-conntrack.conf:1",
            "checksum 0 /etc/sysctl.d/11-nf-conntrack.conf:2",
            "tcp_timeout_established 3600 /etc/sysctl.conf:1",
            "udp_timeout 60 /etc/sysctl.d/11-nf-conntrack.conf:4",
        },
        owners=frozenset({"rc.local max /etc/rc.local:1", "firewall.user tcp_be_liberal /etc/firewall.user:1"}),
    ),
    "vyos 1.4": Answer(
        "systemd",
        "early",
        "/etc/modules-load.d/90-netops-conntrack.conf:1",
        {
            f"max 1048576 {DROPIN}:1",
            "buckets 32768 /etc/modprobe.d/vyatta_nf_conntrack.conf:1",
        },
        owners=frozenset(
            {
                "vyos acct expect_max max tcp_loose tcp_max_retrans timestamp /run/sysctl/10-vyos-conntrack.conf:2",
            }
        ),
    ),
    "proxmox ve 8": Answer(
        "systemd",
        "early",
        "/etc/modules-load.d/ct.conf:1",
        {"max 262144 /etc/sysctl.d/90-ct.conf:1", "tcp_timeout_syn_recv 30 /etc/sysctl.d/90-ct.conf:2"},
        owners=frozenset(
            {"pve-firewall buckets max tcp_timeout_established tcp_timeout_syn_recv /etc/pve/local/host.fw:2"}
        ),
    ),
    "ipfire": Answer(
        "sysvinit",
        "builtin",
        None,
        {"tcp_loose 0 /etc/sysctl.conf:1", "acct 1 /etc/sysctl.conf:2"},
        lost="max",
        owners=frozenset({"firewall.local udp_timeout /etc/sysconfig/firewall.local:2"}),
    ),
    "nixos": Answer("systemd", "early", "/etc/modules-load.d/nixos.conf:2", {f"max 524288 {DROPIN}:1"}),
    "k3s": Answer(
        "systemd",
        "late",
        None,
        {"tcp_timeout_established 54000 /etc/sysctl.d/90-ct.conf:1", "udp_timeout 20 /etc/sysctl.d/90-ct.conf:2"},
        owners=frozenset({f"k3s {KUBE} process 400"}),
    ),
    "void": Answer("runit", "late", None, set(), lost="acct"),
    "devuan": Answer(
        "sysvinit",
        "early",
        "/etc/modules:1",
        {"buckets 4096 /etc/modules:1", "max 131072 /etc/sysctl.conf:1"},
        owners=frozenset({"init script firewall acct /etc/rc2.d/S01firewall:2"}),
    ),
    "gentoo": Answer("openrc", "late", None, set(), lost="max"),
    "s6": Answer("s6", "unknown", None, set(), undecided="max"),
}


def boot_of(name: str, root: pathlib.Path) -> NextBoot:
    systems.build(root, systems.SYSTEMS[name])
    return next_boot(root=str(root))


def in_force(boot: NextBoot) -> set[str]:
    shorts = {*boot.values, *boot.loaded_with, "buckets", "max"}
    pairs = [(short, boot.in_force(short)) for short in shorts]
    return {f"{short} {value.value} {value.source.file}:{value.source.line}" for short, value in pairs if value}


@pytest.mark.parametrize("name", systems.SYSTEMS)
def test_the_right_answer(name: str, tmp_path: pathlib.Path) -> None:
    boot, right = boot_of(name, tmp_path), ANSWERS[name]
    by = boot.module_source and f"{boot.module_source.file}:{boot.module_source.line}"
    assert (boot.init, boot.module, by) == (right.init, right.module, right.by)
    assert in_force(boot) == right.in_force
    assert (sorted(boot.lost), sorted(boot.undecided)) == (right.lost.split(), right.undecided.split())
    owners = competing_owners(str(tmp_path))
    assert {f"{each.owner} {' '.join(sorted(each.settings))} {each.evidence}" for each in owners} == right.owners


@pytest.mark.parametrize("name", systems.SYSTEMS)
def test_what_is_not_in_force_has_its_reason(name: str, tmp_path: pathlib.Path) -> None:
    boot = boot_of(name, tmp_path)
    assert (boot.why_lost is None) == (not boot.lost)
    assert (boot.why_undecided is None) == (not boot.undecided)
    facts = compare({}, boot, [])
    assert facts["init"] == ANSWERS[name].init
    assert (facts["sysctl_files"] is None) == (name == "s6")


READS: dict[str, bool | None] = {name: name != "ipfire" for name in systems.SYSTEMS}
READS["s6"] = None


@pytest.mark.parametrize(("name", "reads"), READS.items())
def test_whether_a_dropin_is_read(name: str, reads: bool | None, tmp_path: pathlib.Path) -> None:
    systems.build(tmp_path, systems.SYSTEMS[name])
    assert reads_at_boot(DROPIN, str(tmp_path)) is reads


@pytest.mark.parametrize(
    ("name", "path", "reads"),
    [
        ("ipfire", "/etc/sysctl.conf", True),
        ("debian 12", "/etc/sysctl.conf", True),
        ("debian 13", "/etc/sysctl.conf", False),
        ("debian 13", "/etc/sysctl.d/90.txt", False),
        ("debian 13", "/srv/90.conf", False),
        ("openwrt 24.10", "/usr/lib/sysctl.d/90.conf", False),
        ("void", "/etc/sysctl.d/50-a.conf", False),
    ],
)
def test_whether_another_file_is_read(name: str, path: str, reads: bool, tmp_path: pathlib.Path) -> None:
    systems.build(tmp_path, systems.SYSTEMS[name])
    assert reads_at_boot(path, str(tmp_path)) is reads


def test_a_dropin_that_is_never_read_is_not_promised(tmp_path: pathlib.Path) -> None:
    boot = boot_of("ipfire", tmp_path)
    assert boot.in_force("max") is None
    assert boot.why_lost == f"This system does not read {DROPIN} at boot: it reads /etc/sysctl.conf"


@pytest.mark.parametrize(
    ("name", "files", "words"),
    [
        ("gentoo", {}, "No runlevel of OpenRC has the service sysctl"),
        ("void", {}, "a blacklist line of modprobe.d keeps it out"),
        ("debian 13", {}, "no file in modules-load.d loads it"),
        (
            "leap 15",
            {"etc/modprobe.d/a.conf": "blacklist ip_vs\n"},
            "/usr/lib/modules-load.d/ip_vs.conf:1 asks for it, but a blacklist line",
        ),
        ("debian 13", {"proc/cmdline": "module_blacklist=nf_conntrack"}, "module_blacklist= in /proc/cmdline"),
        (
            "debian 12",
            {"etc/modprobe.d/a.conf": "install nf_conntrack /bin/true\n"},
            "install line /etc/modprobe.d/a.conf:1 keeps it out",
        ),
        (
            "debian 12",
            {"etc/systemd/system/systemd-sysctl.service": "-> /dev/null"},
            "systemd-sysctl.service is masked",
        ),
        (
            "debian 12",
            {"etc/systemd/system/systemd-modules-load.service": "-> /dev/null"},
            "no file in modules-load.d loads it",
        ),
    ],
)
def test_why_it_is_lost(name: str, files: dict[str, str], words: str, tmp_path: pathlib.Path) -> None:
    systems.build(tmp_path, {**systems.SYSTEMS[name], **files})
    boot = next_boot(root=str(tmp_path))
    assert boot.lost
    assert words in str(boot.why_lost)
