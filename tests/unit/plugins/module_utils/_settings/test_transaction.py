# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change as a whole, on machines whose kernel and /etc are directories: all of it or nothing."""

from __future__ import annotations

import dataclasses
import pathlib
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._files import run_directory as run_directory_module
from ansible_collections.netops.conntrack.plugins.module_utils._settings import change as change_module
from ansible_collections.netops.conntrack.plugins.module_utils._settings import confirm, journal, persistence
from ansible_collections.netops.conntrack.plugins.module_utils._settings import lock as lock_module
from ansible_collections.netops.conntrack.plugins.module_utils._settings.change import Change
from ansible_collections.netops.conntrack.plugins.module_utils._settings.persistence import BootFiles, keep
from ansible_collections.netops.conntrack.plugins.module_utils._settings.transaction import Transaction
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import Sysctl, find_sysctls
from helpers.machine_files import ACCT, DROPIN, GENERIC, KERNEL, LOAD, MAX, RECORD, Machine

WANTED: dict[str, object] = {"acct": 1, "generic_timeout": 120}
AFTER = {**KERNEL, "acct": 1, "generic_timeout": 120}
STAGED = {"sysctl.d/.90.conf.new", "sysctl.d/.90.conf.before.new"}


@pytest.fixture
def machine(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Machine]:
    built = Machine(tmp_path / "machine")
    for module in (run_directory_module, lock_module, confirm):
        monkeypatch.setattr(module, "DIRECTORY", str(tmp_path / "run"))
    run_directory_module.make()
    sysctls = find_sysctls(f"{built.root}/proc/sys")
    monkeypatch.setattr(journal, "find_sysctls", lambda: sysctls)
    monkeypatch.setattr(confirm, "_start_waiting", lambda _pending: True)
    # The real /etc is that of this machine.
    monkeypatch.setattr(persistence, "reads_at_boot", lambda _path: True)
    with built.in_charge():
        yield built


def nothing(_staged: str, _path: str) -> None:
    """Prepare nothing."""


def planned(machine: Machine, settings: dict[str, object] | None = None, *, files: bool = True) -> Transaction:
    changes = machine.changes(WANTED if settings is None else settings)
    return Transaction(changes, keep(machine.sysctl_file, changes, True) if files else None)


def files_of(transaction: Transaction) -> BootFiles:
    assert transaction.boot_files is not None
    return transaction.boot_files


# What has to be done


def test_what_has_to_be_done(machine: Machine) -> None:
    assert not Transaction([], None).changed
    assert Transaction([], None, loads=True).changed
    assert planned(machine).changed
    assert planned(machine, files=False).changed
    assert not planned(machine, {"acct": 0}, files=False).changed
    assert planned(machine, {"acct": 0}).changed
    planned(machine, {"acct": 0}).carry_out(nothing, 0)
    assert not planned(machine, {"acct": 0}).changed
    assert planned(machine, {"acct": 0, "generic_timeout": 120}, files=False).changed


@pytest.mark.parametrize("within", [0, 60])
def test_nothing_is_written_where_the_disk_has_no_room(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, within: int
) -> None:
    planned(machine).require_room(within)
    monkeypatch.setattr(run_directory_module, "has_room", lambda *_sizes: False)
    with pytest.raises(UnavailableError, match="No space left on device"):
        planned(machine).require_room(within)
    assert machine.kernel == KERNEL


@pytest.mark.parametrize(
    ("settings", "within", "files"),
    [
        # The lock alone.
        ({"acct": 0}, 60, 1),
        ({"acct": 1}, 0, 1),
        # The record of timeouts is written twice, and has a lock.
        ({"acct": 1, "generic_timeout": 120}, 0, 4),
        ({"acct": 1, "generic_timeout": 600}, 0, 1),
        # What was settled, and the journal.
        ({"acct": 1}, 60, 3),
        ({"acct": 1, "generic_timeout": 120}, 60, 6),
        ({"acct": 0, "generic_timeout": 600}, 60, 1),
    ],
)
def test_room_is_asked_for_what_is_written(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], within: int, files: int
) -> None:
    asked: list[tuple[int, ...]] = []
    monkeypatch.setattr(run_directory_module, "require_room", lambda *sizes: asked.append(sizes))
    monkeypatch.setattr(change_module, "ROOT", f"{machine.root}/proc/sys")
    planned(machine, settings).require_room(within)
    [sizes] = asked
    assert len(sizes) == files
    assert sizes[0] == 64


# Carrying it out


def test_it_is_carried_out_as_a_whole(machine: Machine) -> None:
    assert planned(machine).carry_out(nothing, 0) is None
    assert machine.kernel == AFTER
    assert sorted(machine.files) == [DROPIN, RECORD]
    assert machine.files[DROPIN].endswith(f"\n{ACCT} = 1\n{GENERIC} = 120\n")
    assert machine.record["settings"].keys() == {"acct", "generic_timeout"}


def test_without_files_only_the_kernel_changes(machine: Machine) -> None:
    assert planned(machine, files=False).carry_out(nothing, 0) is None
    assert (machine.kernel, machine.files) == (AFTER, {})


def test_the_record_is_there_before_anything_else_changes(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    write = Sysctl.write

    def looking(self: Sysctl, value: int) -> None:
        seen.append({name for name in machine.files if "/." not in name})
        write(self, value)

    monkeypatch.setattr(Sysctl, "write", looking)
    planned(machine).carry_out(nothing, 0)
    assert seen == [{RECORD}, {RECORD}]


class Stopped(BaseException):
    """What ends a process and is no failure."""


@pytest.mark.parametrize("error", [ConntrackError("It does not take that."), Stopped()])
@pytest.mark.parametrize("within", [0, 60])
def test_what_fails_leaves_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, within: int, error: BaseException
) -> None:
    write = Sysctl.write
    once = [error]

    def failing(self: Sysctl, value: int) -> None:
        if self.short_name == "generic_timeout" and once:
            raise once.pop()
        write(self, value)

    transaction = planned(machine)
    monkeypatch.setattr(Sysctl, "write", failing)
    with pytest.raises(type(error)):
        transaction.carry_out(nothing, within)
    assert (machine.kernel, machine.files) == (KERNEL, {})
    assert journal.waiting() is None


@pytest.mark.parametrize("within", [0, 60])
def test_files_that_cannot_be_prepared_leave_nothing(machine: Machine, within: int) -> None:
    def refuse(_staged: str, _path: str) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        planned(machine).carry_out(refuse, within)
    assert (machine.kernel, machine.files) == (KERNEL, {})
    assert journal.waiting() is None


def test_a_change_that_waits_has_its_files_next_to_the_old_ones(machine: Machine) -> None:
    pending = planned(machine).carry_out(nothing, 60)
    assert pending is not None
    waiting = journal.waiting()
    assert waiting is not None
    assert (waiting.id, waiting.within) == (pending.id, 60)
    assert machine.kernel == AFTER
    assert set(machine.files) == STAGED
    confirm.confirm(pending.id)
    assert machine.kernel == AFTER
    assert sorted(machine.files) == [DROPIN, RECORD]


def test_without_files_a_change_waits_as_well(machine: Machine) -> None:
    assert planned(machine, files=False).carry_out(nothing, 60) is not None
    assert (machine.kernel, machine.files) == (AFTER, {})


def test_one_setting_that_the_kernel_lacks_is_enough_to_wait(machine: Machine) -> None:
    pending = planned(machine, {"acct": 1, "generic_timeout": 600}).carry_out(nothing, 60)
    assert pending is not None
    assert [change.sysctl.short_name for change in pending.written] == ["acct"]


def test_nothing_waits_where_the_kernel_has_what_is_wanted(machine: Machine) -> None:
    transaction = planned(machine, {"acct": 0, "generic_timeout": 600})
    assert transaction.carry_out(nothing, 60) is None
    assert sorted(machine.files) == [DROPIN, RECORD]
    assert journal.waiting() is None


# What is told


def test_what_becomes_of_a_setting(machine: Machine) -> None:
    machine.write(f"etc/{DROPIN}", f"# mine\n{GENERIC} = 500\n")
    transaction = planned(machine)
    expected = {
        "name": GENERIC,
        "wanted": 120,
        "runtime_before": 600,
        "runtime_after": 120,
        "boot_before": 500,
        "boot": 120,
        "boot_file": machine.sysctl_file.removeprefix(str(machine.root)),
        "restored": False,
    }
    described = transaction.describe(predict=True)
    assert described.keys() == {"acct", "generic_timeout"}
    line = described["generic_timeout"].pop("boot_line")
    assert described["generic_timeout"] == expected
    assert transaction.describe(predict=False)["generic_timeout"]["runtime_after"] == 600
    transaction.carry_out(nothing, 0)
    assert machine.files[DROPIN].splitlines()[line - 1] == f"{GENERIC} = 120"
    assert transaction.describe(predict=False)["generic_timeout"]["runtime_after"] == 120
    again = dataclasses.replace(transaction, restored=["acct"])
    assert [again.describe(predict=True)[name]["restored"] for name in ("acct", "generic_timeout")] == [True, False]


def test_without_files_nothing_is_said_of_the_boot(machine: Machine) -> None:
    transaction = planned(machine, {"acct": 1}, files=False)
    assert {name: value for name, value in transaction.describe(predict=True)["acct"].items() if "boot" in name} == {
        "boot_before": None,
        "boot": None,
        "boot_file": None,
        "boot_line": None,
    }
    assert transaction.warnings() == []


def test_a_setting_that_no_file_sets_has_no_value_at_boot(machine: Machine) -> None:
    changes = machine.changes({"acct": 1})
    transaction = Transaction(changes, keep(machine.sysctl_file, [], False))
    described = transaction.describe(predict=True)["acct"]
    assert [described[name] for name in ("boot_before", "boot", "boot_file", "boot_line")] == [None] * 4


def test_differences(machine: Machine) -> None:
    machine.has_a_module()
    run_time, *files = planned(machine, {"acct": 1, "generic_timeout": 600}).differences()
    assert run_time == {
        "before_header": "run time",
        "after_header": "run time",
        "before": f"{ACCT} = 0\n",
        "after": f"{ACCT} = 1\n",
    }
    assert [file["after_header"] for file in files] == [f"{machine.root}/etc/{name}" for name in (LOAD, DROPIN)]
    assert [file["before_header"] for file in files] == [file["after_header"] for file in files]
    assert [file["before"] for file in files] == ["", ""]
    assert files[1]["after"].endswith(f"{ACCT} = 1\n{GENERIC} = 600\n")
    assert planned(machine, {"acct": 0}, files=False).differences() == []
    assert [each["after_header"] for each in planned(machine, {"acct": 1}, files=False).differences()] == ["run time"]


def test_a_file_that_goes_has_no_text_after(machine: Machine) -> None:
    planned(machine, {"acct": 1}).carry_out(nothing, 0)
    [difference] = Transaction([], keep(machine.sysctl_file, [], False, None)).differences()
    assert difference["before"].endswith(f"{ACCT} = 1\n")
    assert difference["after"] == ""


def test_buckets_are_shown_as_the_kernel_rounds_them(machine: Machine) -> None:
    [run_time, *_files] = planned(machine, {"buckets": 100_001}).differences()
    assert run_time["after"] == "net.netfilter.nf_conntrack_buckets = 100352\n"


LOOSE = "tcp_loose is off: after a reboot or a fail-over, connections that are open will not be picked up."


@pytest.mark.parametrize("files", [True, False])
@pytest.mark.parametrize(
    ("settings", "expected"),
    [({"tcp_loose": 0}, [LOOSE]), ({"tcp_loose": 1}, []), ({"acct": 0}, [])],
)
def test_who_turns_tcp_loose_off_is_told_once(
    machine: Machine, settings: dict[str, object], expected: list[str], files: bool
) -> None:
    transaction = planned(machine, settings, files=files)
    assert transaction.warnings() == expected
    transaction.carry_out(nothing, 0)
    assert planned(machine, settings, files=files).warnings() == []


def test_files_of_another_kernel_are_compared_with_what_they_said(machine: Machine) -> None:
    def boot_only() -> Transaction:
        [change] = machine.changes({"tcp_loose": 0})
        changes = [dataclasses.replace(change, boot_only=True)]
        return Transaction(changes, keep(machine.sysctl_file, changes, True))

    transaction = boot_only()
    assert transaction.warnings() == [LOOSE]
    transaction.carry_out(nothing, 0)
    assert machine.kernel == KERNEL
    assert boot_only().warnings() == []
    # Nobody asks that kernel.
    described = boot_only().describe(predict=False)["tcp_loose"]
    assert (described["runtime_before"], described["runtime_after"]) == (1, None)
    assert Transaction(boot_only().changes, None).warnings() == []


def test_what_another_file_sets_at_boot_is_told(machine: Machine) -> None:
    machine.write("etc/sysctl.d/99.conf", f"# theirs\n{ACCT} = 0\n{MAX} = many\n")
    assert planned(machine, {"acct": 1, "max": 70_000, "generic_timeout": 120}).warnings() == [
        "acct: the next boot does not set 1. /etc/sysctl.d/99.conf:2 sets it to 0, and is read last.",
        "max: the next boot does not set 70000. /etc/sysctl.d/99.conf:3 sets it to many, and is read last.",
    ]


def test_what_is_restored_need_not_be_set_at_boot(machine: Machine) -> None:
    changes = planned(machine, {"acct": 1}).changes
    assert dataclasses.replace(planned(machine, {}), changes=changes, restored=["acct"]).warnings() == []


def test_what_is_restored_and_set_by_another_file_is_told(machine: Machine) -> None:
    machine.write("etc/sysctl.d/99.conf", f"{ACCT} = 0\n")
    transaction = planned(machine, {"acct": 1})
    [warning] = dataclasses.replace(transaction, restored=["acct"]).warnings()
    assert warning == "acct: the next boot does not set 1. /etc/sysctl.d/99.conf:1 sets it to 0, and is read last."


def test_what_is_lost_at_boot_is_told(machine: Machine) -> None:
    machine.has_a_module()
    changes = machine.changes({"acct": 1})
    [warning] = Transaction(changes, keep(machine.sysctl_file, changes, False)).warnings()
    assert warning.startswith("acct: the next boot does not set 1. nf_conntrack is loaded after the sysctls")
    assert warning.endswith(".")


def test_what_nobody_can_tell_is_said(machine: Machine) -> None:
    transaction = planned(machine, {"acct": 1})
    files = files_of(transaction)
    undecided = dataclasses.replace(files.after, undecided=frozenset({"acct"}), why_undecided="a rule may set it")
    assert dataclasses.replace(transaction, boot_files=dataclasses.replace(files, after=undecided)).warnings() == [
        "acct: the next boot does not set 1. It cannot be told: a rule may set it."
    ]
    unset = dataclasses.replace(files.after, values={})
    assert dataclasses.replace(transaction, boot_files=dataclasses.replace(files, after=unset)).warnings() == [
        "acct: the next boot does not set 1. The drop-in is in no directory that is read at boot."
    ]


def test_a_dropin_that_is_not_read_is_the_reason(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    transaction = planned(machine, {"acct": 1})
    monkeypatch.setattr(BootFiles, "why_not_read", "This system reads no such file.")
    assert transaction.warnings() == []
    files = files_of(transaction)
    unset = dataclasses.replace(files, after=dataclasses.replace(files.after, values={}))
    assert dataclasses.replace(transaction, boot_files=unset).warnings() == [
        "acct: the next boot does not set 1. This system reads no such file."
    ]


def test_a_change_without_files_is_described_by_its_setting() -> None:
    change = Change(Sysctl("acct", ACCT, "/nowhere"), 1, None)
    assert Transaction([change], None).describe(predict=False)["acct"]["runtime_after"] is None
