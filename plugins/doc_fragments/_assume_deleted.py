# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This doc fragment is PRIVATE to this collection: it can change without notice.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  assume_deleted:
    description:
      - For rehearsals, where a prune comes first. Entries that M(netops.conntrack.conntrack_prune) would delete with
        these options are left out, as if they were gone.
      - Only in check mode.
    type: dict
    version_added: 1.0.0
    suboptions:
      match:
        description: What the prune has as O(netops.conntrack.conntrack_prune#module:match).
        type: raw
      exclude:
        description: What the prune has as O(netops.conntrack.conntrack_prune#module:exclude).
        type: raw
        default: []
      select:
        description: What the prune has as O(netops.conntrack.conntrack_prune#module:select).
        type: list
        elements: str
        default: []
      protect_management:
        description: What the prune has as O(netops.conntrack.conntrack_prune#module:protect_management).
        type: bool
        default: true
      protect:
        description: What the prune has as O(netops.conntrack.conntrack_prune#module:protect).
        type: list
        elements: str
        default: []
      unprotect:
        description: What the prune has as O(netops.conntrack.conntrack_prune#module:unprotect).
        type: list
        elements: str
        choices: [management, helper, expectation, address, ah, bgp, esp, ike, ospf, vrrp, conntrackd]
        default: []
      protect_helpers:
        description: What the prune has as O(netops.conntrack.conntrack_prune#module:protect_helpers).
        type: bool
        default: true
      confirm_idle:
        description:
          - What the prune has as O(netops.conntrack.conntrack_prune#module:confirm_idle). There is no second look here.
            Entries that such a look could not judge count as kept.
        type: str
        default: "0"
      confirm_idle_when:
        description: What the prune has as O(netops.conntrack.conntrack_prune#module:confirm_idle_when).
        type: str
        choices: [always, idle]
        default: always
"""
