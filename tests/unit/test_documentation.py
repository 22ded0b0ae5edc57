# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the documentation tells people to type: modules, options, selectors, playbooks, variables, targets, links."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest
import yaml
from helpers.support import CHECKOUT, read_yaml
from interface import documentation_of

PREFIX = "netops.conntrack."
REPOSITORY = read_yaml(CHECKOUT / "galaxy.yml")["repository"]
README = CHECKOUT / "README.md"
INDEX = CHECKOUT / "docs" / "README.md"
TESTING = CHECKOUT / "TESTING.md"
PAGES = [README, TESTING, *sorted(CHECKOUT.glob("docs/*.md")), *sorted(CHECKOUT.glob("roles/*/README.md"))]
COMMUNITY = [CHECKOUT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md")]
LINKING_PAGES = [*PAGES, *COMMUNITY, *sorted(CHECKOUT.glob("tools/*/README.md"))]
PLAYBOOK_VARIABLES = {"target", "batch", "fail_on"}
OF_FIND = {"exclude", "match", "most", "select"}
EXPLAIN_VARIABLES = {"src", "settings"}
OF_WATCH = {"interval", "rounds"}
OF_RESTORE = {"controller_src", "directory", "written_at"}

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CHANGES = r"ansible-playbook netops\.conntrack\.(?:prepare|prune|restore|site|tune)"
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
_BRANCH = re.compile(rf"\]\({re.escape(REPOSITORY)}/(?:blob|raw)/main/")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_MOST_LINES_OF_THE_README = 150


class Example(t.NamedTuple):
    """One YAML block of a page."""

    page: str
    data: t.Any


def name_of(path: pathlib.Path) -> str:
    return str(path.relative_to(CHECKOUT))


def blocks(page: pathlib.Path, language: str) -> list[str]:
    return [text for found, text in _FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def without_blocks(page: pathlib.Path) -> str:
    """Return the text of a page without its code blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links_of(page: pathlib.Path) -> list[tuple[str, str]]:
    """Return the path and the anchor of each link of a page that leads to a file of the repository, also by a URL."""
    to_the_top = "../" * len(page.relative_to(CHECKOUT).parent.parts)
    return _LINK.findall(_BRANCH.sub(f"]({to_the_top}", without_blocks(page)))


def relative_links_of(page: pathlib.Path) -> list[tuple[str, str]]:
    """Return the path and the anchor of each link of a page that is no URL."""
    return _LINK.findall(without_blocks(page))


def anchors_of(page: pathlib.Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = _HEADING.findall(without_blocks(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(page: pathlib.Path, path: str, anchor: str) -> bool:
    """Say whether a link of a page leads to a file, and its anchor to a heading there."""
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors_of(target))


def dictionaries(data: t.Any) -> t.Iterator[dict[str, t.Any]]:
    """Yield every dictionary inside ``data``, however deep."""
    if isinstance(data, dict):
        yield data
    for value in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from dictionaries(value)


def options_of(module: str) -> set[str]:
    """Return the options of a module of the collection, those of its doc fragments included."""
    plugins = CHECKOUT / "plugins"
    document = documentation_of(plugins / "modules" / f"{module}.py")
    fragments = [name for name in document["extends_documentation_fragment"] if name.count(".") == 2]
    shared = [documentation_of(plugins / "doc_fragments" / f"{name.removeprefix(PREFIX)}.py") for name in fragments]
    return {option for each in [document, *shared] for option in each["options"] or {}}


def role_variables() -> set[str]:
    """Return the variables that the roles describe."""
    specs = CHECKOUT.glob("roles/*/meta/argument_specs.yml")
    return {
        option
        for path in specs
        for entry in read_yaml(path)["argument_specs"].values()
        for option in entry.get("options", {})
    }


def words(pattern: str) -> list[tuple[str, str]]:
    """Return the page and the first group of each place where ``pattern`` matches on some page."""
    pages = [*PAGES, *COMMUNITY]
    found = {(name_of(page), word) for page in pages for word in re.findall(pattern, page.read_text(encoding="utf-8"))}
    return sorted(found)


EXAMPLES = [Example(name_of(page), yaml.safe_load(text)) for page in PAGES for text in blocks(page, "yaml")]
TASKS = [
    (example.page, key.removeprefix(PREFIX), arguments)
    for example in EXAMPLES
    for each in dictionaries(example.data)
    for key, arguments in each.items()
    if key.startswith(PREFIX)
]
OF_EXPECTATIONS = [
    (page, arguments)
    for page, module, arguments in TASKS
    if module.startswith("conntrack_expect_") and "match" in arguments
]
SELECTIONS = [
    (example.page, each.get("match") or each.get("conntrack_prune_match"), exclude)
    for example in EXAMPLES
    for each in dictionaries(example.data)
    for exclude in [each.get("exclude") or each.get("conntrack_prune_exclude") or []]
    if "match" in each or "conntrack_prune_match" in each
    if (example.page, each) not in OF_EXPECTATIONS
]


@pytest.mark.parametrize(("page", "module", "arguments"), TASKS)
def test_task_has_only_options_that_the_module_has(page: str, module: str, arguments: dict[str, t.Any]) -> None:
    assert set(arguments) <= options_of(module), page


@pytest.mark.parametrize(("page", "match", "exclude"), SELECTIONS)
def test_selection_compiles(page: str, match: list[t.Any], exclude: list[t.Any], tmp_path: pathlib.Path) -> None:
    from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
    from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection

    # The file that a page names has the lines that the page on selectors shows.
    [lines] = blocks(CHECKOUT / "docs" / "selectors.md", "text")
    file = tmp_path / "blocklist.txt"
    file.write_text(lines, encoding="utf-8")
    match = json.loads(json.dumps(match).replace("/etc/netops/blocklist.txt", str(file)))
    compile_selection(match, exclude, Context(settings={}, now=0))


@pytest.mark.parametrize(("page", "arguments"), OF_EXPECTATIONS)
def test_selection_of_expectations_compiles(page: str, arguments: dict[str, t.Any]) -> None:
    from ansible_collections.netops.conntrack.plugins.module_utils._expectations.selection import compile_match

    compile_match(arguments["match"])


def test_the_examples_were_found() -> None:
    assert {module for _page, module, _arguments in TASKS} == {
        path.stem for path in (CHECKOUT / "plugins" / "modules").glob("*.py")
    }
    assert {"docs/modules.md", "docs/selectors.md"} <= {page for page, _match, _exclude in SELECTIONS}


@pytest.mark.parametrize(("page", "playbook"), words(r"ansible-playbook netops\.conntrack\.(\w+)"))
def test_playbook_exists(page: str, playbook: str) -> None:
    assert (CHECKOUT / "playbooks" / f"{playbook}.yml").is_file(), page


@pytest.mark.parametrize(("page", "options"), words(rf"{_CHANGES} (-i [^`\n]*)"))
def test_a_command_that_changes_routers_names_them(page: str, options: str) -> None:
    assert "--limit " in options or "-e target=" in options, page


@pytest.mark.parametrize(("page", "target"), words(r"(?:`|\$ )make ([a-z][a-z-]*)"))
def test_make_target_exists(page: str, target: str) -> None:
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}: ", makefile, re.MULTILINE), page


@pytest.mark.parametrize(("page", "variable"), words(r"-e '?\{?(\w+)[=:]"))
def test_extra_variable_exists(page: str, variable: str) -> None:
    of_one_playbook = OF_FIND | EXPLAIN_VARIABLES | OF_WATCH | OF_RESTORE
    assert variable in role_variables() | PLAYBOOK_VARIABLES | of_one_playbook, page


@pytest.mark.parametrize("variable", sorted(PLAYBOOK_VARIABLES))
@pytest.mark.parametrize("playbook", ["audit", "tune", "prune", "site"])
def test_playbook_takes(playbook: str, variable: str) -> None:
    files = (
        CHECKOUT / "playbooks" / f"{playbook}.yml",
        CHECKOUT / "roles" / "conntrack_audit" / "defaults" / "main.yml",
    )
    assert any(f"{{{{ {variable} | default(" in file.read_text(encoding="utf-8") for file in files)


@pytest.mark.parametrize("page", LINKING_PAGES, ids=name_of)
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    assert [link for link in links_of(page) if not leads_somewhere(page, *link)] == []


@pytest.mark.parametrize(
    "link", [("no-such-page.md", ""), ("selectors.md", "no-such-heading"), ("", "no-such-heading")]
)
def test_a_broken_link_is_noticed(link: tuple[str, str]) -> None:
    assert not leads_somewhere(CHECKOUT / "docs" / "selectors.md", *link)


@pytest.mark.parametrize("page", [page for page in LINKING_PAGES if page not in (README, INDEX)], ids=name_of)
def test_index_has_every_page(page: pathlib.Path) -> None:
    assert page.resolve() in {(INDEX.parent / path).resolve() for path, _anchor in links_of(INDEX)}


def test_readme_is_short_and_leads_to_the_index() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= _MOST_LINES_OF_THE_README
    assert "docs/README.md" in {path for path, _anchor in links_of(README)}


def test_links_of_the_readme_are_full_urls_because_galaxy_shows_it_too() -> None:
    assert _LINK.findall(without_blocks(README)) == []
    assert len(links_of(README)) > 40


@pytest.mark.parametrize("section", ["requirements", "installation", "use", "support", "licence"])
def test_readme_has_the_sections_that_a_certification_asks_for(section: str) -> None:
    assert section in anchors_of(README)


def test_figures_of_the_comparison_were_measured() -> None:
    comparison, performance = (
        (CHECKOUT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("comparison", "performance")
    )
    figures = re.findall(r"\d+\.\d+", comparison)
    assert len(figures) >= 7
    assert [figure for figure in figures if not re.search(rf"(?<![\d.]){figure}(?![\d.])", performance)] == []


def test_page_on_testing_names_what_there_is() -> None:
    text = TESTING.read_text(encoding="utf-8")
    paths = re.findall(r"(?<![\w/])(?:tests|tools)/[\w./]+", text)
    assert [path for path in paths if not (CHECKOUT / path).exists()] == []
    # The folders that pytest collects, and the helpers, each in a row.
    collected = {f"tests/{path.name}/" for path in CHECKOUT.glob("tests/*") if any(path.rglob("test_*.py"))}
    assert collected <= set(paths)
    helpers = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert sorted(helpers) == sorted(path.stem for path in CHECKOUT.glob("tests/helpers/*.py"))


def test_architecture_has_a_row_for_each_util() -> None:
    page = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
    sections = re.split(r"^##.* `(\w+_utils/.*)`$|^## .*$", page, flags=re.MULTILINE)
    rows = {
        folder + module
        for folder, section in zip(sections[1::2], sections[2::2])
        for module in re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
        if folder
    }
    plugins = CHECKOUT / "plugins"
    assert rows == {str(path.relative_to(plugins))[:-3] for path in plugins.glob("*_utils/**/*.py")}
