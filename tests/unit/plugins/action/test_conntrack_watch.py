# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How often conntrack_watch asks a router. What it shows is tested on real routers, in tests/kernel/test_watch.py."""

from __future__ import annotations

import pytest
from ansible_collections.netops.conntrack.plugins.action.conntrack_watch import pause_after


@pytest.mark.parametrize(
    ("took", "interval", "failures", "pause"),
    [
        (0.5, 5, 0, 4.5),
        # A router is left alone for as long as the look took, but not for hours.
        (2.0, 3, 0, 2.0),
        (9.0, 5, 0, 9.0),
        (600.0, 5, 0, 60),
        (600.0, 3600, 0, 3000.0),
        # One that does not answer is asked less often.
        (0.5, 5, 1, 5),
        (0.5, 5, 2, 10),
        (0.5, 5, 4, 40),
        (0.5, 5, 5, 60),
        (0.5, 5, 10**6, 60),
        (1.0, 600, 3, 599.0),
    ],
)
def test_the_pause_between_two_looks(took: float, interval: float, failures: int, pause: float) -> None:
    assert pause_after(took, interval, failures) == pause
