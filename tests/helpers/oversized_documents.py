# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents in which one router sent far too much of one kind. No report may take long for it, or grow with it."""

from __future__ import annotations

import copy
import functools
import typing as t

from helpers.documents import Document, fleet_document

ROUTER = "liar"
"""The router that sent too much. All others are as they are."""

Change = t.Callable[[Document, Document, int], None]
"""Puts so many of a kind into a document and into the part of the router in it."""


def large_document(kind: str, count: int) -> Document:
    """Return the document on some routers, one of which sent ``count`` of a kind, or a text of so many characters."""
    document = copy.deepcopy(_small())
    KINDS[kind](document, document["hosts"][ROUTER], count)
    return document


@functools.cache
def _small() -> Document:
    document: Document = fleet_document(12)
    name = next(
        name for name, host in document["hosts"].items() if host["before"] and host["after"] and host["settings"]
    )
    host = document["hosts"].pop(name)
    host["settings"]["sizing"] = host["settings"]["sizing"] or None
    host["prune"] = host["prune"] or next(each["prune"] for each in document["hosts"].values() if each["prune"])
    document["hosts"][ROUTER] = host
    for batch in document["rollout"]["batches"]:
        batch[:] = [ROUTER if each == name else each for each in batch]
    return document


def _names(count: int) -> list[str]:
    return [f"name{number}" for number in range(count)]


def _audits(change: t.Callable[[Document, int], None]) -> Change:
    def both(_document: Document, host: Document, count: int) -> None:
        for phase in ("before", "after"):
            change(host[phase], count)

    return both


def _tables(change: t.Callable[[Document, int], None]) -> Change:
    return _audits(lambda audit, count: change(audit["table"], count))


def _findings(document: Document, host: Document, count: int) -> None:
    check = {"title": "Something", "severity": "low", "advice": "Look."}
    document["checks"] |= dict.fromkeys(_names(count), check)
    for phase, status in (("before", "finding"), ("after", "unknown")):
        host[phase]["findings"] = [
            {"id": name, "status": status if number % 2 else "finding", "value": number, "reason": f"why {number}"}
            for number, name in enumerate(_names(count))
        ]


def _trend_findings(document: Document, host: Document, count: int) -> None:
    _findings(document, host, count)
    host["trend"]["findings"] = {"new": _names(count), "gone": _names(count)}


def _value(value_of: t.Callable[[int], t.Any]) -> Change:
    def change(_document: Document, host: Document, count: int) -> None:
        for phase in ("before", "after"):
            host[phase]["findings"][0] |= {"status": "finding", "value": value_of(count)}

    return change


def _gates(document: Document, host: Document, count: int) -> None:
    gates = [
        {"host": ROUTER, "id": name, "title": name, "status": "finding", "value": 1, "reason": None}
        for name in _names(count)
    ]
    host["health"] = [{key: gate[key] for key in ("id", "status", "value", "reason")} for gate in gates]
    stops = [{key: gate[key] for key in gate if key != "status"} for gate in gates]
    document["rollout"]["stopped"] = {"batch": 1, "gates": stops}


def _changes(_document: Document, host: Document, count: int) -> None:
    change = {"before": 1, "after": 2, "boot_before": None, "boot_after": 2, "why": "because"}
    host["settings"]["changes"] = {name: {**change, "why": f"because of {name}"} for name in _names(count)}


def _kept(_document: Document, host: Document, count: int) -> None:
    host["prune"]["kept"] = [{"reason": name, "option": name, "entries": 1, "sample": []} for name in _names(count)]


def _failure(text_of: t.Callable[[int], str]) -> Change:
    def change(_document: Document, host: Document, count: int) -> None:
        host["failure"] = {"step": text_of(count), "message": text_of(count), "unreachable": False}

    return change


def _counts(count: int) -> dict[str, int]:
    return {name: number % 3 for number, name in enumerate(_names(count))}


_SELECTOR = {"entries": 1, "percent": 1.0, "undecidable": 0, "unavailable": None}

KINDS: dict[str, Change] = {
    "drift": _audits(lambda audit, count: audit.update(drift=_names(count))),
    "one drift": _audits(lambda audit, count: audit.update(drift=["A" * count])),
    "new drift": lambda _document, host, count: host["trend"].update(
        drift={"new": _names(count), "gone": _names(count)}
    ),
    "states": _tables(lambda table, count: table["states"].update(tcp=_counts(count))),
    "protocols": _tables(lambda table, count: table.update(protocols=_counts(count))),
    "protocols with states": _tables(
        lambda table, count: table.update(states={name: {"A": 1} for name in _names(count)})
    ),
    "families": _tables(lambda table, count: table.update(families=_counts(count))),
    "status": _tables(lambda table, count: table["status"].update(_counts(count))),
    "zones": _tables(lambda table, count: table.update(zones=_counts(count))),
    "ranges": _tables(
        lambda table, count: table["idle"].update(
            histogram=[{"from": number, "below": number + 1, "entries": number} for number in range(count)]
        )
    ),
    "talkers": _tables(
        lambda table, count: table["top"].update(
            source=[{"value": name, "entries": 1, "percent": 0.1} for name in _names(count)]
        )
    ),
    "new talkers": lambda _document, host, count: host["trend"].update(
        new_top={"source": _names(count), "destination": _names(count)}
    ),
    "kinds of talkers": lambda _document, host, count: host["trend"].update(
        new_top={name: [name] for name in _names(count)}
    ),
    "selectors": _audits(lambda audit, count: audit["selectors"].update(dict.fromkeys(_names(count), _SELECTOR))),
    "protocols of a selector": _audits(
        lambda audit, count: audit["selectors"]["stale"].update(protocols=_counts(count))
    ),
    "selectors of a trend": lambda _document, host, count: host["trend"].update(
        selectors={name: {"before": 1, "now": 2} for name in _names(count)}
    ),
    "counters": _audits(lambda audit, count: audit["stats"]["total"].update(_counts(count))),
    "findings": _findings,
    "findings of a trend": _trend_findings,
    "values": _value(_names),
    "one value": _value(lambda count: "A" * count),
    "nested values": _value(lambda count: [_names(count)]),
    "gates": _gates,
    "changes": _changes,
    "left out": lambda _document, host, count: host["settings"].update(left_out=_names(count)),
    "kept": _kept,
    "one word": _failure(lambda count: "A" * count),
    "words": _failure(lambda count: "word " * (count // 5)),
    "control characters": _failure(lambda count: "\x1b" * count),
    "commands": _failure(lambda count: "`ansible " * (count // 9)),
    "markup": _failure(lambda count: "<&_*[" * (count // 5)),
    "formulas": _failure(lambda count: ";" * count),
    "blanks": _failure(lambda count: " " * count + "="),
    "reason of no conntrack": lambda _document, host, count: host.update(no_conntrack="A" * count),
}
"""What a router may send too much of, by name."""

TEXTS = frozenset(
    {"one drift", "one value", "one word", "words", "control characters", "commands", "markup", "formulas", "blanks"}
    | {"reason of no conntrack"}
)
"""The kinds that are one text, counted in characters."""
