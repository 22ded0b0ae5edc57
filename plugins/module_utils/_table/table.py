# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The connection-tracking table of the network namespace that the process is in, over netlink.

The sockets are plain ones: dumps are decoded as they stream in, which pyroute2's sockets do not offer.
"""

from __future__ import annotations

import contextlib
import os
import socket
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    DumpError,
    InterruptedDumpError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing, listed, transport
from ansible_collections.netops.conntrack.plugins.module_utils._netlink.clock import Clock
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.limits import limit_that_holds
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import GAUGE, current_value, find_sysctls
from ansible_collections.netops.conntrack.plugins.module_utils._table import cpu_stats, dump, kernel_filter
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.kernel_filter import Condition

_ATTEMPTS = 5
_READ_AHEAD_FROM = 10_000
"""With fewer entries than this, a process that reads saves no time worth its memory."""

Result = t.TypeVar("Result")
Opened = t.TypeVar("Opened", bound="Table")


class Table:
    """The table as it can be read. A context manager, which closes the socket.

    ``read_ahead`` says whether a second process receives the dumps while this one decodes them. By default one does
    where that is faster. ``machine_limit`` is what ``read_machine_limit`` returned before the process entered the
    namespace. Raises UnavailableError where the kernel tracks no connections.
    """

    def __init__(self, read_ahead: bool | None = None, machine_limit: int | None = None) -> None:
        self._sysctls = find_sysctls()
        self._machine_limit = machine_limit
        if not self._sysctls:
            raise UnavailableError(
                "nf_conntrack is not there: the kernel tracks no connections. Load it with 'modprobe nf_conntrack' "
                "(a firewall rule that matches on ct state loads it too), or for each boot as well with "
                "ansible-playbook netops.conntrack.prepare.",
                no_conntrack=True,
            )
        self._read_ahead = read_ahead
        self._socket = transport.open_socket()
        self._sequence = 0

    def __enter__(self: Opened) -> Opened:
        return self

    def __exit__(self, *_unused: object) -> None:
        self._socket.close()

    def read(
        self,
        collect: t.Callable[[t.Iterator[Block]], Result],
        conditions: t.Sequence[Condition] = (),
        clock: Clock | None = None,
        *,
        fields: t.Iterable[str] | None = None,
    ) -> Result:
        """Return what ``collect`` makes of the entries of one whole dump, both families, each entry once.

        A dump has all fields, whichever ``fields`` are read.

        A dump that was disturbed is thrown away, and ``collect`` is called anew with the entries of another. Entries
        that do not meet the ``conditions`` are left out by kernels that can, and may come all the same.
        With a ``clock``, ``collect`` can ask it when the kernel read the block that it was given last. Then there is no
        second process, which would receive at times that this one does not know.
        Raises DumpError when none of five dumps was whole, NotPermittedError without CAP_NET_ADMIN, MalformedError for
        bytes that cannot be decoded.
        """
        for _attempt in range(_ATTEMPTS):
            try:
                with contextlib.closing(self._blocks(conditions, clock)) as blocks:
                    return collect(blocks)
            except InterruptedDumpError:
                continue
            except UnavailableError:
                if not conditions:
                    raise
                # The kernel refuses to leave anything out.
                conditions = ()
        raise DumpError(
            f"The table could not be read as a whole in {_ATTEMPTS} attempts: its hash table was being resized, or "
            "the kernel had no memory for the answer. Run it again."
        )

    def _blocks(self, conditions: t.Sequence[Condition], clock: Clock | None) -> t.Generator[Block, None, None]:
        """Yield the entries of one dump. A resize of the hash table loses entries of a running dump without a trace."""
        with contextlib.ExitStack() as stack:
            sysctl = self._sysctls.get("buckets")
            buckets = stack.enter_context(sysctl.watched()) if sysctl else _unknown
            before = buckets()
            chain = _longest_chain(self.count() or 0, before or 1)
            # A socket of its own: closing is the one way to end a dump early.
            source = stack.enter_context(transport.open_socket())
            if clock is not None:
                clock.restart()
            transport.send(
                source, framing.encode_request(_uapi.CT_GET, _uapi.NLM_F_DUMP, 1, *kernel_filter.encode(conditions))
            )
            for block in dump.blocks(self._datagrams(source, stack, clock), sequence=1, chain=chain):
                # A second resize can give the table its old size back before the end.
                _check_size(before, buckets())
                yield block
            _check_size(before, buckets())

    def _datagrams(self, source: socket.socket, stack: contextlib.ExitStack, clock: Clock | None) -> t.Iterator[bytes]:
        if clock is not None:
            return clock.timing(transport.datagrams(source))
        if self._should_read_ahead():
            # Where there can be no second process, this one does it all.
            with contextlib.suppress(OSError):
                return stack.enter_context(transport.read_ahead(source))
        return transport.datagrams(source)

    def count(self) -> int | None:
        """Return the number of entries as the kernel counts them, expired ones included, or None if it does not say."""
        return self._held(GAUGE)

    def limit(self) -> int | None:
        """Return how many entries there may be, 0 for any number, or None if the kernel does not say."""
        return limit_that_holds(self._held("max"), self._machine_limit)

    def _held(self, short_name: str) -> int | None:
        return current_value(self._sysctls, short_name)

    def _should_read_ahead(self) -> bool:
        if self._read_ahead is not None:
            return self._read_ahead
        return len(os.sched_getaffinity(0)) > 1 and (self.count() or 0) >= _READ_AHEAD_FROM

    def cpu_stats(self) -> list[tuple[int, dict[str, int]]]:
        """Return number and counters of each processor. The counters have 32 bits and wrap.

        Raises UnavailableError where the kernel has none, InterruptedDumpError where the answer is not whole,
        MalformedError for bytes that cannot be decoded.
        """
        self._sequence += 1
        transport.send(self._socket, framing.encode_request(_uapi.CT_GET_STATS_CPU, _uapi.NLM_F_DUMP, self._sequence))
        stats = listed.each(transport.datagrams(self._socket), _uapi.CT_GET_STATS_CPU, _raise_for_stats)
        return sorted(map(cpu_stats.decode, stats), key=lambda item: item[0])


def _raise_for_stats(number: int) -> None:
    """Raise as ``dump.raise_for`` does, and UnavailableError for a kernel that does not know the request."""
    try:
        dump.raise_for(number)
    except UnavailableError as error:
        # IPCTNL_MSG_CT_GET_STATS_CPU came with 3.6.
        raise UnavailableError(
            "The kernel does not tell its counters for each processor. It is older than 3.6, or lacks the module "
            "nf_conntrack_netlink."
        ) from error


def _unknown() -> None:
    """Return that the kernel does not say."""


def _check_size(before: int | None, now: int | None) -> None:
    """Raise InterruptedDumpError if the hash table has another number of buckets now."""
    if now != before:
        raise InterruptedDumpError("The hash table was resized while it was read.")


def not_listed(before: int | None, after: int | None, listed: int) -> int | None:
    """Return how many entries the kernel counts, but did not list in a dump of ``listed`` entries.

    These are entries that were deleted but not freed yet, and those of packets that wait in a queue. ``before`` and
    ``after`` are the kernel's counts around the dump. The smaller one is taken, because a dump frees the expired
    entries that it meets, and new ones come all the time. None where the kernel does not count.
    """
    counted = smaller_count(before, after)
    return None if counted is None else max(0, counted - listed)


def smaller_count(before: int | None, after: int | None) -> int | None:
    """Return the smaller one of the kernel's counts around a dump, or None where the kernel does not count."""
    return None if before is None or after is None else min(before, after)


def _longest_chain(count: int, buckets: int) -> int:
    """Return the length of a hash chain that a random hash does not exceed: 8 more than 4 times the mean, rounded up.

    The lengths are Poisson-distributed: the chance that a certain chain is longer is below 1e-9 at any load.
    """
    return 8 + 4 * -(-count // buckets)
