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


class Html(str):
    """Text that is markup already. All other text is escaped when it is put into markup."""

    __slots__ = ()


def element(tag: str, /, *content: str, **attributes: str | float | bool | None) -> Html:
    """Return the element ``tag`` with its ``content``, which is escaped unless it is Html, and its ``attributes``.

    An underscore at the end of an attribute's name is dropped (``class_``), any other one becomes a hyphen. An
    attribute that is None or False is left out, and one that is True has no value.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    return Html(f"<{tag}{written}>{joined(content)}{'' if tag in _NO_END_TAG else f'</{tag}>'}")


def joined(parts: t.Iterable[str], between: str = "") -> Html:
    """Return the ``parts`` one after the other, escaped unless they are Html, with the text ``between`` them."""
    return Html(escaped(between).join(map(escaped, parts)))


def escaped(text: str) -> Html:
    """Return ``text`` so that it is shown as it is. Its control characters are shown as their codes."""
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
