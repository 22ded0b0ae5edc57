# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import collections
import datetime
import types
import typing as t

import jinja2
import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._filter import as_filter, plain


class Text(str):
    """As Ansible's tagged strings are."""


class UnsafeText(str):
    """As texts from a router are before ansible-core 2.19."""

    def __str__(self) -> str:  # pylint: disable=invalid-str-returned # it is a str, of the wrong kind
        return self


class Number(int):
    """As Ansible's tagged numbers are."""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (Number(3), 3),
        (2.5, 2.5),
        (Text("a"), "a"),
        (UnsafeText("a"), "a"),
        (types.MappingProxyType({Text("a"): Text("b")}), {"a": "b"}),
        (collections.OrderedDict(a=(Text("b"), Number(1))), {"a": ["b", 1]}),
    ],
)
def test_gives_the_types_of_json(value: t.Any, expected: t.Any) -> None:
    result = plain(value)
    assert (result, type(result)) == (expected, type(expected))


def test_goes_all_the_way_down() -> None:
    result = plain({UnsafeText("a"): [Text("b"), {"c": Number(1)}]})
    kinds = [type(next(iter(result))), type(result["a"][0]), type(result["a"][1]["c"])]
    assert kinds == [str, str, int]


def test_arguments_arrive_plain() -> None:
    call = as_filter(lambda value, other: (type(value), type(other["a"])))
    assert call(Text("x"), other={"a": Text("y")}) == (str, str)


def test_an_expected_error_becomes_one_of_ansible_with_the_same_words() -> None:
    def refuse() -> None:
        raise OptionError("checks", 1, "is not a list", "Give a list.")

    with pytest.raises(AnsibleFilterError, match=r"^checks: 1 is not a list\. Give a list\."):
        as_filter(refuse)()


def test_a_date_is_a_text() -> None:
    assert plain({"id": datetime.date(2026, 5, 1)}) == {"id": "2026-05-01"}


@pytest.mark.parametrize("error", [KeyError("usage"), TypeError("'x' is not subscriptable"), RecursionError()])
def test_data_of_another_form_is_refused_without_words_of_python(error: Exception) -> None:
    def fail(_value: t.Any) -> None:
        raise error

    with pytest.raises(AnsibleFilterError) as caught:
        as_filter(fail, "conntrack_rollup")({})
    told = "is not as its documentation says. See ansible-doc -t filter netops.conntrack.conntrack_rollup."
    assert caught.value.message == f"netops.conntrack.conntrack_rollup: something that was given to it {told}"


def test_what_is_undefined_stays_what_ansible_knows() -> None:
    with pytest.raises(jinja2.UndefinedError):
        as_filter(lambda value: value, "conntrack_rollup")(jinja2.StrictUndefined(name="facts"))
