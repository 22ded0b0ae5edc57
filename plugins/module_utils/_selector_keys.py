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
from ansible_collections.netops.conntrack.plugins.module_utils._entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._idle import NEEDS as IDLE_NEEDS
from ansible_collections.netops.conntrack.plugins.module_utils._idle import (
    Timeouts,
    age,
    age_changes,
    idle,
    idle_changes,
)
from ansible_collections.netops.conntrack.plugins.module_utils._kernel_filter import Condition
from ansible_collections.netops.conntrack.plugins.module_utils._selector_values import (
    Range,
    boolean,
    choice,
    label_bit,
    mark_and_mask,
    number_range,
    parse_count,
    parse_network,
    parse_range,
)
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_duration, parse_number

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


Compiler = t.Callable[[list[t.Any], str, Context], Test]
"""What makes a key's test out of its values, the option's name for errors, and the context."""


Steps = t.Mapping[str, t.Collection[int]]


class Key(t.NamedTuple):
    """A selector key: what compiles it, and the fields of an entry that its tests read.

    ``condition`` gives what the kernel can be asked for in place of a single value: every entry that meets the test, or
    for which it is undecidable, meets the condition. It gives None for a value of which there is no such condition.
    ``steps`` gives, by field, all numbers at which the test's answer changes when the field's number grows.
    """

    compile: Compiler
    needs: tuple[str, ...]
    condition: t.Callable[[t.Any, str], Condition | None] = lambda _value, _option: None
    steps: t.Callable[[list[t.Any], str, Context], Steps] = lambda _values, _option, _context: {}


# Fields that are one of a set


def _one_of(read: t.Callable[[Entry], t.Any], wanted: frozenset[t.Any]) -> Test:
    def test(entry: Entry) -> Answer:
        value = read(entry)
        return None if value is None else value in wanted

    return test


def _family_number(value: t.Any, option: str) -> int:
    return choice({name: number for number, name in _uapi.FAMILY_NAMES.items()}, value, option)


def _family(values: list[t.Any], option: str, _context: Context) -> Test:
    return _one_of(lambda entry: entry.family, frozenset(_family_number(value, option) for value in values))


def _protocol(values: list[t.Any], option: str, _context: Context) -> Test:
    names = {name: number for number, name in _uapi.PROTOCOL_NAMES.items()}

    def number_of(value: t.Any) -> int:
        if str(value).strip().isdigit():
            return parse_number(value, option, 255)
        known = names.get(str(value).strip().lower())
        if known is None:
            raise OptionError(
                option, value, "is not a protocol", f"Give one of {', '.join(names)}, or a number to 255."
            )
        return known

    return _one_of(lambda entry: entry.protocol, frozenset(map(number_of, values)))


def _state(values: list[t.Any], option: str, _context: Context) -> Test:
    known = sorted({name for names in _uapi.STATE_NAMES.values() for name in names})
    wanted = frozenset(str(value).strip().upper() for value in values)
    for value in values:
        if str(value).strip().upper() not in known:
            raise OptionError(option, value, "is not a protocol state", f"Give one of {', '.join(known)}.")

    def test(entry: Entry) -> Answer:
        if entry.protocol not in _uapi.STATE_NAMES:
            return False
        name = entry.state_name
        return None if name is None else name in wanted

    return test


def _status(bits: int) -> Key:
    """Make a key that is true or false by status bits."""

    def compiled(values: list[t.Any], option: str, _context: Context) -> Test:
        wanted = frozenset(boolean(value, option) for value in values)
        return _one_of(lambda entry: None if entry.status is None else bool(entry.status & bits), wanted)

    def condition(value: t.Any, option: str) -> Condition | None:
        wanted = boolean(value, option)
        several = bits & (bits - 1)
        return None if wanted and several else Condition("status", bits if wanted else 0, bits)

    return Key(compiled, ("status",), condition)


def _nat_bit(value: t.Any, option: str) -> int:
    return choice({"snat": _uapi.SRC_NAT, "dnat": _uapi.DST_NAT, "none": 0}, value, option)


def _nat(values: list[t.Any], option: str, _context: Context) -> Test:
    bits = [_nat_bit(value, option) for value in values]

    def test(entry: Entry) -> Answer:
        if entry.status is None:
            return None
        translated = entry.status & (_uapi.SRC_NAT | _uapi.DST_NAT)
        return any(translated & bit if bit else not translated for bit in bits)

    return test


def _nat_condition(value: t.Any, option: str) -> Condition:
    bit = _nat_bit(value, option)
    return Condition("status", bit, bit or _uapi.SRC_NAT | _uapi.DST_NAT)


def _zone(values: list[t.Any], option: str, _context: Context) -> Test:
    wanted = frozenset(parse_number(value, option, 0xFFFF) for value in values)

    def test(entry: Entry) -> Answer:
        own = (entry.zone_original, entry.zone_reply)
        if own == (None, None):
            return entry.zone in wanted
        return any(zone in wanted for zone in own)

    return test


def _helper(values: list[t.Any], option: str, _context: Context) -> Test:
    for value in values:
        if not isinstance(value, str) or not value.strip():
            raise OptionError(option, value, "is not the name of a helper", "Give a name such as ftp or sip.")
    wanted = frozenset(value.strip() for value in values)
    return lambda entry: entry.helper in wanted


def _label(values: list[t.Any], option: str, _context: Context) -> Test:
    bits = [label_bit(value, option) for value in values]

    def test(entry: Entry) -> Answer:
        labels = label_bits(entry.labels)
        return any(labels >> bit & 1 for bit in bits)

    return test


def label_bits(labels: bytes | None) -> int:
    """Give the kernel's bitmap of labels as a number, of which bit n is label n; an entry without a bitmap has none.

    The bitmap is read in 32-bit words of the machine's own byte order, as libnetfilter_conntrack does.
    """
    if labels is None:
        return 0
    words = [labels[at : at + 4] for at in range(0, len(labels), 4)]
    return sum(int.from_bytes(word, sys.byteorder) << 32 * at for at, word in enumerate(words))


def _mark(values: list[t.Any], option: str, _context: Context) -> Test:
    pairs = [mark_and_mask(value, option) for value in values]

    def test(entry: Entry) -> Answer:
        mark = entry.mark
        if mark is None:
            return None
        return any(mark & mask == wanted for wanted, mask in pairs)

    return test


def _mark_condition(value: t.Any, option: str) -> Condition | None:
    mark, mask = mark_and_mask(value, option)
    return Condition("mark", mark) if mask == 0xFFFFFFFF else None


# Addresses and numbers of a tuple


def _address(*fields: str) -> Key:
    """Make a key that compares addresses, of which any may match."""

    def compiled(values: list[t.Any], option: str, _context: Context) -> Test:
        networks: dict[int, list[tuple[int, int]]] = {}
        for value in values:
            network = parse_network(value, option)
            family = socket.AF_INET if network.version == 4 else socket.AF_INET6
            networks.setdefault(family, []).append((int(network.network_address), int(network.netmask)))

        def test(entry: Entry) -> Answer:
            wanted = networks.get(entry.family)
            if wanted is None:
                return False
            for field in fields:
                address = int.from_bytes(getattr(entry, field), "big")
                if any(address & mask == network for network, mask in wanted):
                    return True
            return False

        return test

    def condition(value: t.Any, option: str) -> Condition | None:
        network = parse_network(value, option)
        if fields not in (("source",), ("destination",)) or network.version != 4 or network.num_addresses != 1:
            return None
        return Condition(fields[0], int(network.network_address))

    def steps(values: list[t.Any], option: str, _context: Context) -> Steps:
        networks = [parse_network(value, option) for value in values]
        ends = [end for network in networks for end in (int(network[0]), int(network[-1]) + 1)]
        return dict.fromkeys(fields, ends)

    return Key(compiled, ("family", *fields), condition, steps)


def _port(field: str) -> Key:
    return _tuple_number(field, 0xFFFF, _uapi.PORT_PROTOCOLS)


def _tuple_number(field: str, maximum: int, protocols: frozenset[int]) -> Key:
    """Make a key that compares a number of a tuple, which only ``protocols`` have."""

    def compiled(values: list[t.Any], option: str, _context: Context) -> Test:
        ranges = [number_range(value, option, maximum) for value in values]

        def test(entry: Entry) -> Answer:
            if entry.protocol not in protocols:
                return False
            number = getattr(entry, field)
            return None if number is None else any(low <= number <= high for low, high in ranges)

        return test

    def steps(values: list[t.Any], option: str, _context: Context) -> Steps:
        ranges = [number_range(value, option, maximum) for value in values]
        return {field: [end for low, high in ranges for end in (low, high + 1)]}

    return Key(compiled, ("protocol", field), steps=steps)


# Ranges of amounts


def _amount(
    read: t.Callable[[Entry, Context], int | None],
    parse: t.Callable[[t.Any, str], int],
    needs: t.Iterable[str],
    changes: t.Callable[[Range, Context], Steps] = lambda _range, _context: {},
) -> Key:
    """Make a key with a value of ``{min: , max: }``, both inclusive, either may be left out.

    ``changes`` gives the steps (see Key) of one range.
    """

    def compiled(values: list[t.Any], option: str, context: Context) -> Test:
        ranges = [parse_range(value, option, parse) for value in values]

        def test(entry: Entry) -> Answer:
            amount = read(entry, context)
            if amount is None:
                return None
            return any(low <= amount and (high is None or amount <= high) for low, high in ranges)

        return test

    def steps(values: list[t.Any], option: str, context: Context) -> Steps:
        every: dict[str, list[int]] = {}
        for value in values:
            for field, numbers in changes(parse_range(value, option, parse), context).items():
                every.setdefault(field, []).extend(numbers)
        return every

    return Key(compiled, tuple(needs), steps=steps)


def _ends(field: str) -> t.Callable[[Range, Context], Steps]:
    """Give the changes of a range of a field itself."""

    def changes(limits: Range, _context: Context) -> Steps:
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


def _idle_changes(limits: Range, context: Context) -> Steps:
    bounds = _bounds(limits)
    return {
        "remaining": idle_changes(bounds, context.timeouts),
        "start": age_changes(bounds, context.timeouts),
    }


def _age_changes(limits: Range, context: Context) -> Steps:
    return {"start": age_changes(_bounds(limits), context.timeouts)}


def _bounds(limits: Range) -> list[int]:
    """Return the numbers at which an amount enters or leaves the range."""
    low, high = limits
    return [low] if high is None else [low, high + 1]


KEYS: dict[str, Key] = {
    "family": Key(_family, ("family",), lambda value, option: Condition("family", _family_number(value, option))),
    "protocol": Key(_protocol, ("protocol",)),
    "state": Key(_state, ("protocol", "state")),
    "replied": _status(_uapi.SEEN_REPLY),
    "assured": _status(_uapi.ASSURED),
    "offloaded": _status(_uapi.OFFLOAD | _uapi.HW_OFFLOAD),
    "expected": _status(_uapi.EXPECTED),
    "nat": Key(_nat, ("status",), _nat_condition),
    "source": _address("source"),
    "destination": _address("destination"),
    "reply_source": _address("reply_source"),
    "reply_destination": _address("reply_destination"),
    "address": _address("source", "destination", "reply_source", "reply_destination"),
    "source_port": _port("source_port"),
    "destination_port": _port("destination_port"),
    "reply_source_port": _port("reply_source_port"),
    "reply_destination_port": _port("reply_destination_port"),
    "icmp_type": _tuple_number("icmp_type", 0xFF, _uapi.ICMP_PROTOCOLS),
    "icmp_code": _tuple_number("icmp_code", 0xFF, _uapi.ICMP_PROTOCOLS),
    "icmp_id": _tuple_number("icmp_id", 0xFFFF, _uapi.ICMP_PROTOCOLS),
    "mark": Key(_mark, ("mark",), _mark_condition),
    "zone": Key(
        _zone,
        ("zone", "zone_original", "zone_reply"),
        lambda value, option: Condition("zone", parse_number(value, option, 0xFFFF)),
    ),
    "label": Key(_label, ("labels",)),
    "helper": Key(_helper, ("helper",)),
    "packets_original": _counter("packets_original"),
    "packets_reply": _counter("packets_reply"),
    "bytes_original": _counter("bytes_original"),
    "bytes_reply": _counter("bytes_reply"),
    "packets": _both_counters("packets_original", "packets_reply"),
    "bytes": _both_counters("bytes_original", "bytes_reply"),
    "remaining": _amount(lambda e, _context: e.remaining, parse_duration, ["remaining"], _ends("remaining")),
    "idle": _amount(lambda e, context: idle(e, context.timeouts), parse_duration, IDLE_NEEDS, _idle_changes),
    "age": _amount(lambda e, context: age(e.start, context.timeouts), parse_duration, ["start"], _age_changes),
}
"""Every key of the selector language."""
