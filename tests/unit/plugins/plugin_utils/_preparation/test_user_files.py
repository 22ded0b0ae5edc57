# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that give a user one right are those that the page on security explains."""

from __future__ import annotations

import re

from ansible_collections.netops.conntrack.plugins.plugin_utils._preparation.user_files import (
    COMMANDS,
    PATHS,
    files_for,
)
from helpers.support import CHECKOUT

SECURITY = (CHECKOUT / "docs" / "security.md").read_text(encoding="utf-8")
FILES = files_for("conntrack", "/usr/bin/python3", {name: f"/usr/bin/{name}" for name in COMMANDS})


def words_of(text: str) -> list[str]:
    """Return what a file does, word by word, without comments and where its lines end."""
    return re.sub(r"^#.*\n|\\$", "", text, flags=re.MULTILINE).split()


def test_the_programs_are_those_of_the_page() -> None:
    program, right, interpreter = (
        words_of(text) for text in re.findall(r"```(?:sh|sudoers|shell)\n(.*?)```", SECURITY, re.DOTALL)
    )
    ours = [words_of(file.content) for file in FILES]
    # Whatever the group of the user is called.
    group = ['--regid="$(/usr/bin/id', "-g", 'conntrack)"']
    at = ours[0].index(group[0])
    assert ours[0][at : at + 3] == group
    assert [*ours[0][:at], "--regid=conntrack", *ours[0][at + 3 :]] == program
    assert [word.replace("/usr/bin/sudo", "sudo") for word in ours[1]] == interpreter
    assert ours[2] == right


def test_the_right_comes_last_and_visudo_has_to_accept_it() -> None:
    assert [file.path for file in FILES] == list(PATHS)
    assert FILES[-1].path == "/etc/sudoers.d/conntrack"
    assert FILES[-1].validate == "/usr/bin/visudo -c -f %s"
    assert [file.mode for file in FILES] == ["0755", "0755", "0440"]


def test_another_content_has_another_sum() -> None:
    assert len({file.sha256 for file in FILES}) == len(FILES)
