# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What was changed, on the page: settings, the size of the table, timeouts, entries. And what stays."""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import listed
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import at_most, percentage, plain_number
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import Item, Items, Table
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.parts import few_names, table_of_routers
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import (
    REASONS_TO_KEEP_TIME,
    Change,
    Document,
    Forecast,
    PruneAccount,
    PruneCount,
    SettingsAccount,
    SettingValue,
    Sizing,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import (
    forecast_of,
    gone_within,
    shortened_of,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._tuning.sizing import binary_size


def settings_changed(document: Document) -> Items:
    """Return one item for each change, with the routers that share it, what was left out, and who confirmed or did not.

    The reason for a size stands in a section of its own, with what the size costs.
    """
    tuned = {name: host["settings"] for name, host in document["hosts"].items() if host["settings"]}
    return Items([*_changes(tuned), *_left_out(tuned), *_confirmations(tuned)])


def _changes(tuned: dict[str, SettingsAccount]) -> list[Item]:
    routers: dict[tuple[str, str, str], list[str]] = {}
    for name, settings in tuned.items():
        sizing = settings["sizing"]
        for setting, change in settings["changes"].items():
            is_said_elsewhere = sizing is not None and change["why"] == sizing["why"]
            why = "" if is_said_elsewhere else change["why"]
            routers.setdefault((setting, _change(change), why), []).append(name)
    items = []
    for (setting, values, why), names in sorted(routers.items()):
        reason = [why] if why else []
        items.append((setting, [f"{values}: {few_names(names)}", *reason]))
    return items


def _left_out(tuned: dict[str, SettingsAccount]) -> list[Item]:
    left_out = {name: settings["left_out"] for name, settings in tuned.items()}
    return [
        (name, [f"cannot be set here, and was left out: {listed(settings)}"])
        for name, settings in left_out.items()
        if settings
    ]


def _confirmations(tuned: dict[str, SettingsAccount]) -> list[Item]:
    texts = {True: "over a new connection", False: "NOT confirmed: the router restores its old values by itself"}
    items = []
    for answer, text in texts.items():
        names = [name for name, settings in tuned.items() if settings["confirmed"] is answer]
        if names:
            items.append(("confirmed", [f"{text}: {few_names(names)}"]))
    return items


def _change(change: Change) -> str:
    """Return what a setting is and was, now and at the next boot, as far as that is not the same."""
    now, was = change["after"], change["before"]
    at_boot, was_at_boot = change["boot_after"], change["boot_before"]
    texts = []
    if now != was:
        texts.append(f"{_setting(was)} → {_setting(now)}")
    if at_boot != was_at_boot:
        texts.append(f"at boot {_setting(was_at_boot)} → {_setting(at_boot)}")
    return ", ".join(texts)


def _setting(value: SettingValue) -> str:
    return "not set" if value is None else str(value)


def sizings(document: Document) -> Items:
    """Return one item for each size that was worked out, with the routers that share it: what it costs, and why."""
    routers: dict[tuple[str, str, str], list[str]] = {}
    for name, host in document["hosts"].items():
        sizing = host["settings"]["sizing"] if host["settings"] else None
        if sizing:
            routers.setdefault((sizing["limited_by"], _size(sizing), sizing["why"]), []).append(name)
    return Items(
        [
            (limited_by, [f"{size}: {few_names(names)}", why])
            for (limited_by, size, why), names in sorted(routers.items())
        ]
    )


def _size(sizing: Sizing) -> str:
    entries = _from_to("max", sizing["max_before"], sizing["max"])
    buckets = _from_to("buckets", sizing["buckets_before"], sizing["buckets"])
    total = binary_size(sizing["memory_total_bytes"])
    share = plain_number(sizing["memory_percent"])
    cost = f"{binary_size(sizing['memory_bytes'])} of memory when full ({share} % of {total})"
    return ", ".join([entries, buckets, cost])


def _from_to(name: str, before: int, after: int) -> str:
    return f"{name} {after}" if before == after else f"{name} {before} → {after}"


def shortened(document: Document) -> Table:
    """Return the account of each router on which timeouts were shortened. Reasons to keep one only where they occur."""
    accounts = {name: account for name, host in document["hosts"].items() if (account := shortened_of(host))}
    kept = {name: account["kept"] or {} for name, account in accounts.items()}
    reasons = [reason for reason in REASONS_TO_KEEP_TIME if any(counts.get(reason) for counts in kept.values())]
    rows = []
    for name, account in accounts.items():
        done = [account["would_update"]] if document["check_mode"] else [account["updated"], account["already_gone"]]
        counts = [account["matched"], *done, account["unchanged"], account["fixed_timeout"]]
        counts += [kept[name].get(reason) for reason in reasons]
        rows.append([name, *map(plain_number, [*counts, account["undecidable"]])])
    done_columns = ["would_update"] if document["check_mode"] else ["updated", "already_gone"]
    columns = ["matched", *done_columns, "unchanged", "fixed_timeout", *reasons, "undecidable"]
    return table_of_routers(columns, rows)


def foretold(document: Document) -> Table:
    """Return what was foretold of the settings of each router, and how full its table was afterwards."""
    rows = []
    for name, host in document["hosts"].items():
        forecast, seconds = forecast_of(host), gone_within(host)
        if not forecast or not _says_anything(forecast):
            continue
        rows.append(
            [
                name,
                *map(plain_number, (forecast["entries"], forecast["gone"], forecast["unknown"])),
                "" if seconds is None else at_most(seconds),
                *map(percentage, (forecast["now"]["percent"], forecast["then"]["percent"])),
                _after(forecast),
            ]
        )
    columns = ["entries", "gone", "unknown", "within", "% full", "% full then", "measured"]
    if not any(row[-1] for row in rows):
        return table_of_routers(columns[:-1], [row[:-1] for row in rows])
    return table_of_routers(columns, rows)


def _says_anything(forecast: Forecast) -> bool:
    """Return whether the settings do anything to the entries, or to how full these make the table."""
    return bool(forecast["gone"] or forecast["unknown"] or forecast["then"] != forecast["now"])


def _after(forecast: Forecast) -> str:
    """Return how full the table was when it was measured again, and when that was."""
    after, seconds = forecast["after"], forecast["after_seconds"]
    if not after:
        return ""
    return f"{percentage(after['percent'])} %, {plain_number(after['count'])} entries, {at_most(seconds or 0)} later"


def deletions(document: Document) -> Table:
    """Return the account of each prune that had something to account for."""
    prunes = {name: host["prune"] for name, host in document["hosts"].items() if host["prune"]}
    prunes = {name: prune for name, prune in prunes.items() if prune["matched"] != 0 or prune["undecidable"] != 0}
    columns = _columns_of(list(prunes.values()), document["check_mode"])
    rows = [[name, *(plain_number(prune[column]) for column in columns)] for name, prune in prunes.items()]
    return table_of_routers(columns, rows)


def _columns_of(prunes: list[PruneAccount], check_mode: bool) -> list[PruneCount]:
    """Return the counts to show. Those that only some prunes have are left out where none has them."""
    columns: list[PruneCount] = ["matched", "protected"]
    if any(prune["woken"] is not None for prune in prunes):
        columns.append("woken")
    columns += ["would_delete"] if check_mode else ["deleted", "already_gone", "not_deleted", "matches_now"]
    columns.append("undecidable")
    if any(prune["not_listed"] for prune in prunes):
        columns.append("not_listed")
    return columns


def kept_entries(document: Document) -> Items:
    """Return why selected entries stay on which routers, and the option that would take them."""
    routers: dict[tuple[str, str], list[str]] = {}
    for name, host in document["hosts"].items():
        for kept in (host["prune"]["kept"] if host["prune"] else None) or []:
            routers.setdefault((kept["reason"], kept["option"]), []).append(f"{name} {kept['entries']}")
    return Items(
        [(reason, [few_names(names), f"To take them: {option}"]) for (reason, option), names in sorted(routers.items())]
    )
