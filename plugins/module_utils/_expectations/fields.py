# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""An expectation as people and programs read it: a dict."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.expectation import Expectation, Nat
from ansible_collections.netops.conntrack.plugins.module_utils._query.fields import ALL_FIELDS, address_text

_ENDS = ("source", "destination", "source_port", "destination_port", "source_key", "destination_key")
_DIRECTIONS = {0: "original", 1: "reply"}
NO_CONTEXT = Context({}, 0)
"""Nothing that is read of an expectation depends on settings."""


def as_dict(expectation: Expectation) -> dict[str, t.Any]:
    """Return the expectation as a dict, with that of its master and of what is expected."""
    expected = expectation.expected
    return {
        "family": expected.family_name,
        "helper": expected.helper,
        "class": expectation.class_number,
        "remaining": expected.remaining,
        "zone": expectation.zone,
        "id": expectation.id,
        "flags": flag_names(expectation.flags),
        "function": expectation.function,
        "expected": tuple_dict(expected),
        "mask": _ends_of(expectation.mask),
        "master": tuple_dict(expectation.master),
        "nat": None if expectation.nat is None else _nat_dict(expectation.nat),
    }


def tuple_dict(ends: Entry) -> dict[str, t.Any]:
    """Return protocol, addresses and ports of a tuple. What the protocol does not have is None."""
    return {"protocol": ends.protocol_name, **_ends_of(ends)}


def _ends_of(ends: Entry) -> dict[str, t.Any]:
    # A mask can be missing.
    has_addresses = ends.source is not None and ends.destination is not None
    names = _ENDS if has_addresses else _ENDS[2:]
    return {**dict.fromkeys(_ENDS), **{name: ALL_FIELDS[name].read(ends, NO_CONTEXT) for name in names}}


def _nat_dict(nat: Nat) -> dict[str, t.Any]:
    direction = None if nat.direction is None else _DIRECTIONS.get(nat.direction)
    source = None if nat.source is None else address_text(nat.source)
    return {"direction": direction, "source": source, "source_port": nat.source_port}


def flag_names(flags: int | None) -> list[str]:
    """Return the names of the flags that are set, as conntrack(8) prints them, and the numbers of unknown ones."""
    bits = [1 << number for number in range(32) if (flags or 0) >> number & 1]
    return [_uapi.EXPECT_FLAG_NAMES.get(bit, str(bit)) for bit in bits]
