# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The fleet's document as a page for people: the routers, what was found, what was changed, what was not done."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks import SEVERITIES
from ansible_collections.netops.conntrack.plugins.plugin_utils._markup import (
    Block,
    Heading,
    Items,
    Paragraph,
    Table,
    as_markdown,
    as_text,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._sizing import binary_size

_WRITERS: dict[str, t.Callable[[Block], str]] = {"markdown": as_markdown, "text": as_text}
_WORDS = {"finding": "found", "passed": "not found", "unknown": "unknown"}
_SHOWN = 10
"""Routers named in one line; the JSON document names all."""

_Host = dict[str, t.Any]
_Document = dict[str, t.Any]


def render(document: _Document, style: str = "text") -> str:
    """Give the fleet's ``document`` (see roll_up) as ``text`` for a terminal, or as ``markdown``.

    Raises OptionError for any other style.
    """
    if style not in _WRITERS:
        raise OptionError("style", style, "is unknown", f"Give one of {', '.join(_WRITERS)}.")
    return "\n\n".join(map(_WRITERS[style], _page(document))) + "\n"


def _page(document: _Document) -> list[Block]:
    check_mode = document["check_mode"]
    return [
        *_headline(document),
        *_section(_title(document, "The routers"), _overview(document)),
        *_section("Not done", _not_done(document)),
        *_section(_title(document, "Found"), _found(document)),
        *_section("Could not be told", _untold(document)),
        *_section("Settings that would change" if check_mode else "Settings changed", _settings(document)),
        *_section("Size of the table", _sizings(document)),
        *_section("Entries that would be re-capped" if check_mode else "Entries re-capped", _recaps(document)),
        *_section("Entries that would be deleted" if check_mode else "Entries deleted", _deletions(document)),
    ]


def _section(title: str, block: Table | Items) -> list[Block]:
    """Give a section with the ``block``, or nothing for a block with nothing in it."""
    empty = len(block.rows) < 2 if isinstance(block, Table) else not block.items
    return [] if empty else [Heading(2, title), block]


def _title(document: _Document, what: str) -> str:
    return f"{what}, before → after" if _has_after(document) else f"{what} now"


def _has_after(document: _Document) -> bool:
    return any(host["after"] for host in document["hosts"].values())


def _headline(document: _Document) -> list[Block]:
    totals, check_mode, hosts = document["totals"], document["check_mode"], document["hosts"].values()
    parts = [f"{totals['done']} of {_counted(totals['hosts'], 'router')} done"]
    parts += [f"{verdict}: {_names(document[verdict])}" for verdict in ("unreachable", "failed") if document[verdict]]
    if any(host["settings"] for host in hosts):
        changed = _counted(totals["settings_changed"], "setting")
        parts.append(f"{changed} {'would change' if check_mode else 'changed'}")
    if any(map(_recap, hosts)):
        fixed = f" ({totals['fixed_timeout']} with a fixed timeout left)" if totals["fixed_timeout"] else ""
        count = _counted(totals["would_recap" if check_mode else "recapped"], "entry", "entries")
        parts.append(f"{count} {'would be re-capped' if check_mode else 're-capped'}{fixed}")
    if any(host["prune"] for host in hosts):
        count = totals["would_delete" if check_mode else "deleted"]
        parts.append(f"{_counted(count, 'entry', 'entries')} {'would be deleted' if check_mode else 'deleted'}")
    return [
        Heading(1, f"Connection tracking of {_counted(totals['hosts'], 'router')}, {document['time']}"),
        Paragraph(f"{'Check mode, nothing was changed. ' if check_mode else ''}{'; '.join(parts)}."),
    ]


def _recap(host: _Host) -> _Host | None:
    """Give the account of the entries of a router that were brought down to the new timeouts, if they were."""
    return host["settings"]["recap"] if host["settings"] else None


def _overview(document: _Document) -> Table:
    """Give the table with a row for each router; a column that is empty for all of them is left out."""
    hosts, check_mode = document["hosts"], document["check_mode"]
    columns: dict[str, t.Callable[[_Host], str]] = {
        "verdict": lambda host: str(host["verdict"]),
        "findings": lambda host: _course(host, _count_findings),
        "entries": lambda host: _course(host, lambda audit: _number(audit["usage"]["count"])),
        "% full": lambda host: _course(host, lambda audit: _number(audit["usage"]["percent"])),
        **{name: _selector_column(name) for name in _selector_names(hosts.values())},
        "would change" if check_mode else "changed": _changes_cell,
        "would delete" if check_mode else "deleted": _deletions_column(check_mode),
    }
    cells = {title: [cell(host) for host in hosts.values()] for title, cell in columns.items()}
    used = {"router": list(hosts)} | {title: column for title, column in cells.items() if any(column)}
    return Table([list(used), *map(list, zip(*used.values(), strict=True))])


def _course(host: _Host, text_of: t.Callable[[_Host], str]) -> str:
    """Give what ``text_of`` says of a router's audits, before and after; one text if both are the same."""
    texts = [text_of(host[phase]) for phase in ("before", "after") if host[phase]]
    return " → ".join(dict.fromkeys(texts))


def _count_findings(audit: _Host) -> str:
    return str(sum(finding["status"] == "finding" for finding in audit["findings"]))


def _selector_names(hosts: t.Iterable[_Host]) -> list[str]:
    return sorted({name for host in hosts for name in (host["before"] or {}).get("selectors", {})})


def _selector_column(name: str) -> t.Callable[[_Host], str]:
    return lambda host: _course(host, lambda audit: _number(audit["selectors"].get(name, {}).get("entries")))


def _changes_cell(host: _Host) -> str:
    return str(len(host["settings"]["changes"])) if host["settings"] else ""


def _deletions_column(check_mode: bool) -> t.Callable[[_Host], str]:
    key = "would_delete" if check_mode else "deleted"
    return lambda host: str(host["prune"][key]) if host["prune"] else ""


def _not_done(document: _Document) -> Items:
    return Items(
        [
            (name, [str(host["verdict"]), f"{host['failure']['step']}: {host['failure']['message']}"])
            for name, host in document["hosts"].items()
            if host["failure"]
        ]
    )


def _found(document: _Document) -> Items:
    """Give the checks that were a finding on some router, worst first; the advice for those that still are."""
    items = []
    for check_id, check in _worst_first(document["checks"]):
        affected = _affected(document, check_id)
        still = [
            name for name, host in affected.items() if _status(host["after"] or host["before"], check_id) == "finding"
        ]
        if affected:
            count = f"{_counted(len(affected), 'router')}{f', now {len(still)}' if _has_after(document) else ''}"
            courses = [f"{name} {_course(host, _value_of(check_id))}" for name, host in affected.items()]
            advice = [check["advice"]] if still else []
            items.append((check["severity"], [f"{check['title']}: {count}", _names(courses), *advice]))
    return Items(items)


def _untold(document: _Document) -> Items:
    """Give what nobody could look at in the last audit or the prune of some router, and why."""
    items = []
    for check_id, check in _worst_first(document["checks"]):
        last = {name: host["after"] or host["before"] for name, host in document["hosts"].items()}
        routers = [name for name, audit in last.items() if _status(audit, check_id) == "unknown"]
        reasons = sorted({_finding(last[name], check_id)["reason"] for name in routers})
        if routers:
            items.append((check["severity"], [f"{check['title']}: {_names(routers)}", *reasons]))
    return Items(items + _unavailable(document))


def _unavailable(document: _Document) -> list[tuple[str, list[str]]]:
    routers: dict[str, list[str]] = {}
    for name, host in document["hosts"].items():
        if host["prune"] and host["prune"]["unavailable"]:
            routers.setdefault(host["prune"]["unavailable"], []).append(name)
    return [
        ("prune", [f"Which entries to delete: {_names(names)}", reason]) for reason, names in sorted(routers.items())
    ]


def _worst_first(checks: dict[str, _Host]) -> list[tuple[str, _Host]]:
    return sorted(checks.items(), key=lambda item: (SEVERITIES.index(item[1]["severity"]), item[0]))


def _affected(document: _Document, check_id: str) -> dict[str, _Host]:
    return {
        name: host
        for name, host in document["hosts"].items()
        if "finding" in (_status(host["before"], check_id), _status(host["after"], check_id))
    }


def _finding(audit: _Host | None, check_id: str) -> _Host:
    findings = audit["findings"] if audit else []
    return next((finding for finding in findings if finding["id"] == check_id), {})


def _status(audit: _Host | None, check_id: str) -> str:
    return str(_finding(audit, check_id).get("status"))


def _value_of(check_id: str) -> t.Callable[[_Host], str]:
    """Give how to show a check of an audit: by its value, or else by a word for its status."""

    def show(audit: _Host) -> str:
        finding = _finding(audit, check_id)
        value = finding.get("value")
        return _WORDS.get(finding.get("status", ""), "not checked") if value is None else _shown(value)

    return show


def _settings(document: _Document) -> Items:
    """Give one item for each change, with the routers that share it; what was left out; and who confirmed or did not.

    The reason for a size stands in a section of its own, with what the size costs.
    """
    tuned = {name: host["settings"] for name, host in document["hosts"].items() if host["settings"]}
    routers: dict[tuple[str, str, str], list[str]] = {}
    for name, settings in tuned.items():
        size = (settings["sizing"] or {}).get("why")
        for short, change in settings["changes"].items():
            why = "" if change["why"] == size else change["why"]
            routers.setdefault((short, _change(change), why), []).append(name)
    changes = [
        (short, [f"{change}: {_names(names)}", *filter(None, [why])])
        for (short, change, why), names in sorted(routers.items())
    ]
    left_out = [
        (name, [f"cannot be set here, and was left out: {', '.join(settings['left_out'])}"])
        for name, settings in tuned.items()
        if settings["left_out"]
    ]
    return Items(changes + left_out + _confirmations(tuned))


def _confirmations(tuned: dict[str, _Host]) -> list[tuple[str, list[str]]]:
    texts = {True: "over a new connection", False: "NOT confirmed: the router puts its old values back by itself"}
    routers = {
        text: [name for name, settings in tuned.items() if settings["confirmed"] is answer]
        for answer, text in texts.items()
    }
    return [("confirmed", [f"{text}: {_names(names)}"]) for text, names in routers.items() if names]


def _sizings(document: _Document) -> Items:
    """Give one item for each size that was worked out, with the routers that share it: what it costs, and why."""
    routers: dict[tuple[str, str, str], list[str]] = {}
    for name, host in document["hosts"].items():
        sizing = (host["settings"] or {}).get("sizing")
        if sizing:
            routers.setdefault((sizing["limited_by"], _size(sizing), sizing["why"]), []).append(name)
    return Items(
        [(limited_by, [f"{size}: {_names(names)}", why]) for (limited_by, size, why), names in sorted(routers.items())]
    )


def _size(sizing: _Host) -> str:
    values = [
        f"{short} {sizing[short]}" if before == sizing[short] else f"{short} {before} → {sizing[short]}"
        for short, before in (("max", sizing["max_before"]), ("buckets", sizing["buckets_before"]))
    ]
    total = binary_size(sizing["memory_total_bytes"])
    cost = (
        f"{binary_size(sizing['memory_bytes'])} of memory when full ({_number(sizing['memory_percent'])} % of {total})"
    )
    return ", ".join([*values, cost])


def _recaps(document: _Document) -> Table:
    """Give the account of each router whose entries were brought down to the new timeouts."""
    done = ("would_update",) if document["check_mode"] else ("updated", "already_gone")
    columns = ("matched", *done, "unchanged", "fixed_timeout", "undecidable")
    recaps = {name: _recap(host) for name, host in document["hosts"].items()}
    rows = [[name, *(_number(recap[column]) for column in columns)] for name, recap in recaps.items() if recap]
    return Table([["router", *(column.replace("_", " ") for column in columns)], *rows])


def _change(change: _Host) -> str:
    now, boot = ("before", "after"), ("boot_before", "boot_after")
    texts = {
        place: " → ".join("not set" if change[key] is None else str(change[key]) for key in keys)
        for place, keys in {"": now, "at boot ": boot}.items()
        if change[keys[0]] != change[keys[1]]
    }
    return ", ".join(f"{place}{text}" for place, text in texts.items())


def _deletions(document: _Document) -> Table:
    """Give the account of each prune that had something to account for."""
    done = ("would_delete",) if document["check_mode"] else ("deleted", "already_gone", "not_deleted", "matches_now")
    columns = ("matched", "protected", *done, "undecidable")
    rows = [
        [name, *(_number(host["prune"][column]) for column in columns)]
        for name, host in document["hosts"].items()
        if host["prune"] and (host["prune"]["matched"] != 0 or host["prune"]["undecidable"] != 0)
    ]
    return Table([["router", *(column.replace("_", " ") for column in columns)], *rows])


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def _names(names: list[str]) -> str:
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _shown(value: t.Any) -> str:
    """Give a finding's value; names in brackets, because the routers stand between commas."""
    if not isinstance(value, list):
        return _number(value)
    names = _names([str(name) for name in value])
    return f"({names})" if len(value) > 1 else names or "none"


def _number(value: t.Any) -> str:
    if value is None:
        return "?"
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
