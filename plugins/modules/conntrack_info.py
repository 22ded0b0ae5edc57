#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_info
short_description: Query the connection-tracking table, or a file with one
version_added: 0.1.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Reads the whole table once, both address families. Returns how many entries a selection has, how they group, and the
    first or the largest of them.
  - Can also write all selected entries, however many, to a file on the target while it reads.
  - With O(src), it reads a file that C(conntrack -L) or C(cat /proc/net/nf_conntrack) wrote on any router, instead of
    the table. Selectors, groups and formats are the same. It needs no root then, and no connection tracking.
  - If the kernel could not complete the dump, the module repeats it or fails. It never reports a part as the whole.
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._selection
  - netops.conntrack._netns
  - netops.conntrack._python
attributes:
  check_mode:
    support: full
    details:
      - The table is read and the result is complete. O(dest) is checked, but not written.
  diff_mode:
    support: none
    details:
      - The table of a router is too large, and differs at each reading.
  idempotent:
    support: partial
    details:
      - Without O(dest) the module changes nothing. With it, every run writes the file anew and reports a change.
options:
  src:
    description:
      - A file on the target to read instead of the table. The kernel is not asked for anything then.
      - It can have what C(conntrack -L) writes with any of its output options (V(extended), V(id), V(labels),
        V(timestamp), V(ktimestamp), V(xml), V(save)), or what is in C(/proc/net/nf_conntrack), or in
        C(/proc/net/ip_conntrack) of kernels since 2.6, or what this module wrote with O(format) V(extended), V(xml),
        V(save) or V(ndjson). It can be compressed with gzip.
      - Lines that are not understood are counted in RV(not_understood) and shown in RV(not_understood_lines).
      - What the file does not tell is unknown, and an entry for which a selector asks for it is undecidable.
        C(/proc) lists no helpers, for example, and no file but one of V(save) tells which entries are expected.
    type: path
    version_added: 1.0.0
  settings:
    description:
      - The timeouts of the router that wrote O(src), by the name of their sysctl such as V(tcp_timeout_established), or
        all settings that M(netops.conntrack.conntrack_facts) returned for it. A file does not have them.
      - How long entries have been idle is known for those whose timeouts are given. Timeouts that a rule or a program
        gives an entry, and former timeouts, are not taken into account.
    type: dict
    version_added: 1.0.0
  explain:
    description:
      - In how many groups of similar entries RV(filled_by) says what most of the selected ones have in common. At most
        10. V(0) does not look for them.
    type: int
    default: 0
    version_added: 1.0.0
  group_by:
    description:
      - Fields of an entry, such as V(protocol) and V(state). Entries with the same values are counted together in
        RV(groups).
      - You can use any field of RV(entries) except V(packets) and V(bytes), which a group has as sums.
      - An address can be given with the length of a prefix, to group by network. V(source/24) has the IPv4 networks
        of 256 addresses, V(destination/64) the IPv6 networks of that length.
      - A length up to 32 is for IPv4, a longer one for IPv6. Entries of the other family are one group, whose network
        is null. Two lengths are for IPv4 and IPv6, as in V(source/24/64).
    type: list
    elements: str
    default: []
  sort_by:
    description:
      - Fields of an entry that RV(entries) is sorted by. A minus sign sorts downwards, such as V(-bytes). Entries for
        which the field is unknown come last either way.
      - Without it, RV(entries) are any of the selected ones, in no particular order.
    type: list
    elements: str
    default: []
  limit:
    description:
      - How many entries, lines and groups are returned at most, of each. The counts are always those of the whole
        table.
    type: int
    default: 10
  entries:
    description:
      - Whether RV(entries) are returned, each as a dict of all its fields.
    type: bool
    default: false
    version_added: 1.0.0
  lines:
    description:
      - Whether RV(lines) are returned, which show an entry in a single line.
      - By default they are, unless O(group_by), O(entries) or O(dest) asks for something else.
    type: bool
    version_added: 1.0.0
  dest:
    description:
      - A file on the target that gets all selected entries, not only O(limit) of them, in no particular order.
      - Its directory must exist. The file is replaced once the new one is complete, and only its owner can read it.
      - A symbolic link in the path is followed only if nobody but root and the running user can have put it there.
      - The directory can be one of another user, or one to which everybody may write, such as V(/var/tmp). Whoever may
        write to it can replace the file later. Each directory below one of another user has to be that user's as well.
    type: path
  format:
    description:
      - The format of O(dest).
      - V(extended) has the lines of C(conntrack -L -o extended).
      - V(xml) has what C(conntrack -L -o xml) prints. Like that, it has no numbers of ICMP, and the states of SCTP and
        DCCP have the names of those of TCP with the same numbers. Take V(save) or V(ndjson) for a file to restore.
      - V(ndjson) has an entry as in RV(entries) on each line.
      - V(csv) has a header. An unknown value is empty, and the items of a list have spaces between them.
      - V(save) has the lines of C(conntrack -L -o save), which C(conntrack -R) takes. They also have the mark, and in
        comments the labels and the name of the helper. It is the form of a backup of
        M(netops.conntrack.conntrack_prune).
    type: str
    choices: [extended, xml, ndjson, csv, save]
    default: extended
  output:
    description:
      - What RV(lines), and O(dest) in the formats V(extended) and V(xml), show of each entry in addition. The names are
        those that C(conntrack -L -o) takes together with its formats.
      - V(id) is the kernel's number of the entry. V(xml) always has it.
      - V(labels) are the names that C(/etc/xtables/connlabel.conf) on the target gives to the labels. A label without a
        name is shown as its number. With O(src), all are numbers.
      - V(ktimestamp) is when the entry began, for people in the time zone of the target, or in nanoseconds since the
        epoch in V(xml). It is there for entries that were made while the sysctl V(nf_conntrack_timestamp) was on. Not
        with O(src), as no file says it.
      - V(timestamp) is accepted and adds nothing. C(conntrack) shows it of events only.
    type: list
    elements: str
    choices: [id, labels, ktimestamp, timestamp]
    default: []
    version_added: 1.0.0
notes:
  - The table changes while it is read. An entry that appears or ends meanwhile may or may not be counted.
  - In O(group_by) and O(sort_by), C(age), C(packets) and C(bytes) are unknown for entries that were made while the
    sysctls V(nf_conntrack_timestamp) and V(nf_conntrack_acct) were off.
seealso:
  - module: netops.conntrack.conntrack_facts
  - module: netops.conntrack.conntrack_prune
"""

EXAMPLES = r"""
- name: Which protocols and states fill the table
  netops.conntrack.conntrack_info:
    group_by: [protocol, state, replied]
    limit: 20
  become: true
  register: filled

- name: The ten connections with most bytes, of one customer network
  netops.conntrack.conntrack_info:
    match:
      - source: 198.51.100.0/24
    sort_by: [-bytes]
    entries: true
  become: true

- name: The customer networks with most connections, IPv4 and IPv6
  netops.conntrack.conntrack_info:
    group_by: [source/24/64]
    limit: 5
  become: true

- name: Ten UDP entries, as conntrack -L prints them
  netops.conntrack.conntrack_info:
    match:
      - protocol: udp
  become: true

- name: Keep all stale entries in a file before they are pruned
  netops.conntrack.conntrack_info:
    select: [stale]
    dest: /var/tmp/stale.csv
    format: csv
    limit: 0
  become: true

- name: Write the table as XML with labels, for a program that reads conntrack -L -o xml
  netops.conntrack.conntrack_info:
    dest: /var/tmp/table.xml
    format: xml
    output: [labels]
    limit: 0
  become: true

- name: What filled the table of a router, from a file that somebody sent
  netops.conntrack.conntrack_info:
    src: /var/tmp/conntrack.txt
    explain: 5
    limit: 0
  delegate_to: localhost

- name: Which connections in that file had been idle for a day
  netops.conntrack.conntrack_info:
    src: /var/tmp/conntrack.txt
    match:
      - idle: {min: 1d}
    settings:
      tcp_timeout_established: 432000
      udp_timeout_stream: 120
    group_by: [destination, destination_port]
  delegate_to: localhost

- name: Who opens connections to port 22, per source
  netops.conntrack.conntrack_info:
    match:
      - protocol: tcp
        destination_port: 22
    exclude:
      - source: [203.0.113.0/24, "2001:db8::/32"]
    group_by: [source]
  become: true
"""

RETURN = r"""
no_conntrack:
  description: True if the module failed because the kernel tracks no connections. C(msg) says what to do.
  returned: failure, where connections are not tracked
  type: bool
  sample: true
total:
  description:
    - The number of entries in the table.
    - Where the kernel itself leaves out what is not selected (see the notes), it is the number that the kernel counts,
      which includes entries that have expired and were not removed yet.
  returned: success
  type: int
  sample: 1204
matched:
  description: The number of selected entries.
  returned: success
  type: int
  sample: 37
undecidable:
  description: The number of entries that lack what a selector asks for. They are not selected.
  returned: success
  type: int
  sample: 0
entries:
  description: The first O(limit) of the selected entries, sorted by O(sort_by). What is unknown is null. Empty where
    O(entries) is false.
  returned: success
  type: list
  elements: dict
  contains:
    family:
      description: V(ipv4) or V(ipv6).
      type: str
    protocol:
      description: The protocol's name, or its number as text.
      type: str
    protocol_number:
      description: The protocol's number.
      type: int
    state:
      description: The protocol's state, as C(conntrack -L) prints it. Null for protocols without states.
      type: str
    status:
      description: The names of the status bits, such as C(SEEN_REPLY) and C(ASSURED).
      type: list
      elements: str
    replied:
      description: Whether packets went both ways.
      type: bool
    assured:
      description: Whether the kernel spares the entry when the table is full.
      type: bool
    offloaded:
      description: Whether a flow table or the hardware forwards the packets.
      type: bool
    expected:
      description: Whether another connection announced this one, such as the data connection of FTP.
      type: bool
    nat:
      description: C(snat), C(dnat), both or none.
      type: list
      elements: str
    source:
      description: The source address of the first packet.
      type: str
    destination:
      description: The destination address of the first packet.
      type: str
    source_port:
      description: The source port of the first packet. Null for protocols without ports.
      type: int
    destination_port:
      description: The destination port of the first packet.
      type: int
    reply_source:
      description: The source address of replies. With destination NAT, this is the real destination.
      type: str
    reply_destination:
      description: The destination address of replies. With source NAT, this is the translated source.
      type: str
    reply_source_port:
      description: The source port of replies.
      type: int
    reply_destination_port:
      description: The destination port of replies.
      type: int
    source_key:
      description: The key of a GRE connection. The three others are likewise.
      returned: GRE
      type: int
    destination_key:
      description: The key of a GRE connection.
      returned: GRE
      type: int
    reply_source_key:
      description: The key of a GRE connection.
      returned: GRE
      type: int
    reply_destination_key:
      description: The key of a GRE connection.
      returned: GRE
      type: int
    icmp_type:
      description: The type of the first ICMP or ICMPv6 message.
      type: int
    icmp_code:
      description: The code of the first ICMP or ICMPv6 message.
      type: int
    icmp_id:
      description: The identifier of an ICMP or ICMPv6 echo.
      type: int
    reply_icmp_type:
      description: The type of the ICMP or ICMPv6 message that is expected as the reply.
      type: int
    reply_icmp_code:
      description: The code of that message.
      type: int
    reply_icmp_id:
      description: The identifier of that message, which NAT can make another one.
      type: int
    mark:
      description: The connection's mark.
      type: int
    zone:
      description: The connection-tracking zone, whether it holds for both directions or for one. V(0) without a zone.
      type: int
    zone_original:
      description: The zone again, if it holds for the original direction only. Otherwise null.
      type: int
    zone_reply:
      description: The zone again, if it holds for the reply direction only. Otherwise null.
      type: int
    labels:
      description: The numbers of the connection's labels.
      type: list
      elements: int
    helper:
      description: The name of the connection's helper.
      type: str
    packets_original:
      description: The packets in the direction of the first one. Null if the entry has no counters.
      type: int
    bytes_original:
      description: The bytes in the direction of the first packet.
      type: int
    packets_reply:
      description: The packets of replies.
      type: int
    bytes_reply:
      description: The bytes of replies.
      type: int
    packets:
      description: The packets of both directions.
      type: int
    bytes:
      description: The bytes of both directions.
      type: int
    remaining:
      description: The seconds until the entry expires if no packet comes. Null for offloaded entries.
      type: int
    idle:
      description: The seconds since the last packet, at the least. Null where it cannot be known.
      type: int
    age:
      description: The seconds since the entry was made. Null if it has no timestamp.
      type: int
    id:
      description: The kernel's number of the entry.
      type: int
lines:
  description: The first O(limit) of the selected entries, sorted by O(sort_by), each as the line that C(conntrack -L)
    prints. Empty where O(lines) is false.
  returned: success
  type: list
  elements: str
  sample:
    - udp      17 29 src=198.51.100.2 dst=203.0.113.2 sport=43781 dport=53 [UNREPLIED] src=203.0.113.2 dst=198.51.100.2
      sport=53 dport=43781 mark=0 use=1
groups:
  description: The O(limit) largest groups of the selected entries by O(group_by), the largest first. Each has the
    fields of O(group_by), with the values that its entries share, and these.
  returned: success
  type: list
  elements: dict
  contains:
    entries:
      description: The number of entries in the group.
      type: int
    packets:
      description: The sum of their packets. Entries without counters do not count. Null if no entry has counters.
      type: int
    bytes:
      description: The sum of their bytes. Entries without counters do not count. Null if no entry has counters.
      type: int
    without_counters:
      description: The number of entries in the group that have no counters.
      type: int
  sample:
    - protocol: tcp
      state: ESTABLISHED
      entries: 31
      packets: 31
      bytes: 1240
      without_counters: 0
groups_distinct:
  description:
    - The number of all groups, of which RV(groups) has at most O(limit).
    - Null where there are more than 131,072, so that the smallest were left out (see RV(groups_uncertainty)).
  returned: success
  type: int
  sample: 1
groups_uncertainty:
  description:
    - By how many entries a group in RV(groups) can be too small, and how many entries a group that is not there can
      have because it was left out.
    - 131,072 groups are counted exactly, so that nobody can fill the router's memory with them. Where there are more,
      the smallest are left out. This number is then at most one for each 65,536 entries that are selected.
    - 0 where all groups were counted.
  returned: success
  type: int
  sample: 0
dest:
  description: The file with the selected entries. In check mode, the file that would have them. Null without O(dest).
  returned: success
  type: str
  sample: /var/tmp/stale.csv
filled_by:
  description:
    - The few clusters that hold the largest shares of the selected entries, as in C(table.filled_by) of
      M(netops.conntrack.conntrack_facts). Null without O(explain).
    - C(sources), C(more_sources), C(source_network), C(destinations), C(more_destinations) and C(destination_network)
      are as there, too.
  returned: success
  type: list
  elements: dict
  contains:
    match:
      description: The selector of the cluster's entries.
      type: dict
    entries:
      description: The number of its entries.
      type: int
    percent:
      description: Their share of the selected entries.
      type: float
    prunable:
      description: How many of them a prune can delete without harm. Null if that cannot be known.
      type: int
  sample:
    - match: {protocol: udp, replied: false, destination: 192.0.2.54, destination_port: 53}
      entries: 1108
      percent: 92.03
      prunable: 1108
explained_percent:
  description: What part of the selected entries is in any group of RV(filled_by). Null without O(explain).
  returned: success
  type: float
  sample: 92.03
src:
  description: The file that was read. Null without O(src).
  returned: success
  type: str
  sample: /var/tmp/conntrack.txt
settings:
  description: The O(settings) that were given, by short name, in seconds. Null without O(src).
  returned: success
  type: dict
  sample:
    tcp_timeout_established: 432000
not_understood:
  description: The number of lines in O(src) that are no entries in any of the formats. Null without O(src).
  returned: success
  type: int
  sample: 1
not_understood_lines:
  description: The first ten of these lines.
  returned: success
  type: list
  elements: dict
  contains:
    line:
      description: The number of the line in the file.
      type: int
    text:
      description: The beginning of the line.
      type: str
  sample:
    - line: 1205
      text: tcp      6 431
unavailable:
  description: The sysctl that has to be on for these selectors.
  returned: when no entry is selected, and entries are undecidable because the sysctl is off
  type: str
  sample: net.netfilter.nf_conntrack_acct
"""

import contextlib
import functools
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netops.conntrack.plugins.module_utils._errors import BECOME_ROOT, OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._facts.filled_by import (
    FilledBy,
    ports_kept_here,
    usual_ports,
)
from ansible_collections.netops.conntrack.plugins.module_utils._facts.options import require_clusters
from ansible_collections.netops.conntrack.plugins.module_utils._module import (
    MATCH_OPTIONS,
    NETNS_OPTION,
    ConntrackModule,
    guarded_run,
)
from ansible_collections.netops.conntrack.plugins.module_utils._query.export import (
    FORMATS,
    FORMATS_WITH_OUTPUT,
    check_dest,
    exporting,
)
from ansible_collections.netops.conntrack.plugins.module_utils._query.output import OUTPUTS, Output
from ansible_collections.netops.conntrack.plugins.module_utils._query.query import Query, run_query
from ansible_collections.netops.conntrack.plugins.module_utils._selected_listing import selected_listing, with_listing
from ansible_collections.netops.conntrack.plugins.module_utils._selected_table import selected
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table


def _returns_lines(params: t.Mapping[str, t.Any]) -> bool:
    """Return whether the entries are shown as lines: by default where nothing else was asked for."""
    if params["lines"] is None:
        return not (params["group_by"] or params["entries"] or params["dest"])
    return bool(params["lines"])


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Check every option, read the table, write ``dest`` unless in check mode, and return the module's result."""
    params = module.params
    dest = params["dest"]
    returns_lines = _returns_lines(params)
    _refuse_output(params, returns_lines)
    output = Output.of_table(params["output"]) if params["src"] is None else Output.of_file(params["output"])
    query = Query(params["group_by"], params["sort_by"], params["limit"], params["entries"], returns_lines, output)
    query.check()
    if dest is not None:
        check_dest(dest)
    writes = dest is not None and not module.check_mode
    clusters = params["explain"]
    require_clusters(clusters)
    find_kept_ports = ports_kept_here if params["src"] is None else usual_ports
    observe = functools.partial(FilledBy, clusters, find_kept_ports) if clusters else None
    with contextlib.ExitStack() as stack:
        if params["src"] is None:
            _refuse_settings(params)
            table, selection, context = stack.enter_context(selected(params, Table))
            if context.timeouts.record.unreadable:
                module.warn(f"{context.timeouts.record.unreadable} So idle is null for every entry. {BECOME_ROOT}")
            export = stack.enter_context(exporting(dest, params["format"], context, output=output)) if writes else None
            result = run_query(table, selection, context, query, export, observe)
            result |= {"not_understood": None, "not_understood_lines": [], "settings": None}
        else:
            listing, selection, context = stack.enter_context(selected_listing(params))
            export = stack.enter_context(exporting(dest, params["format"], context, output=output)) if writes else None
            result = run_query(listing, selection, context, query, export, observe)
            result = with_listing(result, listing, selection, context)
    return {"changed": dest is not None, "dest": dest, "src": params["src"], **result}


def _refuse_output(params: t.Mapping[str, t.Any], returns_lines: bool) -> None:
    """Raise OptionError where ``output`` is given and nothing shows it."""
    is_shown = returns_lines or (params["dest"] is not None and params["format"] in FORMATS_WITH_OUTPUT)
    if params["output"] and not is_shown:
        forms = " or ".join(sorted(FORMATS_WITH_OUTPUT))
        remedy = f"Leave it out, or set lines=true, or give dest with format {forms}."
        raise OptionError("output", ",".join(params["output"]), "is about lines that are not asked for", remedy)


def _refuse_settings(params: t.Mapping[str, t.Any]) -> None:
    if params["settings"] is not None:
        remedy = "Leave it out, because the router's own settings are read, or give src."
        raise OptionError("settings", params["settings"], "is only for a file", remedy)


def main() -> None:
    module = ConntrackModule(
        argument_spec={
            "src": {"type": "path"},
            "settings": {"type": "dict"},
            "explain": {"type": "int", "default": 0},
            "group_by": {"type": "list", "elements": "str", "default": []},
            "sort_by": {"type": "list", "elements": "str", "default": []},
            "limit": {"type": "int", "default": 10},
            "entries": {"type": "bool", "default": False},
            "lines": {"type": "bool"},
            "dest": {"type": "path"},
            "format": {"type": "str", "choices": list(FORMATS), "default": "extended"},
            "output": {"type": "list", "elements": "str", "choices": list(OUTPUTS), "default": []},
            **MATCH_OPTIONS,
            **NETNS_OPTION,
        },
        mutually_exclusive=[("src", "netns")],
        supports_check_mode=True,
    )
    guarded_run(module, run)


if __name__ == "__main__":
    main()
