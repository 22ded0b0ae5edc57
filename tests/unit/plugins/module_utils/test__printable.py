# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import unicodedata

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible, visible_lines

STEERING = ("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn")
"""Unicode's categories of characters that steer, are not seen, or end a line."""

EVERY = "".join(map(chr, range(0x110000)))


@pytest.mark.slow
def test_no_character_that_steers_is_left() -> None:
    assert {unicodedata.category(character) for character in visible(EVERY)}.isdisjoint(STEERING)
    assert len(visible(EVERY).splitlines()) == 1


def test_what_is_printed_stays_as_it_is() -> None:
    assert visible("Zürich → 東京 'a' \\x1b") == "Zürich → 東京 'a' \\x1b"


@pytest.mark.parametrize(
    "code", ["\x00", "\x1b[2J", "\x7f", "\x9b31m", "\u202e", "\u2066", "\u2028", "\r", "\n", "\ud800"]
)
def test_each_is_shown_as_its_code(code: str) -> None:
    assert visible(f"a{code}b") == f"a{code.encode('unicode_escape').decode()}b"


def test_a_difference_keeps_its_lines_and_tabs() -> None:
    assert visible_lines("a\tb\x1b[2J\nc\r\n") == "a\tb\\x1b[2J\nc\\r\n"


def test_no_error_of_the_collection_steers_the_terminal_that_ansible_prints_it_on() -> None:
    name = "/etc/sysctl.d/\x1b[2J\u202e.conf"
    for error in (ConntrackError(f"{name}: is in the way."), OptionError("src", "x", f"is {name}", "Move it.")):
        assert error.message.isprintable()
        assert str(error) == error.message
        assert "sysctl.d" in error.message
