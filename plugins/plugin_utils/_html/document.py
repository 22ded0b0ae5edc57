# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The fleet's document as one HTML file that needs nothing from elsewhere, for people to look at."""

from __future__ import annotations

import base64
import hashlib
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._html.components import Fleet
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.explanations import Explanations
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.fleet import header, overview
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.router import router_section
from ansible_collections.netops.conntrack.plugins.plugin_utils._html.table_contents import axes_of
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.charts import axis, hatching
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.markup import Html, element
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.script import SCRIPT
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.style import style
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Document

_NOTHING_ELSE = "default-src 'none'; base-uri 'none'; form-action 'none'"
_PLACES = {"Overview": "overview", "Routers": "routers", "Findings": "findings", "Details": "details"}


def as_html(document: Document) -> str:
    """Return the fleet's ``document`` (see roll_up) as a page in HTML. The same document gives the same bytes."""
    return "".join(html_parts(document))


def html_parts(document: Document) -> t.Iterator[str]:
    """Yield the page part by part: as one element, all of it would be copied many times."""
    fleet = Fleet.from_document(document)
    explained = Explanations(fleet)
    yield "<!doctype html>\n<html lang=en>"
    yield _head(document)
    yield element("svg", element("defs", hatching(), *map(axis, axes_of(fleet))), class_="defs", aria_hidden="true")
    yield header(fleet)
    yield _navigation()
    yield "<main>"
    yield from overview(fleet, explained)
    # Nearly all of a large page comes after this. The table can be sorted and filtered while a browser reads that.
    yield element("script", Html(SCRIPT))
    yield "<section id=details><h2>Details</h2>"
    for name, host in fleet.routers:
        yield router_section(fleet, name, host, explained)
    yield "</section></main>"
    yield element("footer", f"netops.conntrack, schema version {document['schema_version']}. The JSON report has all.")
    yield "</html>\n"


def _head(document: Document) -> Html:
    sheet = style()
    policy = f"{_NOTHING_ELSE}; style-src {_digest(sheet)}; script-src {_digest(SCRIPT)}"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width"),
        element("title", f"Connection tracking, {document['time']}"),
        element("style", Html(sheet)),
    )


def _digest(text: str) -> str:
    """Return what allows exactly this ``text`` in a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _navigation() -> Html:
    links = (element("a", title, href=f"#{place}") for title, place in _PLACES.items())
    return element("nav", element("div", *links), aria_label="Sections")
