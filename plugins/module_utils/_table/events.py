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
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import STOP

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
_ROOM_FOR_EACH_BYTE = 2
"""The kernel doubles the size of the buffer that it is asked for (sock_setsockopt() in net/core/sock.c)."""

_DATAGRAM = 1 << 16
_AT_ONCE = 1 << 11
"""Messages of one kind that are made blocks together."""

_PAUSE = 0.2
"""Seconds after which messages are made blocks, however few they are."""

_LATEST = 2**64 - 1
"""The latest time in nanoseconds that the kernel can send."""

_SEQUENCE = 1
_HEADER = struct.pack("=HHII", _uapi.CT_NEW, 0, _SEQUENCE, 0)
"""Type, flags, sequence and port of a message of a dump. Those of events differ by the program that made a change."""

_HEADER_AT, _HEADER_END = 4, framing.HEADER_LENGTH


class Events:
    """The events of the network namespace that the process is in, from now on. A context manager, which closes it.

    ``losses`` is how often the kernel had no room for events, each time for an unknown number of them.
    ``settings`` are the sysctls of the namespace by their short names.
    ``count`` tells the number of entries. ``count_before`` and ``count_after`` are what it told when the listening
    began, and right after the last event.
    Raises NotPermittedError without CAP_NET_ADMIN, UnavailableError where the kernel tells of no events.
    """

    def __init__(self, settings: t.Mapping[str, int], count: t.Callable[[], int | None] = lambda: None) -> None:
        if settings.get("events") == 0:
            raise UnavailableError(
                "The kernel tells of no events, because net.netfilter.nf_conntrack_events is 0. Set it to 1 or 2."
            )
        self.losses = 0
        self.count_before: int | None = None
        self.count_after: int | None = None
        self._count = count
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
        self.count_before = self._count()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._socket.close()

    def listen(self, seconds: float, now: int) -> t.Iterator[tuple[str, Block]]:
        """Yield the entries of each kind of event, in blocks, for so many seconds.

        ``now`` is when the context that tells their ages was read. The ``start`` of entries that ended is moved, so
        that at this time they are as old as they became (see _as_old_at).
        Raises MalformedError for bytes that cannot be decoded, DumpError where the kernel cannot be heard.
        """
        decoder, splitter = Decoder(_SEQUENCE), framing.Splitter()
        waiting: dict[str, list[bytes]] = {kind: [] for kind in KINDS}
        next_pause = time.monotonic() + _PAUSE
        for datagram in self._datagrams(seconds):
            for run in splitter.runs(datagram):
                for kind, row in _events_in(run):
                    waiting[kind].append(row)
            moment = time.monotonic()
            if moment >= next_pause or max(map(len, waiting.values())) >= _AT_ONCE:
                yield from _blocks(decoder, waiting, now)
                next_pause = moment + _PAUSE
        yield from _blocks(decoder, waiting, now)

    def _datagrams(self, seconds: float) -> t.Iterator[bytes]:
        """Yield what comes within so many seconds, and what is queued then. Something empty where nothing comes."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            yield self._receive() or b""
        self._socket.settimeout(0)
        # In a storm it never ends. What came before the end is no more than there was room for.
        room = _RECEIVE_BUFFER * _ROOM_FOR_EACH_BYTE
        while room > 0:
            datagram = self._receive()
            if datagram is None:
                break
            room -= len(datagram)
            yield datagram
        self.count_after = self._count()

    def _receive(self) -> bytes | None:
        """Return the next datagram, None if there is none for a while, and an empty one if some were lost."""
        try:
            return self._socket.recv(_DATAGRAM)
        except (socket.timeout, BlockingIOError):
            return None
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


def _blocks(decoder: Decoder, waiting: dict[str, list[bytes]], now: int) -> t.Iterator[tuple[str, Block]]:
    for kind, rows in waiting.items():
        for block in decoder.blocks(rows):
            yield kind, _as_old_at(block, now)
        rows.clear()


def _as_old_at(block: Block, now: int) -> Block:
    """Return the block with its entries as old at the time ``now`` as they were when they ended, if they tell that."""
    if not {"start", STOP} <= block.layout.fields.keys():
        return block
    starts = (now - (stop - start) for start, stop in zip(block.numbers("start"), block.numbers(STOP)))
    return block.with_large_numbers("start", [min(max(start, 0), _LATEST) for start in starts])
