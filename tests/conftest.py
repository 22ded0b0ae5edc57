# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets every test say ``from helpers.support import run_module``, and no test fail because the machine is busy."""

from __future__ import annotations

import pathlib
import sys

import hypothesis

hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
