# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pipelines in docs/ci.md: their structure, their shell, what they run, and their guards."""

from __future__ import annotations

import json
import shlex
import subprocess
import typing as t

import jsonschema
import pytest
import yaml
from helpers.support import CHECKOUT
from runner.documented import github, gitlab
from unit.test_documentation import PLAYBOOK_VARIABLES, PREFIX, role_variables

Schema = dict[str, t.Any]

TEXT: Schema = {"type": "string", "minLength": 1}
TEXTS: Schema = {"type": "array", "items": TEXT, "minItems": 1}
FLAG: Schema = {"type": "boolean"}


def closed(required: list[str], **properties: Schema) -> Schema:
    """Return the schema of an object that has no other keys than these ``properties``."""
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


def values(schema: Schema) -> Schema:
    """Return the schema of an object with any keys, and with such values."""
    return {"type": "object", "minProperties": 1, "additionalProperties": schema}


_STEP = {
    **closed([], **{"name": TEXT, "if": TEXT, "env": values(TEXT), "run": TEXT, "uses": TEXT, "with": values(TEXT)}),
    "oneOf": [{"required": ["run"]}, {"required": ["uses"]}],
    "dependentRequired": {"with": ["uses"]},
}
_GITHUB_JOB = closed(
    ["runs-on", "timeout-minutes", "steps"],
    **{
        "if": TEXT,
        "needs": TEXT,
        "runs-on": {"anyOf": [TEXT, TEXTS]},
        "environment": TEXT,
        "timeout-minutes": {"type": "integer"},
        "concurrency": closed(["group"], **{"group": TEXT, "cancel-in-progress": FLAG}),
        "permissions": values({"enum": ["read", "write", "none"]}),
        "steps": {"type": "array", "items": _STEP, "minItems": 1},
    },
)
GITHUB = closed(
    ["name", "on", "permissions", "jobs"],
    name=TEXT,
    on=closed(
        ["pull_request", "push"],
        pull_request={"type": "null"},
        push=closed(["branches"], branches=TEXTS),
        workflow_dispatch=closed(["inputs"], inputs=values(closed(["description"], description=TEXT, default=TEXT))),
    ),
    permissions=values({"enum": ["read", "write", "none"]}),
    env=values(TEXT),
    jobs=values(_GITHUB_JOB),
)

_GITLAB_JOB = closed(
    ["stage", "rules", "interruptible", "script"],
    stage=TEXT,
    rules={"type": "array", "items": closed(["if"], **{"if": TEXT, "when": {"enum": ["manual"]}}), "minItems": 1},
    interruptible=FLAG,
    resource_group=TEXT,
    environment=closed(
        ["name"], name=TEXT, action={"enum": ["verify"]}, deployment_tier={"enum": ["production", "staging"]}
    ),
    script=TEXTS,
    artifacts=closed(
        ["when", "paths"],
        when={"enum": ["always", "on_failure", "on_success"]},
        expire_in=TEXT,
        paths=TEXTS,
        reports=closed(["junit"], junit=TEXT),
    ),
)
GITLAB = {
    "type": "object",
    "required": ["stages", "default"],
    "properties": {
        "stages": TEXTS,
        "variables": values({"anyOf": [TEXT, closed(["value"], value=TEXT, description=TEXT)]}),
        "default": closed([], image=TEXT, tags=TEXTS, before_script=TEXTS),
    },
    "additionalProperties": _GITLAB_JOB,
}

GITHUB_JOBS: dict[str, t.Any] = github()["jobs"]
GITLAB_JOBS: dict[str, t.Any] = {name: job for name, job in gitlab().items() if "script" in job}


def plays_of(scripts: t.Iterable[str]) -> list[list[str]]:
    """Return the words of those ``scripts`` that run a playbook."""
    return [shlex.split(script) for script in scripts if script.startswith("ansible-playbook ")]


def extra_variables(words: list[str]) -> dict[str, t.Any]:
    """Return the variables that a command sets with -e, as name=value or as JSON."""
    given: dict[str, t.Any] = {}
    for option, value in zip(words, words[1:], strict=False):
        if option == "-e":
            name, _equals, text = value.partition("=")
            given |= json.loads(value) if value.startswith("{") else {name: text}
    return given


def scripts() -> list[str]:
    """Return all that the two pipelines have a shell do, each text once."""
    of_github = [step["run"] for job in GITHUB_JOBS.values() for step in job["steps"] if "run" in step]
    of_gitlab = [line for job in GITLAB_JOBS.values() for line in job["script"]]
    return list(dict.fromkeys([*of_github, *of_gitlab, *gitlab()["default"]["before_script"]]))


@pytest.mark.parametrize(("pipeline", "schema"), [(github(), GITHUB), (gitlab(), GITLAB)], ids=["github", "gitlab"])
def test_pipeline_has_the_structure_that_is_asked_for(pipeline: dict[str, t.Any], schema: Schema) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(pipeline, schema)


def test_jobs_refer_to_what_is_there() -> None:
    assert {job["needs"] for job in GITHUB_JOBS.values() if "needs" in job} <= set(GITHUB_JOBS)
    assert [job["stage"] for job in GITLAB_JOBS.values()] == gitlab()["stages"]


@pytest.mark.parametrize("script", scripts())
def test_shell_is_well_formed(script: str) -> None:
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "${{" not in script, "an expression in a script is run as a part of it"


@pytest.mark.parametrize("words", plays_of(scripts()), ids=" ".join)
def test_playbook_and_variables_are_there(words: list[str]) -> None:
    assert (CHECKOUT / "playbooks" / f"{words[1].removeprefix(PREFIX)}.yml").is_file()
    assert words[2:7] == ["-i", "inventory.yml", "-b", "--limit", "$LIMIT"]
    assert set(extra_variables(words)) <= role_variables() | PLAYBOOK_VARIABLES


def test_both_run_the_same_playbooks() -> None:
    of_github = {name: plays_of(step.get("run", "") for step in job["steps"]) for name, job in GITHUB_JOBS.items()}
    of_gitlab = {name: plays_of(job["script"]) for name, job in GITLAB_JOBS.items()}
    assert {name: plays for name, plays in of_github.items() if plays} == of_gitlab
    names = [[words[1] for words in plays] for plays in of_gitlab.values()]
    assert names == [[f"{PREFIX}tune", f"{PREFIX}audit"]] * 2


def test_change_that_is_proposed_changes_nothing_on_the_routers() -> None:
    preview, audit = plays_of(GITLAB_JOBS["audit"]["script"])
    assert "--check" in preview
    assert audit[1] == f"{PREFIX}audit"
    assert not [words for words in plays_of(GITLAB_JOBS["tune"]["script"]) if "--check" in words]


def test_audit_fails_on_findings_and_writes_what_is_published() -> None:
    audit = extra_variables(plays_of(GITLAB_JOBS["audit"]["script"])[1])
    assert audit["fail_on"] == "high"
    assert {"json", "junit", "html"} <= set(audit["conntrack_audit_report_formats"])
    junit = f"{audit['conntrack_audit_report_name']}.xml"
    assert GITLAB_JOBS["audit"]["artifacts"]["reports"]["junit"] == f"conntrack-reports/{junit}"
    assert GITHUB_JOBS["publish"]["steps"][-1]["with"]["report_paths"] == junit


def test_tune_is_approved_and_alone() -> None:
    of_github, of_gitlab = GITHUB_JOBS["tune"], GITLAB_JOBS["tune"]
    assert of_github["environment"] == of_gitlab["environment"]["name"] == "routers"
    assert "refs/heads/main" in of_github["if"]
    assert of_github["concurrency"]["cancel-in-progress"] is False
    assert of_github["concurrency"]["group"] != GITHUB_JOBS["audit"]["concurrency"]["group"]
    assert [rule["when"] for rule in of_gitlab["rules"]] == ["manual"]
    assert of_gitlab["interruptible"] is False
    assert of_gitlab["resource_group"]


def test_key_is_given_to_the_playbooks_only() -> None:
    steps = [step for job in GITHUB_JOBS.values() for step in job["steps"]]
    plays = [step for step in steps if step.get("run", "").startswith("ansible-playbook ")]
    assert [step["env"] for step in plays] == [{"ANSIBLE_PRIVATE_KEY": "${{ secrets.CONNTRACK_SSH_KEY }}"}] * len(plays)
    assert yaml.safe_dump(github()).count("secrets.") == len(plays)
