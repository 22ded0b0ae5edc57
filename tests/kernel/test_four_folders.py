# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection works with its folders meta, playbooks, plugins and roles alone, as the community package asks."""

from __future__ import annotations

import json
import pathlib
import shutil
import typing as t

import pytest
from helpers.ansible_tasks import Workplace
from helpers.namespace_hosts import NamespaceHost
from helpers.support import CHECKOUT, network_namespace, run

FOLDERS = ("meta", "playbooks", "plugins", "roles")
PLAYBOOKS = sorted(f"netops.conntrack.{path.stem}" for path in (CHECKOUT / "playbooks").glob("*.yml"))
LIVE, STALE = 5, 7
ENTRY = "-I -p tcp -s 198.18.0.{} -d 203.0.113.1 --sport 1000 --dport 443 --state ESTABLISHED -t 1000 {}\n"
SELECTION = '{"conntrack_prune_select": [], "conntrack_prune_match": [{"replied": false}]}'


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return a collections path that holds nothing but these folders of the collection."""
    path = tmp_path_factory.mktemp("folders")
    for name in FOLDERS:
        target = path / "ansible_collections" / "netops" / "conntrack" / name
        shutil.copytree(CHECKOUT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
    return path


@pytest.fixture
def router() -> t.Iterator[str]:
    """Yield a namespace with entries that are answered, and with some that are not."""
    with network_namespace("folders") as netns:
        live = [ENTRY.format(1 + host, "-u SEEN_REPLY,ASSURED") for host in range(LIVE)]
        stale = [ENTRY.format(100 + host, "") for host in range(STALE)]
        run(["conntrack", "-R", "-"], netns=netns, text="".join([*live, *stale]))
        yield netns


@pytest.fixture
def workplace(folders: pathlib.Path, router: str, tmp_path: pathlib.Path) -> Workplace:
    place = Workplace(tmp_path, {"router1": NamespaceHost.make(tmp_path, router).variables})
    place.collections = str(folders)
    return place


def play(workplace: Workplace, *arguments: str) -> str:
    """Run playbooks of the collection, which have to succeed, and return what they print."""
    reports = f"conntrack_audit_report_directory={workplace.directory / 'reports'}"
    done = workplace.run("ansible-playbook", "-e", "target=routers", "-e", reports, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def entries(netns: str) -> int:
    """Return how many entries conntrack(8) lists."""
    return len(run(["conntrack", "-L"], netns=netns).splitlines())


def test_each_playbook_loads(workplace: Workplace) -> None:
    assert len(PLAYBOOKS) > 10
    play(workplace, "--syntax-check", *PLAYBOOKS)


def test_a_router_is_measured_and_tuning_is_rehearsed(workplace: Workplace, router: str) -> None:
    assert "WARNING" not in play(workplace, "netops.conntrack.site", "--check", "-e", SELECTION)
    assert entries(router) == LIVE + STALE
    reports = {path.suffix: path for path in (workplace.directory / "reports").iterdir()}
    assert reports.keys() >= {".html", ".json", ".md", ".txt"}
    host = json.loads(reports[".json"].read_text(encoding="utf-8"))["hosts"]["router1"]
    assert host["prune"]["would_delete"] == STALE
    assert host["settings"]["changes"]


def test_entries_are_deleted(workplace: Workplace, router: str) -> None:
    play(workplace, "netops.conntrack.prune", "-e", SELECTION)
    assert entries(router) == LIVE
