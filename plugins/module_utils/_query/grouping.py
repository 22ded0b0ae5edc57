# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What entries can be grouped by: the fields that people read, and the networks that their addresses are in."""

from __future__ import annotations

import difflib
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._query.fields import ALL_FIELDS, Reader, address_text

ADDRESSES = ("source", "destination", "reply_source", "reply_destination")
"""The fields that are addresses."""

# A group has these as its sums.
_FIELDS = [name for name in ALL_FIELDS if name not in ("packets", "bytes")]

_NETWORK = re.compile(rf"({'|'.join(ADDRESSES)})/([0-9]{{1,3}})(?:/([0-9]{{1,3}}))?", re.ASCII)
"""An address field with the length of a prefix, or with two, that of IPv4 and that of IPv6."""

_IPV4_BITS, _IPV6_BITS = 32, 128


def check_field(option: str, given: str, name: str, fields: t.Sequence[str]) -> None:
    """Raise OptionError where ``name`` is none of the ``fields``. ``given`` is what the option says."""
    if name not in fields:
        close = difflib.get_close_matches(name, fields, 1)
        remedy = f"Did you mean {close[0]!r}?" if close else f"The fields are {', '.join(fields)}."
        raise OptionError(option, given, "is not a field that can stand here", remedy)


def group_reader(name: str, option: str) -> Reader:
    """Return how to read what ``name`` groups by. Raises OptionError where nothing can be grouped by it."""
    network = _NETWORK.fullmatch(name)
    if network:
        field, *lengths = network.groups()
        return _network_reader(field, _prefix_lengths(name, option, *lengths))
    field = name.partition("/")[0]
    if field in ADDRESSES and field != name:
        raise OptionError(option, name, "has no length of a prefix", _network_remedy(field))
    check_field(option, name, name, _FIELDS)
    return ALL_FIELDS[name]


def _prefix_lengths(name: str, option: str, first: str, second: str | None) -> dict[int, int]:
    """Return the length of the prefix by the number of bits that an address has.

    A single length is that of IPv6 where it is too long for IPv4.
    """
    lengths = {_IPV4_BITS: int(first)}
    if second is not None:
        lengths[_IPV6_BITS] = int(second)
    elif int(first) > _IPV4_BITS:
        lengths = {_IPV6_BITS: int(first)}
    if any(length > bits for bits, length in lengths.items()):
        field = name.partition("/")[0]
        raise OptionError(option, name, "has a prefix that is too long", _network_remedy(field))
    return lengths


def _network_remedy(field: str) -> str:
    return (
        f"Give {field}/N with N from 0 to 32 for IPv4 or from 33 to 128 for IPv6, or both, IPv4 first, as in "
        f"{field}/24/64."
    )


def _network_reader(field: str, lengths: t.Mapping[int, int]) -> Reader:
    """Make the reader of the network that an address is in, None for an address of a family without a length."""

    def read(entry: Entry, _context: Context) -> str | None:
        address: bytes = getattr(entry, field)
        length = lengths.get(8 * len(address))
        return None if length is None else _network_text(address, length)

    return Reader((field,), read)


def _network_text(address: bytes, length: int) -> str:
    host_bits = 8 * len(address) - length
    network_bits = int.from_bytes(address, "big") >> host_bits
    first_address = (network_bits << host_bits).to_bytes(len(address), "big")
    return f"{address_text(first_address)}/{length}"
