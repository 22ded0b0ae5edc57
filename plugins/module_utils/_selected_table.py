# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The options netns, match, exclude and select, made a table and a selection of its entries."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import Selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector.selection import selection_of
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table

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
