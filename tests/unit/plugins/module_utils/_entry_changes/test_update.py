# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel cannot be made to do at will: updates that it refuses, and entries that changed before theirs."""

from __future__ import annotations

import contextlib
import errno
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes import update as update_module
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.update import update
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.update_plan import (
    Mark,
    UpdatePlan,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.update_survey import (
    UpdateVerdict,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.requests import Request, Targets
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import Outcomes
from helpers.encoded_messages import Fields, attribute, blocks_of
from helpers.update_plans import LONG, TCP_ENTRY, plan_of

FIXED_TIMEOUT = 1 << 10


@pytest.fixture(autouse=True)
def on_record(monkeypatch: pytest.MonkeyPatch) -> list[str | int]:
    """Keep the record of the machine out of it, and return what would stand there."""
    written: list[str | int] = []

    @contextlib.contextmanager
    def shortening(most: int) -> t.Iterator[None]:
        written.append(most)
        try:
            yield
        finally:
            written.append("end")

    monkeypatch.setattr(update_module, "shortening", shortening)
    return written


class Stub:
    """A table of ten entries whose updates end with these errnos, one after the other; ``now`` is what they became."""

    def count(self) -> int | None:
        return None

    def __init__(self, ends: t.Sequence[int], now: Fields | None = None) -> None:
        self.ends = iter(ends)
        self.now = now or {}
        self.sent: list[bytes] = []
        self.on_update: t.Callable[[], object] = lambda: None

    def read(self, collect: t.Callable[[t.Iterator[Block]], t.Any], *_conditions: t.Any) -> t.Any:
        return collect(iter(self._blocks({})))

    def _blocks(self, now: Fields) -> list[Block]:
        return blocks_of(*({**TCP_ENTRY, "source_port": port, "id": port, **now} for port in range(1, 11)))

    def look_up(
        self, targets: Targets[UpdateVerdict], _outcome: Outcomes[UpdateVerdict]
    ) -> t.Iterator[tuple[UpdateVerdict, list[Block]]]:
        for tag, _batch in targets.batches(Request(0), 1):
            yield tag, self._blocks(self.now)

    def update(self, targets: Targets[UpdateVerdict], request: Request, outcome: Outcomes[UpdateVerdict]) -> None:
        self.sent.append(request.attributes)
        self.on_update()
        for tag, batch in targets.batches(request, 1):
            for _number in range(batch.size):
                end = next(self.ends)
                if end < 0:
                    raise ConntrackError("No answer.")
                outcome[tag, end] += 1


def result_of(stub: Stub, timeout: int = 900, mark: Mark | None = None) -> dict[str, t.Any]:
    return update(t.cast(t.Any, stub), plan_of(timeout, mark), dry_run=False).result(with_diff=True)


def test_what_is_sent() -> None:
    stub = Stub([0] * 10)
    result_of(stub, mark=(0x10, 0xFF))
    assert stub.sent == [attribute(7, b"\0\0\3\x84") + attribute(8, b"\0\0\0\x10") + attribute(21, b"\0\0\0\xff")]


def test_a_time_of_your_own_is_on_record_before_the_first_entry_gets_it(on_record: list[str | int]) -> None:
    stub = Stub([0] * 10)
    stub.on_update = lambda: on_record.append("update")
    result_of(stub)
    assert on_record == [900, "update", "end"]


def test_what_fails_is_on_record_as_well(on_record: list[str | int]) -> None:
    with pytest.raises(ConntrackError):
        result_of(Stub([-1]))
    assert on_record == [900, "end"]


@pytest.mark.parametrize(
    ("plan", "dry_run"),
    [
        (plan_of(900), True),
        (plan_of("settings", settings={"tcp_timeout_established": 900}), False),
        (plan_of(None, (5, 0xFF)), False),
        (plan_of(LONG), False),
        (plan_of(900, (5, 0xFF), match=[{"protocol": "udp"}]), False),
    ],
)
def test_what_needs_no_record(plan: UpdatePlan, dry_run: bool, on_record: list[str | int]) -> None:
    update(t.cast(t.Any, Stub([0] * 10)), plan, dry_run)
    assert on_record == []


def test_updates_that_are_too_late_do_no_harm() -> None:
    result = result_of(Stub([0, errno.ENOENT, errno.ETIME, errno.EPERM, *[0] * 6]))
    numbers = [result[name] for name in ("would_update", "updated", "already_gone", "fixed_timeout", "not_updated")]
    assert numbers == [10, 7, 2, 1, 0]
    assert result["diff"] == {
        "before": "10  ipv4 tcp ESTABLISHED unreplied: more than 900 s left\n",
        "after": "3  ipv4 tcp ESTABLISHED unreplied: more than 900 s left\n",
    }


@pytest.mark.parametrize(
    ("now", "name"),
    [
        ({"remaining": 5}, "unchanged"),
        ({"status": FIXED_TIMEOUT}, "fixed_timeout"),
        ({"remaining": None, "state": None}, "without_timeout"),
    ],
)
def test_entries_that_need_no_update_any_more(now: Fields, name: str) -> None:
    stub = Stub([], now)
    result = result_of(stub)
    assert (result["changed"], result["would_update"], result[name]) == (False, 10, 10)
    assert stub.sent == []


@pytest.mark.parametrize(("ends", "updated"), [([0, *[errno.EBUSY] * 9], 1), ([errno.EBUSY] * 10, 0)])
def test_updates_that_the_kernel_refuses(ends: list[int], updated: int) -> None:
    with pytest.raises(ConntrackError, match=f"refused {10 - updated} of 10 requests: {10 - updated} times") as caught:
        result_of(Stub(ends))
    assert caught.value.result["failures"] == {"Device or resource busy": 10 - updated}
    assert (caught.value.result["changed"], caught.value.result["updated"]) == (bool(updated), updated)


def test_what_was_updated_before_an_error_is_told() -> None:
    with pytest.raises(ConntrackError) as caught:
        result_of(Stub([0, 0, -1]))
    assert caught.value.message == "No answer. At least 2 entries had been updated by then."
    assert caught.value.result == {"changed": True, "updated": 2}
