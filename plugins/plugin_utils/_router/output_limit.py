# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""How much a router may print: more is neither waited for nor decoded.

Ansible's connections read whatever comes. Its ssh connection takes quadratic time for that, half a minute for 100 MB.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.netops.conntrack.plugins.module_utils._errors import AnswerError

_SECONDS = 0.05
_OTHER_BYTES = 1 << 20
"""More than a process reads besides while it waits for a command."""


@contextlib.contextmanager
def limited(connection: t.Any, most: int, of: str) -> t.Iterator[None]:
    """Let the ``connection`` raise AnswerError, which begins with ``of``, for an output of more than ``most`` bytes."""
    execute = connection.exec_command

    def exec_command(*args: t.Any, **options: t.Any) -> t.Any:
        too_long = AnswerError(of, f"has more than {most} bytes")
        with _ended_beyond(most + _OTHER_BYTES) as ended:
            try:
                rc, stdout, stderr = execute(*args, **options)
            except AnsibleConnectionFailure:
                if ended.is_set():
                    raise too_long from None
                raise
        size = sum(len(output) for output in (stdout, stderr) if isinstance(output, (bytes, str)))
        if ended.is_set() or size > most:
            # The traceback of an error keeps what a function holds.
            stdout = stderr = b""
            raise too_long
        return rc, stdout, stderr

    connection.exec_command = exec_command
    try:
        yield
    finally:
        del connection.exec_command


@contextlib.contextmanager
def _ended_beyond(most: int) -> t.Iterator[threading.Event]:
    """End the processes that are started in the body once this one has read more than ``most`` bytes.

    Yields an event that is set then.
    """
    begun, before = _bytes_read(), _children()
    done, ended = threading.Event(), threading.Event()

    def watch() -> None:
        while not done.wait(_SECONDS):
            now = _bytes_read()
            if begun is not None and now is not None and now - begun > most:
                ended.set()
                _end(_children() - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield ended
    finally:
        done.set()
        watcher.join()


def _bytes_read() -> int | None:
    """Return how many bytes the threads of this process have read (proc_pid_io(5)). None where that is not known.

    /proc/self/io also has what children read, once they were waited for (wait_task_zombie() in kernel/exit.c). A module
    that runs here reads some megabytes of Python.
    """
    found = []
    with contextlib.suppress(OSError):
        for thread in os.listdir("/proc/self/task"):
            path = f"/proc/self/task/{thread}/io"
            with contextlib.suppress(OSError, ValueError, IndexError), open(path, encoding="ascii") as file:
                found.append(int(file.readline().split()[1]))
    return sum(found) if found else None


def _children(pid: int | str = "self") -> set[int]:
    """Return the processes that a process has started (proc_pid_task(5)). There are none where that is not known."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found.update(map(int, file.read().split()))
    return found


def _end(pids: set[int]) -> None:
    """End processes, and all that these have started. A shell would leave its command behind."""
    found = list(pids)
    for pid in found:
        found += _children(pid) - set(found)
    for pid in found:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)
