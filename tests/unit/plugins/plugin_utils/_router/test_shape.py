# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import AnswerError
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.shape import (
    Shape,
    address,
    anything,
    boolean,
    checked,
    known_of,
    list_of,
    mapping,
    number,
    one_of,
    optional,
    record,
    shown,
    text,
    text_or,
    whole,
    words,
)
from helpers.forged_answers import ODD, nested

PERSON = record({"name": text(5), "age": optional(whole(0, 150))}, {"friends": list_of(text(5), 2)})


class Unsafe(str):
    """A text of a kind of its own, as Ansible has."""


@pytest.mark.parametrize(
    ("shape", "value", "kept"),
    [
        (boolean, False, False),
        (whole(), 0, 0),
        (whole(-5, 5), -5, -5),
        (number(), 1, 1),
        (number(), 0.5, 0.5),
        (text(3), "abc", "abc"),
        (text(), "", ""),
        (text(), "Straße №7 東京", "Straße №7 東京"),
        (text(), "a\x1b[31m\x00\r\n\u202e\udce4", "a\\x1b[31m\\x00\\r\\n\\u202e\\udce4"),
        (text(), Unsafe("plain"), "plain"),
        (words(5), "12345", "12345"),
        (words(5), "123456", "1234…"),
        (words(5), "\x1b12345", "\\x1b…"),
        (words(), "two\nlines", "two\\nlines"),
        (words(lines=True), "two\n\tlines\r", "two\n\tlines\\r"),
        (one_of("a", "b"), "b", "b"),
        (optional(whole()), None, None),
        (text_or(whole()), "x", "x"),
        (text_or(whole()), 5, 5),
        (list_of(whole(), 2), [1, 2], [1, 2]),
        (list_of(whole(), 2), (1, 2), [1, 2]),
        (mapping(whole(), 2), {"a": 1, "\n": 2}, {"a": 1, "\\n": 2}),
        (PERSON, {"name": "Eva", "age": None}, {"name": "Eva", "age": None}),
        (
            PERSON,
            {"name": "Eva", "age": 5, "friends": [], "hidden": nested(5000)},
            {"name": "Eva", "age": 5, "friends": []},
        ),
        (known_of({"a": whole(), "b": whole()}), {"a": 1, "c": 3}, {"a": 1, "b": None}),
        (anything, {"a": [1, None, True, 0.5, "x\n"]}, {"a": [1, None, True, 0.5, "x\\n"]}),
    ],
)
def test_what_holds_is_kept_in_plain_types(shape: Shape, value: t.Any, kept: t.Any) -> None:
    found = checked(value, shape, "It is malformed")
    assert found == kept
    assert type(found) is type(kept)


@pytest.mark.parametrize(
    ("shape", "value", "problem"),
    [
        (boolean, 1, "1 is a number, not true or false"),
        (whole(), True, "is true, not a whole number"),
        (whole(), None, "is null, not a whole number"),
        (whole(), 1.0, "1.0 is a number, not a whole number"),
        (whole(), -1, "-1 is not in the range of 0 to 18446744073709551615"),
        pytest.param(whole(), 10**5000, "a number of more than 40 digits is not in the range", id="many digits"),
        (number(), math.nan, "nan is not in the range"),
        (number(), math.inf, "inf is not in the range"),
        (number(), "5", "'5' is a text, not a number"),
        (number(), False, "is false, not a number"),
        (text(3), "abcd", "has 4 characters, at most 3 are expected"),
        (text(), 5, "5 is a number, not a text"),
        (text(), ["\x1b"], "is a list, not a text"),
        (one_of("a", "b"), "\x1b" * 99, r"'\\x1b\\x1b\\x1b\\x1b\\x1b\\x1b\\x1b\\x1b\\x1b\\x1…' is none of a, b"),
        (list_of(whole(), 2), "ab", "'ab' is a text, not a list"),
        (list_of(whole(), 2), [1, 2, 3], "has 3 items, at most 2 are expected"),
        (list_of(whole(), 2), [1, "x"], "[1]: 'x' is a text, not a whole number"),
        (mapping(whole(), 1), {"a": 1, "b": 2}, "has 2 keys, at most 1 are expected"),
        (mapping(whole(), 1), {"x" * 500: 1}, "a key has 500 characters, at most 128 are expected"),
        (mapping(whole(), 1), {1: 1}, "the key 1 is a number, not a text"),
        (mapping(mapping(whole(), 1), 1), {"a\n": {"b": "c"}}, r"a\\n.b: 'c' is a text, not a whole number"),
        (mapping(whole(), 1), [1], "is a list, not a mapping"),
        (PERSON, {"age": 5}, "name is missing"),
        (PERSON, {"name": "Eva", "age": 5, "friends": ["Adam", 7]}, "friends[1]: 7 is a number, not a text"),
        (anything, nested(9), "is nested more than 8 times"),
        (anything, [0] * 20_000, "has more than 10000 values in it"),
        (anything, {"__ansible_type": 1}, "the key '__ansible_type' is not expected"),
    ],
)
def test_what_does_not_hold_is_named_with_its_place(shape: Shape, value: t.Any, problem: str) -> None:
    with pytest.raises(AnswerError) as caught:
        checked(value, shape, "It is malformed")
    assert caught.value.message.startswith("It is malformed (")
    assert problem.replace("\\\\", "\\") in caught.value.message
    assert len(caught.value.message) < 500
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("shape", [boolean, whole(), number(), text(), words(), PERSON, mapping(PERSON, 3), anything])
def test_nothing_else_is_raised_whatever_comes(shape: Shape) -> None:
    began = time.process_time()
    messages = []
    for value in (*ODD, *([odd] for odd in ODD), *({"name": odd} for odd in ODD)):
        try:
            checked(value, shape, "It is malformed")
        except AnswerError as error:
            messages.append(error.message)
    assert max(map(len, messages)) < 500
    assert time.process_time() - began < 2


def test_what_is_too_large_to_be_shown_is_said() -> None:
    assert shown([1, 2]) == [1, 2]
    assert shown([0] * 20_000) == "not shown, because it has more than 10000 values in it"


def test_a_text_of_many_control_characters_takes_no_time() -> None:
    began = time.process_time()
    assert len(words(10**7)("\x1b" * 10**6)) == 4 * 10**6
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("value", "kept"), [("192.0.2.54", "192.0.2.54"), ("2001:DB8:0::1", "2001:db8::1"), (Unsafe("::1"), "::1")]
)
def test_an_address_is_kept_as_python_writes_it(value: str, kept: str) -> None:
    assert address(value) == kept
    assert not isinstance(address(value), Unsafe)


def test_what_is_no_address_is_refused() -> None:
    no_addresses = ("fe80::1%'; reboot #", "192.0.2.54 ", "192.0.2.0/24", "192.0.2.54\n", 3221225985, "0x7f.1")
    for value in (*ODD, *no_addresses):
        with pytest.raises(AnswerError):
            checked(value, address, "It is malformed")
