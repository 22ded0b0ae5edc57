#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_found
short_description: Show what was found on all routers of a play
version_added: 1.0.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Makes one table of what M(netops.conntrack.conntrack_info) found on the routers of the play, with the translation of
    each entry. It works on the controller. No router is asked, and none is changed.
  - Run it once, in a play over all routers. The playbook C(netops.conntrack.find) does that.
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._attributes.controller
options:
  variable:
    description:
      - The variable that M(netops.conntrack.conntrack_info) was registered in, on each router. It needs
        O(netops.conntrack.conntrack_info#module:entries=true).
    type: str
    default: conntrack_find_result
seealso:
  - module: netops.conntrack.conntrack_info
"""

EXAMPLES = r"""
- name: Look for the connections of one address
  netops.conntrack.conntrack_info:
    match: address=198.51.100.9
    entries: true
  register: found

- name: Show them
  netops.conntrack.conntrack_found:
    variable: found
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
matched:
  description: How many entries match, by router. Routers that gave no answer are not in it.
  returned: success
  type: dict
  sample: {router1: 1, router2: 0}
failing:
  description: Why routers gave no answer, by router.
  returned: success
  type: dict
  sample: {router3: "Unreachable: Connection timed out"}
text:
  description: The table, as lines. It is returned if it is not shown, because a program reads the standard output.
  returned: with a callback for programs, such as ansible.posix.json
  type: list
  elements: str
"""
