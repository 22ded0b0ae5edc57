# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Text for the terminal. In the result of a task, Ansible would show it as a list of quoted lines."""

from __future__ import annotations

import typing as t

from ansible import constants
from ansible.utils.display import Display

_FOR_PROGRAMS = ("json", "jsonl")
"""Callbacks for standard output whose text a program reads. A page in between would spoil it."""


def is_for_people() -> bool:
    """Return whether people read the standard output of this run."""
    return str(constants.DEFAULT_STDOUT_CALLBACK).rpartition(".")[2] not in _FOR_PROGRAMS


def show(lines: t.Iterable[str]) -> None:
    """Show the lines, below an empty one."""
    Display().display("\n".join(["", *lines]))
