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
    NotPermittedError,
    OptionError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._files.replacement import (
    FileChange,
    Purpose,
    has_room,
    plan_file,
    put_all,
    remove,
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
    [(name, rf"{name}' is not a regular file\. Give another file") for name in ("directory", "masked", "pipe")],
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


def test_an_empty_file_takes_room_as_well(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "90.conf").write_text("old\n")
    status = os.statvfs(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result((*status[:3], 0, 0, *status[5:])))
    with pytest.raises(UnavailableError, match="No space left on device"):
        plan_file(str(tmp_path / "90.conf"), lambda _text: "", PURPOSE)
    assert plan_file(str(tmp_path / "90.conf"), lambda _text: None, PURPOSE).changed


# Of blocks: their size, and how many there are, free for root, and free for others. Of inodes: how many, and free.
ROOMS = [
    ((4096, 100, 1, 1, 50, 1), [4096], True),
    ((4096, 100, 1, 1, 50, 1), [1], True),
    ((4096, 100, 1, 1, 50, 1), [4097], False),
    ((4096, 100, 1, 1, 50, 2), [1, 1], False),
    ((4096, 100, 2, 2, 50, 2), [1, 1], True),
    ((4096, 100, 2, 2, 50, 1), [1, 1], False),
    ((4096, 100, 0, 0, 50, 1), [0], True),
    ((4096, 100, 0, 0, 50, 0), [0], False),
    # A disk that does not say.
    ((4096, 0, 0, 0, 50, 1), [4096], True),
    ((4096, 100, 1, 1, 0, 0), [4096], True),
    ((4096, 1, 0, 0, 50, 1), [1], False),
    ((4096, 100, 1, 1, 1, 0), [1], False),
]


@pytest.mark.parametrize(("disk", "sizes", "fits"), ROOMS)
@pytest.mark.parametrize("user", [0, 1000])
def test_room_on_a_disk(
    monkeypatch: pytest.MonkeyPatch, user: int, disk: tuple[int, ...], sizes: list[int], fits: bool
) -> None:
    frsize, blocks, for_root, for_others, files, free = disk
    status = os.statvfs_result((512, frsize, blocks, for_root, for_others, files, free, free, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: status)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert has_room("/anywhere", *sizes) is fits


@pytest.mark.parametrize(("user", "fits"), [(0, True), (1, False), (1000, False)])
def test_only_root_has_the_blocks_that_are_kept_for_root(
    monkeypatch: pytest.MonkeyPatch, user: int, fits: bool
) -> None:
    status = os.statvfs_result((512, 4096, 100, 1, 0, 50, 1, 1, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: status)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert has_room("/anywhere", 1) is fits


@pytest.mark.parametrize(
    ("flags", "user", "kind", "words"),
    [
        (os.ST_RDONLY, 0, UnavailableError, "is mounted read-only. Mount it with write access, "),
        (os.ST_RDONLY | os.ST_NOSUID, 1000, UnavailableError, "is mounted read-only. Mount it with write access, "),
        (os.ST_NOSUID, 0, NotPermittedError, "not even by root. Look at it with lsattr -d and ls -ldZ, "),
        (os.ST_NOSUID, 1000, NotPermittedError, "by this user. "),
    ],
)
def test_a_directory_that_takes_nothing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, flags: int, user: int, kind: type[Exception], words: str
) -> None:
    status = os.statvfs(tmp_path)
    asked: list[int] = []

    def access(_path: str, mode: int, **_options: t.Any) -> bool:
        asked.append(mode)
        monkeypatch.setattr(os, "geteuid", lambda: user)
        return False

    monkeypatch.setattr(os, "access", access)
    monkeypatch.setattr(os, "fstatvfs", lambda _handle: os.statvfs_result((*status[:8], flags, status[9])))
    # What stays as it is needs nothing.
    assert not plan_file(str(tmp_path / "90.conf"), lambda text: text, PURPOSE).changed
    assert asked == []
    with pytest.raises(kind) as caught:
        plan_file(str(tmp_path / "90.conf"), lambda _text: "new\n", PURPOSE)
    message = str(caught.value)
    assert asked == [os.W_OK | os.X_OK]
    assert message.startswith(f"an_option: '{tmp_path}/90.conf' cannot be written")
    assert words in message
    assert message.endswith("r do without it.")


def test_all_is_on_the_disk_before_a_file_is_replaced(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[int, int]] = []

    def sync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        synced.append((status.st_ino, status.st_size))

    monkeypatch.setattr(os, "fsync", sync)
    with staged(made(tmp_path, ["replaced"]), nothing) as changed:
        assert synced == [((tmp_path / ".replaced.new").stat().st_ino, len("new\n"))]
        put_all(changed)
        assert [number for number, _size in synced[1:]] == [tmp_path.stat().st_ino]


def test_a_process_that_was_killed_while_it_put_a_file_is_followed(tmp_path: pathlib.Path) -> None:
    """The old file has its second name already, and is still in its place."""
    with staged(made(tmp_path, ["replaced"]), nothing) as changed:
        os.link(tmp_path / "replaced", tmp_path / ".replaced.old")
        put_all(changed)
        assert (tmp_path / "replaced").read_text() == "new\n"
        restore_all(changed)
    assert state(tmp_path) == {"replaced": "old\n"}


def test_a_path_that_leads_through_a_file_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match=rf"^an_option: '{tmp_path}/file/90\.conf' .*\(Not a directory\)"):
        plan_file(str(tmp_path / "file" / "90.conf"), lambda _text: "new\n", PURPOSE)


def test_a_long_text_needs_more_room(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = os.statvfs_result((4096, 4096, 100, 1, 1, 50, 9, 9, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: status)
    assert plan_file(str(tmp_path / "90.conf"), lambda _text: "x" * 4096, PURPOSE).changed
    with pytest.raises(UnavailableError, match="No space left on device"):
        plan_file(str(tmp_path / "90.conf"), lambda _text: "x" * 4097, PURPOSE)


def test_a_directory_that_is_gone_is_not_made_again(tmp_path: pathlib.Path) -> None:
    change = FileChange(str(tmp_path / "gone" / "90.conf"), "old\n", "new\n", "an_option")
    for call in (change.check, change.put, change.restore):
        with pytest.raises(UnavailableError, match=r"90\.conf' cannot be written \(No such file or directory\)"):
            call()
    change.clean_up()
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_takes_the_place_of_a_file_leads_nowhere(tmp_path: pathlib.Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "replaced").write_text("old\n")
    (change,) = made(tmp_path, ["replaced"])
    (tmp_path / "replaced").unlink()
    (tmp_path / "replaced").symlink_to(elsewhere / "replaced")
    with staged([change], nothing) as changed:
        assert (tmp_path / ".replaced.new").exists()
        with pytest.raises(UnavailableError):
            put_all(changed)
        with pytest.raises(UnavailableError):
            change.check()
    assert state(elsewhere) == {"replaced": "old\n"}


@pytest.mark.parametrize("name", STARTS)
def test_a_file_is_put_once_however_often_it_is_tried(tmp_path: pathlib.Path, name: str) -> None:
    """A process that was killed came so far before."""
    with staged(made(tmp_path, [name]), nothing) as changed:
        for _time in range(3):
            put_all(changed)
            changed[0].check()
        restore_all(changed)
    assert state(tmp_path) == {key: text for key, text in OLD.items() if key == name}


def test_two_changes_of_a_file_are_put_one_after_the_other(tmp_path: pathlib.Path) -> None:
    first = FileChange(str(tmp_path / "file"), "old\n", "new\n", "an_option")
    second = FileChange(str(tmp_path / "file"), "new\n", "newer\n", "an_option", again=True)
    (tmp_path / "file").write_text("old\n")
    with staged([first, second], nothing) as changed:
        # Neither of them says that somebody else was there.
        for each in changed:
            each.check()
        put_all(changed)
        for each in changed:
            each.check()
        # The process was killed, and all is put once more.
        put_all(changed)
        assert (tmp_path / "file").read_text() == "newer\n"
        restore_all(changed)
    assert state(tmp_path) == {"file": "old\n"}


def test_what_stops_the_process_restores_the_files(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put = FileChange.put

    def stopped(self: FileChange) -> None:
        put(self)
        if self.path.endswith("removed"):
            raise KeyboardInterrupt

    with staged(made(tmp_path), nothing) as changed:
        monkeypatch.setattr(FileChange, "put", stopped)
        with pytest.raises(KeyboardInterrupt):
            put_all(changed)
    assert state(tmp_path) == OLD


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


def test_a_file_that_is_gone_is_removed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("text")
    for _time in range(2):
        remove(str(tmp_path / "file"))
        assert state(tmp_path) == {}
    with pytest.raises(NotADirectoryError):
        remove(f"{__file__}/file")
