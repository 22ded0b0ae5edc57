# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""A listing of entries in a file, read like the table itself."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import Timeouts
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._listing.decoder import SHOWN, Decoded
from ansible_collections.netops.conntrack.plugins.module_utils._listing.processes import decoded
from ansible_collections.netops.conntrack.plugins.module_utils._listing.rows import NOW, Form, RowWriter, with_parts
from ansible_collections.netops.conntrack.plugins.module_utils._listing.source import Source
from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.known_settings import KNOWN, nearest
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_duration

_NANOSECONDS = 1_000_000_000
_LONGEST_SHOWN = 300
_PREFIXES = ("net.netfilter.nf_conntrack_", "net.netfilter.nf_", "net.ipv4.netfilter.ip_conntrack_", "nf_conntrack_")

_UNLISTED = frozenset({"status", "expected", "labels", "helper", "assured of offloaded"})
"""What lines do not tell of an entry, unless they show it."""

_UNLISTED_BY_XML = frozenset({"status", "expected", "labels", "offloaded"})
_UNLISTED_BY_SAVE = frozenset({"status", "labels", "helper", "offloaded"})
_UNLISTED_BY_BACKUP = frozenset({"status", "offloaded", "expected"})

_BACKUP = re.compile(rb"# netops\.conntrack backup ([0-9]+)(?: [^\n]*?\bat=([^\s]+))?")
"""The first line of a backup: the version of the form, and when the table was read."""

Result = t.TypeVar("Result")


class Listing:
    """A file with what ``conntrack -L`` or /proc listed. A context manager, which closes the file.

    Raises OptionError or NotPermittedError if it cannot be read.
    """

    def __init__(self, path: str, processes: int | None = None) -> None:
        if path == "-":
            remedy = "Give the path of a file on the host on which the module runs."
            raise OptionError("src", path, "is not a file", remedy)
        self._source = Source(path)
        self._processes = processes
        self._lines = 0
        self.not_understood = 0
        """How many lines that was, once the file was read."""
        self.not_understood_lines: list[dict[str, t.Any]] = []
        self.complete: int | None = None
        """How many entries a whole backup says that it has, once the file was read. None without its last line."""

    def __enter__(self) -> Listing:
        return self

    def __exit__(self, *_unused: object) -> None:
        self._source.close()

    @property
    def unlisted(self) -> frozenset[str]:
        """What the file's format does not tell of an entry (see Context)."""
        beginning = self._source.beginning.lstrip()
        if self.backup_version is not None or beginning.startswith(b"{"):
            return _UNLISTED_BY_BACKUP
        if self.is_xml:
            return _UNLISTED_BY_XML
        return _UNLISTED_BY_SAVE if beginning.startswith(b"-A ") else _UNLISTED

    @property
    def is_xml(self) -> bool:
        """Whether it is XML, which has neither the numbers of ICMP nor the states of SCTP and DCCP."""
        return self._source.beginning.lstrip().startswith(b"<")

    @property
    def path(self) -> str:
        """The path of the file."""
        return self._source.path

    @property
    def status(self) -> os.stat_result:
        """What fstat(2) says of the file that was opened."""
        return self._source.status()

    def refuse_other_writers(self) -> None:
        """Raise OptionError for a file to which others than root and the running user can write."""
        self._source.refuse_other_writers()

    @property
    def lines(self) -> int:
        """How many lines the file has, once it was read."""
        return self._lines

    @property
    def backup_version(self) -> int | None:
        """The version of the form of a backup. None for a file of another kind."""
        found = _BACKUP.match(self._source.beginning)
        return int(found.group(1)) if found else None

    @property
    def written_at(self) -> str | None:
        """When the table was read that a backup holds, as the file says it. None where it does not."""
        found = _BACKUP.match(self._source.beginning)
        return found.group(2).decode("ascii", "backslashreplace") if found and found.group(2) else None

    def context(self, settings: t.Mapping[str, int]) -> Context:
        """Return what tells the age and the idle time of the file's entries. ``settings`` are those of its router."""
        # Slow renewal makes a second of difference, and nobody knows the kernel.
        timeouts = Timeouts(settings, NOW * _NANOSECONDS, slow_renewal=True)
        return Context(settings, timeouts.now, timeouts, self.unlisted)

    def count(self) -> None:
        """Return that nobody knows how many entries there are before they were read."""

    def read(
        self,
        collect: t.Callable[[t.Iterator[Block]], Result],
        _conditions: t.Sequence[t.Any] = (),
        *,
        fields: t.Iterable[str] | None = None,
    ) -> Result:
        """Return what ``collect`` makes of all entries, of which it reads the ``fields`` only. None stands for all.

        Raises what ``decoded`` raises.
        """
        wanted = None if fields is None else with_parts(fields)
        self._lines = self.not_understood = 0
        self.not_understood_lines = []
        self.complete = None
        with decoded(self._source, self._processes, wanted) as pieces:
            return collect(self._blocks(pieces, wanted))

    def _blocks(self, pieces: t.Iterator[Decoded], fields: frozenset[str] | None) -> t.Iterator[Block]:
        writers: dict[Form, RowWriter] = {}
        for piece in pieces:
            self._note(piece)
            for form, rows in piece.rows:
                if form not in writers:
                    writers[form] = RowWriter(form, fields)
                yield Block(writers[form].layout, rows)

    def _note(self, piece: Decoded) -> None:
        room = SHOWN - len(self.not_understood_lines)
        for number, line in piece.not_understood[:room]:
            text = line[:_LONGEST_SHOWN].decode("utf-8", "backslashreplace")
            self.not_understood_lines.append({"line": self._lines + number, "text": visible(text)})
        self.not_understood += piece.not_understood_number
        self._lines += piece.lines
        if piece.lines:
            self.complete = piece.complete


def settings_of(given: t.Mapping[str, t.Any] | None) -> dict[str, int]:
    """Return the settings of the router of a file, by short name, in seconds. Raises OptionError for others."""
    settings: dict[str, int] = {}
    for name, value in (given or {}).items():
        option = f"settings.{name}"
        short_name = name
        for prefix in _PREFIXES:
            short_name = short_name.removeprefix(prefix)
        if short_name not in KNOWN:
            close = nearest(short_name, KNOWN)
            remedy = f"Did you mean {close[0]}?" if close else "Give names such as tcp_timeout_established."
            raise OptionError(option, value, "is not a setting of connection tracking", remedy)
        settings[short_name] = parse_duration(value, option)
    return settings
