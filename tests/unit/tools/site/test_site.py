# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `make docs` gives to Sphinx. Its own checks, such as that of each link, are those of `make docs`."""

from __future__ import annotations

import pathlib
import re

import ansible_pages
import build
import navigation
import pytest
from helpers.support import CHECKOUT

INDEX = (CHECKOUT / navigation.INDEX).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    place = tmp_path_factory.mktemp("site")
    build.lay_out(CHECKOUT, place)
    return place


def test_navigation_has_each_page_once() -> None:
    pages = [page for found in navigation.sections(INDEX).values() for page in found]
    assert len(set(pages)) == len(pages)
    assert {str(path.relative_to(CHECKOUT)) for path in CHECKOUT.glob("docs/*.md")} - {navigation.INDEX} <= set(pages)


def test_navigation_keeps_the_order_of_the_index() -> None:
    sections = navigation.sections("# T\n\n[no](no.md)\n\n## One\n\n[b](b.md#x) [b](b.md)\n\n## Two\n\n[c](../c.rst)\n")
    assert sections == {"One": ["docs/b.md"], "Two": ["c.rst"]}
    assert navigation.toctrees(sections) == (
        "\n```{toctree}\n:hidden:\n:caption: One\n\ndocs/b\n```\n\n```{toctree}\n:hidden:\n:caption: Two\n\nc\n```\n"
    )


def test_first_page_is_the_readme_with_the_navigation(source: pathlib.Path) -> None:
    text = (source / "index.md").read_text(encoding="utf-8")
    assert text.startswith((CHECKOUT / "README.md").read_text(encoding="utf-8")[:200])
    assert "](docs/start.md)" in text
    assert "![The fleet, worst first](docs/report-fleet.png)" in text
    assert "github.com/netops/conntrack/blob" not in text
    assert text.count("```{toctree}") == len(navigation.sections(INDEX)) + 2


@pytest.mark.parametrize("page", ["docs/install.md", "docs/start.md"])
def test_links_to_the_readme_lead_to_the_first_page(source: pathlib.Path, page: str) -> None:
    assert "](../README.md" in (CHECKOUT / page).read_text(encoding="utf-8")
    text = (source / page).read_text(encoding="utf-8")
    assert "](../README.md" not in text
    assert "](../index.md#installation)" in text


def test_every_link_has_its_file(source: pathlib.Path) -> None:
    for page in source.rglob("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), (page, link)


@pytest.mark.parametrize(
    ("label", "page"),
    [
        ("common_return_values", "reference_appendices/common_return_values.html"),
        ("ansible_collections.ansible.builtin.file_module", "collections/ansible/builtin/file_module.html"),
        ("ansible_collections.netops", None),
        ("nothing", None),
    ],
)
def test_labels_of_ansible(label: str, page: str | None) -> None:
    assert ansible_pages.address(label) == (f"{ansible_pages.SITE}/{page}" if page else None)
