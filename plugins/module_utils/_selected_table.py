# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The options netns or src, match, exclude and select, made a table or a file and a selection of its entries."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError, UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._listing.listing import Listing, settings_of
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import (
    Selection,
    compile_selection,
    refuse_null,
)
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table


def selection_of(params: t.Mapping[str, t.Any], context: Context, option: str = "", or_all: bool = True) -> Selection:
    """Return what the options of a selection select. ``option`` is where they stand, for errors.

    ``or_all`` says that without match and select all entries are meant, instead of none. Raises OptionError.
    """
    refuse_null(params, ("exclude",), option)
    if not or_all and params["match"] is None and not params["select"]:
        remedy = 'Give match or select. For all entries: match="family=ipv4,ipv6".'
        raise OptionError(f"{option}.match" if option else "match", None, "selects nothing", remedy)
    return compile_selection(params["match"], params["exclude"], context, option, params["select"])


Opened = t.TypeVar("Opened", bound=Table)


@contextlib.contextmanager
def selected(
    params: t.Mapping[str, t.Any], open_table: t.Callable[[], Opened], or_all: bool = True
) -> t.Iterator[tuple[Opened, Selection, Context]]:
    """Run the body in the namespace of the options, with its table, the selection and the context that decides it.

    ``open_table`` is Table for a body that only reads, and WritableTable for one that changes entries.
    Raises OptionError for a bad selection (see ``selection_of``), UnavailableError where there is no such namespace or
    table, NotPermittedError without the right to enter, or to read what a selector by ``idle`` needs.
    """
    with inside(params["netns"]):
        context = Context.read(read_settings())
        selection = selection_of(params, context, or_all=or_all)
        if "idle" in selection.every_key:
            context.timeouts.record.require("idle")
        with open_table() as table:
            yield table, selection, context


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
