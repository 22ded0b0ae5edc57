# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The texts of the machine's files, which may hold bytes that are no text."""

from __future__ import annotations

import errno

from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    BECOME_ROOT,
    NotPermittedError,
    OptionError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._files.paths import place_of

MOST_BYTES_OF_RECORD = 32 << 20
"""A record has the texts of three files, in which a character may have become six."""


def read_text(path: str, option: str) -> str | None:
    """Return the text of a record, None where there is none. Bytes that are no UTF-8 are escaped.

    Raises NotPermittedError without the right to read it, OptionError for what is no regular file, is too large, or is
    at a path that others can redirect. Both name ``option``.
    """
    try:
        with place_of(path, option) as place:
            return text_of(place.read(MOST_BYTES_OF_RECORD))
    except OSError as error:
        raise unreadable(path, option, error) from error


def text_of(data: bytes | None) -> str | None:
    """Return the bytes of a file as text, those that are no UTF-8 escaped, or None where there is no file."""
    return None if data is None else data.decode("utf-8", "surrogateescape")


def unreadable(path: str, option: str, error: OSError) -> NotPermittedError | OptionError:
    """Return the error for a file that could not be read."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return NotPermittedError(f"{option}: {path!r} cannot be read ({error.strerror}). {BECOME_ROOT}")
    problem = f"cannot be read ({error.strerror})"
    return OptionError(option, path, problem, "Give another file, or remove what is there.")


def printable(text: str) -> str:
    """Return a text that ``read_text`` gave for people and for JSON: what is no UTF-8 is replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
