# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules with each pyroute2 of tools/routers.yml on a Python that the guest has and this machine has not.

On the Pythons of this machine, tests/versions/test_routers.py runs the same.
"""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import routers
from helpers.guest_tables import GuestTable, GuestTasks, copy_files, guest_table, python_of
from routers import Library
from vm import VirtualMachine

LIVE, STALE = 3, 2
ENTRY = "-p tcp -s 198.18.0.{} -d 203.0.113.1 --sport 1000 --dport 443 --state ESTABLISHED -t 1000"
UNANSWERED = {"match": [{"replied": False}]}
SETTING = {"settings": {"generic_timeout": 4711}, "persist": False}
INSTALLED = "import importlib.metadata; print(importlib.metadata.version('pyroute2'))"


class Equipped:
    """The machine with one pyroute2, and its table."""

    def __init__(self, machine: VirtualMachine, table: GuestTable, tasks: GuestTasks, library: Library) -> None:
        self.library = library
        self.table = table
        self._tasks = tasks
        path = f"/run/pyroute2-{library.release}"
        copy_files(machine, library.directory, ["."], path)
        self._play: dict[str, t.Any] = {"environment": {"PYTHONPATH": path}}
        assert machine.sh(f'PYTHONPATH={path} python3 -c "{INSTALLED}"').strip() == library.release

    def run(self, *tasks: tuple[str, dict[str, t.Any]]) -> list[dict[str, t.Any]]:
        """Run modules, each of which enters the namespace with pyroute2, and return their results."""
        named = [(name, {"netns": self.table.netns, **options}) for name, options in tasks]
        return self._tasks.ends(*named, **self._play)

    def entries(self) -> int:
        """Return how many entries conntrack(8) of the machine lists."""
        return len(self.table.run("conntrack -L 2>/dev/null").splitlines())


@pytest.fixture(scope="module")
def python(router: VirtualMachine) -> str:
    """Return the version of the guest's Python. The test is skipped where this machine has it too."""
    found = python_of(router)
    if found in routers.interpreters():
        pytest.skip(f"tests/versions/test_routers.py runs on Python {found}, which is on this machine.")
    return found


@pytest.fixture(params=routers.libraries(), ids=lambda library: str(library.release))
def equipped(
    request: pytest.FixtureRequest, python: str, router: VirtualMachine, tmp_path: pathlib.Path
) -> t.Iterator[Equipped]:
    library = request.param
    if not library.is_ready:
        pytest.skip(f"NOT TESTED with Python {python} and pyroute2 {library.release}: `make kernels` installs it.")
    with guest_table(router, "libraries") as table:
        live = [f"{ENTRY.format(1 + number)} -u SEEN_REPLY,ASSURED" for number in range(LIVE)]
        table.insert(*live, *(ENTRY.format(100 + number) for number in range(STALE)))
        yield Equipped(router, table, GuestTasks(router, tmp_path), library)


def test_a_router_is_measured_pruned_and_tuned_or_refused(equipped: Equipped, python: str) -> None:
    facts, listed, pruned, changed, unchanged = equipped.run(
        ("conntrack_facts", {"gather_subset": ["usage", "table"]}),
        ("conntrack_info", UNANSWERED),
        ("conntrack_prune", UNANSWERED),
        ("conntrack_settings", SETTING),
        ("conntrack_settings", SETTING),
    )
    library = equipped.library
    if not library.supported or not library.suits(python):
        why = f"has in version {library.release} only" if library.suits(python) else "cannot import"
        for result in (facts, listed, pruned, changed):
            assert "needs the Python library pyroute2 >=" in result["msg"], result
            assert why in result["msg"], result
        assert equipped.entries() == LIVE + STALE
        return
    assert facts["ansible_facts"]["conntrack"]["table"]["entries"] == LIVE + STALE
    assert listed["matched"] == pruned["deleted"] == STALE
    assert equipped.entries() == LIVE
    assert (changed["changed"], unchanged["changed"]) == (True, False)
    assert equipped.table.run("sysctl -n net.netfilter.nf_conntrack_generic_timeout").strip() == "4711"
