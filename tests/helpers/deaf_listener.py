# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A listener that asked for reliable events and does not read keeps deleted entries in the kernel."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside

# linux/netlink.h, linux/netfilter/nfnetlink_compat.h
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NETLINK_BROADCAST_ERROR, NETLINK_NETFILTER = 270, 1, 4, 12
NFNLGRP_CONNTRACK_DESTROY = 3

# NETLINK_NETFILTER is 12, SOL_NETLINK 270, NETLINK_BROADCAST_ERROR 4, NETLINK_ADD_MEMBERSHIP 1, and
# NFNLGRP_CONNTRACK_DESTROY 3. Whatever is sent to the program wakes it up to read.
_LISTENER = """
import os, select, socket, sys
port, reliable, group = map(int, sys.argv[1:])
listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
listener.bind((port, 0))
listener.setsockopt(270, 4, reliable)
listener.setsockopt(270, 1, group)
print("ready", flush=True)
sys.stdin.readline()
while True:
    try:
        listener.recv(65536)
    except OSError:
        pass
"""


@contextlib.contextmanager
def deaf_listener(netns: str) -> t.Iterator[None]:
    """Listen to the end of entries, as conntrackd does with NetlinkEventsReliable, and never read."""
    with inside(netns):
        listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        listener.bind((0, 0))
        listener.setsockopt(SOL_NETLINK, NETLINK_BROADCAST_ERROR, 1)
        listener.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_CONNTRACK_DESTROY)
        yield


@contextlib.contextmanager
def listening_program(
    netns: str, port: int = 0, reliable: int = 1, group: int = 3, program: t.Sequence[str] = (sys.executable,)
) -> t.Iterator[subprocess.Popen[str]]:
    """Run a listener that does not read until a line is written to it."""
    command = ["ip", "netns", "exec", netns, *program, "-c", _LISTENER, *map(str, (port, reliable, group))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
