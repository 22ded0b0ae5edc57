# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This doc fragment is PRIVATE to this collection: it can change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # What every module of the collection states; each adds its own C(support).
    DOCUMENTATION = r"""
options: {}
attributes:
  action_group:
    description: Defaults for the module can be set through C(group/netops.conntrack.conntrack) in C(module_defaults).
    support: full
    membership:
      - netops.conntrack.conntrack
  check_mode:
    description: In check mode nothing on the target changes, and the result is the one that the real run would have.
  diff_mode:
    description: In diff mode the result shows what changed, or in check mode would change.
  idempotent:
    description:
      - A second run with the same options reports no change.
      - This assumes that nothing else changed the target in between.
  platform:
    description: The systems that the module can work on.
    platforms: linux
    support: full
"""

    # For a module that only reads, besides the standard fragment.
    READS_ONLY = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - The module changes nothing, and does the same in check mode.
  diff_mode:
    support: N/A
    details:
      - The module changes nothing.
  idempotent:
    support: full
    details:
      - The module changes nothing.
"""

    # For a module whose action plugin does all of it, besides the standard fragment.
    CONTROLLER = r"""
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
  action:
    description: Has an action plugin, which runs on the controller.
    support: full
"""

    # For a module that returns C(ansible_facts), besides the standard fragment.
    FACTS = r"""
options: {}
attributes:
  facts:
    description: The result has C(ansible_facts), which become facts of the host.
    support: full
"""
