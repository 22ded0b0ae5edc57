# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections over a router with NAT, between real sockets, go on after their entries were deleted and restored."""

from __future__ import annotations

import pathlib
import socket
import threading
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from helpers.nat_path import Path, listening, nat_path, opened
from helpers.support import run, run_module

MEGABYTES = 8 << 20
"""More than fits into any window, so that both ends scale theirs."""


def delete_and_restore(path: Path, directory: pathlib.Path, output: str | None) -> None:
    """Delete all entries, and restore them as they were, from a listing of the tool or a backup of the prune."""
    before = path.tuples()
    if output is None:
        options = {"match": "family=ipv4,ipv6", "backup": True, "backup_dir": str(directory / "backups")}
        pruned = run_module("conntrack_prune", options, netns=path.router)
        assert pruned.data["deleted"] == len(before)
        file = pruned.data["backup_file"]
    else:
        file = str(directory / "table")
        pathlib.Path(file).write_text(run(["conntrack", "-L", "-o", output], netns=path.router))
        run(["conntrack", "-F"], netns=path.router)
    assert path.tuples() == []
    result = run_module("conntrack_restore", {"src": file}, netns=path.router)
    assert (result.data["restored"], result.data["refused"]) == (len(before), 0)
    assert path.tuples() == before


@pytest.fixture
def path() -> t.Iterator[Path]:
    with nat_path() as built:
        yield built


def transfer(sender: socket.socket, receiver: socket.socket) -> None:
    """Send more than fits into any window, and assert that all of it arrives."""
    thread = threading.Thread(target=sender.sendall, args=(bytes(MEGABYTES),))
    thread.start()
    received = 0
    while received < MEGABYTES:
        data = receiver.recv(1 << 16)
        assert data
        received += len(data)
    thread.join()


@pytest.mark.parametrize("output", ["save", None])
@pytest.mark.parametrize(("caller", "address"), [("client", ("203.0.113.2", 80)), ("server", ("203.0.113.1", 8080))])
def test_tcp_goes_on_with_its_ports(
    path: Path, tmp_path: pathlib.Path, caller: str, address: tuple[str, int], output: str | None
) -> None:
    listener = listening(path.server, 80) if caller == "client" else listening(path.client, 9090)
    with listener, opened(getattr(path, caller), socket.SOCK_STREAM) as client:
        client.connect(address)
        accepted, _peer = listener.accept()
        accepted.settimeout(30)
        with accepted:
            transfer(client, accepted)
            transfer(accepted, client)
            delete_and_restore(path, tmp_path, output)
            before = path.tuples("-p", "tcp")
            transfer(accepted, client)
            transfer(client, accepted)
            assert path.tuples("-p", "tcp") == before
            assert len(before) == 1
            assert path.invalid() == 0


def test_without_a_restore_it_does_not_go_on(path: Path) -> None:
    """The judge of the test before: a new entry has another port, which the server does not know."""
    with listening(path.server, 80) as listener, opened(path.client, socket.SOCK_STREAM) as client:
        client.connect(("203.0.113.2", 80))
        accepted, _peer = listener.accept()
        with accepted:
            transfer(client, accepted)
            run(["conntrack", "-F"], netns=path.router)
            client.settimeout(3)
            client.sendall(b"x" * 99)
            with pytest.raises(OSError, match=r"reset|timed out"):
                client.recv(99)


@pytest.mark.parametrize("output", ["extended", None])
def test_udp_and_icmp_go_on_with_their_numbers(path: Path, tmp_path: pathlib.Path, output: str | None) -> None:
    echo = bytes.fromhex("0800f7fd00010001")
    raw = socket.SOCK_RAW
    with opened(path.server, socket.SOCK_DGRAM) as server, opened(path.client, socket.SOCK_DGRAM) as client:
        server.bind(("0.0.0.0", 53))
        client.connect(("203.0.113.2", 53))
        client.send(b"a")
        _data, peer = server.recvfrom(99)
        with inside(path.client):
            pinger = socket.socket(socket.AF_INET, raw, socket.IPPROTO_ICMP)
        pinger.settimeout(30)
        with pinger:
            pinger.sendto(echo, ("203.0.113.2", 0))
            assert pinger.recv(99)
            # What the tool saves does not have the translated number of ICMP.
            delete_and_restore(path, tmp_path, output)
            before = path.tuples()
            # The server answers to the port that it knows, before the client sends again.
            server.sendto(b"b", peer)
            assert client.recv(99) == b"b"
            client.send(b"c")
            assert server.recvfrom(99) == (b"c", peer)
            pinger.sendto(echo, ("203.0.113.2", 0))
            assert pinger.recv(99)
        assert path.tuples() == before
        assert len(before) == 2
        assert path.invalid() == 0
