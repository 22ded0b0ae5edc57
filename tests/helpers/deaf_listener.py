# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A listener that asked for reliable events and does not read keeps deleted entries in the kernel."""

from __future__ import annotations

import contextlib
import socket
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside

# linux/netlink.h, linux/netfilter/nfnetlink_compat.h
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NETLINK_BROADCAST_ERROR, NETLINK_NETFILTER = 270, 1, 4, 12
NFNLGRP_CONNTRACK_DESTROY = 3


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
