# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from helpers.on_controllers import shared_payloads
from helpers.support import CHECKOUT, COLLECTIONS, ON_CONTROLLERS, PATIENCE

PLUGINS = pathlib.Path("ansible_collections", "netops", "conntrack", "plugins")


def send(directory: pathlib.Path, payloads: pathlib.Path) -> None:
    """Send a module to this machine, as a test in ``directory`` does."""
    program = str(pathlib.Path(sys.executable).parent / "ansible")
    module = ["-m", "netops.conntrack.conntrack_facts", "-a", "gather_subset=settings"]
    ours = {"ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "HOME": str(directory), "ANSIBLE_LOCALHOST_WARNING": "0"}
    done = subprocess.run(
        [program, "localhost", "-c", "local", *module],
        cwd=directory,
        env={**os.environ, **ON_CONTROLLERS, **ours, shared_payloads.VARIABLE: str(payloads)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert "udp_timeout_stream" in done.stdout, done.stdout + done.stderr


def sent(payloads: pathlib.Path) -> dict[str, int]:
    """Return when each payload was built."""
    return {path.name: path.stat().st_mtime_ns for path in payloads.glob("*/*") if path.suffix != ".lock"}


def test_the_second_program_sends_what_the_first_built(tmp_path: pathlib.Path) -> None:
    payloads = tmp_path / "payloads"
    payloads.mkdir()
    send(tmp_path, payloads)
    first = sent(payloads)
    assert [name.rpartition(".")[2].partition("-")[0] for name in first] == ["conntrack_facts"]
    send(tmp_path, payloads)
    assert sent(payloads) == first


def test_with_modules_of_its_own_a_test_shares_nothing(tmp_path: pathlib.Path) -> None:
    payloads = tmp_path / "payloads"
    payloads.mkdir()
    (tmp_path / "library").mkdir()
    send(tmp_path, payloads)
    assert sent(payloads) == {}


@pytest.mark.parametrize("file", ["modules/conntrack_facts.py", "module_utils/_netlink/framing.py"])
def test_another_collection_has_other_payloads(tmp_path: pathlib.Path, file: str) -> None:
    collections = tmp_path / "collections"
    for folder in ("modules", "module_utils"):
        shutil.copytree(CHECKOUT / "plugins" / folder, collections / PLUGINS / folder)
    own = shared_payloads.payloads_of(COLLECTIONS, tmp_path)
    assert shared_payloads.payloads_of(collections, tmp_path) == own
    with (collections / PLUGINS / file).open("a") as module:
        module.write("\n")
    assert shared_payloads.payloads_of(collections, tmp_path) != own
