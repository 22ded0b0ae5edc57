# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Files with addresses and networks, such as block lists: one in each line, both families, with comments.

A list decides what is deleted. So a line that cannot be read, a list without any address, and a file that others can
write are errors. None of them is ever a shorter list.
"""

from __future__ import annotations

import bisect
import errno
import os
import re
import socket
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._files.paths import Place, place_of
from ansible_collections.netops.conntrack.plugins.module_utils._files.text import text_of, unreadable
from ansible_collections.netops.conntrack.plugins.module_utils._files.writers import refuse_other_writers

MOST_BYTES = 32 << 20
"""The largest file that is read. A million IPv6 networks have 20 MiB."""

_MOST_NAMED = 3
"""Lines that an error names."""

_LONGEST_SHOWN = 50
"""Characters that it shows of each."""

_COMMENT = re.compile(r"[#;].*")
_LENGTH = re.compile(r"[0-9]{1,3}", re.ASCII)
_BITS = {int(socket.AF_INET): 32, int(socket.AF_INET6): 128}
_MAPPED = 0xFFFF << 32
"""The network ::ffff:0:0/96, whose addresses stand for IPv4 addresses (RFC 4291, 2.5.5.2)."""

_REMEMBERED = 8
"""Lists that are kept in memory, because a selection is compiled before the table is opened and again after it."""


class AddressList:
    """The addresses of a list, as ranges that do not touch each other, by family."""

    def __init__(self, ranges: t.Mapping[int, t.Iterable[tuple[int, int]]]) -> None:
        merged = {family: _merged(of_family) for family, of_family in ranges.items()}
        self.families = frozenset(merged)
        self._firsts = {family: firsts for family, (firsts, _lasts) in merged.items()}
        self._lasts = {family: lasts for family, (_firsts, lasts) in merged.items()}

    def __contains__(self, family_and_address: tuple[int, int]) -> bool:
        """Say whether an address of a family, both as numbers, is in the list."""
        family, address = family_and_address
        if family not in self.families:
            return False
        place = bisect.bisect_right(self._firsts[family], address) - 1
        return place >= 0 and address <= self._lasts[family][place]

    @property
    def breakpoints(self) -> t.Iterator[int]:
        """The numbers at which a growing address enters or leaves the list, in either family."""
        for family in self.families:
            yield from self._firsts[family]
            for last in self._lasts[family]:
                yield last + 1


def parse_address_list(value: t.Any, option: str) -> AddressList:
    """Return the list in the file at the absolute path ``value``. Raises OptionError for anything else."""
    if not isinstance(value, str) or not os.path.isabs(value.strip()):
        remedy = "Give the path of a file on the router, such as /etc/blocklist.txt, with an address in each line."
        raise OptionError(option, value, "is not an absolute path", remedy)
    path = value.strip()
    try:
        with place_of(path, option) as place, place.opened() as descriptor:
            return _read(path, option, place, refuse_other_writers(descriptor, option, place.path))
    except OSError as error:
        raise unreadable(path, option, error) from error


_known: dict[tuple[str, int, int, int, int], AddressList] = {}


def _read(path: str, option: str, place: Place, status: os.stat_result) -> AddressList:
    """Return the list in a file, which is read once for each version of it."""
    version = (path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    found = _known.get(version)
    if found is None:
        text = text_of(place.read(MOST_BYTES))
        if text is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        while len(_known) >= _REMEMBERED:
            _known.pop(next(iter(_known)))
        found = _known[version] = AddressList(_ranges_of(text, path, option))
    return found


def _ranges_of(text: str, path: str, option: str) -> dict[int, list[tuple[int, int]]]:
    """Return the first and the last address of each line, by family. Raises OptionError for a bad line."""
    ranges: dict[int, list[tuple[int, int]]] = {}
    bad: list[str] = []
    count = 0
    for number, line in enumerate(text.lstrip("\ufeff").split("\n"), 1):
        written = _COMMENT.sub("", line).strip()
        if not written:
            continue
        network = _network(written)
        if network is not None:
            family, first, last = network
            ranges.setdefault(family, []).append((first, last))
            continue
        count += 1
        if len(bad) < _MOST_NAMED:
            bad.append(f"{written[:_LONGEST_SHOWN]!r} in line {number}")
    if bad:
        more = f" and {count - len(bad)} more" if count > len(bad) else ""
        remedy = (
            "Give an address or a network such as 203.0.113.9, 203.0.113.0/24 or 2001:db8::/32 in each line. Comments "
            "begin with # or ;."
        )
        raise OptionError(option, path, f"has what is no address or network: {', '.join(bad)}{more}", remedy)
    if not ranges:
        raise OptionError(option, path, "has no address in it", "Fill the list, or leave the key out.")
    return ranges


def _network(text: str) -> tuple[int, int, int] | None:
    """Return the family, the first and the last address of a network or an address, or None for what is neither."""
    address, slash, length = text.partition("/")
    family = int(socket.AF_INET6 if ":" in address else socket.AF_INET)
    bits = _BITS[family]
    if slash and (not _LENGTH.fullmatch(length) or int(length) > bits):
        return None
    try:
        first = int.from_bytes(socket.inet_pton(family, address), "big")
    except (OSError, ValueError):
        return None
    hosts = (1 << bits - int(length)) - 1 if slash else 0
    if first & hosts:
        return None
    if bits == 128 and first >> 32 == _MAPPED >> 32 and hosts <= 0xFFFFFFFF:
        family = int(socket.AF_INET)
        first &= 0xFFFFFFFF
    return family, first, first + hosts


def _merged(ranges: t.Iterable[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Return where the ranges begin and where they end, in order. Those that overlap or touch each other are one."""
    firsts: list[int] = []
    lasts: list[int] = []
    for first, last in sorted(ranges):
        if not lasts or first > lasts[-1] + 1:
            firsts.append(first)
            lasts.append(last)
        elif last > lasts[-1]:
            lasts[-1] = last
    return firsts, lasts
