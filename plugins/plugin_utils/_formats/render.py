# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The fleet's document in every format that there is."""

from __future__ import annotations

import functools
import traceback
import typing as t

from ansible.utils.display import Display
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    OptionError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import with_short_texts
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.csv import csv_parts
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.json import json_parts
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.junit import junit_parts
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.prometheus import prometheus_parts
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.document import html_parts
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import Block, as_markdown, as_text
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.first_screen import first_screen
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.whole_page import page
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Document


def render(document: Document, style: str = "text", fail_on: str = "") -> str:
    """Return the fleet's ``document`` (see roll_up) as ``text`` for a terminal, or in another one of the formats.

    All but ``json`` are for people and programs that show it: there a text of excessive length is cut. ``fail_on`` is
    for ``junit``: see there. Raises OptionError for any other style, and for a ``fail_on`` that is no severity.
    """
    return "".join(_parts(document, style, fail_on))


def parts_or_say_why(document: Document, style: str, fail_on: str = "") -> t.Iterator[str]:
    """Yield what ``render`` returns, part by part: of a large fleet, all of it is more than the document itself.

    Raises UnavailableError where a writer fails for whatever reason, also if that is after some parts.
    """
    return _or_say_why(style, lambda: _parts(document, style, fail_on))


def render_or_say_why(document: Document, style: str) -> str:
    """Return what ``render`` does. Raises UnavailableError where a writer fails for whatever reason."""
    return "".join(parts_or_say_why(document, style))


def first_screen_or_say_why(document: Document) -> str:
    """Return of the page for a terminal what fits a screen. Raises UnavailableError where that fails."""
    return "".join(_or_say_why("text", lambda: [first_screen(with_short_texts(document))]))


def _parts(document: Document, style: str, fail_on: str) -> t.Iterable[str]:
    if style not in _WRITERS:
        raise OptionError("style", style, "is unknown", f"Give one of {', '.join(_WRITERS)}.")
    if style == "json":
        return json_parts(document)
    shown = with_short_texts(document)
    return junit_parts(shown, fail_on) if style == "junit" else _WRITERS[style][1](shown)


def _or_say_why(style: str, write: t.Callable[[], t.Iterable[str]]) -> t.Iterator[str]:
    try:
        yield from write()
    except ConntrackError:
        raise
    except Exception as error:
        Display().vvv(f"The format {style} cannot be written: {traceback.format_exc()}")
        raise UnavailableError(
            "something in the document cannot be shown in this format. The JSON report has all. Please report this, "
            "with what -vvv says of it"
        ) from error


def _page_parts(write: t.Callable[[Block], str], document: Document) -> list[str]:
    return ["\n\n".join(map(write, page(document))), "\n"]


_WRITERS: dict[str, tuple[str, t.Callable[[Document], t.Iterable[str]]]] = {
    "json": ("json", json_parts),
    "html": ("html", html_parts),
    "markdown": ("md", functools.partial(_page_parts, as_markdown)),
    "text": ("txt", functools.partial(_page_parts, as_text)),
    "csv": ("csv", csv_parts),
    "prometheus": ("prom", prometheus_parts),
    "junit": ("xml", junit_parts),
}
"""By style, the ending of its files, and what writes it."""

ENDINGS = {style: ending for style, (ending, _writer) in _WRITERS.items()}
"""The endings of files by style. What can be had in no other way comes first."""
