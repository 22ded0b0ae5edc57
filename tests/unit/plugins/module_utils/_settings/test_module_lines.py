# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One line of ours in a file of others: set, changed and taken out, while all their lines stay."""

from __future__ import annotations

import re

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._settings.module_lines import OurLine

HEAD = "# ours"
LINE = OurLine(re.compile(r"options nf_conntrack .*"), HEAD)
OURS, OTHER = "options nf_conntrack hashsize=5", "options nf_conntrack hashsize=9"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, f"{HEAD}\n{OURS}\n"),
        ("", f"\n{OURS}\n"),
        ("options snd x=1\n", f"options snd x=1\n{OURS}\n"),
        ("options snd x=1", f"options snd x=1\n{OURS}\n"),
        (f"{OTHER}\noptions snd x=1\n", f"{OURS}\noptions snd x=1\n"),
        # Of several such lines the last one counts, and ours takes its place.
        (f"{OTHER}\noptions snd x=1\n{OTHER}\n# end\n", f"options snd x=1\n{OURS}\n# end\n"),
    ],
)
def test_it_is_set_and_taken_out_again(before: str | None, after: str) -> None:
    edit = LINE.set(before, before, OURS)
    assert edit.new_text == after
    assert LINE.take_out(edit.new_text, before).new_text == before


def test_a_second_time_changes_nothing() -> None:
    once = LINE.set("options snd x=1\n", "options snd x=1\n", OURS).new_text
    assert LINE.set(once, "options snd x=1\n", OURS).new_text == once


def test_what_others_added_since_stays_when_it_is_taken_out() -> None:
    ours = LINE.set(f"{OTHER}\n", f"{OTHER}\n", OURS).new_text
    assert LINE.take_out(f"{ours}options snd x=1\n", f"{OTHER}\n").new_text == f"{OTHER}\noptions snd x=1\n"


def test_a_file_that_we_made_goes_and_one_that_others_filled_stays() -> None:
    ours = LINE.set(None, None, OURS).new_text
    assert LINE.take_out(ours, None).new_text is None
    assert LINE.take_out(f"{ours}options snd x=1\n", None).new_text == f"{HEAD}\noptions snd x=1\n"
