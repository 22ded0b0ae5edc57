# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What helps against a finding on one router: a text of the check, with figures of that router in its places.

The text is the operator's, and may have a command that somebody pastes. The figures are a router's, so they can only be
numbers, addresses and the like, with which no command becomes another one.
"""

from __future__ import annotations

import dataclasses
import re
import string
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.expression import Expression
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import number

_KEYS = ("text", "figures")
_PLACE = re.compile(r"\$(?:(?P<name>[a-z_]+)|(?P<braced>\{[a-z_]+\})|(?P<escaped>\$))?")
_REMEDY = "A name has small letters and underscores. Write $$ for a $."

_SAFE_TEXT = re.compile(r"[\w.:/=]+(?:[ -][\w.:/=]+)*", re.ASCII)
"""A figure that is no number: words such as an address, a network or a selector. They mean nothing to a shell."""

_LONGEST = 300
_MOST = 10
"""Texts of one cure: facts have no more clusters."""


@dataclasses.dataclass(frozen=True)
class Cure:
    """A text with places such as ``$entries``, and the expression that gives the figures for them.

    The expression gives an object with a figure for each place, or a list of such. For each of them there is a text.
    """

    text: string.Template
    places: frozenset[str]
    figures: Expression

    @classmethod
    def parse(cls, cure: t.Any, option: str) -> Cure:
        """Return a cure that was found sound. Raises OptionError if it is not."""
        if not isinstance(cure, dict) or set(cure) != set(_KEYS):
            raise OptionError(option, cure, "is no cure", "Give a mapping with text and figures, and nothing else.")
        text = cure["text"]
        if not isinstance(text, str):
            raise OptionError(f"{option}, text", text, "is no text", "Give it as a text, in quotes.")
        places = set()
        for found in _PLACE.finditer(text):
            name = found["name"] or (found["braced"] or "").strip("{}")
            if not name and not found["escaped"]:
                raise OptionError(f"{option}, text", text, "has a $ without a name", _REMEDY)
            places.add(name)
        figures = Expression(cure["figures"], f"{option}, figures")
        return cls(string.Template(text), frozenset(filter(None, places)), figures)

    def texts(self, facts: dict[str, t.Any]) -> list[str]:
        """Return the text with the figures that ``facts`` have. Nothing where one of them is missing, or not safe."""
        figures = self.figures.evaluate(facts)
        texts = []
        for each in figures if isinstance(figures, list) else [figures]:
            shown = {name: _shown(each.get(name)) for name in self.places} if isinstance(each, dict) else {}
            known = {name: text for name, text in shown.items() if text is not None}
            if isinstance(each, dict) and self.places == known.keys():
                texts.append(self.text.substitute(known))
        return texts[:_MOST]


def _shown(figure: t.Any) -> str | None:
    """Return a figure as text, or None where it is missing or not safe in a command."""
    if isinstance(figure, bool):
        return None
    if isinstance(figure, (int, float)):
        return number(figure)
    is_safe = isinstance(figure, str) and len(figure) <= _LONGEST and _SAFE_TEXT.fullmatch(figure)
    return figure if is_safe else None
