# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read from the kernel, field by field, beside what conntrack(8) prints of the same entries."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import time
import typing as t
from xml.etree import ElementTree

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _wire
from ansible_collections.netops.conntrack.plugins.module_utils._errors import MalformedError
from ansible_collections.netops.conntrack.plugins.module_utils._formats import as_dict, extended
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._selector import Context
from ansible_collections.netops.conntrack.plugins.module_utils._settings import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import network_namespace, run

V4 = "-s 198.18.0.1 -d 198.18.0.2 -t 1000"
V6 = "-s 2001:db8::1 -d 2001:db8::2 -t 1000"

MADE = (
    f"tcp {V4} --sport 1 --dport 2 --state ESTABLISHED -u ASSURED,SEEN_REPLY -m 16 -w 5",
    f"tcp {V4} --sport 1 --dport 2 --state SYN_SENT --orig-zone 7",
    f"tcp {V4} --sport 1 --dport 3 --state SYN_SENT --reply-zone 8",
    f"tcp {V4} --sport 1 --dport 4 --state TIME_WAIT -u FIXED_TIMEOUT",
    f"tcp {V6} --sport 1 --dport 2 --state CLOSE_WAIT -u SEEN_REPLY -m 4294967295",
    f"udp {V4} --sport 1 --dport 2 --src-nat 203.0.113.1:99",
    f"udp {V4} --sport 1 --dport 3 --dst-nat 203.0.113.1:99 -u SEEN_REPLY",
    f"udp {V6} --sport 65535 --dport 0 -w 65535",
    f"udplite {V4} --sport 1 --dport 2",
    f"icmp {V4} --icmp-type 8 --icmp-code 0 --icmp-id 77",
    f"icmp {V4} --icmp-type 13 --icmp-code 0 --icmp-id 65535",
    f"icmpv6 {V6} --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 77",
    f"sctp {V4} --sport 1 --dport 2 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2",
    f"sctp {V6} --sport 1 --dport 2 --state SHUTDOWN_ACK_SENT --orig-vtag 1 --reply-vtag 2",
    f"gre {V4} --srckey 1 --dstkey 0x2ab",
    f"dccp {V4} --sport 1 --dport 2 --state REQUEST --role client",
    f"99 {V4}",
    f"99 {V6}",
)
"""Entries as ``conntrack -I -p`` makes them."""

RULES = """
table inet marks {
  ct helper ftp21 { type "ftp" protocol tcp; }
  chain early {
    type filter hook output priority -300;
    tcp dport 2121 tcp flags & (fin | rst) != 0 drop
    tcp sport 2121 tcp flags & (fin | rst) != 0 drop
    udp dport 1001 ct original zone set 9
    udp dport 1002 ct zone set 10
  }
  chain late {
    type filter hook output priority 0;
    udp dport 1003 ct mark set 0x1234
    udp dport 1004 ct label set 5
    udp dport 1005 ct label set 127
    tcp dport 2121 ct helper set "ftp21"
  }
  chain redirected {
    type nat hook output priority -100
    meta nfproto ipv4 udp dport 1006 dnat ip to 127.0.0.1:1007
  }
  chain translated {
    type nat hook postrouting priority 100
    udp dport 1008 snat ip to 127.0.0.9
  }
}
"""

TRAFFIC = """
import socket
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
for port in range(1001, 1009):
    for sock, address in ((udp, "127.0.0.1"), (six, "::1")):
        try:
            sock.sendto(b"x" * port, (address, port))
        except OSError:
            pass
server = socket.create_server(("127.0.0.1", 2121))
client = socket.create_connection(("127.0.0.1", 2121))
accepted, _ = server.accept()
client.sendall(b"hello")
accepted.recv(5)
accepted.sendall(b"world")
client.recv(5)
echo = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
echo.sendto(bytes.fromhex("0800f7fd00010001"), ("127.0.0.1", 0))
echo = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
echo.sendto(bytes.fromhex("8000000000010001"), ("::1", 0))
"""

ACCOUNTING = ("net.netfilter.nf_conntrack_acct=1", "net.netfilter.nf_conntrack_timestamp=1")


class Reading(t.NamedTuple):
    """The table as read by the collection, and within the same second by the tool."""

    lines: list[str]
    shown: list[str]
    entries: list[dict[str, t.Any]]


def fill(netns: str) -> None:
    """Put every kind of entry into the table, made by the tool and by real packets."""
    run(["nft", "-f", "-"], netns=netns, text=RULES)
    for arguments in MADE:
        run(["conntrack", "-I", "-p", *arguments.split()], netns=netns)
    run(["python3", "-c", TRAFFIC], netns=netns)


def tool(netns: str, output: str) -> str:
    return run(["conntrack", "-L", "-o", output], netns=netns)


def read(netns: str) -> tuple[list[_wire.Entry], Context]:
    with inside(netns), Table() as table:
        context = Context(read_settings(), time.time_ns())
        return table.read(list), context


def read_both(netns: str) -> Reading:
    """Read the table between two readings of the tool that agree, so that no second has passed."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        before = tool(netns, "extended")
        entries, context = read(netns)
        if tool(netns, "extended") == before:
            lines = [extended(entry, context) for entry in entries]
            return Reading(lines, before.splitlines(), [as_dict(entry, context) for entry in entries])
    raise AssertionError("the table did not hold still")


@pytest.fixture(scope="module", params=["accounting", "plain"])
def filled(request: pytest.FixtureRequest) -> t.Iterator[str]:
    with network_namespace("decoding") as netns:
        if request.param == "accounting":
            run(["sysctl", "-qw", *ACCOUNTING], netns=netns)
        fill(netns)
        yield netns


@pytest.fixture(scope="module")
def reading(filled: str) -> Reading:
    return read_both(filled)


def test_lines_are_those_of_the_tool(reading: Reading) -> None:
    assert reading.lines == reading.shown
    assert len(reading.lines) > len(MADE) + 8


@pytest.mark.parametrize(
    "word",
    [
        *(f"{name} " for name in ("tcp", "udp", "udplite", "icmp", "icmpv6", "sctp", "gre", "dccp", "unknown")),
        "ipv6",
        "[UNREPLIED]",
        "[ASSURED]",
        "zone=5",
        "zone-orig=9",
        "zone-reply=8",
        "mark=4660",
        "mark=4294967295",
        "helper=ftp",
        "srckey=0x1 dstkey=0x2ab",
        "type=13",
        "type=8 code=0 id=1 ",
        "type=128 code=0 id=1 ",
        "SHUTDOWN_ACK_SENT",
    ],
)
def test_the_comparison_covers(reading: Reading, word: str) -> None:
    assert any(word in line for line in reading.shown)


def test_accounting_shows_in_both(reading: Reading, request: pytest.FixtureRequest) -> None:
    counted = "[accounting]" in request.node.name
    assert all(("packets=" in line) == counted for line in reading.shown)
    assert all(("delta-time=" in line) == counted for line in reading.shown)
    assert all((entry["packets"] is not None) == counted for entry in reading.entries)
    assert all((entry["age"] is not None) == counted for entry in reading.entries)


def text(flow: ElementTree.Element, path: str) -> str | None:
    return flow.findtext(path)


def number(flow: ElementTree.Element, path: str) -> int | None:
    found = flow.findtext(path)
    return None if found is None else int(found, 0)


def expected_of(flow: ElementTree.Element) -> dict[str, t.Any]:
    """Give the fields that the tool's XML has, by our names."""
    original, reply, own = "meta[@direction='original']", "meta[@direction='reply']", "meta[@direction='independent']"
    fields: dict[str, t.Any] = {
        "family": flow.find(f"{original}/layer3").attrib["protoname"],  # type: ignore[union-attr]
        "protocol_number": int(flow.find(f"{original}/layer4").attrib["protonum"]),  # type: ignore[union-attr]
        "source": text(flow, f"{original}/layer3/src"),
        "destination": text(flow, f"{original}/layer3/dst"),
        "reply_source": text(flow, f"{reply}/layer3/src"),
        "reply_destination": text(flow, f"{reply}/layer3/dst"),
        "mark": number(flow, f"{own}/mark"),
        "zone": number(flow, f"{own}/zone") or 0,
        "id": number(flow, f"{own}/id"),
        "assured": flow.find(f"{own}/assured") is not None,
        "replied": flow.find(f"{own}/unreplied") is None,
        "packets_original": number(flow, f"{original}/counters/packets"),
        "bytes_original": number(flow, f"{original}/counters/bytes"),
        "packets_reply": number(flow, f"{reply}/counters/packets"),
        "bytes_reply": number(flow, f"{reply}/counters/bytes"),
    }
    # The tool's XML has a wrong name for SCTP's states, and 0 for DCCP's ports that the kernel did not send.
    if fields["protocol_number"] == _wire.TCP:
        fields["state"] = text(flow, f"{own}/state")
    if fields["protocol_number"] in (_wire.TCP, _wire.UDP, _wire.SCTP, _wire.UDPLITE):
        fields["source_port"] = number(flow, f"{original}/layer4/sport")
        fields["destination_port"] = number(flow, f"{original}/layer4/dport")
        fields["reply_source_port"] = number(flow, f"{reply}/layer4/sport")
        fields["reply_destination_port"] = number(flow, f"{reply}/layer4/dport")
    if fields["protocol_number"] == _wire.GRE:
        fields["source_port"] = None
        fields["source_key"] = number(flow, f"{original}/layer4/srckey")
        fields["destination_key"] = number(flow, f"{original}/layer4/dstkey")
        fields["reply_source_key"] = number(flow, f"{reply}/layer4/srckey")
        fields["reply_destination_key"] = number(flow, f"{reply}/layer4/dstkey")
    return fields


def test_fields_are_those_of_the_xml(filled: str) -> None:
    flows = ElementTree.fromstring(tool(filled, "xml,id")).findall("flow")
    entries, context = read(filled)
    assert len(entries) == len(flows) > len(MADE)
    for entry, flow in zip(entries, flows):
        wanted = expected_of(flow)
        found = as_dict(entry, context)
        assert {name: found[name] for name in wanted} == wanted


def entry_of(reading: Reading, protocol: str, **fields: t.Any) -> dict[str, t.Any]:
    found = [
        entry
        for entry in reading.entries
        if entry["protocol"] == protocol and all(entry[name] == value for name, value in fields.items())
    ]
    assert found, f"no {protocol} with {fields}"
    return found[0]


@pytest.mark.parametrize(
    ("protocol", "key", "wanted"),
    [
        ("udp", {"destination_port": 1003}, {"mark": 0x1234, "nat": [], "replied": False, "icmp_id": None}),
        ("udp", {"destination_port": 1004}, {"labels": [5]}),
        ("udp", {"destination_port": 1005}, {"labels": [127]}),
        ("udp", {"destination_port": 1006, "family": "ipv4"}, {"nat": ["dnat"], "reply_source_port": 1007}),
        ("udp", {"destination_port": 1008, "family": "ipv4"}, {"nat": ["snat"], "reply_destination": "127.0.0.9"}),
        ("udp", {"destination_port": 2}, {"nat": ["snat"], "reply_destination": "203.0.113.1"}),
        ("udp", {"destination_port": 1002}, {"zone": 10}),
        ("tcp", {"destination_port": 2121}, {"helper": "ftp", "state": "ESTABLISHED", "assured": True}),
        ("icmp", {"icmp_type": 13}, {"icmp_code": 0, "icmp_id": 65535, "state": None, "source_port": None}),
        ("sctp", {"family": "ipv6"}, {"state": "SHUTDOWN_ACK_SENT"}),
        ("99", {"family": "ipv6"}, {"protocol_number": 99, "source": "2001:db8::1", "source_port": None}),
        ("gre", {}, {"source_key": 1, "destination_key": 0x2AB, "destination_port": None}),
    ],
)
def test_fields(reading: Reading, protocol: str, key: dict[str, t.Any], wanted: dict[str, t.Any]) -> None:
    entry = entry_of(reading, protocol, **key)
    assert {name: entry[name] for name in wanted} == wanted


def test_sums_and_times(reading: Reading) -> None:
    entry = entry_of(reading, "tcp", destination_port=2121)
    if entry["packets_original"] is not None:
        assert entry["packets"] == entry["packets_original"] + entry["packets_reply"] > 0
        assert entry["bytes"] == entry["bytes_original"] + entry["bytes_reply"] > 10
        assert 0 <= entry["age"] < 60
    assert 0 <= entry["idle"] < 60
    assert 431900 < entry["remaining"] <= 432000


def test_an_entry_is_json(reading: Reading) -> None:
    assert json.loads(json.dumps(reading.entries)) == reading.entries


def test_every_protocol_number_has_the_tools_name() -> None:
    with network_namespace("decoding") as netns:
        numbers = [number for number in range(1, 256) if number not in _wire.PROTOCOL_NAMES]
        lines = [f"-I -p {number} {V4}" for number in numbers]
        run(["conntrack", "-R", "-"], netns=netns, text="\n".join(lines) + "\n")
        reading = read_both(netns)
    assert reading.lines == reading.shown
    assert len(reading.lines) == len(numbers)


def captured(netns: str) -> list[bytes]:
    """Give the messages of one real dump, each by itself, over a socket of our own."""
    with inside(netns), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as sock:
        sock.settimeout(5)
        sock.bind((0, 0))
        sock.send(_wire.encode_request(_wire.CT_GET, _wire.NLM_F_DUMP, 1))
        found: list[bytes] = []
        while True:
            datagram = sock.recv(65536)
            for message in _wire.messages(datagram, len(datagram)):
                if message.type == _wire.NLMSG_DONE:
                    return found
                found.append(datagram[message.start : message.end])


def decode(data: bytes) -> _wire.Entry:
    """Decode the first message in ``data``, and render it as every format does."""
    message = next(_wire.messages(data, len(data)))
    entry = _wire.decode_entry(data, message)
    extended(entry, Context({}, 0))
    as_dict(entry, Context({}, 0))
    return entry


def cut(data: bytes, length: int) -> bytes:
    """Give the first bytes of a message, with the length in its header made to fit."""
    return struct.pack("=I", length) + data[4:length]


@pytest.fixture(scope="module")
def dump() -> t.Iterator[list[bytes]]:
    with network_namespace("decoding") as netns:
        run(["sysctl", "-qw", *ACCOUNTING], netns=netns)
        fill(netns)
        yield captured(netns)


def test_a_dump_that_is_cut_short(dump: list[bytes]) -> None:
    for data in dump:
        decode(data)
        for length in range(1, len(data)):
            with pytest.raises(MalformedError):
                decode(data[:length])


def test_a_message_that_is_cut_short(dump: list[bytes]) -> None:
    """Only a cut between two attributes leaves something that can be decoded."""
    refused = 0
    for data in dump:
        for length in range(16, len(data)):
            try:
                decode(cut(data, length))
            except MalformedError:
                refused += 1
    assert refused > 20 * len(dump)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=st.data())
def test_a_message_with_wrong_bytes(dump: list[bytes], choice: st.DataObject) -> None:
    data = bytearray(choice.draw(st.sampled_from(dump)))
    for _turn in range(choice.draw(st.integers(1, 4))):
        data[choice.draw(st.integers(0, len(data) - 1))] = choice.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedError):
        decode(bytes(data))


def offloaded(data: bytes, flag: int) -> bytes:
    """Give a captured message as the kernel sends it once a flow table has the flow: no timeout, no protocol state."""
    kept = data[:20]
    at = 20
    while at < len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        attribute = data[at : at + (size + 3 & ~3)]
        if kind & _wire.NLA_TYPE_MASK == 3:
            attribute = attribute[:4] + struct.pack("!I", struct.unpack("!I", attribute[4:])[0] | flag)
        if kind & _wire.NLA_TYPE_MASK not in (4, 7):
            kept += attribute
        at += len(attribute)
    return struct.pack("=I", len(kept)) + kept[4:]


@pytest.mark.parametrize(("flag", "shown"), [(_wire.OFFLOAD, "[OFFLOAD]"), (_wire.HW_OFFLOAD, "[HW_OFFLOAD]")])
def test_an_offloaded_entry(dump: list[bytes], flag: int, shown: str) -> None:
    context = Context({}, 0)
    [own] = [data for data in dump if decode(data).helper == "ftp"]
    line = extended(decode(own), context)
    entry = decode(offloaded(own, flag))
    wanted = re.sub(r" 6 [0-9]+ ESTABLISHED ", " 6 ", line).replace("[ASSURED]", shown)
    assert extended(entry, context) == wanted != line
    fields = as_dict(entry, context)
    assert (fields["offloaded"], fields["remaining"], fields["idle"], fields["state"]) == (True, None, None, None)
