# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook restore, on a router that is a network namespace."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import tempfile
import typing as t

import pytest
from helpers.json_routers import DEAD, RECAP
from helpers.namespace_hosts import NamespaceHost
from helpers.support import CHECKOUT, network_namespace, run, run_ansible

TUPLES = "-s 10.0.0.2 -d 192.0.2.1 -r 192.0.2.1 -q 10.0.0.2 -p tcp --sport 1001 --dport 80"
ENTRY = f"-A -t 1000 -u SEEN_REPLY,ASSURED {TUPLES} --reply-port-src 80 --reply-port-dst 1001 --state ESTABLISHED"


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("restore") as name:
        yield name


def play(
    directory: pathlib.Path, netns: str, *arguments: str, before: dict[str, dict[str, t.Any]] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the playbook on the namespace, and on the hosts that come ``before`` it."""
    inventory = directory / "inventory.json"
    host = NamespaceHost.make(directory, netns)
    inventory.write_text(json.dumps({"all": {"hosts": {**(before or {}), "router1": host.variables}}}))
    command = ["ansible-playbook", "netops.conntrack.restore", "-e", "target=all", *arguments]
    return run_ansible(command, inventory, directory)


def ports(netns: str) -> list[str]:
    listed = run(["conntrack", "-L"], netns=netns).split()
    return [word for word in listed if word.startswith("sport=")][::2]


def write(path: pathlib.Path, port: int) -> None:
    path.write_text(f"{ENTRY.replace('1001', str(port))}\n")


def copies() -> list[pathlib.Path]:
    return list(pathlib.Path(tempfile.gettempdir()).glob("netops-conntrack-*"))


@pytest.mark.parametrize("option", ["src", "controller_src"])
def test_a_file_is_restored(tmp_path: pathlib.Path, netns: str, option: str) -> None:
    path, before = tmp_path / "table.save", copies()
    write(path, 1001)
    checked = play(tmp_path, netns, "-e", f"{option}={path}", "--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "1 of 1 entries would be restored, 0 are in the table already, 0 have ended" in checked.stdout
    assert not ports(netns)
    done = play(tmp_path, netns, "-e", f"{option}={path}")
    assert f"{path}, written at 20" in done.stdout
    assert "1 of 1 entries were restored" in done.stdout
    assert "changed=1" in done.stdout
    assert ports(netns) == ["sport=1001"]
    again = play(tmp_path, netns, "-e", f"{option}={path}")
    assert "0 of 1 entries were restored, 1 are in the table already" in again.stdout
    assert "changed=0" in again.stdout
    assert copies() == before
    assert path.exists()


def test_a_path_is_relative_to_where_the_playbook_is_run(tmp_path: pathlib.Path, netns: str) -> None:
    write(tmp_path / "table.save", 1001)
    path = os.path.relpath(tmp_path / "table.save", CHECKOUT)
    done = play(tmp_path, netns, "-e", f"controller_src={path}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{path}, written at 20" in done.stdout
    assert ports(netns) == ["sport=1001"]


def test_the_copy_is_removed_after_a_failure(tmp_path: pathlib.Path, netns: str) -> None:
    path, before = tmp_path / "table.save", copies()
    path.write_text("nonsense\n")
    done = play(tmp_path, netns, "-e", f"controller_src={path}")
    assert done.returncode == 2
    assert "line 1: nonsense" in done.stdout
    assert copies() == before


@pytest.mark.parametrize("option", ["src", "controller_src", "directory"])
def test_a_batch_that_fails_does_not_hold_up_the_others(tmp_path: pathlib.Path, netns: str, option: str) -> None:
    backup, copied = tmp_path / "20261130T080000.000001Z-5d1f09c3.save", copies()
    write(backup, 1001)
    unplugged = NamespaceHost.make(tmp_path, "update-nowhere")
    unplugged.broken.touch()
    before = {"dead": DEAD, "unplugged": unplugged.variables}
    given = f"{option}={tmp_path if option == 'directory' else backup}"
    done = play(tmp_path, netns, "-e", "batch=1", "-e", given, before=before)
    assert done.returncode == 2, done.stdout + done.stderr
    assert ports(netns) == ["sport=1001"]
    recap = {name: line.split() for name, line in RECAP.findall(done.stdout)}
    assert {name for name, counts in recap.items() if "failed=1" in counts} == set(before)
    named = done.stdout.split("TASK [Fail by name]")[1]
    assert re.search("dead, .*Connection refused", named)
    assert re.search("unplugged, [A-Z]", named)
    assert copies() == copied


def test_the_newest_backup_is_taken(tmp_path: pathlib.Path, netns: str) -> None:
    directory = tmp_path / "backups"
    directory.mkdir()
    option = ("-e", f"directory={directory}")
    done = play(tmp_path, netns, *option)
    assert done.returncode == 2
    assert f"There is no backup in {directory}. Name a file" in " ".join(done.stdout.split())
    # The names say which is the newest. The times of the files may be those of a copy.
    for name in ("20261129T080000.000001Z", "20261130T080000.000001Z", "20261128T080000.000001Z"):
        write(directory / f"{name}-5d1f09c3.save", int(name[6:8]))
    # This one is of a network namespace.
    write(directory / "20261201T080000.000001Z-customer1-5d1f09c3.save", 9)
    done = play(tmp_path, netns, *option)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ports(netns) == ["sport=30"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-e", "src=/a", "-e", "controller_src=/b"), "not both"),
        (("-e", "scr=/a"), "Did you mean src?"),
        (("-e", "conntrack_restore_result=x"), "is a result of this collection"),
    ],
)
def test_bad_options_are_refused(tmp_path: pathlib.Path, netns: str, arguments: tuple[str, ...], words: str) -> None:
    done = play(tmp_path, netns, *arguments)
    assert done.returncode == 2
    assert words in " ".join(done.stdout.split())
    assert not ports(netns)
