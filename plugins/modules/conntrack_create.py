#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_create
short_description: Make entries and expectations of connection tracking
version_added: 1.0.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Makes those of the entries that the table does not have, such as connections that another router hands over, those
    of a test, or translations that are to be there before the first packet.
  - An entry of the table is never changed. If it has one of the two tuples of a wanted entry, that one is not made, and
    is counted in RV(existing). A tuple is the addresses, ports, protocol and zone of one direction.
  - Makes O(expectations) as well, so that a connection which a helper announced on one router is RELATED on another.
  - All entries and expectations are checked before the first one is made.
  - To change marks and timeouts of entries, use M(netops.conntrack.conntrack_update). To delete them, use
    M(netops.conntrack.conntrack_prune). To put back a file of them, use M(netops.conntrack.conntrack_restore). To
    delete expectations, use M(netops.conntrack.conntrack_expect_prune).
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._netns
  - netops.conntrack._python
attributes:
  check_mode:
    support: full
    details:
      - In check mode RV(created) is V(0). RV(would_create) and RV(existing) are found by comparing the entries with the
        table. The same holds for the counts in RV(expectations).
  diff_mode:
    support: full
    details:
      - The diff shows the number of entries that are made, by family, protocol, state and whether a reply was seen, and
        that of expectations, by helper, family and protocol.
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
      - Needed without O(expectations).
    type: list
    elements: dict
  expectations:
    description:
      - The expectations, each a dict with the fields that M(netops.conntrack.conntrack_expect_info) returns. You can
        give what it returned on another router.
      - An expectation needs C(expected), with C(protocol), C(source), C(destination) and C(destination_port), and
        C(master), the original tuple of an entry with its ports. GRE has C(source_key) and C(destination_key) instead
        of ports. The protocols ICMP and ICMPv6 cannot be expected.
      - The master has to be in the table, or be one of O(entries). It needs a helper, because the kernel takes no other
        one. C(helper) may be left out, and is refused if it is not that of the master. C(zone) is that of the master,
        V(0) by default.
      - C(mask) says which bits of C(source) and C(source_port) count. By default, these are all bits of the source, and
        those of its port unless it is V(0), which may be any. All of the destination counts always.
      - C(remaining) is a duration of at most 24 days, such as V(1m), by default the time that the helper gives.
        C(class) is V(0) by default. C(flags), C(function) and C(nat) are taken as well. The kernel sets the flag
        C(USERSPACE) itself.
      - An expectation that the table has with the same C(expected), C(mask), C(master), C(zone) and C(class) stays as
        it is, and is counted in C(existing).
      - If one cannot be made, nothing is made, and RV(expectations.refusals) says why for each. The reasons are no
        master, the helper of another master, an expectation that the same connection would meet, and one more than the
        helper allows for its master. The kernel would make that one, and end the oldest for it.
      - Needed without O(entries).
    type: list
    elements: dict
    version_added: 1.0.0
notes:
  - The windows of TCP are unknown, so the kernel does not check the sequence numbers of such a connection, as after
    C(conntrack -I).
  - The kernel gives an entry labels only if a rule uses labels.
  - How many expectations a helper allows for one master is known of C(ftp), C(tftp), C(irc), C(pptp), C(sane) and
    C(netbios-ns), and of the class 0 only. With others, look at C(ended) in RV(expectations).
  - Kernels from before 2026 give the connection that comes the helper of an expectation whose C(class) is not V(0).
seealso:
  - module: netops.conntrack.conntrack_restore
  - module: netops.conntrack.conntrack_info
  - module: netops.conntrack.conntrack_expect_info
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

- name: Let in the data connection of FTP that a client has announced
  netops.conntrack.conntrack_create:
    expectations:
      - expected:
          protocol: tcp
          source: 203.0.113.21
          destination: 198.51.100.7
          destination_port: 40021
        master:
          protocol: tcp
          source: 198.51.100.7
          source_port: 51939
          destination: 203.0.113.21
          destination_port: 21
        remaining: 1m
  become: true
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
expectations:
  description: What became of O(expectations).
  returned: success, or when expectations are refused, with O(expectations)
  type: dict
  contains:
    wanted:
      description: The number of O(expectations).
      type: int
    existing:
      description: The number of those that the table has already.
      type: int
    would_create:
      description: The number of those that are missing, and can be made.
      type: int
    created:
      description: The number of those that were made. V(0) in check mode.
      type: int
    refused:
      description: The number of those that cannot be made. If there are any, the module fails.
      type: int
    ended:
      description:
        - The number of expectations of the same masters that are gone right after that, of before or of now. Their
          connection came, or the kernel has ended them because the helper allows no more for one master. If there are
          any, the module warns.
      type: int
    refusals:
      description: Which ones cannot be made, by their place in O(expectations), which begins with V(0), and why.
      type: list
      elements: dict
  sample:
    wanted: 2
    existing: 1
    would_create: 1
    created: 1
    refused: 0
    ended: 0
    refusals: []
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.create import blocks_of, create
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.expect_create import ExpectCreation
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.wanted import parse_all
from ansible_collections.netops.conntrack.plugins.module_utils._module import NETNS_OPTION, ConntrackModule, guarded_run
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.limits import read_machine_limit
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import WritableTable


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Make the entries and expectations unless in check mode, and return the module's result."""
    params, machine_limit = module.params, read_machine_limit()
    blocks, wanted = blocks_of(params["entries"] or []), parse_all(params["expectations"] or [])
    with inside(params["netns"]), WritableTable(machine_limit=machine_limit) as table:
        settings = read_settings()
        expectations = ExpectCreation(table, wanted, blocks)
        expectations.enforce(settings.get("expect_max"))
        outcome = create(table, blocks, Context.read(settings), dry_run=module.check_mode)
        for warning in outcome.every_warning():
            module.warn(warning)
        result = outcome.result(table.count(), module._diff)
        if params["expectations"] is None:
            return result
        result = expectations.complete(result, dry_run=module.check_mode)
    for warning in expectations.warnings(result):
        module.warn(warning)
    return result


def main() -> None:
    module = ConntrackModule(
        argument_spec={
            "entries": {"type": "list", "elements": "dict"},
            "expectations": {"type": "list", "elements": "dict"},
            **NETNS_OPTION,
        },
        required_one_of=[["entries", "expectations"]],
        supports_check_mode=True,
    )
    guarded_run(module, run)


if __name__ == "__main__":
    main()
