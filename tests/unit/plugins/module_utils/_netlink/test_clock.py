# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Between which times each part of a dump was read, by a kernel that stays one datagram ahead."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import clock as clock_module
from ansible_collections.netops.conntrack.plugins.module_utils._netlink.clock import Clock
from hypothesis import given
from hypothesis import strategies as st


class Kernel:
    """Fills the first datagram when it is asked, and the next one each time that one is received."""

    def __init__(self, seconds: t.Iterator[float], datagrams: int) -> None:
        self.now = 0.0
        self.filled: list[float] = []
        self._seconds = seconds
        self._datagrams = datagrams

    def pass_time(self) -> None:
        self.now += next(self._seconds)

    def monotonic(self) -> float:
        return self.now

    def ask(self) -> None:
        self.pass_time()
        self.filled.append(self.now)

    def datagrams(self) -> t.Iterator[bytes]:
        for number in range(self._datagrams):
            self.pass_time()
            if number + 1 < self._datagrams:
                self.filled.append(self.now)
            self.pass_time()
            yield bytes([number])


@given(st.lists(st.floats(0.001, 5), min_size=200, max_size=200), st.lists(st.integers(1, 4), min_size=1, max_size=8))
def test_every_datagram_was_filled_at_its_parts_moment(seconds: list[float], parts: list[int]) -> None:
    kernel = Kernel(iter(seconds), sum(parts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock_module, "time", kernel)
        clock = Clock()
        kernel.pass_time()
        clock.restart()
        started = kernel.now
        kernel.ask()
        source = clock.timing(kernel.datagrams())
        begins = [started]
        for part in parts:
            numbers: list[int] = []
            for _datagram in range(part):
                begins.append(kernel.now)
                numbers += next(source)
            kernel.pass_time()
            for moment in (clock.moment(), clock.moment()):
                for number in numbers:
                    assert moment.earliest <= kernel.filled[number] <= moment.latest
                assert moment.latest == kernel.now
            # No earlier than has to be assumed: when the datagram before the part was asked for.
            assert moment.earliest == begins[numbers[0]]
        assert next(source, None) is None
