# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The filter conntrack_preparation: from what a router told of itself to what is done there, or undone."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import BECOME_ROOT
from ansible_collections.netops.conntrack.plugins.plugin_utils._preparation.found import (
    DIRECTORY,
    FILE,
    PACKAGE,
    PIP,
    TREE,
    USER,
    Found,
    Item,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._preparation.plan import Plan, plan_preparation
from ansible_collections.netops.conntrack.plugins.plugin_utils._preparation.undo import Undo, plan_undo


def preparation(answer: str, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the plan for one router as a dict, with what was found: ``pyroute2``, and whether that is ``usable``.

    ``answer`` is what look.py of the role printed there, and ``options`` has the variables of the role.
    Raises AnswerError if the router cannot have told that.
    """
    found = Found.from_answer(answer)
    plan: Plan | Undo = (plan_undo if options["state"] == "absent" else plan_preparation)(found, options)
    without_root = [] if found.uid == 0 else [f"Preparing a router needs root. {BECOME_ROOT}"]
    return {
        **dataclasses.asdict(plan),
        "problems": [*without_root, *plan.problems],
        "pyroute2": found.pyroute2,
        "python": found.python,
        "words": ", ".join(map(_words, plan.made)),
    }


def _words(item: Item) -> str:
    """Return something that the role made, as people would say it."""
    if item["kind"] in (FILE, DIRECTORY, TREE):
        return item["path"]
    return {PACKAGE: "the package {}", PIP: "{} with pip", USER: "the user {}"}[item["kind"]].format(item["name"])
