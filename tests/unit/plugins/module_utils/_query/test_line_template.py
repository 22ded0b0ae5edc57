# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines that are made of a text with gaps."""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._query.line_template import NANOSECONDS, LineTemplate
from helpers.encoded_messages import blocks_of

UDP = {"protocol": 17, "source_port": 7, "destination_port": 53}


def test_gaps_are_filled_row_by_row() -> None:
    [block] = blocks_of({**UDP, "mark": 3}, {**UDP, "source_port": 8, "mark": 4})
    template = LineTemplate(block.layout, Context({}, 0))
    template.add_text("a")
    template.add_address("source", " from %s")
    template.add_number("source_port", ":%d")
    template.add_value("mark", " mark %d")
    assert list(template.lines(block)) == ["a from 198.18.0.1:7 mark 3", "a from 198.18.0.1:8 mark 4"]


def test_what_was_not_sent_is_left_out_but_for_the_numbers_of_a_tuple() -> None:
    [block] = blocks_of({"protocol": 17})
    template = LineTemplate(block.layout, Context({}, 0))
    template.add_address("source", "%s")
    template.add_number("source_port", ":%d")
    template.add_value("mark", " mark %d")
    template.add_age(" age %d")
    assert list(template.lines(block)) == ["198.18.0.1:0"]


def test_an_age_is_of_two_whole_seconds() -> None:
    [block] = blocks_of({**UDP, "start": 10 * NANOSECONDS - 1})
    template = LineTemplate(block.layout, Context({}, 10 * NANOSECONDS))
    template.add_age("%d")
    assert list(template.lines(block)) == ["1"]
