# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The protocols' names: as this system's /etc/protocols has them, which many a router lacks."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._selector.protocols import PROTOCOL_NUMBERS

PROTOCOLS = pathlib.Path("/etc/protocols")


def numbers_of_the_system() -> dict[str, int]:
    """Return the number of each name and alias."""
    rows = [line.partition("#")[0].split() for line in PROTOCOLS.read_text(encoding="utf-8").splitlines()]
    return {name.lower(): int(row[1]) for row in rows if row for name in (row[0], *row[2:])}


@pytest.mark.skipif(not PROTOCOLS.exists(), reason="not run: this system has no /etc/protocols")
def test_no_name_has_another_number_on_this_system() -> None:
    theirs = numbers_of_the_system()
    shared = theirs.keys() & PROTOCOL_NUMBERS.keys()
    assert shared >= {"icmp", "tcp", "udp", "gre", "esp", "sctp", "ipv6-icmp"}
    assert {name: PROTOCOL_NUMBERS[name] for name in shared} == {name: theirs[name] for name in shared}


def test_each_is_a_protocol_of_an_entry_in_lower_case() -> None:
    assert all(name == name.lower() and 0 <= number <= 255 for name, number in PROTOCOL_NUMBERS.items())
    assert "ip" not in PROTOCOL_NUMBERS
