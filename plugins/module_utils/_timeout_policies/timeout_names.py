# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The timeouts that a policy has, by the names that people give them and by the kernel's numbers."""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_policies import (
    GENERIC,
    GENERIC_NAMES,
    SYSCTL_NAMES,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.known_settings import nearest
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.values import parse_value

PROTOCOLS = {**{_uapi.PROTOCOL_NAMES[number]: number for number in SYSCTL_NAMES}, "generic": GENERIC}
"""The protocols for which the kernel has policies, by name."""

_SECONDS = struct.Struct("!I")
_TWO = {"timeout": "unreplied", "timeout_stream": "replied"}
_NAMES_OF_OTHERS = {"retrans": "max_retrans", "unack": "unacknowledged"}
"""What nfct(8) and nft(8) call a timeout that is called otherwise here."""


def timeout_names(protocol: int) -> tuple[str, ...]:
    """Return the names of the protocol's timeouts. The kernel numbers them from 1 (nfnetlink_cttimeout.h).

    They are the ends of the names of the sysctls, such as ``established``. Where there are two, they are ``unreplied``
    and ``replied``, as nfct(8) and nft(8) call them. Where there is one, it is ``timeout``.
    """
    sysctls = SYSCTL_NAMES.get(protocol, GENERIC_NAMES)
    if len(sysctls) == 1:
        return ("timeout",)
    ends = (sysctl.partition("_")[2] for sysctl in sysctls)
    return tuple(_TWO.get(end) or end[len("timeout_") :] for end in ends)


def parse_timeouts(protocol: int, timeouts: t.Mapping[str, t.Any]) -> dict[str, int]:
    """Return the seconds of the option ``timeouts`` by our own names, in the kernel's order.

    Raises OptionError without any, and ConntrackError with every problem of every name and value.
    """
    names = timeout_names(protocol)
    if not timeouts:
        raise OptionError("timeouts", timeouts, "has no timeout", f"Give at least one of {', '.join(names)}.")
    known = _notations(protocol)
    found: dict[str, int] = {}
    problems = []
    for given, value in timeouts.items():
        name = known.get(str(given))
        try:
            seconds = parse_value("timeout", value, f"timeouts.{given}")
        except OptionError as error:
            problems.append(error.message)
            continue
        if name is None:
            problems.append(_unknown(given, protocol, known))
        elif found.setdefault(name, seconds) != seconds:
            problems.append(f"timeouts: two values are given for {name}. Give one of them.")
    if problems:
        raise ConntrackError(" ".join(problems))
    return {name: found[name] for name in names if name in found}


def encode_timeouts(protocol: int, timeouts: t.Mapping[str, int]) -> bytes:
    """Encode the timeouts, seconds by name, as the attributes of the kernel's numbers."""
    return b"".join(
        framing.encode_attribute(number, _SECONDS.pack(timeouts[name]))
        for number, name in enumerate(timeout_names(protocol), 1)
        if name in timeouts
    )


def decode_timeouts(protocol: int, data: bytes) -> dict[str, int]:
    """Return the timeouts in the attributes, seconds by name, without those that have no name here.

    Raises MalformedError for bytes that are no attributes.
    """
    values = {number: data[start:end] for number, start, end in framing.walk(data, 0, len(data))}
    return {
        name: int.from_bytes(values[number], "big")
        for number, name in enumerate(timeout_names(protocol), 1)
        if number in values
    }


def by_sysctl(protocol: int, timeouts: t.Mapping[str, int]) -> dict[str, int]:
    """Return the timeouts by the names of the sysctls that they stand in for."""
    sysctls = SYSCTL_NAMES.get(protocol, GENERIC_NAMES)
    return {sysctl: timeouts[name] for sysctl, name in zip(sysctls, timeout_names(protocol)) if name in timeouts}


def _notations(protocol: int) -> dict[str, str]:
    """Return our name of each timeout under every name that is understood."""
    names = timeout_names(protocol)
    sysctls = SYSCTL_NAMES.get(protocol, GENERIC_NAMES)
    others = {other: name for other, name in _NAMES_OF_OTHERS.items() if name in names}
    return {**{name: name for name in names}, **dict(zip(sysctls, names)), **others}


def _unknown(given: t.Any, protocol: int, known: t.Iterable[str]) -> str:
    close = nearest(str(given), known)
    remedy = f" Did you mean {', '.join(close)}?" if close else ""
    names = ", ".join(timeout_names(protocol))
    return f"timeouts: {given!r} is no timeout of this protocol, which has {names}.{remedy}"
