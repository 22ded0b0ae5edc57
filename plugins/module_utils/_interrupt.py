# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Signals that end a module early: it stops where all that was done is counted, and says what that is.

A module gets SIGHUP when the terminal of its SSH connection goes, and SIGTERM from whoever ends it on the router. Often
nobody is left to read the answer then. So what it says goes to the system log of the router as well.
"""

from __future__ import annotations

import contextlib
import signal
import syslog
import threading
import typing as t

_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """A signal ended the work early. It is no ``Exception``, so that nothing takes it for a failure and goes on.

    Its account says what was done by then (see ``note``), and the result holds it for the module's answer.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name
        self.account = _state.account
        self.result = _state.result

    @property
    def message(self) -> str:
        """What is said to the operator."""
        return f"Interrupted by {self.name}: {self.account}"


class _State:
    """Which signal came, and in how many parts that have to be finished the process is."""

    def __init__(self) -> None:
        self.before: dict[int, t.Any] = {}
        self.begin()

    def begin(self) -> None:
        """Begin with no signal."""
        self.came: str | None = None
        self.raised = False
        self.depth = 0
        self.account = "Nothing was changed."
        self.result: dict[str, t.Any] = {"changed": False}
        self.is_noted = False

    def receive(self, number: int, _frame: t.Any) -> None:
        """Take a signal. All after the first one are ignored, so that cleaning up comes to its end."""
        if self.came is None:
            self.came = signal.Signals(number).name
            self.raise_if_due()

    def raise_if_due(self) -> None:
        """Raise Interrupted if a signal came, once, and nothing has to be finished."""
        if self.came and not self.raised and not self.depth:
            self.raised = True
            raise Interrupted(self.came)


_state = _State()


@contextlib.contextmanager
def interruptible() -> t.Iterator[None]:
    """Let signals raise Interrupted in the body. One that is ignored, as under nohup(1), stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _state.begin()
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            _state.before[number] = signal.signal(number, _state.receive)
    try:
        yield
    finally:
        forget()


def forget() -> None:
    """Let signals do what they did before. A process that was forked and goes its own way needs that."""
    for number, handler in _state.before.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
    _state.before = {}


@contextlib.contextmanager
def uninterrupted() -> t.Iterator[None]:
    """Finish the body, and its account, before a signal that came meanwhile raises Interrupted."""
    with finished():
        yield
    _state.raise_if_due()


@contextlib.contextmanager
def finished() -> t.Iterator[None]:
    """Finish the body whatever signal comes. Whether one did is known from ``came``."""
    _state.depth += 1
    try:
        yield
    finally:
        _state.depth -= 1


def note(account: str, result: dict[str, t.Any]) -> None:
    """Note what is done by now, for a signal that comes after it."""
    _state.account, _state.result, _state.is_noted = account, result, True


def noted() -> tuple[str, dict[str, t.Any]]:
    """Return what is noted of what was done, as text and as result. Both are empty where nothing is noted."""
    return (_state.account, _state.result) if _state.is_noted else ("", {})


def came() -> str | None:
    """Return the name of the signal that came, if one did."""
    return _state.came


def log(module: str, message: str) -> None:
    """Write to the system log of the router what the answer says, which may reach nobody."""
    syslog.openlog("netops.conntrack", 0, syslog.LOG_DAEMON)
    syslog.syslog(syslog.LOG_WARNING, f"{module}: {message}")


def words_of_change(confirm: t.Mapping[str, t.Any] | None) -> str:
    """Return what is said of a change of settings when a signal came. ``confirm`` is what the result says of it."""
    finished = "The change was finished as a whole."
    if confirm is None or confirm["confirmed"]:
        return finished
    left = f"{confirm['seconds_left']:.0f} s"
    return f"{finished} It is rolled back in {left} unless it is confirmed with state: confirmed."
