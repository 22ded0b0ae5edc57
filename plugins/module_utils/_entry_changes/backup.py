# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""A file with what a prune deletes, which is whole and on the disk before the first delete.

The file has the lines of _query.save. It may have entries that stay in the table: those that saw a packet before the
second look, or that the kernel did not delete. A process that is killed before the file is whole has deleted nothing,
and leaves one without its last line, which the next backup removes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.backup_directory import (
    BackupPlan,
    directory_of,
    new_file,
    remove_old,
    writing,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._files.regular_files import Directory
from ansible_collections.netops.conntrack.plugins.module_utils._files.replacement import has_room
from ansible_collections.netops.conntrack.plugins.module_utils._interrupt import Interrupted
from ansible_collections.netops.conntrack.plugins.module_utils._query.save import SaveLines, first_line, last_line
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block

_PART = 1 << 23
"""So many bytes are put on the disk at once, while the table is read, so that few are left for the end."""


class Backup:
    """Takes all entries that are to be deleted, for the ``file`` of this ``name`` in the ``directory``.

    In a dry run there is no file: then it is only counted whether there is room for them. ``is_needed`` says that
    entries may have been deleted, so that the file stays.

    Use ``backing_up`` to make one.
    """

    def __init__(
        self, plan: BackupPlan, context: Context, directory: Directory, name: str, file: t.BinaryIO | None
    ) -> None:
        self._plan = plan
        self._context = context
        self._directory = directory
        self._name = name
        self._file = file
        self._lines_of = SaveLines(context)
        self._entries = 0
        self._size = 0
        self._begun = 0
        self.is_needed = False

    @property
    def path(self) -> str | None:
        """The path of the file, or None where it does not stay."""
        return os.path.join(self._directory.path, self._name) if self._file and self.is_needed else None

    def restart(self) -> None:
        """Drop what was written so far. Raises ConntrackError, as the other methods do."""
        self._entries = self._size = self._begun = 0
        if self._file:
            with writing(self._plan):
                self._file.seek(0)
                self._file.truncate()
        self._write([first_line(self._context)])

    def write(self, block: Block) -> None:
        """Write the entries of a block."""
        self._write(self._lines_of(block))
        self._entries += len(block)

    def complete(self) -> None:
        """Put the whole file on the disk. In a dry run, look whether it has room."""
        self._write([last_line(self._entries)])
        with writing(self._plan, self._size):
            if self._file:
                self._file.flush()
                os.fsync(self._file.fileno())
                self._directory.sync()
            elif not has_room(self._directory.path, self._size):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def remove_old(self) -> list[str]:
        """Remove the backups that are too many, if this one stays. Return what could not be removed, in words."""
        return list(remove_old(self._directory, self._plan)) if self.path else []

    def _write(self, lines: list[str]) -> None:
        data = ("\n".join(lines) + "\n").encode("ascii")
        self._size += len(data)
        if self._file:
            with writing(self._plan, self._size):
                self._file.write(data)
                if self._size - self._begun >= _PART:
                    self._file.flush()
                    self._begin_to_sync(self._file.fileno())

    def _begin_to_sync(self, descriptor: int) -> None:
        """Let the kernel begin to put on the disk what was written since the last time, and do not wait for it.

        This advice does that (generic_fadvise() in mm/fadvise.c). Errors of the disk are those of fsync(2) at the end.
        """
        with contextlib.suppress(OSError):
            os.posix_fadvise(descriptor, self._begun, self._size - self._begun, os.POSIX_FADV_DONTNEED)
        self._begun = self._size


@contextlib.contextmanager
def backing_up(plan: BackupPlan | None, context: Context, dry_run: bool) -> t.Iterator[Backup | None]:
    """Yield a backup, or None without a plan. At the end, its file is removed unless it is needed.

    An error or a signal that comes after the first delete gets the path of the file, as ``backup_file``. Raises
    ConntrackError where no file can be made, or where somebody else decides what is in its directory.
    """
    if plan is None:
        yield None
        return
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(directory_of(plan, dry_run))
        name = plan.new_name()
        file = None
        if not dry_run:
            with writing(plan):
                file = stack.enter_context(new_file(directory, name))
        backup = Backup(plan, context, directory, name, file)
        try:
            yield backup
        except Interrupted as interrupted:
            interrupted.result["backup_file"] = backup.path
            interrupted.account += _where(backup)
            raise
        except ConntrackError as error:
            error.result["backup_file"] = backup.path
            error.message += _where(backup)
            raise
        finally:
            if backup.path is None:
                with contextlib.suppress(OSError):
                    directory.remove(name)


def _where(backup: Backup) -> str:
    return f" The backup is {backup.path}." if backup.path else ""
