# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernels that cannot be had are read, pruned and updated as exactly as others, and none is ever asked to flush."""

from __future__ import annotations

import contextlib
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes import update as update_module
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.guards import Guards
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune import prune
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import PrunePlan, parse_limit
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.update import update
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._facts.gather import gather
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import transport
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import Selection, compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._table import table as table_module
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import WritableTable
from helpers.encoded_messages import TCP, UDP, Fields, attribute, nested
from helpers.old_kernels import (
    CT_DELETE,
    CT_GET,
    CTA_FILTER,
    CTA_STATUS_MASK,
    CTA_TUPLE_ORIG,
    OFFLOAD,
    RELEASES,
    VYATTA,
    OldKernel,
    Release,
)
from helpers.update_plans import plan_of

SEEN_REPLY, ASSURED, CONFIRMED = 2, 4, 8
ESTABLISHED = 3

TCP_ENTRY: Fields = {"protocol": TCP, "destination_port": 443, "state": ESTABLISHED, "remaining": 431_999}
ENTRIES: list[Fields] = [
    {**TCP_ENTRY, "source_port": 1, "id": 1, "status": CONFIRMED, "mark": 0x12, "labels": bytes([1, *bytes(15)])},
    {**TCP_ENTRY, "source_port": 2, "id": 2, "status": CONFIRMED | SEEN_REPLY | ASSURED, "mark": 0x13, "start": 5},
    {**TCP_ENTRY, "source_port": 1, "id": 3, "status": CONFIRMED, "mark": 0, "zone": 7},
    {"protocol": UDP, "source_port": 1, "destination_port": 443, "id": 4, "status": CONFIRMED, "remaining": 20},
    {
        **TCP_ENTRY,
        "source": "2001:db8::1",
        "destination": "2001:db8::2",
        "source_port": 1,
        "id": 5,
        "status": CONFIRMED,
    },
    {**TCP_ENTRY, "source": "198.18.0.9", "source_port": 1, "id": 6, "status": CONFIRMED},
]
OFFLOADED: Fields = {"protocol": TCP, "source_port": 9, "destination_port": 443, "id": 9, "status": CONFIRMED | OFFLOAD}

SELECTORS: list[tuple[dict[str, t.Any], list[int]]] = [
    ({"family": "ipv6"}, [5]),
    ({"mark": "0x12"}, [1]),
    ({"replied": True}, [2]),
    ({"assured": False}, [1, 3, 4, 5, 6]),
    ({"zone": 7}, [3]),
    ({"zone": 0}, [1, 2, 4, 5, 6]),
    ({"source": "198.18.0.9"}, [6]),
    ({"source": "198.18.0.9", "replied": False, "zone": 0, "family": "ipv4"}, [6]),
]

Make = t.Callable[..., OldKernel]


@pytest.fixture(params=RELEASES, ids=lambda release: release.name)
def release(request: pytest.FixtureRequest) -> Release:
    return t.cast(Release, request.param)


@pytest.fixture
def kernel_of(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return what puts a kernel at the other end of the sockets, without any other place that its numbers are read."""
    monkeypatch.setattr(table_module, "find_sysctls", lambda: {"max": "nf_conntrack_max"})
    monkeypatch.setattr(update_module, "shortening", lambda _most: contextlib.nullcontext())

    def make(release: Release, entries: t.Iterable[Fields] | None = None, extra: bytes = b"") -> OldKernel:
        kernel = OldKernel(release, ENTRIES if entries is None else entries, extra)
        held = {"count": len(kernel.entries), "buckets": 16384, "max": 65536}
        monkeypatch.setattr(table_module, "current_value", lambda _sysctls, name: held.get(name))
        monkeypatch.setattr(transport, "open_socket", kernel.open_socket)
        return kernel

    return make


def compiled(selector: dict[str, t.Any]) -> Selection:
    return compile_selection([selector], None, Context({}, 0))


def selected(selector: dict[str, t.Any]) -> list[int]:
    selection = compiled(selector)
    with Table() as table:
        entries = table.read(lambda blocks: [e for block in blocks for e in block.entries()], selection.conditions)
    return sorted(entry.id or 0 for entry in entries if selection.decide(entry))


def pruned(selector: dict[str, t.Any]) -> dict[str, t.Any]:
    context = Context({}, 0)
    plan = PrunePlan(compiled(selector), Guards((), helpers=True), context, sample=0, whole=False)
    with WritableTable() as table:
        return prune(table, plan, parse_limit("100%"), dry_run=False).result(0, with_diff=False)


@pytest.mark.parametrize(("selector", "ids"), SELECTORS)
def test_a_filter_that_is_ignored_changes_no_answer(
    kernel_of: Make, release: Release, selector: dict[str, t.Any], ids: list[int]
) -> None:
    kernel_of(release)
    assert selected(selector) == ids


def test_a_filter_that_is_refused_is_left_out(kernel_of: Make, release: Release) -> None:
    kernel = kernel_of(release)
    answers = kernel._answers

    def refuse(request: bytes) -> t.Iterator[bytes]:
        kernel.refused = {CT_GET} if len(request) > 20 else set()
        return answers(request)

    kernel._answers = refuse  # type: ignore[method-assign]
    assert selected({"mark": "0x12"}) == [1]
    assert [bool(attributes) for _kind, attributes in kernel.asked] == [True, False]


@pytest.mark.parametrize(
    "extra",
    [
        attribute(99, bytes(4)),
        nested(98, attribute(1, bytes(2)), attribute(2, b"x")),
        attribute(97, b"") + attribute(99, bytes(12)),
    ],
)
def test_attributes_that_nobody_knows_are_stepped_over(kernel_of: Make, release: Release, extra: bytes) -> None:
    kernel_of(release, extra=extra)
    assert selected({"protocol": "tcp", "destination_port": 443}) == [1, 2, 3, 5, 6]
    assert pruned({"mark": "0x12"})["deleted"] == 1


def test_what_a_kernel_does_not_send_is_unknown(kernel_of: Make) -> None:
    kernel_of(VYATTA)
    with Table() as table:
        entries = table.read(lambda blocks: [entry for block in blocks for entry in block.entries()])
    assert len(entries) == len(ENTRIES)
    names = ("labels", "start", "packets_original", "bytes_reply")
    assert {getattr(entry, name) for entry in entries for name in names} == {None}


@pytest.mark.parametrize(("selector", "ids"), SELECTORS)
def test_a_prune_deletes_these_and_no_others(
    kernel_of: Make, release: Release, selector: dict[str, t.Any], ids: list[int]
) -> None:
    kernel = kernel_of(release)
    result = pruned(selector)
    assert (result["deleted"], result["already_gone"]) == (len(ids), 0)
    assert kernel.ids() == [own for own in range(1, 7) if own not in ids]
    deletes = [attributes for kind, attributes in kernel.asked if kind == CT_DELETE]
    assert len(deletes) == len(ids)
    assert all(CTA_TUPLE_ORIG in attributes for attributes in deletes)
    assert not any(attributes & {CTA_FILTER, CTA_STATUS_MASK} for attributes in deletes)


def test_an_offloaded_entry_that_cannot_be_deleted_is_told(kernel_of: Make, release: Release) -> None:
    kernel = kernel_of(release, [*ENTRIES, OFFLOADED])
    with pytest.raises(ConntrackError, match="refused") as caught:
        pruned({"protocol": "tcp", "replied": False, "zone": 0, "family": "ipv4"})
    assert caught.value.result["deleted"] == 2
    assert caught.value.result["failures"] == {"Device or resource busy": 1}
    assert kernel.ids() == [2, 3, 4, 5, 9]


def test_an_offloaded_entry_without_timeout_and_state_is_decoded(kernel_of: Make, release: Release) -> None:
    kernel_of(release, [*ENTRIES, OFFLOADED])
    assert selected({"offloaded": True}) == [9]
    assert selected({"remaining": {"min": 0}}) == [1, 2, 3, 4, 5, 6]


def test_an_update_changes_these_and_no_others(kernel_of: Make, release: Release) -> None:
    kernel = kernel_of(release)
    before = {one["id"]: dict(one) for one in kernel.entries}
    with WritableTable() as table:
        outcome = update(table, plan_of(900, match=[{"protocol": "tcp", "zone": 0, "replied": False}]), dry_run=False)
    assert outcome.result(False)["updated"] == 3
    changed = {own: {**before[own], "remaining": 900} for own in (1, 5, 6)}
    assert {one["id"]: one for one in kernel.entries} == {**before, **changed}


def test_counters_that_an_old_kernel_has_not_are_unknown_and_all_else_is_known(
    kernel_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel_of(VYATTA)
    with Table() as table, pytest.raises(UnavailableError, match=r"older than 3\.6"):
        table.cpu_stats()
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    facts = gather(["stats", "table"], 0, {}, None, sample="1s")
    stats = facts["stats"]
    assert (stats["total"], stats["per_cpu"]) == ({}, [])
    assert "older than 3.6" in stats["unavailable"]
    assert stats["received_packets"] is not None
    assert facts["table"]["entries"] == len(ENTRIES)
    assert facts["rates"]["counters"] == {}


def test_a_table_that_cannot_be_shown_is_an_error(kernel_of: Make, release: Release) -> None:
    kernel_of(release).refused = {CT_GET}
    with Table() as table, pytest.raises(UnavailableError, match="modprobe nf_conntrack_netlink"):
        table.read(list)


def test_deletes_that_are_not_supported_are_told(kernel_of: Make, release: Release) -> None:
    kernel = kernel_of(release)
    kernel.refused = {CT_DELETE}
    with pytest.raises(ConntrackError, match="refused") as caught:
        pruned({"mark": "0x12"})
    assert caught.value.result["failures"] == {"Operation not supported": 1}
    assert kernel.ids() == [1, 2, 3, 4, 5, 6]
