# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may be in a file that is read: each function gives these bytes to one reader of ours.

Bytes that a reader refuses with a typed error are fine. What it accepts has to be counted as plainly as possible here.
"""

from __future__ import annotations

import os
import tempfile
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot import drift
from ansible_collections.netops.conntrack.plugins.module_utils._boot.next_boot import next_boot
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files import sysctl_d
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import Tree
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.modprobe_d import ModprobeConfig
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.udev_rules import programs_for
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes import restore_plan
from ansible_collections.netops.conntrack.plugins.module_utils._files.text import text_of
from ansible_collections.netops.conntrack.plugins.module_utils._listing.listing import Listing
from ansible_collections.netops.conntrack.plugins.module_utils._pair.conntrackd import parse_statistics
from helpers.listings import assert_each_line_is_counted

_NOWHERE = "/nonexistent"
"""A root without files, so that a tree has only those of its overlay."""

_SYSCTL_FILE = "/etc/sysctl.d/50-router.conf"
_MODPROBE_FILE = "/etc/modprobe.d/router.conf"
_UDEV_FILE = "/etc/udev/rules.d/50-router.rules"

_TCP = "src=198.51.100.7 dst=203.0.113.80 sport=40000 dport=443 src=203.0.113.80 dst=198.51.100.7 sport=443 dport=40000"
_LINES = (
    f"tcp      6 431999 ESTABLISHED {_TCP} [ASSURED] mark=0 use=1\n"
    "udp      17 20 src=192.0.2.1 dst=192.0.2.2 sport=53 dport=53 packets=1 bytes=70 [UNREPLIED] src=192.0.2.2 "
    "dst=192.0.2.1 sport=53 dport=53 packets=0 bytes=0 mark=7 zone=3 use=1\n"
    "icmpv6   58 29 src=2001:db8::1 dst=2001:db8::2 type=128 code=0 id=9 src=2001:db8::2 dst=2001:db8::1 type=129 "
    "code=0 id=9 mark=0 use=1\nconntrack v1.4.7 (conntrack-tools): 3 flow entries have been shown.\n"
)
_PROC = f"ipv4     2 tcp      6 431999 ESTABLISHED {_TCP} [ASSURED] mark=0 zone=0 use=2\n"
_ENDS = (
    "<layer3 protonum='2' protoname='ipv4'><src>192.0.2.1</src><dst>192.0.2.2</dst></layer3>"
    "<layer4 protonum='6' protoname='tcp'><sport>1</sport><dport>2</dport></layer4>"
).replace("'", '"')
_XML = (
    '<?xml version="1.0" encoding="utf-8"?>\n<conntrack>\n'
    f'<flow><meta direction="original">{_ENDS}</meta><meta direction="reply">{_ENDS}</meta>'
    '<meta direction="independent"><state>ESTABLISHED</state><timeout>9</timeout><mark>0</mark><use>1</use>'
    "<id>77</id><assured/></meta></flow>\n</conntrack>\n"
)
_SAVE_LINE = (
    "-A -s 192.0.2.1 -d 192.0.2.2 -r 192.0.2.2 -q 192.0.2.1 -p tcp --sport 1 --dport 2 --reply-port-src 2 "
    "--reply-port-dst 1 -t 431999 -u SEEN_REPLY,ASSURED --state ESTABLISHED -m 5 -w 3\n"
)
_BACKUP = f"# netops.conntrack backup 1 at=2026-01-02T03:04:05Z\n# helper=ftp\n{_SAVE_LINE}{_SAVE_LINE}# complete 2\n"
_JSON = (
    '{"protocol":"tcp","source":"192.0.2.1","destination":"192.0.2.2","source_port":1,"destination_port":2,'
    '"reply_source":"192.0.2.2","reply_destination":"192.0.2.1","reply_source_port":2,"reply_destination_port":1,'
    '"state":"ESTABLISHED","remaining":9,"mark":0,"replied":true,"assured":true,"offloaded":false,"zone":0}\n'
)
_CONNTRACKD = (
    "cache internal:\ncurrent active connections:\t         120\nconnections created:\t\t         300\tfailed:\t  1\n\n"
    "cache external:\ncurrent active connections:\t           7\n\nmessage tracking:\n"
    "                   4 Malformed msgs                    5 Lost msgs\n\n"
)


def listing(data: bytes) -> None:
    """Read a listing as one piece: each line is an entry, nothing, or counted as not understood."""
    assert_each_line_is_counted(data)


def file(data: bytes) -> None:
    """Read a listing as a file, and a backup as a restore reads it: its lines are those of the file."""
    descriptor, path = tempfile.mkstemp(prefix="listing-")
    try:
        os.write(descriptor, data)
        os.close(descriptor)
        with Listing(path, processes=1) as opened:
            entries = opened.read(lambda blocks: sum(map(len, blocks)))
            assert entries + opened.not_understood <= opened.lines
            if not data.startswith(b"\x1f\x8b"):
                assert opened.lines == data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
            if opened.complete is not None and opened.backup_version is not None:
                opened.refuse_other_writers()
                for _warning in restore_plan.refuse_unread(opened):
                    pass
                restore_plan.refuse_other_number(opened, entries)
                assert entries == opened.complete
    finally:
        os.unlink(path)


def sysctl(data: bytes) -> None:
    """Read a file of sysctl.d, and work out what applies at the next boot."""
    text = _text(data)
    tree = Tree(_NOWHERE, {_SYSCTL_FILE: text})
    lines = sysctl_d.read_lines(tree, [_SYSCTL_FILE])
    assert len(lines) <= text.count("\n") + 1
    for name, value in sysctl_d.winners(lines, _keys()).items():
        assert value.value is None or isinstance(value.value, int), name
    _boot({_SYSCTL_FILE: text})


def modprobe(data: bytes) -> None:
    """Read a file of modprobe.d, and work out what loads nf_conntrack."""
    text = _text(data)
    config = ModprobeConfig(Tree(_NOWHERE, {_MODPROBE_FILE: text}))
    config.loads("nf_conntrack", "nf_conntrack", "")
    config.loads("nf_nat", "nf_conntrack", "")
    for _name, value, source in config.parameters("nf_conntrack", ["hashsize"]):
        assert isinstance(value, str)
        assert source
    _boot({_MODPROBE_FILE: text, "/etc/modules-load.d/ct.conf": "nf_conntrack\n"})


def udev(data: bytes) -> None:
    """Read a file of udev rules, and work out what they run for nf_conntrack."""
    text = _text(data)
    for program in programs_for(Tree(_NOWHERE, {_UDEV_FILE: text}), "nf_conntrack"):
        assert all(isinstance(word, str) for word in program.words)
    _boot({_UDEV_FILE: text})


def conntrackd(data: bytes) -> None:
    """Read what conntrackd says: numbers that are in it, or nothing."""
    for value in parse_statistics(data.decode(errors="replace")).values():
        for number in value.values() if isinstance(value, dict) else [value]:
            assert number is None or isinstance(number, (bool, int))


def _keys() -> dict[str, str]:
    """Return the settings of connection tracking of a kernel, by the key that sysctl.d has."""
    return {f"net/netfilter/nf_conntrack_{name}": name for name in ("max", "acct", "udp_timeout")}


def _boot(files: dict[str, str]) -> None:
    boot = next_boot({"/run/systemd/system/x": "", **files}, _NOWHERE)
    drift.compare({"max": 1, "udp_timeout": 30}, boot, [])


def _text(data: bytes) -> str:
    return t.cast(str, text_of(data))


READERS: dict[str, t.Callable[[bytes], None]] = {
    "listing": listing,
    "file": file,
    "sysctl": sysctl,
    "modprobe": modprobe,
    "udev": udev,
    "conntrackd": conntrackd,
}


def seeds() -> dict[str, list[bytes]]:
    """Return inputs for each of the functions, as honest programs write them."""
    listings = [each.encode() for each in (_LINES, _PROC, _XML, _SAVE_LINE, _BACKUP, _JSON, _LINES + _XML + _BACKUP)]
    return {
        "listing": listings,
        "file": listings,
        "sysctl": [
            b"# router\nnet.netfilter.nf_conntrack_max = 262144\n-net/netfilter/nf_conntrack_acct=1\n;x\n",
            b"net.netfilter.nf_conntrack_* = 30\n-net.netfilter.nf_conntrack_udp_timeout\nnet.netfilter.*=0x10\n",
        ],
        "modprobe": [
            b"options nf_conntrack hashsize=65536 acct=1\nblacklist nf_conntrack_ftp\nalias ct nf_conntrack\n",
            b"install nf_conntrack /sbin/modprobe --ignore-install nf_conntrack && sysctl -w net.nf_conntrack_max=9\n"
            b"softdep nf_nat pre: nf_conntrack post: nf_conntrack_ftp\nremove nf_nat \\\n  true\n",
        ],
        "udev": [
            b'ACTION=="add", SUBSYSTEM=="module", KERNEL=="nf_conntrack", RUN+="/usr/lib/systemd/systemd-sysctl '
            b'--prefix=/net/netfilter"\n',
            b'ACTION!="add", GOTO="end"\nKERNEL=="nf_*|x", RUN{program}="/bin/sh -c \'sysctl -p\'", \\\n'
            b'  ENV{A}="b"\nLABEL="end"\n',
        ],
        "conntrackd": [_CONNTRACKD.encode(), _CONNTRACKD.replace("cache internal", "internal bypass").encode()],
    }
