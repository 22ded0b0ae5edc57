# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The fleet's document in every format that there is."""

from __future__ import annotations

import functools
import json
import math
import traceback
import typing as t

from ansible.utils.display import Display
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    OptionError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import with_short_texts
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.csv import as_csv
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.junit import as_junit
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.prometheus import as_prometheus
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.document import as_html
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import Block, as_markdown, as_text
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.first_screen import first_screen
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.whole_page import page
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Document

_DEEPEST = 100
"""Levels of lists and objects in a document that is written as it is. What is deeper is no part of a report."""


def render(document: Document, style: str = "text", fail_on: str = "") -> str:
    """Return the fleet's ``document`` (see roll_up) as ``text`` for a terminal, or in another one of the formats.

    All but ``json`` are for people and programs that show it: there a text of excessive length is cut. ``fail_on`` is
    for ``junit``: see there. Raises OptionError for any other style, and for a ``fail_on`` that is no severity.
    """
    if style not in _WRITERS:
        raise OptionError("style", style, "is unknown", f"Give one of {', '.join(_WRITERS)}.")
    if style == "json":
        return _as_json(document)
    shown = with_short_texts(document)
    return as_junit(shown, fail_on) if style == "junit" else _WRITERS[style][1](shown)


def render_or_say_why(document: Document, style: str, fail_on: str = "") -> str:
    """Return what ``render`` does. Raises UnavailableError where a writer fails for whatever reason."""
    return _or_say_why(style, lambda: render(document, style, fail_on))


def first_screen_or_say_why(document: Document) -> str:
    """Return of the page for a terminal what fits a screen. Raises UnavailableError where that fails."""
    return _or_say_why("text", lambda: first_screen(with_short_texts(document)))


def _or_say_why(style: str, write: t.Callable[[], str]) -> str:
    try:
        return write()
    except ConntrackError:
        raise
    except Exception as error:
        Display().vvv(f"The format {style} cannot be written: {traceback.format_exc()}")
        raise UnavailableError(
            "something in the document cannot be shown in this format. The JSON report has all. Please report this, "
            "with what -vvv says of it"
        ) from error


def _as_page(write: t.Callable[[Block], str], document: Document) -> str:
    return _written(write, page(document))


def _written(write: t.Callable[[Block], str], blocks: t.Iterable[Block]) -> str:
    return "\n\n".join(map(write, blocks)) + "\n"


def _as_json(document: Document) -> str:
    """Return the document as JSON. What JSON does not have is null there: unknown."""
    try:
        return _dumped(document)
    except (RecursionError, TypeError, ValueError):
        return _dumped(_as_json_can_be(document, _DEEPEST))


def _dumped(document: Document) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n"


def _as_json_can_be(value: t.Any, levels: int) -> t.Any:
    if isinstance(value, dict) and levels:
        return {str(key): _as_json_can_be(item, levels - 1) for key, item in value.items()}
    if isinstance(value, list) and levels:
        return [_as_json_can_be(item, levels - 1) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (str, int)) else None


_WRITERS: dict[str, tuple[str, t.Callable[[Document], str]]] = {
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
