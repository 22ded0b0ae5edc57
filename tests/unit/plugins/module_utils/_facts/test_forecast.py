# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is foretold of a table is what is foretold of its entries one by one."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_effects import (
    Effect,
    NewTimeouts,
    origins_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_policies import Policy
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import TimeoutChange, TimeoutRecord
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import Timeouts
from ansible_collections.netops.conntrack.plugins.module_utils._facts.forecast import Forecast
from helpers.encoded_messages import Fields, blocks_of, entry_of
from helpers.strategies import NOW, SECOND, fields
from hypothesis import given, settings
from hypothesis import strategies as st

ESTABLISHED, SYN_SENT = (_uapi.STATE_NAMES[_uapi.TCP].index(name) for name in ("ESTABLISHED", "SYN_SENT"))
ASSURED = _uapi.SEEN_REPLY | _uapi.ASSURED

SYSCTLS = {
    "max": 1000,
    "buckets": 512,
    "acct": 1,
    "tcp_timeout_established": 432000,
    "tcp_timeout_syn_sent": 120,
    "tcp_timeout_close": 10,
    "tcp_timeout_unacknowledged": 300,
    "tcp_timeout_max_retrans": 300,
    "udp_timeout": 30,
    "udp_timeout_stream": 120,
    "generic_timeout": 600,
}


def connection(remaining: int | None, state: int = ESTABLISHED, status: int = ASSURED, **more: t.Any) -> Fields:
    return {
        "protocol": _uapi.TCP,
        "source": "198.18.0.1",
        "destination": "198.18.0.2",
        "source_port": 1,
        "destination_port": 2,
        "state": state,
        "status": status,
        "remaining": remaining,
        **more,
    }


def datagrams(remaining: int, status: int = ASSURED) -> Fields:
    return {**connection(remaining, status=status, protocol=_uapi.UDP), "state": None}


def forecast(
    wanted: dict[str, int],
    *entries: Fields,
    count: int | None = 500,
    limit: int | None = 1000,
    timeouts: Timeouts | None = None,
) -> t.Any:
    timeouts = timeouts or Timeouts(SYSCTLS, NOW)
    foretold = Forecast(wanted, timeouts)
    for block in blocks_of(*entries):
        foretold.add(block)
    return foretold.result(count, limit)


TABLE = [
    *[connection(remaining) for remaining in (431_000, 380_000, 377_999, 300_000, 301, 120)],
    *[connection(remaining, SYN_SENT, 0) for remaining in (119, 99, 50)],
    *[datagrams(remaining) for remaining in (110, 70)],
    datagrams(20, 0),
    connection(None, status=ASSURED | _uapi.OFFLOAD),
]
WANTED = {
    "tcp_timeout_established": 54000,
    "tcp_timeout_syn_sent": 20,
    "udp_timeout_stream": 180,
    "max": 2000,
    "buckets": 1000,
    "acct": 0,
}


def test_without_a_count_it_is_not_known_how_full_the_table_would_be() -> None:
    result = forecast(WANTED, *TABLE, count=None)
    assert (result["entries"], result["gone"]) == (13, 5)
    for when, limit in (("now", 1000), ("then", 2000)):
        unknown = {name for name, value in result[when].items() if value is None}
        assert (result[when]["max"], unknown) == (limit, {"count", "percent", "headroom", "load_factor"})


def test_the_limit_that_holds_is_that_of_the_table_or_the_one_that_is_wanted() -> None:
    wanted = {"tcp_timeout_established": 54000}
    for limit in (800, 0, None):
        result = forecast(wanted, *TABLE, limit=limit)
        assert (result["now"]["max"], result["then"]["max"]) == (limit, limit)
        assert forecast({**wanted, "max": 2000}, *TABLE, limit=limit)["then"]["max"] == 2000


def test_every_key() -> None:
    result = forecast(WANTED, *TABLE)
    remaining = {part["from"]: part["entries"] for part in result.pop("remaining") if part["entries"]}
    assert remaining == {30: 1, 60: 1, 300: 1, 172800: 1, 345600: 1}
    assert result == {
        "entries": 13,
        "governed": 12,
        "gone": 5,
        "unknown": 2,
        "last_in_seconds": 377_999,
        "shortened_in_seconds": 54_000,
        "percent": 38.46,
        "states": [
            {
                "protocol": "tcp",
                "state": "ESTABLISHED",
                "governed": 7,
                "gone": 3,
                "unknown": 2,
                "last_in_seconds": 377_999,
                "shortened_in_seconds": 54_000,
            },
            {
                "protocol": "tcp",
                "state": "SYN_SENT",
                "governed": 3,
                "gone": 2,
                "unknown": 0,
                "last_in_seconds": 99,
                "shortened_in_seconds": 20,
            },
            {
                "protocol": "udp",
                "state": None,
                "governed": 2,
                "gone": 0,
                "unknown": 0,
                "last_in_seconds": None,
                "shortened_in_seconds": None,
            },
        ],
        "settings": {
            "tcp_timeout_established": {
                "present": 432_000,
                "wanted": 54_000,
                "governed": 7,
                "gone": 3,
                "unknown": 2,
                "last_in_seconds": 377_999,
                "shortened_in_seconds": 54_000,
            },
            "tcp_timeout_syn_sent": {
                "present": 120,
                "wanted": 20,
                "governed": 3,
                "gone": 2,
                "unknown": 0,
                "last_in_seconds": 99,
                "shortened_in_seconds": 20,
            },
            "udp_timeout_stream": {
                "present": 120,
                "wanted": 180,
                "governed": 2,
                "gone": 0,
                "unknown": 0,
                "last_in_seconds": None,
                "shortened_in_seconds": None,
            },
        },
        "raised": ["udp_timeout_stream"],
        "not_foretold": ["acct"],
        "now": {
            "count": 500,
            "max": 1000,
            "percent": 50.0,
            "headroom": 500,
            "buckets": 512,
            "load_factor": 1.953,
        },
        "then": {
            "count": 495,
            "max": 2000,
            "percent": 24.75,
            "headroom": 1505,
            # The kernel rounds up to whole pages of memory.
            "buckets": 1024,
            "load_factor": 0.967,
        },
    }


def test_last_one_of_each_kind_decides_when_all_are_gone() -> None:
    # All of them are in one range of all histograms, and in one bin.
    table = [connection(remaining) for remaining in (200_001, 200_777, 200_500)]
    result = forecast({"tcp_timeout_established": 54_000}, *table)
    assert (result["gone"], result["last_in_seconds"], result["shortened_in_seconds"]) == (3, 200_777, 54_000)


def test_nothing_in_the_table() -> None:
    result = forecast({"udp_timeout": 10}, count=0)
    assert (result["entries"], result["governed"], result["gone"], result["percent"]) == (0, 0, 0, 0.0)
    assert result["last_in_seconds"] is None
    assert result["then"]["percent"] == 0.0


def test_entries_that_are_left_out_are_gone_already() -> None:
    timeouts = Timeouts(SYSCTLS, NOW)
    foretold = Forecast(WANTED, timeouts, lambda block: block.where(left > 1000 for left in block.column("remaining")))
    for block in blocks_of(*TABLE[:6]):
        foretold.add(block)
    result = foretold.result(500, 1000)
    assert (result["entries"], result["gone"], result["now"]["count"], result["then"]["count"]) == (4, 2, 498, 496)


def test_no_limit() -> None:
    result = forecast({"udp_timeout": 10}, *TABLE, limit=0)
    assert (result["then"]["percent"], result["then"]["headroom"]) == (None, None)


_CHOSEN = st.fixed_dictionaries(
    {},
    optional={name: st.integers(1, 2 * value) for name, value in SYSCTLS.items() if "timeout" in name},
)
_SECONDS = st.sampled_from([0, 10, 29, 30, 89, 119, 120, 299, 300, 301, 54_000, 377_998, 377_999, 378_000, 432_000])
_CONNECTIONS = st.builds(
    lambda number, off, state, status, age, udp: {
        **connection(max(0, number + off), state, status, **({} if age is None else {"start": NOW - age * SECOND})),
        **({"protocol": _uapi.UDP, "state": None} if udp else {}),
    },
    _SECONDS | st.integers(0, 500_000),
    st.integers(-2, 2),
    st.sampled_from([ESTABLISHED, SYN_SENT]),
    st.sampled_from([0, _uapi.SEEN_REPLY, ASSURED, ASSURED | _uapi.FIXED_TIMEOUT]),
    st.none() | st.integers(0, 500_000),
    st.booleans(),
)
_KNOWN: st.SearchStrategy[dict[str, t.Any]] = st.fixed_dictionaries(
    {},
    optional={
        "uptime": st.sampled_from([100.0, 86_400.5, 1e7]),
        "policies": st.just([Policy(None, _uapi.UDP, {"udp_timeout": 100, "udp_timeout_stream": 500})]),
        "record": st.just(
            TimeoutRecord((TimeoutChange("tcp_timeout_established", 600_000, 432_000, 5_000, 5_000),), now=5_500.0)
        ),
        "slow_renewal": st.booleans(),
    },
)


@given(_CHOSEN, st.lists(_CONNECTIONS | fields(), max_size=40), _KNOWN)
@settings(max_examples=150, deadline=None)
def test_table_is_foretold_as_its_entries_one_by_one(
    wanted: dict[str, int], entries: list[Fields], known: dict[str, t.Any]
) -> None:
    timeouts = Timeouts(SYSCTLS, NOW, **known)
    result = forecast(wanted, *entries, timeouts=timeouts)
    expected = {name: counted({name: seconds}, entries, timeouts) for name, seconds in wanted.items()}
    assert {name: numbers_of(result["settings"][name]) for name in wanted} == expected
    assert numbers_of(result) == counted(wanted, entries, timeouts)


def counted(wanted: dict[str, int], entries: list[Fields], timeouts: Timeouts) -> tuple[t.Any, ...]:
    """Return how many entries the timeouts govern, how many would be gone or are unknown, and the last of the gone."""
    new = NewTimeouts(wanted, timeouts)
    decoded = [entry_of(one) for one in entries]
    effects = [new.effect(origins_of(entry, timeouts)) for entry in decoded]
    counts = collections.Counter(effects)
    last = [entry.remaining or 0 for entry, effect in zip(decoded, effects) if effect is Effect.GONE]
    governed = len(effects) - counts[None]
    return governed, counts[Effect.GONE], counts[Effect.UNKNOWN], max(last, default=None)


def numbers_of(result: dict[str, t.Any]) -> tuple[t.Any, ...]:
    return tuple(result[key] for key in ("governed", "gone", "unknown", "last_in_seconds"))
