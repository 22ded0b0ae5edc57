# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which member of a pair a router is, and what is refused where nobody knows that."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError, RefusedError
from ansible_collections.netops.conntrack.plugins.module_utils._pair import standby
from ansible_collections.netops.conntrack.plugins.module_utils._pair.conntrackd import Statistics, parse_statistics


class Asked(t.NamedTuple):
    """A conntrackd with an answer."""

    answer: tuple[Statistics | None, str | None]

    def statistics(self) -> tuple[Statistics | None, str | None]:
        return self.answer


CACHING = Asked((parse_statistics("cache external:\ncurrent active connections: 5\n"), None))
WRITING = Asked((parse_statistics("external inject:\nconnections created: 5 failed: 0\n"), None))
COUNTING = Asked((parse_statistics("cache stats:\n"), None))
SILENT = Asked((None, "It runs in a container."))


def is_standby(*addresses: str, protect_pair: bool = True) -> bool | None:
    return standby.is_standby({"active_address": list(addresses), "protect_pair": protect_pair})


def test_the_active_member_has_one_of_the_addresses() -> None:
    assert is_standby("192.0.2.77", "127.0.0.1") is False
    assert is_standby("192.0.2.77", "2001:db8::77") is True


def test_who_stands_by_now_is_refused() -> None:
    standby.refuse_standby({"active_address": ["127.0.0.1"], "protect_pair": True})
    standby.refuse_standby({"active_address": [], "protect_pair": True})
    with pytest.raises(RefusedError, match=r"stands by now\. Nothing was deleted"):
        standby.refuse_standby({"active_address": ["192.0.2.77"], "protect_pair": True})


@pytest.mark.parametrize("wrong", ["", "10.0.0.0/8", "eth0"])
def test_what_is_no_address_is_refused(wrong: str) -> None:
    with pytest.raises(OptionError, match="is no address") as error:
        is_standby("127.0.0.1", wrong)
    assert error.value.option == "active_address"


@pytest.mark.parametrize(("daemon", "word"), [(WRITING, "DisableExternalCache"), (SILENT, "It runs in a container.")])
def test_a_table_that_may_be_the_copy_of_another(monkeypatch: pytest.MonkeyPatch, daemon: Asked, word: str) -> None:
    monkeypatch.setattr(standby, "find_daemon", lambda: daemon)
    with pytest.raises(RefusedError, match=r"^protect_pair: conntrackd ") as error:
        is_standby()
    assert word in error.value.message
    assert is_standby(protect_pair=False) is None
    assert is_standby("127.0.0.1") is False


@pytest.mark.parametrize("daemon", [None, CACHING, COUNTING])
def test_a_table_of_its_own(monkeypatch: pytest.MonkeyPatch, daemon: Asked | None) -> None:
    monkeypatch.setattr(standby, "find_daemon", lambda: daemon)
    assert is_standby() is None
