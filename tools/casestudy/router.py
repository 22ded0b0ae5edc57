# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The story's router: one of the lab, with its limit, its table of 917,115 entries, and what it has to give back.

All entries are made by packets that go through the router. That they have been there for days is made up: the timeouts
are lower while the packets pass, and the router's uptime is in a time namespace of its own (time_namespaces(7)).
"""

from __future__ import annotations

import contextlib
import pathlib
import re
import shutil
import sys
import time
import typing as t

import lab
from casestudy.traffic import CUSTOMERS, SERVERS
from processes import LabError, run
from record import Lab
from topology import CLIENT, SERVER, STALE_SECONDS, STALE_TIMEOUTS, Router

PREFIX = "nccase"
LIMIT = 917_504
ENTRIES = 917_115
STALE_SHARE = 0.9

_NETFILTER = pathlib.Path("/proc/sys/net/netfilter")
_TRAFFIC = pathlib.Path(__file__).resolve().parent / "traffic.py"
_UPTIME_SECONDS = 30 * 86_400
_UDP_SECONDS = 6 * 3_600
_LONGEST_SLICES = 24
"""How many different times the entries have left: at a full table, one every five hours of the five days."""
_FULL_SLICES = 100_000
"""From how many entries on there are that many."""
_ORDINARY = (("tcp", 0.70), ("dns", 0.20), ("quic", 0.10))
_ENDS = {
    "tcp": ("syn", "syn-ack", "request", "answer", "thanks"),
    "dns": ("question", "reply"),
    "quic": ("quic-question", "quic-reply"),
}
"""The stages of each sort of ordinary connection, those of the server and the client in turns."""
_FROM_SERVER = {"syn-ack", "answer", "reply", "quic-reply"}
_BATCH = 10_000
_MOST_ROUNDS = 20
_PATIENCE = 3_600.0
_STALE = re.compile(r" ESTABLISHED .* packets=1 bytes=40 \[UNREPLIED\]")
_ESTABLISHED = "net.netfilter.nf_conntrack_tcp_timeout_established"


class CaseError(Exception):
    """The study cannot be done, or something did not come out as it has to; the message says what."""


@contextlib.contextmanager
def limit(entries: int) -> t.Iterator[None]:
    """Set nf_conntrack_max of the machine, which all namespaces share, and restore it. Raises CaseError."""
    before = _NETFILTER.joinpath("nf_conntrack_max").read_text(encoding="ascii")
    _write_limit(str(entries))
    try:
        yield
    finally:
        _write_limit(before.strip())


@contextlib.contextmanager
def standing_router(directory: pathlib.Path) -> t.Iterator[Lab]:
    """Build a lab of one router that seems to be up for a month, and take it down again. Raises LabError."""
    built = lab.up(directory, prefix=PREFIX, routers=1, stale=0)
    try:
        _prepare(built.routers[0])
        _grow_old(built)
        yield built
    finally:
        lab.down(directory, PREFIX)


def fill(router: Router, entries: int) -> dict[str, int]:
    """Fill the table of ``router`` up to ``entries`` by packets, and return how many of each sort. Raises CaseError."""
    made = dict.fromkeys(("stale", *(sort for sort, _share in _ORDINARY)), 0)
    stale = round(STALE_SHARE * entries)
    ordinary = entries - stale - count(router)
    slices = _LONGEST_SLICES if entries >= _FULL_SLICES else _LONGEST_SLICES // 4
    for number in range(slices):
        _set(router, STALE_SECONDS - number * STALE_SECONDS // slices)
        _until(router, made, "stale", _part(stale, number, slices))
        for sort, share in _ORDINARY:
            _until(router, made, sort, _part(int(share * ordinary), number, slices))
    _set(router, STALE_SECONDS)
    _until(router, made, "tcp", entries - count(router))
    return made


def count(router: Router) -> int:
    """Return how many entries the kernel says that ``router`` has."""
    return int(run(["conntrack", "-C"], netns=router.namespace))


def stale_by_hand(listing: t.Iterable[str]) -> int:
    """Return how many lines of `conntrack -L` are the story's entries, found with a regular expression only."""
    return sum(_STALE.search(line) is not None for line in listing)


def unanswered_by_hand(listing: t.Iterable[str]) -> int:
    """Return how many lines of `conntrack -L` are ESTABLISHED and unanswered, whatever their counters say."""
    return sum(" ESTABLISHED " in line and "[UNREPLIED]" in line for line in listing)


def make_again(router: Router, first: int, number: int) -> None:
    """Send the packets of the stale entries from ``first`` on once more."""
    _send(router.client, "stale", first, number)


def setting(router: Router, name: str) -> str:
    """Return the value of a sysctl on ``router``."""
    return run(["sysctl", "-n", name], netns=router.namespace).strip()


def write_settings(router: Router, values: t.Mapping[str, int | str]) -> None:
    """Write sysctls on ``router``."""
    run(["sysctl", "-q", "-w", *(f"{name}={value}" for name, value in values.items())], netns=router.namespace)


def _write_limit(entries: str) -> None:
    try:
        _NETFILTER.joinpath("nf_conntrack_max").write_text(f"{entries}\n", encoding="ascii")
    except OSError as error:
        raise CaseError(
            f"net.netfilter.nf_conntrack_max cannot be set to {entries} ({error.strerror}). It is one value for the "
            "whole machine. Run this as root, outside of any network namespace or container."
        ) from error


def _prepare(router: Router) -> None:
    """Let in what the packets are from and to, and turn off what an old router does not have."""
    rule = ["insert", "rule", "inet", "lab", "forward", "ip", "saddr", CUSTOMERS, "accept"]
    run(["nft", *rule], netns=router.namespace)
    run(["ip", "-n", router.namespace, "route", "add", CUSTOMERS, "via", CLIENT])
    run(["ip", "-n", router.namespace, "route", "add", SERVERS, "via", SERVER])
    # Each end is sent what the other end forges, and must be silent about it.
    run(["ip", "-n", router.client, "route", "add", "blackhole", CUSTOMERS])
    run(["ip", "-n", router.server, "route", "add", "blackhole", SERVERS])
    udp = dict.fromkeys(("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"), _UDP_SECONDS)
    write_settings(router, {f"net.netfilter.{name}": value for name, value in udp.items()})
    write_settings(router, {"net.netfilter.nf_conntrack_timestamp": 0})


def _grow_old(built: Lab) -> None:
    """Start the sshd of the router again, in a time namespace in which the machine has been up for a month."""
    router = built.routers[0]
    lab.stop_router(built.directory, router.name)
    pid_file, config = built.ssh / f"{router.name}.pid", built.ssh / f"{router.name}.conf"
    pid_file.unlink(missing_ok=True)
    sshd = [shutil.which("sshd") or "/usr/sbin/sshd", "-f", str(config), "-E", str(built.ssh / f"{router.name}.log")]
    run(["unshare", "--time", "--boottime", str(_UPTIME_SECONDS), "--fork", *sshd], netns=router.namespace)
    give_up = time.monotonic() + 60
    while not pid_file.exists():
        if time.monotonic() > give_up:
            raise LabError(f"the sshd of {router.name} does not listen")
        time.sleep(0.05)


def _set(router: Router, seconds: int) -> None:
    """Set the timeouts that an entry gets from its next packet."""
    write_settings(router, dict.fromkeys((*STALE_TIMEOUTS, _ESTABLISHED), seconds))


def _part(whole: int, number: int, slices: int) -> int:
    """Return the share of slice ``number``, so that all of them together are ``whole``."""
    return whole * (number + 1) // slices - whole * number // slices


def _until(router: Router, made: dict[str, int], sort: str, wanted: int) -> None:
    """Make ``wanted`` entries more of a ``sort``, and those again whose packets were lost. Raises CaseError."""
    target = count(router) + wanted
    for _round in range(_MOST_ROUNDS):
        missing = target - count(router)
        if missing <= 0:
            return
        _make(router, sort, made[sort], missing)
        made[sort] += missing
    raise CaseError(f"{router.name}: {missing} entries are missing, however many packets are sent")


def _make(router: Router, sort: str, first: int, number: int) -> None:
    for start in range(first, first + number, _BATCH):
        size = min(_BATCH, first + number - start)
        for stage in _ENDS.get(sort, (sort,)):
            _send(router.server if stage in _FROM_SERVER else router.client, stage, start, size)


def _send(namespace: str, stage: str, first: int, number: int) -> None:
    command = [sys.executable, "-S", str(_TRAFFIC), stage, str(first), str(number)]
    run(command, netns=namespace, patience=_PATIENCE)
