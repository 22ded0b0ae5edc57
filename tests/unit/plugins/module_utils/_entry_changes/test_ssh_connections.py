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
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.ssh_connections import (
    Connection,
    is_management,
    management_connections,
    without_management,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import NotPermittedError
from ansible_collections.netops.conntrack.plugins.module_utils._uapi import TCP, UDP
from helpers.encoded_messages import blocks_of, entry_of

CLIENT, SERVER, PUBLIC = (socket.inet_aton(text) for text in ("198.51.100.9", "198.51.100.1", "203.0.113.1"))
SSH = Connection(CLIENT, 40000, SERVER, 22)
Ends = tuple[bytes, int, bytes, int]


def process(proc: pathlib.Path, pid: int, parent: int, environ: bytes | None = b"HOME=/\0", name: str = "sh") -> None:
    directory = proc / str(pid)
    directory.mkdir()
    # The numbers after the parent are those of the group and the session.
    (directory / "stat").write_text(f"{pid} ({name}) S {parent} {pid} {pid} 0 -1\n")
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


def test_each_port_is_one(tmp_path: pathlib.Path) -> None:
    [found] = connections_of(tmp_path, "198.51.100.9 65535 198.51.100.1 1")
    assert (found.source_port, found.destination_port) == (65535, 1)


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


@pytest.mark.parametrize("stat", ["", "90 (sh) S\n", "90 (sh) S x 90 90 0 -1\n"])
def test_of_a_process_without_a_parent_no_other_is_asked(tmp_path: pathlib.Path, stat: str) -> None:
    process(tmp_path, 100, 90)
    process(tmp_path, 90, 1)
    (tmp_path / "90" / "stat").write_text(stat)
    process(tmp_path, 1, 0, b"SSH_CONNECTION=198.51.100.9 40000 198.51.100.1 22\0")
    assert management_connections(100, str(tmp_path)) == frozenset()


@pytest.mark.parametrize("server", ["sshd", "sshd-session", "dropbear"])
def test_below_an_ssh_server_a_hidden_environment_is_an_error(tmp_path: pathlib.Path, server: str) -> None:
    process(tmp_path, 100, 90)
    process(tmp_path, 90, 80, environ=None, name="sudo")
    process(tmp_path, 80, 1, name=server)
    process(tmp_path, 1, 0, environ=None, name="systemd")
    with pytest.raises(NotPermittedError, match=r"process 90.*become: true"):
        management_connections(100, str(tmp_path))
    # One that tells the connection is enough.
    process(tmp_path, 110, 90, b"SSH_CONNECTION=198.51.100.9 40000 198.51.100.1 22\0")
    assert management_connections(110, str(tmp_path)) == {SSH}


def test_without_an_ssh_server_there_is_nothing_to_find(tmp_path: pathlib.Path) -> None:
    process(tmp_path, 100, 90)
    process(tmp_path, 90, 1, environ=None, name="cron")
    process(tmp_path, 1, 0, environ=None, name="systemd")
    assert management_connections(100, str(tmp_path)) == frozenset()


@pytest.mark.parametrize("server", ["sshd", "dropbear"])
def test_of_a_process_that_is_no_descendant_of_its_session_all_sessions_are_asked(
    tmp_path: pathlib.Path, server: str
) -> None:
    """As with async, run0(1) and systemd-run(1)."""
    process(tmp_path, 100, 1, name="python3")
    process(tmp_path, 1, 0, name="systemd")
    process(tmp_path, 80, 1, b"SSH_CONNECTION=198.51.100.9 40003 198.51.100.1 22\0", name=server)
    process(tmp_path, 81, 80, name=server)
    process(tmp_path, 82, 81, b"SSH_CONNECTION=198.51.100.9 40000 198.51.100.1 22\0")
    process(tmp_path, 83, 80, b"SSH_CONNECTION=198.51.100.9 40001 198.51.100.1 22\0")
    process(tmp_path, 84, 80, environ=None)
    process(tmp_path, 85, 1, b"SSH_CONNECTION=198.51.100.9 40002 198.51.100.1 22\0", name="cron")
    (tmp_path / "self").mkdir()
    assert management_connections(100, str(tmp_path)) == {SSH, SSH._replace(source_port=40001)}


def test_what_is_above_a_process_that_cannot_be_seen_is_unknown(tmp_path: pathlib.Path) -> None:
    """As where users see only their own processes (hidepid in proc(5))."""
    process(tmp_path, 100, 90)
    with pytest.raises(NotPermittedError, match="process 90"):
        management_connections(100, str(tmp_path))


def test_a_circle_of_parents_ends(tmp_path: pathlib.Path) -> None:
    process(tmp_path, 100, 90, b"XSSH_CONNECTION=198.51.100.9 40000 198.51.100.1 22\0")
    process(tmp_path, 90, 100)
    assert management_connections(100, str(tmp_path)) == frozenset()


def test_a_process_that_is_gone(tmp_path: pathlib.Path) -> None:
    assert management_connections(100, str(tmp_path)) == frozenset()


def test_this_process_and_the_real_proc() -> None:
    code = (
        "from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes"
        ".ssh_connections import management_connections;"
        "print(sorted(end.source_port for end in management_connections()))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "SSH_CONNECTION": "198.51.100.9 51 198.51.100.1 22"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert "51" in done.stdout


def fields(protocol: int, original: Ends, reply: Ends) -> dict[str, t.Any]:
    """Return the fields of an entry, each tuple being source, its port, destination, its port."""
    names = ("source", "source_port", "destination", "destination_port")
    turned = {f"reply_{name}": value for name, value in zip(names, reply)}
    return {"protocol": protocol, **dict(zip(names, original)), **turned}


ENTRIES: list[tuple[Ends, Ends, bool]] = [
    ((CLIENT, 40000, SERVER, 22), (SERVER, 22, CLIENT, 40000), True),
    ((SERVER, 22, CLIENT, 40000), (CLIENT, 40000, SERVER, 22), True),
    ((CLIENT, 40000, PUBLIC, 2222), (SERVER, 22, CLIENT, 40000), True),
    ((CLIENT, 40000, SERVER, 22), (SERVER, 22, PUBLIC, 1024), True),
    ((CLIENT, 40001, SERVER, 22), (SERVER, 22, CLIENT, 40001), False),
    ((CLIENT, 40000, SERVER, 23), (SERVER, 23, CLIENT, 40000), False),
    ((CLIENT, 40000, PUBLIC, 22), (PUBLIC, 22, CLIENT, 40000), False),
    ((CLIENT, 22, SERVER, 40000), (SERVER, 40000, CLIENT, 22), False),
]


@pytest.mark.parametrize(("original", "reply", "expected"), ENTRIES)
def test_entries(original: Ends, reply: Ends, expected: bool) -> None:
    entry = entry_of(fields(TCP, original, reply))
    assert is_management(entry, {SSH}) is expected
    assert is_management(entry, frozenset()) is False
    assert is_management(entry_of(fields(UDP, original, reply)), {SSH}) is False


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_blocks(protocol: int) -> None:
    [block] = blocks_of(*(fields(protocol, original, reply) for original, reply, _expected in ENTRIES))
    others = [row for row, (_original, _reply, own) in zip(block.rows, ENTRIES) if not own or protocol == UDP]
    assert without_management(block, {SSH}).rows == others
    assert without_management(block, frozenset()).rows == block.rows
