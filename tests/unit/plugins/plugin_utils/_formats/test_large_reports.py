# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a router sends too much of makes no report large, and none of them slow."""

from __future__ import annotations

import json
import pathlib
import time
import tracemalloc

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import with_short_texts
from ansible_collections.netops.conntrack.plugins.plugin_utils._callback.figures import summary
from ansible_collections.netops.conntrack.plugins.plugin_utils._callback.fleet_table import table
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.render import (
    ENDINGS,
    parts_or_say_why,
    render,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.report_files import write_file
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.trend import compare
from helpers.documents import Document, fleet_document, under_other_names
from helpers.oversized_documents import KINDS, ROUTER, TEXTS, large_document

MANY, LONG = 20_000, 4_000_000
"""How many of a kind there are, and how many characters a text has."""

ROUTERS = 600
"""More than have their sections ready when the page opens."""

SECONDS = 15
"""What a linear writer needs a tenth of, and a quadratic one many times."""

PAGES = {"text": 150_000, "markdown": 200_000, "html": 900_000, "csv": 50_000, "prometheus": 600_000}
"""The most characters that a page about these routers has, whatever one of them sent."""


@pytest.fixture(scope="module", params=KINDS)
def document(request: pytest.FixtureRequest) -> Document:
    return large_document(request.param, LONG if request.param in TEXTS else MANY)


@pytest.mark.slow
@pytest.mark.parametrize("style", ENDINGS)
def test_each_format_is_written_in_linear_time_and_bounded(document: Document, style: str) -> None:
    began = time.process_time()
    text = render(document, style)
    assert time.process_time() - began < SECONDS
    assert len(text) < PAGES.get(style, len(json.dumps(document)) * 2)
    honest = [name for name in document["hosts"] if name != ROUTER]
    if style not in ("text", "markdown"):
        assert all(name in text for name in honest)


def test_the_terminal_is_drawn_in_linear_time_and_bounded(document: Document) -> None:
    began = time.process_time()
    text = table(summary(document) | {"not_written": {"html": "A" * LONG}}, 100, colour=False, unicode=True)
    assert time.process_time() - began < SECONDS
    assert len(text) < 30_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS])
def test_the_json_report_has_all(kind: str) -> None:
    document = large_document(kind, 5_000)
    assert json.loads(render(document, "json")) == json.loads(json.dumps(document))


@pytest.mark.parametrize(
    ("kind", "style", "words"),
    [
        ("values", "text", "name9, and 4,990 more)"),
        ("states", "html", "And 4,951 more, which the JSON report has."),
        ("drift", "html", "and 4,950 more"),
        ("gates", "text", "and 4990 more"),
        ("findings", "html", "And 4,900 more, which the JSON report has."),
        ("one word", "text", "characters left out] AAA"),
    ],
)
def test_what_is_not_shown_is_counted(kind: str, style: str, words: str) -> None:
    assert words in " ".join(render(large_document(kind, 5_000), style).split())


@pytest.mark.slow
def test_an_honest_report_is_not_cut() -> None:
    text = "".join(render(fleet_document(40), style) for style in ENDINGS)
    assert "characters left out" not in text
    assert "which the JSON report has" not in text
    assert "left_out_samples" not in text


@pytest.mark.slow
@pytest.mark.parametrize(("style", "share"), [("html", 0.25), ("json", 0.05), ("junit", 0.2)])
def test_no_file_of_a_large_fleet_is_in_memory_as_a_whole(tmp_path: pathlib.Path, style: str, share: float) -> None:
    document = under_other_names(fleet_document(40), ROUTERS)
    path = tmp_path / "report"
    tracemalloc.start()
    try:
        write_file(str(path), parts_or_say_why(document, style), 0o600)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < share * path.stat().st_size


def test_a_router_of_which_nothing_is_too_long_is_not_copied() -> None:
    document = fleet_document(12)
    long, *others = document["hosts"]
    document["hosts"][long]["failure"] = {"step": "?", "message": "A" * 5_000, "unreachable": False}
    shown = with_short_texts(document)
    assert len(shown["hosts"][long]["failure"]["message"]) < len(document["hosts"][long]["failure"]["message"]) == 5_000
    assert all(shown["hosts"][name] is document["hosts"][name] for name in others)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["drift", "talkers", "selectors", "findings"])
def test_two_reports_are_compared_in_linear_time(kind: str) -> None:
    document = large_document(kind, 50_000)
    began = time.process_time()
    assert compare(document, document)[ROUTER]
    assert time.process_time() - began < SECONDS
