# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who can write to a file, by its owner, its bits and its access list."""

from __future__ import annotations

import os
import pathlib
import struct
import types

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._files.writers import refuse_other_writers

OWN = 1000
NAMED_USER = struct.pack(
    "<I" + "HHI" * 5, 2, 1, 6, 0xFFFFFFFF, 2, 6, 12345, 4, 4, 0xFFFFFFFF, 16, 6, 0xFFFFFFFF, 32, 4, 0xFFFFFFFF
)
"""An access list by acl(5): version 2, then tag, rights and user of the owner, a user, the group, the mask, others."""


def refusal_of(path: pathlib.Path) -> str:
    """Return why the file is refused, or nothing."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        refuse_other_writers(descriptor, "src", str(path))
    except OptionError as error:
        return error.message
    finally:
        os.close(descriptor)
    return ""


@pytest.mark.parametrize(
    ("owner", "group", "mode", "words"),
    [
        (0, 0, 0o644, ""),
        (0, 0, 0o775, ""),
        (OWN, 0, 0o664, ""),
        (OWN, 5, 0o644, ""),
        (OWN, 5, 0o664, "can be written by others"),
        (OWN, 0, 0o646, "can be written by others"),
        (OWN, 5, 0o646, "can be written by others"),
        (12345, 0, 0o600, "belongs to the user 12345"),
    ],
)
def test_whoever_may_write_the_file_decides_what_is_in_it(
    owner: int, group: int, mode: int, words: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.touch()
    status = types.SimpleNamespace(st_uid=owner, st_gid=group, st_mode=mode)
    with monkeypatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: OWN)
        patched.setattr(os, "fstat", lambda _descriptor: status)
        refused = refusal_of(file)
    assert words in refused
    assert bool(words) == bool(refused)


def test_a_user_of_an_access_list_is_none_of_the_group_root(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "file"
    file.touch(0o644)
    assert refusal_of(file) == ""
    try:
        os.setxattr(file, "system.posix_acl_access", NAMED_USER)
    except OSError:
        pytest.skip("the file system of the test has no access lists")
    assert "can be written by others" in refusal_of(file)
