# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The section of one router in the HTML report: what was found, its charts, what was done, and how it was before."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import PARTS, SELECTORS, listed, some, with_unit
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.advice import advised
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.components import (
    Fleet,
    and_more,
    badge,
    block,
    definitions,
    folding,
    rows_of,
    shown,
    status_of,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.explanations import Explanations
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.figures import figures
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.fleet_table import NO_LIMIT
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.table_contents import contents
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import (
    Html,
    counted,
    element,
    number,
    percentage,
    together,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import (
    Record,
    last_audit,
    why_not_pruned,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._tuning.sizing import binary_size

_RECAP = (
    "matched",
    "would_update",
    "updated",
    "unchanged",
    "already_gone",
    "fixed_timeout",
    "not_lowered",
    "rule",
    "helper",
    "longer_than_before",
    "undecidable",
)
_NOT_TRIED = ("updated", "already_gone")
"""What a rehearsal says nothing of."""

_PRUNE = (
    "matched",
    "protected",
    "woken",
    "would_delete",
    "deleted",
    "already_gone",
    "not_deleted",
    "matches_now",
    "undecidable",
    "not_listed",
)
_CONFIRMED = {
    True: "Confirmed over a new connection.",
    False: "NOT confirmed: the router puts its old values back by itself.",
    None: "",
}


def router_section(fleet: Fleet, name: str, host: Record, explained: Explanations) -> Html:
    """Return the section of a router, closed but for its headline."""
    parts = [
        _failure(host["failure"]),
        _no_conntrack(host["no_conntrack"]),
        explained.of_router(name),
        _findings(fleet, host),
        *contents(fleet, host),
        _changes(host["settings"], fleet.check_mode),
        _recap(host["settings"], fleet.check_mode),
        _deletions(host, fleet.check_mode),
        _gates(host["health"]),
        _trend(fleet, host["trend"]),
        figures(host),
    ]
    body = element("div", *filter(None, parts), id=fleet.anchors[name], class_="body")
    return element("details", _headline(name, host), body, class_="router")


def _headline(name: str, host: Record) -> Html:
    last = last_audit(host)
    told = _fullness(last) if last else "not measured"
    return element("summary", badge(host["verdict"]), element("b", name), element("small", told))


def _fullness(audit: Record) -> str:
    usage, found = audit["usage"], counted(len(status_of(audit, "finding")), "finding")
    if usage["max"] == 0:
        return f"{counted(usage['count'], 'entry', 'entries')}, {NO_LIMIT}, {found}"
    return f"{percentage(usage['percent'])} % of {number(usage['max'])}, {found}"


def _failure(failure: Record | None) -> Html:
    if not failure:
        return Html("")
    return block("Not done", element("p", element("strong", failure["step"]), ": ", failure["message"]))


def _no_conntrack(reason: str | None) -> Html:
    return block("Connections are not tracked", element("p", reason)) if reason else Html("")


def _findings(fleet: Fleet, host: Record) -> Html:
    """Return what is found now, with a link to its cure, what cannot be told and why, and what is no longer found."""
    checks, last = fleet.document["checks"], last_audit(host)
    still, unknown, passed = (status_of(last, status) for status in ("finding", "unknown", "passed"))
    before = {finding["id"]: finding["value"] for finding in (host["before"] or {"findings": []})["findings"]}
    articles = []
    told_now, others = some((still | unknown).items(), PARTS)
    for check_id, finding in told_now:
        check, place = checks[check_id], fleet.findings.get(check_id)
        title = element("a", check["title"], href=f"#{place}") if place else check["title"]
        values = shown([before.get(check_id, finding["value"]), finding["value"]], _value_of(check))
        parts = [
            element("h4", title, together([": ", values]) if values else ""),
            element("p", finding["reason"], class_="soft") if finding["reason"] else "",
            advised(check["advice"]) if check_id in still and not place else "",
        ]
        told = badge(check["severity"] if check_id in still else "unknown")
        articles.append(element("article", told, *parts, class_="finding"))
    articles.append(and_more(others))
    cured = [checks[check_id]["title"] for check_id in status_of(host["before"], "finding") if check_id in passed]
    return block(
        "Findings",
        *articles,
        _line("No longer found: ", cured),
        element("p", f"{counted(len(passed), 'check')} passed.", class_="soft") if passed else "",
    )


def _line(opening: str, texts: t.Sequence[str]) -> Html:
    return element("p", opening, listed(texts, "; "), class_="soft") if texts else Html("")


def _value_of(check: Record) -> t.Callable[[t.Any], str]:
    """Return how to show the values of a check, many of which have none."""
    return lambda value: "" if value is None else with_unit(number(value), value, check)


def _changes(settings: Record | None, check_mode: bool) -> Html:
    if not settings:
        return Html("")
    changes, others = some(sorted(settings["changes"].items()), PARTS)
    rows = [
        (
            short,
            shown([change["before"], change["after"]], _setting),
            shown([change["boot_before"], change["boot_after"]], _setting),
            change["why"],
        )
        for short, change in changes
    ]
    return folding(
        "Settings that would change" if check_mode else "Settings changed",
        element("div", rows_of(("Setting", "Now", "At boot", "Why"), rows), class_="scroll") if rows else "None.",
        and_more(others),
        element("p", f"Profile {settings['profile']}. {_CONFIRMED[settings['confirmed']]}", class_="soft"),
        _line("Cannot be set here, and was left out: ", settings["left_out"]),
        _sizing(settings["sizing"]),
    )


def _recap(settings: Record | None, check_mode: bool) -> Html:
    title = "Timeouts that would be shortened" if check_mode else "Timeouts shortened"
    recap = settings and settings["recap"]
    keys = [key for key in _RECAP if not (check_mode and key in _NOT_TRIED)]
    return _account(title, recap and {**recap, **(recap["kept"] or {})}, keys)


def _setting(value: t.Any) -> str:
    return "not set" if value is None else str(value)


def _sizing(sizing: Record | None) -> Html:
    if not sizing:
        return Html("")
    share = f"{number(sizing['memory_percent'])} % of {binary_size(sizing['memory_total_bytes'])}"
    return element(
        "p",
        f"Size worked out: {number(sizing['max'])} entries in {number(sizing['buckets'])} buckets, ",
        f"{binary_size(sizing['memory_bytes'])} of memory when full ({share}). ",
        sizing["why"],
        class_="soft",
    )


def _account(title: str, account: Record | None, keys: t.Sequence[str]) -> Html:
    if not account:
        return Html("")
    return folding(title, definitions((key.replace("_", " "), number(account[key])) for key in keys if key in account))


def _deletions(host: Record, check_mode: bool) -> Html:
    title = "Entries that would be deleted" if check_mode else "Entries deleted"
    prune, reason = host["prune"], why_not_pruned(host, check_mode)
    if reason:
        return block(title, element("p", f"Nobody could tell which: {reason}"))
    if not prune:
        return Html("")
    # In check mode nothing was done, and only the real run has what was not decided before.
    keys = [key for key in _PRUNE if prune[key] is not None and (check_mode or key != "would_delete")]
    kept = [f"{number(each['entries'])} {each['reason']} ({each['option']})" for each in prune["kept"] or []]
    counts = definitions((key.replace("_", " "), number(prune[key])) for key in keys)
    return folding(title, counts, _line("Stay, and the option that would take them: ", kept))


def _gates(gates: list[Record] | None) -> Html:
    """Return the gates of the roll-out: those that passed in one line."""
    stopping, others = some([gate for gate in gates or [] if gate["status"] != "passed"], PARTS)
    articles = [
        element(
            "article",
            badge("failed" if gate["status"] == "finding" else gate["status"]),
            element("h4", gate["id"], f": {number(gate['value'])}" if gate["value"] is not None else ""),
            element("p", gate["reason"], class_="soft") if gate["reason"] else "",
            class_="finding",
        )
        for gate in stopping
    ]
    passed = [gate["id"] for gate in gates or [] if gate["status"] == "passed"]
    return block("Gates of the roll-out", *articles, and_more(others), _line("Passed: ", passed))


def _trend(fleet: Fleet, trend: Record | None) -> Html:
    if not trend:
        return Html("")
    checks, drift = fleet.document["checks"], trend["drift"] or {"new": [], "gone": []}
    titles = {
        which: listed((checks[check_id]["title"] for check_id in trend["findings"][which] if check_id in checks), "; ")
        for which in ("new", "gone")
    }
    told = [
        ("entries", _since(trend["entries"])),
        ("% full", _since(trend["percent"], percentage)),
        *((name, _since(entries)) for name, entries in sorted(trend["selectors"].items())[:SELECTORS]),
        ("new drift", listed(drift["new"])),
        ("drift gone", listed(drift["gone"])),
        ("new findings", titles["new"]),
        ("findings gone", titles["gone"]),
    ]
    baseline = fleet.document["baseline"]
    since = f"Since {baseline['time']}" if baseline else "Since the baseline"
    return folding(since, definitions(pair for pair in told if pair[1]))


def _since(values: Record, text_of: t.Callable[[t.Any], str] = number) -> Html:
    return shown([values["before"], values["now"]], text_of)
