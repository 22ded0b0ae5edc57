# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets a server (fork_server.py) fork what this process was started for: a module, or a program of Ansible.

The server has imported what they all import, which is most of what a module does. This process waits, and ends as the
forked one ends. It goes on by itself where the forked one would find anything else than this one does. Each module on
each router begins here, so this imports as little as it can.
"""

from __future__ import annotations

import io
import marshal
import os
import sys

MODULES, PROGRAMS = "FORKED_MODULES", "FORKED_PROGRAMS"
"""What there are servers for, by the environment variables that name the directory of their sockets."""

SERVERS = 2
"""How many servers there are for one interpreter. Sets have another order in each, as in each new interpreter."""

READ_AT_ONCE = "import sys; exec(compile(sys.stdin.buffer.read(), '<stdin>', 'exec'))"
"""The program of plugin_utils/_router/action.py."""

_NOT_TOLD = 70
"""The status where the server itself was killed."""

_OPTIONS = ("debug", "inspect", "optimize", "no_user_site", "no_site", "ignore_environment", "verbose", "isolated")

_STANDARD = {"0", "1", "2", "3"}
"""The open files of a process that got no others, while it lists them."""

_PASSED = (1, 1)
"""SOL_SOCKET, SCM_RIGHTS (linux/socket.h)"""


def hand_over_module() -> None:
    """End as a forked process does that runs the module in place of this one. Return if none does."""
    if MODULES not in os.environ:
        return
    # sys.orig_argv is from Python 3.10 on.
    command = os.fsdecode(_read("/proc/self/cmdline")).split("\0")[1:-1]
    if command in ([], ["-c", READ_AT_ONCE]) or (len(command) == 1 and "/AnsiballZ_" in command[0]):
        hand_over(MODULES)


def hand_over(variable: str) -> None:
    """End as a forked process does that runs the program in place of this one. Return if none does."""
    directory = os.environ.get(variable)
    if not directory or set(os.listdir("/proc/self/fd")) != _STANDARD or any(map(os.isatty, range(3))):
        return
    import _socket

    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    files = []
    try:
        server.connect(socket_of(directory, variable, os.getpid() % SERVERS))
        for path, flags in ((".", os.O_PATH), ("/proc/self/ns/net", 0), ("/proc/self/ns/mnt", 0)):
            files.append(os.open(path, flags | os.O_CLOEXEC))
        numbers = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2, *files))
        server.sendmsg([marshal.dumps(_request())], [(*_PASSED, numbers)])
        is_taken = server.recv(1) == b"+"
    except OSError:
        is_taken = False
    for number in files:
        os.close(number)
    if is_taken:
        _end_as(server.recv(4))
    server.close()


def socket_of(directory: str, kind: str, number: int) -> str:
    """Return the path of the socket of a server of that kind for this interpreter."""
    return f"{directory}/{kind}{sys.prefix.replace('/', '+')}-{sys.hexversion}-{number}"


def interpreter() -> list[object]:
    """Return how this interpreter began, as far as a forked one cannot change it."""
    streams: list[io.TextIOWrapper] = [sys.stdin, sys.stdout]  # type: ignore[list-item]  # they begin as such
    buffering = [(stream.line_buffering, stream.write_through) for stream in streams]
    options = [getattr(sys.flags, name) for name in _OPTIONS]
    # With LC_ALL Python cannot choose a locale of the same encoding. With another variable it does (PEP 538).
    is_other_locale = bool(sys.flags.utf8_mode and os.environ.get("LC_ALL"))
    encoding = [sys.getfilesystemencoding(), is_other_locale]
    return [sys.executable, encoding, buffering, options, sys.warnoptions, sys.pycache_prefix]


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _request() -> dict[str, object]:
    root = os.stat("/")
    return {
        "shown": [_read("/proc/self/cmdline"), _read("/proc/self/environ")],
        "path": sys.path,
        "writes_no_bytecode": sys.dont_write_bytecode,
        "environment": dict(os.environ),
        "encodings": [(stream.encoding, stream.errors) for stream in (sys.stdin, sys.stdout, sys.stderr)],
        "root": [root.st_dev, root.st_ino],
        "interpreter": interpreter(),
    }


def _end_as(told: bytes) -> None:
    """End as the forked process did: with a status, or by the signal of a negative one. Never do what that one did."""
    status = int.from_bytes(told, sys.byteorder, signed=True) if told else _NOT_TOLD
    try:
        if status < 0:
            import signal

            if -status not in (signal.SIGKILL, signal.SIGSTOP):
                signal.signal(-status, signal.SIG_DFL)
            os.kill(os.getpid(), -status)
    finally:
        os._exit(status & 0xFF)
