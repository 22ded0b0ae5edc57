# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Who can write to a file besides root and the running user, and so decides what is in it.

The group root counts as root, because only administrators are in it. With an access list (acl(5)), the bits of the
group are the most that any user of the list may do, so that they do not stand for the group root alone.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError

_ACCESS_LIST = "system.posix_acl_access"


def refuse_other_writers(descriptor: int, option: str, path: str) -> os.stat_result:
    """Return what fstat(2) says of an open file. Raises OptionError for one to which others can write."""
    status = os.fstat(descriptor)
    if status.st_uid not in (0, os.geteuid()):
        problem = f"belongs to the user {status.st_uid}, who decides what is in it"
        raise OptionError(option, path, problem, f"Look at it, then give it to root: chown root {path}")
    if other_writers(status, lambda: has_access_list(descriptor)):
        problem = "can be written by others than its owner, who then decide what is in it"
        raise OptionError(option, path, problem, f"Look at it, then run: chmod go-w {path}")
    return status


def other_writers(status: os.stat_result, with_access_list: t.Callable[[], bool]) -> str | None:
    """Return who may write to what has this status, besides root and the running user, in words.

    ``with_access_list`` says whether it has one, and is asked only where that matters.
    """
    if status.st_uid not in (0, os.geteuid()):
        return user_text(status.st_uid)
    if status.st_mode & stat.S_IWOTH:
        return "everybody"
    if status.st_mode & stat.S_IWGRP and (status.st_gid != 0 or with_access_list()):
        return _group_text(status.st_gid)
    return None


def has_access_list(descriptor: int) -> bool:
    """Return whether single users may have rights of their own in what is open for reading."""
    try:
        return bool(os.getxattr(descriptor, _ACCESS_LIST))
    except OSError:
        return False


def user_text(number: int) -> str:
    """Return what a user is called in errors."""
    with contextlib.suppress(KeyError):
        return f"the user {pwd.getpwuid(number).pw_name}"
    return f"the user {number}"


def _group_text(number: int) -> str:
    with contextlib.suppress(KeyError):
        return f"the group {grp.getgrgid(number).gr_name}"
    return f"the group {number}"
