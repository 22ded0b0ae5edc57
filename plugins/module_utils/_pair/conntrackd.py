# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What conntrackd tells of itself: how many entries it keeps for this router and for its peer, and what it lost.

conntrackd hands the entries of one router to another, so that connections go on after a fail-over. It keeps its own
table in an internal cache, and that of the peer in an external one. Without the external cache, it writes the entries
of the peer into the kernel's table.
"""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import BECOME_ROOT, NotPermittedError
from ansible_collections.netops.conntrack.plugins.module_utils._files.process_files import (
    process_numbers,
    read_of_process,
)
from ansible_collections.netops.conntrack.plugins.module_utils._files.regular_files import read_regular
from ansible_collections.netops.conntrack.plugins.module_utils._netns import Identity, identity, own_identity

DEFAULT_CONFIGURATION = "/etc/conntrackd/conntrackd.conf"
"""Where conntrackd(8) looks for its configuration without -C."""

_NAME = "conntrackd"
_MOST_BYTES = 1 << 16
_SECONDS = 10
_NETFILTER = "12"  # NETLINK_NETFILTER in linux/netlink.h
_MOST_PIDS = 0x7FFFFFFF
_ROOT = 0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_CACHED = {"internal": "cache internal", "external": "cache external"}
_UNCACHED = {"internal": "internal bypass", "external": "external inject"}
"""The headings of the statistics: with a cache, and with DisableInternalCache or DisableExternalCache."""

_PAIR = re.compile(r"([A-Za-z][A-Za-z ]*):\s+([0-9]+)", re.ASCII)
_AMOUNT = re.compile(r"([0-9]+) (Malformed msgs|Lost msgs|Error send|Error recv)", re.ASCII)


class Cache(t.TypedDict):
    """One of the two caches. ``entries`` is None where it is disabled.

    The other numbers count since the daemon's start. ``failed`` is how often any of these did not work.
    """

    enabled: bool
    entries: int | None
    created: int | None
    updated: int | None
    destroyed: int | None
    failed: int | None


class Statistics(t.TypedDict):
    """What conntrackd says. A cache is None where its statistics are not about it, as with a daemon that only counts.

    The numbers of messages and errors count since the daemon's start, over all links.
    """

    internal_cache: Cache | None
    external_cache: Cache | None
    malformed_messages: int | None
    lost_messages: int | None
    send_errors: int | None
    receive_errors: int | None


_NOTHING_SAID: dict[str, None] = dict.fromkeys(Statistics.__annotations__)


@dataclasses.dataclass(frozen=True)
class Daemon:
    """A conntrackd that runs as root in this network namespace. ``config`` is its configuration, as it was given."""

    pid: int
    config: str
    sees_same_files: bool

    def read_configuration(self, proc: str = "/proc") -> bytes:
        """Return its configuration, as it sees the file now. Raises OSError, also for what is no regular file."""
        # An absolute path is the daemon's own, which may be in a container.
        base = f"{proc}/{self.pid}/root" if os.path.isabs(self.config) else f"{proc}/{self.pid}/cwd"
        return read_regular(f"{base}/{self.config}")

    def statistics(self) -> tuple[Statistics | None, str | None]:
        """Return what it says, or None and why it says nothing."""
        if not self.sees_same_files:
            return None, "It runs in a container. Its files are not those of the router."
        if not os.path.isabs(self.config):
            return None, f"It was started with a relative path, -C {self.config}. Give it an absolute one."
        command = [_NAME, "-C", self.config, "-s"]
        try:
            # run_command of Ansible has no timeout.  # pylint: disable-next=ansible-bad-function
            done = subprocess.run(
                command,
                capture_output=True,
                check=True,
                env={"PATH": _PATH, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                timeout=_SECONDS,
            )
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip() or f"exit status {error.returncode}"
            return None, f"{' '.join(command)}: {said}"
        except (OSError, subprocess.SubprocessError) as error:
            return None, f"{' '.join(command)}: {error}"
        return parse_statistics(done.stdout[:_MOST_BYTES].decode(errors="replace")), None


def find_daemon(proc: str = "/proc") -> Daemon | None:
    """Return the conntrackd of the network namespace that the process is in. None: there is none.

    ``proc`` is where proc(5) is mounted. Raises NotPermittedError if it is not known whether there is one, because a
    conntrackd runs whose namespace may not be seen.
    """
    own = own_identity()
    hidden: list[int] = []
    for pid in process_numbers(proc):
        try:
            if _is_ours(proc, pid, own):
                arguments = read_of_process(pid, "cmdline", proc).split("\0")
                return Daemon(pid, _configuration(arguments), _sees_same_files(proc, pid))
        except PermissionError:
            hidden.append(pid)
        except OSError:
            # It has ended.
            continue
    if hidden and _others_use_netfilter(proc):
        raise NotPermittedError(
            f"conntrackd runs as process {hidden[0]}. Whether it is that of this network namespace can only be seen by "
            f"root, or with CAP_SYS_PTRACE. {BECOME_ROOT}"
        )
    return None


def _others_use_netfilter(proc: str) -> bool:
    """Return whether a process but this one may have a netlink socket of netfilter here, as every conntrackd has."""
    try:
        with open(f"{proc}/net/netlink", encoding="ascii") as file:
            header, *rows = [line.split() for line in file]
        sockets = [dict(zip(header, row)) for row in rows]
        # The first socket of a process has its number, those of the kernel have 0. Further ones have larger numbers.
        ports = {int(each["Pid"]) for each in sockets if each["Eth"] == _NETFILTER}
    except (OSError, ValueError, KeyError):
        return True
    return any(0 < port <= _MOST_PIDS for port in ports - {os.getpid()})


def _is_ours(proc: str, pid: int, own: Identity) -> bool:
    """Return whether a process is the conntrackd of a network namespace.

    It has to be root's: any user can start one of that name, with a configuration of his own.
    """
    if read_of_process(pid, "comm", proc) != f"{_NAME}\n" or os.stat(f"{proc}/{pid}").st_uid != _ROOT:
        return False
    return identity(os.stat(f"{proc}/{pid}/ns/net")) == own


def _sees_same_files(proc: str, pid: int) -> bool:
    # Its mount namespace may be another one with the same root, as below `ip netns exec`.
    return os.path.samefile(f"{proc}/{pid}/root", "/")


def _configuration(arguments: t.Sequence[str]) -> str:
    """Return the argument behind the last -C of a command line."""
    config = DEFAULT_CONFIGURATION
    for option, value in zip(arguments, arguments[1:]):
        if option == "-C":
            config = value
    return config


def pair_facts() -> dict[str, t.Any] | None:
    """Return what the conntrackd of this network namespace says. None where none runs.

    If it says nothing, ``problem`` has the reason, and its statistics are None.
    """
    try:
        daemon = find_daemon()
    except NotPermittedError as error:
        return {"pid": None, "config": None, **_NOTHING_SAID, "problem": error.message}
    if daemon is None:
        return None
    statistics, problem = daemon.statistics()
    return {"pid": daemon.pid, "config": daemon.config, **(statistics or _NOTHING_SAID), "problem": problem}


def parse_statistics(text: str) -> Statistics:
    """Return what ``conntrackd -s`` has printed (conntrack-tools 1.4, src/sync-mode.c and src/cache.c)."""
    sections = _sections(text)
    amounts: dict[str, int] = {}
    for number, name in _AMOUNT.findall(text):
        amounts[name] = amounts.get(name, 0) + int(number)
    return {
        "internal_cache": _cache(sections, "internal"),
        "external_cache": _cache(sections, "external"),
        "malformed_messages": amounts.get("Malformed msgs"),
        "lost_messages": amounts.get("Lost msgs"),
        "send_errors": amounts.get("Error send"),
        "receive_errors": amounts.get("Error recv"),
    }


def _sections(text: str) -> dict[str, str]:
    """Return the sections by their headings. An empty line parts them."""
    sections = {}
    for section in re.split(r"\n\s*\n", text):
        heading, _line_feed, rest = section.strip().partition("\n")
        sections[heading.rstrip(":")] = rest
    return sections


def _cache(sections: t.Mapping[str, str], name: str) -> Cache | None:
    enabled = _CACHED[name] in sections
    section = sections.get(_CACHED[name] if enabled else _UNCACHED[name])
    if section is None:
        return None
    numbers: dict[str, int] = {}
    for key, number in _PAIR.findall(section):
        numbers[key] = numbers.get(key, 0) + int(number)
    return {
        "enabled": enabled,
        "entries": numbers.get("current active connections"),
        "created": numbers.get("connections created", numbers.get("connections new")),
        "updated": numbers.get("connections updated"),
        "destroyed": numbers.get("connections destroyed"),
        "failed": numbers.get("failed"),
    }
