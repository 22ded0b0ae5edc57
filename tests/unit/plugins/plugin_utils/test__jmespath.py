# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._jmespath import Expression, follow, is_true

DOCUMENT = {
    "one": 1,
    "zero": 0,
    "text": "some",
    "none": None,
    "list": [1, 2, 3],
    "empty": [],
    "yes": True,
    "no": False,
    "deep": {"er": {"five": 5}},
    "top": [{"value": "203.0.113.9", "percent": 61.5}, {"value": "203.0.113.8", "percent": 2.5}],
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # what is known is standard JMESPath
        ("one", 1),
        ("deep.er.five > `4`", True),
        ("one == `1`", True),
        ("one != `1`", False),
        ("yes && no", False),
        ("no || text", "some"),
        ("!zero", False),
        ("!empty", True),
        ("length(list) > `2`", True),
        ("length(top[?percent > `50`])", 1),
        ("max_by(top, &percent).value", "203.0.113.9"),
        # a comparison with the unknown
        ("missing", None),
        ("missing > `1`", None),
        ("missing == `1`", None),
        ("missing != `1`", None),
        ("missing == none", None),
        ("deep.missing.five == `5`", None),
        ("one.five == `5`", None),
        # asking for null
        ("missing == `null`", True),
        ("`null` != one", True),
        ("none != `null`", False),
        # not
        ("!missing", None),
        ("!(missing == `1`)", None),
        # and: false decides
        ("missing && yes", None),
        ("yes && missing", None),
        ("missing && no", False),
        ("no && missing", False),
        ("missing && none", None),
        # or: true decides
        ("missing || yes", True),
        ("yes || missing", True),
        ("missing || no", None),
        ("no || missing", None),
        ("missing || none", None),
        # functions
        ("length(missing)", None),
        ("length(missing) > `3`", None),
        ("sum(missing) || yes", True),
        ("not_null(missing, `7`)", 7),
        # the one of our own
        ("percent(one, `4`)", 25.0),
        ("percent(zero, one)", 0.0),
        ("percent(one, zero)", None),
        ("percent(missing, one) < `10`", None),
        ("percent(one, missing) < `10`", None),
    ],
)
def test_what_is_not_known_stays_unknown(expression: str, expected: t.Any) -> None:
    assert Expression(expression, "when").evaluate(DOCUMENT) == expected


@pytest.mark.parametrize(
    ("expression", "unknowns"),
    [
        ("one > `0`", []),
        ("missing", ["missing"]),
        ("deep.missing.five > `1` && one > `0`", ["deep.missing.five"]),
        ("!(none == `1`) || length(gone) > `1`", ["gone", "none"]),
        ("gone[?percent > `50`]", ["gone"]),
        ("gone[0].percent", ["gone"]),
        ("gone | length(@)", ["gone"]),
        ("top[?other > `50`]", []),
        # of two alternatives the one that is there, or else the second one
        ("(missing || deep).five > `1`", ["deep.five"]),
        ("(deep || missing).five > `1`", ["deep.five"]),
        ("(gone || missing).five > `1`", ["missing.five"]),
        ("(gone || deep.lost || missing.too).five > `1`", ["missing.too.five"]),
        ("(gone || deep)", ["gone"]),
    ],
)
def test_names_the_fields_that_are_unknown(expression: str, unknowns: list[str]) -> None:
    assert Expression(expression, "when").unknowns(DOCUMENT) == unknowns


@pytest.mark.parametrize("text", ["usage.percent >=", "a.", "`", "a b", "", 7, None, ["a"]])
def test_refuses_what_is_no_jmespath(text: t.Any) -> None:
    with pytest.raises(
        OptionError, match=r"^check x, when: .* is not a JMESPath expression \(.+\)\. See jmespath\.org\.$"
    ) as caught:
        Expression(text, "check x, when")
    assert repr(text) in caught.value.message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("length(one)", "In function length"),
        ("length(list, list)", "Expected 1 argument"),
        ("nope(one)", r"Unknown function: nope\(\)"),
        ("text > `1`", "'>' not supported between instances of 'str' and 'int'"),
    ],
)
def test_refuses_what_cannot_be_evaluated(text: str, reason: str) -> None:
    with pytest.raises(OptionError, match=rf"^when: .* cannot be evaluated \({reason}.*\)\. See"):
        Expression(text, "when").evaluate(DOCUMENT)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (0, True),
        (0.0, True),
        ("a", True),
        ([0], True),
        (False, False),
        (None, False),
        ("", False),
        ([], False),
    ],
)
def test_truth_is_that_of_jmespath(value: t.Any, expected: bool) -> None:
    assert is_true(value) is expected


@pytest.mark.parametrize(
    ("path", "expected"), [(("deep", "er", "five"), 5), (("deep", "x", "y"), None), (("one", "x"), None)]
)
def test_follows_a_path(path: tuple[str, ...], expected: t.Any) -> None:
    assert follow(DOCUMENT, path) == expected
