# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are replaced together: whole texts only, all or none, and nothing beside them at the end."""

from __future__ import annotations

import os
import pathlib
import stat
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    OptionError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._files.replacement import (
    FileChange,
    Purpose,
    plan_file,
    put_all,
    restore_all,
    staged,
)
from ansible_collections.netops.conntrack.plugins.module_utils._files.text import read_text

PURPOSE = Purpose("an_option", "do without it")

STARTS: dict[str, tuple[str | None, str | None]] = {
    "new": (None, "new\n"),
    "replaced": ("old\n", "new\n"),
    "removed": ("old\n", None),
    "emptied": ("old\n", ""),
    "filled": ("", "new\n"),
}
"""By name: the text that a file holds, and the one that it shall hold."""


def nothing(_staged: str, _path: str) -> None:
    """Prepare nothing."""


def made(directory: pathlib.Path, names: t.Iterable[str] = tuple(STARTS)) -> list[FileChange]:
    """Make the files of STARTS that are there at first, and plan their changes."""
    for name in names:
        old, _new = STARTS[name]
        if old is not None:
            (directory / name).write_text(old)
    return [FileChange(str(directory / name), *STARTS[name], "an_option") for name in names]


def state(directory: pathlib.Path) -> dict[str, str]:
    """Return the text of every file in the directory, hidden ones included."""
    return {path.name: path.read_text() for path in directory.iterdir()}


OLD = {name: old for name, (old, _new) in STARTS.items() if old is not None}
NEW = {name: new for name, (_old, new) in STARTS.items() if new is not None}


def test_all_files_are_put_and_nothing_stays_beside_them(tmp_path: pathlib.Path) -> None:
    files = made(tmp_path)
    assert state(tmp_path) == OLD
    with staged(files, nothing) as changed:
        assert changed == files
        assert {name: text for name, text in state(tmp_path).items() if not name.startswith(".")} == OLD
        put_all(changed)
        assert {name: text for name, text in state(tmp_path).items() if not name.startswith(".")} == NEW
    assert state(tmp_path) == NEW


def test_what_is_not_put_leaves_the_files_as_they_are(tmp_path: pathlib.Path) -> None:
    with staged(made(tmp_path), nothing):
        assert len(state(tmp_path)) > len(OLD)
    assert state(tmp_path) == OLD


def test_what_lies_beside_a_file_is_read_by_no_loader_and_by_nobody_half_written(tmp_path: pathlib.Path) -> None:
    (change,) = made(tmp_path, ["replaced"])
    with staged([change], nothing) as changed:
        put_all(changed)
        beside = [path.name for path in tmp_path.iterdir() if path.name != "replaced"]
        assert beside == [".replaced.old"]
        assert not [name for name in beside if name.endswith(".conf")]


def test_files_that_do_not_change_are_not_touched(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "same"
    path.write_text("same\n")
    before = path.stat()
    with staged([plan_file(str(path), lambda text: text, PURPOSE), *made(tmp_path, ["new"])], nothing) as changed:
        assert [file.path for file in changed] == [str(tmp_path / "new")]
        put_all(changed)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    ("call", "place", "failing"),
    [
        *(("link", 0, name) for name in OLD),
        *(("replace", 1, name) for name in NEW),
        ("unlink", 0, "removed"),
    ],
)
def test_one_that_cannot_be_put_has_all_of_them_back(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, call: str, place: int, failing: str
) -> None:
    real = getattr(os, call)
    calls: list[tuple[str, ...]] = []

    def refuse(*names: str, **options: t.Any) -> None:
        if names[place] == failing and not calls:
            calls.append(names)  # once only: the way back is free
            raise OSError(28, "No space left on device")
        real(*names, **options)

    with staged(made(tmp_path), nothing) as changed:
        monkeypatch.setattr(os, call, refuse)
        with pytest.raises(UnavailableError, match=rf"{failing}' cannot be written \(No space left on device\)"):
            put_all(changed)
    assert calls
    assert state(tmp_path) == OLD


def test_restore_after_everything_was_put(tmp_path: pathlib.Path) -> None:
    with staged(made(tmp_path), nothing) as changed:
        put_all(changed)
        restore_all(changed)
        restore_all(changed)
    assert state(tmp_path) == OLD


def test_file_that_is_restored_is_the_one_from_before(tmp_path: pathlib.Path) -> None:
    (change,) = made(tmp_path, ["replaced"])
    path = tmp_path / "replaced"
    path.chmod(0o640)
    os.utime(path, (1, 1))
    before = path.stat()
    with staged([change], nothing) as changed:
        put_all(changed)
        restore_all(changed)
    after = path.stat()
    assert (after.st_ino, after.st_mode, after.st_mtime) == (before.st_ino, before.st_mode, before.st_mtime)


def test_restore_leaves_the_file_that_somebody_else_made(tmp_path: pathlib.Path) -> None:
    (change,) = made(tmp_path, ["new"])
    with staged([change], nothing):
        (tmp_path / "new").write_text("somebody else's\n")
        change.restore()
    assert state(tmp_path) == {"new": "somebody else's\n"}


@pytest.mark.parametrize(("name", "text"), [("new", "theirs\n"), ("replaced", "theirs\n"), ("replaced", None)])
def test_check_finds_what_somebody_else_did(tmp_path: pathlib.Path, name: str, text: str | None) -> None:
    (change,) = made(tmp_path, [name])
    change.check()
    if text is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(text)
    with pytest.raises(UnavailableError, match=rf"{name} was changed by somebody else in the meantime"):
        change.check()


def test_left_overs_of_a_run_that_was_killed_are_not_taken_for_ours(tmp_path: pathlib.Path) -> None:
    names = ["new", "replaced", "same"]
    (tmp_path / "same").write_text("same\n")
    for name in names:
        (tmp_path / f".{name}.new").write_text("half of an ol")
        (tmp_path / f".{name}.old").write_text("stale\n")
    files = [*made(tmp_path, names[:2]), plan_file(str(tmp_path / "same"), lambda text: text, PURPOSE)]
    with staged(files, nothing) as changed:
        put_all(changed)
        restore_all(changed)
    assert state(tmp_path) == {"replaced": "old\n", "same": "same\n"}


def test_staged_file_is_not_written_through_a_link_that_lies_in_its_way(tmp_path: pathlib.Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched\n")
    (tmp_path / ".new.new").symlink_to(victim)
    with staged(made(tmp_path, ["new"]), nothing) as changed:
        put_all(changed)
    assert state(tmp_path) == {"victim": "untouched\n", "new": "new\n"}
    assert not (tmp_path / "new").is_symlink()


def test_text_is_prepared_beside_the_file_before_it_is_put(tmp_path: pathlib.Path) -> None:
    asked: list[tuple[str, str]] = []

    def prepare(beside: str, path: str) -> None:
        asked.append((pathlib.Path(beside).read_text(), path))
        os.chmod(beside, 0o600)

    files = made(tmp_path, ["new", "removed", "replaced"])
    with staged(files, prepare) as changed:
        put_all(changed)
    assert asked == [("new\n", f"{tmp_path}/new"), ("new\n", f"{tmp_path}/replaced")]
    assert [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()] == [0o600, 0o600]


def test_preparation_that_fails_leaves_nothing(tmp_path: pathlib.Path) -> None:
    def refuse(_beside: str, path: str) -> None:
        if path.endswith("replaced"):
            raise SystemExit("no such owner")

    with pytest.raises(SystemExit), staged(made(tmp_path), refuse):
        raise AssertionError("it went on")
    assert state(tmp_path) == OLD


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_new_file_is_readable_whatever_the_umask(tmp_path: pathlib.Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with staged(made(tmp_path, ["new"]), nothing) as changed:
            put_all(changed)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o644


def test_directory_is_made(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "modprobe.d" / "90.conf"
    with staged([plan_file(str(path), lambda _text: "new\n", PURPOSE)], nothing) as changed:
        put_all(changed)
    assert path.read_text() == "new\n"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755


def test_link_is_followed_and_other_bytes_are_kept(tmp_path: pathlib.Path) -> None:
    target = tmp_path / "elsewhere" / "real"
    target.parent.mkdir()
    target.write_bytes(b"# caf\xe9\r\n")
    link = tmp_path / "90.conf"
    link.symlink_to(target)
    change = plan_file(str(link), lambda text: f"{text}more\n", PURPOSE)
    assert change.path == str(target)
    with staged([change], nothing) as changed:
        put_all(changed)
    assert link.is_symlink()
    assert target.read_bytes() == b"# caf\xe9\r\nmore\n"
    assert sorted(path.name for path in target.parent.iterdir()) == ["real"]


def test_link_to_nothing_is_filled(tmp_path: pathlib.Path) -> None:
    (tmp_path / "90.conf").symlink_to(tmp_path / "later")
    with staged([plan_file(str(tmp_path / "90.conf"), lambda _text: "new\n", PURPOSE)], nothing) as changed:
        put_all(changed)
    assert (tmp_path / "90.conf").is_symlink()
    assert (tmp_path / "later").read_text() == "new\n"


@pytest.mark.parametrize(
    ("name", "words"),
    [("directory", "is not a regular file"), ("masked", "is not a regular file"), ("pipe", "is not a regular file")],
)
def test_only_regular_files_are_replaced(tmp_path: pathlib.Path, name: str, words: str) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "masked").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OptionError, match=words) as caught:
        plan_file(str(tmp_path / name), lambda text: text, PURPOSE)
    assert caught.value.message.startswith("an_option: ")


def test_room_that_is_missing_is_told_with_the_remedy(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = os.statvfs(tmp_path)
    full = os.statvfs_result((*status[:3], 0, 0, *status[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    with pytest.raises(UnavailableError) as caught:
        plan_file(str(tmp_path / "90.conf"), lambda _text: "new\n", PURPOSE)
    assert caught.value.message.startswith("an_option: ")
    assert caught.value.message.endswith(f"Make room on the file system of {tmp_path}, or do without it.")


def test_unreadable_file_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(OptionError, match=rf"an_option: '{tmp_path}' cannot be read \(it is not a regular file\)"):
        read_text(str(tmp_path), "an_option")


def test_file_that_cannot_be_restored_is_named(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = made(tmp_path, ["replaced", "removed"])

    def fail(_self: FileChange) -> None:
        raise UnavailableError("the disk is gone")

    with staged([first, second], nothing):
        monkeypatch.setattr(FileChange, "restore", fail)
        (tmp_path / ".removed.old").mkdir()
        with pytest.raises(UnavailableError, match=f"NOT restored: {tmp_path}/replaced, it has the new text"):
            put_all([first, second])
        (tmp_path / ".removed.old").rmdir()
