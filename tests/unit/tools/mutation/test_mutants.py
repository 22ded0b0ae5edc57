# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mutants of a source, where there is cosmic-ray: `make mutation` runs this in its own environment."""

from __future__ import annotations

import pytest

pytest.importorskip("cosmic_ray", reason="only `make mutation` has cosmic-ray")

from mutants import mutants_of


def changes(source: str) -> set[str]:
    """Return the lines that the mutants have in place of those of the source."""
    return {mutant.after for mutant in mutants_of("module", f"{source}\n")}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", {"x = a <= b", "x = a >= b"}),
        ("x = a in b", {"x = a not in b"}),
        ("x = a not in b", {"x = a in b"}),
        ("x = [a for a in b if c]", {"x = [a for a in b if True]"}),
        ("x = any(a)", {"x = all(a)"}),
        ("x = box.any(a)", set()),
        ("x = a + b", {"x = a - b"}),
        ("x = 7", {"x = 8", "x = 6"}),
        ("x = a and b", {"x = a or b"}),
        ("call(a)", {"pass"}),
        ("x += a", {"pass"}),
        ("raise a", {"pass"}),
        ('"""A text."""', set()),
        ("x: int | None = a", set()),
        ("def f(a: int | str) -> int | str: return a", set()),
        ("def f(a, *, b): return a", set()),
        ("@box(frozen=True)\nclass A: pass", set()),
    ],
)
def test_mutants(source: str, expected: set[str]) -> None:
    assert {after.replace("  ", " ") for after in changes(source)} == expected


def test_each_is_tried_once() -> None:
    """``not`` before a comparison is the opposite comparison."""
    source = "if a == b:\n    call()\n"
    assert sorted((mutant.line, mutant.before, mutant.after) for mutant in mutants_of("module", source)) == [
        (1, "if a == b:", "if not a == b:"),
        (2, "call()", "pass"),
    ]
