# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The gates of a roll-out, which are data: whether a router is still healthy after its change."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import SEVERITIES, find

_WRAP = 1 << 32
"""The kernel's counters are 32 bits wide for each processor."""

_ALWAYS = (
    {
        "id": "steps",
        "title": "A step of the change failed",
        "when": "failure != `null`",
        "value": "failure.step",
        "severity": "critical",
        "advice": "Look at the router, then run the playbook again for those that are left.",
    },
    {
        "id": "facts",
        "title": "Facts can no longer be gathered",
        "when": "after == `null`",
        "value": "error",
        "severity": "critical",
        "advice": "The router does not answer, or answers with an error. Look at it over its console.",
    },
)
"""Gates that no list can leave out: without them a router that is gone would be one on which nothing was found."""

_NOT_EVALUATED = {
    "id": "gates",
    "title": "The gates could not be evaluated",
    "status": "finding",
    "severity": "critical",
    "value": None,
    "reason": None,
}

_STOP_KEYS = ("id", "title", "value", "reason")

Facts = t.Mapping[str, t.Any]
Counters = t.Mapping[str, int]
Results = t.Mapping[str, t.Sequence[t.Mapping[str, t.Any]]]
"""What ``health`` gave, by router."""


def health(
    gates: list[t.Any],
    before: Facts | None = None,
    reference: Facts | None = None,
    after: Facts | None = None,
    new_connection: bool | None = None,
    failure: t.Mapping[str, t.Any] | None = None,
    error: str | None = None,
) -> list[dict[str, t.Any]]:
    """Evaluate ``gates``, which have the form of audit checks, on one router. The worst comes first.

    Before them come ``steps``, a finding if there is a failure, and ``facts``, one if nothing was measured afterwards.

    The facts are those of conntrack_facts, or an audit: measured ``before`` the change, right after it as the
    ``reference``, and ``after`` it has settled. ``new_connection`` is whether the router can be reached over a new
    connection, ``failure`` the step that failed, with its message, and ``error`` why it could not be measured after the
    change. What is null or empty is unknown. The gates see all of that by these names, and under ``change`` how much
    each counter grew since the reference. One with status ``finding`` stops the roll-out.

    Raises OptionError for a gate that is not sound.
    """
    document = {
        "before": before or None,
        "reference": reference or None,
        "after": after or None,
        "change": change((reference or {}).get("stats"), (after or {}).get("stats")),
        "new_connection": new_connection,
        "failure": failure or None,
        "error": error or None,
    }
    return find(document, [*_ALWAYS, *gates])


def change(before: Facts | None, after: Facts | None) -> dict[str, int | None]:
    """Return how much each counter of ``stats`` grew, by name. Empty if either was not measured.

    They are all None if they were reset in between, as by a reboot: how much they grew is unknown then.
    """
    if not before or not after:
        return {}
    old, new = _processors(before), _processors(after)
    if old and old.keys() == new.keys():
        growths = [_growth(old[cpu], new[cpu], _WRAP) for cpu in old]
    else:
        # A sum over processors does not tell how many of them wrapped.
        growths = [_growth(before["total"], after["total"], 0)]
    if None in growths:
        return dict.fromkeys(after["total"])
    return {name: sum(growth[name] for growth in growths if growth) for name in after["total"]}


def _processors(stats: Facts) -> dict[int, Counters]:
    return {
        counters["cpu"]: {name: count for name, count in counters.items() if name != "cpu"}
        for counters in stats.get("per_cpu") or []
    }


def _growth(old: Counters, new: Counters, wrap: int) -> Counters | None:
    """Return how much each counter grew. None if they were reset: other counters, or one decreased without a wrap.

    A counter wraps from the upper half of ``wrap`` to the lower one. It is 0 for a counter that cannot wrap.
    """
    if old.keys() != new.keys():
        return None
    growth = {name: count - old[name] + (wrap if count < wrap // 2 <= old[name] else 0) for name, count in new.items()}
    return growth if min(growth.values(), default=0) >= 0 else None


def stop_reasons(results: Results) -> list[dict[str, t.Any]]:
    """Return why a roll-out stops: the gates that are findings in the results of ``health`` by host, worst first.

    Each has ``host``, ``id``, ``title``, ``value`` and ``reason``. There are none when it goes on. A host without gates
    stops it, for these could not be evaluated.
    """
    evaluated = {host: gates or [_NOT_EVALUATED] for host, gates in results.items()}
    found = [(host, gate) for host, gates in evaluated.items() for gate in gates if gate["status"] == "finding"]
    found.sort(key=lambda stop: (SEVERITIES.index(stop[1]["severity"]), stop[0], stop[1]["id"]))
    return [{"host": host, **{key: gate[key] for key in _STOP_KEYS}} for host, gate in found]


def stopped(results: Results, batches: list[list[str]]) -> dict[str, t.Any] | None:
    """Return the stop of a roll-out at the batch of ``results`` (of ``health``, by host), or None if it goes on.

    It has the number of the ``batch`` among ``batches``, from 1, and the ``gates`` as ``stop_reasons`` gives them.
    """
    gates = stop_reasons(results)
    if not gates:
        return None
    number = next(number for number, batch in enumerate(batches, 1) if gates[0]["host"] in batch)
    return {"batch": number, "gates": gates}
