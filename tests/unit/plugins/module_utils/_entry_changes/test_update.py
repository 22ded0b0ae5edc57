# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel cannot be made to do at will: offloaded entries, entries without a mark, updates that it refuses."""

from __future__ import annotations

import contextlib
import errno
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_claims import Claims
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_policies import Policy
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes import update as update_module
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.update import (
    Aim,
    Judge,
    Mark,
    Plan,
    Verdict,
    parse_mark,
    parse_timeout,
    update,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    OptionError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector.keys import Context
from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.requests import Request, Targets
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import Errors
from helpers.encoded_messages import Fields, attribute, blocks_of
from helpers.strategies import SETTINGS

TCP, UDP, GRE, SCTP = 6, 17, 47, 132
ESTABLISHED, TIME_WAIT = 3, 7
SEEN_REPLY, FIXED_TIMEOUT, OFFLOAD = 1 << 1, 1 << 10, 1 << 14
LONG = 10**6
PORTS = {"source_port": 5, "destination_port": 9}

TCP_ENTRY = {"protocol": TCP, "state": ESTABLISHED, "status": 0, "remaining": LONG, "mark": 0, "id": 1}


def plan_of(
    timeout: int | str | None,
    mark: Mark | None = None,
    settings: t.Mapping[str, int] = SETTINGS,
    match: list[t.Any] | None = None,
    claims: Claims | None = None,
) -> Plan:
    """Return a plan; without ``claims`` every sysctl was lowered from a value that explains all times."""
    every = Claims(dict.fromkeys(settings, LONG), ())
    aim = Aim(timeout, mark, settings, every if claims is None else claims)
    return Plan(compile_selection(match, None, Context(settings, 0)), aim, ())


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


def verdicts(plan: Plan, *entries: Fields) -> list[Verdict]:
    """Return the verdicts on entries of one layout, in their order."""
    [block] = blocks_of(*entries)
    return Judge(plan)(block)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, None), ("settings", "settings"), ({"max": "15h"}, 54000), ({"max": 1}, 1), ({"max": "5d"}, 432000)],
)
def test_timeout(given: t.Any, expected: t.Any) -> None:
    assert parse_timeout(given) == expected


@pytest.mark.parametrize(
    "given", [0, 54000, "15h", "", True, [], {}, {"max": 0}, {"max": None}, {"min": 1}, {"max": 1, "min": 1}]
)
def test_bad_timeout(given: t.Any) -> None:
    with pytest.raises(OptionError, match="timeout"):
        parse_timeout(given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, None), ("0x10", (0x10, 0xFFFFFFFF)), ("16", (16, 0xFFFFFFFF)), ("0x10/0xff", (0x10, 0xFF))],
)
def test_mark(given: t.Any, expected: t.Any) -> None:
    assert parse_mark(given) == expected


@pytest.mark.parametrize("given", ["", "red", "-1", "0x100/0xff", "1/", "0/0", "0x1ffffffff"])
def test_bad_mark(given: t.Any) -> None:
    with pytest.raises(OptionError, match="mark"):
        parse_mark(given)


@pytest.mark.parametrize(
    ("fields", "settings", "cap"),
    [
        ({}, SETTINGS, 432000),
        ({"state": TIME_WAIT}, SETTINGS, 125),
        ({"state": 0}, SETTINGS, None),
        ({"state": 200}, SETTINGS, None),
        ({}, {"udp_timeout": 30}, None),
        ({}, {"tcp_timeout_established": -1}, None),
        ({}, {"tcp_timeout_established": 0}, 1),
        ({"protocol": UDP, "state": None}, SETTINGS, 30),
        ({"protocol": UDP, "state": None, "status": SEEN_REPLY}, SETTINGS, 180),
        ({"protocol": UDP, "state": None, "status": SEEN_REPLY}, {"udp_timeout": 30}, 30),
        ({"protocol": GRE, "state": None, "status": SEEN_REPLY, **PORTS}, SETTINGS, 181),
        ({"protocol": SCTP, "state": 4, **PORTS}, SETTINGS, 210),
        ({"protocol": SCTP, "state": 7, **PORTS}, SETTINGS, None),
        ({"protocol": SCTP, "state": None}, SETTINGS, 600),
        ({"protocol": 99, "state": None}, SETTINGS, 600),
    ],
)
def test_the_cap_of_the_settings(fields: Fields, settings: dict[str, int], cap: int | None) -> None:
    [verdict] = verdicts(plan_of("settings", settings=settings), {**TCP_ENTRY, **fields})
    assert verdict.change.timeout == cap
    assert verdict.obstacle == ("undecidable" if cap is None else "")


@pytest.mark.parametrize(
    ("fields", "change", "obstacle"),
    [
        ({}, (900, (5, 255)), ""),
        ({"mark": 0xF05}, (900, None), ""),
        ({"remaining": 900}, (None, (5, 255)), ""),
        ({"remaining": 900, "mark": 5}, (None, None), ""),
        ({"remaining": 901, "mark": 5}, (900, None), ""),
        ({"status": FIXED_TIMEOUT}, (None, (5, 255)), "fixed_timeout"),
        ({"status": FIXED_TIMEOUT, "mark": 5}, (None, None), "fixed_timeout"),
        ({"status": FIXED_TIMEOUT, "remaining": 900, "mark": 5}, (None, None), ""),
        ({"status": OFFLOAD, "remaining": None, "state": None}, (None, (5, 255)), "without_timeout"),
        ({"status": OFFLOAD, "remaining": None, "state": None, "mark": 5}, (None, None), "without_timeout"),
    ],
)
def test_what_an_entry_is_sent(fields: Fields, change: t.Any, obstacle: str) -> None:
    [verdict] = verdicts(plan_of(900, (5, 0xFF)), {**TCP_ENTRY, **fields})
    assert (tuple(verdict.change), verdict.obstacle) == (change, obstacle)


def test_of_many_times_only_those_above_the_cap_are_lowered() -> None:
    """Also where so many differ that only their place among the steps counts."""
    entries = [{**TCP_ENTRY, "remaining": seconds, "id": seconds} for seconds in range(700, 1100)]
    match = [{"remaining": {"min": 800}}]
    found = verdicts(plan_of(900, match=match), *entries)
    assert [verdict.change.timeout for verdict in found] == [None] * 201 + [900] * 199
    assert [verdict.decision for verdict in found] == [False] * 100 + [True] * 300


def test_of_many_times_only_those_with_a_claim_are_shortened() -> None:
    """The cap, what the sysctl allowed before, and what rules explain: each is a step on its own."""
    rule = Policy(None, TCP, {"tcp_timeout_established": 950})
    claims = Claims({"tcp_timeout_established": 1000}, [rule])
    entries = [{**TCP_ENTRY, "remaining": seconds, "id": seconds} for seconds in range(700, 1100)]
    found = verdicts(plan_of("settings", settings={"tcp_timeout_established": 900}, claims=claims), *entries)
    obstacles = [""] * 201 + ["rule"] * 50 + [""] * 50 + ["longer_than_before"] * 99
    assert [verdict.obstacle for verdict in found] == obstacles
    assert [verdict.change.timeout for verdict in found] == [None] * 251 + [900] * 50 + [None] * 99


@pytest.mark.parametrize("match", [None, [{"protocol": "tcp"}]])
def test_a_kernel_that_shows_no_marks(match: list[t.Any] | None) -> None:
    with pytest.raises(UnavailableError, match="CONFIG_NF_CONNTRACK_MARK"):
        verdicts(plan_of(None, (5, 0xFF), match=match), {**TCP_ENTRY, "mark": None})


def test_a_mark_that_is_not_asked_for_may_be_unknown() -> None:
    plan = plan_of(None, (5, 0xFF), match=[{"protocol": "udp"}])
    assert [verdict.decision for verdict in verdicts(plan, {**TCP_ENTRY, "mark": None})] == [False]
    [verdict] = verdicts(plan_of(900), {**TCP_ENTRY, "mark": None})
    assert verdict.change == (900, None)


class Stub:
    """A table of ten entries whose updates end with these errnos, one after the other; ``now`` is what they became."""

    def count(self) -> int | None:
        return None

    def __init__(self, ends: t.Sequence[int], now: Fields | None = None) -> None:
        self.ends = iter(ends)
        self.now = now or {}
        self.sent: list[bytes] = []
        self.on_update: t.Callable[[], object] = lambda: None

    def read(self, collect: t.Callable[[t.Iterator[Block]], t.Any], _conditions: t.Any) -> t.Any:
        return collect(iter(self._blocks({})))

    def _blocks(self, now: Fields) -> list[Block]:
        return blocks_of(*({**TCP_ENTRY, "source_port": port, "id": port, **now} for port in range(1, 11)))

    def look_up(self, targets: Targets[Verdict], _outcome: Errors[Verdict]) -> t.Iterator[tuple[Verdict, list[Block]]]:
        for tag, _batch in targets.batches(Request(0), 1):
            yield tag, self._blocks(self.now)

    def update(self, targets: Targets[Verdict], request: Request, outcome: Errors[Verdict]) -> None:
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
def test_what_needs_no_record(plan: Plan, dry_run: bool, on_record: list[str | int]) -> None:
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
