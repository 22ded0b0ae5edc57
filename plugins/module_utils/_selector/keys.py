# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The keys of a selector: each compiles its values to a test of an entry, and names the fields that the test reads."""

from __future__ import annotations

import dataclasses
import functools
import socket
import sys
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import (
    IDLE_FIELDS,
    Timeouts,
    age,
    age_changes,
    idle,
    idle_changes,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._selector.hints import hint_for_state
from ansible_collections.netops.conntrack.plugins.module_utils._selector.values import (
    Network,
    Range,
    boolean,
    choice,
    label_bit,
    mark_and_mask,
    number_range,
    parse_count,
    parse_network,
    parse_range,
    port_range,
    protocol_number,
)
from ansible_collections.netops.conntrack.plugins.module_utils._table.kernel_filter import Condition
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_duration, parse_number

_MOST_ZONE = 0xFFFF

Answer = t.Optional[bool]
Test = t.Callable[[Entry], Answer]
"""A test answers True, False, or None where the entry lacks the field."""


@dataclasses.dataclass(frozen=True)
class Context:
    """What a test needs besides the entry: the sysctls by short name, and the time in nanoseconds since the epoch.

    ``given`` is what is known of timeouts; without it, nothing but the sysctls is.
    """

    settings: t.Mapping[str, int]
    now: int
    given: Timeouts | None = None

    @classmethod
    def read(cls, settings: t.Mapping[str, int]) -> Context:
        """Return the context of this moment in the present network namespace, whose sysctls are ``settings``.

        Raises what Timeouts.read raises.
        """
        timeouts = Timeouts.read(settings)
        return cls(settings, timeouts.now, timeouts)

    @functools.cached_property
    def timeouts(self) -> Timeouts:
        """What is known of the timeouts that entries may have got."""
        return self.given or Timeouts(self.settings, self.now)


Breakpoints = t.Mapping[str, t.Collection[int]]

Kind = tuple[int, int]
"""A family and a protocol, both as numbers."""

EVERY_KIND: frozenset[Kind] = frozenset((family, protocol) for family in _uapi.FAMILY_NAMES for protocol in range(256))
"""All that an entry can be."""


class Compiled(t.NamedTuple):
    """What a key with its values is for an entry and for the kernel.

    Only entries of ``kinds`` can meet the test. ``condition`` is what the kernel can be asked for in place of a single
    value: every entry that meets the test, or for which it is undecidable, meets the condition. It is None where there
    is no such condition. ``breakpoints`` has, by field, all numbers at which the test's answer changes when the field's
    number grows.
    """

    test: Test
    kinds: frozenset[Kind] = EVERY_KIND
    condition: Condition | None = None
    breakpoints: Breakpoints = {}


class Key(t.NamedTuple):
    """A selector key: what compiles its values, and the fields of an entry that its tests read.

    ``compile`` takes the values, the option's name for errors, and the context. Raises OptionError for a bad value.
    """

    compile: t.Callable[[list[t.Any], str, Context], Compiled]
    fields: tuple[str, ...]


def _of_families(families: t.Collection[int]) -> frozenset[Kind]:
    return frozenset(kind for kind in EVERY_KIND if kind[0] in families)


def _of_protocols(protocols: t.Collection[int]) -> frozenset[Kind]:
    return frozenset(kind for kind in EVERY_KIND if kind[1] in protocols)


def _only(conditions: t.Sequence[Condition | None]) -> Condition | None:
    """Return the condition of a single value. There is none for several: the kernel cannot be asked for any of them."""
    return conditions[0] if len(conditions) == 1 else None


# Fields that are one of a set


def _one_of(read: t.Callable[[Entry], t.Any], wanted: t.Collection[t.Any]) -> Test:
    def test(entry: Entry) -> Answer:
        value = read(entry)
        return None if value is None else value in wanted

    return test


def _family(values: list[t.Any], option: str, _context: Context) -> Compiled:
    names = {name: number for number, name in _uapi.FAMILY_NAMES.items()}
    wanted = {choice(names, value, option) for value in values}
    conditions = [Condition("family", number) for number in wanted]
    return Compiled(_one_of(lambda entry: entry.family, wanted), _of_families(wanted), _only(conditions))


def _protocol(values: list[t.Any], option: str, _context: Context) -> Compiled:
    wanted = {protocol_number(value, option) for value in values}
    return Compiled(_one_of(lambda entry: entry.protocol, wanted), _of_protocols(wanted))


def _state(values: list[t.Any], option: str, _context: Context) -> Compiled:
    wanted = frozenset(_state_of(value, option) for value in values)
    protocols = frozenset(protocol for protocol, names in _uapi.STATE_NAMES.items() if wanted.intersection(names))

    def test(entry: Entry) -> Answer:
        if entry.protocol not in protocols:
            return False
        name = entry.state_name
        return None if name is None else name in wanted

    return Compiled(test, _of_protocols(protocols))


def _state_of(value: t.Any, option: str) -> str:
    known = sorted({name for names in _uapi.STATE_NAMES.values() for name in names})
    name = str(value).strip().upper()
    if name not in known:
        remedy = hint_for_state(name) or f"Give one of {', '.join(known)}."
        raise OptionError(option, value, "is not a protocol state", remedy)
    return name


def _status(bits: int) -> Key:
    """Make a key that is true or false by status bits."""

    def compiled(values: list[t.Any], option: str, _context: Context) -> Compiled:
        wanted = {boolean(value, option) for value in values}
        test = _one_of(lambda entry: None if entry.status is None else bool(entry.status & bits), wanted)
        return Compiled(test, condition=_only([condition(value) for value in wanted]))

    def condition(wanted: bool) -> Condition | None:
        several = bits & (bits - 1)
        return None if wanted and several else Condition("status", bits if wanted else 0, bits)

    return Key(compiled, ("status",))


def _nat(values: list[t.Any], option: str, _context: Context) -> Compiled:
    names = {"snat": _uapi.SRC_NAT, "dnat": _uapi.DST_NAT, "none": 0}
    bits = {choice(names, value, option) for value in values}
    either = _uapi.SRC_NAT | _uapi.DST_NAT

    def test(entry: Entry) -> Answer:
        if entry.status is None:
            return None
        translated = entry.status & either
        return any(translated & bit if bit else not translated for bit in bits)

    return Compiled(test, condition=_only([Condition("status", bit, bit or either) for bit in bits]))


def _zone(values: list[t.Any], option: str, _context: Context) -> Compiled:
    wanted = {parse_number(value, option, _MOST_ZONE) for value in values}

    def test(entry: Entry) -> Answer:
        own = (entry.zone_original, entry.zone_reply)
        if own == (None, None):
            return entry.zone in wanted
        return any(zone in wanted for zone in own)

    return Compiled(test, condition=_only([Condition("zone", zone) for zone in wanted]))


def _zone_of_direction(field: str) -> Key:
    """Make a key for the zone of one direction only. Entries whose zone is that of both directions do not have it."""

    def compiled(values: list[t.Any], option: str, _context: Context) -> Compiled:
        wanted = {parse_number(value, option, _MOST_ZONE) for value in values}
        if 0 in wanted:
            remedy = f"Give 1 to {_MOST_ZONE}, or zone: 0 for the entries of the default zone."
            raise OptionError(option, 0, "is the default zone, which is never that of one direction only", remedy)
        return Compiled(lambda entry: getattr(entry, field) in wanted)

    return Key(compiled, (field,))


def _helper(values: list[t.Any], option: str, _context: Context) -> Compiled:
    for value in values:
        if not isinstance(value, str) or "=" in value or len(value.split()) != 1:
            raise OptionError(option, value, "is not the name of a helper", "Give a name such as ftp or sip.")
    wanted = frozenset(value.strip() for value in values)
    return Compiled(lambda entry: entry.helper in wanted)


def _label(values: list[t.Any], option: str, _context: Context) -> Compiled:
    bits = [label_bit(value, option) for value in values]

    def test(entry: Entry) -> Answer:
        labels = label_bits(entry.labels)
        return any(labels >> bit & 1 for bit in bits)

    return Compiled(test)


def label_bits(labels: bytes | None) -> int:
    """Return the kernel's bitmap of labels as a number, of which bit n is label n; an entry without a bitmap has none.

    The bitmap is read in 32-bit words of the machine's own byte order, as libnetfilter_conntrack does.
    """
    if labels is None:
        return 0
    words = [labels[at : at + 4] for at in range(0, len(labels), 4)]
    return sum(int.from_bytes(word, sys.byteorder) << 32 * at for at, word in enumerate(words))


def _mark(values: list[t.Any], option: str, _context: Context) -> Compiled:
    pairs = [mark_and_mask(value, option) for value in values]

    def test(entry: Entry) -> Answer:
        mark = entry.mark
        if mark is None:
            return None
        return any(mark & mask == wanted for wanted, mask in pairs)

    conditions = [Condition("mark", mark) if mask == 0xFFFFFFFF else None for mark, mask in pairs]
    return Compiled(test, condition=_only(conditions))


# Addresses and numbers of a tuple


def _address(*fields: str) -> Key:
    """Make a key that compares addresses, of which any may match."""

    def compiled(values: list[t.Any], option: str, _context: Context) -> Compiled:
        networks = [parse_network(value, option) for value in values]
        by_family: dict[int, list[tuple[int, int]]] = {}
        for network in networks:
            family = socket.AF_INET if network.version == 4 else socket.AF_INET6
            by_family.setdefault(family, []).append((int(network.network_address), int(network.netmask)))

        def test(entry: Entry) -> Answer:
            wanted = by_family.get(entry.family)
            if wanted is None:
                return False
            for field in fields:
                address = int.from_bytes(getattr(entry, field), "big")
                if any(address & mask == network for network, mask in wanted):
                    return True
            return False

        condition = _only([_address_condition(fields, network) for network in networks])
        ends = [end for network in networks for end in (int(network[0]), int(network[-1]) + 1)]
        return Compiled(test, _of_families(by_family), condition, dict.fromkeys(fields, ends))

    return Key(compiled, ("family", *fields))


def _address_condition(fields: tuple[str, ...], network: Network) -> Condition | None:
    if fields not in (("source",), ("destination",)) or network.version != 4 or network.num_addresses != 1:
        return None
    return Condition(fields[0], int(network.network_address))


def _number(maximum: int) -> t.Callable[[t.Any, str], tuple[int, int]]:
    return lambda value, option: number_range(value, option, maximum)


def _tuple_number(
    field: str, parse: t.Callable[[t.Any, str], tuple[int, int]], protocols: t.Collection[int] = range(256)
) -> Key:
    """Make a key that compares a number with ranges that ``parse`` reads. Only entries of ``protocols`` have it."""

    def compiled(values: list[t.Any], option: str, _context: Context) -> Compiled:
        ranges = [parse(value, option) for value in values]

        def test(entry: Entry) -> Answer:
            if entry.protocol not in protocols:
                return False
            number = getattr(entry, field)
            return None if number is None else any(low <= number <= high for low, high in ranges)

        ends = [end for low, high in ranges for end in (low, high + 1)]
        return Compiled(test, _of_protocols(protocols), breakpoints={field: ends})

    return Key(compiled, ("protocol", field))


def _port(field: str) -> Key:
    return _tuple_number(field, port_range, _uapi.PORT_PROTOCOLS)


def _gre_key(field: str) -> Key:
    """Make a key for one of the two keys of GRE, which the kernel keeps where other protocols have their ports."""
    return _tuple_number(field, _number(0xFFFF), frozenset({_uapi.GRE}))


def _icmp(field: str, maximum: int) -> Key:
    return _tuple_number(field, _number(maximum), _uapi.ICMP_PROTOCOLS)


# Ranges of amounts


def _amount(
    read: t.Callable[[Entry, Context], int | None],
    parse: t.Callable[[t.Any, str], int],
    fields: t.Iterable[str],
    changes: t.Callable[[Range, Context], Breakpoints] = lambda _range, _context: {},
) -> Key:
    """Make a key with a value of ``{min: , max: }``, both inclusive, either may be left out.

    ``changes`` gives the steps (see Compiled) of one range.
    """

    def compiled(values: list[t.Any], option: str, context: Context) -> Compiled:
        ranges = [parse_range(value, option, parse) for value in values]

        def test(entry: Entry) -> Answer:
            amount = read(entry, context)
            if amount is None:
                return None
            return any(low <= amount and (high is None or amount <= high) for low, high in ranges)

        breakpoints: dict[str, list[int]] = {}
        for limits in ranges:
            for field, numbers in changes(limits, context).items():
                breakpoints.setdefault(field, []).extend(numbers)
        return Compiled(test, breakpoints=breakpoints)

    return Key(compiled, tuple(fields))


def _ends(field: str) -> t.Callable[[Range, Context], Breakpoints]:
    """Return the changes of a range of a field itself."""

    def changes(limits: Range, _context: Context) -> Breakpoints:
        low, high = limits
        return {field: [low] if high is None else [low, high + 1]}

    return changes


def _counter(field: str) -> Key:
    return _amount(lambda entry, _context: getattr(entry, field), parse_count, [field], _ends(field))


def _both_counters(original: str, reply: str) -> Key:
    def read(entry: Entry, _context: Context) -> int | None:
        one, other = getattr(entry, original), getattr(entry, reply)
        return None if one is None or other is None else one + other

    return _amount(read, parse_count, [original, reply])


def _idle_changes(limits: Range, context: Context) -> Breakpoints:
    bounds = _bounds(limits)
    return {
        "remaining": idle_changes(bounds, context.timeouts),
        "start": age_changes(bounds, context.timeouts),
    }


def _age_changes(limits: Range, context: Context) -> Breakpoints:
    return {"start": age_changes(_bounds(limits), context.timeouts)}


def _bounds(limits: Range) -> list[int]:
    """Return the numbers at which an amount enters or leaves the range."""
    low, high = limits
    return [low] if high is None else [low, high + 1]


KEYS: dict[str, Key] = {
    "family": Key(_family, ("family",)),
    "protocol": Key(_protocol, ("protocol",)),
    "state": Key(_state, ("protocol", "state")),
    "replied": _status(_uapi.SEEN_REPLY),
    "assured": _status(_uapi.ASSURED),
    "offloaded": _status(_uapi.OFFLOAD | _uapi.HW_OFFLOAD),
    "expected": _status(_uapi.EXPECTED),
    "nat": Key(_nat, ("status",)),
    "source": _address("source"),
    "destination": _address("destination"),
    "reply_source": _address("reply_source"),
    "reply_destination": _address("reply_destination"),
    "address": _address("source", "destination", "reply_source", "reply_destination"),
    "source_port": _port("source_port"),
    "destination_port": _port("destination_port"),
    "reply_source_port": _port("reply_source_port"),
    "reply_destination_port": _port("reply_destination_port"),
    "source_key": _gre_key("source_port"),
    "destination_key": _gre_key("destination_port"),
    "reply_source_key": _gre_key("reply_source_port"),
    "reply_destination_key": _gre_key("reply_destination_port"),
    "icmp_type": _icmp("icmp_type", 0xFF),
    "icmp_code": _icmp("icmp_code", 0xFF),
    "icmp_id": _icmp("icmp_id", 0xFFFF),
    "reply_icmp_type": _icmp("reply_icmp_type", 0xFF),
    "reply_icmp_code": _icmp("reply_icmp_code", 0xFF),
    "reply_icmp_id": _icmp("reply_icmp_id", 0xFFFF),
    "id": _tuple_number("id", _number(0xFFFFFFFF)),
    "mark": Key(_mark, ("mark",)),
    "zone": Key(_zone, ("zone", "zone_original", "zone_reply")),
    "zone_original": _zone_of_direction("zone_original"),
    "zone_reply": _zone_of_direction("zone_reply"),
    "label": Key(_label, ("labels",)),
    "helper": Key(_helper, ("helper",)),
    "packets_original": _counter("packets_original"),
    "packets_reply": _counter("packets_reply"),
    "bytes_original": _counter("bytes_original"),
    "bytes_reply": _counter("bytes_reply"),
    "packets": _both_counters("packets_original", "packets_reply"),
    "bytes": _both_counters("bytes_original", "bytes_reply"),
    "remaining": _amount(lambda e, _context: e.remaining, parse_duration, ["remaining"], _ends("remaining")),
    "idle": _amount(lambda e, context: idle(e, context.timeouts), parse_duration, IDLE_FIELDS, _idle_changes),
    "age": _amount(lambda e, context: age(e.start, context.timeouts), parse_duration, ["start"], _age_changes),
}
"""Every key of the selector language."""
