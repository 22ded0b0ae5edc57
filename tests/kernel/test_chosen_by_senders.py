# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whoever sends packets through a router cannot make reading its table slow: real packets, and dumps from memory."""

from __future__ import annotations

import sys
import time
import typing as t

import pytest
from bench import hostile
from helpers.support import network_namespace, run, run_module

ENTRIES = 20_000
FLOOD, CONTROL = 2**61 - 1, 2**61 + 12_345
"""The steps between IPv6 addresses that all have one hash as numbers, and between those of which each has another."""

SEND = """
import ipaddress, socket, sys
entries, step = map(int, sys.argv[1:])
base = int(ipaddress.ip_address("2a00::1234"))
sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
for number in range(entries):
    sender.sendto(b"x", (str(ipaddress.ip_address(base + number * step)), 53))
"""
TRACK = """
table inet track {
  chain output { type filter hook output priority 0; ct state new counter; }
  chain input { type filter hook input priority 0; meta l4proto udp drop; }
}
"""


@pytest.fixture(scope="module")
def netns() -> t.Iterator[str]:
    with network_namespace("chosen") as name:
        run(["ip", "-6", "route", "add", "local", "2000::/3", "dev", "lo"], netns=name)
        run(["nft", "-f", "-"], netns=name, text=TRACK)
        yield name


def fill(netns: str, step: int) -> None:
    run(["conntrack", "--flush"], netns=netns)
    run([sys.executable, "-c", SEND, str(ENTRIES), str(step)], netns=netns)


def seconds(netns: str, module: str, args: dict[str, t.Any]) -> float:
    """Return the least time of three runs."""
    times = []
    for _round in range(3):
        began = time.perf_counter()
        result = run_module(module, {**args, "netns": netns}, timeout=300)
        times.append(time.perf_counter() - began)
        assert not result.failed, result.msg
    return min(times)


@pytest.mark.parametrize(
    ("module", "args"),
    [
        ("conntrack_facts", {"gather_subset": ["table", "selectors"]}),
        ("conntrack_info", {"group_by": ["destination"], "limit": 5}),
    ],
    ids=["facts", "info"],
)
def test_addresses_with_one_hash_take_no_longer(netns: str, module: str, args: dict[str, t.Any]) -> None:
    fill(netns, CONTROL)
    control = seconds(netns, module, args)
    fill(netns, FLOOD)
    assert seconds(netns, module, args) < 2 * control


def cpu_seconds(kind: str, work: str) -> float:
    """Return the least processor time that ``work`` takes with a table of that kind, in three runs."""
    answer = list(hostile.datagrams(hostile.kinds(60_000)[kind]()))
    times = []
    for _round in range(3):
        began = time.process_time()
        hostile.works()[work](hostile.MemoryTable(answer))
        times.append(time.process_time() - began)
    return min(times)


@pytest.mark.parametrize(
    ("kind", "control"),
    [("few-chains", "few-control"), ("mark-chains", "mark-control"), ("six-both", "six-control")],
)
def test_chosen_values_take_no_longer(kind: str, control: str) -> None:
    assert cpu_seconds(kind, "summary") < 3 * cpu_seconds(control, "summary")


def test_all_protocols_take_little_longer() -> None:
    assert cpu_seconds("all-protocols", "summary") < 6 * cpu_seconds("protocols-control", "summary")
