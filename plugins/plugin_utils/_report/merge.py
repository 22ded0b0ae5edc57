# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""One report on the fleet from those of its slices, each of which was worked on by a run of its own."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import assemble, worst_of
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import (
    Document,
    Host,
    Rollout,
    Stop,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.upgrade import read_back

_SLICES = "conntrack_audit_slices"


def merge(documents: list[t.Any]) -> Document:
    """Return the document about the routers of all ``documents``, at the time of the last one.

    The batches of their roll-outs follow one another. The baseline is kept when it is that of them all.

    Raises OptionError for none, for one that is no such document or of a later version, for a router in two of them,
    and for reports with check mode beside reports without.
    """
    if not documents:
        raise OptionError(_SLICES, documents, "names no report", "Give the .json files of the slices.")
    return merge_read([read_back(document, f"{_SLICES}[{position}]") for position, document in enumerate(documents)])


def merge_read(slices: list[Document]) -> Document:
    """Return what ``merge`` does, of documents that were read back already, one at least."""
    baselines = [part["baseline"] for part in slices]
    merged = assemble(
        _hosts(slices),
        worst_of(item for part in slices for item in part["checks"].items()),
        max(part["time"] for part in slices),
        _check_mode(slices),
        _rollout([part["rollout"] for part in slices if part["rollout"]]),
    )
    return {**merged, "baseline": baselines[0] if baselines.count(baselines[0]) == len(baselines) else None}


def _hosts(slices: list[Document]) -> dict[str, Host]:
    hosts: dict[str, Host] = {}
    for part in slices:
        for host, report in part["hosts"].items():
            if host in hosts:
                remedy = "Give each router to one slice only, and leave out the reports of earlier runs."
                raise OptionError(_SLICES, host, "is in two of the reports", remedy)
            hosts[host] = report
    return hosts


def _check_mode(slices: list[Document]) -> bool:
    modes = {part["check_mode"] for part in slices}
    if len(modes) > 1:
        times = [part["time"] for part in slices if part["check_mode"]]
        problem = "were made with --check, and the others without"
        raise OptionError(_SLICES, times, problem, "Merge reports of one kind.")
    return modes.pop()


def _rollout(rollouts: list[Rollout]) -> Rollout | None:
    """Return the batches of all slices in one roll-out, in which the first stop has the number of its batch."""
    if not rollouts:
        return None
    batches: list[list[str]] = []
    stopped: Stop | None = None
    for rollout in rollouts:
        stop = rollout["stopped"]
        if stop and stopped:
            stopped = {"batch": stopped["batch"], "gates": stopped["gates"] + stop["gates"]}
        elif stop:
            stopped = {"batch": len(batches) + stop["batch"], "gates": stop["gates"]}
        batches += rollout["batches"]
    return {"batches": batches, "stopped": stopped}
