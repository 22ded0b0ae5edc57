# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statistics of code and prose, on samples that are counted by hand."""

from __future__ import annotations

import pathlib

import code_statistics

CODE = '''"""Module of a sample."""


def short(a):
    """Return it.

    Unchanged.
    """
    return a


class Sample:
    def _two_words(self):
        # Doubled.
        found = [x for x in self]

        return found
'''
PROSE = """<!-- a; comment; you -->
# Your heading

You read this; you know it.

| you; | your; |

```
you; your;
```

It is `you;` here.
"""


def test_code_is_counted_as_by_hand(tmp_path: pathlib.Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "sample.py").write_text(CODE)
    (tmp_path / "deep" / "__init__.py").write_text("")
    code = code_statistics.measure_code(tmp_path)
    assert code.file_lines == [17]
    assert sorted(code.function_lines) == [2, 5]
    # Return, Name, Load are 3. Assign, Name, Store, ListComp, Name, Load, comprehension, Name, Store, Name, Load, and
    # again Return, Name, Load are 14.
    assert sorted(code.nodes_per_body_line) == [3.0, 14 / 3]
    assert code.comprehensions == [1]
    assert code.first_words == {"Module": 1, "Return": 1}
    assert code.row == ["17/17/17", "4/5/5", "3.8", "59", "50 %"]


def test_prose_is_counted_without_code_tables_and_comments(tmp_path: pathlib.Path) -> None:
    (tmp_path / "README.md").write_text(PROSE)
    (tmp_path / "other.md").write_text("you; you;")
    prose = code_statistics.measure_prose(code_statistics.pages_of(tmp_path))
    assert prose is not None
    assert (prose.words, prose.semicolons, prose.addresses) == (12, 1, 3)
    assert code_statistics.measure_prose([]) is None


def test_the_report_has_a_row_for_each_directory(tmp_path: pathlib.Path) -> None:
    (tmp_path / "sample.py").write_text(CODE)
    text = code_statistics.report([tmp_path, tmp_path], tmp_path)
    assert f"| {tmp_path} | 17/17/17 | 4/5/5 | 3.8 | 59 | 50 % |" in text
    assert "prose" not in text
