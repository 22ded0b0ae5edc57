# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A full /run: each module does its work as a whole, or refuses before it changes anything."""

from __future__ import annotations

import contextlib
import pathlib
import re
import time
import typing as t

import pytest
from helpers.crash_points import Router
from helpers.full_disks import SMALL, disk_with_room, leave_room
from helpers.support import ModuleResult, assert_refused, network_namespace, run, run_module, wait_until

SCARCE = pytest.mark.parametrize("scarce", ["blocks", "inodes"])
MOST_ROOM = 12
"""More blocks, and more inodes, than any of the modules needs."""

TIMEOUTS = {"generic_timeout": 120, "udp_timeout": 50, "icmp_timeout": 10}
DROPIN = "sysctl.d/90-netops-conntrack.conf"
CONFIRMED = {"state": "confirmed"}
WORDS = ("cannot be written (No space left on device)", "Nothing was changed.", "Make room: df ")
TOLERANCE = 5.0
ENTRIES = 20
TABLE = "inet filter"
POLICY: dict[str, t.Any] = {"name": "phones", "protocol": "udp", "timeouts": {"replied": "1h"}}


@pytest.fixture
def router(tmp_path: pathlib.Path) -> t.Iterator[Router]:
    with network_namespace("run") as netns, contextlib.closing(Router(tmp_path / "router", netns, SMALL)) as built:
        built.write(DROPIN, "# mine\n")
        yield built


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("run") as name:
        lines = [f"-I -p udp -s 198.18.0.{number} -d 203.0.113.1 --sport 1 --dport 53" for number in range(ENTRIES)]
        run(["conntrack", "-R", "-"], netns=name, text="".join(f"{line} -t 5000\n" for line in lines))
        run(["nft", "add", "table", *TABLE.split()], netns=name)
        yield name


def settings(router: Router, args: dict[str, t.Any]) -> dict[str, t.Any]:
    result = router.run(args)
    assert result is not None
    return result


def refused(result: dict[str, t.Any]) -> bool:
    """Return whether the module refused for lack of room. Any other failure is one of the test."""
    if result.get("failed"):
        assert_refused(ModuleResult(1, result), *WORDS)
    return bool(result.get("failed"))


@SCARCE
@pytest.mark.parametrize("args", [{}, {"confirm_within": "1h"}, {"persist": False}], ids=str)
def test_settings_are_changed_as_a_whole_or_not_at_all(router: Router, scarce: str, args: dict[str, t.Any]) -> None:
    first, wanted = router.state(), {"settings": TIMEOUTS, **args}
    for room in range(MOST_ROOM):
        leave_room(router.disk, scarce, room)
        foretold = refused(settings(router, {**wanted, "_ansible_check_mode": True}))
        result = settings(router, wanted)
        assert refused(result) is foretold, room
        assert not list(router.run_directory.glob("*.new*"))
        if not result.get("failed"):
            break
        assert "/disk/run" in result["msg"]
        assert (router.state(), router.left_over(), router.journals) == (first, [], []), room
    assert 0 < room < MOST_ROOM - 1
    assert router.state().kernel == {**first.kernel, **TIMEOUTS}
    assert [path.name for path in router.journals] == ([router.journals[0].name] if "confirm_within" in args else [])


@SCARCE
def test_what_waits_is_confirmed_on_a_disk_that_filled_up(router: Router, scarce: str) -> None:
    first = router.state()
    wanted = {"settings": TIMEOUTS, "confirm_within": "2s"}
    began = time.monotonic()
    waits = settings(router, wanted)["confirm"]
    leave_room(router.disk, scarce, 0)
    by_name = {**CONFIRMED, "change": waits["change"]}
    assert settings(router, by_name)["changed"] is True
    again = settings(router, by_name)
    assert (again["changed"], again["confirm"]["confirmed"]) == (False, True)
    leave_room(router.disk, scarce, MOST_ROOM)
    while time.monotonic() < began + 3:
        time.sleep(0.1)
    kernel, files = router.state()
    assert kernel == {**first.kernel, **TIMEOUTS}
    assert "udp_timeout = 50" in files[DROPIN]
    assert (router.journals, router.waiting) == ([], [])


@SCARCE
def test_what_waits_is_rolled_back_on_a_disk_that_filled_up(router: Router, scarce: str) -> None:
    first = router.state()
    waits = settings(router, {"settings": TIMEOUTS, "confirm_within": "1s"})["confirm"]
    leave_room(router.disk, scarce, 0)
    wait_until(lambda: not router.waiting, seconds=1 + TOLERANCE)
    assert (router.state(), router.left_over(), router.journals) == (first, [], [])
    leave_room(router.disk, scarce, MOST_ROOM)
    assert "No change waits" in settings(router, {**CONFIRMED, "change": waits["change"]})["msg"]


@SCARCE
def test_what_waits_is_rolled_back_for_good_by_the_next_run(router: Router, scarce: str) -> None:
    first = router.state()
    waits = settings(router, {"settings": TIMEOUTS, "confirm_within": "1h", "persist": False})["confirm"]
    leave_room(router.disk, scarce, 0)
    result = settings(router, {"settings": {"acct": True}, "persist": False})
    assert "was rolled back before this one" in str(result["warnings"])
    assert router.state().kernel == {**first.kernel, "acct": 1}
    leave_room(router.disk, scarce, MOST_ROOM)
    assert "No change waits" in settings(router, {**CONFIRMED, "change": waits["change"]})["msg"]


def test_a_refusal_after_a_roll_back_says_what_changed(router: Router) -> None:
    first = router.state()
    settings(router, {"settings": TIMEOUTS, "confirm_within": "1h"})
    result = settings(router, {"settings": {"nonsense": 1}})
    assert (result["failed"], result["changed"]) == (True, True)
    assert "was rolled back before this one" in str(result["warnings"])
    assert router.state() == first


def seconds_left(netns: str) -> list[int]:
    return [int(text.split()[2]) for text in run(["conntrack", "-L"], netns=netns).splitlines()]


@SCARCE
@pytest.mark.parametrize("check", [True, False], ids=["check", "real"])
def test_entries_are_updated_as_a_whole_or_not_at_all(netns: str, scarce: str, check: bool) -> None:
    for room in range(MOST_ROOM):
        args = {"match": {"protocol": "udp"}, "timeout": {"max": "10m"}}
        wrapper = disk_with_room(scarce, room)
        result = run_module("conntrack_update", args, netns=netns, wrapper=wrapper, check=check)
        if not refused(result.data):
            break
        assert "/run/netops-conntrack" in result.msg
        assert len(seconds_left(netns)) == ENTRIES
        assert min(seconds_left(netns)) > 4000
    assert room == {"blocks": 2, "inodes": 4}[scarce]
    assert result.data["would_update"] == ENTRIES
    assert (max(seconds_left(netns)) <= 600) is not check


@SCARCE
@pytest.mark.parametrize("where", [{}, {"nft_table": TABLE}], ids=["cttimeout", "nftables"])
@pytest.mark.parametrize("change", [{"timeouts": {"replied": "2h"}}, {"state": "absent"}], ids=["changed", "removed"])
def test_a_policy_is_changed_as_a_whole_or_not_at_all(
    netns: str, scarce: str, where: dict[str, t.Any], change: dict[str, t.Any]
) -> None:
    made = run_module("conntrack_timeout_policy", {**POLICY, **where}, netns=netns)
    before = made.data["policy"]
    wanted = {**POLICY, **where, **change}
    if "state" in change:
        wanted = {"name": POLICY["name"], **where, **change}
    for room in range(MOST_ROOM):
        wrapper = disk_with_room(scarce, room)
        foretold, result = (
            run_module("conntrack_timeout_policy", wanted, netns=netns, wrapper=wrapper, check=check)
            for check in (True, False)
        )
        assert refused(foretold.data) is refused(result.data), room
        if not result.failed:
            break
        same = run_module("conntrack_timeout_policy", {**POLICY, **where}, netns=netns, check=True)
        assert (same.data["changed"], same.data["policy"]) == (False, before)
    assert room > 0
    assert result.data["changed"] is True


@SCARCE
@pytest.mark.parametrize(
    ("module", "args", "count"),
    [
        ("conntrack_facts", {"gather_subset": ["all"]}, None),
        ("conntrack_info", {"limit": 0}, "matched"),
        ("conntrack_prune", {"match": {"protocol": "udp"}}, "deleted"),
    ],
    ids=["facts", "info", "prune"],
)
def test_what_writes_nothing_there_needs_no_room(
    netns: str, scarce: str, module: str, args: dict[str, t.Any], count: str | None
) -> None:
    result = run_module(module, args, netns=netns, wrapper=disk_with_room(scarce, 0))
    assert not result.failed, result.msg
    if count:
        assert result.data[count] == ENTRIES
    else:
        assert result.data["ansible_facts"]["conntrack"]["table"]["entries"] == ENTRIES


def test_a_run_that_cannot_be_written_names_the_remedy(netns: str) -> None:
    script = 'mount --make-rprivate /; mount -t tmpfs -o ro,mode=755 tmpfs /run; exec "$@"'
    wrapper = ["unshare", "--mount", "sh", "-ec", script, "sh"]
    args = {"settings": TIMEOUTS, "persist": False}
    result = run_module("conntrack_settings", args, netns=netns, wrapper=wrapper)
    assert_refused(result, "/run/netops-conntrack", "(Read-only file system)", "Mount /run with write access.")
    assert re.search(r"= 600$", run(["sysctl", "net.netfilter.nf_conntrack_generic_timeout"], netns=netns).strip())
