# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible import constants
from ansible_collections.netops.conntrack.plugins.plugin_utils._terminal import is_for_people, show


@pytest.mark.parametrize(
    ("callback", "people"),
    [("default", True), ("ansible.builtin.minimal", True), ("json", False), ("ansible.posix.jsonl", False)],
)
def test_who_reads_the_output(monkeypatch: pytest.MonkeyPatch, callback: str, people: bool) -> None:
    monkeypatch.setattr(constants, "DEFAULT_STDOUT_CALLBACK", callback)
    assert is_for_people() is people


def test_lines_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    show(['a "quoted" line', "router1  7"])
    assert capsys.readouterr().out == '\na "quoted" line\nrouter1  7\n'
