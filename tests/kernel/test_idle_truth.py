# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The times idle and age of every entry, beside the clock of the one who sent its packets.

Three routers run side by side. On the first one, this collection changes timeouts and remaining times at random, rules
give some connections timeouts of their own, counters are zeroed and entries put in. On the second one, somebody else
changes timeouts. Nobody changes anything on the third one, where every time that is certain must be told.

TRUTH_SECONDS is how long they run, and TRUTH_SEED makes the same choices again.
"""

from __future__ import annotations

import collections
import contextlib
import os
import random
import re
import statistics
import time
import typing as t

import pytest
from helpers.churn import Change, Churn, Reading, Seen
from helpers.connections import KINDS, Connection, inserted
from helpers.packet_injection import injected_router
from helpers.support import run

SECONDS = float(os.environ.get("TRUTH_SECONDS", "60"))
SEED = int(os.environ.get("TRUTH_SEED", random.randrange(2**32)))

CONNECTIONS = {"changed by us": 2400, "changed by others": 500, "unchanged": 700}
WITHOUT_TIMESTAMPS = 600
READINGS = 6
CHANGE_SECONDS = 1.5
BEGUN_AT_ONCE = 0.4
"""The share of the connections that begin at once. The others follow one by one, and go on beside them."""
UNKNOWN_AT_MOST = 0.02
EXACT_AT_LEAST = 0.8
"""The share of the certain kinds whose idle time is told to 2 seconds even where we changed timeouts."""

CERTAIN = (
    "tcp established",
    "tcp keepalives",
    "udp unreplied",
    "udplite unreplied",
    "icmp",
    "icmp replied",
    "icmpv6",
    "icmpv6 replied",
    "dccp",
    "dccp replied",
    "esp",
    "esp replied",
    "253",
)
"""The kinds of which one timeout alone explains what remains, so that nobody need be cautious."""


@pytest.fixture(scope="module")
def churns() -> t.Iterator[dict[str, Churn]]:
    """The three routers after all their readings."""
    rng = random.Random(SEED)
    print(f"TRUTH_SEED={SEED} TRUTH_SECONDS={SECONDS}")
    with contextlib.ExitStack() as stack:
        routers = {name: stack.enter_context(injected_router("truth")) for name in CONNECTIONS}
        churns = {
            name: Churn(
                router,
                rng,
                CONNECTIONS[name],
                own=name == "changed by us",
                others=name == "changed by others",
                without_timestamps=WITHOUT_TIMESTAMPS if name == "changed by us" else 0,
            )
            for name, router in routers.items()
        }
        _run(churns)
        yield churns


def _run(churns: dict[str, Churn]) -> None:
    """Let the time pass: send packets, change the routers, read their tables."""
    begin = time.monotonic()
    end = begin + SECONDS
    readings = [begin + SECONDS * (number + 1) / READINGS for number in range(READINGS)]
    next_change = begin + CHANGE_SECONDS
    while readings:
        now = time.monotonic()
        passed = (now - begin) / (end - begin)
        for churn in churns.values():
            churn.turn(BEGUN_AT_ONCE + passed)
        if now >= readings[0]:
            readings.pop(0)
            for churn in churns.values():
                churn.read()
        elif now >= next_change:
            next_change = now + CHANGE_SECONDS
            for churn in churns.values():
                churn.change()
        time.sleep(0.05)


def _upper(reading: Reading, seen: Seen) -> float:
    """Return the longest time that the entry can have been without a packet when the table was read."""
    return reading.ended - seen.connection.last


def _lower(reading: Reading, seen: Seen) -> float:
    """Return the shortest time that it can have been without one."""
    return reading.started - seen.connection.last_after


def _too_high(reading: Reading, seen: Seen) -> bool:
    idle = seen.entry["idle"]
    return idle is not None and idle > _upper(reading, seen)


def _is_impossible(reading: Reading, seen: Seen) -> bool:
    """Return whether age, or idle beside it, is impossible."""
    age, idle = seen.entry["age"], seen.entry["idle"]
    if idle is not None and idle > reading.uptime:
        return True
    if age is None:
        return False
    impossible = age < 0 or age > reading.uptime or age > reading.ended - seen.connection.born + 1
    return impossible or (idle is not None and idle > age + 1)


def _assert_none(churn: Churn, wrong: t.Callable[[Reading, Seen], bool]) -> None:
    """Fail with the seed, and what led to them, if any entry of any reading is wrong."""
    found = [(reading, seen) for reading in churn.readings for seen in reading.seen if wrong(reading, seen)]
    kinds = collections.Counter(seen.kind for _reading, seen in found)
    told = [f"TRUTH_SEED={SEED} TRUTH_SECONDS={SECONDS}: {len(found)} times wrong: {dict(kinds)}"]
    # One of each kind, the worst first.
    worst = {seen.kind: (reading, seen) for reading, seen in sorted(found, key=lambda one: one[1].entry["idle"] or 0)}
    for reading, seen in worst.values():
        told.append(_described(reading, seen))
    told.append("\n".join(_timed(churn.changes, churn.readings[-1].ended)))
    assert not found, "\n\n".join(told)


def _described(reading: Reading, seen: Seen) -> str:
    known = {name: value for name, value in seen.entry.items() if value not in (None, [], False)}
    truth = f"without a packet for {_lower(reading, seen):.2f} to {_upper(reading, seen):.2f} s"
    return "\n".join(
        [
            f"{seen.kind}: idle {seen.entry['idle']}, {truth}",
            f"  {known}",
            *_timed(seen.connection.history[-12:], reading.ended),
        ]
    )


def _timed(changes: t.Iterable[Change], now: float) -> list[str]:
    return [f"  {now - when:8.2f} s before: {what}" for when, what in changes]


def _listed(netns: str) -> dict[str, tuple[int, str | None]]:
    """Return what remains and the state of each entry by its source, as conntrack(8) lists them."""
    lines = [line for family in ("ipv4", "ipv6") for line in _listing(netns, family)]
    found = [re.match(r"\S+ +\d+ (\d+) ([A-Z][A-Z_0-9]+)? ?src=(\S+) ", line) for line in lines]
    return {one[3]: (int(one[1]), one[2]) for one in found if one}


def _listing(netns: str, family: str) -> list[str]:
    return run(["conntrack", "-L", "-f", family], netns=netns).splitlines()


def test_every_kind_is_what_it_is_called() -> None:
    """The helpers are right: conntrack(8) sees the states, no packet is invalid, and those that should renew do."""
    with injected_router("kinds") as router:
        # By default they last for 3 seconds.
        brief = ("cookie_wait", "cookie_echoed", "shutdown_sent", "shutdown_recd", "shutdown_ack_sent")
        router.set(**{f"sctp_timeout_{state}": 60 for state in brief})
        kinds = [(kind, family) for kind, known in KINDS.items() if known.made_by for family in known.families]
        made = [Connection(kind, family, number) for number, (kind, family) in enumerate(kinds, start=1)]
        for connection in made:
            connection.make(router)
        before = _listed(router.netns)
        time.sleep(2.1)
        for connection in made:
            for _step in KINDS[connection.kind].followed_by:
                connection.go_on(router)
        after = _listed(router.netns)
        assert router.invalid() == 0
    for connection in made:
        kind = KINDS[connection.kind]
        assert before[connection.client][1] == after[connection.client][1] == kind.state, connection.kind
        renewed = after[connection.client][0] >= before[connection.client][0] - 1
        assert renewed is (bool(kind.followed_by) and kind.renews), connection.kind


def test_enough_connections_were_read(churns: dict[str, Churn]) -> None:
    for name, churn in churns.items():
        _print_counts(name, churn)
    ours = churns["changed by us"]
    assert len(ours.connections) >= 2000
    assert {seen.kind for reading in ours.readings for seen in reading.seen} == set(KINDS)
    assert len(ours.readings) == READINGS


def _print_counts(name: str, churn: Churn) -> None:
    """Print by kind how many entries were read, of how many idle is unknown, and how far below the truth it is."""
    gaps: dict[str, list[float | None]] = collections.defaultdict(list)
    for reading in churn.readings:
        for seen in reading.seen:
            idle = seen.entry["idle"]
            gaps[seen.kind].append(None if idle is None else _lower(reading, seen) - idle)
    print(f"{name}: {len(churn.connections)} connections, {len(churn.changes)} changes")
    print(f"  {'kind':24} {'read':>6} {'unknown':>8} {'median gap':>11} {'largest':>8}")
    for kind, all_gaps in sorted(gaps.items()):
        known = [gap for gap in all_gaps if gap is not None] or [float("nan")]
        unknown = all_gaps.count(None)
        print(f"  {kind:24} {len(all_gaps):6} {unknown:8} {statistics.median(known):11.1f} {max(known):8.1f}")


@pytest.mark.parametrize("name", ["changed by us", "unchanged"])
def test_idle_is_never_too_high(churns: dict[str, Churn], name: str) -> None:
    _assert_none(churns[name], _too_high)


@pytest.mark.parametrize("name", CONNECTIONS)
def test_no_time_is_impossible(churns: dict[str, Churn], name: str) -> None:
    _assert_none(churns[name], _is_impossible)


@pytest.mark.parametrize("name", ["changed by us", "unchanged"])
def test_idle_is_hardly_ever_unknown(churns: dict[str, Churn], name: str) -> None:
    """An entry that was put in may have any timeout, and has no packet before its first one."""
    known = [
        seen.entry["idle"] is not None
        for reading in churns[name].readings
        for seen in reading.seen
        if seen.entry["age"] is not None and not inserted(seen.kind)
    ]
    assert known.count(False) <= UNKNOWN_AT_MOST * len(known), f"TRUTH_SEED={SEED}"


def _too_low(reading: Reading, seen: Seen) -> bool:
    idle = seen.entry["idle"]
    return idle is None or idle < int(_lower(reading, seen)) - 2


def test_a_certain_time_is_told(churns: dict[str, Churn]) -> None:
    churn = churns["unchanged"]
    assert {seen.kind for reading in churn.readings for seen in reading.seen} >= set(CERTAIN)
    _assert_none(churn, lambda reading, seen: seen.kind in CERTAIN and _too_low(reading, seen))


def test_most_times_are_told_where_we_changed_timeouts(churns: dict[str, Churn]) -> None:
    readings = churns["changed by us"].readings
    exact = [not _too_low(reading, seen) for reading in readings for seen in reading.seen if seen.kind in CERTAIN]
    assert exact.count(True) >= EXACT_AT_LEAST * len(exact), f"TRUTH_SEED={SEED}"


@pytest.mark.parametrize("name", CONNECTIONS)
def test_age_is_told(churns: dict[str, Churn], name: str) -> None:
    without = WITHOUT_TIMESTAMPS if name == "changed by us" else 0
    _assert_none(churns[name], lambda _reading, seen: seen.entry["age"] is None and seen.connection.number > without)


def test_age_is_not_too_low(churns: dict[str, Churn]) -> None:
    """Where nobody changes a timeout, these connections never expire, to begin anew with their next packet."""

    def is_too_low(reading: Reading, seen: Seen) -> bool:
        lasting = seen.kind in ("tcp established", "tcp keepalives")
        return lasting and seen.entry["age"] < int(reading.started - seen.connection.born_after) - 1

    _assert_none(churns["unchanged"], is_too_low)
