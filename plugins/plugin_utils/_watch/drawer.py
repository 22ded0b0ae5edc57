# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""When the page is drawn, by the one process that draws what those for all routers saw."""

from __future__ import annotations

import os
import signal
import threading
import time
import types
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._watch.exchange import BEGUN, Exchange, State

_POLL = 0.2
"""Seconds between two looks at the files of the other processes."""

_TO_BEGIN = 30
"""Seconds within which a process begins. One that never does, such as for a broken variable, is not waited for."""

_LATE = 30
"""Seconds after the interval at which a page is drawn without the routers that are late."""

_TO_DRAW = 5
"""Seconds within which a page is drawn. One that takes longer, such as on a stopped terminal, is not waited for."""

_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM)

States = t.Mapping[str, t.Optional[State]]


class Drawer:
    """Draws the page in a thread of its own, until the processes for all routers have ended.

    ``draw`` is called with what is known of each. On a ``terminal``, it is called whenever something is new, and once
    in each interval. Elsewhere it is called when each router was looked at once more.

    A signal that ends the process waits for the page that is being drawn. Ansible's queue is locked meanwhile, and the
    main process would wait for ever for a lock whose holder is gone.
    """

    def __init__(self, exchange: Exchange, interval: float, terminal: bool, draw: t.Callable[[States], None]) -> None:
        self._exchange = exchange
        self._interval = interval
        self._terminal = terminal
        self._draw = draw
        self._drawn: dict[str, State] = {}
        self._last = self._started = time.monotonic()
        self._error: Exception | None = None
        self._drawing = threading.Lock()
        self._handlers: dict[int, t.Any] = {}
        # It must not keep a process alive that is to end.
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to draw. Only the main thread of a process may call this, as for all that handles signals."""
        for number in _ENDING_SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._handlers[number] = signal.signal(number, self._end_after_page)
        self._thread.start()

    def join(self) -> None:
        """Wait until the last page is drawn, after the processes for all routers have ended."""
        self._thread.join()
        for number in list(self._handlers):
            self._give_back(number)
        self.raise_error()

    def raise_error(self) -> None:
        """Raise the error because of which no page is drawn any more, if there is one."""
        if self._error is not None:
            raise self._error

    def _end_after_page(self, number: int, frame: types.FrameType | None) -> None:
        # The lock is kept: no other page is begun.
        self._drawing.acquire(timeout=_TO_DRAW)
        handler = self._give_back(number)
        if callable(handler):
            handler(number, frame)
        else:
            os.kill(os.getpid(), number)

    def _give_back(self, number: int) -> t.Any:
        """Handle a signal as before, and return what does so."""
        handler = self._handlers.pop(number)
        signal.signal(number, handler)
        return handler

    def _run(self) -> None:
        try:
            while not self._step(time.monotonic()):
                time.sleep(_POLL)
        except Exception as error:
            self._error = error

    def _step(self, now: float) -> bool:
        """Draw the page if it is time for that. Returns whether it was the last one."""
        states = self._exchange.states()
        begun = {router: state for router, state in states.items() if state is not None}
        all_begun = len(begun) == len(states) or now - self._started > _TO_BEGIN
        is_over = all_begun and all(state["ended"] for state in begun.values())
        is_new = {router for router, state in begun.items() if _is_news(state, self._drawn.get(router, BEGUN))}
        if self._is_time(now - self._last, is_new, begun, all_begun or is_over) or (is_over and is_new):
            with self._drawing:
                self._draw(states)
            self._drawn, self._last = begun, now
        return is_over

    def _is_time(self, since: float, is_new: set[str], begun: t.Mapping[str, State], all_begun: bool) -> bool:
        if self._terminal:
            return bool(is_new) or (bool(self._drawn) and since >= self._interval)
        if not is_new:
            return False
        waited_for = {router for router, state in begun.items() if not state["ended"]}
        return (all_begun and waited_for <= is_new) or since >= self._interval + _LATE


def _is_news(state: State, drawn: State) -> bool:
    return (state["looks"], state["problem"]) != (drawn["looks"], drawn["problem"])
