#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_timeout_policy
short_description: Give one service timeouts of its own
version_added: 1.0.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Makes, changes and removes a timeout policy, which rules of the firewall give to the connections that they match.
    All other connections keep the timeouts of the sysctls.
  - Without O(nft_table), it is a policy of cttimeout, which C(nfct) lists and a rule of iptables attaches with
    C(-j CT --timeout). With O(nft_table), it is an object C(ct timeout) of nftables, which a rule attaches with
    C(ct timeout set).
  - The module makes no rule. A policy that no rule attaches does nothing. The page C(docs/timeouts.md) has the rules.
  - The kernel keeps no policy over a reboot. With O(persist), an object of nftables has a file of its own, which the
    boot loads if the file of your ruleset includes it. RV(for_boot) is the line for the files that you write yourself.
  - A connection gets its policy with its first packet. Entries that are in the table already keep their timeouts.
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._netns
  - netops.conntrack._python
attributes:
  check_mode:
    support: full
    details:
      - What the module cannot know without a change is missing in check mode. These are the timeouts that a new policy
        gets besides O(timeouts), while the kernel module C(nfnetlink_cttimeout) is not loaded.
      - C(nft) is not asked about the file of O(persist), so RV(boot.checked) is null.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description:
      - The name of the policy, of at most 31 characters. It begins with a letter, C(_) or C(.), and goes on with
        letters, digits and the signs C(_), C(.), C(-) and C(/).
      - If your firewall is saved with C(iptables-save), give at most 4 characters. Kernels from 4.11 to a fix of 2026
        show iptables no more of it, so a saved rule has a cut name, and C(iptables-restore) refuses the whole file.
        The module warns of a new policy with a longer name, if there is no O(nft_table).
    type: str
    required: true
  protocol:
    description:
      - The protocol that the policy is for. A rule that attaches it has to match the same one.
      - V(generic) is for all protocols that the kernel does not track itself.
      - Needed with O(state=present). An object of nftables is for V(tcp) or V(udp).
    type: str
    choices: [tcp, sctp, dccp, udp, udplite, gre, icmp, icmpv6, generic]
  family:
    description:
      - The family that the policy is for. C(iptables) takes policies for V(ipv4), C(ip6tables) those for V(ipv6).
      - A rule in a table C(inet) of nftables gives its object to connections of both families, whatever this says.
    type: str
    choices: [ipv4, ipv6]
    default: ipv4
  timeouts:
    description:
      - The wanted timeouts, as names and durations. Needed with O(state=present).
      - A duration is a number of seconds, or a number with one of the units C(s), C(m), C(h), C(d) and C(w), such as
        V(90s) or V(15h). It is V(1) to V(2147483) seconds, about 24 days.
      - Those of V(tcp) are V(syn_sent), V(syn_recv), V(established), V(fin_wait), V(close_wait), V(last_ack),
        V(time_wait), V(close), V(syn_sent2), V(max_retrans) and V(unacknowledged).
      - Those of V(udp), V(udplite) and V(gre) are V(unreplied) and V(replied).
      - Those of V(sctp) are V(closed), V(cookie_wait), V(cookie_echoed), V(established), V(shutdown_sent),
        V(shutdown_recd), V(shutdown_ack_sent) and V(heartbeat_sent).
      - Those of V(dccp) are V(request), V(respond), V(partopen), V(open), V(closereq), V(closing) and V(timewait).
      - That of V(icmp), V(icmpv6) and V(generic) is V(timeout).
      - The short names of the sysctls, such as V(tcp_timeout_established) or V(udp_timeout_stream), mean the same.
      - A timeout that is not given stays as it is. A new policy gets it from the sysctl. After that, the sysctl says
        nothing any more.
    type: dict
    default: {}
  nft_table:
    description:
      - The table of nftables that the policy is to be an object of, as its family and its name, such as
        V(inet filter). The family is C(inet), C(ip) or C(ip6). The table must exist.
      - The module needs no C(nft) for that.
    type: str
  persist:
    description:
      - Whether O(nft_file) makes the policy again at each boot. It is written with all timeouts that the policy has.
      - Only this file is written, and no file of yours is changed. If the boot will not load it, the module warns, and
        says which line is missing in which file. The boot loads what enabled units of systemd load with C(nft -f), and
        what these files include. With another init, the module finds none.
      - Where there is C(nft), it checks the file and each file that the boot loads with C(nft -c -f). If one of these
        held before and does not with the change, nothing is changed. This happens if rules that use the policy are
        loaded before the file, or with O(state=absent), if rules in your files still need the policy.
      - With O(state=absent), the file is removed. With V(false), no file is touched.
      - Needs O(nft_table), because no service of a system loads policies of cttimeout at boot. Must be V(false) with
        O(netns), and on VyOS, which writes its ruleset from its own configuration.
    type: bool
    version_added: 1.0.0
    default: false
  nft_file:
    description:
      - The file of O(persist). Its name ends in C(.nft). Each policy has one of its own. If another file has this name,
        the module refuses it. A missing directory is made.
      - By default, it is C(/etc/nftables.d/netops-conntrack-FAMILY-TABLE-NAME.nft).
    type: path
    version_added: 1.0.0
  state:
    description:
      - V(present) makes the policy, or changes its timeouts.
      - V(absent) removes it. The kernel does not remove a policy that a rule uses. The module refuses that before, and
        names the rules. Entries that have their timeout from a removed policy take that of the sysctl with their next
        packet.
    type: str
    choices: [present, absent]
    default: present
notes:
  - nftables cannot change an object that a rule uses. The module refuses that, and says what to write into the file
    of the ruleset.
  - The kernel cannot make a policy one for another protocol or family. The module refuses that.
seealso:
  - module: netops.conntrack.conntrack_settings
    description: Timeouts of all connections.
  - module: netops.conntrack.conntrack_update
    description: Shorten the entries that are in the table already.
"""

EXAMPLES = r"""
- name: Let phones be silent for an hour, and leave all other streams of UDP as they are
  netops.conntrack.conntrack_timeout_policy:
    name: sip
    protocol: udp
    timeouts:
      replied: 1h
  become: true

- name: The same as an object of nftables
  netops.conntrack.conntrack_timeout_policy:
    name: sip
    protocol: udp
    timeouts:
      replied: 1h
    nft_table: inet filter
  become: true

- name: Also at each boot, if /etc/nftables.conf says include "/etc/nftables.d/*.nft"
  netops.conntrack.conntrack_timeout_policy:
    name: sip
    protocol: udp
    timeouts:
      replied: 1h
    nft_table: inet filter
    persist: true
  become: true

- name: Remove it, once no rule uses it any more
  netops.conntrack.conntrack_timeout_policy:
    name: sip
    state: absent
  become: true
"""

RETURN = r"""
policy:
  description: The policy as it is now, or in check mode would be. Null if there is none.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    family:
      description: V(ipv4) or V(ipv6).
      type: str
    protocol:
      description: The protocol.
      type: str
    timeouts:
      description: All its timeouts in seconds, by name.
      type: dict
    users:
      description: The number of rules that use it.
      type: int
  sample:
    name: sip
    family: ipv4
    protocol: udp
    timeouts:
      unreplied: 30
      replied: 3600
    users: 1
policy_before:
  description: The policy as it was before, in the form of RV(policy). Null if there was none.
  returned: success
  type: dict
  sample: null
for_boot:
  description:
    - What makes the policy again at boot. Without O(nft_table), it is a command for the script or the unit that loads
      the rules, before it loads them. With O(nft_table), it is an object for the file that C(nft) loads.
    - Null with O(state=absent).
  returned: success
  type: str
  sample: nfct add timeout sip inet udp replied 3600
boot:
  description: The file that makes the policy at boot. Null without O(persist).
  returned: success
  type: dict
  contains:
    file:
      description: The path of the file, null with O(state=absent).
      type: str
    loaded_by:
      description:
        - The file and the line that have the boot load it. Null if the boot does not load it, which the module warns
          of, and with O(state=absent).
      type: str
    checked:
      description:
        - V(true) if C(nft) accepts the file, and what the boot loads. Null if there is no C(nft), and in check mode.
      type: bool
  sample:
    file: /etc/nftables.d/netops-conntrack-inet-filter-sip.nft
    loaded_by: /etc/nftables.conf:4
    checked: true
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netops.conntrack.plugins.module_utils._module import NETNS_OPTION, ConntrackModule, guarded_run
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._settings.file_attributes import FileAttributes
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.policy import FAMILIES
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.run import Run
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.timeout_names import PROTOCOLS


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Check the options, do what is wanted unless in check mode, and return the module's result."""
    work = Run(module.params, module.check_mode, module._diff, FileAttributes(module).prepare)
    with inside(module.params["netns"]):
        return work.result()


def main() -> None:
    module = ConntrackModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "protocol": {"type": "str", "choices": list(PROTOCOLS)},
            "family": {"type": "str", "choices": list(FAMILIES), "default": "ipv4"},
            "timeouts": {"type": "dict", "default": {}},
            "nft_table": {"type": "str"},
            "persist": {"type": "bool", "default": False},
            "nft_file": {"type": "path"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            **NETNS_OPTION,
        },
        supports_check_mode=True,
    )
    guarded_run(module, run)


if __name__ == "__main__":
    main()
