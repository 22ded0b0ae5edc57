# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The pieces of a file: whole lines, as many as are decoded at once. No more of it is ever in memory."""

from __future__ import annotations

import contextlib
import gzip
import os
import typing as t
import zlib

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._files.regular_files import open_regular
from ansible_collections.netops.conntrack.plugins.module_utils._files.text import unreadable
from ansible_collections.netops.conntrack.plugins.module_utils._files.writers import refuse_other_writers
from ansible_collections.netops.conntrack.plugins.module_utils._listing.decoder import LONGEST_LINE

PIECE = 1 << 21
"""Bytes whose lines are sorted at once. Of fewer, the groups of lines that are alike get small."""

_GZIP = b"\x1f\x8b"
_COMMENT = b"# "
"""What a line begins with that may be about the entry of the next line. So no piece ends with it."""


class Source:
    """An open file with a listing. ``path`` is what it is called in errors."""

    def __init__(self, path: str) -> None:
        """Open the file. Raises OptionError or NotPermittedError for what cannot be read, or is no regular file."""
        self.path = path
        with self.reading():
            self._descriptor = open_regular(path)
        try:
            self._look()
        except BaseException:
            self.close()
            raise

    def _look(self) -> None:
        """Note how large the file is, and what it begins with."""
        with self.reading():
            self.size = os.fstat(self._descriptor).st_size
            self.beginning = os.pread(self._descriptor, LONGEST_LINE, 0)
        self.is_compressed = self.beginning.startswith(_GZIP)
        if self.is_compressed:
            with self.reading(), contextlib.ExitStack() as stack:
                file = self._opened(stack)
                self.beginning = file.read(LONGEST_LINE)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def status(self) -> os.stat_result:
        """Return what fstat(2) says of the file. Raises what ``reading`` raises."""
        with self.reading():
            return os.fstat(self._descriptor)

    def refuse_other_writers(self) -> None:
        """Raise OptionError for a file to which others than root and the running user can write."""
        with self.reading():
            refuse_other_writers(self._descriptor, "src", self.path)

    @contextlib.contextmanager
    def reading(self) -> t.Iterator[None]:
        """Turn errors of reading into OptionError or NotPermittedError."""
        try:
            yield
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            problem = f"is not a whole file of gzip ({error})"
            raise OptionError("src", self.path, problem, "Copy it again, or give it unpacked.") from error
        except ValueError as error:
            raise OptionError("src", self.path, f"is no path ({error})", "Give the path of a file.") from error
        except OSError as error:
            raise unreadable(self.path, "src", error) from error

    def pieces(self) -> t.Iterator[bytes]:
        """Yield the file piece by piece. Only the last one may end without a line feed.

        Raises what ``reading`` raises.
        """
        with self.reading(), contextlib.ExitStack() as stack:
            file = self._opened(stack)
            rest = b""
            while True:
                read = file.read(PIECE)
                if not read:
                    break
                lines, rest = _parted(_joined(rest, read))
                if lines:
                    yield lines
            if rest:
                yield rest

    def _opened(self, stack: contextlib.ExitStack) -> t.BinaryIO:
        """Return the file at its beginning, unpacked. It is closed with the stack."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        plain = stack.enter_context(os.fdopen(os.dup(self._descriptor), "rb", buffering=0))
        if not self.is_compressed:
            return plain
        # It does not close the file that it is given.
        return t.cast("t.BinaryIO", stack.enter_context(gzip.GzipFile(fileobj=plain, mode="rb")))

    def stripe(self, number: int) -> bytes:
        """Return the lines that begin in the piece of this number, of a file that is not compressed. Raises OSError.

        Each line of the file begins in one piece, so the stripes of all pieces are the file. A line whose comment
        begins in the piece before is part of that.
        """
        start = number * PIECE
        # With what is before, a line that begins right at the start has its line feed before it, too.
        before = min(start, LONGEST_LINE)
        data = os.pread(self._descriptor, before + PIECE + 2 * LONGEST_LINE, start - before)
        return data[_first_line(data, before) : _first_line(data, before + PIECE)]

    @property
    def stripes(self) -> int:
        """How many pieces the file has."""
        return -(-self.size // PIECE)


def _joined(rest: bytes, read: bytes) -> bytes:
    """Return what was read after the ``rest`` of a line. Of a line that is too long, only the beginning is kept."""
    if len(rest) < LONGEST_LINE:
        return rest + read
    _more, feed, after = read.partition(b"\n")
    return rest[:LONGEST_LINE] + feed + after


def _parted(text: bytes) -> tuple[bytes, bytes]:
    """Return the whole lines of a text, and its rest. A comment at the end stays with what follows it."""
    end = text.rfind(b"\n") + 1
    last = text.rfind(b"\n", 0, end - 1) + 1 if end else 0
    if text.startswith(_COMMENT, last) and end - last < LONGEST_LINE:
        end = last
    return text[:end], text[end:]


def _first_line(data: bytes, at: int) -> int:
    """Return where the first line begins that begins ``at`` this byte or after it, and has no comment before it."""
    if not at:
        return 0
    start = data.find(b"\n", at - 1) + 1
    if not start:
        return len(data)
    previous = data.rfind(b"\n", 0, start - 1) + 1
    return (data.find(b"\n", start) + 1 or len(data)) if data.startswith(_COMMENT, previous) else start
