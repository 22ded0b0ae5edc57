# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._boot.owners import Owner, competing_owners
from helpers import systems

KUBE = ("max", "buckets", "tcp_timeout_close_wait", "tcp_timeout_established")
TUNED = {"proc/3/comm": "tuned\n", "etc/tuned/active_profile": "router\n"}
PROFILE = "[main]\n{}\n\n[sysctl]\nnet.core.somaxconn=1\nnet.netfilter.nf_conntrack_max=5\nnet.nf_conntrack_max = 6\n"
OTHER_PROFILE = "[sysctl]\nnet/netfilter/nf_conntrack_acct=1\n[vm]\nnet.nf_conntrack_max=1\n"
UFW = {"etc/ufw/ufw.conf": "# x\nENABLED=yes\n", "etc/ufw/sysctl.conf": "#\nnet/netfilter/nf_conntrack_tcp_loose=1\n"}

OWNERS: dict[str, tuple[dict[str, str], list[Owner]]] = {
    "nobody": ({"proc/1/comm": "systemd\n", "proc/2/comm": "dockerd\n", "proc/self/comm": "kube-proxy\n"}, []),
    "kube-proxy": ({"proc/1234/comm": "kube-proxy\n"}, [Owner("kube-proxy", KUBE, "process 1234")]),
    "kube-proxy with options": (
        {
            "proc/7/comm": "kube-proxy\n",
            "proc/7/cmdline": "x\0--conntrack-max-per-core=0\0--conntrack-tcp-be-liberal\0--conntrack-udp-timeout=9s\0",
        },
        [
            Owner(
                "kube-proxy",
                ("tcp_timeout_close_wait", "tcp_timeout_established", "tcp_be_liberal", "udp_timeout"),
                "process 7",
            )
        ],
    ),
    "kube-proxy that leaves all alone": (
        {
            "proc/7/comm": "kube-proxy\n",
            "proc/7/cmdline": "\0".join(
                f"--conntrack-{option}"
                for option in ("max-per-core=0", "tcp-timeout-established=0s", "tcp-timeout-close-wait=0")
            ),
        },
        [],
    ),
    "kube-proxy with values that are words of their own": (
        {
            "proc/7/comm": "kube-proxy\n",
            "proc/7/cmdline": "\0".join(
                f"--conntrack-{option}\0{value}"
                for option, value in {
                    "max-per-core": "0",
                    "tcp-timeout-established": "0s",
                    "tcp-timeout-close-wait": "0s",
                    "udp-timeout": "9s",
                    "tcp-be-liberal": "false",
                }.items()
            ),
        },
        [Owner("kube-proxy", ("tcp_be_liberal", "udp_timeout"), "process 7")],
    ),
    "k3s": ({"proc/5/comm": "k3s-server\n"}, [Owner("k3s", KUBE, "process 5")]),
    "firewalld leaves it to the system": (
        {"proc/5/comm": "firewalld\n", "etc/firewalld/firewalld.conf": "AutomaticHelpers=system\n"},
        [],
    ),
    "firewalld before 1.0": (
        {"proc/5/comm": "firewalld\n", "etc/firewalld/firewalld.conf": "# AutomaticHelpers=yes\nAutomaticHelpers=no\n"},
        [Owner("firewalld", ("helper",), "/etc/firewalld/firewalld.conf:2")],
    ),
    "firewalld that does not run": ({"etc/firewalld/firewalld.conf": "AutomaticHelpers=no\n"}, []),
    "tuned": (
        {**TUNED, "usr/lib/tuned/router/tuned.conf": PROFILE.format("")},
        [Owner("tuned", ("max",), "/usr/lib/tuned/router/tuned.conf:7")],
    ),
    "tuned that does not run": (
        {"etc/tuned/active_profile": "router\n", "etc/tuned/router/tuned.conf": PROFILE.format("")},
        [],
    ),
    "a profile of one's own hides the other": (
        {**TUNED, "etc/tuned/router/tuned.conf": "[sysctl]\n", "usr/lib/tuned/router/tuned.conf": PROFILE.format("")},
        [],
    ),
    "a profile includes those": (
        {
            **TUNED,
            "etc/tuned/profiles/router/tuned.conf": "[main]\ninclude = router, other\n",
            "usr/lib/tuned/profiles/router/tuned.conf": PROFILE.format("include=router"),
            "usr/lib/tuned/other/tuned.conf": OTHER_PROFILE,
        },
        [
            Owner("tuned", ("acct",), "/usr/lib/tuned/other/tuned.conf:2"),
            Owner("tuned", ("max",), "/usr/lib/tuned/profiles/router/tuned.conf:7"),
        ],
    ),
    "a profile that is not there": (TUNED, []),
    "ufw": (UFW, [Owner("ufw", ("tcp_loose",), "/etc/ufw/sysctl.conf:2")]),
    "ufw is off": ({**UFW, "etc/ufw/ufw.conf": "ENABLED=no\n"}, []),
    "ufw has another file": ({**UFW, "etc/default/ufw": "IPT_SYSCTL=/etc/ufw/other\n"}, []),
}


@pytest.mark.parametrize(("files", "owners"), OWNERS.values(), ids=list(OWNERS))
def test_who_else_writes(files: dict[str, str], owners: list[Owner], tmp_path: pathlib.Path) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert sorted(competing_owners(str(tmp_path))) == sorted(owners)


SYSCTL = "sysctl -w net.netfilter.nf_conntrack_acct=1\n"
SCRIPT = f"#!/bin/sh\n{SYSCTL}"
UNIT = "etc/systemd/system/a.service"
WANTED = {"etc/systemd/system/multi-user.target.wants/a.service": "-> ../a.service"}
STARTS_A_SCRIPT = {**WANTED, UNIT: "[Service]\nExecStart=/opt/a.sh --all\n"}
HOST_FW = {"etc/pve/firewall/cluster.fw": "[OPTIONS]\nenable: 1\n", "proc/9/comm": "pve-firewall\n"}
PVE = "buckets max tcp_timeout_established tcp_timeout_syn_recv"

SCRIPTS: dict[str, tuple[dict[str, str], str]] = {
    "rc.local of the older kind": ({"etc/rc.d/rc.local": SCRIPT}, "rc.local acct /etc/rc.d/rc.local:2"),
    "one file with two names": (
        {"etc/rc.d/rc.local": SCRIPT, "etc/rc.local": "-> rc.d/rc.local"},
        "rc.local acct /etc/rc.local:2",
    ),
    "rc.local that nobody may run": ({"etc/rc.local": SYSCTL}, ""),
    "what the machine reads anyway": ({"etc/sysctl.d/a.conf": "", "etc/rc.local": "#!/bin/sh\nsysctl --system\n"}, ""),
    "a file that nobody else reads": (
        {"srv/a": "net.nf_conntrack_max=5", "etc/rc.local": "#!/bin/sh\nsysctl -p /srv/a\n"},
        "rc.local max /etc/rc.local:2",
    ),
    "a unit": ({**WANTED, UNIT: f"[Service]\nExecStart=/sbin/{SYSCTL}"}, f"unit a.service acct /{UNIT}:2"),
    "a unit's shell": (
        {**WANTED, UNIT: "[Service]\nExecStartPre=-/bin/sh -c 'echo 5 > /proc/sys/net/nf_conntrack_max'\n"},
        f"unit a.service max /{UNIT}:2",
    ),
    "a unit's script": ({**STARTS_A_SCRIPT, "opt/a.sh": SCRIPT}, "unit a.service acct /opt/a.sh:2"),
    "a unit's program that is no script": ({**STARTS_A_SCRIPT, "opt/a.sh": "#!/usr/bin/python3\n" + SYSCTL}, ""),
    "a unit that is not enabled": ({UNIT: f"[Service]\nExecStart=/sbin/{SYSCTL}"}, ""),
    "a unit that is masked": (
        {**WANTED, "usr/lib/systemd/system/a.service": f"[Service]\nExecStart=/sbin/{SYSCTL}", UNIT: "-> /dev/null"},
        "",
    ),
    "a unit whose drop-in takes the command back": (
        {**WANTED, UNIT: f"[Service]\nExecStart=/sbin/{SYSCTL}", f"{UNIT}.d/a.conf": "[Service]\nExecStart=\n"},
        "",
    ),
    "an instance of a template": (
        {
            "etc/systemd/system/multi-user.target.wants/a@eth0.service": "-> ../a@.service",
            "usr/lib/systemd/system/a@.service": f"[Service]\nExecStart=/sbin/{SYSCTL}",
        },
        "unit a@eth0.service acct /usr/lib/systemd/system/a@.service:2",
    ),
    "ifupdown that is not installed": ({"etc/network/interfaces": f"iface a inet dhcp\n  up {SYSCTL}"}, ""),
    "what runs when an interface goes": (
        {"sbin/ifup": "", "etc/network/interfaces": f"iface a inet dhcp\n  post-down {SYSCTL}"},
        "",
    ),
    "a directory of ifupdown": (
        {"etc/network/if-up.d/a": SCRIPT, "etc/network/if-up.d/b": SYSCTL},
        "ifupdown acct /etc/network/if-up.d/a:2",
    ),
    "NetworkManager": (
        {"etc/NetworkManager/dispatcher.d/50-a": SCRIPT},
        "NetworkManager acct /etc/NetworkManager/dispatcher.d/50-a:2",
    ),
    "cron of the machine": ({"etc/cron.d/a": f"@reboot root {SYSCTL}"}, "cron acct /etc/cron.d/a:1"),
    "cron of root": (
        {"var/spool/cron/crontabs/root": f"# x\n@reboot {SYSCTL}"},
        "cron acct /var/spool/cron/crontabs/root:2",
    ),
    "cron of another user, who cannot write it": ({"var/spool/cron/crontabs/www-data": f"@reboot {SYSCTL}"}, ""),
    "cron of the machine for another user": ({"etc/cron.d/a": f"@reboot www-data {SYSCTL}"}, ""),
    "cron of busybox": ({"etc/crontabs/root": f"@reboot {SYSCTL}"}, "cron acct /etc/crontabs/root:1"),
    "name that no file can have": ({"etc/cron.d/a": "@reboot root sysctl -p /a\0b"}, ""),
    "cron at another time": ({"etc/cron.d/a": f"5 4 * * * root {SYSCTL}"}, ""),
    "cloud-init": (
        {"etc/cloud/cloud.cfg.d/a.cfg": f"#\nbootcmd:\n - {SYSCTL} - [sysctl, -w, net.nf_conntrack_max=5]\n"},
        "cloud-init acct /etc/cloud/cloud.cfg.d/a.cfg:3, cloud-init max /etc/cloud/cloud.cfg.d/a.cfg:4",
    ),
    "what cloud-init runs once": ({"etc/cloud/cloud.cfg.d/a.cfg": f"bootcmd: []\nruncmd:\n  - {SYSCTL}"}, ""),
    "shorewall": (
        {"etc/shorewall/shorewall.conf": "STARTUP_ENABLED=Yes\n", "etc/shorewall/started": SYSCTL},
        "shorewall acct /etc/shorewall/started:1",
    ),
    "shorewall is off": (
        {"etc/shorewall/shorewall.conf": "STARTUP_ENABLED=No\n", "etc/shorewall/started": SYSCTL},
        "",
    ),
    "csf": (
        {"etc/csf/csf.conf": "", "usr/local/csf/bin/csfpost.sh": SCRIPT},
        "csf acct /usr/local/csf/bin/csfpost.sh:2",
    ),
    "microk8s": (
        {"proc/5/comm": "kubelite\n"},
        "microk8s buckets max tcp_timeout_close_wait tcp_timeout_established process 5",
    ),
    "Proxmox VE": (HOST_FW, f"pve-firewall {PVE} /etc/pve/firewall/cluster.fw:2"),
    "Proxmox VE whose firewall is off": ({**HOST_FW, "etc/pve/firewall/cluster.fw": "[OPTIONS]\nenable: 0\n"}, ""),
    "Proxmox VE whose firewall is off on this host": (
        {**HOST_FW, "etc/pve/local/host.fw": "[OPTIONS]\nenable: 0\n"},
        "",
    ),
    "Proxmox VE with the other firewall": (
        {
            **HOST_FW,
            "proc/8/comm": "proxmox-firewal\n",
            "etc/pve/local/host.fw": "[OPTIONS]\nnftables: 1\nnf_conntrack_max: 300000\n",
        },
        "proxmox-firewall max /etc/pve/local/host.fw:3",
    ),
}


@pytest.mark.parametrize(("files", "owners"), SCRIPTS.values(), ids=list(SCRIPTS))
def test_what_scripts_and_appliances_write(files: dict[str, str], owners: str, tmp_path: pathlib.Path) -> None:
    systems.build(tmp_path, {**systems.SYSTEMD, **files})
    found = [
        f"{each.owner} {' '.join(sorted(each.settings))} {each.evidence}" for each in competing_owners(str(tmp_path))
    ]
    assert sorted(found) == (owners.split(", ") if owners else [])
