# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make case-study` on a small table: it gets to its end, its judges agree, and the machine is as before."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest
from helpers.support import CHECKOUT, PATIENCE, wait_until

ENTRIES, LIMIT = 20_000, 30_000
_LIMIT = pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_max")

pytestmark = [pytest.mark.slow, pytest.mark.alone]


def state() -> tuple[str, list[str]]:
    """Return what the study changes of the machine: the limit, and the network namespaces of its name."""
    return _LIMIT.read_text(), [path.name for path in pathlib.Path("/run/netns").glob("nccase-*")]


def command(directory: pathlib.Path) -> list[str]:
    sizes = ["--entries", str(ENTRIES), "--limit", str(LIMIT), "--deletes", "3"]
    files = ["--directory", str(directory), "--json", str(directory / "figures.json")]
    return [sys.executable, str(CHECKOUT / "tools" / "case_study.py"), *sizes, *files]


@pytest.fixture(autouse=True)
def _needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, for network namespaces")


def test_the_study_gets_to_its_end_and_restores_the_machine(tmp_path: pathlib.Path) -> None:
    before = state()
    done = subprocess.run(command(tmp_path), capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    measured = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    shown = {step["name"]: step for step in measured["steps"]}
    assert measured["filled"]["entries"] == ENTRIES
    assert measured["by_hand"]["stale"] == shown["audit"]["stale"] == shown["prune"]["deleted"] == ENTRIES * 9 // 10
    assert shown["forecast"]["gone"] == measured["by_hand"]["expired"]
    assert shown["restore"]["restored"] == shown["prune"]["deleted"]
    assert "stale_majority" in shown["audit"]["findings"]
    assert "stale_majority" not in shown["audit again"]["findings"]
    assert measured["live"]["blocks"] > 0
    assert state() == before


def test_an_interrupted_study_restores_the_machine(tmp_path: pathlib.Path) -> None:
    before = state()
    with subprocess.Popen(command(tmp_path), stdout=subprocess.PIPE, text=True) as running:
        wait_until(lambda: _LIMIT.read_text().strip() == str(LIMIT))
        assert running.stdout is not None
        assert "fill the table" in running.stdout.readline()
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=PATIENCE)
    assert running.returncode == 1
    assert state() == before
