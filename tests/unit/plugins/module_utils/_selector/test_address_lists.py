# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of addresses: ipaddress is the judge of which are in them."""

from __future__ import annotations

import ipaddress
import os
import pathlib
import random
import socket
import tempfile
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import NotPermittedError, OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._files.paths import Place
from ansible_collections.netops.conntrack.plugins.module_utils._selector import address_lists
from ansible_collections.netops.conntrack.plugins.module_utils._selector.address_lists import (
    AddressList,
    parse_address_list,
)
from hypothesis import given, settings
from hypothesis import strategies as st

FOUR, SIX = int(socket.AF_INET), int(socket.AF_INET6)
Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "list.txt"


def holds(addresses: AddressList, text: str) -> bool:
    address = ipaddress.ip_address(text)
    return (FOUR if address.version == 4 else SIX, int(address)) in addresses


def error_of(file: pathlib.Path) -> str:
    with pytest.raises(OptionError) as caught:
        parse_address_list(str(file), "match[0].address_list")
    return caught.value.message


def test_both_families_with_comments_and_blanks(file: pathlib.Path) -> None:
    file.write_bytes(
        b"\xef\xbb\xbf# a list\r\n198.51.100.0/24 ; SBL1\r\n\r\n  203.0.113.9# one\n; nothing\n"
        b"2001:db8:bad::/48\n::ffff:192.0.2.1\n::ffff:192.0.2.8/125\n# \xff is no text".decode("unicode_escape").encode(
            "latin-1"
        )
    )
    found = parse_address_list(f" {file} ", "o")
    for inside in (
        "198.51.100.0",
        "198.51.100.255",
        "203.0.113.9",
        "2001:db8:bad::",
        "2001:db8:bad:ffff::1",
        "192.0.2.1",
        "192.0.2.15",
    ):
        assert holds(found, inside), inside
    for outside in ("198.51.99.255", "198.51.101.0", "203.0.113.8", "203.0.113.10", "2001:db8:bae::", "192.0.2.2"):
        assert not holds(found, outside), outside


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("198.51.100.1/24", "'198.51.100.1/24' in line 2"),
        ("198.51.100.0/33", "'198.51.100.0/33' in line 2"),
        ("198.51.100", "'198.51.100' in line 2"),
        ("198.51.100.0/", "'198.51.100.0/' in line 2"),
        ("198.51.100.0/ 24", "'198.51.100.0/ 24' in line 2"),
        ("0.0.0.0 ads.example.com", "'0.0.0.0 ads.example.com' in line 2"),
        ("198.51.100.1,198.51.100.2", "in line 2"),
        ("10.0.0.1-10.0.0.9", "in line 2"),
        ("fe80::1%eth0", "in line 2"),
        ("2001:db8::1/129", "in line 2"),
        ("\0", "in line 2"),
        ("\u0661.1.1.1", "in line 2"),
        ("1.1.1.0/\u0662\u0664", "in line 2"),
    ],
)
def test_a_line_that_is_none_is_named(file: pathlib.Path, line: str, shown: str) -> None:
    file.write_text(f"192.0.2.1\n{line}\n", encoding="utf-8")
    message = error_of(file)
    assert f"match[0].address_list: {str(file)!r} has what is no address or network: " in message
    assert shown in message
    assert " more" not in message
    assert "Comments begin with # or ;." in message


def test_of_many_bad_lines_the_first_are_named(file: pathlib.Path) -> None:
    file.write_text("x" * 10_000 + "\n" + "y\n" * 99, encoding="utf-8")
    message = error_of(file)
    assert "'y' in line 3 and 97 more. Give" in message
    assert len(message) < 500


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n;\n"])
def test_a_list_without_an_address_is_no_list(file: pathlib.Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    assert "has no address in it. Fill the list, or leave the key out." in error_of(file)


@pytest.mark.parametrize("value", ["list.txt", "~/list.txt", 7, True, {"path": "/x"}])
def test_only_an_absolute_path_is_taken(value: t.Any) -> None:
    with pytest.raises(OptionError, match="is not an absolute path"):
        parse_address_list(value, "o")


def test_what_is_no_file(tmp_path: pathlib.Path, file: pathlib.Path) -> None:
    assert "No such file" in error_of(file)
    assert "not a regular file" in error_of(tmp_path)
    os.mkfifo(file)
    assert "not a regular file" in error_of(file)


def test_a_file_that_others_can_write_decides_nothing(tmp_path: pathlib.Path, file: pathlib.Path) -> None:
    file.write_text("192.0.2.1\n", encoding="utf-8")
    file.chmod(0o666)
    assert f"run: chmod go-w {file}" in error_of(file)
    file.chmod(0o644)
    tmp_path.chmod(0o777)
    assert "to which everybody may write: they decide what is there" in error_of(file)
    tmp_path.chmod(0o700)
    assert holds(parse_address_list(str(file), "o"), "192.0.2.1")


def test_a_file_that_cannot_be_read_says_so(file: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_arguments: t.Any) -> bytes:
        raise PermissionError(13, "Permission denied")

    file.write_text("192.0.2.1\n", encoding="utf-8")
    monkeypatch.setattr(Place, "read", denied)
    with pytest.raises(NotPermittedError, match="Run it as root"):
        parse_address_list(str(file), "o")


def test_a_file_that_is_too_large_is_refused(file: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("192.0.2.1\n" * 100, encoding="utf-8")
    monkeypatch.setattr(address_lists, "MOST_BYTES", 999)
    assert "it is larger than 999 bytes" in error_of(file)


def test_a_file_that_was_changed_is_read_again(file: pathlib.Path) -> None:
    file.write_text("192.0.2.1\n", encoding="utf-8")
    first = parse_address_list(str(file), "o")
    assert parse_address_list(str(file), "o") is first
    file.write_text("192.0.2.10\n", encoding="utf-8")
    assert holds(parse_address_list(str(file), "o"), "192.0.2.10")


def _networks(version: int) -> st.SearchStrategy[Network]:
    """Return networks that are near each other, so that many overlap or touch."""
    bits, kind = (32, ipaddress.IPv4Network) if version == 4 else (128, ipaddress.IPv6Network)
    base = 0xC6120000 if version == 4 else 0x20010DB8 << 96

    def network(number: int, free: int) -> Network:
        return kind((base + (number >> free << free), bits - free))

    return st.builds(network, st.integers(0, 300), st.integers(0, 6)) | st.just(kind((0, 0)))


@settings(max_examples=100, deadline=None)
@given(
    networks=st.lists(_networks(4) | _networks(6), min_size=1, max_size=12),
    numbers=st.lists(st.integers(0, 400), max_size=20),
)
def test_an_address_is_in_the_list_if_it_is_in_a_network_of_it(networks: list[Network], numbers: list[int]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory) / "list.txt"
        file.write_text("\n".join(map(str, networks)), encoding="utf-8")
        found = parse_address_list(str(file), "o")
    for version, family, base in ((4, FOUR, 0xC6120000), (6, SIX, 0x20010DB8 << 96)):
        for number in [*numbers, *(each for network in networks for each in (int(network[0]) - base,))]:
            if not 0 <= base + number < 1 << (32 if version == 4 else 128):
                continue
            address = ipaddress.ip_address((base + number).to_bytes(4 if version == 4 else 16, "big"))
            wanted = any(network.version == version and address in network for network in networks)
            assert ((family, base + number) in found) == wanted


def test_each_address_of_a_small_network_is_in_the_list_or_not(tmp_path: pathlib.Path) -> None:
    """Ranges inside of others, next to others, and with one address between them."""
    base, size = 0xC6120000, 32
    for seed in range(150):
        chosen = random.Random(seed)
        ends = [sorted(chosen.choices(range(size), k=2)) for _range in range(chosen.randint(1, 5))]
        networks = [
            network
            for first, last in ends
            for network in ipaddress.summarize_address_range(
                ipaddress.IPv4Address(base + first), ipaddress.IPv4Address(base + last)
            )
        ]
        chosen.shuffle(networks)
        file = tmp_path / f"list-{seed}"
        file.write_text("\n".join(map(str, networks)), encoding="utf-8")
        found = parse_address_list(str(file), "o")
        inside = {base + number for first, last in ends for number in range(first, last + 1)}
        assert {number for number in range(base - 2, base + size + 2) if (FOUR, number) in found} == inside


def test_all_of_ipv4_is_mapped_as_a_whole(file: pathlib.Path) -> None:
    file.write_text("::ffff:0:0/96\n", encoding="utf-8")
    found = parse_address_list(str(file), "o")
    assert holds(found, "0.0.0.0")
    assert holds(found, "255.255.255.255")
    assert found.families == {FOUR}


def test_a_file_that_is_removed_meanwhile_is_no_list(file: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("192.0.2.1\n", encoding="utf-8")
    monkeypatch.setattr(Place, "read", lambda *_arguments: None)
    assert "No such file" in error_of(file)


def test_neighbours_become_one_range(file: pathlib.Path) -> None:
    file.write_text("\n".join(f"198.18.0.{number}" for number in range(256)) + "\n198.18.1.0/24\n", encoding="utf-8")
    found = parse_address_list(str(file), "o")
    assert sorted(found.breakpoints) == [0xC6120000, 0xC6120200]
