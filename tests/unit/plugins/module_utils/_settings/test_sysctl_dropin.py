# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._settings.sysctl_dropin import (
    boot_values,
    lines_of,
    merge,
    plan_dropin,
    restore,
)

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


LOW, HIGH = f"{PREFIX}frag6_low_thresh", f"{PREFIX}frag6_high_thresh"


@pytest.mark.parametrize(
    ("low", "high", "low_is_first"),
    [(1 << 20, 2 << 20, True), (4 << 20, 5 << 20, True), ((4 << 20) + 1, 5 << 20, False), (8 << 20, 16 << 20, False)],
)
@pytest.mark.parametrize("text", ["", f"{LOW} = 5\n{MAX} = 5\n{HIGH} = 6\n", f"# x\n{HIGH} = 6\n{LOW} = 5\n"])
def test_thresholds_stand_in_the_order_that_a_kernel_with_its_defaults_takes(
    text: str, low: int, high: int, low_is_first: bool
) -> None:
    new_text = merge(text, {LOW: low, HIGH: high})
    assert boot_values(new_text).items() >= {"frag6_low_thresh": low, "frag6_high_thresh": high}.items()
    assert (new_text.index(LOW) < new_text.index(HIGH)) == low_is_first
    assert merge(new_text, {LOW: low, HIGH: high}) == new_text


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


USERS = [
    "",
    "# mine\n",
    f"{MAX} = 4\n",
    f"# mine\n-net/netfilter/nf_conntrack_max=4\n\n{ACCT}=1\n; end\n",
    f"kernel.panic = 1\r\n{MAX} = 4\r\n",
    "net.ipv4.ip_conntrack_max = 4\n",
    f"{MAX} = 5\n{LOOSE} = 0\n",
]


@pytest.mark.parametrize("text", USERS)
def test_what_was_set_is_taken_out_again_and_the_lines_from_before_are_back(text: str) -> None:
    lines = {"max": lines_of(text, MAX), "tcp_loose": lines_of(text, LOOSE)}
    assert restore(merge(text, {MAX: 5, LOOSE: 0}), lines) == text


def test_only_the_settings_that_are_named_are_taken_out() -> None:
    text = merge(f"# mine\n{MAX} = 4\n", {MAX: 5, LOOSE: 0})
    assert restore(text, {"tcp_loose": None}) == f"# mine\n{MAX} = 5\n"
    assert restore(text, {"max": f"{MAX} = 4"}) == f"# mine\n{MAX} = 4\n{LOOSE} = 0\n"
    assert restore(text, {}) == text


def test_lines_that_were_added_to_our_file_stay_with_its_head() -> None:
    text = merge("", {MAX: 5}) + "kernel.panic = 1\n"
    assert restore(text, {"max": None}) == text.replace(f"{MAX} = 5\n", "")


def test_line_that_is_gone_from_the_file_is_not_invented() -> None:
    assert restore("# mine\n", {"max": f"{MAX} = 4"}) == "# mine\n"


def test_line_comes_back_once_where_somebody_doubled_it() -> None:
    text = f"{MAX} = 5\n# mine\nnet.nf_conntrack_max = 6\n"
    assert restore(text, {"max": f"{MAX}=4"}) == f"# mine\n{MAX}=4\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", None),
        (f"#{MAX} = 4\n{ACCT} = 1\n", None),
        (f"{MAX} = 4\n", f"{MAX} = 4"),
        (f"{MAX} = 4\nnet/ipv4/ip_conntrack_max=5 \n", f"{MAX} = 4\nnet/ipv4/ip_conntrack_max=5 "),
        (f"-{MAX} = many\n", f"-{MAX} = many"),
    ],
)
def test_lines_of_a_setting_are_given_as_they_are_written(text: str, line: str | None) -> None:
    assert lines_of(text, MAX) == line


def never(_text: str | None) -> str:
    raise AssertionError("a text was asked for")


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
        plan_dropin(str(tmp_path / name), never)
    assert caught.value.message.startswith("sysctl_file: ")


def test_relative_path_is_refused() -> None:
    with pytest.raises(OptionError, match="full path"):
        plan_dropin("90.conf", never)


def test_text_is_made_of_the_one_that_is_there(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "90.conf"
    path.write_text(f"{MAX} = 4\n")
    change = plan_dropin(str(path), lambda text: merge(text or "", {MAX: 5}))
    assert (change.path, change.text, change.new_text) == (str(path), f"{MAX} = 4\n", f"{MAX} = 5\n")
    assert path.read_text() == f"{MAX} = 4\n"
