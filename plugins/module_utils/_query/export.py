# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""A file with all selected entries, in one of the formats."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import stat
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._files.paths import Place, place_of
from ansible_collections.netops.conntrack.plugins.module_utils._query.extended import ExtendedLines
from ansible_collections.netops.conntrack.plugins.module_utils._query.fields import csv_header, csv_lines, ndjson_lines
from ansible_collections.netops.conntrack.plugins.module_utils._query.output import PLAIN, Output
from ansible_collections.netops.conntrack.plugins.module_utils._query.save import SaveLines, first_line, last_line
from ansible_collections.netops.conntrack.plugins.module_utils._query.xml_lines import FIRST_LINES, LAST_LINE, XmlLines
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block

Lines = t.Callable[[Block], t.Iterable[str]]

FORMATS: dict[str, t.Callable[[Context, Output], Lines]] = {
    "extended": lambda context, output: ExtendedLines(context, output=output),
    "xml": XmlLines,
    "ndjson": lambda context, _output: functools.partial(ndjson_lines, context=context),
    "csv": lambda context, _output: functools.partial(csv_lines, context=context),
    "save": lambda context, _output: SaveLines(context),
}
"""What makes the lines of each format."""

FORMATS_WITH_OUTPUT = frozenset({"extended", "xml"})
"""Those that can show more of an entry."""

_FIRST_LINES: dict[str, t.Callable[[Context], str]] = {
    "csv": lambda _context: csv_header(),
    "save": first_line,
    "xml": lambda _context: FIRST_LINES,
}
_LAST_LINES: dict[str, t.Callable[[int], str]] = {"save": last_line, "xml": lambda _entries: LAST_LINE}
"""What ends a file of so many entries."""


class Export:
    """A file that gets every selected entry. It takes its name when it is complete, and is readable by its owner only.

    Use ``exporting`` to make one.
    """

    def __init__(
        self, file: t.IO[str], dest: str, form: str, context: Context, option: str = "dest", output: Output = PLAIN
    ) -> None:
        self._file = file
        self._dest = dest
        self._option = option
        self._form = form
        self._context = context
        self._lines = FORMATS[form](context, output)
        self._entries = 0

    def restart(self) -> None:
        """Drop what was written so far."""
        with _writing(self._dest, self._option):
            self._file.seek(0)
            self._file.truncate()
            if self._form in _FIRST_LINES:
                self._file.write(_FIRST_LINES[self._form](self._context) + "\n")
        self._entries = 0

    def write(self, block: Block) -> None:
        """Write the entries of a block."""
        with _writing(self._dest, self._option):
            self._file.write("".join(f"{line}\n" for line in self._lines(block)))
        self._entries += len(block)

    def finish(self) -> None:
        """End the file, and put what was written on the disk."""
        with _writing(self._dest, self._option):
            if self._form in _LAST_LINES:
                self._file.write(_LAST_LINES[self._form](self._entries) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())


@contextlib.contextmanager
def _writing(dest: str, option: str) -> t.Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConntrackError(
            f"{option}: {dest!r} could not be written ({error.strerror}), and is as it was. Give the path of a "
            "file that can be written, on a disk with room."
        ) from error


def check_dest(dest: str, option: str = "dest") -> None:
    """Raise OptionError where no file can be made at ``dest``, or where somebody else decides what that is.

    ``option`` is the name under which it was given.
    """
    if not os.path.isabs(dest):
        raise OptionError(
            option, dest, "is not absolute", "Give the whole path on the target, such as /var/tmp/table.csv."
        )
    with _place_of(dest, option):
        pass


@contextlib.contextmanager
def _place_of(dest: str, option: str) -> t.Iterator[Place]:
    """Yield the place of the file, its directory open. A link stays a link: its file is replaced.

    Also a directory of another user is opened, as only a new file is made there: see _files.paths.
    """
    with contextlib.ExitStack() as stack:
        with _writing(dest, option):
            place = stack.enter_context(place_of(dest, option, for_new_file=True))
            status = place.status()
        if status is not None and stat.S_ISDIR(status.st_mode):
            raise OptionError(option, dest, "is a directory", "Give the path of a file.")
        if status is not None and not stat.S_ISREG(status.st_mode):
            raise OptionError(option, dest, "is not a regular file", "Give another path, or remove what is there.")
        if place.missing:
            remedy = f"Make it first: mkdir -p {os.path.dirname(dest)}."
            raise OptionError(option, dest, "is in a directory that is not there", remedy)
        yield place


@contextlib.contextmanager
def exporting(
    dest: str, form: str, context: Context, option: str = "dest", output: Output = PLAIN
) -> t.Iterator[Export]:
    """Yield an export whose file becomes ``dest`` at the end, whole and on the disk.

    ``output`` is what its lines show in addition, if the format is one of FORMATS_WITH_OUTPUT. An error leaves ``dest``
    as it was. Raises ConntrackError where the file cannot be written.
    """
    with _place_of(dest, option) as place:
        directory = place.directory
        name = f".conntrack_info-{secrets.token_hex(8)}"
        with _writing(dest, option):
            descriptor = directory.create(name)
        file = open(descriptor, "w", encoding="utf-8", newline="")  # noqa: SIM115  (see the closing below)
        export = Export(file, dest, form, context, option, output)
        try:
            yield export
            export.finish()
            with _writing(dest, option):
                directory.replace(name, place.name)
        except BaseException:
            with contextlib.suppress(OSError):
                directory.remove(name)
            raise
        finally:
            # On a full disk, closing fails once more; what is complete was written before.
            with contextlib.suppress(OSError):
                file.close()
