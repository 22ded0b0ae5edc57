# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controllers of tools/controllers.yml that are to be tested.

These are those with every_time. With VERSIONS=all they are all of them, with VERSIONS="2.16 2.21" those of the series.
"""

from __future__ import annotations

import os
import pathlib

import controllers
import pytest

NAMES = os.environ.get("VERSIONS", "").split()
ALL = NAMES == [controllers.ALL]
_WANTED = controllers.chosen(NAMES)
SUPPORTED = [row for row in _WANTED if row.supported]
REFUSED = [row for row in _WANTED if row.kind == "refused"]
ANNOUNCED = [row for row in _WANTED if row.kind == "announced"]


def programs_of(controller: controllers.Controller) -> pathlib.Path:
    """Return the directory with the programs of the controller's environment; skip the test where there is none."""
    if not controller.is_ready:
        pytest.skip(
            f"NOT TESTED with ansible-core {controller.core} on Python {controller.python}: its environment is not "
            "there. `make versions` makes it where that Python is in PATH or among those of pyenv."
        )
    return controller.environment / "bin"
