# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths lead where they lead for the kernel, or are refused; what other users do to them is in tests/kernel."""

from __future__ import annotations

import errno
import os
import pathlib
import struct
import tempfile
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._files.paths import ForeignPathError, place_of
from helpers.directories import making_twice

OTHER = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    """Directories and links of all kinds, which are ours."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "file").write_text("text")
    (tmp_path / "absolute").symlink_to(tmp_path / "a")
    (tmp_path / "relative").symlink_to("a/b")
    (tmp_path / "up").symlink_to("a/b/../../absolute/./file")
    (tmp_path / "dangling").symlink_to("a/later")
    (tmp_path / "a" / "b" / "chain").symlink_to("../../up")
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


@pytest.mark.parametrize(
    "path",
    [
        "a/file",
        "absolute/file",
        "relative/../file",
        "up",
        "dangling",
        "relative/chain",
        "absolute/b/chain",
        "./a//b/./none",
        "none/of/them",
        "a/b",
        "relative/",
    ],
)
@pytest.mark.parametrize("for_new_file", [False, True])
def test_path_leads_where_the_kernel_says(tree: pathlib.Path, path: str, for_new_file: bool) -> None:
    whole = f"{tree}/{path}"
    before = os.listdir("/proc/self/fd")
    with place_of(whole, "an_option", for_new_file=for_new_file) as place:
        assert place.path == os.path.realpath(whole)
        assert (place.status() is not None) is os.path.exists(whole)
        if os.path.isfile(whole):
            assert place.read() == b"text"
    assert os.listdir("/proc/self/fd") == before


def test_missing_directories_are_named_or_made(tree: pathlib.Path) -> None:
    with place_of(f"{tree}/relative/c/d/file", "an_option") as place:
        assert (place.directory.path, place.missing, place.name) == (f"{tree}/a/b", ("c", "d"), "file")
        assert place.read() is None
    with place_of(f"{tree}/relative/c/d/file", "an_option", make=True) as place:
        assert (place.directory.path, place.missing, place.name) == (f"{tree}/a/b/c/d", (), "file")
    assert (tree / "a" / "b" / "c" / "d").stat().st_mode & 0o777 == 0o755


def test_directories_that_another_process_makes_meanwhile(tree: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "mkdir", making_twice(os.mkdir))
    with place_of(f"{tree}/relative/c/d/file", "an_option", make=True) as place:
        assert (place.directory.path, place.missing, place.name) == (f"{tree}/a/b/c/d", (), "file")


def test_a_link_that_another_process_makes_meanwhile_is_not_followed(
    tree: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mkdir(name: str, _mode: int, *, dir_fd: int) -> None:
        os.symlink(tree / "a", name, dir_fd=dir_fd)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(NotADirectoryError), place_of(f"{tree}/c/file", "an_option", make=True):
        pytest.fail("it was followed")


def test_last_link_can_be_left_alone(tree: pathlib.Path) -> None:
    with place_of(f"{tree}/absolute/b/chain", "an_option", follow=False) as place:
        assert place.path == f"{tree}/a/b/chain"
        with pytest.raises(OSError, match="it is not a regular file"):
            place.read()


@pytest.mark.parametrize(("path", "number"), [("loop", errno.ELOOP), ("a/file/x", errno.ENOTDIR)])
def test_path_that_cannot_be_walked(tree: pathlib.Path, path: str, number: int) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError) as caught, place_of(f"{tree}/{path}", "an_option"):  # noqa: PT011  (see below)
        raise AssertionError("it was walked")
    assert caught.value.errno == number
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("path", ["/a\0b", "/\ud800"])
def test_what_is_no_path(path: str) -> None:
    with (
        pytest.raises(OptionError, match=r"an_option: .* has a character that no path can have"),
        place_of(path, "an_option"),
    ):
        raise AssertionError("it was walked")


def test_relative_path_begins_at_the_current_directory(tree: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    with place_of("relative/file", "an_option") as place:
        assert place.path == f"{tree}/a/b/file"


def refused(path: pathlib.Path, *, for_new_file: bool = False) -> str:
    """Return what is wrong with a path; "" if nothing is."""
    before = os.listdir("/proc/self/fd")
    try:
        with place_of(str(path), "an_option", for_new_file=for_new_file):
            return ""
    except ForeignPathError as error:
        return (
            error.problem if error.message.startswith(f"an_option: {str(path)!r} {error.problem}. ") else "no message"
        )
    finally:
        assert os.listdir("/proc/self/fd") == before


def make_tree_of_other(tree: pathlib.Path) -> None:
    os.chown(tree / "a", OTHER, OTHER)


def link_of_other(tree: pathlib.Path) -> None:
    os.lchown(tree / "up", OTHER, OTHER)


def all_may_write(tree: pathlib.Path) -> None:
    tree.chmod(0o777)


def all_may_write_with_the_sticky_bit(tree: pathlib.Path) -> None:
    tree.chmod(0o1777)


def another_group_may_write(tree: pathlib.Path) -> None:
    os.chown(tree, -1, OTHER)
    tree.chmod(0o775)


def group_root_may_write(tree: pathlib.Path) -> None:
    tree.chmod(0o775)


def a_user_may_write_by_an_access_list(tree: pathlib.Path) -> None:
    # acl(5): version 2, then tag, rights and user of the owner, a user, the group, the mask and the others.
    entries = [(1, 7, -1), (2, 7, OTHER), (4, 5, -1), (16, 7, -1), (32, 5, -1)]
    value = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(tree, "system.posix_acl_access", value)
    except OSError:
        pytest.skip("this file system has no access lists")


RULES: list[tuple[t.Callable[[pathlib.Path], None], str, str, str]] = [
    (make_tree_of_other, "a/file", "leads through {tree}/a, which belongs to", ""),
    (make_tree_of_other, "a/b/x", "leads through {tree}/a, which", "leads through {tree}/a/b, which belongs to"),
    (make_tree_of_other, "a/../x", "leads through {tree}/a, which", "leads through {tree}, which belongs to"),
    (link_of_other, "up", "the symbolic link {tree}/up, which belongs to", "the symbolic link {tree}/up, which"),
    (all_may_write, "x", "lies in {tree}, to which everybody may write", ""),
    (all_may_write, "a/file", "leads through {tree}, to which everybody", "leads through {tree}, to which everybody"),
    (all_may_write, "up", "{tree}/up, where everybody may put one", "{tree}/up, where everybody may put one"),
    (all_may_write_with_the_sticky_bit, "x", "lies in {tree}, to which everybody may write", ""),
    (all_may_write_with_the_sticky_bit, "a/file", "", ""),
    (all_may_write_with_the_sticky_bit, "up", "{tree}/up, where everybody", "{tree}/up, where everybody"),
    (another_group_may_write, "x", "lies in {tree}, to which the group ", ""),
    (another_group_may_write, "a/file", "leads through {tree}, to which the group", "{tree}, to which the group"),
    (group_root_may_write, "x", "", ""),
    (group_root_may_write, "up", "", ""),
    (a_user_may_write_by_an_access_list, "x", "lies in {tree}, to which the group root may write", ""),
]
"""What is done, the path, and what is wrong with it: when it is read, and when only a new file is made there."""


@as_root
@pytest.mark.parametrize(("change", "path", "read", "made"), RULES)
def test_who_else_decides_what_is_there(
    tree: pathlib.Path, change: t.Callable[[pathlib.Path], None], path: str, read: str, made: str
) -> None:
    assert refused(tree / path) == refused(tree / path, for_new_file=True) == ""
    change(tree)
    for words, for_new_file in ((read, False), (made, True)):
        problem = refused(tree / path, for_new_file=for_new_file)
        assert words.format(tree=tree) in problem
        assert bool(words) is bool(problem)


@as_root
def test_running_user_is_trusted_as_root_is() -> None:
    # Nobody but root comes to the directories of pytest.
    with tempfile.TemporaryDirectory() as directory:
        link, file = pathlib.Path(directory, "link"), pathlib.Path(directory, "file")
        file.write_text("text")
        link.symlink_to("file")
        for path in (directory, link, file):
            os.lchown(path, OTHER, OTHER)
        assert "which belongs to" in refused(link)
        os.seteuid(OTHER)
        try:
            assert refused(link) == ""
            with place_of(str(link), "an_option") as place:
                assert place.read() == b"text"
        finally:
            os.seteuid(0)


def test_link_of_a_process_is_not_followed() -> None:
    assert "/proc/" in refused(pathlib.Path("/proc/self/exe"))
    assert refused(pathlib.Path("/proc/self/comm")) == ""
