# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.
"""How a value is shown to people: numbers, percentages, durations, names, and what is not known."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import VALUE, is_finite, listed, shorten

UNKNOWN = "?"

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))
_THOUSANDS = ("", "k", "M", "G", "T", "P", "E")


def plain_text(value: t.Any) -> str:
    """Return a value of JSON as text: a text as it is, and all else as JSON has it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def number(value: t.Any) -> str:
    """Return a value as text: thousands set apart, two decimals at most, a list with commas. None is ``?``."""
    # As nearly all are, of which a large report has half a million.
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if value is None:
        return UNKNOWN
    if isinstance(value, list):
        return listed(plain_text(item) if isinstance(item, list) else number(item) for item in value)
    if not is_finite(value):
        return plain_text(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}".rstrip("0").removesuffix(".")


def plain_number(value: t.Any) -> str:
    """Return a value as text that can be copied: digits alone, one decimal at most. None is ``?``."""
    if value is None:
        return UNKNOWN
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else plain_text(value)


def value_in_line(value: t.Any, most: int) -> str:
    """Return the value of a finding for a line: names in brackets, ``most`` of them, because others follow it."""
    if not isinstance(value, list):
        return shorten(plain_number(value), VALUE)
    names = listed(map(plain_text, value), most=most, longest=VALUE)
    return f"({names})" if len(value) > 1 else names or "none"


def with_unit(text: str, value: t.Any, check: t.Mapping[str, t.Any]) -> str:
    """Return the ``text`` that stands for the value of a ``check``, with the unit that its numbers have."""
    return f"{text} {check['unit']}" if check.get("unit") and is_finite(value) else text


def percentage(value: float | None) -> str:
    """Return a percentage with one decimal, and no sign: ``97.3``. It is not rounded up to 100, nor down to 0."""
    if value is None:
        return UNKNOWN
    if 0 < value < 0.05:
        return "<0.1"
    return ">99.9" if 99.95 <= value < 100 else f"{value:.1f}"


def limit_and_share(limit: int | None, share: float | None) -> tuple[str, str]:
    """Return the limit of a table, and how much of it is used, in percent. A limit of 0 is none, and has no share."""
    return ("no limit", "") if limit == 0 else (number(limit), percentage(share))


def compact(count: int) -> str:
    """Return a whole number in four characters or so: ``999``, ``1.2k``, ``412k``, ``1.1M``."""
    amount, power = float(count), 0
    while amount >= 999.5 and power < len(_THOUSANDS) - 1:
        amount, power = amount / 1000, power + 1
    decimals = 1 if power and amount < 9.95 else 0
    return f"{amount:.{decimals}f}".removesuffix(".0") + _THOUSANDS[power]


def duration(seconds: int) -> str:
    """Return seconds in the largest unit that makes a whole number of them: ``90s``, ``15h``, ``5d``."""
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds and seconds % size == 0), (1, "s"))
    return f"{seconds // size}{unit}"


def at_most(seconds: int) -> str:
    """Return seconds rounded up, with a unit of which there are not many: ``90 s``, ``7 min``, ``15 h``, ``5 days``."""
    for most, size, unit in ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h")):
        if seconds <= most:
            return f"{-(-seconds // size)} {unit}"
    return f"{-(-seconds // 86_400)} days"


def counted(count: int | None, one: str, many: str = "", text_of: t.Callable[[t.Any], str] = number) -> str:
    """Return a count with its noun: ``1 router``, ``2,000 entries``. Without ``many`` the plural has an s."""
    return f"{text_of(count)} {one if count == 1 else many or one + 's'}"


def spoken(key: str) -> str:
    """Return a key of the document, or a verdict, as words: ``not listed``."""
    return key.replace("_", " ")
