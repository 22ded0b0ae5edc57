# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stops a roll-out (conntrack_rollout), what is left out of it, and what is refused before it begins."""

from __future__ import annotations

import json
import typing as t

import pytest
from helpers.json_routers import DEAD, Fleet

DIES = {"ansible_host": "127.0.0.1", "ansible_port": 1} | {
    "ansible_connection": "{{ 'ssh' if conntrack_audit_reference is defined else 'local' }}"
}
"""A router that no longer answers once it was changed."""


def extra(**variables: t.Any) -> tuple[str, str]:
    return "-e", json.dumps(variables)


def changed(fleet: Fleet) -> set[str]:
    """Return the routers on which a setting was changed or an entry deleted."""
    states = {name: json.loads((fleet.directory / f"{name}.json").read_text()) for name in fleet.hosts}
    return {name for name, state in states.items() if state["facts"]["selectors"]["stale"]["entries"] == 0}


def test_a_router_that_dies_after_its_change_stops_the_roll_out(fleet: Fleet) -> None:
    for name in ("a", "b", "c"):
        fleet.add(name)
    fleet.hosts["a"].update(DIES)
    run = fleet.play("site", *extra(batch=[2, 1], conntrack_audit_gates=[]))
    assert (run.rc, changed(fleet)) == (2, {"a", "b"})
    stop = run.document["rollout"]["stopped"]
    assert (stop["batch"], [(gate["host"], gate["id"]) for gate in stop["gates"]]) == (1, [("a", "facts")])
    assert "Connection refused" in stop["gates"][0]["value"]
    assert (run.document["unreachable"], run.document["not_started"]) == (["a"], ["c"])
    assert (fleet.directory / "reports" / "report.retry").read_text() == "a\nc\n"


def test_a_gate_that_cannot_be_evaluated_stops_the_roll_out(fleet: Fleet) -> None:
    for name in ("a", "b", "c"):
        fleet.add(name)
    broken = {"id": "x", "title": "X", "when": "length(`5`) > `0`", "severity": "low", "advice": "None."}
    fleet.hosts["b"]["conntrack_audit_extra_gates"] = [broken]
    run = fleet.play("site", *extra(batch=[2, 1]))
    assert (run.rc, changed(fleet)) == (2, {"a", "b"})
    assert [(gate["host"], gate["id"]) for gate in run.document["rollout"]["stopped"]["gates"]] == [("b", "gates")]
    assert (run.document["failed"], run.document["not_started"]) == (["b"], ["c"])


def test_a_gate_of_the_user_stops_the_roll_out(fleet: Fleet) -> None:
    fleet.add("a")
    fleet.add("b")
    gate = {"id": "some", "title": "Some are left", "when": "after.usage.count > `0`", "severity": "low", "advice": "?"}
    run = fleet.play("site", *extra(conntrack_audit_extra_gates=[gate]))
    assert [gate["id"] for gate in run.document["rollout"]["stopped"]["gates"]] == ["some"]
    assert (run.document["failed"], run.document["not_started"], changed(fleet)) == (["a"], ["b"], {"a"})


def test_the_living_half_of_a_pair_is_left_alone(fleet: Fleet) -> None:
    fleet.add("left")
    fleet.add("other")
    fleet.hosts["left"]["conntrack_pair"] = "edge"
    fleet.hosts["right"] = {**DEAD, "conntrack_pair": "edge"}
    (fleet.directory / "right.json").write_text((fleet.directory / "left.json").read_text())
    run = fleet.play("site")
    assert (run.rc, changed(fleet)) == (2, {"other"})
    assert (run.document["unreachable"], run.document["failed"]) == (["right"], ["left"])
    assert "the other half of its conntrack_pair is down" in run.document["hosts"]["left"]["failure"]["message"]
    assert fleet.play("site", "--limit", "left").rc == 0
    assert changed(fleet) == {"left", "other"}


def test_the_sizes_of_the_batches_can_stand_in_the_inventory(fleet: Fleet) -> None:
    for name in ("a", "b", "c"):
        fleet.add(name)
        fleet.hosts[name]["conntrack_audit_batch"] = [2, 1]
    assert fleet.play("site", "--check").document["rollout"]["batches"] == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    ("variables", "name", "complaint"),
    [
        ({"batch": "none"}, "a", "batch: 'none' is no size of a batch"),
        ({"conntrack_audit_settle": "1m"}, "a", "settle is a text, '1m', and a whole number is needed"),
        ({"conntrack_audit_gates": [{"id": "x"}]}, "a", "check x"),
        ({}, "127.0.0.1", "must be called localhost"),
    ],
)
def test_what_would_go_wrong_half_way_is_refused(
    fleet: Fleet, variables: dict[str, t.Any], name: str, complaint: str
) -> None:
    fleet.add(name)
    done = fleet.run("site", *extra(**variables))
    assert done.returncode == 2
    assert complaint in " ".join((done.stdout + done.stderr).split())
    assert changed(fleet) == set()


@pytest.mark.parametrize(("playbook", "batch"), [("prune", "100%"), ("site", [1, "100%"])])
def test_a_router_that_an_earlier_play_lost_is_in_no_batch(fleet: Fleet, playbook: str, batch: t.Any) -> None:
    for name in ("a", "b", "c"):
        fleet.add(name)
    fleet.hosts["a"].update(DEAD)
    plays = [
        {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.ping": {}}]},
        {"import_playbook": f"netops.conntrack.{playbook}", "vars": {"target": "all", "batch": batch}},
    ]
    (fleet.directory / "own.yml").write_text(json.dumps(plays))
    done = fleet.run_file("own.yml")
    assert changed(fleet) == {"b", "c"}, done.stdout
    document = json.loads((fleet.directory / "reports" / "report.json").read_text())
    assert (done.returncode, document["not_started"]) == (4, []), done.stdout
    assert document["hosts"]["a"]["failure"]["message"].startswith("stopped by an error")
    assert {host for planned in document["rollout"]["batches"] for host in planned} == {"b", "c"}


def test_two_playbooks_after_one_another_keep_to_their_targets(fleet: Fleet) -> None:
    for name in ("a", "b"):
        fleet.add(name)
    both = fleet.directory / "both.yml"
    both.write_text(
        "- import_playbook: netops.conntrack.tune\n  vars:\n    target: all\n"
        "- import_playbook: netops.conntrack.prune\n  vars:\n    target: a\n"
    )
    done = fleet.run_file(str(both))
    assert done.returncode == 0, done.stdout + done.stderr
    assert changed(fleet) == {"a"}
