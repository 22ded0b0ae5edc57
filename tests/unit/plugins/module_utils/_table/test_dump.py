# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A dump has every entry once, or it is an error."""

from __future__ import annotations

import collections
import errno
import itertools
import os
import platform
import random
import struct
import sys
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    DumpError,
    InterruptedDumpError,
    MalformedError,
    NotPermittedError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._table import dump
from helpers.encoded_messages import NLM_F_MULTI, SEQUENCE, Fields, attribute, done, entry_message, message
from helpers.support import CHECKOUT, module_path, run
from hypothesis import given, settings
from hypothesis import strategies as st

UDP = 17
CHAIN = 9
NLMSG_ERROR = 2
NLM_F_DUMP_INTR = 0x10


def flow(number: int, **more: t.Any) -> Fields:
    """Return an entry; entries with different numbers differ in their ports and ids only."""
    return {"protocol": UDP, "source_port": number, "destination_port": 53, "id": 1000 + number, "status": 8, **more}


def dumped(*datagrams: t.Iterable[Fields], end: bytes = b"") -> list[t.Any]:
    """Return the entries of the dump with these datagrams, the last of which ends it."""
    encoded = [b"".join(map(entry_message, datagram)) for datagram in datagrams]
    encoded[-1] += end or done()
    blocks = dump.blocks(encoded, SEQUENCE, CHAIN)
    return [entry for block in blocks for entry in block.entries()]


def ports(*datagrams: t.Iterable[Fields]) -> list[int]:
    return sorted(entry.source_port for entry in dumped(*datagrams))


def flows(first: int, last: int, **more: t.Any) -> list[Fields]:
    return [flow(number, **more) for number in range(first, last + 1)]


@pytest.mark.parametrize("copies", range(CHAIN + 1))
def test_the_first_of_a_datagram_may_be_the_last_of_the_one_before(copies: int) -> None:
    assert ports(flows(1, 30), flows(31 - copies, 60)) == list(range(1, 61))


def test_copies_of_entries_that_have_changed_since() -> None:
    """Another packet, a reply and a mark make another message of them, but no other entry."""
    changed = flows(28, 30, status=10, remaining=30, mark=7, packets_original=2)
    assert ports(flows(1, 30), changed + flows(31, 40)) == list(range(1, 41))


def test_copies_of_a_chain_that_filled_several_datagrams() -> None:
    assert ports(flows(1, 3), flows(4, 5), flows(1, 6), flows(4, 9)) == list(range(1, 10))


def test_a_datagram_of_copies_only() -> None:
    assert ports(flows(1, 9), flows(3, 9), flows(3, 9), flows(8, 12), []) == list(range(1, 13))


@pytest.mark.parametrize(
    "other", [{"id": 5}, {"zone": 7}, {"zone_original": 7}, {"zone_reply": 7, "id": 6}, {"source": "198.18.0.7"}]
)
def test_entries_that_are_alike_are_all_there(other: dict[str, t.Any]) -> None:
    """The same ports in another zone, or again after the first connection has gone."""
    assert ports(flows(1, 3), flows(3, 3, **other) + flows(3, 3) + flows(4, 5)) == [1, 2, 3, 3, 4, 5]


def test_the_same_zone_is_the_same_entry() -> None:
    assert ports(flows(1, 3, zone=7), flows(3, 4, zone=7)) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "one",
    [
        {"protocol": 99},
        {"protocol": 99, "source": "2001:db8::9"},
        {"protocol": 1, "icmp_type": 8, "icmp_code": 0, "icmp_id": 3},
        {"protocol": 58, "source": "2001:db8::9", "icmp_type": 128, "icmp_code": 0, "icmp_id": 3},
        {"protocol": 17, "source": "2001:db8::9", "source_port": 3, "destination_port": 4},
        {"protocol": 47, "source_port": 3, "destination_port": 4},
    ],
)
def test_copies_of_every_kind(one: dict[str, t.Any]) -> None:
    first, changed, other = ({**one, "status": 8, "id": 1, **more} for more in ({}, {"mark": 1}, {"id": 2}))
    assert len(dumped([first], [changed, other])) == 2


class Kernel:
    """The table and its dump, as in ctnetlink_dump_table(): what does not fit comes first in the next datagram."""

    def __init__(self, chains: list[list[int]], chance: random.Random) -> None:
        self.chains = chains
        self._new = itertools.count(10000)
        self._room = [CHAIN - len(chain) for chain in chains]
        self.gone: set[int] = set()
        self._chance = chance
        self._last: int | None = None

    def datagrams(self, capacity: int) -> t.Iterator[bytes]:
        at = 0
        while True:
            rows: list[int] = []
            while at < len(self.chains) and self._continue(self.chains[at], rows, capacity):
                at += 1
            yield b"".join(entry_message(flow(number)) for number in rows) + (done() if at == len(self.chains) else b"")
            if at == len(self.chains):
                return
            self._change(at)

    def _continue(self, chain: list[int], rows: list[int], capacity: int) -> bool:
        """Put the rest of a chain into the datagram; False: not all of it fits."""
        start = chain.index(self._last) if self._last in chain else 0
        self._last = None
        for number in chain[start:]:
            if len(rows) == capacity:
                self._last = number
                return False
            rows.append(number)
        return True

    def _change(self, at: int) -> None:
        """Let entries come and vanish between two datagrams, often the one at which the dump goes on."""
        for number in list(self.chains[at]):
            if self._chance.random() < (0.7 if number == self._last else 0.1):
                self.chains[at].remove(number)
                self.gone.add(number)
        new = self._chance.randint(0, self._room[at])
        self._room[at] -= new
        self.chains[at][:0] = [next(self._new) for _turn in range(new)]


@settings(max_examples=150, deadline=None)
@given(sizes=st.lists(st.integers(0, CHAIN), max_size=30), capacity=st.integers(1, 12), chance=st.randoms())
def test_a_table_that_changes_meanwhile(sizes: list[int], capacity: int, chance: random.Random) -> None:
    numbers = iter(range(1, 1000))
    kernel = Kernel([[next(numbers) for _turn in range(size)] for size in sizes], chance)
    blocks = dump.blocks(kernel.datagrams(capacity), SEQUENCE, CHAIN)
    found = collections.Counter(port for block in blocks for port in block.column("source_port"))
    assert set(found.values()) <= {1}
    assert set(range(1, sum(sizes) + 1)) - kernel.gone <= found.keys()


@pytest.mark.parametrize("datagrams", [[], [flows(1, 3)], [flows(1, 3), flows(4, 6)]])
def test_a_dump_that_breaks_off(datagrams: list[list[Fields]]) -> None:
    encoded = [b"".join(map(entry_message, datagram)) for datagram in datagrams]
    with pytest.raises(InterruptedDumpError, match="broke off"):
        list(dump.blocks(encoded, SEQUENCE, CHAIN))


def test_a_dump_of_nothing() -> None:
    assert dumped([]) == []


@pytest.mark.slow
def test_many_datagrams_are_several_blocks_of_the_same_layout() -> None:
    encoded = [b"".join(map(entry_message, flows(start, start + 99))) for start in range(0, 60000, 100)]
    blocks = list(dump.blocks([*encoded, done()], SEQUENCE, CHAIN))
    assert len(blocks) > 2
    assert len({block.layout for block in blocks}) == 1
    assert [port for block in blocks for port in block.column("source_port")] == list(range(60000))


def error(number: int) -> bytes:
    """Encode an NLMSG_ERROR, which has the request's header behind its number."""
    return message(NLMSG_ERROR, struct.pack("=i", -number) + bytes(16), flags=0)


ERRORS: list[tuple[int, type[ConntrackError]]] = [
    (errno.EPERM, NotPermittedError),
    (errno.EACCES, NotPermittedError),
    (errno.EINVAL, UnavailableError),
    (errno.EOPNOTSUPP, UnavailableError),
    (errno.EPROTONOSUPPORT, UnavailableError),
    (errno.ENOMEM, DumpError),
    (errno.EBUSY, DumpError),
]


@pytest.mark.parametrize("encode", [error, done])
@pytest.mark.parametrize(("number", "kind"), ERRORS)
def test_the_kernels_errors(encode: t.Callable[[int], bytes], number: int, kind: type[ConntrackError]) -> None:
    with pytest.raises(kind) as caught:
        list(dump.blocks([encode(number)], SEQUENCE, CHAIN))
    assert caught.type is kind


def test_an_error_after_entries() -> None:
    with pytest.raises(DumpError, match="Cannot allocate memory"):
        dumped(flows(1, 3), flows(4, 5), end=done(errno.ENOMEM))


@pytest.mark.parametrize("at", [0, 1, 4])
def test_a_dump_that_the_kernel_marks_as_disturbed(at: int) -> None:
    rows = [entry_message(flow(number)) for number in range(5)]
    rows[at] = entry_message(flow(at), flags=NLM_F_MULTI | NLM_F_DUMP_INTR)
    with pytest.raises(InterruptedDumpError, match="changed too much"):
        list(dump.blocks([b"".join(rows[:3]), b"".join(rows[3:]) + done()], SEQUENCE, CHAIN))


def test_the_mark_may_be_on_the_end_alone() -> None:
    end = message(3, bytes(4), flags=NLM_F_MULTI | NLM_F_DUMP_INTR)
    with pytest.raises(InterruptedDumpError, match="changed too much"):
        dumped(flows(1, 3), end=end)


def test_entries_of_another_dump() -> None:
    with pytest.raises(MalformedError, match="another request"):
        list(dump.blocks([entry_message(flow(1)) + entry_message(flow(2), sequence=2) + done()], SEQUENCE, CHAIN))


@pytest.mark.parametrize("where", [0, 1, 2])
def test_what_looks_like_an_end_is_none(where: int) -> None:
    """Twenty bytes inside an entry are not a message of their own, wherever they stand."""
    nearly = entry_message(flow(0), more=attribute(99, done()))
    datagrams = [b"".join(map(entry_message, flows(3 * part + 1, 3 * part + 3))) for part in range(3)]
    datagrams[where] += nearly
    found = dump.blocks([*datagrams, done()], SEQUENCE, CHAIN)
    assert sorted(port for block in found for port in block.column("source_port")) == list(range(10))
    with pytest.raises(InterruptedDumpError, match="broke off"):
        list(dump.blocks([entry_message(flow(1)), nearly], SEQUENCE, CHAIN))


_FAULTS = """
import resource

from ansible_collections.netops.conntrack.plugins.module_utils._table import dump
from helpers.encoded_messages import SEQUENCE, done, entry_message
flows = [{{"protocol": 17, "source_port": number, "destination_port": 53, "id": number}} for number in range(150)]
datagram = b"".join(map(entry_message, flows))
# Then the blocks are as short as those of a table with many layouts.
dump._CHUNK_BYTES = 1 << 19
{before}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
at_first = faults()
for block in dump.blocks([*[datagram] * 400, done()], SEQUENCE, 9):
    pass
print(faults() - at_first)
"""


def page_faults(before: str = "") -> int:
    """Return how often a new process had to ask the kernel for memory while it read a dump of 60,000 entries."""
    path = os.pathsep.join([module_path(), str(CHECKOUT / "tests")])
    return int(run(["env", f"PYTHONPATH={path}", sys.executable, "-c", _FAULTS.format(before=before)]))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep what they keep")
def test_memory_is_not_asked_for_again_and_again() -> None:
    assert page_faults() * 3 < page_faults("dump._keep_memory = lambda: None")
