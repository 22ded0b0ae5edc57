# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress
import pathlib
import socket
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry import label_names
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._selector import values
from ansible_collections.netops.conntrack.plugins.module_utils._selector.values import Range


def test_names_of_labels(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "connlabel.conf"
    lines = "# bit name\n0 eth0-in\n33 suspicious\nx broken\n34 noted  # by hand\n500 beyond\n128 outside\n127 last\n"
    lines += "\n\u0663 broken\n"
    file.write_text(lines, encoding="utf-8")
    monkeypatch.setattr(label_names, "LABELS_FILE", str(file))
    assert values.label_bit("suspicious", "label") == 33
    assert values.label_bit(" 127 ", "label") == 127
    assert values.label_bit("last", "label") == 127
    for name in ("broken", "noted", "beyond", "outside"):
        with pytest.raises(OptionError, match=f"'{name}' is not a label"):
            values.label_bit(name, "label")


@pytest.mark.parametrize(
    ("given", "expected"),
    [("5", (5, 0xFFFFFFFF)), ("0xffffffff/0xffffffff", (0xFFFFFFFF, 0xFFFFFFFF)), ("0x10/0xff", (0x10, 0xFF))],
)
def test_a_mark_with_its_mask(given: str, expected: tuple[int, int]) -> None:
    assert values.mark_and_mask(given, "mark") == expected


@pytest.mark.parametrize("given", ["0x100000000", "0/0x100000000", "0x10/0xf", "1/", "/1"])
def test_a_mark_that_no_entry_can_have(given: str) -> None:
    with pytest.raises(OptionError, match=r"^mark: "):
        values.mark_and_mask(given, "mark")


@pytest.mark.parametrize(
    ("ranges", "breakpoints"),
    [([], []), ([Range(0, None)], [0]), ([Range(1, 5), Range(9, 9)], [1, 6, 9, 10])],
)
def test_a_number_enters_or_leaves_a_range_at_a_breakpoint(ranges: list[Range], breakpoints: list[int]) -> None:
    assert values.breakpoints_of(ranges) == breakpoints
    for number in range(12):
        inside = any(each.contains(number) for each in ranges)
        before = any(each.contains(number - 1) for each in ranges)
        assert inside == before or number in breakpoints


@pytest.mark.parametrize(
    ("given", "expected"),
    [("a", ["a"]), ("a,b", ["a", "b"]), (["a,b", 5], ["a", "b", 5]), ({"min": 1}, [{"min": 1}])],
)
def test_values(given: t.Any, expected: list[t.Any]) -> None:
    assert values.values_of(given, "key") == expected


@pytest.mark.parametrize("given", [[], "", "a,,b", None, ["a", None]])
def test_nothing_is_no_value(given: t.Any) -> None:
    with pytest.raises(OptionError, match=r"^key: "):
        values.values_of(given, "key")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("203.0.113.9", "203.0.113.9/32"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("::ffff:203.0.113.9", "203.0.113.9/32"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::/0", "::/0"),
    ],
)
def test_a_network_has_one_notation(given: str, expected: str) -> None:
    assert values.parse_network(given, "source") == ipaddress.ip_network(expected)


def test_a_network_with_bits_of_a_host_is_not_guessed() -> None:
    with pytest.raises(OptionError, match=r"Did you mean 203\.0\.113\.0/24"):
        values.parse_network("203.0.113.9/24", "source")


@pytest.mark.parametrize(
    ("given", "expected"), [("5", Range(5, 5)), ("1-5", Range(1, 5)), ("1 : 5", Range(1, 5)), (0, Range(0, 0))]
)
def test_ranges_of_numbers(given: t.Any, expected: Range) -> None:
    assert values.number_range(given, "mark", 10) == expected


@pytest.mark.parametrize("given", ["5-1", "11", "1-11", "a-b", "-1", True])
def test_what_is_no_range(given: t.Any) -> None:
    with pytest.raises(OptionError, match=r"^mark: "):
        values.number_range(given, "mark", 10)


@pytest.mark.parametrize(
    ("given", "least", "most"), [({"min": 5}, 5, None), ({"max": 5}, 0, 5), ({"min": 2, "max": 2}, 2, 2)]
)
def test_ranges_of_a_dict(given: dict[str, int], least: int, most: int | None) -> None:
    assert values.parse_range(given, "packets", values.parse_count) == Range(least, most)


@pytest.mark.parametrize("given", [{}, 5, "5", None, {"min": 1, "least": 2}, {"min": 5, "max": 4}, {"min": None}])
def test_what_is_no_range_of_a_dict(given: t.Any) -> None:
    with pytest.raises(OptionError, match=r"^packets"):
        values.parse_range(given, "packets", values.parse_count)


def test_the_kernel_counts_with_64_bits() -> None:
    assert values.parse_count(2**64 - 1, "packets") == 2**64 - 1
    with pytest.raises(OptionError, match=r"^packets: "):
        values.parse_count(2**64, "packets")


@pytest.mark.parametrize(
    ("given", "number"),
    [(0, 0), (255, 255), ("255", 255), ("0x11", 17), ("tcp", 6), (" TCP ", 6), ("ipv6-icmp", 58), ("ours", 253)],
)
def test_protocols(given: t.Any, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "_host_protocol", {"ours": 253}.get)
    assert values.protocol_number(given, "protocol") == number


@pytest.mark.parametrize(
    ("given", "words"),
    [(256, ""), (-1, ""), (True, ""), ("0x100", ""), ("any", "Leave the key out"), ("tpc", "Did you mean 'tcp'?")],
)
def test_what_is_no_protocol(given: t.Any, words: str) -> None:
    with pytest.raises(OptionError, match=r"^protocol: ") as caught:
        values.protocol_number(given, "protocol")
    assert words in caught.value.message


@pytest.mark.parametrize(("number", "expected"), [(0, None), (1, 1), (255, 255), (256, None)])
def test_a_protocol_of_this_host_is_one_of_packets(
    number: int, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number 0 is that of ip, which is no protocol above IP."""
    monkeypatch.setattr(socket, "getprotobyname", lambda _name: number)
    assert values._host_protocol("ours") == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [("7", (7, 0xFFFFFFFF)), ("0x10/0xff", (0x10, 0xFF)), ("0/0", (0, 0)), ("1/0xffffffff", (1, 0xFFFFFFFF))],
)
def test_marks(given: str, expected: tuple[int, int]) -> None:
    assert values.mark_and_mask(given, "mark") == expected


@pytest.mark.parametrize("given", ["0x100/0xff", "1/", "1/0x100000000", "0x100000000", "x"])
def test_what_no_mark_can_be(given: str) -> None:
    with pytest.raises(OptionError, match=r"^mark: "):
        values.mark_and_mask(given, "mark")


PORTS = {("www", "tcp"): 80, ("www", "udp"): 80, ("syslog", "tcp"): 601, ("syslog", "udp"): 514}


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the host the services of PORTS."""

    def port_of(name: str, protocol: str) -> int:
        try:
            return PORTS[name, protocol]
        except KeyError:
            raise OSError("service/proto not found") from None

    monkeypatch.setattr(socket, "getservbyname", port_of)


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize(
    ("given", "expected"),
    [(80, Range(80, 80)), ("0x50", Range(80, 80)), ("1-65535", Range(1, 65535)), (" WWW ", Range(80, 80))],
)
def test_ports(given: t.Any, expected: Range) -> None:
    assert values.port_range(given, "source_port") == expected


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("syslog", r"has several ports on this host \(514, 601\)"),
        ("nothing", "neither a port nor a service"),
        (65536, ""),
        (True, ""),
    ],
)
def test_what_is_no_port(given: t.Any, words: str) -> None:
    with pytest.raises(OptionError, match=rf"^source_port: .*{words}"):
        values.port_range(given, "source_port")


@pytest.mark.parametrize("given", [5, "203.0.113.300", "", "::ffff:203.0.113.9/95x"])
def test_what_is_no_network(given: t.Any) -> None:
    with pytest.raises(OptionError, match=r"^source: .*is not an address or a network"):
        values.parse_network(given, "source")


@pytest.mark.parametrize("given", [ipaddress.IPv4Network("203.0.113.0/24"), 5, True, None, ["203.0.113.9"]])
def test_only_a_text_is_a_network(given: t.Any) -> None:
    with pytest.raises(OptionError, match=r"^source: .*is not an address or a network"):
        values.parse_network(given, "source")
