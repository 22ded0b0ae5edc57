# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backup of a prune: nothing is deleted that is not in a file which is whole, wherever the module ends."""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
import re
import signal
import stat
import subprocess
import sys
import typing as t

import pytest
from helpers.kernel_entries import LASTING, fill, settable, shown
from helpers.local_attacker import Ground
from helpers.support import (
    ModuleResult,
    assert_refused,
    children,
    give_arguments,
    module_path,
    network_namespace,
    run,
    run_module,
    wait_until,
    with_default_signals,
)

ENTRIES = 1000
LARGE = 40_000
ALL: dict[str, t.Any] = {"match": "family=ipv4,ipv6", "protect_helpers": False}
WAYS: list[dict[str, t.Any]] = [{}, {"max_delete": ENTRIES}, {"confirm_idle": "1s"}]
"""Options by which the table is read and pruned in another order."""


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("backup") as name:
        yield name


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "deep" / "backups"


def insert(netns: str, number: int = ENTRIES) -> None:
    """Make entries that differ in their source alone."""
    lines = [
        f"-A -p udp -s 10.0.{each // 250}.{each % 250} -d 10.1.0.1 --sport 1000 --dport 53 -t 600 -u SEEN_REPLY\n"
        for each in range(number)
    ]
    run(["conntrack", "-R", "-"], netns=netns, text="".join(lines))


def sources(text: str) -> set[str]:
    """Return the sources of the entries that conntrack(8) lists, or that are in a backup."""
    return set(re.findall(r"(?: src=|^-A .* -s )(10\.0\.\d+\.\d+)", text, re.MULTILINE))


def table(netns: str) -> set[str]:
    return sources(run(["conntrack", "-L"], netns=netns))


def prune(netns: str, directory: pathlib.Path, *, check: bool = False, **args: t.Any) -> ModuleResult:
    options = {**ALL, "backup": True, "backup_dir": str(directory), **args}
    return run_module("conntrack_prune", options, netns=netns, check=check)


def whole_backups(directory: pathlib.Path) -> list[str]:
    """Return the texts of the backups that have their last line, with the number of entries that it says."""
    texts = [path.read_text() for path in sorted(directory.glob("*.save"))]
    return [text for text in texts if text.endswith(f"\n# complete {text.count('-A ')}\n")]


def without_times(listed: str) -> list[str]:
    return sorted(re.sub(r"^(\S+ +\d+ \S+ +\d+) \d+| use=\d+| helper=\S+", r"\1", line) for line in listed.splitlines())


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_the_backup_restores_the_table(netns: str, directory: pathlib.Path, options: dict[str, t.Any]) -> None:
    run(["sysctl", "-qw", *LASTING], netns=netns)
    fill(netns)
    run(["conntrack", "-D", "-p", "dccp"], netns=netns)
    before = shown(netns, "extended")
    result = prune(netns, directory, **options).data
    assert result["deleted"] > 30
    path = pathlib.Path(result["backup_file"])
    assert list(directory.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert len(whole_backups(directory)) == 1
    if "confirm_idle" in options:
        # What can have no second look stayed in the table.
        run(["conntrack", "-F"], netns=netns)
        before = "\n".join(line for line in before.splitlines() if "dport=4 " not in line)
    run(["conntrack", "-R", str(path)], netns=netns)
    restored = shown(netns, "extended")
    assert without_times(restored) == without_times(before)


def test_our_own_restore_gives_back_all_that_can_be_set(netns: str, directory: pathlib.Path) -> None:
    """Also labels, helpers and DCCP, for which the tool has no options or which it refuses."""
    run(["sysctl", "-qw", *LASTING], netns=netns)
    fill(netns)
    before = settable(netns)
    assert any("labels=" in line for line in before)
    assert any("helper=ftp" in line for line in before)
    result = prune(netns, directory).data
    assert result["deleted"] == len(before)
    assert shown(netns, "extended") == ""
    restored = run_module("conntrack_restore", {"src": result["backup_file"]}, netns=netns)
    assert not restored.failed, restored.msg
    assert (restored.data["restored"], restored.data["complete"]) == (result["deleted"], True)
    assert settable(netns) == before


def test_nothing_is_left_where_nothing_was_deleted(netns: str, directory: pathlib.Path) -> None:
    insert(netns, 10)
    assert prune(netns, directory, check=True).data["backup_file"] is None
    assert not directory.parent.exists()
    refused = prune(netns, directory, max_delete=5)
    assert_refused(refused, "max_delete: 5")
    assert refused.data["backup_file"] is None
    assert prune(netns, directory, match="source=192.0.2.1").data["backup_file"] is None
    assert list(directory.iterdir()) == []
    assert run_module("conntrack_prune", ALL, netns=netns).data["backup_file"] is None


DISKS = {
    "full": ("size=16k", "No space left on device"),
    "read_only": ("ro", "Read-only file system"),
}


@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
@pytest.mark.parametrize("options", WAYS, ids=str)
@pytest.mark.parametrize("disk", DISKS)
def test_a_disk_that_takes_no_backup(
    netns: str, tmp_path: pathlib.Path, disk: str, options: dict[str, t.Any], check: bool
) -> None:
    insert(netns)
    mount, words = DISKS[disk]
    here, after = tmp_path / "disk", tmp_path / "after"
    here.mkdir()
    script = f'mount -t tmpfs -o mode=700,{mount} none {here}; "$@"; code=$?; ls -A {here} > {after}; exit $code'
    result = run_module(
        "conntrack_prune",
        {**ALL, "backup": True, "backup_dir": str(here), **options},
        netns=netns,
        check=check,
        wrapper=["unshare", "-m", "sh", "-c", script, "sh"],
    )
    assert_refused(result, f"backup_dir: {str(here)!r}", words, "nothing was deleted", "backup: false")
    assert len(table(netns)) == ENTRIES
    assert after.read_text() == ""


@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
@pytest.mark.parametrize("place", ["link", "his", "open", "sticky"])
def test_a_place_where_others_decide(netns: str, tmp_path: pathlib.Path, place: str, check: bool) -> None:
    insert(netns, 10)
    ground = Ground(tmp_path)
    (ground.sticky / "link").symlink_to(ground.roots)
    os.lchown(ground.sticky / "link", 65534, 65534)
    directory = ground.sticky / "link" if place == "link" else getattr(ground, place)
    assert_refused(prune(netns, directory / "backups", check=check), "backup_dir: ", str(directory))
    assert len(table(netns)) == 10
    assert not (ground.roots / "backups").exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"backup_dir": "backups"}, "backup_dir: 'backups' is not absolute"),
        ({"backup_dir": "/etc/passwd"}, "backup_dir: '/etc/passwd' cannot take the backup (Not a directory)"),
        ({"backup_keep": 0}, "backup_keep: 0 is less than 1"),
    ],
)
def test_options_that_make_no_sense(netns: str, directory: pathlib.Path, args: dict[str, t.Any], words: str) -> None:
    insert(netns, 10)
    assert_refused(prune(netns, directory, **args), words)
    assert len(table(netns)) == 10


def test_the_newest_backups_stay(netns: str, directory: pathlib.Path) -> None:
    directory.mkdir(parents=True)
    old = "20200101T000000.000000Z-00000000.save"
    strange = ["20200101T000000.000000Z-00000000.save.bak", "notes", "20200101T000000.000000Z-customer1-00000000.save"]
    for name in (old, *strange):
        (directory / name).write_text("# first\n# complete 0\n")
    (directory / "29990101T000000.000000Z-00000000.save").write_text("# killed before its end\n-A -t 1\n")
    paths = []
    for _number in range(3):
        insert(netns, 10)
        paths.append(prune(netns, directory, backup_keep=2).data["backup_file"])
    left = sorted(path.name for path in directory.iterdir())
    assert left == sorted([*strange, *(os.path.basename(path) for path in paths[1:])])


def test_a_backup_in_use_stays(netns: str, directory: pathlib.Path) -> None:
    directory.mkdir(parents=True)
    used = directory / "20200101T000000.000000Z-00000000.save"
    used.write_text("# first\n# complete 0\n")
    insert(netns, 10)
    with used.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = prune(netns, directory, backup_keep=1).data
    assert sorted(directory.iterdir()) == [used, pathlib.Path(result["backup_file"])]


def test_the_name_tells_the_namespace(netns: str, directory: pathlib.Path) -> None:
    insert(netns, 10)
    options = {**ALL, "backup": True, "backup_dir": str(directory), "netns": netns}
    result = run_module("conntrack_prune", options).data
    name = os.path.basename(result["backup_file"])
    assert re.fullmatch(rf"\d{{8}}T\d{{6}}\.\d{{6}}Z-{netns.replace('-', '_')}-[0-9a-f]{{8}}-[0-9a-f]{{8}}\.save", name)


# The module is stopped after some calls of a function, and ended there.
_SLOW = """
import os, time
import ansible_collections.netops.conntrack.plugins.module_utils.{module} as module

def slow(*arguments, wrapped={name}, **options):
    answer = wrapped(*arguments, **options)
    slow.calls += 1
    if slow.calls == {calls}:
        open(os.environ["REACHED"], "w").close()
        time.sleep(2)
    return answer

slow.calls = 0
{name} = slow
"""


def itself(pid: int) -> set[int]:
    return {pid}


def ended(
    netns: str,
    tmp_path: pathlib.Path,
    args: dict[str, t.Any],
    at: str,
    calls: int,
    number: signal.Signals,
    whom: t.Callable[[int], set[int]] = itself,
) -> str:
    """Run the module, and return what it printed.

    After some ``calls`` of the function ``at``, the processes that ``whom`` returns for it get a signal.
    """
    util, _colon, name = at.partition(":")
    (tmp_path / "sitecustomize.py").write_text(_SLOW.format(module=util, name=f"module.{name}", calls=calls))
    reached = tmp_path / "reached"
    command = [sys.executable, "-m", "ansible_collections.netops.conntrack.plugins.modules.conntrack_prune"]
    with subprocess.Popen(
        ["ip", "netns", "exec", netns, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{module_path()}", "REACHED": str(reached)},
        preexec_fn=with_default_signals,
    ) as process:
        assert process.stdout
        give_arguments(process, args)
        wait_until(reached.exists)
        processes = whom(process.pid)
        assert processes
        for pid in processes:
            os.kill(pid, number)
        return process.stdout.read()


_SEND = "_table.writable:WritableTable._send"
_BACKUP = "_entry_changes.backup:Backup"
POINTS = [
    *((_SEND, calls) for calls in (1, 2, 8, 15)),
    (f"{_BACKUP}.write", 1),
    (f"{_BACKUP}.restart", 1),
    (f"{_BACKUP}.complete", 1),
]


@pytest.mark.parametrize("options", WAYS, ids=str)
@pytest.mark.parametrize(("at", "calls"), POINTS)
def test_a_killed_prune_has_deleted_nothing_that_is_not_in_a_backup(
    netns: str, tmp_path: pathlib.Path, directory: pathlib.Path, at: str, calls: int, options: dict[str, t.Any]
) -> None:
    insert(netns)
    before = table(netns)
    args = {**ALL, "backup": True, "backup_dir": str(directory), "backup_keep": 1, **options}
    assert ended(netns, tmp_path, args, at, calls, signal.SIGKILL) == ""
    gone = before - table(netns)
    deletes = calls if at == _SEND else 0
    # With a second look, every other request is a delete.
    assert len(gone) == 64 * (deletes // 2 if "confirm_idle" in options else deletes)
    assert gone <= set().union(*map(sources, whole_backups(directory)))
    assert prune(netns, directory, backup_keep=1).data["deleted"] == ENTRIES - len(gone)
    assert len(list(directory.iterdir())) == len(whole_backups(directory)) == 1


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="with one processor there is no second process")
@pytest.mark.parametrize("whom", [itself, children])
def test_nothing_is_deleted_where_one_of_two_processes_is_killed(
    netns: str, tmp_path: pathlib.Path, directory: pathlib.Path, whom: t.Callable[[int], set[int]]
) -> None:
    """The table is so large that a second process reads it, and is not at its end when the first lines are written."""
    insert(netns, LARGE)
    args = {**ALL, "backup": True, "backup_dir": str(directory)}
    printed = ended(netns, tmp_path, args, f"{_BACKUP}.write", 1, signal.SIGKILL, whom)
    assert whole_backups(directory) == []
    if whom is children:
        answer = json.loads(printed)
        assert answer["failed"]
        assert "has ended early. Run it again." in answer["msg"]
        assert (answer["changed"], answer["backup_file"]) == (False, None)
        assert list(directory.iterdir()) == []
    assert len(table(netns)) == LARGE
    assert prune(netns, directory, backup_keep=1).data["deleted"] == LARGE
    [text] = whole_backups(directory)
    assert len(sources(text)) == LARGE
    assert len(list(directory.iterdir())) == 1


def test_a_prune_that_a_signal_stops_says_where_the_backup_is(
    netns: str, tmp_path: pathlib.Path, directory: pathlib.Path
) -> None:
    insert(netns)
    args = {**ALL, "backup": True, "backup_dir": str(directory)}
    answer = json.loads(ended(netns, tmp_path, args, _SEND, 2, signal.SIGTERM))
    assert answer["deleted"] == 128
    assert answer["backup_file"] in answer["msg"]
    assert sources(pathlib.Path(answer["backup_file"]).read_text()) >= {f"10.0.0.{each}" for each in range(250)}


def test_a_signal_before_the_first_delete_leaves_no_file(
    netns: str, tmp_path: pathlib.Path, directory: pathlib.Path
) -> None:
    insert(netns)
    args = {**ALL, "backup": True, "backup_dir": str(directory)}
    answer = json.loads(ended(netns, tmp_path, args, f"{_BACKUP}.complete", 1, signal.SIGTERM))
    assert (answer["changed"], answer["backup_file"], len(table(netns))) == (False, None, ENTRIES)
    assert list(directory.iterdir()) == []
