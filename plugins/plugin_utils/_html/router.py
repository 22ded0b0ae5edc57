# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The section of one router in the HTML report: what was found, its charts, what was done, and how it was before."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import PARTS, SELECTORS, listed, some
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import STATUSES
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import (
    at_most,
    counted,
    number,
    percentage,
    spoken,
    with_unit,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.advice import advised
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.components import (
    ARROW,
    Fleet,
    and_more,
    badge,
    block,
    definitions,
    folding,
    rows_of,
    shown,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.explanations import Explanations
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.figures import figures
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.fleet_table import NO_LIMIT
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.table_contents import contents
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import Html, element, joined
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import (
    Anything,
    Audit,
    Count,
    Finding,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import (
    PRUNE_COUNTS,
    REASONS_TO_KEEP_TIME,
    Change,
    Check,
    Course,
    Failure,
    Host,
    News,
    SettingValue,
    ShortenedAccount,
    Sizing,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import (
    count_findings,
    forecast_of,
    full_in_seconds,
    gone_within,
    last_audit,
    shortened_of,
    why_not_pruned,
    with_status,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._tuning.sizing import binary_size

_CONFIRMED = {
    True: "Confirmed over a new connection.",
    False: "NOT confirmed: the router restores its old values by itself.",
    None: "",
}


def router_section(fleet: Fleet, name: str, host: Host, explained: Explanations) -> Html:
    """Return the section of a router, closed but for its headline."""
    parts = [
        _failure(host["failure"]),
        _no_conntrack(host["no_conntrack"]),
        explained.of_router(name),
        _findings(fleet, host),
        *contents(fleet, host),
        _changes(host, fleet.check_mode),
        _shortened(shortened_of(host), fleet.check_mode),
        _deletions(host, fleet.check_mode),
        _gates(host["health"] or []),
        _trend(fleet, host),
        figures(host),
    ]
    body = element("div", *filter(None, parts), id=fleet.anchors[name], class_="body")
    if not fleet.on_demand:
        return element("details", _headline(name, host), body, class_="router")
    # With scripts, what is in here is no more than a text to a browser, until the script has it read.
    kept = element("noscript", body)
    holds = " ".join(filter(None, [fleet.anchors[name], explained.anchor_at(name)]))
    return element("details", _headline(name, host), kept, class_="router", data_holds=holds)


def _headline(name: str, host: Host) -> Html:
    last = last_audit(host)
    how_full = _fullness(last) if last else "not measured"
    return element("summary", badge(host["verdict"]), element("b", name), element("small", how_full))


def _fullness(audit: Audit) -> str:
    usage, findings = audit["usage"], counted(count_findings(audit), "finding")
    if usage["max"] == 0:
        return f"{counted(usage['count'], 'entry', 'entries')}, {NO_LIMIT}, {findings}"
    return f"{percentage(usage['percent'])} % of {number(usage['max'])}, {findings}"


def _failure(failure: Failure | None) -> Html:
    if not failure:
        return Html("")
    return block("Not done", element("p", element("strong", failure["step"]), ": ", failure["message"]))


def _no_conntrack(reason: str | None) -> Html:
    return block("Connections are not tracked", element("p", reason)) if reason else Html("")


def _findings(fleet: Fleet, host: Host) -> Html:
    """Return what is found now, with a link to its cure, what is unknown and why, and what is no longer found."""
    checks, last = fleet.document["checks"], last_audit(host)
    still, unknown, passed = (with_status(last, status) for status in STATUSES)
    before = {finding["id"]: finding["value"] for finding in (host["before"]["findings"] if host["before"] else [])}
    findings, others = some([*still.values(), *unknown.values()], PARTS)
    articles = [_finding(fleet, finding, before.get(finding["id"], finding["value"])) for finding in findings]
    cured = [checks[check_id]["title"] for check_id in with_status(host["before"], "finding") if check_id in passed]
    return block(
        "Findings",
        *articles,
        and_more(others),
        _line("No longer found: ", cured),
        element("p", f"{counted(len(passed), 'check')} passed.", class_="soft") if passed else "",
    )


def _finding(fleet: Fleet, finding: Finding, value_before: Anything) -> Html:
    """Return what a check says now that did not pass, and what helps here.

    The advice for all routers is here only if it has no place of its own.
    """
    check, place = fleet.document["checks"][finding["id"]], fleet.findings.get(finding["id"])
    is_finding = finding["status"] == "finding"
    title = element("a", check["title"], href=f"#{place}") if place else check["title"]
    values = shown([value_before, finding["value"]], _value_of(check))
    return element(
        "article",
        badge(check["severity"] if is_finding else "unknown"),
        element("h4", title, joined([": ", values]) if values else ""),
        element("p", finding["reason"], class_="soft") if finding["reason"] else "",
        advised(check["advice"]) if is_finding and not place else "",
        advised(" ".join(finding.get("cures", []))),
        class_="finding",
    )


def _line(opening: str, texts: t.Sequence[str]) -> Html:
    return element("p", opening, listed(texts, "; "), class_="soft") if texts else Html("")


def _value_of(check: Check) -> t.Callable[[Anything], str]:
    """Return how to show the values of a check, many of which have none."""
    return lambda value: "" if value is None else with_unit(number(value), value, check)


def _changes(host: Host, check_mode: bool) -> Html:
    settings = host["settings"]
    if not settings:
        return Html("")
    changes, others = some(sorted(settings["changes"].items()), PARTS)
    rows = [(name, *_cells(change)) for name, change in changes]
    table = element("div", rows_of(("Setting", "Now", "At boot", "Why"), rows), class_="scroll")
    return folding(
        "Settings that would change" if check_mode else "Settings changed",
        table if rows else "None.",
        and_more(others),
        element("p", f"Profile {settings['profile']}. {_CONFIRMED[settings['confirmed']]}", class_="soft"),
        _line("Cannot be set here, and was left out: ", settings["left_out"]),
        _sizing(settings["sizing"]),
        _foretold(host, check_mode),
    )


def _cells(change: Change) -> tuple[str, str, str]:
    now = shown([change["before"], change["after"]], _setting)
    at_boot = shown([change["boot_before"], change["boot_after"]], _setting)
    return now, at_boot, change["why"]


def _setting(value: SettingValue) -> str:
    return "not set" if value is None else str(value)


def _sizing(sizing: Sizing | None) -> Html:
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


def _foretold(host: Host, check_mode: bool) -> Html:
    """Return what was foretold of the settings, and how full the table was afterwards."""
    forecast, seconds = forecast_of(host), gone_within(host)
    if not forecast:
        return Html("")
    gone, entries, unknown = (number(forecast[key]) for key in ("gone", "entries", "unknown"))
    will_be = "would be" if check_mode else "will be"
    within = "" if seconds is None else f" within {at_most(seconds)}"
    now, then = (percentage(forecast[moment]["percent"]) for moment in ("now", "then"))
    text = f"{gone} of {entries} entries {will_be} gone{within} ({now}{ARROW}{then} % full), {unknown} unknown."
    after = forecast["after"]
    if after:
        later = at_most(forecast["after_seconds"] or 0)
        text += f" {later} after the change: {number(after['count'])} entries, {percentage(after['percent'])} % full."
    return element("p", text, class_="soft")


def _shortened(account: ShortenedAccount | None, check_mode: bool) -> Html:
    """Return what became of the entries whose timeouts were to be shortened. A rehearsal did not try some of it."""
    if not account:
        return Html("")
    kept = account["kept"] or {}
    counts: dict[str, Count] = {"matched": account["matched"], "would_update": account["would_update"]}
    if not check_mode:
        counts["updated"] = account["updated"]
    counts["unchanged"] = account["unchanged"]
    if not check_mode:
        counts["already_gone"] = account["already_gone"]
    counts["fixed_timeout"] = account["fixed_timeout"]
    counts.update({reason: kept[reason] for reason in REASONS_TO_KEEP_TIME if reason in kept})
    counts["undecidable"] = account["undecidable"]
    title = "Timeouts that would be shortened" if check_mode else "Timeouts shortened"
    return folding(title, _counts(counts))


def _counts(counts: t.Mapping[str, Count]) -> Html:
    return definitions((spoken(key), number(count)) for key, count in counts.items())


def _deletions(host: Host, check_mode: bool) -> Html:
    title = "Entries that would be deleted" if check_mode else "Entries deleted"
    prune, reason = host["prune"], why_not_pruned(host, check_mode)
    if reason:
        return block(title, element("p", f"Nobody could tell which: {reason}"))
    if not prune:
        return Html("")
    # In check mode nothing was done, and only the real run has what was not decided before.
    counts: dict[str, Count] = {key: prune[key] for key in PRUNE_COUNTS if prune[key] is not None}
    if not check_mode:
        counts.pop("would_delete", None)
    kept = [f"{number(each['entries'])} {each['reason']} ({each['option']})" for each in prune["kept"] or []]
    return folding(title, _counts(counts), _line("Stay, and the option that would take them: ", kept))


def _gates(gates: list[Finding]) -> Html:
    """Return the gates of the roll-out: those that passed in one line."""
    passed = [gate["id"] for gate in gates if gate["status"] == "passed"]
    stopping, others = some([gate for gate in gates if gate["status"] != "passed"], PARTS)
    return block("Gates of the roll-out", *map(_gate, stopping), and_more(others), _line("Passed: ", passed))


def _gate(gate: Finding) -> Html:
    return element(
        "article",
        badge("failed" if gate["status"] == "finding" else gate["status"]),
        element("h4", gate["id"], f": {number(gate['value'])}" if gate["value"] is not None else ""),
        element("p", gate["reason"], class_="soft") if gate["reason"] else "",
        class_="finding",
    )


def _trend(fleet: Fleet, host: Host) -> Html:
    trend = host["trend"]
    if not trend:
        return Html("")
    full_in = full_in_seconds(fleet.document, host)
    drift: News = trend["drift"] or {"new": [], "gone": []}
    selectors = sorted(trend["selectors"].items())[:SELECTORS]
    terms = [
        ("entries", _since(trend["entries"])),
        ("% full", _since(trend["percent"], percentage)),
        ("full, if it goes on like this", "" if full_in is None else f"in {at_most(full_in)}"),
        *((name, _since(entries)) for name, entries in selectors),
        ("new drift", listed(drift["new"])),
        ("drift gone", listed(drift["gone"])),
        ("new findings", _titles(fleet, trend["findings"]["new"])),
        ("findings gone", _titles(fleet, trend["findings"]["gone"])),
    ]
    baseline = fleet.document["baseline"]
    since = f"Since {baseline['time']}" if baseline else "Since the baseline"
    return folding(since, definitions((name, text) for name, text in terms if text))


def _titles(fleet: Fleet, check_ids: list[str]) -> str:
    checks = fleet.document["checks"]
    return listed((checks[check_id]["title"] for check_id in check_ids if check_id in checks), "; ")


def _since(values: Course, text_of: t.Callable[[t.Any], str] = number) -> Html:
    return shown([values["before"], values["now"]], text_of)
