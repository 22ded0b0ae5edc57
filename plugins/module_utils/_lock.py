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

from ansible_collections.netops.conntrack.plugins.module_utils._errors import NotPermittedError, UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._run_directory import DIRECTORY, make, path_of

NEEDS_ROOT = "Changing the connection-tracking settings needs root. Set become: true."

_LOCK_SECONDS = 60
_POLL_SECONDS = 0.25


@contextlib.contextmanager
def exclusive(wait: float | None = None) -> t.Iterator[None]:
    """Be the only run that changes this network namespace's settings.

    ``wait`` is for how many seconds another one is waited for, a minute if it is not given. Raises UnavailableError
    when that one does not end in time, or there is no place for the lock; NotPermittedError without root.
    """
    seconds = _LOCK_SECONDS if wait is None else wait
    path = path_of("lock")
    try:
        make()
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError as error:
        raise NotPermittedError(NEEDS_ROOT) from error
    except OSError as error:
        raise UnavailableError(f"{path} cannot be written ({error.strerror}), and with it nothing else is.") from error
    try:
        _wait_for(lock, seconds)
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def exclusive_in_image() -> t.Iterator[None]:
    """Be the only run that changes the files of the next boot; leave nothing behind in an image.

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
                    f"Another run has been changing the settings for {seconds} s. Run it again when that one is "
                    f"done; fuser {path_of('lock')} shows its process."
                ) from None
        time.sleep(_POLL_SECONDS)
