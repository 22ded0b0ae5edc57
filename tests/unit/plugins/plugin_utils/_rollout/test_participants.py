# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.inventory.data import InventoryData
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._rollout.participants import pattern_of, plan

STRANGE = (
    "gw 1",
    "gw,1",
    "gw:1",
    "gw:one",
    "gw[1]",
    "gw*",
    "gw?",
    "gw%1",
    "!gw",
    "&gw",
    "~gw",
    "@gw",
    "-gw",
    "gw\\d",
    "gw{1}",
    "grün",
    "2001:db8::1",
    "fe80::1%eth0",
    "gw+1$",
)
PLAIN = ("gw", "gw1", "gw.1", "gw-1", "192.0.2.1", "GW", "gr_n", "gw 11", "gwx1")


def hosts_of(patterns: list[str]) -> list[str]:
    """Return the hosts that Ansible itself finds for the patterns of a play."""
    inventory = InventoryManager(DataLoader())
    data: InventoryData = inventory._inventory
    for name in (*STRANGE, *PLAIN):
        data.add_host(name)
    data.reconcile_inventory()
    return [host.name for host in inventory.get_hosts(patterns)]


@pytest.mark.parametrize("name", [*STRANGE, *PLAIN])
def test_a_pattern_matches_its_router_and_no_other(name: str) -> None:
    assert hosts_of([pattern_of(name)]) == [name]


def test_patterns_keep_their_order() -> None:
    names = [*reversed(PLAIN), *STRANGE]
    assert hosts_of([pattern_of(name) for name in names]) == names


def test_plain_names_are_their_own_patterns() -> None:
    assert [pattern_of(name) for name in ("gw1", "fw-2.example.net", "192.0.2.1")] == [
        "gw1",
        "fw-2.example.net",
        "192.0.2.1",
    ]


def test_routers_that_are_down_and_what_is_left_of_their_pairs_are_in_no_batch() -> None:
    pairs = {"a": "edge", "b": "edge", "c": "core", "d": "core", "e": None}
    made = plan(["a", "b", "c", "d", "e", "f"], {"b", "f"}, pairs, [], "100%")
    assert made.batches == [["c", "e"], ["d"]]
    assert made.patterns == ["c", "e", "d"]
    assert made.left_out.keys() == {"a"}
    assert "the other half of its conntrack_pair is down" in made.left_out["a"]


def test_a_router_with_the_name_of_a_group_is_left_out_with_the_reason() -> None:
    made = plan(["edge", "gw1"], set(), {}, ["all", "edge"], 1)
    assert (made.batches, list(made.left_out)) == ([["gw1"]], ["edge"])
    assert "a group of the inventory has the same name" in made.left_out["edge"]


@pytest.mark.parametrize("down", [[], ["a"], ["b"]])
@pytest.mark.parametrize("name", [["fw1"], {"fw": 1}, True, 1.5])
def test_what_is_no_name_of_a_pair_is_refused(down: list[str], name: object) -> None:
    with pytest.raises(OptionError, match=r"conntrack_pair of a: .* is no name\. Give both routers"):
        plan(["a", "b"], down, {"a": name, "b": "core"}, [], "100%")


def test_a_number_and_a_text_are_the_same_name_of_a_pair() -> None:
    made = plan(["a", "b", "c"], {"b"}, {"a": 7, "b": "7"}, [], "100%")
    assert made.batches == [["c"]]
    assert made.left_out.keys() == {"a"}
