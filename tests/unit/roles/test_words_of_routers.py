# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a router says reaches the report as it is: it is no template, and no list or number either."""

from __future__ import annotations

import pytest
from helpers.json_routers import Fleet

WORDS = ["{{ lookup('ansible.builtin.pipe', 'touch TOUCHED') }}", "[1, 2]", "True", "7"]


@pytest.mark.parametrize("words", WORDS)
def test_words_of_a_router_are_only_words(fleet: Fleet, words: str) -> None:
    touched = fleet.directory / "touched"
    words = words.replace("TOUCHED", str(touched))
    fleet.add("broken", no_facts=words)
    fleet.add("talking", sample=[{"helper": words, "packets": 1, "age": None}])

    run = fleet.play("site", "-e", "batch=100%")

    assert run.document["hosts"]["broken"]["failure"]["message"] == words
    assert run.document["hosts"]["talking"]["prune"]["sample"] == [{"helper": words, "packets": 1, "age": None}]
    assert not touched.exists()
