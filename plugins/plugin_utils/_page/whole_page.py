# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The fleet's document as a page for people: the routers, what was found, what was changed, what was not done."""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import Block, Paragraph
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.changes import (
    deletions,
    foretold,
    kept_entries,
    settings_changed,
    shortened,
    sizings,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.explanations import what_fills_tables
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.findings import (
    checks_found,
    counted_by_selectors,
    unknown_checks,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.parts import more_in_document, section, title_of
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.routers import (
    headline,
    no_conntrack,
    not_done,
    overview,
    rollout,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.trend import since_baseline
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Document
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import worst_first
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import AUDIT_FIRST, findings_by_check

_MOST_EXPLAINED = 10
"""Routers of which it is said what fills their table, the worst ones."""


def page(document: Document) -> list[Block]:
    """Return the fleet's ``document`` (see roll_up) as a page without markup: its sections, the worst routers first."""
    document = {**document, "hosts": dict(worst_first(document))}
    check_mode, by_check = document["check_mode"], findings_by_check(document)
    return [
        *headline(document),
        *section("The roll-out", rollout(document)),
        *section(title_of(document, "The routers"), overview(document)),
        *_what_fills_tables(document),
        *_not_done(document),
        *section("Connections are not tracked", no_conntrack(document)),
        *section(title_of(document, "Found"), checks_found(document, by_check)),
        *section("Could not be evaluated", unknown_checks(document, by_check)),
        *section(title_of(document, "Counted by selectors"), counted_by_selectors(document)),
        *since_baseline(document),
        *section("Settings that would change" if check_mode else "Settings changed", settings_changed(document)),
        *section("Size of the table", sizings(document)),
        *section("What these settings do to the entries", foretold(document)),
        *section("Timeouts that would be shortened" if check_mode else "Timeouts shortened", shortened(document)),
        *section("Entries that would be deleted" if check_mode else "Entries deleted", deletions(document)),
        *section("Entries that stay", kept_entries(document)),
    ]


def _not_done(document: Document) -> list[Block]:
    items = not_done(document)
    return [*section("Not done", items), *([Paragraph(AUDIT_FIRST)] if items.items else [])]


def _what_fills_tables(document: Document) -> list[Block]:
    items, more = what_fills_tables(document, _MOST_EXPLAINED)
    return [*section("What fills the tables", items), *more_in_document(more)]
