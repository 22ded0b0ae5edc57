# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the report of a run leaves on the controller, and how the run ends."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from json_routers import DEAD, Fleet

FORMATS = {"json": "json", "html": "html", "markdown": "md", "text": "txt", "csv": "csv", "prometheus": "prom"} | {
    "junit": "xml"
}


def extra(**variables: t.Any) -> tuple[str, str]:
    return "-e", json.dumps(variables)


def written(fleet: Fleet) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in (fleet.directory / "reports").iterdir()}


def test_every_format_is_written_and_nothing_else(fleet: Fleet) -> None:
    fleet.add("good")
    fleet.play("audit", *extra(conntrack_audit_report_formats=list(FORMATS)))
    files = written(fleet)
    assert sorted(files) == sorted(f"report.{ending}" for ending in FORMATS.values())
    assert all("good" in text for text in files.values())
    assert {oct(path.stat().st_mode)[-3:] for path in (fleet.directory / "reports").iterdir()} == {"644"}


def test_the_routers_that_are_not_done_are_listed_for_the_next_run(fleet: Fleet) -> None:
    fleet.add("broken", no_facts="no such thing")
    fleet.hosts["dead"] = DEAD
    fleet.add("good")
    run = fleet.play("audit")
    assert run.rc == 2
    retry = fleet.directory / "reports" / "report.retry"
    assert retry.read_text() == "broken\ndead\n"
    assert "broken, Measure and check: no such thing" in run.output
    again = fleet.play("audit", "--limit", f"@{retry}")
    assert sorted(again.document["hosts"]) == ["broken", "dead"]
    assert fleet.play("audit", "--limit", "good").rc == 0
    assert not retry.exists(), "it would name routers for the next run that are done"


@pytest.mark.parametrize(("fail_on", "rc"), [("", 0), ("critical", 2), ("info", 2)])
def test_findings_make_a_run_fail_from_a_severity_on(fleet: Fleet, fail_on: str, rc: int) -> None:
    fleet.add("sick")
    run = fleet.play("audit", *extra(fail_on=fail_on))
    assert (run.rc, run.document["failed"]) == (rc, [])
    assert ("sick, The table is 95 % full or more" in run.output) == bool(fail_on)


def test_findings_below_the_severity_do_not(fleet: Fleet) -> None:
    fleet.add("sick")
    skipped = ["table_full", "full_and_not_evictable", "settings_lost_at_boot", "stale_majority", "table_full_logged"]
    run = fleet.play("audit", *extra(fail_on="high", conntrack_audit_skipped_checks=skipped))
    assert (run.rc, run.document["hosts"]["sick"]["verdict"]) == (0, "medium")


def test_a_report_is_compared_with_an_earlier_one(fleet: Fleet) -> None:
    fleet.add("good")
    assert fleet.play("audit").document["baseline"] is None
    baseline = (fleet.directory / "reports" / "report.json").rename(fleet.directory / "baseline.json")
    state = fleet.directory / "good.json"
    router = json.loads(state.read_text())
    router["facts"]["usage"]["count"] = 7
    state.write_text(json.dumps(router))
    document = fleet.play("audit", *extra(conntrack_audit_baseline=str(baseline))).document
    assert document["baseline"] == {"time": json.loads(baseline.read_text())["time"]}
    assert document["hosts"]["good"]["trend"]["entries"] == {"before": 100000, "now": 7}


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"conntrack_audit_baseline": "nowhere.json"}, "baseline: 'nowhere.json' cannot be read"),
        ({"conntrack_audit_baseline": "inventory.yml"}, "baseline: 'inventory.yml' cannot be read"),
        ({"conntrack_audit_baseline": "good.json"}, "baseline, good.json, schema_version"),
        ({"conntrack_audit_report_directory": "/dev/null/reports"}, "directory: '/dev/null/reports' cannot be written"),
        ({"conntrack_audit_report_name": "../report"}, "name: '../report' is no name of a file"),
        ({"conntrack_audit_report_formats": ["pdf"]}, "pdf"),
        ({"fail_on": "dreadful"}, "dreadful"),
    ],
)
def test_a_wrong_option_is_refused_before_a_router_is_asked(
    fleet: Fleet, variables: dict[str, t.Any], complaint: str
) -> None:
    fleet.add("good")
    before = (fleet.directory / "good.json").read_text()
    done = fleet.run("site", *extra(**variables))
    assert done.returncode == 2
    assert complaint in done.stdout + done.stderr
    assert "Measure and check" not in done.stdout
    assert (fleet.directory / "good.json").read_text() == before
    assert not list(pathlib.Path(fleet.directory).glob("report*/*"))
