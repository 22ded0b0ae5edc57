# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A forked module finds what it would find in an interpreter of its own, and else there is one."""

from __future__ import annotations

import json
import os
import pathlib
import pty
import signal
import subprocess
import sys
import tempfile
import typing as t
import zipfile

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._router import action
from helpers.fork_servers import ForkServers
from helpers.on_routers import forked
from helpers.support import (
    COLLECTIONS,
    ON_CONTROLLERS,
    ON_ROUTERS,
    PATIENCE,
    SYSTEM_PYTHON,
    network_namespace,
    wait_until,
)

PYTHONS = sorted({SYSTEM_PYTHON, sys.executable})

LOOKS = """
import json, locale, os, resource, signal, sys
status = dict(line.rstrip().split(":", 1) for line in open("/proc/self/status"))
found = {
    "read": sys.stdin.read() if len(sys.orig_argv) > 1 else None,
    "arguments": [sys.argv, sys.orig_argv, sys.path, __name__, globals().get("__file__")],
    "python": [sys.executable, sys.flags[:4], sys.dont_write_bytecode, sys.getfilesystemencoding()],
    "streams": [[s.encoding, s.errors, s.line_buffering, s.isatty()] for s in (sys.stdin, sys.stdout, sys.stderr)],
    "environment": dict(os.environ),
    "shown": [open(f"/proc/self/{name}").read() for name in ("cmdline", "environ", "comm")],
    "locale": [locale.setlocale(locale.LC_ALL, ""), open("/dev/null").encoding.lower()],
    "kernel": [status[name] for name in ("Umask", "Uid", "Gid", "Groups", "CapEff", "CapBnd", "SigBlk")],
    "signals": [repr(signal.getsignal(number)).partition(" at ")[0] for number in range(1, 32)],
    "namespaces": [os.readlink(f"/proc/self/ns/{name}") for name in ("net", "mnt", "pid", "user")],
    "files": sorted(os.listdir("/proc/self/fd")),
    "limits": [resource.getrlimit(number) for number in range(16)],
    "priority": os.getpriority(os.PRIO_PROCESS, 0),
    "directory": os.getcwd(),
    "group": os.getpgrp() == os.getpid(),
    "imported": sorted(name for name in sys.modules if name.startswith(("ansible", "yaml", "jinja2"))),
}
print(json.dumps(found))
print("said on standard error", file=sys.stderr)
"""
IS_FORKED = """
import os
print("fork_server.py" in open(f"/proc/{os.getppid()}/cmdline").read())
"""


@pytest.fixture(scope="module")
def servers() -> t.Iterator[ForkServers]:
    started = ForkServers()
    try:
        wait_until(lambda: len(list(started.directory.glob("FORKED*-[01]"))) == (len(PYTHONS) + 1) * forked.SERVERS)
        yield started
    finally:
        errors = started.end()
    assert not errors


@pytest.fixture
def environment(servers: ForkServers) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FORKED"))}
    return {**kept, "PYTHONPATH": str(ON_ROUTERS), forked.MODULES: str(servers.directory)}


def module(directory: pathlib.Path, source: str) -> str:
    path = directory / "AnsiballZ_looks.py"
    path.write_text(source)
    return str(path)


def ended(command: list[str], environment: dict[str, str], **options: t.Any) -> subprocess.CompletedProcess[str]:
    options = {"input": "given\n", "cwd": "/", **options}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False, **options
    )


def without_servers(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, forked.MODULES: ""}


def is_forked(command: list[str], environment: dict[str, str], directory: pathlib.Path, **options: t.Any) -> bool:
    done = ended([*command, module(directory, IS_FORKED)], environment, **options)
    assert done.returncode == 0, done.stderr
    return {"True\n": True, "False\n": False}[done.stdout]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    ("wrapper", "changes"),
    [
        ([], {}),
        (["nice", "-n", "5"], {"LC_ALL": "C.UTF-8", "TZ": "UTC+3", "PYTHONDONTWRITEBYTECODE": "1"}),
        (["sh", "-c", 'umask 0077; ulimit -n 99; ulimit -c 0; exec "$@"', "sh"], {"LANG": ""}),
        (["setpriv", "--groups=7,8", "--"], {"HOME": "/nowhere", "PYTHONPATH": f"{ON_ROUTERS}:/nowhere"}),
        (["sh", "-c", 'trap "" INT USR1; exec "$@"', "sh"], {}),
        (["setsid", "--wait"], {"LANG": "C", "LC_CTYPE": ""}),
    ],
)
def test_it_finds_what_it_would_find_in_an_interpreter_of_its_own(
    servers: ForkServers,
    environment: dict[str, str],
    tmp_path: pathlib.Path,
    wrapper: list[str],
    changes: dict[str, str],
    python: str,
) -> None:
    environment |= changes
    command = [*wrapper, python]
    assert is_forked(command, environment, tmp_path)
    path = module(tmp_path, LOOKS)
    results = [ended([*command, path], each) for each in (environment, without_servers(environment))]
    found, expected = (json.loads(result.stdout) for result in results)
    del found["environment"][forked.MODULES], expected["environment"][forked.MODULES]
    line = f"\0{forked.MODULES}="
    expected["shown"][1] = expected["shown"][1].replace(f"{line}\0", f"{line}{servers.directory}\0")
    # A module starts no process group.
    assert not found.pop("group") or wrapper[:1] == ["setsid"]
    del expected["group"]
    # Namespaces of its own are those of the process that it stands for.
    assert found == expected
    assert found["read"] == "given\n"
    assert [result.stderr for result in results] == ["said on standard error\n"] * 2


def test_it_is_in_the_network_namespace_of_the_process_that_it_stands_for(
    environment: dict[str, str], tmp_path: pathlib.Path
) -> None:
    with network_namespace("forked") as netns:
        command = ["ip", "netns", "exec", netns, SYSTEM_PYTHON]
        assert is_forked(command, environment, tmp_path)
        source = "import os\nprint(os.stat('/proc/self/ns/net').st_ino, sorted(os.listdir('/sys/class/net')))"
        done = ended([*command, module(tmp_path, source)], environment)
        inode = pathlib.Path("/run/netns", netns).stat().st_ino
        assert done.stdout == f"{inode} ['lo']\n"


def test_a_program_on_standard_input_and_that_of_the_collection(environment: dict[str, str]) -> None:
    assert forked.READ_AT_ONCE == action._READ_AT_ONCE
    source = "import sys\n" + IS_FORKED + "print(sys.argv, sys.path[0], __name__)"
    for command in ([], ["-c", forked.READ_AT_ONCE]):
        done = ended([SYSTEM_PYTHON, *command], environment, input=source)
        assert done.stdout == f"True\n{command[:1] or ['']}  __main__\n"
        expected = ended([SYSTEM_PYTHON, *command], without_servers(environment), input=source)
        assert expected.stdout == done.stdout.replace("True", "False")


@pytest.mark.parametrize(
    "ending",
    [
        "sys.exit(3)",
        "sys.exit()",
        "sys.exit('why')",
        "raise ValueError('why')",
        "os._exit(4)",
        "os.kill(os.getpid(), 15)",
        "os.kill(os.getpid(), 9)",
        "os.abort()",
        "import atexit; atexit.register(lambda: print('at the end'))",
        "import threading, time; threading.Thread(target=lambda: (time.sleep(0.2), print('by a thread'))).start()",
        "print('x' * 1_000_000)",
    ],
)
def test_it_ends_alike(environment: dict[str, str], tmp_path: pathlib.Path, ending: str) -> None:
    path = module(tmp_path, f"import os, sys\nprint('begun', flush=True)\n{ending}\n")
    done, expected = (ended([SYSTEM_PYTHON, path], each) for each in (environment, without_servers(environment)))
    assert (done.returncode, done.stdout) == (expected.returncode, expected.stdout)
    assert done.stderr.splitlines()[-1:] == expected.stderr.splitlines()[-1:]


@pytest.mark.parametrize(
    ("wrapper", "changes"),
    [
        (["setpriv", "--reuid=65534"], {}),
        (["setpriv", "--bounding-set=-net_admin"], {}),
        (["setpriv", "--no-new-privs"], {}),
        (["unshare", "--uts"], {}),
        (["unshare", "--fork", "--time", "--boottime", "99999"], {}),
        (["sh", "-c", 'exec "$@" 7</dev/null', "sh"], {}),
        (["sh", "-c", 'exec "$@" <&-', "sh"], {}),
        ([], {"PYTHONUNBUFFERED": "1"}),
        ([], {"PYTHONOPTIMIZE": "1"}),
        ([], {"LC_ALL": "C"}),  # not UTF-8
        ([], {"RECORDED_REQUESTS": "/nowhere"}),
        ([], {forked.MODULES: "/nowhere"}),
    ],
)
def test_a_process_that_differs_goes_on_by_itself(
    environment: dict[str, str], wrapper: list[str], changes: dict[str, str]
) -> None:
    # Another user can read nothing in the directories of pytest.
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        directory.chmod(0o755)
        assert not is_forked([*wrapper, SYSTEM_PYTHON], {**environment, **changes}, directory)


def test_a_process_on_a_terminal_goes_on_by_itself(environment: dict[str, str], tmp_path: pathlib.Path) -> None:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [SYSTEM_PYTHON, module(tmp_path, IS_FORKED)],
            env=environment,
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.stdout == "False\n"


def test_another_program_is_never_forked(environment: dict[str, str]) -> None:
    done = ended([SYSTEM_PYTHON, "-c", "import sys; print('forked' in sys.modules, len(sys.orig_argv))"], environment)
    assert done.stdout == "True 3\n"
    done = ended([SYSTEM_PYTHON, "-c", IS_FORKED], environment)
    assert done.stdout == "False\n"


def test_it_ends_with_the_process_that_it_stands_for(environment: dict[str, str], tmp_path: pathlib.Path) -> None:
    source = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)\n"
    command = [SYSTEM_PYTHON, module(tmp_path, source)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        assert pid != process.pid
        process.send_signal(signal.SIGKILL)
        wait_until(lambda: not pathlib.Path("/proc", str(pid)).exists())


def archive(path: pathlib.Path, changes: dict[str, str]) -> None:
    """Write what Ansible sends of a module that imports the units: the utils, under packages that Ansible makes."""
    package = "ansible_collections/netops/conntrack/plugins/module_utils"
    made = "from pkgutil import extend_path\n__path__ = extend_path(__path__, __name__)\n"
    parts = package.split("/")
    members = {"/".join([*parts[:number], "__init__.py"]): made for number in range(1, len(parts) + 1)}
    for name in ("_units.py", "_errors.py"):
        members[f"{package}/{name}"] = (COLLECTIONS / package / name).read_text()
    with zipfile.ZipFile(path, "w") as written:
        for name, text in {**members, **{f"{package}/{name}": text for name, text in changes.items()}}.items():
            written.writestr(name, text)


def test_what_an_archive_has_is_imported_from_it(environment: dict[str, str], tmp_path: pathlib.Path) -> None:
    """What was imported before is used only if all of it is the same there, and nothing else can be imported."""
    package = "ansible_collections.netops.conntrack.plugins.module_utils"
    path = tmp_path / "payload.zip"
    source = f"""
import json, sys
sys.path.insert(0, {str(path)!r})
from {package} import _units as units
try:
    from {package} import _netns
    others = True
except ImportError:
    others = False
errors = sys.modules.get({f"{package}._errors"!r})
begun = [module.BEGUN for module in (units, errors) if hasattr(module, "BEGUN")]
loader = units.__spec__.loader
print(json.dumps([units.__file__, loader.archive, units.__loader__ is loader, begun, others]))
"""
    where = f"{path}/{package.replace('.', '/')}/_units.py"
    results = []
    errors = {"_errors.py": "BEGUN = 2\nOptionError = None\n"}
    for changes in ({}, {"_units.py": "BEGUN = 1\n"}, errors):
        archive(path, changes)
        done = ended([SYSTEM_PYTHON, module(tmp_path, IS_FORKED + source)], environment)
        forked_one, printed = done.stdout.splitlines()
        assert forked_one == "True"
        results.append(json.loads(printed))
    assert results == [
        [where, str(path), True, [], False],
        [where, str(path), True, [1], False],
        [where, str(path), True, [2], False],
    ]


def test_a_program_of_ansible_reads_its_own_configuration(servers: ForkServers, tmp_path: pathlib.Path) -> None:
    (tmp_path / "ansible.cfg").write_text("[defaults]\nforks = 17\nroles_path = one:two\n")
    (tmp_path / "home").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ANSIBLE", "FORKED"))}
    own = {**kept, **ON_CONTROLLERS, "HOME": str(tmp_path / "home"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_TIMEOUT": "44"}
    command = [str(pathlib.Path(sys.executable).with_name("ansible-config")), "dump", "--only-changed"]
    results = [
        ended(command, {**own, forked.PROGRAMS: directory}, cwd=tmp_path) for directory in ("", str(servers.directory))
    ]
    assert [result.returncode for result in results] == [0, 0]
    assert "DEFAULT_FORKS" in results[0].stdout
    assert results[0].stdout == results[1].stdout
