# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The functions of checks, on facts as routers have them."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.expression import Expression

DNS = {
    "match": {"protocol": "udp", "replied": False, "destination": "192.0.2.54", "destination_port": 53},
    "entries": 46_000,
    "percent": 91.99,
    "prunable": 46_000,
    "sources": 1284,
    "more_sources": False,
    "source_network": "10.0.0.0/8",
}
ACKS = {"protocol": "tcp", "replied": False, "packets_original": {"min": 1, "max": 1}}
FACTS: dict[str, t.Any] = {
    "settings": {"udp_timeout": 30, "zero": 0},
    "table": {"filled_by": [DNS, {**DNS, "match": ACKS, "percent": 99.99}]},
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("to_string(settings.udp_timeout)", "30"),
        ("to_string('a')", "a"),
        ("to_string(settings.missing)", None),
        ("join('', ['after ', to_string(settings.missing), ' s'])", None),
        ("percent(`1`, `4`)", 25),
        ("percent(`1`, settings.zero)", None),
        ("scaled(`46000`, settings.udp_timeout, `10`)", 15_333),
        ("scaled(`46000`, settings.zero, `10`)", None),
        ("scaled(`46000`, settings.missing, `10`)", None),
        ("table.filled_by[].root().settings.udp_timeout", [30, 30]),
        ("selector(table.filled_by[0].match)", "protocol=udp replied=false destination=192.0.2.54 destination_port=53"),
        (
            "selector(table.filled_by[1].match)",
            "protocol=tcp replied=false packets_original.min=1 packets_original.max=1",
        ),
        ("selector(table.missing)", None),
        (
            "described(table.filled_by[0])",
            "92 % of the table, 46,000 entries: udp, unanswered, to 192.0.2.54 port 53, from 1,284 sources in "
            "10.0.0.0/8",
        ),
        ("starts_with(described(table.filled_by[1]), '99.9 %')", True),
        ("described(table.filled_by[9])", None),
    ],
)
def test_a_function(expression: str, expected: t.Any) -> None:
    assert Expression(expression, "check").evaluate(FACTS) == expected


@pytest.mark.parametrize("expression", ["described(settings)", "described(`5`)", "scaled('a', `1`, `2`)", "root(`1`)"])
def test_a_function_that_is_given_something_else_says_so(expression: str) -> None:
    with pytest.raises(OptionError, match="cannot be evaluated"):
        Expression(expression, "check").evaluate(FACTS)
