#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_prune
short_description: Delete the matching entries of the connection-tracking table
version_added: 0.1.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Reads the table once, decides which entries the selectors select, and deletes exactly those.
  - Each is deleted by its addresses, ports, zone and the kernel's id of it. If an entry ended and another connection
    with the same addresses and ports took its place, the new entry usually has another id, and stays.
  - An entry that a packet or a program may have changed since it was read is looked up right before its delete. If it
    does not match any more, such as a handshake that is complete by then, it stays. It is counted in RV(woken). Where
    each part of the table is pruned as soon as it is read, only entries that saw a packet in the last 3 seconds, or
    may have, are looked up, because the others change too rarely.
  - All options are checked before the first delete. With O(max_delete), O(confirm_idle) or O(backup), the whole table
    is read before it as well.
  - A connection that sends while its entry is deleted may get a new entry at once, which is deleted if it comes up
    later in the same reading and is selected as well.
  - Run it with C(--check) first to see what would be deleted. With O(backup), what is deleted is in a file, in a form
    that C(conntrack -R) takes.
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._netns
  - netops.conntrack._pair
  - netops.conntrack._protect
  - netops.conntrack._python
  - netops.conntrack._selection
attributes:
  check_mode:
    support: full
    details:
      - In check mode RV(deleted) is V(0), and RV(would_delete) is what the real run would delete. So the module waits
        for O(confirm_idle) and looks a second time in check mode as well.
  diff_mode:
    support: full
    details:
      - The diff shows the number of entries by family, protocol, state and whether a reply was seen, for the groups
        that change.
  idempotent:
    support: full
options:
  protect_helpers:
    description:
      - Whether to keep entries that have a connection-tracking helper, such as C(ftp) or C(sip). With such an entry,
        the kernel also forgets the connections that the helper expects.
      - They are deleted as well if every selector in O(match) has the key C(helper) and O(select) is empty.
    type: bool
    version_added: 1.0.0
    default: true
  confirm_idle:
    description:
      - A duration such as V(30s), at most V(10m). V(0) turns it off.
      - After reading the table, the module waits for this time. Then it looks at each selected entry again, and keeps
        those that saw a packet in between. They are counted in RV(woken).
      - An entry saw a packet if one of its packet counters, the time at which it expires, its state or its status has
        changed. The kernel gives the remaining time in whole seconds, so the time at which it expires counts as changed
        if it moved by more than 2 seconds. An entry without packet counters is judged without them. A SYN that is sent
        again changes nothing in the entry, so it goes unnoticed.
      - Give more than the longest pause between two packets of a connection that you mean to keep, such as the interval
        of its keepalives.
      - Each batch of at most 64 entries is deleted right after its second look. A packet in this time, well below a
        millisecond, goes unnoticed.
      - Offloaded entries stay, because their packets pass connection tracking by. So do entries with a fixed timeout
        and without counters. Both are in RV(kept).
      - O(max_delete) is compared with what was selected before the wait.
      - The module sends nothing while it waits. If something between Ansible and the router ends silent connections
        sooner, set C(ServerAliveInterval) of C(ssh), or run the task with C(async).
    type: str
    version_added: 1.0.0
    default: "0"
  confirm_idle_when:
    description:
      - When O(confirm_idle) applies. With V(always), it always does. With V(idle), it does if one of O(match),
        O(select) or O(exclude) reads C(idle). Otherwise entries are deleted without a second look.
    type: str
    version_added: 1.0.0
    choices: [always, idle]
    default: always
  protect_pair:
    description:
      - Whether to fail where C(conntrackd) writes the entries of another router into this table
        (C(DisableExternalCache)), and O(active_address) does not tell which of the two is active.
      - If this router stands by, such entries look idle, and C(conntrackd) hands their deletes on to the active member,
        where they cut live connections.
    type: bool
    version_added: 1.0.0
    default: true
  max_delete:
    description:
      - The most that may be deleted, as a number of entries such as V(5000), or as a share of all entries of the table
        such as V(40%). If more would be deleted, the module fails and deletes none. This holds in check mode, too.
      - V(100%) means no limit. Then each part of the table is pruned as soon as it is read.
    type: raw
    default: 100%
  sample:
    description:
      - How many of the entries to be deleted RV(lines) and RV(sample) show.
    type: int
    default: 5
  entries:
    description:
      - Whether RV(sample) is returned, with a dict of all fields for each entry.
    type: bool
    default: false
    version_added: 1.0.0
  backup:
    description:
      - Whether to write the entries that are about to be deleted to a file, before the first of them is deleted. The
        file is whole and on the disk by then, so it has what was deleted wherever the module is killed.
      - If the file cannot be written, the module fails and deletes nothing. In check mode it fails if the directory
        does not take a file, or has too little room.
      - The file has the lines of C(conntrack -L -o save), which C(conntrack -R) takes, with the mark. Labels and the
        name of a helper are in comments. It begins and ends with a comment, the time and the number of entries.
      - It may have more entries than were deleted, such as those that saw a packet before the second look of
        O(confirm_idle).
      - Counters, sequence numbers and windows of TCP, and what a helper expects, are not in it.
    type: bool
    default: false
    version_added: 1.0.0
  backup_dir:
    description:
      - The directory of the backups on the target. If it is missing, it is made, and only its owner can look into it.
      - Nobody but root and the running user may decide what is in it. A symbolic link in the path is followed only if
        nobody else can have put it there.
      - The name of a file has the time in UTC, and the network namespace of O(netns) if it is given. A namespace whose
        name has other characters than letters, digits, C(_) and C(.) is told by a part of its hash as well.
    type: path
    default: /var/lib/netops-conntrack/backups
    version_added: 1.0.0
  backup_keep:
    description:
      - How many backups stay in O(backup_dir), the newest ones. Older ones are removed once the entries are deleted.
        By default all of them stay.
      - Only files that have a name of a backup of the same O(netns) are removed. A backup is also removed if it is not
        whole, because the module was killed before it deleted anything.
    type: int
    version_added: 1.0.0
notes:
  - A task with C(async) that also becomes another user than root cannot find its SSH connection. Name the connection in
    O(exclude) there.
  - The next packet of a deleted connection makes a new entry, or is dropped if a rule drops what is C(ct state
    invalid). With NAT, the connection is cut.
seealso:
  - module: netops.conntrack.conntrack_settings
  - name: conntrack(8)
    description: The manual of the tool that lists the table on the command line.
    link: https://conntrack-tools.netfilter.org/manual.html
"""

EXAMPLES = r"""
# On the command line, the selector stands in quotes, with blanks between its keys:
#
#   ansible HOSTS -b -m netops.conntrack.conntrack_prune -a 'match="protocol=tcp state=SYN_SENT"'

- name: Show what would be deleted, and delete nothing
  netops.conntrack.conntrack_prune:
    select: [stale]
  become: true
  check_mode: true
  diff: true

- name: Delete connections of a single bare packet, but never more than 40 percent of the table
  netops.conntrack.conntrack_prune:
    select: [stale]
    max_delete: 40%
  become: true

- name: Delete what is idle for 15 hours and sees no packet for 30 seconds more, except for BGP and one customer
  netops.conntrack.conntrack_prune:
    match:
      - protocol: tcp
        state: ESTABLISHED
        idle: {min: 15h}
    exclude:
      - destination_port: 179
      - address: [198.51.100.0/24, "2001:db8:7::/48"]
    confirm_idle: 30s
  become: true

- name: Delete what never got a reply, and keep the last three backups of it
  netops.conntrack.conntrack_prune:
    match: "protocol=udp replied=false"
    backup: true
    backup_keep: 3
  become: true
  register: pruned

- name: Bring the backup to the controller
  ansible.builtin.fetch:
    src: "{{ pruned.backup_file }}"
    dest: backups/
  become: true
  when: pruned.backup_file is not none

- name: Forget everything about one address in a network namespace
  netops.conntrack.conntrack_prune:
    netns: customer1
    match: address=203.0.113.9
    max_delete: 1000
  become: true
"""

RETURN = r"""
no_conntrack:
  description: True if the module failed because the kernel tracks no connections. C(msg) says what to do.
  returned: failure, where connections are not tracked
  type: bool
  sample: true
standby:
  description:
    - Whether this router is the member of a pair that stands by, as O(active_address) tells. Then nothing is deleted,
      whatever RV(would_delete) says.
    - Null without O(active_address).
  returned: success, or when the deletes are refused
  type: bool
  version_added: 1.0.0
  sample: false
matched:
  description: The number of entries that the selectors select.
  returned: success, or when the deletes are refused
  type: int
  sample: 71208
protected:
  description: The number of RV(matched) entries that a guard keeps, the sum of RV(kept).
  returned: success, or when the deletes are refused
  type: int
  sample: 5
kept:
  description: The RV(protected) entries by the reason why they stay. A reason without entries is not there.
  returned: success, or when the deletes are refused
  type: list
  elements: dict
  version_added: 1.0.0
  contains:
    reason:
      description:
        - What protects them, one of the names that O(unprotect) takes, such as V(management) for the SSH connection
          that the module itself runs in, or V(bgp). An entry counts for the first of them, in the order of its choices.
        - With O(confirm_idle) also V(offloaded), and V(fixed_timeout) for those that have no counters either. A second
          look cannot show whether they saw a packet.
      type: str
    option:
      description: The option that would delete them, with its value.
      type: str
    entries:
      description: Their number.
      type: int
    sample:
      description: Some of them, at most O(sample), as M(netops.conntrack.conntrack_info) gives them. Empty where
        O(entries) is false.
      type: list
      elements: dict
  sample:
    - reason: management
      option: "protect_management: false"
      entries: 1
      sample: []
    - reason: bgp
      option: "unprotect: [bgp]"
      entries: 4
      sample: []
woken:
  description:
    - The number of RV(matched) entries that stay because they saw a packet while the module waited for
      O(confirm_idle), or because they did not match any more right before their delete.
    - It is null if there was no O(confirm_idle) and all matched to the end.
  returned: success, or when the deletes are refused
  type: int
  version_added: 1.0.0
  sample: 12
would_delete:
  description:
    - RV(matched) without RV(protected) and RV(woken).
    - After the wait for O(confirm_idle), also without those that had ended by then.
  returned: success, or when the deletes are refused
  type: int
  sample: 71203
deleted:
  description: The number of entries that were deleted. V(0) in check mode.
  returned: success, or when the deletes are refused
  type: int
  sample: 71200
already_gone:
  description: The number of entries that ended by themselves between the reading and the delete.
  returned: success, or when the kernel refuses deletes
  type: int
  sample: 3
not_deleted:
  description:
    - The number of entries that could not be deleted. If there are any, the module fails.
    - Together with RV(protected), RV(woken), RV(deleted) and RV(already_gone) it makes up RV(matched).
  returned: success, or when the kernel refuses deletes
  type: int
  version_added: 1.0.0
  sample: 0
failures:
  description: The number of entries that could not be deleted, by the kernel's reason.
  returned: when the kernel refuses deletes
  type: dict
  sample:
    Device or resource busy: 2
undecidable:
  description: The number of entries that lack what the selectors ask for. None of them is selected.
  returned: success, or when the deletes are refused
  type: int
  sample: 0
count_before:
  description:
    - The number of entries of the table when it was read.
    - Where the kernel itself leaves out what is not selected (see the notes, but not with C(--diff)), it is the number
      that the kernel counts, which includes entries that have expired and were not removed yet.
  returned: success, or when the deletes are refused
  type: int
  sample: 98311
count_after:
  description: The number of entries that the kernel reports after the deletes. Null if it does not report it.
  returned: success, or when the kernel refuses deletes
  type: int
  sample: 27108
not_listed:
  description:
    - The number of entries that the kernel counts and does not list, because they are on their way into the table or
      out of it. They count against C(nf_conntrack_max), and no prune frees them.
    - If the kernel's count hardly falls while entries are deleted, the table is read once more, this is the number
      after the deletes, and the module warns of the likely cause.
    - It is null where the kernel does not say, or leaves out itself what is not selected (see the notes).
  returned: success, or when the deletes are refused
  type: int
  version_added: 1.0.0
  sample: 0
lines:
  description: Some of the entries to be deleted, at most O(sample), each as the line that C(conntrack -L) prints.
  returned: success, or when the deletes are refused
  type: list
  elements: str
  version_added: 1.0.0
  sample:
    - tcp      6 431990 ESTABLISHED src=198.51.100.2 dst=203.0.113.2 sport=43781 dport=443 packets=1 bytes=40
      [UNREPLIED] src=203.0.113.2 dst=198.51.100.2 sport=443 dport=43781 packets=0 bytes=0 mark=0 use=1
sample:
  description: The same entries, as M(netops.conntrack.conntrack_info) gives them. Empty where O(entries) is false.
  returned: success, or when the deletes are refused
  type: list
  elements: dict
  sample: []
backup_file:
  description:
    - The path of the file with the deleted entries.
    - It is null without O(backup), in check mode, and if nothing was deleted. Then no file is left.
  returned: success, or when the kernel refuses deletes
  type: str
  version_added: 1.0.0
  sample: /var/lib/netops-conntrack/backups/20261129T104500.251837Z-5f3a9c1e.save
unavailable:
  description: The sysctl that has to be on for these selectors.
  returned: when no entry is selected, and entries are undecidable because the sysctl is off
  type: str
  sample: net.netfilter.nf_conntrack_acct
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.backup import backing_up
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.backup_directory import (
    BACKUP_OPTIONS,
    backup_plan_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.options import GUARD_OPTIONS
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune import count_only, prune
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import (
    parse_limit,
    plan_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._module import (
    MATCH_OPTIONS,
    NETNS_OPTION,
    ConntrackModule,
    guarded_run,
)
from ansible_collections.netops.conntrack.plugins.module_utils._pair.standby import (
    PAIR_OPTIONS,
    is_standby,
    refuse_standby,
)
from ansible_collections.netops.conntrack.plugins.module_utils._selected_table import selected
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import WritableTable
from ansible_collections.netops.conntrack.plugins.module_utils._units import require_natural


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Check the options, prune the table unless in check mode, and return the module's result."""
    params = module.params
    if params["max_delete"] is None:
        raise OptionError("max_delete", None, "is null, which is never a value", "Give a number, a share, or 100%.")
    limit = parse_limit(params["max_delete"])
    require_natural("sample", params["sample"])
    backup_plan = backup_plan_of(params)
    with selected(params, WritableTable, or_all=False) as (table, selection, context):
        plan = plan_of(params, selection, context, params["sample"], module._diff, params["entries"])
        standby = is_standby(params)
        if standby:
            counted = {**count_only(table, plan), "standby": True, "backup_file": None}
            return selection.checked(counted, context.settings)
        with backing_up(backup_plan, context, dry_run=module.check_mode) as backup:
            outcome = prune(table, plan, limit, module.check_mode, backup, lambda: refuse_standby(params))
            result = outcome.result(table.count(), module._diff)
            result |= {"standby": standby, "backup_file": backup.path if backup else None}
            warnings = [*outcome.warnings(), *(backup.remove_old() if backup else ())]
        for warning in warnings:
            module.warn(warning)
        return selection.checked(result, context.settings)


def main() -> None:
    module = ConntrackModule(
        argument_spec={
            **MATCH_OPTIONS,
            **GUARD_OPTIONS,
            **PAIR_OPTIONS,
            "max_delete": {"type": "raw", "default": "100%"},
            "sample": {"type": "int", "default": 5},
            "entries": {"type": "bool", "default": False},
            **BACKUP_OPTIONS,
            **NETNS_OPTION,
        },
        supports_check_mode=True,
    )
    guarded_run(module, run)


if __name__ == "__main__":
    main()
