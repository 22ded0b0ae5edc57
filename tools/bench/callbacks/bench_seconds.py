# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long the tasks of a play took, what of the machine the main process took, and how many tasks changed something.

One line of JSON at the end of the play.
"""

from __future__ import annotations

import json
import resource
import time
import typing as t

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: bench_seconds
type: aggregate
short_description: The seconds from the first task to the end
description: Prints them as JSON, with the processor time and memory of the main process.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc] # Ansible has no types
    """Prints what a play cost when it ends."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "bench_seconds"
    started = 0.0

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        """Start the clock at the first task."""
        self.started = self.started or time.monotonic()

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """Print the cost as one line of JSON."""
        seconds = time.monotonic() - self.started
        bad = sum(stats.failures.values()) + sum(stats.dark.values())
        main = resource.getrusage(resource.RUSAGE_SELF)
        told = {
            "seconds": seconds,
            "main_processor": main.ru_utime + main.ru_stime,
            "megabytes": main.ru_maxrss * 1024 / 1e6,
            "changed": sum(stats.changed.values()),
            "bad": bad,
        }
        self._display.display(f"bench_seconds: {json.dumps(told)}")
