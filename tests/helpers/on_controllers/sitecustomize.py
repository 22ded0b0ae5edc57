# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets the programs of Ansible that a test starts take less time (programs.py), or be forked (program_server.py).

The modules that they start on this machine get what those on routers get. Python imports this by its name where
PYTHONPATH names its directory.
"""

from __future__ import annotations

import os
import sys

import forked  # type: ignore[import-not-found]  # PYTHONPATH names its directory as well


def _is_of_ansible() -> bool:
    """Return whether this runs a program of the Ansible that the tests run with. Other versions of it lock less."""
    program = os.path.basename(sys.orig_argv[1]) if len(sys.orig_argv) > 1 else ""
    of_tests = os.path.realpath(f"{os.path.dirname(__file__)}/../../../.venv")
    return program.startswith("ansible") and os.path.realpath(sys.prefix) == of_tests


if _is_of_ansible():
    forked.hand_over(forked.PROGRAMS)

    import programs  # type: ignore[import-not-found]  # Python finds it beside this file

    programs.prepare()
    programs.begin()
else:
    forked.hand_over_module()

    import refused_requests  # type: ignore[import-not-found]  # PYTHONPATH names its directory as well
    import shared_code  # type: ignore[import-not-found]  # the same

    refused_requests.install_if_recorded()
    shared_code.share_with_modules()
