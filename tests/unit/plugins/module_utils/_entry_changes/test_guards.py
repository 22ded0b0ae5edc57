# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import types
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes import guards
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.guards import Guards, guards_of
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.options import GUARD_OPTIONS, NAMES
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.protections import protections_of
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.second_look import StateAndStatus
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.ssh_connections import Connection
from ansible_collections.netops.conntrack.plugins.module_utils._errors import NotPermittedError, RefusedError
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from helpers.encoded_messages import blocks_of

UDP = 17
PARAMS: dict[str, t.Any] = {"protect_management": False, "protect": [], "unprotect": ["expectation", "conntrackd"]}


def test_an_entry_with_a_helper_counts_for_its_helper() -> None:
    ports = {"source_port": 1, "destination_port": 500, "reply_source_port": 500, "reply_destination_port": 1}
    [block] = blocks_of({"protocol": UDP, **ports, "helper": "sip"})
    every = protections_of(())
    assert [name for name, _part in Guards((), True, every).protect(block)] == ["helper"]
    assert [name for name, _part in Guards((), False, every).protect(block)] == ["ike"]
    assert [name for name, _part in Guards((), False, protections_of(NAMES)).protect(block)] == [""]


@pytest.mark.parametrize(
    ("helpers", "unprotect", "expected"), [(True, [], True), (False, [], False), (True, ["helper"], False)]
)
def test_helpers(helpers: bool, unprotect: list[str], expected: bool) -> None:
    params = {**PARAMS, "unprotect": [*PARAMS["unprotect"], *unprotect]}
    assert guards_of(params, helpers).helpers is expected


SSH = Connection(socket.inet_aton("198.18.0.1"), 40000, socket.inet_aton("203.0.113.1"), 22)
OF_SSH = {**SSH._asdict(), "id": 1}
OTHER = {**OF_SSH, "source_port": 40001, "id": 2}


def ids(parts: t.Iterable[tuple[str, Block]]) -> dict[str, list[int]]:
    return {reason: [t.cast(int, entry.id) for entry in part.entries()] for reason, part in parts}


def test_the_connection_of_the_run_stays_and_nothing_else() -> None:
    [block] = blocks_of(OF_SSH, OTHER)
    assert ids(Guards({SSH}, helpers=True).protect(block)) == {"management": [1], "": [2]}
    [with_helper] = blocks_of({**OF_SSH, "helper": "ftp"}, {**OTHER, "helper": "ftp"})
    assert ids(Guards({SSH}, helpers=True).protect(with_helper)) == {"management": [1], "helper": [2]}
    [alone] = blocks_of({**OF_SSH, "helper": "ftp"})
    assert ids(Guards({SSH}, helpers=True).protect(alone)) == {"management": [1]}


@pytest.mark.parametrize(
    ("protect_management", "unprotect", "is_read"),
    [(True, [], True), (False, [], False), (True, ["management"], False)],
)
def test_management(
    protect_management: bool, unprotect: list[str], is_read: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "management_connections", lambda: frozenset({SSH}))
    params = {"protect_management": protect_management, "protect": [], "unprotect": [*PARAMS["unprotect"], *unprotect]}
    assert guards_of(params).connections == (frozenset({SSH}) if is_read else frozenset())


@pytest.mark.parametrize("is_off", [False, True])
def test_what_the_machine_tells_is_protected(is_off: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    [block] = blocks_of(OTHER)
    [udp] = blocks_of({**OTHER, "protocol": UDP, "source_port": 3780, "id": 3})
    master = next(block.entries())
    monkeypatch.setattr(guards, "list_expectations", lambda: [types.SimpleNamespace(master=master)])
    monkeypatch.setattr(guards, "sync_ports", lambda: frozenset({(UDP, 3780)}))
    found = guards_of({**PARAMS, "unprotect": PARAMS["unprotect"] if is_off else []})
    assert ids(found.protect(block)) == {"" if is_off else "expectation": [2]}
    assert ids(found.protect(udp)) == {"" if is_off else "conntrackd": [3]}


def test_addresses_that_are_given_are_protected() -> None:
    [block] = blocks_of(OTHER, {**OTHER, "source": socket.inet_aton("198.51.100.1"), "id": 3})
    assert ids(guards_of({**PARAMS, "protect": ["198.51.100.0/24"]}).protect(block)) == {"address": [3], "": [2]}


@pytest.mark.parametrize(
    ("first_look", "expected"), [(None, {"": [2]}), (StateAndStatus(None, 0x4008), {"offloaded": [2]})]
)
def test_what_a_second_look_could_not_tell_stays_only_with_one(
    first_look: StateAndStatus | None, expected: dict[str, list[int]]
) -> None:
    [block] = blocks_of({**OTHER, "status": 0x4008})
    assert ids(Guards((), helpers=True).divide(block, first_look)) == expected


def test_what_cannot_be_seen_is_refused_unless_it_is_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied() -> frozenset[tuple[int, int]]:
        raise NotPermittedError("It cannot be seen.")

    monkeypatch.setattr(guards, "sync_ports", denied)
    with pytest.raises(RefusedError, match=r"cannot be seen.*Nothing was changed.*unprotect: \[conntrackd\]"):
        guards_of({**PARAMS, "unprotect": ["expectation"]})
    guards_of(PARAMS)


def test_what_is_protected_unless_an_option_says_otherwise() -> None:
    defaults = {name: option["default"] for name, option in GUARD_OPTIONS.items() if "protect" in name}
    assert defaults == {"protect_management": True, "protect_helpers": True, "protect": [], "unprotect": []}
    assert guards_of(PARAMS).helpers is True
