# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role asks of the module, by its variables: which entries, how often, and what it makes of the answer."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from helpers.json_routers import DEAD, Fleet
from helpers.support import CHECKOUT, read_yaml

IDLE = {"protocol": "tcp", "idle": {"min": "1h"}}
BUSY = {"protocol": "udp", "source": "198.51.100.7"}


def defaults(role: str) -> dict[str, object]:
    content = read_yaml(CHECKOUT / "roles" / role / "defaults" / "main.yml")
    assert isinstance(content, dict)
    return content


def test_the_gates_are_on_by_default() -> None:
    prune = defaults("conntrack_prune")
    gates = ("max_delete", "protect_management", "protect_helpers", "protect_pair", "confirm_idle")
    assert [prune[f"conntrack_prune_{gate}"] for gate in gates] == ["95%", True, True, True, "30s"]


def test_a_backup_is_made_by_default() -> None:
    prune = defaults("conntrack_prune")
    assert [prune[f"conntrack_prune_backup{name}"] for name in ("", "_keep", "_fetch")] == [True, 5, ""]


def calls(fleet: Fleet) -> list[dict[str, t.Any]]:
    """Return the options of every call of the module on the router r1."""
    path = fleet.directory / "r1.calls"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize(
    ("options", "select", "match"),
    [
        ((), ["stale"], []),
        (("-e", "conntrack_prune_select=unanswered"), ["unanswered"], []),
        (("-e", "conntrack_prune_select=stale,idle_day"), ["stale", "idle_day"], []),
        (("-e", "conntrack_prune_select='stale, idle_day half_open'"), ["stale", "idle_day", "half_open"], []),
        (("-e", json.dumps({"conntrack_prune_select": ["idle_hour"]})), ["idle_hour"], []),
        # Selectors of one's own do not take the stale entries as well.
        (("-e", json.dumps({"conntrack_prune_match": [BUSY]})), [], [BUSY]),
        (("-e", "conntrack_prune_match='protocol=tcp state=SYN_SENT'"), [], "protocol=tcp state=SYN_SENT"),
        (("-e", json.dumps({"conntrack_prune_match": [BUSY], "conntrack_prune_select": "stale"})), ["stale"], [BUSY]),
    ],
)
def test_which_entries_are_deleted(fleet: Fleet, options: tuple[str, ...], select: list[str], match: t.Any) -> None:
    fleet.add("r1")
    run = fleet.play("prune", *options, "-e", json.dumps({"conntrack_prune_exclude": [BUSY]}))
    assert run.rc == 0, run.output
    deleting, counting = calls(fleet)
    for call in (deleting, counting):
        assert [call[name] for name in ("select", "match", "exclude")] == [select, match, [BUSY]]
    assert [call["check_mode"] for call in (deleting, counting)] == [False, True]
    # The second one only counts, so that it does not wait, and has no gate.
    names = ("confirm_idle", "confirm_idle_when", "max_delete", "protect_management", "protect_helpers")
    assert [deleting[name] for name in names] == ["30s", "idle", "95%", True, True]
    assert [counting[name] for name in names] == ["0", "always", None, True, True]


def test_what_is_protected_is_one_variable_for_all_roles(fleet: Fleet) -> None:
    fleet.add("r1", idle=5)
    variables = {
        "conntrack_protect": ["203.0.113.0/24"],
        "conntrack_prune_unprotect": ["ike"],
        "conntrack_tune_unprotect": ["helper"],
    }
    run = fleet.play("site", "-e", json.dumps(variables))
    assert run.rc == 0, run.output
    deleting, counting = calls(fleet)
    for call in (deleting, counting):
        assert (call["protect"], call["unprotect"]) == (["203.0.113.0/24"], ["ike"])
    updates = [json.loads(line) for line in (fleet.directory / "r1.updates").read_text().splitlines()]
    assert [(update["protect"], update["unprotect"]) for update in updates] == [(["203.0.113.0/24"], ["helper"])]


@pytest.mark.parametrize("wanted", [True, False])
def test_the_backup_comes_to_the_controller(fleet: Fleet, tmp_path: pathlib.Path, wanted: bool) -> None:
    fleet.add("r1")
    here = tmp_path / "backups"
    variables = {"conntrack_prune_backup": wanted, "conntrack_prune_backup_fetch": str(here)}
    predicted = fleet.play("prune", "--check", "-e", json.dumps(variables))
    assert predicted.document["hosts"]["r1"]["prune"]["backup_file"] is None
    assert not here.exists()
    run = fleet.play("prune", "-e", json.dumps({**variables, "conntrack_prune_backup_keep": 7}))
    assert (predicted.rc, run.rc) == (0, 0), run.output
    deleting, counting = calls(fleet)[1:]
    assert (deleting["backup"], deleting["backup_keep"], counting["backup"]) == (wanted, 7, None)
    backup = str(fleet.directory / "r1.save") if wanted else None
    assert run.document["hosts"]["r1"]["prune"]["backup_file"] == backup
    assert [path.name for path in here.glob("*")] == ["r1-r1.save"] * wanted


def test_a_backup_that_does_not_arrive_is_a_failure_that_says_where_it_is(fleet: Fleet, tmp_path: pathlib.Path) -> None:
    fleet.add("r1")
    fleet.hosts["r1"] |= {**DEAD, "ansible_connection": "{{ 'ssh' if conntrack_prune_result is defined else 'local' }}"}
    run = fleet.play("prune", "-e", f"conntrack_prune_backup_fetch={tmp_path}/backups")
    failure = run.document["hosts"]["r1"]["failure"]
    assert run.rc == 2, run.output
    assert failure["step"] == "Make sure that the backup has arrived"
    backup = fleet.directory / "r1.save"
    assert f"The backup is on the router, {backup}, and not on the controller." in failure["message"]
    assert "Connection refused" in failure["message"]
    assert run.document["hosts"]["r1"]["prune"]["deleted"] > 0


def test_a_directory_for_backups_is_relative_to_where_the_playbook_is_run(fleet: Fleet) -> None:
    fleet.add("r1")
    run = fleet.play("prune", "-e", "conntrack_prune_backup_fetch=my/backups")
    assert run.rc == 0, run.output
    assert [path.name for path in (fleet.directory / "my" / "backups").glob("*")] == ["r1-r1.save"]


@pytest.mark.parametrize("nothing", [[], "", " , "])
def test_nothing_to_look_for_is_an_error(fleet: Fleet, nothing: t.Any) -> None:
    fleet.add("r1")
    run = fleet.play("prune", "-e", json.dumps({"conntrack_prune_select": nothing}))
    message = run.document["hosts"]["r1"]["failure"]["message"]
    assert message.startswith("conntrack_prune_select, conntrack_prune_match: no selector is given")
    assert calls(fleet) == []


@pytest.mark.parametrize("name", ["select", "match", "max_delete"])
def test_null_is_never_a_value(fleet: Fleet, name: str) -> None:
    fleet.add("r1")
    variables = {"conntrack_prune_select": "stale", f"conntrack_prune_{name}": None}
    run = fleet.play("prune", "-e", json.dumps(variables))
    message = run.document["hosts"]["r1"]["failure"]["message"]
    assert "Neither of them can be null or an empty text, nor can conntrack_prune_max_delete" in message
    assert calls(fleet) == []


@pytest.mark.parametrize("match", [{}, "", " "])
def test_an_empty_selector_does_not_mean_the_stale_entries(fleet: Fleet, match: t.Any) -> None:
    fleet.add("r1")
    run = fleet.play("prune", "-e", json.dumps({"conntrack_prune_match": match}))
    assert "no selector is given" in run.document["hosts"]["r1"]["failure"]["message"]
    assert calls(fleet) == []


def test_the_second_look_is_waited_for_once(fleet: Fleet) -> None:
    """What matches at the end is counted anew, because an entry that saw a packet may match no more."""
    fleet.add("r1", woken=90000)
    idle = ("-e", json.dumps({"conntrack_prune_match": [IDLE]}))
    predicted = fleet.play("prune", "--check", *idle)
    real = fleet.play("prune", *idle)
    assert [(call["check_mode"], call["confirm_idle"]) for call in calls(fleet)] == [
        (True, "30s"),
        (False, "30s"),
        (True, "0"),
    ]
    for run, deleted, now in ((predicted, None, None), (real, 0, 90000)):
        assert run.rc == 0, run.output
        prune = run.document["hosts"]["r1"]["prune"]
        assert [prune[name] for name in ("matched", "woken", "would_delete")] == [90000, 90000, 0]
        assert [prune[name] for name in ("deleted", "not_deleted", "matches_now")] == [deleted, deleted, now]
        assert run.recap["r1"]["changed"] == 0


def test_a_second_look_is_in_the_report_and_accounts_for_all(fleet: Fleet) -> None:
    fleet.add("r1", woken=500)
    variables = {"conntrack_prune_match": [IDLE], "conntrack_prune_confirm_idle": "2m"}
    predicted = fleet.play("prune", "--check", "-e", json.dumps(variables))
    real = fleet.play("prune", "-e", json.dumps(variables))
    assert (predicted.rc, real.rc) == (0, 0), real.output
    assert predicted.column("prune", "would_delete") == real.column("prune", "deleted") == {"r1": 89500}
    prune = real.document["hosts"]["r1"]["prune"]
    assert [prune[name] for name in ("woken", "not_deleted", "not_listed", "matches_now")] == [500, 0, 0, 500]
    assert prune["kept"] == []
    assert [call["confirm_idle"] for call in calls(fleet)] == ["2m", "2m", "0"]


def test_nothing_is_deleted_on_a_standby(fleet: Fleet) -> None:
    for name, standby in (("r1", True), ("r2", False)):
        fleet.add(name, standby=standby)
    run = fleet.play("prune", "-e", json.dumps({"conntrack_prune_active_address": ["192.0.2.1", "2001:db8::1"]}))
    assert run.rc == 0, run.output
    assert "This router stands by. It has none of 192.0.2.1, 2001:db8::1. Nothing was deleted." in run.output
    stays = run.document["hosts"]["r1"]["prune"]
    assert [stays[name] for name in ("matched", "deleted", "matches_now")] == [90000, 0, 90000]
    assert run.document["hosts"]["r2"]["prune"]["deleted"] == 90000
    assert [call["active_address"] for call in calls(fleet)] == [["192.0.2.1", "2001:db8::1"]]
