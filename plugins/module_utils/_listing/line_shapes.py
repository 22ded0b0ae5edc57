# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What a line says about the words of all lines that are like it.

Lines that differ in their digits only have the same words in the same order, so one of them is looked at word by word,
and the shape that is learned holds for all of them. There is no other way to read a line.

The formats are those of /proc/net/ip_conntrack and nf_conntrack (ct_seq_show() in ip_conntrack_standalone.c and
nf_conntrack_standalone.c of the kernel), and those of conntrack(8) (src/conntrack/snprintf_default.c and snprintf_xml.c
in libnetfilter_conntrack). This file has the lines that both have in common. ``markup_shapes`` has the others.
"""

from __future__ import annotations

import dataclasses
import socket
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi

_SEPARATORS = bytes.maketrans(b'=<>"', b"    ")
"""What is between the words of a line besides spaces, as spaces."""

FAMILIES = {"ipv4": int(socket.AF_INET), "ipv6": int(socket.AF_INET6)}
_FAMILY_NUMBERS = {"ipv4": "2", "ipv6": "10"}
_MOST_PROTOCOL = 255

_TUPLE_WORDS = {
    "src": "source",
    "dst": "destination",
    "sport": "source_port",
    "dport": "destination_port",
    "srckey": "source_port",
    "dstkey": "destination_port",
    "type": "icmp_type",
    "code": "icmp_code",
}
"""The words of a direction's tuple, and the fields that they give."""

_DIRECTIONS = {
    1: {"packets": "packets_original", "bytes": "bytes_original", "zone-orig": "zone_original"},
    2: {"packets": "packets_reply", "bytes": "bytes_reply", "zone-reply": "zone_reply"},
}

_OWN_WORDS = {
    "mark": "mark",
    "zone": "zone",
    "delta-time": "start",
    "helper": "helper",
    "secctx": "secctx",
    "use": "use",
    "id": "id",
    "labels": "labels",
}
"""The words about the entry as a whole."""

_FLAGS = {
    "[UNREPLIED]": 0,
    "[ASSURED]": _uapi.ASSURED,
    "[OFFLOAD]": _uapi.OFFLOAD,
    "[HW_OFFLOAD]": _uapi.HW_OFFLOAD,
}

_NOT_ONLY_DIGITS = frozenset({"helper", "secctx", "labels"})
"""The fields whose values are texts."""

_PRIVATE = ("timeout", "stream_timeout")
"""What /proc shows of a GRE entry besides: the timeouts that it was made with."""


@dataclasses.dataclass
class Shape:
    """What lines have in common that differ in their digits, their addresses and names only.

    ``words`` has the number of each field's word. ``labels`` are those of the labels, which may be several. ``values``
    are the fields that are the same in all of these lines. ``fixed`` are the words that have to be the same, although
    they may have digits. ``only_digits`` says that all other words are numbers and IPv4 addresses. ``places`` has for
    the number of a word its place among those that a line is split into.
    """

    family: int = 0
    protocol: int = 0
    status: int = _uapi.SEEN_REPLY
    words: dict[str, int] = dataclasses.field(default_factory=dict)
    labels: tuple[int, ...] = ()
    values: dict[str, int] = dataclasses.field(default_factory=dict)
    fixed: dict[int, str] = dataclasses.field(default_factory=dict)
    only_digits: bool = True
    places: dict[int, int] = dataclasses.field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether there is what every entry has: the addresses of both directions, and both numbers of a tuple."""
        pairs = (
            ("source_port", "destination_port"),
            ("reply_source_port", "reply_destination_port"),
            ("packets_original", "bytes_original"),
            ("packets_reply", "bytes_reply"),
        )
        addresses = ("source", "destination", "reply_source", "reply_destination")
        return all(name in self.words for name in addresses) and all(
            (one in self.words) == (other in self.words) for one, other in pairs
        )

    def set_protocol(self, name: str, number: str, place: int) -> bool:
        """Note the protocol, whose number is the word ``place``. Return whether name and number are the same one's."""
        if not number.isdigit() or int(number) > _MOST_PROTOCOL:
            return False
        self.protocol = int(number)
        self.fixed[place] = number
        # Kernels do not name each protocol that the tool names, nor the tool those that a vendor's kernel knows.
        known = _uapi.PROTOCOL_NAMES.get(self.protocol)
        return name in (known, "unknown") or (known is None and name not in _uapi.PROTOCOL_NAMES.values())

    def set_state(self, name: str) -> bool:
        """Note the protocol's state. Return whether the protocol has one of this name."""
        names = _uapi.STATE_NAMES.get(self.protocol, ())
        if name not in names:
            return False
        self.values["state"] = names.index(name)
        return True

    def note(self, field: str, place: int) -> bool:
        """Note that a field is the word ``place``. Return whether it was not known before."""
        if field in self.words:
            return False
        self.words[field] = place
        return True


def words_of(text: bytes) -> list[str]:
    """Return the words of lines. A key and its value are two words."""
    return text.translate(_SEPARATORS).decode("latin-1").split()


def split(text: str) -> list[str]:
    """Return the words of a line of latin-1, as ``words_of`` does."""
    return words_of(text.encode("latin-1"))


def shape_of_line(line: str) -> Shape | None:
    """Return the shape of a line in the form of /proc, also without the family, or None if it is none."""
    reader = _LineReader(line.split())
    return reader.shape if reader.read_all() and reader.shape.is_whole else None


class _LineReader:
    """Reads a line word by word. A word ``key=value`` counts as two, ``place`` is the number of the next one."""

    def __init__(self, words: list[str]) -> None:
        self.shape = Shape()
        self._words = words
        self._at = 0
        self._place = 0
        self._direction = 0
        self._last_key = ""

    def read_all(self) -> bool:
        """Return whether every word was understood."""
        return self._read_beginning() and all(self._read_word(word) for word in self._rest())

    def _next(self) -> str:
        """Return the next word and step over it. Without one, it is empty."""
        word = self._peek()
        self._at += 1
        self._place += _length(word)
        return word

    def _peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _rest(self) -> t.Iterator[str]:
        while self._at < len(self._words):
            yield self._next()

    def _read_beginning(self) -> bool:
        """Read the family if it is there, the protocol, what remains, and the state."""
        shape = self.shape
        if self._peek() in FAMILIES:
            name = self._next()
            shape.family = FAMILIES[name]
            shape.fixed[self._place - 1] = name
            shape.fixed[self._place] = _FAMILY_NUMBERS[name]
            if self._next() != _FAMILY_NUMBERS[name]:
                return False
        name, number = self._next(), self._next()
        if _length(name) != 1 or not shape.set_protocol(name, number, self._place - 1):
            return False
        shape.fixed[self._place - 2] = name
        if self._peek().isdigit():
            shape.note("remaining", self._place)
            self._next()
        while self._peek().partition("=")[0] in _PRIVATE:
            self._next()
        if self._peek().isupper() and not self._peek().startswith("["):
            return self._read_state(self._next())
        return True

    def _read_state(self, name: str) -> bool:
        if any(map(str.isdigit, name)):
            # SYN2_SENT has the same digits as SYN_SENT2.
            self.shape.only_digits = False
            self.shape.fixed[self._place - 1] = name
        return self.shape.set_state(name)

    def _read_word(self, word: str) -> bool:
        if word.startswith(("[start=", "[stop=")):
            return self._read_time(word)
        if word.startswith("["):
            return self._read_flag(word)
        if word == "labels":
            # The tool writes this where none of an entry's labels has a name.
            return self._direction in _DIRECTIONS
        key, _equals, value = word.partition("=")
        if not key or not value or "=" in value or _length(word) != 2:
            return False
        return self._read_value(key, value)

    def _read_time(self, word: str) -> bool:
        """Step over a time as ctime(3) writes it, of which nobody knows the time zone."""
        self.shape.only_digits = False
        while word and not word.endswith("]"):
            word = self._next()
            if "=" in word or word.startswith("["):
                return False
        return word.endswith("]")

    def _read_flag(self, word: str) -> bool:
        if word == "[UNREPLIED]":
            self.shape.status &= ~_uapi.SEEN_REPLY
        self.shape.status |= _FLAGS.get(word, 0)
        # The flags of others, such as those of a vendor's fast path, say nothing about the fields.
        return self._direction > 0 and word.endswith("]")

    def _read_value(self, key: str, value: str) -> bool:
        place = self._place - 1
        if key == "src":
            self._direction += 1
        is_icmp_id = key == "id" and self._last_key == "code"
        self._last_key = key
        if self._direction not in _DIRECTIONS:
            return False
        if is_icmp_id or key in _TUPLE_WORDS:
            field = "icmp_id" if is_icmp_id else _TUPLE_WORDS[key]
            return self._read_tuple_word(key, value, field if self._direction == 1 else f"reply_{field}", place)
        if key in _DIRECTIONS[self._direction]:
            return value.isdigit() and self.shape.note(_DIRECTIONS[self._direction][key], place)
        if self._direction == 1:
            return False
        return self._read_own_word(key, value, place)

    def _read_tuple_word(self, key: str, value: str, field: str, place: int) -> bool:
        shape = self.shape
        if key in ("src", "dst"):
            family = FAMILIES["ipv6" if ":" in value else "ipv4"]
            shape.family = shape.family or family
            shape.only_digits = shape.only_digits and family == FAMILIES["ipv4"]
            return family == shape.family and shape.note(field, place)
        if key in ("srckey", "dstkey"):
            shape.only_digits = False
            return shape.protocol == _uapi.GRE and value.startswith("0x") and shape.note(field, place)
        return value.isdigit() and shape.note(field, place)

    def _skip_names(self) -> None:
        """Step over what follows a space in the name of a label, which is the last of a line."""
        while self._peek() and "=" not in self._peek():
            self.shape.labels = ()
            self._next()

    def _read_own_word(self, key: str, value: str, place: int) -> bool:
        shape = self.shape
        field = _OWN_WORDS.get(key)
        if field is None:
            # What a newer or a vendor's program adds says nothing about the other fields. A key that looks the same
            # without its digits may be one of these.
            shape.only_digits = False
            shape.fixed[place - 1] = key
            return True
        if field not in _NOT_ONLY_DIGITS:
            return value.isdigit() and shape.note(field, place)
        shape.only_digits = False
        if field == "labels":
            # Names of labels have numbers in a file of that machine only.
            shape.labels = (place,) if value.replace(",", "").isdigit() else ()
            self._skip_names()
            return True
        return shape.note(field, place)


def _length(word: str) -> int:
    """Return how many words of the columns it is."""
    return len(split(word))
