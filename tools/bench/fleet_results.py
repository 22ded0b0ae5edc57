# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the benchmark of the fleet measures, as plain data that goes to JSON and back."""

from __future__ import annotations

import dataclasses
import typing as t

PING, AUDIT, REPORT, BY_HAND = "ping", "audit", "report", "by hand"
"""What is done: one task of ansible.builtin.ping; the playbooks of these names; the playbook that comes to mind."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """One whole process of ansible-playbook.

    ``seconds`` are those on the clock, ``task_seconds`` those from the first task to the end. Seconds of a processor:
    ``processor`` for Ansible with its workers and all of their ssh, ``main_processor`` for its main process alone,
    ``routers`` for the modules and the sshd of all routers. ``megabytes`` (10**6 bytes) is the peak of the main
    process, and ``sent`` and ``received`` are the bytes on the wires to the routers.
    """

    seconds: float
    task_seconds: float
    processor: float
    main_processor: float
    routers: float
    megabytes: float
    sent: int
    received: int


@dataclasses.dataclass(frozen=True)
class Contest:
    """All sides in turn on so many ``hosts`` with so many ``forks``: number i of each side is of the same round."""

    hosts: int
    forks: int
    sides: dict[str, list[Cost]]


@dataclasses.dataclass(frozen=True)
class Memory:
    """The peak of the memory of all processes of an audit on the controller, open connections not among them."""

    hosts: int
    forks: int
    megabytes: float


@dataclasses.dataclass(frozen=True)
class Results:
    """All that one run of the benchmark measured, on what, and on which day.

    ``idle`` is how many processors were busy before, with nothing measured. ``contest`` is the one that has a bar;
    ``growth`` has others, ``memory`` and ``connection_megabytes`` (one open connection) come with them.
    """

    measured: str
    machine: dict[str, str | int]
    entries: int
    idle: float
    contest: Contest
    growth: list[Contest]
    memory: list[Memory]
    connection_megabytes: float | None


def from_json(data: dict[str, t.Any]) -> Results:
    """Return the results that `dataclasses.asdict` made ``data`` of. Raises KeyError or TypeError for anything else."""
    return Results(
        **{
            **data,
            "contest": _contest(data["contest"]),
            "growth": [_contest(each) for each in data["growth"]],
            "memory": [Memory(**each) for each in data["memory"]],
        }
    )


def _contest(data: dict[str, t.Any]) -> Contest:
    return Contest(
        **{**data, "sides": {name: [Cost(**cost) for cost in costs] for name, costs in data["sides"].items()}}
    )
