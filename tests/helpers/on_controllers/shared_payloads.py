# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Ansible sends to routers, built once for all programs of a run of the tests.

Each of them would build it anew, which takes a quarter of a second of processor time for each module.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import sys
import tempfile

VARIABLE = "PAYLOADS_OF_TESTS"
"""The environment variable that names the directory of what is sent."""

_CHECKOUT = pathlib.Path(__file__).parents[3]
_PLUGINS = pathlib.Path("ansible_collections", "netops", "conntrack", "plugins")
_PREFIX = "ansible-local-"
"""What the name begins with of the directory that Ansible makes for files of its own (ansible.config.manager)."""
_CACHE = "ansiballz_cache"
"""The name of what has the payloads in that directory (ansible.executor.module_common)."""


def payloads_of(collections: pathlib.Path, within: pathlib.Path) -> pathlib.Path:
    """Return the directory of the payloads that are built from the collection in ``collections`` as it is now."""
    digest = hashlib.sha256(sys.prefix.encode())
    plugins = collections / _PLUGINS
    for folder in ("modules", "module_utils"):
        for file in sorted((plugins / folder).rglob("*.py")):
            digest.update(b"\0".join([bytes(file.relative_to(plugins)), file.read_bytes(), b""]))
    return within / digest.hexdigest()


def _collections() -> pathlib.Path | None:
    """Return the directory whose collections this program will use, or None if that or its modules are not sure."""
    if pathlib.Path("library").exists():
        return None
    if "ANSIBLE_COLLECTIONS_PATH" in os.environ:
        return pathlib.Path(os.environ["ANSIBLE_COLLECTIONS_PATH"])
    is_usual = pathlib.Path.cwd() == _CHECKOUT and "ANSIBLE_CONFIG" not in os.environ
    return _CHECKOUT / ".collections" if is_usual else None


def _share(payloads: pathlib.Path) -> None:
    """Put a link to ``payloads`` in the directory that Ansible will make for files of its own."""
    make = tempfile.mkdtemp

    def mkdtemp(suffix: str | None = None, prefix: str | None = None, dir: str | None = None) -> str:
        made = make(suffix, prefix, dir)
        if prefix and prefix.startswith(_PREFIX):
            pathlib.Path(made, _CACHE).symlink_to(payloads)
        return made

    tempfile.mkdtemp = mkdtemp  # type: ignore[assignment]  # Ansible has no names of bytes


def share() -> None:
    """Use what other programs of this run of the tests built already, if that is sure to be the same."""
    directory, collections = os.environ.get(VARIABLE), _collections()
    if directory is None or collections is None or not os.access(directory, os.W_OK):
        return
    payloads = payloads_of(collections, pathlib.Path(directory))
    payloads.mkdir(exist_ok=True)
    _share(payloads)
