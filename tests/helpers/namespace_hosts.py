# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routers that are network namespaces, which Ansible asks over the local connection: without SSH, and so at once."""

from __future__ import annotations

import dataclasses
import pathlib
import typing as t

from helpers.support import SYSTEM_PYTHON

_INTERPRETER = """#!/bin/sh
[ ! -e {broken} ] || {{ echo "no power" >&2; exit 7; }}
exec ip netns exec {netns} {python} "$@"
"""


@dataclasses.dataclass(frozen=True)
class NamespaceHost:
    """A host whose Python runs in a namespace."""

    variables: dict[str, t.Any]
    """What the inventory says of it."""

    broken: pathlib.Path
    """While this file is there, no module runs on it."""

    @classmethod
    def make(cls, directory: pathlib.Path, netns: str) -> NamespaceHost:
        """Make a host of a namespace. Its files are in ``directory``."""
        interpreter, broken = directory / f"python-{netns}", directory / f"broken-{netns}"
        interpreter.write_text(_INTERPRETER.format(broken=broken, netns=netns, python=SYSTEM_PYTHON))
        interpreter.chmod(0o755)
        remote = str(directory / f"remote-{netns}")
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": str(interpreter),
            "ansible_remote_tmp": remote,
        }
        return cls(variables, broken)
