# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes the figures of docs/scale.md and their data anew: `fleet_page.py [RESULTS.json]`.

Without an argument it takes the data that are there already.
"""

from __future__ import annotations

import json
import pathlib
import sys

TOOLS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOOLS), str(TOOLS.parent / "tests")]

# ruff: noqa: E402  (they are found through the line above)
from bench.fleet_report import report
from bench.fleet_results import from_json
from bench.page import framed

DOCS = TOOLS.parent / "docs"
DATA, PAGE = DOCS / "scale.json", DOCS / "scale.md"


def main() -> None:
    """Write the figures into the page."""
    source = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    data = source.read_text(encoding="utf-8")
    results = from_json(json.loads(data))
    DATA.write_text(data, encoding="utf-8")
    PAGE.write_text(framed(PAGE.read_text(encoding="utf-8"), report(results)), encoding="utf-8")


if __name__ == "__main__":
    main()
