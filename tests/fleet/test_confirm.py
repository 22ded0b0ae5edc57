# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change after which the router cannot be reached over SSH any more: it is rolled back in time."""

from __future__ import annotations

import contextlib
import json
import pathlib
import threading
import time
import typing as t

import pytest
from helpers.support import run, wait_until

WITHIN = 8
EARLY, LATE = 1, 5
"""By so many seconds the old value may be seen before and after its time. A busy machine sees it later."""
KEY = "net.netfilter.nf_conntrack_tcp_timeout_established"
OLD, NEW = 432000, 54000

SAID = "its old values by itself"
"""In the message, whether the cut comes before or after the module's answer."""

# What a mistake in a firewall does: everything to the SSH port is dropped, the open connection's packets as well.
_CUT = """
table inet cut {
  chain input { type filter hook input priority -300; tcp dport 22 drop; }
}
"""


@pytest.fixture
def fleet(make_fleet: t.Callable[[str, int], t.Any]) -> t.Any:
    return make_fleet("ncconf", 1)


class Router:
    """The only router of the lab, watched from beside: not over SSH."""

    def __init__(self, fleet: t.Any) -> None:
        self.namespace = fleet.routers[0].namespace
        self.etc = pathlib.Path("/etc/netns") / self.namespace

    @property
    def timeout(self) -> int:
        return int(run(["sysctl", "-n", KEY], netns=self.namespace))

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.etc.rglob("*") if path.is_file())

    def when(self, value: int, seconds: float) -> float:
        """Wait for the setting to have the value; give when it had it (monotonic), AssertionError if it never has."""
        wait_until(lambda: self.timeout == value, lambda: f"{KEY} is {self.timeout} and not {value}", seconds=seconds)
        return time.monotonic()


@contextlib.contextmanager
def cut_after_the_change(router: Router) -> t.Iterator[list[float]]:
    """Cut the router's SSH off as soon as the new value is there; give when that was, and when the old one was back."""
    times: list[float] = []

    def watch() -> None:
        times.append(router.when(NEW, 30))
        run(["nft", "-f", "-"], netns=router.namespace, text=_CUT)
        times.append(router.when(OLD, WITHIN + 10))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield times
    finally:
        watcher.join(60)
        run(["nft", "delete", "table", "inet", "cut"], netns=router.namespace)


def assert_back_in_time(times: list[float]) -> None:
    changed, back = times
    # The time runs from before the first write on.
    assert WITHIN - EARLY <= back - changed <= WITHIN + LATE


def test_cut_connection_brings_the_old_values_back(fleet: t.Any) -> None:
    router = Router(fleet)
    args = {"settings": {"tcp_timeout_established": "15h"}, "confirm_within": f"{WITHIN}s"}
    with cut_after_the_change(router) as times:
        done = fleet.ansible("conntrack_settings", args)
    assert_back_in_time(times)
    assert "UNREACHABLE" in done.stdout
    assert SAID in done.stdout
    assert (router.timeout, router.files) == (OLD, [])

    # Reachable again: the same change holds, now and at boot, and nothing comes back for it later.
    kept = fleet.module("conntrack_settings", args)["router1"]
    assert (kept["changed"], kept["confirm"]["confirmed"]) == (True, True)
    time.sleep(WITHIN + 1)
    assert router.timeout == NEW
    assert router.files == ["90-netops-conntrack.conf", "90-netops-conntrack.conf.before"]


def test_tune_over_a_connection_that_is_cut(fleet: t.Any) -> None:
    router = Router(fleet)
    with cut_after_the_change(router) as times:
        outcome = fleet.play("tune", "--extra-vars", json.dumps({"conntrack_tune_confirm_within": f"{WITHIN}s"}))
    assert_back_in_time(times)
    assert outcome.rc != 0
    assert outcome.report["unreachable"] == ["router1"]
    assert SAID in outcome.report["hosts"]["router1"]["failure"]["message"]
    assert (router.timeout, router.files) == (OLD, [])


def test_tune_confirms_by_default(fleet: t.Any) -> None:
    outcome = fleet.play("tune", "-vv")
    assert outcome.rc == 0, outcome.output
    assert '"confirmed": true' in outcome.output
    assert Router(fleet).timeout == NEW
