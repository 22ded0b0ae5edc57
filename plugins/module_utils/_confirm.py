# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""A change that goes back by itself unless it is confirmed in time.

A change that waits is a journal in /run, which a reboot clears: the kernel's settings have their new values, the files
for the boot lie beside the old ones, and a process of its own takes the change back at the deadline. It stays in the
journal until it is wholly confirmed or taken back, so that the next run finds it if a process is killed in between.
There is one journal for each network namespace.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import select
import syslog
import time
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    NotPermittedError,
    RefusedError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._files import FileChange, put_all, remove
from ansible_collections.netops.conntrack.plugins.module_utils._lock import NEEDS_ROOT, exclusive
from ansible_collections.netops.conntrack.plugins.module_utils._run_directory import DIRECTORY, path_of, write
from ansible_collections.netops.conntrack.plugins.module_utils._settings import Change, change_of, in_order, put_back
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl import find_sysctls

_POLL_SECONDS = 0.25
_START_SECONDS = 10
_CGROUP_ROOTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")


@dataclasses.dataclass(frozen=True)
class Pending:
    """A change that waits: what was ``written``, in this order, the ``files`` that are staged, and until when.

    ``deadline`` is in seconds since the boot, suspended time included.
    """

    id: str
    within: int
    deadline: float
    written: list[Change]
    files: list[FileChange]
    confirmed: bool = False

    @classmethod
    def begin(cls, changes: t.Iterable[Change], files: t.Iterable[FileChange], within: int) -> Pending:
        """Give the change that is to be confirmed ``within`` so many seconds from now."""
        deadline = _now() + within
        return cls(secrets.token_hex(8), within, deadline, in_order(changes), [file for file in files if file.changed])

    @property
    def seconds_left(self) -> float:
        """How long it still waits, in seconds; 0 from the deadline on."""
        return max(0.0, self.deadline - _now())

    def as_json(self) -> str:
        """Give the journal's text."""
        return json.dumps(
            {
                "id": self.id,
                "within": self.within,
                "deadline": self.deadline,
                "written": [[change.sysctl.short, change.wanted, change.before] for change in self.written],
                "files": [dataclasses.astuple(file) for file in self.files],
                "confirmed": self.confirmed,
            }
        )

    @classmethod
    def of_json(cls, text: str) -> Pending:
        """Read a journal's text. A setting that the kernel no longer has is left out."""
        data = json.loads(text)
        sysctls = find_sysctls()
        written = [
            change_of(sysctls, short, wanted, before) for short, wanted, before in data["written"] if short in sysctls
        ]
        files = [FileChange(*file) for file in data["files"]]
        return cls(data["id"], data["within"], data["deadline"], written, files, data["confirmed"])

    def take_back(self) -> str:
        """Give the kernel its old values, and the boot its old files; say in words what was put back."""
        said = [put_back(self.written)]
        for file in reversed(self.files):
            try:
                file.put_back()
                file.clean_up()
            except ConntrackError:
                said.append(f"NOT put back: {file.path}, it has the new text; the old one lies beside it.")
        return " ".join(said)


def waiting() -> Pending | None:
    """Give the change that waits for its confirmation; None if none does. Raises NotPermittedError without root."""
    return _read("pending")


def refuse_waiting() -> None:
    """Raise RefusedError where a change waits for its confirmation: its files lie beside those that are to change."""
    if os.path.isdir(DIRECTORY) and waiting() is not None:
        raise RefusedError(
            "A change waits for its confirmation, and runtime: false leaves the running kernel alone. Confirm it first "
            "with state: confirmed, or wait until it has been taken back. Nothing was changed."
        )


def take_back_pending() -> str | None:
    """Take back a change that still waits, as this run begins anew; say in words what was put back, None if none did.

    A change whose process was killed is found here, too. Belongs inside ``exclusive``, as all that follows.
    """
    pending = waiting()
    if pending is None:
        return None
    said = pending.take_back()
    disarm()
    return said


def arm(pending: Pending) -> None:
    """Start the process that takes the change back at its deadline.

    Raises UnavailableError when it cannot be started; then nothing waits.
    """
    try:
        remove(path_of("taken-back"))
        write(path_of("pending"), pending.as_json())
        if not _start_waiting(pending):
            raise OSError("it did not start")
    except OSError as error:
        disarm()
        raise UnavailableError(
            f"confirm_within: the process that would put the old values back could not be started ({error}). "
            "Nothing was changed."
        ) from error


def disarm() -> None:
    """Forget the change that waits."""
    remove(path_of("pending"))


def find(change: str | None) -> Pending:
    """Give the change that waits, or the one that was confirmed last if that is ``change``: its answer may be lost.

    Raises RefusedError when there is none, or another one than ``change``.
    """
    pending = waiting()
    if pending is None:
        pending = _read("confirmed")
        if pending is None or pending.id != change:
            raise RefusedError(f"No change waits for its confirmation. {_last_words()}".rstrip())
    if change not in (None, pending.id):
        raise RefusedError(f"change: {change!r} does not wait for its confirmation, but {pending.id!r} does.")
    return pending


def confirm(change: str | None) -> Pending:
    """Keep the change that waits, at boot as well: put its files in their places.

    Raises what ``find`` raises; ConntrackError when the files cannot be put in place, and the old values were put back.
    """
    pending = find(change)
    if pending.confirmed:
        return pending
    try:
        for file in pending.files:
            file.check()
        put_all(pending.files)
    except ConntrackError as error:
        said = pending.take_back()
        disarm()
        raise ConntrackError(f"{error.message} {said}", **error.result) from error
    pending = dataclasses.replace(pending, confirmed=True)
    write(path_of("confirmed"), pending.as_json())
    disarm()
    for file in pending.files:
        file.clean_up()
    return pending


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _read(what: str) -> Pending | None:
    try:
        with open(path_of(what), encoding="ascii") as file:
            return Pending.of_json(file.read())
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise NotPermittedError(NEEDS_ROOT) from error


def _last_words() -> str:
    try:
        with open(path_of("taken-back"), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _start_waiting(pending: Pending) -> bool:
    """Fork a process that nothing of this session ends; say whether it stands."""
    ready, tell = os.pipe()
    try:
        child = os.fork()
        if child == 0:
            _detach(pending, tell)
        os.close(tell)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)
        return bool(select.select([ready], [], [], _START_SECONDS)[0]) and os.read(ready, 1) == b"1"
    finally:
        os.close(ready)


def _detach(pending: Pending, tell: int) -> t.NoReturn:
    """Become a daemon, tell that it stands, and wait. Never returns into the code of the process that was forked."""
    try:
        os.setsid()
        if os.fork() == 0:
            _leave_session()
            os.chdir("/")
            null = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)
            _close_all_but(0, 1, 2, tell)
            os.write(tell, b"1")
            os.close(tell)
            _wait(pending)
    finally:
        os._exit(0)


def _leave_session() -> None:
    """Leave the control group of the login session, with which logind may end every process (KillUserProcesses=)."""
    for root in _CGROUP_ROOTS:
        with contextlib.suppress(OSError), open(f"{root}/cgroup.procs", "r+", encoding="ascii") as file:
            file.write("0")


def _close_all_but(*kept: int) -> None:
    for number in map(int, os.listdir("/proc/self/fd")):
        if number not in kept:
            # The listing itself had one, which is closed by now.
            with contextlib.suppress(OSError):
                os.close(number)


def _wait(pending: Pending) -> None:
    journal = path_of("pending")
    while pending.seconds_left:
        if not os.path.exists(journal):
            return
        time.sleep(min(_POLL_SECONDS, pending.seconds_left))
    with contextlib.ExitStack() as stack:
        # A run that holds on to the lock does not keep the old values from coming back.
        with contextlib.suppress(UnavailableError):
            stack.enter_context(exclusive())
        present = waiting()
        if present is None or present.id != pending.id:
            return
        words = f"It was not confirmed within {pending.within} s. {pending.take_back()}"
        disarm()
        write(path_of("taken-back"), words)
    syslog.openlog("netops.conntrack", 0, syslog.LOG_DAEMON)
    syslog.syslog(syslog.LOG_WARNING, f"A change of the connection-tracking settings was taken back. {words}")
