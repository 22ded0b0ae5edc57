# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The picture of the wings: it is that of today's imports, and has the lines that a reader needs."""

from __future__ import annotations

import pytest
from draw_architecture import PACKAGES, PICTURE, floors_of, graph_of, needed_lines, picture, sentences

GRAPH = {"roof": {"wall", "ground"}, "wall": {"ground"}, "shed": {"ground"}, "ground": set[str]()}


def test_the_picture_is_that_of_the_imports() -> None:
    assert PICTURE.read_text(encoding="utf-8") == picture(), "Call: python tools/draw_architecture.py"


def test_every_box_has_its_sentence() -> None:
    texts = sentences()
    wings = [(package, wing) for package in PACKAGES for wing in graph_of(package)]
    assert [wing for package, wing in wings if not (texts.get(f"{package}/{wing}") or texts.get(wing))] == []


def test_a_wing_stands_above_all_that_it_imports() -> None:
    assert floors_of(GRAPH) == [["ground"], ["shed", "wall"], ["roof"]]


def test_a_line_that_follows_from_others_is_left_out() -> None:
    assert needed_lines(GRAPH) == {**GRAPH, "roof": {"wall"}}


def test_a_circle_is_named() -> None:
    with pytest.raises(ValueError, match="in a circle: roof, wall"):
        floors_of({"roof": {"wall"}, "wall": {"roof"}, "ground": set()})
