# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules on each Python and each pyroute2 that a router may have, in a network namespace; conntrack(8) judges.

The pairs are those of tools/routers.yml: `make versions` runs all of them, `make test` the oldest and the newest that
this machine has. An older Python is refused in tests/unit/plugins/action/test_router_action.py.
"""

from __future__ import annotations

import os
import pathlib
import re
import typing as t

import pytest
import routers
from helpers.other_controllers import ALL
from helpers.settings_module import Settings
from helpers.support import CHECKOUT, ModuleResult, assert_refused, module_path, network_namespace, run, run_module
from routers import Library

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for network namespaces")

INTERPRETERS = routers.interpreters()
LIBRARIES = routers.libraries()
SUPPORTED = [library for library in LIBRARIES if library.supported]
PAIRS = [(python, library) for library in SUPPORTED for python in routers.pythons() if library.suits(python)]
_THERE = [pair for pair in PAIRS if pair[0] in INTERPRETERS]
TESTED = PAIRS if ALL else list(dict.fromkeys([*_THERE[:1], *_THERE[-1:]]))

UNSUITED = [(python, library) for library in LIBRARIES for python in INTERPRETERS if not library.suits(python)]
TOO_OLD = [
    (python, library)
    for library in LIBRARIES
    for python in INTERPRETERS
    if not library.supported and library.suits(python)
]

FLOWS, STALE = 5, 3
TIMEOUT = 4711
PAGE = CHECKOUT / "docs" / "versions.md"


def named(pair: t.Any) -> str | None:
    """Return how a pair is called in the output of the tests."""
    return f"py{pair[0]}-pyroute2-{pair[1].release}" if isinstance(pair, tuple) else None


class Router:
    """A network namespace whose modules run on one Python, with one pyroute2."""

    def __init__(self, netns: str, python: str, library: Library, etc: pathlib.Path) -> None:
        if python not in INTERPRETERS or not library.is_ready:
            pytest.skip(
                f"NOT TESTED with Python {python} and pyroute2 {library.release}: `make versions` installs the library "
                "and takes that Python where it is in PATH or among those of pyenv."
            )
        self.netns = netns
        self._python = INTERPRETERS[python]
        self._path = f"{library.directory}:{module_path(self._python)}"
        self._settings = Settings(etc)

    def __call__(self, name: str, **args: t.Any) -> ModuleResult:
        """Run a module outside of the namespace, which enters it with its option ``netns``."""
        options: dict[str, t.Any] = {"python": self._python, "env": {"PYTHONPATH": self._path}}
        given = {"netns": self.netns, **args}
        if name == "conntrack_settings":
            return self._settings({**given, "persist": False}, **options)
        return run_module(name, given, **options)

    def succeeds(self, name: str, **args: t.Any) -> dict[str, t.Any]:
        result = self(name, **args)
        assert not result.failed, result.msg
        return result.data


@pytest.fixture
def router(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> t.Iterator[Router]:
    """Yield the router of a pair, with eight entries in its table, three of which no packet has answered."""
    python, library = request.param
    with network_namespace("routers") as netns:
        flows = "".join(
            f"-I -p tcp -s 198.18.0.1 -d 203.0.113.1 --sport {port} --dport 443 --state ESTABLISHED -t 1000 {status}\n"
            for count, status in ((FLOWS, "-u SEEN_REPLY,ASSURED"), (STALE, ""))
            for port in range(count * 1000, count * 1000 + count)
        )
        run(["conntrack", "-R", "-"], netns=netns, text=flows)
        yield Router(netns, python, library, tmp_path / "etc")


def entries(netns: str) -> int:
    """Return how many entries conntrack(8) lists."""
    return len(run(["conntrack", "-L"], netns=netns).splitlines())


@pytest.mark.parametrize("router", TESTED, ids=named, indirect=True)
def test_a_router_is_measured_pruned_and_tuned(router: Router) -> None:
    facts = router.succeeds("conntrack_facts", gather_subset=["usage", "table"])["ansible_facts"]["conntrack"]
    assert facts["table"]["entries"] == entries(router.netns) == FLOWS + STALE
    stale: t.Any = [{"replied": False}]
    assert router.succeeds("conntrack_info", match=stale)["matched"] == STALE
    assert router.succeeds("conntrack_prune", match=stale)["deleted"] == STALE
    assert entries(router.netns) == FLOWS
    name = "generic_timeout"
    assert router.succeeds("conntrack_settings", settings={name: TIMEOUT})["changed"]
    assert run(["sysctl", "-n", f"net.netfilter.nf_conntrack_{name}"], netns=router.netns).strip() == str(TIMEOUT)
    assert not router.succeeds("conntrack_settings", settings={name: TIMEOUT})["changed"]


@pytest.mark.parametrize("router", TOO_OLD if ALL else TOO_OLD[:1], ids=named, indirect=True)
def test_an_older_library_is_refused_by_name(router: Router) -> None:
    result = router("conntrack_prune", match=[{"replied": False}])
    assert_refused(
        result, "needs the Python library pyroute2 >= 0.5.14", "has in version 0.5.13 only", "netops.conntrack.prepare"
    )
    assert entries(router.netns) == FLOWS + STALE


@pytest.mark.parametrize("router", UNSUITED if ALL else UNSUITED[:1], ids=named, indirect=True)
def test_a_library_that_its_python_is_too_new_for_is_refused_by_the_reason(router: Router) -> None:
    result = router("conntrack_prune", match=[{"replied": False}])
    assert_refused(
        result,
        "needs the Python library pyroute2 >=",
        "cannot import (No module named 'distutils')",
        "netops.conntrack.prepare",
    )
    assert entries(router.netns) == FLOWS + STALE


def test_the_page_has_exactly_the_pairs_of_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    [head] = re.findall(r"^\| pyroute2 \| (.*) \|$", page, re.MULTILINE)
    rows = dict(re.findall(r"^\| (\d\.\d+\.\d+) \| ((?:passed|refused|not run)\b.*) \|$", page, re.MULTILINE))
    assert head.split(" | ") == routers.pythons()
    assert list(rows) == [library.release for library in LIBRARIES]
    for library in LIBRARIES:
        states = dict(zip(routers.pythons(), rows[library.release].split(" | ")))
        suited = {each for each in states if library.supported and library.suits(each)}
        assert {python for python, state in states.items() if state == "passed"} <= suited
        assert {python for python, state in states.items() if state == "refused"} <= states.keys() - suited


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(SystemExit, match="the only option is --all"):
        routers.main(["--most"])
