# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This doc fragment is PRIVATE to this collection: it can change without notice.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  match:
    description:
      - Which entries to select. An entry is selected when any of these selectors holds, and none of O(exclude) does.
      - Without it, all entries are selected that O(exclude) does not name.
      - The keys of a selector are listed in the notes.
    type: list
    elements: dict
  exclude:
    description:
      - Selectors like those of O(match). An entry for which any of them holds is not selected.
    type: list
    elements: dict
    default: []
notes:
  - A selector is a dictionary. Every key that is given must hold. A list means any of its values.
  - The kernel is asked to leave out what a single selector in O(match) excludes by a single value of C(family),
    C(replied), C(assured), C(expected), C(offloaded=false), C(nat), C(mark), C(zone), or by one IPv4 address as
    C(source) or C(destination). That takes a fraction of the time on a large table. Each entry that comes is checked
    all the same, and a kernel that does not know how to leave something out sends all.
  - "C(family): V(ipv4) or V(ipv6)."
  - "C(protocol): V(tcp), V(udp), V(icmp), V(icmpv6), V(sctp), V(gre), V(dccp), V(udplite), or a number."
  - "C(state): the protocol's state as C(conntrack -L) prints it, such as V(ESTABLISHED) or V(SYN_SENT)."
  - "C(replied), C(assured), C(offloaded), C(expected): V(true) or V(false)."
  - "C(nat): V(snat), V(dnat) or V(none)."
  - "C(source), C(destination), C(reply_source), C(reply_destination): an address or a network such as
    V(198.51.100.0/24) or V(2001:db8::/32). C(address): any of the four."
  - "C(source_port), C(destination_port), C(reply_source_port), C(reply_destination_port): a port or a range such as
    V(1024-65535)."
  - "C(icmp_type), C(icmp_code), C(icmp_id): a number."
  - "C(mark): a number, also with a mask, such as V(0x10/0xff)."
  - "C(zone), C(label), C(helper): the zone's number, the label's number or name, the helper's name."
  - "C(packets_original), C(packets_reply), C(packets), C(bytes_original), C(bytes_reply), C(bytes): a dictionary of
    C(min) and C(max), both inclusive, either may be missing. They need the sysctl
    C(net.netfilter.nf_conntrack_acct)."
  - "C(remaining): the time until the entry expires. C(idle): the time since its last packet. Both are a dictionary of
    C(min) and C(max), in seconds or with a unit, such as V(90s), V(15m), V(15h) or V(5d)."
  - "C(age): the time since the entry was made, in the same notation. It needs the sysctl
    C(net.netfilter.nf_conntrack_timestamp)."
  - An entry that lacks what a selector asks for is never selected, and is counted in RV(undecidable). If no entry can
    have it, because the sysctl is off, the module fails and names the sysctl.
"""
