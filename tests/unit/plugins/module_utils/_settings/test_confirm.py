# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change that waits, step by step: its files and settings are real files, and only the clock is the test's own."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import pathlib
import signal
import syslog
import time
import typing as t
from unittest import mock

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    RefusedError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._files import run_directory as run_directory_module
from ansible_collections.netops.conntrack.plugins.module_utils._files.replacement import FileChange
from ansible_collections.netops.conntrack.plugins.module_utils._interrupt import interruptible
from ansible_collections.netops.conntrack.plugins.module_utils._settings import confirm, journal
from ansible_collections.netops.conntrack.plugins.module_utils._settings import lock as lock_module
from ansible_collections.netops.conntrack.plugins.module_utils._settings.change import Change
from ansible_collections.netops.conntrack.plugins.module_utils._settings.journal import Pending
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import Sysctl
from helpers.support import wait_until

NAME = "net.netfilter.nf_conntrack_max"
RESTORED = f"Restored: {NAME} = 100."


class Router:
    """A kernel with one setting, which is a file, and one file for the boot."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.setting, self.etc = directory / "max", directory / "etc"
        self.run = directory / "run"
        self.etc.mkdir()
        self.write_file("old\n")
        self.setting.write_text("100\n")
        self.sysctls = {"max": Sysctl("max", NAME, str(self.setting))}

    def change(self, within: int = 60) -> Pending:
        """Make a change that is to be confirmed, and return it. It is not in the journal yet."""
        files = [FileChange(str(self.etc / "90.conf"), "old\n", "new\n", "sysctl_file")]
        pending = Pending.begin([Change(self.sysctls["max"], 200, 100)], files, within)
        for file in files:
            file.stage(lambda _staged, _path: None)
        self.setting.write_text("200\n")
        return pending

    def waiting(self, within: int = 60) -> Pending:
        """Make a change that waits in the journal."""
        pending = self.change(within)
        journal.keep(pending)
        return pending

    @property
    def state(self) -> tuple[str, dict[str, str]]:
        """What the kernel has, and the files in /etc."""
        return self.setting.read_text().strip(), {path.name: path.read_text() for path in self.etc.iterdir()}

    def write_file(self, text: str) -> None:
        (self.etc / "90.conf").write_text(text)

    def journal(self, what: str = "pending") -> pathlib.Path:
        return pathlib.Path(run_directory_module.path_of(what))


BEFORE = ("100", {"90.conf": "old\n"})
CONFIRMED = ("200", {"90.conf": "new\n"})
WAITS = ("200", {"90.conf": "old\n", ".90.conf.new": "new\n"})


@pytest.fixture
def router(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Router:
    built = Router(tmp_path)
    for module in (run_directory_module, lock_module, confirm):
        monkeypatch.setattr(module, "DIRECTORY", str(built.run))
    monkeypatch.setattr(journal, "find_sysctls", lambda: built.sysctls)
    monkeypatch.setattr(confirm, "_CGROUP_ROOTS", ())
    run_directory_module.make()
    return built


def waiting_id() -> str | None:
    pending = journal.waiting()
    return pending.id if pending else None


# The next run


def test_nothing_waits_at_first(router: Router) -> None:
    assert confirm.roll_back_pending() is None
    confirm.refuse_waiting()
    router.run.rmdir()
    confirm.refuse_waiting()
    assert confirm.roll_back_pending() is None
    assert not router.run.exists()


def test_the_next_run_rolls_back_what_waits(router: Router) -> None:
    pending = router.waiting()
    assert router.state == WAITS
    with pytest.raises(RefusedError, match="A change waits for its confirmation"):
        confirm.refuse_waiting()
    assert router.state == WAITS
    assert confirm.roll_back_pending() == RESTORED
    assert router.state == BEFORE
    assert journal.outcome(pending.id) == journal.ROLLED_BACK
    assert not router.journal().exists()
    assert confirm.roll_back_pending() is None


def test_the_next_run_puts_away_what_was_confirmed(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that confirmed it was killed before it could."""
    pending = router.waiting()
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_names: None)
        journal.settle_confirmed(pending)
    assert router.journal().exists()
    assert confirm.roll_back_pending() is None
    assert not router.journal().exists()
    assert confirm.find(pending.id).confirmed


def test_a_roll_back_that_cannot_be_written_down_is_told(router: Router) -> None:
    router.waiting()
    full = router.journal("settled")
    full.unlink()
    full.mkdir()
    with pytest.raises(UnavailableError) as caught:
        confirm.roll_back_pending()
    assert str(full) in caught.value.message
    assert caught.value.message.endswith(f"A change that waited was rolled back. {RESTORED}")
    assert caught.value.result["changed"] is True
    assert router.state == BEFORE


# Arming


def start(monkeypatch: pytest.MonkeyPatch, answer: bool | OSError) -> None:
    """Let the process that waits start, or not, or let it fail."""

    def started(_pending: Pending) -> bool:
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(confirm, "_start_waiting", started)


def test_an_armed_change_waits(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.keep_words("of the change before")
    start(monkeypatch, True)
    pending = router.change()
    confirm.arm(pending)
    assert waiting_id() == pending.id
    assert journal.is_kept(pending)
    assert journal.last_words() == ""


@pytest.mark.parametrize(
    ("answer", "words"),
    [(False, r"\(it did not start\)"), (OSError(errno.EAGAIN, "Try again"), r"\(\[Errno 11\] Try again\)")],
)
def test_without_a_process_nothing_waits(
    router: Router, monkeypatch: pytest.MonkeyPatch, answer: bool | OSError, words: str
) -> None:
    start(monkeypatch, answer)
    pending = router.change()
    with pytest.raises(UnavailableError, match=rf"^confirm_within: .* could not be started {words}\. Nothing was"):
        confirm.arm(pending)
    assert (waiting_id(), journal.outcome(pending.id)) == (None, journal.ROLLED_BACK)
    assert not router.journal().exists()


@pytest.mark.parametrize("what", ["settled", "pending"])
def test_without_a_journal_nothing_waits(router: Router, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    start(monkeypatch, True)
    router.journal(what).mkdir()
    pending = router.change()
    words = rf"^confirm_within: {router.journal(what)} cannot be written .* Nothing was changed\.$"
    with pytest.raises(UnavailableError, match=words):
        confirm.arm(pending)
    if what == "settled":
        assert not router.journal().exists()
    else:
        assert journal.outcome(pending.id) == journal.ROLLED_BACK


def test_a_change_is_forgotten_whatever_cannot_be_written(router: Router) -> None:
    pending = router.waiting()
    router.journal("settled").unlink()
    router.journal("settled").mkdir()
    confirm.disarm(pending)
    assert not router.journal().exists()
    router.journal().mkdir()
    confirm.disarm(pending)


# Confirming


@pytest.mark.parametrize("by_name", [True, False])
def test_what_is_confirmed_stays(router: Router, by_name: bool) -> None:
    pending = router.waiting()
    change = pending.id if by_name else None
    assert not confirm.find(change).confirmed
    assert router.state == WAITS
    confirmed = confirm.confirm(change)
    assert (confirmed.id, confirmed.confirmed) == (pending.id, True)
    assert router.state == CONFIRMED
    assert (waiting_id(), journal.outcome(pending.id)) == (None, journal.CONFIRMED)
    # The answer was lost. Without a name, nobody knows which change is meant.
    router.write_file("newer\n")
    assert confirm.confirm(pending.id).confirmed
    assert router.state[1] == {"90.conf": "newer\n"}
    for other in (None, "other"):
        with pytest.raises(RefusedError, match="No change waits"):
            confirm.confirm(other)


def test_no_change_waits(router: Router) -> None:
    with pytest.raises(RefusedError) as caught:
        confirm.find(None)
    assert caught.value.message == "No change waits for its confirmation."
    journal.keep_words("It was not confirmed.")
    with pytest.raises(RefusedError) as caught:
        confirm.find("some")
    assert caught.value.message == "No change waits for its confirmation. It was not confirmed."


def test_another_change_is_not_confirmed(router: Router) -> None:
    pending = router.waiting()
    with pytest.raises(RefusedError, match=f"^change: 'other' does not wait .* but '{pending.id}' does"):
        confirm.confirm("other")
    assert router.state == WAITS
    assert waiting_id() == pending.id


def test_a_file_that_somebody_changed_rolls_all_back(router: Router) -> None:
    pending = router.waiting()
    router.write_file("theirs\n")
    with pytest.raises(ConntrackError) as caught:
        confirm.confirm(pending.id)
    assert "was changed by somebody else in the meantime" in caught.value.message
    assert caught.value.message.endswith(RESTORED)
    assert router.state == ("100", {"90.conf": "theirs\n"})
    assert (waiting_id(), journal.outcome(pending.id)) == (None, journal.ROLLED_BACK)


def test_a_confirmation_that_cannot_be_written_down_rolls_all_back(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending = router.waiting()

    def full(_pending: Pending) -> None:
        assert router.state[1]["90.conf"] == "new\n"
        raise UnavailableError("The disk is full.", some="result")

    monkeypatch.setattr(journal, "settle_confirmed", full)
    with pytest.raises(ConntrackError) as caught:
        confirm.confirm(None)
    assert caught.value.message == f"The disk is full. {RESTORED}"
    assert caught.value.result["some"] == "result"
    assert router.state == BEFORE
    assert journal.outcome(pending.id) == journal.ROLLED_BACK


# The process that waits


class Clock:
    """The time of the process that waits. Whatever it sleeps passes at once, and ``at_sleep`` is called then."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.at_sleep: t.Callable[[int], None] = lambda _times: None
        self.log: list[str] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.at_sleep(len(self.slept))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    built = Clock()
    monkeypatch.setattr(journal, "_now", lambda: built.now)
    monkeypatch.setattr(time, "sleep", built.sleep)
    opened: list[tuple[str, int, int]] = []
    monkeypatch.setattr(syslog, "openlog", lambda *arguments: opened.append(arguments))

    def log(priority: int, text: str) -> None:
        assert opened == [("netops.conntrack", 0, syslog.LOG_DAEMON)]
        assert priority == syslog.LOG_WARNING
        built.log.append(text)

    monkeypatch.setattr(syslog, "syslog", log)
    return built


def test_it_is_rolled_back_at_the_deadline(router: Router, clock: Clock) -> None:
    pending = dataclasses.replace(router.waiting(1), deadline=clock.now + 0.6)
    journal.keep(pending)
    clock.at_sleep = lambda _times: None if pending.seconds_left == 0 else check_waits(router)
    confirm._wait(pending)
    assert clock.slept == pytest.approx([0.25, 0.25, 0.1])
    assert router.state == BEFORE
    assert journal.outcome(pending.id) == journal.ROLLED_BACK
    assert not router.journal().exists()
    words = f"It was not confirmed within 1 s. {RESTORED}"
    assert journal.last_words() == words
    assert clock.log == [f"A change of the connection-tracking settings was rolled back. {words}"]


def check_waits(router: Router) -> None:
    assert router.state == WAITS


@pytest.mark.parametrize("settle", [journal.settle_confirmed, journal.settle])
def test_it_ends_with_what_became_of_the_change(
    router: Router, clock: Clock, settle: t.Callable[[Pending], None]
) -> None:
    pending = router.waiting(60)
    clock.at_sleep = lambda times: settle(pending) if times == 2 else None
    confirm._wait(pending)
    assert (len(clock.slept), clock.log, journal.last_words()) == (2, [], "")
    assert router.state == WAITS


def test_what_is_confirmed_at_the_last_moment_stays(
    router: Router, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending = router.waiting(0)

    @contextlib.contextmanager
    def confirmed_meanwhile() -> t.Iterator[None]:
        journal.settle_confirmed(pending)
        yield

    monkeypatch.setattr(confirm, "exclusive", confirmed_meanwhile)
    confirm._wait(pending)
    assert (router.state, clock.log) == (WAITS, [])


def test_a_run_that_holds_on_to_the_lock_does_not_hold_it_up(
    router: Router, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    pending = router.waiting(0)
    with lock_module.exclusive():
        confirm._wait(pending)
    assert router.state == BEFORE


def test_it_holds_the_lock_while_it_rolls_back(router: Router, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    is_alone = []

    def roll_back(_pending: Pending) -> str:
        with pytest.raises(UnavailableError), lock_module.exclusive(wait=0):
            raise AssertionError("another run has the lock, too")
        is_alone.append(True)
        return RESTORED

    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(Pending, "roll_back", roll_back)
    confirm._wait(router.waiting(0))
    assert is_alone == [True]


@pytest.mark.parametrize("damage", [None, "", "[]"])
def test_a_damaged_journal_is_written_anew(router: Router, clock: Clock, damage: str | None) -> None:
    pending = router.waiting(1)
    kept = []

    def spoil(times: int) -> None:
        if times > 1:
            kept.append(journal.is_kept(pending))
        elif damage is None:
            router.journal().unlink()
        else:
            router.journal().write_text(damage)

    clock.at_sleep = spoil
    confirm._wait(pending)
    assert kept == [True, True, True]
    assert router.state == BEFORE


@pytest.mark.parametrize("damage", ["", "[]"])
def test_a_journal_that_is_damaged_at_the_deadline_goes(router: Router, clock: Clock, damage: str) -> None:
    pending = router.waiting(0)
    router.journal().write_text(damage)
    confirm._wait(pending)
    assert not router.journal().exists()
    assert router.state == BEFORE
    assert clock.log


def test_the_journal_of_another_change_is_left_alone(router: Router, clock: Clock) -> None:
    pending = router.waiting(1)
    other = dataclasses.replace(pending, id="other")

    def another(times: int) -> None:
        if times == 1:
            journal.keep(other)

    clock.at_sleep = another
    confirm._wait(pending)
    assert (waiting_id(), journal.is_kept(other)) == ("other", True)
    assert router.state == BEFORE


def test_words_that_cannot_be_kept_are_in_the_log(router: Router, clock: Clock) -> None:
    router.journal("taken-back").mkdir()
    confirm._wait(router.waiting(0))
    assert [RESTORED in line for line in clock.log] == [True]


def test_a_journal_is_not_written_while_another_run_has_the_lock(router: Router, clock: Clock) -> None:
    pending = router.waiting()
    router.journal().unlink()
    with lock_module.exclusive():
        confirm._renew_journal(pending)
    # It has not waited either.
    assert clock.slept == []
    assert not router.journal().exists()
    confirm._renew_journal(pending)
    assert journal.is_kept(pending)


def test_the_journal_of_a_change_that_is_settled_is_not_written(router: Router, clock: Clock) -> None:
    pending = router.waiting()
    journal.settle_confirmed(pending)
    confirm._renew_journal(pending)
    assert not router.journal().exists()


def test_a_journal_that_cannot_be_written_is_tried_again_later(
    router: Router, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending = router.waiting()
    router.journal().unlink()
    for error in (OSError(errno.ENOSPC, "full"), UnavailableError("full")):
        with monkeypatch.context() as patch:
            patch.setattr(journal, "keep", mock.Mock(side_effect=error))
            confirm._renew_journal(pending)
    assert not router.journal().exists()


def test_whether_the_journal_has_the_change(router: Router) -> None:
    pending = router.change()
    assert confirm._is_kept(pending) is None
    journal.keep(pending)
    assert confirm._is_kept(pending) is True
    # Somebody wrote the same with other spaces.
    router.journal().write_text(json.dumps(json.loads(pending.as_json()), indent=2))
    assert confirm._is_kept(pending) is True
    router.journal().write_text("damaged")
    assert confirm._is_kept(pending) is None
    journal.keep(dataclasses.replace(pending, id="other"))
    assert confirm._is_kept(pending) is False


# Real processes


class Telling(Sysctl):
    """A setting that notes, next to its file, what the process is like that writes it."""

    def write(self, value: int) -> None:
        handles = {name: os.readlink(f"/proc/self/fd/{name}") for name in "012"}
        others = [name for name in os.listdir("/proc/self/fd") if name not in handles]
        process = {
            "handles": handles,
            # The listing has one itself, and so has the lock.
            "others": len(others),
            "directory": os.getcwd(),
            "session": os.getsid(0) not in (os.getpid(), self.session),
            "handler": signal.getsignal(signal.SIGTERM) is signal.SIG_DFL,
        }
        pathlib.Path(f"{self.path}.process").write_text(json.dumps(process))
        super().write(value)

    session = os.getsid(0)


def short(pending: Pending, seconds: float) -> Pending:
    return dataclasses.replace(pending, deadline=journal._now() + seconds)


@contextlib.contextmanager
def with_input(descriptor: int) -> t.Iterator[None]:
    """Have a file as the standard input of the process."""
    before = os.dup(0)
    os.dup2(descriptor, 0)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)


def own_children() -> list[str]:
    """Return the processes that this one has to wait for."""
    return pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_a_process_of_its_own_rolls_the_change_back(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    router.sysctls["max"] = Telling("max", NAME, str(router.setting))
    group = router.run / "cgroup.procs"
    group.write_text("123\n")
    monkeypatch.setattr(confirm, "_CGROUP_ROOTS", (str(router.run),))
    # The process may not hold on to what this one has open.
    with open(router.etc / "90.conf") as file, with_input(file.fileno()), interruptible():
        children = own_children()
        pending = short(router.change(), 0.2)
        confirm.arm(pending)
        assert own_children() == children
        wait_until(lambda: journal.last_words() != "")
    assert router.state == BEFORE
    assert group.read_text() == "023\n"
    process = json.loads(pathlib.Path(f"{router.setting}.process").read_text())
    assert process == {
        "handles": dict.fromkeys("012", "/dev/null"),
        "others": 2,
        "directory": "/",
        "session": True,
        "handler": True,
    }


def test_a_process_stands_also_where_nobody_waits_for_children(router: Router) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert confirm._start_waiting(short(router.waiting(), 0))
    finally:
        signal.signal(signal.SIGCHLD, before)
    wait_until(lambda: journal.last_words() != "")


def test_a_process_that_fails_before_it_stands_is_told(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    handles = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(confirm, "_close_all_but", lambda *_numbers: os._exit(1))
    with pytest.raises(UnavailableError, match="it did not start"):
        confirm.arm(router.change())
    assert len(os.listdir("/proc/self/fd")) == handles


def test_the_control_group_of_the_session_is_left(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = [tmp_path / name for name in ("missing", "unified", "systemd")]
    for root in roots[1:]:
        root.mkdir()
        (root / "cgroup.procs").write_text("123\n")
    monkeypatch.setattr(confirm, "_CGROUP_ROOTS", tuple(map(str, roots)))
    confirm._leave_session()
    assert [(root / "cgroup.procs").read_text() for root in roots[1:]] == ["023\n", "023\n"]
    assert not roots[0].exists()
