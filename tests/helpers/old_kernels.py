# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernels that cannot be had: the other end of a netlink socket, which answers requests as an older ctnetlink does.

Written from net/netfilter/nf_conntrack_netlink.c of the versions that it names: what a kernel does not know, it ignores
in a request and leaves out of an answer. As there, **a delete without a tuple empties the table**.
"""

from __future__ import annotations

import dataclasses
import errno
import socket
import struct
import threading
import typing as t

from helpers.encoded_messages import Fields, attributes_of, done, entry_message, message

CT_NEW, CT_GET, CT_DELETE, CT_GET_STATS_CPU = 0x100, 0x101, 0x102, 0x104
CTA_TUPLE_ORIG, CTA_STATUS, CTA_TIMEOUT, CTA_MARK, CTA_ID, CTA_ZONE, CTA_MARK_MASK = 1, 3, 7, 8, 12, 18, 21
CTA_FILTER, CTA_STATUS_MASK = 25, 26
_CTNETLINK = 1
NLM_F_ACK, NLM_F_DUMP = 0x4, 0x300
NLMSG_ERROR = 2
OFFLOAD = 1 << 14

Version = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Release:
    """What a version of the kernel does."""

    name: str
    version: Version
    unsent: frozenset[str] = frozenset()
    """The fields of an entry that it does not send, because it has no attribute for them."""

    @property
    def attributes(self) -> int:
        """The largest attribute that it knows: larger ones are stepped over."""
        known = [(18, (2, 6)), (20, (3, 3)), (22, (3, 9)), (24, (4, 4)), (25, (5, 8)), (26, (5, 15))]
        return max(kind for kind, since in known if since <= self.version)


VYATTA = Release("2.6.32", (2, 6), frozenset({"labels", "start", "zone_original", "zone_reply", "secctx"}))
"""The kernel of the routers that the founding story is about."""

OLD = Release("4.19", (4, 19))
LONG_TERM = Release("5.4", (5, 4))
RELEASES = (VYATTA, OLD, LONG_TERM)


class OldKernel:
    """A table of ``entries``, as a ``release`` of the kernel shows and changes it, over sockets that it opens."""

    def __init__(self, release: Release, entries: t.Iterable[Fields], extra: bytes = b"") -> None:
        self.release = release
        self.extra = extra
        self.entries = [{name: value for name, value in one.items() if name not in release.unsent} for one in entries]
        self.asked: list[tuple[int, set[int]]] = []
        """The kind and the attributes of each request."""

        self.refused: set[int] = set()
        """Kinds of request that it answers with EOPNOTSUPP."""

    def open_socket(self) -> socket.socket:
        """Return a socket at whose other end this kernel is."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(10)
        threading.Thread(target=self._serve, args=(theirs,), daemon=True).start()
        return ours

    def ids(self) -> list[int]:
        return [one["id"] for one in self.entries]

    def _serve(self, end: socket.socket) -> None:
        with end:
            while datagram := end.recv(1 << 20):
                while datagram:
                    size = struct.unpack_from("=I", datagram)[0]
                    for answer in self._answers(datagram[:size]):
                        end.send(answer)
                    datagram = datagram[size + 3 & ~3 :]

    def _answers(self, request: bytes) -> t.Iterator[bytes]:
        _size, kind, flags, sequence = struct.unpack_from("=IHHI", request)
        sent = {kind & 0x3FFF: value for kind, value in map(_unpacked, attributes_of(request[20:]))}
        self.asked.append((kind, set(sent)))
        known = {number: value for number, value in sent.items() if number <= self.release.attributes}
        if kind >> 8 != _CTNETLINK:
            # A subsystem that is not there (nfnetlink_rcv_msg() in net/netfilter/nfnetlink.c).
            yield _error(request, errno.EINVAL)
        elif kind in self.refused:
            yield _error(request, errno.EOPNOTSUPP)
        elif kind == CT_GET and flags & NLM_F_DUMP == NLM_F_DUMP:
            chosen = (one for one in self.entries if self._passes(one, request[16], known))
            messages = [entry_message(one, more=self.extra, sequence=sequence) for one in chosen]
            # Two datagrams, as of a table that does not fit into one.
            yield from (b"".join(part) for part in (messages[:2], messages[2:]) if part)
            yield done(sequence=sequence)
        elif kind == CT_GET_STATS_CPU and self.release.version < (3, 6):
            yield _error(request, errno.EINVAL)
        elif kind in (CT_GET, CT_DELETE, CT_NEW):
            yield from self._one(request, kind, flags, known)
        else:
            raise AssertionError(f"no such request is known here: {kind:#x}")

    def _passes(self, one: Fields, family: int, known: t.Mapping[int, bytes]) -> bool:
        """Say whether a dump has the entry, as ctnetlink_filter_match() does, and its forerunners."""
        if self.release.version >= (4, 20) and family and not _is_of(one, family):
            return False
        if CTA_MARK in known and CTA_MARK_MASK in known:
            mark, mask = (int.from_bytes(known[kind], "big") for kind in (CTA_MARK, CTA_MARK_MASK))
            return int(one.get("mark") or 0) & mask == mark
        return True

    def _one(self, request: bytes, kind: int, flags: int, known: t.Mapping[int, bytes]) -> t.Iterator[bytes]:
        if CTA_TUPLE_ORIG not in known:
            # ctnetlink_flush_conntrack(), which no test may bring about.
            self.entries.clear()
            yield _error(request, 0)
            return
        found = [one for one in self.entries if names_one(one, known)]
        error = self._change(found[0], kind, known) if found else errno.ENOENT
        if not error and kind == CT_GET:
            yield entry_message(found[0], more=self.extra, sequence=struct.unpack_from("=I", request, 8)[0])
        if error or flags & NLM_F_ACK:
            yield _error(request, error)

    def _change(self, one: dict[str, t.Any], kind: int, known: t.Mapping[int, bytes]) -> int:
        if kind == CT_DELETE:
            if int.from_bytes(known.get(CTA_ID, b""), "big") != one["id"]:
                return errno.ENOENT
            if one.get("status", 0) & OFFLOAD:
                return errno.EBUSY
            self.entries.remove(one)
        elif kind == CT_NEW:
            for number, name in ((CTA_TIMEOUT, "remaining"), (CTA_MARK, "mark")):
                if number in known:
                    one[name] = int.from_bytes(known[number], "big")
        return 0


def _unpacked(one: bytes) -> tuple[int, bytes]:
    """Return the type of an attribute, and its value without padding."""
    size, kind = struct.unpack_from("=HH", one)
    return kind, one[4:size]


def _is_of(one: Fields, family: int) -> bool:
    return (socket.AF_INET6 if ":" in str(one.get("source", "")) else socket.AF_INET) == family


def names_one(one: Fields, known: t.Mapping[int, bytes]) -> bool:
    """Say whether the original tuple and the zone of a request are those of the entry."""
    encoded = entry_message({name: value for name, value in one.items() if name not in ("zone_reply",)})
    [own, *_others] = attributes_of(encoded[20:])
    zone = int.from_bytes(known.get(CTA_ZONE, b""), "big")
    return _unpacked(own)[1] == known[CTA_TUPLE_ORIG] and zone == (one.get("zone") or 0)


def _error(request: bytes, number: int) -> bytes:
    """Encode the answer to a request, which has all of the request behind its number: there is no NETLINK_CAP_ACK."""
    sequence = struct.unpack_from("=I", request, 8)[0]
    return message(NLMSG_ERROR, struct.pack("=i", -number) + request, flags=0, sequence=sequence)
