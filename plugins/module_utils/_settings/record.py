# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The record of what was there before settings were first changed. It lies next to the drop-in, named ``*.before``."""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._files.replacement import Purpose
from ansible_collections.netops.conntrack.plugins.module_utils._files.text import printable, read_text

DIRECTORY = "/etc/sysctl.d"
"""Where the facts look for records: a drop-in that is not here is read at no boot."""

SYSCTL_FILE = Purpose("sysctl_file", "set persist: false")
"""Why files are written here, for errors: what the option sysctl_file asks for, and what goes with it."""

_ENDING = ".before"
_VERSION = 1


class Before(t.NamedTuple):
    """What was found before the first run: the sysctl's name, the kernel's value, and the drop-in's lines.

    ``runtime`` is None as long as the kernel was not changed, or where its value could not be read.
    """

    name: str
    runtime: int | None
    lines: str | None


class Edit(t.NamedTuple):
    """A file's new text, and its ``original``: what it would be without us. None is that there is no file."""

    new_text: str | None
    original: str | None


@dataclasses.dataclass(frozen=True)
class Record:
    """What was found: of each setting, by its short name. And each file that was changed, as it would be without us.

    Of a file it is the whole text, None if there was no file.
    """

    settings: t.Mapping[str, Before]
    files: t.Mapping[str, str | None]

    @classmethod
    def from_text(cls, text: str | None, path: str) -> Record:
        """Read a record's text. Raises OptionError, which names the file, for one that is not whole."""
        if text is None:
            return cls({}, {})
        try:
            data = json.loads(text)
            if data["version"] != _VERSION:
                raise ValueError("it has another version")
            settings = {name: Before(**before) for name, before in data["settings"].items()}
            record = cls(settings, dict(data["files"]))
            if not record._is_sound:
                raise TypeError
            return record
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise OptionError(
                "sysctl_file",
                path,
                "is not the record that this module wrote of what was there before",
                "If a newer release of this collection wrote it, use that one. Else put that file right, or remove it: "
                "what is there now then counts as what was there before.",
            ) from error

    @property
    def _is_sound(self) -> bool:
        texts = [*self.files.values(), *(before.lines for before in self.settings.values())]
        numbers = [before.runtime for before in self.settings.values()]
        names = [before.name for before in self.settings.values()]
        sound_texts = all(text is None or isinstance(text, str) for text in texts)
        sound_numbers = all(number is None or _is_number(number) for number in numbers)
        return sound_texts and sound_numbers and all(isinstance(name, str) for name in names)

    def text(self) -> str | None:
        """Return the text to be kept, or None for a record of nothing."""
        if not self.settings and not self.files:
            return None
        data = {
            "version": _VERSION,
            "settings": {name: before._asdict() for name, before in self.settings.items()},
            "files": self.files,
        }
        return json.dumps(data, indent=2, sort_keys=True) + "\n"


def _is_number(value: t.Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def path_of(sysctl_file: str) -> str:
    """Return the path of the record that belongs to a drop-in."""
    return f"{os.path.realpath(sysctl_file)}{_ENDING}"


def read_record(sysctl_file: str) -> Record:
    """Return the record of a drop-in. Raises OptionError for one that is not whole, NotPermittedError."""
    path = path_of(sysctl_file)
    return Record.from_text(read_text(path, SYSCTL_FILE.option), path)


def describe_records(root: str = "/") -> dict[str, t.Any]:
    """Return the records of all drop-ins as facts. What cannot be read makes the names of the settings unknown."""
    directory = os.path.join(root, DIRECTORY.lstrip("/"))
    files: list[dict[str, t.Any]] = []
    unreadable = []
    try:
        for name in _recorded_dropins(directory):
            try:
                settings = _describe(read_record(os.path.join(directory, name)))
                files.append({"sysctl_file": f"{DIRECTORY}/{name}", "settings": settings})
            except ConntrackError as error:
                unreadable.append(error.message)
    except OSError as error:
        unreadable.append(f"{DIRECTORY} cannot be read ({error.strerror})")
    names = {name for file in files for name in file["settings"]}
    return {
        "files": files,
        "settings": None if unreadable else sorted(names),
        "unreadable": " ".join(unreadable) or None,
    }


def _recorded_dropins(directory: str) -> list[str]:
    """Return the names of the drop-ins that have a record, also where the drop-in itself is gone. Raises OSError."""
    try:
        names = {name.removesuffix(_ENDING) for name in os.listdir(directory)}
    except FileNotFoundError:
        return []
    dropins = (name for name in names if name.endswith(".conf") and not name.startswith("."))
    # The record of a drop-in that is a link lies next to what the link leads to.
    return sorted(name for name in dropins if os.path.exists(path_of(os.path.join(directory, name))))


def _describe(record: Record) -> dict[str, t.Any]:
    return {
        name: {
            "name": before.name,
            "runtime": before.runtime,
            "lines": None if before.lines is None else printable(before.lines),
        }
        for name, before in sorted(record.settings.items())
    }
