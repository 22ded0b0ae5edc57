# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bytes of the packets that leave stale entries."""

from __future__ import annotations

import collections
import socket
import struct

import pytest
from helpers.support import CHECKOUT
from stale import KINDS, MIX, Kind, checksum, kind_of, lone_packet
from topology import STALE_DESTINATIONS

LENGTHS = {
    "timestamps4": 52,
    "timestamps6": 72,
    "windows4": 41,
    "windows6": 61,
    "bare4": 40,
    "bare6": 60,
    "sack4": 64,
    "sack6": 84,
}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x00\x00", 0xFFFF),
        (b"\xff\xff\x00\x01", 0xFFFE),
        (b"\xff\xfe\x01", 0xFF00),
        # The example of RFC 1071, section 3: the sum is ddf2.
        (bytes.fromhex("0001f203f4f5f6f7"), ~0xDDF2 & 0xFFFF),
    ],
)
def test_checksum(data: bytes, expected: int) -> None:
    assert checksum(data) == expected


def split(packet: bytes, kind: Kind) -> tuple[bytes, bytes, bytes]:
    """Return source, destination and TCP part of a packet, by the headers' own fields."""
    if kind.family == socket.AF_INET:
        assert (packet[0], packet[9]) == (0x45, socket.IPPROTO_TCP)
        assert int.from_bytes(packet[2:4], "big") == len(packet)
        return packet[12:16], packet[16:20], packet[20:]
    assert (packet[0], packet[6]) == (0x60, socket.IPPROTO_TCP)
    assert int.from_bytes(packet[4:6], "big") == len(packet) - 40
    return packet[8:24], packet[24:40], packet[40:]


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_is_an_acknowledgment_of_its_length_with_a_right_checksum(name: str) -> None:
    kind = KINDS[name]
    packet = lone_packet(kind, 250)
    assert len(packet) == LENGTHS[name]
    source, destination, tcp = split(packet, kind)
    assert socket.inet_ntop(kind.family, source) == {4: "198.51.100.20", 16: "2001:db8:c::14"}[len(source)]
    assert socket.inet_ntop(kind.family, destination) == STALE_DESTINATIONS[kind.family]
    assert struct.unpack("!HH", tcp[:4]) == (1025, 80)
    assert tcp[13] == 0x10
    assert tcp[(tcp[12] >> 4) * 4 :] == kind.data
    ipv4, ipv6 = struct.pack("!BBH", 0, 6, len(tcp)), struct.pack("!II", len(tcp), 6)
    pseudo_header = source + destination + (ipv4 if kind.family == socket.AF_INET else ipv6)
    assert checksum(pseudo_header + tcp) == 0


def test_the_mix_has_every_kind_and_all_of_them_early() -> None:
    counts = collections.Counter(kind_of(index) for index in range(100))
    assert set(counts) == set(KINDS)
    assert len({kind_of(index) for index in range(len(MIX))}) == len(KINDS)
    assert counts["timestamps4"] + counts["timestamps6"] > 50
    assert 0 < counts["sack4"] + counts["sack6"] <= 10


def test_a_source_sends_one_kind_only() -> None:
    assert all(kind_of(index) == kind_of(index + 240) for index in range(240))


@pytest.mark.parametrize("name", sorted({name.rstrip("46") for name in KINDS}))
def test_the_readme_says_how_often_each_kind_comes(name: str) -> None:
    kinds = [f"{name}{version}" for version in (4, 6)]
    lengths = ", ".join(str(LENGTHS[kind]) for kind in kinds)
    counts = " | ".join(str(MIX.count(kind)) for kind in kinds)
    assert f"| {lengths} | {counts} |" in (CHECKOUT / "tools" / "lab" / "README.md").read_text(encoding="utf-8")
