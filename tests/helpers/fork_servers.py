# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers that fork modules and programs of Ansible for all tests of a run (helpers/on_routers/forked.py)."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from helpers.on_routers import forked
from helpers.support import ON_CONTROLLERS, ON_ROUTERS, SYSTEM_PYTHON, module_path


class ForkServers:
    """The servers of one run. Processes find them once they listen, and go on by themselves before."""

    def __init__(self) -> None:
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="of-tests-"))
        self._processes: list[subprocess.Popen[bytes]] = []
        program = str(ON_ROUTERS.with_name("on_controllers") / "program_server.py")
        for number in range(forked.SERVERS):
            self._start([sys.executable, program, str(self.directory), str(number)], ON_CONTROLLERS["PYTHONPATH"])
            for python in sorted({sys.executable, SYSTEM_PYTHON}):
                self._start_of_modules(python, number)

    def _start_of_modules(self, python: str, number: int) -> None:
        if not pathlib.Path(python).exists():
            return
        program = str(ON_ROUTERS / "fork_server.py")
        imported_from = [path for path in module_path(python).split(os.pathsep) if path != str(ON_ROUTERS)]
        self._start([python, program, str(self.directory), str(number), *imported_from], str(ON_ROUTERS))

    def _start(self, command: list[str], path: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment["PYTHONPATH"] = path
        with open(self.directory / "errors", "ab") as errors:
            self._processes.append(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, env=environment
                )
            )

    def end(self) -> str:
        """End them, and return what they had to say of errors."""
        for process in self._processes:
            process.communicate()
        errors = (self.directory / "errors").read_text(encoding="utf-8", errors="replace")
        shutil.rmtree(self.directory)
        return errors
