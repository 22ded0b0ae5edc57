# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guests, one after the other: each is started once for all tests, and the next one when its tests are done."""

from __future__ import annotations

import contextlib
import pathlib
import typing as t

import pytest
import vm
from guests import Guest
from helpers.guest_tables import copy_collection, refused, share_code
from prerequisites import NotRun
from processes import LabError
from vm import VirtualMachine

_HERE = pathlib.Path(__file__).parent
_RUNNING = contextlib.ExitStack()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat each test on each of the guests that GUESTS names."""
    if "guest" in metafunc.fixturenames:
        try:
            guests = vm.wanted_guests()
        except LabError as error:
            raise pytest.UsageError(str(error)) from None
        metafunc.parametrize("guest", guests, ids=[guest.name for guest in guests], scope="session")


@pytest.fixture(scope="session")
def router(guest: Guest) -> t.Iterator[VirtualMachine]:
    """Start the guest. It ends with the last of these tests, and does not run on next to all others."""
    try:
        machine = _RUNNING.enter_context(vm.started(guest))
    except NotRun as reason:
        pytest.skip(str(reason))
    with _RUNNING:
        copy_collection(machine)
        share_code(machine)
        print(machine.versions())
        _RUNNING.callback(_assert_nothing_was_refused, machine)
        yield machine


def _assert_nothing_was_refused(machine: VirtualMachine) -> None:
    assert not refused(machine)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> t.Iterator[None]:
    """End the guest after the last of these tests: without this, pytest would do so after the last test of all."""
    yield
    if nextitem is None or _HERE not in nextitem.path.parents:
        _RUNNING.close()
