# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The router's Python: why a module could not begin, in words that say what to do."""

from __future__ import annotations

import re
import typing as t

_OLDEST = (3, 9)
_NEWER_NAMES = tuple(f"python3.{minor}" for minor in range(_OLDEST[1], 16))
_PRINT_VERSION = 'import sys; print(".".join(map(str, sys.version_info[:3])))'


def has_not_begun(result: dict[str, t.Any]) -> bool:
    """Return whether this may be the result of a module that failed before it read its options.

    How such a result looks differs between versions of ansible-core. A module that read its options returns them, but
    not from ansible-core 2.21 on, unless INJECT_INVOCATION is set. There, this is true of every failed module.
    """
    return bool(result.get("failed")) and "invocation" not in result


def question(interpreter: str) -> str:
    """Return the shell command that asks a router for the version of ``interpreter``, and for newer ones."""
    newer = " ".join(_NEWER_NAMES)
    return (
        f"echo \"version $({interpreter} -c '{_PRINT_VERSION}' 2>/dev/null)\"; "
        f"for name in {newer}; do "
        f"path=$(command -v $name) && $path -c '' >/dev/null 2>&1 && echo \"newer $path\"; "
        f"done; true"
    )


def explanation(answer: str, interpreter: str, host: str) -> str | None:
    """Return what is wrong with the Python of ``host``, from its answer to the question. None if nothing is."""
    version = re.search(r"^version ([0-9.]{0,20})\r?$", answer, re.MULTILINE)
    if version is None or _is_new_enough(version[1]):
        return None
    found = f"found {version[1]}" if version[1] else "found none that runs"
    newer = re.search(r"^newer (/[\w./+-]{1,200})\r?$", answer, re.MULTILINE)
    remedy = (
        f"Set ansible_python_interpreter={newer[1]}, which is there."
        if newer
        else (
            f"Install one, such as with ansible {host} -b -m ansible.builtin.raw -a 'apt-get install --yes python3', "
            f"and set ansible_python_interpreter to its path if that is not {interpreter}."
        )
    )
    oldest = ".".join(map(str, _OLDEST))
    return (
        f"netops.conntrack needs Python {oldest} or newer on the router, {found} at {interpreter} on {host}. {remedy}"
    )


def _is_new_enough(version: str) -> bool:
    numbers = re.fullmatch(r"(\d+)\.(\d+)\.\d+", version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= _OLDEST
