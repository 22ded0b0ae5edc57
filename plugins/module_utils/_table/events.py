# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What happens to the table while one listens: the entries that are made, and those that are deleted or end.

The kernel sends a message for each. It looks like one of a dump, and is decoded like one.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    BECOME_ROOT,
    DumpError,
    NotPermittedError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing, transport
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.decoder import Decoder

NEW, DESTROYED = "new", "destroyed"
KINDS = (NEW, DESTROYED)

_TYPES = {_uapi.CT_NEW: NEW, _uapi.CT_DELETE: DESTROYED}
_GROUPS = (1, 3)
"""NFNLGRP_CONNTRACK_NEW and NFNLGRP_CONNTRACK_DESTROY of linux/netfilter/nfnetlink.h."""

_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP = 270, 1
"""Of linux/socket.h and linux/netlink.h."""

_SO_RCVBUFFORCE = 33
"""Of asm-generic/socket.h. Python has no name for it."""

_RECEIVE_BUFFER = 1 << 24
_DATAGRAM = 1 << 16
_AT_ONCE = 1 << 11
"""Messages of one kind that are made blocks together."""

_PAUSE = 0.2
"""Seconds after which messages are made blocks, however few they are."""

_SEQUENCE = 1
_HEADER = struct.pack("=HHII", _uapi.CT_NEW, 0, _SEQUENCE, 0)
"""Type, flags, sequence and port of a message of a dump. Those of events differ by the program that made a change."""

_HEADER_AT, _HEADER_END = 4, framing.HEADER_LENGTH


class Events:
    """The events of the network namespace that the process is in, from now on. A context manager, which closes it.

    ``losses`` is how often the kernel had no room for events, each time for an unknown number of them.
    ``settings`` are the sysctls of the namespace by their short names.
    Raises NotPermittedError without CAP_NET_ADMIN, UnavailableError where the kernel tells of no events.
    """

    def __init__(self, settings: t.Mapping[str, int]) -> None:
        if settings.get("events") == 0:
            raise UnavailableError(
                "The kernel tells of no events, because net.netfilter.nf_conntrack_events is 0. Set it to 1 or 2."
            )
        self.losses = 0
        self._socket = transport.open_socket()
        try:
            self._subscribe()
        except OSError as error:
            self._socket.close()
            if error.errno in (errno.EPERM, errno.EACCES):
                raise NotPermittedError(f"Listening to events needs root (CAP_NET_ADMIN). {BECOME_ROOT}") from error
            raise UnavailableError(
                f"The kernel has no events of connection tracking ({error.strerror}). Load the interface with "
                "'modprobe nf_conntrack_netlink'."
            ) from error

    def _subscribe(self) -> None:
        self._socket.settimeout(_PAUSE)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        for group in _GROUPS:
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_unused: object) -> None:
        self._socket.close()

    def listen(self, seconds: float) -> t.Iterator[tuple[str, Block]]:
        """Yield the entries of each kind of event, in blocks, for so many seconds.

        Raises MalformedError for bytes that cannot be decoded, DumpError where the kernel cannot be heard.
        """
        decoder, splitter = Decoder(_SEQUENCE), framing.Splitter()
        waiting: dict[str, list[bytes]] = {kind: [] for kind in KINDS}
        now = time.monotonic()
        end, next_pause = now + seconds, now + _PAUSE
        while now < end:
            for run in splitter.runs(self._receive()):
                for kind, row in _events_in(run):
                    waiting[kind].append(row)
            now = time.monotonic()
            if now >= next_pause or max(map(len, waiting.values())) >= _AT_ONCE:
                yield from _blocks(decoder, waiting)
                next_pause = now + _PAUSE
        yield from _blocks(decoder, waiting)

    def _receive(self) -> bytes:
        """Return the next datagram, empty if there is none for a while, or if some were lost."""
        try:
            return self._socket.recv(_DATAGRAM)
        except socket.timeout:
            return b""
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise DumpError(f"Events cannot be received: {os.strerror(error.errno or errno.EIO)}.") from error
            self.losses += 1
            return b""


def _events_in(run: bytes) -> t.Iterator[tuple[str, bytes]]:
    """Yield the messages of a run with their kind, each with the header of one of a dump."""
    size = framing.size_of(run)
    for start in range(0, len(run), size):
        kind = _TYPES.get(struct.unpack_from("=H", run, start + _HEADER_AT)[0])
        if kind is not None:
            yield kind, run[start : start + _HEADER_AT] + _HEADER + run[start + _HEADER_END : start + size]


def _blocks(decoder: Decoder, waiting: dict[str, list[bytes]]) -> t.Iterator[tuple[str, Block]]:
    for kind, rows in waiting.items():
        for block in decoder.blocks(rows):
            yield kind, block
        rows.clear()
