# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Making entries that are described, without touching one that is in the table."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.restore import (
    RestoreOutcome,
    make_entries,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.restore_plan import RestorePlan, Words
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.restore_survey import RestoreSurvey
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._listing.decoder import Decoder
from ansible_collections.netops.conntrack.plugins.module_utils._listing.entry_lines import line_of
from ansible_collections.netops.conntrack.plugins.module_utils._listing.rows import RowWriter
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import WritableTable

_WORDS = Words("created", "would_create", "entries")
_COUNTS = ("existing", "would_create", "created", "refused", "without_labels")


def blocks_of(entries: t.Sequence[t.Any]) -> list[Block]:
    """Return the blocks of entries that are dicts, as ``line_of`` takes them. Raises OptionError, which names one."""
    lines = [line_of(entry, f"entries[{number}]") for number, entry in enumerate(entries)]
    for number, entry in enumerate(entries):
        if entry.get("remaining") is None:
            remedy = "Give the seconds that it is to have left, such as 1h."
            raise OptionError(f"entries[{number}].remaining", None, "is missing", remedy)
    decoded = Decoder().decode("".join(f"{line}\n" for line in lines).encode("ascii"))
    for number, _line in decoded.not_understood:
        problem = "cannot be made an entry"
        raise OptionError(f"entries[{number - 1}]", entries[number - 1], problem, "Compare it with one of the table.")
    return [Block(RowWriter(form).layout, rows) for form, rows in decoded.rows]


class CreateOutcome(RestoreOutcome):
    """What became of the entries, or would become of them where it is not done."""

    def counts(self) -> dict[str, t.Any]:
        """Return what the result counts."""
        counts = super().counts()
        return {"wanted": counts["entries"], **{name: counts[name] for name in _COUNTS}}


def create(table: WritableTable, blocks: t.Iterable[Block], context: Context, dry_run: bool) -> CreateOutcome:
    """Make the entries of ``blocks_of`` that the table does not have, unless it is a dry run.

    Raises what ``make_entries`` raises.
    """
    every_entry = compile_selection(None, [], context, "", [])
    survey = RestoreSurvey(RestorePlan(every_entry, written_at=0, elapsed=0, words=_WORDS))
    for block in blocks:
        survey.add(block)
    return CreateOutcome(**vars(make_entries(table, survey, (), dry_run)))
