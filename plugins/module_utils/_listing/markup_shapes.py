# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What a line of ``conntrack -L -o xml`` or ``-o save`` says about the words of all lines that are like it."""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._listing.entry_lines import MEASURED
from ansible_collections.netops.conntrack.plugins.module_utils._listing.line_shapes import FAMILIES, Shape, split

_XML_FIELDS = {
    "src": "source",
    "dst": "destination",
    "sport": "source_port",
    "dport": "destination_port",
    "srckey": "source_port",
    "dstkey": "destination_port",
}
_XML_COUNTERS = ("packets", "bytes")
_XML_OWN = {
    "timeout": "remaining",
    "mark": "mark",
    "zone": "zone",
    "use": "use",
    "id": "id",
    "deltatime": "start",
    "helper": "helper",
    "secctx": "secctx",
}
_NUMBERS = frozenset({"sport", "dport", *_XML_COUNTERS, *_XML_OWN}) - {"helper", "secctx"}

_WRONG_STATES = frozenset({_uapi.SCTP, _uapi.DCCP})
"""The tool writes the states of these protocols with the names of TCP's states (snprintf_xml.c)."""

_PREFIXES = {"original": "", "reply": "reply_"}


def shape_of_xml(line: str) -> Shape | None:
    """Return the shape of a line ``<flow>...</flow>``, whose words are names of tags and texts, or None if it is none.

    The tool writes neither the numbers of ICMP nor most bits of the status.
    """
    words = split(line)
    only_attributes = "=" not in line.replace('="', "")
    if words[:2] != ["flow", "meta"] or words[-1] != "/flow" or not only_attributes:
        return None
    reader = _XmlReader(words)
    return reader.shape if reader.read_all() and reader.shape.is_whole else None


class _XmlReader:
    def __init__(self, words: list[str]) -> None:
        self.shape = Shape(only_digits=False)
        self._words = words
        self._section = ""
        self._labels: list[tuple[str, int]] = []

    def read_all(self) -> bool:
        """Return whether everything that is known was understood. Other tags are stepped over."""
        pairs = zip(self._words, self._words[1:])
        return all(self._read(tag, text, place) for place, (tag, text) in enumerate(pairs, 1))

    def _read(self, tag: str, text: str, place: int) -> bool:
        """Read a tag, whose text is the word ``place``."""
        shape = self.shape
        if tag == "direction":
            self._section = text
            return text in (*_PREFIXES, "independent")
        if tag == "protonum":
            return self._read_protocol(text, place)
        if tag == "state" and shape.protocol not in _WRONG_STATES:
            return shape.set_state(text)
        if tag == "assured/":
            shape.status |= _uapi.ASSURED
        elif tag == "unreplied/":
            shape.status &= ~_uapi.SEEN_REPLY
        elif tag == "label":
            self._labels.append((text, place))
            # Names of labels have numbers in a file of that machine only, so without them some would be missing.
            are_numbers = all(label.isdigit() for label, _place in self._labels)
            shape.labels = tuple(place for _label, place in self._labels) if are_numbers else ()
        field = self._field(tag)
        if field is None:
            return True
        # The text is one word.
        ends = self._words[place + 1 : place + 2] == [f"/{tag}"]
        return ends and (tag not in _NUMBERS or text.isdigit()) and shape.note(field, place)

    def _read_protocol(self, number: str, place: int) -> bool:
        """Read the number of a family or of a protocol, whose name is two words behind it."""
        shape = self.shape
        layer = self._words[place - 2]
        key, name = (*self._words[place + 1 : place + 3], "", "")[:2]
        if key != "protoname":
            return False
        if layer == "layer3":
            shape.fixed[place] = number
            shape.family = FAMILIES.get(name, 0)
            return bool(shape.family)
        return layer == "layer4" and shape.set_protocol(name, number, place)

    def _field(self, tag: str) -> str | None:
        if self._section not in _PREFIXES:
            return _XML_OWN.get(tag) if self._section or tag == "helper" else None
        if tag == "zone":
            return f"zone_{self._section}"
        if tag in _XML_COUNTERS:
            return f"{tag}_{self._section}"
        return _PREFIXES[self._section] + _XML_FIELDS[tag] if tag in _XML_FIELDS else None


_OPTIONS = {
    "-t": "remaining",
    "-m": "mark",
    "-w": "zone",
    "--orig-zone": "zone_original",
    "--reply-zone": "zone_reply",
    "-s": "source",
    "-d": "destination",
    "-r": "reply_source",
    "-g": "reply_source",
    "-q": "reply_destination",
    "-n": "reply_destination",
    "--sport": "source_port",
    "--dport": "destination_port",
    "--reply-port-src": "reply_source_port",
    "--reply-port-dst": "reply_destination_port",
    "--srckey": "source_port",
    "--dstkey": "destination_port",
    "--reply-key-src": "reply_source_port",
    "--reply-key-dst": "reply_destination_port",
    "--icmp-type": "icmp_type",
    "--icmp-code": "icmp_code",
    "--icmp-id": "icmp_id",
    "--icmpv6-type": "icmp_type",
    "--icmpv6-code": "icmp_code",
    "--icmpv6-id": "icmp_id",
    "--orig-vtag": "vtag_original",
    "--reply-vtag": "vtag_reply",
}

_NOTES = {
    "labels": "labels",
    "helper": "helper",
    "reply-icmp-id": "reply_icmp_id",
    **{word: field for field, word in MEASURED.items()},
    "age": "start",
}
"""The fields of a comment that a backup has before an entry, because the tool has no option for them."""

_ADDRESSES = frozenset({"-s", "-d", "-r", "-g", "-q", "-n"})
_ROLES = {name: role for role, name in _uapi.DCCP_ROLE_NAMES.items()}
_BITS = {name: bit for bit, name in _uapi.STATUS_NAMES.items()}
_PROTOCOLS = {name: number for number, name in _uapi.PROTOCOL_NAMES.items()}


def shape_of_save(line: str) -> Shape | None:
    """Return the shape of a line of ``-o save``: the options of a ``conntrack -I``, or None if it is none.

    A backup's comment about the entry follows at the end of the line (see Decoder).
    """
    words = split(line)
    end = words.index("#") if "#" in words else len(words)
    if words[0] != "-A" or end % 2 == 0:
        return None
    shape = Shape(status=0, only_digits=False)
    pairs = zip(words[1:end:2], words[2:end:2])
    understood = all(_read_option(shape, option, value, place) for place, (option, value) in enumerate(pairs))
    notes = zip(words[end + 1 :: 2], range(end + 2, len(words), 2))
    understood = understood and all(_read_note(shape, name, place) for name, place in notes)
    return shape if understood and shape.family and shape.is_whole else None


def _read_option(shape: Shape, option: str, value: str, pair: int) -> bool:
    """Read an option, whose value is the second word of the ``pair`` of this number."""
    place = 2 * pair + 2
    if option == "-u":
        bits = [] if value == "UNSET" else value.split(",")
        shape.status = sum(_BITS.get(bit, 0) for bit in bits)
        return all(bit in _BITS for bit in bits)
    if option == "-p":
        return _read_protocol(shape, value, place)
    if option == "--state":
        return shape.set_state(value)
    if option == "--role":
        shape.values["dccp_role"] = _ROLES.get(value, 0)
        return value in _ROLES
    field = _OPTIONS.get(option)
    if field is None or not shape.note(field, place):
        return False
    if option in _ADDRESSES:
        family = FAMILIES["ipv6" if ":" in value else "ipv4"]
        shape.family = shape.family or family
        return shape.family == family
    return value.isdigit()


def _read_note(shape: Shape, name: str, place: int) -> bool:
    """Read what a comment says, whose value is the word ``place``. What a newer program adds is stepped over."""
    return name not in _NOTES or shape.note(_NOTES[name], place)


def _read_protocol(shape: Shape, value: str, place: int) -> bool:
    """Read a protocol, which is a number if the tool has no name for it."""
    if value not in _PROTOCOLS:
        return shape.set_protocol("unknown", value, place)
    shape.protocol = _PROTOCOLS[value]
    return True
