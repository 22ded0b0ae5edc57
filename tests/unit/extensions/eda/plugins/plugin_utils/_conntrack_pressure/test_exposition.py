# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prometheus' text format, as far as it is read."""

from __future__ import annotations

import pytest
from _conntrack_pressure.exposition import read
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.prometheus import as_prometheus
from helpers.documents import kinds_of_fleets

TEXT = """\
# HELP a Something.
# TYPE a gauge
a 1
ab 2
b{host="r1",x="y"} 2.5e+03 1700000000000
b{host="r2"} 7
c{host="r1"} NaN
d{host="r1"} +Inf
e{host="r1",zone="0"} 1
e{host="r1",zone="5"} 2
f{host="quo\\"te\\n\\\\"} 9
g{host="r1"} x
h
i{host="r1} 1
"""


def test_samples_with_these_names_by_a_label() -> None:
    assert read(TEXT, ["a", "b"]) == {"": {"a": 1}}
    assert read(TEXT, ["a", "b"], "host") == {"": {"a": 1}, "r1": {"b": 2500}, "r2": {"b": 7}}
    assert read(TEXT, ["f"], "host") == {'quo"te\n\\': {"f": 9}}


@pytest.mark.parametrize("name", ["c", "d", "g", "h", "i", "a b", ""])
def test_what_is_no_number_is_not_known(name: str) -> None:
    assert not any(read(TEXT, [name], "host").values())


def test_two_samples_of_one_router_are_not_known() -> None:
    assert read(TEXT, ["e"], "host") == {"r1": {}}


def test_every_figure_of_a_real_report_is_read_back() -> None:
    document = kinds_of_fleets()["an audit"]
    counts = {name: host["before"]["usage"]["count"] for name, host in document["hosts"].items() if host["before"]}
    found = read(as_prometheus(document), ["netops_conntrack_entries"], "host")
    assert found == {name: {"netops_conntrack_entries": count} for name, count in counts.items()}
