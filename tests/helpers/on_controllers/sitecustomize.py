# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets the programs of Ansible that a test starts look for garbage seldom, which saves a sixth of their time.

They end after seconds, so that nothing piles up. Python imports this by its name where PYTHONPATH names its directory.
"""

from __future__ import annotations

import gc

gc.set_threshold(1_000_000, 100, 100)
