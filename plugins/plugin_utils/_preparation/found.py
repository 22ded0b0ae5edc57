# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What a router told of itself, for the role that prepares it: checked, because a router can tell anything."""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import AnswerError
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.shape import (
    FaultError,
    Shape,
    boolean,
    checked,
    list_of,
    mapping,
    one_of,
    optional,
    record,
    text,
    whole,
)

Item = dict[str, str]
"""Something that the role made: its ``kind``, and the path or the name that it has."""

DIRECTORY, FILE, PACKAGE, PIP, TREE, USER = "directory", "file", "package", "pip", "tree", "user"
KINDS = (DIRECTORY, FILE, PACKAGE, PIP, TREE, USER)
VERSION = 1
"""The version of the record on the router."""

BREAK = "--break-system-packages"
"""What lets pip change a Python that the distribution manages (PEP 668)."""

_OF = "What the router tells of itself is malformed"
_MOST = 64
_LONGEST_PATH = 4096
_PATH = re.compile(r"(?:/[A-Za-z0-9_.,:@+=~-]+)+")
_NAME = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.:@+~-]*)?")
_SHA256 = re.compile(r"(?:[0-9a-f]{64})?")


@dataclasses.dataclass(frozen=True)
class Found:
    """What is on a router. Nothing in it could be taken for a template, an option or a part of another path."""

    python: str
    uid: int
    pyroute2: str | None
    """Its version, empty if that cannot be told, None without one that can be used."""

    pip: bool
    externally_managed: bool
    libraries: str | None
    """The directory for libraries that can be written, None without one."""

    missing_of_libraries: list[str]
    """The directories that are missing for it, outermost first."""

    missing_of_directory: list[str]
    """The same for the directory of wheels."""

    ids: list[str]
    """The names of the distribution, and of those that it is like."""

    commands: dict[str, str | None]
    """The paths of the commands that were looked for."""

    files: dict[str, str | None]
    """The SHA-256 of files: None where there is none, empty for what is no regular file."""

    home: str | None
    has_ssh_directory: bool
    made: list[Item]
    """What the role has on record."""

    @classmethod
    def from_answer(cls, answer: str) -> Found:
        """Return what look.py printed on a router. Raises AnswerError if that cannot be."""
        try:
            data = json.loads(answer)
        except (ValueError, RecursionError):
            raise AnswerError(_OF, "it is no JSON") from None
        return cls(**checked(data, _found, _OF))


def is_plain(text_of_router: str) -> bool:
    """Return whether a text is a path or a name of plain characters."""
    return bool(_PATH.fullmatch(text_of_router) or _NAME.fullmatch(text_of_router))


def _matching(pattern: re.Pattern[str], what: str, longest: int = _LONGEST_PATH) -> Shape:
    as_text = text(longest)

    def shape(value: t.Any) -> str:
        found: str = as_text(value)
        if not pattern.fullmatch(found) or "/../" in f"{found}/":
            raise FaultError(f"it is not {what}")
        return found

    return shape


_A_PATH = _matching(_PATH, "a path of plain characters")
_A_NAME = _matching(_NAME, "a name of plain characters", 128)
_A_SUM = _matching(_SHA256, "a SHA-256")
_ITEM = record({"kind": one_of(*KINDS)}, {"path": _A_PATH, "name": _A_NAME, "system": _A_NAME, "sha256": _A_SUM})
_RECORD = record({"version": whole(VERSION, VERSION), "made": list_of(_ITEM, _MOST)})
_FIELDS: dict[str, Shape] = {
    "python": _A_PATH,
    "uid": whole(),
    "pyroute2": optional(_A_NAME),
    "pip": boolean,
    "externally_managed": boolean,
    "libraries": optional(_A_PATH),
    "missing_of_libraries": list_of(_A_PATH, _MOST),
    "missing_of_directory": list_of(_A_PATH, _MOST),
    "ids": list_of(_A_NAME, _MOST),
    "commands": mapping(optional(_A_PATH), _MOST),
    "files": mapping(optional(_A_SUM), _MOST, _LONGEST_PATH),
    "home": optional(_A_PATH),
    "has_ssh_directory": boolean,
}


def _found(value: t.Any) -> dict[str, t.Any]:
    """Take what look.py tells, with what is on record."""
    fields: dict[str, t.Any] = record({**_FIELDS, "record": optional(_RECORD)})(value)
    known = fields.pop("record")
    return {**fields, "made": known["made"] if known else []}
