# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each key of the selectors means (docs/selectors.md, docs/idle.md), in the plainest Python: the oracle.

It knows nothing of how the collection decodes, compiles or filters. An answer is True, False, or None where the entry
does not say what the selector asks for. The entries are those of helpers.conntrack_tool.
"""

from __future__ import annotations

import functools
import ipaddress
import pathlib
import typing as t

from helpers.conntrack_tool import Entry
from helpers.idle_oracle import Moment, age, idle

Answer = t.Optional[bool]
Selector = dict[str, t.Any]

PROTOCOLS = {
    "icmp": 1,
    "ipencap": 4,
    "tcp": 6,
    "udp": 17,
    "dccp": 33,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmpv6": 58,
    "eigrp": 88,
    "ospf": 89,
    "pim": 103,
    "vrrp": 112,
    "sctp": 132,
    "udplite": 136,
}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "K": 1024, "M": 1024**2, "G": 1024**3}
_DCCP = 33


def members(value: t.Any) -> list[t.Any]:
    """Return the values of a key, of which any is enough."""
    return value if isinstance(value, list) else [value]


# Rules 1 and 2, and what is unknown: a key that does not hold decides, else one of which it is unknown does.


def all_of(answers: t.Iterable[Answer]) -> Answer:
    found = list(answers)
    return False if False in found else None if None in found else True


def any_of(answers: t.Iterable[Answer]) -> Answer:
    found = list(answers)
    return True if True in found else None if None in found else False


def none_of(answers: t.Iterable[Answer]) -> Answer:
    answer = any_of(answers)
    return None if answer is None else not answer


def holds(selector: Selector, entry: Entry, moment: Moment) -> Answer:
    """Return whether every key of the selector holds for the entry."""
    return all_of(KEYS[key](entry, members(value), moment) for key, value in selector.items())


def is_selected(
    match: t.Sequence[Selector],
    exclude: t.Sequence[Selector],
    names: t.Sequence[tuple[t.Sequence[Selector], t.Sequence[Selector]]],
    entry: Entry,
    moment: Moment,
) -> Answer:
    """Return whether any selector of ``match`` or any name holds, and none of ``exclude`` (rule 3).

    A name is what its section of the page says: the selectors that match, and those that it leaves out.
    """
    matched = [holds(selector, entry, moment) for selector in match]
    for own_match, own_exclude in names:
        matched.append(is_selected(own_match, own_exclude, [], entry, moment))
    excluded = none_of(holds(selector, entry, moment) for selector in exclude)
    return all_of([any_of(matched), excluded])


# What a value means


def _numbers(value: t.Any) -> tuple[int, int]:
    """Return the ends of ``80``, ``"0x50"``, ``"1024-65535"`` or ``"1024:65535"``."""
    first, _dash, last = str(value).replace(":", "-").partition("-")
    return int(first, 0), int(last or first, 0)


def amount(value: t.Any) -> int:
    """Return the number, bytes or seconds in ``5``, ``"5"``, ``"1K"`` or ``"15m"``."""
    text = str(value)
    return int(text[:-1]) * _UNITS[text[-1]] if text[-1] in _UNITS else int(text)


@functools.cache
def _network(value: str) -> t.Any:
    """Return the network. An IPv4-mapped IPv6 address is its IPv4 address."""
    network = ipaddress.ip_network(value)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    return ipaddress.ip_network(f"{mapped}/{network.prefixlen - 96}") if mapped else network


@functools.cache
def _is_in(address: str, network: str) -> bool:
    return ipaddress.ip_address(address) in _network(network)


@functools.cache
def _lines_of(path: str) -> list[str]:
    """Return the addresses and networks in a file, one in each line, with comments."""
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    return [line for line in (line.split("#")[0].split(";")[0].strip() for line in lines) if line]


Test = t.Callable[[Entry, list[t.Any], Moment], Answer]


def _same(field: str) -> Test:
    """Return the test whether the entry's value is one of those."""
    return lambda entry, values, _moment: entry[field] in values


def _state(entry: Entry, values: list[t.Any], _moment: Moment) -> Answer:
    # A kernel without a tracker for DCCP does not say in which of its states an entry is, one of which is NONE.
    if entry["protocol"] == _DCCP and entry["state"] is None and "NONE" in values:
        return None
    return entry["state"] in values


def _protocol(entry: Entry, values: list[t.Any], _moment: Moment) -> Answer:
    return entry["protocol"] in [PROTOCOLS.get(value) or int(value) for value in values]


def _nat(entry: Entry, values: list[t.Any], _moment: Moment) -> Answer:
    return any(value in entry["nat"] or (value == "none" and not entry["nat"]) for value in values)


def _address(*fields: str) -> Test:
    """Return the test whether any of these addresses of the entry is in any of the networks."""

    def test(entry: Entry, values: list[t.Any], _moment: Moment) -> Answer:
        return any(_is_in(entry[field], value) for value in values for field in fields)

    return test


def _address_list(*fields: str) -> Test:
    """Return the same test for files of addresses."""

    def test(entry: Entry, values: list[t.Any], moment: Moment) -> Answer:
        return _address(*fields)(entry, [line for path in values for line in _lines_of(path)], moment)

    return test


def _number(field: str) -> Test:
    """Return the test whether the number is in any of the ranges. What an entry of its protocol has none of, is not."""

    def test(entry: Entry, values: list[t.Any], _moment: Moment) -> Answer:
        if entry[field] is None:
            # A kernel without a tracker for DCCP does not say which ports a packet had.
            return None if entry["protocol"] == _DCCP and field.endswith("_port") else False
        return any(first <= entry[field] <= last for first, last in map(_numbers, values))

    return test


def _mark(entry: Entry, values: list[t.Any], _moment: Moment) -> Answer:
    for value in values:
        mark, _slash, mask = str(value).partition("/")
        bits = int(mask or "0xffffffff", 0)
        if entry["mark"] & bits == int(mark, 0) & bits:
            return True
    return False


def _zone(field: str) -> Test:
    return lambda entry, values, _moment: entry[field] in [int(value) for value in values]


def _label(entry: Entry, values: list[t.Any], _moment: Moment) -> Answer:
    return not {int(value) for value in values}.isdisjoint(entry["labels"])


def _range(read: t.Callable[[Entry, Moment], int | None]) -> Test:
    """Return the test whether the amount is in any of the ranges, both ends of which are included."""

    def test(entry: Entry, values: list[t.Any], moment: Moment) -> Answer:
        number = read(entry, moment)
        if number is None:
            return None
        return any(
            ("min" not in value or amount(value["min"]) <= number)
            and ("max" not in value or number <= amount(value["max"]))
            for value in values
        )

    return test


def _counter(*fields: str) -> Test:
    """Return the test of the sum of these counters, which an entry has all of or none."""

    def read(entry: Entry, _moment: Moment) -> int | None:
        return None if entry[fields[0]] is None else sum(entry[field] for field in fields)

    return _range(read)


_EVERY_ADDRESS = ("source", "destination", "reply_source", "reply_destination")

KEYS: dict[str, Test] = {
    "family": _same("family"),
    "protocol": _protocol,
    "state": _state,
    "replied": _same("replied"),
    "assured": _same("assured"),
    "offloaded": _same("offloaded"),
    "expected": _same("expected"),
    "nat": _nat,
    **{field: _address(field) for field in _EVERY_ADDRESS},
    "address": _address(*_EVERY_ADDRESS),
    "source_list": _address_list("source"),
    "destination_list": _address_list("destination"),
    "address_list": _address_list(*_EVERY_ADDRESS),
    **{
        f"{prefix}{name}": _number(f"{prefix}{name}")
        for prefix in ("", "reply_")
        for name in (
            *("source_port", "destination_port", "source_key", "destination_key"),
            *("icmp_type", "icmp_code", "icmp_id"),
        )
    },
    "mark": _mark,
    "zone": _zone("zone"),
    "zone_original": _zone("zone_original"),
    "zone_reply": _zone("zone_reply"),
    "label": _label,
    "helper": _same("helper"),
    "id": _number("id"),
    **{f"{name}_{way}": _counter(f"{name}_{way}") for name in ("packets", "bytes") for way in ("original", "reply")},
    "packets": _counter("packets_original", "packets_reply"),
    "bytes": _counter("bytes_original", "bytes_reply"),
    "remaining": _range(lambda entry, _moment: entry["remaining"]),
    "idle": _range(idle),
    "age": _range(age),
}
"""Each key, as the table of docs/selectors.md says it."""

OF_TIME = frozenset({"remaining", "idle", "age"})
"""The keys whose answer may be another one a second later."""
