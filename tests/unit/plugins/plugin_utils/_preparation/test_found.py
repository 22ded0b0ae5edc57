# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a router tells of itself: only plain names and paths are let in, because all of it gets into templates."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import AnswerError
from ansible_collections.netops.conntrack.plugins.plugin_utils._preparation.found import Found
from helpers.router_answers import answer, recorded

TEMPLATE = "/{{ lookup('pipe', 'id') }}"


def test_what_a_router_tells() -> None:
    found = Found.from_answer(answer("openwrt-23", pyroute2="0.7.9", record=recorded({"kind": "user", "name": "x"})))
    assert (found.ids, found.pyroute2, found.made) == (
        ["openwrt", "lede", "openwrt"],
        "0.7.9",
        [{"kind": "user", "name": "x"}],
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"python": TEMPLATE},
        {"python": "python3"},
        {"python": "/usr/bin/python3; reboot"},
        {"pyroute2": TEMPLATE},
        {"pyroute2": "0.9.7{% x %}"},
        {"libraries": TEMPLATE},
        {"libraries": "/usr/lib/../../etc"},
        {"missing_of_libraries": [TEMPLATE]},
        {"missing_of_directory": ["relative"]},
        {"ids": [TEMPLATE]},
        {"commands": {"id": TEMPLATE}},
        {"files": {"/etc/x": "no sum"}},
        {"home": TEMPLATE},
        {"uid": "0"},
        {"uid": True},
        {"pip": 1},
        {"record": {"version": 2, "made": []}},
        {"record": recorded({"kind": "disk", "path": "/dev/sda"})},
        {"record": recorded({"kind": "tree", "path": "/"})},
        {"record": recorded({"kind": "tree", "path": "/opt/../usr"})},
        {"record": recorded({"kind": "package", "name": TEMPLATE, "system": "debian"})},
        {"record": recorded({"kind": "package", "name": "--force-depends", "system": "debian"})},
        {"ids": ["debian"] * 100},
    ],
)
def test_what_could_be_taken_for_something_else_is_refused(changes: dict[str, t.Any]) -> None:
    with pytest.raises(AnswerError, match="What the router tells of itself is malformed"):
        Found.from_answer(answer(**changes))


@pytest.mark.parametrize("text", ["", "no", "[]", "null", "{}", "[" * 100_000])
def test_what_is_no_answer_is_refused(text: str) -> None:
    with pytest.raises(AnswerError):
        Found.from_answer(text)


def test_what_is_missing_is_refused() -> None:
    told = json.loads(answer())
    for key in told:
        with pytest.raises(AnswerError, match=f"{key} is missing"):
            Found.from_answer(json.dumps({name: value for name, value in told.items() if name != key}))
