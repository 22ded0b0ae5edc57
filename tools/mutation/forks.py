# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs tests that were collected once on one mutant after the other, each in a fork whose functions have its code.

That takes hundredths of a second where collecting the tests anew takes a second or two. It notices only what is in the
body of a function. A mutant of anything else, or one that survives here, has to be tried the slow way.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import multiprocessing
import os
import pathlib
import signal
import sys
import types
import typing as t

import _pytest.main
import pytest

NOT_TRIED, PASSED, FAILED, TOO_LONG = "not tried", "passed", "failed", "too long"

ALL_PASSED, _UNFIT = 70, 77
"""Codes of exit. A mutant can end the process itself, with 0, before all tests have run."""

_Codes = dict[str, list[types.CodeType]]


class Server:
    """A plugin of pytest. Instead of running the tests, it runs them once for each source that comes over ``pipe``.

    ``seconds`` is how long they may take. A source is that of the file ``path``.
    """

    def __init__(self, path: pathlib.Path, pipe: t.Any, seconds: float) -> None:
        self._path = path
        self._pipe = pipe
        self._seconds = seconds
        self._number = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Answer each source with what became of the tests, until there is none."""
        original = self._path.read_text(encoding="utf-8")
        # One directory for all, in which each fork has its own.
        self._directory = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        self._pipe.send(PASSED)
        while (source := self._pipe.recv()) is not None:
            codes = changed_functions(original, source)
            self._pipe.send(NOT_TRIED if codes is None else self._outcome(session, codes))
        return True

    def _outcome(self, session: pytest.Session, codes: _Codes) -> str:
        self._number += 1
        process = multiprocessing.get_context("fork").Process(target=self._in_child, args=[session, codes])
        process.start()
        process.join(self._seconds)
        code = process.exitcode
        with contextlib.suppress(ProcessLookupError):
            os.killpg(t.cast(int, process.pid), signal.SIGKILL)
        process.join()
        return TOO_LONG if code is None else {ALL_PASSED: PASSED, _UNFIT: NOT_TRIED}.get(code, FAILED)

    def _in_child(self, session: pytest.Session, codes: _Codes) -> None:
        os.setsid()
        if not _replace(_module_of(self._path), codes):
            os._exit(_UNFIT)
        own = self._directory / str(self._number)
        own.mkdir()
        session.config._tmp_path_factory._basetemp = own  # type: ignore[attr-defined]
        with contextlib.suppress(session.Failed, session.Interrupted):
            _pytest.main.pytest_runtestloop(session)
        os._exit(1 if session.testsfailed else ALL_PASSED)


def changed_functions(original: str, source: str) -> _Codes | None:
    """Return the code of the functions that differ, by qualified name, or None if anything else does."""
    try:
        before, after = (compile(text, "mutant", "exec", dont_inherit=True) for text in (original, source))
    except SyntaxError:
        return None
    if not _same_outside(before, after):
        return None
    old, new = _functions(before), _functions(after)
    return {name: codes for name, codes in new.items() if codes != old[name]}


def _same_outside(before: types.CodeType, after: types.CodeType) -> bool:
    """Return whether two modules or classes are the same but for their functions."""
    if (before.co_code, before.co_names) != (after.co_code, after.co_names):
        return False
    if len(before.co_consts) != len(after.co_consts):
        return False
    return all(_same_constant(*pair) for pair in zip(before.co_consts, after.co_consts))


def _same_constant(before: t.Any, after: t.Any) -> bool:
    if not isinstance(before, types.CodeType) or not isinstance(after, types.CodeType):
        return type(before) is type(after) and bool(before == after)
    if before.co_name != after.co_name:
        return False
    return True if _is_function(before) else _same_outside(before, after)


def _is_function(code: types.CodeType) -> bool:
    # The body of a class is not optimized. A lambda or a comprehension outside of functions cannot be found again.
    return bool(code.co_flags & inspect.CO_OPTIMIZED) and "<" not in code.co_name


def _functions(code: types.CodeType) -> _Codes:
    """Return the functions of a module and of its classes, by qualified name. A property has several of one name."""
    found: _Codes = {}
    for name, each in _named_functions(code, ""):
        found.setdefault(name, []).append(each)
    return found


def _named_functions(code: types.CodeType, prefix: str) -> t.Iterator[tuple[str, types.CodeType]]:
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            name = f"{prefix}{each.co_name}"
            if _is_function(each):
                yield name, each
            else:
                yield from _named_functions(each, f"{name}.")


def _module_of(path: pathlib.Path) -> types.ModuleType | None:
    real = os.path.realpath(path)
    files = ((module, getattr(module, "__file__", None)) for module in list(sys.modules.values()))
    return next((module for module, file in files if file and os.path.realpath(file) == real), None)


def _replace(module: types.ModuleType | None, codes: _Codes) -> bool:
    """Give the functions of the module other code. Return whether all of them are there, once each."""
    if module is None:
        return False
    live: dict[str, list[types.FunctionType]] = {}
    for function in _live_functions(module):
        live.setdefault(function.__qualname__, []).append(function)
    try:
        for name, new in codes.items():
            [function], [code] = live.get(name, []), new
            function.__code__ = code
    except ValueError:
        return False
    return True


def _live_functions(module: types.ModuleType) -> t.Iterator[types.FunctionType]:
    for value in vars(module).values():
        yield from _functions_of(value, module.__name__)


def _functions_of(value: t.Any, module: str) -> t.Iterator[types.FunctionType]:
    if isinstance(value, type):
        if value.__module__ == module:
            for each in vars(value).values():
                yield from _functions_of(each, module)
        return
    if isinstance(value, property):
        value = value.fget
    elif isinstance(value, functools.cached_property):
        value = value.func
    value = getattr(value, "__func__", value)
    while hasattr(value, "__wrapped__"):
        value = value.__wrapped__
    if isinstance(value, types.FunctionType) and value.__module__ == module:
        yield value
