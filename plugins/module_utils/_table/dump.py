# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""One dump of the table: every entry once, in blocks, or an error where it was not whole."""

from __future__ import annotations

import collections
import contextlib
import errno
import itertools
import operator
import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    BECOME_ROOT,
    DumpError,
    InterruptedDumpError,
    NotPermittedError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.decoder import Decoder

_CHUNK_BYTES = 1 << 21
"""So many bytes of messages are made blocks at once: fewer rows in a block cost more time each, more save little."""

_BLOCK_BYTES = 1 << 18
"""So long are blocks at least on average, where a sender makes many layouts, by many protocols."""

_MOST_CHUNK_BYTES = 1 << 23

_KEPT_BYTES = 1 << 22

# What the copies of an entry share and other entries hardly ever do: the original tuple (with more behind it of IPv4).
_key = operator.itemgetter(slice(framing.ATTRIBUTES_AT, 96))


def blocks(datagrams: t.Iterable[bytes], sequence: int, chain: int) -> t.Iterator[Block]:
    """Yield the entries in the datagrams that answer the request ``sequence``, each entry once.

    ``chain`` is the length of the longest hash chain that there can be. Raises InterruptedDumpError where the dump was
    not whole, MalformedError for bytes that cannot be decoded, and the error that the kernel answered.
    """
    _keep_memory()
    splitter = framing.Splitter()
    decoder = Decoder(sequence)
    recent = _Recent(decoder, chain)
    chunk: list[bytes] = []
    size, enough = 0, _CHUNK_BYTES
    ended = False
    for datagram in datagrams:
        runs = splitter.runs(datagram)
        if framing.ends_dump(datagram, len(datagram)):
            runs, ended = _without_end(runs)
        chunk += recent.new(runs)
        size += len(datagram)
        if size >= enough:
            made = 0
            for block in decoder.blocks(chunk):
                made += 1
                yield block
            chunk, size = [], 0
            enough = min(max(_CHUNK_BYTES, made * _BLOCK_BYTES), _MOST_CHUNK_BYTES)
    yield from decoder.blocks(chunk)
    if not ended:
        raise InterruptedDumpError("The kernel's answer broke off.")


def _keep_memory() -> None:
    """Let the C library keep memory that is free, and not give it back to the kernel after each block.

    To get it again, page by page, takes a tenth of a dump's time. Once something large was freed, glibc keeps twice as
    much (M_MMAP_THRESHOLD in mallopt(3)). It is never written to, so that it takes no memory.
    """
    with contextlib.suppress(MemoryError):
        bytes(_KEPT_BYTES)


def _without_end(runs: list[bytes]) -> tuple[list[bytes], bool]:
    """Return the runs before the message that ends the dump, and whether it is there. Raises the kernel's error."""
    if runs and _is_end(runs[-1], next(framing.messages(runs[-1]))):
        return runs[:-1], True
    return runs, False


def _is_end(datagram: bytes, message: framing.Message) -> bool:
    """Say whether the message ends a dump. Raises the error that the kernel answered."""
    if message.type not in (_uapi.NLMSG_DONE, _uapi.NLMSG_ERROR):
        return False
    raise_for(framing.error_of(datagram[message.start : message.end]))
    if message.flags & _uapi.NLM_F_DUMP_INTR:
        raise InterruptedDumpError("The table was changed too much while it was read.")
    return True


class _Recent:
    """Tells the copies of entries.

    The kernel continues a dump at the entry that did not fit into the datagram before. If that entry has vanished
    since, it repeats the hash chain from its start (ctnetlink_dump_table() in net/netfilter/nf_conntrack_netlink.c), so
    that copies are among the first rows of a datagram, of entries that were among the last rows before it.
    """

    def __init__(self, decoder: Decoder, chain: int) -> None:
        self._decoder = decoder
        self._chain = chain
        self._last: collections.deque[bytes] = collections.deque(maxlen=chain)

    def new(self, runs: list[bytes]) -> list[bytes]:
        """Return the messages of the next datagram without copies."""
        first = itertools.islice(_rows(runs), self._chain)
        if not set(map(_key, self._last)).isdisjoint(map(_key, first)):
            runs = [row for row in _rows(runs) if not self._is_copy(row)]
        last = list(itertools.islice(_rows_backwards(runs), self._chain))
        self._last.extend(reversed(last))
        return runs

    def _is_copy(self, row: bytes) -> bool:
        key, identity = _key(row), self._identity(row)
        return any(self._identity(other) == identity for other in self._last if _key(other) == key)

    def _identity(self, row: bytes) -> bytes:
        return self._decoder.layout_of(row).identity_of(row)


def _rows(runs: t.Iterable[bytes]) -> t.Iterator[bytes]:
    for run in runs:
        size = framing.size_of(run)
        for start in range(0, len(run), size):
            yield run[start : start + size]


def _rows_backwards(runs: t.Sequence[bytes]) -> t.Iterator[bytes]:
    for run in reversed(runs):
        size = framing.size_of(run)
        for start in range(len(run) - size, -1, -size):
            yield run[start : start + size]


def raise_for(number: int) -> None:
    """Raise the error that the kernel's errno means. 0 is none."""
    if number == 0:
        return
    if number in (errno.EPERM, errno.EACCES):
        raise NotPermittedError(f"Reading the connection-tracking table needs root (CAP_NET_ADMIN). {BECOME_ROOT}")
    if number in (errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT):
        raise UnavailableError(
            f"The kernel cannot show its connection-tracking table ({os.strerror(number)}). Load the interface with "
            "'modprobe nf_conntrack_netlink'."
        )
    raise DumpError(f"The kernel ended the reading of the table with an error ({os.strerror(number)}). Run it again.")
