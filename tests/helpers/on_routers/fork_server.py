# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process that has imported what modules import, and forks for each that another process was started for (forked.py).

What is forked takes over all that a module could find out: arguments, environment, open files, directory, namespaces,
limits, priority, and what of its own it imports from its archive.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import ctypes
import gc
import importlib
import marshal
import mmap
import os
import resource
import select
import signal
import socket
import struct
import sys
import threading
import time
import traceback
import types
import typing as t
import zipimport
import zlib

import forked  # type: ignore[import-not-found]  # Python finds it beside this file
import refused_requests  # type: ignore[import-not-found]  # Python finds it beside this file
import shared_code  # type: ignore[import-not-found]  # Python finds it beside this file

_REQUEST_BYTES = 1 << 18
_FILES = 6
_NUMBER = struct.Struct("=i")
_CREDENTIALS = struct.Struct("=iii")

# sched.h
_CLONE_NEWNS = 0x00020000
_CLONE_NEWNET = 0x40000000
# linux/prctl.h
_PR_SET_MM = 35
_PR_SET_MM_MAP = 14
_MEMORY_MAP = struct.Struct("=12QIi")
"""struct prctl_mm_map: code, data, brk, stack, arguments, environment, auxiliary vector and its size, program"""
_LIBC = ctypes.CDLL(None, use_errno=True)

_SHOWN: list[mmap.mmap] = []
"""The memory that /proc shows, which stays as long as the process."""

_OF_THE_RUN = (refused_requests.VARIABLE, shared_code.VARIABLE)
"""The environment variables that this has used already."""

_ENTERED = {"net", "mnt"}
"""The namespaces that a forked process enters. All others have to be the same."""

_RIGHTS = ("Uid", "Gid", "NoNewPrivs", "Seccomp", "SigBlk", "Cap")
"""What begins the names in /proc/PID/status of what a process may do, and of which signals wait."""

_MODULES = "ansible_collections.netops.conntrack.plugins.modules"
_RUN_THEM = (
    "ansible.module_utils._internal._ansiballz._loader",
    "ansible.module_utils._internal._json._profiles._module_legacy_c2m",
    "ansible.module_utils._internal._json._profiles._module_legacy_m2c",
)
"""What ansible-core puts into the archive of a module beside what the module imports."""

_MADE_BY_ANSIBLE = {"ansible", "ansible.module_utils", "ansible_collections", "ansible_collections.netops"} | {
    "ansible_collections.netops.conntrack" + inner
    for inner in ("", ".plugins", ".plugins.modules", ".plugins.module_utils")
}
"""The packages that are other ones in the archive of a module (ansible.executor.module_common)."""


class Imported:
    """Modules that were imported from files, for processes that would import the same from an archive."""

    def __init__(self) -> None:
        self._modules: dict[str, types.ModuleType] = {}
        self._checksums: dict[str, int] = {}
        self._same: dict[str, bool] = {}

    def keep(self) -> None:
        """Keep what was imported of Ansible and of collections, and let it be imported anew."""
        for name in [name for name in sys.modules if name.partition(".")[0] in ("ansible", "ansible_collections")]:
            module = sys.modules.pop(name)
            file = getattr(module, "__file__", None)
            # six makes some that have no file, and distro is that of the system where this has one. No module of the
            # collection is imported by another, and a test may have its own.
            of_others = name in _MADE_BY_ANSIBLE or name.startswith(f"{_MODULES}.")
            if file is None or module.__name__ != name or of_others:
                continue
            with open(file, "rb") as source:
                self._checksums[name] = zlib.crc32(source.read())
            self._modules[name] = module

    def serve_archives(self) -> None:
        """Let what is imported from an archive be what was imported before, if all of it is the same there."""
        kind = zipimport.zipimporter
        execute = kind.exec_module

        def create_module(importer: zipimport.zipimporter, spec: t.Any) -> types.ModuleType | None:
            return self._modules.get(spec.name) if self._has_the_same(importer) else None

        def exec_module(importer: zipimport.zipimporter, module: types.ModuleType) -> None:
            if self._modules.get(module.__name__) is not module:
                execute(importer, module)
                return
            spec = t.cast("t.Any", module.__spec__)
            module.__loader__, module.__file__ = spec.loader, spec.origin
            if spec.submodule_search_locations is not None:
                module.__path__ = spec.submodule_search_locations

        def get_filename(importer: zipimport.zipimporter, name: str) -> str:
            path = f"{importer.archive}{os.sep}{importer.prefix}{name.rpartition('.')[2]}"
            is_package = f"{path}/__init__.py"[len(importer.archive) + 1 :] in _files(importer)
            return f"{path}/__init__.py" if is_package else f"{path}.py"

        replaced = {"get_filename": get_filename, "create_module": create_module, "exec_module": exec_module}
        for name, function in replaced.items():
            setattr(kind, name, function)

    def _has_the_same(self, importer: zipimport.zipimporter) -> bool:
        archive = importer.archive
        if archive not in self._same:
            self._same[archive] = self._is_same(_files(importer))
        return self._same[archive]

    def _is_same(self, files: dict[str, tuple[t.Any, ...]]) -> bool:
        """Return whether all that an archive has of what is kept is the same."""
        for name, checksum in self._checksums.items():
            path = name.replace(".", "/")
            entry = files.get(f"{path}.py") or files.get(f"{path}/__init__.py")
            if entry is not None and entry[7] != checksum:
                return False
        return True


def _files(importer: zipimport.zipimporter) -> dict[str, tuple[t.Any, ...]]:
    """Return what an archive has, by its path there: name, compression, size in it, size, offset, time, date, CRC."""
    return t.cast("dict[str, tuple[t.Any, ...]]", importer._files)  # type: ignore[attr-defined]  # no public way


def serve(listening: socket.socket, parent: int) -> dict[str, t.Any]:
    """Return in each forked process what it shall run. Exit in this one once the ``parent`` closes its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    own = _begun()
    while True:
        if parent in _readable(listening.fileno(), parent):
            sys.exit()
        connection, _address = listening.accept()
        with connection:
            data, files, _flags, _from = socket.recv_fds(connection, _REQUEST_BYTES, _FILES)
            # Nothing comes from one that was ended meanwhile.
            if data and not os.fork():
                listening.close()
                os.close(parent)
                # Else there would be nothing to wait for.
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                return _answer(connection, marshal.loads(data), files, own)
            for file in files:
                os.close(file)


def _readable(*files: int) -> list[int]:
    return select.select(files, [], [])[0]


def _begun() -> list[t.Any]:
    """Return how this began, in the form in which a process sends it."""
    return t.cast("list[t.Any]", marshal.loads(marshal.dumps(forked.interpreter())))


def _answer(
    connection: socket.socket, request: dict[str, t.Any], files: list[int], own: list[t.Any]
) -> dict[str, t.Any]:
    """Fork again. Return in that process, and tell in this one how it ended."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    peer = _CREDENTIALS.unpack(credentials)[0]
    if len(files) < _FILES or request["interpreter"] != own or not _is_alike(peer, request["environment"]):
        os._exit(0)
    pid = os.fork()
    if not pid:
        try:
            _become(peer, request, files)
        except BaseException:
            traceback.print_exc()
            os._exit(0)
        connection.send(b"+")
        connection.close()
        return request
    for file in files:
        os.close(file)
    _tell_the_end(connection, pid)
    os._exit(0)


def _tell_the_end(connection: socket.socket, pid: int) -> None:
    """Wait for the end of the process ``pid``, which ends with the one that it stands for."""
    ended = os.pidfd_open(pid)
    if connection.fileno() in _readable(connection.fileno(), ended):
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(OSError):
        connection.send(_NUMBER.pack(code))


def _is_alike(peer: int, environment: dict[str, str]) -> bool:
    """Return whether the process ``peer`` is one that a forked one can stand for."""
    if any(environment.get(name) != os.environ.get(name) for name in _OF_THE_RUN):
        return False
    try:
        return _standing(peer) == _standing("self")
    except OSError:
        # It was ended meanwhile.
        return False


def _standing(pid: int | str) -> list[str]:
    """Return what a process may do, and its namespaces but those that a forked one enters."""
    rights = [value for name, value in _status_of(pid).items() if name.startswith(_RIGHTS)]
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as groups:
        names = sorted(set(os.listdir(f"/proc/{pid}/ns")) - _ENTERED)
        return [*rights, groups.read(), *(os.readlink(f"/proc/{pid}/ns/{name}") for name in names)]


def _become(peer: int, request: dict[str, t.Any], files: t.Sequence[int]) -> None:
    """Take over what the kernel keeps of the process that this one stands for."""
    directory, network, mounts = files[3:]
    for namespace, name, flag in ((network, "net", _CLONE_NEWNET), (mounts, "mnt", _CLONE_NEWNS)):
        if not os.path.samestat(os.fstat(namespace), os.stat(f"/proc/self/ns/{name}")):
            _checked(_LIBC.setns(namespace, flag))
    root = os.stat("/")
    if [root.st_dev, root.st_ino] != request["root"]:
        raise RuntimeError("the process has another root")
    _show(*request["shown"])
    os.fchdir(directory)
    for limit in _limits():
        resource.setrlimit(limit, resource.prlimit(peer, limit))
    os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, peer))
    status = _status_of(peer)
    os.umask(int(status["Umask"], 8))
    os.setgroups(list(map(int, status["Groups"].split())))
    _ignore(int(status["SigIgn"], 16))
    if os.getsid(peer) == os.getsid(0):
        os.setpgid(0, os.getpgid(peer))
    else:
        os.setsid()
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
    for file in files:
        os.close(file)


def _show(command: bytes, environment: bytes) -> None:
    """Let /proc show these: a module looks there for the SSH connection that it must not delete (prctl(2))."""
    # The kernel reads from no memory that is shared.
    shown = mmap.mmap(-1, len(command) + len(environment), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    shown.write(command + environment)
    _SHOWN.append(shown)
    start = ctypes.addressof(ctypes.c_char.from_buffer(shown))
    middle, end = start + len(command), start + len(command) + len(environment)
    with open("/proc/self/stat", encoding="ascii") as stat:
        # From the third field on: proc_pid_stat(5).
        fields = ["", "", "", *stat.read().rpartition(")")[2].split()]
    code_and_data = [int(fields[number]) for number in (26, 27, 45, 46, 47)]
    _LIBC.sbrk.restype = ctypes.c_void_p
    addresses = [*code_and_data, _LIBC.sbrk(0), int(fields[28]), start, middle, middle, end, 0]
    size = ctypes.c_ulong(_MEMORY_MAP.size)
    unused = ctypes.c_ulong(0)
    _checked(_LIBC.prctl(_PR_SET_MM, ctypes.c_ulong(_PR_SET_MM_MAP), _MEMORY_MAP.pack(*addresses, 0, -1), size, unused))


def _ignore(mask: int) -> None:
    """Ignore the signals of a mask of /proc/PID/status, and no others."""
    for number in set(range(1, 32)) - {signal.SIGKILL, signal.SIGSTOP}:
        default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN if mask >> number - 1 & 1 else default)


def _limits() -> list[int]:
    return [number for name, number in vars(resource).items() if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"]


def _status_of(pid: int | str) -> dict[str, str]:
    with open(f"/proc/{pid}/status", encoding="utf-8") as lines:
        return dict(line.rstrip("\n").split(":\t", 1) for line in lines if ":\t" in line)


def _checked(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def run(request: dict[str, t.Any], begin: t.Callable[[], None] | None = None) -> t.NoReturn:
    """Run the program of a request, and end as an interpreter does after it. ``begin`` is called before the program."""
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    _open_streams(request["encodings"])
    sys.orig_argv = os.fsdecode(request["shown"][0]).split("\0")[:-1]
    sys.path[:] = request["path"]
    sys.dont_write_bytecode = request["writes_no_bytecode"]
    code = 1
    try:
        if begin:
            begin()
        _execute(sys.orig_argv[1:])
        code = 0
    except SystemExit as ended:
        code = _status(ended.code)
    except BaseException:
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]  # there is no public way
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code & 0xFF)


def _open_streams(encodings: t.Sequence[tuple[str, str]]) -> None:
    names = ("stdin", "stdout", "stderr")
    for number, (name, (encoding, errors)) in enumerate(zip(names, encodings)):
        mode, buffering = "w" if number else "r", 1 if name == "stderr" else -1
        stream = open(number, mode, buffering, encoding, errors, closefd=False)  # noqa: SIM115  # until the end
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _execute(command: list[str]) -> None:
    """Do what Python does with this command line: read a program, or run a text or a file."""
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    sys.argv = command or [""]
    directory, source, name = "", b"", "<stdin>"
    if command[:1] == ["-c"]:
        source, name = command[1].encode(), "<string>"
        sys.argv = ["-c", *command[2:]]
    elif command:
        name = command[0]
        directory = os.path.dirname(os.path.realpath(name))
        main.__file__ = name
        with open(name, "rb") as file:
            source = file.read()
    else:
        source = sys.stdin.buffer.read()
    sys.path.insert(0, directory)
    exec(compile(source, name, "exec"), main.__dict__)


def _status(code: t.Any) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    print(code, file=sys.stderr)
    return 1


def listen_and_serve(directory: str, kind: str, number: int) -> dict[str, t.Any]:
    """Return in each forked process what it shall run. Processes ask for it at a socket in the directory.

    Exit in this one once nothing can be read from standard input any more.
    """
    gc.collect()
    # No forked process has to look at what was imported.
    gc.freeze()
    path = forked.socket_of(directory, kind, number)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(f"{path}.new")
        listening.listen(socket.SOMAXCONN)
        os.rename(f"{path}.new", path)
        return serve(listening, sys.stdin.fileno())


def _import_modules() -> None:
    """Import all modules of the collection, and what runs them."""
    package = importlib.import_module(_MODULES)
    files = [file for directory in package.__path__ for file in sorted(os.listdir(directory))]
    names = [f"{_MODULES}.{file[:-3]}" for file in files if file.endswith(".py")]
    for name in names:
        importlib.import_module(name)
    for name in _RUN_THEM:
        # Not each ansible-core has all of them.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def main(directory: str, number: int, paths: list[str]) -> None:
    """Serve modules. Ansible and the collection are imported from ``paths``, which no module sees."""
    del sys.path[0]
    seen = list(sys.path)
    sys.path[:0] = paths
    _import_modules()
    sys.path[:] = seen
    imported = Imported()
    imported.keep()
    imported.serve_archives()
    run(listen_and_serve(directory, forked.MODULES, number))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
