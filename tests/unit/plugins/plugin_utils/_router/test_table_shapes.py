# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A selector that a router answers is printed in a command, so it has nothing but what a selector can have."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import AnswerError
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.shape import checked
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.table_shapes import table
from helpers.support import CHECKOUT

TABLE = json.loads((CHECKOUT / "tests" / "unit" / "roles" / "facts" / "sick.json").read_text())["table"]
BREAKS_OUT = "1.2.3.4' -b; reboot #"


def with_match(**changes: t.Any) -> dict[str, t.Any]:
    [cluster] = TABLE["filled_by"]
    return {**TABLE, "filled_by": [{**cluster, "match": {**cluster["match"], **changes}}]}


def test_what_a_router_fills_its_table_with_is_kept() -> None:
    assert checked(TABLE, table(10), "")["filled_by"] == TABLE["filled_by"]


def test_other_keys_of_a_selector_reach_nobody() -> None:
    kept = checked(with_match(**{"x y": BREAKS_OUT, "helper": "ftp"}), table(10), "")
    assert kept["filled_by"] == TABLE["filled_by"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("protocol", BREAKS_OUT),
        ("protocol", "256"),
        ("replied", "false"),
        ("state", "ESTABLISHED '"),
        ("source", BREAKS_OUT),
        ("destination", f"fe80::1%{BREAKS_OUT}"),
        ("destination", f"10.0.0.0/{BREAKS_OUT}"),
        ("destination", "10.0.0.1/8"),
        ("reply_source", "10.0.0.0/8 x"),
        ("reply_destination", BREAKS_OUT),
        ("zone", 65536),
        ("icmp_type", "8"),
        ("destination_port", "53"),
        ("destination_port", 65536),
        ("packets_original", {"min": 1, "max": 10**9}),
        ("packets_original", 1),
    ],
)
def test_a_selector_that_none_can_be_is_refused(key: str, value: t.Any) -> None:
    with pytest.raises(AnswerError, match=rf"filled_by\[0\]\.match\.{key}"):
        checked(with_match(**{key: value}), table(10), "Its facts are malformed")


def test_more_clusters_than_there_are_are_refused() -> None:
    with pytest.raises(AnswerError, match="filled_by"):
        checked({**TABLE, "filled_by": TABLE["filled_by"] * 11}, table(10), "Its facts are malformed")
