# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Entries as dicts, such as conntrack_info returns, made lines of the form that backups have."""

from __future__ import annotations

import json
import socket
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.known_settings import nearest
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_boolean, parse_duration, parse_number

_PORTS = {
    "source_port": ("--sport", ""),
    "destination_port": ("--dport", ""),
    "reply_source_port": ("--reply-port-src", "destination_port"),
    "reply_destination_port": ("--reply-port-dst", "source_port"),
}
"""The option for each port, and the field that it is by default."""

_KEYS = {
    "source_key": ("--srckey", ""),
    "destination_key": ("--dstkey", ""),
    "reply_source_key": ("--reply-key-src", "destination_key"),
    "reply_destination_key": ("--reply-key-dst", "source_key"),
}
_ICMP = ("type", "code", "id")
_ADDRESSES = {
    "source": ("-s", ""),
    "destination": ("-d", ""),
    "reply_source": ("-r", "destination"),
    "reply_destination": ("-q", "source"),
}
_ZONES = {"zone": "-w", "zone_original": "--orig-zone", "zone_reply": "--reply-zone"}
_SET_BITS = {"replied": _uapi.SEEN_REPLY, "assured": _uapi.ASSURED}
_SETTABLE_BITS = (_uapi.SEEN_REPLY, _uapi.ASSURED, _uapi.FIXED_TIMEOUT)
"""The bits of the status that a new entry can be given. The kernel sets those of the translation itself."""

SETTABLE = frozenset(
    {
        *("family", "protocol", "state", "status", "replied", "assured", "remaining", "mark", "labels", "helper"),
        *_ADDRESSES,
        *_PORTS,
        *_KEYS,
        *_ZONES,
        *(f"icmp_{name}" for name in _ICMP),
        "reply_icmp_id",
    }
)
"""The fields that decide about a new entry."""

KNOWN = SETTABLE | {
    *("protocol_number", "offloaded", "expected", "nat", "packets", "bytes", "idle", "age", "id"),
    *(f"{amount}_{direction}" for amount in ("packets", "bytes") for direction in ("original", "reply")),
    *("reply_icmp_type", "reply_icmp_code"),
}
"""Also those that conntrack_info returns, and no new entry can be given."""

_UNTRACKED_SOMEWHERE = frozenset({_uapi.DCCP, _uapi.SCTP})
"""Protocols that a kernel can be built without."""

_NUMBERS = {name: number for number, name in _uapi.PROTOCOL_NAMES.items()}
_STATUS = {name: bit for bit, name in _uapi.STATUS_NAMES.items()}
_MOST = {"port": 0xFFFF, "key": 0xFFFF, "type": 0xFF, "code": 0xFF, "id": 0xFFFF}
_MOST_PROTOCOL, _MOST_LABEL, _MOST_ZONE, _MOST_MARK = 0xFF, 127, 0xFFFF, 0xFFFFFFFF
_MOST_SECONDS = 0x7FFFFFFF
_MOST_HELPER = 15
"""Letters of a helper's name: NF_CT_HELPER_NAME_LEN of nf_conntrack_helper.h, without the NUL."""

MEASURED = {
    "packets_original": "packets-original",
    "bytes_original": "bytes-original",
    "packets_reply": "packets-reply",
    "bytes_reply": "bytes-reply",
    "age": "age",
    "id": "id",
    "reply_icmp_type": "reply-icmp-type",
    "reply_icmp_code": "reply-icmp-code",
}
"""What no new entry can be given, and a file tells of those that it has: by field, the word in the comment."""

_COUNTERS = (("packets_original", "bytes_original"), ("packets_reply", "bytes_reply"))

Dict = t.Mapping[str, t.Any]


def line_of(entry: t.Any, option: str, with_measured: bool = False) -> str:
    """Return the line of an entry, with the comment about it at the end (see Decoder).

    ``option`` is the name of the entry in errors. ``with_measured`` adds to the comment what is in MEASURED. Raises
    OptionError for what is no entry, or lacks what it needs.
    """
    if not isinstance(entry, dict):
        raise OptionError(option, entry, "is no entry", "Give a dict such as conntrack_info returns with entries=true.")
    for name in entry:
        if name not in KNOWN:
            close = nearest(str(name), KNOWN)
            remedy = f"Did you mean {close[0]}?" if close else "Give the fields that conntrack_info returns."
            raise OptionError(f"{option}.{name}", entry[name], "is no field of an entry", remedy)
    given = {name: value for name, value in entry.items() if value is not None}
    return " ".join(_Line(given, option, with_measured).words())


class _Line:
    """The line of one entry, of which the fields ``given`` are not None."""

    def __init__(self, given: Dict, option: str, with_measured: bool) -> None:
        self._given = given
        self._with_measured = with_measured
        self._option = option
        self._protocol = self._protocol_of(self._needed("protocol", "such as tcp or 47"))

    def words(self) -> t.Iterator[str]:
        """Yield the words of the line. Raises OptionError."""
        yield "-A"
        if "remaining" in self._given:
            yield f"-t {self._at_most(_MOST_SECONDS, 'remaining', parse_duration)}"
        yield f"-u {self._status()}"
        for name, word in _ZONES.items():
            if name in self._given and not (name == "zone" and self._has_zone_of_direction()):
                yield f"{word} {self._number(name, _MOST_ZONE)}"
        yield from self._addresses()
        yield f"-p {_uapi.PROTOCOL_NAMES.get(self._protocol, self._protocol)}"
        yield from self._protocol_words()
        if "mark" in self._given:
            yield f"-m {self._number('mark', _MOST_MARK)}"
        notes = [*self._notes(), *(self._measured() if self._with_measured else ())]
        if notes:
            yield f"# {' '.join(notes)}"

    def _protocol_of(self, value: t.Any) -> int:
        name = str(value).lower()
        if name in _NUMBERS:
            return _NUMBERS[name]
        # The name of one that the kernel does not look into is its number's.
        number = self._given.get("protocol_number") if name == "unknown" else value
        return parse_number(number, f"{self._option}.protocol", _MOST_PROTOCOL)

    def _status(self) -> str:
        names = self._given.get("status", [])
        bits = 0
        for name in names if isinstance(names, list) else [names]:
            if not isinstance(name, str) or name not in _STATUS:
                remedy = f"Give some of {', '.join(_STATUS)}."
                raise OptionError(f"{self._option}.status", name, "is no bit of the status", remedy)
            bits |= _STATUS[name]
        for field, bit in _SET_BITS.items():
            if self._is_true(field):
                bits |= bit
        return ",".join(_uapi.STATUS_NAMES[bit] for bit in _SETTABLE_BITS if bits & bit) or "UNSET"

    def _is_true(self, name: str) -> bool:
        return name in self._given and parse_boolean(self._given[name], f"{self._option}.{name}")

    def _has_zone_of_direction(self) -> bool:
        return "zone_original" in self._given or "zone_reply" in self._given

    def _addresses(self) -> t.Iterator[str]:
        family = self._given.get("family")
        for name, (word, default) in _ADDRESSES.items():
            text = self._given.get(name, self._given.get(default))
            address = str(self._needed(name, "such as 192.0.2.1") if text is None else text)
            if not _is_address(address):
                raise OptionError(f"{self._option}.{name}", address, "is no address", "Give one such as 192.0.2.1.")
            own = "ipv6" if ":" in address else "ipv4"
            family = family or own
            if family != own:
                raise OptionError(f"{self._option}.{name}", address, f"is not of {family}", "Give all of one family.")
            yield f"{word} {address}"

    def _protocol_words(self) -> t.Iterator[str]:
        if self._protocol in _uapi.PORT_PROTOCOLS and not self._is_untracked():
            yield from self._numbers(_PORTS, _MOST["port"])
        elif self._protocol == _uapi.GRE:
            yield from self._numbers(_KEYS, _MOST["key"])
        elif self._protocol in _uapi.ICMP_PROTOCOLS:
            name = _uapi.PROTOCOL_NAMES[self._protocol]
            for field in _ICMP:
                self._needed(f"icmp_{field}", "a number")
                yield f"--{name}-{field} {self._number(f'icmp_{field}', _MOST[field])}"
        states = _uapi.STATE_NAMES.get(self._protocol)
        # An offloaded entry has no state, and one of a protocol that the kernel does not look into has none either.
        if states and self._protocol == _uapi.TCP and not self._is_true("offloaded"):
            self._needed("state", f"one of {', '.join(states)}")
        if states and "state" in self._given:
            state = self._given["state"]
            if state not in states:
                raise OptionError(f"{self._option}.state", state, "is no state", f"Give one of {', '.join(states)}.")
            yield f"--state {state}"

    def _is_untracked(self) -> bool:
        """Return whether it is an entry of a protocol that its kernel did not look into, so that it has no ports."""
        return self._protocol in _UNTRACKED_SOMEWHERE and "source_port" not in self._given

    def _numbers(self, options: t.Mapping[str, tuple[str, str]], most: int) -> t.Iterator[str]:
        for name, (word, default) in options.items():
            field = name if name in self._given else default or name
            self._needed(field, "a number")
            yield f"{word} {self._number(field, most)}"

    def _notes(self) -> t.Iterator[str]:
        labels = self._given.get("labels", [])
        numbers = labels if isinstance(labels, list) else [labels]
        if numbers:
            option = f"{self._option}.labels"
            yield f"labels={sum({1 << parse_number(number, option, _MOST_LABEL) for number in numbers}):#x}"
        helper = self._given.get("helper")
        if helper:
            is_word = isinstance(helper, str) and helper.isascii() and helper.isprintable()
            if not is_word or set(helper) & set(" =#") or len(helper) > _MOST_HELPER:
                raise OptionError(f"{self._option}.helper", helper, "is no name of a helper", "Give one such as ftp.")
            yield f"helper={helper}"
        if self._protocol in _uapi.ICMP_PROTOCOLS and "reply_icmp_id" in self._given:
            yield f"reply-icmp-id={self._number('reply_icmp_id', _MOST['id'])}"

    def _measured(self) -> t.Iterator[str]:
        """Yield what was measured. Counters count if both of a direction are there."""
        numbers = {name: self._given[name] for name in MEASURED if _is_count(self._given.get(name))}
        for pair in _COUNTERS:
            if not numbers.keys() >= set(pair):
                for name in pair:
                    numbers.pop(name, None)
        for name, number in numbers.items():
            yield f"{MEASURED[name]}={number}"

    def _needed(self, name: str, example: str) -> t.Any:
        if name not in self._given:
            raise OptionError(f"{self._option}.{name}", None, "is missing", f"An entry needs it: {example}.")
        return self._given[name]

    def _number(self, name: str, most: int) -> int:
        return parse_number(self._given[name], f"{self._option}.{name}", most)

    def _at_most(self, most: int, name: str, parse: t.Callable[[t.Any, str], int]) -> int:
        number = parse(self._given[name], f"{self._option}.{name}")
        if not 0 < number <= most:
            raise OptionError(f"{self._option}.{name}", self._given[name], "is out of range", "Give 1s or more.")
        return number


def _is_count(value: t.Any) -> bool:
    """Return whether it is a number from 0 on. The age of an entry is below 0 where the clock was set back."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_address(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):
        return False
    return True


def line_of_json(text: bytes) -> bytes:
    """Return the line of an entry that is a line of NDJSON. What is none is returned as it is."""
    try:
        return line_of(json.loads(text), "", with_measured=True).encode("ascii")
    except (OptionError, ValueError, RecursionError):
        return text
