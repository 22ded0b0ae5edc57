# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""One expectation: a connection that a helper, or a rule, expects because of another connection, its master.

The helper of FTP reads in the master that a data connection will follow, and which. Until that comes, or the time is
over, the kernel keeps what it expects in a table of its own. What it compares is the expected tuple under a mask.
"""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._errors import MalformedError
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import (
    NUMBER,
    TEXT,
    Field,
    Schema,
    tuple_schema,
)

_EXPECTATION: Schema = {
    _uapi.CTA_EXPECT_TUPLE: tuple_schema("", "zone_of_expected"),
    _uapi.CTA_EXPECT_MASK: tuple_schema("mask_", "zone_of_mask"),
    _uapi.CTA_EXPECT_MASTER: tuple_schema("master_", "zone_of_master"),
    _uapi.CTA_EXPECT_TIMEOUT: Field("remaining", NUMBER, (4,)),
    _uapi.CTA_EXPECT_ID: Field("id", NUMBER, (4,)),
    _uapi.CTA_EXPECT_HELP_NAME: Field("helper", TEXT),
    _uapi.CTA_EXPECT_ZONE: Field("zone", NUMBER, (2,)),
    _uapi.CTA_EXPECT_FLAGS: Field("flags", NUMBER, (4,)),
    _uapi.CTA_EXPECT_CLASS: Field("class", NUMBER, (4,)),
    _uapi.CTA_EXPECT_NAT: {
        _uapi.CTA_EXPECT_NAT_DIR: Field("nat_direction", NUMBER, (4,)),
        _uapi.CTA_EXPECT_NAT_TUPLE: tuple_schema("nat_", "zone_of_nat"),
    },
    _uapi.CTA_EXPECT_FN: Field("function", TEXT),
}
"""What the kernel sends of an expectation (ctnetlink_exp_dump_expect() in net/netfilter/nf_conntrack_netlink.c)."""

_OF_TUPLE = ("protocol", "source", "destination")
_REQUIRED = (*_OF_TUPLE, *(f"master_{name}" for name in _OF_TUPLE), "id")
"""The fields without which a message is no expectation."""


class Nat(t.NamedTuple):
    """How the expected connection will be translated: its source as it was before, and the direction of the master.

    A direction of 0 is the original one.
    """

    direction: int | None
    source: bytes | None
    source_port: int | None


class Expectation(t.NamedTuple):
    """An expectation as the kernel sent it. None: the message did not say.

    ``expected``, ``mask`` and ``master`` are tuples, as entries of which nothing but the tuple is known. ``expected``
    also has helper, zone, id and the seconds that remain, for the tests of selectors. The kernel does not send the
    zone, so that it is None until somebody has found it (see _expectations.zones). ``name`` is the expected tuple as it
    was sent.
    """

    expected: Entry
    mask: Entry
    master: Entry
    flags: int | None
    class_number: int | None
    nat: Nat | None
    function: str | None
    name: bytes

    @property
    def id(self) -> int:
        """The kernel's number of the expectation."""
        # It is required of each message.
        return t.cast(int, self.expected.id)

    @property
    def zone(self) -> int | None:
        """The zone of the master, in which the connection is expected."""
        return t.cast("int | None", self.expected.zone)

    def in_zone(self, zone: int) -> Expectation:
        """Return the expectation with this zone."""
        fields = {**vars(self.expected), "zone": zone}
        return self._replace(expected=Entry(**fields))

    @property
    def identity(self) -> tuple[t.Any, ...]:
        """What tells it from every other expectation, and from one that takes its place."""
        return self.name, self.id, self.expected.family, self.zone, tuple(vars(self.master).values())


def decode(message: bytes) -> Expectation:
    """Return the expectation in a message of nfnetlink. Attributes that are not known are left out.

    Raises MalformedError if lengths or sizes in it do not add up, or the tuples or the id are missing.
    """
    if len(message) < framing.ATTRIBUTES_AT:
        raise MalformedError("netlink: an expectation without its family")
    family = message[framing.HEADER_LENGTH]
    fields = dict(_values(_EXPECTATION, message, framing.ATTRIBUTES_AT, len(message)))
    for name in _REQUIRED:
        if name not in fields:
            raise MalformedError(f"netlink: an expectation without its {name}")
    expected = _tuple_of(fields, "", family)
    of_selectors = {name: fields.get(name) for name in ("helper", "zone", "id", "remaining")}
    return Expectation(
        expected=Entry(**vars(expected), **of_selectors),
        mask=_tuple_of(fields, "mask_", family),
        master=_tuple_of(fields, "master_", family),
        flags=fields.get("flags"),
        class_number=fields.get("class"),
        nat=_nat_of(fields),
        function=fields.get("function"),
        name=_attribute(message, _uapi.CTA_EXPECT_TUPLE),
    )


def _values(schema: Schema, message: bytes, start: int, end: int) -> t.Iterator[tuple[str, t.Any]]:
    """Yield name and value of each known field between ``start`` and ``end``."""
    for kind, value_start, value_end in framing.walk(message, start, end):
        known = schema.get(kind)
        if known is None:
            continue
        if not isinstance(known, Field):
            yield from _values(known, message, value_start, value_end)
            continue
        size = value_end - value_start
        if known.sizes and size not in known.sizes:
            raise MalformedError(f"netlink: {known.name} has {size} bytes instead of {known.sizes[0]}")
        yield known.name, known.encoding.decode(message[value_start:value_end])


def _tuple_of(fields: t.Mapping[str, t.Any], prefix: str, family: int) -> Entry:
    """Return the tuple whose fields begin with ``prefix``. Zones of one direction are never sent of a tuple here."""
    names = (*_OF_TUPLE, "source_port", "destination_port", "icmp_type", "icmp_code", "icmp_id")
    values = {name: fields.get(f"{prefix}{name}") for name in names}
    return Entry(family=family, zone_original=None, zone_reply=None, **values)


def _nat_of(fields: t.Mapping[str, t.Any]) -> Nat | None:
    if "nat_source" not in fields and "nat_source_port" not in fields:
        return None
    return Nat(fields.get("nat_direction"), fields.get("nat_source"), fields.get("nat_source_port"))


def _attribute(message: bytes, wanted: int) -> bytes:
    """Return the value of an attribute of the message as it was sent."""
    spans = framing.walk(message, framing.ATTRIBUTES_AT, len(message))
    return next(message[start:end] for kind, start, end in spans if kind == wanted)
