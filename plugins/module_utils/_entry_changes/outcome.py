# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The account of a change to many entries: what they are counted by, and what became of them."""

from __future__ import annotations

import collections
import contextlib
import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._interrupt import Interrupted, note
from ansible_collections.netops.conntrack.plugins.module_utils._table.requests import Tag
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import Outcomes
from ansible_collections.netops.conntrack.plugins.module_utils._uapi import SEEN_REPLY


class Group(t.NamedTuple):
    """What the diff counts by."""

    family: str
    protocol: str
    state: str
    replied: str

    @classmethod
    def from_entry(cls, entry: Entry) -> Group:
        """Return the group that the entry is in. It has the fields of GROUP_FIELDS."""
        replied = "" if entry.status is None or entry.status & SEEN_REPLY else "unreplied"
        return cls(entry.family_name, entry.protocol_name, entry.state_name or "", replied)

    def __str__(self) -> str:
        return " ".join(word for word in self if word)


_LASTING = {
    "deleted": "They do not come back by themselves. Run it again for the rest.",
    "created": "They stay. Run it again for the rest.",
    "restored": "They stay. Run it again for the rest.",
    "updated": "They keep what they were given. Run it again for the rest.",
}
"""What is said of the entries to which something was done before a signal came."""

AsResult = t.Callable[[int], dict[str, t.Any]]
"""Makes a part of the module's answer of how many it was done to."""

GROUP_FIELDS = frozenset({"family", "protocol", "state", "status"})


def diff_lines(counts: t.Mapping[t.Any, int]) -> str:
    """Return one side of a diff: a line with the number of each kind of entry."""
    return "".join(f"{number}  {kind}\n" for kind, number in sorted(counts.items()))


def diff_of(before: t.Mapping[t.Any, int], fewer: t.Mapping[t.Any, int]) -> dict[str, str]:
    """Return the diff of those kinds of entries of which there are ``fewer`` than before."""
    changed = {kind: before[kind] for kind, number in fewer.items() if number}
    left = {kind: number - fewer[kind] for kind, number in changed.items()}
    return {"before": diff_lines(changed), "after": diff_lines(left)}


@contextlib.contextmanager
def counting_outcomes(
    done: str, selected: int | None = None, what: str = "entries", as_result: AsResult | None = None
) -> t.Iterator[Outcomes[t.Any]]:
    """Yield a counter for the outcomes of requests. An error or a signal that ends them gets the number already done.

    ``done`` is what was done to an entry, such as "deleted". ``selected`` is how many are meant, where that is known.
    ``what`` they are called, where they are no entries. ``as_result`` makes the module's answer of the number, where
    that is not the number by the name of ``done``.
    """
    outcomes: Outcomes[t.Any] = collections.Counter()
    as_result = as_result or (lambda number: {"changed": bool(number), done: number})
    try:
        yield outcomes
        note(_account(outcomes, done, selected, what), as_result(count_of(outcomes, 0)))
    except Interrupted as interrupted:
        interrupted.account = _account(outcomes, done, selected, what)
        interrupted.result = as_result(count_of(outcomes, 0))
        raise
    except ConntrackError as error:
        number = count_of(outcomes, 0)
        error.result.update(as_result(number))
        error.message += f" At least {number} {what} had been {done} by then."
        raise


def _account(outcomes: Outcomes[t.Any], done: str, selected: int | None, what: str) -> str:
    """Return what was done to entries so far, in words."""
    number = count_of(outcomes, 0)
    of_all = "" if selected is None else f" of {selected:,}"
    return f"{number:,}{of_all} selected {what} were {done} by then. {_LASTING[done]}"


def count_of(outcomes: Outcomes[Tag], *numbers: int) -> int:
    """Return how many ended with one of these errnos."""
    return sum(count for (_tag, number), count in outcomes.items() if number in numbers)


def successes(outcomes: Outcomes[Tag]) -> collections.Counter[Tag]:
    """Return how many succeeded, by their tag."""
    return collections.Counter({tag: count for (tag, number), count in outcomes.items() if number == 0})


def raise_on_failures(
    result: dict[str, t.Any],
    outcomes: Outcomes[Tag],
    expected: t.Container[int],
    done: str,
    what: str = "entries",
) -> None:
    """Raise ConntrackError, with the result, if the kernel refused requests by an errno that is not an expected one.

    ``done`` is what the result calls those with success, such as "deleted". ``what`` they are called, if not entries.
    """
    failures: collections.Counter[str] = collections.Counter()
    for (_tag, number), count in outcomes.items():
        if number not in expected:
            failures[os.strerror(number)] += count
    if failures:
        reasons = ", ".join(f"{number} times {reason!r}" for reason, number in sorted(failures.items()))
        raise ConntrackError(
            f"The kernel refused {sum(failures.values())} of {sum(outcomes.values())} requests: {reasons}. "
            f"{result[done]} {what} were {done}. Run the module again for the rest.",
            **result,
            failures=dict(failures),
        )
