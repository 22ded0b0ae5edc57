# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which line has the boot load a file of nft(8). Whether nft sees it alike is in kernel/test_timeout_policy_boot."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import Tree
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.nft_loading import Loading, loading_of

FILE = "/etc/nftables.d/sip.nft"
CONF = "/etc/nftables.conf"


def write(root: pathlib.Path, path: str, text: str) -> None:
    place = root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")


def enable(root: pathlib.Path, unit: str, command: str) -> None:
    write(root, f"/usr/lib/systemd/system/{unit}", f"[Service]\nExecStart={command}\n")
    write(root, f"/etc/systemd/system/multi-user.target.wants/{unit}", "")


def loading(root: pathlib.Path, table: str = "inet filter") -> Loading:
    return loading_of(FILE, table, Tree(str(root), {FILE: "table inet filter { }\n"}))


def place_of(root: pathlib.Path, text: str, table: str = "inet filter") -> tuple[str, str]:
    """Return where the text of the only main file has the file loaded, and where it is undone."""
    enable(root, "nftables.service", f"/usr/sbin/nft -f {CONF}")
    write(root, CONF, text)
    found = loading(root, table)
    assert found.mains == (CONF,)
    return str(found.place or ""), str(found.undone or "")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('include "/etc/nftables.d/*.nft"', 1),
        ('# include "/etc/nftables.d/*.nft"', None),
        ('\n  include  "/etc/nftables.d/sip.nft"', 2),
        ('include "nftables.d/*"', 1),
        ('include "/etc/nftables.d"', 1),
        ('include "/etc/nftables.d/*.conf"', None),
        ('include "/etc/nftables.d/a*.nft"\ninclude "/etc/nftables.d/s*.nft"', 2),
        ("", None),
    ],
)
def test_which_include_finds_it(tmp_path: pathlib.Path, text: str, line: int | None) -> None:
    assert place_of(tmp_path, text) == (f"{CONF}:{line}" if line else "", "")


def test_include_in_an_included_file(tmp_path: pathlib.Path) -> None:
    write(tmp_path, "/etc/more/a.nft", '\ninclude "/etc/nftables.d/*.nft"\ninclude "/etc/nftables.conf"\n')
    assert place_of(tmp_path, 'table x {\n  include "/etc/more/*.nft"\n}\n')[0] == "/etc/more/a.nft:2"
    found = loading(tmp_path).place
    assert found is not None
    assert found.is_inside


@pytest.mark.parametrize(
    ("after", "table", "is_undone"),
    [
        ("flush ruleset", "inet filter", True),
        ("add table ip x; flush ruleset", "inet filter", True),
        ("flush ruleset ip", "inet filter", False),
        ("flush ruleset ip", "ip filter", True),
        ("delete table inet filter", "inet filter", True),
        ("destroy table inet filter # again", "inet filter", True),
        ("delete table filter", "ip filter", True),
        ("delete table filter", "inet filter", False),
        ("delete table inet filter2", "inet filter", False),
        ("flush table inet filter", "inet filter", False),
        ("# flush ruleset", "inet filter", False),
    ],
)
def test_what_removes_it_again(tmp_path: pathlib.Path, after: str, table: str, is_undone: bool) -> None:
    text = f'flush ruleset\ninclude "/etc/nftables.d/*.nft"\n{after}\n'
    assert place_of(tmp_path, text, table) == (f"{CONF}:2", f"{CONF}:3" if is_undone else "")
    # It is loaded again behind that.
    assert place_of(tmp_path, f'{text}include "{FILE}"\n', table) == (f"{CONF}:4", "")


def test_other_unit_may_remove_it_later(tmp_path: pathlib.Path) -> None:
    write(tmp_path, CONF, 'include "/etc/nftables.d/*.nft"\n')
    write(tmp_path, "/etc/other.nft", "\nflush ruleset\n")
    enable(tmp_path, "nftables.service", f"/usr/sbin/nft -f {CONF}")
    assert loading(tmp_path).undone is None
    enable(tmp_path, "other.service", "-/usr/sbin/nft -of /etc/other.nft")
    found = loading(tmp_path)
    assert (set(found.mains), str(found.place), str(found.undone)) == (
        {CONF, "/etc/other.nft"},
        f"{CONF}:1",
        "/etc/other.nft:2",
    )


@pytest.mark.parametrize(
    "command", ["/usr/sbin/nft list ruleset", "/bin/echo nft -f /etc/nftables.conf", "/usr/sbin/nft -f 'a", ""]
)
def test_commands_that_load_nothing(tmp_path: pathlib.Path, command: str) -> None:
    write(tmp_path, CONF, 'include "/etc/nftables.d/*.nft"\n')
    enable(tmp_path, "nftables.service", command)
    assert loading(tmp_path) == Loading((), None, None)


def test_file_that_a_unit_loads_itself(tmp_path: pathlib.Path) -> None:
    enable(tmp_path, "sip.service", f"/usr/sbin/nft --file {FILE}")
    assert str(loading(tmp_path).place) == f"{FILE}:1"
