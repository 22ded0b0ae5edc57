#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_preflight
short_description: Refuse a run with misspelt variables, or on routers that nobody named
version_added: 1.0.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Works on the controller, before the first connection. No router is asked, and none is changed.
  - Without O(role) it looks at the run as a whole, in a task with C(run_once) and C(delegate_to=localhost). The
    playbooks of the collection do that first.
  - With O(role) it looks at the variables of the router that the task is for. The roles do that first, so that a play
    of your own is guarded as well.
  - It fails for a variable that nothing reads. That is an extra variable of the command line, or a variable of a router
    whose name begins with C(conntrack_) or is nearly that of an option. The message suggests the nearest name.
  - What is read is every option of a role, what the playbooks take (C(target), C(batch), C(fail_on)), what begins with
    C(ansible_), and every name in a template of the routers' variables. The variable C(conntrack_known_variables) lists
    names that something else reads, such as an inventory plugin.
  - If a playbook of your own imports those of the collection, its plays may read any extra variable. It then fails only
    for those that begin with C(conntrack_), are nearly a name that is read, or are another word for one. The same goes
    for the variables of the import.
  - It fails for C(batch) or C(fail_on) if the playbook of the collection does not read it, and it is given to this one
    alone. That is with C(-e), or as a variable of the import.
  - It fails for a value whose type does not fit the option, such as a text where a dictionary is needed. If a value has
    a template that cannot be resolved without the router, the role checks it.
  - It fails for a variable that is given under its old name and its new one. An old name alone works until 2.0.0. The
    run then warns once, with the name to use, however many routers have it.
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._attributes.controller
options:
  changes:
    description:
      - Whether the run changes routers. It then fails unless they are named, with C(target) or C(--limit).
      - In either case, it fails for an inventory without hosts, and for a C(target) that matches none.
    type: bool
    default: false
  routers:
    description:
      - Whether the run asks routers. If not, it is about a file on the controller. Then it needs no inventory, and it
        fails if routers are named.
    type: bool
    default: true
    version_added: 1.0.0
  at_once:
    description:
      - How many routers the run can be for at most, because all of them are at work at the same time. It also fails if
        C(forks) is less than the number of routers. V(0) is no limit.
    type: int
    default: 0
    version_added: 1.0.0
  reads:
    description: The short names of variables that the playbook reads on the command line, besides C(target).
    type: list
    elements: str
    default: []
    version_added: 1.0.0
  role:
    description: The role whose variables to look at, on the router that the task is for. Empty for the run as a whole.
    type: str
    choices: ["", conntrack_audit, conntrack_prepare, conntrack_prune, conntrack_tune]
    default: ""
  that:
    description: A condition that must hold as well, already evaluated.
    type: bool
    default: true
  fail_msg:
    description: What to say if O(that) does not hold.
    type: str
    default: The options cannot be used.
seealso:
  - module: netops.conntrack.conntrack_report
"""

EXAMPLES = r"""
- name: Look at the run as a whole
  netops.conntrack.conntrack_preflight:
    changes: false
  run_once: true
  delegate_to: localhost

- name: Look at the options that this router has for a role
  netops.conntrack.conntrack_preflight:
    role: conntrack_prune
    that: "{{ conntrack_prune_max_delete | default('95%') != '100%' }}"
    fail_msg: In this network nobody empties a table.
"""

RETURN = r"""
msg:
  description: What is refused, and what to do about it.
  returned: failure
  type: str
  sample: "tagret: nothing reads this variable. Did you mean target? Nothing was touched."
"""
