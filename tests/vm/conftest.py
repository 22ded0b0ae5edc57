# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guests, one after the other: each is started once for all tests, and the next one when its tests are done."""

from __future__ import annotations

import typing as t

import pytest
import vm
from guests import Guest
from helpers.guest_tables import copy_collection
from prerequisites import NotRun
from processes import LabError
from vm import VirtualMachine


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
    """Start the guest."""
    try:
        with vm.started(guest) as machine:
            copy_collection(machine)
            print(machine.versions())
            yield machine
    except NotRun as reason:
        pytest.skip(str(reason))
