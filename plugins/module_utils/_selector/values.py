# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The values in a selector as people write them, checked and made numbers. Every function raises OptionError."""

from __future__ import annotations

import contextlib
import difflib
import ipaddress
import re
import socket
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.label_names import LABELS_FILE, label_names
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._selector.protocols import PROTOCOL_NUMBERS
from ansible_collections.netops.conntrack.plugins.module_utils._uapi import PROTOCOL_NAMES
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_amount, parse_number

_LAST_LABEL = 127
_NUMBER_RANGE = re.compile(r"([0-9]+)\s*[-:]\s*([0-9]+)", re.ASCII)
_DIGITS = re.compile(r"[0-9.]+", re.ASCII)
_SERVICE_PROTOCOLS = ("tcp", "udp", "sctp", "dccp")
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class Range(t.NamedTuple):
    """The least and the most that a number may be, both inclusive. None: there is no most."""

    least: int
    most: int | None

    def contains(self, number: int) -> bool:
        """Say whether a number is in the range."""
        return self.least <= number and (self.most is None or number <= self.most)


def breakpoints_of(ranges: t.Iterable[Range]) -> list[int]:
    """Return the numbers at which a growing number enters or leaves one of the ranges."""
    breakpoints = []
    for each in ranges:
        breakpoints.append(each.least)
        if each.most is not None:
            breakpoints.append(each.most + 1)
    return breakpoints


def values_of(value: t.Any, option: str) -> list[t.Any]:
    """Return the values that a key is given: those of a list, and of a text with commas between them.

    None of them is null or an empty text. Neither is a value anywhere: in YAML a value that was forgotten is null.
    """
    values: list[t.Any] = []
    for each in value if isinstance(value, list) else [value]:
        several = isinstance(each, str) and "," in each
        values += each.split(",") if several else [each]
    if not values:
        raise OptionError(option, value, "is empty", "Give at least one value, or leave the key out.")
    for each in values:
        _require_value(each, value, option)
    return values


def _require_value(each: t.Any, given: t.Any, option: str) -> None:
    if each is None:
        remedy = "YAML reads an empty value as null. Give a value, or leave the key out."
        raise OptionError(option, given, "is null or has a null in it, which is never a value", remedy)
    if isinstance(each, str) and not each.strip():
        problem = "is an empty text or has one in it, which is never a value"
        raise OptionError(option, given, problem, "Give a value, or leave the key out.")


def choice(names: t.Mapping[str, int], value: t.Any, option: str) -> int:
    """Return the number of one of the names, however it is spelled in upper and lower case."""
    number = names.get(str(value).strip().lower())
    if number is None:
        raise OptionError(option, value, "is not known", f"Give one of {', '.join(names)}.")
    return number


def protocol_number(value: t.Any, option: str) -> int:
    """Return the number of a protocol, which may have a name of the IANA's or of this host's /etc/protocols."""
    text = str(value).strip().lower()
    if isinstance(value, bool) or not any(character.isalpha() for character in text) or text.startswith("0x"):
        return parse_number(value, option, 0xFF)
    number = PROTOCOL_NUMBERS.get(text, _host_protocol(text))
    if number is None:
        common = difflib.get_close_matches(text, PROTOCOL_NAMES.values(), 1)
        close = common or difflib.get_close_matches(text, PROTOCOL_NUMBERS, 1)
        nearest = f"Did you mean {close[0]!r}? " if close else ""
        nearest = "Leave the key out for every protocol. " if text in ("all", "any", "ip") else nearest
        remedy = f"{nearest}Give a name as in /etc/protocols, such as tcp, udp, icmp, gre or esp, or a number to 255."
        raise OptionError(option, value, "is not a protocol", remedy)
    return number


def _host_protocol(name: str) -> int | None:
    """Return the number that this host has for a name. None: it is no protocol of a packet, such as ip."""
    try:
        number = socket.getprotobyname(name)
    except (OSError, ValueError):
        return None
    return number if 0 < number <= 0xFF else None


def label_bit(value: t.Any, option: str) -> int:
    """Return the number of a label, which may have a name on this host."""
    name = str(value).strip()
    if _DIGITS.fullmatch(name):
        return parse_number(value, option, _LAST_LABEL)
    for bit, known in label_names().items():
        if known == name and bit <= _LAST_LABEL:
            return bit
    remedy = f"Give a bit from 0 to {_LAST_LABEL}, or a name that {LABELS_FILE} gives to one."
    raise OptionError(option, value, "is not a label", remedy)


def mark_and_mask(value: t.Any, option: str) -> tuple[int, int]:
    """Return mark and mask of a text such as 0x10/0xff. Without a mask, all bits count."""
    text, _slash, mask_text = str(value).partition("/")
    wanted = parse_number(text, option, 0xFFFFFFFF)
    mask = parse_number(mask_text, option, 0xFFFFFFFF) if _slash else 0xFFFFFFFF
    if wanted & ~mask:
        raise OptionError(option, value, "can never hold, the mark has bits outside its mask", "Write mark/mask.")
    return wanted, mask


def parse_network(value: t.Any, option: str) -> Network:
    """Return a network. An address is one of a single address, and an IPv4-mapped IPv6 address its IPv4 address."""
    text = str(value).strip()
    remedy = "Give an address or a network such as 203.0.113.9, 203.0.113.0/24 or 2001:db8::/32."
    if not isinstance(value, str):
        raise OptionError(option, value, "is not an address or a network", remedy)
    try:
        return _without_mapping(ipaddress.ip_network(text))
    except ValueError as error:
        with contextlib.suppress(ValueError):
            remedy = f"Did you mean {ipaddress.ip_network(text, strict=False)}?"
        raise OptionError(option, value, "is not an address or a network", remedy) from error


def _without_mapping(network: Network) -> Network:
    """Return the IPv4 network that an IPv6 one stands for (RFC 4291, 2.5.5.2), and any other as it is."""
    if isinstance(network, ipaddress.IPv4Network) or not network.subnet_of(_MAPPED):
        return network
    address = int(network.network_address) & 0xFFFFFFFF
    return ipaddress.IPv4Network((address, network.prefixlen - _MAPPED.prefixlen))


def number_range(value: t.Any, option: str, maximum: int) -> Range:
    """Return the least and the largest number of a text such as 1024-65535. A number is a range of its own."""
    match = _NUMBER_RANGE.fullmatch(str(value).strip())
    if match is None:
        number = parse_number(value, option, maximum)
        return Range(number, number)
    low, high = (parse_number(part, option, maximum) for part in match.groups())
    if low > high:
        raise OptionError(option, value, "is an empty range", "Write the lower number first.")
    return Range(low, high)


def port_range(value: t.Any, option: str) -> Range:
    """Return the least and the largest port of a range, or that of a service by its name on this host."""
    text = str(value).strip()
    if not isinstance(value, str) or text.lower().startswith("0x") or not any(map(str.isalpha, text)):
        return number_range(value, option, 0xFFFF)
    ports = {port for protocol in _SERVICE_PROTOCOLS for port in _service_port(text, protocol)}
    if not ports:
        remedy = "Give its number. A name has to be in this host's /etc/services."
        raise OptionError(option, value, "is neither a port nor a service that this host knows", remedy)
    if len(ports) > 1:
        numbers = ", ".join(map(str, sorted(ports)))
        raise OptionError(option, value, f"has several ports on this host ({numbers})", "Give the number.")
    port = ports.pop()
    return Range(port, port)


def _service_port(name: str, protocol: str) -> list[int]:
    try:
        return [socket.getservbyname(name.lower(), protocol)]
    except (OSError, ValueError):
        return []


def parse_range(value: t.Any, option: str, parse: t.Callable[[t.Any, str], int]) -> Range:
    """Return the range of a dict with min, max or both, each read by ``parse``. Without min it begins at 0."""
    if not isinstance(value, dict) or not value or set(value) - {"min", "max"}:
        remedy = "Give {min: N}, {max: N} or both; both are inclusive. In a text write KEY.min=N and KEY.max=N."
        raise OptionError(option, value, "is not a range", remedy)
    for end, given in value.items():
        _require_value(given, given, f"{option}.{end}")
    low = parse(value["min"], f"{option}.min") if "min" in value else 0
    high = parse(value["max"], f"{option}.max") if "max" in value else None
    if high is not None and low > high:
        raise OptionError(option, value, "is an empty range", "min must not be larger than max.")
    return Range(low, high)


def parse_count(value: t.Any, option: str) -> int:
    """Return a number of packets or bytes, which the kernel counts with 64 bits."""
    return parse_amount(value, option, (1 << 64) - 1)
