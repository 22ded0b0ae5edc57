# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What the roles registered on the routers, as records for the report."""

from __future__ import annotations

import collections.abc
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._filter import plain
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Failure, Rollout
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.record_shape import failed, sound
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.record_types import RouterRecord

Variables = t.Mapping[str, t.Any]

_STEPS = {"before": "Measure and check", "after": "Measure and check after the change"}
"""What an audit that got no answer is called in the report: the name of its task."""

_FAILURE = ("step", "message", "unreachable")
"""What the report has of a failure."""

VARIABLES = (
    "conntrack_audit_before",
    "conntrack_audit_after",
    "conntrack_audit_failure",
    "conntrack_audit_health",
    "conntrack_prune_result",
    "conntrack_tune_result",
)
"""What a record is made of."""

_PREFIX = re.compile(r"^((Task|Action) failed: )+")
"""What Ansible puts before every message."""


def record(variables: Variables) -> RouterRecord:
    """Return the record of a router (see roll_up) from its ``variables``. Empty if no role left any.

    The variables are results of tasks. Facts that a router returned can have their names, and then nothing counts.
    """
    facts = variables.get("ansible_facts") or {}
    for name in VARIABLES:
        if name in facts:
            return failed(f"Its facts are malformed (ansible_facts.{name}: only a task of the controller sets that).")
    audits = {phase: variables.get(f"conntrack_audit_{phase}") or {} for phase in _STEPS}
    failure = variables.get("conntrack_audit_failure") or {}
    if not all(isinstance(part, collections.abc.Mapping) for part in (*audits.values(), failure)):
        return failed("Its record is malformed (a result in it is no mapping).")
    failure = failure or _not_answered(audits) or {}
    no_conntrack = _no_conntrack(audits, failure)
    return sound(
        {
            "before": audits["before"].get("audit"),
            "after": audits["after"].get("audit"),
            "tune": variables.get("conntrack_tune_result"),
            "prune": variables.get("conntrack_prune_result"),
            "health": variables.get("conntrack_audit_health"),
            "failure": None if no_conntrack else _in_one_line(failure),
            "no_conntrack": no_conntrack,
        }
    )


def _in_one_line(failure: Variables) -> dict[str, t.Any]:
    """Return what the report has of a failure, the lines of its message joined: what ssh and sudo say has several."""
    reported = {key: failure[key] for key in _FAILURE if key in failure}
    message = reported.get("message")
    return {**reported, "message": " ".join(message.split("\n"))} if isinstance(message, str) else reported


def _no_conntrack(audits: t.Mapping[str, Variables], failure: Variables) -> str | None:
    """Return why a router has nothing to look at or to change, if an audit or the step that failed said so."""
    for audit in audits.values():
        if audit.get("no_conntrack"):
            return _text(audit.get("msg"))
    return _text(failure.get("message")) if failure.get("no_conntrack") else None


def _not_answered(audits: t.Mapping[str, Variables]) -> Failure | None:
    """Return the failure of the first audit that was not done, after which the play went on with the others."""
    for phase, measured in audits.items():
        if measured.get("unreachable") or measured.get("failed"):
            message = _PREFIX.sub("", _text(measured.get("msg")))
            return {"step": _STEPS[phase], "message": message, "unreachable": bool(measured.get("unreachable"))}
    return None


def _text(message: t.Any) -> str:
    return message if isinstance(message, str) and message else "no answer"


def left_out(variables: Variables) -> dict[str, str]:
    """Return the routers that the plan left alone, each with the reason, from the variables of the controller."""
    reasons: dict[str, str] = plain(variables.get("conntrack_audit_left_out") or {})
    return reasons


def rollout(variables: Variables) -> Rollout | None:
    """Return the batches of this run and where it was stopped, from the controller's variables. None without any."""
    batches = variables.get("conntrack_audit_batches")
    if not batches:
        return None
    given: Rollout = plain({"batches": batches, "stopped": variables.get("conntrack_audit_stopped") or None})
    return given
