# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The one run that may change the settings, or their files, at a time: one for each network namespace."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    BECOME_ROOT,
    NotPermittedError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._files.run_directory import (
    DIRECTORY,
    make,
    not_written,
    path_of,
)

NEEDS_ROOT = (
    "Changing the connection-tracking settings needs root. CAP_NET_ADMIN is not enough, because what a roll-back and "
    f"the next boot need is in directories of root's, such as {DIRECTORY}. {BECOME_ROOT}"
)

_LOCK_SECONDS = 60
_POLL_SECONDS = 0.25
_LONGEST_SIGNATURE = 64
_REMEDY = "If it hangs, find out what it waits for before you end it; fuser {} shows its process."


@contextlib.contextmanager
def exclusive(wait: float | None = None) -> t.Iterator[None]:
    """Be the only run that changes this network namespace's settings.

    ``wait`` is for how many seconds another one is waited for, a minute if it is not given. Raises UnavailableError
    when that one does not end in time, or there is no place for the lock. NotPermittedError without root.
    """
    seconds = _LOCK_SECONDS if wait is None else wait
    path = path_of("lock")
    try:
        make()
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError as error:
        raise NotPermittedError(NEEDS_ROOT) from error
    except OSError as error:
        raise not_written(path, error) from error
    try:
        _wait_for(lock, seconds)
        _sign(lock)
        yield
    finally:
        os.close(lock)


def room_for_lock() -> tuple[int, ...]:
    """Return the sizes in bytes of the files that ``exclusive`` makes."""
    try:
        is_signed = os.stat(path_of("lock")).st_size > 0
    except OSError:
        is_signed = False
    return () if is_signed else (_LONGEST_SIGNATURE,)


@contextlib.contextmanager
def exclusive_in_image() -> t.Iterator[None]:
    """Be the only run that changes the files of the next boot. Leave nothing behind in an image.

    As long as there is no directory for the lock, no run has changed the settings of a kernel since the boot.
    """
    with exclusive() if os.path.isdir(DIRECTORY) else contextlib.nullcontext():
        yield


def _wait_for(lock: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise UnavailableError(
                    f"Another run is changing these settings {_signature(lock)}. This run has waited for {seconds} s, "
                    f"and changed nothing. Run it again when that one is done. {_REMEDY.format(path_of('lock'))}"
                ) from None
        time.sleep(_POLL_SECONDS)


def _sign(lock: int) -> None:
    """Write into the file who holds the lock, and since when, for whoever has to wait for it."""
    # Without it a run that waits says less, and nothing else is different.
    with contextlib.suppress(OSError):
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()} {int(time.time())}\n".encode("ascii"), 0)


def _signature(lock: int) -> str:
    """Return who holds the lock, and since when, as it stands in a sentence."""
    try:
        pid, began = map(int, os.pread(lock, _LONGEST_SIGNATURE, 0).split())
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(began))
    except (OSError, OverflowError, ValueError):
        return "right now"
    return f"since {moment} UTC, pid {pid}"
