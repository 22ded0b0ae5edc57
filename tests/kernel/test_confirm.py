# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes that are rolled back unless they are confirmed in time, in the kernel and in the files."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import typing as t

import pytest
from helpers.crash_points import Router, State
from helpers.run_records import remove_records
from helpers.support import (
    ModuleResult,
    give_arguments,
    module_path,
    namespace_pids,
    network_namespace,
    run,
    run_module,
    wait_until,
    with_default_signals,
)

PREFIX = "net.netfilter.nf_conntrack_"
WANTED = {"acct": True, "generic_timeout": "2m"}
HELD = {"acct": 1, "generic_timeout": 120}
DROPIN = "sysctl.d/90-netops-conntrack.conf"
CONFIRMED = {"state": "confirmed"}
TOLERANCE = 5.0
"""Seconds that rolling back may take, on a machine that has other things to do."""


@pytest.fixture
def router(tmp_path: pathlib.Path) -> t.Iterator[Router]:
    with network_namespace("confirm") as netns, contextlib.closing(Router(tmp_path / "router", netns)) as built:
        built.write(DROPIN, f"# mine\n{PREFIX}generic_timeout=500\n")
        yield built


def settings(router: Router, args: dict[str, t.Any]) -> dict[str, t.Any]:
    result = router.run(args)
    assert result is not None
    return result


def change(router: Router, within: str, **more: t.Any) -> dict[str, t.Any]:
    """Make the change that waits ``within`` so long; give what the result says about that."""
    result = settings(router, {"settings": WANTED, "confirm_within": within, **more})
    assert result["changed"] is True
    waits: dict[str, t.Any] = result["confirm"]
    return waits


def assert_in_force(router: Router, first: State, *, now: bool, at_boot: bool) -> None:
    kernel, files = router.state()
    assert kernel == {**first.kernel, **(HELD if now else {})}
    assert (files != first.files) is at_boot
    assert (f"{PREFIX}acct = 1\n" in files[DROPIN]) is at_boot


def refusal(router: Router, args: dict[str, t.Any]) -> str:
    result = settings(router, args)
    assert result["failed"]
    return str(result["msg"])


@pytest.mark.parametrize("within", [1, 2])
def test_it_goes_back_by_itself_within_the_promised_time(router: Router, within: int) -> None:
    first, began = router.state(), time.monotonic()
    waits = change(router, f"{within}s")
    assert (waits["within"], waits["confirmed"]) == (within, False)
    assert 0 < waits["seconds_left"] <= within
    assert_in_force(router, first, now=True, at_boot=False)
    assert_back(router, first, began + within)
    assert time.monotonic() - began >= within
    assert_nothing_waits(router)
    assert f"It was not confirmed within {within} s. Restored: " in refusal(router, CONFIRMED)
    assert settings(router, {"settings": WANTED})["changed"] is True


def assert_nothing_waits(router: Router) -> None:
    wait_until(lambda: not router.journals and not router.left_over(), seconds=TOLERANCE)


def assert_back(router: Router, state: State, deadline: float) -> None:
    """Wait until the router has its old ``state``, which it promises to have at ``deadline`` (monotonic)."""
    wait_until(lambda: router.state() == state, seconds=deadline + TOLERANCE - time.monotonic())


@pytest.mark.parametrize("by_name", [True, False])
def test_what_is_confirmed_stays(router: Router, by_name: bool) -> None:
    first = router.state()
    waits = change(router, "3s")
    confirmed = settings(router, {**CONFIRMED, "change": waits["change"]} if by_name else CONFIRMED)
    assert confirmed["changed"] is True
    assert confirmed["confirm"] == {**confirmed["confirm"], "change": waits["change"], "confirmed": True}
    assert_in_force(router, first, now=True, at_boot=True)
    assert_nothing_waits(router)
    time.sleep(3.5)
    assert_in_force(router, first, now=True, at_boot=True)
    assert settings(router, {"settings": WANTED, "confirm_within": "1h"})["changed"] is False
    settings(router, {"state": "absent"})
    assert router.state() == first


def test_answer_that_was_lost_can_be_asked_for_again(router: Router) -> None:
    waits = change(router, "1h")
    by_name = {**CONFIRMED, "change": waits["change"]}
    assert settings(router, by_name)["changed"] is True
    again = settings(router, by_name)
    assert (again["changed"], again["confirm"]["confirmed"]) == (False, True)
    assert "No change waits" in refusal(router, CONFIRMED)
    assert "No change waits" in refusal(router, {**CONFIRMED, "change": "another"})


def test_going_back_to_what_was_before_waits_too(router: Router) -> None:
    first = router.state()
    settings(router, {"settings": WANTED})
    tuned = router.state()
    result = settings(router, {"state": "absent", "confirm_within": "1h"})
    assert router.state() == State(first.kernel, tuned.files)
    settings(router, {**CONFIRMED, "change": result["confirm"]["change"]})
    assert router.state() == first
    assert_nothing_waits(router)


def test_wrong_change_is_not_confirmed_and_goes_on_waiting(router: Router) -> None:
    first = router.state()
    waits = change(router, "1h")
    message = refusal(router, {**CONFIRMED, "change": "0123456789abcdef"})
    assert "'0123456789abcdef' does not wait" in message
    assert waits["change"] in message
    assert len(router.journals) == 1
    assert_in_force(router, first, now=True, at_boot=False)


def test_nothing_waits(router: Router) -> None:
    assert refusal(router, CONFIRMED) == "No change waits for its confirmation."
    assert settings(router, {**CONFIRMED, "_ansible_check_mode": True})["changed"] is False


def test_next_run_takes_it_back_first_and_says_so(router: Router) -> None:
    first = router.state()
    change(router, "1h")
    result = settings(router, {"settings": {"udp_timeout": 50}})
    assert "A change that waited for its confirmation was rolled back before this one." in str(result["warnings"])
    assert f"Restored: {PREFIX}acct = 0, {PREFIX}generic_timeout = 600." in str(result["warnings"])
    assert router.state().kernel == {**first.kernel, "udp_timeout": 50}
    assert_nothing_waits(router)
    settings(router, {"state": "absent"})
    assert router.state() == first


def test_next_run_may_wait_as_well(router: Router) -> None:
    first = router.state()
    old = change(router, "1h")
    new = change(router, "1h")
    assert old["change"] != new["change"]
    assert_in_force(router, first, now=True, at_boot=False)
    assert old["change"] in refusal(router, {**CONFIRMED, "change": old["change"]})
    assert settings(router, {**CONFIRMED, "change": new["change"]})["changed"] is True
    assert_in_force(router, first, now=True, at_boot=True)


def test_check_mode_changes_nothing_and_leaves_alone_what_waits(router: Router) -> None:
    first = router.snapshot()
    args = {"settings": WANTED, "confirm_within": "1h", "_ansible_check_mode": True}
    result = settings(router, args)
    assert (result["changed"], result["confirm"]) == (True, None)
    assert router.snapshot() == first
    change(router, "1h")
    waiting = router.snapshot()
    assert settings(router, {**CONFIRMED, "_ansible_check_mode": True})["changed"] is True
    settings(router, {"settings": {"udp_timeout": 50}, "_ansible_check_mode": True})
    assert router.snapshot() == waiting


def test_nothing_waits_where_the_kernel_has_it_already(router: Router) -> None:
    first = router.state()
    settings(router, {"settings": WANTED, "persist": False})
    for changed in (True, False):
        result = settings(router, {"settings": WANTED, "confirm_within": "1h"})
        assert (result["changed"], result["confirm"]) == (changed, None)
        assert_in_force(router, first, now=True, at_boot=True)
        assert_nothing_waits(router)


def test_without_files_there_is_nothing_for_the_boot_to_confirm(router: Router) -> None:
    first = router.state()
    waits = change(router, "1h", persist=False)
    settings(router, {**CONFIRMED, "change": waits["change"]})
    assert_in_force(router, first, now=True, at_boot=False)
    assert_nothing_waits(router)


def test_after_a_reboot_the_old_values_hold_and_nothing_is_left(router: Router) -> None:
    first = router.snapshot()
    change(router, "1h")
    # What a reboot does: /run is empty, the kernel's settings come from the files, the files are as they are.
    staged = {path: text for path, text in router.snapshot().files.items() if router.etc in path.parents}
    assert len(staged) > len(first.files)
    router.restore(first._replace(files=staged))
    assert settings(router, CONFIRMED)["failed"]
    settings(router, {"state": "absent"})
    assert router.left_over() == []
    assert router.state().kernel == first.kernel


DAMAGE = {
    "empty": b"",
    "cut": b'{"version": 2, "id": "d28b',
    "no text": b"\xff\xfe\x00",
    "no object": b"[]",
    "of another version": b'{"version": 1, "id": "d28b01586ef1b5d6"}',
    "deep": b"[" * 100_000,
    "huge number": b'{"version": 2, "boot": 1%b}' % (b"0" * 10_000),
}
"""What somebody may leave in a file of ours."""


@pytest.mark.parametrize("damage", [None, *DAMAGE.values()], ids=["removed", *DAMAGE])
def test_it_goes_back_whatever_becomes_of_its_journal(router: Router, damage: bytes | None) -> None:
    first, began = router.state(), time.monotonic()
    change(router, "1s")
    stop_waiting(router)
    spoil(router.journals[0], damage)
    go_on_waiting(router)
    assert_back(router, first, began + 1)
    assert_nothing_waits(router)
    assert "It was not confirmed within 1 s. Restored: " in refusal(router, CONFIRMED)


def test_it_goes_back_without_the_whole_directory(router: Router) -> None:
    first, began = router.state(), time.monotonic()
    change(router, "1s")
    for path in router.run_directory.iterdir():
        path.unlink()
    router.run_directory.rmdir()
    assert_back(router, first, began + 1)


@pytest.mark.parametrize("damage", [None, *DAMAGE.values()], ids=["removed", *DAMAGE])
def test_process_that_waits_writes_its_journal_anew(router: Router, damage: bytes | None) -> None:
    first = router.state()
    waits = change(router, "1h")
    journal = router.journals[0]
    text = journal.read_bytes()
    spoil(journal, damage)
    wait_until(lambda: journal.exists() and journal.read_bytes() == text, seconds=2 * TOLERANCE)
    assert settings(router, {**CONFIRMED, "change": waits["change"]})["changed"] is True
    assert_in_force(router, first, now=True, at_boot=True)
    assert_nothing_waits(router)


@pytest.mark.parametrize("args", [{"settings": WANTED}, {"state": "absent"}, CONFIRMED])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_journal_that_nobody_mends_is_an_error_with_its_remedy(
    router: Router, damage: bytes, args: dict[str, t.Any]
) -> None:
    change(router, "1h")
    router.end_waiting()
    journal = router.journals[0]
    spoil(journal, damage)
    found = router.state()
    for check_mode in (True, False):
        message = refusal(router, {**args, "_ansible_check_mode": check_mode})
        assert f"{journal} is not the record that this module wrote" in message
        assert "remove it" in message
    assert router.state() == found
    journal.unlink()
    assert settings(router, {"state": "absent"})["changed"] in (True, False)


def test_journal_of_an_earlier_boot_is_no_change_that_waits(router: Router) -> None:
    change(router, "1h")
    router.end_waiting()
    journal = router.journals[0]
    data = json.loads(journal.read_text())
    journal.write_text(json.dumps({**data, "boot": "3a1b0e8e-0000-4000-8000-000000000000"}))
    held = router.state().kernel
    assert "No change waits" in refusal(router, CONFIRMED)
    assert not settings(router, {"settings": {"udp_timeout": 50}}).get("warnings")
    assert router.state().kernel == {**held, "udp_timeout": 50}


def test_old_journal_that_is_put_there_again_changes_nothing(router: Router) -> None:
    first = router.state()
    waits = change(router, "1h")
    journal = router.journals[0]
    text = journal.read_bytes()
    settings(router, CONFIRMED)
    assert_nothing_waits(router)
    journal.write_bytes(text)
    again = settings(router, {**CONFIRMED, "change": waits["change"]})
    assert (again["changed"], again["confirm"]["confirmed"]) == (False, True)
    assert not settings(router, {"settings": WANTED}).get("warnings")
    assert_in_force(router, first, now=True, at_boot=True)


def test_change_that_was_rolled_back_is_not_said_to_be_confirmed(router: Router) -> None:
    waits = change(router, "1h")
    confirmed = json.loads(router.journals[0].read_text())
    settings(router, {"settings": {"udp_timeout": 50}})
    journal = router.journals_named("confirmed")
    journal.write_text(json.dumps({**confirmed, "confirmed": True}))
    assert "No change waits" in refusal(router, {**CONFIRMED, "change": waits["change"]})


def test_confirmation_that_cannot_be_written_down_takes_the_change_back(router: Router) -> None:
    first = router.state()
    waits = change(router, "1h")
    blocked = router.journals_named("settled")
    blocked.unlink()
    blocked.mkdir()
    (blocked / "in the way").touch()
    message = refusal(router, {**CONFIRMED, "change": waits["change"]})
    assert f"{blocked} cannot be written" in message
    assert f"Restored: {PREFIX}acct = 0, {PREFIX}generic_timeout = 600." in message
    assert router.state() == first
    (blocked / "in the way").unlink()
    blocked.rmdir()


def test_pipe_in_the_place_of_the_journal_hangs_nobody(router: Router) -> None:
    first, began = router.state(), time.monotonic()
    change(router, "2s")
    stop_waiting(router)
    journal = router.journals[0]
    journal.unlink()
    os.mkfifo(journal)
    assert f"{journal} is not the record that this module wrote" in refusal(router, CONFIRMED)
    go_on_waiting(router)
    assert_back(router, first, began + 2 + TOLERANCE)


def spoil(path: pathlib.Path, damage: bytes | None) -> None:
    """Give a file other bytes, or remove it."""
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)


def stop_waiting(router: Router) -> None:
    (pid,) = router.waiting
    os.kill(pid, signal.SIGSTOP)


def go_on_waiting(router: Router) -> None:
    (pid,) = router.waiting
    os.kill(pid, signal.SIGCONT)


def test_write_that_fails_leaves_nothing_waiting(router: Router) -> None:
    first = router.state()
    wanted = {**WANTED, "frag6_high_thresh": 5}
    result = settings(router, {"settings": wanted, "confirm_within": "1h"})
    assert result["failed"]
    assert f"Restored: {PREFIX}acct = 0, {PREFIX}generic_timeout = 600." in result["msg"]
    assert router.state() == first
    assert_nothing_waits(router)


def test_unknown_owner_leaves_nothing_waiting(router: Router) -> None:
    first = router.state()
    result = settings(router, {"settings": WANTED, "confirm_within": "1h", "owner": "nobody-such"})
    assert "failed to look up user nobody-such" in result["msg"]
    assert router.state() == first
    assert_nothing_waits(router)


def test_file_that_somebody_changed_meanwhile_is_left_alone(router: Router) -> None:
    first = router.state()
    waits = change(router, "1h")
    router.write(DROPIN, "# theirs\n")
    message = refusal(router, {**CONFIRMED, "change": waits["change"]})
    assert "90-netops-conntrack.conf was changed by somebody else in the meantime" in message
    assert f"Restored: {PREFIX}acct = 0, {PREFIX}generic_timeout = 600." in message
    assert router.state() == State(first.kernel, {DROPIN: "# theirs\n"})
    assert_nothing_waits(router)


# One run at a time


def test_run_waits_until_the_other_one_is_done(router: Router) -> None:
    settings(router, {"settings": {"udp_timeout": 50}})
    (path,) = router.run_directory.glob("lock-*")
    with path.open() as lock, concurrent.futures.ThreadPoolExecutor() as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = pool.submit(settings, router, {"settings": WANTED})
        with pytest.raises(TimeoutError):
            running.result(timeout=1)
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert running.result(timeout=10)["changed"] is True


@pytest.mark.parametrize("args", [{"settings": {"udp_timeout": 50}, "_ansible_check_mode": True}])
def test_dry_run_does_not_wait(router: Router, args: dict[str, t.Any]) -> None:
    settings(router, {"settings": WANTED})
    (path,) = router.run_directory.glob("lock-*")
    with path.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert settings(router, args)["changed"] is True


# Real processes, and the real /run


def real(netns: str, **args: t.Any) -> ModuleResult:
    return run_module("conntrack_settings", {"persist": False, **args}, netns=netns)


def sysctl(netns: str, short: str) -> int:
    return int(run(["sysctl", "-n", PREFIX + short], netns=netns))


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("confirm") as name:
        yield name
        remove_records(name)


other_netns = netns


def test_other_namespaces_are_not_concerned(netns: str, other_netns: str) -> None:
    real(netns, settings=WANTED, confirm_within="1h")
    assert "No change waits" in real(other_netns, state="confirmed").msg
    assert not real(other_netns, settings=WANTED).data.get("warnings")
    assert sysctl(netns, "acct") == sysctl(other_netns, "acct") == 1
    assert real(netns, state="confirmed").data["changed"] is True
    through = run_module("conntrack_settings", {"persist": False, "netns": netns, "settings": WANTED})
    assert through.data["changed"] is False


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
def test_it_goes_back_when_the_session_ends(netns: str, number: signal.Signals) -> None:
    args = {"settings": WANTED, "persist": False, "confirm_within": "3s"}
    module = [sys.executable, "-m", "ansible_collections.netops.conntrack.plugins.modules.conntrack_settings"]
    began = time.monotonic()
    with subprocess.Popen(
        ["ip", "netns", "exec", netns, "sh", "-c", '"$@"; exec sleep 60', "sh", *module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": module_path()},
        preexec_fn=with_default_signals,
    ) as session:
        assert session.stdout
        give_arguments(session, args)
        while not (line := session.stdout.readline()).strip():
            pass
        assert json.loads(line)["confirm"]["confirmed"] is False
        os.killpg(session.pid, number)
        assert session.stdout.read() == ""  # ssh would wait for whoever still has it
    assert session.returncode == -number
    assert sysctl(netns, "acct") == 1
    give_up = began + 3 + 2 * TOLERANCE  # a process was started, too
    wait_until(
        lambda: (sysctl(netns, "acct"), sysctl(netns, "generic_timeout")) == (0, 600),
        seconds=give_up - time.monotonic(),
    )


def test_process_that_waits_holds_on_to_nothing_and_ends_with_the_confirmation(netns: str) -> None:
    real(netns, settings=WANTED, confirm_within="1h")
    (pid,) = namespace_pids(netns)
    process = pathlib.Path("/proc") / pid
    assert {handle.name: os.readlink(handle) for handle in (process / "fd").iterdir()} == dict.fromkeys(
        "012", "/dev/null"
    )
    assert os.readlink(process / "cwd") == "/"
    assert os.getsid(int(pid)) not in (os.getsid(0), int(pid))
    real(netns, state="confirmed")
    wait_until(lambda: not namespace_pids(netns), seconds=TOLERANCE)


def test_killed_process_leaves_the_change_to_the_next_run(netns: str) -> None:
    real(netns, settings=WANTED, confirm_within="3s")
    (pid,) = namespace_pids(netns)
    os.kill(int(pid), signal.SIGKILL)
    time.sleep(3.2)
    assert sysctl(netns, "acct") == 1
    result = real(netns, settings={"udp_timeout": 50})
    assert "was rolled back before this one" in str(result.data["warnings"])
    assert (sysctl(netns, "acct"), sysctl(netns, "udp_timeout")) == (0, 50)


def test_two_runs_at_once_come_one_after_the_other(netns: str) -> None:
    values = [{"generic_timeout": 100 + number, "udp_timeout": 100 + number} for number in range(4)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda value: real(netns, settings=value), values))
    assert all(result.data["changed"] for result in results)
    before = {result.data["settings"]["udp_timeout"]["runtime_before"] for result in results}
    assert len(before) == len(values)
    assert sysctl(netns, "generic_timeout") == sysctl(netns, "udp_timeout") >= 100
