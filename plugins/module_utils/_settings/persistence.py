# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The files that keep settings over a boot, and how they become what they were before.

Next to a drop-in of sysctl.d there are files of the same name in modules-load.d, without which a drop-in is lost where
nf_conntrack is a module, and in modprobe.d, which gives the module its hash size when it is loaded. Each is written
where it is needed, and only there.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot.next_boot import NextBoot, next_boot, reads_at_boot
from ansible_collections.netops.conntrack.plugins.module_utils._files.replacement import FileChange, plan_file
from ansible_collections.netops.conntrack.plugins.module_utils._files.text import MOST_BYTES_OF_RECORD
from ansible_collections.netops.conntrack.plugins.module_utils._settings import sysctl_dropin
from ansible_collections.netops.conntrack.plugins.module_utils._settings.change import Change
from ansible_collections.netops.conntrack.plugins.module_utils._settings.module_lines import OurLine
from ansible_collections.netops.conntrack.plugins.module_utils._settings.record import (
    SYSCTL_FILE,
    Before,
    Edit,
    Record,
    path_of,
    read_record,
)
from ansible_collections.netops.conntrack.plugins.module_utils._settings.sysctl_dropin import boot_values, lines_of

_MODULES_LOAD = "/etc/modules-load.d"
_MODULES_OF_PROCD = "/etc/modules.d"
"""The same for kmodloader of OpenWrt, which reads nothing else, and skips lines of names that no module has (ubox)."""

_MODPROBE = "/etc/modprobe.d"
_HEADER = "# Kept by Ansible (netops.conntrack.conntrack_settings) for the settings in {}."
_LOADS = re.compile(r"\s*nf_conntrack\s*")
_SIZES = re.compile(r"\s*options\s+nf_conntrack\s+hashsize=\S*\s*")
_MOST_NAMED = 3
_ANOTHER_KERNEL: dict[str, str | None] = {"/proc/modules": "nf_conntrack 0 0 - Live 0x0\n", "/proc/cmdline": ""}
"""What is taken for an image: nf_conntrack is a module, and nothing but the image's own files loads it."""


@dataclasses.dataclass(frozen=True)
class BootFiles:
    """What becomes of the files, and what the next boot makes of them: now, and when they are changed.

    ``record`` is put before the other files, and ``settled`` after them. The record first has what is about to change
    besides what is about to be restored, and loses the latter in the end. So it is right whenever a process is killed.
    """

    record: FileChange
    settled: FileChange
    files: list[FileChange]
    before: NextBoot
    after: NextBoot

    @property
    def changed(self) -> list[FileChange]:
        """The files that change, as an operator wants to see them in a diff: without the record."""
        return [file for file in self.files if file.changed]

    @property
    def why_not_read(self) -> str | None:
        """Why the next boot does not read the drop-in, for people, or None if it does, or if that is not known."""
        *_others, dropin = self.files
        if dropin.new_text is None or reads_at_boot(dropin.path) is not False:
            return None
        read = ", ".join((self.after.sysctl_files or ())[:_MOST_NAMED]) or "no file for sysctls"
        return f"The drop-in is in no directory that is read at boot. This system reads {read}."

    @property
    def lost_elsewhere(self) -> dict[str, str]:
        """The settings that the next boot no longer sets because of the change, each with the other file that has it.

        They are lost where nothing else loads nf_conntrack early, and the line that did so is taken out.
        """
        lost = self.after.lost - self.before.lost
        names = sorted(name for name in lost if self.before.effective(name))
        files = {name: self.after.values[name].source.file for name in names}
        return {name: file for name, file in files.items() if not self._is_dropin(file)}

    def is_set_elsewhere(self, short_name: str) -> bool:
        """Return whether the next boot has the value of a setting from another file than the drop-in."""
        value = self.after.effective(short_name)
        return value is not None and not self._is_dropin(value.source.file)

    def _is_dropin(self, file: str) -> bool:
        *_others, dropin = self.files
        return os.path.realpath(file) == os.path.realpath(dropin.path)

    @property
    def in_order(self) -> list[FileChange]:
        """All of them, in the order in which they are put in their places."""
        return [self.record, *self.files, self.settled]


def keep(
    sysctl_file: str,
    changes: t.Sequence[Change],
    load_module: bool,
    restored: t.Collection[str] | None = (),
    another_kernel: bool = False,
) -> BootFiles:
    """Plan the files that give the next boot what is wanted, and what it had before of what is ``restored``.

    ``restored`` names settings of the record that are not among the changes. None stands for all of them.
    ``another_kernel`` says that the files are not for the kernel that runs now. Nothing is written.

    Raises OptionError or NotPermittedError for a file that cannot be used.
    """
    planned = _FilePlanner(sysctl_file, read_record(sysctl_file), restored, _ANOTHER_KERNEL if another_kernel else {})
    return planned.plan(changes, load_module)


def number_at_boot(boot: NextBoot, short_name: str) -> int | None:
    """Return the number that a setting has after the boot, or None where it is the kernel's default, or no number."""
    value = boot.effective(short_name)
    return value.value if value else None


class _FilePlanner:
    """Works out the files of one change, from the record that is there."""

    def __init__(
        self, sysctl_file: str, record: Record, restored: t.Collection[str] | None, machine: dict[str, str | None]
    ) -> None:
        self._sysctl_file = sysctl_file
        self._record = record
        self._gone = set(record.settings) if restored is None else set(restored)
        self._left = {name: before for name, before in record.settings.items() if name not in self._gone}
        self._restores = restored is None or bool(self._gone)
        self._machine = machine
        self._boot = self._next_boot({})

    def plan(self, changes: t.Sequence[Change], load_module: bool) -> BootFiles:
        """Return the plan."""
        sets_nothing = not self._left and not changes
        needless = self._restores and sets_nothing
        loads = bool(changes) and load_module and self._boot.module == "late"
        modules = self._plan_line(self._module_lists, _LOADS, "nf_conntrack" if loads else None, needless)
        dropin = self._plan_dropin(self._numbers(changes, modules.change))
        size = None if sets_nothing else _hash_size_line(dropin.change, self._boot)
        # A run that neither sets nor restores anything leaves the file as it is.
        modprobe = self._plan_line(_MODPROBE, _SIZES, size, size is None and (needless or not sets_nothing))
        files = [modules, modprobe, dropin]
        left = dropin.edited(self._left)
        found = {change.sysctl.short_name: _found(change, left, dropin.change) for change in changes}
        settings = {**left, **{name: before for name, before in found.items() if before}}
        return self._with_record(settings, files)

    @property
    def _module_lists(self) -> str:
        """The directory whose files name the modules that this system loads at boot."""
        return _MODULES_OF_PROCD if self._boot.init == "procd" else _MODULES_LOAD

    def _numbers(self, changes: t.Sequence[Change], modules: FileChange) -> dict[str, int]:
        """Return what the drop-in shall set, by full name."""
        held = self._next_boot({modules.path: modules.new_text}) if any(change.least for change in changes) else None
        numbers = {change.sysctl.name: _number_to_keep(change, held) for change in changes}
        return {name: number for name, number in numbers.items() if number is not None}

    def _plan_dropin(self, wanted: dict[str, int]) -> _PlannedFile:
        text = sysctl_dropin.plan_dropin(self._sysctl_file, lambda text: text).text
        original = self._record.files.get(os.path.realpath(self._sysctl_file), text)
        edit = sysctl_dropin.edit(text, original, self._record.settings, self._gone, wanted)
        return _PlannedFile(sysctl_dropin.plan_dropin(self._sysctl_file, lambda _text: edit.new_text), edit.original)

    def _plan_line(self, directory: str, pattern: re.Pattern[str], line: str | None, taken_out: bool) -> _PlannedFile:
        path = os.path.join(directory, os.path.basename(self._sysctl_file))
        text = plan_file(path, lambda text: text, SYSCTL_FILE).text
        original = self._record.files.get(os.path.realpath(path), text)
        ours = OurLine(pattern, _HEADER.format(self._sysctl_file))
        if line is not None:
            edit = ours.set(text, original, line)
        else:
            edit = ours.take_out(text, original) if taken_out else Edit(text, original)
        return _PlannedFile(plan_file(path, lambda _text: edit.new_text, SYSCTL_FILE), edit.original)

    def _with_record(self, settings: dict[str, Before], files: list[_PlannedFile]) -> BootFiles:
        """Return the plan with the record: what was there before, of these settings and files."""
        changed_now = {each.change.path: each.original for each in files if each.change.changed}
        originals = {**self._record.files, **changed_now}
        # What is as it would be without us is none of ours any more.
        ours = {each.change.path for each in files if each.change.new_text != each.original}
        if settings:
            dropin = files[-1].change.path
            ours.add(dropin)
        still = {path: text for path, text in originals.items() if path in ours}
        text = Record(settings, still).text()
        end = plan_file(path_of(self._sysctl_file), lambda _text: text, SYSCTL_FILE, MOST_BYTES_OF_RECORD)
        both = Record({**self._record.settings, **settings}, originals)
        first = FileChange(end.path, end.text, both.text(), end.option)
        settled = FileChange(end.path, first.new_text, end.new_text, end.option, again=True)
        changes = [each.change for each in files]
        overlay = {change.path: change.new_text for change in changes if change.changed}
        return BootFiles(first, settled, changes, self._boot, self._next_boot(overlay) if overlay else self._boot)

    def _next_boot(self, overlay: dict[str, str | None]) -> NextBoot:
        return next_boot({**self._machine, **overlay})


@dataclasses.dataclass(frozen=True)
class _PlannedFile:
    """The change of a file, and what the file would be without us."""

    change: FileChange
    original: str | None

    def edited(self, settings: t.Mapping[str, Before]) -> dict[str, Before]:
        """Return the ``settings`` of the record with their lines as they are in the original."""
        if not self.change.changed:
            return dict(settings)
        original = self.original or ""
        return {name: before._replace(lines=lines_of(original, before.name)) for name, before in settings.items()}


def _number_to_keep(change: Change, held: NextBoot | None) -> int | None:
    """Return the number for the drop-in, or None where the boot has at least as much without it."""
    if held is None or not change.least:
        return change.wanted
    at_boot = number_at_boot(held, change.sysctl.short_name)
    if change.holds(at_boot):
        return None
    # Where no file sets it, the boot has the kernel's own value, which may be as much as there is now.
    return change.reached if at_boot is None else change.wanted


def _found(change: Change, left: t.Mapping[str, Before], dropin: FileChange) -> Before | None:
    """Return what was there before of a setting, or None for one that was right all along, which stays unrecorded."""
    known = left.get(change.sysctl.short_name)
    if known:
        # The files may have been changed first, and the kernel only now.
        first_write = change.needed and known.runtime is None
        return known._replace(runtime=change.before) if first_write else known
    old, new = (lines_of(text or "", change.sysctl.name) for text in (dropin.text, dropin.new_text))
    return Before(change.sysctl.name, change.before, old) if change.needed or old != new else None


def _hash_size_line(dropin: FileChange, boot: NextBoot) -> str | None:
    """Return the line with the hash size for the time of loading, or None where it is not needed.

    Only where the drop-in sets max as well: the kernel makes it 8 times the hash size that a module is loaded with.
    """
    values = boot_values(dropin.new_text or "")
    if boot.module == "builtin" or not {"buckets", "max"} <= values.keys():
        return None
    return f"options nf_conntrack hashsize={values['buckets']}"
