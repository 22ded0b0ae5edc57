# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup by itself: when its file is whole, when it stays, and what is said of it."""

from __future__ import annotations

import errno
import fcntl
import os
import pathlib
import resource
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes import backup as backup_module
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.backup import Backup, backing_up
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.backup_directory import BackupPlan
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._interrupt import Interrupted
from helpers.encoded_messages import Fields, blocks_of

CONTEXT = Context({}, 1_700_000_000 * 10**9)
FIRST = "# netops.conntrack backup 1 at=2023-11-14T22:13:20Z seconds=1700000000 boot="


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "backups"


def udp(*numbers: int) -> list[Fields]:
    return [{"protocol": 17, "status": 0, "remaining": 30, "source": f"10.0.0.{number}"} for number in numbers]


def opened(directory: pathlib.Path, keep: int | None = None, *, dry_run: bool = False) -> t.Any:
    return backing_up(BackupPlan(str(directory), keep), CONTEXT, dry_run)


def write(backup: Backup, *entries: Fields) -> None:
    """Write a backup of these entries to its end."""
    backup.restart()
    for block in blocks_of(*entries) if entries else []:
        backup.write(block)
    backup.complete()


def files(directory: pathlib.Path) -> list[pathlib.Path]:
    return sorted(directory.iterdir())


def lines_of(directory: pathlib.Path) -> list[str]:
    """Return the lines of the one file."""
    [path] = files(directory)
    return path.read_text().splitlines()


def test_without_a_plan_there_is_none() -> None:
    with backing_up(None, CONTEXT, dry_run=False) as backup:
        assert backup is None


def test_a_file_that_is_needed_stays(directory: pathlib.Path) -> None:
    with opened(directory) as backup:
        write(backup, *udp(1, 2))
        assert backup.path is None
        backup.is_needed = True
        [path] = files(directory)
        assert backup.path == str(path)
        with path.open() as again, pytest.raises(BlockingIOError):
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    first, *entries, last = lines_of(directory)
    assert first.startswith(FIRST)
    assert [line.partition(" -d ")[0] for line in entries] == [
        "-A -t 30 -u UNSET -s 10.0.0.1",
        "-A -t 30 -u UNSET -s 10.0.0.2",
    ]
    assert last == "# complete 2"
    assert path.read_bytes().endswith(b"\n# complete 2\n")


def test_one_that_is_not_needed_goes(directory: pathlib.Path) -> None:
    with opened(directory) as backup:
        write(backup, *udp(1))
        assert len(files(directory)) == 1
    assert files(directory) == []


def test_a_dry_run_makes_none(directory: pathlib.Path) -> None:
    directory.mkdir()
    with opened(directory, dry_run=True) as backup:
        write(backup, *udp(1))
        backup.is_needed = True
        assert backup.path is None
        assert backup.remove_old() == []
        assert files(directory) == []


def test_a_dump_that_starts_again_is_written_once(directory: pathlib.Path) -> None:
    with opened(directory) as backup:
        for several in (udp(1, 2, 3), udp(4, 5), udp(*range(5))):
            backup.restart()
            for block in blocks_of(*several):
                backup.write(block)
        backup.complete()
        backup.is_needed = True
    lines = lines_of(directory)
    assert lines[-1] == "# complete 5"
    assert len(lines) == 7


def test_all_is_on_the_disk_before_it_counts_as_complete(
    directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, int]] = []

    def sync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        synced.append((status.st_ino, status.st_size))

    monkeypatch.setattr(os, "fsync", sync)
    with opened(directory) as backup:
        write(backup, *udp(1, 2))
        [path] = files(directory)
        assert synced[0] == (path.stat().st_ino, path.stat().st_size)
        assert path.read_text().endswith("\n# complete 2\n")
        assert [number for number, _size in synced[1:]] == [directory.stat().st_ino]


def test_a_disk_that_does_not_take_the_last_bytes_is_told(
    directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    words = r"^backup_dir: .* \(No space left on device\), so nothing was deleted.*with room\. It needs \d{3} bytes"
    with pytest.raises(ConntrackError, match=words) as caught, opened(directory) as backup:
        write(backup, *udp(1))
    assert caught.value.result["backup_file"] is None
    assert "The backup is" not in caught.value.message
    assert files(directory) == []


def test_a_disk_that_takes_no_more_in_between_is_told(directory: pathlib.Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(ConntrackError, match=r"\(File too large\), so nothing was deleted"):  # noqa: SIM117
            with opened(directory) as backup:
                write(backup, *udp(*range(250)))
        assert files(directory) == []
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_dry_run_asks_for_as_much_room_as_the_file_takes(
    directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []

    def has_room(path: str, *sizes: int) -> bool:
        asked.append((path, *sizes))
        return True

    monkeypatch.setattr(backup_module, "has_room", has_room)
    with opened(directory) as backup:
        write(backup, *udp(1, 2, 3))
        assert asked == []
        [size] = [path.stat().st_size for path in files(directory)]
    with opened(directory, dry_run=True) as backup:
        backup.restart()
        write(backup, *udp(1, 2, 3))
    assert asked == [(str(directory), size)]
    monkeypatch.setattr(backup_module, "has_room", lambda *_sizes: False)
    with pytest.raises(ConntrackError, match=rf"\(No space left on device\).* It needs {size} bytes or more\."):  # noqa: SIM117
        with opened(directory, dry_run=True) as backup:
            write(backup, *udp(1, 2, 3))


def advice_of(
    directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch, part: int, error: OSError | None = None
) -> list[tuple[int, int]]:
    """Return from where to where the kernel is advised to write a backup that is written again."""
    advised: list[tuple[int, int]] = []

    def noting(descriptor: int, start: int, length: int, advice: int) -> None:
        advised.append((start, start + length))
        assert os.fstat(descriptor).st_size == start + length
        assert advice == os.POSIX_FADV_DONTNEED
        if error:
            raise error

    monkeypatch.setattr(os, "posix_fadvise", noting)
    monkeypatch.setattr(backup_module, "_PART", part)
    with opened(directory) as backup:
        for times in (2, 10):
            advised.clear()
            backup.restart()
            for block in blocks_of(*udp(*range(250))) * times:
                backup.write(block)
        backup.complete()
        backup.is_needed = True
    assert lines_of(directory)[-1] == "# complete 2500"
    return advised


@pytest.mark.parametrize("error", [None, OSError(errno.ESPIPE, "no disk")])
def test_the_disk_is_written_to_while_the_table_is_read(
    directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch, error: OSError | None
) -> None:
    """A disk that knows no such advice takes the backup all the same."""
    starts, ends = zip(*advice_of(directory, monkeypatch, 30_000, error), strict=True)
    assert len(starts) > 2
    assert starts == (0, *ends[:-1])
    assert all(end - start >= 30_000 for start, end in zip(starts, ends, strict=True))


def test_a_part_as_large_as_that_is_written(directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len((FIRST + "x").encode())
    monkeypatch.setattr(backup_module, "first_line", lambda _context: "#" * (size - 1))
    [first, *_others] = advice_of(directory, monkeypatch, size)
    assert first == (0, size)


def fail(directory: pathlib.Path, error: BaseException, *, is_needed: bool) -> None:
    """Raise the error while a backup is there, after the first delete if it is needed."""
    with opened(directory) as backup:
        backup.is_needed = is_needed
        raise error


@pytest.mark.parametrize("is_needed", [True, False])
def test_an_error_names_the_file_that_stays(directory: pathlib.Path, is_needed: bool) -> None:
    with pytest.raises(ConntrackError) as caught:
        fail(directory, ConntrackError("No answer."), is_needed=is_needed)
    paths = [str(path) for path in files(directory)]
    assert len(paths) == is_needed
    assert caught.value.message == "".join(["No answer.", *(f" The backup is {path}." for path in paths)])
    assert caught.value.result["backup_file"] == (paths[0] if is_needed else None)


@pytest.mark.parametrize("is_needed", [True, False])
def test_a_signal_names_the_file_that_stays(directory: pathlib.Path, is_needed: bool) -> None:
    interrupted = Interrupted("SIGTERM")
    interrupted.account, interrupted.result = "2 were deleted.", {"changed": True}
    with pytest.raises(Interrupted) as caught:
        fail(directory, interrupted, is_needed=is_needed)
    paths = [str(path) for path in files(directory)]
    assert len(paths) == is_needed
    assert caught.value.account == "".join(["2 were deleted.", *(f" The backup is {path}." for path in paths)])
    assert caught.value.result == {"changed": True, "backup_file": paths[0] if is_needed else None}


def test_a_file_that_somebody_removed_is_no_error(directory: pathlib.Path) -> None:
    with opened(directory) as backup:
        write(backup, *udp(1))
        files(directory)[0].unlink()
        directory.rmdir()


@pytest.mark.parametrize(("is_needed", "stay"), [(True, 1), (False, 2)])
def test_old_ones_go_if_this_one_stays(directory: pathlib.Path, is_needed: bool, stay: int) -> None:
    for _number in range(2):
        with opened(directory) as backup:
            write(backup, *udp(1))
            backup.is_needed = True
    with opened(directory, keep=1) as backup:
        write(backup, *udp(1))
        backup.is_needed = is_needed
        assert backup.remove_old() == []
    assert len(files(directory)) == stay


def test_what_could_not_be_removed_is_told(directory: pathlib.Path) -> None:
    pipe = directory / "20200101T000000.000000Z-00000000.save"
    directory.mkdir()
    os.mkfifo(pipe)
    with opened(directory, keep=1) as backup:
        write(backup, *udp(1))
        backup.is_needed = True
        assert backup.remove_old() == [f"backup_keep: '{pipe}' could not be removed (it is not a regular file)."]
