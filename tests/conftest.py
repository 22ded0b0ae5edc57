# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets every test say ``from helpers.support import run_module``, and says which tests may run at the same time."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import typing as t

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

# Each worker would compile all the tests anew where the environment forbids to write that down, and the run after it.
sys.dont_write_bytecode = False

from helpers.fork_servers import ForkServers  # noqa: E402  # only found from here on
from helpers.on_controllers import shared_payloads  # noqa: E402  # only found from here on
from helpers.on_routers import forked, shared_code  # noqa: E402  # only found from here on
from helpers.on_routers import refused_requests as recorder  # noqa: E402  # only found from here on
from helpers.support import SYSTEM_PYTHON  # noqa: E402  # only found from here on

_RECORD = pytest.StashKey[pathlib.Path]()
"""The file with the requests that were refused, of the run that made it."""
_SHARED = pytest.StashKey[list[str]]()
"""The directories of what the programs of Ansible share, of the run that made them."""
_SERVERS = pytest.StashKey[ForkServers]()
"""What forks modules and programs, of the run that started it. That is one with --servers."""

LONG = (
    "vm/",
    "versions/test_controllers.py",
    "versions/test_archive.py",
    "fleet/test_soak.py",
    "kernel/test_settings_killed.py",
    "kernel/test_settings_exclusive.py",
    "fleet/test_rollout.py",
    "fleet/test_playbooks.py",
    "fleet/test_rehearsal.py",
    "fleet/test_documented_commands.py",
    "fleet/test_troubles.py",
    "fleet/test_confirm.py",
    "monitoring/test_relieve.py",
    "report/test_html.py",
    "report/test_html_widths.py",
    "runner/test_slices.py",
    "runner/test_ci.py",
    "runner/test_navigator.py",
    "report/test_prometheus.py",
    "monitoring/test_timer.py",
    "unit/roles/test_playbooks.py",
    "unit/roles/test_troubles.py",
    "unit/roles/test_rollout.py",
)
"""They begin first, so that no worker is left alone with one of them at the end. A folder is all files in it."""

APART = (
    "kernel/test_settings_killed.py",
    "kernel/test_settings_exclusive.py",
    "kernel/test_filled_by.py",
    "fleet/test_rollout.py",
    "fleet/test_playbooks.py",
    "fleet/test_rehearsal.py",
    "fleet/test_documented_commands.py",
    "versions/test_archive.py",
    "versions/test_controllers.py",
    "unit/roles/test_playbooks.py",
    "unit/roles/test_rollout.py",
    "unit/roles/test_troubles.py",
    "unit/roles/test_words_of_routers.py",
)
"""Their tests share nothing, so that several workers can take them. Those of any other file stay together."""

TOGETHER = "vm/"
"""The folder whose files stay together too: they share virtual machines."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what a run of many tests is given."""
    parser.addoption("--servers", action="store_true", help="let servers fork modules and programs of Ansible")


def pytest_configure(config: pytest.Config) -> None:
    """Look at every netlink request of this process, and of those that it starts. Let these share what they build."""
    # A worker, or a run that a test starts, writes to the record of the whole run.
    if recorder.VARIABLE not in os.environ:
        descriptor, os.environ[recorder.VARIABLE] = tempfile.mkstemp(prefix="requests-")
        os.close(descriptor)
        config.stash[_RECORD] = pathlib.Path(os.environ[recorder.VARIABLE])
        _compile_the_collection()
    recorder.install()
    config.stash[_SHARED] = []
    for variable in (shared_code.VARIABLE, shared_payloads.VARIABLE):
        if variable not in os.environ:
            os.environ[variable] = tempfile.mkdtemp(prefix="of-tests-")
            config.stash[_SHARED].append(os.environ[variable])
    # Python would read what it gets byte by byte.
    os.environ.pop("PYTHONUNBUFFERED", None)
    if config.getoption("--servers") and not hasattr(config, "workerinput"):
        config.stash[_SERVERS] = ForkServers()
        os.environ[forked.MODULES] = str(config.stash[_SERVERS].directory)
    on_routers = {"PYTHONPATH": str(HERE / "helpers" / "on_routers")}
    shared = (recorder.VARIABLE, shared_code.VARIABLE, forked.MODULES)
    on_routers |= {name: os.environ[name] for name in shared if name in os.environ}
    os.environ["LAB_SETENV"] = " ".join(f'"{name}={value}"' for name, value in on_routers.items())


def _compile_the_collection() -> None:
    """Let programs find it compiled: a module takes four times as long without. None may write into the checkout."""
    for python in sys.executable, SYSTEM_PYTHON:
        if pathlib.Path(python).exists():
            subprocess.run([python, "-m", "compileall", "-q", str(HERE.parent / "plugins")], check=True)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what the programs of Ansible shared."""
    servers = config.stash.get(_SERVERS, None)
    if servers:
        print(servers.end(), end="")
    for directory in config.stash[_SHARED]:
        shutil.rmtree(directory)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a request was refused, whatever became of the error. See helpers/on_routers."""
    record = session.config.stash.get(_RECORD, None)
    if record is None:
        return
    refused = record.read_text(encoding="utf-8")
    record.unlink()
    if refused:
        print(f"\nREFUSED REQUESTS, none of which may ever be sent:\n{refused}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first."""
    rank = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(_scope(item.nodeid), len(LONG)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: t.Any) -> t.Any:
    """Return what gives tests to the workers with ``--dist=loadscope``: whole files, but for those in APART."""
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # mypy skips xdist, so its classes are Any
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if _file(nodeid) in APART else _scope(nodeid)

    return ByFile(config, log)


def _scope(nodeid: str) -> str:
    """Return what stays together: a file, or the folder whose tests share a virtual machine."""
    file = _file(nodeid)
    return TOGETHER if file.startswith(TOGETHER) else file


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0].removeprefix("tests/")
