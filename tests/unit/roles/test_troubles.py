# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with one router stays with it: all playbooks do the others, and the report says why not that one."""

from __future__ import annotations

import collections
import json
import typing as t

import pytest
import yaml
from helpers.json_routers import DEAD, Fleet, Run

NOT_TRACKED = {"no_facts": "nf_conntrack is not there", "no_facts_because": {"no_conntrack": True}}


class Vaulted(str):
    """A text that nobody has the password for."""


VAULTED = Vaulted("$ANSIBLE_VAULT;1.1;AES256\n36313632\n")
yaml.SafeDumper.add_representer(Vaulted, lambda dumper, text: dumper.represent_scalar("!vault", text))

TROUBLES: dict[str, dict[str, t.Any]] = {
    "dead": DEAD,
    "nameless": {"ansible_host": "{{ management_address }}"},
    "portless": {"ansible_host": "127.0.0.1", "ansible_port": "{{ management_port }}"},
    "sealed": {"ansible_connection": "local", "ansible_become": True, "ansible_become_password": VAULTED},
    "unplugged": {"ansible_connection": "no.such.connection"},
    "unbecoming": {"ansible_connection": "local", "ansible_become": True, "ansible_become_method": "no.such.become"},
    "pythonless": {"ansible_connection": "local", "ansible_python_interpreter": "/no/such/python"},
}
"""Variables of connections that do not work, by the name of their router."""

REASONS = {
    "nameless": "'management_address' is undefined",
    "portless": "'management_port' is undefined",
    "sealed": "decrypt",
    "unplugged": "no.such.connection",
    "unbecoming": "no.such.become",
    "pythonless": "/no/such/python",
}
HEALTHY = {"good1", "good2"}


def add_all(fleet: Fleet, first: int) -> None:
    """Add routers in trouble and healthy ones; ``first`` is which trouble stands first in the inventory."""
    order = collections.deque([*TROUBLES, "good1", "switch", "good2"])
    order.rotate(-first)
    for name in order:
        if name in TROUBLES:
            fleet.hosts[name] = dict(TROUBLES[name])
        else:
            fleet.add(name, **(NOT_TRACKED if name == "switch" else {}))


def pruned(fleet: Fleet) -> set[str]:
    states = {name: json.loads((fleet.directory / f"{name}.json").read_text()) for name in HEALTHY}
    return {name for name, state in states.items() if state["facts"]["selectors"]["stale"]["entries"] == 0}


def assert_each_trouble_is_named(run: Run) -> None:
    document = run.document
    assert run.rc == 2, run.output
    assert document["unreachable"] == ["dead"]
    assert set(document["failed"]) == set(REASONS)
    assert document["totals"]["done"] == len(HEALTHY)
    for name, reason in REASONS.items():
        failure = document["hosts"][name]["failure"]
        assert reason in failure["message"]
        assert failure["step"] not in ("", "?")
    assert "stopped by an error" not in run.output
    assert f"{len(HEALTHY)} of {len(document['hosts'])} routers" in run.output


@pytest.mark.parametrize(("first", "fatal"), [(0, True), (1, False), (4, True)])
def test_site_does_the_healthy_ones(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, first: int, fatal: bool) -> None:
    monkeypatch.setenv("ANSIBLE_ANY_ERRORS_FATAL", str(fatal))
    add_all(fleet, first)
    run = fleet.play("site", "-e", "target=all")
    assert_each_trouble_is_named(run)
    assert pruned(fleet) == HEALTHY
    assert run.document["rollout"]["stopped"] is None
    assert run.document["no_conntrack"] == ["switch"]
    assert run.document["hosts"]["switch"]["no_conntrack"] == "nf_conntrack is not there"


@pytest.mark.parametrize("playbook", ["audit", "tune", "prune"])
def test_the_other_playbooks_too(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, playbook: str) -> None:
    monkeypatch.setenv("ANSIBLE_ANY_ERRORS_FATAL", "true")
    add_all(fleet, 1)
    run = fleet.play(playbook, "-e", "target=all", *(["--check"] if playbook == "tune" else []))
    assert_each_trouble_is_named(run)
    assert run.document["no_conntrack"] == ["switch"]
    assert pruned(fleet) == (HEALTHY if playbook == "prune" else set())


@pytest.mark.parametrize("playbook", ["audit", "site", "tune", "prune"])
def test_a_fleet_that_tracks_nothing_is_no_failure(fleet: Fleet, playbook: str) -> None:
    fleet.add("switch1", **NOT_TRACKED)
    fleet.add("switch2", **NOT_TRACKED)
    run = fleet.play(playbook, "-e", "target=all")
    assert run.rc == 0, run.output
    assert run.document["no_conntrack"] == ["switch1", "switch2"]
    assert "no conntrack: switch1, switch2" in run.output


@pytest.mark.parametrize("playbook", ["tune", "site"])
def test_cached_facts_of_an_earlier_run_do_not_stand_for_what_is_there(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, playbook: str
) -> None:
    monkeypatch.setenv("ANSIBLE_CACHE_PLUGIN", "jsonfile")
    monkeypatch.setenv("ANSIBLE_CACHE_PLUGIN_CONNECTION", str(fleet.directory / "facts"))
    fleet.add("switch")
    assert fleet.play("audit").rc == 0
    path = fleet.directory / "switch.json"
    state = {**json.loads(path.read_text()), **NOT_TRACKED}
    path.write_text(json.dumps(state))
    run = fleet.play(playbook)
    assert (run.rc, run.document["no_conntrack"]) == (0, ["switch"]), run.output
    assert json.loads(path.read_text()) == state


def test_names_that_are_patterns_to_ansible_are_names(fleet: Fleet) -> None:
    names = ["gw:one", "fe80::1%eth0", "2001:db8::1", "gw 1", "gw", "!gw", "gw*"]
    for name in names:
        fleet.add(name)
    run = fleet.play("site", "-e", "target=all")
    assert run.rc == 0, run.output
    assert sorted(run.column("prune", "deleted").items()) == sorted((name, 90000) for name in names)


def test_a_pair_that_cannot_be_resolved_is_the_trouble_of_its_router(fleet: Fleet) -> None:
    fleet.add("a")
    fleet.add("b")
    fleet.hosts["a"]["conntrack_pair"] = "{{ no_such_site }}"
    run = fleet.play("site", "-e", "target=all")
    assert (run.rc, run.document["failed"]) == (2, ["a"]), run.output
    assert "conntrack_pair cannot be resolved" in run.document["hosts"]["a"]["failure"]["message"]
    assert run.column("prune", "deleted") == {"b": 90000}


def test_a_group_of_the_same_name_is_the_trouble_of_its_router(fleet: Fleet) -> None:
    fleet.add("edge")
    fleet.add("gw1")
    (fleet.directory / "groups.yml").write_text("edge: {hosts: {gw1: {}}}\n")
    run = fleet.play("site", "-i", "groups.yml", "-e", "target=all")
    assert (run.rc, run.document["failed"]) == (2, ["edge"]), run.output
    assert "a group of the inventory has the same name" in run.document["hosts"]["edge"]["failure"]["message"]
    assert run.column("prune", "deleted") == {"gw1": 90000}


def test_a_message_of_several_lines_is_one_line_in_the_report(fleet: Fleet) -> None:
    fleet.add("broken", no_facts="the first line\nthe second line")
    run = fleet.play("audit")
    assert run.document["hosts"]["broken"]["failure"]["message"] == "the first line the second line"
    assert "broken, Measure and check: the first line the second line" in run.output


def test_the_step_in_which_a_tune_fails_says_what_was_to_be_done(fleet: Fleet) -> None:
    fleet.add("refused")
    run = fleet.play("tune", "-e", "target=all", "-e", json.dumps({"conntrack_tune_overrides": {"no_such": 1}}))
    failure = run.document["hosts"]["refused"]["failure"]
    assert failure["step"] == "Set the profile, or what of it can be set here", failure
    assert "refused: ['no_such']" in failure["message"]
