# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which mutants can be tried in a fork: those of which nothing but the body of functions differs."""

from __future__ import annotations

import pytest
from forks import changed_functions

SOURCE = """
LIMIT = 5
double = lambda number: number * 2

def one(number=1):
    def inner():
        return number + 1
    return inner

class Box:
    size: int = 7

    @property
    def area(self):
        return self.size * self.size

    class Inner:
        def two(self):
            return [each + 3 for each in self.all]
"""


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ("+ 1", "- 1", {"one"}),
        ("size * self", "size + self", {"Box.area"}),
        ("each + 3", "each + 4", {"Box.Inner.two"}),
        ("LIMIT = 5", "LIMIT = 6", None),
        ("number * 2", "number * 3", None),
        ("number=1", "number=2", None),
        ("int = 7", "int = 8", None),
        ("@property", "@other", None),
        ("def one", "def another", None),
        ("+ 1", "+", None),
    ],
)
def test_functions_that_differ(before: str, after: str, names: set[str] | None) -> None:
    codes = changed_functions(SOURCE, SOURCE.replace(before, after))
    assert (codes if codes is None else set(codes)) == names


def test_the_same_source_has_no_difference() -> None:
    assert changed_functions(SOURCE, SOURCE) == {}
