# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands on a terminal of some width, and what an operator then sees."""

from __future__ import annotations

import fcntl
import os
import pathlib
import pty
import select
import struct
import subprocess
import termios
import time
import typing as t

from helpers.support import ON_CONTROLLERS, PATIENCE, with_default_signals

_OF_THE_TESTER = ("ANSIBLE_", "NETOPS_", "CI", "COLUMNS", "LINES", "NO_COLOR", "PYTHONIOENCODING")
CLEAR_BELOW = "\x1b[J"
"""What a watch writes below each page (ECMA-48, ED)."""


def operator(home: pathlib.Path, **changes: str) -> dict[str, str]:
    """Return the environment of an operator with ``home``, and nothing of the tester's own that Ansible looks at."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_OF_THE_TESTER)}
    return {**kept, **ON_CONTROLLERS, "HOME": str(home), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **changes}


def on_terminal(
    command: t.Sequence[str], *, columns: int, cwd: pathlib.Path, env: dict[str, str], timeout: float = PATIENCE
) -> tuple[int, str]:
    """Run ``command`` on a terminal, give its exit code and all that it shows; AssertionError if it takes too long."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(command, cwd=cwd, env=env, stdin=its, stdout=its, stderr=its, start_new_session=True)
    os.close(its)
    try:
        shown = b"".join(_until_closed(ours, time.monotonic() + timeout))
        return process.wait(timeout=PATIENCE), shown.decode().replace("\r\n", "\n")
    finally:
        process.kill()
        process.wait()
        os.close(ours)


class Interrupted(t.NamedTuple):
    """How a command ended on whose terminal somebody pressed Ctrl-C."""

    rc: int
    shown: str
    same_modes: bool
    """Whether the terminal had the modes of before."""


def interrupted(
    command: t.Sequence[str],
    when: t.Callable[[str], bool],
    *,
    size: tuple[int, int],
    cwd: pathlib.Path,
    env: dict[str, str],
    timeout: float = PATIENCE,
) -> Interrupted:
    """Run ``command`` on a terminal of so many lines and columns, and press Ctrl-C ``when`` it shows something."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    modes = termios.tcgetattr(its)
    # The key reaches those processes only whose terminal it is.
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        preexec_fn=_as_a_shell_starts_it,
    )
    try:
        shown = b""
        pressed = False
        deadline = time.monotonic() + timeout
        while process.poll() is None or select.select([ours], [], [], 0)[0]:
            assert time.monotonic() < deadline, shown.decode()
            if select.select([ours], [], [], 0.1)[0]:
                shown += os.read(ours, 65536)
            if not pressed and when(shown.decode(errors="replace")):
                os.write(ours, b"\x03")
                pressed = True
        return Interrupted(process.wait(), shown.decode().replace("\r\n", "\n"), termios.tcgetattr(its) == modes)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(its)


def whole_page(title: str) -> t.Callable[[str], bool]:
    """Return what tells whether all of the page that begins with ``title`` is shown."""
    return lambda shown: CLEAR_BELOW in shown.partition(title)[2]


def _as_a_shell_starts_it() -> None:
    with_default_signals()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _until_closed(terminal: int, deadline: float) -> t.Iterator[bytes]:
    while True:
        ready, _writable, _exceptional = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
        assert ready, "the command still runs"
        try:
            data = os.read(terminal, 65536)
        except OSError:  # EIO: the last process that had the terminal open is gone
            return
        if not data:
            return
        yield data
