# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress
import pathlib
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry import label_names
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._selector import values
from ansible_collections.netops.conntrack.plugins.module_utils._selector.values import Range


def test_names_of_labels(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "connlabel.conf"
    file.write_text("# bit name\n0 eth0-in\n33 suspicious\nx broken\n34 noted  # by hand\n500 beyond\n")
    monkeypatch.setattr(label_names, "LABELS_FILE", str(file))
    assert values.label_bit("suspicious", "label") == 33
    assert values.label_bit(" 127 ", "label") == 127
    for name in ("broken", "noted", "beyond"):
        with pytest.raises(OptionError, match=f"'{name}' is not a label"):
            values.label_bit(name, "label")


@pytest.mark.parametrize(
    ("ranges", "breakpoints"),
    [([], []), ([Range(0, None)], [0]), ([Range(1, 5), Range(9, 9)], [1, 6, 9, 10])],
)
def test_a_number_enters_or_leaves_a_range_at_a_breakpoint(ranges: list[Range], breakpoints: list[int]) -> None:
    assert values.breakpoints_of(ranges) == breakpoints
    for number in range(12):
        inside = any(each.contains(number) for each in ranges)
        before = any(each.contains(number - 1) for each in ranges)
        assert inside == before or number in breakpoints


@pytest.mark.parametrize(
    ("given", "expected"),
    [("a", ["a"]), ("a,b", ["a", "b"]), (["a,b", 5], ["a", "b", 5]), ({"min": 1}, [{"min": 1}])],
)
def test_values(given: t.Any, expected: list[t.Any]) -> None:
    assert values.values_of(given, "key") == expected


@pytest.mark.parametrize("given", [[], "", "a,,b", None, ["a", None]])
def test_nothing_is_no_value(given: t.Any) -> None:
    with pytest.raises(OptionError, match=r"^key: "):
        values.values_of(given, "key")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("203.0.113.9", "203.0.113.9/32"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("::ffff:203.0.113.9", "203.0.113.9/32"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::/0", "::/0"),
    ],
)
def test_a_network_has_one_notation(given: str, expected: str) -> None:
    assert values.parse_network(given, "source") == ipaddress.ip_network(expected)


def test_a_network_with_bits_of_a_host_is_not_guessed() -> None:
    with pytest.raises(OptionError, match=r"Did you mean 203\.0\.113\.0/24"):
        values.parse_network("203.0.113.9/24", "source")


@pytest.mark.parametrize(
    ("given", "expected"), [("5", Range(5, 5)), ("1-5", Range(1, 5)), ("1 : 5", Range(1, 5)), (0, Range(0, 0))]
)
def test_ranges_of_numbers(given: t.Any, expected: Range) -> None:
    assert values.number_range(given, "mark", 10) == expected


@pytest.mark.parametrize("given", ["5-1", "11", "1-11", "a-b", "-1", True])
def test_what_is_no_range(given: t.Any) -> None:
    with pytest.raises(OptionError, match=r"^mark: "):
        values.number_range(given, "mark", 10)


@pytest.mark.parametrize(
    ("given", "least", "most"), [({"min": 5}, 5, None), ({"max": 5}, 0, 5), ({"min": 2, "max": 2}, 2, 2)]
)
def test_ranges_of_a_dict(given: dict[str, int], least: int, most: int | None) -> None:
    assert values.parse_range(given, "packets", values.parse_count) == Range(least, most)
