# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run is refused for before the first connection (conntrack_preflight), and that nothing else stops it there."""

from __future__ import annotations

import json

import pytest
import yaml
from helpers.json_routers import Fleet

ROUTERS = ("core1", "edge1", "edge2")
TARGET = ("-e", "target=edge")


@pytest.fixture
def routers(fleet: Fleet) -> Fleet:
    """Three routers, two of them in the group edge."""
    for name in ROUTERS:
        fleet.add(name)
    groups = {"edge": {"hosts": dict.fromkeys(ROUTERS[1:])}, "core": {"hosts": {"core1": None}}}
    (fleet.directory / "groups.yml").write_text(yaml.safe_dump(groups))
    return fleet


def run(fleet: Fleet, playbook: str, *options: str) -> tuple[int, str]:
    """Run a playbook with the groups; give its exit code, and what it printed in one line without quotes' escapes."""
    done = fleet.run_file(playbook, "-i", "groups.yml", *options)
    return done.returncode, " ".join((done.stdout + done.stderr).replace('\\"', '"').split())


def refused(fleet: Fleet, playbook: str, *options: str) -> str:
    """Run a playbook that is refused before the first connection, and give what it printed."""
    rc, output = run(fleet, playbook, *options)
    assert rc == 2, output
    assert "Nothing was touched." in output
    assert fleet.asked == set()
    assert not (fleet.directory / "reports").exists()
    return output


@pytest.mark.parametrize("playbook", ["prepare", "prune", "site", "tune"])
@pytest.mark.parametrize("check", [[], ["--check"]])
def test_who_changes_routers_names_them(routers: Fleet, playbook: str, check: list[str]) -> None:
    output = refused(routers, f"netops.conntrack.{playbook}", *check)
    assert "The inventory's groups are edge (2 hosts), core (1 host), all (3 hosts)." in output
    command = f"ansible-playbook netops.conntrack.{playbook} -i inventory.yml -i groups.yml -e target=GROUP"
    assert command in output


@pytest.mark.parametrize(
    ("options", "done"),
    [
        (["-e", "target=edge"], {"edge1", "edge2"}),
        (["--limit", "edge2"], {"edge2"}),
        (["-e", "target=edge:!edge1"], {"edge2"}),
        (["-e", '{"target": ["core", "edge2"]}'], {"core1", "edge2"}),
        (["-e", "target=all", "--limit", "core"], {"core1"}),
        (["-e", "target=~e.*1"], {"edge1"}),
    ],
)
def test_named_routers_are_done_and_no_others(routers: Fleet, options: list[str], done: set[str]) -> None:
    rc, output = run(routers, "netops.conntrack.prune", *options)
    assert rc == 0, output
    assert routers.asked == done


def test_an_audit_is_of_all_routers(routers: Fleet) -> None:
    rc, output = run(routers, "netops.conntrack.audit")
    assert rc == 0, output
    assert routers.asked == set(ROUTERS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-e", "target=egde"], "target: 'egde' matches no host. Did you mean edge? The inventory's groups are edge"),
        (["-e", "target=edge3"], "target: 'edge3' matches no host. Did you mean edge"),
        (["-e", "target=edge:!edge"], "target: 'edge:!edge' matches no host."),
        (["-e", "target=edge", "--limit", "core"], "target: 'edge' has no host in common with --limit core."),
        (["-e", '{"target": null}'], "target: '' is no pattern of hosts."),
        (["-e", "target="], "target: '' is no pattern of hosts."),
        (["-e", '{"target": {"edge": 1}}'], "target: {'edge': 1} is no pattern of hosts."),
    ],
)
@pytest.mark.parametrize("playbook", ["audit", "tune"])
def test_a_target_that_matches_nobody(routers: Fleet, playbook: str, options: list[str], message: str) -> None:
    assert message in refused(routers, f"netops.conntrack.{playbook}", *options)


def test_a_target_of_the_inventory_is_not_what_the_plays_have(routers: Fleet) -> None:
    for host in routers.hosts.values():
        host["target"] = "edge"
    assert "Which routers?" in refused(routers, "netops.conntrack.prune")


def test_an_inventory_without_hosts(fleet: Fleet) -> None:
    done = fleet.run_file("netops.conntrack.audit")
    assert done.returncode == 2
    assert "The inventory has no hosts. Name one with -i." in done.stdout


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("tagret=edge", "target"),
        ("failon=high", "fail_on"),
        ("batches=1", "batch"),
        ("hosts=edge", "target"),
        ("profile=router", "conntrack_tune_profile"),
        ("prune_match=x", "conntrack_prune_match"),
        ("conntrack_prune_mach=x", "conntrack_prune_match"),
        ("contrack_prune_match=x", "conntrack_prune_match"),
        ("conntrack_tune_overides=x", "conntrack_tune_overrides"),
        ("conntrack_profile=router", "conntrack_tune_profile"),
    ],
)
def test_an_extra_variable_that_nothing_reads(routers: Fleet, variable: str, meant: str) -> None:
    name = variable.partition("=")[0]
    output = refused(routers, "netops.conntrack.tune", *TARGET, "-e", variable)
    assert f"{name}: nothing reads this variable. Did you mean {meant}?" in output
    assert f"conntrack_known_variables: [{name}]" in output


@pytest.mark.parametrize(
    ("playbook", "variable", "meant"),
    [
        ("prune", "match=x", "conntrack_prune_match"),
        ("site", "exclude=x", "conntrack_prune_exclude"),
        ("prune", "select=x", "conntrack_prune_select"),
        ("find", "macth=x", "match"),
        ("find", "matches=x", "match"),
        ("find", "tagret=x", "target"),
        ("explain", "scr=x", "src"),
        ("explain", "setings=x", "settings"),
        ("explain", "tagret=x", "target"),
        ("watch", "intervall=5s", "interval"),
        ("watch", "round=3", "rounds"),
        ("watch", "hosts=edge", "target"),
        ("restore", "scr=x", "src"),
        ("restore", "writen_at=x", "written_at"),
        ("restore", "tagret=x", "target"),
        ("find", "conntrack_prune_mach=x", "conntrack_prune_match"),
    ],
)
def test_what_one_playbook_reads_is_not_read_by_another(
    routers: Fleet, playbook: str, variable: str, meant: str
) -> None:
    output = refused(routers, f"netops.conntrack.{playbook}", *TARGET, "-e", variable)
    assert f"nothing reads this variable. Did you mean {meant}?" in output


@pytest.mark.parametrize(
    ("playbook", "variable"),
    [
        *((playbook, "fail_on=high") for playbook in ("explain", "prepare", "prune", "restore", "tune", "watch")),
        *((playbook, "batch=1") for playbook in ("explain", "find", "watch")),
    ],
)
def test_what_only_other_playbooks_read_is_refused(routers: Fleet, playbook: str, variable: str) -> None:
    output = refused(routers, f"netops.conntrack.{playbook}", *TARGET, "-e", variable)
    assert f"{variable.partition('=')[0]}: this playbook does not read this variable. Only audit, " in output


def test_what_the_playbooks_share_is_taken_where_they_share_it(routers: Fleet) -> None:
    own = "- import_playbook: netops.conntrack.prune\n- import_playbook: netops.conntrack.audit\n"
    (routers.directory / "own.yml").write_text(own)
    for playbooks in ("own.yml", "netops.conntrack.prune netops.conntrack.audit"):
        rc, output = run(routers, playbooks, *TARGET, "-e", "fail_on=critical")
        assert rc == 0, output
    for host in routers.hosts.values():
        host["fail_on"] = "critical"
    rc, output = run(routers, "netops.conntrack.prune", *TARGET)
    assert rc == 0, output


def test_what_only_other_playbooks_read_is_refused_in_the_variables_of_an_import(routers: Fleet) -> None:
    (routers.directory / "own.yml").write_text(OF_IMPORT.format(playbook="prune", name="fail_on"))
    assert "fail_on: this playbook does not read this variable." in refused(routers, "own.yml")


def test_who_looks_for_nothing_finds_nothing(routers: Fleet) -> None:
    assert "Say what to look for, such as -e 'match=" in refused(routers, "netops.conntrack.find")


def test_the_typo_of_the_target_is_named_before_its_absence(routers: Fleet) -> None:
    assert "Did you mean target?" in refused(routers, "netops.conntrack.prune", "-e", "tagret=edge")


def test_a_result_cannot_be_given(routers: Fleet) -> None:
    output = refused(routers, "netops.conntrack.prune", *TARGET, "-e", "conntrack_prune_result=1")
    assert "conntrack_prune_result is a result of this collection, and cannot be given." in output


def test_what_somebody_reads_is_no_typo(routers: Fleet) -> None:
    routers.hosts["edge1"]["conntrack_prune_sample"] = "{{ how_many }}"
    routers.hosts["edge2"]["conntrack_of_the_plugin"] = 1
    routers.hosts["core1"]["conntrack_elsewhere"] = "not of this run"
    known = ["conntrack_of_the_plugin", "rack"]
    extra = {"how_many": 3, "rack": 7, "ansible_user": "root", "conntrack_known_variables": known}
    rc, output = run(routers, "netops.conntrack.prune", *TARGET, "-e", json.dumps(extra))
    assert rc == 0, output
    assert routers.asked == {"edge1", "edge2"}


def test_a_variable_of_a_router_that_nothing_reads(routers: Fleet) -> None:
    routers.hosts["edge1"]["conntrack_prune_match_"] = []
    routers.hosts["edge2"]["conntract_tune_profile"] = "router"
    routers.hosts["edge2"]["conntrack_prune_match_"] = []
    output = refused(routers, "netops.conntrack.audit")
    prune = "conntrack_prune_match_ (a variable of edge1, edge2): nothing reads this variable. Did you mean conntrack_"
    assert f"{prune}prune_match?" in output
    tune = "conntract_tune_profile (a variable of edge2): nothing reads this variable. Did you mean conntrack_tune_"
    assert f"{tune}profile?" in output


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (
            "conntrack_tune_overrides='{\"max\": 5}'",
            "conntrack_tune_overrides is a text, '{\"max\": 5}', and a dictionary is needed. Ansible takes -e NAME="
            'VALUE for a text. Write -e \'{"conntrack_tune_overrides": {"max": 5}}\'.',
        ),
        (
            '{"conntrack_audit_extra_checks": {"id": "a"}}',
            'Write -e \'{"conntrack_audit_extra_checks": [{"id": "a"}]}\'.',
        ),
        ('{"conntrack_tune_overrides": null}', "conntrack_tune_overrides is null, and a dictionary is needed."),
        ("conntrack_tune_sizing=ja", "conntrack_tune_sizing is a text, 'ja', and a yes or no is needed."),
        ("conntrack_tune_size=ja", "conntrack_tune_size is a text, 'ja', and a yes or no is needed."),
        (
            "conntrack_tune_size=true conntrack_tune_sizing=true",
            "conntrack_tune_size is the old name of conntrack_tune_sizing, and both are given.",
        ),
        ("conntrack_tune_headroom=much", "conntrack_tune_headroom is a text, 'much', and a number is needed."),
    ],
)
def test_a_value_of_the_wrong_type(routers: Fleet, extra: str, message: str) -> None:
    assert message in refused(routers, "netops.conntrack.tune", *TARGET, "-e", extra)


def test_a_type_that_a_template_of_the_inventory_gives(routers: Fleet) -> None:
    routers.hosts["edge1"]["conntrack_tune_overrides"] = "{{ [1, 2] }}"
    routers.hosts["edge1"]["conntrack_tune_headroom"] = "{{ 4 / 2 }}"
    routers.hosts["edge2"]["conntrack_tune_profile"] = "{{ ansible_facts['conntrack'].nothing_here }}"
    routers.hosts["edge2"]["conntrack_tune_extra_profiles"] = "{{ lookup('ansible.builtin.pipe', 'touch looked') }}"
    output = refused(routers, "netops.conntrack.tune", *TARGET)
    assert "conntrack_tune_overrides (a variable of edge1) is a list, [1, 2], and a dictionary is needed." in output
    assert "headroom" not in output
    assert "edge2" not in output.partition("RECAP")[0].partition("FAILED!")[2]
    assert not (routers.directory / "looked").exists()


OWN = """
- import_playbook: netops.conntrack.prune
  vars:
    target: "{{ group }}"
"""


def test_the_plays_of_a_users_own_playbook_may_read_other_variables(routers: Fleet) -> None:
    (routers.directory / "own.yml").write_text(OWN)
    rc, output = run(routers, "own.yml", "-e", "group=core", "-e", "ticket=5", "-e", "patch=1")
    assert rc == 0, output
    assert routers.asked == {"core1"}


@pytest.mark.parametrize("name", ["tagret", "conntrack_prune_mach", "contrack_prune_match", "profile"])
def test_what_is_nearly_ours_is_refused_in_a_users_own_playbook(routers: Fleet, name: str) -> None:
    (routers.directory / "own.yml").write_text(OWN)
    output = refused(routers, "own.yml", "-e", "group=core", "-e", f"{name}=1")
    assert f"{name}: nothing reads this variable. Did you mean" in output


OF_IMPORT = """
- import_playbook: netops.conntrack.{playbook}
  vars:
    target: edge
    ticket: 5
    {name}: "1"
"""


@pytest.mark.parametrize(
    ("playbook", "name", "meant"),
    [("tune", "bacth", "batch"), ("audit", "fail_no", "fail_on"), ("restore", "mtach", "match")],
)
def test_what_is_nearly_ours_is_refused_in_the_variables_of_an_import(
    routers: Fleet, playbook: str, name: str, meant: str
) -> None:
    (routers.directory / "own.yml").write_text(OF_IMPORT.format(playbook=playbook, name=name))
    output = refused(routers, "own.yml")
    assert f"{name}: nothing reads this variable. Did you mean {meant}?" in output
    assert f"conntrack_known_variables: [{name}]" in output


def test_what_is_nearly_a_name_of_the_imported_playbook_is_refused(routers: Fleet) -> None:
    (routers.directory / "own.yml").write_text("- import_playbook: netops.conntrack.find\n  vars: {select: stale}\n")
    assert "mtach: nothing reads this variable. Did you mean match?" in refused(routers, "own.yml", "-e", "mtach=1")


ROLE = """
- name: Prune
  hosts: all
  gather_facts: false
  roles:
    - netops.conntrack.{role}
"""


@pytest.mark.parametrize(
    ("role", "name", "meant"),
    [
        ("conntrack_audit", "conntrack_audit_tops", "conntrack_audit_top"),
        ("conntrack_prune", "conntrack_prune_mach", "conntrack_prune_match"),
        ("conntrack_tune", "contrack_tune_profile", "conntrack_tune_profile"),
    ],
)
def test_a_role_in_a_users_own_play_refuses_its_misspelt_variables(
    routers: Fleet, role: str, name: str, meant: str
) -> None:
    (routers.directory / "own.yml").write_text(ROLE.format(role=role))
    before = {path: path.read_text() for path in routers.directory.glob("*.json")}
    routers.hosts["edge1"][name] = "x"
    routers.hosts["edge2"]["other_role_tops"] = "x"
    rc, output = run(routers, "own.yml", "--limit", "edge1,edge2")
    assert rc == 2, output
    assert f"{name}: nothing reads this variable. Did you mean {meant}?" in output
    assert "edge2 : ok=" in output.replace("edge2  ", "edge2 ")
    assert before[routers.directory / "edge1.json"] == (routers.directory / "edge1.json").read_text()


BROKEN = {
    "undefined": 'ansible_host: "{{ nowhere }}"',
    "vaulted": 'ansible_become: true, ansible_become_password: !vault "$ANSIBLE_VAULT;1.1;AES256\\n6131\\n"',
    "plugin": "ansible_connection: example.missing.connection",
    "method": "ansible_become: true, ansible_become_method: example.missing.method",
    "shell": "ansible_shell_type: nosuchshell",
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("controller", [False, True])
def test_broken_connection_variables_do_not_stop_the_run_here(routers: Fleet, broken: str, controller: bool) -> None:
    names = ["a_first", *(["localhost"] if controller else [])]
    lines = ["all:", "  hosts:", *(f"    {name}: {{{BROKEN[broken]}}}" for name in names)]
    (routers.directory / "broken.yml").write_text("\n".join(lines))
    rc, output = run(routers, "netops.conntrack.preflight", "-i", "broken.yml", "--limit", "a_first")
    assert rc == 0, output
