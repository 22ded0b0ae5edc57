# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the machine lends the benchmark and gets back: the limits of connection tracking, and a network namespace.

Also what the machine is, for the figures mean nothing without it.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import platform
import re
import typing as t

from bench.errors import BenchError
from helpers.support import network_namespace, run
from pyroute2 import netns

BUCKETS = 524_288
"""The hash size of every measurement: two entries a bucket at a million of them, for each stands in two chains."""

_SETTINGS = pathlib.Path("/proc/sys/net/netfilter")
_SINK = "203.0.113.0/24"
_NAMESPACE_SETTINGS = {
    "nf_conntrack_acct": 1,
    "nf_conntrack_tcp_loose": 1,
    # The entry of a bare ACK lives for the lesser of these two. Nothing may expire between two runs.
    "nf_conntrack_tcp_timeout_unacknowledged": 432_000,
    "nf_conntrack_tcp_timeout_max_retrans": 432_000,
}


@contextlib.contextmanager
def limits(entries: int) -> t.Iterator[None]:
    """Yield the machine BUCKETS and room for ``entries`` in one namespace, and restore its own values afterwards.

    Raises BenchError outside the first network namespace, where both are read-only.
    """
    buckets, most = setting("nf_conntrack_buckets"), setting("nf_conntrack_max")
    try:
        _lend("nf_conntrack_buckets", BUCKETS)
        if most != 0:  # which means no limit
            _lend("nf_conntrack_max", max(entries, most))
        yield
    finally:
        _lend("nf_conntrack_max", most)
        _lend("nf_conntrack_buckets", buckets)


@contextlib.contextmanager
def tracking_namespace() -> t.Iterator[None]:
    """Go into a network namespace that tracks, counts, and swallows what is sent to the documentation network.

    A packet to it leaves by the loopback, which is when its entry is confirmed, and is discarded on its way back in.
    """
    with network_namespace("ncbench") as name:
        netns.pushns(name)
        try:
            run(["ip", "route", "add", _SINK, "dev", "lo"])
            for key, value in _NAMESPACE_SETTINGS.items():
                write_setting(key, value)
            yield
            run(["conntrack", "--flush"])
        finally:
            netns.popns()


def setting(name: str) -> int:
    """Return the value of the sysctl net.netfilter.``name`` in the present network namespace."""
    return int((_SETTINGS / name).read_text(encoding="ascii"))


def write_setting(name: str, value: int) -> None:
    """Set the sysctl net.netfilter.``name`` in the present network namespace. Raises OSError."""
    (_SETTINGS / name).write_text(f"{value}\n", encoding="ascii")


def describe() -> dict[str, str | int]:
    """Return what the figures depend on: processor, cores, kernel, Python and conntrack. The host name is left out."""
    version = re.search(r"v(\S+)", run(["conntrack", "--version"]))
    model = re.search(r"^model name\s*: (.+)$", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return {
        "processor": model.group(1) if model else platform.machine(),
        "cores": os.cpu_count() or 0,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "conntrack": version.group(1) if version else "unknown",
        "buckets": BUCKETS,
    }


def _lend(name: str, value: int) -> None:
    if setting(name) == value:
        return
    try:
        write_setting(name, value)
    except OSError as error:
        raise BenchError(
            f"net.netfilter.{name} cannot be set to {value} ({error.strerror}): run this as root, outside of any "
            "network namespace or container."
        ) from error
