# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What makes a flow ok, and what breaks it."""

from __future__ import annotations

import pathlib
import socket
import typing as t

import pytest
from live import BLOCK_BYTES, PATIENCE_SECONDS, Carrier, block, judge, read_state, unwrap, wrap, write_whole
from topology import Flow

ASKED = 100.0
STATE = {"sent": 8, "errors": 0, "reason": None, "seconds_since_last": 4.5, "proven": 99.9, "written": 100.1}
INTERVAL = 0.5


@pytest.fixture
def ends() -> t.Iterator[tuple[Carrier, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        far.settimeout(1)
        yield Carrier(Flow("tcp", "tcp", "203.0.113.2", 1), near), far


@pytest.mark.parametrize(
    ("state", "ok", "reason"),
    [
        ({**STATE, "proven": 100.1}, True, None),
        ({**STATE, "proven": 100.1, "errors": 1, "reason": "reset"}, False, "reset"),
        (STATE, False, "block 8 has been without an echo for 4.5 s"),
        ({**STATE, "written": 99.9}, False, "its client does not run any more"),
        (None, False, "its client has not started"),
    ],
)
def test_judge(state: dict[str, t.Any] | None, ok: bool, reason: str | None) -> None:
    verdict = judge(state, ASKED)
    assert verdict["ok"] is ok
    assert verdict["reason"] == reason


def test_a_block_that_comes_back_in_pieces_counts(ends: tuple[Carrier, socket.socket]) -> None:
    carrier, far = ends
    carrier.step(0, INTERVAL)
    sent = far.recv(BLOCK_BYTES)
    far.send(sent[:100])
    carrier.step(0.1, INTERVAL)
    assert carrier.state(0.1)["last_sequence"] == 0
    far.send(sent[100:])
    carrier.step(0.2, INTERVAL)
    assert carrier.state(0.2) | {"started": 0} == {
        "proven": 0,
        "written": 0.2,
        "name": "tcp",
        "protocol": "tcp",
        "sent": 1,
        "received": 1,
        "last_sequence": 1,
        "errors": 0,
        "seconds_since_last": 0,
        "started": 0,
        "reason": None,
    }


def test_the_next_block_waits_for_its_time(ends: tuple[Carrier, socket.socket]) -> None:
    carrier, far = ends
    carrier.step(0, INTERVAL)
    far.send(far.recv(BLOCK_BYTES))
    carrier.step(0.1, INTERVAL)
    carrier.step(INTERVAL - 0.1, INTERVAL)
    assert carrier.sent == 1
    carrier.step(INTERVAL, INTERVAL)
    assert carrier.sent == 2
    assert far.recv(BLOCK_BYTES)[:4] == b"\x00\x00\x00\x02"


@pytest.mark.parametrize(
    ("answer", "now", "reason"),
    [
        (lambda far: far.send(bytes(BLOCK_BYTES)), 0.1, "the echo of block 1 is not what was sent"),
        (lambda far: far.send(far.recv(BLOCK_BYTES) * 2), 0.1, "the echo of block 1 is not what was sent"),
        (lambda far: far.shutdown(socket.SHUT_RDWR), 0.1, "the server closed the connection"),
        (lambda far: None, PATIENCE_SECONDS + 0.1, "no echo of block 1 for 10 s"),
    ],
)
def test_a_broken_flow_says_why_and_stays_broken(
    ends: tuple[Carrier, socket.socket], answer: t.Callable[[socket.socket], object], now: float, reason: str
) -> None:
    carrier, far = ends
    carrier.step(0, INTERVAL)
    answer(far)
    carrier.step(now, INTERVAL)
    carrier.step(now + INTERVAL, INTERVAL)
    assert (carrier.reason, carrier.errors, carrier.sent, carrier.waiting) == (reason, 1, 1, False)


def test_an_echo_request_carries_the_block() -> None:
    data = block(1)
    request = wrap("icmp", 65537, data)
    assert request[:8] == b"\x08\x00\x00\x00\x00\x00\x00\x01"
    assert unwrap("icmp", request) == data


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_block_begins_with_its_number(protocol: str) -> None:
    data = block(1)
    assert len(data) == BLOCK_BYTES
    assert wrap(protocol, 1, data)[:4] == b"\x00\x00\x00\x01"
    assert unwrap(protocol, data) == data


def test_state_is_read_by_name(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "router1.json"
    assert read_state(path) == {}
    write_whole(path, '[{"name": "udp", "sent": 1}]')
    assert read_state(path) == {"udp": {"name": "udp", "sent": 1}}
    assert [each.name for each in tmp_path.iterdir()] == ["router1.json"]
