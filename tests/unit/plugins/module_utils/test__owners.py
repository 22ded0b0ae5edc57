# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._owners import Owner, competing_owners

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
