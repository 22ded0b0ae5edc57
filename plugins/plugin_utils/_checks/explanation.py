# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What fills the table of one router and what helps there, in words, from that router's own figures."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._facts.clusters import may_be_one_way
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.cluster_words import (
    Facts,
    common_words,
    described,
    described_with_peers,
    has_host,
    selector_words,
    share_of,
)


class PruneCommand(t.TypedDict):
    """A command that deletes entries which were never answered, and how many of them there are."""

    command: str
    frees: t.Annotated[int, "at least 0"]


class Explanation(t.TypedDict):
    """What fills a table, in words. What helps there: the commands that free entries, and sentences, as far as any."""

    filled_by: str
    prunes: list[PruneCommand]
    advice: list[str]


_Help = t.Union[str, PruneCommand]
"""A sentence, or a command that frees entries."""


_FEWEST_ENTRIES = 100
"""With fewer entries than this, no share of a table says anything."""

_UNANSWERED, _ONE_ADDRESS, _ANY = 20, 25, 80
"""From which percentage on a cluster stands out: of unanswered entries, of one address, and of all others.

Most entries of a healthy table are answered, from many addresses to many others.
"""

_LEAST_FREED = 1
"""Percent of the table that a prune has to free to be worth its while."""

_HALF_FULL = 50
"""Percent of the limit from which on answered entries are a problem."""

_MANY_IDLE = 10
"""Percent of the table that is idle for an hour, from which on that is said."""

_SHORTER: dict[tuple[str, str | None, bool], tuple[str, int]] = {
    ("udp", None, False): ("udp_timeout", 10),
    ("udp", None, True): ("udp_timeout_stream", 60),
    ("icmp", None, False): ("icmp_timeout", 10),
    ("icmp", None, True): ("icmp_timeout", 10),
    ("icmpv6", None, False): ("icmpv6_timeout", 10),
    ("icmpv6", None, True): ("icmpv6_timeout", 10),
    ("tcp", "SYN_SENT", False): ("tcp_timeout_syn_sent", 20),
    ("tcp", "SYN_RECV", True): ("tcp_timeout_syn_recv", 20),
    ("tcp", "TIME_WAIT", True): ("tcp_timeout_time_wait", 30),
    ("tcp", "CLOSE_WAIT", True): ("tcp_timeout_close_wait", 20),
    ("tcp", "FIN_WAIT", True): ("tcp_timeout_fin_wait", 30),
    ("tcp", "ESTABLISHED", False): ("tcp_timeout_unacknowledged", 60),
    ("tcp", "ESTABLISHED", True): ("tcp_timeout_established", 54_000),
}
"""By protocol, state and whether they were answered: what gives such entries their time, and a short one in seconds.

A DNS client gives up after 5 s, and a SYN is sent again after 1, 3, 7 and 15 s.
"""

_LONG = 3_600
"""A timeout in seconds that nobody waits for."""

_WORD = re.compile(r"[\w.]+=[\w.:/]+", re.ASCII)
"""A key of a selector with its value, as it can stand in a command."""

_COMMAND = "ansible HOST -b -m netops.conntrack.conntrack_prune -a 'match=\"{}\" backup=true'"
"""The command that deletes the entries of a selector, and keeps them for an undo. HOST is for the routers."""

_WORDS = rf"{_WORD.pattern}(?: {_WORD.pattern})*"
_A_COMMAND = re.compile(re.escape(_COMMAND).replace(r"\{\}", _WORDS), re.ASCII)


def explain(facts: Facts) -> Explanation | None:
    """Return what fills the table and what helps, from the ``facts`` of a router. None where it was not measured."""
    table = facts.get("table") or {}
    clusters: list[Facts] | None = table.get("filled_by")
    if clusters is None:
        return None
    telling = [cluster for cluster in clusters if _stands_out(cluster)]
    if not telling:
        return {"filled_by": _nothing(clusters), "prunes": [], "advice": []}
    wholes = _wholes(telling)
    shares = [
        f"{share_of(whole)} %: {described_with_peers(whole)}{_shares_of(whole, parts)}" for whole, parts in wholes
    ]
    shares[0] = shares[0].replace(" %:", f" % of {table['entries']:,} entries:", 1)
    helps = [each for whole, parts in wholes for each in _advice_for(whole, parts, facts)]
    return {
        "filled_by": "; ".join(shares),
        "prunes": [each for each in helps if not isinstance(each, str)],
        "advice": list(dict.fromkeys(each for each in helps if isinstance(each, str))),
    }


def is_prune_command(text: str) -> bool:
    """Return whether a text is a command as ``explain`` makes it: one that deletes the entries of a selector."""
    return _A_COMMAND.fullmatch(text) is not None


def _wholes(clusters: list[Facts]) -> list[tuple[Facts, list[Facts]]]:
    """Return the clusters that are no part of another one, each with its parts."""
    wholes = [one for one in clusters if not any(_is_part(one, other) for other in clusters)]
    parts: list[list[Facts]] = [[] for _whole in wholes]
    for part in clusters:
        place = next((at for at, whole in enumerate(wholes) if _is_part(part, whole)), None)
        if place is not None:
            parts[place].append(part)
    return list(zip(wholes, parts, strict=True))


def _is_part(one: Facts, other: Facts) -> bool:
    """Return whether a cluster has all that another one has in common, and more."""
    own, wanted = one["match"], other["match"]
    return own != wanted and all(key in own and _is_within(own[key], value) for key, value in wanted.items())


def _is_within(own: t.Any, wanted: t.Any) -> bool:
    """Return whether a value of a selector is the wanted one, or an address or network in it."""
    if own == wanted or not isinstance(wanted, str) or "/" not in wanted:
        return bool(own == wanted)
    inner: t.Any = ipaddress.ip_network(own)
    outer = ipaddress.ip_network(wanted)
    return inner.version == outer.version and bool(inner.subnet_of(outer))


def _shares_of(whole: Facts, parts: list[Facts]) -> str:
    """Return the shares of its parts in a cluster, so that nobody adds that to the share of the cluster."""
    known = common_words(whole["match"])
    shares = []
    for part in parts:
        share = f"{100 * part['entries'] / whole['entries']:.1f}".removesuffix(".0")
        own_words = [word for word in common_words(part["match"]) if word not in known]
        shares.append(f"{share} % of them {', '.join(own_words)}")
    return f" ({'; '.join(shares)})" if shares else ""


def _stands_out(cluster: Facts) -> bool:
    match = cluster["match"]
    if cluster["entries"] < _FEWEST_ENTRIES:
        return False
    least = _ONE_ADDRESS if has_host(match, "source", "destination") else _ANY
    return bool(cluster["percent"] >= (least if match["replied"] else _UNANSWERED))


def _nothing(clusters: list[Facts]) -> str:
    largest = max(clusters, key=lambda cluster: cluster["entries"], default=None)
    if largest is None or largest["entries"] < _FEWEST_ENTRIES:
        return "nothing stands out"
    return f"nothing stands out; the largest share is {share_of(largest)} %, {described(largest['match'])}"


def _advice_for(whole: Facts, parts: list[Facts], facts: Facts) -> t.Iterator[_Help]:
    """Yield what helps against a cluster and its parts. A prune of the whole frees the parts, too."""
    yield from _advice(whole, facts)
    for part in parts:
        if whole["match"]["replied"] or not _is_worth_pruning(whole):
            yield from _advice(part, facts)
        else:
            yield _who(part["match"], f"Those {_peer(part['match'])}")


def _peer(match: Facts) -> str:
    """Return the address of a cluster that says most, with its direction."""
    name = _address_that_tells(match)
    return f"{_DIRECTIONS[name]} {match[name]}" if name else ""


_DIRECTIONS = {"source": "from", "destination": "to"}


def _address_that_tells(match: Facts) -> str | None:
    """Return the name of the address that says most of who makes the entries: a single one before a network."""
    hosts = [name for name in _DIRECTIONS if has_host(match, name)]
    networks = [name for name in _DIRECTIONS if match.get(name)]
    return next(iter([*hosts, *networks]), None)


def _advice(cluster: Facts, facts: Facts) -> t.Iterator[_Help]:
    """Yield what helps against a cluster. It never says to delete what was answered: such connections may be live."""
    match = cluster["match"]
    if match["replied"]:
        yield from _advice_for_answered(match, facts)
        return
    if _is_worth_pruning(cluster):
        yield _prune(cluster)
    else:
        yield from _why_not_pruned(cluster, facts)
    yield _who(match)
    yield from _shorter(match, facts)


def _is_worth_pruning(cluster: Facts) -> bool:
    """Return whether a prune of the cluster frees enough."""
    prunable = cluster["prunable"] or 0
    freed = cluster["percent"] * prunable / cluster["entries"]
    return prunable >= _FEWEST_ENTRIES and freed >= _LEAST_FREED


def _prune(cluster: Facts) -> _Help:
    """Return the command that frees a cluster. Without words that are safe in a command, there is only a sentence."""
    words = selector_words(cluster["match"])
    if not all(map(_WORD.fullmatch, words)):
        return f"A prune of these frees {cluster['prunable']:,} entries, none of them ever answered."
    return {"command": _COMMAND.format(" ".join(words)), "frees": cluster["prunable"]}


def _why_not_pruned(cluster: Facts, facts: Facts) -> t.Iterator[str]:
    """Yield why entries that were never answered are not to be deleted, as far as the figures tell it."""
    if not may_be_one_way(cluster["match"]):
        if cluster["prunable"] is None:
            yield "How many of them a prune keeps is unknown: the configuration of conntrackd may not be read."
            return
        kept = cluster["entries"] - cluster["prunable"]
        yield f"A prune keeps {kept:,} of them, because they have a helper, or the router lives by them."
        return
    states = ((facts.get("table") or {}).get("states") or {}).get("tcp") or {}
    if states and not states.get("ESTABLISHED"):
        return
    which = "They" if cluster["match"].get("state") else "They have several states, and those that are ESTABLISHED"
    if cluster["prunable"] is None:
        yield (
            f"{which} have no counters, so nobody can tell which are live connections whose answers take another way. "
            "ansible-playbook netops.conntrack.tune turns counters on for new ones."
        )
    else:
        yield f"{which} may be live, if their answers take another way (asymmetric routing), so do not delete them."


def _who(match: Facts, which: str = "They") -> str:
    """Say who makes entries that are not answered."""
    if match.get("packets_original"):
        return "A bare ACK makes such an entry while tcp_loose is 1."
    name = _address_that_tells(match)
    if name == "source":
        return f"{which} come back until {match['source']} stops sending."
    if name == "destination" and has_host(match, "destination"):
        return f"{which} come back until {match['destination']} answers, or nobody asks it."
    return f"{which} come back as long as packets are sent that nobody answers."


def _advice_for_answered(match: Facts, facts: Facts) -> t.Iterator[str]:
    """Yield what helps against answered entries: only where the table gets full, or where most of them are idle."""
    idle = (facts.get("selectors") or {}).get("idle_hour") or {}
    may_be_idle = match["protocol"] == "tcp" and match.get("state") in (None, "ESTABLISHED")
    are_idle = may_be_idle and bool(idle.get("entries")) and (idle.get("percent") or 0) >= _MANY_IDLE
    if not are_idle and ((facts.get("usage") or {}).get("percent") or 0) < _HALF_FULL:
        return
    if are_idle:
        yield f"{idle['entries']:,} entries were idle for an hour or longer."
    yield "Do not delete them, because they were answered and may be live."
    if match.get("source"):
        yield f"Look at what {match['source']} does, and limit its connections."
    yield from _shorter(match, facts)


def _shorter(match: Facts, facts: Facts) -> t.Iterator[str]:
    """Yield which timeout gives the entries their time, if a shorter one is enough."""
    protocol, state = match["protocol"], match.get("state")
    wanted = "ESTABLISHED" if protocol == "tcp" and match["replied"] and state is None else state
    name, enough = _SHORTER.get((protocol, wanted, match["replied"]), ("", 0))
    present = (facts.get("settings") or {}).get(name)
    if not present or present <= enough:
        return
    yield f"They stay for {name}, which is {present:,} s."
    if enough >= _LONG:
        # The setting alone shortens no entry before its next packet, and those that are idle get none.
        yield (
            f"To make that {enough:,} s, also for those that are there, name {name} in conntrack_tune_overrides of the "
            "inventory, and run ansible-playbook netops.conntrack.tune."
        )
        return
    command = "ansible HOST -b -m netops.conntrack.conntrack_settings"
    yield (f"For {enough:,} s until the next boot, run {command} -a 'settings=\"{name}={enough}\" persist=false'.")
