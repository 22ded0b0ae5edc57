# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at routers again and again: a process for each router asks it, and one of them draws the page of all."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import itertools
import os
import shlex
import time
import typing as t

from ansible import constants, context
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    AnswerError,
    ConntrackError,
    OptionError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_duration
from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import VALUE, shorten
from ansible_collections.netops.conntrack.plugins.plugin_utils._filter import plain
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.targets import refuse_too_many
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.invocation import playbook_command
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.action import RouterAction
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.shape import cut
from ansible_collections.netops.conntrack.plugins.plugin_utils._terminal import is_for_people
from ansible_collections.netops.conntrack.plugins.plugin_utils._watch.drawer import Drawer, States
from ansible_collections.netops.conntrack.plugins.plugin_utils._watch.exchange import Exchange
from ansible_collections.netops.conntrack.plugins.plugin_utils._watch.look import (
    Look,
    Reading,
    arguments_for,
    look_at,
    window_since,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._watch.page import Watch, page
from ansible_collections.netops.conntrack.plugins.plugin_utils._watch.screen import Screen

_FACTS = "netops.conntrack.conntrack_facts"
_SPEC = {"interval": {"type": "str", "default": "5s"}, "rounds": {"type": "int"}}

_SHORTEST, _LONGEST = 2, 3600
_MOST_ROUTERS = 8
"""Rows of a screen, with what fills each table and what moves in it."""

_LONGEST_PAUSE = 60
"""Seconds until a router that does not answer, or answers slowly, is asked again, if the interval is shorter."""

_LONGEST_MESSAGE = 4000

_RUNS = itertools.count()
"""How often this process ran its task before, in a loop or until it succeeds. The others do the same with theirs.

A process has one router and one task, because Ansible forks one for each.
"""

Result = dict[str, t.Any]


class ActionModule(RouterAction):
    """Runs the module conntrack_facts again and again, until the rounds are over or the run is interrupted."""

    _supports_async = False

    _watch: Watch
    _exchange: Exchange
    _drawer: Drawer | None = None
    """Draws the page, in one of the processes."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        """Return the last look, or why there was none. Who draws the page returns after all others."""
        variables = task_vars or {}
        try:
            self._prepare(variables)
        except ConntrackError as error:
            return {"failed": True, "changed": False, "msg": error.message}
        self._begin_to_draw()
        self._exchange.tell()
        try:
            result: Result = super().run(tmp, task_vars)
        except Exception as error:
            self._end(str(error))
            raise
        self._end(str(result.get("msg")) if result.get("failed") else None)
        return result

    def _prepare(self, variables: t.Mapping[str, t.Any]) -> None:
        """Read the options. Raises ConntrackError for what cannot be done, before the router is asked."""
        number = next(_RUNS)
        _validation, options = self.validate_argument_spec(_SPEC)
        interval = parse_duration(options["interval"], "interval")
        if not _SHORTEST <= interval <= _LONGEST:
            raise OptionError("interval", options["interval"], "is out of range", "Give 2s to 1h.")
        rounds = options["rounds"]
        if rounds is not None and rounds < 1:
            raise OptionError("rounds", rounds, "is less than 1", "Leave it out to go on until Ctrl-C.")
        if rounds is None and not is_for_people():
            remedy = "A program reads the output, and nobody can press Ctrl-C. Give a number."
            raise OptionError("rounds", rounds, "is needed here", remedy)
        own = str(variables["inventory_hostname"])
        routers = [own] if self._task.run_once else list(map(str, variables["ansible_play_batch"]))
        refuse_too_many(len(routers), _MOST_ROUTERS, context.CLIARGS.get("forks"))
        self._watch = Watch(interval, rounds, _explain_command(routers))
        name = f"conntrack_watch-{self._task._uuid}-{number}"
        self._exchange = Exchange(os.path.join(constants.DEFAULT_LOCAL_TMP, name), routers, own)
        self._drawer = None

    def _begin_to_draw(self) -> None:
        """Begin to draw the page, if no other process does that."""
        if not is_for_people() or not self._exchange.is_first():
            return
        screen = Screen()

        def draw(states: States) -> None:
            size = screen.size
            shape = (size.columns, size.lines) if size else ()
            screen.show(page(states, self._watch, time.monotonic(), _now(), *shape))

        self._drawer = Drawer(self._exchange, self._watch.interval, screen.size is not None, draw)
        self._drawer.start()

    def _end(self, problem: str | None) -> None:
        """Tell the others that this process is done, and wait for the last page if it draws that."""
        self._exchange.tell(ended=True, **({} if problem is None else _failed(problem)))
        if self._drawer is not None:
            try:
                self._drawer.join()
            finally:
                self._exchange.end_drawing()

    def _on_router(self, task_vars: dict[str, t.Any] | None) -> Result:
        """Return the last look after all rounds.

        A router that cannot be asked at all fails at once, because asking again could lock an account. One that was
        looked at before is asked again, at longer intervals.
        """
        past = _Past()
        while True:
            begun = time.monotonic()
            window = window_since(past.reading, begun)
            result = self._ask(arguments_for(past.reading, window), past.reading is None, task_vars)
            if result.get("failed") and past.reading is None:
                return result
            self._exchange.tell(**past.add(result, begun, window))
            if past.looks == self._watch.rounds:
                return result if past.failures else {"changed": False, "looks": past.looks, "look": past.look}
            if self._drawer is not None:
                self._drawer.raise_error()
            time.sleep(pause_after(time.monotonic() - begun, self._watch.interval, past.failures))

    def _ask(self, arguments: dict[str, t.Any], is_first: bool, task_vars: dict[str, t.Any] | None) -> Result:
        """Return the result of one look. Raises AnsibleConnectionFailure if the first one cannot reach the router."""
        try:
            return self._execute_module(_FACTS, module_args=arguments, task_vars=task_vars)
        except AnsibleConnectionFailure as error:
            if is_first:
                raise
            message = cut(f"Unreachable: {error}", _LONGEST_MESSAGE, lines=True)
            return {"failed": True, "unreachable": True, "changed": False, "msg": message}
        finally:
            # Nothing of ours is left on the router while the controller waits, and may be interrupted.
            with contextlib.suppress(AnsibleConnectionFailure, AnswerError):
                self.cleanup()


@dataclasses.dataclass
class _Past:
    """What is known of the looks at one router so far."""

    looks: int = 0
    failures: int = 0
    """How many looks failed since the last one that did not."""

    reading: Reading | None = None
    look: Look | None = None

    def add(self, result: Result, begun: float, window: int) -> dict[str, t.Any]:
        """Add the result of a look that was ``begun`` at a time, and return what to tell the others of it."""
        self.looks += 1
        if result.get("failed"):
            self.failures += 1
            return {"looks": self.looks, **_failed(str(result.get("msg")))}
        self.failures = 0
        now = time.monotonic()
        reading = Reading(plain(result["ansible_facts"]["conntrack"]), now, now - begun, window)
        self.look = look_at(reading, self.reading)
        self.reading = reading
        return {"looks": self.looks, "look": self.look, "at": reading.at, "problem": None}


def pause_after(took: float, interval: float, failures: int) -> float:
    """Return for how many seconds to leave a router alone after a look that took so long.

    That is at least as long as the look itself, so that a large table does not keep a processor of the router busy all
    the time. After so many failures, it is longer.
    """
    at_least = min(took, _LONGEST_PAUSE)
    if failures:
        at_least = max(at_least, min(interval * 2.0 ** min(failures - 1, 10), _LONGEST_PAUSE))
    return max(interval - took, at_least)


def _failed(problem: str) -> dict[str, t.Any]:
    return {"problem": visible(shorten(problem, VALUE))}


def _explain_command(routers: list[str]) -> str:
    """Return the command that says what helps, in the words of this run."""
    command = playbook_command("netops.conntrack.explain", context.CLIARGS)
    return f"`{command} --limit {shlex.quote(','.join(routers))}`"


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
