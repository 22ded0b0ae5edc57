#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_update
short_description: Shorten the remaining time, or set the mark, of connection-tracking entries
version_added: 0.3.0
author:
  - The netops.conntrack developers (@netops)
description:
  - A lower timeout in the sysctls acts on an entry only with its next packet, so an idle entry stays for days. This
    module shortens what such entries have left, so the new timeout acts at once.
  - With O(timeout=settings) it only shortens entries that have their time from a sysctl that
    M(netops.conntrack.conntrack_settings) lowered. Those of rules and of programs stay, and RV(kept) counts them.
  - It can also set the mark of entries, or some bits of it.
  - A remaining time is only ever shortened. The next packet of a connection gives it its whole timeout again.
  - All options are checked, and the whole table is read, before the first update.
  - The kernel does not compare its id of an entry with the one in an update. So each entry is looked up right before,
    and left alone if another connection has taken its place or if it does not need the update any more. In the moment
    between look-up and update, below a millisecond, a new connection with the same addresses and ports may take its
    place and be updated instead, and a connection that just had a packet may lose the time that it gained.
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._netns
  - netops.conntrack._protect
  - netops.conntrack._selection
  - netops.conntrack._assume_deleted
  - netops.conntrack._python
attributes:
  check_mode:
    support: full
    details:
      - In check mode RV(updated) is V(0), and RV(would_update) is what the real run would update.
  diff_mode:
    support: full
    details:
      - The diff has the number of entries with too much time left, and of those with another mark, by family, protocol,
        state and whether a reply was seen.
  idempotent:
    support: full
options:
  timeout:
    description:
      - What the entries may have left at most. Those with more get this, the others stay as they are.
      - V(settings) is the timeout that the sysctls have now for the entry's protocol and state. Of the two for UDP and
        GRE it is the longer one as soon as there was a reply.
      - "V({settings: {tcp_timeout_established: 15h}}) is the same for these sysctls only. In check mode it also takes
        values to come, and shows what these would do. The names and values are as in
        O(netops.conntrack.conntrack_settings#module:settings). A number that this module would not set, such as V(0),
        is taken if the kernel has it now, and in check mode if the kernel takes it, because
        M(netops.conntrack.conntrack_settings) restores such numbers."
      - With V(settings) in either form, an entry is shortened only if a sysctl that governs it was lowered. That is a
        sysctl whose value to come is below the present one, or one of which this router has on record that
        M(netops.conntrack.conntrack_settings) lowered it to the present value. The entry must not have more left than
        the value of before would allow by now. And neither a timeout policy of the router (C(ct timeout) of
        nftables, C(nfct)) nor a helper may explain what it has left. RV(kept) counts the entries that stay, by reason.
      - "V({max: 15h}) is the same time for all that O(match) selects, which it needs, wherever they have their time
        from. An entry that is idle for this time ends, whatever the sysctls say. To end entries at once, use
        M(netops.conntrack.conntrack_prune)."
    type: raw
  mark:
    description:
      - The mark to set. With a mask such as in V(0x10/0xff), the other bits stay.
      - Needs O(match) or O(select).
    type: str
notes:
  - Once an entry was shortened, its C(idle) starts again. To delete by C(idle), prune first.
  - At least one of O(timeout) and O(mark) is required.
  - An entry that was made with a fixed timeout (status C(FIXED_TIMEOUT)) keeps it, because the kernel refuses to change
    it, and is counted in RV(fixed_timeout) if that is too long. Its mark can be set.
  - The kernel does not show the timeout of an offloaded entry, which depends on the flowtable's sysctls. It stays, and
    is counted in RV(without_timeout). Its mark can be set.
  - An entry does not show where its timeout comes from. If a program made an entry with exactly the timeout that was
    lowered, such as a static one of 432000 seconds, it looks like the others. Name such entries in O(exclude), with
    V(family=ipv4,ipv6) as O(match).
seealso:
  - module: netops.conntrack.conntrack_settings
  - module: netops.conntrack.conntrack_prune
  - name: conntrack(8)
    description: The manual of the tool that lists the table on the command line.
    link: https://conntrack-tools.netfilter.org/manual.html
"""

EXAMPLES = r"""
- name: Let timeouts that conntrack_settings has lowered act at once
  netops.conntrack.conntrack_update:
    timeout: settings
  become: true

- name: Show what a lower timeout would do, once a prune has deleted what nobody answered
  netops.conntrack.conntrack_update:
    timeout:
      settings:
        tcp_timeout_established: 15h
    assume_deleted:
      match:
        - replied: false
  become: true
  check_mode: true

- name: Show how many idle connections have more than 15 hours left, and change nothing
  netops.conntrack.conntrack_update:
    match:
      - protocol: tcp
        state: ESTABLISHED
    exclude:
      - destination_port: 179
    timeout: {max: 15h}
  become: true
  check_mode: true
  diff: true

- name: Mark the connections of one customer in the lower byte of the mark
  netops.conntrack.conntrack_update:
    match:
      - address: [198.51.100.0/24, "2001:db8:7::/48"]
    mark: "0x10/0xff"
  become: true
"""

RETURN = r"""
no_conntrack:
  description: True if the module failed because the kernel tracks no connections. C(msg) says what to do.
  returned: failure, where connections are not tracked
  type: bool
  sample: true
matched:
  description: The number of entries that the selectors select.
  returned: success, or when updates are refused
  type: int
  sample: 98311
protected:
  description:
    - The number of entries that keep the time they have left because they are protected, the sum of RV(protected_by).
    - The module's own SSH connection keeps its mark as well. The others get O(mark), which ends no connection.
  returned: success, or when updates are refused
  type: int
  sample: 5
protected_by:
  description: The RV(protected) entries by what protects them, one of the names that O(unprotect) takes. An entry
    counts for the first of them, in the order of its choices. A name without entries is not there.
  returned: success, or when updates are refused
  type: dict
  version_added: 1.0.0
  sample: {management: 1, bgp: 4}
would_update:
  description: The number of entries that need the update when the table is read, and can have it.
  returned: success, or when updates are refused
  type: int
  sample: 71203
updated:
  description: The number of entries that were updated. V(0) in check mode.
  returned: success, or when updates are refused
  type: int
  sample: 71200
unchanged:
  description: The number of entries that have what is wanted without an update.
  returned: success, or when updates are refused
  type: int
  sample: 27097
already_gone:
  description: The number of entries that ended by themselves, or were replaced, between the reading and the update.
  returned: success, or when updates are refused
  type: int
  sample: 3
fixed_timeout:
  description: The number of entries that have more time left than wanted and keep it, because their timeout is fixed.
  returned: success, or when updates are refused
  type: int
  sample: 11
without_timeout:
  description: The number of entries for which the kernel shows no timeout, because they are offloaded. Always V(0)
    without O(timeout).
  returned: success, or when updates are refused
  type: int
  sample: 0
undecidable:
  description:
    - The number of entries that lack what the selectors ask for. None of them is selected.
    - With O(timeout=settings), also the number of those for whose protocol and state there is no sysctl. They are in
      RV(matched), and keep what they have left.
  returned: success, or when updates are refused
  type: int
  sample: 0
not_listed:
  description:
    - The number of entries that the kernel counts and does not list, because they are on their way into the table or
      out of it. It is null where the kernel does not say, or leaves out itself what is not selected.
  returned: success, or when updates are refused
  type: int
  version_added: 1.0.0
  sample: 0
kept:
  description:
    - The numbers of entries that have more time left than O(timeout=settings) says, and keep it, by the reason. All of
      them are V(0) for O(timeout={max}) and without O(timeout).
  returned: success, or when updates are refused
  type: dict
  contains:
    not_lowered:
      description:
        - No sysctl that governs them was lowered. They have their time from a rule, from a program, or from before
          somebody else lowered a sysctl.
      type: int
    rule:
      description: A timeout policy of the router for their family and protocol may have given them what they have left.
      type: int
    helper:
      description: Their helper, such as that of SIP, may have given them what they have left.
      type: int
    longer_than_before:
      description:
        - They have more left than the sysctl allowed before it was lowered. They have it from a program, or from a rule
          that is gone.
      type: int
  sample: {not_lowered: 0, rule: 212, helper: 0, longer_than_before: 0}
  version_added: 1.0.0
not_updated:
  description: The number of entries that could not be updated. If there are any, the module fails.
  returned: success
  version_added: 1.0.0
  type: int
  sample: 0
failures:
  description: The number of entries that could not be updated, by the kernel's reason.
  returned: when updates are refused
  type: dict
  sample:
    Device or resource busy: 2
unavailable:
  description: The sysctl that has to be on for these selectors.
  returned: when no entry is selected, and entries are undecidable because the sysctl is off
  type: str
  sample: net.netfilter.nf_conntrack_acct
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.guards import guards_of
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.options import (
    ASSUME_DELETED_OPTION,
    PROTECT_OPTIONS,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.rehearsal import (
    pruned_by,
    refuse_outside_check_mode,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.update import update
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.update_plan import (
    SETTINGS,
    UpdatePlan,
    aim_of,
    parse_mark,
    parse_timeout,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._module import (
    MATCH_OPTIONS,
    NETNS_OPTION,
    ConntrackModule,
    guarded_run,
)
from ansible_collections.netops.conntrack.plugins.module_utils._selected_table import selected
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import WritableTable


def check_options(module: AnsibleModule) -> None:
    """Refuse options that would act on more than was meant. Raises OptionError."""
    params = module.params
    timeout, mark = parse_timeout(params["timeout"]), parse_mark(params["mark"])
    if mark is not None and params["match"] is None and not params["select"]:
        remedy = "Give match with the selectors of the entries to mark."
        raise OptionError("mark", params["mark"], "would be set on every entry", remedy)
    if isinstance(timeout, int) and params["match"] is None and not params["select"]:
        problem = "would end every connection that is idle for so long"
        remedy = "Give match with the selectors of the entries that are meant, or timeout: settings."
        raise OptionError("timeout", params["timeout"], problem, remedy)
    refuse_outside_check_mode(params["assume_deleted"], module.check_mode)


def warn_of_what_stays(module: AnsibleModule, result: dict[str, t.Any]) -> None:
    """Warn of entries with more time left than the sysctls say, on a router on which none is known to be lowered."""
    number = result["kept"]["not_lowered"]
    if number:
        module.warn(
            f"No timeout is on record here that this collection lowered, so that nothing was shortened. {number} "
            "entries have more time left than the sysctls say. They may have it from a rule (ct timeout), from a "
            "program, or from before somebody else lowered a sysctl. To shorten some of them on purpose, select them "
            "with match, and give the time: timeout: {max: 15h}."
        )


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Check the options, update the table unless in check mode, and return the module's result."""
    params = module.params
    check_options(module)
    with selected(params, WritableTable) as (table, selection, context):
        guards = guards_of(params)
        deleted = params["assume_deleted"]
        pruned = None if deleted is None else pruned_by(deleted, context)
        aim = aim_of(params["timeout"], params["mark"], context.timeouts, module.check_mode)
        plan = UpdatePlan(selection, aim, guards, context.timeouts.record, pruned)
        result = update(table, plan, dry_run=module.check_mode).result(module._diff)
    if params["timeout"] == SETTINGS and not aim.claims.bounds:
        warn_of_what_stays(module, result)
    return selection.checked(result, context.settings)


def main() -> None:
    module = ConntrackModule(
        argument_spec={
            **MATCH_OPTIONS,
            "timeout": {"type": "raw"},
            "mark": {"type": "str"},
            **ASSUME_DELETED_OPTION,
            **PROTECT_OPTIONS,
            **NETNS_OPTION,
        },
        required_one_of=[("timeout", "mark")],
        supports_check_mode=True,
    )
    guarded_run(module, run)


if __name__ == "__main__":
    main()
