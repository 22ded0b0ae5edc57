# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lab, the files in its directory, and the record of what has to be taken down."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import pathlib
import shutil
import typing as t

import access
from live import write_whole
from processes import LabError, Process, inside
from topology import Router

_RECORD = "lab.json"
_BOOT_ID = pathlib.Path("/proc/sys/kernel/random/boot_id")


@dataclasses.dataclass(frozen=True)
class Lab:
    """A lab, and where its files are."""

    directory: pathlib.Path
    prefix: str
    block: ipaddress.IPv4Address
    routers: list[Router]

    @property
    def inventory(self) -> pathlib.Path:
        """The inventory for Ansible."""
        return self.directory / "inventory.yml"

    @property
    def ssh(self) -> pathlib.Path:
        """The directory of the keys, and of what the sshds need."""
        return self.directory / "ssh"

    @property
    def flows(self) -> pathlib.Path:
        """The directory in which the clients write how their flows fare."""
        return self.directory / "flows"

    def router(self, name: str) -> Router:
        """Return the router ``name``; LabError when there is none."""
        for router in self.routers:
            if router.name == name:
                return router
        raise LabError(f"{name}: no such router. The lab has {', '.join(each.name for each in self.routers)}.")


def plan(directory: pathlib.Path, prefix: str, block: ipaddress.IPv4Address, routers: int) -> Lab:
    """Return the lab with so many ``routers``, as it is built or will be."""
    return Lab(directory, prefix, block, [Router(prefix, number, block) for number in range(1, routers + 1)])


def write(lab: Lab, made: list[str], namespaces: t.Iterable[str] = ()) -> None:
    """Write down what there is, or will be, to take down.

    ``made`` are the shared directories that this lab makes; the processes are those inside ``namespaces`` now.
    """
    record = {
        "prefix": lab.prefix,
        "block": str(lab.block),
        "inventory": str(lab.inventory),
        "routers": [_describe(router) for router in lab.routers],
        "made": made,
        "boot": _BOOT_ID.read_text(),
        "processes": [dataclasses.asdict(process) for process in sorted(inside(namespaces))],
    }
    write_whole(lab.directory / _RECORD, json.dumps(record, indent=2) + "\n")


def read(directory: pathlib.Path) -> dict[str, t.Any]:
    """Return the record in ``directory``; empty when there is none."""
    try:
        record: dict[str, t.Any] = json.loads((directory / _RECORD).read_text())
    except FileNotFoundError:
        return {}
    return record


def processes(recorded: dict[str, t.Any]) -> list[Process]:
    """Return the processes that were ``recorded``; none when that was before the machine started anew."""
    if recorded.get("boot") != _BOOT_ID.read_text():
        return []
    return [Process(**process) for process in recorded["processes"]]


def load(directory: pathlib.Path) -> Lab:
    """Return the lab in ``directory``; LabError when there is none."""
    directory = directory.resolve()
    record = read(directory)
    if not record:
        raise LabError(f"There is no lab in {directory}. Build one: lab.py up --directory {directory}")
    return plan(directory, record["prefix"], ipaddress.IPv4Address(record["block"]), len(record["routers"]))


def is_free(directory: pathlib.Path) -> bool:
    """Return whether a lab may use ``directory``: it is new or empty, or a lab's already."""
    if read(directory) or not directory.exists():
        return True
    return {path.name for path in directory.iterdir()} <= {pathlib.Path(_RECORD).with_suffix(".new").name}


def remove(directory: pathlib.Path) -> None:
    """Remove a lab's files, its record last, and ``directory`` if nothing else is in it."""
    for name in ("flows", "ssh"):
        shutil.rmtree(directory / name, ignore_errors=True)
    for name in ("inventory.yml", _RECORD):
        (directory / name).unlink(missing_ok=True)
    if directory.is_dir() and is_free(directory):
        shutil.rmtree(directory)


def _describe(router: Router) -> dict[str, str]:
    return {
        "name": router.name,
        "address": router.address,
        "link": router.link,
        "client": router.client,
        "namespace": router.namespace,
        "server": router.server,
        "etc": str(access.ETC_NETNS / router.namespace),
    }
