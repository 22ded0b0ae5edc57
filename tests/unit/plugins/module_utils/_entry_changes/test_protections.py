# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.protections import (
    Master,
    address_protection,
    protections_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from helpers.encoded_messages import blocks_of

TCP, UDP = 6, 17
ENDS = {"source_port": 40000, "destination_port": 80, "reply_source_port": 80, "reply_destination_port": 40000}


def divided(entry: dict[str, t.Any], **options: t.Any) -> list[str]:
    """Return what protects the entry, and another one that nothing protects."""
    plain = {**ENDS, "protocol": entry.get("protocol", TCP), "id": 2}
    [block] = blocks_of({**plain, **entry, "id": 1}, plain)
    options.setdefault("unprotected", ())
    parts = [(name, [one.id for one in part.entries()]) for name, part in protections_of(**options).divide(block)]
    assert [numbers for _name, numbers in parts] in ([[1], [2]], [[1, 2]])
    return [name for name, _numbers in parts]


@pytest.mark.parametrize("field", list(ENDS))
@pytest.mark.parametrize(("protocol", "port", "name"), [(TCP, 179, "bgp"), (UDP, 500, "ike"), (UDP, 4500, "ike")])
def test_a_port_counts_in_either_direction_and_on_either_side_of_nat(
    field: str, protocol: int, port: int, name: str
) -> None:
    assert divided({"protocol": protocol, field: port}) == [name, ""]
    assert divided({"protocol": protocol, field: port}, unprotected=[name]) == [""]
    # The port of another protocol is another service.
    assert divided({"protocol": TCP + UDP - protocol, field: port}) == [""]


@pytest.mark.parametrize(("protocol", "name"), [(89, "ospf"), (112, "vrrp"), (47, "")])
def test_a_protocol_counts_for_each_of_its_entries(protocol: int, name: str) -> None:
    [block] = blocks_of(*({"protocol": protocol, "id": number} for number in (1, 2)))
    assert [(found, len(part)) for found, part in protections_of(()).divide(block)] == [(name, 2)]
    assert [(found, len(part)) for found, part in protections_of([name]).divide(block)] == [("", 2)]


@pytest.mark.parametrize(("protocol", "expected"), [(UDP, ["conntrackd", ""]), (TCP, [""])])
def test_the_ports_of_conntrackd_are_of_a_protocol(protocol: int, expected: list[str]) -> None:
    assert divided({"protocol": protocol, "source_port": 3999}, sync_ports={(UDP, 3999)}) == expected


def test_an_address_counts_in_each_place() -> None:
    addresses = address_protection(["203.0.113.64/26"])
    for field in ("source", "destination", "reply_source", "reply_destination"):
        inside, outside = (socket.inet_aton(f"203.0.113.{host}") for host in (64, 63))
        assert divided({field: inside}, addresses=addresses) == ["address", ""]
        assert divided({field: outside}, addresses=addresses) == [""]


@pytest.mark.parametrize("bad", ["203.0.113.300", "router1", "", "203.0.113.0/33"])
def test_what_is_no_address(bad: str) -> None:
    with pytest.raises(OptionError, match="protect"):
        address_protection([bad])


def test_the_master_of_an_expectation() -> None:
    source, destination = socket.inet_aton("198.51.100.1"), socket.inet_aton("203.0.113.9")
    entry = {"source": source, "destination": destination, "source_port": 41000}
    master = Master(TCP, source, 41000, destination, 80)
    assert divided(entry, masters=[master]) == ["expectation", ""]
    assert divided(entry, masters=[master._replace(destination_port=81)]) == [""]
    assert divided(entry, masters=[master], unprotected=["expectation"]) == [""]
    # It is kept because of its helper, or meant with all that the helper expects.
    [with_helper] = blocks_of({**ENDS, **entry, "helper": "ftp"})
    assert [name for name, _part in protections_of((), masters=[master]).divide(with_helper)] == [""]
