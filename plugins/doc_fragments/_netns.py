# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This doc fragment is PRIVATE to this collection: it can change without notice.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  netns:
    description:
      - The network namespace to work in, as a name that C(ip netns list) shows, as the number of a process in it such
        as V(pid:1234), or as a path such as V(/proc/1234/ns/net). The number of a process can be given since 1.0.0.
      - A symbolic link in the path is followed only if nobody but root and the running user can have put it there.
      - Without it, the module works in the namespace that Ansible's connection leads to.
      - Needs C(pyroute2) on the target, and root.
    type: str
requirements:
  - pyroute2 >= 0.5.14 on the target, for O(netns)
"""
