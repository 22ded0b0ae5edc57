# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import json
import re
import shlex
import typing as t
from xml.etree import ElementTree

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._callback.figures import summary
from ansible_collections.netops.conntrack.plugins.plugin_utils._callback.fleet_table import table
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import explain
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.csv import as_csv
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.junit import as_junit
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.prometheus import as_prometheus
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.render import first_screen_or_say_why, render
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.document import as_html
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.explanations import Group
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import roll_up
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.invocation import pasteable
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import worst_first
from ansible_collections.netops.conntrack.plugins.plugin_utils._tuning.sizing import size
from helpers.documents import Document, fleet_document
from helpers.support import CHECKOUT, read_yaml

TIME = "2026-05-01T03:00:00Z"
CHECKS: dict[str, dict[str, t.Any]] = {
    "full": {"title": "The table is full", "severity": "critical", "advice": "Prune it."},
    "loose": {"title": "Loose pick-up", "severity": "info", "advice": "Leave it on."},
    "stale": {"title": "Stale entries", "severity": "high", "advice": "Delete them."},
}


def audit(count: int, stale_entries: int | None, **statuses: str) -> Document:
    values: dict[str, float | None] = {"full": count / 10, "stale": stale_entries, "loose": None}
    findings = [
        {"id": name, "status": status, "value": values[name], "reason": "acct is off" if status == "unknown" else None}
        | CHECKS[name]
        for name, status in statuses.items()
    ]
    usage = {"count": count, "percent": count / 10}
    return {"usage": usage, "selectors": {"stale": {"entries": stale_entries}}, "findings": findings}


def prune(**changes: t.Any) -> Document:
    account = {"matched": 700, "protected": 1, "would_delete": 699, "deleted": 697, "already_gone": 2}
    return account | {"not_deleted": 0, "matches_now": 0, "undecidable": 3, "unavailable": None} | changes


def tune(left_out: list[str], boot: int | None = 54000) -> Document:
    setting = {"runtime_before": 432000, "runtime_after": 54000, "boot_before": None, "boot": boot}
    why = {"tcp_timeout_established": "15 hours instead of 5 days."}
    return {
        "profile": "expire_dead_connections",
        "left_out": left_out,
        "settings": {"tcp_timeout_established": setting},
        "why": why,
    }


def sized(count: int = 412_000, left_out: tuple[str, ...] = (), **wishes: t.Any) -> Document:
    """Return what a tune leaves that sized the table of a router with 8 GiB."""
    present = {"count": count, "max": 262_144, "buckets": 262_144}
    sizing = size(present | {"entry_bytes": 256, "memory_total_bytes": 8 << 30}, **wishes)
    settings = {
        short: {"runtime_before": 262_144, "runtime_after": sizing[short], "boot_before": None, "boot": sizing[short]}
        for short in ("max", "buckets")
        if short not in left_out
    }
    why = dict.fromkeys(settings, sizing["why"])
    return {
        "profile": "expire_dead_connections",
        "left_out": list(left_out),
        "settings": settings,
        "why": why,
        "sizing": sizing,
    }


def shortened(updated: int | None, fixed_timeout: int, **kept: int) -> Document:
    account = {"matched": 500, "would_update": 439, "updated": updated, "unchanged": 60, "undecidable": 1}
    kept = dict.fromkeys(("not_lowered", "rule", "helper", "longer_than_before"), 0) | kept
    gone = None if updated is None else 2
    return tune([]) | {"shortened": account | {"already_gone": gone, "fixed_timeout": fixed_timeout, "kept": kept}}


BEFORE = audit(970, 700, full="finding", stale="finding", loose="finding")
FULL_RUN: dict[str, t.Any] = {
    "before": BEFORE,
    "tune": tune([]),
    "prune": prune(),
    "after": audit(271, 0, full="passed", stale="passed", loose="finding"),
}
DEAD = {"failure": {"step": "Measure", "message": "ssh: no route\nto host", "unreachable": True}}
BROKEN = {"before": BEFORE, "failure": {"step": "Set all", "message": "max: no", "unreachable": False}}


def page(records: dict[str, t.Any], style: str = "text", check_mode: bool = False) -> str:
    return render(roll_up(records, list(records), TIME, check_mode), style)


def test_a_whole_run_as_text() -> None:
    assert (
        page({"r1": FULL_RUN, "r2": DEAD, "r3": BROKEN})
        == """\
Connection tracking of 3 routers, 2026-05-01T03:00:00Z
======================================================

1 of 3 routers done; unreachable: r2; failed: r3; 1 setting changed; 697 entries deleted.

The routers, before → after
---------------------------

router  verdict      findings  entries    % full     stale    changed  deleted
r2      unreachable
r3      failed       3         970        97         700
r1      info         3 → 1     970 → 271  97 → 27.1  700 → 0  1        697

Not done
--------

r2  unreachable
    Measure: ssh: no route\\nto host
r3  failed
    Set all: max: no

What this report says of these routers may be old. Before you run one of its commands there, mend the reason and \
run netops.conntrack.audit for them again.

Found, before → after
---------------------

critical  The table is full: 2 routers, now 1
          r3 97, r1 97 → 27.1
          Prune it.
high      Stale entries: 2 routers, now 1
          r3 700, r1 700 → 0
          Delete them.
info      Loose pick-up: 2 routers, now 2
          r3 found, r1 found
          Leave it on.

Settings changed
----------------

tcp_timeout_established  432000 → 54000, at boot not set → 54000: r1
                         15 hours instead of 5 days.

Entries deleted
---------------

router  matched  protected  deleted  already gone  not deleted  matches now  undecidable
r1      700      1          697      2             0            0            3
"""
    )


@pytest.mark.parametrize(("percent", "shown"), [(99.96, ">99.9"), (100.0, "100"), (0.04, "<0.1"), (0.0, "0")])
def test_a_table_is_shown_as_full_only_if_it_is(percent: float, shown: str) -> None:
    measured = audit(970, 700)
    measured["usage"]["percent"] = percent
    row = next(line for line in page({"r1": {"before": measured}}).splitlines() if line.startswith("r1 "))
    assert row.split()[-2] == shown


def test_a_dry_run_says_would_and_shows_no_after() -> None:
    records = {
        "r1": {"before": BEFORE, "tune": tune(["dccp_loose"], None), "prune": prune(deleted=None, already_gone=None)}
    }
    text = page(records, check_mode=True)
    assert (
        "Check mode, nothing was changed. 1 of 1 router done; 1 setting would change; 699 entries would be "
        "deleted.\n" in text
    )
    assert "router  verdict   findings  entries  % full  stale  would change  would delete\n" in text
    assert "r1      critical  3         970      97      700    1             699\n" in text
    assert "Settings that would change\n" in text
    assert (
        "router  matched  protected  would delete  undecidable\nr1      700      1          699           3\n" in text
    )
    assert "tcp_timeout_established  432000 → 54000: r1\n" in text
    assert "cannot be set here, and was left out: dccp_loose\n" in text
    assert "→ after" not in text
    assert "Found now\n" in text


@pytest.mark.parametrize(
    ("record", "present", "absent"),
    [
        ({"before": BEFORE}, ["Found now", "stale"], ["changed", "deleted", "Not done", "Settings", "Entries"]),
        ({"tune": tune([])}, ["router  verdict  changed\nr1      done     1\n"], ["Found", "deleted", "entries"]),
        ({"prune": prune()}, ["router  verdict  deleted\nr1      done     697\n"], ["Found", "changed", "% full"]),
        ({"prune": prune(matched=0, undecidable=0, deleted=0)}, ["0 entries deleted"], ["Entries deleted"]),
        ({"prune": prune(deleted=1)}, ["; 1 entry deleted."], []),
        (
            {"before": audit(1, None, stale="unknown")},
            ["Could not be evaluated", "Stale entries: r1", "acct is off"],
            ["Found"],
        ),
        ({"before": audit(1, 0, stale="passed")}, ["passed"], ["Found", "Could not"]),
    ],
)
def test_only_what_there_is_is_shown(record: dict[str, t.Any], present: list[str], absent: list[str]) -> None:
    text = page({"r1": record})
    assert [part for part in present if part not in text] == []
    assert [part for part in absent if part in text] == []


def test_unknown_is_not_zero() -> None:
    text = page({"r1": {"before": audit(1, None), "prune": prune(matched=None, protected=None, undecidable=None)}})
    assert "r1      passed   0         1        0.1     ?      697\n" in text
    assert "r1      ?        ?          697" in text


def test_a_second_look_and_what_is_not_listed_have_columns_of_their_own() -> None:
    kept = [
        {"reason": "helper", "option": "protect_helpers: false", "entries": 4, "sample": []},
        {"reason": "management", "option": "protect_management: false", "entries": 1, "sample": []},
    ]
    first = prune(protected=5, kept=kept, woken=12, not_listed=2000)
    second = prune(protected=4, kept=kept[:1], woken=0, not_listed=None)
    text = page({"r1": {"prune": first}, "r2": {"prune": second}})
    titles = (
        "router  matched  protected  woken  deleted  already gone  not deleted  matches now  undecidable  not listed"
    )
    assert f"{titles}\nr1      700      5          12     697 " in text
    assert "\nr2      700      4          0      697 " in text
    assert "3            2000\n" in text
    assert "3            ?\n" in text
    assert "helper      r1 4, r2 4\n            To take them: protect_helpers: false\n" in text
    assert "management  r1 1\n            To take them: protect_management: false\n" in text


def test_why_there_was_nothing_to_look_at_is_said() -> None:
    unavailable = "net.netfilter.nf_conntrack_acct is off"
    text = page({"r1": {"prune": prune(matched=None, would_delete=None, unavailable=unavailable)}}, check_mode=True)
    assert f"prune  Which entries to delete: r1\n       {unavailable}\n" in text


def test_advice_is_only_given_while_it_helps() -> None:
    text = page({"r1": FULL_RUN})
    assert "Stale entries: 1 router, now 0\n" in text
    assert "Delete them." not in text
    assert "Leave it on." in text


def with_cures(name: str) -> Document:
    measured = audit(1000, 0, full="finding")
    measured["findings"][0]["cures"] = [f"`ansible {name}` frees 700 entries.", "So does a reboot."]
    return {"before": measured}


def test_what_helps_on_each_router_is_said_for_the_first_of_them() -> None:
    alone = page({"r1": with_cures("r1")}, "markdown")
    assert "Prune it.\n  - `ansible r1` frees 700 entries. So does a reboot." in alone
    shown = page({f"r{number}": with_cures(f"r{number}") for number in range(1, 6)}, "markdown")
    assert re.findall(r"On (r\d): `ansible (r\d)` frees 700 entries. So does a reboot.", shown) == [
        (f"r{number}", f"r{number}") for number in (1, 2, 3)
    ]
    assert "The JSON document has the same for 2 more." in shown


def test_the_section_of_a_router_has_what_helps_there() -> None:
    markup = as_html(roll_up({name: with_cures(name) for name in ("r1", "r2")}, ["r1", "r2"], TIME))
    assert "What helps there, with its own figures, is in the section of each router." in markup
    for name in ("r1", "r2"):
        section = markup.partition(f"<b>{name}</b>")[2].partition("</details>")[0]
        assert re.findall("<code[^>]*>(?:<span>)?([^<]*)", section) == [f"ansible {name}"]
        assert "frees 700 entries. So does a reboot." in section


def test_names_of_a_large_fleet_are_cut() -> None:
    text = page({f"r{number:02}": {"before": BEFORE} for number in range(12)})
    assert "Stale entries: 12 routers\n" in text
    assert "r09 700, and 2 more\n" in text


def test_the_same_change_is_shown_once_with_all_its_routers() -> None:
    text = page({"r1": {"tune": tune([])}, "r2": {"tune": tune([])}, "r3": {"tune": tune([], None)}})
    assert "→ 54000: r1, r2\n" in text
    assert "432000 → 54000: r3\n" in text


def test_a_size_is_explained_once_with_what_it_costs() -> None:
    text = page({"r1": {"tune": sized()}, "r2": {"tune": sized()}, "r3": {"tune": sized(500, peak=1000)}})
    assert (
        """\
Settings changed
----------------

buckets  262144 → 917504, at boot not set → 917504: r1, r2
buckets  at boot not set → 262144: r3
max      262144 → 917504, at boot not set → 917504: r1, r2
max      at boot not set → 262144: r3

Size of the table
-----------------

peak     max 262144 → 917504, buckets 262144 → 917504, 399 MiB of memory when full (4.9 % of 8 GiB): r1, r2
         2 times the 412000 entries of now makes 824000, rounded up. A lookup in the full table walks a chain
         of 2 entries.
present  max 262144, buckets 262144, 114 MiB of memory when full (1.4 % of 8 GiB): r3
         2 times the peak of 1000 entries makes 2000. Sizing never lowers max. A lookup in the full table
         walks a chain of 2 entries.
"""
        in text
    )
    assert "**peak** max 262144 → 917504, buckets" in page({"r1": {"tune": sized()}}, "markdown")


def test_a_size_that_cannot_be_set_is_only_said_to_be_left_out() -> None:
    text = page({"r1": {"tune": sized(left_out=("buckets", "max"))}})
    assert "r1  cannot be set here, and was left out: buckets, max\n" in text
    assert "Size of the table" not in text


def test_an_own_value_beside_a_size_keeps_its_reason() -> None:
    tuned = sized(overrides={"max": "1M"})
    tuned["why"]["max"] = "set by conntrack_tune_overrides"
    text = page({"r1": {"tune": tuned}})
    assert "→ 1048576: r1\n         set by conntrack_tune_overrides\n" in text
    assert "override  max 262144 → 1048576, buckets 262144 → 1048576, 456 MiB" in text


@pytest.mark.parametrize(
    ("tunes", "headline", "rows"),
    [
        (
            [shortened(437, 3)],
            "437 timeouts shortened (3 with a fixed timeout left).",
            ["r0      500      437      2             60         3              1\n"],
        ),
        ([shortened(1, 0)], "1 timeout shortened.", ["r0      500      1        2 "]),
        (
            [shortened(1, 2), tune([]), shortened(9, 1)],
            "10 timeouts shortened (3 with a",
            ["r0      500", "r2      500"],
        ),
    ],
)
def test_shortened_timeouts_are_counted(tunes: list[dict[str, t.Any]], headline: str, rows: list[str]) -> None:
    text = page({f"r{number}": {"tune": one} for number, one in enumerate(tunes)})
    account = text.split("Timeouts shortened\n")[1]
    assert headline in text
    assert "router  matched  updated  already gone  unchanged  fixed timeout  undecidable\n" in account
    assert [row for row in rows if row not in account] == []
    assert "r1 " not in account


@pytest.mark.parametrize(("check_mode", "words"), [(False, "turned"), (True, "would turn")])
def test_what_could_not_be_pruned_is_not_cured(check_mode: bool, words: str) -> None:
    unavailable = "net.netfilter.nf_conntrack_acct is 0, so that nobody can tell."
    before, after = audit(970, None), audit(970, 0)
    after["selectors"]["stale"]["undecidable"] = 700
    acct = {"runtime_before": 0, "runtime_after": 1, "boot_before": None, "boot": 1}
    tuned = tune([]) | {"settings": {"acct": acct}, "why": {"acct": "Counters."}}
    undecided = dict.fromkeys(("matched", "would_delete", "deleted", "already_gone"))
    pruned = prune(**undecided, unavailable=unavailable)
    text = page({"r1": {"before": before, "after": after, "prune": pruned, "tune": tuned}}, check_mode=check_mode)
    assert f"{unavailable} This run {words} it on, for entries that are made from then on." in " ".join(text.split())
    table = text.split("The routers, before → after\n")[1].splitlines()
    assert " % full  stale " in table[2]
    assert table[3].split()[-4:] == ["97", "?", "1", "?"]


def test_why_timeouts_were_kept_is_said_where_they_were() -> None:
    tunes = {"r1": {"tune": shortened(1, 0, rule=7)}, "r2": {"tune": shortened(1, 0, longer_than_before=8)}}
    account = page(tunes).split("Timeouts shortened\n")[1]
    assert "unchanged  fixed timeout  rule  longer than before  undecidable\n" in account
    assert "60         0              7     0                   1\n" in account
    assert "60         0              0     8                   1\n" in account


def test_a_dry_run_says_what_would_be_shortened() -> None:
    text = page({"r1": {"tune": shortened(None, 3)}}, check_mode=True)
    assert "1 of 1 router done; 1 setting would change; 439 timeouts would be shortened (3 with a fixed" in text
    account = text.split("Timeouts that would be shortened\n")[1]
    assert "router  matched  would update  unchanged  fixed timeout  undecidable\n" in account
    assert "r1      500      439           60         3              1\n" in account


def fullness(count: int, limit: int = 1000) -> Document:
    share = round(100 * count / limit, 2) if limit else None
    room = limit - count if limit else None
    return {"count": count, "max": limit, "percent": share, "headroom": room, "buckets": 512, "load_factor": 1.0}


def forecast(gone: int, unknown: int = 0, after: Document | None = None, **changes: t.Any) -> Document:
    counts = {"entries": 900, "governed": 890, "gone": gone, "unknown": unknown, "percent": round(gone / 9, 2)}
    times = dict.fromkeys(("last_in_seconds", "shortened_in_seconds")) if not gone else {}
    return {
        **counts,
        "last_in_seconds": 377_990,
        "shortened_in_seconds": 54_000,
        **times,
        "now": fullness(900),
        "then": fullness(900 - gone),
        "after": after,
        "after_seconds": 60 if after else None,
        **changes,
    }


def test_a_dry_run_says_what_the_settings_would_do_to_the_entries() -> None:
    tunes = {
        "r1": shortened(None, 0) | {"forecast": forecast(600, 12)},
        "r2": shortened(None, 0) | {"forecast": forecast(0, 3, now=fullness(900, 0), then=fullness(900, 0))},
        "r3": shortened(None, 0) | {"forecast": forecast(0)},
        "r4": tune([]) | {"forecast": forecast(30)},
        "r5": tune([]),
    }
    text = page({name: {"tune": record} for name, record in tunes.items()}, check_mode=True)
    assert "630 of 3600 entries would be gone within 5 days" in " ".join(text.split())
    rows = text.split("What these settings do to the entries\n")[1].split("\n\n")[1].splitlines()
    assert [line.rstrip() for line in rows] == [
        "router  entries  gone  unknown  within  % full  % full then",
        "r1      900      600   12       15 h    90.0    30.0",
        "r2      900      0     3                ?       ?",
        # Without an update that shortens them, they stay for longer.
        "r4      900      30    0        5 days  90.0    87.0",
    ]


def test_a_run_says_what_the_settings_did_to_the_entries() -> None:
    text = page({"r1": {"tune": shortened(1, 0) | {"forecast": forecast(600, after=fullness(310))}}})
    assert "600 of 900 entries will be gone within 15 h" in " ".join(text.split())
    rows = text.split("What these settings do to the entries\n")[1].split("\n\n")[1].splitlines()
    assert [line.rstrip() for line in rows] == [
        "router  entries  gone  unknown  within  % full  % full then  measured",
        "r1      900      600   0        15 h    90.0    30.0         31.0 %, 310 entries, 60 s later",
    ]


def test_nothing_is_said_of_settings_that_do_nothing_to_the_entries() -> None:
    text = page({"r1": {"tune": shortened(1, 0) | {"forecast": forecast(0)}}})
    assert "gone within" not in text
    assert "What these settings do" not in text


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (True, "over a new connection: r1\n"),
        (False, "NOT confirmed: the router restores its old values by itself: r1\n"),
        (None, None),
    ],
)
def test_who_confirmed_is_told(answer: bool | None, line: str | None) -> None:
    text = page({"r1": {"tune": tune([]) | {"confirmed": answer}}})
    assert line in text if line else "confirmed" not in text


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (["buckets", "max"], ["max"], "r1 (buckets, max) → max\n"),
        (["max"], [], "r1 max → none\n"),
        ([f"k{number:02}" for number in range(12)], ["max"], "k09, and 2 more) → max\n"),
    ],
)
def test_names_that_are_a_value_are_told_from_routers(before: list[str], after: list[str], shown: str) -> None:
    audits = [audit(1, 0, loose="finding"), audit(1, 0, loose="finding")]
    for one, value in zip(audits, (before, after), strict=True):
        one["findings"][0]["value"] = value
    assert shown in page({"r1": {"before": audits[0], "after": audits[1]}})


def test_an_empty_value_is_shown_by_its_status() -> None:
    audits = [audit(1, 0, loose="finding"), audit(1, 0, loose="passed")]
    for one, value in zip(audits, ("max acct", ""), strict=True):
        one["findings"][0]["value"] = value
    assert "r1 max acct → not found\n" in page({"r1": {"before": audits[0], "after": audits[1]}})


def test_markdown_escapes_what_comes_from_routers() -> None:
    record = copy.deepcopy(DEAD)
    record["failure"]["message"] = "<b>|no\nroute"
    markdown = page({"r|1": record, "r2": FULL_RUN}, "markdown")
    assert "| r\\|1 | unreachable |" in markdown
    assert "\n- **r\\|1** unreachable\n  - Measure: \\<b\\>\\|no\\\\nroute\n" in markdown
    assert "\n- **critical** The table is full: 1 router, now 0\n  - r2 97 → 27.1\n" in markdown


def test_an_empty_fleet_is_a_page_too() -> None:
    assert "0 of 0 routers done." in page({})


def test_an_unknown_style_is_refused_and_all_others_are_named() -> None:
    with pytest.raises(OptionError, match=r"^style: 'pdf' is unknown\. Give one of (.*)\.$") as refused:
        page({}, "pdf")
    styles = "json, html, markdown, text, csv, prometheus, junit"
    assert str(refused.value).endswith(f"Give one of {styles}.")
    options = read_yaml(CHECKOUT / "plugins/filter/conntrack_render.yml")
    assert options["DOCUMENTATION"]["options"]["style"]["choices"] == styles.split(", ")


@pytest.mark.parametrize(
    ("style", "writer"), [("html", as_html), ("csv", as_csv), ("prometheus", as_prometheus), ("junit", as_junit)]
)
def test_each_format_has_its_writer(style: str, writer: t.Callable[[dict[str, t.Any]], str]) -> None:
    document = fleet_document(12, hostile=True)
    assert render(document, style) == writer(document)


def test_which_findings_fail_is_for_junit_alone() -> None:
    document = fleet_document(12)
    assert render(document, "junit", "high") == as_junit(document, "high") != as_junit(document)
    assert render(document, "csv", "high") == as_csv(document)
    with pytest.raises(OptionError, match=r"^fail_on: 'worse' is no severity"):
        render(document, "junit", "worse")


def test_prometheus_has_the_time_of_the_report_on_every_python() -> None:
    document = roll_up({}, [], "2026-11-28T12:00:00Z", False)
    assert "\nnetops_conntrack_report_timestamp_seconds 1795867200\n" in as_prometheus(document)


def test_json_is_sorted_and_compact_and_text_of_any_kind_survives() -> None:
    document = fleet_document(12, hostile=True)
    text = render(document, "json")
    assert json.loads(text) == document
    assert text == json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n"
    text.encode("ascii")


def test_the_document_survives_json() -> None:
    document = roll_up({"r1": FULL_RUN, "r2": DEAD}, ["r1", "r2"], TIME)
    assert render(json.loads(json.dumps(document, sort_keys=True))) == render(document)


def stopped_rollout(gates: list[Document]) -> Document:
    return {"batches": [["r1"], ["r2", "r3"], ["r4", "r5"]], "stopped": {"batch": 2, "gates": gates}}


def gate(host: str, **changes: t.Any) -> Document:
    title = "Packets were dropped since the change"
    return {"host": host, "id": "drops", "title": title, "value": 12, "reason": None} | changes


HELD_UP = {"id": "drops", "status": "finding", "value": 12, "reason": None, "title": "Packets were dropped"}


def rollout_page(rollout: Document, **records: dict[str, t.Any]) -> str:
    hosts = [host for batch in rollout["batches"] for host in batch]
    return render(roll_up(dict.fromkeys(hosts, FULL_RUN) | records, hosts, TIME, False, rollout))


def test_a_stopped_rollout_says_where_why_who_was_not_begun_and_how_to_go_on() -> None:
    gates = [gate("r3"), gate("r3", id="steps", title="A step failed", value=None, reason="no answer")]
    waiting = {"before": BEFORE}
    text = rollout_page(stopped_rollout(gates), r3=FULL_RUN | {"health": [HELD_UP]}, r4=waiting, r5=waiting)
    assert "2 of 5 routers done; failed: r3; not started: r4, r5; stopped after batch 2; " in text
    assert (
        """\
The roll-out
------------

batches      3, of 1, 2, 2 routers
stopped      after batch 2
             r3: drops: Packets were dropped since the change: 12
             r3: steps: A step failed: no answer
not started  2 routers: r4, r5
to go on     Fix what stopped it, then run the playbook again with --limit @REPORT.retry, the file next to
             this report. It lists the routers that are not done.

The routers,"""
        in text
    )
    assert "r3  failed\n    Health gate drops: Packets were dropped\n" in text
    assert "\nr4      not started  3         970        97         700\n" in text


def test_a_stop_in_the_last_batch_leaves_no_router_behind() -> None:
    text = rollout_page({"batches": [["r1"]], "stopped": {"batch": 1, "gates": [gate("r1")]}})
    assert "batches      1, of 1 routers\nstopped      after batch 1\n" in text
    assert "not started  no router\n" in text


def test_many_gates_of_a_stop_are_cut() -> None:
    hosts = [f"r{number:02}" for number in range(12)]
    text = rollout_page({"batches": [hosts], "stopped": {"batch": 1, "gates": [gate(host) for host in hosts]}})
    margin = " " * len("not started  ")
    assert f"{margin}r09: drops: Packets were dropped since the change: 12\n{margin}and 2 more\nnot started" in text


@pytest.mark.parametrize(
    ("batches", "present"),
    [([["r1"], ["r2", "r3"]], "batches  2, of 1, 2 routers\n\nThe routers"), ([["r1", "r2"]], None)],
)
def test_a_rollout_that_went_through_is_one_line_and_one_batch_is_none(
    batches: list[list[str]], present: str | None
) -> None:
    text = rollout_page({"batches": batches, "stopped": None})
    assert present in text if present else "The roll-out" not in text


def trend(**changes: t.Any) -> Document:
    return {
        "entries": {"before": 500, "now": 271},
        "percent": {"before": None, "now": 27.1},
        "selectors": {"stale": {"before": 0, "now": 0}},
        "new_top": {key: [] for key in ("source", "destination", "source_port", "destination_port")},
        "drift": {"new": [], "gone": []},
        "findings": {"new": [], "gone": []},
    } | changes


def trend_page(**trends: Document) -> str:
    document = roll_up(dict.fromkeys(trends, FULL_RUN), list(trends), TIME)
    document["baseline"] = {"time": "2026-04-24T03:00:00Z"}
    for name, of_host in trends.items():
        document["hosts"][name]["trend"] = of_host
    return render(document)


def test_what_has_changed_since_the_baseline() -> None:
    talkers = {"source": ["192.0.2.1", "2001:db8::1"], "destination": [], "source_port": [], "destination_port": [443]}
    drift = {"new": ["max"], "gone": ["acct"]}
    text = trend_page(
        r1=trend(findings={"new": ["full"], "gone": ["loose"]}),
        r2=trend(findings={"new": ["full"], "gone": []}, new_top=talkers, drift=drift),
        r3=None,
        r4=trend(new_top=None, drift=None, selectors={"stale": {"before": None, "now": 5}}),
    )
    assert (
        """\
The routers, 2026-04-24T03:00:00Z → 2026-05-01T03:00:00Z
--------------------------------------------------------

router  entries    % full    stale
r1      500 → 271  ? → 27.1  0
r2      500 → 271  ? → 27.1  0
r4      500 → 271  ? → 27.1  ? → 5

New since 2026-04-24T03:00:00Z, or gone
---------------------------------------

critical      new: The table is full: r1, r2
info          no longer: Loose pick-up: r1
drift         new: max: r2
drift         no longer: acct: r2
r2            new among the top: source 192.0.2.1, 2001:db8::1; destination port 443
not compared  without an audit then or now: r3
"""
        in text
    )


def test_tables_that_are_full_soon_come_in_the_order_of_time() -> None:
    # The limit is 1000 in each, and the baseline is a week old.
    filling = {
        "r1": trend(entries={"before": 100, "now": 271}),
        "r2": trend(entries={"before": 270, "now": 271}),
        "r3": trend(entries={"before": 0, "now": 271}),
    }
    after = audit(271, 0)
    after["usage"]["max"] = 1000
    document = roll_up({name: {"before": after} for name in filling}, list(filling), TIME)
    document["baseline"] = {"time": "2026-04-24T03:00:00Z"}
    for name, of_host in filling.items():
        document["hosts"][name]["trend"] = of_host
    assert "full  if it goes on like this: r3 in 19 days, r1 in 30 days\n" in render(document)


def test_without_a_baseline_nothing_is_compared() -> None:
    assert "since" not in page({"r1": FULL_RUN}).lower()
    assert "New since" not in trend_page(r1=trend())


@pytest.mark.slow
def test_the_worst_come_first_and_a_large_fleet_is_cut() -> None:
    document = fleet_document(300)
    text = render(document)
    overview = text.split("The routers, before → after\n")[1].split("\n\n")[1].splitlines()[1:]
    worst = [name for name, _host in worst_first(document)]
    assert [row.split()[0] for row in overview] == worst[:25]
    assert f"\n\n{300 - 25} more are in the JSON document of this report.\n\n" in text
    assert len(text.splitlines()) < 750
    assert sorted(json.loads(render(document, "json"))["hosts"]) == sorted(worst)


@pytest.mark.parametrize("style", ["text", "markdown"])
def test_hostile_names_reach_no_terminal_and_no_markup(style: str) -> None:
    text = render(fleet_document(20, hostile=True), style)
    assert [character for character in text if not character.isprintable() and character != "\n"] == []
    assert ("<script>" in text) == (style == "text")


def test_a_selector_may_have_the_name_of_a_column() -> None:
    document = fleet_document(3)
    for host in document["hosts"].values():
        for audit in filter(None, (host["before"], host["after"])):
            audit["selectors"] = {"router": audit["selectors"]["stale"]}
    text = render(document)
    assert all(name in text.split("The routers, before")[1].split("Found")[0] for name in document["hosts"])


def with_selectors(measured: Document, **counts: t.Any) -> Document:
    return {**measured, "selectors": {**measured["selectors"], **counts}}


def test_what_the_selectors_counted_stands_in_a_section_of_its_own() -> None:
    unanswered = {"entries": 40, "protocols": {"icmp": 9, "udp": 31}}
    before = with_selectors(BEFORE, unanswered=unanswered, idle_day={"entries": 0}, voice={"entries": 4})
    after = with_selectors(
        FULL_RUN["after"],
        unanswered={"entries": 12, "protocols": {"udp": 12}},
        idle_day={"entries": 0, "protocols": {}},
        half_open={"entries": None, "protocols": None},
        voice={"entries": 4},
    )
    text = page({"r1": {**FULL_RUN, "before": before, "after": after}, "r2": DEAD})
    assert (
        """\
Counted by selectors, before → after
------------------------------------

r1  stale 700 → 0; half_open ?; unanswered 40 → 12 (udp 12); voice 4
"""
        in text
    )
    overview = text.split("The routers, before → after")[1].split("Not done")[0]
    assert "stale    voice" in overview
    assert "unanswered" not in overview
    assert "Counted by selectors" not in page({"r1": FULL_RUN})


def test_a_prune_of_ones_own_is_the_figure_of_the_overview() -> None:
    pruned = with_selectors(BEFORE, prune={"entries": 42}, unanswered={"entries": 40})
    table = page({"r1": {"before": pruned}, "r2": {"before": BEFORE}}).split("The routers now")[1]
    header, *rows = table.split("Found")[0].splitlines()[3:6]
    assert header.split() == ["router", "verdict", "findings", "entries", "%", "full", "prune"]
    assert [row.split()[-1] for row in rows] == ["42", "700"]


def test_a_prune_that_could_not_be_told_is_not_nothing() -> None:
    document = fleet_document(12)
    name = next(name for name, host in document["hosts"].items() if host["prune"] and host["prune"]["unavailable"])
    row = next(line for line in render(document).splitlines() if line.startswith(f"{name} "))
    assert row.endswith("?")


STEERING = "\x00\x07\x1b[2J\x7f\x85\x9b31m\u00ad\u200f\u202e\u2066\u2028\u2029\ufeff\U000e0041=<b>&`*|\"'\r\n\t\ud800"
"""Characters that steer a terminal, turn the direction of writing, are not seen, end a line, or are markup."""


def with_hostile_texts(value: t.Any, key: str = "") -> t.Any:
    """Return a document in which each text that a router or an inventory may decide on is one that steers."""
    if isinstance(value, str):
        return value if key in ("verdict", "status", "severity", "id", "time") else f"{STEERING}{value}"
    if isinstance(value, list):
        return [with_hostile_texts(item, key) for item in value]
    if not isinstance(value, dict):
        return value
    named = key in ("hosts", "selectors", "protocols", "states", "changes", "zones", "families", "status", "tcp")
    return {f"{STEERING}{name}" if named else name: with_hostile_texts(item, name) for name, item in value.items()}


@pytest.mark.slow
@pytest.mark.parametrize("style", ["text", "markdown", "html", "csv", "prometheus", "junit"])
@pytest.mark.parametrize("options", [{}, {"after": False}, {"check_mode": True}])
def test_no_text_steers_a_terminal_in_any_format(style: str, options: dict[str, t.Any]) -> None:
    document = with_hostile_texts(fleet_document(20, **options))
    text = render(document, style)
    text.encode("utf-8")
    assert {character for character in text if not character.isprintable()} <= {"\n", *("\r" if style == "csv" else "")}
    assert r"\x1b[2J" in text.replace("\\[", "[").replace("\\\\", "\\")
    shown = table({**summary(document), "files": [f"{STEERING}/a.json"]}, 100, colour=False, unicode=True)
    assert {character for character in shown if not character.isprintable()} == {"\n"}
    if style == "junit":
        ElementTree.fromstring(text)


STORM = {
    "filled_by": "99 % of 10,000 entries: udp, unanswered, to 192.0.2.54 port 53",
    "prunes": [
        {
            "command": "ansible HOST -b -m netops.conntrack.conntrack_prune "
            "-a 'match=\"protocol=udp replied=false destination=192.0.2.54 destination_port=53\" backup=true'",
            "frees": 9_900,
        }
    ],
    "advice": ["They come back until 192.0.2.54 answers, or nobody asks it."],
}


def test_a_page_begins_with_what_fills_each_table_and_what_helps() -> None:
    records = {"r1": {"before": {**BEFORE, "explanation": STORM}}, "r2": {"before": BEFORE}}
    text = page(records)
    section = text.split("What fills the tables\n---------------------\n\n")[1].split("\n\n")[0]
    how_to_prune, first, second, command, *_others = section.splitlines()
    assert how_to_prune.startswith("prune  Run each of these with --check first")
    assert first == "r1     99 % of 10,000 entries: udp, unanswered, to 192.0.2.54 port 53"
    assert (second.strip(), command.strip()[:13]) == ("This frees 9,900 entries:", "`ansible HOST")
    assert "r2" not in section
    assert text.index("What fills the tables") < text.index("Found now")


DNS = {"protocol": "udp", "replied": False, "destination": "192.0.2.54", "destination_port": 53}
DNS6 = {**DNS, "destination": "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"}
WEB = {"protocol": "tcp", "state": "ESTABLISHED", "replied": True, "destination_port": 443}
STORMS = {"DNS": [(DNS, 92)], "two": [(DNS, 45), (DNS6, 40)], "idle": [(WEB, 97)]}


def explanation_of(entries: int, clusters: list[tuple[Document, int]]) -> Document:
    """Return what is said of a full table that has these clusters, with their percentages."""
    filled_by = [
        {
            "match": match,
            "entries": entries * percent // 100,
            "percent": percent,
            "prunable": 0 if match["replied"] else entries * percent // 100,
            "sources": 4096,
            "more_sources": True,
            "source_network": "2001:db8:aaaa:bbbb::/64",
            "destinations": 4096,
            "more_destinations": True,
            "destination_network": None,
        }
        for match, percent in clusters
    ]
    explanation = explain(
        {
            "usage": {"percent": 97.0},
            "settings": {"udp_timeout": 30, "tcp_timeout_established": 432_000},
            "selectors": {"idle_hour": {"entries": 90_000, "percent": 90}},
            "table": {"entries": entries, "filled_by": filled_by},
        }
    )
    assert explanation
    return explanation


def sick_fleet(document: Document, clusters: list[tuple[Document, int]]) -> Document:
    """Return the document with what fills the table of each router that has an audit, and commands to be pasted."""
    for number, host in enumerate(document["hosts"].values()):
        for phase in ("before", "after"):
            if host[phase]:
                host[phase]["explanation"] = explanation_of(100_000 + 100 * number, clusters)
    return pasteable(document, {"inventory": ("inventory/routers.yml",), "become": True})


def three_sick_routers(clusters: list[tuple[Document, int]]) -> Document:
    document = fleet_document(3, after=False)
    sick = next(host for host in document["hosts"].values() if host["verdict"] == "critical")
    document["hosts"] = {name: {**sick, "before": dict(sick["before"])} for name in document["hosts"]}
    return sick_fleet(document, clusters)


def test_every_page_says_how_many_sources_there_are() -> None:
    document = three_sick_routers(STORMS["DNS"])
    sentence = "udp, unanswered, to 192.0.2.54 port 53, from more than 4,096 sources in 2001:db8:aaaa:bbbb::/64"
    pages = [render(document, name) for name in ("text", "markdown", "html", "json")]
    for page in (*pages, first_screen_or_say_why(document)):
        assert sentence in " ".join(page.split())


@pytest.mark.parametrize("clusters", STORMS.values(), ids=STORMS)
def test_the_first_screen_of_three_sick_routers_fits_a_terminal(clusters: list[tuple[dict[str, t.Any], int]]) -> None:
    document = three_sick_routers(clusters)
    lines = first_screen_or_say_why(document).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 110
    text = "\n".join(lines)
    for name in document["hosts"]:
        assert re.search(rf"^{name} +{clusters[0][1]} % of 100,", text, re.MULTILINE)
        assert (f"  ansible {name} " in text) == (clusters[0][0] is DNS)
    assert lines[-1] == "The files of this report have all else, and what to do about each finding."


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"after": False}, {"check_mode": True}, {"hostile": True}])
@pytest.mark.parametrize("routers", [0, 1, 3, 7, 100])
@pytest.mark.parametrize("clusters", STORMS.values(), ids=STORMS)
def test_the_first_screen_of_any_fleet_fits_a_terminal(
    clusters: list[tuple[dict[str, t.Any], int]], routers: int, options: dict[str, t.Any]
) -> None:
    document = sick_fleet(fleet_document(routers, **options), clusters)
    text = first_screen_or_say_why(document)
    lines = text.splitlines()
    assert len(lines) <= 40
    # A selector is one word of its command, which no line can break. The option for the backup stands behind it.
    assert max(len(line.replace("\" backup=true'", "\"'")) for line in lines) <= 110
    if routers > 10:
        assert re.search(r"What fills the tables, and [\d,]+ more in the files\n", text)
    commands = printed_commands(text)
    assert all(command.startswith("ansible") for command in commands)
    assert bool(commands) or routers == 0 or clusters[0][0] is WEB or "unreachable" in text


def printed_commands(screen: str) -> list[str]:
    """Return the commands on a first screen, each in one line as a shell takes it."""
    return re.findall(r"^  (ansible.*(?:[^\\]|^))$", screen.replace("\\\n", ""), re.MULTILINE)


def test_a_command_on_the_first_screen_is_the_one_of_the_page() -> None:
    document = three_sick_routers(STORMS["two"][:1])
    [on_page, *_others] = re.findall(r"`(ansible [^`]*conntrack_prune[^`]*)`", render(document, "markdown"))
    [on_screen, *_others] = printed_commands(first_screen_or_say_why(document))
    assert shlex.split(on_screen) == shlex.split(on_page)


@pytest.mark.parametrize("style", ["text", "markdown"])
@pytest.mark.parametrize("clusters", STORMS.values(), ids=STORMS)
def test_no_explanation_is_twice_on_a_page(style: str, clusters: list[tuple[dict[str, t.Any], int]]) -> None:
    document = three_sick_routers(clusters)
    text = render(document, style).split("What fills the tables")[1].split("Found now")[0]
    sentences = re.findall(r"[A-Z][^`\n]{30,}\.$", text, re.MULTILINE)
    assert sentences
    assert len(sentences) == len(set(sentences))
    names = list(document["hosts"])
    assert f"{', '.join(names)}:" in text
    all_of_them = re.escape(",".join(names))
    assert re.search(rf"--limit {all_of_them}|ansible {all_of_them} [^`]*conntrack_settings", text)


def test_advice_for_more_routers_than_a_command_names_says_how_many_more() -> None:
    document = fleet_document(16, after=False)
    sick = next(host for host in document["hosts"].values() if host["verdict"] == "critical")
    document["hosts"] = {name: {**sick, "before": dict(sick["before"])} for name in document["hosts"]}
    text = render(sick_fleet(document, STORMS["DNS"]), "text")
    assert text.count("udp_timeout=10") == 1
    assert "6 more are in the JSON document of this report." in text


def test_the_first_screen_names_what_is_found_now_and_nothing_else() -> None:
    document = roll_up({"r1": FULL_RUN, "r3": BROKEN}, ["r1", "r3"], TIME)
    assert (
        first_screen_or_say_why(document).split("Found now\n---------\n\n")[1]
        == """\
critical  The table is full: r3 97
high      Stale entries: r3 700
info      Loose pick-up: r3, r1

The files of this report have all else, and what to do about each finding.
"""
    )


def test_a_number_is_shown_with_the_unit_of_its_check() -> None:
    document = roll_up({"r1": FULL_RUN}, ["r1"], TIME)
    document["checks"]["full"]["unit"] = "%"
    assert "The table is full: 1 router, now 0\n          r1 97 % → 27.1 %" in render(document, "text")
    assert "r1 97 %" in first_screen_or_say_why(roll_up({"r1": {"before": with_unit_of(BEFORE)}}, ["r1"], TIME))


def with_unit_of(given: Document) -> Document:
    """Return an audit whose first check has a unit, as a check of the role has."""
    return {**given, "findings": [{**finding, "unit": "%"} for finding in given["findings"]]}


def test_what_is_no_number_has_no_unit() -> None:
    record = {"before": with_unit_of(audit(970, None, full="unknown", stale="finding"))}
    assert "Stale entries: r1\n" in first_screen_or_say_why(roll_up({"r1": record}, ["r1"], TIME))


def test_a_command_for_several_routers_says_what_it_frees_on_each() -> None:
    prunes: Document = [{"command": "ansible r1,r2 -m x", "frees": 1_200}]
    group = Group(["r1", "r2"], {"filled_by": "99 % udp", "prunes": prunes, "advice": []})
    assert group.commands() == ["This frees 1,200 entries on each:", "`ansible r1,r2 -m x`"]
