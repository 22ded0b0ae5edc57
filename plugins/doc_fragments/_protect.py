# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This doc fragment is PRIVATE to this collection: it can change without notice.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  protect_management:
    description:
      - Whether to keep the entries of the SSH connections that the module itself runs in. They are found through
        C(SSH_CONNECTION) in the environment of the module's process and of those that started it, also through C(sudo).
      - If none of these has one, as with C(async), C(run0) or C(systemd-run), the entries of all SSH sessions of the
        router are kept whose environment the module may read.
      - If the module runs below an SSH server and may not read these environments, it fails before it changes anything.
    type: bool
    default: true
  protect:
    description:
      - Addresses and networks to protect, such as those of the management network, of a jump host or of peers.
      - An entry is kept if one of its addresses is in one of them, before or after NAT.
    type: list
    elements: str
    version_added: 1.0.0
    default: []
  unprotect:
    description:
      - The names of protections to turn off. All of them are on by default, whatever the selectors say.
      - V(management) stands for O(protect_management), V(address) for what O(protect) names, and V(helper) for entries
        with a connection-tracking helper.
      - V(expectation) stands for the other entries because of which a connection is expected. The kernel forgets that
        connection with the entry.
      - V(bgp) stands for TCP port 179, V(ike) for UDP ports 500 and 4500, V(esp), V(ah), V(ospf) and V(vrrp) for IP
        protocols 50, 51, 89 and 112, as source or as destination, before or after NAT.
      - V(conntrackd) stands for UDP port 3780, and for the ports in the configuration of the C(conntrackd) that runs in
        the network namespace. If that configuration cannot be read, the module fails before it changes anything.
      - The module does not know whether an entry is of the router itself or goes through it, and protects both.
    type: list
    elements: str
    choices: [management, helper, expectation, address, ah, bgp, esp, ike, ospf, vrrp, conntrackd]
    version_added: 1.0.0
    default: []
"""
