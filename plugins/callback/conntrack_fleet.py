# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Documentation stands before the imports, as Ansible asks.

"""The terminal's end of a run: one table of the fleet, drawn from what the report left in its task's result."""

from __future__ import annotations

DOCUMENTATION = r"""
name: conntrack_fleet
type: aggregate
short_description: Ends a run with one table of the fleet
version_added: 0.4.0
description:
  - After the last play, it shows each router with a bar of how full its table is, the stale entries, what was pruned,
    the settings that will have another value after the next boot, and the verdict. The worst router comes first. If the
    run changed something, it shows C(before → after). In check mode, it shows what the run would prune.
  - The figures are those of the report at the end of the playbooks of this collection, or of a playbook that runs the
    tasks C(report) of the role P(netops.conntrack.conntrack_audit#role). Without such a report it shows nothing.
  - If you interrupt a run (C(Ctrl-C)), it ends with what was changed by then, as far as the controller knows, and the
    routers on which a module was still at work.
  - The table fits the width of the terminal. It uses Ansible's colours, and none if Ansible uses none.
requirements:
  - enable it in the configuration
options:
  when:
    description:
      - V(auto) shows the table on a terminal, but not in one-line output (C(ansible) ad hoc, and the callbacks
        P(ansible.builtin.oneline#callback) and P(ansible.builtin.minimal#callback) for standard output), and not where
        the environment variable E(CI) is true.
      - V(always) shows it there as well, and in a pipe or a file. V(never) never shows it.
    type: str
    choices: [auto, always, never]
    default: auto
    env:
      - name: NETOPS_CONNTRACK_FLEET
    ini:
      - section: callback_conntrack_fleet
        key: when
  rows:
    description:
      - How many routers to show, the worst first. The others are counted by verdict. V(0) shows all.
    type: int
    default: 40
    env:
      - name: NETOPS_CONNTRACK_FLEET_ROWS
    ini:
      - section: callback_conntrack_fleet
        key: rows
"""

EXAMPLES = r"""
ansible.cfg: >
  [defaults]
  callbacks_enabled = netops.conntrack.conntrack_fleet

  [callback_conntrack_fleet]
  rows = 100
"""

import atexit
import os
import shutil
import sys
import traceback
import typing as t

from ansible import constants, context
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.callback import CallbackBase
from ansible.utils import color
from ansible_collections.netops.conntrack.plugins.plugin_utils._callback.fleet_table import BLOCK_CHARACTERS, table
from ansible_collections.netops.conntrack.plugins.plugin_utils._callback.unfinished import Unfinished

_REPORTS = ("netops.conntrack.conntrack_report", "conntrack_report")
_TERSE = ("oneline", "minimal")
_WITHOUT_EIGHTHS = "linux"
"""The kernel's own console: it takes UTF-8, and its fonts have whole and half blocks only."""

_UNSIZED = (80, 24)


class CallbackModule(CallbackBase):  # type: ignore[misc] # Ansible has no types
    """Remembers what the last report said of the fleet, and draws it at the end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "netops.conntrack.conntrack_fleet"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._fleet: t.Any = None
        self._unfinished = Unfinished()
        atexit.register(self._say_what_is_unfinished, os.getpid())

    def set_options(self, *args: t.Any, **kwargs: t.Any) -> None:
        """Take the options, and stand aside for the whole run where no table is wanted."""
        super().set_options(*args, **kwargs)
        when = self.get_option("when")
        self.disabled = not (_is_for_a_terminal() if when == "auto" else when == "always")

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        """Remember that a module is at work on a router."""
        if not task.check_mode:
            self._unfinished.begin(host.get_name(), task.action)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        """Remember that nothing is known of what the module did."""
        self.v2_runner_on_ok(result)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Remember what was done, and the fleet if the task was the report."""
        task, values = _task_and_values(result)
        self._unfinished.end(_router(result), task.action, values)
        if task.action in _REPORTS:
            self._fleet = values.get("fleet")

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """Remember the fleet of a report that failed for what it says of it."""
        self.v2_runner_on_ok(result)

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        """Remember that the module is not at work."""
        self.v2_runner_on_ok(result)

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        """Remember what was done for an item of a loop, whose own result has no counts."""
        task, values = _task_and_values(result)
        self._unfinished.note(_router(result), task.action, values)

    def v2_runner_item_on_failed(self, result: t.Any) -> None:
        """Remember what was done for an item before it failed."""
        self.v2_runner_item_on_ok(result)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """Draw the fleet, if there was a report; what cannot be drawn makes a warning, and never an error."""
        self._unfinished = Unfinished()
        if self._fleet is None:
            return
        try:
            plain, painted = self._table(colour=False), self._table(colour=color.ANSIBLE_COLOR)
        except Exception:
            self._display.warning("conntrack_fleet: what the report says of the fleet cannot be drawn as a table.")
            self._display.vvv(traceback.format_exc())
            return
        self._display.display(painted, screen_only=True)
        self._display.display(plain, log_only=True)

    def _say_what_is_unfinished(self, process: int) -> None:
        """Say at the end of the process what a run has done that was interrupted, and nothing of any other."""
        if os.getpid() == process and not self.disabled:
            for line in self._unfinished.lines():
                self._display.display(line)

    def _table(self, colour: bool) -> str:
        width = shutil.get_terminal_size(_UNSIZED).columns
        return table(self._fleet, width, colour, _has_blocks(), self.get_option("rows"))


def _task_and_values(result: t.Any) -> tuple[t.Any, t.Mapping[str, t.Any]]:
    """Return the task of a ``result``, and what it returned. Both had other names before ansible-core 2.19."""
    if hasattr(result, "task"):
        return result.task, result.result
    return result._task, result._result


def _router(result: t.Any) -> str:
    """Return the name of the host of a ``result``."""
    host = result.host if hasattr(result, "host") else result._host
    return str(host.get_name())


def _is_for_a_terminal() -> bool:
    one_line = "one_line" in context.CLIARGS or constants.DEFAULT_STDOUT_CALLBACK.rpartition(".")[2] in _TERSE
    return sys.stdout.isatty() and not one_line and not boolean(os.environ.get("CI", ""), strict=False)


def _has_blocks() -> bool:
    try:
        BLOCK_CHARACTERS.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return False
    return os.environ.get("TERM") != _WITHOUT_EIGHTHS
