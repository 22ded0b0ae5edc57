# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module conntrack_settings in processes that are killed at a chosen one of all the points between two writes.

Run as a script, this file serves a router: it has imported the module once, and forks a process for each run that it
is asked for, which takes hundredths of a second instead of tenths.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import gc
import json
import os
import pathlib
import signal
import stat
import subprocess
import sys
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import Sysctl

_WRITES = {
    "fcntl.flock",
    "os.chmod",
    "os.chown",
    "os.fork",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
}
"""The audit events (sys.addaudithook) that come before something is changed; opening a file depends on its flags."""

_DIRECTORIES = ("sysctl.d", "modules-load.d", "modprobe.d")
_MODULE_IS_LATE = "nf_conntrack 1 0 - Live 0x0\n"


class State(t.NamedTuple):
    """What an operator sees: the kernel's settings by short name, and the texts of the files that a boot reads."""

    kernel: dict[str, int]
    files: dict[str, str]


class Snapshot(t.NamedTuple):
    """All that a run can find: the kernel's settings, and all files, the journals and what lies beside others too."""

    kernel: dict[str, int]
    files: dict[pathlib.Path, str]


class Router:
    """A router with an /etc and a /run of its own, and nf_conntrack as a module that nothing loads early."""

    def __init__(self, directory: pathlib.Path, netns: str, disk: str | None = None) -> None:
        """Start it below ``directory``, which does not exist yet, in the network namespace ``netns``.

        With ``disk``, its /run is on a tmpfs of its own with these mount options, which is ``self.disk``.
        """
        self.netns = netns
        self.etc, own_disk = directory / "etc", directory / "disk"
        for name in _DIRECTORIES:
            (self.etc / name).mkdir(parents=True)
        own_disk.mkdir()
        mount = f"mount -t tmpfs -o {disk} tmpfs {own_disk};" if disk else ""
        own_run = own_disk / "run" if disk else directory / "run"
        mounts = f'mount --make-rprivate /; mount --bind {self.etc} /etc; {mount} exec "$@"'
        inside = ["ip", "netns", "exec", netns, "unshare", "--mount", "sh", "-ec", mounts, "sh"]
        self._server = subprocess.Popen(
            [*inside, sys.executable, "-B", __file__, str(own_run)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ask({})
        # What is mounted there is seen through the process.
        self.disk = pathlib.Path(f"/proc/{self._server.pid}/root{own_disk}")
        self.run_directory = self.disk / "run" if disk else own_run

    def close(self) -> None:
        """End it, and all the processes that wait for a confirmation."""
        self.end_waiting()
        self._server.communicate(timeout=600)

    @property
    def waiting(self) -> list[int]:
        """The ids of the processes that wait for a confirmation."""
        listed = subprocess.run(["ip", "netns", "pids", self.netns], check=True, stdout=subprocess.PIPE, text=True)
        return [pid for pid in map(int, listed.stdout.split()) if pid != self._server.pid]

    def end_waiting(self) -> None:
        """End the processes that wait for a confirmation, as a reboot does."""
        for pid in self.waiting:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @property
    def journals(self) -> list[pathlib.Path]:
        """The journals of changes that wait for their confirmation, without those that say otherwise elsewhere."""
        found = [path for path in self.run_directory.glob("pending-*") if path.suffix != ".new"]
        return [path for path in found if not self._is_settled(path)]

    def _is_settled(self, journal: pathlib.Path) -> bool:
        settled = self.journals_named("settled")
        if not settled.is_file():
            return False
        lines = [line.split() for line in settled.read_text().splitlines()]
        names = [line[0] for line in lines if line and line[1] != "waits"]
        return journal.is_file() and any(name in journal.read_text(errors="replace") for name in names)

    def journals_named(self, what: str) -> pathlib.Path:
        """Return the path of the file ``what`` of this router's namespace. A change has to wait, or have waited."""
        (lock,) = self.run_directory.glob("lock-*")
        return self.run_directory / lock.name.replace("lock", what)

    def run(self, args: dict[str, t.Any], kill_at: int = 0) -> dict[str, t.Any] | None:
        """Return the module's result; None if it was killed, at the point of this number, counted from 1."""
        answer = self._ask({"args": args, "kill_at": kill_at})
        return None if answer["killed"] else t.cast("dict[str, t.Any]", json.loads(answer["output"]))

    def state(self, snapshot: Snapshot | None = None) -> State:
        """Return what an operator sees, or saw when the ``snapshot`` was taken."""
        kernel, files = snapshot or self.snapshot()
        seen = {path: text for path, text in files.items() if self.etc in path.parents and path.name[0] != "."}
        return State(kernel, {str(path.relative_to(self.etc)): text for path, text in seen.items()})

    def snapshot(self) -> Snapshot:
        """Return all that a run can find."""
        files = {}
        for path in self._paths():
            # The process that rolls a change back may be removing what lies beside a file.
            with contextlib.suppress(FileNotFoundError):
                files[path] = path.read_text(errors="surrogateescape")
        return Snapshot(self._ask({})["kernel"], files)

    def restore(self, snapshot: Snapshot) -> None:
        """Make all as it was, but for the processes that waited: these are ended."""
        self.end_waiting()
        for path in self._paths():
            path.unlink()
        for path, text in snapshot.files.items():
            path.write_text(text, errors="surrogateescape")
        self._ask({"kernel": snapshot.kernel})

    def left_over(self) -> list[str]:
        """Return the names of what lies beside the files."""
        return [path.name for path in self._paths() if path.name.startswith(".")]

    def write(self, name: str, text: str) -> None:
        """Make the file ``name`` below /etc."""
        (self.etc / name).write_text(text)

    def _paths(self) -> list[pathlib.Path]:
        return [path for place in (self.etc, self.run_directory) for path in place.rglob("*") if path.is_file()]

    def _ask(self, request: dict[str, t.Any]) -> dict[str, t.Any]:
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(f"{json.dumps(request)}\n")
        self._server.stdin.flush()
        return t.cast("dict[str, t.Any]", json.loads(self._server.stdout.readline()))


class _Killer:
    """Ends the process with SIGKILL at one of the points at which something was, or is about to be, changed."""

    def __init__(self, kill_at: int) -> None:
        self.left = kill_at
        self.proc = os.stat("/proc").st_dev

    def install(self) -> None:
        sys.addaudithook(self.hear)
        os.register_at_fork(after_in_child=self.disarm)
        self.open, self.os_open = builtins.open, os.open
        builtins.open, os.open, os.fsync = self.open_file, self.open_handle, self.sync  # type: ignore[assignment] # less overloaded

    def point(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def disarm(self) -> None:
        """The process that waits for the confirmation goes on, whatever becomes of the one that started it."""
        self.left = 0

    def hear(self, event: str, args: tuple[t.Any, ...]) -> None:
        if event in _WRITES or (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            self.point()

    def open_handle(self, path: str, flags: int, *rest: t.Any, **options: t.Any) -> int:
        handle = self.os_open(path, flags, *rest, **options)
        if flags & os.O_CREAT:
            self.point()
        return handle

    def open_file(self, file: t.Any, mode: str = "r", *rest: t.Any, **options: t.Any) -> t.Any:
        opened = self.open(file, mode, *rest, **options)
        about = os.fstat(opened.fileno())
        if mode == "w":
            self.point()
            # One write(2) gives the kernel its number; a text on a disk may well come to it in parts.
            if stat.S_ISREG(about.st_mode) and about.st_dev != self.proc:
                opened.write = functools.partial(self.write_halves, opened)  # type: ignore[assignment] # a method, replaced
        return opened

    def write_halves(self, opened: t.IO[str], text: str) -> None:
        write = type(opened).write
        write(opened, text[: len(text) // 2])
        opened.flush()
        self.point()
        write(opened, text[len(text) // 2 :])

    def sync(self, _handle: int) -> None:
        # What the kernel was given outlives the process: not to wait for the disk changes nothing here.
        self.point()


def _serve(run_directory: str) -> None:
    from ansible_collections.netops.conntrack.plugins.module_utils._boot_files import config_tree
    from ansible_collections.netops.conntrack.plugins.module_utils._files import run_directory as run_directory_module
    from ansible_collections.netops.conntrack.plugins.module_utils._sysctl import sysctl as sysctl_module
    from ansible_collections.netops.conntrack.plugins.modules import conntrack_settings

    gc.disable()  # it would copy in each process what all of them share
    real_read = config_tree.Tree.read

    def read(self: config_tree.Tree, path: str) -> str | None:
        return _MODULE_IS_LATE if path == "/proc/modules" else real_read(self, path)

    config_tree.Tree.read = read  # type: ignore[method-assign] # in this process only
    run_directory_module.DIRECTORY = run_directory
    sysctls = [sysctl for short, sysctl in sysctl_module.find_sysctls().items() if short != sysctl_module.GAUGE]
    for line in sys.stdin:
        request = json.loads(line)
        if "args" in request:
            answer = _run(conntrack_settings.main, **request)
        else:
            answer = {"kernel": _set_and_read(sysctls, request.get("kernel", {}))}
        print(json.dumps(answer), flush=True)


def _set_and_read(sysctls: list[Sysctl], wanted: dict[str, int]) -> dict[str, int | None]:
    for sysctl in sysctls:
        if sysctl.short_name in wanted and sysctl.read() != wanted[sysctl.short_name]:
            sysctl.write(wanted[sysctl.short_name])
    return {sysctl.short_name: sysctl.read() for sysctl in sysctls}


def _run(main: t.Callable[[], None], args: dict[str, t.Any], kill_at: int) -> dict[str, t.Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(writing, 1)
        os.close(reading)
        os.close(writing)
        _be_the_module(main, args, kill_at)
    os.close(writing)
    with open(reading, encoding="utf-8") as file:
        output = file.read()
    _pid, status = os.waitpid(child, 0)
    return {"killed": os.WIFSIGNALED(status), "output": output}


def _be_the_module(main: t.Callable[[], None], args: dict[str, t.Any], kill_at: int) -> t.NoReturn:
    from ansible.module_utils.testing import patch_module_args

    try:
        with patch_module_args(args), contextlib.suppress(SystemExit):
            _Killer(kill_at).install()
            main()
        sys.stdout.flush()
    finally:
        os._exit(0)


if __name__ == "__main__":
    sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[2] / ".collections")]
    _serve(sys.argv[1])
