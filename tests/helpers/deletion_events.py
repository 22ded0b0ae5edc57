# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel says of each entry that a process deletes, and of none that it forgot by itself.

The conntrack tool looks into all of /proc for the name of the process, for each event, and so loses most of thousands.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import struct
import threading
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from helpers.encoded_messages import attributes_of

# linux/netfilter/nfnetlink_compat.h, nf_conntrack_common.h and nfnetlink_conntrack.h of the kernel.
_NETLINK_NETFILTER, _SOL_NETLINK, _ADD_MEMBERSHIP = 12, 270, 1
_GROUP_DESTROY = 3
_SEEN_REPLY = 1 << 1
_TUPLE_ORIG, _STATUS, _TUPLE_IP, _IP_V4_SRC = 1, 3, 1, 1
_SO_RCVBUFFORCE = 33

_HEADERS = 16 + 4
"""Bytes of struct nlmsghdr and struct nfgenmsg."""
_PORT_OF_PROCESS = struct.Struct("=12xI")
_ATTRIBUTE = struct.Struct("=HH")
_NESTED = 0x3FFF


@dataclasses.dataclass(frozen=True)
class Deleted:
    """An entry of IPv4 at the moment when it was deleted."""

    source: str
    replied: bool


class Deletions:
    """The events of a namespace. They are kept until they are asked for."""

    def __init__(self, netns: str) -> None:
        with inside(netns):
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 28)
        self._socket.bind((0, 0))
        self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP_DESTROY)
        self._socket.settimeout(1)
        self._ends = threading.Event()
        self._events: list[bytes] = []
        self._error: OSError | None = None
        self.forgotten = 0
        """How many entries ended without a process that deleted them."""
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                event = self._socket.recv(1 << 14)
            except TimeoutError:
                if self._ends.is_set():
                    return
            except OSError as error:
                self._error = error
                return
            else:
                (process,) = _PORT_OF_PROCESS.unpack_from(event)
                if process:
                    self._events.append(event)
                else:
                    self.forgotten += 1

    def end(self) -> list[Deleted]:
        """Return what processes deleted. Raises OSError if the kernel could not tell all of it."""
        self._ends.set()
        self._thread.join()
        with contextlib.closing(self._socket):
            if self._error:
                raise self._error
        return list(map(_decoded, self._events))


def _decoded(event: bytes) -> Deleted:
    entry = _by_kind(event[_HEADERS:])
    (status,) = struct.unpack("!I", entry[_STATUS])
    source = _by_kind(_by_kind(entry[_TUPLE_ORIG])[_TUPLE_IP])[_IP_V4_SRC]
    return Deleted(socket.inet_ntoa(source), bool(status & _SEEN_REPLY))


def _by_kind(data: bytes) -> t.Mapping[int, bytes]:
    """Return the values of attributes by their kinds."""
    values = {}
    for attribute in attributes_of(data):
        length, kind = _ATTRIBUTE.unpack_from(attribute)
        values[kind & _NESTED] = attribute[_ATTRIBUTE.size : length]
    return values
