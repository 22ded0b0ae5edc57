# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All reports of a run over SSH, with a router that is down: each file is what its readers take it for."""

from __future__ import annotations

import csv
import json
import pathlib
import typing as t
from xml.etree import ElementTree

import jsonschema
from helpers.support import CHECKOUT, run

SCHEMA = json.loads((CHECKOUT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
FORMATS = {
    "json": "json",
    "html": "html",
    "markdown": "md",
    "text": "txt",
    "csv": "csv",
    "prometheus": "prom",
    "junit": "xml",
}
DEAD = "down ansible_host=127.0.0.1 ansible_port=9\n"


def test_every_format_of_a_real_run(make_fleet: t.Callable[[str, int], t.Any], tmp_path: pathlib.Path) -> None:
    fleet = make_fleet("ncform", 2)
    dead = tmp_path / "dead.ini"
    dead.write_text(DEAD, encoding="utf-8")
    first = fleet.play("audit", "-e", "conntrack_audit_report_formats=json")
    jsonschema.validate(first.report, SCHEMA)

    wanted = {"conntrack_audit_report_formats": list(FORMATS), "conntrack_audit_settle": 1, "fail_on": "critical"}
    baseline = f"conntrack_audit_baseline={fleet.home / 'reports' / 'run1.json'}"
    second = fleet.play("site", "-i", str(dead), "-e", json.dumps(wanted), "-e", baseline)
    files = {ending: fleet.home / "reports" / f"run2.{ending}" for ending in (*FORMATS.values(), "retry")}
    names = {router.name for router in fleet.routers}
    assert second.rc == 2
    assert files["retry"].read_text(encoding="utf-8") == "down\n"

    jsonschema.validate(second.report, SCHEMA)
    assert second.report["baseline"] == {"time": first.report["time"]}
    trends = {name: host["trend"] for name, host in second.report["hosts"].items()}
    assert {name for name, trend in trends.items() if trend} == names
    stale = {name: trends[name]["selectors"]["stale"] for name in names}
    assert stale == {
        name: {"before": first.report["hosts"][name]["before"]["selectors"]["stale"]["entries"], "now": 0}
        for name in names
    }

    text = files["prom"].read_text(encoding="utf-8")
    assert run(["promtool", "check", "metrics"], text=text) == ""
    assert 'netops_conntrack_up{host="down"} 0\n' in text
    assert all(f'netops_conntrack_deleted_entries{{host="{name}"}} 100\n' in text for name in names)

    suites = {suite.attrib["name"]: suite for suite in ElementTree.parse(files["xml"]).getroot()}
    assert {name: suite.attrib["errors"] for name, suite in suites.items()} == {
        "down": "1",
        **dict.fromkeys(names, "0"),
    }
    assert {suite.attrib["failures"] for suite in suites.values()} == {"0"}

    with files["csv"].open(encoding="utf-8", newline="") as file:
        rows = {row["router"]: row for row in csv.DictReader(file, strict=True)}
    assert {name: row["deleted"] for name, row in rows.items()} == {"down": "", **dict.fromkeys(names, "100")}

    for ending in ("txt", "md", "html"):
        page = files[ending].read_text(encoding="utf-8")
        assert [name for name in ("down", *names) if name not in page] == []
