# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""A change that is rolled back by itself unless it is confirmed in time.

A change that waits is a journal in /run, which a reboot clears: the kernel's settings have their new values, the files
for the boot are next to the old ones, and a process of its own rolls the change back at the deadline. It stays in the
journal until it is wholly confirmed or rolled back, so that the next run finds it if a process is killed in between.
The process knows all that it needs without the journal, which it writes anew if somebody damages it.
There is one journal for each network namespace.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import syslog
import time
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    RefusedError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._files.replacement import put_all
from ansible_collections.netops.conntrack.plugins.module_utils._files.run_directory import DIRECTORY
from ansible_collections.netops.conntrack.plugins.module_utils._interrupt import forget
from ansible_collections.netops.conntrack.plugins.module_utils._settings import journal
from ansible_collections.netops.conntrack.plugins.module_utils._settings.journal import (
    Pending,
    outcome,
    settle,
    waiting,
)
from ansible_collections.netops.conntrack.plugins.module_utils._settings.lock import exclusive

_POLL_SECONDS = 0.25
_START_SECONDS = 10
_CGROUP_ROOTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")


def refuse_waiting() -> None:
    """Raise RefusedError where a change waits for its confirmation: its files lie beside those that are to change."""
    if os.path.isdir(DIRECTORY) and waiting() is not None:
        raise RefusedError(
            "A change waits for its confirmation, and runtime: false leaves the running kernel alone. Confirm it first "
            "with state: confirmed, or wait until it has been rolled back. Nothing was changed."
        )


def roll_back_pending() -> str | None:
    """Roll back a change that still waits, as this run begins anew. Say in words what was restored, None if none did.

    A change whose process was killed is found here, too. Belongs inside ``exclusive``, as all that follows. Raises what
    ``waiting`` raises, and UnavailableError where it cannot be written down that the change was rolled back.
    """
    pending = waiting()
    if pending is None:
        # There may be one that is settled, or of an earlier boot.
        journal.put_away()
        return None
    report = pending.roll_back()
    try:
        settle(pending)
    except UnavailableError as error:
        raise UnavailableError(
            f"{error.message} A change that waited was rolled back. {report}", changed=True
        ) from error
    return report


def arm(pending: Pending) -> None:
    """Start the process that rolls the change back at its deadline.

    Raises UnavailableError when it cannot be started, or its journal not be written. Then nothing waits.
    """
    try:
        journal.forget_words()
        journal.keep(pending)
        if not _start_waiting(pending):
            raise OSError("it did not start")
    except UnavailableError as error:
        disarm(pending)
        raise UnavailableError(f"confirm_within: {error.message} Nothing was changed.") from error
    except OSError as error:
        disarm(pending)
        raise UnavailableError(
            f"confirm_within: the process that would restore the old values could not be started ({error}). "
            "Nothing was changed."
        ) from error


def disarm(pending: Pending) -> None:
    """Forget a change that was never made, or is rolled back. To roll it back once more would change nothing."""
    with contextlib.suppress(ConntrackError):
        settle(pending)
    with contextlib.suppress(ConntrackError, OSError):
        journal.forget_pending()


def find(change: str | None) -> Pending:
    """Return the change that waits, or the one that was confirmed last if that is ``change``: its answer may be lost.

    Raises RefusedError when there is none, or another one than ``change``, and what ``waiting`` raises.
    """
    pending = waiting()
    if pending is None:
        pending = journal.last_confirmed()
        if pending is None or pending.id != change:
            raise RefusedError(f"No change waits for its confirmation. {journal.last_words()}".rstrip())
    if change not in (None, pending.id):
        raise RefusedError(f"change: {change!r} does not wait for its confirmation, but {pending.id!r} does.")
    return pending


def confirm(change: str | None) -> Pending:
    """Keep the change that waits, at boot as well: put its files in their places.

    Raises what ``find`` raises. ConntrackError when the files cannot be put in place or the confirmation cannot be
    written down, and the old values were restored.
    """
    pending = find(change)
    if pending.confirmed:
        return pending
    try:
        for file in pending.files:
            file.check()
        put_all(pending.files)
        journal.settle_confirmed(pending)
    except ConntrackError as error:
        report = pending.roll_back()
        disarm(pending)
        raise ConntrackError(f"{error.message} {report}", **error.result) from error
    for file in pending.files:
        file.clean_up()
    return dataclasses.replace(pending, confirmed=True)


def _start_waiting(pending: Pending) -> bool:
    """Fork a process that nothing of this session ends. Say whether it stands."""
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
        forget()
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


def _close_all_but(*descriptors: int) -> None:
    for number in map(int, os.listdir("/proc/self/fd")):
        if number not in descriptors:
            # The listing itself had one, which is closed by now.
            with contextlib.suppress(OSError):
                os.close(number)


def _wait(pending: Pending) -> None:
    """Roll the change back at its deadline, from memory and whatever became of its journal, unless it is settled."""
    while pending.seconds_left:
        if outcome(pending.id):
            return
        _renew_journal(pending)
        time.sleep(min(_POLL_SECONDS, pending.seconds_left))
    with contextlib.ExitStack() as stack:
        # A run that holds on to the lock does not keep the old values from being restored.
        with contextlib.suppress(ConntrackError):
            stack.enter_context(exclusive())
        if outcome(pending.id):
            return
        words = f"It was not confirmed within {pending.within} s. {pending.roll_back()}"
        if _is_kept(pending) is not False:
            disarm(pending)
        with contextlib.suppress(ConntrackError, OSError):
            journal.keep_words(words)
    syslog.openlog("netops.conntrack", 0, syslog.LOG_DAEMON)
    syslog.syslog(syslog.LOG_WARNING, f"A change of the connection-tracking settings was rolled back. {words}")


def _renew_journal(pending: Pending) -> None:
    """Write the journal anew if it was damaged or removed, so that the change can be confirmed, and is rolled back."""
    if _is_kept(pending):
        return
    with contextlib.suppress(ConntrackError, OSError), exclusive(wait=0):
        if outcome(pending.id) is None and _is_kept(pending) is None:
            journal.keep(pending)


def _is_kept(pending: Pending) -> bool | None:
    """Return whether the journal has this change. False where another one waits, None where nothing sound is there."""
    if journal.is_kept(pending):
        return True
    try:
        present = waiting()
    except ConntrackError:
        return None
    return None if present is None else present.id == pending.id
