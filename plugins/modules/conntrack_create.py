#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_create
short_description: Make entries of the connection-tracking table
version_added: 0.5.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Makes those of the entries that the table does not have, such as connections that another router hands over, those
    of a test, or translations that are to be there before the first packet.
  - An entry of the table is never changed. If it has one of the two tuples of a wanted entry, that one is not made, and
    is counted in RV(existing). A tuple is the addresses, ports, protocol and zone of one direction.
  - All entries are checked before the first one is made.
  - To change marks and timeouts of entries, use M(netops.conntrack.conntrack_update). To delete them, use
    M(netops.conntrack.conntrack_prune). To put back a file of them, use M(netops.conntrack.conntrack_restore).
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._netns
attributes:
  check_mode:
    support: full
    details:
      - In check mode RV(created) is V(0). RV(would_create) and RV(existing) are found by comparing the entries with the
        table.
  diff_mode:
    support: full
    details:
      - The diff shows the number of entries that are made, by family, protocol, state and whether a reply was seen.
  idempotent:
    support: full
options:
  entries:
    description:
      - The entries, each a dict with the fields that M(netops.conntrack.conntrack_info) returns with
        O(netops.conntrack.conntrack_info#module:entries=true). You can give what it returned on another router.
      - An entry needs C(protocol), C(source), C(destination), and C(remaining), the time until it ends if no packet
        comes, such as V(1h). It needs the ports, the keys of GRE or the numbers of ICMP as well, and C(state) if it is
        one of TCP.
      - C(reply_source), C(reply_destination) and the ports or keys of the reply are those of the other direction by
        default. Another address or port there makes it a translation.
      - C(replied) and C(assured) are false by default. C(mark), C(labels), C(helper), and C(zone), or C(zone_original)
        or C(zone_reply) for one direction, are taken as well.
      - What no new entry can be given, such as counters, C(id) or C(age), is left out. A key that is no field is an
        error. Null is like a key that is not there.
    type: list
    elements: dict
    required: true
notes:
  - The windows of TCP are unknown, so the kernel does not check the sequence numbers of such a connection, as after
    C(conntrack -I).
  - The kernel gives an entry labels only if a rule uses labels.
  - Expectations cannot be made with it.
seealso:
  - module: netops.conntrack.conntrack_restore
  - module: netops.conntrack.conntrack_info
"""

EXAMPLES = r"""
- name: Have a translation there before the first packet
  netops.conntrack.conntrack_create:
    entries:
      - protocol: udp
        source: 10.0.0.5
        source_port: 5060
        destination: 203.0.113.9
        destination_port: 5060
        reply_destination: 198.51.100.1
        remaining: 1h
  become: true

- name: Look at the connections of a customer on the old router
  netops.conntrack.conntrack_info:
    match: address=198.51.100.0/24
    entries: true
    limit: 1000
  become: true
  register: handed_over

- name: Hand them over to the new router
  netops.conntrack.conntrack_create:
    entries: "{{ handed_over.entries }}"
  become: true
  delegate_to: router2
"""

RETURN = r"""
no_conntrack:
  description: True if the module failed because the kernel tracks no connections. C(msg) says what to do.
  returned: failure, where connections are not tracked
  type: bool
  sample: true
wanted:
  description: The number of O(entries).
  returned: success, or when entries are refused
  type: int
  sample: 3
existing:
  description: The number of entries of which the table has one of the tuples already. They stay as they are.
  returned: success, or when entries are refused
  type: int
  sample: 1
would_create:
  description: RV(wanted) without RV(existing).
  returned: success, or when entries are refused
  type: int
  sample: 2
created:
  description: The number of entries that were made. V(0) in check mode.
  returned: success, or when entries are refused
  type: int
  sample: 2
refused:
  description: The number of entries that the kernel refused for another reason. If there are any, the module fails.
  returned: success, or when entries are refused
  type: int
  sample: 0
failures:
  description: The number of entries that the kernel refused, by its reason.
  returned: when the kernel refuses entries
  type: dict
  sample:
    Operation not supported: 2
without_labels:
  description: The number of entries that were made without the labels that they were to have.
  returned: success, or when entries are refused
  type: int
  sample: 0
count_after:
  description: The number of entries that the kernel reports afterwards. Null if it does not report it.
  returned: success, or when the kernel refuses entries
  type: int
  sample: 98248
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.create import create
from ansible_collections.netops.conntrack.plugins.module_utils._module import NETNS_OPTION, ConntrackModule, guarded_run
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import WritableTable


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Make the entries unless in check mode, and return the module's result."""
    with inside(module.params["netns"]), WritableTable() as table:
        context = Context.read(read_settings())
        outcome = create(table, module.params["entries"], context, dry_run=module.check_mode)
        for warning in outcome.every_warning():
            module.warn(warning)
        return outcome.result(table.count(), module._diff)


def main() -> None:
    module = ConntrackModule(
        argument_spec={
            "entries": {"type": "list", "elements": "dict", "required": True},
            **NETNS_OPTION,
        },
        supports_check_mode=True,
    )
    guarded_run(module, run)


if __name__ == "__main__":
    main()
