# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The lines of sysctl.d(5): what they say, and what a whole set of them makes of the connection-tracking settings.

The rules are those of systemd-sysctl (src/sysctl/sysctl.c), which procps' ``sysctl --system`` shares.
"""

from __future__ import annotations

import fnmatch
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import Tree
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import (
    DIRECTORIES,
    GAUGE,
    short_name_of_sysctl,
)
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.values import kernel_takes

_BLANKS = " \t\n\r"
_SEPARATOR = re.compile(r"[./]")
_SWAPPED = str.maketrans("./", "/.")
_PATTERN = re.compile(r"[*?\[]")
_NUMBER = re.compile(r"(?P<sign>-?)(?:0x(?P<hexadecimal>[0-9a-f]+)|(?P<octal>0[0-7]*)|(?P<decimal>[1-9][0-9]*))")


class Source(t.NamedTuple):
    """Where something stands: the full path of a file, and the line in it, counted from 1."""

    file: str
    line: int


class BootValue(t.NamedTuple):
    """What a line sets: the ``text`` as it is written, and the number that the kernel takes from it.

    ``value`` is None for what is no whole number: it is handed to the kernel all the same, which refuses it.
    """

    value: int | None
    text: str
    source: Source


class Assignment(t.NamedTuple):
    """One line: ``name = value``. ``dash`` is a leading ``-``, an error does not matter then.

    ``value`` is None for a line ``-name`` without a ``=``, which only takes what it names out of the patterns.
    """

    line: int
    name: str
    value: str | None
    dash: bool

    @property
    def key(self) -> str:
        """The file below /proc/sys that the name means, or a pattern of such files."""
        # The first separator decides: after a dot, dots separate and slashes stand for dots; after a slash neither.
        first = _SEPARATOR.search(self.name)
        path = self.name.translate(_SWAPPED) if first and first[0] == "." else self.name
        return "/".join(part for part in path.split("/") if part not in ("", "."))

    @property
    def short_name(self) -> str | None:
        """The setting's short name, or None if the line is not about one setting of connection tracking."""
        return short_name_of_key(self.key)


class Line(t.NamedTuple):
    """An assignment, and where it stands."""

    source: Source
    assignment: Assignment
    key: str

    @property
    def is_pattern(self) -> bool:
        """Whether it sets all that match, and not one setting by its name."""
        return bool(_PATTERN.search(self.key))

    @property
    def is_refused(self) -> bool:
        """Whether its value is nothing that the kernel takes, whatever it is for."""
        if self.assignment.value is None:
            return False
        short_name = short_name_of_key(self.key)
        return (self.boot_value(short_name).value if short_name else number_of(self.assignment.value)) is None

    def boot_value(self, short_name: str) -> BootValue:
        """Return what it sets, as the value of the setting ``short_name``."""
        text = self.assignment.value or ""
        number = number_of(text)
        return BootValue(number if number is not None and kernel_takes(short_name, number) else None, text, self.source)


def assignments(text: str) -> t.Iterator[Assignment]:
    """Yield the assignments in a file's ``text``, from its top. What systemd-sysctl does not understand is left out."""
    for number, line in enumerate(text.split("\n"), start=1):
        name, equals, value = line.strip(_BLANKS).partition("=")
        dash = name.startswith("-")
        if (equals or dash) and not name.startswith(("#", ";")):
            bare = name.removeprefix("-").strip(_BLANKS)
            yield Assignment(number, bare, value.strip(_BLANKS) if equals else None, dash)


def number_of(text: str) -> int | None:
    """Return the whole number that the kernel takes from ``text``, or None for a text that it refuses.

    As proc_get_long() in kernel/sysctl.c does: hexadecimal and octal as in C, and nothing counts behind a blank.
    """
    words = text.lower().split()
    match = _NUMBER.fullmatch(words[0]) if words else None
    if not match:
        return None
    bases = {"hexadecimal": 16, "octal": 8, "decimal": 10}
    return next(int(match["sign"] + match[name], base) for name, base in bases.items() if match[name])


def short_name_of_key(key: str) -> str | None:
    """Return the short name of a file below /proc/sys, or None if it is no setting of connection tracking."""
    short_name = None if "." in key else short_name_of_sysctl(key)
    return None if short_name == GAUGE else short_name


def kernel_keys(tree: Tree) -> dict[str, str]:
    """Return the short name of each file below /proc/sys that holds a setting now, under all the file's names."""
    keys = [f"{directory}/{name}" for directory in DIRECTORIES for name in tree.names(f"/proc/sys/{directory}")]
    return {key: name for key in sorted(keys) for name in [short_name_of_key(key)] if name}


def read_lines(tree: Tree, paths: t.Iterable[str]) -> list[Line]:
    """Return the assignments in the files ``paths``, in this order, that can be about connection tracking."""
    return relevant(
        Line(Source(path, assignment.line), assignment, assignment.key)
        for path in paths
        for assignment in assignments(tree.read(path) or "")
    )


def relevant(lines: t.Iterable[Line]) -> list[Line]:
    """Return the lines that can be about connection tracking."""
    return [line for line in lines if line.is_pattern or short_name_of_key(line.key)]


def winners(lines: t.Iterable[Line], keys: t.Mapping[str, str]) -> dict[str, BootValue]:
    """Return what ``lines`` set, by short name, on a kernel that has ``keys`` (see kernel_keys; none if not known).

    The last assignment of a name wins, and a name of its own wins over a pattern, whatever their order.
    """
    last: dict[str, Line] = {}
    for line in lines:
        # The same value again keeps its place in the order in which systemd writes.
        if line.key in last and last[line.key].assignment.value != line.assignment.value:
            del last[line.key]
        last[line.key] = line
    # Later ones replace earlier ones: two names of one setting, or two patterns.
    wins: dict[str, BootValue] = {}
    for line in last.values():
        if line.assignment.value is not None:
            for key, short_name in _targets(line, keys):
                value = line.boot_value(short_name)
                # What the kernel refuses leaves what another name or pattern has set.
                if (key == line.key or key not in last) and (value.value is not None or short_name not in wins):
                    wins[short_name] = value
    return wins


def written_in_order(
    lines: t.Sequence[Line], keys: t.Mapping[str, str], stops_at_errors: bool = False
) -> dict[str, BootValue]:
    """Return what ``lines`` of one file set, by short name, where each is written when it is read.

    What the kernel refuses then leaves what an earlier line set. ``stops_at_errors`` tells that the program reads no
    further, as the one of busybox does.
    """
    # A line without a value only takes its name out of the patterns, which one with a value does as well.
    needless = {line.key for line in lines if line.assignment.value is not None}
    if any(line.is_pattern for line in lines):
        lines = [line for line in lines if line.assignment.value is not None or line.key not in needless]
    else:
        lines = [line for line in lines if line.assignment.value is not None]
    refused = [line for line in lines if line.is_refused]
    # A name that the kernel lacks is left out before anything is written.
    stops = [line for line in refused if stops_at_errors and (line.key in keys or not keys)]
    if stops:
        lines = lines[: lines.index(stops[0]) + 1]
    # A name takes itself out of the patterns, also with a value that is refused.
    names = [line._replace(assignment=line.assignment._replace(value=None)) for line in refused if not line.is_pattern]
    taken = [line for line in lines if line not in refused]
    return {**winners(lines, keys), **winners([*names, *taken], keys)}


def losers(
    lines: t.Iterable[Line], keys: t.Mapping[str, str], wins: t.Mapping[str, BootValue]
) -> dict[str, list[BootValue]]:
    """Return what ``lines`` would set besides ``wins``, by short name, in their order."""
    result: dict[str, list[BootValue]] = {}
    for line in lines:
        named = short_name_of_key(line.key)
        short_names = [named] if named else [name for _key, name in _targets(line, keys)]
        for short_name in short_names:
            if line.assignment.value is not None and wins.get(short_name) != line.boot_value(short_name):
                result.setdefault(short_name, []).append(line.boot_value(short_name))
    return result


def _targets(line: Line, keys: t.Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the key and the short name of each setting that a line writes, if no other line hinders it."""
    if line.is_pattern:
        return [(key, name) for key, name in keys.items() if _matches(key, line.key)]
    short_name = short_name_of_key(line.key)
    # Of the names of a setting the kernel has some only; which ones, is not known before the module is loaded.
    missing = line.key not in keys and short_name in keys.values()
    return [(line.key, short_name)] if short_name and not missing else []


def _matches(key: str, pattern: str) -> bool:
    """Compare part by part, because a wildcard does not match a slash (glob(7))."""
    parts, patterns = key.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))
