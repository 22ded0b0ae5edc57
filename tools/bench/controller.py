# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible as an operator starts it: ansible-playbook as a process of its own, with an empty home."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import time
import typing as t

from bench.errors import BenchError
from helpers.support import COLLECTIONS

_CALLBACKS = pathlib.Path(__file__).resolve().parent / "callbacks"
_SECONDS = 1800
_FAILED = re.compile(r"^(?:fatal: .*|failed: .*|.*unreachable=[1-9].*|.*ERROR.*)$", re.MULTILINE)
_TOLD = re.compile(r"^bench_seconds: (\{.*\})$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Run:
    """What a process of ansible-playbook took, start and end included.

    ``seconds`` are those of the whole process, ``task_seconds`` those from the first task to the end. ``processor`` are
    the processor's seconds for it with its workers and their ssh, ``main_processor`` those of the main process alone,
    and ``megabytes`` (10**6 bytes) the peak of what was resident of the main process. ``changed`` counts tasks.
    """

    seconds: float
    task_seconds: float
    processor: float
    main_processor: float
    megabytes: float
    changed: int


class Controller:
    """Ansible on the hosts of an inventory, with pipelining, connections that stay open, and ``collections``."""

    def __init__(self, inventory: pathlib.Path, home: pathlib.Path, *collections: pathlib.Path) -> None:
        self.inventory, self.home = inventory, home
        config = home / "ansible.cfg"
        config.write_text(
            f"[defaults]\ncollections_path = {':'.join(map(str, (COLLECTIONS, *collections)))}\n"
            f"callback_plugins = {_CALLBACKS}\ncallbacks_enabled = bench_seconds\n"
            "interpreter_python = auto_silent\n"
            "[ssh_connection]\npipelining = True\nssh_args = -C -o ControlMaster=auto -o ControlPersist=300s\n",
            encoding="utf-8",
        )
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON"))}
        # Compiled once, as where a collection is installed, but not into the checkout.
        own = {"HOME": str(home), "PYTHONPYCACHEPREFIX": str(home / "compiled")}
        self.environment = {**kept, **own, "ANSIBLE_CONFIG": str(config), "ANSIBLE_NOCOLOR": "1"}

    def play(self, *tasks: dict[str, t.Any]) -> Run:
        """Run a play of these tasks on the group ``routers``, without facts. Raises what ``run`` raises."""
        return self.run(self.written(tasks))

    def written(self, tasks: t.Sequence[dict[str, t.Any]]) -> str:
        """Write the playbook that ``play`` runs, and give its path; the next one takes its place."""
        playbook = self.home / "play.yml"
        playbook.write_text(json.dumps([{"hosts": "routers", "gather_facts": False, "tasks": tasks}]))
        return str(playbook)

    def run(self, *arguments: str) -> Run:
        """Run ansible-playbook with the ``arguments``. Raises BenchError where a host failed or was not reached."""
        executable = pathlib.Path(sys.executable).parent / "ansible-playbook"
        command = [str(executable), "-i", str(self.inventory), *arguments]
        before, started = _processor_of_children(), time.monotonic()
        done = subprocess.run(
            command, env=self.environment, cwd=self.home, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        seconds, processor = time.monotonic() - started, _processor_of_children() - before
        told = _TOLD.search(done.stdout)
        figures = json.loads(told.group(1)) if told else {}
        if done.returncode or figures.get("bad", 1):
            failures = _FAILED.findall(done.stdout) or [done.stdout]
            raise BenchError("\n".join([f"{' '.join(command)}: rc {done.returncode}", *failures, done.stderr]))
        return Run(
            seconds=seconds,
            task_seconds=figures["seconds"],
            processor=processor,
            main_processor=figures["main_processor"],
            megabytes=figures["megabytes"],
            changed=figures["changed"],
        )


def _processor_of_children() -> float:
    """Return the processor's seconds for all processes that have ended below this one (getrusage(2))."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
