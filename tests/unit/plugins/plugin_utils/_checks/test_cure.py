# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What helps on one router: the text of a check with figures of that router, which cannot change a command."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.cure import Cure

TEXT = "prune 'match=\"$selector\"' frees $entries entries."


def texts(facts: dict[str, t.Any], figures: str = "found", text: str = TEXT) -> list[str]:
    return Cure.parse({"text": text, "figures": figures}, "cure").texts(facts)


def found(**figures: t.Any) -> dict[str, t.Any]:
    return {"found": {"selector": "protocol=udp", "entries": 12000, **figures}}


def test_the_figures_stand_in_their_places() -> None:
    assert texts(found()) == ["prune 'match=\"protocol=udp\"' frees 12,000 entries."]


def test_there_is_a_text_for_each_of_several() -> None:
    assert texts({"found": [{"name": "10.0.0.1"}, {"name": "2001:db8::/32"}]}, text="limit ${name}$$") == [
        "limit 10.0.0.1$",
        "limit 2001:db8::/32$",
    ]
    assert len(texts({"found": [{"name": "x"}] * 20}, text="$name")) == 10


def test_a_text_without_places_needs_an_object_only() -> None:
    assert texts({"usage": {}}, "{any: `1`}", "Reboot.") == ["Reboot."]
    assert texts({}, "usage", "Reboot.") == []


@pytest.mark.parametrize(
    "figures",
    [
        {"entries": None},
        {"entries": True},
        {"selector": ""},
        {"selector": "protocol=udp' ; reboot '"},
        {"selector": 'protocol=udp"'},
        {"selector": "$(reboot)"},
        {"selector": "`reboot`"},
        {"selector": "a\nb"},
        {"selector": "protocol=udp  zone=1"},
        {"selector": "ü"},
        {"selector": "x" * 301},
        {"selector": ["protocol=udp"]},
    ],
)
def test_nothing_is_said_with_a_figure_that_is_missing_or_could_change_a_command(figures: dict[str, t.Any]) -> None:
    assert texts(found(**figures)) == []


@pytest.mark.parametrize("result", ["missing", "`false`", "`[]`", "`5`", "usage"])
def test_nothing_is_said_without_figures(result: str) -> None:
    assert texts({"usage": {}}, result) == []


@pytest.mark.parametrize(
    ("cure", "message"),
    [
        ("text", "cure: 'text' is no cure"),
        ({"text": "x"}, "is no cure. Give a mapping with text and figures"),
        ({"text": "x", "figures": "usage", "when": "usage"}, "is no cure"),
        ({"text": 5, "figures": "usage"}, "cure, text: 5 is no text"),
        ({"text": "costs 5 $", "figures": "usage"}, "has a \\$ without a name"),
        ({"text": "$Name", "figures": "usage"}, "has a \\$ without a name"),
        ({"text": "x", "figures": "usage >"}, "cure, figures: 'usage >' is not a JMESPath"),
    ],
)
def test_an_unsound_cure_is_named(cure: t.Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Cure.parse(cure, "cure")
