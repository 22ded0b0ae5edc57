#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_rollout
short_description: Plan the batches of a roll-out over all routers of a play
version_added: 1.0.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Plans the batches for the routers of the play that can be changed. It works on the controller. No router is asked,
    and none is changed.
  - Leaves out the routers that are known to be down or to track no connections. It knows that from what the roles of
    this collection registered on them before. Leaves out the other one of their pair (C(conntrack_pair)) as well,
    because it is alone now.
  - Run it once, in a play without C(serial). The entry point C(plan) of the role
    P(netops.conntrack.conntrack_audit#role) does that.
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._attributes.controller
options:
  batch:
    description:
      - The sizes of the batches, as for C(serial). A number, a share such as V(10%), or a list whose last item repeats.
    type: raw
    required: true
seealso:
  - module: netops.conntrack.conntrack_report
  - plugin: netops.conntrack.conntrack_batches
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Plan a canary, then half of the routers at a time
  netops.conntrack.conntrack_rollout:
    batch: [1, 50%]
  register: planned
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
batches:
  description: The names of the routers, a list for each batch. No batch is empty.
  returned: success
  type: list
  elements: list
  sample: [[router1], [router2, router3]]
patterns:
  description:
    - The host patterns of the routers, in the order of the batches, for C(hosts) of a play.
    - The pattern of a router is its name, unless Ansible would take that name for something else.
  returned: success
  type: list
  elements: str
  sample: [router1, router2, router3]
left_out:
  description: The routers that could be changed and are not, each with the reason.
  returned: success
  type: dict
  sample: {router4: "left alone, because the other half of its conntrack_pair is down"}
"""
