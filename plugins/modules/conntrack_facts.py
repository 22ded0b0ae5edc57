#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_facts
short_description: Gather facts about connection tracking
version_added: 0.1.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Measures how full the connection-tracking table is, what is in it, how it is set, and what the kernel lost.
  - The whole table is counted, both families, in one dump however many selectors are given. What is returned does not
    grow with the table.
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._attributes.reads_only
  - netops.conntrack._attributes.facts
  - netops.conntrack._netns
options:
  gather_subset:
    description:
      - What to gather. V(table) and V(selectors) read the whole table, the others do not.
      - V(namespaces) lists the named network namespaces of the machine.
    type: list
    elements: str
    choices: [usage, settings, stats, table, selectors, namespaces]
    default: [usage, settings, stats, table, selectors]
  top:
    description:
      - How many of the most frequent sources, destinations, ports, zones and marks to return.
    type: int
    default: 10
  selectors:
    description:
      - Names, each with what to count under it, a dict of C(match) and C(exclude), which are lists of selectors.
      - The keys of a selector are those of O(netops.conntrack.conntrack_prune#module:match).
    type: dict
    default: {}
requirements:
  - pyroute2 >= 0.7.2, for O(netns) and the subset V(namespaces) only
seealso:
  - module: netops.conntrack.conntrack_info
  - module: netops.conntrack.conntrack_prune
"""

EXAMPLES = r"""
- name: Measure connection tracking
  netops.conntrack.conntrack_facts:

- name: Show how full the table is
  ansible.builtin.debug:
    msg: "{{ ansible_facts['conntrack'].usage.percent }} % of {{ ansible_facts['conntrack'].usage.max }}"

- name: Count the entries of dead connections
  netops.conntrack.conntrack_facts:
    gather_subset: [usage, selectors]
    selectors:
      stale:
        match:
          - protocol: tcp
            state: ESTABLISHED
            replied: false
            packets_original:
              max: 1
            bytes_original:
              max: 40
"""

RETURN = r"""
ansible_facts:
  description: The facts, all under C(conntrack).
  returned: success
  type: dict
  contains:
    conntrack:
      description: What was measured, by subset.
      returned: success
      type: dict
      contains:
        usage:
          description:
            - C(count) of entries, C(max), C(percent) and C(headroom) (both null where V(max=0) means no limit), hash
              C(buckets), C(load_factor) (two chains an entry), and C(memory_bytes) without extensions.
          returned: when asked for
          type: dict
          sample: {count: 917115, max: 917504, percent: 99.96, headroom: 389, buckets: 262144, load_factor: 6.997}
        settings:
          description: Every connection-tracking sysctl that this kernel has, by its short name.
          returned: when asked for
          type: dict
          sample: {max: 262144, buckets: 262144, acct: 1, tcp_timeout_established: 432000}
        stats:
          description:
            - The kernel's counters in C(total) and C(per_cpu), 32 bits wide. Which there are depends on the kernel.
            - In C(table_full), how many C(table full) lines the kernel log still holds, or why it cannot be read.
          returned: when asked for
          type: dict
          sample:
            total: {drop: 12, early_drop: 3, insert_failed: 0}
            per_cpu: [{cpu: 0, drop: 12, early_drop: 3, insert_failed: 0}]
            table_full: {messages: 4, last_seconds_ago: 61.5, unreadable: null}
        table:
          description:
            - What is in the table, in C(entries), C(families), C(protocols), C(states), C(status), C(evictable) (what
              the kernel may drop early), C(zones), C(marks), C(packets), C(bytes), the histograms C(remaining) and
              C(idle) in seconds, and C(top) talkers.
            - C(unknown) counts the entries that do not have the field.
          returned: when asked for
          type: dict
          sample:
            entries: 3
            families: {ipv4: 2, ipv6: 1}
            protocols: {tcp: 2, udp: 1}
            states: {tcp: {ESTABLISHED: 2}}
        selectors:
          description:
            - By name, C(entries) and C(percent) of the table, and how many entries were C(undecidable).
            - Both are null, and C(unavailable) says why, where the selector needs accounting or timestamps and they
              are off.
          returned: when selectors are given
          type: dict
          sample:
            stale: {entries: 825403, percent: 90.0, undecidable: 0, unavailable: null}
        namespaces:
          description: By network namespace, C(count) and C(percent) of the limit.
          returned: when asked for
          type: dict
          sample:
            blue: {count: 12, percent: 0.0}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netops.conntrack.plugins.module_utils._facts import SUBSETS, gather
from ansible_collections.netops.conntrack.plugins.module_utils._module import NETNS_OPTION, guarded_run


def _work(module: AnsibleModule) -> dict[str, t.Any]:
    options = module.params
    facts = gather(options["gather_subset"], options["top"], options["selectors"], options["netns"])
    return {"ansible_facts": {"conntrack": facts}}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "gather_subset": {
                "type": "list",
                "elements": "str",
                "choices": list(SUBSETS),
                "default": ["usage", "settings", "stats", "table", "selectors"],
            },
            "top": {"type": "int", "default": 10},
            "selectors": {"type": "dict", "default": {}},
            **NETNS_OPTION,
        },
        supports_check_mode=True,
    )
    guarded_run(module, _work)


if __name__ == "__main__":
    main()
