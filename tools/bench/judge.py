# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is in a table according to the lines that `conntrack -L` prints: the judge of what the engine counted."""

from __future__ import annotations

import collections
import dataclasses
import re
import subprocess
import typing as t

from bench.errors import BenchError

_LINE = re.compile(
    rb"(?:ipv[46] +\d+ )?(\w+) +\d+ \d+ (?:([A-Z_0-9]+) )?src=.*? packets=(\d+) bytes=(\d+) (\[UNREPLIED\] )?"
    rb"src=.*? packets=(\d+) bytes=(\d+) (\[ASSURED\] )?"
)
"""One entry in the format of `conntrack -L`, plain or extended, as far as it is counted here."""


@dataclasses.dataclass(frozen=True)
class Census:
    """A table's counts; ``stale`` are the entries that the founding story's greps find."""

    entries: int
    protocols: dict[str, int]
    states: dict[str, dict[str, int]]
    assured: int
    unreplied: int
    stale: int
    packets: dict[str, int]
    bytes: dict[str, int]


def census(lines: t.Iterable[bytes]) -> Census:
    """Count ``lines``, one entry each. Raises BenchError for a line that is none, or that has no counters."""
    kinds: collections.Counter[tuple[bytes | None, ...]] = collections.Counter()
    packets_original = packets_reply = bytes_original = bytes_reply = stale = 0
    for line in lines:
        found = _LINE.match(line)
        if found is None:
            raise BenchError(f"not an entry with counters: {line!r}")
        protocol, state, packets, octets, unreplied, packets_back, octets_back, assured = found.groups()
        kinds[protocol, state, unreplied, assured] += 1
        packets_original += int(packets)
        bytes_original += int(octets)
        packets_reply += int(packets_back)
        bytes_reply += int(octets_back)
        stale += state == b"ESTABLISHED" and unreplied is not None and (packets, octets) == (b"1", b"40")
    protocols: collections.Counter[str] = collections.Counter()
    states: dict[str, collections.Counter[str]] = {}
    for (protocol_name, state_name, _unreplied, _assured), count in kinds.items():
        assert protocol_name is not None
        protocols[protocol_name.decode()] += count
        if state_name is not None:
            states.setdefault(protocol_name.decode(), collections.Counter())[state_name.decode()] += count
    return Census(
        entries=kinds.total(),
        protocols=dict(protocols),
        states={name: dict(counts) for name, counts in states.items()},
        assured=sum(count for kind, count in kinds.items() if kind[3]),
        unreplied=sum(count for kind, count in kinds.items() if kind[2]),
        stale=stale,
        packets={"original": packets_original, "reply": packets_reply},
        bytes={"original": bytes_original, "reply": bytes_reply},
    )


def census_of_table() -> Census:
    """Count what `conntrack -L` lists in the present network namespace. Raises BenchError."""
    with subprocess.Popen(["conntrack", "-L"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as listing:
        assert listing.stdout is not None
        counted = census(listing.stdout)
    if listing.returncode != 0:
        raise BenchError(f"conntrack -L: rc {listing.returncode}")
    return counted


def differences(judged: Census, counts: t.Mapping[str, t.Any]) -> list[str]:
    """Return what the ``counts`` of a summary, in the form of conntrack_facts, have otherwise than the judge."""
    pairs = {
        "entries": (counts["entries"], judged.entries),
        "protocols": (counts["protocols"], judged.protocols),
        "states": (counts["states"], judged.states),
        "assured": (counts["status"]["assured"], judged.assured),
        "unreplied": (counts["status"]["unreplied"], judged.unreplied),
        "packets": (counts["packets"], {**judged.packets, "unknown": 0}),
        "bytes": (counts["bytes"], {**judged.bytes, "unknown": 0}),
    }
    return [f"{name}: {found}, conntrack says {wanted}" for name, (found, wanted) in pairs.items() if found != wanted]
