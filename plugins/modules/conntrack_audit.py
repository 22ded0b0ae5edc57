#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_audit
short_description: Gather facts about connection tracking and evaluate checks on them
version_added: 0.4.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Measures the router with one call of M(netops.conntrack.conntrack_facts), and evaluates checks on the facts.
  - The checks are evaluated on the controller, which needs C(jmespath). A wrong check is refused before the router is
    asked.
  - What is returned does not grow with the table.
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._attributes.reads_only
  - netops.conntrack._attributes.facts
  - netops.conntrack._netns
  - netops.conntrack._python
attributes:
  action:
    description: Has an action plugin, which runs on the controller.
    support: full
  async:
    description: Can be run in the background.
    support: none
options:
  checks:
    description:
      - The checks, as P(netops.conntrack.conntrack_findings#filter) takes them. Those of the collection are in the
        defaults of the role P(netops.conntrack.conntrack_audit#role).
    type: list
    elements: dict
    required: true
  selectors:
    description:
      - Selectors of your own to count, as O(netops.conntrack.conntrack_facts#module:selectors). The named selectors of
        the collection are counted as well. One of your own with such a name replaces it.
      - Before 1.0.0 only those given here were counted.
    type: dict
    default: {}
  top:
    description: How many of the most frequent sources, destinations, ports, zones and marks to return.
    type: int
    default: 10
  namespaces:
    description:
      - Which network namespaces of the router to measure. V(own) is the one of O(netns) alone. V(named) and V(all) are
        as in O(netops.conntrack.conntrack_facts#module:namespaces). The tables are read as well.
      - The checks see them as C(namespaces) and C(across_namespaces).
    type: str
    choices: [own, named, all]
    default: own
    version_added: 1.0.0
  sample:
    description:
      - For how long to watch how fast the table fills, as O(netops.conntrack.conntrack_facts#module:sample). The table
        is read twice more. Without it, or if it is empty, nobody watches.
      - The checks see it as C(rates).
    type: str
    version_added: 1.0.0
  tune:
    description:
      - What the role P(netops.conntrack.conntrack_tune#role) would set. The checks see what an earlier profile left as
        C(profile.leftover).
      - These are the variables of the role without C(conntrack_tune_), namely C(profile), C(state), C(overrides),
        C(extra_profiles), C(profiles), C(sizing) and C(sysctl_file). One that is null has the default of the role.
      - Without this option, what an earlier profile left is unknown.
    type: dict
    version_added: 1.0.0
  new_connection:
    description:
      - Whether to open a new connection to the router after the measurement. The connection that was open is closed.
    type: bool
    default: false
seealso:
  - module: netops.conntrack.conntrack_facts
  - module: netops.conntrack.conntrack_report
  - plugin: netops.conntrack.conntrack_findings
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Measure and check
  netops.conntrack.conntrack_audit:
    checks:
      - id: full
        title: The table is 90 % full or more
        when: usage.percent >= `90`
        value: usage.percent
        severity: critical
        advice: Look at what fills it.
  register: audited

- name: Stop where something is wrong
  ansible.builtin.assert:
    that: "'finding' not in audited.audit.findings | map(attribute='status')"
"""

RETURN = r"""
audit:
  description:
    - C(usage), C(table), C(stats) and C(selectors) as M(netops.conntrack.conntrack_facts) returns them. C(drift) has
      the names of settings with another value after the next boot.
    - C(namespaces) has the network namespaces by name, with C(title), C(own), C(count), C(max), C(percent),
      C(filled_by) in words and C(unavailable). C(across_namespaces) is as in the facts. Both are null without
      O(namespaces). Since 1.0.0.
    - C(findings), the checks with their C(status) V(finding), V(unknown) or V(passed), C(value) and C(reason). The
      worst come first. A finding can have C(cures), what helps on this router with its own figures. Since 1.0.0.
  returned: success, where connections are tracked
  type: dict
no_conntrack:
  description: True if the kernel tracks no connections, so there is nothing to audit. C(msg) says why.
  returned: where connections are not tracked
  type: bool
  sample: true
new_connection:
  description: Whether a new connection could be opened. Null if you did not ask for one, or if the connection is local.
  returned: success, where connections are tracked
  type: bool
ansible_facts:
  description: The facts of M(netops.conntrack.conntrack_facts), all under C(conntrack).
  returned: success, where connections are tracked
  type: dict
"""
