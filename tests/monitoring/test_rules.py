# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules for Prometheus, by promtool. conntrack_rules_test.yml has cases in which each alert fires, or does not."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.prometheus import as_prometheus
from helpers.documents import kinds_of_fleets
from helpers.support import CHECKOUT, read_yaml, run

RULES = CHECKOUT / "extensions" / "monitoring" / "prometheus" / "conntrack.rules.yml"
CASES = pathlib.Path(__file__).with_name("conntrack_rules_test.yml")
PLAYBOOKS = {path.stem for path in CHECKOUT.glob("playbooks/*.yml")}


def alerts() -> list[dict[str, t.Any]]:
    groups = read_yaml(RULES)["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_promtool_accepts_the_rules() -> None:
    assert "SUCCESS: 16 rules found" in run(["promtool", "check", "rules", "--lint-fatal", str(RULES)])


def test_each_alert_fires_when_it_should_and_only_then() -> None:
    assert "SUCCESS" in run(["promtool", "test", "rules", str(CASES)])


def test_each_alert_has_a_case_in_which_it_fires(tmp_path: pathlib.Path) -> None:
    cases = CASES.read_text(encoding="utf-8").replace("../../extensions/monitoring/prometheus/", "")
    (tmp_path / "cases.yml").write_text(cases, encoding="utf-8")
    without = re.sub(r"alert: (\w+)", r"alert: Not\1", RULES.read_text(encoding="utf-8"))
    (tmp_path / RULES.name).write_text(without, encoding="utf-8")
    with pytest.raises(AssertionError) as failed:
        run(["promtool", "test", "rules", str(tmp_path / "cases.yml")])
    missed = set(re.findall(r"alertname: (\w+), ", str(failed.value)))
    assert missed == {alert["alert"] for alert in alerts()}


def test_each_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for alert in alerts():
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(alert["annotations"]) == {"summary", "description"}
        assert set(re.findall(r"netops\.conntrack\.(\w+)", alert["annotations"]["description"])) <= PLAYBOOKS


def test_the_rules_about_the_report_are_about_metrics_that_it_has() -> None:
    report = as_prometheus(kinds_of_fleets()["a run that was stopped"])
    has = set(re.findall(r"^# TYPE (\w+)", report, re.MULTILINE))
    used = set(re.findall(r"\bnetops_conntrack_\w+", RULES.read_text(encoding="utf-8")))
    assert used - {"netops_conntrack_stale"} <= has
