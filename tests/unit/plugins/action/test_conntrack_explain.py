# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook that explains a file with conntrack_explain, without an inventory, without routers, and without root."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest
from helpers.support import CHECKOUT, COLLECTIONS, PATIENCE

# ip_conntrack of the founding story's router, whose kernel was a 2.6: bare ACKs to many servers, and some others.
STALE, OTHERS = 900, 100


def _story() -> str:
    stale = (
        _line(
            f"tcp      6 {431000 + number} ESTABLISHED",
            (f"10.0.{number % 7}.{number % 251}", f"77.85.{number % 200}.{number % 100 + 1}"),
            (20000 + number, 443),
            ("packets=1 bytes=40 [UNREPLIED]", "packets=0 bytes=0"),
        )
        for number in range(STALE)
    )
    others = (
        _line(
            f"udp      17 {number}",
            (f"10.0.0.{number}", "10.0.0.254"),
            (1024 + number, 53),
            ("packets=1 bytes=60", "packets=1 bytes=90"),
        )
        for number in range(OTHERS)
    )
    # The last line is cut off.
    return "\n".join([*stale, *others, "tcp      6 431"])


def _line(beginning: str, ends: tuple[str, str], ports: tuple[int, int], counters: tuple[str, str]) -> str:
    there = f"src={ends[0]} dst={ends[1]} sport={ports[0]} dport={ports[1]} {counters[0]}"
    back = f"src={ends[1]} dst={ends[0]} sport={ports[1]} dport={ports[0]} {counters[1]}"
    return f"{beginning} {there} {back} mark=0 secmark=0 use=1"


def explain(home: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the playbook as somebody who has nothing but the collection."""
    return play(home, "netops.conntrack.explain", *arguments)


def play(home: pathlib.Path, playbook: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook in the same way."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    ours = {"HOME": str(home), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)}
    return subprocess.run(
        [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), playbook, *arguments],
        cwd=home,
        env={**kept, **ours},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.slow
def test_the_storys_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "ip_conntrack.txt"
    path.write_text(_story())
    settings = '{"settings": {"net.ipv4.netfilter.ip_conntrack_tcp_timeout_established": "5d"}}'
    done = explain(tmp_path, "-e", f"src={path}", "-e", settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "What fills 1 table with 1,000 entries" in done.stdout
    assert "90 % of 1,000 entries: tcp ESTABLISHED, unanswered, a single packet" in done.stdout
    assert "This frees 900 entries:" in done.stdout
    assert "ip_conntrack.txt: 1 line not understood" in done.stdout
    assert "line 1001: tcp      6 431" in " ".join((done.stdout + done.stderr).split("\n"))


@pytest.mark.slow
def test_the_page_of_the_documentation(tmp_path: pathlib.Path) -> None:
    page = (CHECKOUT / "docs" / "files.md").read_text(encoding="utf-8")
    _before, _fence, shown = page.partition("-e src=/var/tmp/ip_conntrack.txt\n")
    path = tmp_path / "ip_conntrack.txt"
    path.write_text(_story().rpartition("\n")[0] + "\n")
    done = explain(tmp_path, "-e", f"src={path}")
    assert shown.partition("```")[0] in done.stdout


_MEASURED = """
- hosts: localhost
  gather_facts: false
  tasks:
    - %s
      register: measured
    - netops.conntrack.conntrack_explain:
        variable: measured
      register: shown
    - ansible.builtin.debug:
        msg: "FAILING {{ shown.failing | to_json }} PAGE {{ shown.text | to_json }}"
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "problem"),
    [
        (
            "netops.conntrack.conntrack_facts:",
            "Its table was not measured. Give conntrack_facts gather_subset: [usage, settings, table].",
        ),
        (
            "netops.conntrack.conntrack_facts: {explain: 0}",
            "What fills its table was not looked for. Give conntrack_facts no explain, or one from 1 on.",
        ),
        ("ansible.builtin.setup: {gather_subset: ['!all', '!min']}", "This is no result of conntrack_facts."),
    ],
    ids=["only usage", "no explain", "another module"],
)
def test_a_table_that_nobody_measured_is_a_problem_and_not_empty(
    tmp_path: pathlib.Path, task: str, problem: str
) -> None:
    playbook = tmp_path / "play.yml"
    playbook.write_text(_MEASURED % task)
    done = play(tmp_path, str(playbook))
    assert done.returncode == 0, done.stdout + done.stderr
    _before, _word, told = json.loads(done.stdout[done.stdout.index('"msg": ') + 7 :].partition("\n")[0]).partition(
        "FAILING "
    )
    failing, _word, page = told.partition(" PAGE ")
    assert json.loads(failing) == {"localhost": problem}
    assert "no entries" not in page
    assert "0 entries" not in page


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name a file with -e src=/path/to/dump.txt"),
        (("-e", "src=/nowhere/at/all"), "/nowhere/at/all"),
        (("-e", "src=/dev/null"), "not a regular file"),
    ],
)
def test_what_cannot_be_read(tmp_path: pathlib.Path, arguments: tuple[str, ...], words: str) -> None:
    done = explain(tmp_path, *arguments)
    assert done.returncode == 2
    assert words in done.stdout
