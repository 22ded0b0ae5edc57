# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.control_traffic import is_control_traffic

TCP, UDP = 6, 17


@pytest.mark.parametrize(
    ("protocol", "port", "expected"),
    [(TCP, 179, True), (TCP, 500, False), (UDP, 500, True), (UDP, 4500, True), (UDP, 179, False), (TCP, None, False)]
    + [(number, None, True) for number in (50, 51, 89, 112)]
    + [(47, None, False), (132, 179, False)],
)
def test_what_is_control_traffic(protocol: int, port: int | None, expected: bool) -> None:
    assert is_control_traffic(protocol, port) is expected
