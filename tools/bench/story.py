# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The founding story's selector, in a file of its own: the engine's process imports nothing else from here."""

from __future__ import annotations

STORY = {
    "protocol": "tcp",
    "state": "ESTABLISHED",
    "replied": False,
    "packets_original": {"max": 1},
    "bytes_original": {"max": 40},
}
"""The selector that finds the entries of the bare ACKs and no others of the table ``uniform``."""
