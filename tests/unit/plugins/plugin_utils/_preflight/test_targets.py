# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, RefusedError
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.targets import (
    hosts_of_run,
    refuse_hosts,
    refuse_too_many,
    refuse_unnamed,
)

GROUPS = {"all": ["a1", "a2", "b1"], "ungrouped": [], "alpha": ["a1", "a2"], "beta": ["b1"], "empty": []}


@pytest.mark.parametrize(
    ("target", "limit", "hosts"),
    [
        (None, None, ["a1", "a2", "b1"]),
        (None, "beta", ["b1"]),
        ("alpha:!a2", None, ["a1"]),
        ("alpha,beta", None, ["a1", "a2", "b1"]),
        (["beta", "a2"], None, ["b1", "a2"]),
        ("all:&beta", None, ["b1"]),
        ("alpha[0]", None, ["a1"]),
        ("~b.", None, ["b1"]),
        ("alpha", "a2,b1", ["a2"]),
        ("localhost", None, ["localhost"]),
    ],
)
def test_patterns_are_those_of_ansible(target: t.Any, limit: str | None, hosts: list[str]) -> None:
    assert hosts_of_run(GROUPS, target, limit, DataLoader()) == hosts


def test_a_limit_of_a_file(tmp_path: pathlib.Path) -> None:
    retry = tmp_path / "run.retry"
    retry.write_text("a2\nb1\n")
    assert hosts_of_run(GROUPS, "alpha", f"@{retry}", DataLoader()) == ["a2"]


@pytest.mark.parametrize(
    ("target", "limit", "message"),
    [
        (
            "aplha",
            None,
            "target: 'aplha' matches no host. Did you mean alpha? The inventory's groups are alpha (2 hosts)",
        ),
        ("empty", None, "target: 'empty' matches no host. Did you mean empty?"),
        ("gamma:delta", None, "target: 'gamma:delta' matches no host. The inventory's groups are"),
        ("alpha", "b1", "target: 'alpha' has no host in common with --limit b1."),
        ("~(", None, "target: '~(' cannot be matched"),
        ([], None, "target: [] is no pattern of hosts."),
        (5, None, "target: 5 is no pattern of hosts."),
    ],
)
def test_a_target_that_cannot_be_used(target: t.Any, limit: str | None, message: str) -> None:
    with pytest.raises(ConntrackError) as raised:
        hosts_of_run(GROUPS, target, limit, DataLoader())
    assert raised.value.message.startswith(message)
    assert raised.value.message.endswith("Nothing was touched.")


def test_an_inventory_without_hosts() -> None:
    with pytest.raises(RefusedError, match="has no hosts"):
        hosts_of_run({"all": [], "ungrouped": []}, None, None, DataLoader())
    assert hosts_of_run({"all": [], "ungrouped": []}, "localhost", None, DataLoader()) == ["localhost"]


@pytest.mark.parametrize(
    ("target", "limit", "words"),
    [
        ("edge", None, "and target names routers. Leave src out to look at these, or leave target out"),
        ([], None, "and target names routers"),
        (None, "edge", "and --limit names routers"),
        ("edge", "edge1", "and target and --limit name routers"),
    ],
)
def test_a_run_about_a_file_is_about_no_router(target: t.Any, limit: str | None, words: str) -> None:
    with pytest.raises(RefusedError) as raised:
        refuse_hosts(target, limit)
    assert words in raised.value.message
    assert raised.value.message.endswith("Nothing was touched.")
    refuse_hosts(None, None)


def test_not_too_many_routers_at_the_same_time() -> None:
    refuse_too_many(8, 8, 8)
    refuse_too_many(8, 8, None)
    with pytest.raises(RefusedError, match="At most 8 routers can be watched at the same time, and these are 1,200"):
        refuse_too_many(1200, 8, 5000)
    with pytest.raises(RefusedError, match=r"forks is 5 for 6 routers\. Call it with --forks 6, or name fewer"):
        refuse_too_many(6, 8, 5)


def test_the_groups_are_listed_the_largest_first() -> None:
    groups = {"all": list(map(str, range(40))), **{f"g{size:02}": list(map(str, range(size))) for size in range(20)}}
    with pytest.raises(RefusedError) as raised:
        refuse_unnamed(groups, "ansible-playbook x")
    assert "are g19 (19 hosts), g18 (18 hosts)" in raised.value.message
    assert "g08 (8 hosts), 7 more, all (40 hosts)." in raised.value.message
    assert "ansible-playbook x -e target=GROUP." in raised.value.message
