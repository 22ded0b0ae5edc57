#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_restore
short_description: Put the entries of a backup back into the connection-tracking table
version_added: 1.0.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Reads a backup or a listing of entries, and makes those that the table does not have.
  - An entry of the table is never changed. If it has one of the two tuples of an entry in the file, that one is not
    made, and is counted in RV(existing). A tuple is the addresses, ports, protocol and zone of one direction.
  - An entry gets the time that it would have left by now. One that would have ended by now is not made, and is counted
    in RV(expired).
  - The translation of addresses and ports is restored, so a connection through NAT goes on with the same ports. If
    another connection has taken the port meanwhile, it keeps it, and the entry is in RV(existing).
  - The whole file is read before the first entry is made.
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._netns
  - netops.conntrack._pair
  - netops.conntrack._python
  - netops.conntrack._selection
attributes:
  check_mode:
    support: full
    details:
      - In check mode RV(restored) is V(0). RV(would_restore) and RV(existing) are found by comparing the file with the
        table.
  diff_mode:
    support: full
    details:
      - The diff shows the number of entries that are restored, by family, protocol, state and whether a reply was seen.
  idempotent:
    support: full
options:
  src:
    description:
      - The path of the file on the router. It can be a backup, or what C(conntrack -L) writes, with any of its output
        options, or what was in C(/proc/net/nf_conntrack). It can be compressed with gzip.
      - C(-o save) shows all that can be restored but marks, labels and helpers, which a backup has as well. Other
        options show less. In XML, the numbers of ICMP are missing, and the kernel refuses such entries.
      - It has to belong to root or to the user that the module runs as, and nobody else may be able to write it. Its
        entries decide which packets pass as parts of connections.
      - If there is a line that is no entry, the module fails and restores nothing. Only the last line of a backup that
        was cut short is left out, with a warning.
    type: path
    required: true
  written_at:
    description:
      - When the file was written, such as V(2026-11-28T19:11:56Z), or in seconds since the epoch. From then on the
        remaining times of its entries are counted.
      - V(now) gives each entry all of the time that the file says.
      - By default, it is the time that the backup has in its first line, or else when the file was last changed.
    type: str
notes:
  - Not restored are the counters of packets and bytes, the id, when the entry began, C(secctx), offloading to a
    flowtable, what helpers expect, and which connection an expected one belongs to. The kernel takes none of them.
  - The sequence numbers and windows of TCP are in no listing, so the kernel does not check those of a restored
    connection. What a helper or a synproxy adds to them is in no listing either, so such a connection does not go on.
  - The kernel does not keep the timeouts of GRE in a restored entry. Its next packet makes a new entry in its place.
  - Labels are restored only if a rule uses labels, and a helper only if its module can be loaded.
  - Restore before the connections send again where you can. The next packet of a deleted connection may have made a new
    entry, which stays.
seealso:
  - module: netops.conntrack.conntrack_prune
  - name: conntrack(8)
    description: The manual of the tool that lists the table on the command line.
    link: https://conntrack-tools.netfilter.org/manual.html
"""

EXAMPLES = r"""
- name: Show what a restore would do
  netops.conntrack.conntrack_restore:
    src: /var/lib/netops-conntrack/backups/20261128T191156.402117Z-5d1f09c3.save
  become: true
  check_mode: true
  diff: true

- name: Put back what was deleted
  netops.conntrack.conntrack_restore:
    src: /var/lib/netops-conntrack/backups/20261128T191156.402117Z-5d1f09c3.save
  become: true

- name: Put back the connections of one customer, with all of the time that the listing says
  netops.conntrack.conntrack_restore:
    src: /root/conntrack.txt
    written_at: now
    match:
      - address: [198.51.100.0/24, "2001:db8:7::/48"]
  become: true
"""

RETURN = r"""
no_conntrack:
  description: True if the module failed because the kernel tracks no connections. C(msg) says what to do.
  returned: failure, where connections are not tracked
  type: bool
  sample: true
src:
  description: The file that was read.
  returned: success
  type: str
  sample: /var/lib/netops-conntrack/backups/20261128T191156.402117Z-5d1f09c3.save
entries:
  description: The number of entries in the file.
  returned: success, or when entries are refused
  type: int
  sample: 71203
matched:
  description: The number of entries in the file that the selectors select.
  returned: success, or when entries are refused
  type: int
  sample: 71203
undecidable:
  description:
    - The number of entries of which the file does not say what the selectors ask for. None of them is selected.
  returned: success, or when entries are refused
  type: int
  sample: 0
expired:
  description: The number of RV(matched) entries that would have ended by now.
  returned: success, or when entries are refused
  type: int
  sample: 140
without_timeout:
  description: The number of RV(matched) entries of which the file has no remaining time, because they were offloaded.
  returned: success, or when entries are refused
  type: int
  sample: 0
existing:
  description: The number of entries that are not made because the table has an entry of one of their tuples.
  returned: success, or when entries are refused
  type: int
  sample: 63
would_restore:
  description: RV(matched) without RV(expired), RV(without_timeout) and RV(existing).
  returned: success, or when entries are refused
  type: int
  sample: 71000
restored:
  description: The number of entries that were made. V(0) in check mode.
  returned: success, or when entries are refused
  type: int
  sample: 71000
refused:
  description: The number of entries that the kernel refused for another reason. If there are any, the module fails.
  returned: success, or when entries are refused
  type: int
  sample: 0
standby:
  description:
    - Whether this router is the member of a pair that stands by, as O(active_address) tells. Then nothing is restored,
      whatever RV(would_restore) says.
    - Null without O(active_address).
  returned: success
  type: bool
  sample: false
failures:
  description: The number of entries that the kernel refused, by its reason.
  returned: when the kernel refuses entries
  type: dict
  sample:
    Operation not supported: 2
without_labels:
  description: The number of entries that were restored without the labels that they had.
  returned: success, or when entries are refused
  type: int
  sample: 0
written_at:
  description: The time from which the remaining times are counted, in UTC.
  returned: success
  type: str
  sample: "2026-11-28T19:11:56Z"
complete:
  description: Whether the last line of the backup says that it is complete. Null for a file that is no backup.
  returned: success
  type: bool
  sample: true
count_after:
  description: The number of entries that the kernel reports after the restore. Null if it does not report it.
  returned: success, or when the kernel refuses entries
  type: int
  sample: 98248
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.restore import restore
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.restore_plan import plan_of
from ansible_collections.netops.conntrack.plugins.module_utils._listing.listing import Listing
from ansible_collections.netops.conntrack.plugins.module_utils._module import (
    MATCH_OPTIONS,
    NETNS_OPTION,
    ConntrackModule,
    guarded_run,
)
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._pair.standby import ACTIVE_OPTION, is_standby
from ansible_collections.netops.conntrack.plugins.module_utils._selected_listing import undecided
from ansible_collections.netops.conntrack.plugins.module_utils._selector.selection import selection_of
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.limits import read_machine_limit
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import WritableTable


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Read the file, make its entries unless in check mode, and return the module's result."""
    params, machine_limit = module.params, read_machine_limit()
    with Listing(params["src"]) as listing, inside(params["netns"]):
        selection = selection_of(params, listing.context(read_settings()))
        plan = plan_of(listing, selection, params["written_at"], int(time.time()))
        standby = is_standby(params)
        with WritableTable(machine_limit=machine_limit) as table:
            outcome = restore(table, listing, plan, dry_run=module.check_mode or bool(standby))
            for warning in outcome.every_warning():
                module.warn(warning)
            result = outcome.result(table.count(), module._diff)
    is_complete = None if listing.backup_version is None else listing.complete is not None
    warnings = undecided(result, selection)
    about = {"src": params["src"], "written_at": plan.written_at_text, "complete": is_complete, "standby": standby}
    return {**result, **about, "changed": result["changed"] and not standby, "warnings": warnings}


def main() -> None:
    module = ConntrackModule(
        argument_spec={
            "src": {"type": "path", "required": True},
            "written_at": {"type": "str"},
            **ACTIVE_OPTION,
            **MATCH_OPTIONS,
            **NETNS_OPTION,
        },
        supports_check_mode=True,
    )
    guarded_run(module, run)


if __name__ == "__main__":
    main()
