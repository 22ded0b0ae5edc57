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
      - Which entries to select, a selector or a list of selectors. An entry is selected when any of these holds or any
        of O(select), and none of O(exclude) does.
      - A selector is a dictionary, or a text with blanks between its keys, such as V(protocol=tcp state=SYN_SENT) or
        V(protocol=udp idle.min=10m). On the command line, put it in quotes.
      - Without it and without O(select), all entries are selected, except by M(netops.conntrack.conntrack_prune), which
        needs at least one of the two.
      - The keys of a selector are listed in the notes.
    type: raw
  exclude:
    description:
      - Selectors like those of O(match). An entry for which any of them holds is not selected.
      - It selects nothing by itself. For all entries but these, give O(match) as V(family=ipv4,ipv6).
    type: raw
    default: []
  select:
    description:
      - Names of selectors that the collection has. An entry is selected when any of them holds, or any of O(match).
      - V(stale), V(one_way), V(half_open), V(closing), V(idle_hour), V(idle_day), V(unanswered), V(dns) and
        V(multicast). U(https://github.com/netops/conntrack/blob/main/docs/selectors.md) says what each of them means,
        and what deleting its entries risks.
    type: list
    elements: str
    default: []
    version_added: 1.0.0
notes:
  - Every key of a selector must hold. A list means any of its values, and so does a text with commas between them, such
    as V(80,443). Null and an empty text are never a value.
  - A key that no entry of the selector's protocol or family can have, such as a port with V(protocol=icmp), is an
    error.
  - The module asks the kernel to leave out what a single selector excludes by a single value of C(family), C(replied),
    C(assured), C(expected), C(offloaded=false), C(nat), C(mark), C(zone), or by one IPv4 address as C(source) or
    C(destination). On a large table, that takes a fraction of the time. Each entry that the kernel sends is checked
    anyway. A kernel that cannot leave something out sends all entries.
  - "C(family): V(ipv4) or V(ipv6)."
  - "C(protocol): a name as in C(/etc/protocols), such as V(tcp), V(udp), V(icmp), V(icmpv6), V(sctp), V(gre), V(esp) or
    V(ospf), or a number."
  - "C(state): the protocol's state as C(conntrack -L) prints it, such as V(ESTABLISHED) or V(SYN_SENT)."
  - "C(replied), C(assured), C(offloaded), C(expected): V(true) or V(false)."
  - "C(nat): V(snat), V(dnat) or V(none)."
  - "C(source), C(destination), C(reply_source), C(reply_destination): an address or a network such as
    V(198.51.100.0/24) or V(2001:db8::/32). C(address): any of the four. An IPv4-mapped IPv6 address is its IPv4
    address."
  - "C(source_list), C(destination_list), C(address_list): the absolute path of a file on the target, with an address or
    a network in each line. Comments begin with C(#) or C(;). A line that is neither is an error. C(address_list) looks
    all four addresses up. Since 1.0.0."
  - "C(source_port), C(destination_port), C(reply_source_port), C(reply_destination_port): a port, a range such as
    V(1024-65535), or the name of a service that the target knows, such as V(https)."
  - "C(source_key), C(destination_key), C(reply_source_key), C(reply_destination_key): the keys of GRE, as ports."
  - "C(icmp_type), C(icmp_code), C(icmp_id), C(reply_icmp_type), C(reply_icmp_code), C(reply_icmp_id): a number or a
    range."
  - "C(mark): a number, also with a mask, such as V(0x10/0xff)."
  - "C(zone): the zone's number, be it of both directions or of one. C(zone_original), C(zone_reply): the number of a
    zone that only this direction has."
  - "C(label), C(helper), C(id): the label's number or name, the helper's name, the kernel's number of the entry."
  - "C(packets_original), C(packets_reply), C(packets), C(bytes_original), C(bytes_reply), C(bytes): a dictionary of
    C(min) and C(max), both inclusive, either may be missing. V(1K), V(1M) and V(1G) are powers of 1024. They need the
    sysctl C(net.netfilter.nf_conntrack_acct)."
  - "C(remaining): the time until the entry expires. C(idle): the time since its last packet. Both are a dictionary of
    C(min) and C(max), in seconds or with a unit, such as V(90s), V(15m), V(15h) or V(5d)."
  - "C(age): the time since the entry was made, in the same notation. It needs the sysctl
    C(net.netfilter.nf_conntrack_timestamp)."
  - In a text, C(min) and C(max) follow the key, such as V(packets.max=1).
  - An entry that lacks what a selector asks for is never selected, and is counted in RV(undecidable). If none is
    selected, and some are undecidable because a sysctl is off, the module fails and names the sysctl. Entries that were
    made while it was on are decided by what they have.
"""
