# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which rules use a policy, so that the kernel does not remove it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import typing as t

_PROGRAMS = tuple(f"{family}tables-{kind}save" for family in ("ip", "ip6") for kind in ("", "legacy-", "nft-"))
"""iptables-save, and the two programs that it may be a link to. None of them loads a module, or changes anything."""

SHOWN_BY_IPTABLES = 4
"""So many characters of a policy's name most kernels show to iptables. They copy the target's data up to where its
first revision ended (usersize in net/netfilter/xt_CT.c, since 4.11). That was fixed in 2026. Seen on 6.18."""

_SECONDS = 60
_MOST = 5


def rules_of_iptables(name: str) -> list[str]:
    """Return rules of iptables in this network namespace that use the policy, as iptables-save prints them."""
    used = re.compile(rf"--timeout \"?({re.escape(name)}|{re.escape(name[:SHOWN_BY_IPTABLES])})\"?(?:\s|$)")
    lines = (line for program in _PROGRAMS for line in _printed(program))
    return _first(line for line in lines if line.startswith("-A ") and used.search(line))


def rules_of_nftables(table: str, name: str) -> list[str]:
    """Return rules in the table (``inet filter``) that use the object, as nft prints them, with their handles."""
    # It may also be one of several in a map.
    used = re.compile(rf"ct timeout set .*(?<![\w/.-]){re.escape(name)}(?![\w/.-])")
    lines = _printed("nft", "-a", "list", "table", *table.split())
    return _first(line.strip() for line in lines if used.search(line))


def _first(rules: t.Iterable[str]) -> list[str]:
    return list(dict.fromkeys(rules))[:_MOST]


def _printed(program: str, *arguments: str) -> list[str]:
    """Return the lines that a program prints, or none where it is not there or fails."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = shutil.which(program, path=path)
    if found is None:
        return []
    try:
        # run_command of Ansible has no timeout.  # pylint: disable-next=ansible-bad-function
        done = subprocess.run([found, *arguments], check=False, capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return []
    return done.stdout.splitlines()
