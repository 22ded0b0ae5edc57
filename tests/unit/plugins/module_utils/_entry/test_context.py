# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known besides an entry, and what a file does not tell of its status."""

from __future__ import annotations

import pathlib
import time

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry import timeouts as timeouts_module
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import Timeouts
from ansible_collections.netops.conntrack.plugins.module_utils._files import run_directory as run_directory_module

ASSURED, OFFLOAD, HW_OFFLOAD = 4, 1 << 14, 1 << 15
NOTHING: frozenset[str] = frozenset()
ALL = frozenset({"assured"})
OFFLOADED = frozenset({"assured of offloaded"})


@pytest.mark.parametrize(
    ("status", "unlisted", "expected"),
    [
        (None, NOTHING, None),
        (0, NOTHING, False),
        (ASSURED, NOTHING, True),
        (ASSURED | 8, NOTHING, True),
        (8, NOTHING, False),
        (OFFLOAD, NOTHING, False),
        (ASSURED, ALL, None),
        (0, ALL, None),
        (ASSURED, frozenset({"status"}), True),
        (0, OFFLOADED, False),
        (ASSURED, OFFLOADED, True),
        (OFFLOAD, OFFLOADED, None),
        (HW_OFFLOAD, OFFLOADED, None),
        (OFFLOAD | HW_OFFLOAD, OFFLOADED, None),
        (OFFLOAD | ASSURED, OFFLOADED, True),
        (HW_OFFLOAD | ASSURED, OFFLOADED, True),
        (None, OFFLOADED, None),
    ],
)
def test_bits_of_a_status(status: int | None, unlisted: frozenset[str], expected: bool | None) -> None:
    context = Context({}, 0, unlisted=unlisted)
    assert context.has_bits(Entry(status=status), "assured", ASSURED) is expected


def test_without_more_only_the_sysctls_are_known() -> None:
    assert Context({"udp_timeout": 30}, 7).timeouts == Timeouts({"udp_timeout": 30}, 7)
    given = Timeouts({"udp_timeout": 30}, 7, uptime=5.0)
    assert Context({"udp_timeout": 30}, 7, given).timeouts is given


def test_what_is_known_now(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_directory_module, "DIRECTORY", str(tmp_path / "run"))
    monkeypatch.setattr(timeouts_module, "list_policies", list)
    monkeypatch.setattr(timeouts_module, "has_flow_tables", lambda: True)
    before = time.time_ns()
    context = Context.read({"udp_timeout": 30})
    assert before <= context.now <= time.time_ns()
    assert context.now == context.timeouts.now
    assert (context.settings, context.timeouts.settings) == ({"udp_timeout": 30}, {"udp_timeout": 30})
    assert context.timeouts.flow_tables
    assert context.timeouts.uptime < time.clock_gettime(time.CLOCK_BOOTTIME) + 1
