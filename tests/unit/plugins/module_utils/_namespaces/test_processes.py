# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes and their namespaces, on files that look like /proc: two processes are together if their file is one."""

from __future__ import annotations

import os
import pathlib
import shutil
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._namespaces.control_groups import Owner
from ansible_collections.netops.conntrack.plugins.module_utils._namespaces.processes import (
    find_processes,
    sees_the_whole_machine,
)
from ansible_collections.netops.conntrack.plugins.module_utils._netns import Identity, identity


class Proc:
    """A directory like /proc."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        (path / "namespaces").mkdir()

    def add(self, pid: int, namespace: str, comm: bytes = b"sleep\n", groups: str = "0::/\n") -> None:
        directory = self.path / str(pid)
        (directory / "ns").mkdir(parents=True)
        (directory / "comm").write_bytes(comm)
        (directory / "cgroup").write_text(groups)
        file = self.path / "namespaces" / namespace
        file.touch()
        os.link(file, directory / "ns" / "net")

    def identity(self, namespace: str) -> Identity:
        return identity(os.stat(self.path / "namespaces" / namespace))


@pytest.fixture
def proc(tmp_path: pathlib.Path) -> Proc:
    proc = Proc(tmp_path)
    proc.add(1, "host", b"systemd\n", "0::/init.scope\n")
    return proc


def test_each_namespace_has_its_processes(proc: Proc) -> None:
    proc.add(10, "a")
    proc.add(9, "a", b"nginx\n", "0::/system.slice/nginx.service\n")
    proc.add(200, "b")
    (proc.path / "self").mkdir()
    processes = find_processes(str(proc.path))
    assert processes.pids == {proc.identity("host"): [1], proc.identity("a"): [9, 10], proc.identity("b"): [200]}
    assert (processes.hidden, processes.lists_all) == (0, True)
    holder = processes.holder(proc.identity("a"))
    assert holder == (9, "nginx", Owner("unit", "nginx.service", None, None))


def test_a_process_that_ends_is_no_error(proc: Proc) -> None:
    proc.add(9, "a")
    proc.add(10, "a", b"other\n")
    (proc.path / "11").mkdir()
    processes = find_processes(str(proc.path))
    assert 11 not in [pid for pids in processes.pids.values() for pid in pids]
    shutil.rmtree(proc.path / "9")
    holder = processes.holder(proc.identity("a"))
    assert holder
    assert holder.pid == 10
    shutil.rmtree(proc.path / "10")
    assert processes.holder(proc.identity("a")) is None


def test_a_number_that_was_given_to_another_process_is_not_taken(proc: Proc) -> None:
    proc.add(9, "a")
    processes = find_processes(str(proc.path))
    shutil.rmtree(proc.path / "9")
    proc.add(9, "b")
    assert processes.holder(proc.identity("a")) is None


def test_hostile_names_are_read_up_to_a_bound(proc: Proc) -> None:
    proc.add(9, "a", b"\xff\x1b]0;owned\x07\n", "0::/" + "x" * 100_000 + ".service\n")
    holder = find_processes(str(proc.path)).holder(proc.identity("a"))
    assert holder
    assert holder.process == "\ufffd\x1b]0;owned\x07"
    assert holder.owner is None


def test_hidden_processes_are_counted(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    for pid in (9, 10, 11):
        proc.add(pid, "a")
    real = os.stat
    refused = f"{proc.path}/9/ns/net"
    ends = f"{proc.path}/10/ns/net"

    def stat(path: str, *args: t.Any, **options: t.Any) -> os.stat_result:
        if path == ends:
            # The kernel says so of a process that ends at this moment, too.
            shutil.rmtree(proc.path / "10")
        if path in (refused, ends):
            raise PermissionError(path)
        return real(path, *args, **options)

    monkeypatch.setattr(os, "stat", stat)
    processes = find_processes(str(proc.path))
    assert processes.hidden == 1
    assert processes.pids[proc.identity("a")] == [11]


def test_without_number_1_others_are_hidden(proc: Proc) -> None:
    proc.add(9, "a")
    shutil.rmtree(proc.path / "1")
    assert find_processes(str(proc.path)).lists_all is False


def test_a_container_does_not_see_the_whole_machine(tmp_path: pathlib.Path) -> None:
    assert sees_the_whole_machine(str(tmp_path)) is True
    (tmp_path / "self" / "ns").mkdir(parents=True)
    (tmp_path / "self" / "ns" / "pid").touch()
    assert sees_the_whole_machine(str(tmp_path)) is False
