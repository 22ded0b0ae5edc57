# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._option_types import in_our_words


def test_a_value_is_named_with_how_to_write_it() -> None:
    given = "argument 'top' is of type <class 'str'> and we were unable to convert to int: 'many' is no int"
    assert in_our_words(given, {"top": "many"}) == "top: 'many' is not a whole number. Give a whole number, such as 10."


def test_an_item_of_a_list_is_a_matter_of_the_list() -> None:
    given = "Elements value for option 'select' is of type <class 'dict'> and we were unable to convert to str: no"
    assert in_our_words(given, {"select": [{"a": 1}]}).startswith(
        "select: [{'a': 1}] is not a list of texts. Write it as"
    )


def test_a_long_value_is_cut() -> None:
    given = "argument 'settings' is of type list and we were unable to convert to dict: no"
    assert len(in_our_words(given, {"settings": ["x" * 5000]})) < 400


@pytest.mark.parametrize(
    "given",
    [
        "Unsupported parameters for (conntrack_prune) module: matches.",
        "argument 'other' is of type str and we were unable to convert to int: no",
    ],
)
def test_all_else_is_said_as_it_was(given: str) -> None:
    assert in_our_words(given, {"top": 1}) == given
