# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Entries as the lines that ``conntrack -L -o save`` of conntrack-tools 1.4.7 prints, and ``conntrack -R`` takes.

They differ from the tool's own (ct_save_snprintf() in src/conntrack.c), so that more of an entry is restored:

* The mark, if it is not 0, is at the end: ``-m MARK``. The tool leaves it out and takes it.
* What the tool cannot take is in a comment right before the entry's line: ``# labels=0x20 helper=ftp``. It has only
  those that the entry has. Labels are the bitmap as one hexadecimal number, in which bit n is label n: 0x20 is label 5.
  ``reply-icmp-id=7`` is the id of a reply of ICMP, where the translation has made it another one.
* EXPECTED is left out of the status. The kernel makes no entry with it (EBUSY), at which the tool would stop.
* An offloaded entry has neither a timeout nor a state of TCP, and the tool takes no line without them. It gets the
  timeout of the sysctls, as the kernel gives it one when it is offloaded no more (flow_offload_fixup_ct() in
  net/netfilter/nf_flow_table_core.c), and is ESTABLISHED.

The tool refuses one kind of line that it prints itself: DCCP or SCTP without a state, where the kernel does not track
that protocol. A file of these lines begins with ``first_line`` and ends with ``last_line``, which are comments, too.
"""

from __future__ import annotations

import re
import socket
import time
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry, label_bits
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import TIMEOUT_FIELDS, longest_timeout
from ansible_collections.netops.conntrack.plugins.module_utils._files.run_directory import boot_id
from ansible_collections.netops.conntrack.plugins.module_utils._query import column_texts
from ansible_collections.netops.conntrack.plugins.module_utils._query.column_texts import Part
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Layout
from ansible_collections.netops.conntrack.plugins.module_utils._table.memo import Memo

_NANOSECONDS = 1_000_000_000

_STATUS = {bit: _uapi.STATUS_NAMES[bit] for bit in (_uapi.SEEN_REPLY, _uapi.ASSURED, _uapi.FIXED_TIMEOUT)}
"""The bits of the status that an entry can be made with, in the tool's order."""

_WORD_FIELDS = TIMEOUT_FIELDS | {
    "zone",
    "zone_original",
    "zone_reply",
    "vtag_original",
    "vtag_reply",
    "dccp_role",
    "mark",
}
"""The fields that have few values in a table, mostly. What they make of a line is remembered."""

_PORTS = {
    "source_port": " --sport ",
    "destination_port": " --dport ",
    "reply_source_port": " --reply-port-src ",
    "reply_destination_port": " --reply-port-dst ",
}
_KEYS = {
    "source_port": " --srckey ",
    "destination_port": " --dstkey ",
    "reply_source_port": " --reply-key-src ",
    "reply_destination_port": " --reply-key-dst ",
}
_ICMP = {"icmp_type": " --icmp-type ", "icmp_code": " --icmp-code ", "icmp_id": " --icmp-id "}
_ICMPV6 = {field: option.replace("icmp", "icmpv6") for field, option in _ICMP.items()}
_UNSAFE = re.compile(r"[^!-~]")
"""What a word of a line cannot have."""


def first_line(context: Context) -> str:
    """Return the comment that begins a file: the time that the timeouts in it count from, and the boot.

    The time is there for people, in UTC, and as seconds since the epoch. A router without a boot id has an empty one.
    When the entries were read that somebody else wrote to a file is unknown.
    """
    if context.unlisted:
        return "# netops.conntrack backup 1 at=unknown"
    seconds = context.now // _NANOSECONDS
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    return f"# netops.conntrack backup 1 at={at} seconds={seconds} boot={boot_id()}"


def last_line(number: int) -> str:
    """Return the comment that ends a file of so many entries. Without it, the file is not whole."""
    return f"# complete {number}"


class _Words(t.NamedTuple):
    """What a line says of the status and the zone, and of the state, the tags, the role and the mark."""

    head: str
    tail: str


def _words_of(entry: Entry, timeout: int | None = None) -> _Words:
    """Return the words of an entry. ``timeout`` is that of one which the kernel lists without."""
    head, tail = _head(entry, timeout), _tail(entry)
    return _Words("".join(f" {word}" for word in head), "".join(f" {word}" for word in tail))


def _head(entry: Entry, timeout: int | None) -> t.Iterator[str]:
    if timeout is not None:
        yield f"-t {timeout}"
    if entry.status is not None:
        bits = [name for bit, name in _STATUS.items() if entry.status & bit]
        yield f"-u {','.join(bits) or 'UNSET'}"
    if entry.zone_original is None and entry.zone_reply is None and entry.zone:
        yield f"-w {entry.zone}"
    if entry.zone_original is not None:
        yield f"--orig-zone {entry.zone_original}"
    if entry.zone_reply is not None:
        yield f"--reply-zone {entry.zone_reply}"


def _tail(entry: Entry) -> t.Iterator[str]:
    if entry.state_name is not None:
        yield f"--state {entry.state_name}"
    if entry.vtag_original is not None:
        yield f"--orig-vtag {_tag(entry.vtag_original)}"
    if entry.vtag_reply is not None:
        yield f"--reply-vtag {_tag(entry.vtag_reply)}"
    if entry.dccp_role in _uapi.DCCP_ROLE_NAMES:
        yield f"--role {_uapi.DCCP_ROLE_NAMES[entry.dccp_role]}"
    if entry.mark:
        yield f"-m {entry.mark}"


def _tag(number: int) -> int:
    """Return a verification tag as the tool prints it and takes it: with its bytes turned round on most machines."""
    return socket.ntohl(number)


def _comment(labels: int, helper: str | None, reply_id: int | None) -> str:
    """Return the line before that of an entry which has labels, a helper or a translated id, "" for others."""
    words = [f"labels={labels:#x}"] if labels else []
    if helper is not None:
        # The name is that of a module, or of a program of root's. It cannot make a line of its own.
        words.append(f"helper={_UNSAFE.sub('?', helper)}")
    if reply_id is not None:
        words.append(f"reply-icmp-id={reply_id}")
    return f"# {' '.join(words)}\n" if words else ""


def _numbers_of(protocol: int) -> dict[str, str]:
    """Return the options for the numbers of both tuples, by field."""
    if protocol in _uapi.PORT_PROTOCOLS:
        return _PORTS
    if protocol == _uapi.GRE:
        return _KEYS
    return {_uapi.ICMP: _ICMP, _uapi.ICMPV6: _ICMPV6}.get(protocol, {})


def _numbers(block: Block, texts: t.Mapping[str, str]) -> t.Iterator[Part]:
    """Yield the parts for numbers of at most 16 bits, each after its text.

    Without NAT, the numbers of the reply are those of the original tuple. Such columns are made texts once.
    """
    made: dict[tuple[int, bytes], Part] = {}
    for field, text in texts.items():
        start, end, _encoding = block.layout.fields[field]
        column = end - start, block.word_columns(field)[0].tobytes()
        if column not in made:
            made[column] = column_texts.number(block, field)
        yield text
        yield made[column]


class _Translation(t.NamedTuple):
    """An address of the reply tuple, which is one of the original tuple unless it was translated.

    ``done`` is the bit of the status that is set then, and ``translated`` the option for such an address (see
    __getobjopt_is_snat() in src/conntrack/objopt.c of libnetfilter_conntrack).
    """

    reply: str
    original: str
    done: int
    plain: str
    translated: str

    def parts(self, block: Block, parts_of_original: list[Part]) -> list[Part]:
        """Return the option, and what makes the address."""
        if block.word_columns(self.reply) == block.word_columns(self.original):
            return [self.plain, *parts_of_original]
        rows = zip(block.column("status"), block.byte_strings(self.reply), block.byte_strings(self.original))
        options = [self.translated if (bits or 0) & self.done and one != two else self.plain for bits, one, two in rows]
        return [options, *column_texts.address(block, self.reply)]


_DESTINATION_NAT = _Translation("reply_source", "destination", _uapi.DST_NAT_DONE, " -r ", " -g ")
_SOURCE_NAT = _Translation("reply_destination", "source", _uapi.SRC_NAT_DONE, " -q ", " -n ")


def _translated_ids(block: Block) -> t.Iterator[int | None]:
    """Yield the id of each reply of ICMP that is not the one of the original tuple, None for others."""
    for original, reply in zip(block.column("icmp_id"), block.column("reply_icmp_id")):
        yield None if reply == original else reply


class _Template:
    """The lines of the entries of one layout."""

    def __init__(self, layout: Layout, context: Context) -> None:
        self._layout = layout
        self._settings = context.settings
        protocol = layout.constants["protocol"]
        self._name = f" -p {_uapi.PROTOCOL_NAMES.get(protocol, protocol)}"
        self._is_timed = "remaining" in layout.fields
        self._numbers = {field: text for field, text in _numbers_of(protocol).items() if field in layout.fields}
        self._varying = sorted(_WORD_FIELDS & layout.fields.keys())
        words_of = _words_of if self._is_timed else self._words_without_timeout
        self._words_of: Memo[tuple[str, ...]] = Memo(_WORD_FIELDS, words_of)

    def lines(self, block: Block) -> list[str]:
        """Return the line of each entry of the block, with the comment before it."""
        if not len(block):
            return []
        return column_texts.joined(self._parts(block), len(block))

    def _parts(self, block: Block) -> t.Iterator[Part]:
        source, destination = column_texts.address(block, "source"), column_texts.address(block, "destination")
        head, tail = column_texts.words(block, self._words_of, self._varying)
        yield self._beginnings(block)
        if self._is_timed:
            yield list(map(str, block.column("remaining")))
        yield head
        yield " -s "
        yield from source
        yield " -d "
        yield from destination
        yield from _DESTINATION_NAT.parts(block, destination)
        yield from _SOURCE_NAT.parts(block, source)
        yield self._name
        yield from _numbers(block, self._numbers)
        yield tail

    def _beginnings(self, block: Block) -> Part:
        """Return what is before the timeout of each row, with the comment."""
        beginning = "-A -t " if self._is_timed else "-A"
        if not self._layout.fields.keys() & {"labels", "helper", "reply_icmp_id"}:
            return beginning
        comments = map(
            _comment, map(label_bits, block.column("labels")), block.column("helper"), _translated_ids(block)
        )
        return [f"{comment}{beginning}" for comment in comments]

    def _words_without_timeout(self, entry: Entry) -> _Words:
        """Return the words of an entry without a timeout. Of an offloaded one, those that it gets afterwards."""
        if not (entry.status or 0) & (_uapi.OFFLOAD | _uapi.HW_OFFLOAD):
            return _words_of(entry)
        if entry.protocol == _uapi.TCP and entry.state is None:
            entry = Entry(**{**vars(entry), "state": _uapi.STATE_NAMES[_uapi.TCP].index("ESTABLISHED")})
        return _words_of(entry, longest_timeout(entry, self._settings))


class SaveLines:
    """Gives the lines of blocks. What it learns of a layout is kept for the next block."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._templates: dict[Layout, _Template] = {}

    def __call__(self, block: Block) -> list[str]:
        """Return the line of each entry of the block. Where an entry has a comment, it is two lines."""
        template = self._templates.get(block.layout)
        if template is None:
            template = self._templates[block.layout] = _Template(block.layout, self._context)
        return template.lines(block)
