# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which pages the site has, and in which order: those of the index of the documentation."""

from __future__ import annotations

import posixpath
import re
import typing as t

INDEX = "docs/README.md"
"""The index, from the top of the checkout. Its sections are those of the site's navigation."""

_PAGE = re.compile(r"\]\(([^)#:]+\.(?:md|rst))\)")


def sections(index: str) -> dict[str, list[str]]:
    """Return the pages that each section of the text ``index`` links to, as paths from the top of the checkout."""
    parts = re.split(r"(?m)^## (.+)$", index)
    return {title: _pages(text) for title, text in zip(parts[1::2], parts[2::2])}


def toctrees(found: t.Mapping[str, t.Sequence[str]]) -> str:
    """Return the navigation of these sections, in MyST's Markdown, so that no page of them shows it."""
    return "".join(_toctree(title, pages) for title, pages in found.items())


def _toctree(title: str, pages: t.Iterable[str]) -> str:
    caption = [f":caption: {title}"] if title else []
    return "\n".join(("", "```{toctree}", ":hidden:", *caption, "", *map(_name, pages), "```", ""))


def _pages(text: str) -> list[str]:
    folder = posixpath.dirname(INDEX)
    return list(dict.fromkeys(posixpath.normpath(posixpath.join(folder, link)) for link in _PAGE.findall(text)))


def _name(page: str) -> str:
    """Return the name that Sphinx has for a page."""
    return page.rpartition(".")[0]
