# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Markup that nobody can forget to escape."""

from __future__ import annotations

import functools
import html
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible

_NO_END_TAG = frozenset({"input", "meta", "li", "dt", "dd", "tr", "th", "td"})
"""Elements without content, and those that end where the next one begins: a third of a large table."""

_NEEDS_QUOTES = re.compile(r"[^A-Za-z0-9_.#-]")


_SHORT = 40
"""Characters of a text that is kept with its markup, because there may be many of it."""


class Html(str):
    """Text that is markup already. All other text is escaped when it is put into markup."""

    __slots__ = ()


def element(tag: str, /, *content: str, **attributes: str | float | bool | None) -> Html:
    """Return the element ``tag`` with its ``content``, which is escaped unless it is Html, and its ``attributes``.

    An underscore at the end of an attribute's name is dropped (``class_``), any other one becomes a hyphen. An
    attribute that is None or False is left out, and one that is True has no value.
    """
    parts = [f"<{tag}"]
    for key, value in attributes.items():
        if value is True:
            parts.append(_name(key))
        elif value is not None and value is not False:
            parts.append(f"{_name(key)}={_quoted(str(value))}")
    parts.append(">")
    # A page is made of a million elements. A call for each part of them would take as long as all else.
    parts += [part if isinstance(part, Html) else escaped(part) for part in content]
    if tag not in _NO_END_TAG:
        parts.append(f"</{tag}>")
    return Html("".join(parts))


def joined(parts: t.Iterable[str], between: str = "") -> Html:
    """Return the ``parts`` one after the other, escaped unless they are Html, with the text ``between`` them."""
    return Html(escaped(between).join([part if isinstance(part, Html) else escaped(part) for part in parts]))


def escaped(text: str) -> Html:
    """Return ``text`` so that it is shown as it is. Its control characters are shown as their codes."""
    if isinstance(text, Html):
        return text
    return _escaped(text) if len(text) <= _SHORT else _escaped.__wrapped__(text)


@functools.lru_cache(maxsize=4096)
def _escaped(text: str) -> Html:
    return Html(html.escape(visible(text)))


@functools.cache
def _name(key: str) -> str:
    return f" {key.removesuffix('_').replace('_', '-')}"


def _quoted(value: str) -> str:
    return _short_quoted(value) if len(value) <= _SHORT else f'"{escaped(value)}"'


@functools.lru_cache(maxsize=4096)
def _short_quoted(value: str) -> str:
    return f'"{escaped(value)}"' if not value or _NEEDS_QUOTES.search(value) else value
