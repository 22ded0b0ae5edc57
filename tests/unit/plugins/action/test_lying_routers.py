# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routers that were taken over and answer what they like: they speak for nobody else, and cost nobody time."""

from __future__ import annotations

import json
import pathlib
import resource
import sys
import time
import typing as t

import pytest
from helpers.ansible_tasks import Workplace
from helpers.json_routers import Fleet
from helpers.support import CHECKOUT, PATIENCE

TRUTH = json.loads((CHECKOUT / "tests" / "unit" / "roles" / "facts" / "sick.json").read_text())
FACTS = "netops.conntrack.conntrack_facts"

SPEAKS_FOR_OTHERS: dict[str, t.Any] = {
    "_ansible_delegated_vars": {"ansible_delegated_host": "good"},
    "_ansible_facts_cacheable": True,
    "_ansible_no_log": True,
    "_ansible_notify": ["PHISH"],
    "add_group": "phish",
    "add_host": {"host_name": "phish", "groups": ["routers"], "host_vars": {"PHISH": 1}},
    "ansible_job_id": "1.1",
    "ansible_loop_var": "PHISH",
    "ansible_module_results": ["PHISH"],
    "ansible_stats": {"data": {"PHISH": 1}, "per_host": False, "aggregate": True},
    "attempts": 7,
    "audit": {"findings": "PHISH"},
    "censored": "PHISH",
    "failed_when_result": False,
    "finished": 0,
    "include": "PHISH",
    "include_variables": {"PHISH": 1},
    "module_stdout": "PHISH",
    "parent_groups": ["all"],
    "results": [{"add_host": {"host_name": "phish"}, "PHISH": 1}],
    "retries": 7,
    "skip_reason": "PHISH",
    "skipped": True,
    "start": "PHISH",
    "started": 1,
    "stderr": "PHISH",
    "stdout": "PHISH",
    "unreachable": True,
    "failed_modules": {"PHISH": 1},
}
"""What ansible-core acts upon, or shows, where it stands in a result."""

OTHER_FACTS = {"ansible_host": "192.0.2.1", "conntrack_audit_after": {"audit": "PHISH"}, "PHISH": 1}
LIES = {
    "succeeds": {"changed": True, **SPEAKS_FOR_OTHERS, "ansible_facts": {**OTHER_FACTS, "conntrack": TRUTH}},
    "fails": {"failed": True, **SPEAKS_FOR_OTHERS, "ansible_facts": OTHER_FACTS, "msg": "busy \x1b[31m", "rc": 4},
}


def liar(directory: pathlib.Path, name: str, program: str) -> str:
    """Write an interpreter that prints what the ``program`` does, whatever it is to run, and return its path."""
    path = directory / f"python-of-{name}"
    path.write_text(f"#!{sys.executable}\nimport json, sys\nwrite = sys.stdout.write\n{program}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("lie", LIES)
def test_a_result_never_speaks_for_another_router(tmp_path: pathlib.Path, lie: str) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("good")
    evil = liar(tmp_path, "evil", f"write({json.dumps(LIES[lie])!r})")
    hosts = {**fleet.hosts, "evil": {"ansible_connection": "local", "ansible_python_interpreter": evil}}
    work = Workplace(tmp_path, hosts)
    work.collections = str(tmp_path)
    log = tmp_path / "output"
    work.environment = {"ANSIBLE_SHOW_CUSTOM_STATS": "true", "ANSIBLE_LOG_PATH": str(log)}
    seen = "{{ [groups, hostvars.values() | map('dict2items') | flatten | map(attribute='key') | unique] | to_json }}"
    tasks: list[dict[str, t.Any]] = [{FACTS: {"gather_subset": "all"}}, {"ansible.builtin.debug": {"msg": seen}}]

    results = work.results(tasks)

    assert set(results) == {"good", "evil"}
    assert results["good"][0]["ansible_facts"]["conntrack"] == TRUTH
    told, found = results["evil"]
    told.pop("exception", None)
    expected: dict[str, t.Any] = {"changed": True, "failed": False, "ansible_facts": {"conntrack": TRUTH}}
    if lie == "fails":
        expected = {"changed": False, "failed": True, "msg": "busy \\x1b[31m", "rc": 4}
    assert told == expected
    assert "conntrack_audit_after" not in found["msg"]
    assert "phish" not in json.dumps([results["good"][1], found]).lower()
    assert "phish" not in log.read_text().lower()


def test_malformed_facts_are_named_as_documented(tmp_path: pathlib.Path) -> None:
    lie = {"ansible_facts": {"conntrack": {**TRUTH, "usage": "x"}}}
    evil = liar(tmp_path, "evil", f"write({json.dumps(lie)!r})")
    work = Workplace(tmp_path, {"evil": {"ansible_connection": "local", "ansible_python_interpreter": evil}})
    ([told],) = work.results([{FACTS: {}}]).values()
    message, _rest = told["msg"].split(" Nothing of it is used.")
    assert f"`{message}`" in (CHECKOUT / "docs" / "security.md").read_text(encoding="utf-8")


def test_what_a_module_changed_is_unknown_where_its_answer_is_malformed(tmp_path: pathlib.Path) -> None:
    evil = liar(tmp_path, "evil", """write('{"changed": false, "matched": "x"}')""")
    work = Workplace(tmp_path, {"evil": {"ansible_connection": "local", "ansible_python_interpreter": evil}})
    prune = {"netops.conntrack.conntrack_prune": {"match": "protocol=udp"}}
    (real, rehearsed) = work.results([prune, {**prune, "check_mode": True}])["evil"]
    problem = "Its result is malformed (matched: 'x' is a text, not a whole number). Nothing of it is used."
    assert real["msg"].startswith(problem)
    assert real["msg"].endswith("What the module changed is not known.")
    assert rehearsed["msg"].startswith(problem)
    assert "changed is not known" not in rehearsed["msg"]


COSTLY = {
    "a text of 100 MB": (
        """
write('{"ansible_facts": {"conntrack": {"usage": {"count": "')
for _megabyte in range(100): write("A" * 2**20)
write('"}}}}')""",
        "bytes",
    ),
    "a text of 3 MB": (
        """write('{"ansible_facts": {"conntrack": {"usage": {"count": "' + "A" * 3 * 2**20 + '"}}}}')""",
        "settings is missing|usage",
    ),
    "a message of 3 MB": ("""write('{"failed": true, "msg": "' + "A" * 3 * 2**20 + '"}')""", "AAAA"),
    "no JSON": ("""write("A" * 3 * 2**20)""", ""),
    "a million findings": (
        """write('{"failed": true, "msg": "busy", "audit": {"findings": [' + "{}," * 10**6 + '{}]}}')""",
        "busy",
    ),
    "JSON 100,000 deep": ("""write('{"a":' * 10**5 + "1" + "}" * 10**5)""", "nested too deeply"),
    "JSON 900 deep": ("""write('{"ansible_facts": {"conntrack": ' + "[" * 900 + "]" * 900 + "}}")""", "is a list"),
    "100,000 states": (
        f"""
facts = json.loads({json.dumps(TRUTH)!r})
facts["table"]["states"]["tcp"] = {{f"S{{n}}": n for n in range(10**5)}}
write(json.dumps({{"ansible_facts": {{"conntrack": facts}}}}))""",
        "table.states.tcp: has 100000 keys",
    ),
}
"""By what it is, the program of a router that answers it, and words of its failure in the report."""


def test_no_answer_costs_the_others_their_report_or_much_time_or_memory(tmp_path: pathlib.Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("good")
    honest = fleet.play("audit")
    for number, (program, _words) in enumerate(COSTLY.values()):
        interpreter = liar(tmp_path, f"evil{number}", program)
        fleet.hosts[f"evil{number}"] = {"ansible_connection": "local", "ansible_python_interpreter": interpreter}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()

    run = fleet.play("audit")

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert time.monotonic() - began < PATIENCE
    assert used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime < 60
    assert max(used.ru_maxrss, before.ru_maxrss) in range(before.ru_maxrss, max(before.ru_maxrss, 500_000) + 1)
    assert run.document["hosts"]["good"] == honest.document["hosts"]["good"]
    assert run.document["checks"] == honest.document["checks"]
    assert sorted(run.document["failed"]) == [f"evil{number}" for number in range(len(COSTLY))]
    for number, (_program, words) in enumerate(COSTLY.values()):
        message = run.document["hosts"][f"evil{number}"]["failure"]["message"]
        assert any(each in message for each in words.split("|"))
        assert len(message) <= 4000
