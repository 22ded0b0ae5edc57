# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import math

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.style import (
    DARK,
    LIGHT,
    SIGNS,
    SLOTS,
    style,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import VERDICTS

SLOT_NAMES = [f"slot{number}" for number in range(SLOTS)]
TEXTS = ["text", "soft", "link", *VERDICTS]
MARKS = ["was", "now", "near", "full", *SLOT_NAMES]

# How people see linear RGB who lack one kind of cone: Machado, Oliveira and Fernandes (2009), severity 1.
SIGHTS = {
    "all cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "no green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "no blue": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}


def linear_rgb(colour: str) -> list[float]:
    """Return red, green and blue of ``#rrggbb`` as amounts of light (IEC 61966-2-1)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2."""
    light = [
        sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear_rgb(colour), strict=True))
        for colour in (one, other)
    ]
    return (max(light) + 0.05) / (min(light) + 0.05)


def lab(colour: str, sight: str) -> tuple[float, float, float]:
    """Return the CIE L*a*b* (D65) of a colour as it is seen."""
    light = linear_rgb(colour)
    red, green, blue = (
        min(max(sum(weight * part for weight, part in zip(row, light, strict=True)), 0), 1) for row in SIGHTS[sight]
    )
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883
    x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in (x, y, z))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
class TestPalette:
    @pytest.mark.parametrize("name", TEXTS)
    def test_text_can_be_read(self, palette: dict[str, str], name: str) -> None:
        assert min(contrast(palette[name], palette[ground]) for ground in ("card", "page")) >= 4.5

    @pytest.mark.parametrize("name", MARKS)
    def test_what_is_drawn_can_be_seen(self, palette: dict[str, str], name: str) -> None:
        assert contrast(palette[name], palette["card"]) >= 3

    @pytest.mark.parametrize("sight", SIGHTS)
    def test_no_two_parts_of_a_bar_look_alike(self, palette: dict[str, str], sight: str) -> None:
        seen = [lab(palette[name], sight) for name in SLOT_NAMES]
        assert min(math.dist(one, other) for one, other in itertools.combinations(seen, 2)) > 15


def test_both_palettes_have_the_same_colours() -> None:
    assert LIGHT.keys() == DARK.keys()


def test_each_verdict_has_a_sign_and_a_colour() -> None:
    sheet = style()
    for verdict in VERDICTS:
        assert f'.badge.{verdict}::before{{content:"{SIGNS[verdict]}"}}' in sheet
        assert f".{verdict}{{--ink:var(--{verdict})}}" in sheet


def test_the_severities_differ_by_more_than_colour() -> None:
    severities = VERDICTS[VERDICTS.index("critical") : VERDICTS.index("info")]
    assert len({SIGNS[severity] for severity in severities}) == len(severities)


def test_the_sheet_asks_for_nothing_from_elsewhere() -> None:
    sheet = style()
    assert "@import" not in sheet
    assert sheet.count("url(") == sheet.count("url(#hatch)")
    assert "</" not in sheet
