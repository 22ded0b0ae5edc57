# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the pages on events and monitoring say is what the files do. test_relieve.py types the command of the first."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml
from _conntrack_pressure.options import RELIEFS, from_arguments
from helpers.monitoring import MONITORING, RULES
from helpers.support import CHECKOUT, read_yaml, run

EVENTS = (CHECKOUT / "docs" / "events.md").read_text(encoding="utf-8")
PAGE = (CHECKOUT / "docs" / "monitoring.md").read_text(encoding="utf-8")
PREFIX = "conntrack_pressure_"


def yaml_blocks(page: str) -> list[t.Any]:
    return [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)]


def rows(page: str, first_column: str) -> list[list[str]]:
    """Return the cells of the rows of the table whose first column has this name."""
    table = re.split(rf"^\| {first_column} \|.*\n\| --- .*\n", page, flags=re.MULTILINE)[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]


@pytest.mark.parametrize("variables", yaml_blocks(EVENTS), ids=str)
def test_the_event_source_takes_the_documented_variables(variables: dict[str, t.Any]) -> None:
    routers = {f"{PREFIX}routers": {"router1": "http://192.0.2.1:9100/metrics"}}
    given = {**({} if f"{PREFIX}routers" in variables else routers), **variables}
    from_arguments({name.removeprefix(PREFIX): value for name, value in given.items()})


def test_each_option_is_documented_with_its_default() -> None:
    options = from_arguments({"routers": {"router1": "http://192.0.2.1:9100/metrics"}})
    known = {**vars(options), **vars(options.thresholds)}
    documented = {name.strip("`").removeprefix(PREFIX): default for name, default, *_rest in rows(EVENTS, "variable")}
    assert set(documented) == {*known, "routers", "url"} - {"urls", "thresholds"}
    for name, default in documented.items():
        if name not in {"routers", "url"}:
            assert known[name] == (yaml.safe_load(default.strip("`")) if default else ""), name


def test_each_relief_is_documented() -> None:
    assert tuple(relief.strip("`") for relief, *_rest in rows(EVENTS, "relief")) == RELIEFS


def test_each_alert_is_documented_with_its_severity() -> None:
    groups = read_yaml(RULES)["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    assert [(name.strip("`"), severity) for name, severity, _when in rows(PAGE, "alert")] == [
        (alert["alert"], alert["labels"]["severity"]) for alert in alerts
    ]
    recorded = {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}
    assert recorded == set(re.findall(r"`(\w+:\w+:\w+)`", PAGE))


def test_prometheus_takes_the_documented_configuration(tmp_path: pathlib.Path) -> None:
    [config] = [block for block in yaml_blocks(PAGE) if "scrape_configs" in block]
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump({**config, "rule_files": [str(RULES)]}))
    assert "16 rules found" in run(["promtool", "check", "config", str(file)])


def test_the_page_copies_files_that_there_are() -> None:
    named = set(re.findall(r"[\w./-]*(?:conntrack\.rules\.yml|conntrack\.json|report\.(?:yml|service|timer))", PAGE))
    names = {path.name for path in MONITORING.rglob("*.*")}
    assert {pathlib.PurePath(name).name for name in named} == names
