# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The files that keep settings over a boot, and the record of what was there before the first of them was written.

Beside a drop-in of sysctl.d there are files of the same name in modules-load.d, without which a drop-in is lost where
nf_conntrack is a module, and in modprobe.d, which gives the module its hash size when it is loaded. Each is written
where it is needed, and only there.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot import NextBoot, next_boot
from ansible_collections.netops.conntrack.plugins.module_utils._dropin import (
    boot_values,
    lines_of,
    merge,
    plan_dropin,
    restore,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._files import FileChange, plan_file
from ansible_collections.netops.conntrack.plugins.module_utils._settings import Change
from ansible_collections.netops.conntrack.plugins.module_utils._text import read_text

_MODULES_LOAD = "/etc/modules-load.d"
_MODPROBE = "/etc/modprobe.d"
_HEADER = "# Kept by Ansible (netops.conntrack.conntrack_settings) for the settings in {}."
_LOADS = re.compile(r"\s*nf_conntrack\s*")
_SIZES = re.compile(r"\s*options\s+nf_conntrack\s+hashsize=\S*\s*")
_RECORD_VERSION = 1


class Before(t.NamedTuple):
    """What was found before the first run: the sysctl's name, the kernel's value, and the drop-in's lines."""

    name: str
    runtime: int | None
    lines: str | None


@dataclasses.dataclass(frozen=True)
class Record:
    """What was found: of each setting, by its short name, and the text of each file (None: there was none)."""

    settings: t.Mapping[str, Before]
    files: t.Mapping[str, str | None]

    @classmethod
    def of_text(cls, text: str | None, path: str) -> Record:
        """Read a record's text. Raises OptionError, which names the file, for one that is not whole."""
        if text is None:
            return cls({}, {})
        try:
            data = json.loads(text)
            settings = {short: Before(**before) for short, before in data["settings"].items()}
            record = cls(settings, dict(data["files"]))
            if not record._is_sound:
                raise TypeError
            return record
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OptionError(
                "sysctl_file",
                path,
                "is not the record that this module wrote of what was there before",
                "Put that file right, or remove it: what is there now then counts as what was there before.",
            ) from error

    @property
    def _is_sound(self) -> bool:
        texts = [*self.files.values(), *(before.lines for before in self.settings.values())]
        numbers = [before.runtime for before in self.settings.values()]
        sound_texts = all(text is None or isinstance(text, str) for text in texts)
        return sound_texts and all(number is None or isinstance(number, int) for number in numbers)

    def text(self) -> str | None:
        """Give the text to be kept; None for a record of nothing."""
        if not self.settings:
            return None
        data = {
            "version": _RECORD_VERSION,
            "settings": {short: before._asdict() for short, before in self.settings.items()},
            "files": self.files,
        }
        return json.dumps(data, indent=2, sort_keys=True) + "\n"


@dataclasses.dataclass(frozen=True)
class Kept:
    """What becomes of the files, and what the next boot makes of them: now, and when they are changed."""

    record: FileChange
    files: list[FileChange]
    before: NextBoot
    after: NextBoot

    @property
    def changed(self) -> list[FileChange]:
        """The files that change, as an operator wants to see them in a diff: without the record."""
        return [file for file in self.files if file.changed]


def keep(sysctl_file: str, changes: t.Sequence[Change], load_module: bool) -> Kept:
    """Plan the files that give the next boot what is wanted. Nothing is written.

    Raises OptionError or NotPermittedError for a file that cannot be used.
    """
    record = _read_record(sysctl_file)
    boot = next_boot()
    loads = load_module and boot.module == "late"
    modules = _plan_line(sysctl_file, _MODULES_LOAD, _LOADS, "nf_conntrack" if loads else None)
    held = next_boot({modules.path: modules.new_text}) if any(change.least for change in changes) else None
    numbers = {change.sysctl.name: _number_to_keep(change, held) for change in changes}
    wanted = {name: number for name, number in numbers.items() if number is not None}
    dropin = plan_dropin(sysctl_file, lambda text: merge(text or "", wanted) if wanted else text)
    modprobe = _plan_line(sysctl_file, _MODPROBE, _SIZES, _hash_size_line(dropin, boot))
    files = [modules, modprobe, dropin]
    found = {}
    for change in changes:
        old, new = (lines_of(text or "", change.sysctl.name) for text in (dropin.text, dropin.new_text))
        # Where our drop-in was right all along, and only the kernel was not, there is nothing to go back to.
        if old != new or (change.needed and new is None):
            found[change.sysctl.short] = Before(change.sysctl.name, change.before, old)
    texts = {file.path: file.text for file in files if file.changed}
    return _kept(sysctl_file, Record({**found, **record.settings}, {**texts, **record.files}), files, boot)


def _number_to_keep(change: Change, held: NextBoot | None) -> int | None:
    """Give the number for the drop-in; None where the boot has at least as much without it."""
    if held is None or not change.least:
        return change.wanted
    at_boot = number_at_boot(held, change.sysctl.short)
    if change.holds(at_boot):
        return None
    # Where no file sets it, the boot has the kernel's own value, which may be as much as there is now.
    return change.reached if at_boot is None else change.wanted


def forget(sysctl_file: str, shorts: t.Collection[str]) -> tuple[Kept, dict[str, int]]:
    """Plan the files as they were before the first run, for the settings ``shorts``, or for all if there are none.

    Gives the kernel's values from then, too, by short name. Nothing is written; raises what ``keep`` raises.
    """
    record = _read_record(sysctl_file)
    boot = next_boot()
    gone = {short: before for short, before in record.settings.items() if not shorts or short in shorts}
    left = Record({short: before for short, before in record.settings.items() if short not in gone}, record.files)
    lines = {short: before.lines for short, before in gone.items()}
    created = record.files.get(os.path.realpath(sysctl_file), "") is None
    dropin = plan_dropin(sysctl_file, lambda text: _restored(text, lines, created))
    size = _hash_size_line(dropin, boot) if left.settings else None
    files = [dropin, _plan_line(sysctl_file, _MODPROBE, _SIZES, size, record)]
    if not left.settings:
        files.append(_plan_line(sysctl_file, _MODULES_LOAD, _LOADS, None, record))
    values = {short: before.runtime for short, before in gone.items() if before.runtime is not None}
    return _kept(sysctl_file, left, files, boot), values


def _restored(text: str | None, lines: t.Mapping[str, str | None], created: bool) -> str | None:
    restored = restore(text or "", lines)
    return None if text is None or (created and not restored) else restored


def number_at_boot(boot: NextBoot, short: str) -> int | None:
    """Give the number that a setting has after the boot; None where it is the kernel's default, or no number."""
    value = boot.in_force(short)
    return value.value if value else None


def _kept(sysctl_file: str, record: Record, files: list[FileChange], before: NextBoot) -> Kept:
    overlay = {file.path: file.new_text for file in files if file.changed}
    record_file = plan_file(_record_path(sysctl_file), lambda _text: record.text())
    return Kept(record_file, files, before, next_boot(overlay) if overlay else before)


def _record_path(sysctl_file: str) -> str:
    return f"{os.path.realpath(sysctl_file)}.before"


def _read_record(sysctl_file: str) -> Record:
    path = _record_path(sysctl_file)
    return Record.of_text(read_text(path), path)


def _hash_size_line(dropin: FileChange, boot: NextBoot) -> str | None:
    """Give the line with the hash size for the time of loading; None where it is not needed.

    Only where the drop-in sets max as well: the kernel makes it 8 times the hash size that a module is loaded with.
    """
    values = boot_values(dropin.new_text or "")
    if boot.module == "builtin" or not {"buckets", "max"} <= values.keys():
        return None
    return f"options nf_conntrack hashsize={values['buckets']}"


def _plan_line(
    sysctl_file: str, directory: str, ours: re.Pattern[str], line: str | None, record: Record | None = None
) -> FileChange:
    """Plan our ``line`` in the file of the drop-in's name in a directory; the other lines stay.

    Without a line, the file is left as it is, or gets from the ``record`` the lines that it had in place of ours.
    """
    path = os.path.join(directory, os.path.basename(sysctl_file))
    if line is not None:
        return plan_file(path, lambda text: _with_lines(text, sysctl_file, ours, [line]))
    if record is None or os.path.realpath(path) not in record.files:
        return plan_file(path, lambda text: text)
    was = record.files[os.path.realpath(path)]
    before = [each for each in (was or "").split("\n") if ours.fullmatch(each)]
    nothing = None if was is None else ""
    return plan_file(path, lambda text: text and (_with_lines(text, sysctl_file, ours, before) or nothing))


def _with_lines(text: str | None, sysctl_file: str, ours: re.Pattern[str], lines: list[str]) -> str | None:
    """Give the text with these lines in place of ours; None if nothing but our head is left."""
    header = _HEADER.format(sysctl_file)
    kept = (header if text is None else text).removesuffix("\n").split("\n")
    places = [place for place, each in enumerate(kept) if ours.fullmatch(each)]
    at = places[-1] if places else len(kept)
    new = [each for place, each in enumerate(kept[:at]) if place not in places] + lines + kept[at + 1 :]
    return "\n".join([*new, ""]) if [each for each in new if each not in ("", header)] else None
