# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs of Ansible that leave out what need not be (less_work.py), and share what they compile (shared_code.py) and
what they send to routers (shared_payloads.py).
"""

from __future__ import annotations

import less_work  # type: ignore[import-not-found]  # Python finds it beside this file
import shared_code  # type: ignore[import-not-found]  # PYTHONPATH names its directory as well
import shared_payloads  # type: ignore[import-not-found]  # Python finds it beside this file


def prepare() -> None:
    """Prepare this process for any program. Call this before anything of Ansible is imported."""
    shared_code.share_parsed_yaml()
    shared_code.share_with_plugins()


def begin() -> None:
    """Prepare this process for the program that it was started for, with the environment that it has now."""
    shared_payloads.share()
    # It reads the configuration, which makes the directory that the payloads lie in.
    less_work.do_less()
    shared_code.share_with_templates()
