# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the options of conntrack_facts can ask for."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._facts.options import (
    MOST,
    parse_sample,
    require_clusters,
)


@pytest.mark.parametrize(("value", "expected"), [("1s", 1), (60, 60), ("1m", 60), ("10", 10), (None, None)])
def test_sample(value: t.Any, expected: int | None) -> None:
    assert parse_sample(value) == expected


@pytest.mark.parametrize("value", ["0", "61s", "2m", "x", "", "1.5s", True, -1])
def test_sample_that_is_refused(value: t.Any) -> None:
    with pytest.raises(OptionError, match=r"^sample: "):
        parse_sample(value)


@pytest.mark.parametrize("clusters", [0, 1, MOST])
def test_clusters(clusters: int) -> None:
    require_clusters(clusters)


@pytest.mark.parametrize("clusters", [-1, MOST + 1])
def test_clusters_that_are_refused(clusters: int) -> None:
    with pytest.raises(OptionError, match=rf"^explain: {clusters} is not in 0 to {MOST}"):
        require_clusters(clusters)
