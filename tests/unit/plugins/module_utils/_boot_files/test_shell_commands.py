# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.shell_commands import (
    Modprobe,
    SysctlCall,
    logical_lines,
    modprobes,
    simple_commands,
    sysctl_calls,
)

MAX = "net.netfilter.nf_conntrack_max"


def shown(call: SysctlCall) -> str:
    """Return a call in one line."""
    parts = [f"{each.name}={each.value}" for each in call.assignments]
    parts += ["all"] * call.everything + ["conf"] * call.conf + list(call.files)
    parts += [f"/{call.pattern}/"] * bool(call.pattern) + [f"{prefix}/*" for prefix in call.prefixes]
    return " ".join(parts + ["?"] * call.unclear)


CALLS: dict[str, list[str]] = {
    f"sysctl -w {MAX}=5": [f"{MAX}=5"],
    f"/sbin/sysctl -qw {MAX}=5 net.a=1 >/dev/null 2>&1": [f"{MAX}=5 net.a=1"],
    f"sysctl '{MAX}=5'": [f"{MAX}=5"],
    f'sysctl -w {MAX}="$MAX"': [f"{MAX}=$MAX"],
    f"sysctl {MAX}": [],
    "sysctl -a | grep conntrack": [],
    "sysctl -p": ["/etc/sysctl.conf"],
    "sysctl -q -p /etc/a /etc/b": ["/etc/a /etc/b"],
    "sysctl -p/etc/a": ["/etc/a"],
    "sysctl -qe -p /etc/a": ["/etc/a"],
    "sysctl -f /run/sysctl/a.conf": ["/run/sysctl/a.conf"],
    "sysctl --load=/etc/a": ["/etc/a"],
    "sysctl --load": ["/etc/sysctl.conf"],
    'for f in /etc/sysctl.d/*; do sysctl -p "$f"; done': ["?"],
    "sysctl -p /etc/sysctl.d/*.conf": ["/etc/sysctl.d/*.conf"],
    "sysctl --system": ["all conf"],
    "sysctl -q --pattern 'net[.]netfilter' --system": ["all conf /net[.]netfilter/"],
    "sysctl -r '(' --system": ["all conf"],
    "/lib/systemd/systemd-sysctl": ["all"],
    "systemd-sysctl --prefix=/net/netfilter --prefix net.ipv4": ["all net/netfilter/* net/ipv4/*"],
    "systemd-sysctl --prefix=/proc/sys/net": ["all net/*"],
    "systemd-sysctl --prefix=/net/ipv4/conf/$name": ["?"],
    "systemd-sysctl 50-router.conf": ["50-router.conf"],
    "echo 5 > /proc/sys/net/netfilter/nf_conntrack_max": ["net/netfilter/nf_conntrack_max=5"],
    "echo 5 >/proc/sys/net/nf_conntrack_max; echo 6 >> /proc/sys/net/a": [
        "net/nf_conntrack_max=5",
        "net/a=6",
    ],
    "echo 5 | sudo tee /proc/sys/net/nf_conntrack_max": ["net/nf_conntrack_max="],
    "echo 5 > /sys/module/nf_conntrack/parameters/hashsize": ["net/netfilter/nf_conntrack_buckets=5"],
    "echo 'sysctl --system'": [],
    "echo 5 '>' /proc/sys/net/a": [],
    "# sysctl --system": [],
    "true # sysctl --system": [],
    "sh -c 'sysctl -p /etc/a; sysctl --system'": ["/etc/a", "all conf"],
    "modprobe x && sysctl -p /etc/a || sysctl --system": ["/etc/a", "all conf"],
    "if [ -x /sbin/sysctl ]; then sysctl -p /etc/a; fi": ["/etc/a"],
    "(sysctl -p /etc/a)&": ["/etc/a"],
    "sudo -n /usr/bin/env sysctl -p /etc/a": ["/etc/a"],
    "LANG=C sudo sysctl -p /etc/a": ["/etc/a"],
}


@pytest.mark.parametrize(("text", "calls"), CALLS.items())
def test_what_a_text_applies(text: str, calls: list[str]) -> None:
    assert [shown(call) for call in sysctl_calls(text)] == calls


MODPROBES: dict[str, list[Modprobe]] = {
    "modprobe nf-conntrack": [Modprobe("nf_conntrack", False)],
    "/sbin/modprobe --ignore-install nf_conntrack $CMDLINE_OPTS && true": [Modprobe("nf_conntrack", True)],
    "modprobe -i a; modprobe -q b x=1": [Modprobe("a", True), Modprobe("b", False)],
    "modprobe -a a b": [Modprobe("a", False), Modprobe("b", False)],
    "modprobe -r a": [],
    "modprobe --show-depends a": [],
    "sh -c 'modprobe a'": [Modprobe("a", False)],
    "insmod /lib/a/b.ko.xz x=1": [Modprobe("b", True)],
    "echo modprobe a": [],
}


@pytest.mark.parametrize(("text", "modules"), MODPROBES.items())
def test_which_modules_a_text_loads(text: str, modules: list[Modprobe]) -> None:
    assert modprobes(text) == modules


def test_a_command_has_its_words_without_quotes() -> None:
    text = """a 'b c'"d e"\\ f>g;h&&i"""
    assert simple_commands(text) == [["a", "b cd e f", ">", "g"], ["h"], ["i"]]


def test_a_backslash_continues_a_line_which_keeps_its_number() -> None:
    assert list(logical_lines("a\nb \\\n c\nd\\")) == [(1, "a"), (2, "b   c"), (4, "d ")]
