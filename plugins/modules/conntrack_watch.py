#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_watch
short_description: Look at the connection-tracking tables of a few routers again and again
version_added: 1.0.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Runs M(netops.conntrack.conntrack_facts) on the router again and again, and shows a page about all routers of the
    task. It says how full each table is, how fast that changes, what the kernel loses, what fills the table, and what
    moved most since the last look. The playbook C(netops.conntrack.watch) does that.
  - On a terminal, each page replaces the one before. Elsewhere, and with C(-vvv), the pages follow one another.
  - It ends after O(rounds) looks. Without these it goes on until the run is interrupted with C(Ctrl-C), which makes the
    exit code of Ansible 99. The terminal is left as it was.
  - A router that cannot be asked at the first look fails at once. One that stops to answer later is asked again, at
    intervals of up to a minute, and fails at the end if it did not answer the last time.
  - After each look, a router is left alone at least as long as the look took.
  - All routers of the task are at work at the same time, so C(forks) must be as many. There can be at most 8.
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._attributes.reads_only
  - netops.conntrack._python
options:
  interval:
    description: The time from one look to the next, from V(2s) to V(1h).
    type: str
    default: 5s
  rounds:
    description:
      - How many looks to make. Without it, there is no last one.
      - It is needed where a program reads the output, such as with the callback P(ansible.posix.json#callback).
    type: int
seealso:
  - module: netops.conntrack.conntrack_facts
  - module: netops.conntrack.conntrack_explain
"""

EXAMPLES = r"""
- name: Look at the tables every 10 seconds for a minute
  netops.conntrack.conntrack_watch:
    interval: 10s
    rounds: 6
  register: watched

- name: Stop if a table still grows by more than 100 entries per second
  ansible.builtin.assert:
    that: watched.look.rates.change < 100
"""

RETURN = r"""
looks:
  description: How many looks were made, also those that failed.
  returned: success
  type: int
  sample: 6
look:
  description: What the last look told, compared with the one before.
  returned: success
  type: dict
  contains:
    entries:
      description: How many entries the table had. Null if the kernel does not say.
      returned: success
      type: int
      sample: 917115
    max:
      description: How many it can have. 0 is no limit. Null if the kernel does not say.
      returned: success
      type: int
      sample: 917504
    percent:
      description: How full it was. Null without a limit, and if that is not known.
      returned: success
      type: float
      sample: 99.96
    filled_by:
      description: What filled it, in words.
      returned: success
      type: str
      sample: "92 % of 917,115 entries: udp, unanswered, to 192.0.2.54 port 53, from 1,284 sources in 10.0.0.0/8"
    seconds:
      description: The time since the look before. Null after a single look, as are C(rates).
      returned: success
      type: float
      sample: 5.1
    rates:
      description:
        - What happened per second. Null is unknown.
        - C(change) is how much the number of entries changed. C(new) and C(gone) are the entries that were made, and
          that went. Kernels before 4.9 count them. For others they come from the times at which the entries began, if
          C(nf_conntrack_timestamp) is on. Entries that came and went between two looks are not in them then.
        - C(drop) are packets that the kernel dropped for want of room, C(early_drop) entries that it dropped to make
          room, C(insert_failed) entries that could not be inserted, and C(invalid) packets that belong to no
          connection. They are null where the counters began anew.
      returned: success
      type: dict
      sample: {change: 12.4, new: 20.0, gone: 7.6, drop: 0.0, early_drop: 0.0, insert_failed: 0.0, invalid: 0.2}
    movers:
      description:
        - What moved most since the look before, at most ten. C(what) is a group of similar entries, or an address that
          is in none of these. C(entries) is how many entries it had at the last look, and C(change) by how many that
          is more or less than before.
        - C(at_least) is true if an address was not among the 50 most frequent ones at both looks. It then changed by
          C(change) or more.
      returned: success
      type: list
      elements: dict
      sample: [{what: "udp, unanswered, to 192.0.2.54 port 53", entries: 843745, change: 62, at_least: false}]
"""
