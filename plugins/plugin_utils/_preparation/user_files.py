# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The user that has CAP_NET_ADMIN and no other right: the files that make him one, as docs/security.md explains."""

from __future__ import annotations

import hashlib
import typing as t

COMMANDS = ("id", "setpriv", "sudo", "visudo")
"""What a router needs for it."""

_SUDO_PROGRAM = "/usr/local/sbin/conntrack-python"
_USER_PROGRAM = "/usr/local/bin/conntrack-python"
_SUDOERS = "/etc/sudoers.d/conntrack"
PATHS = (_SUDO_PROGRAM, _USER_PROGRAM, _SUDOERS)
_MADE = "# Made by Ansible (netops.conntrack.conntrack_prepare)"


class UserFile(t.NamedTuple):
    """A file to make. ``validate`` is a command that has to accept it, with %s for its path, or empty."""

    path: str
    mode: str
    content: str
    validate: str = ""

    @property
    def sha256(self) -> str:
        """What tells this content from another."""
        return hashlib.sha256(self.content.encode()).hexdigest()


def files_for(user: str, python: str, commands: t.Mapping[str, str | None]) -> list[UserFile]:
    """Return the files that let ``user`` run ``python`` with this one right. The right to run it comes last.

    ``commands`` are the paths of COMMANDS on the router.
    """
    program = (
        f"#!/bin/sh\n{_MADE}: Python with CAP_NET_ADMIN and no other right.\n"
        f'exec {commands["setpriv"]} --reuid={user} --regid="$({commands["id"]} -g {user})" --init-groups '
        "--no-new-privs \\\n"
        "  --inh-caps=-all,+net_admin --ambient-caps=-all,+net_admin --bounding-set=-all,+net_admin \\\n"
        f'  {python} "$@"\n'
    )
    interpreter = (
        f'#!/bin/sh\n{_MADE}: for ansible_python_interpreter.\nexec {commands["sudo"]} -n {_SUDO_PROGRAM} "$@"\n'
    )
    right = f"{_MADE}.\n{user} ALL=(root) NOPASSWD: {_SUDO_PROGRAM}\n"
    return [
        UserFile(_SUDO_PROGRAM, "0755", program),
        UserFile(_USER_PROGRAM, "0755", interpreter),
        UserFile(_SUDOERS, "0440", right, f"{commands['visudo']} -c -f %s"),
    ]
