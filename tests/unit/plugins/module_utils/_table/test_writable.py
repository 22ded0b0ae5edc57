# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is counted of the answers to requests, with a kernel whose answers a test chooses."""

from __future__ import annotations

import collections
import errno
import struct
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _interrupt
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import transport
from ansible_collections.netops.conntrack.plugins.module_utils._netlink.clock import Moment
from ansible_collections.netops.conntrack.plugins.module_utils._table import table as table_module
from ansible_collections.netops.conntrack.plugins.module_utils._table.requests import Targets, update
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import Outcomes, WritableTable
from helpers.encoded_messages import Fields, blocks_of, entry_message, message
from helpers.old_kernels import CT_NEW, OldKernel, Release, names_one

NEW = Release("6.18", (6, 18))
NLMSG_ERROR, NLM_F_CREATE = 2, 0x400
FIRST = Moment(1.0, 2.0)


class Kernel(OldKernel):
    """A kernel that is asked to make entries as well, and says which of them are there.

    ``before`` is sent before the answers to a request, and ``deaf`` says that there are none.
    """

    def __init__(self, entries: t.Iterable[Fields]) -> None:
        super().__init__(NEW, entries)
        self.before = b""
        self.deaf = False
        self.numbers: list[int] = []

    def _answers(self, request: bytes) -> t.Iterator[bytes]:
        if self.deaf:
            return
        self.numbers.append(struct.unpack_from("=I", request, 8)[0])
        answers = list(super()._answers(request))
        if self.before:
            yield self.before
            # Or in one datagram with the answer.
            answers = [self.before + each for each in answers]
        yield from answers

    def _one(self, request: bytes, kind: int, flags: int, known: t.Mapping[int, bytes]) -> t.Iterator[bytes]:
        if not (kind == CT_NEW and flags & NLM_F_CREATE):
            yield from super()._one(request, kind, flags, known)
            return
        number = errno.EEXIST if any(names_one(one, known) for one in self.entries) else 0
        if number or flags & 4:
            sequence = struct.unpack_from("=I", request, 8)[0]
            yield message(NLMSG_ERROR, struct.pack("=i", -number) + request, flags=0, sequence=sequence)


def udp(number: int, **fields: t.Any) -> Fields:
    return {
        "protocol": 17,
        "source_port": number,
        "destination_port": 53,
        "status": 8,
        "id": number,
        "remaining": 30,
        **fields,
    }


Make = t.Callable[..., tuple[Kernel, WritableTable]]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Make]:
    tables: list[WritableTable] = []

    def make(*entries: Fields) -> tuple[Kernel, WritableTable]:
        kernel = Kernel(entries)
        monkeypatch.setattr(table_module, "find_sysctls", lambda: {"max": "nf_conntrack_max"})
        monkeypatch.setattr(transport, "open_socket", kernel.open_socket)
        tables.append(WritableTable(machine_limit=1000))
        return kernel, tables[-1]

    yield make
    for table in tables:
        table._socket.close()


def targets_of(*entries: Fields, tag: str = "tag", moment: Moment | None = None) -> Targets[str]:
    targets = Targets[str](["remaining"])
    for block in blocks_of(*entries):
        targets.add(block, tag, moment)
    return targets


def test_what_became_of_each_is_counted_by_its_tag(opened: Make) -> None:
    kernel, table = opened(*(udp(number) for number in range(1, 201)))
    targets = targets_of(*(udp(number) for number in range(1, 151)))
    for block in blocks_of(*(udp(number) for number in range(190, 211))):
        targets.add(block, "other")
    assert table.delete(targets) == {("tag", 0): 150, ("other", 0): 11, ("other", errno.ENOENT): 10}
    assert kernel.ids() == list(range(151, 190))
    before: Outcomes[str] = collections.Counter({("tag", 0): 1})
    assert table.delete(targets_of(udp(151), udp(1)), before) is before
    assert before == {("tag", 0): 2, ("tag", errno.ENOENT): 1}


def test_an_update_changes_what_is_there(opened: Make) -> None:
    kernel, table = opened(udp(1), udp(2))
    assert table.update(targets_of(udp(1), udp(3)), update(7, None)) == {("tag", 0): 1, ("tag", errno.ENOENT): 1}
    assert [one["remaining"] for one in kernel.entries] == [7, 30]


def test_each_request_has_a_number_of_its_own(opened: Make) -> None:
    kernel, table = opened(*(udp(number) for number in range(1, 6)))
    assert table._sequence == 0
    table.delete(targets_of(udp(1), udp(2)))
    assert table._sequence == 2
    list(table.look_up(targets_of(udp(3), udp(4), udp(5)), collections.Counter()))
    assert table._sequence == 5
    [block] = blocks_of(udp(8), udp(9))
    table.create(block, "tag", collections.Counter())
    assert table._sequence == 7
    table.without_labels(block)
    assert table._sequence == 9
    assert kernel.numbers == list(range(1, 10))


def test_answers_to_other_requests_are_passed_over(opened: Make) -> None:
    """They are of a dump that ended early, or of a request whose answer was late."""
    kernel, table = opened(udp(1), udp(2))
    for sequence in (0, 99):
        kernel.before += message(NLMSG_ERROR, struct.pack("=i", -errno.EINVAL) + bytes(16), flags=0, sequence=sequence)
        kernel.before += entry_message(udp(1, remaining=1), sequence=sequence)
    # Nor does a message of another kind count.
    kernel.before += message(1, b"", flags=0, sequence=1)
    outcome: Outcomes[str] = collections.Counter()
    [look] = table.looks(targets_of(udp(1), udp(2)), outcome)
    assert [entry.remaining for found in look.found for entry in found.block.entries()] == [30, 30]
    assert +outcome == {}
    assert table.delete(targets_of(udp(1), udp(2))) == {("tag", 0): 2}


def test_a_kernel_that_does_not_answer_is_an_error(opened: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, table = opened(udp(1))
    kernel.deaf = True
    table._socket.settimeout(0.05)
    outcome: Outcomes[str] = collections.Counter()
    with pytest.raises(ConntrackError, match=r"answers to the last requests are missing.* did not answer within"):
        table.delete(targets_of(udp(1)), outcome)
    assert outcome == {}


def test_a_look_has_what_is_there_and_where_it_was_asked_for(opened: Make) -> None:
    kernel, table = opened(udp(1), udp(3, remaining=20), udp(4, mark=5))
    outcome: Outcomes[str] = collections.Counter()
    begun = time.monotonic()
    [look] = table.looks(targets_of(udp(1), udp(2), udp(3), udp(4), moment=FIRST), outcome)
    found = {
        place: (entry.source_port, entry.remaining)
        for each in look.found
        for place, entry in zip(each.places, each.block.entries(), strict=True)
    }
    assert found == {0: (1, 30), 2: (3, 20), 3: (4, 30)}
    assert begun <= look.moment.earliest <= look.moment.latest <= time.monotonic()
    assert look.tag == "tag"
    assert look.notes is not None
    assert (look.notes.moment, look.notes.words["remaining"].tobytes()) == (FIRST, struct.pack("!I", 30) * 4)
    assert outcome == {("tag", errno.ENOENT): 1}
    assert len(kernel.entries) == 3


def test_what_took_the_place_of_an_entry_is_not_that_entry(opened: Make) -> None:
    """The kernel looks an entry up by its tuple, whatever its id."""
    _kernel, table = opened(udp(1), udp(2, id=77), udp(3))
    outcome: Outcomes[str] = collections.Counter()
    [look] = table.looks(targets_of(udp(1), udp(2), udp(3)), outcome)
    assert [(each.places, [entry.id for entry in each.block.entries()]) for each in look.found] == [([0, 2], [1, 3])]
    assert outcome == {("tag", errno.ENOENT): 1}
    outcome.clear()
    [alone] = table.looks(targets_of(udp(2)), outcome)
    assert (alone.found, outcome) == ([], {("tag", errno.ENOENT): 1})


def test_looks_come_batch_by_batch(opened: Make) -> None:
    entries = [udp(number) for number in range(1, 131)]
    _kernel, table = opened(*entries[1:])
    outcome: Outcomes[str] = collections.Counter()
    looks = list(table.look_up(targets_of(*entries), outcome))
    assert [(tag, sum(map(len, blocks))) for tag, blocks in looks] == [("tag", 63), ("tag", 64), ("tag", 2)]
    assert +outcome == {("tag", errno.ENOENT): 1}


def test_an_entry_that_is_there_is_not_made_again(opened: Make) -> None:
    _kernel, table = opened(udp(1), udp(2))
    [block] = blocks_of(*(udp(number) for number in range(1, 101)))
    outcome: Outcomes[str] = collections.Counter()
    made = table.create(block, "tag", outcome)
    assert outcome == {("tag", 0): 98, ("tag", errno.EEXIST): 2}
    assert [entry.source_port for entry in made.entries()] == list(range(3, 101))
    [there] = blocks_of(udp(1), udp(2))
    assert len(table.create(there, "tag", outcome)) == 0


def test_the_limit_of_the_machine_holds_for_each_namespace(opened: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    _kernel, table = opened()
    own = {"max": 2000}
    monkeypatch.setattr(table_module, "current_value", lambda _sysctls, name: own[name])
    assert table.limit() == 1000
    own["max"] = 20
    assert table.limit() == 20


def test_entries_without_labels_are_counted(opened: Make) -> None:
    _kernel, table = opened(udp(1, labels=bytes(16)), udp(2), udp(3, labels=b"\1" + bytes(15)), udp(5))

    def without_labels(*entries: Fields) -> int:
        [block] = blocks_of(*entries)
        return table.without_labels(block)

    assert without_labels(udp(1), udp(2), udp(3), udp(4), udp(5)) == 2
    assert without_labels(udp(3), udp(4)) == 0


def test_a_signal_waits_until_a_batch_is_counted(opened: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    _kernel, table = opened(udp(1))
    depths: list[int] = []
    send = WritableTable._send

    def looking(self: WritableTable, batch: t.Any) -> tuple[dict[int, int], list[bytes]]:
        depths.append(_interrupt._state.depth)
        return send(self, batch)

    monkeypatch.setattr(WritableTable, "_send", looking)
    [block] = blocks_of(udp(8))
    table.create(block, "tag", collections.Counter())
    table.delete(targets_of(udp(1)))
    # Nothing is lost of a look that is interrupted.
    list(table.looks(targets_of(udp(1)), collections.Counter()))
    assert depths == [1, 1, 0]
