# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process that has imported ansible-core once and forks for each module, which saves the start of an interpreter.

A module has a process of its own, with its own input, output and directory. It runs in its network namespace as if
``ip netns exec`` had started it. This file is the server's program as well.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import dataclasses
import importlib
import json
import os
import pathlib
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback
import typing as t

_MODULES = "ansible_collections.netops.conntrack.plugins.modules"
_IMPORTED = ("conntrack_facts", "conntrack_info", "conntrack_prune", "conntrack_settings")
"""The modules of the collection that the server imports, for what they import."""

_OF_THE_TEST = "PYTEST_CURRENT_TEST"
"""The one variable in which the server's environment may differ: /proc shows the server's for that of the module."""

_REQUEST_BYTES = 1 << 16
_NUMBER = struct.Struct("=i")

# sched.h and sys/mount.h
_CLONE_NEWNS = 0x00020000
_CLONE_NEWNET = 0x40000000
_MS_SLAVE_AND_BELOW = 0x80000 | 0x4000
_MNT_DETACH = 2
_LIBC = ctypes.CDLL(None, use_errno=True)

_NAMESPACE = "/proc/thread-self/ns/net"
_FIRST_NAMESPACE = os.open(_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
"""The network namespace of the tests. One may be in another when it starts the server, and end all that is in that."""


@dataclasses.dataclass(frozen=True)
class Done:
    """How a module ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


class ModuleServer:
    """The server, as those have it who run modules."""

    def __init__(self, environment: t.Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            given = [theirs.fileno(), _FIRST_NAMESPACE]
            command = [sys.executable, __file__, *map(str, given)]
            self._process = subprocess.Popen(command, pass_fds=given, env=self._environment)
        atexit.register(self.end)

    def serves(self, netns: str | None, environment: t.Mapping[str, str]) -> bool:
        """Return whether a module would find the same there as in an interpreter of its own."""
        # For a namespace with files of its own, ip(8) lays them over /etc.
        has_files = netns and pathlib.Path("/etc/netns", netns).exists()
        return not has_files and _without_the_test(environment) == _without_the_test(self._environment)

    def run(self, name: str, text: str, netns: str | None, timeout: float) -> Done:
        """Run the module ``name`` with ``text`` as its input, and wait until its output is closed.

        Raises TimeoutExpired after ``timeout`` seconds.
        """
        request = {"name": name, "netns": netns, "test": os.environ.get(_OF_THE_TEST, ""), "directory": os.getcwd()}
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe()
        with ours, open(reading, "rb") as output, _memory_file(text) as given, _memory_file() as errors:
            with theirs, open(_NAMESPACE, "rb") as here:
                files = [theirs.fileno(), here.fileno(), given.fileno(), writing, errors.fileno()]
                socket.send_fds(self._socket, [json.dumps(request).encode()], files)
                os.close(writing)
            (pid,) = _NUMBER.unpack(ours.recv(_NUMBER.size, socket.MSG_WAITALL))
            try:
                printed = _read_to_the_end(output.fileno(), time.monotonic() + timeout)
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(name, timeout) from None
            (code,) = _NUMBER.unpack(ours.recv(_NUMBER.size, socket.MSG_WAITALL))
            errors.seek(0)
            return Done(code, printed.decode(), errors.read().decode())

    def end(self) -> None:
        """End the server, but no module that it started."""
        self._socket.close()
        self._process.wait()


def _without_the_test(environment: t.Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name != _OF_THE_TEST}


@contextlib.contextmanager
def _memory_file(text: str = "") -> t.Iterator[t.BinaryIO]:
    with open(os.memfd_create("module"), "w+b") as file:
        file.write(text.encode())
        file.seek(0)
        yield file


def _read_to_the_end(descriptor: int, deadline: float) -> bytes:
    parts: list[bytes] = []
    while select.select([descriptor], [], [], max(0, deadline - time.monotonic()))[0]:
        part = os.read(descriptor, _REQUEST_BYTES)
        if not part:
            return b"".join(parts)
        parts.append(part)
    raise TimeoutError


def serve(requests: socket.socket) -> None:
    """Run a module for each request, until nobody can send one any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for name in _IMPORTED:
        importlib.import_module(f"{_MODULES}.{name}")
    while True:
        request, files, _flags, _address = socket.recv_fds(requests, _REQUEST_BYTES, 5)
        if not request:
            return
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.close()
            _answer(json.loads(request), *files)
        for file in files:
            os.close(file)


def _answer(request: dict[str, t.Any], reply: int, namespace: int, *streams: int) -> t.NoReturn:
    """Run the module in another process, in the namespace of the test, and tell its id and how it ended."""
    _change_to(namespace)
    os.close(namespace)
    pid = os.fork()
    if not pid:
        os.close(reply)
        _become_the_module(streams, **request)
    for stream in streams:
        os.close(stream)
    os.write(reply, _NUMBER.pack(pid))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        os.write(reply, _NUMBER.pack(code))
    os._exit(0)


def _become_the_module(streams: t.Sequence[int], name: str, netns: str | None, test: str, directory: str) -> t.NoReturn:
    code = 1
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(directory)
        os.environ[_OF_THE_TEST] = test
        if netns:
            _enter(netns)
        code = _run_as_program(f"{_MODULES}.{name}")
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _run_as_program(module: str) -> int:
    sys.argv = [module]
    sys.modules.pop(module, None)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def _change_to(namespace: int) -> None:
    """Enter a network namespace, which needs no right where the process is in it."""
    if not os.path.samestat(os.fstat(namespace), os.stat(_NAMESPACE)):
        _checked(_LIBC.setns(namespace, _CLONE_NEWNET))


def _enter(netns: str) -> None:
    """Do what ``ip netns exec`` does before the command: ip-netns(8)."""
    with open(f"/run/netns/{netns}", "rb") as file:
        _checked(_LIBC.setns(file.fileno(), _CLONE_NEWNET))
    _checked(_LIBC.unshare(_CLONE_NEWNS))
    _checked(_LIBC.mount(b"", b"/", b"none", _MS_SLAVE_AND_BELOW, None))
    _LIBC.umount2(b"/sys", _MNT_DETACH)
    _checked(_LIBC.mount(netns.encode(), b"/sys", b"sysfs", 0, None))


def _checked(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    _change_to(int(sys.argv[2]))
    os.close(int(sys.argv[2]))
    with socket.socket(fileno=int(sys.argv[1])) as given:
        serve(given)
