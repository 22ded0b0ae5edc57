# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Synthetic fleets: what the roles leave behind on routers that do not exist, rolled up as the report action does it.

The same arguments give the same document, on every machine. A fleet of KINDS or more routers has each kind of them.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import pathlib
import pickle
import random
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._facts.fullness import fullness
from ansible_collections.netops.conntrack.plugins.module_utils._facts.histogram import HISTOGRAM_BOUNDS
from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import NAMED
from ansible_collections.netops.conntrack.plugins.module_utils._units import percent
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import find
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import explain
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import assemble, roll_up
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.trend import trend
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import last_audit
from ansible_collections.netops.conntrack.plugins.plugin_utils._rollout.batches import batches
from ansible_collections.netops.conntrack.plugins.plugin_utils._rollout.gates import health, stopped
from ansible_collections.netops.conntrack.plugins.plugin_utils._tuning.sizing import size
from helpers.support import read_yaml

TIME = "2026-05-01T03:00:00Z"
BASELINE_TIME = "2026-04-24T03:00:00Z"

HOSTILE_NAMES = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(2)'>",
    "&lt;b&gt;&amp;`${1}`</details></table>",
    "router\x1b[31m\x00\r\n\u202eder",
    "маршрутизатор-№7-東京-🛰",
    "core-" + "very-long-name-" * 12 + "end",
)
"""Names that an inventory may have, and that must come out of every format as text."""

Document = t.Any
"""A document, or a part of one. Tests make wrong ones, which its types forbid."""

_Facts = dict[str, t.Any]

_ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"
_WHERE = (
    "ams",
    "fra",
    "lhr",
    "cdg",
    "waw",
    "mad",
    "vie",
    "arn",
    "zrh",
    "lis",
    "dub",
    "prg",
    "mil",
    "osl",
    "hel",
    "ath",
)
_WHAT = ("edge", "core", "cgn", "fw", "vpn")
_WEIGHTS = {
    "healthy": 46,
    "full": 6,
    "unreachable": 3,
    "accounting_off": 5,
    "failed": 2,
    "nearly_full": 9,
    "no_limit": 3,
    "stale": 12,
    "idle": 6,
    "unhealthy": 1,
    "drifting": 7,
}
KINDS = tuple(_WEIGHTS)

_FULLNESS = {"full": (0.955, 0.9999), "nearly_full": (0.80, 0.945), "idle": (0, 0.0001), "unhealthy": (0.9, 0.99)}
_STALE = {"full": (0.55, 0.9), "nearly_full": (0.2, 0.6), "stale": (0.12, 0.7)}
_LIMITS = (65_536, 131_072, 262_144, 524_288, 1_048_576)
_PROTOCOLS = {"tcp": 70, "udp": 24, "icmp": 3, "icmpv6": 1, "sctp": 0.6, "gre": 0.4}
_STATES = {
    "tcp": {
        "ESTABLISHED": 60,
        "TIME_WAIT": 20,
        "SYN_SENT": 7,
        "CLOSE": 5,
        "FIN_WAIT": 3,
        "LAST_ACK": 2,
        "CLOSE_WAIT": 2,
        "SYN_RECV": 1,
    },
    "sctp": {"ESTABLISHED": 8, "COOKIE_WAIT": 1},
}
_REMAINING = (3, 8, 14, 18, 9, 4, 3, 2, 2, 3, 6, 4, 6, 8, 10, 0)
_IDLE = (30, 18, 12, 8, 7, 5, 5, 4, 3, 3, 2, 1, 1, 0.5, 0.4, 0.1)
_DEAD_IDLE = (0, 0, 0, 0, 0, 1, 1, 2, 3, 8, 14, 12, 20, 22, 16, 1)
_PORTS = (443, 53, 80, 123, 22, 8443, 993, 3478, 5060, 1194)
_SELECTOR_UNAVAILABLE = (
    "packets_original cannot be decided: net.netfilter.nf_conntrack_acct is 0. Set it to 1, for entries from then on."
)
_OF_COUNTERS = sorted(
    name for name, selection in NAMED.items() if any("packets_original" in each for each in selection["match"])
)
"""The selectors of the collection that accounting has to be on for."""
_UNREACHABLE = {
    "step": "Measure connection tracking",
    "message": "Failed to connect to the host via ssh: ssh: connect to host 192.0.2.17 port 22: Connection timed out",
    "unreachable": True,
}
_FAILED = {
    "step": "Set what this kernel has",
    "message": 'max: 2147483648 cannot be set on <router> & "friends": Invalid argument. Give a smaller number.',
    "unreachable": False,
}


@dataclasses.dataclass(frozen=True)
class Router:
    """What decides on the facts of one synthetic router; ``seed`` on all that is only decoration."""

    seed: str
    kind: str
    limit: int
    entries: int
    stale: int
    settings: dict[str, int]
    drops: int
    log: dict[str, t.Any]
    drift: list[str]

    @classmethod
    def draw(cls, seed: str, kind: str) -> Router:
        """Return a router of ``kind``, drawn with ``seed``."""
        rng = random.Random(seed)
        limit = rng.choice(_LIMITS)
        low, high = _FULLNESS.get(kind, (0.04, 0.74))
        entries = int(limit * (low + (high - low) * rng.betavariate(1.6, 2)))
        low, high = _STALE.get(kind, (0, 0.07))
        dropping = kind in ("full", "unhealthy")
        readable = {"messages": 40 * dropping, "last_seconds_ago": 312.5 if dropping else None, "unreadable": None}
        unreadable = {"messages": None, "last_seconds_ago": None, "unreadable": "/dev/kmsg: Operation not permitted"}
        return cls(
            seed=seed,
            kind=kind,
            limit=0 if kind == "no_limit" else limit,
            entries=entries,
            stale=int(entries * rng.uniform(low, high)),
            settings={
                "acct": int(kind != "accounting_off"),
                "buckets": limit // 4,
                "generic_timeout": 600,
                "max": 0 if kind == "no_limit" else limit,
                "tcp_loose": 1,
                "tcp_timeout_established": 432_000,
                "tcp_timeout_max_retrans": 300,
                "tcp_timeout_unacknowledged": 300,
                "timestamp": rng.randrange(2),
                "udp_timeout": 30,
                "udp_timeout_stream": 120,
            },
            drops=rng.randrange(1, 90_000) if dropping else 0,
            log=unreadable if rng.random() < 0.1 else readable,
            drift=["max", "tcp_timeout_established"] if kind == "drifting" else [],
        )

    def tuned_and_pruned(self) -> Router:
        """Return the router as it is after a run: settings of the profile, no stale entry, a little traffic since."""
        settings = self.settings | {"acct": 1, "generic_timeout": 120, "tcp_timeout_established": 54_000}
        rest = self.entries if self.kind == "unhealthy" else int((self.entries - self.stale) * 0.96)
        stale = self.stale if self.kind == "unhealthy" else 0
        drift = [short for short in self.drift if self.settings[short] == settings[short]]
        return dataclasses.replace(self, entries=rest, stale=stale, settings=settings, drift=drift)

    def a_week_ago(self) -> Router:
        """Return the router as the baseline found it."""
        rng = random.Random(f"{self.seed} then")
        return dataclasses.replace(self, entries=int(self.entries * rng.uniform(0.6, 1.1)), stale=self.stale // 2)

    def facts(self) -> _Facts:
        """Return what conntrack_facts would measure."""
        rng = random.Random(self.seed)
        counters = {"insert": 7_000_000, "insert_failed": self.drops // 9, "drop": self.drops, "early_drop": 0}
        counters["invalid"] = self.entries // 7
        return {
            "usage": self._usage(),
            "settings": self.settings,
            "stats": {
                "total": counters,
                "table_full": self.log,
                "received_packets": 4_000_000_000,
                "unavailable": None,
            },
            "boot": {
                "drift": self.drift,
                **{key: [] for key in ("lost_settings", "undecided_settings", "invalid", "overridden", "contested")},
            },
            "table": self._table(rng),
            "selectors": self._selectors(random.Random(f"{self.seed} selectors")),
            "profile": {"leftover": [], "unavailable": None},
        }

    def _usage(self) -> _Facts:
        count, limit, buckets = self.entries, self.limit, self.settings["buckets"]
        return {
            **fullness(count, limit, buckets),
            "memory_bytes": count * 256 + buckets * 8,
            "entry_bytes": 256,
            "memory_total_bytes": 8 << 30,
            "listeners": self._listeners(),
        }

    def _listeners(self) -> list[_Facts] | None:
        reads = {"process": "conntrackd", "pid": 812, "port_id": 812, "receive_queue_bytes": 0, "drops": 0}
        hangs = {"process": None, "pid": None, "port_id": 4_294_963_111, "receive_queue_bytes": 212_992, "drops": 70}
        # Kernels without /proc/net/netlink do not tell.
        of_kinds: dict[str, list[_Facts] | None] = {
            "drifting": [reads],
            "unhealthy": [reads],
            "nearly_full": [reads, hangs],
            "no_limit": None,
        }
        return of_kinds.get(self.kind, [])

    def _selectors(self, rng: random.Random) -> _Facts:
        """Return what the collection's selectors counted: those that read counters nothing without accounting."""
        live = self.entries - self.stale
        counts = {name: self._counted(_split(rng, live // rng.randrange(5, 500), {"tcp": 1})) for name in NAMED}
        others = {"udp": 8, "icmp": 3, "icmpv6": 1}
        counts["unanswered"] = self._counted(_split(rng, live // 8, others))
        counts["stale"] = self._counted({"tcp": self.stale})
        return counts if self.settings["acct"] else counts | {name: self._not_counted() for name in _OF_COUNTERS}

    def _counted(self, protocols: dict[str, int]) -> _Facts:
        protocols = _largest_first(protocols)
        entries = sum(protocols.values())
        share = percent(entries, self.entries)
        undecidable = self.entries // 1000 if entries else 0
        counts = {"entries": entries, "percent": share, "undecidable": undecidable, "unavailable": None}
        return {**counts, "protocols": protocols}

    def _not_counted(self) -> _Facts:
        unavailable = _SELECTOR_UNAVAILABLE
        return {"entries": None, "percent": None, "undecidable": 0, "unavailable": unavailable, "protocols": None}

    def _table(self, rng: random.Random) -> _Facts:
        live = self.entries - self.stale
        protocols = _split(rng, live, _PROTOCOLS)
        protocols["tcp"] += self.stale
        tcp = _split(rng, protocols["tcp"] - self.stale, _STATES["tcp"])
        tcp["ESTABLISHED"] += self.stale
        states = {"sctp": _split(rng, protocols["sctp"], _STATES["sctp"]), "tcp": tcp}
        families = _split(rng, self.entries, {"ipv4": 80, "ipv6": 20})
        assured = int(live * 0.6)
        offloaded = live // 20
        return {
            "entries": self.entries,
            "families": families,
            "protocols": _largest_first(protocols),
            "states": {name: _largest_first(counts) for name, counts in states.items() if sum(counts.values())},
            "status": {
                "assured": assured,
                "expected": 0,
                "snat": live // 2,
                "dnat": live // 30,
                "fixed_timeout": 0,
                "helper": min(live, 3),
                "offloaded": offloaded,
                "unreplied": self.stale + live // 8,
            },
            "evictable": self.entries - assured - offloaded,
            "filled_by": self._filled_by(tcp),
            "explained_percent": round(sum(cluster["percent"] for cluster in self._filled_by(tcp)), 2),
            "nat_ports": self._nat_ports(live),
            "not_listed": {"nearly_full": 3, "no_limit": None}.get(self.kind, 0),
            **self._zones(),
            "marks": {"0x0": self.entries} if self.entries else {},
            "marks_distinct": min(1, self.entries),
            "packets": self._amounts(14, live),
            "bytes": self._amounts(9_100, live),
            "remaining": _histogram(rng, [(live - offloaded, _REMAINING), (self.stale, _REMAINING)], offloaded),
            "idle": _histogram(rng, [(live - offloaded, _IDLE), (self.stale, _DEAD_IDLE)], offloaded),
            "top": self._top(rng),
            "uncertainty": dict.fromkeys(("marks", "source", "destination"), 0),
        }

    def _nat_ports(self, live: int) -> list[_Facts]:
        """Return the address of NAT that most connections to one service have."""
        pair = {"protocol": "tcp", "address": "192.0.2.1", "destination": "203.0.113.7", "destination_port": 443}
        return [{**pair, "zone": 0, "ports": min(live // 50, 20_000)}] if live >= 5_000 else []

    def _filled_by(self, tcp: dict[str, int]) -> list[_Facts]:
        """Return the dead connections and the others as clusters, as far as they have a share that is large enough."""
        single: _Facts = {"packets_original": {"min": 1, "max": 1}} if self.settings["acct"] else {}
        kinds: list[tuple[_Facts, int]] = [
            ({"replied": False, **single}, self.stale),
            ({"replied": True}, tcp["ESTABLISHED"] - self.stale),
        ]
        return [
            {
                "match": {"protocol": "tcp", "state": "ESTABLISHED", **shared},
                "entries": entries,
                "percent": percent(entries, self.entries),
                "prunable": 0 if shared["replied"] else entries if single else None,
                "sources": min(entries, 4096),
                "more_sources": entries > 4096,
                "source_network": "10.0.0.0/8",
                "destinations": 1,
                "more_destinations": False,
                "destination_network": "203.0.113.7",
            }
            for shared, entries in kinds
            if entries and percent(entries, self.entries) >= 5
        ]

    def _zones(self) -> _Facts:
        """Return the entries by zone; a router with VRFs has zones of one direction."""
        original = {"110": self.entries // 3} if self.kind == "drifting" else {}
        reply = {"120": self.entries // 9} if self.kind == "drifting" else {}
        others = self.entries - sum(original.values()) - sum(reply.values())
        zones = _largest_first({"0": others, **original, **reply})
        return {
            "zones": zones,
            "zones_distinct": len(zones),
            "zones_original": original,
            "zones_original_distinct": len(original),
            "zones_reply": reply,
            "zones_reply_distinct": len(reply),
        }

    def _amounts(self, each: int, live: int) -> dict[str, int]:
        if not self.settings["acct"]:
            return {"original": 0, "reply": 0, "unknown": self.entries}
        return {"original": live * each, "reply": live * each * 4, "unknown": 0}

    def _top(self, rng: random.Random) -> dict[str, list[_Facts]]:
        numbers = (rng.randrange(1, 255) for _number in itertools.count())
        values: dict[str, list[t.Any]] = {
            "source": [f"10.{next(numbers)}.{next(numbers)}.{next(numbers)}" for _place in range(8)]
            + [f"2001:db8:{next(numbers):x}::{next(numbers):x}" for _place in range(2)],
            "destination": [f"203.0.113.{number}" for number in rng.sample(range(1, 255), 9)] + ["2001:db8:ffff::443"],
            "source_port": rng.sample(range(32_768, 60_999), 10),
            "destination_port": list(_PORTS),
        }
        return {name: self._ranked(rng, each) for name, each in values.items()}

    def _ranked(self, rng: random.Random, values: list[t.Any]) -> list[_Facts]:
        share, ranked = rng.uniform(0.06, 0.3), []
        for value in values:
            entries = int(self.entries * share)
            share *= rng.uniform(0.55, 0.95)
            if entries:
                ranked.append({"value": value, "entries": entries, "percent": percent(entries, self.entries)})
        return ranked


class OnDemand(t.Mapping[str, Document]):
    """Documents by name, each made when it is first asked for: every worker imports all tests, and runs some."""

    def __init__(self, makers: t.Mapping[str, t.Callable[[], Document]]) -> None:
        """Take what makes each of them."""
        self._makers = makers
        self._made: dict[str, Document] = {}

    def __getitem__(self, name: str) -> Document:
        """Return a document, always the same one."""
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __iter__(self) -> t.Iterator[str]:
        """Yield the names."""
        return iter(self._makers)

    def __len__(self) -> int:
        """Return how many documents there are."""
        return len(self._makers)


def fleet_document(
    hosts: int,
    seed: int = 1,
    *,
    after: bool = True,
    check_mode: bool = False,
    stops: bool = True,
    with_trend: bool = True,
    hostile: bool = False,
) -> Document:
    """Return a document of its own about ``hosts`` synthetic routers, drawn with ``seed``.

    With ``after`` it is about a run of ``site`` in batches, one of which ``stops`` it unless that is false or there
    are too few routers; otherwise about an audit alone. ``with_trend`` compares it with a baseline. ``hostile`` gives
    some of the routers HOSTILE_NAMES.
    """
    document: Document = pickle.loads(_drawn(hosts, seed, after, check_mode, stops, with_trend, hostile))
    return document


@functools.cache
def _drawn(hosts: int, seed: int, after: bool, check_mode: bool, stops: bool, with_trend: bool, hostile: bool) -> bytes:
    """Return the document as pickle writes it, so that each who gets it can change it. See fleet_document."""
    names = _names(hosts, hostile)
    kinds = dict(zip(names, _kinds(hosts, seed), strict=True))
    routers = {name: Router.draw(f"{seed} {name}", kind) for name, kind in kinds.items()}
    rollout = _rollout(routers, stops) if after else None
    waiting = _waiting(rollout) if rollout else set(names)
    records = {name: _record(router, name not in waiting, check_mode) for name, router in routers.items()}
    document: Document = roll_up(records, names, TIME, check_mode, rollout)
    if with_trend:
        document["baseline"] = {"time": BASELINE_TIME}
        for name, host in document["hosts"].items():
            host["trend"] = trend(last_audit(host), _audit(routers[name].a_week_ago()))
    return pickle.dumps(document)


def under_other_names(document: Document, hosts: int) -> Document:
    """Return the document of a fleet of so many routers: those of ``document`` again and again, under other names."""
    routers = itertools.cycle(document["hosts"].values())
    reports = {f"router-{place:05}": router for place, router in zip(range(hosts), routers, strict=False)}
    assembled: Document = assemble(reports, document["checks"], document["time"], document["check_mode"])
    return {**assembled, "baseline": document["baseline"]}


def kinds_of_fleets() -> t.Mapping[str, Document]:
    """Return a document of each kind that a format has to do with, by what it is of."""
    return OnDemand(
        {
            "a run that was stopped": lambda: fleet_document(40),
            "hostile names": lambda: fleet_document(40, hostile=True),
            "an audit": lambda: fleet_document(12, after=False, with_trend=False),
            "check mode": lambda: fleet_document(12, check_mode=True),
            "no routers": lambda: fleet_document(0),
        }
    )


def full_record(seed: str, kind: str = "nearly_full") -> dict[str, t.Any]:
    """Return the record of one synthetic router that a run of ``site`` changed."""
    return _record(Router.draw(seed, kind), begun=True, check_mode=False)


def _names(hosts: int, hostile: bool) -> list[str]:
    names = [
        f"{_WHAT[number % len(_WHAT)]}-{_WHERE[number // len(_WHAT) % len(_WHERE)]}"
        f"-{number // len(_WHAT) // len(_WHERE) + 1:02}"
        for number in range(hosts)
    ]
    return [*HOSTILE_NAMES[:hosts], *names[len(HOSTILE_NAMES) :]] if hostile else names


def _kinds(hosts: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    drawn = rng.choices(KINDS, list(_WEIGHTS.values()), k=max(0, hosts - len(KINDS)))
    # One unhealthy router is enough to stop a roll-out.
    return [*KINDS, *("healthy" if kind == "unhealthy" else kind for kind in drawn)][:hosts]


def _rollout(routers: dict[str, Router], stops: bool) -> Document:
    """Return the batches: a canary, a tenth, then 35 % each; the unhealthy router stands in the last but one.

    A router that did not answer the first audit is in none.
    """
    others = [name for name, router in routers.items() if router.kind not in ("unreachable", "unhealthy")]
    planned = batches(others, [1, "10%", "35%"])
    unhealthy = {name: router for name, router in routers.items() if router.kind == "unhealthy"}
    if not unhealthy:
        return {"batches": planned, "stopped": None}
    planned[-2 if stops else -1] += unhealthy
    gates = {name: _health(router, router.tuned_and_pruned()) for name, router in unhealthy.items()}
    return {"batches": planned, "stopped": stopped(gates, planned) if stops else None}


def _waiting(rollout: dict[str, t.Any]) -> set[str]:
    """Return the routers whose turn has not come."""
    begun = rollout["stopped"]["batch"] if rollout["stopped"] else len(rollout["batches"])
    return {name for batch in rollout["batches"][begun:] for name in batch}


def _record(router: Router, begun: bool, check_mode: bool) -> dict[str, t.Any]:
    if router.kind == "unreachable":
        return {"failure": _UNREACHABLE}
    record: dict[str, t.Any] = {"before": _audit(router)}
    if not begun:
        return record
    if router.kind == "failed":
        return record | {"failure": _FAILED}
    now = router.tuned_and_pruned()
    record |= {"tune": _tune(router, now, check_mode), "prune": _prune(router, now, check_mode)}
    return record if check_mode else record | {"after": _audit(now), "health": _health(router, now)}


def _audit(router: Router) -> Document:
    facts = router.facts()
    return {
        "usage": facts["usage"],
        "selectors": facts["selectors"],
        "findings": find(facts, _default("conntrack_audit", "conntrack_audit_checks")),
        "table": facts["table"],
        "stats": facts["stats"],
        "drift": facts["boot"]["drift"],
        "explanation": explain(facts),
        **_namespaces(router),
    }


def _namespaces(router: Router) -> Document:
    """Return what an audit has of the namespaces of a router. Those of two kinds have containers."""
    if router.kind not in ("nearly_full", "unhealthy"):
        return {"namespaces": None, "across_namespaces": None}
    full = {
        "title": "pid:1234 (nginx, docker web)",
        "own": False,
        "count": int(0.9 * router.limit),
        "max": router.limit,
        "percent": 90.0,
        "filled_by": "nothing stands out",
        "unavailable": None,
    }
    closed = {
        **full,
        "title": "blue",
        "count": None,
        "percent": None,
        "filled_by": None,
        "unavailable": "not permitted",
    }
    across = {
        "namespaces": 2,
        "left_out": 0,
        "hidden_processes": 1,
        "count": None,
        "buckets": router.limit,
        "load_factor": None,
        "complete": None,
        "unavailable": "1 namespace could not be measured, such as blue: not permitted.",
    }
    return {"namespaces": {"blue": closed, "pid:1234": full}, "across_namespaces": across}


@functools.cache
def _default(role: str, variable: str) -> t.Any:
    """Return the value that a variable of a role has by default."""
    return read_yaml(_ROLES / role / "defaults" / "main.yml")[variable]


def _profile() -> dict[str, dict[str, t.Any]]:
    profiles = _default("conntrack_tune", "conntrack_tune_profiles")
    settings: dict[str, dict[str, t.Any]] = profiles["expire_dead_connections"]["settings"]
    return settings


def _tune(router: Router, now: Router, check_mode: bool) -> dict[str, t.Any]:
    settings = {
        short: {
            "runtime_before": router.settings[short],
            "runtime_after": now.settings[short],
            "boot_before": None,
            "boot": now.settings[short],
        }
        for short in _profile()
    }
    live = router.entries - router.stale
    done: dict[str, int | None] = {"updated": live // 5, "already_gone": 0, "not_updated": 0}
    if check_mode:
        done = dict.fromkeys(done)
    kept = {"not_lowered": 0, "rule": 3 if router.kind == "idle" else 0, "helper": 0, "longer_than_before": 0}
    account = {"matched": live, "would_update": live // 5, "unchanged": live - live // 5, **done, "kept": kept}
    return {
        "profile": "expire_dead_connections",
        "left_out": ["gre_timeout"] if router.kind == "idle" else [],
        "settings": settings,
        "why": {short: entry["why"] for short, entry in _profile().items()},
        "sizing": size(router.facts()["usage"]) if router.limit else None,
        "shortened": account | {"fixed_timeout": 0, "undecidable": 0},
        "forecast": _forecast(router, None if check_mode else now),
        "confirmed": None if check_mode else True,
    }


def _forecast(router: Router, after: Router | None) -> dict[str, t.Any]:
    live = router.entries - router.stale
    counts = {"entries": router.entries, "governed": live, "gone": live // 10, "unknown": live // 100}
    return {
        **counts,
        "percent": percent(live // 10, router.entries),
        "last_in_seconds": 377_990,
        "shortened_in_seconds": 54_000,
        "now": _fullness(router, router.entries),
        "then": _fullness(router, router.entries - live // 10),
        "after": None if after is None else _fullness(after, after.entries),
        "after_seconds": None if after is None else 0,
    }


def _fullness(router: Router, count: int) -> dict[str, t.Any]:
    return fullness(count, router.limit, router.settings["buckets"])


def _prune(router: Router, now: Router, check_mode: bool) -> dict[str, t.Any]:
    if not router.settings["acct"]:
        return {"unavailable": _SELECTOR_UNAVAILABLE}
    gone = min(2, router.stale)
    kept = {"reason": "management", "option": "protect_management: false", "entries": 1, "sample": []}
    return {
        "matched": router.stale + 4,
        "protected": 1,
        "kept": [kept],
        "woken": 3,
        "would_delete": router.stale,
        "deleted": None if check_mode else router.stale - gone,
        "already_gone": None if check_mode else gone,
        "not_deleted": None if check_mode else 0,
        "matches_now": None if check_mode else now.stale,
        "undecidable": router.entries // 1000,
        "not_listed": 0,
        "unavailable": None,
        "count_before": router.entries,
        "count_after": None if check_mode else router.entries - router.stale,
    }


def _health(router: Router, now: Router) -> list[t.Mapping[str, t.Any]]:
    reference, after = now.facts(), now.facts()
    if router.kind == "unhealthy":
        after["stats"]["total"] = {name: count + 1_204 for name, count in after["stats"]["total"].items()}
    return list(health(_default("conntrack_audit", "conntrack_audit_gates"), router.facts(), reference, after, True))


def _split(rng: random.Random, total: int, weights: t.Mapping[str, float]) -> dict[str, int]:
    """Return ``total`` in whole parts that are about as large as the ``weights``; the rest goes to the first."""
    rough = {name: weight * rng.uniform(0.6, 1.4) for name, weight in weights.items()}
    parts = {name: int(total * weight / sum(rough.values())) for name, weight in rough.items()}
    first = next(iter(parts))
    parts[first] += total - sum(parts.values())
    return parts


def _largest_first(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in sorted(counts.items(), key=lambda item: -item[1]) if count}


def _histogram(rng: random.Random, groups: list[tuple[int, t.Sequence[float]]], unknown: int) -> _Facts:
    counts = [0] * len(HISTOGRAM_BOUNDS)
    for total, weights in groups:
        parts = _split(rng, total, {str(place): weight for place, weight in enumerate(weights)})
        for place, entries in parts.items():
            counts[int(place)] += entries
    ranges = zip(HISTOGRAM_BOUNDS, (*HISTOGRAM_BOUNDS[1:], None), counts, strict=True)
    histogram = [{"from": start, "below": end, "entries": entries} for start, end, entries in ranges]
    return {"histogram": histogram, "unknown": unknown}
