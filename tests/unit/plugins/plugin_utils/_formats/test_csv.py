# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import csv
import io
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import NAMED
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.csv import as_csv
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import worst_first
from helpers.documents import HOSTILE_NAMES, Document, fleet_document

FIXED = (
    "router,verdict,batch,entries_before,entries_after,percent_before,percent_after,max,buckets,load_factor,"
    "memory_bytes,not_listed,findings_critical,findings_high,findings_medium,findings_low,findings_info,checks_unknown,"
    "drift,drop,early_drop,insert_failed,profile,settings_changed,would_shorten,shortened,would_delete,deleted,woken,"
    "failure_step,"
    "failure_message,entries_baseline,percent_baseline,findings_new,findings_gone,drift_new,drift_gone"
)


def rows(document: Document) -> dict[str, dict[str, str]]:
    """Read the file back, as any program does that knows RFC 4180."""
    text = as_csv(document)
    assert text.endswith("\r\n")
    return {row["router"]: row for row in csv.DictReader(io.StringIO(text, newline=""), strict=True)}


def renamed(document: Document, name: str) -> Document:
    """Return ``document`` with the first of its routers alone, under another name."""
    return {**document, "hosts": {name: next(iter(document["hosts"].values()))}}


@pytest.mark.parametrize("options", [{}, {"after": False}, {"check_mode": True}, {"hostile": True}])
def test_a_row_for_each_router_the_worst_first(options: dict[str, bool]) -> None:
    document = fleet_document(30, **options)
    table = list(csv.reader(io.StringIO(as_csv(document), newline=""), strict=True))
    counted = [f"selector_{name}_{phase}" for name in sorted(NAMED) for phase in ("before", "after")]
    assert table[0] == [*FIXED.split(","), *counted]
    assert {len(row) for row in table} == {len(table[0])}
    assert [row[1] for row in table[1:]] == [host["verdict"] for _name, host in worst_first(document)]


def test_the_columns_do_not_depend_on_what_is_in_the_fleet() -> None:
    assert as_csv(fleet_document(0)).split("\r\n", maxsplit=1)[0] == FIXED


def test_what_a_run_did_to_a_router() -> None:
    document = fleet_document(30)
    name, host = next((name, host) for name, host in document["hosts"].items() if host["after"] and host["trend"])
    host["after"]["stats"]["total"]["drop"] += 7
    host["after"]["drift"] = []
    row = rows(document)[name]
    batches = document["rollout"]["batches"]
    expected = {
        "batch": next(number for number, batch in enumerate(batches, 1) if name in batch),
        "entries_before": host["before"]["usage"]["count"],
        "entries_after": host["after"]["usage"]["count"],
        "percent_after": host["after"]["usage"]["percent"],
        "max": host["after"]["usage"]["max"],
        "buckets": host["after"]["usage"]["buckets"],
        "drop": host["after"]["stats"]["total"]["drop"],
        "drift": 0,
        "settings_changed": len(host["settings"]["changes"]),
        "deleted": host["prune"]["deleted"],
        "woken": host["prune"]["woken"],
        "shortened": host["settings"]["shortened"]["updated"],
        "entries_baseline": host["trend"]["entries"]["before"],
        "findings_gone": len(host["trend"]["findings"]["gone"]),
        "selector_stale_before": host["before"]["selectors"]["stale"]["entries"],
        "selector_stale_after": host["after"]["selectors"]["stale"]["entries"],
        "selector_unanswered_after": host["after"]["selectors"]["unanswered"]["entries"],
    }
    assert {title: row[title] for title in expected} == {title: str(value) for title, value in expected.items()}


def test_what_a_prune_did_not_decide_is_an_empty_cell() -> None:
    document = fleet_document(30, check_mode=True)
    cells = {
        (bool(host["prune"]["unavailable"]), *(bool(row[title]) for title in ("would_delete", "deleted")))
        for name, row in rows(document).items()
        for host in [document["hosts"][name]]
        if host["prune"]
    }
    assert cells == {(False, True, False), (True, False, False)}


def test_findings_of_the_last_audit_are_counted_by_severity() -> None:
    document = fleet_document(30)
    for name, row in rows(document).items():
        host = document["hosts"][name]
        audit = host["after"] or host["before"]
        if audit:
            found = [each for each in audit["findings"] if each["status"] == "finding"]
            severities = [document["checks"][each["id"]]["severity"] for each in found]
            assert [int(row[f"findings_{severity}"]) for severity in ("critical", "high", "medium", "low", "info")] == [
                severities.count(severity) for severity in ("critical", "high", "medium", "low", "info")
            ]
            assert int(row["checks_unknown"]) == sum(each["status"] == "unknown" for each in audit["findings"])


def test_unknown_is_an_empty_cell_and_zero_is_zero() -> None:
    document = fleet_document(30)
    name, host = next((name, host) for name, host in document["hosts"].items() if host["verdict"] == "unreachable")
    row = rows(document)[name]
    told = {"router", "verdict", "failure_step", "failure_message"}
    assert {title for title, cell in row.items() if cell} == told
    assert row["failure_message"] == host["failure"]["message"]

    document = fleet_document(30, after=False, with_trend=False)
    name, host = next((name, host) for name, host in document["hosts"].items() if host["before"])
    host["before"] |= {"stats": None, "drift": None}
    host["before"]["usage"] |= {"count": 0, "percent": None, "buckets": None}
    row = rows(document)[name]
    assert row["entries_before"] == "0"
    assert [row[title] for title in ("percent_before", "buckets", "drop", "drift", "deleted", "findings_new")] == [
        ""
    ] * 6


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ('=HYPERLINK("http://x")', '\'=HYPERLINK("http://x")'),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("  =1+1", "'  =1+1"),
        ("\uff1d1", "'\uff1d1"),
        ("'=1", "''=1"),
        ('"=1', "'\"=1"),
        ("' \" @x", "'' \" @x"),
        ("a;=1+1", "a;'=1+1"),
        ("a; -1;b", "a;' -1;b"),
        ("a-1;b=2", "a-1;b=2"),
        ("\t=1", r"\t=1"),
        ("\r=1", r"\r=1"),
        ("a=1", "a=1"),
        ("\x1b[31m\x00", r"\x1b[31m\x00"),
        ('a,b"c\nd', 'a,b"c\\nd'),
        ("\ud800", r"\ud800"),
    ],
)
def test_text_is_no_formula_and_shows_its_control_characters(given: str, shown: str) -> None:
    text = as_csv(renamed(fleet_document(1), given))
    text.encode("utf-8")
    assert next(csv.DictReader(io.StringIO(text, newline=""), strict=True))["router"] == shown


def test_a_failure_of_a_hostile_router_and_the_name_of_a_selector_are_no_formula_either() -> None:
    document = fleet_document(12, hostile=True)
    failed = next(host for host in document["hosts"].values() if host["failure"])
    failed["failure"] |= {"step": "=1", "message": "@x"}
    audited = next(host for host in document["hosts"].values() if host["before"])
    audited["before"]["selectors"]["=1\r\n"] = {"entries": 5}
    table = rows(document)
    assert "'=1" in {row["failure_step"] for row in table.values()}
    assert "'@x" in {row["failure_message"] for row in table.values()}
    assert {row[r"selector_=1\r\n_before"] for row in table.values()} == {"", "5"}
    assert len(table) == len(HOSTILE_NAMES) + 6


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_not_known(odd: float) -> None:
    document: t.Any = fleet_document(1, after=False)
    next(iter(document["hosts"].values()))["before"]["usage"]["load_factor"] = odd
    assert next(iter(rows(document).values()))["load_factor"] == ""


def test_a_great_many_selectors_do_not_make_a_great_many_columns() -> None:
    document: t.Any = fleet_document(2, after=False)
    for host in document["hosts"].values():
        host["before"] = host["before"] or next(h["before"] for h in document["hosts"].values() if h["before"])
        host["before"]["selectors"] |= {f"zz{number}": {"entries": 1} for number in range(10_000)}
    header = as_csv(document).split("\r\n", maxsplit=1)[0].split(",")
    assert len(header) == len(FIXED.split(",")) + 2 * 50
    assert "selector_stale_before" in header


def test_a_number_stays_a_number_even_below_zero() -> None:
    document: t.Any = fleet_document(1, after=False)
    next(iter(document["hosts"].values()))["before"]["usage"]["load_factor"] = -1.5
    assert next(iter(rows(document).values()))["load_factor"] == "-1.5"
