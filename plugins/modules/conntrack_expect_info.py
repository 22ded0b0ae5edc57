#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_expect_info
short_description: List the connections that helpers expect
version_added: 1.0.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Lists and groups the table of expectations, each with its master.
  - A helper, such as that of FTP or SIP, reads in one connection that another one will follow, and expects that. A
    firewall lets the expected connection in as C(related). Rules can expect connections as well (C(ct expectation) of
    nftables).
  - The table of expectations has a limit of its own, C(nf_conntrack_expect_max). When it is full, the kernel drops the
    packet that announces the next connection, such as the command of FTP or the INVITE of SIP.
  - It changes nothing.
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._attributes.reads_only
  - netops.conntrack._netns
  - netops.conntrack._expectations
  - netops.conntrack._python
options:
  group_by:
    description:
      - Fields to count by, such as V(helper), or V([helper, master]).
    type: list
    elements: str
    choices: [helper, master, class, zone, protocol, family]
    default: []
  limit:
    description:
      - How many expectations and groups to return. V(0) returns none.
    type: int
    default: 10
seealso:
  - module: netops.conntrack.conntrack_expect_prune
  - module: netops.conntrack.conntrack_facts
"""

EXAMPLES = r"""
- name: See what is expected, and because of which connection
  netops.conntrack.conntrack_expect_info:
  become: true

- name: See which helpers expect most, and for whom
  netops.conntrack.conntrack_expect_info:
    group_by: [helper, master]
    limit: 5
  become: true

- name: List what one phone made the helper of SIP expect
  netops.conntrack.conntrack_expect_info:
    match:
      helper: sip
      master_source: 198.51.100.7
    limit: 100
  become: true
"""

RETURN = r"""
no_conntrack:
  description: True if the module failed because the kernel tracks no connections. C(msg) says what to do.
  returned: failure, where connections are not tracked
  type: bool
  sample: true
total:
  description: The number of expectations in the table.
  returned: success
  type: int
  sample: 12
max:
  description: The most that the table can have, C(nf_conntrack_expect_max). Null if the kernel does not tell.
  returned: success
  type: int
  sample: 4096
percent:
  description: How full the table is. Null if RV(max) is not known, or 0.
  returned: success
  type: float
  sample: 0.29
matched:
  description: The number of expectations that O(match) selects.
  returned: success
  type: int
  sample: 2
undecidable:
  description: The number of expectations that lack what O(match) asks for. None of them is selected.
  returned: success
  type: int
  sample: 0
expectations:
  description: At most O(limit) of the selected expectations, those that end last first.
  returned: success
  type: list
  elements: dict
  contains:
    family:
      description: V(ipv4) or V(ipv6).
      type: str
    helper:
      description: The name of the helper, null if a rule expects it, or a program without a helper's name.
      type: str
    class:
      description: A number by which the helper distinguishes what it expects, such as signalling and voice of SIP.
      type: int
    remaining:
      description: The seconds until it ends, if the expected connection does not come.
      type: int
    zone:
      description:
        - The zone of the master. Kernels do not list it, so the module looks the expectation up.
        - It is null if the kernel does not find it in any zone, because it ended meanwhile, or its master has no entry
          in the table yet.
      type: int
    id:
      description: The kernel's number of the expectation.
      type: int
    flags:
      description: Any of V(PERMANENT), V(INACTIVE) and V(USERSPACE).
      type: list
      elements: str
    function:
      description: The name of what the kernel calls when the expected connection comes, null if it has none.
      type: str
    expected:
      description:
        - The expected tuple, with C(protocol), C(source), C(destination), C(source_port) and C(destination_port), and
          with C(source_key) and C(destination_key) of GRE. What the protocol does not have is null.
      type: dict
    mask:
      description: Which bits of C(expected) count, with the same keys, but for C(protocol). A port of 0 may be any.
      type: dict
    master:
      description: The original tuple of the master, with the keys of C(expected).
      type: dict
    nat:
      description:
        - C(source) and C(source_port) from before NAT, and the C(direction) of the master that the expected connection
          has. It is null without NAT. Some older kernels return values of an expectation that ended here.
      type: dict
  sample:
    - family: ipv4
      helper: ftp
      class: 0
      remaining: 287
      zone: 0
      id: 2153820308
      flags: []
      function: null
      expected:
        protocol: tcp
        source: 203.0.113.21
        destination: 198.51.100.7
        source_port: 0
        destination_port: 40021
        source_key: null
        destination_key: null
      mask:
        source: 255.255.255.255
        destination: 255.255.255.255
        source_port: 0
        destination_port: 65535
        source_key: null
        destination_key: null
      master:
        protocol: tcp
        source: 198.51.100.7
        destination: 203.0.113.21
        source_port: 51939
        destination_port: 21
        source_key: null
        destination_key: null
      nat: null
groups:
  description:
    - At most O(limit) groups, the largest first. Each has the fields of O(group_by), and the number of
      C(expectations). Empty without O(group_by).
  returned: success
  type: list
  elements: dict
  sample: [{helper: sip, expectations: 9}, {helper: ftp, expectations: 3}]
groups_distinct:
  description: The number of groups.
  returned: success
  type: int
  sample: 2
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.counts import (
    GROUP_FIELDS,
    query,
    usage,
)
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.dump import list_expectations
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.selection import compile_match
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.zones import with_zones
from ansible_collections.netops.conntrack.plugins.module_utils._module import NETNS_OPTION, ConntrackModule, guarded_run
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
from ansible_collections.netops.conntrack.plugins.module_utils._units import require_natural


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Check the options, list the expectations, and return the module's result."""
    params = module.params
    require_natural("limit", params["limit"])
    selection = compile_match(params["match"])
    with inside(params["netns"]), Table() as table:
        listed = with_zones(list_expectations(), table)
        full = usage(len(listed), read_settings().get("expect_max"))
    answer = query(listed, selection, params["group_by"], params["limit"])
    return {"changed": False, "max": full["max"], "percent": full["percent"], **answer}


def main() -> None:
    module = ConntrackModule(
        argument_spec={
            "match": {"type": "raw"},
            "group_by": {"type": "list", "elements": "str", "choices": list(GROUP_FIELDS), "default": []},
            "limit": {"type": "int", "default": 10},
            **NETNS_OPTION,
        },
        supports_check_mode=True,
    )
    guarded_run(module, run)


if __name__ == "__main__":
    main()
