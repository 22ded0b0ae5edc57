# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""A change of the settings as a whole: in the kernel and in the files for the boot, all of it or nothing."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot.next_boot import NextBoot
from ansible_collections.netops.conntrack.plugins.module_utils._entry import timeout_record
from ansible_collections.netops.conntrack.plugins.module_utils._files import run_directory
from ansible_collections.netops.conntrack.plugins.module_utils._files.replacement import (
    FileChange,
    Prepare,
    put_all,
    restore_all,
    staged,
)
from ansible_collections.netops.conntrack.plugins.module_utils._files.text import printable
from ansible_collections.netops.conntrack.plugins.module_utils._settings import confirm, journal
from ansible_collections.netops.conntrack.plugins.module_utils._settings.change import Change, apply
from ansible_collections.netops.conntrack.plugins.module_utils._settings.journal import Pending
from ansible_collections.netops.conntrack.plugins.module_utils._settings.lock import room_for_lock
from ansible_collections.netops.conntrack.plugins.module_utils._settings.persistence import BootFiles, number_at_boot


@dataclasses.dataclass(frozen=True)
class Transaction:
    """What becomes of the kernel's settings, and of the files that keep them, or None where none are to.

    ``restored`` names the settings that become what they were before the first run. Not each of them has a change, as
    this kernel may lack it. ``loads`` says that nf_conntrack was missing.
    """

    changes: t.Sequence[Change]
    boot_files: BootFiles | None
    restored: t.Collection[str] = ()
    loads: bool = False

    @property
    def _files(self) -> list[FileChange]:
        return self.boot_files.in_order if self.boot_files else []

    @property
    def changed(self) -> bool:
        """Whether anything has to be done."""
        files = any(file.changed for file in self._files)
        return self.loads or files or any(change.needed for change in self.changes)

    def require_room(self, within: int) -> None:
        """Raise UnavailableError where the disk does not take what /run has to hold of the change. Nothing is written.

        With ``within``, the change waits for its confirmation.
        """
        needed = [change for change in self.changes if change.needed]
        sizes = [*room_for_lock(), *timeout_record.room_for(sum(change.is_recorded for change in needed))]
        if within and needed:
            sizes += journal.room_for(Pending.begin(self.changes, self._files, within))
        run_directory.require_room(*sizes)

    def carry_out(self, prepare: Prepare, within: int) -> Pending | None:
        """Do it. With ``within``, it is rolled back after so many seconds unless it is confirmed. Return what waits.

        Nothing waits (None) where the kernel has what is wanted already. Raises ConntrackError, which says what was
        restored, if any of it fails.
        """
        if within and any(change.needed for change in self.changes):
            return self._carry_out_for(prepare, within)
        self._carry_out(prepare)
        return None

    def _carry_out(self, prepare: Prepare) -> None:
        with staged(self._files, prepare) as files:
            # The record is there, whole, as long as anything else is not as it was before.
            first = [file for file in files if self.boot_files and file is self.boot_files.record]
            put_all(first)
            try:
                apply(self.changes, lambda: put_all(file for file in files if file not in first))
            except BaseException:
                restore_all(first)
                raise

    def _carry_out_for(self, prepare: Prepare, within: int) -> Pending:
        # The new files only lie next to the present ones, so a reboot restores the old values as well.
        pending = Pending.begin(self.changes, self._files, within)
        try:
            for file in pending.files:
                file.stage(prepare)
            confirm.arm(pending)
            apply(self.changes, lambda: None)
        except BaseException:
            confirm.disarm(pending)
            for file in pending.files:
                file.clean_up()
            raise
        return pending

    def describe(self, predict: bool) -> dict[str, dict[str, t.Any]]:
        """Return what becomes of each setting, by short name. ``predict`` is for a change that is not carried out."""
        return {change.sysctl.short_name: self._describe(change, predict) for change in self.changes}

    def _describe(self, change: Change, predict: bool) -> dict[str, t.Any]:
        short_name, boot_files = change.sysctl.short_name, self.boot_files
        comes_from = boot_files.after.effective(short_name) if boot_files else None
        return {
            "name": change.sysctl.name,
            "wanted": change.wanted,
            "runtime_before": change.before,
            "runtime_after": change.after if predict else change.now,
            "boot_before": number_at_boot(boot_files.before, short_name) if boot_files else None,
            "boot": comes_from.value if comes_from else None,
            "boot_file": comes_from.source.file if comes_from else None,
            "boot_line": comes_from.source.line if comes_from else None,
            "restored": short_name in self.restored,
        }

    def differences(self) -> list[dict[str, str]]:
        """Return the diff: the run-time values that change, and the files."""
        needed = [change for change in self.changes if change.needed]
        diff = []
        if needed:
            before = "".join(f"{change.sysctl.name} = {change.before}\n" for change in needed)
            after = "".join(f"{change.sysctl.name} = {change.reached}\n" for change in needed)
            diff.append(_difference("run time", before, after))
        files = self.boot_files.changed if self.boot_files else []
        return diff + [_difference(file.path, file.text or "", file.new_text or "") for file in files]

    def warnings(self) -> list[str]:
        """Return what the operator should know: what tcp_loose does, and what the next boot does not set as wanted.

        Also what the next boot no longer sets of other files, and what other files set that is restored now.
        """
        warnings = [
            "tcp_loose is off: after a reboot or a fail-over, connections that are open will not be picked up."
            for change in self.changes
            if change.sysctl.short_name == "tcp_loose" and not change.wanted and self._is_new(change)
        ]
        boot_files = self.boot_files
        if boot_files is None:
            return warnings
        after = boot_files.after
        not_set = [
            change
            for change in self.changes
            if not change.holds(number_at_boot(after, change.sysctl.short_name))
            and (change.sysctl.short_name not in self.restored or boot_files.is_set_elsewhere(change.sysctl.short_name))
        ]
        unread = boot_files.why_not_read if not_set else None
        warnings += [
            f"{change.sysctl.short_name}: the next boot does not set {change.wanted}. "
            f"{unread or _reason(change.sysctl.short_name, after)}"
            for change in not_set
        ]
        return [*warnings, *_lost_elsewhere(boot_files)]

    def _is_new(self, change: Change) -> bool:
        """Whether the kernel does not have the value yet. Of a kernel that is not asked, whether its files have not."""
        if change.boot_only and self.boot_files:
            return not change.holds(number_at_boot(self.boot_files.before, change.sysctl.short_name))
        return change.needed


def _lost_elsewhere(boot_files: BootFiles) -> t.Iterator[str]:
    lost = boot_files.lost_elsewhere
    if lost:
        yield (
            f"The next boot no longer sets {', '.join(lost)}, in {', '.join(sorted(set(lost.values())))}. "
            f"{boot_files.after.why_lost}. Run again what sets them, such as the role conntrack_tune, after this."
        )


def _reason(short_name: str, boot: NextBoot) -> str:
    value = boot.effective(short_name)
    if value is not None:
        return f"{value.source.file}:{value.source.line} sets it to {value.text}, and is read last."
    if short_name in boot.lost:
        return f"{boot.why_lost}."
    if short_name in boot.undecided:
        return f"It cannot be told: {boot.why_undecided}."
    return "The drop-in is in no directory that is read at boot."


def _difference(header: str, before: str, after: str) -> dict[str, str]:
    texts = {"before": printable(before), "after": printable(after)}
    return {"before_header": header, "after_header": header, **texts}
