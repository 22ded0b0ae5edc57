# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This doc fragment is PRIVATE to this collection: it can change without notice.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  active_address:
    description:
      - For a router that is one of a pair. Addresses that only the active member has, such as the virtual ones of
        C(keepalived), IPv4 or IPv6.
      - If this router has none of them, it stands by. Then the module counts, and changes nothing.
    type: list
    elements: str
    version_added: 1.0.0
    default: []
"""
