# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real browser that opens reports, and tells what they did in it."""

from __future__ import annotations

import dataclasses
import pathlib
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.render import render
from helpers.documents import Document
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MILLISECONDS = 180_000
"""How long the browser may take for one step, on a machine that does much else."""


@dataclasses.dataclass
class Opened:
    """A page that is open, the addresses it asked for, and what it complained of."""

    page: Page
    file: pathlib.Path
    requests: list[str] = dataclasses.field(default_factory=list)
    complaints: list[str] = dataclasses.field(default_factory=list)

    def refuse(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def column(self, name: str) -> list[str]:
        """Return the texts of a column of the fleet's table, as it is sorted now."""
        place = self.page.locator("#fleet thead th").all_inner_texts().index(name)
        cells = f"#fleet tbody tr td:nth-child({place + 1})"
        return self.page.locator(cells).all_inner_texts()


@pytest.fixture(scope="session")
def browser() -> t.Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=MILLISECONDS)
        yield browser
        browser.close()


@pytest.fixture
def open_report(browser: Browser, tmp_path: pathlib.Path) -> t.Iterator[t.Callable[..., Opened]]:
    """Render a document, open it, and give it; with the options of a context, such as ``color_scheme``."""
    contexts = []

    def open_it(document: Document, **options: t.Any) -> Opened:
        file = tmp_path / "report.html"
        file.write_text(render(document, "html"), encoding="utf-8")
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 1000}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(MILLISECONDS)
        opened = Opened(page, file)
        page.on("request", lambda request: opened.requests.append(request.url))
        page.on("console", lambda message: opened.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: opened.complaints.append(f"error: {error}"))
        page.on("dialog", opened.refuse)
        page.goto(file.as_uri())
        return opened

    yield open_it
    for context in contexts:
        context.close()
