# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which limit holds for a network namespace, on kernels that have one for each as well."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.limits import (
    limit_that_holds,
    read_machine_limit,
)


@pytest.mark.parametrize(
    ("own", "machine", "holds"),
    [
        (1000, 1000, 1000),
        (10, 1000, 10),
        (2000, 1000, 1000),
        (0, 1000, 1000),
        (1000, 0, 1000),
        (0, 0, 0),
        (1000, None, 1000),
        (0, None, 0),
        (None, 1000, 1000),
        (None, 0, 0),
        (None, None, None),
    ],
)
def test_the_lower_limit_holds(own: int | None, machine: int | None, holds: int | None) -> None:
    assert limit_that_holds(own, machine) == holds


@pytest.mark.parametrize(
    ("modes", "limit"),
    [
        ({"max": 0o644, "buckets": 0o644}, 1000),
        # Another namespace has a limit of its own, or is shown that of the first one.
        ({"max": 0o644, "buckets": 0o444}, None),
        ({"max": 0o444, "buckets": 0o444}, None),
        ({"max": 0o644}, None),
        ({"buckets": 0o644}, None),
        ({}, None),
    ],
)
def test_the_limit_of_the_machine_is_known_in_the_first_namespace(
    tmp_path: pathlib.Path, modes: dict[str, int], limit: int | None
) -> None:
    directory = tmp_path / "net" / "netfilter"
    directory.mkdir(parents=True)
    for name, mode in modes.items():
        file = directory / f"nf_conntrack_{name}"
        file.write_text("1000\n")
        file.chmod(mode)
    assert read_machine_limit(str(tmp_path)) == limit
