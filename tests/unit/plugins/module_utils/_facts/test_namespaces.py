# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is returned of namespaces, without real ones: the bounds, the order, and what is said of those that are missing.

The real ones are in tests/kernel/test_namespaces.py.
"""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _netns
from ansible_collections.netops.conntrack.plugins.module_utils._errors import NotPermittedError, UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._facts import namespaces
from ansible_collections.netops.conntrack.plugins.module_utils._facts.namespaces import (
    LONGEST_NAME,
    MOST_LISTED,
    MOST_READ,
    measure_namespaces,
)
from ansible_collections.netops.conntrack.plugins.module_utils._namespaces.container_names import ContainerNames
from ansible_collections.netops.conntrack.plugins.module_utils._namespaces.control_groups import Owner
from ansible_collections.netops.conntrack.plugins.module_utils._namespaces.machine import Machine, Namespace
from ansible_collections.netops.conntrack.plugins.module_utils._namespaces.processes import Holder
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.answer import Expected

Facts = dict[str, t.Any]
OWN = (4, 1)


def namespace(
    number: int, *names: str, pid: int | None = None, owner: Owner | None = None, comm: str = "x"
) -> Namespace:
    holder = Holder(pid, comm, owner) if pid else None
    return Namespace((4, number), names, holder, (pid,) if pid else (), 1 if pid else 0, ())


class Fake:
    """A machine with these namespaces. Each has as many entries as its inode says, and a limit of 1,000."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *found: Namespace, **machine: t.Any) -> None:
        self.here = OWN
        self.machine = Machine(found, **{"broken": {}, "hidden_processes": 0, "unseen": (), **machine})
        self.limits: dict[int, int | None] = {}
        self.errors: dict[str, Exception] = {}
        self.gone: set[int] = set()
        monkeypatch.setattr(namespaces, "find_namespaces", lambda: self.machine)
        monkeypatch.setattr(namespaces, "find_sysctls", dict)
        monkeypatch.setattr(namespaces, "read_machine_limit", lambda: self.value({}, "max"))
        monkeypatch.setattr(namespaces, "current_value", self.value)
        monkeypatch.setattr(namespaces, "is_there", lambda each: each.identity[1] not in self.gone)
        monkeypatch.setattr(_netns, "library", lambda netns: None)
        monkeypatch.setattr(_netns, "own_identity", lambda: self.here)
        monkeypatch.setattr(_netns, "inside", self.inside)

    def value(self, _sysctls: Facts, name: str) -> int | None:
        number = self.here[1]
        return {"count": number, "max": self.limits.get(number, 1000), "buckets": 512}[name]

    @contextlib.contextmanager
    def inside(self, reference: str, expected: tuple[int, int]) -> t.Iterator[None]:
        if reference in self.errors:
            raise self.errors[reference]
        self.here, home = expected, self.here
        try:
            yield
        finally:
            self.here = home

    def measure(self, wanted: str = "all", read: bool = False) -> Facts:
        def read_table() -> Facts:
            return {"table": {"entries": self.here[1]}}

        return measure_namespaces(wanted, OWN, read_table if read else None)


def let_in(measured: Facts) -> Facts:
    """Return what the controller lets in."""
    expected = Expected("conntrack_facts", {"namespaces": "all", "gather_subset": ["namespaces"]})
    answer = expected.accepted({"changed": False, "ansible_facts": {"conntrack": measured}})
    facts: Facts = answer["ansible_facts"]["conntrack"]
    return facts


def test_facts_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = Owner("docker", "3f4e12ab0c11" + "0" * 52, None, None)
    fake = Fake(
        monkeypatch,
        namespace(1, pid=1, comm="init"),
        namespace(500, "blue", "azure"),
        namespace(30, pid=7, owner=owner),
    )
    measured = fake.measure()
    assert list(measured["namespaces"]) == ["pid:1", "blue", "pid:7"]
    blue, container = measured["namespaces"]["blue"], measured["namespaces"]["pid:7"]
    assert (blue["names"], blue["title"], blue["pid"]) == (["blue", "azure"], "blue", None)
    assert (blue["count"], blue["max"], blue["percent"], blue["own"]) == (500, 1000, 50.0, False)
    assert container["title"] == "pid:7 (x, docker 3f4e12ab0c11)"
    assert container["owner"] == {**owner._asdict(), "label": None}
    assert measured["namespaces"]["pid:1"]["own"] is True
    across = measured["across_namespaces"]
    assert across == {
        "namespaces": 3,
        "left_out": 0,
        "hidden_processes": 0,
        "count": 531,
        "buckets": 512,
        "load_factor": 2.074,
        "complete": True,
        "unavailable": None,
    }
    assert let_in(measured) == measured


@pytest.mark.parametrize(("user", "label"), [(None, "web"), (1000, None)])
def test_the_name_of_a_container(monkeypatch: pytest.MonkeyPatch, user: int | None, label: str | None) -> None:
    number = "3f4e12ab0c11" + "0" * 52
    monkeypatch.setattr(ContainerNames, "name_of", lambda self, kind, of: {("docker", number): "web"}[kind, of])
    fake = Fake(monkeypatch, namespace(3, pid=7, owner=Owner("docker", number, None, user)))
    found = fake.measure()["namespaces"]["pid:7"]
    assert found["owner"]["label"] == label
    assert found["title"] == f"pid:7 (x, docker {label or '3f4e12ab0c11'})"


def test_named_ones_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(monkeypatch, namespace(1, pid=1), namespace(2, "blue"), namespace(3, pid=9), unseen=("Hidden.",))
    measured = fake.measure("named")
    assert list(measured["namespaces"]) == ["blue"]
    assert measured["across_namespaces"]["complete"] is True
    assert measured["across_namespaces"]["load_factor"] is None


@pytest.mark.parametrize(
    ("own", "machine", "holds"), [(1000, 1000, 1000), (10, 1000, 10), (2000, 1000, 1000), (0, 1000, 1000), (0, 0, 0)]
)
def test_the_lower_limit_holds(monkeypatch: pytest.MonkeyPatch, own: int, machine: int, holds: int) -> None:
    fake = Fake(monkeypatch, namespace(5, "blue"))
    fake.limits = {5: own, 1: machine}
    blue = fake.measure()["namespaces"]["blue"]
    assert (blue["max"], blue["percent"]) == (holds, round(500 / holds, 2) if holds else None)


def test_one_that_goes_is_left_out_and_one_that_cannot_be_entered_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(monkeypatch, namespace(2, "gone"), namespace(3, "closed"), namespace(4, "stays", pid=9))
    fake.errors = {
        "gone": UnavailableError("netns: no such namespace"),
        "closed": NotPermittedError("netns: entering needs root."),
        "stays": UnavailableError("netns: its name was deleted"),
    }
    fake.gone = {2}
    measured = fake.measure()
    # The name of one went, but a process still leads there.
    assert list(measured["namespaces"]) == ["pid:9", "closed"]
    assert measured["namespaces"]["pid:9"]["count"] == 4
    closed = measured["namespaces"]["closed"]
    assert (closed["count"], closed["percent"], closed["unavailable"]) == (None, None, "entering needs root.")
    across = measured["across_namespaces"]
    assert (across["count"], across["complete"], across["load_factor"]) == (None, None, None)
    assert across["unavailable"] == "1 namespace could not be measured, such as closed: entering needs root."
    assert let_in(measured) == measured


def test_what_was_not_seen_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(
        monkeypatch, broken={"left\n": "netns: it is an empty file."}, hidden_processes=3, unseen=("Not seen.",)
    )
    across = fake.measure()["across_namespaces"]
    assert (across["hidden_processes"], across["complete"]) == (3, None)
    assert across["unavailable"] == r"Not seen. left\n: it is an empty file."


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [namespace(number, pid=number) for number in range(2, MOST_LISTED + 20)]
    fake = Fake(monkeypatch, *many, namespace(5000, "named"), namespace(1, pid=1))
    measured = fake.measure(read=True)
    listed = list(measured["namespaces"].values())
    assert len(listed) == MOST_LISTED
    assert [each["name"] for each in listed[:3]] == ["pid:1", "named", f"pid:{MOST_LISTED + 19}"]
    # The own table is among the other facts.
    assert [each["name"] for each in listed if "table" in each] == [each["name"] for each in listed[1:MOST_READ]]
    assert listed[1]["table"] == {"entries": 5000}
    across = measured["across_namespaces"]
    assert (across["namespaces"], across["left_out"], across["complete"]) == (MOST_LISTED + 20, 20, None)
    assert "20 namespaces, those with the fewest entries, are not returned." in across["unavailable"]


def test_hostile_names_are_printable_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    evil = "\x1b[31m\n\udcff" * 60
    owner = Owner("unit", "\u202e" * 4000 + ".service", None, 1000)
    fake = Fake(monkeypatch, namespace(2, evil), namespace(3, evil + "x"), namespace(4, pid=9, owner=owner, comm=evil))
    measured = fake.measure()
    assert len(measured["namespaces"]) == 3
    for name, each in measured["namespaces"].items():
        assert len(name) <= LONGEST_NAME
        assert f"{name}{each['title']}{each['names']}{each['process']}{each['owner']}".isprintable()
    assert let_in(measured) == measured


def test_an_empty_table_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(monkeypatch, namespace(0, "empty"), namespace(7, "filled"))
    measured = fake.measure(read=True)["namespaces"]
    assert "table" not in measured["empty"]
    assert measured["filled"]["table"] == {"entries": 7}
