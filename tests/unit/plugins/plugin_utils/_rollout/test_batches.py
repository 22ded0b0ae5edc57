# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import types
import typing as t

import pytest
from ansible.executor.playbook_executor import PlaybookExecutor
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._rollout.batches import batches
from hypothesis import given
from hypothesis import strategies as st

HOSTS = st.integers(0, 40).map(lambda number: [f"r{position}" for position in range(number)])
SIZES = st.lists(
    st.one_of(st.integers(1, 50), st.integers(1, 50).map(str), st.integers(1, 100).map("{}%".format)), min_size=1
)


@st.composite
def paired(draw: st.DrawFn) -> tuple[list[str], dict[str, str | None]]:
    """Return routers of which many share a pair, in any order."""
    hosts = draw(HOSTS)
    names = draw(st.lists(st.sampled_from(["a", "b", "c", "", None]), min_size=len(hosts), max_size=len(hosts)))
    return hosts, dict(zip(hosts, names, strict=True))


@pytest.mark.parametrize(
    ("hosts", "sizes", "pairs", "expected"),
    [
        pytest.param("abcde", 2, {}, ["ab", "cd", "e"], id="a number"),
        pytest.param("abcde", "2", {}, ["ab", "cd", "e"], id="a number as text, as -e gives it"),
        pytest.param("abcde", "40%", {}, ["ab", "cd", "e"], id="a share"),
        pytest.param("abcde", "50%", {}, ["ab", "cd", "e"], id="a share is rounded down"),
        pytest.param("abcde", "1%", {}, ["a", "b", "c", "d", "e"], id="at least one"),
        pytest.param("abcde", [1, "40%", "100%"], {}, ["a", "bc", "de"], id="canary, share, rest"),
        pytest.param("abcde", [1, "2"], {}, ["a", "bc", "de"], id="the last one repeats"),
        pytest.param("abc", ["100%", 1], {}, ["abc"], id="sizes that are not needed"),
        pytest.param("abc", 99, {}, ["abc"], id="more than there are"),
        pytest.param("", 1, {}, [], id="no routers"),
        pytest.param("aba", 1, {}, ["a", "b"], id="named twice"),
        pytest.param("abc", "100%", {"a": "x", "b": "x"}, ["ac", "b"], id="one more batch for the peer"),
        pytest.param("abcd", 2, {"a": "x", "b": "x"}, ["ac", "bd"], id="the next one takes its place"),
        pytest.param("abcd", 2, {"a": "x", "c": "x"}, ["ab", "cd"], id="apart already"),
        pytest.param("abcdef", 2, {"a": "x", "b": "x", "c": "y", "d": "y"}, ["ac", "bd", "ef"], id="two pairs"),
        pytest.param("abcd", 4, {"a": "x", "b": "x", "c": "x"}, ["ad", "b", "c"], id="a group of three"),
        pytest.param("abc", 3, {"a": "", "b": "", "c": None}, ["abc"], id="empty names are no pair"),
        pytest.param("abc", 3, {"a": 7, "b": 7}, ["ac", "b"], id="a name that YAML takes for a number"),
        pytest.param("abc", 3, {"a": 0, "b": "0"}, ["ac", "b"], id="zero is a name"),
        pytest.param("ab", 2, {"a": "x", "z": "x"}, ["ab"], id="a peer that is not worked on"),
    ],
)
def test_batches(hosts: str, sizes: t.Any, pairs: dict[str, t.Any], expected: list[str]) -> None:
    assert batches(list(hosts), sizes, pairs) == [list(batch) for batch in expected]


@pytest.mark.parametrize(
    ("sizes", "shown"),
    [
        (0, "0"),
        ("0", "'0'"),
        (-1, "-1"),
        ("0%", "'0%'"),
        ("101%", "'101%'"),
        ("-10%", "'-10%'"),
        ("10 %", "'10 %'"),
        ("1.5%", "'1.5%'"),
        ("abc", "'abc'"),
        ("", "''"),
        ("1,10%", "'1,10%'"),
        (1.0, "1.0"),
        (True, "True"),
        (None, "None"),
        ({"size": 1}, "{'size': 1}"),
        ([1, [2]], r"\[2\]"),
        ([1, "x"], "'x'"),
        ([], r"\[\]"),
    ],
)
@pytest.mark.parametrize("hosts", [["r1"], []])
def test_what_is_no_size_is_refused_whether_it_is_needed_or_not(hosts: list[str], sizes: t.Any, shown: str) -> None:
    with pytest.raises(OptionError, match=rf"^batch: {shown} (is no size of a batch|names no size)\. Give a number"):
        batches(hosts, sizes)


@pytest.mark.parametrize("name", [["x"], {"x": 1}, True, 1.5])
def test_what_is_no_name_of_a_pair_is_refused_by_the_name_of_its_router(name: t.Any) -> None:
    with pytest.raises(OptionError, match=r"^conntrack_pair of r2: .* is no name\. Give both routers"):
        batches(["r1", "r2"], 1, {"r1": "x", "r2": name})


@given(HOSTS, SIZES)
def test_without_pairs_they_are_those_of_serial(hosts: list[str], sizes: list[t.Any]) -> None:
    """Ansible's own arithmetic is the judge."""
    engine = types.SimpleNamespace(_inventory=types.SimpleNamespace(get_hosts=lambda *_args, **_kwargs: list(hosts)))
    play = types.SimpleNamespace(hosts="all", order=None, serial=sizes)
    assert batches(hosts, sizes) == PlaybookExecutor._get_serialized_batches(engine, play)


@given(paired(), SIZES)
def test_each_router_once_and_no_batch_above_its_size(
    routers: tuple[list[str], dict[str, str | None]], sizes: list[t.Any]
) -> None:
    hosts, pairs = routers
    planned = batches(hosts, sizes, pairs)
    assert sorted(host for batch in planned for host in batch) == sorted(hosts)
    assert all(planned)
    assert batches(hosts, sizes, pairs) == planned
    for number, batch in enumerate(planned):
        size = str(sizes[min(number, len(sizes) - 1)])
        share = int(size.rstrip("%")) / 100 * len(hosts)
        assert len(batch) <= (max(1, share + 1e-9) if size.endswith("%") else int(size))


@given(paired(), SIZES)
def test_no_two_of_a_pair_in_one_batch(routers: tuple[list[str], dict[str, str | None]], sizes: list[t.Any]) -> None:
    hosts, pairs = routers
    for batch in batches(hosts, sizes, pairs):
        names = [pairs[host] for host in batch if pairs[host]]
        assert len(names) == len(set(names))


@given(paired(), SIZES)
def test_only_who_has_to_wait_for_a_peer_is_overtaken(
    routers: tuple[list[str], dict[str, str | None]], sizes: list[t.Any]
) -> None:
    hosts, pairs = routers
    planned = batches(hosts, sizes, pairs)
    number = {host: number for number, batch in enumerate(planned) for host in batch}
    for position, host in enumerate(hosts):
        for later in hosts[position + 1 :]:
            if number[later] < number[host]:
                assert pairs[host], f"{host} stands alone, and {later} overtook it"
                assert pairs[host] in [
                    pairs[other] for other in planned[number[later]] if hosts.index(other) < position
                ]
    assert all(batch == sorted(batch, key=hosts.index) for batch in planned)
