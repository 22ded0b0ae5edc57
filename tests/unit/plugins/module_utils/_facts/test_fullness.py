# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How full a table is. What is not known is not 0."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._facts.fullness import fullness
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.common_shapes import FULLNESS
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.shape import checked, record

KEYS = ("count", "max", "percent", "headroom", "buckets", "load_factor")


@pytest.mark.parametrize(
    ("count", "limit", "buckets", "expected"),
    [
        (250, 1000, 512, (250, 1000, 25.0, 750, 512, 0.977)),
        (0, 1000, 512, (0, 1000, 0.0, 1000, 512, 0.0)),
        (1200, 1000, 512, (1200, 1000, 120.0, 0, 512, 4.688)),
        (250, 0, 512, (250, 0, None, None, 512, 0.977)),
        (None, 1000, 512, (None, 1000, None, None, 512, None)),
        (None, 0, 512, (None, 0, None, None, 512, None)),
        (250, None, 512, (250, None, None, None, 512, 0.977)),
        (250, 1000, None, (250, 1000, 25.0, 750, None, None)),
        (250, 1000, 0, (250, 1000, 25.0, 750, 0, None)),
        (None, None, None, (None, None, None, None, None, None)),
    ],
)
def test_how_full(count: int | None, limit: int | None, buckets: int | None, expected: tuple[t.Any, ...]) -> None:
    found = fullness(count, limit, buckets)
    assert found == dict(zip(KEYS, expected, strict=True))
    assert checked(found, record(FULLNESS), "usage") == found
