# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes the figures of docs/performance.md, its chart and its data anew: `page.py [RESULTS.json]`.

Without an argument it takes the data that are there already.
"""

from __future__ import annotations

import json
import pathlib
import sys

TOOLS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOOLS), str(TOOLS.parent / "tests")]

# ruff: noqa: E402  (they are found through the line above)
from bench import chart
from bench.report import report
from bench.results import Results, from_json

DOCS = TOOLS.parent / "docs"
DATA, CHART, PAGE = (DOCS / f"performance.{suffix}" for suffix in ("json", "svg", "md"))
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
"""Between these two lines the page is made from the data."""


def with_figures(page: str, results: Results) -> str:
    """Return ``page`` with the chart and the tables of ``results`` between BEGIN and END. ValueError without them."""
    alternative = f"Bar chart, {chart.largest(results):,} entries. {chart.alternative(results)}"
    return framed(page, f"![{alternative}]({CHART.name})\n\n{report(results)}")


def framed(page: str, figures: str) -> str:
    """Return ``page`` with ``figures``, which end with a line's end, between BEGIN and END. ValueError without them."""
    before, rest = page.split(BEGIN)
    _old, after = rest.split(END)
    return f"{before}{BEGIN}\n{figures}{END}{after}"


def main() -> None:
    """Write the figures and the chart into the page."""
    source = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    data = source.read_text(encoding="utf-8")
    results = from_json(json.loads(data))
    DATA.write_text(data, encoding="utf-8")
    CHART.write_text(chart.draw(results), encoding="utf-8")
    PAGE.write_text(with_figures(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")


if __name__ == "__main__":
    main()
