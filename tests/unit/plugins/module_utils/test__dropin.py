# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib
import stat

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._dropin import (
    boot_values,
    merge,
    plan_dropin,
    staged,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError

PREFIX = "net.netfilter.nf_conntrack_"
MAX = f"{PREFIX}max"
ACCT = f"{PREFIX}acct"
LOOSE = f"{PREFIX}tcp_loose"

SAME = [
    f"{MAX} = 5\n",
    f"{MAX}=5\n",
    f"  {MAX}\t=   5  \n",
    f"{MAX} = 5",
    f"{MAX} = 5\r\n",
    f"-{MAX} = 5\n",
    "net/netfilter/nf_conntrack_max = 5\n",
    f"# mine\n\n; also mine\nkernel.panic = 1\n{MAX} = 5\n\n# end\n",
]

CHANGED = [
    (f"{MAX} = 4\n", f"{MAX} = 5\n"),
    (f"{MAX} =\n", f"{MAX} = 5\n"),
    (f"-{MAX}=4\n", f"-{MAX} = 5\n"),
    ("net/netfilter/nf_conntrack_max=4\n", f"{MAX} = 5\n"),
    ("net.nf_conntrack_max = 5\n", f"{MAX} = 5\n"),
    ("net.ipv4.ip_conntrack_max = 5\n", f"{MAX} = 5\n"),
    (f"{MAX} = 5\n# mine\n{MAX} = 4\n", f"# mine\n{MAX} = 5\n"),
    (f"{MAX} = 4\n# mine\n{MAX} = 5\n", f"# mine\n{MAX} = 5\n"),
    (f"#{MAX} = 4", f"#{MAX} = 4\n{MAX} = 5\n"),
    ("kernel.panic = 1\nmax = 4\n", f"kernel.panic = 1\nmax = 4\n{MAX} = 5\n"),
    (f"{ACCT} = 1\n{LOOSE} = 1\n", f"{ACCT} = 1\n{MAX} = 5\n{LOOSE} = 1\n"),
    (f"{ACCT} = 1\n\n# why\n; so\n{LOOSE} = 1\n", f"{ACCT} = 1\n\n{MAX} = 5\n# why\n; so\n{LOOSE} = 1\n"),
    (f"-{PREFIX}*\n", f"-{PREFIX}*\n{MAX} = 5\n"),
]


@pytest.mark.parametrize("text", SAME)
def test_text_that_says_so_already_is_the_same(text: str) -> None:
    assert merge(text, {MAX: 5}) == text


@pytest.mark.parametrize(("text", "new_text"), CHANGED)
def test_only_our_lines_change(text: str, new_text: str) -> None:
    assert merge(text, {MAX: 5}) == new_text
    assert merge(new_text, {MAX: 5}) == new_text


def test_new_text_is_sorted_and_says_whose_it_is() -> None:
    text = merge("", {MAX: 5, LOOSE: 0, ACCT: 1})
    *header, empty, first, second, third = text.splitlines()
    assert all(line.startswith("#") for line in header)
    assert "conntrack_settings" in header[0]
    assert [empty, first, second, third] == ["", f"{ACCT} = 1", f"{MAX} = 5", f"{LOOSE} = 0"]
    assert merge(merge("", {MAX: 5, LOOSE: 0}), {ACCT: 1}) == text


def test_nothing_wanted_is_no_change() -> None:
    assert merge(f"{MAX} = 4\n", {}) == f"{MAX} = 4\n"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        (f"{MAX} = 4\n-net/netfilter/nf_conntrack_max=5\n", {"max": 5}),
        (f"{MAX} = 4\n{MAX} = many\n", {}),
        (f"#{MAX} = 4\nkernel.panic = 1\nmax = 4\n", {}),
    ],
)
def test_boot_values(text: str, values: dict[str, int]) -> None:
    assert boot_values(text) == values


def test_staged_file_appears_at_one_stroke(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "90.conf"
    with staged(plan_dropin(str(path), {MAX: 5})) as commit:
        assert not path.exists()
        assert [file.suffix for file in tmp_path.iterdir()] == [".new"]
        commit()
    assert path.read_text().endswith(f"\n{MAX} = 5\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_without_commit_the_file_stays(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "90.conf"
    path.write_text(f"{MAX} = 4\n")
    with staged(plan_dropin(str(path), {MAX: 5})):
        pass
    assert path.read_text() == f"{MAX} = 4\n"
    assert list(tmp_path.iterdir()) == [path]


def test_link_is_followed_and_other_bytes_are_kept(tmp_path: pathlib.Path) -> None:
    target = tmp_path / "real"
    target.write_bytes(b"# caf\xe9\r\n")
    link = tmp_path / "90.conf"
    link.symlink_to(target)
    with staged(plan_dropin(str(link), {MAX: 5})) as commit:
        commit()
    assert link.is_symlink()
    assert target.read_bytes() == b"# caf\xe9\r\n" + f"{MAX} = 5\n".encode()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no-such-directory/90.conf", "needs the directory"),
        ("directory.conf", "not a regular file"),
        ("masked.conf", "not a regular file"),
        ("90-conntrack", r"\.conf"),
    ],
)
def test_path_that_cannot_be_used(tmp_path: pathlib.Path, name: str, words: str) -> None:
    (tmp_path / "directory.conf").mkdir()
    (tmp_path / "masked.conf").symlink_to("/dev/null")
    with pytest.raises(OptionError, match=words) as caught:
        plan_dropin(str(tmp_path / name), {MAX: 5})
    assert caught.value.message.startswith("sysctl_file: ")


def test_relative_path_is_refused() -> None:
    with pytest.raises(OptionError, match="full path"):
        plan_dropin("90.conf", {MAX: 5})
