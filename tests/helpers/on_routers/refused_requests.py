# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at each netlink request before it is sent, and refuses one that would empty a table.

A DELETE without a tuple deletes all entries of the network namespace. None may ever be sent by the collection, so this
is in the process of the tests (tests/conftest.py), and in those of modules (sitecustomize.py). What is refused is
written to the file that RECORDED_REQUESTS names as well, and fails the whole run, so nothing that handles the error can
hide it.
"""

from __future__ import annotations

import os
import socket
import struct
import typing as t

VARIABLE = "RECORDED_REQUESTS"

_NETLINK = getattr(socket, "AF_NETLINK", None)
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ATTRIBUTES_AT = 20
_TYPE_MASK = 0x3FFF
_is_installed = False

_REFUSED = {
    0x102: ("a delete of entries without a tuple, which empties the table", {1, 2}),
    0x103: ("a listing of entries that zeroes their counters", set()),
    0x202: ("a delete of expectations without a tuple, which empties their table", {2}),
    0x802: ("a delete of timeout policies without a name, which removes all that are not in use", {1}),
}
"""By the type of the message, what it is without one of these attributes. See linux/netfilter/nfnetlink_*.h."""


class RefusedRequestError(BaseException):
    """A request that would empty a table was about to be sent. It is no ``Exception``, so that nobody handles it."""


def faults(datagram: bytes) -> t.Iterator[str]:
    """Yield what is wrong with the requests in a datagram."""
    while len(datagram) >= _HEADER.size:
        size, kind, _flags, _sequence, _port = _HEADER.unpack_from(datagram)
        if kind in _REFUSED:
            what, needed = _REFUSED[kind]
            if not needed & set(_attributes(datagram[_ATTRIBUTES_AT:size])):
                yield what
        datagram = datagram[max(_HEADER.size, size + 3 & ~3) :]


def _attributes(data: bytes) -> t.Iterator[int]:
    """Yield the types of the attributes that have a value. What is malformed counts as not there."""
    while len(data) > _ATTRIBUTE.size:
        size, kind = _ATTRIBUTE.unpack_from(data)
        if not _ATTRIBUTE.size < size <= len(data):
            return
        yield kind & _TYPE_MASK
        data = data[size + 3 & ~3 :]


def _look_at(sender: socket.socket, data: t.Any) -> None:
    if sender.family != _NETLINK:
        return
    for what in faults(bytes(data)):
        path = os.environ.get(VARIABLE)
        if path:
            with open(path, "a", encoding="utf-8") as record:
                record.write(f"{os.environ.get('PYTEST_CURRENT_TEST', 'a process')}: {what}\n")
        raise RefusedRequestError(what)


def install() -> None:
    """Look at what any socket of this process sends, from now on."""
    global _is_installed
    if _is_installed:
        return
    _is_installed = True
    send, sendto, sendall, sendmsg = (getattr(socket.socket, name) for name in ("send", "sendto", "sendall", "sendmsg"))

    def guarded_send(self: socket.socket, data: t.Any, *args: t.Any) -> t.Any:
        _look_at(self, data)
        return send(self, data, *args)

    def guarded_sendto(self: socket.socket, data: t.Any, *args: t.Any) -> t.Any:
        _look_at(self, data)
        return sendto(self, data, *args)

    def guarded_sendall(self: socket.socket, data: t.Any, *args: t.Any) -> t.Any:
        _look_at(self, data)
        return sendall(self, data, *args)

    def guarded_sendmsg(self: socket.socket, buffers: t.Any, *args: t.Any) -> t.Any:
        parts = list(buffers)
        _look_at(self, b"".join(map(bytes, parts)))
        return sendmsg(self, parts, *args)

    guarded = {"send": guarded_send, "sendto": guarded_sendto, "sendall": guarded_sendall, "sendmsg": guarded_sendmsg}
    for name, function in guarded.items():
        setattr(socket.socket, name, function)


def install_if_recorded() -> None:
    """Do so in a program that a run of the tests started."""
    if VARIABLE in os.environ:
        install()
