# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where backups are written, what they are called, and which of them stay."""

from __future__ import annotations

import errno
import fcntl
import os
import pathlib
import re
import stat
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.backup_directory import (
    BACKUP_OPTIONS,
    DIRECTORY,
    BackupPlan,
    backup_plan_of,
    directory_of,
    new_file,
    remove_old,
    writing,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, OptionError
from helpers.directories import making_twice

WHOLE = "# first\n-A -t 1\n# complete 1\n"


def options(**given: t.Any) -> dict[str, t.Any]:
    return {"backup": True, "backup_dir": "/var/backups", "backup_keep": None, "netns": None, **given}


def name_of(number: int, label: str = "") -> str:
    """Return the name of a backup. One with a larger number is newer."""
    return f"2020010{number}T000000.000000Z-{label}0000000{number}.save"


def removed(directory: pathlib.Path, keep: int | None) -> list[str]:
    """Remove what is old, and return what could not be removed, in words."""
    plan = BackupPlan(str(directory), keep)
    with directory_of(plan, dry_run=False) as opened:
        return list(remove_old(opened, plan))


def left(directory: pathlib.Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_options_make_a_plan() -> None:
    assert backup_plan_of(options()) == BackupPlan("/var/backups", None, "")
    assert backup_plan_of(options(backup_keep=1, netns="blue")) == BackupPlan("/var/backups", 1, "blue")
    assert backup_plan_of(options(backup=False)) is None


def test_without_options_there_is_no_backup() -> None:
    defaults = {name: option.get("default") for name, option in BACKUP_OPTIONS.items()}
    assert backup_plan_of({**defaults, "netns": None}) is None
    assert backup_plan_of({**defaults, "netns": None, "backup": True}) == BackupPlan(DIRECTORY)


@pytest.mark.parametrize("backup", [True, False])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"backup_dir": "backups"}, "backup_dir: 'backups' is not absolute"),
        ({"backup_dir": None}, "backup_dir: None is not absolute"),
        ({"backup_keep": 0}, "backup_keep: 0 is less than 1"),
        ({"backup_keep": -1}, "backup_keep: -1 is less than 1"),
    ],
)
def test_options_that_make_no_sense(given: dict[str, t.Any], words: str, backup: bool) -> None:
    with pytest.raises(OptionError, match=words):
        backup_plan_of(options(**given, backup=backup))


@pytest.mark.parametrize(
    ("netns", "label"),
    [
        ("", ""),
        ("customer_1.b", "customer_1.b"),
        # The beginnings of what sha256sum prints for these names.
        ("customer-1", "customer_1-e83f10dc"),
        ("/proc/1/ns/net", "_proc_1_ns_net-a4e7c44c"),
        ("x" * 100, "x" * 100),
        # The end of a path tells more than its beginning.
        ("a" + "x" * 100, "x" * 100 + "-9af554c6"),
    ],
)
def test_a_label_is_fit_for_a_name(netns: str, label: str) -> None:
    plan = backup_plan_of(options(netns=netns))
    assert plan is not None
    assert plan.label == label


NAMESPACES = (
    *("", "customer", "cust_1", "cust-1", "cust.1", "cust 1", "z_rich", "zürich", "z\udce4rich", "5d1f09c3"),
    *("/run/netns/cust-1", "x" * 100, *(letter + "x" * 100 for letter in "abx")),
)


@pytest.mark.parametrize("netns", NAMESPACES)
def test_each_namespace_has_names_of_its_own(netns: str) -> None:
    plans = {each: backup_plan_of(options(netns=each)) for each in NAMESPACES}
    own = plans[netns]
    assert own is not None
    name = own.new_name()
    assert re.fullmatch(r"[0-9A-Za-z_.-]{,255}", name)
    assert [each for each, plan in plans.items() if plan is not None and plan.is_own(name)] == [netns]


def test_a_backup_of_1_0_whose_namespace_is_uncertain_is_nobodys() -> None:
    """Its name has no hash, so that it may be one of cust-1 or of cust+1. That of a plain name is what it was."""
    plans = [backup_plan_of(options(netns=netns)) for netns in ("cust-1", "cust+1", "cust_1")]
    assert [plan is not None and plan.is_own(name_of(1, "cust_1-")) for plan in plans] == [False, False, True]


def test_a_later_name_comes_after_an_earlier_one() -> None:
    names = [BackupPlan("/", None, "blue").new_name() for _number in range(3)]
    assert names == sorted(set(names))
    assert re.fullmatch(r"\d{8}T\d{6}\.\d{6}Z-blue-[0-9a-f]{8}\.save", names[0])
    assert re.fullmatch(r"\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{8}\.save", BackupPlan("/").new_name())


def test_the_directory_is_made_for_its_owner_alone(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "deep" / "backups"
    for _time in range(2):
        with directory_of(BackupPlan(str(path)), dry_run=False) as directory:
            assert directory.path == str(path)
            assert os.path.samestat(os.fstat(directory.descriptor), path.stat())
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755


def test_two_prunes_that_make_the_directory_at_once(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "backups"
    monkeypatch.setattr(os, "mkdir", making_twice(os.mkdir))
    with directory_of(BackupPlan(str(path)), dry_run=False) as directory:
        assert directory.path == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_dry_run_makes_no_directory(tmp_path: pathlib.Path) -> None:
    with directory_of(BackupPlan(str(tmp_path / "deep" / "backups")), dry_run=True) as directory:
        assert directory.path == str(tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("below", ["", "deep/backups"])
def test_a_directory_of_others_is_refused_before_anything_is_made(
    tmp_path: pathlib.Path, below: str, dry_run: bool
) -> None:
    tmp_path.chmod(0o1777)
    plan = BackupPlan(str(tmp_path / below))
    with pytest.raises(OptionError, match=r"^backup_dir: .* to which everybody may write"), directory_of(plan, dry_run):
        raise AssertionError("it was taken")
    assert left(tmp_path) == []


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(("flag", "words"), [(os.ST_RDONLY, "Read-only file system"), (0, "Permission denied")])
def test_a_directory_in_which_nothing_can_be_written(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, flag: int, words: str, dry_run: bool
) -> None:
    """Root finds one only on a disk that is mounted read-only, or with the rights of others."""
    asked: list[int] = []

    def access(_path: str, mode: int, **_options: t.Any) -> bool:
        asked.append(mode)
        return False

    status = os.statvfs(tmp_path)
    others = os.ST_NOSUID | os.ST_NODEV
    monkeypatch.setattr(os, "access", access)
    monkeypatch.setattr(os, "fstatvfs", lambda _handle: os.statvfs_result((*status[:8], flag | others, status[9])))
    plan = BackupPlan(str(tmp_path / "backups"))
    with pytest.raises(ConntrackError, match=rf"\({words}\), so nothing was deleted"), directory_of(plan, dry_run):
        raise AssertionError("it was taken")
    assert asked == [os.W_OK | os.X_OK]
    assert left(tmp_path) == []


def test_a_new_file_is_for_its_owner_and_locked_while_it_is_open(tmp_path: pathlib.Path) -> None:
    with directory_of(BackupPlan(str(tmp_path)), dry_run=False) as directory:
        with new_file(directory, "new") as file:
            file.write(b"text")
            with (tmp_path / "new").open() as again, pytest.raises(BlockingIOError):
                fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert file.closed
        assert (tmp_path / "new").read_bytes() == b"text"
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
        with pytest.raises(FileExistsError), new_file(directory, "new"):
            raise AssertionError("it took a file that was there")


def test_a_file_that_cannot_be_closed_is_no_error(tmp_path: pathlib.Path) -> None:
    with (
        directory_of(BackupPlan(str(tmp_path)), dry_run=False) as directory,
        new_file(directory, "new") as file,
    ):
        os.close(file.fileno())


@pytest.mark.parametrize(
    ("number", "size", "words"),
    [
        (errno.ENOSPC, 700, r"on a disk with room\. It needs 700 bytes or more\. Or set backup: false\."),
        (errno.EDQUOT, 1, r"on a disk with room\. It needs 1 bytes or more\. Or"),
        (errno.ENOSPC, 0, r"on a disk with room\. Or"),
        (errno.ENOSPC, None, r"on a disk with room\. Or"),
        (errno.EROFS, 700, r"on a disk with room\. Or"),
    ],
)
def test_what_cannot_be_written_is_told_with_the_remedy(number: int, size: int | None, words: str) -> None:
    with (
        pytest.raises(
            ConntrackError,
            match=rf"^backup_dir: '/var/b' cannot take the backup \({os.strerror(number)}\), .*{words}",
        ),
        writing(BackupPlan("/var/b"), *(() if size is None else (size,))),
    ):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize(("keep", "stay"), [(1, [3]), (2, [2, 3]), (3, [1, 2, 3]), (None, [1, 2, 3])])
def test_the_newest_stay(tmp_path: pathlib.Path, keep: int | None, stay: list[int]) -> None:
    for number in (2, 3, 1):
        (tmp_path / name_of(number)).write_text(WHOLE)
    strange = [f"{name_of(1)}.bak", "notes", name_of(1, "blue-")]
    for name in strange:
        (tmp_path / name).write_text("no backup of ours")
    assert removed(tmp_path, keep) == []
    assert left(tmp_path) == sorted([*map(name_of, stay), *strange])


@pytest.mark.parametrize("keep", [1, 5, None])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "# first\n-A -t 1\n",
        "# first\n# complete 1",
        # An entry was written after it.
        "# first\n# complete 1\n-A -t 1\n",
        "# complete 1\n",
        "# first\n# complete \n",
        f"# first\n# complete 1\n{'x' * 100}\n",
    ],
)
def test_what_is_not_whole_goes_and_takes_no_place(tmp_path: pathlib.Path, text: str, keep: int | None) -> None:
    (tmp_path / name_of(1)).write_text(WHOLE)
    (tmp_path / name_of(2)).write_text(text)
    assert removed(tmp_path, keep) == []
    assert left(tmp_path) == [name_of(1)]


@pytest.mark.parametrize("entries", [0, 1, 5, 1000])
def test_a_whole_file_may_be_of_any_size(tmp_path: pathlib.Path, entries: int) -> None:
    lines = ["# first", *["-A -t 1"] * entries, f"# complete {entries}"]
    (tmp_path / name_of(1)).write_text("".join(f"{line}\n" for line in lines))
    assert removed(tmp_path, 1) == []
    assert left(tmp_path) == [name_of(1)]


@pytest.mark.parametrize(("used", "stay"), [(3, [3]), (1, [1, 3]), (2, [2, 3])])
def test_one_that_is_still_written_stays(tmp_path: pathlib.Path, used: int, stay: list[int]) -> None:
    """It counts as one of those that stay, although it is not whole yet."""
    for number in (1, 2, 3):
        (tmp_path / name_of(number)).write_text("# first\n" if number == used else WHOLE)
    with (tmp_path / name_of(used)).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert removed(tmp_path, 1) == []
    assert left(tmp_path) == [name_of(number) for number in stay]


def test_what_cannot_be_removed_is_told_and_keeps_no_other_one(tmp_path: pathlib.Path) -> None:
    (tmp_path / name_of(3)).write_text(WHOLE)
    os.mkfifo(tmp_path / name_of(2))
    (tmp_path / name_of(1)).write_text(WHOLE)
    assert removed(tmp_path, 1) == [
        f"backup_keep: '{tmp_path / name_of(2)}' could not be removed (it is not a regular file)."
    ]
    assert left(tmp_path) == [name_of(2), name_of(3)]


def test_no_descriptor_stays_open(tmp_path: pathlib.Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / name_of(number)).write_text(WHOLE)
    before = os.listdir("/proc/self/fd")
    removed(tmp_path, 2)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_file_that_another_prune_removes_before_it_is_locked_is_made_again(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no last line, so it looks like what a killed process left."""
    lock, told = fcntl.flock, []

    def remove_first(file: t.Any, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        told.append(removed(tmp_path, None))
        assert left(tmp_path) == []
        lock(file, how)

    with directory_of(BackupPlan(str(tmp_path)), dry_run=False) as opened:
        monkeypatch.setattr(fcntl, "flock", remove_first)
        with new_file(opened, name_of(1)) as file:
            file.write(WHOLE.encode())
            assert removed(tmp_path, None) == []
    assert told == [[]]
    assert (tmp_path / name_of(1)).read_text() == WHOLE
