# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What the options match, exclude and select of a module select."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import (
    Selection,
    compile_selection,
    refuse_null,
)


def selection_of(params: t.Mapping[str, t.Any], context: Context, option: str = "", or_all: bool = True) -> Selection:
    """Return what the options of a selection select. ``option`` is where they stand, for errors.

    ``or_all`` says that without match and select all entries are meant, instead of none. Raises OptionError.
    """
    refuse_null(params, ("exclude",), option)
    if not or_all and params["match"] is None and not params["select"]:
        remedy = 'Give match or select. For all entries: match="family=ipv4,ipv6".'
        raise OptionError(f"{option}.match" if option else "match", None, "selects nothing", remedy)
    return compile_selection(params["match"], params["exclude"], context, option, params["select"])
