#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_settings
short_description: Set limits, timeouts and switches of connection tracking
version_added: 0.1.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Sets any number of connection-tracking sysctls in one call, in the running kernel and in a drop-in file for the
    next boot.
  - Everything is checked before the first write. If a write fails all the same, what was written before it is put
    back, and the file stays as it was.
  - The kernel itself is asked which settings it has and under which names, those of old kernels
    (C(net.ipv4.netfilter.ip_conntrack_*)) included.
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._netns
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  settings:
    description:
      - The wanted settings, as names and values.
      - A name is the short one, such as V(max) or V(tcp_timeout_established), or any of V(nf_conntrack_max),
        V(net.netfilter.nf_conntrack_max), V(net/netfilter/nf_conntrack_max), V(ip_conntrack_max) and
        V(net.ipv4.netfilter.ip_conntrack_max). All of them mean the same setting, and it is written under the name
        that this kernel has. C(ansible_facts['conntrack'].settings) lists what a host has.
      - A timeout (a setting with C(timeout) in its name) is a number of seconds, or a number with one of the units
        C(s), C(m), C(h), C(d) and C(w), such as V(90s), V(15h) or V(5d). It is V(1) to V(2147483) seconds, about 24
        days. The kernel would take V(0), with which every entry expires at once.
      - A switch, such as V(acct), V(timestamp) or V(tcp_loose), is V(true), V(false), V(1) or V(0).
      - Every other setting is a whole number. V(max), V(buckets) and V(expect_max) are at least V(1), because
        V(max=0) means no limit, and V(max) is not below the number of entries that the table has now.
      - V(max), V(buckets) and V(expect_max) are one value for the whole machine, and can only be set outside any
        network namespace.
    type: dict
    required: true
  persist:
    description:
      - Whether O(sysctl_file) keeps the settings for the next boot as well. With V(false), the file is left alone.
      - Must be V(false) with O(netns), because drop-in files are applied to the machine and not to a namespace.
    type: bool
    default: true
  sysctl_file:
    description:
      - The drop-in file, in the format of C(sysctl.d(5)). Its name ends in C(.conf), and its directory exists.
      - Only the lines of the given settings are replaced or added. All other lines stay.
    type: path
    default: /etc/sysctl.d/90-netops-conntrack.conf
notes:
  - A lower timeout does not shorten what an entry has left. It acts on the entry's next packet, and on new entries.
  - V(acct) and V(timestamp) act on new entries only.
  - With V(tcp_loose=0) connections that are open are not picked up again after a reboot or a fail-over of the router.
  - At boot, drop-in files may be applied before C(nf_conntrack) is loaded, and are then lost. A line C(nf_conntrack) in
    C(/etc/modules-load.d/nf_conntrack.conf) loads it first.
  - The kernel rounds V(buckets) up to whole pages of memory, mostly to a multiple of 512.
  - To undo a change, run the module with the values that RV(settings.runtime_before) gave.
seealso:
  - module: ansible.posix.sysctl
  - name: Netfilter conntrack sysctl variables
    description: What each setting does, in the kernel's documentation.
    link: https://docs.kernel.org/networking/nf_conntrack-sysctl.html
"""

EXAMPLES = r"""
- name: Let idle connections go after 15 hours instead of 5 days
  netops.conntrack.conntrack_settings:
    settings:
      tcp_timeout_established: 15h
      generic_timeout: 2m
  become: true

- name: Show what would change, at run time and at boot, and change nothing
  netops.conntrack.conntrack_settings:
    settings:
      max: 1048576
      buckets: 262144
  become: true
  check_mode: true
  diff: true

- name: Set every setting of a busy NAT gateway in one call
  netops.conntrack.conntrack_settings:
    settings:
      max: 1048576
      buckets: 262144
      expect_max: 4096
      acct: true
      timestamp: true
      checksum: true
      log_invalid: 0
      events: 2
      generic_timeout: 2m
      icmp_timeout: 30s
      icmpv6_timeout: 30s
      udp_timeout: 30s
      udp_timeout_stream: 2m
      gre_timeout: 30s
      gre_timeout_stream: 3m
      tcp_loose: false
      tcp_be_liberal: false
      tcp_max_retrans: 3
      tcp_timeout_syn_sent: 1m
      tcp_timeout_syn_recv: 30s
      tcp_timeout_established: 15h
      tcp_timeout_fin_wait: 1m
      tcp_timeout_close_wait: 1m
      tcp_timeout_last_ack: 30s
      tcp_timeout_time_wait: 1m
  become: true

- name: Turn on accounting in a network namespace, until it is deleted
  netops.conntrack.conntrack_settings:
    netns: customer1
    persist: false
    settings:
      acct: true
  become: true
"""

RETURN = r"""
settings:
  description: What became of each setting, by its short name.
  returned: success
  type: dict
  contains:
    name:
      description: The name that this kernel has for it.
      type: str
    wanted:
      description: The wanted value, a timeout in seconds.
      type: int
    runtime_before:
      description: The value in the kernel before; null if it could not be read.
      type: int
    runtime_after:
      description: The value in the kernel now, read back; in check mode, the value that the real run would reach.
      type: int
    boot_before:
      description: The value that O(sysctl_file) set before; null if it set none, or with O(persist=false).
      type: int
    boot:
      description: The value that O(sysctl_file) sets now, or would in check mode; null with O(persist=false).
      type: int
    boot_file:
      description: The file that RV(settings.boot) is in; null with O(persist=false).
      type: str
  sample:
    tcp_timeout_established:
      name: net.netfilter.nf_conntrack_tcp_timeout_established
      wanted: 54000
      runtime_before: 432000
      runtime_after: 54000
      boot_before: null
      boot: 54000
      boot_file: /etc/sysctl.d/90-netops-conntrack.conf
unsupported:
  description: The settings that this kernel does not have. The module fails if there are any.
  returned: success, or when settings are refused
  type: list
  elements: str
  sample: []
read_only:
  description: The settings that cannot be written here. The module fails if there are any.
  returned: success, or when settings are refused
  type: list
  elements: str
  sample: []
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netops.conntrack.plugins.module_utils._dropin import DropIn, boot_values, plan_dropin, staged
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._module import NETNS_OPTION, guarded_run
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._settings import Change, apply, plan


def describe(change: Change, dropin: DropIn | None, check_mode: bool) -> dict[str, t.Any]:
    """Give the result of one setting."""
    short = change.sysctl.short
    predicted = change.reached if change.needed else change.before
    return {
        "name": change.sysctl.name,
        "wanted": change.wanted,
        "runtime_before": change.before,
        "runtime_after": predicted if check_mode else change.sysctl.read(),
        "boot_before": boot_values(dropin.text).get(short) if dropin else None,
        "boot": boot_values(dropin.new_text).get(short) if dropin else None,
        "boot_file": dropin.path if dropin else None,
    }


def differences(changes: t.Iterable[Change], dropin: DropIn | None) -> list[dict[str, str]]:
    """Give the diff: the run-time values that change, and the file if it changes."""
    needed = [change for change in changes if change.needed]
    diff = []
    if needed:
        before = "".join(f"{change.sysctl.name} = {change.before}\n" for change in needed)
        after = "".join(f"{change.sysctl.name} = {change.reached}\n" for change in needed)
        diff.append(_difference("run time", before, after))
    if dropin and dropin.changed:
        diff.append(_difference(dropin.path, dropin.text, dropin.new_text))
    return diff


def _difference(header: str, before: str, after: str) -> dict[str, str]:
    return {"before_header": header, "after_header": header, "before": before, "after": after}


def set_settings(module: AnsibleModule) -> dict[str, t.Any]:
    """Plan the run time and the file, carry both out unless in check mode, and give the module's result."""
    params = module.params
    if params["netns"] is not None and params["persist"]:
        problem = (
            "cannot be combined with netns, because drop-in files are applied to the machine and not to a namespace"
        )
        raise OptionError("persist", True, problem, "Set persist: false.")
    with inside(params["netns"]):
        changes = plan(params["settings"])
        wanted = {change.sysctl.name: change.wanted for change in changes}
        dropin = plan_dropin(params["sysctl_file"], wanted) if params["persist"] else None
        if not module.check_mode:
            # The new file lies complete on the disk before the kernel is touched; all that is left to fail is a rename.
            with staged(dropin) as commit:
                apply(changes, commit)
        result = {change.sysctl.short: describe(change, dropin, module.check_mode) for change in changes}
    if any(change.sysctl.short == "tcp_loose" and change.needed and not change.wanted for change in changes):
        module.warn("tcp_loose is off: after a reboot or a fail-over, connections that are open will not be picked up.")
    diff = differences(changes, dropin)
    shown = {"diff": diff} if module._diff else {}
    return {"changed": bool(diff), "settings": result, "unsupported": [], "read_only": [], **shown}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "required": True},
            "persist": {"type": "bool", "default": True},
            "sysctl_file": {"type": "path", "default": "/etc/sysctl.d/90-netops-conntrack.conf"},
            **NETNS_OPTION,
        },
        supports_check_mode=True,
    )
    guarded_run(module, set_settings)


if __name__ == "__main__":
    main()
