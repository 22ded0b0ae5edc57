# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The options netns, match, exclude and select, made a table and a selection of its entries."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
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
    table, NotPermittedError without the right to enter.
    """
    with inside(params["netns"]):
        context = Context.read(read_settings())
        selection = selection_of(params, context, or_all=or_all)
        with open_table() as table:
            yield table, selection, context
