# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import copy
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import NAMED
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.advice import advised
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.document import as_html
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import roll_up
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.merge import merge
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import worst_first
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import AUDIT_FIRST, total_foretold
from helpers.documents import HOSTILE_NAMES, Document, fleet_document
from helpers.html_reader import Element, read
from helpers.support import CHECKOUT, COLLECTIONS
from hypothesis import given, settings
from hypothesis import strategies as st

MIB = 1 << 20
TIME = "2026-05-01T03:00:00Z"
ALARM = "<script>alert(1)</script>"


@functools.cache
def fleet(**options: t.Any) -> Document:
    """Return a document that nobody may change."""
    return fleet_document(30, **options)


@functools.cache
def page_of_fleet(**options: t.Any) -> Element:
    return read(as_html(fleet(**options)))


def rows(page: Element) -> list[list[Element]]:
    """Return the cells of the fleet's table, row by row."""
    return [row.children for row in page.one("table", id_="fleet").one("tbody").children]


def column(page: Element, heading: str) -> list[str]:
    headings = [re.sub(r"\W+$", "", cell.text) for cell in page.one("table", id_="fleet").all("th")]
    return [row[headings.index(heading)].text for row in rows(page)]


def details(page: Element, name: str) -> Element:
    """Return the section of a router."""
    return next(each for each in page.all("details", "router") if each.children[0].one("b").text == name)


def block(parent: Element, title: str) -> Element:
    """Return what stands under a small heading."""
    parts = [*parent.all("div"), *parent.all("details", "fold")]
    found = [each for each in parts if each.children and each.children[0].text == title]
    assert len(found) == 1, title
    return found[0]


def changed(document: Document, *path: t.Any, value: t.Any) -> Document:
    """Return the document with another value at the path."""
    document = copy.deepcopy(document)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


def numbers(value: t.Any, path: tuple[t.Any, ...] = ()) -> t.Iterator[tuple[t.Any, ...]]:
    """Yield where the numbers are that may be unknown."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        if key not in ("from", "below", "value", "new_top", "sizing"):
            yield from numbers(each, (*path, key))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{}, {"after": False, "with_trend": False}, {"check_mode": True}, {"hostile": True}]
)
def test_the_same_document_gives_the_same_bytes(options: dict[str, bool]) -> None:
    document = fleet(**options)
    again = json.loads(json.dumps(document, sort_keys=True))
    assert as_html(again) == as_html(copy.deepcopy(document)) == as_html(document)


@pytest.mark.slow
def test_other_processes_give_the_same_bytes() -> None:
    program = (
        "import hashlib\n"
        "from ansible_collections.netops.conntrack.plugins.plugin_utils._html.document import as_html\n"
        "from helpers.documents import fleet_document\n"
        "print(hashlib.sha256(as_html(fleet_document(12)).encode()).hexdigest())"
    )
    path = os.pathsep.join([str(COLLECTIONS), str(CHECKOUT / "tests")])
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            timeout=120,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(digests) == 1


@pytest.mark.slow
def test_it_asks_for_nothing_from_elsewhere() -> None:
    page = page_of_fleet(hostile=True)
    assert not {element.name for element in page.all()} & {"img", "link", "iframe", "object", "embed", "base", "form"}
    targets = {each.attributes[key] for each in page.all() for key in ("src", "href") if key in each.attributes}
    assert all(target.startswith("#") for target in targets)
    ids = {each.attributes["id"] for each in page.all() if "id" in each.attributes}
    assert {target[1:] for target in targets} <= ids


def test_only_its_own_style_and_script_are_allowed() -> None:
    page = page_of_fleet(hostile=True)
    policy = next(meta.attributes["content"] for meta in page.all("meta") if "http-equiv" in meta.attributes)
    digests = {
        name: base64.b64encode(hashlib.sha256(page.one(name).text.encode()).digest()).decode()
        for name in ("style", "script")
    }
    assert policy == (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"style-src 'sha256-{digests['style']}'; script-src 'sha256-{digests['script']}'"
    )
    assert not [each for each in page.all() if any(key == "style" or key.startswith("on") for key in each.attributes)]


def test_ids_are_given_once() -> None:
    ids = [each.attributes["id"] for each in page_of_fleet(hostile=True).all() if "id" in each.attributes]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("options", [{}, {"after": False, "with_trend": False}, {"check_mode": True}])
def test_each_chart_has_a_text_alternative(options: dict[str, bool]) -> None:
    charts = [svg for svg in page_of_fleet(**options).all("svg") if svg.classes != ["defs"]]
    assert len(charts) > 200
    assert all(svg.attributes["role"] == "img" and len(svg.attributes["aria-label"]) > 5 for svg in charts)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_is_text_wherever_it_stands(name: str) -> None:
    page = page_of_fleet(hostile=True)
    assert visible(name) in column(page, "Router")
    assert details(page, visible(name))
    assert len(list(page.all("script"))) == 1
    assert not list(page.all("img"))


def test_no_value_of_a_router_becomes_markup() -> None:
    """Every text of the document is hostile, but those that choose among words of ours."""

    def poisoned(value: t.Any, key: str = "") -> t.Any:
        if isinstance(value, dict):
            return {name: poisoned(each, name) for name, each in value.items()}
        if isinstance(value, list):
            return [poisoned(each, key) for each in value]
        keep = key in ("id", "status", "verdict", "severity", "host", "batches", "new", "gone", "not_started", "drift")
        return f'{value}"><img src=x>{ALARM}\x00' if isinstance(value, str) and not keep else value

    page = read(as_html(poisoned(fleet())))
    assert len(list(page.all("script"))) == 1
    assert not list(page.all("img"))
    assert page.text.count(ALARM) > 1000
    assert "\x00" not in page.text


def test_the_routers_stand_worst_first() -> None:
    names = [name for name, _host in worst_first(fleet())]
    assert column(page_of_fleet(), "Router") == names
    assert [each.children[0].one("b").text for each in page_of_fleet().all("details", "router")] == names


def test_each_row_leads_to_the_section_of_its_router() -> None:
    page = page_of_fleet()
    for row in rows(page):
        anchor = row[0].one("a").attributes["href"][1:]
        assert details(page, row[0].text).one("div", "body").attributes["id"] == anchor


def test_the_tiles_have_the_totals() -> None:
    totals = fleet()["totals"]
    tiles = {tile.one("dt").text: tile.one("dd").text for tile in page_of_fleet().one("dl", "tiles").children}
    assert tiles == {
        "routers done": f"{totals['done']} of 30",
        "unreachable": str(totals["unreachable"]),
        "failed": str(totals["failed"]),
        "not started": str(totals["not_started"]),
        "findings": f"{totals['findings_before']:,} → {totals['findings_after']:,}",
        "settings changed": f"{totals['settings_changed']:,}",
        "timeouts shortened": f"{totals['shortened']:,}",
        "entries will be gone within 15 h": f"{total_foretold(fleet()).gone:,}",
        "entries deleted": f"{totals['deleted']:,}",
    }


def test_an_audit_alone_shows_no_change() -> None:
    page = page_of_fleet(after=False, with_trend=False)
    assert [tile.one("dt").text for tile in page.one("dl", "tiles").children][-1] == "findings"
    headings = [heading.text for heading in page.one("table", id_="fleet").all("th")]
    assert not {"Changed", "Deleted", "Batch", "Trend"} & set(headings)
    assert "→" not in page.one("table", id_="fleet").text
    assert "Roll-out" not in page.text


def test_in_check_mode_nothing_is_called_done() -> None:
    document = fleet(check_mode=True)
    document["rollout"] = {"batches": [list(document["hosts"])], "stopped": None}
    page = read(as_html(document))
    assert next(iter(page.one("dl", "tiles").all("dt"))).text == "routers done"
    assert [item.text for item in page.one("ol", "batches").all("small")][1:] == ["planned"]


def test_check_mode_says_would() -> None:
    page = page_of_fleet(check_mode=True)
    assert page.one("p", "notice").text == "Check mode: nothing was changed"
    text = page.text
    for words in ("entries would be deleted", "settings would change", "Settings that would change", "Would delete"):
        assert words in text
    assert "Entries deleted" not in text


def test_check_mode_shows_nothing_that_it_did_not_decide() -> None:
    document = fleet(check_mode=True)
    page = page_of_fleet(check_mode=True)
    name = next(name for name, host in document["hosts"].items() if (host["prune"] or {}).get("would_delete"))
    predicted = block(details(page, name), "Entries that would be deleted")
    terms = [each.one("dt").text for each in predicted.one("dl").children]
    assert terms == ["matched", "protected", "woken", "would delete", "undecidable", "not listed"]
    assert "1 management (protect_management: false)" in predicted.text


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_router_says_what_its_settings_do_to_the_entries(check_mode: bool) -> None:
    options = {"check_mode": True} if check_mode else {}
    hosts = fleet(**options)["hosts"]
    name = next(name for name, host in hosts.items() if host["settings"] and host["settings"]["forecast"]["gone"])
    foretold = hosts[name]["settings"]["forecast"]
    text = details(page_of_fleet(**options), name).text
    will_be = "would be" if check_mode else "will be"
    assert f"{foretold['gone']:,} of {foretold['entries']:,} entries {will_be} gone within 15 h (" in text
    assert f" % full), {foretold['unknown']:,} unknown." in text
    assert ("0 s after the change: " in text) is not check_mode


def test_the_roll_out_says_where_it_stopped_and_why() -> None:
    rollout = fleet()["rollout"]
    part = block(page_of_fleet().one("section", id_="overview"), "Roll-out")
    states = [batch.children[2].text for batch in part.one("ol").children]
    stopped = rollout["stopped"]["batch"]
    assert states == ["done"] * (stopped - 1) + ["stopped"] + ["not started"] * (len(rollout["batches"]) - stopped)
    assert f"Stopped at batch {stopped} of {len(rollout['batches'])}" in part.text
    for gate in rollout["stopped"]["gates"]:
        assert f"{gate['host']}: {gate['title']}" in part.text
    assert {link.text for link in part.one("p", "names").all("a")} == set(fleet()["not_started"])


def test_a_batch_of_another_slice_was_done_though_it_stands_behind_the_stop() -> None:
    whole = fleet_document(12, seed=3)
    passed = {"id": "usage", "status": "passed", "value": None, "reason": None}
    other = roll_up({"zz": {"health": [passed]}}, ["zz"], TIME, rollout={"batches": [["zz"]], "stopped": None})
    page = read(as_html(merge([whole, other])))
    states = [batch.children[2].text for batch in page.one("ol", "batches").children]
    assert states[-3:] == ["stopped", "not started", "done"]


def test_what_was_not_done_is_listed_with_step_and_message() -> None:
    failures = {name: host["failure"] for name, host in fleet()["hosts"].items() if host["failure"]}
    section = next(each for each in page_of_fleet().all("section") if each.children[0].text == "Not done")
    listed = {
        row.children[0].text: (row.children[2].text, row.children[3].text) for row in section.one("tbody").children
    }
    assert listed == {name: (failure["step"], failure["message"]) for name, failure in failures.items()}
    assert section.children[-1].text == AUDIT_FIRST


def test_a_router_that_was_not_measured_is_unknown_everywhere() -> None:
    name = fleet()["unreachable"][0]
    page = page_of_fleet()
    place = column(page, "Router").index(name)
    for heading in ("% full", "Entries", "Limit", "Stale", "Findings", "Drift"):
        assert column(page, heading)[place] == "?"
    assert rows(page)[place][2].one("rect", "hatch")
    assert "not measured" in details(page, name).text
    assert fleet()["hosts"][name]["failure"]["message"] in details(page, name).text


def test_no_limit_is_neither_full_nor_empty() -> None:
    name = next(
        name for name, host in fleet()["hosts"].items() if (host["after"] or {"usage": {}})["usage"].get("max") == 0
    )
    page = page_of_fleet()
    row = rows(page)[column(page, "Router").index(name)]
    assert "none" in [cell.text for cell in row]
    assert column(page, "% full")[column(page, "Router").index(name)] == "-"
    assert "Infinity" in [cell.attributes.get("data-key") for cell in row]
    assert "no limit" in row[2].one("svg").attributes["aria-label"]
    assert row[2].one("rect", "hatch")
    assert "no limit" in details(page, name).children[0].text


def test_the_map_leaves_out_what_is_not_known() -> None:
    document = copy.deepcopy(fleet())
    hosts = [host for host in document["hosts"].values() if host["after"]]
    hosts[0]["after"]["usage"]["count"] = None
    hosts[1]["after"]["usage"] |= {"max": None, "percent": None}
    usages = [
        (host["after"] or host["before"] or {}).get("usage", {"max": None}) for host in document["hosts"].values()
    ]
    label = read(as_html(document)).one("svg", "map").attributes["aria-label"]
    unlimited = sum(usage["max"] == 0 for usage in usages)
    assert label.endswith(f"{unlimited} without a limit, {2 + len(document['unreachable'])} not known.")


def test_unknown_stays_unknown() -> None:
    name = next(name for name, host in fleet()["hosts"].items() if _stale_of(host) == [None, 0])
    page = page_of_fleet()
    assert column(page, "Stale")[column(page, "Router").index(name)] == "? → 0"
    chart = details(page, name).one("svg", "pairs")
    assert "stale ? → 0" in chart.attributes["aria-label"]
    assert chart.one("path", "hatch")


def _stale_of(host: dict[str, t.Any]) -> list[t.Any]:
    return [host[phase]["selectors"]["stale"]["entries"] for phase in ("before", "after") if host[phase]]


@pytest.mark.parametrize("key", ["table", "stats", "drift"])
def test_an_older_audit_lacks_parts(key: str) -> None:
    document = copy.deepcopy(fleet())
    for host in document["hosts"].values():
        for phase in ("before", "after"):
            if host[phase]:
                host[phase][key] = None
    page = read(as_html(document))
    assert ("What is in the table was not measured." in page.text) == (key == "table")


def test_with_all_numbers_unknown_there_is_still_a_page() -> None:
    document = copy.deepcopy(fleet())
    for path in [*numbers(document["hosts"], ("hosts",))]:
        document = _put(document, path)
    page = read(as_html(document))
    assert set(column(page, "Entries")) == {"?"}
    assert "None" not in page.text.replace("None.", "")


@pytest.mark.slow
@given(st.data())
@settings(max_examples=25, deadline=None)
def test_any_number_may_be_unknown(data: st.DataObject) -> None:
    document = copy.deepcopy(fleet_document(6))
    paths = [*numbers(document["hosts"], ("hosts",))]
    for path in data.draw(st.lists(st.sampled_from(paths), max_size=60)):
        _put(document, path)
    assert "None" not in read(as_html(document)).text.replace("None.", "")


def _put(document: Document, path: tuple[t.Any, ...]) -> Document:
    place: t.Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = None
    return document


def test_a_finding_names_its_routers_and_its_cure() -> None:
    document = fleet()
    articles = {each.one("h4").text: each for each in page_of_fleet().all("article", "card")}
    check_id = "long_chains"
    check = document["checks"][check_id]
    article = articles[check["title"]]
    affected = [name for name, host in document["hosts"].items() if check_id in _found(host)]
    assert {link.text for link in article.one("p", "names").all("a")} == set(affected)
    assert article.one("div", "cure").text == check["advice"]
    assert article.one("span", "badge").text == check["severity"]


def _found(host: Document) -> list[str]:
    last = host["after"] or host["before"] or {"findings": []}
    return [finding["id"] for finding in last["findings"] if finding["status"] == "finding"]


@pytest.mark.slow
def test_of_many_routers_the_first_are_named_and_all_can_be_shown() -> None:
    document = fleet_document(60, after=False)
    article = next(
        each
        for each in read(as_html(document)).all("article", "card")
        if each.one("h4").text == document["checks"]["loose_pickup"]["title"]
    )
    affected = sum("loose_pickup" in _found(host) for host in document["hosts"].values())
    assert len(list(article.one("p", "names").all("a"))) == 24
    assert f"and {affected - 24} more" in article.text
    assert article.one("button").attributes["data-search"] == "loose_pickup"


def test_the_filter_finds_routers_by_their_checks() -> None:
    page = page_of_fleet()
    for row, (_name, host) in zip(
        page.one("table", id_="fleet").one("tbody").children, worst_first(fleet()), strict=True
    ):
        ids = set(row.attributes.get("data-checks", "").split())
        assert set(_found(host)) <= ids
        assert not ids - {each["id"] for each in (host["after"] or host["before"] or {"findings": []})["findings"]}


def test_a_router_shows_what_changed_and_why() -> None:
    name, host = next((name, host) for name, host in fleet()["hosts"].items() if host["settings"] and host["after"])
    section = details(page_of_fleet(), name)
    settings_ = block(section, "Settings changed")
    listed = {row.children[0].text: [cell.text for cell in row.children[1:]] for row in settings_.one("tbody").children}
    change = host["settings"]["changes"]["tcp_timeout_established"]
    assert listed["tcp_timeout_established"] == ["432000 → 54000", "not set → 54000", change["why"]]
    assert "Confirmed over a new connection." in settings_.text
    deleted = {
        each.one("dt").text: each.one("dd").text for each in block(section, "Entries deleted").one("dl").children
    }
    assert deleted["deleted"] == f"{host['prune']['deleted']:,}"
    assert deleted["matches now"] == "0"


def test_a_router_shows_which_gate_it_did_not_pass() -> None:
    name = fleet()["rollout"]["stopped"]["gates"][0]["host"]
    gates = block(details(page_of_fleet(), name), "Gates of the roll-out")
    assert [badge.text for badge in gates.all("span", "badge")] == ["failed", "failed"]
    assert "drops: 2,408" in gates.text
    assert "Passed: " in gates.text


def test_a_router_shows_its_zones_and_what_is_not_listed() -> None:
    document = fleet_document(20, after=False)
    figures = {
        name: {
            pair.children[0].text: pair.children[1].text for pair in block(details(page, name), "Figures").all("div")
        }
        for page in [read(as_html(document))]
        for name, host in document["hosts"].items()
        if host["before"]
    }
    tables = {name: document["hosts"][name]["before"]["table"] for name in figures}
    for name, shown in figures.items():
        table = tables[name]
        listed = table["not_listed"]
        assert shown["counted, but not listed"] == ("?" if listed is None else str(listed))
        zones = {zone: f"{entries:,}" for zone, entries in table["zones"].items()}
        wanted = ", ".join(f"{zone}: {entries}" for zone, entries in zones.items())
        assert shown.get("entries by zone") == (wanted if "110" in zones else None)
        for direction, zone in (("original", "110"), ("reply", "120")):
            of_one = f"{zone}: {zones[zone]}" if zone in zones else None
            assert shown.get(f"by zone of the {direction} direction only") == of_one
    assert {table["not_listed"] for table in tables.values()} == {None, 0, 3}
    assert any("110" in table["zones"] for table in tables.values())


def test_before_lies_beside_now() -> None:
    name, host = next((name, host) for name, host in fleet()["hosts"].items() if host["after"] and host["before"])
    section = details(page_of_fleet(), name)
    for title, count in (("Protocols", 2), ("States of tcp", 2), ("How full the table is", 1), ("Idle time", 1)):
        assert len(list(block(section, title).all("svg"))) == count
    before, after = (host[phase]["table"]["protocols"]["tcp"] for phase in ("before", "after"))
    labels = [svg.attributes["aria-label"] for svg in block(section, "Protocols").all("svg")]
    assert [f"tcp {before:,}" in labels[0], f"tcp {after:,}" in labels[1]] == [True, True]
    assert block(section, "Idle time").one("path", "outline")


def test_a_router_that_claims_fewer_entries_than_their_states_costs_nobody_the_page() -> None:
    name = next(name for name, host in fleet()["hosts"].items() if host["after"])
    states = {"ESTABLISHED": 7, "SYN_SENT": 5}
    document = changed(fleet(), "hosts", name, "after", "table", "states", "tcp", value=states)
    document = changed(document, "hosts", name, "after", "table", "protocols", "tcp", value=3)
    bars = block(details(read(as_html(document)), name), "States of tcp").all("svg")
    assert [svg.attributes["aria-label"] for svg in bars][-1] == "States of tcp, now: ESTABLISHED 7, SYN_SENT 5"


def test_all_selectors_stand_in_the_section_of_a_router_and_one_in_the_overview() -> None:
    page = page_of_fleet()
    headings = [each.text for each in page.one("table", id_="fleet").one("thead").all("th")]
    assert [name for name in NAMED if name.capitalize() in headings] == ["stale"]
    name, host = next((name, host) for name, host in fleet()["hosts"].items() if host["after"] and host["before"])
    entries = block(details(page, name), "Entries")
    label = entries.one("svg", "pairs").attributes["aria-label"]
    for selector in NAMED:
        counts = [host[phase]["selectors"][selector]["entries"] for phase in ("before", "after")]
        assert f"{selector} {' → '.join(f'{count:,}' for count in counts)};" in label
    protocols = host["after"]["selectors"]["unanswered"]["protocols"]
    told = ", ".join(f"{protocol} {count:,}" for protocol, count in protocols.items())
    assert [each.text for each in entries.all("p")] == [f"unanswered now: {told}"]


def test_a_selector_of_ones_own_stands_in_the_overview() -> None:
    document = copy.deepcopy(fleet_document(3))
    audit = next(host["before"] for host in document["hosts"].values() if host["before"])
    audit["selectors"]["voice"] = {"entries": 321, "percent": 1, "undecidable": 0, "unavailable": None}
    assert "321" in " ".join(column(read(as_html(document)), "Voice"))


def test_the_text_of_a_histogram_has_its_figures() -> None:
    name, host = next((name, host) for name, host in fleet()["hosts"].items() if host["after"])
    label = block(details(page_of_fleet(), name), "Idle time").one("svg").attributes["aria-label"]
    idle = host["after"]["table"]["idle"]
    assert label.startswith(f"Idle time: 0s to 10s {idle['histogram'][0]['entries']:,}, ")
    assert label.endswith(f"unknown {idle['unknown']:,}")


def test_top_talkers_stand_in_columns_and_new_ones_are_marked() -> None:
    host = next(host for host in fleet()["hosts"].values() if host["after"])
    name = next(name for name, each in fleet()["hosts"].items() if each is host)
    first = host["after"]["table"]["top"]["source"][0]
    document = changed(fleet(), "hosts", name, "trend", "new_top", "source", value=[first["value"]])
    lines = block(details(read(as_html(document)), name), "Sources").one("pre").text.split("\n")
    then = host["before"]["table"]["top"]["source"][0]["entries"]
    assert lines[0].split() == ["before", "entries", "%"]
    assert lines[1].split() == [first["value"], f"{then:,}", f"{first['entries']:,}", f"{first['percent']:.1f}", "new"]
    assert len({len(line.removesuffix("  new")) for line in lines}) == 1


def test_what_changed_since_the_baseline() -> None:
    since = block(page_of_fleet().one("section", id_="overview"), f"Since {fleet()['baseline']['time']}")
    growths = {
        name: host["trend"]["percent"]["now"] - host["trend"]["percent"]["before"]
        for name, host in fleet()["hosts"].items()
        if host["trend"] and None not in host["trend"]["percent"].values()
    }
    most = max(growths, key=lambda name: growths[name])
    assert since.one("dl").children[0].one("ul").children[0].text == f"{growths[most]:+.1f} {most}"
    assert "Since" not in page_of_fleet(after=False, with_trend=False).text


@pytest.mark.parametrize("hosts", [0, 1])
def test_a_small_fleet(hosts: int) -> None:
    page = read(as_html(fleet_document(hosts)))
    assert page.one("h1").text == f"Connection tracking of {hosts} router{'s' if hosts != 1 else ''}"
    assert len(rows(page)) == hosts


@pytest.mark.slow
def test_fifty_routers_with_all_there_is_stay_below_a_mebibyte() -> None:
    assert len(as_html(fleet_document(50, hostile=True)).encode()) < MIB


@pytest.mark.slow
def test_all_routers_of_a_large_fleet_have_their_section() -> None:
    document = fleet_document(100)
    page = read(as_html(document))
    assert len(list(page.all("details", "router"))) == 100
    assert len(as_html(document).encode()) < 100 * 18 * 1024


def explained(count: int) -> tuple[Document, list[str]]:
    """Return a document in which the first so many routers, the worst first, have an explanation of their own."""
    document = fleet_document(12, after=False)
    measured: list[tuple[str, Document]] = [(name, host) for name, host in worst_first(document) if host["before"]]
    for place, (_name, host) in enumerate(measured):
        told = {"filled_by": f"{place} % of <all>: udp, unanswered", "prunes": [], "advice": [f"Ask 192.0.2.{place}."]}
        host["before"]["explanation"] = told if place < count else None
    return document, [name for name, _host in measured[:count]]


def test_what_fills_the_tables_stands_before_the_charts() -> None:
    document, names = explained(1)
    overview, details_ = as_html(document).split("<section id=details>")
    first = overview.split("What fills the tables</h3>")[1]
    assert first.index("0 % of &lt;all&gt;: udp, unanswered") < first.index("Ask 192.0.2.0.") < first.index("<svg")
    assert names[0] in first.split("0 % of")[0]
    assert details_.count("What fills the table<") == 1


def test_what_fills_a_table_stands_at_one_place_to_which_all_others_lead() -> None:
    document, names = explained(8)
    sixth = document["hosts"][names[5]]["before"]["explanation"]
    document["hosts"][names[7]]["before"]["explanation"] = sixth
    page = read(as_html(document))
    for place in range(7):
        assert page.text.count(f"Ask 192.0.2.{place}.") == 1
    for place, name in enumerate(names):
        part = block(details(page, name), "What fills the table")
        if place in (5, 6):
            assert f"Ask 192.0.2.{place}." in part.text
        else:
            target = page.one(id_=part.one("a").attributes["href"][1:])
            assert f"Ask 192.0.2.{5 if place == 7 else place}." in target.text
    assert "What fills the tables of 3 more routers stands in their sections." in page.text


def test_a_line_without_advice_stands_with_each_router_below_the_top() -> None:
    document, names = explained(9)
    for name in names[6:]:
        document["hosts"][name]["before"]["explanation"] = {
            "filled_by": "nothing stands out",
            "prunes": [],
            "advice": [],
        }
    page = read(as_html(document))
    for name in names[6:]:
        part = block(details(page, name), "What fills the table")
        assert "nothing stands out" in part.text
        assert not list(part.all("a"))


def test_each_advice_stands_at_one_place_to_which_all_others_lead() -> None:
    document = fleet(after=False)
    page = page_of_fleet(after=False)
    name, host = next((name, host) for name, host in document["hosts"].items() if len(_found(host)) > 4)
    findings = block(details(page, name), "Findings")
    links = {
        article.one("h4").one("a").text: article.one("a").attributes["href"] for article in findings.all("article")
    }
    for check_id in _found(host):
        check = document["checks"][check_id]
        place = page.one(id_=links[check["title"]][1:])
        assert place.one("h4").text == check["title"]
        assert check["advice"] in place.text
        assert check["advice"] not in findings.text


def test_a_check_beyond_those_that_have_a_place_is_told_with_its_router() -> None:
    document = copy.deepcopy(fleet_document(3, after=False))
    host = next(host for host in document["hosts"].values() if host["before"])
    for number in range(520):
        check_id = f"a{number:03}"
        document["checks"][check_id] = {
            "title": check_id,
            "severity": "info",
            "advice": f"Do {check_id}.",
            "unit": None,
        }
    finding = {"id": "a519", "status": "finding", "value": None, "reason": None}
    host["before"]["findings"] = [finding]
    page = read(as_html(document))
    assert page.text.count("Do a519.") == page.one(id_="details").text.count("Do a519.") == 1


@pytest.mark.parametrize(
    ("advice", "parts"),
    [
        ("", []),
        ("Ask 192.0.2.54.", [("p", "Ask 192.0.2.54.")]),
        ("Run `ansible a -m x`.", [("code", "ansible a -m x")]),
        (
            "Run `ansible a -m x` with --check first, then without. For 10 s run `ansible-playbook b`.",
            [
                ("code", "ansible a -m x"),
                ("p", "with --check first, then without. For 10 s run"),
                ("code", "ansible-playbook b"),
            ],
        ),
        (
            "Until then run `a --b 'c  d' e-f`, and look.",
            [("p", "Until then run"), ("code", "a --b 'c  d' e-f"), ("p", "and look.")],
        ),
        ('It says <b> `rm "<i>"` & goes', [("p", "It says <b>"), ("code", 'rm "<i>"'), ("p", "& goes")]),
    ],
)
def test_each_command_of_an_advice_has_a_line_of_its_own(advice: str, parts: list[tuple[str, str]]) -> None:
    cures = list(read(advised(advice)).all("div", "cure"))
    assert [(each.name, each.text) for cure in cures for each in cure.children] == parts


def test_an_option_of_a_command_is_not_broken() -> None:
    code = read(
        advised("Run `ansible-playbook x --limit core-ams-01 -e target=all -e '{a-b: 1}' " + "x-" * 20 + "`.")
    ).one("code")
    assert [each.text for each in code.all("span")] == [
        "ansible-playbook",
        "--limit",
        "core-ams-01",
        "-e",
        "-e",
        "'{a-b:",
    ]
