# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What the roles registered on the routers, as records for the report."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._filter import plain

Variables = t.Mapping[str, t.Any]

_STEPS = {"before": "Measure and check", "after": "Measure and check after the change"}
"""What an audit that got no answer is called in the report: the name of its task."""

_PREFIX = re.compile(r"^((Task|Action) failed: )+")
"""What Ansible puts before every message."""


def record(variables: Variables) -> dict[str, t.Any]:
    """Give the record of a router (see roll_up) from its ``variables``; empty if no role has left anything there."""
    audits = {phase: variables.get(f"conntrack_audit_{phase}") or {} for phase in _STEPS}
    found = {
        "before": audits["before"].get("audit"),
        "after": audits["after"].get("audit"),
        "tune": variables.get("conntrack_tune_result"),
        "prune": variables.get("conntrack_prune_result"),
        "health": variables.get("conntrack_audit_health"),
        "failure": variables.get("conntrack_audit_failure") or _not_answered(audits),
    }
    given: dict[str, t.Any] = plain({key: value for key, value in found.items() if value})
    return given


def _not_answered(audits: t.Mapping[str, Variables]) -> dict[str, t.Any] | None:
    """Give the failure of the first audit that was not done, after which the play went on with the others."""
    for phase, measured in audits.items():
        if measured.get("unreachable") or measured.get("failed"):
            message = _PREFIX.sub("", measured.get("msg") or "no answer")
            return {"step": _STEPS[phase], "message": message, "unreachable": bool(measured.get("unreachable"))}
    return None


def left_out(variables: Variables) -> list[str]:
    """Give the routers that the plan left alone because the other half of their pair is down, from those variables."""
    hosts: list[str] = plain(variables.get("conntrack_audit_left_out") or [])
    return hosts


def rollout(variables: Variables) -> dict[str, t.Any] | None:
    """Give the batches of this run and where it was stopped, from the variables of the controller; None without any."""
    batches = variables.get("conntrack_audit_batches")
    if not batches:
        return None
    given: dict[str, t.Any] = plain({"batches": batches, "stopped": variables.get("conntrack_audit_stopped") or None})
    return given
