# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The keys of a selector, and those whose values are names, numbers or bits that an entry has or has not.

Each key says how its values are parsed, and what they are compiled to (see _selector.key).
"""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry, label_bits
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._selector.amount_keys import (
    age_key,
    both_counters_key,
    counter_key,
    idle_key,
    remaining_key,
)
from ansible_collections.netops.conntrack.plugins.module_utils._selector.key import (
    Answer,
    Compiled,
    Key,
    Test,
    of_families,
    of_protocols,
    only,
)
from ansible_collections.netops.conntrack.plugins.module_utils._selector.tuple_keys import (
    address_key,
    address_list_key,
    gre_key,
    icmp_key,
    id_key,
    port_key,
)
from ansible_collections.netops.conntrack.plugins.module_utils._selector.values import (
    choice,
    label_bit,
    mark_and_mask,
    protocol_number,
)
from ansible_collections.netops.conntrack.plugins.module_utils._table.kernel_filter import Condition
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_boolean, parse_number

_MOST_ZONE = 0xFFFF
_ALL_BITS = 0xFFFFFFFF
_FAMILIES = {name: number for number, name in _uapi.FAMILY_NAMES.items()}
_NAT_BITS = {"snat": _uapi.SRC_NAT, "dnat": _uapi.DST_NAT, "none": 0}
_EITHER_NAT = _uapi.SRC_NAT | _uapi.DST_NAT


def _one_of(read: t.Callable[[Entry], t.Any], wanted: t.Collection[t.Any]) -> Test:
    """Make a test whether what is read is one of the ``wanted``."""

    def test(entry: Entry) -> Answer:
        value = read(entry)
        return None if value is None else value in wanted

    return test


def _parse_family(value: t.Any, option: str) -> int:
    return choice(_FAMILIES, value, option)


def _compile_family(numbers: list[int], _context: Context) -> Compiled:
    wanted = set(numbers)
    condition = only([Condition("family", number) for number in wanted])
    return Compiled(_one_of(lambda entry: entry.family, wanted), of_families(wanted), condition)


def _compile_protocol(numbers: list[int], _context: Context) -> Compiled:
    wanted = set(numbers)
    return Compiled(_one_of(lambda entry: entry.protocol, wanted), of_protocols(wanted))


def _parse_state(value: t.Any, option: str) -> str:
    known = sorted({name for names in _uapi.STATE_NAMES.values() for name in names})
    name = str(value).strip().upper()
    if name not in known:
        from ansible_collections.netops.conntrack.plugins.module_utils._selector.hints import hint_for_state

        remedy = hint_for_state(name) or f"Give one of {', '.join(known)}."
        raise OptionError(option, value, "is not a protocol state", remedy)
    return name


def _compile_state(names: list[str], _context: Context) -> Compiled:
    wanted = frozenset(names)
    protocols = frozenset(protocol for protocol, known in _uapi.STATE_NAMES.items() if wanted.intersection(known))

    def test(entry: Entry) -> Answer:
        if entry.protocol not in protocols:
            return False
        name = entry.state_name
        return None if name is None else name in wanted

    return Compiled(test, of_protocols(protocols))


def _status_key(name: str, bits: int) -> Key[bool]:
    """Make the key ``name`` that is true or false by status bits, of which any makes it true."""

    def compiled(values: list[bool], context: Context) -> Compiled:
        wanted = set(values)
        test = _one_of(lambda entry: context.has_bits(entry, name, bits), wanted)
        return Compiled(test, condition=only([condition(value) for value in wanted]))

    def condition(wanted: bool) -> Condition | None:
        has_several_bits = bits & (bits - 1)
        if wanted and has_several_bits:
            return None
        return Condition("status", bits if wanted else 0, bits)

    return Key(parse_boolean, compiled, ("status",))


def _parse_nat(value: t.Any, option: str) -> int:
    return choice(_NAT_BITS, value, option)


def _compile_nat(values: list[int], _context: Context) -> Compiled:
    wanted = set(values)

    def test(entry: Entry) -> Answer:
        if entry.status is None:
            return None
        translated = entry.status & _EITHER_NAT
        return any(translated & bit if bit else not translated for bit in wanted)

    return Compiled(test, condition=only([Condition("status", bit, bit or _EITHER_NAT) for bit in wanted]))


def _parse_zone(value: t.Any, option: str) -> int:
    return parse_number(value, option, _MOST_ZONE)


def _compile_zone(zones: list[int], _context: Context) -> Compiled:
    wanted = set(zones)

    def test(entry: Entry) -> Answer:
        of_directions = (entry.zone_original, entry.zone_reply)
        if of_directions == (None, None):
            return entry.zone in wanted
        return any(zone in wanted for zone in of_directions)

    return Compiled(test, condition=only([Condition("zone", zone) for zone in wanted]))


def _zone_of_direction_key(field: str) -> Key[int]:
    """Make a key for the zone of one direction only. Entries whose zone is that of both directions do not have it."""

    def parse(value: t.Any, option: str) -> int:
        zone = _parse_zone(value, option)
        if zone == 0:
            remedy = f"Give 1 to {_MOST_ZONE}, or zone: 0 for the entries of the default zone."
            raise OptionError(option, 0, "is the default zone, which is never that of one direction only", remedy)
        return zone

    def compiled(zones: list[int], _context: Context) -> Compiled:
        wanted = set(zones)
        return Compiled(lambda entry: getattr(entry, field) in wanted)

    return Key(parse, compiled, (field,))


def _parse_helper(value: t.Any, option: str) -> str:
    if not isinstance(value, str) or "=" in value or len(value.split()) != 1:
        raise OptionError(option, value, "is not the name of a helper", "Give a name such as ftp or sip.")
    return value.strip()


def _compile_helper(names: list[str], context: Context) -> Compiled:
    wanted = frozenset(names)
    may_have_one = "helper" in context.unlisted

    def test(entry: Entry) -> Answer:
        return None if entry.helper is None and may_have_one else entry.helper in wanted

    return Compiled(test)


def _compile_label(bits: list[int], context: Context) -> Compiled:
    may_have_some = "labels" in context.unlisted

    def test(entry: Entry) -> Answer:
        if entry.labels is None and may_have_some:
            return None
        labels = label_bits(entry.labels)
        return any(labels >> bit & 1 for bit in bits)

    return Compiled(test)


def _compile_mark(marks: list[tuple[int, int]], _context: Context) -> Compiled:
    def test(entry: Entry) -> Answer:
        mark = entry.mark
        if mark is None:
            return None
        return any(mark & mask == wanted for wanted, mask in marks)

    conditions = [Condition("mark", mark) if mask == _ALL_BITS else None for mark, mask in marks]
    return Compiled(test, condition=only(conditions))


KEYS: dict[str, Key[t.Any]] = {
    "family": Key(_parse_family, _compile_family, ("family",)),
    "protocol": Key(protocol_number, _compile_protocol, ("protocol",)),
    "state": Key(_parse_state, _compile_state, ("protocol", "state")),
    "replied": _status_key("replied", _uapi.SEEN_REPLY),
    "assured": _status_key("assured", _uapi.ASSURED),
    "offloaded": _status_key("offloaded", _uapi.OFFLOAD | _uapi.HW_OFFLOAD),
    "expected": _status_key("expected", _uapi.EXPECTED),
    "nat": Key(_parse_nat, _compile_nat, ("status",)),
    "source": address_key("source"),
    "destination": address_key("destination"),
    "reply_source": address_key("reply_source"),
    "reply_destination": address_key("reply_destination"),
    "address": address_key("source", "destination", "reply_source", "reply_destination"),
    "source_list": address_list_key("source"),
    "destination_list": address_list_key("destination"),
    "address_list": address_list_key("source", "destination", "reply_source", "reply_destination"),
    "source_port": port_key("source_port"),
    "destination_port": port_key("destination_port"),
    "reply_source_port": port_key("reply_source_port"),
    "reply_destination_port": port_key("reply_destination_port"),
    "source_key": gre_key("source_port"),
    "destination_key": gre_key("destination_port"),
    "reply_source_key": gre_key("reply_source_port"),
    "reply_destination_key": gre_key("reply_destination_port"),
    "icmp_type": icmp_key("icmp_type", 0xFF),
    "icmp_code": icmp_key("icmp_code", 0xFF),
    "icmp_id": icmp_key("icmp_id", 0xFFFF),
    "reply_icmp_type": icmp_key("reply_icmp_type", 0xFF),
    "reply_icmp_code": icmp_key("reply_icmp_code", 0xFF),
    "reply_icmp_id": icmp_key("reply_icmp_id", 0xFFFF),
    "id": id_key(),
    "mark": Key(mark_and_mask, _compile_mark, ("mark",)),
    "zone": Key(_parse_zone, _compile_zone, ("zone", "zone_original", "zone_reply")),
    "zone_original": _zone_of_direction_key("zone_original"),
    "zone_reply": _zone_of_direction_key("zone_reply"),
    "label": Key(label_bit, _compile_label, ("labels",)),
    "helper": Key(_parse_helper, _compile_helper, ("helper",)),
    "packets_original": counter_key("packets_original"),
    "packets_reply": counter_key("packets_reply"),
    "bytes_original": counter_key("bytes_original"),
    "bytes_reply": counter_key("bytes_reply"),
    "packets": both_counters_key("packets_original", "packets_reply"),
    "bytes": both_counters_key("bytes_original", "bytes_reply"),
    "remaining": remaining_key(),
    "idle": idle_key(),
    "age": age_key(),
}
"""Every key of the selector language."""
