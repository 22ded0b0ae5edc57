# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes the figures of docs/case-study.md, its chart and its data anew: `page.py [FIGURES.json]`.

Without an argument it takes the data that are there already.
"""

from __future__ import annotations

import json
import pathlib
import sys

TOOLS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOOLS), str(TOOLS.parent / "tests")]

# ruff: noqa: E402  (they are found through the line above)
from bench.page import framed
from casestudy import chart
from casestudy.figures import Figures, report, step

DOCS = TOOLS.parent / "docs"
DATA, CHART, PAGE = (DOCS / f"case-study.{suffix}" for suffix in ("json", "svg", "md"))


def with_figures(page: str, figures: Figures) -> str:
    """Return ``page`` with the chart, the tables and the screen of ``figures``. ValueError without their place."""
    screen = "\n".join(step(figures, "explain")["screen"])
    return framed(
        page,
        f"![{chart.alternative(figures)}]({CHART.name})\n\n{report(figures)}\n"
        f"What `explain` shows:\n\n```text\n{screen.strip()}\n```\n",
    )


def main() -> None:
    """Write the figures and the chart into the page."""
    source = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    data = source.read_text(encoding="utf-8")
    figures = json.loads(data)
    DATA.write_text(data, encoding="utf-8")
    CHART.write_text(chart.draw(figures), encoding="utf-8")
    PAGE.write_text(with_figures(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")


if __name__ == "__main__":
    main()
