# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The fleet's document as a page for people: the routers, what was found, what was changed, what was not done."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import (
    SELECTORS,
    VALUE,
    listed,
    plain_text,
    short,
    some,
    with_unit,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._markup import Block, Heading, Items, Paragraph, Table
from ansible_collections.netops.conntrack.plugins.plugin_utils._order import (
    explanations,
    overview_of,
    protocols_of,
    selector_counts,
    selector_names,
    worst_checks_first,
    worst_first,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report import Record, why_not_pruned
from ansible_collections.netops.conntrack.plugins.plugin_utils._sizing import binary_size

_WORDS = {"finding": "found", "passed": "not found", "unknown": "unknown"}
_NOT_DONE = {
    "unreachable": "unreachable",
    "failed": "failed",
    "not_begun": "not begun",
    "no_conntrack": "no conntrack",
}
"""Keys of the document that list the routers which were not done, and how the page calls them."""

_REASONS_TO_KEEP = ("not_lowered", "rule", "helper", "longer_than_before")
"""Why entries keep more than the new timeouts (see the result kept of conntrack_update)."""

Phases = dict[str, Record]
"""What a check says of a router, by the phase of the audit."""

_SHOWN = 10
"""Routers named in one line."""

_MOST = 25
"""Rows of a table, or items of a list: more than that nobody reads. The JSON document has all."""

_MOST_EXPLAINED = 10
"""Routers of which it is said what fills their table, the worst ones."""

_ON_SCREEN = 5
"""Items of a list on the first screen."""

_COURSE = 1_000
"""Characters of what is said of one router among others."""


def page(document: Record) -> list[Block]:
    """Give the fleet's ``document`` (see roll_up) as a page without markup: its sections, the worst routers first."""
    document = {**document, "hosts": dict(worst_first(document))}
    check_mode, by_check = document["check_mode"], _findings_by_check(document)
    return [
        *_headline(document),
        *_section("The roll-out", _rollout(document)),
        *_section(_title(document, "The routers"), _overview(document)),
        *_section("What fills the tables", _explanations(document), _MOST_EXPLAINED),
        *_section("Not done", _not_done(document)),
        *_section("Connections are not tracked", _no_conntrack(document)),
        *_section(_title(document, "Found"), _found(document, by_check)),
        *_section("Could not be told", _untold(document, by_check)),
        *_section(_title(document, "Counted by selectors"), _counts(document)),
        *_since_baseline(document),
        *_section("Settings that would change" if check_mode else "Settings changed", _settings(document)),
        *_section("Size of the table", _sizings(document)),
        *_section("Timeouts that would be shortened" if check_mode else "Timeouts shortened", _shortened(document)),
        *_section("Entries that would be deleted" if check_mode else "Entries deleted", _deletions(document)),
        *_section("Entries that stay", _kept(document)),
    ]


def first_screen(document: Record) -> list[Block]:
    """Return of the fleet's ``document`` what fits a screen: verdicts, what fills the tables, what is found.

    What to do about each finding and all else stand on the ``page``.
    """
    document = {**document, "hosts": dict(worst_first(document))}
    return [
        *_headline(document),
        *_section("The roll-out", _rollout(document)),
        *_section(_title(document, "The routers"), _overview(document), _SHOWN),
        *_section("What fills the tables", _explanations(document), _ON_SCREEN),
        *_section("Not done", _not_done(document), _ON_SCREEN),
        *_section("Found now", _titles_found(document, _findings_by_check(document)), _ON_SCREEN),
        Paragraph("The files of this report have all else, and what to do about each finding."),
    ]


def _section(title: str, block: Table | Items, most: int = _MOST) -> list[Block]:
    """Give a section with the first of the ``block``, and how many more there are; nothing if it is empty."""
    count = len(block.rows) - 1 if isinstance(block, Table) else len(block.items)
    if not count:
        return []
    shown = Table(block.rows[: most + 1]) if isinstance(block, Table) else Items(block.items[:most])
    more = [Paragraph(f"{count - most} more are in the JSON document of this report.")] if count > most else []
    return [Heading(2, title), shown, *more]


def _title(document: Record, what: str) -> str:
    return f"{what}, before → after" if _has_after(document) else f"{what} now"


def _has_after(document: Record) -> bool:
    return any(host["after"] for host in document["hosts"].values())


def _headline(document: Record) -> list[Block]:
    totals, check_mode, hosts = document["totals"], document["check_mode"], document["hosts"].values()
    parts = [f"{totals['done']} of {_counted(totals['hosts'], 'router')} done"]
    parts += [f"{word}: {_names(document[key])}" for key, word in _NOT_DONE.items() if document[key]]
    if document["rollout"] and document["rollout"]["stopped"]:
        parts.append(f"stopped after batch {document['rollout']['stopped']['batch']}")
    if any(host["settings"] for host in hosts):
        changed = _counted(totals["settings_changed"], "setting")
        parts.append(f"{changed} {'would change' if check_mode else 'changed'}")
    if any(map(_recap, hosts)):
        fixed = f" ({totals['fixed_timeout']} with a fixed timeout left)" if totals["fixed_timeout"] else ""
        count = _counted(totals["would_recap" if check_mode else "recapped"], "timeout")
        parts.append(f"{count} {'would be shortened' if check_mode else 'shortened'}{fixed}")
    if any(host["prune"] for host in hosts):
        count = totals["would_delete" if check_mode else "deleted"]
        parts.append(f"{_counted(count, 'entry', 'entries')} {'would be deleted' if check_mode else 'deleted'}")
    return [
        Heading(1, f"Connection tracking of {_counted(totals['hosts'], 'router')}, {document['time']}"),
        Paragraph(f"{'Check mode, nothing was changed. ' if check_mode else ''}{'; '.join(parts)}."),
    ]


def _rollout(document: Record) -> Items:
    """Give the batches, where and why the roll-out was stopped, and how to go on; nothing for a single batch."""
    rollout = document["rollout"] or {"batches": [], "stopped": None}
    sizes = [str(len(batch)) for batch in rollout["batches"]]
    if len(sizes) < 2 and not rollout["stopped"]:
        return Items([])
    items = [("batches", [f"{len(sizes)}, of {_names(sizes)} routers"])]
    return Items([*items, *_stop(document, rollout["stopped"])] if rollout["stopped"] else items)


def _stop(document: Record, stopped: Record) -> list[tuple[str, list[str]]]:
    gates = [short(f"{gate['host']}: {_gate(gate)}", _COURSE) for gate in stopped["gates"]]
    waiting = document["not_begun"]
    remedy = (
        "Heal what stopped it, then run the playbook again with --limit @REPORT.retry, the file beside this report. It "
        "lists the routers that are not done."
    )
    return [
        ("stopped", [f"after batch {stopped['batch']}", *gates[:_SHOWN], *_more(gates)]),
        ("not begun", [f"{_counted(len(waiting), 'router')}: {_names(waiting)}" if waiting else "no router"]),
        ("to go on", [remedy]),
    ]


def _gate(gate: Record) -> str:
    told = [_shown(gate["value"])] if gate["value"] is not None else []
    return ": ".join([gate["id"], gate["title"], *told, *filter(None, [gate["reason"]])])


def _recap(host: Record) -> Record | None:
    """Return the account of the entries of a router whose timeouts were shortened, if there is one."""
    return host["settings"]["recap"] if host["settings"] else None


def _overview(document: Record) -> Table:
    """Give the table with a row for each router; a column that is empty for all of them is left out."""
    hosts, check_mode = document["hosts"], document["check_mode"]
    # Pairs, because a selector may have the name of another column.
    columns: list[tuple[str, t.Callable[[Record], str]]] = [
        ("verdict", _verdict),
        ("findings", lambda host: _course(host, _count_findings)),
        ("entries", lambda host: _course(host, lambda audit: _number(audit["usage"]["count"]))),
        ("% full", lambda host: _course(host, lambda audit: _number(audit["usage"]["percent"]))),
        *((name, _selector_column(name)) for name in overview_of(selector_names(document))),
        ("would change" if check_mode else "changed", _changes_cell),
        ("would delete" if check_mode else "deleted", _deletions_column(check_mode)),
    ]
    cells = [(title, [cell(host) for host in hosts.values()]) for title, cell in columns]
    used = [("router", list(hosts)), *((title, column) for title, column in cells if any(column))]
    return Table(
        [[title for title, _column in used], *map(list, zip(*(column for _title, column in used), strict=True))]
    )


def _verdict(host: Record) -> str:
    return _NOT_DONE.get(host["verdict"]) or str(host["verdict"])


def _course(host: Record, text_of: t.Callable[[Record], str]) -> str:
    """Give what ``text_of`` says of a router's audits, before and after."""
    return _arrow(text_of(host[phase]) for phase in ("before", "after") if host[phase])


def _arrow(texts: t.Iterable[str]) -> str:
    """Give ``before → after``; one text if both are the same."""
    return " → ".join(dict.fromkeys(texts))


def _count_findings(audit: Record) -> str:
    return str(sum(finding["status"] == "finding" for finding in audit["findings"]))


def _selector_column(name: str) -> t.Callable[[Record], str]:
    return lambda host: _course(host, lambda audit: _number(selector_counts(audit, name).get("entries")))


def _changes_cell(host: Record) -> str:
    return str(len(host["settings"]["changes"])) if host["settings"] else ""


def _deletions_column(check_mode: bool) -> t.Callable[[Record], str]:
    key = "would_delete" if check_mode else "deleted"

    def cell(host: Record) -> str:
        if not host["prune"]:
            return ""
        return _number(host["prune"][key])

    return cell


def _explanations(document: Record) -> Items:
    """Return what fills the table of each router now, and what helps; nothing if it is known of none."""
    return Items(
        [
            (_names(names), [explanation["filled_by"], *filter(None, [explanation["advice"]])])
            for explanation, names in explanations(document)
        ]
    )


def _not_done(document: Record) -> Items:
    return Items(
        [
            (name, [_verdict(host), f"{host['failure']['step']}: {host['failure']['message']}"])
            for name, host in document["hosts"].items()
            if host["failure"]
        ]
    )


def _no_conntrack(document: Record) -> Items:
    hosts = document["hosts"].items()
    return Items([(name, [host["no_conntrack"]]) for name, host in hosts if host["no_conntrack"]])


def _findings_by_check(document: Record) -> dict[str, dict[str, Phases]]:
    """Return what the audits say, by check and router. To look for each check in each audit takes too long."""
    found: dict[str, dict[str, Phases]] = {}
    for name, host in document["hosts"].items():
        for phase in ("before", "after"):
            for finding in (host[phase] or {"findings": []})["findings"]:
                found.setdefault(finding["id"], {}).setdefault(name, {})[phase] = finding
    return found


def _last(host: Record, phases: Phases) -> Record:
    """Return what the last audit of a router says of a check; an empty dict if it does not have it."""
    return phases.get("after" if host["after"] else "before", {})


def _found(document: Record, by_check: dict[str, dict[str, Phases]]) -> Items:
    """Return the checks that were a finding on some router, worst first; the advice for those that still are."""
    items = []
    for check_id, check in worst_checks_first(document):
        affected = {
            name: phases
            for name, phases in by_check.get(check_id, {}).items()
            if any(finding["status"] == "finding" for finding in phases.values())
        }
        hosts = {name: document["hosts"][name] for name in affected}
        still = [name for name, phases in affected.items() if _last(hosts[name], phases).get("status") == "finding"]
        if affected:
            count = f"{_counted(len(affected), 'router')}{f', now {len(still)}' if _has_after(document) else ''}"
            courses = [f"{name} {_course_of_values(hosts[name], phases, check)}" for name, phases in affected.items()]
            advice = [check["advice"]] if still else []
            items.append((check["severity"], [f"{check['title']}: {count}", _names(courses), *advice]))
    return Items(items)


def _titles_found(document: Record, by_check: dict[str, dict[str, Phases]]) -> Items:
    """Return the checks that are a finding now on some router, worst first, a line each."""
    items = []
    for check_id, check in worst_checks_first(document):
        last = {name: _last(document["hosts"][name], phases) for name, phases in by_check.get(check_id, {}).items()}
        values = [
            f"{name} {_value(finding, check)}" if finding["value"] not in (None, "") else name
            for name, finding in last.items()
            if finding.get("status") == "finding"
        ]
        if values:
            items.append((check["severity"], [f"{check['title']}: {_names(values)}"]))
    return Items(items)


def _untold(document: Record, by_check: dict[str, dict[str, Phases]]) -> Items:
    """Return what nobody could look at in the last audit or the prune of some router, and why."""
    items = []
    for check_id, check in worst_checks_first(document):
        last = {name: _last(document["hosts"][name], phases) for name, phases in by_check.get(check_id, {}).items()}
        unknown = {name: finding for name, finding in last.items() if finding.get("status") == "unknown"}
        reasons, others = some(sorted({finding["reason"] or "?" for finding in unknown.values()}), _SHOWN)
        more = [f"and {others:,} more reasons"] if others else []
        if unknown:
            items.append((check["severity"], [f"{check['title']}: {_names(list(unknown))}", *reasons, *more]))
    return Items(items + _unavailable(document))


def _unavailable(document: Record) -> list[tuple[str, list[str]]]:
    routers: dict[str, list[str]] = {}
    for name, host in document["hosts"].items():
        reason = why_not_pruned(host, document["check_mode"])
        if reason:
            routers.setdefault(reason, []).append(name)
    return [
        ("prune", [f"Which entries to delete: {_names(names)}", reason]) for reason, names in sorted(routers.items())
    ]


def _course_of_values(host: Record, phases: Phases, check: Record) -> str:
    """Return what a check says in a router's audits, before and after."""
    return _arrow(_value(phases.get(phase, {}), check) for phase in ("before", "after") if host[phase])


def _value(finding: Record, check: Record) -> str:
    """Return how a check of an audit is shown: by its value, or else by a word for its status."""
    value = finding.get("value")
    return (
        _WORDS.get(finding.get("status", ""), "not checked")
        if value in (None, "")
        else with_unit(_shown(value), value, check)
    )


def _counts(document: Record) -> Items:
    """Return what the selectors counted on each router; nothing if the overview has all of it."""
    names = selector_names(document)
    if len(names) == len(overview_of(names)):
        return Items([])
    names = names[:SELECTORS]
    texts = {router: _counts_of(host, names) for router, host in document["hosts"].items()}
    return Items([(router, [listed(counted, "; ", SELECTORS)]) for router, counted in texts.items() if counted])


def _counts_of(host: Record, names: list[str]) -> list[str]:
    """Return the name of each selector with the entries that it counted before and after, unless there were none."""
    audits = [host[phase]["selectors"] for phase in ("before", "after") if host[phase]]
    texts = []
    for name in names:
        counts = [audit[name] for audit in audits if name in audit]
        if any(each["entries"] != 0 for each in counts):
            course = _arrow(_number(each["entries"]) for each in counts)
            texts.append(f"{name} {course}{_by_protocol(counts[-1])}")
    return texts


def _by_protocol(counts: Record) -> str:
    told = listed(f"{protocol} {_number(entries)}" for protocol, entries in protocols_of(counts))
    return f" ({told})" if told else ""


def _since_baseline(document: Record) -> list[Block]:
    if not document["baseline"]:
        return []
    time = document["baseline"]["time"]
    trends = {name: host["trend"] for name, host in document["hosts"].items()}
    compared = {name: trend for name, trend in trends.items() if trend}
    others = [name for name, trend in trends.items() if not trend]
    news = [*_new_findings(document, compared), *_new_drift(compared), *_new_talkers(compared)]
    news += [("not compared", [f"without an audit then or now: {_names(others)}"])] if others else []
    return [
        *_section(f"The routers, {time} → {document['time']}", _trends(compared)),
        *_section(f"New since {time}, or gone", Items(news)),
    ]


def _trends(compared: dict[str, Record]) -> Table:
    selectors = overview_of(name for trend in compared.values() for name in trend["selectors"])
    rows = [
        [
            name,
            _since(trend["entries"]),
            _since(trend["percent"]),
            *(_since(trend["selectors"].get(selector, {})) for selector in selectors),
        ]
        for name, trend in compared.items()
    ]
    return Table([["router", "entries", "% full", *selectors], *rows])


def _since(course: Record) -> str:
    return _arrow(_number(course.get(key)) for key in ("before", "now"))


def _new_findings(document: Record, compared: dict[str, Record]) -> list[tuple[str, list[str]]]:
    items = []
    routers = _routers_by_news(compared, "findings")
    for check_id, check in worst_checks_first(document):
        for key, word in (("new", "new"), ("gone", "no longer")):
            names = routers.get((key, check_id))
            items += [(check["severity"], [f"{word}: {check['title']}: {_names(names)}"])] if names else []
    return items


def _new_drift(compared: dict[str, Record]) -> list[tuple[str, list[str]]]:
    routers = _routers_by_news({name: trend for name, trend in compared.items() if trend["drift"]}, "drift")
    words = {"new": "new", "gone": "no longer"}
    return [
        ("drift", [f"{words[key]}: {short(what, VALUE)}: {_names(routers[key, what])}"])
        for key, what in sorted(routers, key=lambda news: (news[0] == "gone", news[1]))
    ]


def _routers_by_news(compared: dict[str, Record], part: str) -> dict[tuple[str, str], list[str]]:
    """Return on which routers something is new or gone, by that word and by what it is."""
    routers: dict[tuple[str, str], list[str]] = {}
    for name, trend in compared.items():
        for key in ("new", "gone"):
            for what in dict.fromkeys(trend[part][key]):
                routers.setdefault((key, what), []).append(name)
    return routers


def _new_talkers(compared: dict[str, Record]) -> list[tuple[str, list[str]]]:
    return [
        (name, [f"new among the top: {listed(kinds, '; ', longest=_COURSE)}"])
        for name, trend in compared.items()
        for kinds in [[_talkers(kind, values) for kind, values in (trend["new_top"] or {}).items() if values]]
        if kinds
    ]


def _talkers(kind: str, values: list[t.Any]) -> str:
    return f"{kind.replace('_', ' ')} {_names(list(map(plain_text, values)))}"


def _settings(document: Record) -> Items:
    """Give one item for each change, with the routers that share it; what was left out; and who confirmed or did not.

    The reason for a size stands in a section of its own, with what the size costs.
    """
    tuned = {name: host["settings"] for name, host in document["hosts"].items() if host["settings"]}
    routers: dict[tuple[str, str, str], list[str]] = {}
    for name, settings in tuned.items():
        size = (settings["sizing"] or {}).get("why")
        for setting, change in settings["changes"].items():
            why = "" if change["why"] == size else change["why"]
            routers.setdefault((setting, _change(change), why), []).append(name)
    changes = [
        (setting, [f"{change}: {_names(names)}", *filter(None, [why])])
        for (setting, change, why), names in sorted(routers.items())
    ]
    left_out = [
        (name, [f"cannot be set here, and was left out: {listed(settings['left_out'])}"])
        for name, settings in tuned.items()
        if settings["left_out"]
    ]
    return Items(changes + left_out + _confirmations(tuned))


def _confirmations(tuned: dict[str, Record]) -> list[tuple[str, list[str]]]:
    texts = {True: "over a new connection", False: "NOT confirmed: the router puts its old values back by itself"}
    routers = {
        text: [name for name, settings in tuned.items() if settings["confirmed"] is answer]
        for answer, text in texts.items()
    }
    return [("confirmed", [f"{text}: {_names(names)}"]) for text, names in routers.items() if names]


def _sizings(document: Record) -> Items:
    """Give one item for each size that was worked out, with the routers that share it: what it costs, and why."""
    routers: dict[tuple[str, str, str], list[str]] = {}
    for name, host in document["hosts"].items():
        sizing = (host["settings"] or {}).get("sizing")
        if sizing:
            routers.setdefault((sizing["limited_by"], _size(sizing), sizing["why"]), []).append(name)
    return Items(
        [(limited_by, [f"{size}: {_names(names)}", why]) for (limited_by, size, why), names in sorted(routers.items())]
    )


def _size(sizing: Record) -> str:
    values = [
        f"{key} {sizing[key]}" if before == sizing[key] else f"{key} {before} → {sizing[key]}"
        for key, before in (("max", sizing["max_before"]), ("buckets", sizing["buckets_before"]))
    ]
    total = binary_size(sizing["memory_total_bytes"])
    cost = (
        f"{binary_size(sizing['memory_bytes'])} of memory when full ({_number(sizing['memory_percent'])} % of {total})"
    )
    return ", ".join([*values, cost])


def _shortened(document: Record) -> Table:
    """Return the account of each router on which timeouts were shortened; reasons to keep one only where they occur."""
    done = ("would_update",) if document["check_mode"] else ("updated", "already_gone")
    recaps = {name: recap for name, host in document["hosts"].items() if (recap := _recap(host))}
    kept = {name: recap["kept"] or {} for name, recap in recaps.items()}
    reasons = [reason for reason in _REASONS_TO_KEEP if any(each.get(reason) for each in kept.values())]
    columns = ("matched", *done, "unchanged", "fixed_timeout", *reasons, "undecidable")
    rows = [
        [name, *(_number({**recap, **kept[name]}.get(column)) for column in columns)] for name, recap in recaps.items()
    ]
    return Table([["router", *(column.replace("_", " ") for column in columns)], *rows])


def _change(change: Record) -> str:
    now, boot = ("before", "after"), ("boot_before", "boot_after")
    texts = {
        place: " → ".join("not set" if change[key] is None else str(change[key]) for key in keys)
        for place, keys in {"": now, "at boot ": boot}.items()
        if change[keys[0]] != change[keys[1]]
    }
    return ", ".join(f"{place}{text}" for place, text in texts.items())


def _deletions(document: Record) -> Table:
    """Give the account of each prune that had something to account for."""
    done = ("would_delete",) if document["check_mode"] else ("deleted", "already_gone", "not_deleted", "matches_now")
    prunes = {
        name: host["prune"]
        for name, host in document["hosts"].items()
        if host["prune"] and (host["prune"]["matched"] != 0 or host["prune"]["undecidable"] != 0)
    }
    looked_twice = any(prune["woken"] is not None for prune in prunes.values())
    hidden = any(prune["not_listed"] for prune in prunes.values())
    woken, not_listed = ("woken",) if looked_twice else (), ("not_listed",) if hidden else ()
    columns = ("matched", "protected", *woken, *done, "undecidable", *not_listed)
    rows = [[name, *(_number(prune[column]) for column in columns)] for name, prune in prunes.items()]
    return Table([["router", *(column.replace("_", " ") for column in columns)], *rows])


def _kept(document: Record) -> Items:
    """Return why selected entries stay on which routers, and the option that would take them."""
    routers: dict[tuple[str, str], list[str]] = {}
    for name, host in document["hosts"].items():
        for kept in (host["prune"] or {}).get("kept") or []:
            routers.setdefault((kept["reason"], kept["option"]), []).append(f"{name} {kept['entries']}")
    return Items(
        [(reason, [_names(names), f"To take them: {option}"]) for (reason, option), names in sorted(routers.items())]
    )


def _counted(count: int | None, one: str, many: str = "") -> str:
    return f"{_number(count)} {one if count == 1 else many or one + 's'}"


def _names(names: list[str]) -> str:
    return listed(names, most=_SHOWN, longest=_COURSE)


def _more(names: list[str]) -> list[str]:
    return [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []


def _shown(value: t.Any) -> str:
    """Return a finding's value; names in brackets, because the routers stand between commas."""
    if not isinstance(value, list):
        return short(_number(value), VALUE)
    names = listed(map(plain_text, value), most=_SHOWN, longest=VALUE)
    return f"({names})" if len(value) > 1 else names or "none"


def _number(value: t.Any) -> str:
    if value is None:
        return "?"
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else plain_text(value)
