# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The fleet's document in every format that there is."""

from __future__ import annotations

import functools
import json
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._csv import as_csv
from ansible_collections.netops.conntrack.plugins.plugin_utils._html import as_html
from ansible_collections.netops.conntrack.plugins.plugin_utils._junit import as_junit
from ansible_collections.netops.conntrack.plugins.plugin_utils._markup import Block, as_markdown, as_text
from ansible_collections.netops.conntrack.plugins.plugin_utils._page import page
from ansible_collections.netops.conntrack.plugins.plugin_utils._prometheus import as_prometheus
from ansible_collections.netops.conntrack.plugins.plugin_utils._report import Record


def render(document: Record, style: str = "text", fail_on: str = "") -> str:
    """Give the fleet's ``document`` (see roll_up) as ``text`` for a terminal, or in another one of the formats.

    ``fail_on`` is for ``junit``: see there. Raises OptionError for any other style, and for a ``fail_on`` that is no
    severity.
    """
    if style not in _WRITERS:
        raise OptionError("style", style, "is unknown", f"Give one of {', '.join(_WRITERS)}.")
    return as_junit(document, fail_on) if style == "junit" else _WRITERS[style][1](document)


def _as_page(write: t.Callable[[Block], str], document: Record) -> str:
    return "\n\n".join(map(write, page(document))) + "\n"


def _as_json(document: Record) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n"


_WRITERS: dict[str, tuple[str, t.Callable[[Record], str]]] = {
    "json": ("json", _as_json),
    "html": ("html", as_html),
    "markdown": ("md", functools.partial(_as_page, as_markdown)),
    "text": ("txt", functools.partial(_as_page, as_text)),
    "csv": ("csv", as_csv),
    "prometheus": ("prom", as_prometheus),
    "junit": ("xml", as_junit),
}
"""By style, the ending of its files, and what writes it."""

ENDINGS = {style: ending for style, (ending, _writer) in _WRITERS.items()}
"""The endings of files by style. What can be had in no other way comes first."""
