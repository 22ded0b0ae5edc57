# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Regular files are read up to a bound, and nothing else is even opened."""

from __future__ import annotations

import os
import pathlib
import socket
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._files.regular_files import (
    Directory,
    read_regular,
    read_start,
)


def make_fifo(path: pathlib.Path) -> None:
    os.mkfifo(path)


def make_socket(path: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def make_link_to_a_device(path: pathlib.Path) -> None:
    path.symlink_to("/dev/zero")


KINDS: dict[str, t.Callable[[pathlib.Path], None]] = {
    "FIFO": make_fifo,
    "socket": make_socket,
    "directory": pathlib.Path.mkdir,
    "link to a device": make_link_to_a_device,
}


@pytest.fixture(params=["with /proc", "without /proc"])
def proc(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read with /proc, and as in the directory of an image, where nothing is mounted."""
    if request.param == "without /proc":
        real: t.Callable[..., int] = os.open

        def refuse(path: str, *flags: int, **options: int) -> int:
            if str(path).startswith("/proc/self/"):
                raise FileNotFoundError(path)
            return real(path, *flags, **options)

        monkeypatch.setattr(os, "open", refuse)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("proc")
def test_what_is_no_regular_file_is_not_read(tmp_path: pathlib.Path, kind: str) -> None:
    KINDS[kind](tmp_path / "it")
    with pytest.raises(OSError, match="it is not a regular file"):
        read_regular(str(tmp_path / "it"))


@pytest.mark.usefixtures("proc")
def test_file_is_read_whole_or_not_at_all(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    text = bytes(range(256)) * 1000
    path.write_bytes(text)
    assert read_regular(str(path)) == text
    assert read_regular(str(path), len(text)) == text
    with pytest.raises(OSError, match=f"it is larger than {len(text) - 1} bytes"):
        read_regular(str(path), len(text) - 1)
    assert read_start(str(path), 100_000) == text[:100_000]


def test_endless_file_is_read_up_to_the_bound(tmp_path: pathlib.Path) -> None:
    with (tmp_path / "endless").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="it is larger than 1048576 bytes"):
        read_regular(str(tmp_path / "endless"))


def test_no_descriptor_is_left(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("text")
    make_fifo(tmp_path / "fifo")
    before = os.listdir("/proc/self/fd")
    read_regular(str(tmp_path / "file"))
    for name in ("fifo", "missing"):
        with pytest.raises(OSError):  # noqa: PT011  (which error it is makes no difference here)
            read_regular(str(tmp_path / name))
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.usefixtures("proc")
def test_directory_follows_no_link(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to("file")
    directory = Directory(os.open(tmp_path, os.O_PATH | os.O_DIRECTORY), str(tmp_path))
    try:
        assert directory.read("file") == b"text"
        assert directory.read("missing") is None
        with pytest.raises(OSError, match="it is not a regular file"):
            directory.read("link")
        with pytest.raises(FileExistsError):
            directory.create("link")
        directory.replace("file", "link")
        assert directory.read("link") == b"text"
        assert os.listdir(tmp_path) == ["link"]
    finally:
        directory.close()
