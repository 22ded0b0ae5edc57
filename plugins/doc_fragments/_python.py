# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This doc fragment is PRIVATE to this collection: it can change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # For a module that asks routers. The controller may have any Python that its ansible-core supports.
    DOCUMENTATION = r"""
options: {}
requirements:
  - Python >= 3.9 on the target (an older one is refused)
"""
