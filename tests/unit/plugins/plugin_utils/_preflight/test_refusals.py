# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import RefusedError
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.refusals import (
    Run,
    lines_of_others,
    only_ours,
    refuse_variables,
    refuse_variables_of_role,
)
from helpers.support import CHECKOUT

Variables = dict[str, t.Any]


def refusal(
    extra: Variables | None = None,
    of_hosts: dict[str, Variables] | None = None,
    of_play: Variables | None = None,
    named: bool = True,
    only_ours: bool = True,
    resolved: Variables | None = None,
    reads: t.Collection[str] = (),
    of_import: bool = False,
    lines: t.Sequence[str] = (),
    alone: bool = False,
) -> str:
    """Return what a run with these variables is refused for; empty if it is not."""

    def resolve(_host: str, name: str) -> t.Any:
        try:
            return (resolved or {})[name]
        except KeyError as error:
            raise ValueError from error

    try:
        run = Run(
            extra or {},
            of_hosts or {},
            of_play or {},
            named,
            only_ours,
            lines,
            reads,
            is_imported=of_import,
            is_alone=alone,
        )
        refuse_variables(run, resolve)
    except RefusedError as error:
        return error.message
    return ""


def refusal_of_role(role: str, **variables: t.Any) -> str:
    try:
        refuse_variables_of_role(role, variables)
    except RefusedError as error:
        return error.message
    return ""


def test_the_hosts_of_a_variable_are_named_up_to_five() -> None:
    hosts = {f"r{number}": {"conntrack_mine": number} for number in range(7)}
    assert refusal(of_hosts=hosts).startswith("conntrack_mine (a variable of r0, r1, r2, r3, r4 and 2 more): nothing")


def test_an_extra_variable_is_no_variable_of_the_hosts() -> None:
    message = refusal({"conntrack_mine": 1}, {"r1": {"conntrack_mine": 1}})
    assert message.startswith("conntrack_mine: nothing reads this variable.")
    assert message.count("nothing reads") == 1


def test_of_a_run_on_nobody_only_the_extra_variables_are_judged() -> None:
    hosts = {"r1": {"conntrack_mine": 1, "conntrack_tune_overrides": [], "site": "{{ fleet }}"}}
    assert refusal({"fleet": 1}, hosts, named=False) == ""
    assert "fleets: nothing reads" in refusal({"fleets": 1}, hosts, named=False)


@pytest.mark.parametrize("listed", [["fleets", "conntrack_mine"], "fleets, conntrack_mine", "fleets conntrack_mine"])
@pytest.mark.parametrize("place", ["extra", "of_play", "host"])
def test_names_that_the_user_says_are_read(listed: t.Any, place: str) -> None:
    places: dict[str, Variables] = {"extra": {"fleets": 1}, "of_play": {}, "host": {"conntrack_mine": 1}}
    assert "fleets: nothing" in refusal(places["extra"], {"r1": places["host"]}, places["of_play"])
    places[place]["conntrack_known_variables"] = listed
    assert refusal(places["extra"], {"r1": places["host"]}, places["of_play"]) == ""


def test_a_variable_under_both_of_its_names_is_refused() -> None:
    both = {"conntrack_tune_size": True, "conntrack_tune_sizing": True}
    told = "is the old name of conntrack_tune_sizing, and both are given. Remove conntrack_tune_size."
    assert refusal(of_hosts={"r1": both, "r2": {}}) == (
        f"conntrack_tune_size (a variable of r1) {told} Nothing was touched."
    )
    assert refusal(both, {"r1": both}) == f"conntrack_tune_size {told} Nothing was touched."
    assert told in refusal({"conntrack_tune_size": True}, {"r1": both})
    assert told in refusal(of_play={"conntrack_tune_sizing": 1}, of_hosts={"r1": {"conntrack_tune_size": True}})
    assert refusal(of_hosts={"r1": {"conntrack_tune_size": True}, "r2": {"conntrack_tune_sizing": True}}) == ""
    assert refusal_of_role("conntrack_tune", **both) == f"conntrack_tune_size {told}"
    assert refusal_of_role("conntrack_prune", **both) == ""


def test_a_name_in_a_template_is_read() -> None:
    hosts = {"r1": {"deep": [{"key": "{% if conntrack_mine %}{{ fleets }}{% endif %}"}], "conntrack_mine": 1}}
    assert refusal({"fleets": 1}, hosts) == ""
    assert "fleets" in refusal({"fleets": 1}, {"r1": {"hostvars": hosts["r1"]}})
    assert refusal({"group": "a"}, {}, {"target": "{{ group }}"}) == ""


def test_the_other_plays_of_a_users_own_playbook_may_read_the_rest() -> None:
    assert refusal({"fleets": 1}, only_ours=False) == ""
    assert "tagret" in refusal({"tagret": 1}, only_ours=False)
    assert "Did you mean target?" in refusal({"hosts": 1}, only_ours=False)
    assert refusal({"hosts": 1}, {}, {"target": "a"}, only_ours=False) == ""


@pytest.mark.parametrize(
    ("name", "reads", "meant"),
    [
        ("bacth", ["batch"], "batch"),
        ("fail_no", ["batch", "fail_on"], "fail_on"),
        ("tagret", [], "target"),
        ("hosts", [], "target"),
        ("mtach", ["batch", "match"], "match"),
        ("intervall", ["interval", "rounds"], "interval"),
        ("conntrack_prune_mach", [], "conntrack_prune_match"),
        ("contrack_prune_match", [], "conntrack_prune_match"),
    ],
)
def test_a_misspelt_variable_of_an_import_is_refused(name: str, reads: list[str], meant: str) -> None:
    message = refusal(of_play={name: 1}, only_ours=False, reads=reads, of_import=True)
    assert message.startswith(f"{name}: nothing reads this variable. Did you mean {meant}?")
    assert refusal(of_play={name: 1}, only_ours=False, reads=reads) == ""  # a play of the user's own
    known = {name: 1, "conntrack_known_variables": [name]}
    assert refusal(of_play=known, only_ours=False, reads=reads, of_import=True) == ""
    read = {"r1": {"conntrack_tune_peak": f"{{{{ {name} }}}}"}}
    assert refusal(of_hosts=read, of_play={name: 1}, only_ours=False, reads=reads, of_import=True) == ""


@pytest.mark.parametrize(
    "name",
    [
        "ansible_become",
        "conntrack_known_variables",
        "conntrack_pair",
        "conntrack_preflight_reads",
        "conntrack_prune_match",
        "match",
        "ticket",
    ],
)
def test_other_variables_of_an_import_are_the_users_own(name: str) -> None:
    assert refusal(of_play={name: "1"}, only_ours=False, reads=["match"], of_import=True) == ""


def test_what_is_nearly_read_by_the_imported_playbook_is_refused() -> None:
    assert "Did you mean match?" in refusal({"mtach": 1}, only_ours=False, reads=["match"])
    assert refusal({"mtach": 1}, only_ours=False, reads=["rounds"]) == ""
    assert refusal({"match": 1}, only_ours=False, reads=["batch"]) == ""


NOT_READ = (
    "fail_on: this playbook does not read this variable. Only audit, report and site do. Leave it out. If something"
)
DIRECT = ["- import_playbook: netops.conntrack.prune"]


def test_what_only_other_playbooks_read_is_refused_on_the_command_line() -> None:
    assert refusal({"fail_on": "high"}, reads=["batch"], of_import=True, alone=True).startswith(NOT_READ)
    message = refusal({"batch": 1}, reads=["match"], of_import=True, alone=True)
    assert "Only audit, prepare, prune, restore, site and tune do. Leave it out." in message
    assert refusal({"fail_on": "high"}, reads=["fail_on"], of_import=True, alone=True) == ""
    assert refusal({"target": "edge"}, reads=["match"], of_import=True, alone=True) == ""
    known = {"fail_on": "high", "conntrack_known_variables": ["fail_on"]}
    assert refusal(known, reads=["batch"], of_import=True, alone=True) == ""
    read = {"r1": {"conntrack_audit_fail_on": "{{ fail_on }}"}}
    assert refusal({"fail_on": "high"}, read, reads=["batch"], of_import=True, alone=True) == ""


@pytest.mark.parametrize("only_ours", [True, False])
def test_what_another_playbook_of_the_run_may_read_is_taken(only_ours: bool) -> None:
    extra = {"fail_on": "high", "batch": 1}
    assert refusal(extra, reads=["match"], only_ours=only_ours, of_import=True) == ""
    assert refusal(extra, only_ours=only_ours) == ""


def test_what_all_playbooks_share_may_stand_in_the_inventory() -> None:
    hosts = {"r1": {"fail_on": "high", "batch": 1}}
    assert refusal(of_hosts=hosts, reads=["match"], of_import=True, alone=True) == ""


def test_what_only_other_playbooks_read_is_refused_in_an_import() -> None:
    vars_of_import = {"fail_on": "high"}
    message = refusal(of_play=vars_of_import, only_ours=False, reads=["batch"], of_import=True, lines=DIRECT)
    assert message.startswith(NOT_READ)
    nested = [*DIRECT, "- import_playbook: audits.yml"]
    for lines, reads in ((nested, ["batch"]), (DIRECT, ["fail_on"])):
        assert refusal(of_play=vars_of_import, only_ours=False, reads=reads, of_import=True, lines=lines) == ""
    assert refusal(of_play=vars_of_import, only_ours=False, reads=["batch"], lines=DIRECT) == ""


def test_who_means_what_this_playbook_does_not_read_is_told() -> None:
    message = refusal({"failon": "high"}, reads=["batch"], of_import=True, alone=True)
    assert message.startswith(
        "failon: nothing reads this variable. Did you mean fail_on? Only audit, report and site read that. If something"
    )
    assert "read that" not in refusal({"failon": "high"}, reads=["fail_on"], of_import=True, alone=True)
    assert "read that" not in refusal({"failon": "high"})
    assert "read that" not in refusal({"prune_match": 1}, reads=["batch"])


def test_a_name_in_a_template_of_a_users_own_playbook_is_read(tmp_path: pathlib.Path) -> None:
    own = tmp_path / "own.yml"
    own.write_text('- hosts: "{{ group }}"\n  vars:\n    profile: 1\n')
    lines = lines_of_others([str(own), "netops.conntrack.prune", str(CHECKOUT / "playbooks" / "prune.yml")])
    assert len(lines) == 3
    for name, read in (("group", True), ("profile", False)):
        run = Run({name: 1}, {}, {}, named=True, only_ours=False, lines=lines)
        if read:
            refuse_variables(run, lambda _host, _name: None)
        else:
            with pytest.raises(RefusedError, match=name):
                refuse_variables(run, lambda _host, _name: None)


def test_the_lines_of_a_users_own_playbook_are_read_with_those_that_it_imports(tmp_path: pathlib.Path) -> None:
    (tmp_path / "nested").mkdir()
    imports = ["nested/a.yml", "'own.yml'", "nowhere.yml", "netops.conntrack.prune", '"{{ chosen }}.yml"']
    own = [f"- ansible.builtin.import_playbook: {name} # as always" for name in imports]
    (tmp_path / "own.yml").write_text("\n".join(own))
    (tmp_path / "nested" / "a.yml").write_text("- import_playbook: b.yml")
    (tmp_path / "nested" / "b.yml").write_text('- hosts: "{{ group }}"\n- import_playbook: ../nested/a.yml')
    assert lines_of_others([str(tmp_path / "own.yml")]) == [
        *own,
        "- import_playbook: b.yml",
        '- hosts: "{{ group }}"',
        "- import_playbook: ../nested/a.yml",
    ]


@pytest.mark.parametrize("name", ["ansible_user", "awx_job_id", "tower_user_name", "semaphore_vars"])
def test_what_starts_ansible_adds_variables_of_its_own(name: str) -> None:
    assert refusal({name: 1}) == ""


def test_many_messages_are_cut() -> None:
    message = refusal({f"other{number:02}": 1 for number in range(13)})
    assert message.count("nothing reads") == 10
    assert "There are 3 more like these." in message


def test_values_are_explained_with_their_hosts() -> None:
    shared = ["a", {}]
    hosts = {name: {"conntrack_audit_extra_checks": shared} for name in ("r1", "r2")}
    assert refusal(of_hosts=hosts).startswith(
        "conntrack_audit_extra_checks (a variable of r1, r2) has a text, 'a', for its item 1"
    )


@pytest.mark.parametrize(
    ("value", "resolved", "wrong"),
    [
        ("{{ one }}", {"conntrack_tune_overrides": []}, True),
        ("{{ one }}", {"conntrack_tune_overrides": {}}, False),
        ("{{ one }}", {}, False),
        ("{{ one }}", {"conntrack_tune_overrides": "{{ one }}"}, False),
        ("{{ lookup('x') }}", {"conntrack_tune_overrides": []}, False),
        ({"max": "{{ one }}"}, {}, False),
        (["{{ one }}"], {"conntrack_tune_overrides": ["x"]}, True),
    ],
)
@pytest.mark.parametrize("on_command_line", [True, False])
def test_a_template_is_judged_by_what_it_gives(
    value: t.Any, resolved: Variables, wrong: bool, on_command_line: bool
) -> None:
    variables = {"conntrack_tune_overrides": value, "one": 1}
    extra = {"conntrack_tune_overrides": value} if on_command_line else {}
    message = refusal(extra, {"r1": variables}, resolved=resolved)
    assert ("a dictionary is needed" in message) is wrong


def test_a_template_is_resolved_once_where_it_reads_the_same_values() -> None:
    shared: Variables = {"conntrack_tune_overrides": "{{ mine }}", "mine": "{{ of_site | default(1) }}"}
    asked = []

    def resolve(host: str, _name: str) -> t.Any:
        asked.append(host)
        return [] if host == "r3" else {}

    hosts = {name: {**shared, "other": name} for name in ("r1", "r2", "r3", "r4")}
    hosts["r3"]["of_site"] = "x"
    hosts["r4"]["mine"] = "{{ hostvars['r1'].mine }}"
    with pytest.raises(RefusedError, match=r"\(a variable of r3\) is a list"):
        refuse_variables(Run({}, hosts, {}, named=True, only_ours=True), resolve)
    assert asked == ["r1", "r3", "r4"]


def test_a_value_that_cannot_be_looked_at_is_left() -> None:
    assert refusal(of_hosts={"r1": {"conntrack_tune_overrides": object()}}) == ""


def test_a_role_looks_at_its_own_variables() -> None:
    assert "Did you mean conntrack_tune_profile?" in refusal_of_role("conntrack_tune", conntrack_tune_profil="x")
    assert "Did you mean conntrack_tune_profile?" in refusal_of_role("conntrack_tune", contrack_tune_profile="x")
    assert refusal_of_role("conntrack_prune", conntrack_tune_profil="x", conntrack_of_mine=1) == ""
    assert refusal_of_role("conntrack_prune", conntrack_prune_nets=[], of_site="{{ conntrack_prune_nets }}") == ""
    assert refusal_of_role("conntrack_prune", conntrack_prune_done={"changed": True, "failed": False}) == ""
    assert "a yes or no is needed" in refusal_of_role("conntrack_tune", conntrack_tune_sizing="ja")
    assert refusal_of_role("conntrack_tune", conntrack_tune_sizing="{{ ja }}") == ""


def test_which_playbooks_are_ours(tmp_path: pathlib.Path) -> None:
    prune = CHECKOUT / "playbooks" / "prune.yml"
    assert only_ours(["netops.conntrack.prune", str(prune), os.path.relpath(prune)])
    assert not only_ours(["netops.conntrack.prune", str(tmp_path / "prune.yml")])
    assert not only_ours([])
