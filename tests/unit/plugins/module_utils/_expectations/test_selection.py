# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Selectors of expectations, with the values of the selector language."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.expectation import decode
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.selection import (
    EXPECTATION_KEYS,
    compile_match,
)
from helpers.encoded_expectations import MASTER, TUPLE, ends, expectation_message
from helpers.encoded_messages import GRE, nested

FTP = decode(expectation_message()).in_zone(7)
UNKNOWN_ZONE = decode(expectation_message())
BY_RULE = decode(expectation_message(help_name=None, timeout=None)).in_zone(0)
GRE6 = decode(
    expectation_message(
        version=6,
        tuple=nested(TUPLE, ends("2001:db8::1", "2001:db8::2", 5, 6, GRE)),
        master=nested(MASTER, ends("2001:db8::2", "2001:db8::1", 1723, 9, 17)),
    )
).in_zone(0)
EXPECTATIONS = {"ftp": FTP, "gre, ipv6": GRE6, "by a rule": BY_RULE, "zone unknown": UNKNOWN_ZONE}


@pytest.mark.parametrize(
    ("match", "one", "answer"),
    [
        ("helper=ftp", "ftp", True),
        ("helper=sip,ftp", "ftp", True),
        ("helper=sip", "ftp", False),
        ("helper=ftp", "by a rule", False),
        ("family=ipv4", "ftp", True),
        ("family=ipv6", "ftp", False),
        ("family=ipv6 protocol=gre", "gre, ipv6", True),
        ("protocol=tcp source=203.0.113.0/24 destination=198.51.100.7", "ftp", True),
        ("source=198.51.100.7", "ftp", False),
        ("destination_port=40000-41000", "ftp", True),
        ("destination_port=21", "ftp", False),
        ("source_port=0", "ftp", True),
        ("source_key=5 destination_key=6", "gre, ipv6", True),
        ("destination_key=5", "gre, ipv6", False),
        ("destination_port=6", "gre, ipv6", False),
        ("master_source=198.51.100.0/24", "ftp", True),
        ("master_source=203.0.113.0/24", "ftp", False),
        ("master_destination=203.0.113.21 master_destination_port=21 master_source_port=51939", "ftp", True),
        ("master_protocol=tcp", "ftp", True),
        ("master_protocol=tcp", "gre, ipv6", False),
        ("master_source=2001:db8::/32", "gre, ipv6", True),
        ("zone=7", "ftp", True),
        ("zone=0", "ftp", False),
        ("zone=0", "by a rule", True),
        ("zone=0", "zone unknown", None),
        ("zone=0 helper=sip", "zone unknown", False),
        ("id=2153820308", "ftp", True),
        ("id=1", "ftp", False),
        ("remaining.max=300", "ftp", True),
        ("remaining.max=1m", "ftp", False),
        ("remaining.max=1m", "by a rule", None),
        ([{"helper": "sip"}, {"zone": 7}], "ftp", True),
        ([{"helper": "sip"}, {"zone": 0}], "zone unknown", None),
        ([{"helper": "ftp"}, {"zone": 0}], "zone unknown", True),
        (None, "zone unknown", True),
    ],
    ids=str,
)
def test_what_is_selected(match: t.Any, one: str, answer: bool | None) -> None:
    assert compile_match(match).decide(EXPECTATIONS[one]) is answer


def test_lists_of_addresses(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "list"
    path.write_text("198.51.100.0/24 # clients\n")
    assert compile_match({"master_source_list": str(path)}).decide(FTP)
    assert not compile_match({"source_list": str(path)}).decide(FTP)


@pytest.mark.parametrize(
    ("match", "says"),
    [
        ({}, "is empty and would select every entry"),
        ([], "match: [] selects nothing"),
        ("", "is empty"),
        ({"helpr": "ftp"}, "Did you mean 'helper'?"),
        ({"state": "ESTABLISHED"}, "is not a key of expectations"),
        ({"master_zone": 7}, "is not a key of expectations"),
        ({7: 7}, "is not a key of expectations"),
        ({"helper": None}, "match.helper: None is null"),
        ({"master_source": "198.51.100.7/24"}, "match.master_source: '198.51.100.7/24' is not an address"),
        ("helper=ftp,master_source=198.51.100.7", "is not one selector"),
        ("protocol=icmp destination_port=7", "contradicts itself"),
        ("master_protocol=gre master_source_port=7", "contradicts itself"),
        ("family=ipv6 source=198.51.100.7", "contradicts itself"),
    ],
    ids=str,
)
def test_mistakes_are_refused(match: t.Any, says: str) -> None:
    with pytest.raises(OptionError) as caught:
        compile_match(match)
    assert says in caught.value.message


def test_what_deletes_needs_a_selector() -> None:
    with pytest.raises(OptionError, match="match: None selects nothing"):
        compile_match(None, or_all=False)


def test_a_port_of_the_master_does_not_contradict_what_is_expected() -> None:
    assert compile_match("protocol=gre master_protocol=udp master_source_port=1723").decide(GRE6)


def test_every_key_is_documented() -> None:
    fragment = pathlib.Path(__file__).parents[5] / "plugins" / "doc_fragments" / "_expectations.py"
    text = fragment.read_text(encoding="utf-8")
    with_suffix = ("_list", "_key")
    plain = [key for key in EXPECTATION_KEYS if not key.startswith("master_") or not key.endswith(with_suffix)]
    assert [key for key in plain if f"C({key})" not in text] == []
