# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roll-outs over SSH: what a batch with a sick router stops, what is left alone, and how it goes on."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import lab
import pytest
from helpers.support import run

Make = t.Callable[[str, int], t.Any]

FILLER = "198.18.77.1"
"""The source of the entries that fill a table; nobody in the lab has it."""
PORTS = 60_000


def options(**variables: t.Any) -> tuple[str, str]:
    return "--extra-vars", json.dumps(
        {"conntrack_audit_settle": 1, "conntrack_audit_report_formats": ["json", "text"], **variables}
    )


def fill(namespace: str) -> None:
    """Fill a table to the brim, with entries that the kernel does not evict."""
    limit = int(run(["sysctl", "-n", "net.netfilter.nf_conntrack_max"]))
    for destination in range(1, limit // PORTS + 2):
        line = (
            f"-I -p udp -s {FILLER} -d 203.0.113.{destination} --sport {{}} --dport 9 -t 3000 -u SEEN_REPLY,ASSURED\n"
        )
        free = limit - count(namespace)
        run(["conntrack", "-R", "-"], netns=namespace, text="".join(map(line.format, range(1, min(PORTS, free) + 1))))
    assert count(namespace) > 0.999 * limit


def count(namespace: str) -> int:
    return int(run(["sysctl", "-n", "net.netfilter.nf_conntrack_count"], netns=namespace))


def warm_up(fleet: t.Any) -> None:
    """Leave a connection to each router open, which Ansible goes on with."""
    assert fleet.ansible("ansible.builtin.ping", {}).returncode == 0


def stop_of(report: dict[str, t.Any]) -> tuple[int, set[tuple[str, str]]]:
    stopped = report["rollout"]["stopped"]
    return stopped["batch"], {(gate["host"], gate["id"]) for gate in stopped["gates"]}


def batches_done(output: str) -> list[list[str]]:
    """Return the routers on which each batch worked, by what Ansible printed."""
    plays = re.split(r"^PLAY \[", output, flags=re.MULTILINE)
    working = [play for play in plays if re.search(r"^TASK \[(Set a profile|Count, then delete)\]", play, re.MULTILINE)]
    return [sorted(set(re.findall(r"^(?:ok|changed): \[(\w+)\]", play, re.MULTILINE))) for play in working]


def test_a_full_table_stops_the_roll_out_before_the_next_batch(make_fleet: Make) -> None:
    fleet = make_fleet("ncroll", 4)
    before = fleet.state()
    warm_up(fleet)
    sick = fleet.routers[1].namespace
    fill(sick)

    first = fleet.play("site", *options(batch=[1, 1, "100%"], conntrack_tune_confirm_within=0))

    assert first.rc == 2, first.output
    assert first.report["rollout"]["batches"] == [["router1"], ["router2"], ["router3", "router4"]]
    assert stop_of(first.report) == (2, {("router2", "usage")})
    assert batches_done(first.output) == [["router1"], ["router2"]]
    assert first.report["not_begun"] == ["router3", "router4"]
    assert first.report["failed"] == ["router2"]
    assert first.report["hosts"]["router1"]["failure"] is None
    assert "The table is 95 % full or more" in first.page
    after = fleet.state()
    assert {host: after[host] for host in ("router3", "router4")} == {
        host: before[host] for host in ("router3", "router4")
    }
    stale = fleet.stale()
    assert (stale["router1"], stale["router3"] > 0, stale["router4"] > 0) == (0, True, True)
    retry = next((fleet.home / "reports").glob("*.retry"))
    assert retry.read_text() == "router2\nrouter3\nrouter4\n"

    run(["conntrack", "-D", "-s", FILLER], netns=sick)
    second = fleet.play("site", "--limit", f"@{retry}", *options())

    assert second.rc == 0, second.output
    assert sorted(second.report["hosts"]) == ["router2", "router3", "router4"]
    assert set(fleet.stale().values()) == {0}
    assert fleet.flows_carry()


def test_a_router_that_takes_no_new_connections_stops_the_roll_out(make_fleet: Make) -> None:
    fleet = make_fleet("ncroll", 2)
    warm_up(fleet)
    before = fleet.state()
    rule = "add table ip shut; add chain ip shut in { type filter hook input priority 0; }; "
    rule += "add rule ip shut in ct state new tcp dport 22 drop"
    run(["nft", rule], netns=fleet.routers[0].namespace)

    outcome = fleet.play("site", *options(conntrack_tune_confirm_within=0))

    assert outcome.rc == 2, outcome.output
    assert stop_of(outcome.report) == (1, {("router1", "new_connections")})
    assert outcome.report["not_begun"] == ["router2"]
    assert fleet.state()["router2"] == before["router2"]


def test_a_dead_router_is_nobody_s_canary(make_fleet: Make) -> None:
    fleet = make_fleet("ncroll", 3)
    lab.stop_router(fleet.built.directory, "router1")
    outcome = fleet.play("site", *options())
    assert outcome.rc == 2, outcome.output
    assert outcome.report["rollout"] == {"batches": [["router2"], ["router3"]], "stopped": None}
    assert (outcome.report["unreachable"], outcome.report["failed"]) == (["router1"], [])
    assert {host: stale for host, stale in fleet.stale().items() if host != "router1"} == {"router2": 0, "router3": 0}


@pytest.mark.parametrize("playbook", ["prune", "site", "tune"])
def test_a_pair_is_never_in_one_batch(make_fleet: Make, tmp_path: pathlib.Path, playbook: str) -> None:
    fleet = make_fleet("ncroll", 3)
    pairs = tmp_path / "pairs.yml"
    hosts = {"router1": {"conntrack_pair": "edge"}, "router2": {"conntrack_pair": "edge"}}
    pairs.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    outcome = fleet.play(playbook, "-i", str(pairs), *options(batch="100%"))
    assert outcome.rc == 0, outcome.output
    assert outcome.report["rollout"]["batches"] == [["router1", "router3"], ["router2"]] == batches_done(outcome.output)


def test_a_dry_run_goes_through_all_batches(make_fleet: Make) -> None:
    fleet = make_fleet("ncroll", 3)
    before = fleet.state()
    outcome = fleet.play("site", "--check", *options(batch=1))
    assert outcome.rc == 0, outcome.output
    assert outcome.report["rollout"] == {"batches": [["router1"], ["router2"], ["router3"]], "stopped": None}
    assert batches_done(outcome.output) == outcome.report["rollout"]["batches"]
    assert all(report["prune"]["would_delete"] for report in outcome.report["hosts"].values())
    assert fleet.state() == before
