# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the report of a run leaves on the controller, and how the run ends."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.render import first_screen_or_say_why
from helpers.json_routers import DEAD, Fleet

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
    assert {oct(path.stat().st_mode)[-3:] for path in (fleet.directory / "reports").iterdir()} == {"640"}
    assert oct((fleet.directory / "reports").stat().st_mode)[-3:] == "750"


def test_who_may_read_the_reports_is_an_option_and_a_directory_that_is_there_is_left(fleet: Fleet) -> None:
    fleet.hosts["dead"] = DEAD
    reports = fleet.directory / "reports"
    reports.mkdir(mode=0o700)
    fleet.play("audit", *extra(conntrack_audit_report_mode="0644"))
    assert {oct(path.stat().st_mode)[-3:] for path in reports.iterdir()} == {"644"}
    assert (reports / "report.retry").exists()
    assert oct(reports.stat().st_mode)[-3:] == "700"


def test_a_link_in_the_place_of_a_report_is_replaced_and_never_followed(fleet: Fleet) -> None:
    fleet.hosts["dead"] = DEAD
    reports, mine = fleet.directory / "reports", fleet.directory / "mine"
    reports.mkdir()
    mine.write_text("untouched")
    for ending in ("json", "html", "retry"):
        (reports / f"report.{ending}").symlink_to(mine)
    fleet.play("audit", *extra(conntrack_audit_report_formats=["json", "html"]))
    assert mine.read_text() == "untouched"
    assert not any(path.is_symlink() for path in reports.iterdir())
    assert (reports / "report.retry").read_text() == "dead\n"


def test_a_file_that_cannot_be_written_does_not_hold_up_the_others(fleet: Fleet) -> None:
    fleet.hosts["dead"] = DEAD
    fleet.add("good")
    for ending in ("html", "retry"):
        (fleet.directory / "reports" / f"report.{ending}" / "in the way").mkdir(parents=True)
    run = fleet.run("audit", *extra(conntrack_audit_report_formats=list(FORMATS)))
    files = {path.name for path in (fleet.directory / "reports").iterdir() if path.is_file()}
    assert files == {f"report.{ending}" for ending in FORMATS.values() if ending != "html"}
    assert run.returncode == 2
    assert "A part of the report could not be written. retry, html: Is a directory." in run.stdout + run.stderr
    assert "Connection tracking of 2 routers" in run.stdout
    assert "Traceback" not in run.stdout + run.stderr


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
        ({"conntrack_audit_baseline": "inventory.yml"}, "'inventory.yml' cannot be read (it is no JSON from line 1"),
        ({"conntrack_audit_baseline": "/"}, "baseline: '/' cannot be read (Is a directory)"),
        ({"conntrack_audit_baseline": "/dev/zero"}, "baseline: '/dev/zero' cannot be read (it is no regular file)"),
        ({"conntrack_audit_report_mode": "0666"}, "0666"),
        ({"conntrack_audit_baseline": "good.json"}, "baseline, good.json, schema_version"),
        ({"conntrack_audit_report_directory": "/dev/null/reports"}, "directory: '/dev/null/reports' cannot be written"),
        ({"conntrack_audit_report_name": "../report"}, "name: '../report' is no name of a file"),
        ({"conntrack_audit_report_formats": ["pdf"]}, "pdf"),
        ({"conntrack_audit_report_keep": 3}, "keep: 3 has no meaning with the name 'report'"),
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


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        ("usage.", "its end at column 7 is not expected there"),
        ("nope(usage)", "Unknown function: nope()"),
        ("length(`5`)", "length() takes string, array, object, and was given number"),
        ("'a' < `5`", "a text is compared with a number"),
    ],
)
def test_what_is_wrong_with_a_check_is_said_once_and_in_words(fleet: Fleet, when: str, reason: str) -> None:
    fleet.add("good")
    check = {"id": "own", "title": "Own", "severity": "low", "advice": "None.", "when": when}
    run = fleet.play("audit", *extra(conntrack_audit_extra_checks=[check]))
    problem = "is not a JMESPath expression" if when == "usage." else "cannot be evaluated"
    message = f"check own, when: {when!r} {problem} ({reason}). See jmespath.org."
    assert run.document["hosts"]["good"]["failure"]["message"].rstrip(".") == message.rstrip(".")


def test_a_damaged_baseline_costs_the_comparison_and_not_the_report(fleet: Fleet) -> None:
    fleet.add("good")
    fleet.play("audit")
    baseline = (fleet.directory / "reports" / "report.json").rename(fleet.directory / "baseline.json")
    baseline.write_bytes(baseline.read_bytes()[:-100])
    task = {"netops.conntrack.conntrack_report": {"baseline": str(baseline), "directory": "reports", "name": "report"}}
    play = [{"hosts": "all", "gather_facts": False, "tasks": [{**task, "run_once": True}]}]
    (fleet.directory / "own.json").write_text(json.dumps(play))
    done = fleet.run_file("own.json")
    assert done.returncode == 2
    assert (fleet.directory / "reports" / "report.json").exists()
    assert "could not be written. comparison: baseline: " in done.stdout + done.stderr


OWN_NAME = extra(conntrack_audit_report_name="", conntrack_audit_report_formats=["html", "text"])


@pytest.mark.parametrize("playbook", ["audit", "prune", "tune"])
def test_each_run_has_files_of_its_own_with_the_playbook_in_their_names(fleet: Fleet, playbook: str) -> None:
    fleet.add("good")
    done = fleet.run(playbook, "--check", *OWN_NAME)
    files = sorted(written(fleet))
    assert re.fullmatch(rf"conntrack-{playbook}-\d{{8}}T\d{{6}}Z\.html", files[0]), done.stdout
    assert files[2:] == ["latest.html", "latest.txt"]
    stem = files[0].removesuffix(".html")
    assert f"\nReport: {fleet.directory / 'reports' / stem}.{{html,txt}}\n" in done.stdout


@pytest.mark.parametrize(
    "output",
    [
        {},
        {"ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"},
        {"ANSIBLE_STDOUT_CALLBACK": "minimal"},
        {"ANSIBLE_STDOUT_CALLBACK": "oneline"},
    ],
)
def test_the_page_is_text_whatever_shows_it(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, output: dict[str, str]
) -> None:
    fleet.hosts["dead"] = DEAD
    fleet.add("good")
    for name, value in output.items():
        monkeypatch.setenv(name, value)
    done = fleet.run("audit", *extra(conntrack_audit_report_formats=["text", "json"]))
    page = first_screen_or_say_why(json.loads(written(fleet)["report.json"])).splitlines()
    lines = done.stdout.splitlines()
    start = lines.index(page[0])
    assert lines[start : start + len(page)] == page
    assert lines[start + len(page)] == f"Report: {fleet.directory}/reports/report.{{json,txt}}"
    assert len(page) <= 40
    assert done.stdout.count(page[0]) == 1


def test_a_page_that_is_not_wanted_is_not_shown(fleet: Fleet) -> None:
    fleet.add("good")
    done = fleet.run("audit", *extra(conntrack_audit_report_show=False, conntrack_audit_report_formats=["text"]))
    page = (fleet.directory / "reports" / "report.txt").read_text(encoding="utf-8").splitlines()
    assert done.returncode == 0
    assert page[0] not in done.stdout


def test_old_reports_go_where_a_number_of_them_is_given(fleet: Fleet) -> None:
    fleet.add("good")
    reports = fleet.directory / "reports"
    reports.mkdir()
    for day in range(1, 6):
        (reports / f"conntrack-audit-2026010{day}T000000Z.html").write_text("old")
    fleet.run("audit", *OWN_NAME, *extra(conntrack_audit_report_keep=2))
    files = [name for name in written(fleet) if name.startswith("conntrack") and name.endswith("html")]
    assert len(files) == 2
    assert "conntrack-audit-20260105T000000Z.html" in files


FOR_PROGRAMS = '''
from __future__ import annotations
DOCUMENTATION = """
name: json
type: stdout
short_description: as ansible.posix.json
description: one JSON document, and nothing else
"""
import json

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "json"

    def v2_playbook_on_stats(self, stats):
        self._display.display(json.dumps({host: stats.summarize(host) for host in stats.processed}))
'''


def test_what_a_program_reads_is_not_spoilt_by_a_page(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.add("good")
    plugins = fleet.directory / "callbacks"
    plugins.mkdir()
    (plugins / "json.py").write_text(FOR_PROGRAMS)
    monkeypatch.setenv("ANSIBLE_CALLBACK_PLUGINS", str(plugins))
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "json")
    assert "good" in json.loads(fleet.run("audit").stdout)
