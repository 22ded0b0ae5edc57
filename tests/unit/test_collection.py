# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection as a whole: what is shipped, that it installs and documents itself, and what every file must carry."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import typing as t

import pytest
from helpers.ansible_tasks import ON_THE_CONTROLLER
from helpers.support import CHECKOUT, read_yaml
from unit.test_documentation import relative_links_of

MODULES = sorted(path.stem for path in (CHECKOUT / "plugins" / "modules").glob("*.py"))
PLAYBOOKS = sorted(path.stem for path in (CHECKOUT / "playbooks").glob("*.yml"))
COMMANDS = [f"netops.conntrack.{name}" for name in ("audit", "prepare", "tune", "prune", "site")]
ROLES = sorted(path.name for path in (CHECKOUT / "roles").iterdir())

SOURCE_NAMES = re.compile(r".*\.(py|yml|yaml|toml|cfg|sh|j2)|.*requirements.*\.txt|Makefile")
WITHOUT_HEADER = {"changelogs/changelog.yaml"}
"""antsibull-changelog writes this file and keeps no comments."""
SHOWN = {"docs/report-fleet.png", "docs/report.schema.json"}
"""The picture that pages show, and the schema that they link to. Nobody but a chart needs its figures."""

UNFINISHED = re.compile(rb"\b(TO" + rb"DO|FIX" + rb"ME|XX" + rb"X)\b")
LICENCE_LINES = (
    "# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)",
    "# SPDX-License-Identifier: GPL-3.0-or-later",
)


def files_of_the_checkout() -> list[pathlib.Path]:
    """Return the tracked and the new files, without what .gitignore names, relative to the checkout."""
    command = [
        "git",
        "-c",
        f"safe.directory={CHECKOUT}",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    names = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [path for path in map(pathlib.Path, filter(None, names)) if (CHECKOUT / path).is_file()]


def is_source(path: pathlib.Path) -> bool:
    return SOURCE_NAMES.fullmatch(path.name) is not None or (CHECKOUT / path).read_bytes().startswith(b"#!")


def says_its_licence(path: pathlib.Path) -> bool:
    head = (CHECKOUT / path).read_text(encoding="utf-8").splitlines()[:5]
    return set(head) >= set(LICENCE_LINES if path.suffix == ".py" else LICENCE_LINES[1:])


FILES = files_of_the_checkout()
SOURCES = [path for path in FILES if is_source(path) and str(path) not in WITHOUT_HEADER]


def ansible(*command: str, home: pathlib.Path) -> str:
    """Run a command of ansible-core with ``home`` for all that it reads and writes, and give what it prints."""
    program, *arguments = command
    done = subprocess.run(
        [str(pathlib.Path(sys.executable).parent / program), *arguments],
        cwd=home,
        capture_output=True,
        text=True,
        env={**os.environ, "ANSIBLE_HOME": str(home), "ANSIBLE_COLLECTIONS_PATH": str(home)},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return the file that ``ansible-galaxy collection build`` makes of the checkout as it stands."""
    home = tmp_path_factory.mktemp("build")
    ansible("ansible-galaxy", "collection", "build", str(CHECKOUT), "--output-path", str(home), home=home)
    return next(home.glob("netops-conntrack-*.tar.gz"))


@pytest.fixture(scope="session")
def installed(archive: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return a collections path that holds nothing but the collection, installed from its archive."""
    home = tmp_path_factory.mktemp("installed")
    ansible("ansible-galaxy", "collection", "install", "--offline", str(archive), "-p", str(home), home=home)
    return home


def test_archive_holds_what_users_need_and_nothing_else(archive: pathlib.Path) -> None:
    with tarfile.open(archive) as opened:
        names = [name for name in opened.getnames() if name not in {"MANIFEST.json", "FILES.json"}]
    tops = {name.split("/")[0] for name in names}
    assert tops >= {"COPYING", "README.md", "extensions", "meta", "playbooks", "plugins", "roles"}
    assert tops <= {
        "CHANGELOG.rst",
        "CODE_OF_CONDUCT.md",
        "CONTRIBUTING.md",
        "COPYING",
        "LICENSES",
        "README.md",
        "REUSE.toml",
        "SECURITY.md",
        "TESTING.md",
        "changelogs",
        "docs",
        "extensions",
        "meta",
        "playbooks",
        "plugins",
        "roles",
        "tests",
        "tools",
    }
    developing = {name for name in names if name.startswith(("tests/", "tools/")) and "." in name}
    assert developing == {"tests/config.yml", "tools/lab/README.md", "tools/vm/README.md"}
    assert not {name for name in names if name.startswith("docs/") and name.endswith((".json", ".png"))} - SHOWN
    assert archive.stat().st_size < 1_250_000, "1.0.0 has 1,153,000 bytes"
    in_checkout = {str(path) for path in FILES}
    directories = {str(parent) for path in FILES for parent in path.parents}
    assert set(names) <= in_checkout | directories


def test_links_of_the_pages_in_the_archive_lead_to_files_in_it(installed: pathlib.Path) -> None:
    top = installed / "ansible_collections" / "netops" / "conntrack"
    pages = [page for page in sorted(top.rglob("*.md")) if page.name != "CODE_OF_CONDUCT.md"]
    assert len(pages) > 50
    dead = {
        f"{page.relative_to(top)}: {path}"
        for page in pages
        for path, _anchor in relative_links_of(page)
        if path and not (page.parent / path).exists()
    }
    assert dead == set()


@pytest.fixture(scope="session")
def documents(installed: pathlib.Path) -> dict[str, t.Any]:
    """Return what ansible-doc says of each module after an installation, by the module's name."""
    listed = json.loads(ansible("ansible-doc", "--json", "--list", "netops.conntrack", home=installed))
    found = json.loads(ansible("ansible-doc", "--json", *sorted(listed), home=installed))
    return {name.rpartition(".")[2]: document for name, document in found.items()}


def test_every_module_is_documented_after_an_installation(documents: dict[str, t.Any]) -> None:
    assert sorted(documents) == MODULES
    for name, document in documents.items():
        assert document["doc"]["description"], name
        assert document["examples"], name
        assert document["return"], name


def test_a_module_that_asks_routers_says_which_python_they_need(documents: dict[str, t.Any]) -> None:
    config = read_yaml(CHECKOUT / "tests" / "config.yml")
    needed = f"Python {config['modules']['python_requires'].replace('>=', '>= ')} on the target"
    saying = {
        name
        for name, document in documents.items()
        if any(item.startswith(needed) for item in document["doc"].get("requirements", []))
    }
    assert set(MODULES) - saying == ON_THE_CONTROLLER


def test_a_module_that_enters_a_network_namespace_says_which_library_it_needs(documents: dict[str, t.Any]) -> None:
    for name, document in documents.items():
        requirements = " ".join(document["doc"].get("requirements", []))
        assert ("netns" in document["doc"]["options"]) == ("pyroute2" in requirements), name


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_playbook_loads_after_an_installation(installed: pathlib.Path, name: str) -> None:
    ansible("ansible-playbook", "--syntax-check", "-i", "router,", f"netops.conntrack.{name}", home=installed)


def test_every_module_is_in_the_action_group() -> None:
    runtime = read_yaml(CHECKOUT / "meta" / "runtime.yml")
    assert runtime["action_groups"] == {"conntrack": MODULES}


@pytest.mark.parametrize("name", [*MODULES, *ROLES, *COMMANDS])
def test_readme_mentions(name: str) -> None:
    assert name in (CHECKOUT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ROLES)
def test_role_has_its_readme_and_argument_specs(name: str) -> None:
    assert (CHECKOUT / "roles" / name / "README.md").is_file()
    assert (CHECKOUT / "roles" / name / "meta" / "argument_specs.yml").is_file()


def test_every_source_file_says_its_licence() -> None:
    assert [str(path) for path in SOURCES if not says_its_licence(path)] == []


def test_no_file_has_a_mark_of_unfinished_work() -> None:
    texts = (path for path in FILES if path.suffix != ".png")
    assert [str(path) for path in texts if UNFINISHED.search((CHECKOUT / path).read_bytes())] == []
