# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import os
import types
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import Timeouts
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.update_plan import (
    EntryUpdate,
    aim_of,
    parse_mark,
    parse_timeout,
    wanted_timeouts,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError

PRESENT = {"udp_timeout": 30, "tcp_timeout_established": 432000, "acct": 1}


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


@pytest.mark.parametrize(("release", "is_refused"), [("3.10.0-1160.el7", True), ("3.14.0", False), ("6.1.0", False)])
def test_a_mask_that_the_kernel_does_not_heed(release: str, is_refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would replace the whole mark, and with that the connection's way."""
    monkeypatch.setattr(os, "uname", lambda: types.SimpleNamespace(release=release))
    timeouts = Timeouts({}, 0)
    assert aim_of(None, "0x10", timeouts, dry_run=False).mark == (0x10, 0xFFFFFFFF)
    with pytest.raises(OptionError, match="would replace the whole mark") if is_refused else contextlib.nullcontext():
        assert aim_of(None, "0x10/0xff", timeouts, dry_run=False).mark == (0x10, 0xFF)


@pytest.mark.parametrize("given", ["", "red", "-1", "0x100/0xff", "1/", "0/0", "0x1ffffffff"])
def test_bad_mark(given: t.Any) -> None:
    with pytest.raises(OptionError, match="mark"):
        parse_mark(given)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("settings", PRESENT),
        ({"settings": {"udp_timeout": "1m"}}, {"udp_timeout": 60}),
        ({"settings": {"net.netfilter.nf_conntrack_udp_timeout": 20}}, {"udp_timeout": 20}),
        ({"max": "15h"}, {}),
        (None, {}),
    ],
)
def test_wanted_timeouts(given: t.Any, wanted: dict[str, int]) -> None:
    assert wanted_timeouts(given, PRESENT) == wanted


@pytest.mark.parametrize("settings", [{"no_such_timeout": 5}, {"udp_timeout": -1}, {"udp_timeout": "soon"}])
def test_timeouts_that_cannot_be_wanted(settings: dict[str, t.Any]) -> None:
    with pytest.raises(OptionError, match=r"timeout\.settings"):
        wanted_timeouts({"settings": settings}, PRESENT)


ODD = {"udp_timeout": 0, "tcp_timeout_established": 2592000, "generic_timeout": -1, "acct": 1}


@pytest.mark.parametrize("given", [{"udp_timeout": 0}, {"nf_conntrack_tcp_timeout_established": 2592000}, ODD])
def test_timeouts_that_only_the_kernel_takes_are_what_it_has(given: dict[str, int]) -> None:
    expected = {name.replace("nf_conntrack_", ""): value for name, value in given.items()}
    assert wanted_timeouts({"settings": given}, ODD) == expected
    elsewhere = {**PRESENT, "generic_timeout": 600}
    assert wanted_timeouts({"settings": given}, elsewhere, dry_run=True) == expected
    with pytest.raises(OptionError, match=r"cannot be used|is not a duration"):
        wanted_timeouts({"settings": given}, elsewhere)


@pytest.mark.parametrize("settings", [{"udp_timeout": 2**31}, {"udp_timeout": "0"}, {"udp_timeout": False}])
def test_what_no_kernel_takes_is_not_rehearsed(settings: dict[str, t.Any]) -> None:
    with pytest.raises(OptionError, match=r"timeout\.settings"):
        wanted_timeouts({"settings": settings}, {"udp_timeout": 30}, dry_run=True)


def test_what_entries_lack_in_words() -> None:
    assert list(EntryUpdate(900, (5, 0xFF)).descriptions()) == ["more than 900 s left", "mark other than 0x5/0xff"]
    assert list(EntryUpdate(None, None).descriptions()) == []
