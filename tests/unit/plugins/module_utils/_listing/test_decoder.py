# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines of every format become the entries that they show, and what is no entry is counted."""

from __future__ import annotations

import ipaddress
import random
import re
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import FIELDS
from ansible_collections.netops.conntrack.plugins.module_utils._listing import decoder as decoder_module
from ansible_collections.netops.conntrack.plugins.module_utils._listing.decoder import LONGEST_LINE, SHOWN
from ansible_collections.netops.conntrack.plugins.module_utils._listing.rows import NOW, RowWriter, with_parts
from ansible_collections.netops.conntrack.plugins.module_utils._query.extended import ExtendedLines
from helpers import encoded_messages
from helpers.listings import assert_each_line_is_counted, blocks_of, decoded, entries_of, entry_of, known
from helpers.strategies import fields
from hypothesis import given
from hypothesis import strategies as st

SECOND = 1_000_000_000
UNREPLIED, REPLIED, ASSURED = 0, _uapi.SEEN_REPLY, _uapi.SEEN_REPLY | _uapi.ASSURED


def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def tuples(source: str, destination: str, sport: int | None = None, dport: int | None = None) -> dict[str, t.Any]:
    """Return the fields of both directions of a connection without NAT."""
    one, other = packed(source), packed(destination)
    found: dict[str, t.Any] = {
        "family": 2 if len(one) == 4 else 10,
        "source": one,
        "destination": other,
        "reply_source": other,
        "reply_destination": one,
        "has_ports": sport is not None,
        "zone": 0,
    }
    if sport is not None:
        found |= {
            "source_port": sport,
            "destination_port": dport,
            "reply_source_port": dport,
            "reply_destination_port": sport,
        }
    return found


def counters(packets: int, byte_count: int, reply_packets: int = 0, reply_byte_count: int = 0) -> dict[str, int]:
    return {
        "packets_original": packets,
        "bytes_original": byte_count,
        "packets_reply": reply_packets,
        "bytes_reply": reply_byte_count,
    }


STORY = (
    "tcp      6 431816 ESTABLISHED src=10.0.5.17 dst=77.85.33.9 sport=51234 dport=443 packets=1 bytes=40 [UNREPLIED] "
    "src=77.85.33.9 dst=10.0.5.17 sport=443 dport=51234 packets=0 bytes=0 mark=0 secmark=0 use=1"
)
STORY_FIELDS = {
    **tuples("10.0.5.17", "77.85.33.9", 51234, 443),
    **counters(1, 40),
    "protocol": 6,
    "remaining": 431816,
    "state": 3,
    "status": UNREPLIED,
    "mark": 0,
    "use": 1,
}
"""The founding story's entry in ip_conntrack of a 2.6 kernel: a bare ACK, for five days."""

LINES: dict[str, tuple[str, dict[str, t.Any]]] = {
    "the story's": (STORY, STORY_FIELDS),
    # net/ipv4/netfilter/ip_conntrack_standalone.c of 2.6.16, built without accounting, marks and SELinux
    "2.6 without anything": (
        "udp      17 28 src=192.168.1.2 dst=192.168.1.1 sport=1025 dport=53 src=192.168.1.1 dst=192.168.1.2 sport=53 "
        "dport=1025 use=1",
        {
            **tuples("192.168.1.2", "192.168.1.1", 1025, 53),
            "protocol": 17,
            "remaining": 28,
            "status": REPLIED,
            "use": 1,
        },
    ),
    "2.6 with the flag after the counters": (
        "tcp      6 117 SYN_SENT src=192.168.1.5 dst=10.1.1.1 sport=4040 dport=22 packets=1 bytes=60 [UNREPLIED] "
        "src=10.1.1.1 dst=192.168.1.5 sport=22 dport=4040 packets=0 bytes=0 mark=0 use=1",
        {
            **tuples("192.168.1.5", "10.1.1.1", 4040, 22),
            **counters(1, 60),
            "protocol": 6,
            "remaining": 117,
            "state": 1,
            "status": UNREPLIED,
            "mark": 0,
            "use": 1,
        },
    ),
    "2.4 with the flag before the counters": (
        "tcp      6 117 SYN_SENT src=192.168.1.5 dst=10.1.1.1 sport=4040 dport=22 [UNREPLIED] "
        "src=10.1.1.1 dst=192.168.1.5 sport=22 dport=4040 use=1",
        {
            **tuples("192.168.1.5", "10.1.1.1", 4040, 22),
            "protocol": 6,
            "remaining": 117,
            "state": 1,
            "status": UNREPLIED,
            "use": 1,
        },
    ),
    "a protocol without a name": (
        "unknown  2 599 src=192.168.1.1 dst=224.0.0.22 packets=3 bytes=120 [UNREPLIED] src=224.0.0.22 dst=192.168.1.1 "
        "packets=0 bytes=0 mark=0 use=2",
        {
            **tuples("192.168.1.1", "224.0.0.22"),
            **counters(3, 120),
            "protocol": 2,
            "remaining": 599,
            "status": UNREPLIED,
            "mark": 0,
            "use": 2,
        },
    ),
    "ICMP": (
        "icmp     1 29 src=192.168.6.2 dst=192.168.6.10 type=8 code=0 id=33028 src=192.168.6.10 dst=192.168.6.2 "
        "type=0 code=0 id=33028 mark=0 use=1",
        {
            **tuples("192.168.6.2", "192.168.6.10"),
            "protocol": 1,
            "remaining": 29,
            "icmp_type": 8,
            "icmp_code": 0,
            "icmp_id": 33028,
            "reply_icmp_type": 0,
            "reply_icmp_code": 0,
            "reply_icmp_id": 33028,
            "status": REPLIED,
            "mark": 0,
            "use": 1,
        },
    ),
    # gre_print_conntrack() in net/netfilter/nf_conntrack_proto_gre.c
    "GRE in /proc": (
        "ipv4     2 gre      47 17999 timeout=600, stream_timeout=18000 src=10.0.0.5 dst=203.0.113.7 srckey=0x0 "
        "dstkey=0x4a2b packets=10 bytes=900 src=203.0.113.7 dst=10.0.0.5 srckey=0x4a2b dstkey=0x0 packets=8 bytes=720 "
        "[ASSURED] mark=0 zone=0 use=2",
        {
            **tuples("10.0.0.5", "203.0.113.7", 0, 0x4A2B),
            **counters(10, 900, 8, 720),
            "protocol": 47,
            "remaining": 17999,
            "status": ASSURED,
            "mark": 0,
            "use": 2,
        },
    ),
    "IPv6 in /proc": (
        "ipv6     10 tcp      6 299 TIME_WAIT src=2001:0db8:0000:0000:0000:0000:0000:00aa "
        "dst=2001:0db8:0000:0000:0000:0000:0000:0001 sport=40000 dport=80 "
        "src=2001:0db8:0000:0000:0000:0000:0000:0001 dst=2001:0db8:0000:0000:0000:0000:0000:00aa sport=80 "
        "dport=40000 [ASSURED] mark=0 zone=7 use=2",
        {
            **tuples("2001:db8::aa", "2001:db8::1", 40000, 80),
            "protocol": 6,
            "remaining": 299,
            "state": 7,
            "status": ASSURED,
            "mark": 0,
            "zone": 7,
            "use": 2,
        },
    ),
    # ct_seq_show() leaves out the time of what a flow table forwards.
    "offloaded": (
        "ipv4     2 tcp      6 src=10.0.0.5 dst=203.0.113.7 sport=40000 dport=443 packets=10 bytes=900 "
        "src=203.0.113.7 dst=10.0.0.5 sport=443 dport=40000 packets=8 bytes=720 [OFFLOAD] mark=0 zone=0 use=3",
        {
            **tuples("10.0.0.5", "203.0.113.7", 40000, 443),
            **counters(10, 900, 8, 720),
            "protocol": 6,
            "status": REPLIED | _uapi.OFFLOAD,
            "mark": 0,
            "use": 3,
        },
    ),
    "offloaded to hardware, with a state": (
        "ipv4     2 tcp      6 ESTABLISHED src=10.0.0.5 dst=203.0.113.7 sport=40000 dport=443 "
        "src=203.0.113.7 dst=10.0.0.5 sport=443 dport=40000 [HW_OFFLOAD] mark=0 zone=0 use=3",
        {
            **tuples("10.0.0.5", "203.0.113.7", 40000, 443),
            "protocol": 6,
            "state": 3,
            "status": REPLIED | _uapi.HW_OFFLOAD,
            "mark": 0,
            "use": 3,
        },
    ),
    "all that conntrack shows": (
        "ipv4     2 tcp      6 431999 ESTABLISHED src=10.0.0.5 dst=203.0.113.7 sport=40000 dport=21 zone-orig=9 "
        "packets=10 bytes=900 src=203.0.113.7 dst=10.0.0.5 sport=21 dport=40000 packets=8 bytes=720 [ASSURED] "
        "mark=4660 secctx=system_u:object_r:unlabeled_t:s0 delta-time=77 [start=Sun Nov  1 02:18:47 2026] "
        "helper=ftp use=2 id=1517821653 labels=5,64",
        {
            **tuples("10.0.0.5", "203.0.113.7", 40000, 21),
            **counters(10, 900, 8, 720),
            "protocol": 6,
            "remaining": 431999,
            "state": 3,
            "status": ASSURED,
            "mark": 4660,
            "zone": 9,
            "zone_original": 9,
            "secctx": "system_u:object_r:unlabeled_t:s0",
            "start": (NOW - 77) * SECOND,
            "helper": "ftp",
            "use": 2,
            "id": 1517821653,
            "labels": (1 << 5 | 1 << 64).to_bytes(16, "little"),
        },
    ),
    "source NAT": (
        "udp      17 29 src=10.0.0.5 dst=8.8.8.8 sport=40000 dport=53 src=8.8.8.8 dst=203.0.113.1 sport=53 dport=1024 "
        "mark=0 use=1",
        {
            **tuples("10.0.0.5", "8.8.8.8", 40000, 53),
            "protocol": 17,
            "remaining": 29,
            "reply_destination": packed("203.0.113.1"),
            "reply_destination_port": 1024,
            "status": REPLIED | _uapi.SRC_NAT,
            "mark": 0,
            "use": 1,
        },
    ),
    "destination NAT of the port": (
        "tcp      6 9 CLOSE src=198.51.100.1 dst=203.0.113.1 sport=40000 dport=80 [UNREPLIED] src=203.0.113.1 "
        "dst=198.51.100.1 sport=8080 dport=40000 mark=0 zone-reply=4 use=1",
        {
            **tuples("198.51.100.1", "203.0.113.1", 40000, 80),
            "protocol": 6,
            "remaining": 9,
            "state": 8,
            "reply_source_port": 8080,
            "status": _uapi.DST_NAT,
            "mark": 0,
            "zone": 4,
            "zone_reply": 4,
            "use": 1,
        },
    ),
    "what a vendor's kernel adds": (
        "ipv4     2 udp      17 29 src=10.0.0.5 dst=8.8.8.8 sport=40000 dport=53 src=8.8.8.8 dst=10.0.0.5 sport=53 "
        "dport=40000 [SFE_V4] mark=0 l7proto=dns use=1",
        {
            **tuples("10.0.0.5", "8.8.8.8", 40000, 53),
            "protocol": 17,
            "remaining": 29,
            "status": REPLIED,
            "mark": 0,
            "use": 1,
        },
    ),
    "labels with names, whose numbers nobody knows": (
        "udp      17 29 src=10.0.0.5 dst=8.8.8.8 sport=40000 dport=53 [UNREPLIED] src=8.8.8.8 dst=10.0.0.5 sport=53 "
        "dport=40000 mark=0 use=1 labels=lan,dns",
        {
            **tuples("10.0.0.5", "8.8.8.8", 40000, 53),
            "protocol": 17,
            "remaining": 29,
            "status": UNREPLIED,
            "mark": 0,
            "use": 1,
        },
    ),
    "labels of which none has a name": (
        "udp      17 29 src=10.0.0.5 dst=8.8.8.8 sport=40000 dport=53 src=8.8.8.8 dst=10.0.0.5 sport=53 dport=40000 "
        "mark=0 use=1 labels",
        {
            **tuples("10.0.0.5", "8.8.8.8", 40000, 53),
            "protocol": 17,
            "remaining": 29,
            "status": REPLIED,
            "mark": 0,
            "use": 1,
        },
    ),
    "labels with a space in their names": (
        "udp      17 29 src=10.0.0.5 dst=8.8.8.8 sport=40000 dport=53 src=8.8.8.8 dst=10.0.0.5 sport=53 dport=40000 "
        "mark=0 use=1 labels=5 five,7 seven",
        {
            **tuples("10.0.0.5", "8.8.8.8", 40000, 53),
            "protocol": 17,
            "remaining": 29,
            "status": REPLIED,
            "mark": 0,
            "use": 1,
        },
    ),
    "labels in XML of which one has a name": (
        '<flow><meta direction="original"><layer3 protonum="2" protoname="ipv4"><src>10.0.0.5</src><dst>8.8.8.8</dst>'
        '</layer3><layer4 protonum="17" protoname="udp"><sport>40000</sport><dport>53</dport></layer4></meta><meta '
        'direction="reply"><layer3 protonum="2" protoname="ipv4"><src>8.8.8.8</src><dst>10.0.0.5</dst></layer3><layer4 '
        'protonum="17" protoname="udp"><sport>53</sport><dport>40000</dport></layer4></meta><meta '
        'direction="independent"><timeout>29</timeout><mark>7</mark><labels><label>5</label><label>lan</label></labels>'
        "<use>1</use><id>77</id><assured/></meta></flow>",
        {
            **tuples("10.0.0.5", "8.8.8.8", 40000, 53),
            "protocol": 17,
            "remaining": 29,
            "status": ASSURED,
            "mark": 7,
            "use": 1,
            "id": 77,
        },
    ),
    "save": (
        "-A -t 431999 -u EXPECTED,SEEN_REPLY,ASSURED -w 5 -s 10.0.0.5 -d 203.0.113.1 -r 203.0.113.1 -q 10.0.0.5 -p tcp "
        "--sport 38848 --dport 2123 --reply-port-src 2123 --reply-port-dst 38848 --state ESTABLISHED",
        {
            **tuples("10.0.0.5", "203.0.113.1", 38848, 2123),
            "protocol": 6,
            "remaining": 431999,
            "state": 3,
            "status": ASSURED | _uapi.EXPECTED,
            "zone": 5,
        },
    ),
    "XML": (
        '<flow><meta direction="original"><layer3 protonum="2" protoname="ipv4"><src>10.0.0.5</src><dst>8.8.8.8</dst>'
        '</layer3><layer4 protonum="17" protoname="udp"><sport>40000</sport><dport>53</dport></layer4><zone>8</zone>'
        '<counters><packets>2</packets><bytes>120</bytes></counters></meta><meta direction="reply"><layer3 '
        'protonum="2" protoname="ipv4"><src>8.8.8.8</src><dst>10.0.0.5</dst></layer3><layer4 protonum="17" '
        'protoname="udp"><sport>53</sport><dport>40000</dport></layer4><counters><packets>1</packets><bytes>99</bytes>'
        '</counters></meta><meta direction="independent"><timeout>29</timeout><mark>7</mark><labels><label>5</label>'
        "<label>99</label></labels><use>1</use><id>77</id><assured/><timestamp><start>1795918727055177999</start>"
        "</timestamp><deltatime>3</deltatime></meta><helper>sip</helper></flow>",
        {
            **tuples("10.0.0.5", "8.8.8.8", 40000, 53),
            **counters(2, 120, 1, 99),
            "protocol": 17,
            "remaining": 29,
            "status": ASSURED,
            "zone": 8,
            "zone_original": 8,
            "mark": 7,
            "labels": (1 << 5 | 1 << 99).to_bytes(16, "little"),
            "use": 1,
            "id": 77,
            "start": (NOW - 3) * SECOND,
            "helper": "sip",
        },
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_a_line(name: str) -> None:
    line, wanted = LINES[name]
    assert entry_of(line) == wanted
    # As an editor of Windows saves it, and with blanks at the end.
    assert entry_of(line + "\r") == wanted
    assert entry_of(line + " ") == wanted


def test_lines_of_all_formats_together() -> None:
    lines = [line for line, _wanted in LINES.values()] * 50
    random.Random(1).shuffle(lines)
    entries = entries_of("\n".join(lines) + "\n")
    found = sorted(known(vars(entry)) for entry in entries)
    assert found == sorted(known(wanted) for _line, wanted in LINES.values() for _copy in range(50))


UNDERSTOOD, _FIELDS = LINES["source NAT"]
NO_ENTRIES = {
    "words": "what is this",
    "a key without a value": UNDERSTOOD.replace("sport=40000", "sport="),
    "an octet that is too large": UNDERSTOOD.replace("10.0.0.5", "10.0.0.256"),
    "an address with a zero too much": UNDERSTOOD.replace("10.0.0.5", "10.0.0.05"),
    "an address of three numbers": UNDERSTOOD.replace("10.0.0.5", "10.0.5"),
    "two dots": UNDERSTOOD.replace("10.0.0.5", "10.0..5"),
    "a port that is too large": UNDERSTOOD.replace("40000", "65536"),
    "a port with a dot": UNDERSTOOD.replace("40000", "40.0"),
    "a port with a sign": UNDERSTOOD.replace("sport=40000", "sport=+4000"),
    "a number with a letter": UNDERSTOOD.replace("mark=0", "mark=0x1"),
    "a mark that is too large": UNDERSTOOD.replace("mark=0", "mark=4294967296"),
    "a time below 0": UNDERSTOOD.replace(" 29 ", " -1 "),
    "another protocol's number": UNDERSTOOD.replace("17", "6", 1),
    "a number of a protocol that cannot be": UNDERSTOOD.replace("udp      17", "unknown  256"),
    "no second direction": UNDERSTOOD.partition(" src=8.8.8.8")[0] + " mark=0 use=1",
    "three directions": UNDERSTOOD.replace("mark=0", "src=1.2.3.4 dst=1.2.3.4 mark=0"),
    "a key twice": UNDERSTOOD.replace("mark=0", "mark=0 mark=1"),
    "a word between": UNDERSTOOD.replace("mark=0", "mark"),
    "a state that UDP has not": UNDERSTOOD.replace(" 29 ", " 29 ESTABLISHED "),
    "a state that is none": STORY.replace("ESTABLISHED", "SLEEPING"),
    "both families": UNDERSTOOD.replace("dst=8.8.8.8", "dst=2001:db8::1"),
    "the family of others": "ipv6     10 " + UNDERSTOOD,
    "the number of another family": "ipv4     10 " + UNDERSTOOD,
    "an event": "[NEW] " + UNDERSTOOD,
    "an event in XML": LINES["XML"][0].replace("<flow>", '<flow type="new">'),
    "XML that is cut": LINES["XML"][0][:-7],
    "one counter": UNDERSTOOD.replace("dport=53 ", "dport=53 packets=1 ", 1),
    "an expectation": "300 proto=6 src=10.0.0.5 dst=10.0.0.6 sport=0 dport=2121",
    "a label that is too large": UNDERSTOOD + " labels=128",
    "an age before our time": UNDERSTOOD.replace("use=1", "delta-time=99999999999 use=1"),
    "an option that is none": LINES["save"][0].replace("-w 5", "-x 5"),
    "no ASCII": UNDERSTOOD.replace("mark=0", "mark=\u0663"),
    "a control character": UNDERSTOOD.replace("mark=0", "\x1b[2Jmark=0"),
    "too long": UNDERSTOOD + " x=" + "y" * LONGEST_LINE,
}


NO_FIELDS: frozenset[str] = frozenset()


@pytest.mark.parametrize("wanted", [None, NO_FIELDS], ids=["all fields", "no field"])
@pytest.mark.parametrize("name", NO_ENTRIES)
def test_a_line_that_is_not_understood_is_counted(name: str, wanted: frozenset[str] | None) -> None:
    """Whichever fields are wanted, a line with a bad value in any field is none."""
    bad = NO_ENTRIES[name]
    text = f"{UNDERSTOOD}\n" * 3 + f"{bad}\n" + f"{UNDERSTOOD}\n" * 2
    found = decoded(text, wanted)
    assert (found.lines, found.not_understood_number) == (6, 1)
    assert found.not_understood == [(4, bad.encode())]
    assert sum(len(rows) // RowWriter(form, wanted).layout.size for form, rows in found.rows) == 5


TOO_LARGE = {
    "packets": ("packets=10", f"packets={1 << 64}", f"packets={(1 << 64) - 1}"),
    "the mark": ("mark=4660", f"mark={1 << 32}", f"mark={(1 << 32) - 1}"),
    "the time": (" 431999 ", f" {1 << 32} ", f" {(1 << 32) - 1} "),
    "the reply's port": ("dport=40000", "dport=65536", "dport=65535"),
    "the zone": ("zone-orig=9", "zone-orig=65536", "zone-orig=65535"),
    "the reply's source": ("src=203.0.113.7 ", "src=203.0.113.256 ", "src=203.0.113.255 "),
}


@pytest.mark.parametrize("wanted", [None, NO_FIELDS], ids=["all fields", "no field"])
@pytest.mark.parametrize("name", TOO_LARGE)
def test_the_largest_value_of_a_field_is_one_and_the_next_is_none(name: str, wanted: frozenset[str] | None) -> None:
    line = LINES["all that conntrack shows"][0]
    old, bad, good = TOO_LARGE[name]
    found = decoded("".join(f"{line.replace(old, new)}\n" for new in (old, bad, good)), wanted)
    assert [number for number, _line in found.not_understood] == [2]


@pytest.mark.parametrize("text", ["helper=f\0tp", "labels=l\x1ban", "secctx=a\x7fb", "helper=\xe4"])
def test_what_cannot_be_printed_is_not_understood_among_others_either(text: str) -> None:
    key = text.partition("=")[0]
    found = decoded("".join(f"{UNDERSTOOD} {each}\n" for each in (f"{key}=abc", text, f"{key}=de")))
    assert [number for number, _line in found.not_understood] == [2]
    assert sum(map(len, blocks_of(found))) == 2


@pytest.mark.parametrize(
    "word",
    ["=5", "a==5", "timeout=", "[a=b=1]", "=[a]", "[start=", "[start=Mon =3 4]", "q=a<b", 'q="1"', "helper=a<b", "="],
)
def test_a_word_that_no_format_has_is_taken_for_no_other_one(word: str) -> None:
    words = UNDERSTOOD.split()
    expected = {known(entry_of(UNDERSTOOD))}
    for at in range(len(words) + 1):
        found = decoded(" ".join([*words[:at], word, *words[at:]]) + "\n")
        entries = [entry for block in blocks_of(found) for entry in block.entries()]
        assert len(entries) + found.not_understood_number == 1
        assert {known(vars(entry)) for entry in entries} <= expected


@pytest.mark.parametrize("text", ["=5", "=", '"', " 1"])
def test_a_value_in_xml_is_one_word(text: str) -> None:
    line = LINES["labels in XML of which one has a name"][0]
    expected = known(entry_of(line))
    values = list(re.finditer(r"(?<=>)\d[^<]*(?=</(?:[sd]port|src|dst|mark|use|id|timeout)>)|(?<=protonum=.)\d+", line))
    assert len(values) > 10
    for at in (place for value in values for place in range(value.start() + 1, value.end() + 1)):
        found = decoded(f"{line[:at]}{text}{line[at:]}\n")
        assert {known(vars(entry)) for block in blocks_of(found) for entry in block.entries()} <= {expected}


@pytest.mark.parametrize("name", LINES)
def test_a_digit_in_any_word_is_seen_among_others_too(name: str) -> None:
    """Lines are sorted by what is left of them without digits, so the other lines must not vouch for it."""
    line = LINES[name][0]
    for at in range(len(line)):
        assert_each_line_is_counted(f"{line}\n{line[:at]}1{line[at:]}\n{line}\n".encode())


@pytest.mark.parametrize("name", LINES)
def test_each_field_alone(name: str) -> None:
    """A field has the same value without the others, and these are not taken for unknown."""
    line, known = LINES[name]
    for field in FIELDS:
        wanted = with_parts([field])
        [(form, row)] = decoded(f"{line}\n", wanted).rows
        layout = RowWriter(form, wanted).layout
        assert getattr(layout.entry(row, [field]), field) == known.get(field), field
        for other in set(FIELDS) - wanted - {"family", "protocol", "zone"}:
            with pytest.raises(KeyError):
                layout.entry(row, [other])


def test_each_bad_line_among_many_is_found() -> None:
    lines = [UNDERSTOOD] * 1000
    for number in range(0, 1000, 50):
        lines[number] = UNDERSTOOD.replace("40000", "70000")
    found = decoded("\n".join(lines) + "\n")
    assert found.not_understood_number == 20
    assert [number for number, _line in found.not_understood] == [1 + 50 * number for number in range(SHOWN)]
    assert sum(map(len, blocks_of(found))) == 980


NO_LINES = (
    "",
    "   ",
    '<?xml version="1.0" encoding="utf-8"?>',
    "<conntrack>",
    "</conntrack>",
    "conntrack v1.4.7 (conntrack-tools): 40 flow entries have been shown.",
)


def test_what_the_tool_writes_besides_is_no_entry_and_no_fault() -> None:
    found = decoded("\n".join([*NO_LINES, UNDERSTOOD, ""]))
    assert (found.lines, found.not_understood_number, sum(map(len, blocks_of(found)))) == (7, 0, 1)


@pytest.mark.parametrize(
    ("line", "entries"),
    [
        (UNDERSTOOD, 1),
        (UNDERSTOOD.partition(" use=")[0], 0),
        (UNDERSTOOD[:-1], 0),
        (UNDERSTOOD + " id=1234", 0),
        (UNDERSTOOD[:60], 0),
        (LINES["XML"][0], 1),
        (LINES["save"][0], 0),
    ],
)
def test_a_last_line_counts_if_it_is_known_to_be_whole(line: str, entries: int) -> None:
    found = decoded(f"{UNDERSTOOD}\n{line}")
    assert (found.lines, found.not_understood_number) == (2, 1 - entries)
    assert sum(map(len, blocks_of(found))) == 1 + entries


def test_a_line_without_a_number_does_not_spoil_those_after_it() -> None:
    found = decoded(f"{NO_ENTRIES['a key without a value']}\n{UNDERSTOOD}\n{UNDERSTOOD}\n")
    assert (found.not_understood_number, sum(map(len, blocks_of(found)))) == (1, 2)


@pytest.mark.parametrize("text", ["sport40000=", "sport= 40000", "4=sport0000", "sport=40000="])
@pytest.mark.parametrize("name", ["source NAT", "labels of which none has a name"])
def test_a_value_that_moved_is_not_understood_among_others_either(name: str, text: str) -> None:
    line = LINES[name][0]
    moved = line.replace("sport=40000", text)
    assert moved != line
    assert_each_line_is_counted(f"{line}\n{moved}\n{line}\n".encode())


def test_a_key_with_a_digit_costs_no_other_line_its_value() -> None:
    entries = entries_of("".join(f"{UNDERSTOOD} {key}=3\n" for key in ("secu1re", "zo0ne", "zone", "zon1e", "zone")))
    assert [entry.zone for entry in entries].count(3) == 2


@pytest.mark.parametrize("field", ["src", "dst", "sport"])
def test_a_value_without_a_digit_is_not_understood(field: str) -> None:
    line = re.sub(rf"{field}=[0-9.]+", f"{field}=direction", UNDERSTOOD, count=1)
    assert line != UNDERSTOOD
    assert decoded(f"{line}\n{UNDERSTOOD}\n").not_understood_number == 1


def test_protocols_without_names_are_told_apart() -> None:
    line = LINES["a protocol without a name"][0]
    numbers = [2, 50, 2, 51, 112, 50, 2]
    entries = entries_of("".join(line.replace("unknown  2 ", f"unknown  {number} ") + "\n" for number in numbers))
    assert sorted(entry.protocol for entry in entries) == sorted(numbers)


def test_kinds_of_entries_without_end_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_module, "_MOST_FORMS", 3)
    line = LINES["a protocol without a name"][0]
    found = decoded("".join(line.replace("unknown  2 ", f"unknown  {number} ") + "\n" for number in (2, 3, 2, 5, 7, 8)))
    assert (sum(map(len, blocks_of(found))), found.not_understood_number) == (4, 2)


def test_syn_sent2_is_no_syn_sent() -> None:
    line = LINES["2.6 with the flag after the counters"][0]
    entries = entries_of(f"{line}\n{line.replace('SYN_SENT', 'SYN_SENT2')}\n{line}\n")
    assert sorted(str(entry.state_name) for entry in entries) == ["SYN_SENT", "SYN_SENT", "SYN_SENT2"]


# What conntrack(8) shows of an entry, by the code that is compared with the tool itself.

_SHOWN = (
    frozenset(FIELDS)
    - {"status", "start", "secctx", "helper", "labels", "id", "has_ports"}
    - {"vtag_original", "vtag_reply", "dccp_role"}
)


def _line_of(values: t.Mapping[str, t.Any]) -> str:
    [block] = encoded_messages.blocks_of(values)
    [line] = ExtendedLines(Context({}, 0))(block)
    return line


@given(st.lists(fields(), min_size=1, max_size=20))
def test_what_the_tool_shows_is_read_back(drawn: list[dict[str, t.Any]]) -> None:
    tables = []
    for number, values in enumerate(drawn):
        # An entry as the kernel can have it: what the tool shows of others says less than there is.
        kept = {name: value for name, value in values.items() if name not in ("start", "secctx", "helper", "labels")}
        kept = {"status": 0, **kept, "use": number}
        if _uapi.state_name(kept["protocol"], kept.get("state")) == "NONE":
            kept["state"] = 0
        tables.append(kept)
    found = decoded("".join(_line_of(values) + "\n" for values in tables))
    assert found.not_understood == []
    entries = {entry.use: entry for block in blocks_of(found) for entry in block.entries()}
    for values in tables:
        [block] = encoded_messages.blocks_of(values)
        [wanted] = block.entries()
        entry = entries[values["use"]]
        for name in _SHOWN:
            shown = getattr(wanted, name)
            if shown is None and name.rpartition("_")[0] in ("icmp", "reply_icmp"):
                continue
            assert getattr(entry, name) == shown or _is_half(wanted, name), name
        bits = _uapi.SEEN_REPLY | (_uapi.ASSURED if not values["status"] & (_uapi.OFFLOAD | _uapi.HW_OFFLOAD) else 0)
        assert entry.status is not None
        assert entry.status & bits == values["status"] & bits


def _is_half(entry: t.Any, name: str) -> bool:
    """Return whether the tool does not show a field because the other half of it is missing."""
    for pair in (("packets_original", "bytes_original"), ("packets_reply", "bytes_reply")):
        if name in pair:
            return any(getattr(entry, each) is None for each in pair)
    return False


_PARTS = sorted({word for line, _wanted in LINES.values() for word in line.split()})
_FUZZ = st.lists(
    st.one_of(
        st.sampled_from([line for line, _wanted in LINES.values()]),
        st.sampled_from(list(NO_ENTRIES.values())[:-1]),
        st.lists(st.sampled_from(_PARTS), max_size=40).map(" ".join),
        st.text(st.characters(codec="latin-1"), max_size=60).filter(lambda text: "\n" not in text),
    ),
    max_size=12,
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw lines of which some bytes were changed."""
    text = bytearray("\n".join(draw(_FUZZ)).encode("latin-1", "replace"))
    for _change in range(draw(st.integers(0, 3)) if text else 0):
        text[draw(st.integers(0, len(text) - 1))] = draw(st.integers(0, 255))
    return bytes(text)


@given(damaged())
def test_each_line_is_an_entry_or_nothing_or_counted(text: bytes) -> None:
    assert_each_line_is_counted(text)
