# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What two looks at a router tell: how full its table is, how fast that changes, and what changes most."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.cluster_words import Facts, described
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import explain
from ansible_collections.netops.conntrack.plugins.plugin_utils._rollout.gates import change

TOP = 50
"""How many of the most frequent addresses are asked for. One that is not among them has few entries."""

EXPLAIN = 5
"""How many clusters are asked for. The next look counts them again."""

_MOVERS = 10
"""How many of what moves most are kept."""

_YOUNG = "young"
_CLUSTER = "cluster_{}"

_LOSSES = ("drop", "early_drop", "insert_failed", "invalid")
"""The kernel's counters of what is lost."""

_ENDS = {"source": "from", "destination": "to"}


class Mover(t.TypedDict):
    """Entries whose number changed between two looks. ``at_least``: it changed by so many or more."""

    what: str
    entries: int
    change: int
    at_least: bool


class Rates(t.TypedDict):
    """What happened between two looks, per second. None is unknown."""

    change: float | None
    new: float | None
    gone: float | None
    drop: float | None
    early_drop: float | None
    insert_failed: float | None
    invalid: float | None


class Look(t.TypedDict):
    """What is shown of one look at a router. The first one has no rates, and nothing that moves. None is unknown."""

    entries: int | None
    max: int | None
    percent: float | None
    filled_by: str
    seconds: float | None
    rates: Rates | None
    movers: list[Mover]


class Reading(t.NamedTuple):
    """The facts of a router, the time at which they came, in seconds of the controller's clock, and how long it took.

    Entries that were younger than ``window`` seconds were counted.
    """

    facts: Facts
    at: float
    took: float
    window: int


def window_since(before: Reading | None, now: float) -> int:
    """Return how many seconds before the next answer the look ``before`` will be, if both take equally long."""
    return 1 if before is None else max(round(now - before.at + before.took), 1)


def arguments_for(before: Reading | None, window: int) -> dict[str, t.Any]:
    """Return the arguments of conntrack_facts for the next look.

    The clusters of the look ``before`` are counted again, so that their change is exact. So are the entries that are
    younger than ``window`` seconds, because they began since that look.
    """
    # The age of an entry is in whole seconds, rounded down.
    selectors: dict[str, t.Any] = {_YOUNG: {"match": {"age": {"max": f"{window - 1}s"}}}}
    if before is not None:
        for number, cluster in enumerate(_clusters(before.facts)):
            selectors[_CLUSTER.format(number)] = {"match": cluster["match"]}
    subsets = ["usage", "settings", "stats", "table", "selectors"]
    return {"gather_subset": subsets, "top": TOP, "explain": EXPLAIN, "selectors": selectors}


def look_at(reading: Reading, before: Reading | None) -> Look:
    """Return what the facts tell, compared with those of the look ``before``."""
    usage = reading.facts["usage"]
    explanation = explain(reading.facts)
    return {
        "entries": usage["count"],
        "max": usage["max"],
        "percent": usage["percent"],
        "filled_by": explanation["filled_by"] if explanation else "",
        "seconds": None if before is None else round(reading.at - before.at, 1),
        "rates": None if before is None else _rates(reading, before),
        "movers": [] if before is None else movers(reading.facts, before.facts),
    }


def _rates(reading: Reading, before: Reading) -> Rates:
    seconds = max(reading.at - before.at, 0.001)
    counts = [each.facts["usage"]["count"] for each in (reading, before)]
    grown = None if None in counts else (counts[0] - counts[1]) / seconds
    counters = change(before.facts["stats"], reading.facts["stats"])
    new, gone = _counted(counters, seconds) or _by_age(reading, before, grown)
    losses = {name: _per_second(counters.get(name), seconds) for name in _LOSSES}
    return t.cast("Rates", {"change": grown, "new": new, "gone": gone, **losses})


def _per_second(count: int | None, seconds: float) -> float | None:
    return None if count is None else count / seconds


def _counted(counters: t.Mapping[str, int | None], seconds: float) -> tuple[float, float] | None:
    """Return the entries made and deleted per second, as kernels before 4.9 counted them. None: this one does not."""
    new, gone = counters.get("new"), counters.get("delete")
    return None if new is None or gone is None else (new / seconds, gone / seconds)


def _by_age(reading: Reading, before: Reading, change_per_second: float | None) -> tuple[float | None, float | None]:
    """Return the entries made and gone per second, from the times at which those began that are there.

    Entries that came and went between the two looks are in neither. Both are None where the kernel does not keep the
    times, the second one also where it does not count its entries.
    """
    keeps_times = all(each.facts["settings"].get("timestamp") for each in (reading, before))
    young = (reading.facts.get("selectors") or {}).get(_YOUNG, {}).get("entries")
    if not keeps_times or young is None:
        return None, None
    new = young / reading.window
    return new, None if change_per_second is None else max(new - change_per_second, 0.0)


def movers(facts: Facts, before: Facts) -> list[Mover]:
    """Return what changed most between two looks: clusters, and addresses that are in none of them."""
    clusters = [*_moved_clusters(facts, before)]
    known = {(end, match.get(end)) for match, _mover in clusters for end in _ENDS}
    found = [mover for _match, mover in clusters]
    for end, word in _ENDS.items():
        for address, mover in _moved_addresses(facts, before, end):
            if (end, address) not in known:
                found.append({**mover, "what": f"{word} {address}"})
    found.sort(key=lambda mover: -abs(mover["change"]))
    return found[:_MOVERS]


def _clusters(facts: Facts) -> list[Facts]:
    clusters: list[Facts] = (facts.get("table") or {}).get("filled_by") or []
    return clusters


def _moved_clusters(facts: Facts, before: Facts) -> t.Iterator[tuple[Facts, Mover]]:
    """Yield each cluster of the look before that changed, with its selector."""
    counted = facts.get("selectors") or {}
    for number, cluster in enumerate(_clusters(before)):
        entries = (counted.get(_CLUSTER.format(number)) or {}).get("entries")
        if entries is None or entries == cluster["entries"]:
            continue
        moved = entries - cluster["entries"]
        what = described(cluster["match"])
        yield cluster["match"], {"what": what, "entries": entries, "change": moved, "at_least": False}


class _Ranked(t.NamedTuple):
    """The most frequent addresses of a look, and how many entries one that is not among them has at most."""

    entries: dict[str, int]
    uncertainty: int
    others: int

    @classmethod
    def of(cls, facts: Facts, end: str) -> _Ranked:
        table = facts["table"]
        entries = {str(each["value"]): each["entries"] for each in table["top"][end]}
        uncertainty = (table.get("uncertainty") or {}).get(end, 0)
        smallest = min(entries.values(), default=0) if len(entries) >= TOP else 0
        return cls(entries, uncertainty, smallest + uncertainty)

    def range_of(self, address: str) -> tuple[int, int]:
        """Return how many entries an address has at least, and at most."""
        if address not in self.entries:
            return 0, self.others
        return self.entries[address], self.entries[address] + self.uncertainty


def _moved_addresses(facts: Facts, before: Facts, end: str) -> t.Iterator[tuple[str, Mover]]:
    """Yield the addresses whose number of entries has surely changed. What they are called is left to the caller."""
    now, then = _Ranked.of(facts, end), _Ranked.of(before, end)
    for address in {**now.entries, **then.entries}:
        (now_least, now_most), (then_least, then_most) = now.range_of(address), then.range_of(address)
        moved = max(now_least - then_most, 0) or min(now_most - then_least, 0)
        if moved:
            at_least = now_least != now_most or then_least != then_most
            yield address, {"what": "", "entries": now_least, "change": moved, "at_least": at_least}
