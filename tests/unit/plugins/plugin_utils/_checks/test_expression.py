# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.expression import Expression, follow, is_true

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
        ("length(one)", r"length\(\) takes string, array, object, and was given number"),
        ("sort([`1`, 'x'])", r"sort\(\) takes array-string, array-number, and was given string"),
        ("&one", "its value is another expression"),
        ("length(list, list)", "Expected 1 argument"),
        ("nope(one)", r"Unknown function: nope\(\)"),
        ("text > `1`", "a text is compared with a number"),
        ("`1` <= text", "a text is compared with a number"),
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


DEEP = 100_000
"""How often a part of an expression stands in a part."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "(" * DEEP + "one" + ")" * DEEP,
        "!" * DEEP + "one",
        "[" * DEEP + "one" + "]" * DEEP,
        "`" + "[" * DEEP + "]" * DEEP + "`",
        "list" + "[?one" * DEEP + "]" * DEEP,
        "list" + "[]" * DEEP,
        ".".join(["*"] * DEEP),
        " || ".join(["one"] * DEEP),
        " | ".join(["@"] * DEEP),
        "(" * DEEP + "one || two).a" + " || b).c" * (DEEP - 1),
        "(" * 200 + "one == one" + ") == one" * 200,
    ],
    ids=lambda text: text[:8],
)
def test_an_expression_that_is_too_deep_is_refused_in_words(text: str) -> None:
    began = time.process_time()
    with pytest.raises(OptionError, match=r"has more than 100 levels of parts in parts\. Take it apart") as caught:
        Expression(text, "check x, when")
    assert time.process_time() - began < 20
    assert len(caught.value.message) < 500


@pytest.mark.parametrize(
    "text", ["(" * 90 + "one == one" + ") == one" * 90, "(" * 40 + "one || two).a" + " || b).c" * 39]
)
def test_a_nested_expression_takes_no_exponential_time(text: str) -> None:
    expression = Expression(text, "when")
    assert expression.evaluate(DOCUMENT) in (True, False, None)
    expression.unknowns(DOCUMENT)


@pytest.mark.parametrize(
    "text",
    [
        "list" + " | [@, @][]" * 40,
        "text" + " | join('', [@, @])" * 40,
        "list" + " | [@, @]" * 40,
    ],
)
def test_an_expression_that_doubles_what_it_is_given_ends(text: str) -> None:
    with pytest.raises(OptionError, match=r"it takes too long on what this router sent|has more than 100,000 parts"):
        Expression(text, "when").evaluate(DOCUMENT)


def test_honest_expressions_on_large_facts_are_far_from_the_limit() -> None:
    document = {"top": [{"value": str(number), "entries": number} for number in range(20_000)]}
    text = "length(top[?entries > `10`]) > `5` && max(top[].entries) > `1` && sort_by(top, &entries)[0].entries == `0`"
    assert Expression(text, "when").evaluate(document) is True


@pytest.mark.parametrize("text", ["to_number('nan')", "to_number('1e999')", "percent(`1e400`, `1`)", "one[0:1:0]"])
def test_what_is_no_number_is_unknown(text: str) -> None:
    assert Expression(text, "when").evaluate(DOCUMENT) is None
