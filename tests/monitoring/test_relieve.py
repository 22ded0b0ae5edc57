# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rulebook, with the real ansible-rulebook, on routers of a lab whose tables node_exporter measures."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import typing as t

import lab
import pytest
import yaml
from construction import stale_entries
from helpers.monitoring import RULEBOOK_PROGRAMS, background, node_exporter, rulebook_environment
from helpers.support import CHECKOUT, read_yaml, run, wait_until, worker
from record import Lab

STALE = 100
RULEBOOK = CHECKOUT / "extensions" / "eda" / "rulebooks" / "relieve.yml"
FAST = {"interval": 1, "timeout": 0.9, "window": 2, "full_within": 0, "remind_after": 2}


class Controller:
    """A controller that runs the rulebook on a lab."""

    def __init__(self, built: Lab, home: pathlib.Path) -> None:
        self.built = built
        self.home = home
        self.log = home / "rulebook.log"

    @contextlib.contextmanager
    def reacting(self, **options: t.Any) -> t.Iterator[None]:
        """Run the rulebook with these options of the event source."""
        limit = int(run(["sysctl", "-n", "net.netfilter.nf_conntrack_max"]))
        # More than a router of the lab has, and less than one with FILLING entries more.
        thresholds = {"raise_percent": 100 * 600 / limit, "clear_percent": 100 * 590 / limit}
        urls = {router.name: f"http://{router.address}:9100/metrics" for router in self.built.routers}
        given = {**FAST, **thresholds, "routers": urls, **options}
        variables = self.home / "variables.yml"
        variables.write_text(yaml.safe_dump({f"conntrack_pressure_{name}": value for name, value in given.items()}))
        with contextlib.ExitStack() as running:
            for router in self.built.routers:
                log = self.home / f"{router.name}.log"
                running.enter_context(node_exporter(router.namespace, str(router.address), log))
            command = [str(RULEBOOK_PROGRAMS / "ansible-rulebook"), "--rulebook", "netops.conntrack.relieve"]
            command += ["--inventory", str(self.built.inventory), "--vars", str(variables), "--print-events"]
            environment = rulebook_environment(self.home)
            running.enter_context(background(command, self.log, cwd=self.home, env=environment))
            yield

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def reports(self, playbook: str) -> list[dict[str, t.Any]]:
        files = (self.home / "conntrack-reports").glob(f"conntrack-{playbook}-*.json")
        return [json.loads(file.read_text(encoding="utf-8")) for file in files]

    def wait_for_report(self, playbook: str) -> None:
        wait_until(lambda: self.reports(playbook), lambda: f"no report of {playbook}: {self.said}")

    def wait_for_events(self, number: int) -> None:
        """Wait until there were so many events, whatever they said."""
        wait_until(lambda: self.said.count("[received event]") >= number, lambda: f"not {number} events: {self.said}")


@pytest.fixture
def controller(tmp_path: pathlib.Path) -> t.Iterator[Controller]:
    if os.geteuid() != 0:
        pytest.skip("needs root, for network namespaces")
    directory, home = tmp_path / "lab", tmp_path / "home"
    home.mkdir()
    try:
        yield Controller(lab.up(directory, prefix="ncrb" + worker(), routers=2, stale=STALE), home)
    finally:
        lab.down(directory)


def fill(namespace: str, entries: int = 400) -> None:
    """Put live entries into the table of a router, so that its pressure does not end with a prune."""
    made = "-A -p udp -s 192.0.2.1 -d 192.0.2.2 --sport {0} --dport 53 -r 192.0.2.2 -q 192.0.2.1 "
    made += "--reply-port-src 53 --reply-port-dst {0} -t 3600 -u SEEN_REPLY\n"
    text = "".join(made.format(20000 + number) for number in range(entries))
    run(["conntrack", "-R", "-"], netns=namespace, text=text)


def test_a_router_under_pressure_is_audited_and_nothing_more_unless_somebody_says_so(controller: Controller) -> None:
    router, other = controller.built.routers
    fill(router.namespace)
    with controller.reacting():
        controller.wait_for_report("audit")
        controller.wait_for_events(6)
    assert [set(report["hosts"]) for report in controller.reports("audit")] == [{router.name}]
    assert controller.reports("prune") == []
    assert [stale_entries(each) for each in (router, other)] == [STALE, STALE]


def test_with_relief_that_router_is_pruned_once_and_no_other(controller: Controller) -> None:
    router, other = controller.built.routers
    fill(router.namespace)
    with controller.reacting(relief="prune"):
        controller.wait_for_report("prune")
        # Its pressure goes on, and it has no second turn within the hour.
        seen = controller.said.count("[received event]")
        controller.wait_for_events(seen + 4)
        # Another router has a turn of its own.
        fill(other.namespace)
        wait_until(lambda: len(controller.reports("prune")) == 2, lambda: f"no turn of {other.name}: {controller.said}")
    for playbook in ("audit", "prune"):
        assert sorted(list(report["hosts"]) for report in controller.reports(playbook)) == [["router1"], ["router2"]]
    pruned = {
        name: host["prune"]["deleted"]
        for report in controller.reports("prune")
        for name, host in report["hosts"].items()
    }
    assert pruned == {"router1": STALE, "router2": STALE}
    assert [stale_entries(each) for each in (router, other)] == [0, 0]
    assert lab.all_ok(lab.flows(controller.built.directory))


def test_a_bad_option_is_refused_before_a_router_is_asked(tmp_path: pathlib.Path) -> None:
    variables = tmp_path / "variables.yml"
    options = {"routers": {"r1": "http://127.0.0.1:9/"}, "raise_percent": 120}
    variables.write_text(yaml.safe_dump({f"conntrack_pressure_{name}": value for name, value in options.items()}))
    inventory = tmp_path / "inventory.yml"
    inventory.write_text("all:\n  hosts:\n    r1:\n")
    done = subprocess.run(
        [str(RULEBOOK_PROGRAMS / "ansible-rulebook"), "-r", str(RULEBOOK), "-i", str(inventory), "-e", str(variables)],
        env=rulebook_environment(tmp_path),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert "raise_percent: 120 cannot be used. Give a number from 0.001 to 100" in told
    assert not (tmp_path / "conntrack-reports").exists()


def test_a_router_that_does_not_answer_is_told_and_nothing_is_run(tmp_path: pathlib.Path) -> None:
    variables, inventory, log = tmp_path / "variables.yml", tmp_path / "inventory.yml", tmp_path / "rulebook.log"
    options = {**FAST, "routers": {"r1": "http://127.0.0.1:9/"}, "unknown_after": 2, "relief": "site"}
    variables.write_text(yaml.safe_dump({f"conntrack_pressure_{name}": value for name, value in options.items()}))
    inventory.write_text("all:\n  hosts:\n    r1:\n")
    # As docs/events.md has it.
    command = ["ansible-rulebook", "--rulebook", "netops.conntrack.relieve", "--inventory", "inventory.yml"]
    command += ["--vars", "variables.yml"]
    assert " ".join(command[:-1]) in (CHECKOUT / "docs" / "events.md").read_text(encoding="utf-8")
    command[0] = str(RULEBOOK_PROGRAMS / command[0])
    with background(command, log, cwd=tmp_path, env=rulebook_environment(tmp_path)):
        wait_until(
            lambda: log.read_text().count("'status': 'unknown'") >= 2, lambda: f"nothing is said: {log.read_text()}"
        )
    assert "ClientConnectorError" in log.read_text()
    assert not (tmp_path / "conntrack-reports").exists()


def test_the_rulebook_has_each_option_of_the_event_source() -> None:
    ruleset = read_yaml(RULEBOOK)[0]
    given = ruleset["sources"][0]["netops.conntrack.conntrack_pressure"]
    source = CHECKOUT / "extensions" / "eda" / "plugins" / "event_source" / "conntrack_pressure.py"
    text = source.read_text(encoding="utf-8").split('DOCUMENTATION = r"""\n')[1].split('"""')[0]
    assert set(given) == set(yaml.safe_load(text)["options"])
    for name, value in given.items():
        assert value.split()[1] == f"conntrack_pressure_{name}"
    # A playbook without a limit would be for the whole fleet.
    assert ruleset["hosts"] == "localhost"
