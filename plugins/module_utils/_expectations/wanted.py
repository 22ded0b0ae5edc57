# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Expectations that are described, as values: a dict such as conntrack_expect_info returns, checked and parsed."""

from __future__ import annotations

import socket
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.expectation import Expectation, Nat
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.known_settings import nearest
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_duration, parse_number

_FIELDS = ("family", "helper", "class", "remaining", "zone", "id", "flags", "function", "expected", "mask")
FIELDS = (*_FIELDS, "master", "nat")
"""The fields of an expectation. What no new one can be given, such as ``id``, is left out."""

_PORTS, _KEYS = ("source_port", "destination_port"), ("source_key", "destination_key")
_ENDS = ("source", "destination", *_PORTS, *_KEYS)
_OF_NAT = ("direction", "source", "source_port")
_DIRECTIONS = ("original", "reply")
_NUMBERS = {name: number for number, name in _uapi.PROTOCOL_NAMES.items()}
_FLAGS = {name: bit for bit, name in _uapi.EXPECT_FLAG_NAMES.items()}
_USERSPACE = _FLAGS["USERSPACE"]
_MOST_PORT = _MOST_ZONE = 0xFFFF
_MOST_PROTOCOL, _MOST_CLASS = 0xFF, 0xFF
_LONGEST_HELPER = 15  # NF_CT_HELPER_NAME_LEN in linux/netfilter/nf_conntrack_common.h, without the NUL behind it
_LONGEST_FUNCTION = 64

MOST_SECONDS = 2147483
"""INT_MAX / HZ where HZ is 1000: the kernel multiplies the seconds by HZ, and takes what overflows."""

_Dict = t.Mapping[str, t.Any]
_Parsed = t.TypeVar("_Parsed")


class Ends(t.NamedTuple):
    """A tuple: protocol, packed addresses, and ports or the keys of GRE, which are None where there are none."""

    family: int
    protocol: int
    source: bytes
    destination: bytes
    source_port: int | None
    destination_port: int | None

    @classmethod
    def of(cls, entry: Entry) -> Ends:
        """Return the tuple of an entry, or of a part of an expectation."""
        return cls(*(getattr(entry, name) for name in cls._fields))


class Key(t.NamedTuple):
    """What tells whether an expectation that is wanted is there: what the kernel compares, and whose it is."""

    expected: Ends
    mask_source: bytes
    mask_source_port: int | None
    master: Ends
    zone: int | None
    class_number: int | None

    @classmethod
    def of(cls, found: Expectation) -> Key:
        """Return the key of an expectation of the table."""
        mask = found.mask
        ends = Ends.of(found.expected), mask.source, mask.source_port, Ends.of(found.master)
        return cls(*ends, found.zone, found.class_number or 0)


class Wanted(t.NamedTuple):
    """An expectation that is wanted. ``remaining`` is in seconds, or None for the time that the helper gives."""

    key: Key
    helper: str | None
    remaining: int | None
    flags: int
    function: str | None
    nat: Nat | None


def parse_all(given: t.Sequence[t.Any]) -> list[Wanted]:
    """Return the expectations of the option ``expectations``. Raises OptionError, which names one and its field."""
    return [_parse(one, f"expectations[{number}]") for number, one in enumerate(given)]


def _parse(given: t.Any, option: str) -> Wanted:
    fields = _fields_of(given, option, FIELDS, "an expectation")
    helper = _optional(fields, "helper", option, _helper_of)
    expected = _ends_of(fields, "expected", option)
    master = _ends_of(fields, "master", option)
    _require_family(fields, expected, master, option)
    mask_source, mask_source_port = _mask_of(fields, expected, option)
    zone = parse_number(fields.get("zone", 0), f"{option}.zone", _MOST_ZONE)
    class_number = parse_number(fields.get("class", 0), f"{option}.class", _MOST_CLASS)
    return Wanted(
        key=Key(expected, mask_source, mask_source_port, master, zone, class_number),
        helper=helper,
        remaining=_optional(fields, "remaining", option, _seconds_of),
        flags=_flags_of(fields.get("flags", []), f"{option}.flags"),
        function=_optional(fields, "function", option, _function_of),
        nat=_nat_of(fields, expected, option),
    )


def _fields_of(given: t.Any, option: str, names: t.Collection[str], what: str) -> _Dict:
    """Return those fields of a dict that are not None. Raises OptionError for one that is unknown."""
    if not isinstance(given, dict):
        raise OptionError(option, given, f"is not {what}", "Give a dict such as conntrack_expect_info returns.")
    for name in given:
        if name not in names:
            close = nearest(str(name), names)
            remedy = f"Did you mean {close[0]}?" if close else f"Give some of {', '.join(names)}."
            raise OptionError(f"{option}.{name}", given[name], f"is no field of {what}", remedy)
    return {name: value for name, value in given.items() if value is not None}


def _optional(fields: _Dict, name: str, option: str, parse: t.Callable[[t.Any, str], _Parsed]) -> _Parsed | None:
    return parse(fields[name], f"{option}.{name}") if name in fields else None


def _needed(fields: _Dict, name: str, option: str, example: str) -> t.Any:
    if name not in fields:
        raise OptionError(f"{option}.{name}", None, "is missing", f"An expectation needs it: {example}.")
    return fields[name]


def _ends_of(fields: _Dict, name: str, option: str) -> Ends:
    given = _needed(fields, name, option, "a dict with protocol, source, destination and the ports")
    option = f"{option}.{name}"
    ends = _fields_of(given, option, ("protocol", *_ENDS), "a tuple")
    protocol = _protocol_of(_needed(ends, "protocol", option, "such as tcp or 47"), f"{option}.protocol")
    source, destination = (
        _address_of(_needed(ends, each, option, "an address"), f"{option}.{each}") for each in _ENDS[:2]
    )
    if len(source) != len(destination):
        raise OptionError(f"{option}.destination", ends["destination"], "is of the other family", "Give two of one.")
    family = socket.AF_INET if len(source) == 4 else socket.AF_INET6
    return Ends(int(family), protocol, source, destination, *_ports_of(ends, protocol, name, option))


def _ports_of(ends: _Dict, protocol: int, name: str, option: str) -> tuple[int | None, int | None]:
    """Return the ports, or the keys of GRE. The one from which a connection is expected may be any, which is 0."""
    names = _KEYS if protocol == _uapi.GRE else _PORTS
    if protocol != _uapi.GRE and protocol not in _uapi.PORT_PROTOCOLS:
        return None, None
    given = {"source_port": 0, "source_key": 0, **ends} if name == "expected" else ends
    source, destination = (
        parse_number(_needed(given, each, option, "a number"), f"{option}.{each}", _MOST_PORT) for each in names
    )
    return source, destination


def _protocol_of(value: t.Any, option: str) -> int:
    name = str(value).lower()
    number = _NUMBERS[name] if name in _NUMBERS else parse_number(value, option, _MOST_PROTOCOL)
    if number in _uapi.ICMP_PROTOCOLS:
        remedy = "Give the protocol of the connection that is expected, or of its master."
        raise OptionError(option, value, "is a protocol for which no helper expects anything", remedy)
    return number


def _address_of(value: t.Any, option: str) -> bytes:
    text = str(value)
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):
        raise OptionError(option, value, "is no address", "Give one such as 192.0.2.1.") from None


def _require_family(fields: _Dict, expected: Ends, master: Ends, option: str) -> None:
    own = _uapi.FAMILY_NAMES[master.family]
    if expected.family != master.family:
        source = fields["expected"]["source"]
        raise OptionError(f"{option}.expected.source", source, f"is not of {own}", "Give the family of the master.")
    if fields.get("family", own) != own:
        raise OptionError(f"{option}.family", fields["family"], f"is not {own}", "Give it, or leave family out.")


def _mask_of(fields: _Dict, expected: Ends, option: str) -> tuple[bytes, int | None]:
    """Return which bits of the source count, and of its port. The whole destination counts always.

    Without a mask, the whole source counts, and its port unless it is 0 (nf_ct_expect_init() in
    net/netfilter/nf_conntrack_expect.c).
    """
    whole = b"\xff" * len(expected.source)
    option = f"{option}.mask"
    given = _fields_of(fields.get("mask") or {}, option, ("protocol", *_ENDS), "a mask")
    port, destination_port = _KEYS if expected.protocol == _uapi.GRE else _PORTS
    wanted = {name: _address_of(given[name], f"{option}.{name}") for name in _ENDS[:2] if name in given}
    for name, address in wanted.items():
        if len(address) != len(whole):
            raise OptionError(f"{option}.{name}", given[name], "is of the other family", "Give that of the address.")
    has_part = wanted.get("destination", whole) != whole
    if expected.source_port is not None and destination_port in given:
        has_part |= parse_number(given[destination_port], f"{option}.{destination_port}", _MOST_PORT) != _MOST_PORT
    if has_part:
        remedy = "Leave destination and its port out of the mask."
        raise OptionError(option, fields["mask"], "leaves a part of the destination out, which always counts", remedy)
    if expected.source_port is None:
        return wanted.get("source", whole), None
    default = _MOST_PORT if expected.source_port else 0
    return wanted.get("source", whole), parse_number(given.get(port, default), f"{option}.{port}", _MOST_PORT)


def _flags_of(names: t.Any, option: str) -> int:
    """Return the flags as bits. The kernel sets USERSPACE itself."""
    bits = 0
    for name in names if isinstance(names, list) else [names]:
        if not isinstance(name, str) or name not in _FLAGS:
            raise OptionError(option, name, "is no flag of an expectation", f"Give some of {', '.join(_FLAGS)}.")
        bits |= _FLAGS[name]
    return bits & ~_USERSPACE


def _nat_of(fields: _Dict, expected: Ends, option: str) -> Nat | None:
    if "nat" not in fields:
        return None
    option = f"{option}.nat"
    nat = _fields_of(fields["nat"], option, _OF_NAT, "a translation")
    direction = _needed(nat, "direction", option, " or ".join(_DIRECTIONS))
    if direction not in _DIRECTIONS:
        raise OptionError(f"{option}.direction", direction, "is no direction", f"Give {' or '.join(_DIRECTIONS)}.")
    source = _address_of(_needed(nat, "source", option, "an address"), f"{option}.source")
    if len(source) != len(expected.source):
        raise OptionError(f"{option}.source", nat["source"], "is of the other family", "Give that of the master.")
    port = parse_number(nat.get("source_port", 0), f"{option}.source_port", _MOST_PORT)
    return Nat(_DIRECTIONS.index(direction), source, port)


def _helper_of(value: t.Any, option: str) -> str:
    return _name_of(value, option, _LONGEST_HELPER, "a helper", "ftp")


def _function_of(value: t.Any, option: str) -> str:
    return _name_of(value, option, _LONGEST_FUNCTION, "a function of the kernel", "nat-follow-master")


def _name_of(value: t.Any, option: str, longest: int, what: str, example: str) -> str:
    name = str(value)
    if not (name.isascii() and name.isprintable() and 0 < len(name) <= longest):
        raise OptionError(option, value, f"is no name of {what}", f"Give one such as {example}.")
    return name


def _seconds_of(value: t.Any, option: str) -> int:
    seconds = parse_duration(value, option)
    if not 0 < seconds <= MOST_SECONDS:
        raise OptionError(option, value, "is out of range", f"Give 1s to {MOST_SECONDS}s, which is 24 days.")
    return seconds
