# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What was changed, on the page: settings, the size of the table, timeouts, entries; and what stays."""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import listed
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import Items, Table
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.parts import few_names, recap_of, shown_number
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import Record
from ansible_collections.netops.conntrack.plugins.plugin_utils._tuning.sizing import binary_size

_REASONS_TO_KEEP = ("not_lowered", "rule", "helper", "longer_than_before")
"""Why entries keep more than the new timeouts (see the result kept of conntrack_update)."""


def settings_changed(document: Record) -> Items:
    """Return one item for each change, with the routers that share it; what was left out; and who confirmed or did not.

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
        (setting, [f"{change}: {few_names(names)}", *filter(None, [why])])
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
    return [("confirmed", [f"{text}: {few_names(names)}"]) for text, names in routers.items() if names]


def sizings(document: Record) -> Items:
    """Return one item for each size that was worked out, with the routers that share it: what it costs, and why."""
    routers: dict[tuple[str, str, str], list[str]] = {}
    for name, host in document["hosts"].items():
        sizing = (host["settings"] or {}).get("sizing")
        if sizing:
            routers.setdefault((sizing["limited_by"], _size(sizing), sizing["why"]), []).append(name)
    return Items(
        [
            (limited_by, [f"{size}: {few_names(names)}", why])
            for (limited_by, size, why), names in sorted(routers.items())
        ]
    )


def _size(sizing: Record) -> str:
    values = [
        f"{key} {sizing[key]}" if before == sizing[key] else f"{key} {before} → {sizing[key]}"
        for key, before in (("max", sizing["max_before"]), ("buckets", sizing["buckets_before"]))
    ]
    total = binary_size(sizing["memory_total_bytes"])
    share = shown_number(sizing["memory_percent"])
    cost = f"{binary_size(sizing['memory_bytes'])} of memory when full ({share} % of {total})"
    return ", ".join([*values, cost])


def shortened(document: Record) -> Table:
    """Return the account of each router on which timeouts were shortened; reasons to keep one only where they occur."""
    done = ("would_update",) if document["check_mode"] else ("updated", "already_gone")
    recaps = {name: recap for name, host in document["hosts"].items() if (recap := recap_of(host))}
    kept = {name: recap["kept"] or {} for name, recap in recaps.items()}
    reasons = [reason for reason in _REASONS_TO_KEEP if any(each.get(reason) for each in kept.values())]
    columns = ("matched", *done, "unchanged", "fixed_timeout", *reasons, "undecidable")
    rows = [
        [name, *(shown_number({**recap, **kept[name]}.get(column)) for column in columns)]
        for name, recap in recaps.items()
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


def deletions(document: Record) -> Table:
    """Return the account of each prune that had something to account for."""
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
    rows = [[name, *(shown_number(prune[column]) for column in columns)] for name, prune in prunes.items()]
    return Table([["router", *(column.replace("_", " ") for column in columns)], *rows])


def kept_entries(document: Record) -> Items:
    """Return why selected entries stay on which routers, and the option that would take them."""
    routers: dict[tuple[str, str], list[str]] = {}
    for name, host in document["hosts"].items():
        for kept in (host["prune"] or {}).get("kept") or []:
            routers.setdefault((kept["reason"], kept["option"]), []).append(f"{name} {kept['entries']}")
    return Items(
        [(reason, [few_names(names), f"To take them: {option}"]) for (reason, option), names in sorted(routers.items())]
    )
