# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the tests of a module on its mutants, in a copy of the checkout, and says which of them a test notices.

pytest and hypothesis are imported once, and each mutant gets a fork of this process. That takes half the time of a new
one. The processes that the tests of a mutant leave are ended.
"""

from __future__ import annotations

import compileall
import contextlib
import importlib.util
import multiprocessing
import os
import pathlib
import resource
import shutil
import signal
import sys
import time
import typing as t

import forks
import hypothesis
import pytest

_COPIED = ("plugins", "tests", "tools", "roles", "playbooks", "docs", "meta", "changelogs")
_COPIED_FILES = ("pyproject.toml", "galaxy.yml", "README.md", "ansible.cfg")
_COLLECTION = pathlib.Path(".collections", "ansible_collections", "netops", "conntrack")

_LEAST_SECONDS = 30
_TIMES_AS_LONG = 5
_MOST_MEMORY = 4 << 30

KILLED, SURVIVED, TIMEOUT = "killed", "survived", "timeout"


class FailingTestsError(Exception):
    """The tests fail without any mutant, so that they say nothing about one."""


class _OneFault:
    """A plugin of pytest, with which hypothesis tries the same examples each time, and ends with the first failure."""

    @staticmethod
    def pytest_collection() -> None:
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        settings = hypothesis.settings(deadline=None, database=None, derandomize=True, phases=phases)
        hypothesis.settings.register_profile("mutation", settings)
        hypothesis.settings.load_profile("mutation")


def copy_checkout(checkout: pathlib.Path, tree: pathlib.Path) -> pathlib.Path:
    """Copy what the tests need, with its bytecode, into the empty directory ``tree``, and return that."""
    for name in _COPIED:
        shutil.copytree(checkout / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in _COPIED_FILES:
        shutil.copy2(checkout / name, tree / name)
    (tree / _COLLECTION).parent.mkdir(parents=True)
    (tree / _COLLECTION).symlink_to("../../..")
    compileall.compile_dir(tree / "plugins", quiet=1)
    compileall.compile_dir(tree / "tests", quiet=1)
    return tree


class Judge:
    """Runs ``tests`` in the copy ``tree``, of which the file ``path`` has the mutants.

    ``log`` gets what the last run printed. ``close`` ends what it started.
    """

    def __init__(self, tree: pathlib.Path, path: pathlib.Path, tests: t.Sequence[str], log: pathlib.Path) -> None:
        self._tree = tree
        self._path = path
        self._tests = list(tests)
        self._log = log
        began = time.monotonic()
        if self._run(None) != forks.ALL_PASSED:
            raise FailingTestsError(f"{' '.join(tests)} fail without a mutant. See {log}.")
        self.seconds = max(_LEAST_SECONDS, _TIMES_AS_LONG * (time.monotonic() - began))
        self._pipe, theirs = multiprocessing.Pipe()
        self._server = multiprocessing.get_context("fork").Process(target=self._serve, args=[theirs])
        self._server.start()
        theirs.close()
        self._is_quick = (
            self._answer() == forks.PASSED and self._quick(path.read_text(encoding="utf-8")) == forks.PASSED
        )

    def close(self) -> None:
        """End the process in which the tests are collected."""
        with contextlib.suppress(OSError):
            self._pipe.send(None)
        self._server.join()

    def verdict(self, source: str) -> str:
        """Return what becomes of the tests with this ``source`` in the file."""
        outcome = self._quick(source) if self._is_quick else forks.NOT_TRIED
        if outcome in (forks.FAILED, forks.TOO_LONG):
            return KILLED if outcome == forks.FAILED else TIMEOUT
        path = self._path
        original = path.read_bytes()
        # Bytecode counts as that of the source if both the second of the change and the size are the same.
        pathlib.Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
        try:
            path.write_text(source, encoding="utf-8")
            code = self._run(self.seconds)
        finally:
            path.write_bytes(original)
        if code is None:
            return TIMEOUT
        return SURVIVED if code == forks.ALL_PASSED else KILLED

    def _quick(self, source: str) -> str:
        self._pipe.send(source)
        return self._answer()

    def _answer(self) -> str:
        try:
            return t.cast(str, self._pipe.recv()) if self._pipe.poll(_TIMES_AS_LONG * self.seconds) else forks.NOT_TRIED
        except (EOFError, OSError):
            return forks.NOT_TRIED

    def _serve(self, pipe: t.Any) -> None:
        self._pipe.close()
        self._prepare(is_mutant=True)
        self._pytest("--tb=no", "--capture=no", plugins=[forks.Server(self._path, pipe, self.seconds)])

    def _run(self, seconds: float | None) -> int | None:
        """Return the exit code of pytest, or None if it takes longer."""
        process = multiprocessing.get_context("fork").Process(target=self._in_child, args=[seconds is not None])
        process.start()
        process.join(seconds)
        code = process.exitcode
        with contextlib.suppress(ProcessLookupError):
            os.killpg(t.cast(int, process.pid), signal.SIGKILL)
        process.join()
        return code

    def _in_child(self, is_mutant: bool) -> None:
        self._prepare(is_mutant)
        self._pytest()

    def _prepare(self, is_mutant: bool) -> None:
        os.setsid()
        os.chdir(self._tree)
        # The first run, without a mutant, leaves the bytecode of the tests to the others.
        sys.dont_write_bytecode = is_mutant
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
        output = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)

    def _pytest(self, *more: str, plugins: t.Sequence[object] = ()) -> None:
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", str(self._tree)]
        code = pytest.main([*options, *more, *self._tests], plugins=[_OneFault(), *plugins])
        sys.stdout.flush()
        os._exit(code or forks.ALL_PASSED)
