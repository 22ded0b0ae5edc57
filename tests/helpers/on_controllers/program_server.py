# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Forks for each program of Ansible that a test starts, as fork_server.py does for each module.

It has imported what does not depend on the configuration. The rest is half of what a program imports.
"""

from __future__ import annotations

import importlib
import sys

import fork_server  # type: ignore[import-not-found]  # PYTHONPATH names its directory
import forked  # type: ignore[import-not-found]  # PYTHONPATH names its directory
import programs  # type: ignore[import-not-found]  # Python finds it beside this file

_IMPORTED = (
    "ansible.module_utils._internal._ansiballz._loader",
    "ansible.module_utils.common.yaml",
    "ansible.module_utils.json_utils",
    "ansible.utils.collection_loader",
    "ansible.context",
    "ansible.parsing.quoting",
    "cryptography.hazmat.backends",
    "cryptography.hazmat.primitives.kdf.pbkdf2",
    "cryptography.hazmat.primitives.padding",
    "cryptography.hazmat.primitives.serialization",
    "cryptography.hazmat.primitives.ciphers.modes",
    "csv",
    "curses",
    "difflib",
    "getpass",
    "jinja2.nativetypes",
    "jinja2.sandbox",
    "multiprocessing.queues",
    "packaging.version",
    "tarfile",
    "uuid",
)


def main(directory: str, number: int) -> None:
    """Serve programs at a socket in the directory."""
    del sys.path[0]
    programs.prepare()
    for name in _IMPORTED:
        importlib.import_module(name)
    if "ansible.constants" in sys.modules:
        raise RuntimeError("the configuration of a program is read before the program begins")
    request = fork_server.listen_and_serve(directory, forked.PROGRAMS, number)
    fork_server.run(request, programs.begin)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
