# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._units import (
    parse_amount,
    parse_boolean,
    parse_duration,
    parse_number,
)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *[(0, 0), (90, 90), ("90", 90), ("90s", 90), (" 15m ", 900), ("15h", 54000), ("5d", 432000), ("2w", 1209600)],
        *[(54000.0, 54000), ("54000.0", 54000), ("1.0h", 3600), (1e5, 100000)],
    ],
)
def test_duration(value: object, seconds: int) -> None:
    assert parse_duration(value, "idle.min") == seconds


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), "1.5", -1, "-5m", 1.5, "1.5h", "", "h", "5 m", "5M", "1h30m", "٣s", True, None, [5]],
)
def test_no_duration(value: object) -> None:
    with pytest.raises(OptionError) as caught:
        parse_duration(value, "idle.min")
    assert caught.value.message == (
        f"idle.min: {value!r} is not a duration. Give seconds, or a number with a unit: 90s, 15m, 15h, 5d."
    )
    assert (caught.value.option, caught.value.value) == ("idle.min", value)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *[(0, 0), (255, 255), ("255", 255), (" 7 ", 7), ("0x10", 16), ("0XfF", 255), ("010", 10)],
        *[(80.0, 80), ("80.0", 80), ("80.00", 80), (-0.0, 0)],
    ],
)
def test_number(value: object, number: int) -> None:
    assert parse_number(value, "mark", 255) == number


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        -1.0,
        "80.5",
        "0x10.0",
        "1K",
        -1,
        "-1",
        1.5,
        "",
        "0x",
        "ff",
        "1e3",
        "1_0",
        "٣",
        True,
        False,
        None,
        {},
    ],
)
def test_no_number(value: object) -> None:
    with pytest.raises(OptionError) as caught:
        parse_number(value, "mark", 255)
    assert caught.value.message == f"mark: {value!r} is not a whole number. Give a number from 0 to 255."


@pytest.mark.parametrize("value", [256, "256", "0x100", 10**19])
def test_number_that_is_too_large(value: object) -> None:
    with pytest.raises(OptionError) as caught:
        parse_number(value, "mark", 255)
    assert caught.value.message == f"mark: {value!r} is too large. Give a number from 0 to 255."


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (7, 7),
        ("7", 7),
        ("0x10", 16),
        ("1K", 1 << 10),
        ("1k", 1 << 10),
        ("1M", 1 << 20),
        ("3G", 3 << 30),
        (1e15, 10**15),
    ],
)
def test_amount(value: object, number: int) -> None:
    assert parse_amount(value, "bytes.max", 1 << 60) == number


@pytest.mark.parametrize("value", ["1T", "1.5M", "M", "1 M", "1MB", "1MiB", "0x1M", -1, True, None])
def test_no_amount(value: object) -> None:
    with pytest.raises(OptionError) as caught:
        parse_amount(value, "bytes.max", 99)
    assert caught.value.message == f"bytes.max: {value!r} is not a whole number. Give a number from 0 to 99."


def test_amount_that_is_too_large() -> None:
    with pytest.raises(OptionError) as caught:
        parse_amount("1K", "bytes.max", 1023)
    assert caught.value.message == "bytes.max: '1K' is too large. Give a number from 0 to 1023."


@pytest.mark.parametrize(
    ("given", "expected"), [(True, True), (False, False), (" Yes ", True), ("on", True), (1, True), ("off", False)]
)
def test_booleans(given: t.Any, expected: bool) -> None:
    assert parse_boolean(given, "replied") is expected


@pytest.mark.parametrize("given", [2, "maybe", ""])
def test_what_is_neither_true_nor_false(given: t.Any) -> None:
    with pytest.raises(OptionError, match=r"^replied: "):
        parse_boolean(given, "replied")
