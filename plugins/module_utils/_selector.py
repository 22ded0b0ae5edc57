# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The selector language, compiled to a predicate on entries.

A selector is a dict whose keys must all hold; a list of values means any of them. Tests answer True, False or None:
None where the entry lacks the field. ``and``, ``or`` and ``not`` are those of three-valued logic, so that an entry is
undecidable only where the missing field decides. A field that the protocol does not have at all (the state of UDP, the
port of ICMP) is not missing: the selector does not hold.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import ipaddress
import re
import socket
import sys
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _wire
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError, UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._idle import idle
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_duration, parse_number

Answer = t.Optional[bool]
Test = t.Callable[[_wire.Entry], Answer]

_LABELS_FILE = "/etc/xtables/connlabel.conf"  # where conntrack(8) takes the names of labels from
_PORT_RANGE = re.compile(r"([0-9]+)-([0-9]+)", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Context:
    """What a test needs besides the entry: the sysctls by short name, and the time in nanoseconds since the epoch."""

    settings: t.Mapping[str, int]
    now: int


Compiler = t.Callable[[list[t.Any], str, Context], Test]
"""What makes a key's test out of its values, the option's name for errors, and the context."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which entries are selected: any of ``match`` holds and none of ``exclude`` does.

    ``keys`` are the selector keys in ``match``; ``required`` the switches that must be on for them to be decidable.
    """

    decide: Test
    keys: frozenset[str]
    required: frozenset[str]

    def require(self, settings: t.Mapping[str, int]) -> None:
        """Raise UnavailableError where a switch is off without which entries lack what the selectors ask for."""
        for switch in sorted(self.required):
            if settings.get(switch) == 0:
                name = f"net.netfilter.nf_conntrack_{switch}"
                keys = ", ".join(sorted(_REQUIRES[switch]))
                raise UnavailableError(
                    f"{name} is 0, so that new entries do not have what a selector asks for ({keys}). Turn it on with "
                    f"'sysctl -w {name}=1' or netops.conntrack.conntrack_settings; it acts on entries that are made "
                    "from then on.",
                    unavailable=name,
                )


def compile_selection(
    match: list[t.Any] | None, exclude: list[t.Any] | None, context: Context, option: str = ""
) -> Selection:
    """Compile lists of selectors; ``match`` None selects every entry. ``option`` is where both stand, for errors.

    Raises OptionError for anything that is not a selector: nothing of a bad selection is ever used.
    """
    at = f"{option}." if option else ""
    tests: list[Test] = []
    if match is not None:
        tests.append(_any(_compile_list(_not_empty(match, f"{at}match"), f"{at}match", context)))
    if exclude:
        tests.append(_negated(_any(_compile_list(exclude, f"{at}exclude", context))))
    keys = frozenset(key for selector in match or [] for key in selector)
    every_key = keys.union(*(exclude or []))
    return Selection(
        _every(tests), keys, frozenset(switch for switch, needing in _REQUIRES.items() if needing & every_key)
    )


def _compile_list(selectors: list[t.Any], option: str, context: Context) -> list[Test]:
    return [_compile(selector, f"{option}[{at}]", context) for at, selector in enumerate(selectors)]


def _not_empty(match: list[t.Any], option: str) -> list[t.Any]:
    if not match:
        remedy = "Give at least one selector, such as {protocol: tcp, replied: false}."
        raise OptionError(option, match, "selects nothing", remedy)
    return match


def _compile(selector: t.Any, option: str, context: Context) -> Test:
    if not isinstance(selector, dict):
        raise OptionError(
            option, selector, "is not a selector", "Give a dict, such as {protocol: tcp, replied: false}."
        )
    if not selector:
        raise OptionError(option, selector, "is empty and would select every entry", "Give at least one key.")
    for key in selector:
        if key not in _KEYS:
            close = difflib.get_close_matches(str(key), _KEYS, 1)
            remedy = f"Did you mean {close[0]!r}?" if close else f"The keys are {', '.join(sorted(_KEYS))}."
            raise OptionError(option, key, "is not a selector key", remedy)
    return _every([_compile_key(key, value, f"{option}.{key}", context) for key, value in selector.items()])


def _compile_key(key: str, value: t.Any, option: str, context: Context) -> Test:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise OptionError(option, value, "is empty", "Give at least one value, or leave the key out.")
    return _KEYS[key](values, option, context)


# Three-valued logic


def _every(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def test(entry: _wire.Entry) -> Answer:
        answer: Answer = True
        for one in tests:
            held = one(entry)
            if held is False:
                return False
            if held is None:
                answer = None
        return answer

    return test


def _any(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def test(entry: _wire.Entry) -> Answer:
        answer: Answer = False
        for one in tests:
            held = one(entry)
            if held:
                return True
            if held is None:
                answer = None
        return answer

    return test


def _negated(test: Test) -> Test:
    def negated(entry: _wire.Entry) -> Answer:
        held = test(entry)
        return None if held is None else not held

    return negated


# Fields that are one of a set


def _one_of(read: t.Callable[[_wire.Entry], t.Any], wanted: frozenset[t.Any]) -> Test:
    def test(entry: _wire.Entry) -> Answer:
        value = read(entry)
        return None if value is None else value in wanted

    return test


def _choice(names: t.Mapping[str, int], value: t.Any, option: str) -> int:
    number = names.get(str(value).strip().lower())
    if number is None:
        raise OptionError(option, value, "is not known", f"Give one of {', '.join(names)}.")
    return number


def _family(values: list[t.Any], option: str, _context: Context) -> Test:
    names = {name: number for number, name in _wire.FAMILY_NAMES.items()}
    return _one_of(lambda entry: entry.family, frozenset(_choice(names, value, option) for value in values))


def _protocol(values: list[t.Any], option: str, _context: Context) -> Test:
    names = {name: number for number, name in _wire.PROTOCOL_NAMES.items()}

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
    known = sorted({name for names in _wire.STATE_NAMES.values() for name in names})
    wanted = frozenset(str(value).strip().upper() for value in values)
    for value in values:
        if str(value).strip().upper() not in known:
            raise OptionError(option, value, "is not a protocol state", f"Give one of {', '.join(known)}.")

    def test(entry: _wire.Entry) -> Answer:
        if entry.protocol not in _wire.STATE_NAMES:
            return False
        name = entry.state_name
        return None if name is None else name in wanted

    return test


def _status(bits: int) -> Compiler:
    """Make the compiler of a key that is true or false by status bits."""

    def compiled(values: list[t.Any], option: str, _context: Context) -> Test:
        wanted = frozenset(_boolean(value, option) for value in values)
        return _one_of(lambda entry: None if entry.status is None else bool(entry.status & bits), wanted)

    return compiled


def _boolean(value: t.Any, option: str) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("yes", "true", "on", "1"):
        return True
    if text in ("no", "false", "off", "0"):
        return False
    raise OptionError(option, value, "is neither true nor false", "Give true or false.")


def _nat(values: list[t.Any], option: str, _context: Context) -> Test:
    bits = [_choice({"snat": _wire.SRC_NAT, "dnat": _wire.DST_NAT, "none": 0}, value, option) for value in values]

    def test(entry: _wire.Entry) -> Answer:
        if entry.status is None:
            return None
        translated = entry.status & (_wire.SRC_NAT | _wire.DST_NAT)
        return any(translated & bit if bit else not translated for bit in bits)

    return test


def _zone(values: list[t.Any], option: str, _context: Context) -> Test:
    wanted = frozenset(parse_number(value, option, 0xFFFF) for value in values)

    def test(entry: _wire.Entry) -> Answer:
        own = (entry.original.zone, entry.reply.zone)
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
    bits = [_label_bit(value, option) for value in values]

    def test(entry: _wire.Entry) -> Answer:
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


def _label_bit(value: t.Any, option: str) -> int:
    if str(value).strip().isdigit():
        return parse_number(value, option, 127)
    try:
        with open(_LABELS_FILE, encoding="utf-8") as file:
            lines = [line.split("#")[0].split() for line in file]
    except OSError:
        lines = []
    names = {words[1]: int(words[0]) for words in lines if len(words) == 2 and words[0].isdigit()}
    if str(value).strip() not in names:
        raise OptionError(
            option, value, "is not a label", f"Give a bit from 0 to 127, or a name that {_LABELS_FILE} defines."
        )
    return names[str(value).strip()]


def _mark(values: list[t.Any], option: str, _context: Context) -> Test:
    pairs = [_mark_pair(value, option) for value in values]

    def test(entry: _wire.Entry) -> Answer:
        mark = entry.mark
        if mark is None:
            return None
        return any(mark & mask == wanted for wanted, mask in pairs)

    return test


def _mark_pair(value: t.Any, option: str) -> tuple[int, int]:
    text, _slash, mask_text = str(value).partition("/")
    wanted = parse_number(text, option, 0xFFFFFFFF)
    mask = parse_number(mask_text, option, 0xFFFFFFFF) if _slash else 0xFFFFFFFF
    if wanted & ~mask:
        raise OptionError(option, value, "can never hold, the mark has bits outside its mask", "Write mark/mask.")
    return wanted, mask


# Addresses and numbers of a tuple


def _address(*fields: tuple[str, str]) -> Compiler:
    """Make the compiler of a key that compares addresses; ``fields`` are pairs of direction and end, any may match."""

    def compiled(values: list[t.Any], option: str, _context: Context) -> Test:
        networks: dict[int, list[tuple[int, int]]] = {}
        for value in values:
            network = _network(value, option)
            family = socket.AF_INET if network.version == 4 else socket.AF_INET6
            networks.setdefault(family, []).append((int(network.network_address), int(network.netmask)))

        def test(entry: _wire.Entry) -> Answer:
            wanted = networks.get(entry.family)
            if wanted is None:
                return False
            for direction, end in fields:
                address = int.from_bytes(getattr(getattr(entry, direction), end), "big")
                if any(address & mask == network for network, mask in wanted):
                    return True
            return False

        return test

    return compiled


def _network(value: t.Any, option: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    text = str(value).strip()
    remedy = "Give an address or a network such as 203.0.113.9, 203.0.113.0/24 or 2001:db8::/32."
    if not isinstance(value, str):
        raise OptionError(option, value, "is not an address or a network", remedy)
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        with contextlib.suppress(ValueError):
            remedy = f"Did you mean {ipaddress.ip_network(text, strict=False)}?"
        raise OptionError(option, value, "is not an address or a network", remedy) from error


def _port(direction: str, field: str) -> Compiler:
    return _tuple_number(direction, field, 0xFFFF, _wire.PORT_PROTOCOLS)


def _tuple_number(direction: str, field: str, maximum: int, protocols: frozenset[int]) -> Compiler:
    """Make the compiler of a key that compares a number of a tuple, which only ``protocols`` have."""

    def compiled(values: list[t.Any], option: str, _context: Context) -> Test:
        ranges = [_number_range(value, option, maximum) for value in values]

        def test(entry: _wire.Entry) -> Answer:
            if entry.protocol not in protocols:
                return False
            number = getattr(getattr(entry, direction), field)
            return None if number is None else any(low <= number <= high for low, high in ranges)

        return test

    return compiled


def _number_range(value: t.Any, option: str, maximum: int) -> tuple[int, int]:
    match = _PORT_RANGE.fullmatch(str(value).strip())
    if match is None:
        number = parse_number(value, option, maximum)
        return number, number
    low, high = (parse_number(part, option, maximum) for part in match.groups())
    if low > high:
        raise OptionError(option, value, "is an empty range", "Write the lower number first.")
    return low, high


# Ranges of amounts


def _amount(read: t.Callable[[_wire.Entry, Context], int | None], parse: t.Callable[[t.Any, str], int]) -> Compiler:
    """Make the compiler of a key with a value of ``{min: , max: }``, both inclusive, either may be left out."""

    def compiled(values: list[t.Any], option: str, context: Context) -> Test:
        ranges = [_limits(value, option, parse) for value in values]

        def test(entry: _wire.Entry) -> Answer:
            amount = read(entry, context)
            if amount is None:
                return None
            return any(low <= amount and (high is None or amount <= high) for low, high in ranges)

        return test

    return compiled


def _limits(value: t.Any, option: str, parse: t.Callable[[t.Any, str], int]) -> tuple[int, int | None]:
    if not isinstance(value, dict) or not value or set(value) - {"min", "max"}:
        raise OptionError(option, value, "is not a range", "Give {min: N}, {max: N} or both; both are inclusive.")
    low = parse(value["min"], f"{option}.min") if "min" in value else 0
    high = parse(value["max"], f"{option}.max") if "max" in value else None
    if high is not None and low > high:
        raise OptionError(option, value, "is an empty range", "min must not be larger than max.")
    return low, high


def _count(value: t.Any, option: str) -> int:
    return parse_number(value, option, (1 << 64) - 1)


def _counter(*fields: str) -> Compiler:
    def read(entry: _wire.Entry, _context: Context) -> int | None:
        total = 0
        for field in fields:
            value = getattr(entry, field)
            if value is None:
                return None
            total += value
        return total

    return _amount(read, _count)


def age(entry: _wire.Entry, context: Context) -> int | None:
    """Give for how many seconds the entry has been there; None without a timestamp."""
    return None if entry.start is None else max(0, context.now - entry.start) // 1_000_000_000


_REQUIRES = {
    "acct": frozenset(
        {"packets_original", "packets_reply", "bytes_original", "bytes_reply", "packets", "bytes"},
    ),
    "timestamp": frozenset({"age"}),
}

_KEYS: dict[str, Compiler] = {
    "family": _family,
    "protocol": _protocol,
    "state": _state,
    "replied": _status(_wire.SEEN_REPLY),
    "assured": _status(_wire.ASSURED),
    "offloaded": _status(_wire.OFFLOAD | _wire.HW_OFFLOAD),
    "expected": _status(_wire.EXPECTED),
    "nat": _nat,
    "source": _address(("original", "source")),
    "destination": _address(("original", "destination")),
    "reply_source": _address(("reply", "source")),
    "reply_destination": _address(("reply", "destination")),
    "address": _address(
        ("original", "source"), ("original", "destination"), ("reply", "source"), ("reply", "destination")
    ),
    "source_port": _port("original", "source_port"),
    "destination_port": _port("original", "destination_port"),
    "reply_source_port": _port("reply", "source_port"),
    "reply_destination_port": _port("reply", "destination_port"),
    "icmp_type": _tuple_number("original", "icmp_type", 0xFF, _wire.ICMP_PROTOCOLS),
    "icmp_code": _tuple_number("original", "icmp_code", 0xFF, _wire.ICMP_PROTOCOLS),
    "icmp_id": _tuple_number("original", "icmp_id", 0xFFFF, _wire.ICMP_PROTOCOLS),
    "mark": _mark,
    "zone": _zone,
    "label": _label,
    "helper": _helper,
    "packets_original": _counter("packets_original"),
    "packets_reply": _counter("packets_reply"),
    "bytes_original": _counter("bytes_original"),
    "bytes_reply": _counter("bytes_reply"),
    "packets": _counter("packets_original", "packets_reply"),
    "bytes": _counter("bytes_original", "bytes_reply"),
    "remaining": _amount(lambda entry, _context: entry.remaining, parse_duration),
    "idle": _amount(lambda entry, context: idle(entry, context.settings), parse_duration),
    "age": _amount(age, parse_duration),
}
