# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How Sphinx makes the site of the pages that build.py lays out. The names are those that Sphinx reads."""

from __future__ import annotations

import os
import re
import typing as t

import ansible_pages
from docutils import nodes
from pygments.lexers.special import TextLexer

if t.TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "netops.conntrack"
author = "The netops.conntrack developers"
copyright = f"2026, {author}"
release = os.environ["SITE_VERSION"]

extensions = ["myst_parser", "sphinx_antsibull_ext", "sphinx_copybutton"]
# The same anchors as on GitHub, where the pages are read as well.
myst_heading_anchors = 4
myst_links_external_new_tab = False
highlight_language = "none"
# What a click copies is the command, without the prompt and what it prints.
copybutton_prompt_text = "$ "
nitpicky = True

html_theme = "furo"
html_title = f"netops.conntrack {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
# Furo loads nothing from outside, so the site is whole on a machine without internet.
html_theme_options = {"navigation_with_keys": True, "sidebar_hide_name": False}


def setup(app: Sphinx) -> None:
    """Let references to Ansible's documentation lead there, and show the languages without a lexer as text."""
    app.connect("missing-reference", _lead_to_ansible)
    app.connect("source-read", _leave_the_contents_to_the_theme)
    for language in ("nft", "sudoers"):
        app.add_lexer(language, TextLexer)


def _leave_the_contents_to_the_theme(_app: Sphinx, _name: str, source: list[str]) -> None:
    source[0] = re.sub(r"(?m)^\.\. contents::\n(?: +:.*\n)*", "", source[0])


def _lead_to_ansible(_app: Sphinx, _env: t.Any, node: t.Any, content: nodes.TextElement) -> nodes.reference | None:
    address = ansible_pages.address(node.get("reftarget", ""))
    return nodes.reference("", "", content, refuri=address, internal=False) if address else None
