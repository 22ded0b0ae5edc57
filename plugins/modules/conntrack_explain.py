#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_explain
short_description: Show what fills a connection-tracking table, and what helps there
version_added: 1.0.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Says in words what most entries of a table have in common, which command frees them, and which setting keeps them
    from coming back, on one screen. It works on the controller, with what other modules returned.
  - The playbook C(netops.conntrack.explain) runs it for the tables of routers, or for a file with a table.
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._attributes.controller
options:
  tables:
    description:
      - What is known of each table, by the name that is shown for it. These are facts as
        M(netops.conntrack.conntrack_facts) returns them, of which C(table) is needed with C(entries) and C(filled_by).
      - With C(settings), the page also tells which timeout keeps the entries. With C(not_understood), a number, it says
        how many lines of a file are not in the table.
      - Either O(tables) or O(variable) is needed.
    type: dict
  variable:
    description:
      - The variable that M(netops.conntrack.conntrack_facts) was registered in, on each router of the play. It needs
        the subsets V(usage), V(settings) and V(table). With V(selectors), the page also says how many entries are idle.
      - Run the task once, in a play over all routers. Its commands can be pasted then.
    type: str
seealso:
  - module: netops.conntrack.conntrack_info
  - module: netops.conntrack.conntrack_facts
"""

EXAMPLES = r"""
- name: Read a file that somebody sent
  netops.conntrack.conntrack_info:
    src: /var/tmp/conntrack.txt
    explain: 5
    limit: 0
  delegate_to: localhost
  register: read

- name: Show what fills that table
  netops.conntrack.conntrack_explain:
    tables:
      conntrack.txt:
        table:
          entries: "{{ read.matched }}"
          filled_by: "{{ read.filled_by }}"
  delegate_to: localhost

- name: Measure all routers of the play
  netops.conntrack.conntrack_facts:
    gather_subset: [usage, settings, table, selectors]
    explain: 5
  register: measured

- name: Show what fills their tables
  netops.conntrack.conntrack_explain:
    variable: measured
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
text:
  description: The page, as it was shown.
  returned: success
  type: str
  sample: "What fills 1 table with 1,204 entries\n..."
failing:
  description: Why routers gave no answer, or none about what fills their tables, by router. It is empty with O(tables).
  returned: success
  type: dict
  sample: {router3: "Unreachable: Connection timed out"}
"""
