# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes import guards
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.guards import NAMES, Guards, guards_of
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.protections import protections_of
from ansible_collections.netops.conntrack.plugins.module_utils._errors import NotPermittedError, RefusedError
from helpers.encoded_messages import blocks_of

UDP = 17
PARAMS: dict[str, t.Any] = {"protect_management": False, "protect": [], "unprotect": ["expectation", "conntrackd"]}


def test_an_entry_with_a_helper_counts_for_its_helper() -> None:
    [block] = blocks_of({"protocol": UDP, "destination_port": 500, "helper": "sip"})
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


def test_what_cannot_be_seen_is_refused_unless_it_is_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied() -> frozenset[tuple[int, int]]:
        raise NotPermittedError("It cannot be seen.")

    monkeypatch.setattr(guards, "sync_ports", denied)
    with pytest.raises(RefusedError, match=r"cannot be seen.*Nothing was changed.*unprotect: \[conntrackd\]"):
        guards_of({**PARAMS, "unprotect": ["expectation"]})
    guards_of(PARAMS)
