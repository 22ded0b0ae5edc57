# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts about expectations, counted by hand."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._expectations import counts
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.expectation import Expectation, decode
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.selection import compile_match
from ansible_collections.netops.conntrack.plugins.module_utils._units import require_natural
from helpers.encoded_expectations import CLASS, CLIENT, HELP_NAME, MASTER, SERVER, ends, expectation_message
from helpers.encoded_messages import attribute, nested


def expected(helper: str | None, client_port: int, class_number: int = 0) -> Expectation:
    master = nested(MASTER, ends(CLIENT, SERVER, client_port, 5060))
    name = None if helper is None else attribute(HELP_NAME, helper.encode() + b"\0")
    number = attribute(CLASS, bytes([0, 0, 0, class_number]))
    return decode(expectation_message(master=master, help_name=name, class_=number)).in_zone(0)


TABLE = [
    *(expected("sip", 1, number) for number in (1, 1, 2)),
    *(expected("sip", 2, number) for number in (0, 1)),
    expected("ftp", 3),
    expected(None, 4),
]


def client_ports(groups: list[dict[str, t.Any]]) -> list[tuple[int, str | None, int]]:
    return [(one["master"]["source_port"], one["helper"], one["expectations"]) for one in groups]


def test_the_facts() -> None:
    facts = counts.summarize(TABLE, 4096, 2)
    masters = facts.pop("masters")
    assert client_ports(masters) == [(1, "sip", 3), (2, "sip", 2)]
    assert facts == {
        "count": 7,
        "max": 4096,
        "percent": 0.17,
        "helpers": {"sip": 5, "ftp": 1},
        "without_helper": 1,
        "classes": {"0": 3, "1": 3, "2": 1},
        "masters_distinct": 4,
        "sources": [{"source": "198.51.100.7", "expectations": 7}],
        "unavailable": None,
    }


def test_an_empty_table() -> None:
    facts = counts.summarize([], 4096, 10)
    assert (facts["count"], facts["percent"], facts["masters"], facts["helpers"]) == (0, 0.0, [], {})


@pytest.mark.parametrize("limit", [None, 0])
def test_a_limit_that_is_none_has_no_percent(limit: int | None) -> None:
    assert counts.usage(7, limit) == {"count": 7, "max": limit, "percent": None}


def test_what_the_kernel_does_not_list_is_unknown() -> None:
    facts = counts.unavailable(4096, "The kernel cannot.")
    assert facts.keys() == counts.summarize(TABLE, 4096, 2).keys()
    assert {key: value for key, value in facts.items() if value is not None} == {
        "max": 4096,
        "unavailable": "The kernel cannot.",
    }


def test_groups() -> None:
    answer = counts.query(TABLE, compile_match("helper=sip"), ["master", "helper"], 1)
    assert (answer["total"], answer["matched"], answer["undecidable"]) == (7, 5, 0)
    assert client_ports(answer["groups"]) == [(1, "sip", 3)]
    assert answer["groups_distinct"] == 2
    assert len(answer["expectations"]) == 1


@pytest.mark.parametrize("field", counts.GROUP_FIELDS)
def test_each_group_field_counts_all(field: str) -> None:
    groups = counts.query(TABLE, compile_match(None), [field], 10)["groups"]
    assert sum(group["expectations"] for group in groups) == len(TABLE)
    assert all(set(group) == {field, "expectations"} for group in groups)


def test_without_group_by_there_are_no_groups() -> None:
    answer = counts.query(TABLE, compile_match(None), [], 0)
    assert (answer["groups"], answer["groups_distinct"], answer["expectations"]) == ([], 0, [])


def test_what_lacks_the_key_is_undecidable() -> None:
    without_time = decode(expectation_message(timeout=None))
    answer = counts.query([*TABLE, without_time], compile_match("remaining.min=1"), [], 0)
    assert (answer["matched"], answer["undecidable"]) == (7, 1)


def test_a_negative_number_is_refused() -> None:
    with pytest.raises(OptionError, match="limit: -1 is negative"):
        require_natural("limit", -1)
