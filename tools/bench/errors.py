# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one error of the benchmark."""

from __future__ import annotations


class BenchError(Exception):
    """Something cannot be measured here, or a count is not what it should be; the message says what."""
