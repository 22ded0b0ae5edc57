# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets every test say ``from helpers.support import run_module``, and says which tests may run at the same time."""

from __future__ import annotations

import pathlib
import sys

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

LONG = (
    "vm/test_reboot.py",
    "versions/test_controllers.py",
    "kernel/test_settings_killed.py",
    "kernel/test_settings_exclusive.py",
    "fleet/test_rollout.py",
    "fleet/test_playbooks.py",
    "fleet/test_rehearsal.py",
    "fleet/test_documented_commands.py",
    "fleet/test_troubles.py",
    "fleet/test_confirm.py",
    "report/test_html.py",
    "runner/test_slices.py",
    "runner/test_ci.py",
    "unit/roles/test_playbooks.py",
    "unit/roles/test_troubles.py",
    "unit/roles/test_rollout.py",
)
"""They begin first, so that no worker is left alone with one of them at the end."""

APART = (
    "kernel/test_settings_killed.py",
    "kernel/test_settings_exclusive.py",
    "kernel/test_filled_by.py",
    "fleet/test_rollout.py",
    "fleet/test_playbooks.py",
    "fleet/test_rehearsal.py",
    "versions/test_controllers.py",
    "unit/roles/test_playbooks.py",
    "unit/roles/test_rollout.py",
    "unit/roles/test_troubles.py",
    "unit/roles/test_words_of_routers.py",
)
"""Their tests share nothing, so that several workers can take them. Those of any other file stay together."""


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first, and keep the tests of a file with one worker of pytest-xdist."""
    rank = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(_file(item), len(LONG)))
    for item in items:
        if _file(item) not in APART:
            item.add_marker(pytest.mark.xdist_group(_file(item)))


def _file(item: pytest.Item) -> str:
    return item.path.relative_to(HERE).as_posix()
