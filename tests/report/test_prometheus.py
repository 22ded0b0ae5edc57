# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import pathlib
import re
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import NAMED
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.prometheus import as_prometheus
from helpers.documents import HOSTILE_NAMES, Document, fleet_document, kinds_of_fleets
from helpers.support import CHECKOUT, run

FLEETS = kinds_of_fleets()

_SAMPLE = re.compile(r"(?P<name>[a-z_]+)(?:\{(?P<labels>.*)\})? (?P<value>[-+0-9.e]+)")
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')
_UNESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Series:
    """Read the text format back: each series and its value; a series that comes twice is an error."""
    series: Series = {}
    for line in text.removesuffix("\n").split("\n") if text else []:
        if not line.startswith("#"):
            sample = _SAMPLE.fullmatch(line)
            assert sample, line
            labels = sample["labels"] or ""
            assert _LABEL.sub("", labels) == "", line
            pairs = frozenset(
                (name, re.sub(r"\\.", lambda escape: _UNESCAPED[escape.group()], value))
                for name, value in _LABEL.findall(labels)
            )
            key = (sample["name"].removeprefix("netops_conntrack_"), pairs)
            assert key not in series, line
            series[key] = float(sample["value"])
    return series


def values(document: Document, metric: str, **labels: str) -> list[float]:
    """Return the values of the series of ``metric`` that have these ``labels`` among theirs."""
    series = parsed(as_prometheus(document))
    return [value for (name, pairs), value in series.items() if name == metric and pairs >= labels.items()]


def router(document: Document, verdict: str) -> tuple[str, Document]:
    return next((name, host) for name, host in document["hosts"].items() if host["verdict"] == verdict)


def only(document: Document, name: str, host: Document) -> Document:
    return {**document, "hosts": {name: host}}


@pytest.mark.parametrize("fleet", FLEETS)
def test_promtool_finds_nothing_to_say(fleet: str) -> None:
    assert run(["promtool", "check", "metrics"], text=as_prometheus(FLEETS[fleet])) == ""


@pytest.mark.parametrize(
    "broken",
    [
        'netops_conntrack_entries{host="a"} 1\n',
        "# HELP netops_conntrack_drops Drops.\n# TYPE netops_conntrack_drops counter\nnetops_conntrack_drops 1\n",
        '# HELP a_b A.\n# TYPE a_b gauge\na_b{host="a"b"} 1\n',
    ],
)
def test_promtool_is_a_judge(broken: str) -> None:
    with pytest.raises(AssertionError, match="promtool check metrics: rc"):
        run(["promtool", "check", "metrics"], text=broken)


@pytest.mark.parametrize("fleet", FLEETS)
def test_every_router_is_there_under_its_own_name(fleet: str) -> None:
    series = parsed(as_prometheus(FLEETS[fleet]))
    named = {dict(labels)["host"] for name, labels in series if name == "verdict_info"}
    assert named == {visible(name) for name in FLEETS[fleet]["hosts"]}


@pytest.mark.parametrize(
    "name",
    [
        *HOSTILE_NAMES[:3],
        "back\\slash",
        'quo"te',
        "line\nfeed",
        r"\n",
        r"\"",
        "a} 1\nup 1",
        "ends\\",
        "\r\t\x1b",
        "\u202e",
    ],
)
def test_a_label_has_the_value_that_was_given_in_visible_characters(name: str) -> None:
    document = only(FLEETS["an audit"], name, router(FLEETS["an audit"], "medium")[1])
    series = parsed(as_prometheus(document))
    assert {dict(labels)["host"] for _name, labels in series if "host" in dict(labels)} == {visible(name)}
    run(["promtool", "check", "metrics"], text=as_prometheus(document))


@pytest.mark.parametrize(("name", "label"), [("\ud800", r"\ud800"), ("nul\0", r"nul\x00")])
def test_what_no_label_can_hold_is_shown_as_its_code(name: str, label: str) -> None:
    document = only(FLEETS["an audit"], name, router(FLEETS["an audit"], "medium")[1])
    as_prometheus(document).encode("utf-8")
    assert values(document, "up", host=label) == [1]


def liar() -> Document:
    """Return the report on one router, which a test may change."""
    return copy.deepcopy(only(FLEETS["an audit"], "liar", router(FLEETS["an audit"], "medium")[1]))


ODD = ['1\nnetops_conntrack_entries{host="good"} 31337\n# ', True, float("nan"), float("inf"), 10**400, [1], {"a": 1}]
"""What is no sample of Prometheus."""


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: str(type(odd)))
def test_only_finite_numbers_are_samples_and_what_is_left_out_is_counted(odd: t.Any) -> None:
    document = liar()
    audit = document["hosts"]["liar"]["before"]
    before = parsed(as_prometheus(document))
    audit["table"]["families"] = {"ipv4": odd, "ipv6": 7}
    audit["usage"]["percent"] = odd
    text = as_prometheus(document)
    run(["promtool", "check", "metrics"], text=text)
    after = parsed(text)
    assert values(document, "family_entries") == [7]
    assert values(document, "left_out_samples", host="liar") == [2]
    assert {name for name, _labels in after} == {name for name, _labels in before} - {"utilisation_ratio"} | {
        "left_out_samples"
    }


def test_two_names_that_look_the_same_are_one_sample() -> None:
    document = liar()
    document["hosts"]["liar"]["before"]["table"]["protocols"] = {"a\n": 1, r"a\n": 2}
    run(["promtool", "check", "metrics"], text=as_prometheus(document))
    assert values(document, "protocol_entries") == [1]
    assert values(document, "left_out_samples", host="liar") == [1]


def test_a_router_has_no_more_series_than_a_monitoring_system_can_take() -> None:
    document = liar()
    document["hosts"]["liar"]["before"]["table"]["states"] = {"tcp": {f"S{number}": 1 for number in range(100_000)}}
    assert len(values(document, "state_entries")) == 500
    assert values(document, "left_out_samples", host="liar") == [99_500]


def test_figures_of_a_router() -> None:
    document = FLEETS["a run that was stopped"]
    name, host = router(document, "info")
    now, total = host["after"], host["after"]["stats"]["total"]
    expected = {
        "up": 1,
        "entries": now["usage"]["count"],
        "entries_limit": now["usage"]["max"],
        "utilisation_ratio": pytest.approx(now["usage"]["percent"] / 100),
        "buckets": now["usage"]["buckets"],
        "memory_bytes": now["usage"]["memory_bytes"],
        "evictable_entries": now["table"]["evictable"],
        "not_listed_entries": now["table"]["not_listed"],
        "drop_total": total["drop"],
        "early_drop_total": total["early_drop"],
        "insert_failed_total": total["insert_failed"],
        "drift_settings": len(now["drift"]),
        "remaining_unknown_entries": now["table"]["remaining"]["unknown"],
        "changed_settings": len(host["settings"]["changes"]),
        "recapped_entries": host["settings"]["recap"]["updated"],
        "would_delete_entries": host["prune"]["would_delete"],
        "deleted_entries": host["prune"]["deleted"],
        "woken_entries": host["prune"]["woken"],
    }
    assert {metric: values(document, metric, host=name) for metric in expected} == {
        metric: [value] for metric, value in expected.items()
    }


def test_what_a_prune_did_not_decide_is_no_metric() -> None:
    document = fleet_document(30, check_mode=True)
    told = {
        (bool(host["prune"]["unavailable"]), *(len(values(document, metric, host=name)) for metric in metrics))
        for metrics in [("would_delete_entries", "deleted_entries")]
        for name, host in document["hosts"].items()
        if host["prune"]
    }
    assert told == {(False, 1, 0), (True, 0, 0)}


def test_entries_by_what_they_are() -> None:
    document = FLEETS["a run that was stopped"]
    name, host = router(document, "info")
    table = host["after"]["table"]
    assert values(document, "family_entries", host=name, family="ipv6") == [table["families"]["ipv6"]]
    assert values(document, "protocol_entries", host=name, protocol="udp") == [table["protocols"]["udp"]]
    assert values(document, "status_entries", host=name, status="assured") == [table["status"]["assured"]]
    established = values(document, "state_entries", host=name, protocol="tcp", state="ESTABLISHED")
    assert established == [table["states"]["tcp"]["ESTABLISHED"]]


def test_zones_of_a_router_with_a_vrf() -> None:
    document = FLEETS["an audit"]
    tables = {name: host["before"]["table"] for name, host in document["hosts"].items() if host["before"]}
    name, table = next((name, table) for name, table in tables.items() if "110" in table["zones"])
    for zone in ("0", "110", "120"):
        assert values(document, "zone_entries", host=name, zone=zone) == [table["zones"][zone]]
    assert values(document, "zone_original_entries", host=name) == [table["zones_original"]["110"]]
    assert values(document, "zone_reply_entries", host=name) == [table["zones_reply"]["120"]]


def test_what_each_selector_counted() -> None:
    document = FLEETS["a run that was stopped"]
    name, host = router(document, "info")
    selectors = host["after"]["selectors"]
    assert len(values(document, "selector_entries", host=name)) == len(selectors) == len(NAMED)
    for selector, counts in selectors.items():
        assert values(document, "selector_entries", host=name, selector=selector) == [counts["entries"]]
        undecidable = values(document, "selector_undecidable_entries", host=name, selector=selector)
        assert undecidable == [counts["undecidable"]]
    for protocol, entries in selectors["unanswered"]["protocols"].items():
        labels = {"host": name, "selector": "unanswered", "protocol": protocol}
        assert values(document, "selector_protocol_entries", **labels) == [entries]
    assert values(document, "selector_protocol_entries", host=name, selector="stale") == []


@pytest.mark.parametrize("histogram", ["remaining", "idle"])
def test_ranges_are_gauges_that_add_up(histogram: str) -> None:
    document = FLEETS["a run that was stopped"]
    name, host = router(document, "info")
    table = host["after"]["table"]
    assert sum(values(document, f"{histogram}_entries", host=name)) == table["entries"] - table[histogram]["unknown"]
    first, last = table[histogram]["histogram"][0], table[histogram]["histogram"][-1]
    labels = {"from": str(first["from"]), "below": str(first["below"])}
    assert values(document, f"{histogram}_entries", host=name, **labels) == [first["entries"]]
    assert values(document, f"{histogram}_entries", host=name, below="+Inf") == [last["entries"]]


def test_each_check_is_a_finding_or_passed_or_only_unknown() -> None:
    document = FLEETS["a run that was stopped"]
    expected = {}
    for name, host in document["hosts"].items():
        for finding in (host["after"] or host["before"] or {"findings": []})["findings"]:
            labels = {"host": name, "check": finding["id"], "severity": document["checks"][finding["id"]]["severity"]}
            metric = "check_unknown" if finding["status"] == "unknown" else "check_finding"
            expected[metric, frozenset(labels.items())] = float(finding["status"] != "passed")
    series = parsed(as_prometheus(document))
    assert {key: value for key, value in series.items() if key[0].startswith("check_")} == expected
    assert {metric for metric, _labels in expected} == {"check_unknown", "check_finding"}


def test_the_fleet_and_the_report() -> None:
    document = FLEETS["a run that was stopped"]
    for verdict in ("unreachable", "failed", "not_begun"):
        assert values(document, "routers", verdict=verdict) == [len(document[verdict])]
    assert values(document, "routers", verdict="done") == [0]
    assert values(document, "report_timestamp_seconds") == [1777604400]
    assert values(document, "report_info", schema_version="3", check_mode="false") == [1]
    assert values(FLEETS["check mode"], "report_info", check_mode="true") == [1]
    assert values(document, "rollout_stopped") == [1]
    assert values(FLEETS["an audit"], "rollout_stopped") == []


def test_a_gate_held_the_router_up_or_did_not_or_is_left_out() -> None:
    document = FLEETS["a run that was stopped"]
    name, host = next((name, host) for name, host in document["hosts"].items() if host["failure"] and host["health"])
    gates = {gate["id"]: values(document, "gate_finding", host=name, gate=gate["id"]) for gate in host["health"]}
    assert gates == {
        gate["id"]: {"finding": [1], "passed": [0], "unknown": []}[gate["status"]] for gate in host["health"]
    }
    assert [1] in gates.values()


UP: dict[str, tuple[dict[str, t.Any], list[float]]] = {
    "unreachable": ({"verdict": "unreachable"}, [0]),
    "unreachable after an audit": ({"verdict": "unreachable", "before": {}}, [0]),
    "failed before it was measured": ({"verdict": "failed"}, [0]),
    "failed afterwards": ({"verdict": "failed", "before": {}}, [1]),
    "not begun, but measured": ({"verdict": "not_begun", "before": {}}, [1]),
    "never asked": ({"verdict": "not_begun"}, []),
    "done without an audit": ({"verdict": "done"}, [1]),
}


@pytest.mark.parametrize("case", UP)
def test_up_is_whether_it_could_be_measured(case: str) -> None:
    changes, expected = UP[case]
    audited = router(FLEETS["an audit"], "medium")[1]
    nothing = dict.fromkeys(audited)
    audit = {"before": audited["before"]} if "before" in changes else {}
    document = only(FLEETS["an audit"], "r1", {**nothing, **changes, **audit})
    assert values(document, "up") == expected


def test_unknown_is_left_out() -> None:
    nothing: Document = dict.fromkeys(router(FLEETS["an audit"], "medium")[1])
    usage = dict.fromkeys(("count", "max", "percent", "buckets", "memory_bytes"))
    selectors = {"stale": {"entries": None, "undecidable": 3}}
    audit = {"usage": usage, "selectors": selectors, "findings": [], "table": None, "stats": None, "drift": None}
    document = only(FLEETS["an audit"], "r1", {**nothing, "verdict": "passed", "before": audit})
    of_router = {name for name, labels in parsed(as_prometheus(document)) if "host" in dict(labels)}
    assert of_router == {"up", "verdict_info", "selector_undecidable_entries"}


def test_no_limit_has_no_utilisation() -> None:
    document = FLEETS["an audit"]
    name = next(
        name for name, host in document["hosts"].items() if host["before"] and host["before"]["usage"]["max"] == 0
    )
    assert values(document, "entries_limit", host=name) == [0]
    assert values(document, "utilisation_ratio", host=name) == []


def test_only_what_the_kernel_counts_up_is_a_counter() -> None:
    types = dict(
        re.findall(r"^# TYPE netops_conntrack_(\w+) (\w+)$", as_prometheus(FLEETS["a run that was stopped"]), re.M)
    )
    assert {name for name, kind in types.items() if kind == "counter"} == {
        "drop_total",
        "early_drop_total",
        "insert_failed_total",
    }
    assert set(types.values()) == {"counter", "gauge"}
    assert [name for name in types if name.endswith("_total") and types[name] != "counter"] == []


def test_a_time_that_is_none_is_left_out() -> None:
    assert values({**FLEETS["an audit"], "time": "now"}, "report_timestamp_seconds") == []


def test_the_documentation_has_each_metric_and_no_other() -> None:
    page = (CHECKOUT / "docs" / "report.md").read_text(encoding="utf-8")
    rows = page.split("| metric | says |\n| --- | --- |\n")[1].split("\n\n")[0].splitlines()
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    odd = liar()
    odd["hosts"]["liar"]["before"]["usage"]["percent"] = float("nan")
    texts = [as_prometheus(document) for document in (FLEETS["a run that was stopped"], odd)]
    assert documented == {name for text in texts for name, _labels in parsed(text)}


def test_the_documented_alerts_are_rules_about_these_metrics(tmp_path: pathlib.Path) -> None:
    page = (CHECKOUT / "docs" / "report.md").read_text(encoding="utf-8")
    rules = next(block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if block.startswith("groups:"))
    (tmp_path / "rules.yml").write_text(rules, encoding="utf-8")
    run(["promtool", "check", "rules", str(tmp_path / "rules.yml")])
    metrics = {f"netops_conntrack_{name}" for name, _labels in parsed(as_prometheus(FLEETS["a run that was stopped"]))}
    assert set(re.findall(r"\bnetops_conntrack_\w+", rules)) <= metrics
