# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Receiving the datagrams of a dump, here or in a process of its own.

Half of a dump's time is the kernel's, which fills each datagram while it is received. A process that does nothing but
receive lets the other half, the decoding, run at the same time. It puts the datagrams into a ring of shared memory and
says so over a pipe, once for several. Over another pipe it is told which are free again.
"""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import mmap
import os
import socket
import struct
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    DumpError,
    InterruptedDumpError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._interrupt import forget
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing

ANSWER_SECONDS = 30.0
_NETLINK_NETFILTER = 12  # linux/netlink.h
_RECEIVE_BUFFER = 1 << 20
_DATAGRAM = 32768
"""The kernel fills no more than this of a dump's datagram (netlink_recvmsg() in net/netlink/af_netlink.c)."""
_GROUP = 8
_GROUPS = 16
_TOKEN = struct.Struct(f"=iI{_GROUP}I")
"""What is said of a group: an errno, or _MORE or _ENDED; the number of its datagrams, and the length of each."""
_MORE, _ENDED = 0, -1


def open_socket() -> socket.socket:
    """Return a netlink socket for netfilter. Raises UnavailableError where the kernel has none."""
    try:
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
    except OSError as error:
        raise UnavailableError(
            f"The kernel has no netlink interface for netfilter ({error.strerror}). Load it with "
            "'modprobe nf_conntrack_netlink'."
        ) from error
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    opened.settimeout(ANSWER_SECONDS)
    opened.bind((0, 0))
    return opened


def receive(source: socket.socket, buffer: bytearray | memoryview) -> int:
    """Put the next datagram into the buffer and give its length.

    Raises InterruptedDumpError where something was lost, DumpError where the kernel does not answer.
    """
    try:
        return _receive(source, buffer)
    except OSError as error:
        raise _typed(error.errno) from error


def send(destination: socket.socket, datagram: bytes | memoryview) -> None:
    """Send a datagram to the kernel. Raises DumpError where it does not take it, as ``receive`` does."""
    try:
        destination.send(datagram)
    except OSError as error:
        raise _typed(error.errno) from error


def _receive(source: socket.socket, buffer: bytearray | memoryview) -> int:
    """Put the next datagram into the buffer and give its length. Raises OSError, always with its errno."""
    try:
        length = source.recv_into(buffer, 0, socket.MSG_TRUNC)
    except socket.timeout as error:
        raise OSError(errno.ETIMEDOUT, "no answer") from error
    if length > len(buffer):
        raise OSError(errno.EMSGSIZE, "the datagram was cut")
    return length


def _typed(number: int | None) -> DumpError:
    """Return the error that an errno of the socket means for a dump."""
    if number == errno.ENOBUFS:
        return InterruptedDumpError("The kernel had no memory for its answer.")
    if number == errno.ETIMEDOUT:
        return DumpError(f"The kernel did not answer within {ANSWER_SECONDS:.0f} s. Run it again.")
    return DumpError(
        f"The kernel could not be asked, or its answer not be received: {os.strerror(number or errno.EIO)}."
    )


def datagrams(source: socket.socket) -> t.Iterator[bytes]:
    """Yield the datagrams of the dump that was asked for on the socket. Raises what ``receive`` raises."""
    buffer = bytearray(_DATAGRAM)
    ended = False
    while not ended:
        length = receive(source, buffer)
        ended = framing.ends_dump(buffer, length)
        yield bytes(memoryview(buffer)[:length])


@contextlib.contextmanager
def read_ahead(source: socket.socket) -> t.Iterator[t.Iterator[bytes]]:
    """Yield the same datagrams as ``datagrams``, received by another process. It is gone when the context is left.

    Raises OSError where there can be no other process.
    """
    with contextlib.ExitStack() as stack:
        ring = stack.enter_context(mmap.mmap(-1, _GROUPS * _GROUP * _DATAGRAM))
        filled, fill = _pipe(stack)
        freed, free = _pipe(stack)
        pid = os.fork()
        if pid == 0:
            _run(source, ring, fill, freed, (filled, free))
        stack.callback(_end, pid, (filled, free))
        fill.close()
        freed.close()
        yield _received(ring, filled, free)


def _pipe(stack: contextlib.ExitStack) -> tuple[io.FileIO, io.FileIO]:
    """Return the ends of a pipe, to read from and to write to, which are closed with the stack."""
    read, write = os.pipe()
    return stack.enter_context(io.FileIO(read, "rb")), stack.enter_context(io.FileIO(write, "wb"))


def _end(pid: int, pipes: t.Iterable[io.FileIO]) -> None:
    """Let the process end, which it does at its next use of a pipe, and wait for it."""
    for pipe in pipes:
        pipe.close()
    # Where SIGCHLD is ignored, the kernel has taken it away already.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _run(
    source: socket.socket, ring: mmap.mmap, fill: io.FileIO, freed: io.FileIO, others: t.Iterable[io.FileIO]
) -> t.NoReturn:
    """Receive the dump into the ring, group by group, and end the process. No cleaning up: that is the parent's."""
    try:
        forget()
        for pipe in others:
            pipe.close()
        for group in itertools.count():
            # An end of file means that the parent is gone.
            if group >= _GROUPS and not freed.read(1):
                break
            end, lengths = _receive_group(source, memoryview(ring), group % _GROUPS)
            fill.write(_TOKEN.pack(end, len(lengths), *lengths, *[0] * (_GROUP - len(lengths))))
            if end != _MORE:
                break
    finally:
        os._exit(0)


def _receive_group(source: socket.socket, ring: memoryview, group: int) -> tuple[int, list[int]]:
    """Fill a group of the ring. Return how it ended (see _TOKEN), and the length of each datagram."""
    lengths: list[int] = []
    for start in range(group * _GROUP * _DATAGRAM, (group + 1) * _GROUP * _DATAGRAM, _DATAGRAM):
        place = ring[start : start + _DATAGRAM]
        try:
            length = _receive(source, place)
        except OSError as error:
            return error.errno or errno.EIO, lengths
        lengths.append(length)
        if framing.ends_dump(place, length):
            return _ENDED, lengths
    return _MORE, lengths


def _received(ring: mmap.mmap, filled: io.FileIO, free: io.FileIO) -> t.Iterator[bytes]:
    """Yield the datagrams in the ring, and free each group after its last one. Raises what ``receive`` raises."""
    for group in itertools.count():
        token = filled.read(_TOKEN.size) or b""
        if len(token) < _TOKEN.size:
            raise DumpError("The process that received the kernel's answer has ended early. Run it again.")
        end, number, *lengths = _TOKEN.unpack(token)
        for at, length in enumerate(lengths[:number]):
            start = (group % _GROUPS * _GROUP + at) * _DATAGRAM
            yield ring[start : start + length]
        if end == _ENDED:
            return
        if end != _MORE:
            raise _typed(end)
        # The process ends once it has received all, while groups are still being used here.
        with contextlib.suppress(BrokenPipeError):
            free.write(b"x")
