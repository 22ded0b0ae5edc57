# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules as whole processes in Ansible's own wrapper, as a router runs them: unpacking and imports included."""

from __future__ import annotations

import functools
import json
import pathlib
import subprocess
import sys
import time
import typing as t

from ansible.executor.module_common import modify_module
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader, module_loader
from ansible.template import Templar
from bench.errors import BenchError
from helpers.support import COLLECTIONS


def wrap(name: str, args: dict[str, t.Any], directory: str) -> pathlib.Path:
    """Write to a file in ``directory``, and give it, what Ansible would send to a router to run the module ``name``."""
    _look_into_this_checkout()
    found = module_loader.find_plugin_with_context(f"netops.conntrack.{name}")
    built = modify_module(
        module_name=found.resolved_fqcn,
        module_path=found.plugin_resolved_path,
        module_args={"_ansible_check_mode": False, **args},
        templar=Templar(loader=DataLoader()),
        task_vars={"ansible_python_interpreter": sys.executable},
        module_compression="ZIP_DEFLATED",
    )
    path = pathlib.Path(directory, f"{name}.py")
    path.write_bytes(built.b_module_data)
    return path


def wrapped_run(path: pathlib.Path) -> tuple[float, dict[str, t.Any]]:
    """Run the file that wrap() wrote; give the seconds of its whole process and its result. Raises BenchError."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise BenchError(f"{path.name}: rc {done.returncode}\n{done.stdout}{done.stderr}")
    result: dict[str, t.Any] = json.loads(done.stdout)
    return seconds, result


@functools.cache
def _look_into_this_checkout() -> None:
    """Let Ansible find the collection here; it wants to be told once."""
    init_plugin_loader([str(COLLECTIONS)])
