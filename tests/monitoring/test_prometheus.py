# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real Prometheus that scrapes the routers of a lab, and the report of a real audit of them."""

from __future__ import annotations

import contextlib
import json
import os
import typing as t

import lab
import pytest
from helpers.monitoring import DASHBOARD, RULES, Prometheus, free_port, node_exporter, prometheus
from helpers.support import run, run_ansible, wait_until, worker
from record import Lab

STALE = 1000
"""More than half of what a router of the lab has."""

MAY_BE_EMPTY = {"First table to be full", "Growth", "Drift", "Findings"}
"""Panels that show only what grows, or what is wrong."""

Scraped = tuple[Prometheus, Lab, t.Callable[[], None]]


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Scraped]:
    """Yield a Prometheus, the lab that it scrapes, and how to take the node_exporter of the first router away."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for network namespaces")
    directory = tmp_path_factory.mktemp("prometheus")
    metrics = directory / "metrics"
    with contextlib.ExitStack() as running:
        running.callback(lab.down, directory / "lab")
        built = lab.up(directory / "lab", prefix="ncprom" + worker(), routers=2, stale=STALE)
        report = {"directory": str(metrics), "name": "conntrack", "formats": ["prometheus"]}
        variables = json.dumps({f"conntrack_audit_report_{name}": value for name, value in report.items()})
        done = run_ansible(["ansible-playbook", "netops.conntrack.audit", "-e", variables], built.inventory, directory)
        assert done.returncode == 0, done.stdout + done.stderr
        port = free_port()
        options = ("--collector.textfile", f"--collector.textfile.directory={metrics}")
        log = directory / "controller.log"
        running.enter_context(node_exporter(None, "127.0.0.1", log, *options, port=port))
        first = running.enter_context(contextlib.ExitStack())
        for router, stack in zip(built.routers, (first, running)):
            log = directory / f"{router.name}.log"
            stack.enter_context(node_exporter(router.namespace, str(router.address), log))
        targets = {router.name: f"{router.address}:9100" for router in built.routers}
        targets["controller"] = f"127.0.0.1:{port}"
        server = running.enter_context(prometheus(directory, targets, RULES))
        wait_until(lambda: len(server.query("up == 1")) == 3, "not all are scraped")
        wait_until(lambda: server.query("deriv(node_nf_conntrack_entries[10m])"), "there is no growth")
        yield server, built, first.close


def test_the_rules_measure_what_conntrack_counts(scraped: Scraped) -> None:
    server, built, _stop = scraped
    limit = int(run(["sysctl", "-n", "net.netfilter.nf_conntrack_max"]))

    def agree() -> bool:
        measured = {
            series["metric"]["instance"]: float(series["value"][1]) * limit
            for series in server.query("instance:node_nf_conntrack_utilisation:ratio")
        }
        counted = {router.name: int(run(["conntrack", "-C"], netns=router.namespace)) for router in built.routers}
        # SSH connections end meanwhile.
        return bool(measured == pytest.approx(counted, abs=20))

    # What is recorded is as old as the last scrape.
    wait_until(agree, "the rules measure something else")


def test_every_rule_can_be_evaluated(scraped: Scraped) -> None:
    server, _built, _stop = scraped

    def evaluated() -> list[dict[str, t.Any]]:
        rules = [rule for group in server.get("rules")["groups"] for rule in group["rules"]]
        return rules if all(rule["health"] != "unknown" for rule in rules) else []

    rules = wait_until(evaluated, "the rules are not evaluated")
    assert {rule["name"]: rule.get("lastError", "") for rule in rules if rule["health"] != "ok"} == {}


def test_what_is_wrong_with_the_lab_fires_and_nothing_else(scraped: Scraped) -> None:
    server, _built, _stop = scraped
    stale = {("ConntrackStaleShare", name) for name in ("router1", "router2")}
    firing = wait_until(lambda: server.firing() if stale <= server.firing() else None, "no alert")
    # What else the checks find in the lab depends on the machine.
    assert {name for name, _of in firing} <= {"ConntrackStaleShare", "ConntrackFinding"}


def test_each_panel_of_the_dashboard_shows_something(scraped: Scraped) -> None:
    server, _built, _stop = scraped
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    for panel, target in [(each, target) for each in panels for target in each.get("targets", [])]:
        expression = target["expr"].replace("$instance", ".*").replace("$host", ".*")
        found = server.query(expression)
        assert found or panel["title"] in MAY_BE_EMPTY, panel["title"]


def test_a_router_that_is_not_scraped_any_more_is_not_taken_for_an_empty_one(scraped: Scraped) -> None:
    server, _built, stop = scraped
    stop()
    wait_until(lambda: server.query('up{instance="router1"} == 0'), "it is still scraped")

    def pending() -> set[str]:
        alerts = server.get("alerts")["alerts"]
        return {
            alert["labels"]["instance"] for alert in alerts if alert["labels"]["alertname"] == "ConntrackNotScraped"
        }

    assert wait_until(pending, "nobody misses it") == {"router1"}
    assert server.query('node_nf_conntrack_entries{instance="router1"}') == []
    assert server.query('instance:node_nf_conntrack_utilisation:ratio{instance="router1"}') == []


def test_the_report_is_there_with_its_routers(scraped: Scraped) -> None:
    server, _built, _stop = scraped
    up = {series["metric"]["host"]: series["value"][1] for series in server.query("netops_conntrack_up")}
    assert up == {"router1": "1", "router2": "1"}
