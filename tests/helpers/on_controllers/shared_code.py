# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What plugins of a collection import of it, compiled once for all programs of a run of the tests.

Ansible keeps no compiled code of that, so each program compiles a hundred files anew.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import pathlib
import sys
import types
import typing as t

VARIABLE = "CODE_OF_TESTS"
"""The environment variable that names the directory of the compiled code."""


def _compiled(source: bytes, filename: str, mode: str, flags: int, dont_inherit: bool) -> types.CodeType:
    """Return what compile() would, from the file that another program wrote if there is one."""
    how = f"{sys.version} {filename} {mode} {flags} {dont_inherit}\0"
    path = pathlib.Path(os.environ[VARIABLE], hashlib.sha256(how.encode() + source).hexdigest())
    if path.exists():
        return t.cast("types.CodeType", marshal.loads(path.read_bytes()))
    code: types.CodeType = compile(source, filename, mode, flags, dont_inherit)
    new = path.with_suffix(f".{os.getpid()}")
    new.write_bytes(marshal.dumps(code))
    new.replace(path)
    return code


def share() -> None:
    """Use what other programs of this run of the tests compiled already."""
    directory = os.environ.get(VARIABLE)
    if directory is None or not os.access(directory, os.W_OK):
        return
    from ansible.utils.collection_loader import _collection_finder

    # The loader of a collection calls it by this name, with bytes.
    _collection_finder.compile = _compiled
