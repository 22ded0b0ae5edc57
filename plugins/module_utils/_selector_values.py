# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The values in a selector as people write them, checked and made numbers. Every function raises OptionError."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_number

_LABELS_FILE = "/etc/xtables/connlabel.conf"  # where conntrack(8) takes the names of labels from
_PORT_RANGE = re.compile(r"([0-9]+)-([0-9]+)", re.ASCII)

Range = tuple[int, t.Optional[int]]
"""The least and the largest number of a range, both inclusive; None: there is no largest."""


def choice(names: t.Mapping[str, int], value: t.Any, option: str) -> int:
    """Give the number of one of the names, however it is spelled in upper and lower case."""
    number = names.get(str(value).strip().lower())
    if number is None:
        raise OptionError(option, value, "is not known", f"Give one of {', '.join(names)}.")
    return number


def boolean(value: t.Any, option: str) -> bool:
    """Give what YAML or a command line means by true and false."""
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("yes", "true", "on", "1"):
        return True
    if text in ("no", "false", "off", "0"):
        return False
    raise OptionError(option, value, "is neither true nor false", "Give true or false.")


def label_bit(value: t.Any, option: str) -> int:
    """Give the number of a label, which may have a name on this host."""
    if str(value).strip().isdigit():
        return parse_number(value, option, 127)
    try:
        with open(_LABELS_FILE, encoding="utf-8", errors="replace") as file:
            lines = [line.split("#")[0].split() for line in file]
    except OSError:
        lines = []
    names = {
        words[1]: int(words[0]) for words in lines if len(words) == 2 and words[0].isascii() and words[0].isdecimal()
    }
    if str(value).strip() not in names:
        raise OptionError(
            option, value, "is not a label", f"Give a bit from 0 to 127, or a name that {_LABELS_FILE} defines."
        )
    return names[str(value).strip()]


def mark_and_mask(value: t.Any, option: str) -> tuple[int, int]:
    """Give mark and mask of a text such as 0x10/0xff; without a mask, all bits count."""
    text, _slash, mask_text = str(value).partition("/")
    wanted = parse_number(text, option, 0xFFFFFFFF)
    mask = parse_number(mask_text, option, 0xFFFFFFFF) if _slash else 0xFFFFFFFF
    if wanted & ~mask:
        raise OptionError(option, value, "can never hold, the mark has bits outside its mask", "Write mark/mask.")
    return wanted, mask


def parse_network(value: t.Any, option: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Give a network; an address is one of a single address."""
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


def number_range(value: t.Any, option: str, maximum: int) -> tuple[int, int]:
    """Give the least and the largest number of a text such as 1024-65535; a number is a range of its own."""
    match = _PORT_RANGE.fullmatch(str(value).strip())
    if match is None:
        number = parse_number(value, option, maximum)
        return number, number
    low, high = (parse_number(part, option, maximum) for part in match.groups())
    if low > high:
        raise OptionError(option, value, "is an empty range", "Write the lower number first.")
    return low, high


def parse_range(value: t.Any, option: str, parse: t.Callable[[t.Any, str], int]) -> Range:
    """Give the range of a dict with min, max or both, each read by ``parse``; without min it begins at 0."""
    if not isinstance(value, dict) or not value or set(value) - {"min", "max"}:
        raise OptionError(option, value, "is not a range", "Give {min: N}, {max: N} or both; both are inclusive.")
    low = parse(value["min"], f"{option}.min") if "min" in value else 0
    high = parse(value["max"], f"{option}.max") if "max" in value else None
    if high is not None and low > high:
        raise OptionError(option, value, "is an empty range", "min must not be larger than max.")
    return low, high


def parse_count(value: t.Any, option: str) -> int:
    """Give a number of packets or bytes, which the kernel counts with 64 bits."""
    return parse_number(value, option, (1 << 64) - 1)
