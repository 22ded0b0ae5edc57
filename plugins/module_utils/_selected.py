# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The options netns, match and exclude, made a table and a selection of its entries."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._selector import Selection, compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector_keys import Context
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._writable import WritableTable


class Selected(t.NamedTuple):
    """An open table, which of its entries are selected, and the context that decides it."""

    table: WritableTable
    selection: Selection
    context: Context


@contextlib.contextmanager
def selected(params: t.Mapping[str, t.Any]) -> t.Iterator[Selected]:
    """Run the body in the namespace of the options, with its table.

    Raises OptionError for a bad selection, UnavailableError where there is no such namespace or table, or where a
    switch is off without which the selection cannot be decided, NotPermittedError without the right to enter.
    """
    with inside(params["netns"]):
        context = Context.read(read_settings())
        selection = compile_selection(params["match"], params["exclude"], context)
        with WritableTable() as table:
            selection.require(context.settings)
            yield Selected(table, selection, context)
