# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The options src, settings, match, exclude and select, made a file with a table and a selection of its entries."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._errors import UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._listing.listing import Listing, settings_of
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import Selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector.selection import selection_of


@contextlib.contextmanager
def selected_listing(params: t.Mapping[str, t.Any]) -> t.Iterator[tuple[Listing, Selection, Context]]:
    """Run the body with the file ``src``, the selection, and the context that decides it. The kernel is not asked.

    Raises OptionError for a bad selection, for settings that are none, and for a file that cannot be read.
    """
    settings = settings_of(params["settings"])
    with Listing(params["src"]) as listing:
        context = listing.context(settings)
        yield listing, selection_of(params, context), context


def with_listing(
    result: dict[str, t.Any], listing: Listing, selection: Selection, context: Context
) -> dict[str, t.Any]:
    """Return the ``result`` of a reading with the lines that were not understood, and warnings about what is unknown.

    Raises UnavailableError if there are undecidable entries and none is selected: then nobody knows what would be.
    """
    idle = " For idle, give the timeouts of the router as settings." if "idle" in selection.every_key else ""
    warnings = [*result.get("warnings", ()), *undecided(result, selection, idle)]
    if listing.not_understood:
        first = listing.not_understood_lines[0]
        number = "1 line was" if listing.not_understood == 1 else f"{listing.not_understood} lines were"
        warnings.append(f"src: {number} not understood. The first is line {first['line']}: {first['text']}")
    lines = {"not_understood": listing.not_understood, "not_understood_lines": listing.not_understood_lines}
    return {**result, **lines, "settings": dict(context.settings), **({"warnings": warnings} if warnings else {})}


def undecided(result: t.Mapping[str, t.Any], selection: Selection, hint: str = "") -> list[str]:
    """Return the warning about entries of a file that cannot be decided, with the ``hint``, if there are any.

    Raises UnavailableError if there are some and none is selected: then nobody knows what would be.
    """
    if not result["undecidable"]:
        return []
    keys = ", ".join(sorted(selection.every_key))
    problem = (
        f"src: {result['undecidable']} entries cannot be decided, because the file does not say what a selector "
        f"asks for ({keys}).{hint}"
    )
    if not result["matched"]:
        raise UnavailableError(problem, undecidable=result["undecidable"])
    return [problem]
