# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests share: running a module as Ansible would, in a real network namespace."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import secrets
import signal
import subprocess
import sys
import time
import typing as t

import ansible
import yaml
from helpers.module_server import Done, ModuleServer
from helpers.on_routers import forked

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
COLLECTIONS = CHECKOUT / ".collections"
ON_ROUTERS = CHECKOUT / "tests" / "helpers" / "on_routers"
ON_CONTROLLERS = {"PYTHONPATH": os.pathsep.join([str(ON_ROUTERS.with_name("on_controllers")), str(ON_ROUTERS)])}
"""The environment with which the programs of Ansible take less time."""
SYSTEM_PYTHON = "/usr/bin/python3"
"""The distribution's interpreter, with its own python3-pyroute2: what a router has."""

PATIENCE = 600
"""Seconds until a command is given up. A busy machine is no failure, so this is far more than any of them takes."""

DERANDOMIZE = "RANDOM_CASES" not in os.environ
"""Whether a comparison with a program of others tries the same cases each time. RANDOM_CASES=1 looks for new ones."""

_TRACKING = """
table inet tracking {
  chain prerouting { type filter hook prerouting priority 0; ct state established counter; }
}
"""


@dataclasses.dataclass(frozen=True)
class ModuleResult:
    """How a module ended: the exit code of its process and the JSON that it printed."""

    rc: int
    data: dict[str, t.Any]

    @property
    def failed(self) -> bool:
        return bool(self.data.get("failed", False))

    @property
    def msg(self) -> str:
        return str(self.data.get("msg", ""))


def run(
    command: t.Sequence[str], *, netns: str | None = None, text: str | None = None, timeout: float = PATIENCE
) -> str:
    """Run ``command`` in ``netns`` with ``text`` as its input, give what it prints; AssertionError if it fails."""
    done = subprocess.run(
        inside(netns, command), input=text, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}: rc {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def run_module(
    name: str,
    args: dict[str, t.Any],
    *,
    netns: str | None = None,
    python: str = sys.executable,
    env: dict[str, str] | None = None,
    wrapper: t.Sequence[str] = (),
    check: bool = False,
    diff: bool = False,
    timeout: float = PATIENCE,
) -> ModuleResult:
    """Run the module ``name`` with ``args`` in a process of its own, as a router does, and give its result.

    ``netns`` is where the process starts (the module's own option ``netns`` belongs into ``args``); ``env`` adds to the
    environment; ``wrapper`` is a command that runs the interpreter, such as ``("setpriv", "--reuid=65534")``.
    """
    text = json.dumps({"ANSIBLE_MODULE_ARGS": {**args, "_ansible_check_mode": check, "_ansible_diff": diff}})
    environment = {**os.environ, "PYTHONPATH": module_path(python), "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
    done: Done | subprocess.CompletedProcess[str]
    if not wrapper and python == sys.executable and module_server().serves(netns, environment):
        done = module_server().run(name, text, netns, timeout)
    else:
        done = subprocess.run(
            inside(netns, [*wrapper, python, "-m", f"ansible_collections.netops.conntrack.plugins.modules.{name}"]),
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=environment,
        )
    try:
        return ModuleResult(done.returncode, json.loads(done.stdout))
    except json.JSONDecodeError:
        raise AssertionError(f"{name} printed no JSON, rc {done.returncode}\n{done.stdout}{done.stderr}") from None


@functools.cache
def module_server() -> ModuleServer:
    """Return what runs modules on the interpreter of the tests."""
    return ModuleServer({**os.environ, "PYTHONPATH": module_path(), "PYTHONDONTWRITEBYTECODE": "1"})


def assert_refused(result: ModuleResult, *words: str) -> None:
    """Assert that a module failed before it changed anything, with a message that has these words."""
    assert result.failed
    assert result.rc == 1
    assert not result.data.get("changed")
    for word in words:
        assert word in result.msg


def forked_programs() -> dict[str, str]:
    """Return the environment with which the programs of Ansible may be forked by a server, if this run has one.

    A program that gets a signal shall get none of this: the signal would end the process that waits for the forked one.
    """
    directory = os.environ.get(forked.MODULES)
    return {forked.PROGRAMS: directory} if directory else {}


def run_ansible(
    command: t.Sequence[str],
    inventory: pathlib.Path,
    home: pathlib.Path,
    *,
    programs: pathlib.Path = pathlib.Path(sys.executable).parent,
    timeout: float = PATIENCE,
    env: t.Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the Ansible ``command`` on ``inventory`` as an operator in the checkout would, with ``home`` for a home.

    ``programs`` is the directory of the command, by default that of the Ansible which the tests run with. ``env`` adds
    to the environment.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    environment |= {"HOME": str(home), "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1", **ON_CONTROLLERS}
    # ssh's greeting takes longer than Ansible's ten seconds on a machine that is busy.
    environment |= {"ANSIBLE_TIMEOUT": "60", **forked_programs(), **(env or {})}
    return subprocess.run(
        [str(programs / command[0]), "-i", str(inventory), *command[1:]],
        cwd=CHECKOUT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def module_path(python: str = sys.executable) -> str:
    """Return the PYTHONPATH with which ``python`` finds the collection and ansible-core, and what looks at requests."""
    if python == sys.executable:
        return os.pathsep.join([str(COLLECTIONS), str(ON_ROUTERS)])
    only_ansible = CHECKOUT / ".work" / "only-ansible"
    only_ansible.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (only_ansible / "ansible").symlink_to(pathlib.Path(ansible.__file__).parent)
    return os.pathsep.join([str(COLLECTIONS), str(ON_ROUTERS), str(only_ansible)])


def read_yaml(path: pathlib.Path) -> t.Any:
    """Return what a YAML file holds. libyaml takes a tenth of what yaml.safe_load takes."""
    return yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)


def worker() -> str:
    """Return the number of this worker of pytest-xdist, for names that other workers must not have. "" without one."""
    return os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")


@contextlib.contextmanager
def network_namespace(prefix: str, *, tracking: bool = True) -> t.Iterator[str]:
    """Make a network namespace with its loopback up, give its name, and delete it at the end.

    With ``tracking``, one rule with a ``ct state`` turns connection tracking on for both families.
    """
    name = f"{prefix}-{secrets.token_hex(4)}"
    run(["ip", "netns", "add", name])
    try:
        run(["ip", "link", "set", "lo", "up"], netns=name)
        if tracking:
            run(["nft", "-f", "-"], netns=name, text=_TRACKING)
        yield name
    finally:
        _end_processes(name)
        run(["ip", "netns", "delete", name])


def _end_processes(netns: str) -> None:
    """End what still runs in the namespace, such as a process that waits for a confirmation for an hour."""
    for pid in map(int, namespace_pids(netns)):
        if pid != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def left_over() -> tuple[set[str], set[int]]:
    """Return the numbers of the open files of this process, and the ids of its children."""
    return set(os.listdir("/proc/self/fd")), children(os.getpid())


def children(parent: int) -> set[int]:
    """Return the ids of the processes that ``parent`` started and that are there, ended or not."""
    found: set[int] = set()
    for path in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found.update(map(int, path.read_text().split()))
    return found


def modules_at_work(netns: str) -> list[str]:
    """Return the numbers of the processes in ``netns`` that run the system's Python: modules, and their shells."""
    pids = namespace_pids(netns)
    return [pid for pid in pids if _first_argument(pid) == SYSTEM_PYTHON.encode()]


def _first_argument(pid: str) -> bytes:
    return b"".join(of_processes("cmdline", [pid])).partition(b"\0")[0]


def namespace_pids(netns: str) -> list[str]:
    """Return the numbers of the processes in ``netns``."""
    return run(["ip", "netns", "pids", netns]).split()


def of_processes(name: str, pids: t.Iterable[str] | None = None) -> list[bytes]:
    """Return the file /proc/PID/``name`` of those processes, or of all of the machine, that are still there."""
    found = []
    for pid in os.listdir("/proc") if pids is None else pids:
        if pid.isdecimal():
            with contextlib.suppress(OSError):
                found.append(pathlib.Path(f"/proc/{pid}/{name}").read_bytes())
    return found


def wait_until(
    holds: t.Callable[[], t.Any], what: str | t.Callable[[], object] = "", *, seconds: float = PATIENCE
) -> t.Any:
    """Wait until ``holds`` returns something true, and return that.

    Raises AssertionError with ``what``, or with what it then returns, if that is not so after ``seconds``.
    """
    give_up = time.monotonic() + seconds
    while not (result := holds()):
        assert time.monotonic() < give_up, what() if callable(what) else what
        time.sleep(0.05)
    return result


def inside(netns: str | None, command: t.Sequence[str]) -> list[str]:
    """Return ``command`` as it runs in ``netns``, if that is given."""
    return [*(["ip", "netns", "exec", netns] if netns else []), *command]


def give_arguments(process: subprocess.Popen[str], args: dict[str, t.Any]) -> None:
    """Give a module that waits for its options on standard input these options, and no more."""
    assert process.stdin
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": args}))
    process.stdin.close()


def with_default_signals() -> None:
    """Let signals end this process, which the tests start, also where they run in the background or under nohup."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
