# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is done to a whole fleet, and what it costs: the controller, the network, and everything on this machine."""

from __future__ import annotations

import json
import os
import pathlib
import time
import typing as t

import access
from bench.controller import Controller
from bench.errors import BenchError
from bench.fleet_results import AUDIT, BY_HAND, PING, REPORT, Cost
from bench.proc import megabytes, since, titled, tree_megabytes, used
from helpers.support import run
from processes import inside
from record import Lab
from topology import Router

BY_HAND_TASKS: tuple[dict[str, t.Any], ...] = (
    {
        "name": "Read the settings",
        "ansible.builtin.command": "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max "
        "net.netfilter.nf_conntrack_buckets net.netfilter.nf_conntrack_acct "
        "net.netfilter.nf_conntrack_tcp_loose net.netfilter.nf_conntrack_tcp_timeout_established",
        "register": "settings",
        "changed_when": False,
    },
    {
        "name": "List the table",
        "ansible.builtin.command": "conntrack -L",
        "register": "listing",
        "changed_when": False,
    },
    {
        "name": "Count the stale entries",
        "ansible.builtin.shell": "conntrack -L | grep ESTABLISHED | grep -c UNREPLIED",
        "register": "stale",
        "changed_when": False,
        "failed_when": "stale.rc > 1",
    },
    {
        "name": "Show them",
        "ansible.builtin.debug": {
            "msg": "{{ settings.stdout_lines }}, {{ listing.stdout_lines | length }} entries, {{ stale.stdout }} stale"
        },
    },
)
"""The playbook that comes to mind: no counts but two, no findings, no report."""

_NET = pathlib.Path("/sys/class/net")
_SAMPLE_SECONDS = 0.5


class Fleet:
    """The routers of a lab by their names in an inventory, and what is run on the first so many of them."""

    def __init__(self, lab: Lab, home: pathlib.Path, copies: int = 1) -> None:
        """Prepare a controller whose files are in ``home``, made here. Each router has so many names: ``copies``."""
        home.mkdir(exist_ok=True)
        self.routers = {
            f"{router.name}-{copy}" if copy else router.name: router for copy in range(copies) for router in lab.routers
        }
        inventory = lab.inventory
        if copies > 1:
            inventory = home / "inventory.yml"
            addresses = {name: {"ansible_host": router.address} for name, router in self.routers.items()}
            inventory.write_text(access.inventory_of(lab.ssh, lab.prefix, addresses))
        self._controller = Controller(inventory, home)
        self._lab, self._home = lab, home

    @property
    def size(self) -> int:
        """The number of names."""
        return len(self.routers)

    def warm_up(self, hosts: t.Iterable[int], forks: int) -> None:
        """Open all connections, and write the report that REPORT reads for each of the numbers ``hosts``."""
        for number in hosts:
            self.cost(PING, number, forks)
            self.cost(AUDIT, number, forks)

    def cost(self, side: str, hosts: int, forks: int) -> Cost:
        """Do what ``side`` names with the first ``hosts`` routers. Raises BenchError unless all of them were done."""
        routers = set(list(self.routers.values())[:hosts])
        before = used([*self._connections(), *_daemons(routers)])
        sent, received = _traffic(routers)
        done = self._controller.run(*self._arguments(side, hosts, forks))
        sent_then, received_then = _traffic(routers)
        if side in (AUDIT, REPORT):
            self._check(side, hosts)
        return Cost(
            seconds=done.seconds,
            task_seconds=done.task_seconds,
            processor=done.processor + since(before, self._connections()),
            main_processor=done.main_processor,
            routers=since(before, _daemons(routers)),
            megabytes=done.megabytes,
            sent=sent_then - sent,
            received=received_then - received,
        )

    def memory(self, hosts: int, forks: int) -> float:
        """Return the peak of the memory of all processes of an audit on the controller together, in megabytes."""
        with tree_megabytes(os.getpid(), _SAMPLE_SECONDS) as samples:
            self._controller.run(*self._arguments(AUDIT, hosts, forks))
        return max(samples)

    def connection_memory(self) -> float:
        """Return the memory of one open connection on the controller, in megabytes. Raises BenchError without any."""
        connections = self._connections()
        if not connections:
            raise BenchError("no connection is open")
        return megabytes(connections) / len(connections)

    def _connections(self) -> list[int]:
        """Return the processes that keep the connections open, on the controller."""
        return titled(f"ssh: {access.masters_directory(self._lab.prefix)}/")

    def _arguments(self, side: str, hosts: int, forks: int) -> list[str]:
        variables: dict[str, t.Any] = {
            "conntrack_audit_report_directory": str(self._home),
            "conntrack_audit_report_name": _name(side, hosts),
        }
        limit = ["--limit", ",".join(list(self.routers)[:hosts])]
        if side == REPORT:
            variables["conntrack_audit_slices"] = [str(self._home / f"{_name(AUDIT, hosts)}.json")]
            limit = []
        return [*self._playbook(side), "--forks", str(forks), *limit, "--extra-vars", json.dumps(variables)]

    def _playbook(self, side: str) -> list[str]:
        tasks = {PING: [{"ansible.builtin.ping": {}}], BY_HAND: BY_HAND_TASKS}.get(side)
        return [f"netops.conntrack.{side}"] if tasks is None else [self._controller.written(tasks)]

    def _check(self, side: str, hosts: int) -> None:
        """Raise BenchError unless the report is about all the hosts, and each was done."""
        totals = json.loads((self._home / f"{_name(side, hosts)}.json").read_text(encoding="utf-8"))["totals"]
        if (totals["hosts"], totals["done"]) != (hosts, hosts):
            raise BenchError(f"{side}: {totals['done']} of {totals['hosts']} routers were done, and not {hosts}")


def busy_seconds() -> float:
    """Return the seconds that the processors of this machine have worked since it started, together (proc_stat(5))."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _waiting, irq, softirq, *_virtual = map(int, file.readline().split()[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def idle_load(seconds: float) -> float:
    """Return how many processors are busy while nothing is measured: the lab's own traffic, and what else there is."""
    before, started = busy_seconds(), time.monotonic()
    time.sleep(seconds)
    return (busy_seconds() - before) / (time.monotonic() - started)


def entries_of(router: Router) -> int:
    """Return the number of entries of a router."""
    return int(run(["conntrack", "-C"], netns=router.namespace))


def _name(side: str, hosts: int) -> str:
    return f"{side}-{hosts}"


def _daemons(routers: t.Iterable[Router]) -> list[int]:
    """Return the processes on the routers that hold the connections. The modules are their children."""
    return [process.pid for process in inside(router.namespace for router in routers)]


def _traffic(routers: t.Iterable[Router]) -> tuple[int, int]:
    """Return the bytes that have been sent to the routers and received from them, from the link layer up."""
    counters = [_NET / router.link / "statistics" for router in routers]
    sent, received = (sum(int((each / name).read_text()) for each in counters) for name in ("tx_bytes", "rx_bytes"))
    return sent, received
