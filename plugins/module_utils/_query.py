# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""One question to the table, answered in one dump: counts, groups, some of the entries, and all of them in a file."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import difflib
import heapq
import itertools
import os
import tempfile
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._formats import (
    ALL_FIELDS,
    Reader,
    as_dict,
    csv_header,
    csv_row,
    extended,
    ndjson,
    total,
)
from ansible_collections.netops.conntrack.plugins.module_utils._selector import Context, Selection
from ansible_collections.netops.conntrack.plugins.module_utils._table import Table
from ansible_collections.netops.conntrack.plugins.module_utils._wire import Entry

FORMATS: dict[str, t.Callable[[Entry, Context], str]] = {"extended": extended, "ndjson": ndjson, "csv": csv_row}
"""How each format of an export writes an entry."""

_HEADERS = {"csv": csv_header}

# A group has these as its sums.
_GROUP_FIELDS = [name for name in ALL_FIELDS if name not in ("packets", "bytes")]

# As text, 9.0.0.0 would come after 10.0.0.0.
_ORDERS: dict[str, Reader] = {
    **ALL_FIELDS,
    "source": lambda e, _c: (e.family, e.original.source),
    "destination": lambda e, _c: (e.family, e.original.destination),
    "reply_source": lambda e, _c: (e.family, e.reply.source),
    "reply_destination": lambda e, _c: (e.family, e.reply.destination),
}


@dataclasses.dataclass(frozen=True)
class Query:
    """What to tell of the selected entries: groups by fields, and ``limit`` entries, sorted or as they come."""

    group_by: t.Sequence[str]
    sort_by: t.Sequence[str]
    limit: int

    def check(self) -> None:
        """Raise OptionError for a field that cannot be grouped or sorted by, and for a negative limit."""
        for at, name in enumerate(self.group_by):
            _check_field(f"group_by[{at}]", name, name, _GROUP_FIELDS)
        for at, name in enumerate(self.sort_by):
            _check_field(f"sort_by[{at}]", name, name.removeprefix("-"), list(ALL_FIELDS))
        if self.limit < 0:
            raise OptionError("limit", self.limit, "is below 0", "Give how many entries to return; 0 returns none.")


def _check_field(option: str, given: str, name: str, fields: t.Sequence[str]) -> None:
    if name not in fields:
        close = difflib.get_close_matches(name, fields, 1)
        remedy = f"Did you mean {close[0]!r}?" if close else f"The fields are {', '.join(fields)}."
        raise OptionError(option, given, "is not a field that can stand here", remedy)


@dataclasses.dataclass
class Group:
    """What the entries with the same values have in common; ``packets`` and ``octets`` are of those with counters."""

    values: tuple[t.Any, ...]
    entries: int = 0
    packets: int = 0
    octets: int = 0
    without_counters: int = 0

    def add(self, entry: Entry) -> None:
        """Count the entry."""
        self.entries += 1
        packets = total(entry.packets_original, entry.packets_reply)
        octets = total(entry.bytes_original, entry.bytes_reply)
        if packets is None or octets is None:
            self.without_counters += 1
        else:
            self.packets += packets
            self.octets += octets

    def as_dict(self, names: t.Sequence[str]) -> dict[str, t.Any]:
        """Give the fields and the counts; packets and bytes are None where none of the entries has counters."""
        counted = self.entries > self.without_counters
        values = (list(value) if isinstance(value, tuple) else value for value in self.values)
        return {
            **dict(zip(names, values)),
            "entries": self.entries,
            "packets": self.packets if counted else None,
            "bytes": self.octets if counted else None,
            "without_counters": self.without_counters,
        }


class Export:
    """A file that gets every selected entry. It takes its name when it is complete, and is readable by its owner only.

    Use ``exporting`` to make one.
    """

    def __init__(self, file: t.IO[str], dest: str, form: str, context: Context) -> None:
        self._file = file
        self._dest = dest
        self._form = form
        self._context = context

    def restart(self) -> None:
        """Drop what was written so far."""
        with _writing(self._dest):
            self._file.seek(0)
            self._file.truncate()
            if self._form in _HEADERS:
                self._file.write(_HEADERS[self._form]() + "\n")

    def write(self, entry: Entry) -> None:
        """Write one entry."""
        with _writing(self._dest):
            self._file.write(FORMATS[self._form](entry, self._context) + "\n")

    def finish(self) -> None:
        """Put what was written on the disk."""
        with _writing(self._dest):
            self._file.flush()
            os.fsync(self._file.fileno())


@contextlib.contextmanager
def _writing(dest: str) -> t.Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConntrackError(
            f"dest: {dest!r} could not be written ({error.strerror}), and is as it was. Give the path of a file that "
            "can be written, on a disk with room."
        ) from error


def check_dest(dest: str) -> None:
    """Raise OptionError where no file can be at ``dest``."""
    directory = os.path.dirname(dest)
    if not os.path.isabs(dest):
        raise OptionError(
            "dest", dest, "is not absolute", "Give the whole path on the target, such as /var/tmp/table.csv."
        )
    if os.path.isdir(dest):
        raise OptionError("dest", dest, "is a directory", "Give the path of a file.")
    if not os.path.isdir(directory):
        raise OptionError("dest", dest, "is in a directory that is not there", f"Make it first: mkdir -p {directory}.")


@contextlib.contextmanager
def exporting(dest: str, form: str, context: Context) -> t.Iterator[Export]:
    """Give an export whose file becomes ``dest`` at the end, whole and on the disk; an error leaves ``dest`` as it was.

    Raises ConntrackError where the file cannot be written.
    """
    # A link stays a link: its file is replaced.
    path = os.path.realpath(dest)
    with _writing(dest):
        descriptor, name = tempfile.mkstemp(prefix=".conntrack_info-", dir=os.path.dirname(path))
    file = open(descriptor, "w", encoding="utf-8", newline="")  # noqa: SIM115  (see the closing below)
    export = Export(file, dest, form, context)
    try:
        yield export
        export.finish()
        with _writing(dest):
            os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    finally:
        # On a full disk, closing fails once more; what is complete was written before.
        with contextlib.suppress(OSError):
            file.close()


@dataclasses.dataclass
class _Pass:
    """One pass over the entries of a dump, with its counts; a dump that starts again takes a new one."""

    selection: Selection
    context: Context
    query: Query
    export: Export | None
    total: int = 0
    matched: int = 0
    undecidable: int = 0
    groups: dict[tuple[t.Any, ...], Group] = dataclasses.field(default_factory=dict)

    def run(self, entries: t.Iterator[Entry]) -> dict[str, t.Any]:
        if self.export:
            self.export.restart()
        selected = self._selected(entries)
        taken = self._take(selected)
        # What is not returned is counted all the same.
        collections.deque(selected, maxlen=0)
        largest = heapq.nlargest(self.query.limit, self.groups.values(), key=lambda group: group.entries)
        return {
            "total": self.total,
            "matched": self.matched,
            "undecidable": self.undecidable,
            "entries": [as_dict(entry, self.context) for entry in taken],
            "groups": [group.as_dict(self.query.group_by) for group in largest],
            "groups_distinct": len(self.groups),
        }

    def _selected(self, entries: t.Iterator[Entry]) -> t.Iterator[Entry]:
        for entry in entries:
            self.total += 1
            decision = self.selection.decide(entry)
            if decision is None:
                self.undecidable += 1
            elif decision:
                self.matched += 1
                self._note(entry)
                yield entry

    def _note(self, entry: Entry) -> None:
        if self.query.group_by:
            values = tuple(_hashable(ALL_FIELDS[name](entry, self.context)) for name in self.query.group_by)
            self.groups.setdefault(values, Group(values)).add(entry)
        if self.export:
            self.export.write(entry)

    def _take(self, selected: t.Iterator[Entry]) -> list[Entry]:
        """Give the entries to return; of those that are not, none is kept."""
        if not self.query.sort_by:
            return list(itertools.islice(selected, self.query.limit))
        return heapq.nsmallest(self.query.limit, selected, key=self._rank)

    def _rank(self, entry: Entry) -> list[tuple[bool, t.Any]]:
        ranks = []
        for field in self.query.sort_by:
            value = _ORDERS[field.removeprefix("-")](entry, self.context)
            descending = field.startswith("-") and value is not None
            ranks.append((value is None, _Descending(value) if descending else value))
        return ranks


class _Descending:
    """A value that comes before the smaller ones."""

    __slots__ = ("value",)

    def __init__(self, value: t.Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and bool(self.value == other.value)

    def __lt__(self, other: _Descending) -> bool:
        return bool(other.value < self.value)


def _hashable(value: t.Any) -> t.Any:
    return tuple(value) if isinstance(value, list) else value


def run_query(
    table: Table, selection: Selection, context: Context, query: Query, export: Export | None = None
) -> dict[str, t.Any]:
    """Read the table once and give the numbers, groups and entries that ``query`` asks for, as the module returns them.

    Besides those that are returned, no entries are kept in memory; the groups are.
    """
    return table.read(lambda entries: _Pass(selection, context, query, export).run(entries))
