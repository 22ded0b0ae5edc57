# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The connection-tracking table of the network namespace that the process is in, over one netlink socket.

The socket is a plain one: dumps are decoded as they stream in, which pyroute2's sockets do not offer.
"""

from __future__ import annotations

import collections
import errno
import os
import socket
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _wire
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    DumpError,
    NotPermittedError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._settings import read_settings

_NETLINK_NETFILTER = 12  # linux/netlink.h
_DATAGRAM = 65536  # the kernel fills at most 32 KiB of a dump's datagram (net/netlink/af_netlink.c)
_RECEIVE_BUFFER = 1 << 20
_ANSWER_SECONDS = 30.0
_ATTEMPTS = 5
_BATCH = 64
"""Deletes in one datagram. An error's answer takes 832 bytes of the receive buffer, so a whole batch of them fits."""

Target = tuple[int, bytes]
"""What names an entry in a delete: its family, and its identity (see _wire.Entry)."""

Result = t.TypeVar("Result")


class _InterruptedError(Exception):
    """The dump cannot be trusted to be whole; it has to be started again."""


class Table:
    """The table as it can be read and changed. A context manager, which closes the socket.

    Raises UnavailableError where the kernel tracks no connections, NotPermittedError without CAP_NET_ADMIN.
    """

    def __init__(self) -> None:
        if not read_settings():
            raise UnavailableError(
                "nf_conntrack is not there: the kernel tracks no connections. Load it with 'modprobe nf_conntrack' "
                "(a firewall rule that matches on ct state loads it too)."
            )
        self._socket = _open_socket()
        self._buffer = bytearray(_DATAGRAM)
        self._sequence = 0

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *_unused: object) -> None:
        self._socket.close()

    def read(self, collect: t.Callable[[t.Iterator[_wire.Entry]], Result]) -> Result:
        """Give what ``collect`` makes of the entries of one whole dump, both families, each entry once.

        A dump that was disturbed is thrown away, and ``collect`` is called anew with the entries of another.
        Raises DumpError when none of five dumps was whole, MalformedError for bytes that cannot be decoded.
        """
        for _attempt in range(_ATTEMPTS):
            try:
                return collect(self._entries())
            except _InterruptedError:
                # Closing is the one way to end a dump early.
                self._socket.close()
                self._socket = _open_socket()
        raise DumpError(
            f"The table could not be read as a whole in {_ATTEMPTS} attempts: its hash table was being resized, or "
            "the kernel had no memory for the answer. Nothing was changed; run it again."
        )

    def delete(self, targets: t.Sequence[Target]) -> list[int]:
        """Delete each target and give its errno, in order: 0 is deleted, ENOENT was gone (or replaced) already."""
        outcome: list[int] = []
        for start in range(0, len(targets), _BATCH):
            outcome += self._delete_batch(targets[start : start + _BATCH])
        return outcome

    def cpu_stats(self) -> list[tuple[int, dict[str, int]]]:
        """Give number and counters of each processor; the counters have 32 bits and wrap."""
        messages = self._dump(_wire.CT_GET_STATS_CPU)
        return sorted((_wire.decode_cpu_stats(self._buffer, message) for message in messages), key=lambda item: item[0])

    def _entries(self) -> t.Iterator[_wire.Entry]:
        buckets = read_settings().get("buckets")
        recent = _Recent()
        for message in self._dump(_wire.CT_GET, started=recent.next_datagram):
            entry = _wire.decode_entry(self._buffer, message)
            if recent.is_new(entry):
                yield entry
        if read_settings().get("buckets") != buckets:
            raise _InterruptedError

    def _dump(self, kind: int, started: t.Callable[[], None] = lambda: None) -> t.Iterator[_wire.Message]:
        """Give the messages of a dump, each valid until the next; ``started`` is called at each new datagram."""
        sequence = self._send_request(kind)
        while True:
            length = self._receive()
            started()
            for message in _wire.messages(self._buffer, length):
                if message.sequence != sequence:
                    continue
                if message.flags & _wire.NLM_F_DUMP_INTR:
                    raise _InterruptedError
                if message.type in (_wire.NLMSG_DONE, _wire.NLMSG_ERROR):
                    _raise_for(_wire.error_of(self._buffer, message))
                    return
                yield message

    def _send_request(self, kind: int) -> int:
        self._sequence += 1
        self._socket.send(_wire.encode_request(kind, _wire.NLM_F_DUMP, self._sequence))
        return self._sequence

    def _receive(self) -> int:
        try:
            length = self._socket.recv_into(self._buffer)
        except socket.timeout as error:
            raise DumpError(f"The kernel did not answer within {_ANSWER_SECONDS:.0f} s. Run it again.") from error
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                raise _InterruptedError from error
            raise
        return length

    def _delete_batch(self, targets: t.Sequence[Target]) -> list[int]:
        """Delete up to a batch: only errors answer, and the last message, whose answer closes the batch."""
        first = self._sequence + 1
        self._sequence += len(targets)
        datagram = b"".join(
            _wire.encode_delete(family, identity, _wire.NLM_F_ACK if number == self._sequence else 0, number)
            for number, (family, identity) in enumerate(targets, first)
        )
        self._socket.send(datagram)
        outcome = [0] * len(targets)
        while True:
            try:
                length = self._receive()
            except _InterruptedError as error:
                raise ConntrackError(
                    "Answers of the kernel to deletes were lost for want of memory, so that they cannot be counted."
                ) from error
            for message in _wire.messages(self._buffer, length):
                if message.type == _wire.NLMSG_ERROR and first <= message.sequence <= self._sequence:
                    outcome[message.sequence - first] = _wire.error_of(self._buffer, message)
                    if message.sequence == self._sequence:
                        return outcome


class _Recent:
    """Tells an entry that comes again. A dump repeats the entries of a hash chain when the one at which a datagram
    ended has vanished since, so that only the datagrams just before can hold the first copy.
    """

    def __init__(self) -> None:
        self._datagrams: collections.deque[set[Target]] = collections.deque([set()], maxlen=3)

    def next_datagram(self) -> None:
        self._datagrams.append(set())

    def is_new(self, entry: _wire.Entry) -> bool:
        key = (entry.family, entry.identity)
        if any(key in datagram for datagram in self._datagrams):
            return False
        self._datagrams[-1].add(key)
        return True


def _open_socket() -> socket.socket:
    try:
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
    except OSError as error:
        raise UnavailableError(
            f"The kernel has no netlink interface for netfilter ({error.strerror}). Load it with "
            "'modprobe nf_conntrack_netlink'."
        ) from error
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    opened.settimeout(_ANSWER_SECONDS)
    opened.bind((0, 0))
    return opened


def _raise_for(number: int) -> None:
    """Raise the error that the kernel's errno means; 0 is none."""
    if number == 0:
        return
    if number in (errno.EPERM, errno.EACCES):
        raise NotPermittedError("Reading the connection-tracking table needs root (CAP_NET_ADMIN). Set become: true.")
    if number in (errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT):
        raise UnavailableError(
            f"The kernel cannot show its connection-tracking table ({os.strerror(number)}). Load the interface with "
            "'modprobe nf_conntrack_netlink'."
        )
    raise DumpError(f"The kernel ended the reading of the table with an error ({os.strerror(number)}). Run it again.")
