# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What conntrackd says of itself, as version 1.4.7 prints it, and which process is asked."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._pair.conntrackd import (
    DEFAULT_CONFIGURATION,
    Daemon,
    find_daemon,
    parse_statistics,
)

CACHES = """cache internal:
current active connections:	         120
connections created:		         300	failed:	           1
connections updated:		          40	failed:	           2
connections destroyed:		         180	failed:	           0

cache external:
current active connections:	           7
connections created:		           9	failed:	           0
connections updated:		           0	failed:	           0
connections destroyed:		           2	failed:	           0

traffic processed:
                   0 Bytes                         0 Pckts

UDP traffic (active device=hs-a):
                 384 Bytes sent                   48 Bytes recv
                   7 Pckts sent                    3 Pckts recv
                   1 Error send                    2 Error recv

UDP traffic (backup device=hs-b):
                   0 Bytes sent                    0 Bytes recv
                   0 Pckts sent                    0 Pckts recv
                   3 Error send                    0 Error recv

message tracking:
                   4 Malformed msgs                    5 Lost msgs

"""
NO_CACHES = """internal bypass:
connections new:		          11
connections updated:		          12
connections destroyed:		          13

external inject:
connections created:		          21	failed:	           1
connections updated:		          22	failed:	           0
connections destroyed:		          23	failed:	           1

traffic processed:
                   0 Bytes                         0 Pckts

"""


def test_with_both_caches() -> None:
    said = parse_statistics(CACHES)
    assert said["internal_cache"] == {
        "enabled": True, "entries": 120, "created": 300, "updated": 40, "destroyed": 180, "failed": 3
    }  # fmt: skip
    assert said["external_cache"] == {
        "enabled": True, "entries": 7, "created": 9, "updated": 0, "destroyed": 2, "failed": 0
    }  # fmt: skip
    # Over all links.
    assert (said["send_errors"], said["receive_errors"]) == (4, 2)
    assert (said["malformed_messages"], said["lost_messages"]) == (4, 5)


def test_without_caches() -> None:
    said = parse_statistics(NO_CACHES)
    assert said["internal_cache"] == {
        "enabled": False, "entries": None, "created": 11, "updated": 12, "destroyed": 13, "failed": None
    }  # fmt: skip
    assert said["external_cache"] == {
        "enabled": False, "entries": None, "created": 21, "updated": 22, "destroyed": 23, "failed": 2
    }  # fmt: skip
    assert (said["send_errors"], said["lost_messages"]) == (None, None)


@pytest.mark.parametrize("text", ["", "cache stats:\ncurrent active connections:\t 5\n", "\n\n:\n", "\x00"])
def test_what_is_about_no_pair(text: str) -> None:
    assert set(parse_statistics(text).values()) == {None}


class Process(t.NamedTuple):
    """A process as proc(5) shows it."""

    pid: int
    name: str = "conntrackd"
    arguments: tuple[str, ...] = ("conntrackd", "-d")
    netns: str = "/proc/self/ns/net"

    def write(self, proc: pathlib.Path) -> None:
        (proc / str(self.pid) / "ns").mkdir(parents=True)
        (proc / str(self.pid) / "comm").write_text(f"{self.name}\n")
        (proc / str(self.pid) / "cmdline").write_text("".join(f"{word}\0" for word in self.arguments))
        (proc / str(self.pid) / "ns" / "net").symlink_to(self.netns)
        (proc / str(self.pid) / "root").symlink_to("/")


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the user of the tests for root."""
    name = "ansible_collections.netops.conntrack.plugins.module_utils._pair.conntrackd._ROOT"
    monkeypatch.setattr(name, os.getuid())


@pytest.mark.usefixtures("mine")
def test_the_one_of_this_network_namespace_is_found(tmp_path: pathlib.Path) -> None:
    other = tmp_path / "another-namespace"
    other.touch()
    Process(7, name="sshd").write(tmp_path)
    Process(8, netns=str(other)).write(tmp_path)
    Process(10, arguments=("/usr/sbin/conntrackd", "-C", "/etc/a.conf", "-d")).write(tmp_path)
    (tmp_path / "9").mkdir()  # it has just ended
    assert find_daemon(str(tmp_path)) == Daemon(10, "/etc/a.conf", sees_same_files=True)


@pytest.mark.usefixtures("mine")
def test_its_configuration_is_the_usual_one_unless_given(tmp_path: pathlib.Path) -> None:
    Process(7).write(tmp_path)
    assert find_daemon(str(tmp_path)) == Daemon(7, DEFAULT_CONFIGURATION, sees_same_files=True)


def test_that_of_another_user_is_not_asked(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "ansible_collections.netops.conntrack.plugins.module_utils._pair.conntrackd._ROOT"
    monkeypatch.setattr(name, os.getuid() + 1)
    Process(7, arguments=("conntrackd", "-C", "/tmp/evil.conf")).write(tmp_path)
    assert find_daemon(str(tmp_path)) is None


@pytest.mark.parametrize(
    ("daemon", "why"),
    [
        (Daemon(1, "/etc/a.conf", sees_same_files=False), "It runs in a container."),
        (Daemon(1, "a.conf", sees_same_files=True), "relative path, -C a.conf"),
        (Daemon(1, "/nowhere/a.conf", sees_same_files=True), "conntrackd -C /nowhere/a.conf -s: "),
    ],
)
def test_why_it_says_nothing(daemon: Daemon, why: str) -> None:
    said, problem = daemon.statistics()
    assert said is None
    assert why in (problem or "")
