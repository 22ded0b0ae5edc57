# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""When the kernel read the entries that it sent, in seconds of CLOCK_MONOTONIC."""

from __future__ import annotations

import time
import typing as t


class Moment(t.NamedTuple):
    """Two times with a reading in between: it was not before ``earliest`` and not after ``latest``."""

    earliest: float
    latest: float


class Clock:
    """Tells between which two times the kernel read the entries of each part of a dump.

    The kernel stays one datagram ahead. It fills the first datagram while it takes the request, and each further one
    while the one before it is received (netlink_dump() in net/netlink/af_netlink.c).
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin anew, right before a dump is requested."""
        self._filling_since = time.monotonic()
        self._earliest = self._filling_since
        self._part_is_told = True

    def timing(self, datagrams: t.Iterable[bytes]) -> t.Iterator[bytes]:
        """Yield the datagrams of the dump while they are received, and note when."""
        source = iter(datagrams)
        while True:
            called = time.monotonic()
            datagram = next(source, None)
            if datagram is None:
                return
            if self._part_is_told:
                self._earliest = self._filling_since
                self._part_is_told = False
            self._filling_since = called
            yield datagram

    def moment(self) -> Moment:
        """Return when the kernel read what was received since the part before.

        The next datagram begins a new part. Until then this is the same part, with a later ``latest``.
        """
        self._part_is_told = True
        return Moment(self._earliest, time.monotonic())
