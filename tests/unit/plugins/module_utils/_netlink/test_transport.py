# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Receiving datagrams, in this process and in another one; a pair of sockets stands in for the kernel's."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import DumpError, InterruptedDumpError
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import transport
from helpers.encoded_messages import attribute, done, entry_message
from helpers.support import left_over

ENTRY = entry_message({"source_port": 1, "destination_port": 2})
LARGEST = 32768

Reader = t.Callable[[t.Any], t.ContextManager[t.Iterator[bytes]]]


@contextlib.contextmanager
def here(source: socket.socket) -> t.Iterator[t.Iterator[bytes]]:
    yield transport.datagrams(source)


READERS = pytest.mark.parametrize("reader", [here, transport.read_ahead])


@pytest.fixture
def pair() -> t.Iterator[tuple[socket.socket, socket.socket]]:
    """Yield a socket to send from, and one to receive at."""
    with contextlib.ExitStack() as stack:
        sender, receiver = map(stack.enter_context, socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
        receiver.settimeout(0.3)
        yield sender, receiver


Pair = tuple[socket.socket, socket.socket]


@READERS
@pytest.mark.parametrize("number", [0, 1, 6, 7, 8, 9])
def test_all_datagrams_up_to_the_end(pair: Pair, reader: Reader, number: int) -> None:
    sent = [ENTRY * (1 + turn) for turn in range(number)] + [ENTRY + done()]
    for datagram in sent:
        pair[0].send(datagram)
    with reader(pair[1]) as datagrams:
        assert list(datagrams) == sent


@READERS
def test_the_largest_datagram(pair: Pair, reader: Reader) -> None:
    sent = ENTRY + bytes(LARGEST - len(ENTRY) - 20) + done()
    pair[0].send(sent)
    with reader(pair[1]) as datagrams:
        assert list(datagrams) == [sent]


@READERS
def test_an_error_ends_it(pair: Pair, reader: Reader) -> None:
    error = b"\x24\0\0\0\2\0\0\0" + bytes(28)
    pair[0].send(error)
    with reader(pair[1]) as datagrams:
        assert list(datagrams) == [error]


@READERS
def test_what_only_looks_like_the_end_does_not_end_it(pair: Pair, reader: Reader) -> None:
    sent = entry_message({}, more=attribute(99, done()))
    for datagram in (sent, ENTRY, done()):
        pair[0].send(datagram)
    with reader(pair[1]) as datagrams:
        assert list(datagrams) == [sent, ENTRY, done()]


@READERS
def test_a_datagram_that_is_too_large(pair: Pair, reader: Reader) -> None:
    pair[0].send(ENTRY)
    pair[0].send(bytes(LARGEST + 1))
    with reader(pair[1]) as datagrams:
        assert next(datagrams) == ENTRY
        with pytest.raises(DumpError, match="its answer not be received") as caught:
            next(datagrams)
    assert not isinstance(caught.value, InterruptedDumpError)


@READERS
def test_no_answer(pair: Pair, reader: Reader) -> None:
    pair[0].send(ENTRY)
    with reader(pair[1]) as datagrams:
        assert next(datagrams) == ENTRY
        with pytest.raises(DumpError, match="did not answer within 30 s") as caught:
            next(datagrams)
    assert not isinstance(caught.value, InterruptedDumpError)


class Broken:
    """A socket with two datagrams and then an error."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._left = 2

    def recv_into(self, buffer: memoryview, _size: int, _flags: int) -> int:
        if not self._left:
            raise OSError(self._number, os.strerror(self._number))
        self._left -= 1
        buffer[: len(ENTRY)] = ENTRY
        return len(ENTRY)


@READERS
@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOBUFS, InterruptedDumpError), (errno.ENOMEM, DumpError), (errno.EBADF, DumpError)]
)
def test_errors_of_the_socket(reader: Reader, number: int, kind: type[DumpError]) -> None:
    with reader(Broken(number)) as datagrams:
        assert [next(datagrams), next(datagrams)] == [ENTRY, ENTRY]
        with pytest.raises(DumpError) as caught:
            next(datagrams)
    assert caught.type is kind


@pytest.mark.parametrize("taken", [0, 1, 20])
def test_nothing_is_left_over(pair: Pair, taken: int) -> None:
    before = left_over()
    for datagram in (ENTRY, ENTRY, done()):
        pair[0].send(datagram)
    with transport.read_ahead(pair[1]) as datagrams:
        for _datagram, _turn in zip(datagrams, range(taken)):
            pass
    assert left_over() == before


def test_where_there_can_be_no_process(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> t.NoReturn:
        raise OSError(errno.EAGAIN, "no more processes")

    before = left_over()
    monkeypatch.setattr(os, "fork", fails)
    with pytest.raises(OSError, match="no more processes"), transport.read_ahead(pair[1]):
        pass
    assert left_over() == before
