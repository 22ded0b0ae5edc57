# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The texts of the machine's files, which may hold bytes that are no text."""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.module_utils._errors import NotPermittedError


def read_text(path: str) -> str | None:
    """Give the text of a file, bytes that are no UTF-8 escaped; None where there is none. Raises NotPermittedError."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotPermittedError(f"{path!r} cannot be read ({error.strerror}). Set become: true.") from error


def printable(text: str) -> str:
    """Give a text that ``read_text`` gave for people and for JSON: what is no UTF-8 is replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
