# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks that Ansible runs on hosts of any connection, with their results."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import yaml
from helpers.support import COLLECTIONS, ON_CONTROLLERS, PATIENCE, forked_programs, inside

# A connection of the kind of ansible.netcommon.network_cli, without a device.
STUB_CLI_PLUGIN = '''
from __future__ import annotations
DOCUMENTATION = """
name: stub_cli
short_description: a network connection without a device
description: as network_cli
options:
  persistent_log_messages:
    {type: bool, default: false, description: as in netcommon, vars: [{name: ansible_persistent_log_messages}]}
  persistent_connect_timeout:
    {type: int, default: 30, description: as in netcommon, vars: [{name: ansible_connect_timeout}]}
  persistent_command_timeout:
    {type: int, default: 30, description: as in netcommon, vars: [{name: ansible_command_timeout}]}
"""
from ansible.plugins.connection import NetworkConnectionBase


class Connection(NetworkConnectionBase):
    transport = "stub_cli"

    def _connect(self):
        raise AssertionError("something connected to the device")
'''

# The local connection, which counts its commands in a file.
_COUNTED = '''
from __future__ import annotations
DOCUMENTATION = """
name: counted
short_description: the local connection, which counts its commands
description: as local
extends_documentation_fragment: [connection_pipelining]
"""
import os

from ansible.plugins.connection.local import Connection as Local


class Connection(Local):
    transport = "counted"

    def exec_command(self, cmd, in_data=None, sudoable=True):
        with open(os.environ["COMMANDS"], "a") as file:
            file.write(cmd.replace("\\n", " ") + "\\n")
        return super().exec_command(cmd, in_data, sudoable)
'''

ON_THE_CONTROLLER = {
    "conntrack_explain",
    "conntrack_found",
    "conntrack_preflight",
    "conntrack_report",
    "conntrack_rollout",
}
"""Modules that ask no router."""

STUB_CLI: dict[str, t.Any] = {
    "ansible_connection": "stub_cli",
    "ansible_network_os": "vyos.vyos.vyos",
}
"""The variables of a VyOS router as most inventories have them, whose name is its address."""

Result = dict[str, t.Any]


class Workplace:
    """A directory with an inventory and two connection plugins, in which Ansible is run."""

    def __init__(
        self, directory: pathlib.Path, hosts: dict[str, dict[str, t.Any]], *, netns: str | None = None
    ) -> None:
        self.directory = directory
        self.netns = netns
        self.collections = str(COLLECTIONS)
        self.environment: dict[str, str] = {}
        plugins = directory / "connection_plugins"
        plugins.mkdir()
        (plugins / "stub_cli.py").write_text(STUB_CLI_PLUGIN)
        (plugins / "counted.py").write_text(_COUNTED)
        (directory / "inventory.yml").write_text(yaml.safe_dump({"routers": {"hosts": hosts}}))

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of ansible-core on the inventory, however it ends."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        ours = {
            "HOME": str(self.directory),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_ASYNC_DIR": str(self.directory / "async"),
            "ANSIBLE_COLLECTIONS_PATH": self.collections,
            "ANSIBLE_CONNECTION_PLUGINS": str(self.directory / "connection_plugins"),
            "COMMANDS": str(self.directory / "commands"),
            **ON_CONTROLLERS,
            **forked_programs(),
        }
        executable = str(pathlib.Path(sys.executable).parent / program)
        return subprocess.run(
            inside(self.netns, [executable, "-i", "inventory.yml", *arguments]),
            cwd=self.directory,
            env={**kept, **ours, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def results(self, tasks: t.Sequence[dict[str, t.Any]], *options: str, **play: t.Any) -> dict[str, list[Result]]:
        """Run ``tasks`` on all hosts, whether they fail or not, and return the results by host."""
        registered = [
            {**task, "register": f"result_{number}", "ignore_errors": True} for number, task in enumerate(tasks)
        ]
        names = ", ".join(f"result_{number}" for number in range(len(tasks)))
        keep = {
            "ansible.builtin.copy": {"content": f"{{{{ [{names}] | to_json }}}}", "dest": self._path("{{ host }}")},
            "vars": {"host": "{{ inventory_hostname }}"},
            "delegate_to": "localhost",
            "check_mode": False,
            "diff": False,
        }
        whole = [{"hosts": "routers", "gather_facts": False, **play, "tasks": [*registered, keep]}]
        (self.directory / "play.yml").write_text(yaml.safe_dump(whole, sort_keys=False))
        done = self.run("ansible-playbook", "play.yml", *options)
        assert done.returncode == 0, done.stdout + done.stderr
        kept = self.directory.glob(self._path("*").rpartition("/")[2])
        return {path.name.removeprefix("results-"): json.loads(path.read_text()) for path in kept}

    def commands(self) -> list[str]:
        """Return the commands of the connection ``counted`` since the last time."""
        path = self.directory / "commands"
        commands = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return commands

    def _path(self, host: str) -> str:
        return str(self.directory / f"results-{host}")
