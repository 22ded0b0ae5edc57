# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Markup that nobody can forget to escape, and numbers as people read them."""

from __future__ import annotations

import functools
import html
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import is_finite, listed, plain_text

UNKNOWN = "?"

_NO_END_TAG = frozenset({"input", "meta", "li", "dt", "dd", "tr", "th", "td"})
"""Elements without content, and those that end where the next one begins: a third of a large table."""

_NEEDS_QUOTES = re.compile(r"[^A-Za-z0-9_.#-]")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))
_THOUSANDS = ("", "k", "M", "G", "T", "P", "E")


class Html(str):
    """Text that is markup already. All other text is escaped when it is put into markup."""

    __slots__ = ()


def element(tag: str, /, *content: str, **attributes: str | float | bool | None) -> Html:
    """Return the element ``tag`` with its ``content``, which is escaped unless it is Html, and its ``attributes``.

    An underscore at the end of an attribute's name is dropped (``class_``), any other one becomes a hyphen. An
    attribute that is None or False is left out, and one that is True has no value.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    return Html(f"<{tag}{written}>{together(content)}{'' if tag in _NO_END_TAG else f'</{tag}>'}")


def together(parts: t.Iterable[str], between: str = "") -> Html:
    """Return the ``parts`` one after the other, escaped unless they are Html, with the text ``between`` them."""
    return Html(escaped(between).join(map(escaped, parts)))


def escaped(text: str) -> Html:
    """Return ``text`` so that it is shown as it is; its control characters are shown as their codes."""
    return text if isinstance(text, Html) else _escaped(text)


@functools.lru_cache(maxsize=4096)
def _escaped(text: str) -> Html:
    return Html(html.escape(visible(text)))


def _attribute(name: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    written = f" {name.removesuffix('_').replace('_', '-')}"
    return written if value is True else f"{written}={_quoted(str(value))}"


@functools.lru_cache(maxsize=4096)
def _quoted(value: str) -> str:
    return f'"{escaped(value)}"' if not value or _NEEDS_QUOTES.search(value) else value


def number(value: t.Any) -> str:
    """Return a value as text: thousands set apart, two decimals at most, a list with commas; ``?`` for None."""
    if value is None:
        return UNKNOWN
    if isinstance(value, list):
        return listed(plain_text(item) if isinstance(item, list) else number(item) for item in value)
    if not is_finite(value):
        return plain_text(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}".rstrip("0").removesuffix(".")


def percentage(value: float | None) -> str:
    """Return a percentage with one decimal, and no sign: ``97.3``. It is not rounded up to 100, nor down to 0."""
    if value is None:
        return UNKNOWN
    if 0 < value < 0.05:
        return "<0.1"
    return ">99.9" if 99.95 <= value < 100 else f"{value:.1f}"


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


def counted(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun: ``1 router``, ``2,000 entries``."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"
