# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which SSH connections are the process's own, and which entries are theirs; /proc is a directory of the test's."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import sys

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._management import (
    Connection,
    is_management,
    management_connections,
)
from ansible_collections.netops.conntrack.plugins.module_utils._wire import TCP, UDP, Direction, Entry

CLIENT, SERVER, PUBLIC = (socket.inet_aton(text) for text in ("198.51.100.9", "198.51.100.1", "203.0.113.1"))
SSH = Connection(CLIENT, 40000, SERVER, 22)


def process(proc: pathlib.Path, pid: int, parent: int, environ: bytes | None = b"HOME=/\0", name: str = "sh") -> None:
    directory = proc / str(pid)
    directory.mkdir()
    (directory / "stat").write_text(f"{pid} ({name}) S {parent} 1 1 0 -1\n")
    if environ is not None:
        (directory / "environ").write_bytes(environ)


def connections_of(proc: pathlib.Path, value: str) -> frozenset[Connection]:
    process(proc, 100, 0, f"HOME=/\0SSH_CONNECTION={value}\0".encode())
    return management_connections(100, str(proc))


@pytest.mark.parametrize(
    ("value", "source", "destination"),
    [
        ("198.51.100.9 40000 198.51.100.1 22", CLIENT, SERVER),
        ("::ffff:198.51.100.9 40000 ::ffff:198.51.100.1 22", CLIENT, SERVER),
        (
            "fe80::9%eth0 40000 fe80::1%eth0 22",
            socket.inet_pton(socket.AF_INET6, "fe80::9"),
            socket.inet_pton(socket.AF_INET6, "fe80::1"),
        ),
    ],
)
def test_addresses(tmp_path: pathlib.Path, value: str, source: bytes, destination: bytes) -> None:
    assert connections_of(tmp_path, value) == {(source, 40000, destination, 22)}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "UNKNOWN 65535 UNKNOWN 65535",
        "198.51.100.9 40000 198.51.100.1",
        "198.51.100.9 40000 198.51.100.1 22 x",
        "198.51.100.9 0 198.51.100.1 22",
        "198.51.100.9 65536 198.51.100.1 22",
        "198.51.100.9 ssh 198.51.100.1 22",
        "198.51.100.999 40000 198.51.100.1 22",
        "198.51.100.9 40000 198.51.100.1 22\N{LATIN SMALL LETTER E WITH ACUTE}",
    ],
)
def test_malformed_values_are_passed_over(tmp_path: pathlib.Path, value: str) -> None:
    assert connections_of(tmp_path, value) == frozenset()


def test_all_ancestors_are_asked(tmp_path: pathlib.Path) -> None:
    process(tmp_path, 100, 90)
    process(tmp_path, 90, 80, environ=None, name="a (b) 7 c)")
    process(tmp_path, 80, 1, b"SSH_CONNECTION=198.51.100.9 40000 198.51.100.1 22\0")
    process(tmp_path, 1, 0, b"SSH_CONNECTION=198.51.100.9 40001 198.51.100.1 22\0")
    process(tmp_path, 70, 80, b"SSH_CONNECTION=198.51.100.9 40002 198.51.100.1 22\0")
    assert management_connections(100, str(tmp_path)) == {SSH, SSH._replace(source_port=40001)}


def test_a_circle_of_parents_ends(tmp_path: pathlib.Path) -> None:
    process(tmp_path, 100, 90, b"XSSH_CONNECTION=198.51.100.9 40000 198.51.100.1 22\0")
    process(tmp_path, 90, 100)
    assert management_connections(100, str(tmp_path)) == frozenset()


def test_a_process_that_is_gone(tmp_path: pathlib.Path) -> None:
    assert management_connections(100, str(tmp_path)) == frozenset()


def test_this_process_and_the_real_proc() -> None:
    code = (
        "from ansible_collections.netops.conntrack.plugins.module_utils._management import management_connections;"
        "print(sorted(end.source_port for end in management_connections()))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "SSH_CONNECTION": "198.51.100.9 51 198.51.100.1 22"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert "51" in done.stdout


def direction(source: bytes, source_port: int, destination: bytes, destination_port: int) -> Direction:
    ends = Direction()
    ends.source, ends.source_port = source, source_port
    ends.destination, ends.destination_port = destination, destination_port
    return ends


@pytest.mark.parametrize(
    ("original", "reply", "expected"),
    [
        ((CLIENT, 40000, SERVER, 22), (SERVER, 22, CLIENT, 40000), True),
        ((SERVER, 22, CLIENT, 40000), (CLIENT, 40000, SERVER, 22), True),
        ((CLIENT, 40000, PUBLIC, 2222), (SERVER, 22, CLIENT, 40000), True),
        ((CLIENT, 40000, SERVER, 22), (SERVER, 22, PUBLIC, 1024), True),
        ((CLIENT, 40001, SERVER, 22), (SERVER, 22, CLIENT, 40001), False),
        ((CLIENT, 40000, SERVER, 23), (SERVER, 23, CLIENT, 40000), False),
        ((CLIENT, 40000, PUBLIC, 22), (PUBLIC, 22, CLIENT, 40000), False),
        ((CLIENT, 22, SERVER, 40000), (SERVER, 40000, CLIENT, 22), False),
    ],
)
def test_entries(original: tuple[bytes, int, bytes, int], reply: tuple[bytes, int, bytes, int], expected: bool) -> None:
    entry = Entry(int(socket.AF_INET))
    entry.protocol = TCP
    entry.original, entry.reply = direction(*original), direction(*reply)
    assert is_management(entry, {SSH}) is expected
    assert is_management(entry, frozenset()) is False
    entry.protocol = UDP
    assert is_management(entry, {SSH}) is False
