#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_facts
short_description: Gather facts about connection tracking
version_added: 0.1.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Measures how full the connection-tracking table is, what is in it, its settings, what the kernel lost, and what the
    next boot will set.
  - Counts the whole table, both address families, in one dump, however many selectors you give. The result does not
    grow with the table.
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._attributes.reads_only
  - netops.conntrack._attributes.facts
  - netops.conntrack._netns
  - netops.conntrack._assume_deleted
  - netops.conntrack._python
options:
  gather_subset:
    description:
      - What to gather. V(table) and V(selectors) read the whole table, the others do not.
      - The default is V(usage), which fits a screen and does not read the table. With O(top) or O(explain) it is
        V(table) as well, with O(selectors) V(selectors), and with O(namespaces) V(namespaces).
      - V(all) stands for all of them but V(pair) and V(namespaces).
      - V(boot) reads the files that are read at boot, and looks for services that write the same settings. It describes
        the machine that the module runs on, even with O(netns), because nothing is applied to a named namespace at
        boot.
      - V(expectations) counts the connections that helpers expect. Since 1.0.0.
      - V(pair) is what conntrackd says, which hands the entries to another router. Since 1.0.0.
      - V(namespaces) counts the entries of the named network namespaces of the machine. O(namespaces) measures more.
    type: list
    elements: str
    choices: [all, usage, settings, stats, boot, table, selectors, expectations, pair, namespaces]
  top:
    description:
      - How many of the most frequent sources, destinations, ports, zones and marks to return, and of the masters in
        C(expectations). 10 by default.
    type: int
  explain:
    description:
      - In how many groups of similar entries to say at most what fills the table, from 0 to 10. 5 by default. They are
        returned as C(table.filled_by). With V(0), the module does not look for them.
      - It returns as few as hold 90 % of what any of them can hold, and none with less than 5 % of the table.
    type: int
    version_added: 1.0.0
  namespaces:
    description:
      - Which network namespaces of the machine to measure besides the one of O(netns). V(named) are those that
        C(ip netns list) shows. V(all) are also those that a process is in or that are mounted somewhere else, such as
        those of containers.
      - Each is held against the limit. With the subsets V(table) and V(selectors) in O(gather_subset), or with O(top),
        O(explain) or O(selectors), the table of each is read as well, as that of the one of O(netns) is.
      - At most 1,024 are returned, and 256 tables are read. Those with a name come first, then those with most entries.
      - Without it, the subset V(namespaces) has C(count) and C(percent) of the named ones.
    type: str
    choices: [named, all]
    version_added: 1.0.0
  selectors:
    description:
      - What to count, by a name of your choice. Each is a dict of C(match), C(exclude) and C(select), as
        O(netops.conntrack.conntrack_prune#module:match), O(netops.conntrack.conntrack_prune#module:exclude) and
        O(netops.conntrack.conntrack_prune#module:select).
      - Without it, all selectors that have a name are counted. With V({}), none is.
    type: dict
  forecast:
    description:
      - Settings that you think of making, to see what they would do to the entries that are there now. Nothing is
        changed. The result is in C(forecast).
      - Names and values are as in O(netops.conntrack.conntrack_settings#module:settings). A name that this kernel does
        not have, or a value that cannot be used, is refused before anything is measured.
      - Needs the whole table, which is read in the same pass as for the subsets V(table) and V(selectors).
      - O(assume_deleted) leaves entries out of the forecast only.
    type: dict
    version_added: 1.0.0
  sample:
    description:
      - How long to watch the table, from V(1s) to V(60s), to tell how fast it fills. The result is in C(rates).
      - The module looks at the whole table twice, this time apart. Whatever else it measures, it measures in between.
    type: str
    version_added: 1.0.0
requirements:
  - pyroute2 >= 0.5.14 on the target, also for O(namespaces) and the subset V(namespaces)
seealso:
  - module: netops.conntrack.conntrack_info
  - module: netops.conntrack.conntrack_prune
  - module: netops.conntrack.conntrack_settings
"""

EXAMPLES = r"""
- name: Measure how full the table is
  netops.conntrack.conntrack_facts:

- name: Gather all facts
  netops.conntrack.conntrack_facts:
    gather_subset: all

- name: Show how full the table is
  ansible.builtin.debug:
    msg: "{{ ansible_facts['conntrack'].usage.percent }} % of {{ ansible_facts['conntrack'].usage.max }}"

- name: See what the next boot will set, and what is different now
  netops.conntrack.conntrack_facts:
    gather_subset: [boot]

- name: Count what the collection has a name for, such as half-open and idle connections
  netops.conntrack.conntrack_facts:
    gather_subset: [usage, selectors]

- name: See what fills the table, in three groups of entries at most
  netops.conntrack.conntrack_facts:
    explain: 3

- name: See which containers and other network namespaces of the machine are near the limit
  netops.conntrack.conntrack_facts:
    namespaces: all

- name: See what fills the table of each of them, too
  netops.conntrack.conntrack_facts:
    namespaces: all
    explain: 3

- name: See how many entries would not be there with shorter timeouts, and how full a larger table would be
  netops.conntrack.conntrack_facts:
    forecast:
      tcp_timeout_established: 15h
      generic_timeout: 120
      max: 1M

- name: See how fast the table fills, what is new in it, and when it is full
  netops.conntrack.conntrack_facts:
    sample: 10s

- name: Count the entries of dead connections, and those of one network
  netops.conntrack.conntrack_facts:
    gather_subset: [usage, selectors]
    selectors:
      stale:
        select: [stale]
      customer7:
        match: address=198.51.100.0/24
"""

RETURN = r"""
no_conntrack:
  description: True if the module failed because the kernel tracks no connections. C(msg) says what to do.
  returned: failure, where connections are not tracked
  type: bool
  sample: true
ansible_facts:
  description: The facts, all under C(conntrack).
  returned: success
  type: dict
  contains:
    conntrack:
      description: What was measured, by subset.
      returned: success
      type: dict
      contains:
        usage:
          description:
            - C(count) of entries, C(max), C(percent) and C(headroom) (both null where V(max=0) means no limit), hash
              C(buckets), C(load_factor) (two chains an entry), and C(memory_bytes) without extensions. What the kernel
              does not say is null, as is what is calculated from that. C(max) is the limit that holds. Where O(netns)
              has one of its own, that is the lower one of its limit and of the machine's.
            - C(entry_bytes) is the size of an entry without extensions, 256 where C(/proc/slabinfo) cannot be read, for
              which it takes root. C(memory_total_bytes) is the memory of the machine, null where it cannot be read.
            - C(listeners) are the programs in the network namespace that get an event for each connection that ends,
              those that lost most first. It is null if the kernel does not list them. C(process) and C(pid) are name
              and number of the process, null if the module cannot see it. C(port_id) is the netlink address of its
              socket, C(receive_queue_bytes) what it has not read yet, and C(drops) how many messages it lost. One that
              does not read can keep deleted entries in the table, see C(table.not_listed).
          returned: when asked for
          type: dict
          sample:
            count: 917115
            max: 917504
            percent: 99.96
            headroom: 389
            buckets: 262144
            load_factor: 6.997
            memory_bytes: 236878592
            entry_bytes: 256
            memory_total_bytes: 8321499136
            listeners: [{process: conntrackd, pid: 812, port_id: 812, receive_queue_bytes: 0, drops: 0}]
        settings:
          description: Every connection-tracking sysctl that this kernel has, by its short name.
          returned: when asked for
          type: dict
          sample: {max: 262144, buckets: 262144, acct: 1, tcp_timeout_established: 432000}
        stats:
          description:
            - The kernel's counters in C(total) and C(per_cpu), 32 bits wide. Which there are depends on the kernel.
            - Kernels before 3.6 do not tell them. Then both are empty, and C(unavailable) says why. It is null
              otherwise. Since 1.0.0.
            - In C(table_full), how many C(table full) lines the kernel log still holds, or why it cannot be read.
            - C(received_packets) is how many packets IP received since boot, of both families, to compare C(invalid)
              with. Where packets that a bridge passes on are tracked as well, it is what all interfaces received, if
              that is more. It is null where that is not known. Since 1.0.0.
          returned: when asked for
          type: dict
          sample:
            total: {drop: 12, early_drop: 3, insert_failed: 0}
            per_cpu: [{cpu: 0, drop: 12, early_drop: 3, insert_failed: 0}]
            unavailable: null
            received_packets: 81600412
            table_full: {messages: 4, last_seconds_ago: 61.5, unreadable: null}
        boot:
          description:
            - What the next boot will set, according to the files on the machine.
            - "C(settings): by short name, for each setting that a file or a service sets. C(runtime) is the value now,
              and C(boot) the value after the next boot (null where it will be the kernel's own default, or is no whole
              number) by the line C(line) of C(file). C(drift) is whether the two differ, null where that is not known.
              C(owners) are the services that write it, too, and C(overridden) the lines that lose, each with
              C(value), C(file) and C(line)."
            - "C(drift): the names of the settings whose value will be another one after the next boot."
            - "C(lost): a sentence that says why settings will be lost at boot, or null. C(lost_settings): their names."
            - "C(undecided): a sentence that says why it is unknown whether settings will be set, or null.
              C(undecided_settings): their names. Since 1.0.0."
            - "C(init): what starts the machine, V(systemd), V(sysvinit), V(openrc), V(procd), V(runit), V(dinit), V(s6)
              or V(unknown). C(sysctl_files): the files of sysctls that it applies, in their order, null where that is
              not known. Since 1.0.0."
            - "C(invalid): the names of settings whose line gives no whole number, which the kernel refuses."
            - "C(overridden): the names of settings for which some line asks for another value, and loses."
            - "C(contested): the names of settings that a line sets, and a service as well."
            - "C(module): when nf_conntrack is there, V(builtin), V(early) (before the sysctls are applied), V(late), or
              V(unknown) where the init is not known."
            - "C(module_file): the line that loads it early, of C(modules-load.d) mostly, as C(file) and C(line), or
              null."
            - "C(replayed_by): the line that applies the sysctls again when the module is loaded late, such as the one
              of firewalld in C(modprobe.d), as C(file) and C(line), or null."
            - "C(hashsize): the hash size that the module is loaded with, with C(value), C(file) and C(line), or null."
            - "C(owners): the services that write settings, each with C(owner), C(settings) and the C(evidence)."
            - "C(records): what M(netops.conntrack.conntrack_settings) has on record of what was there before it set
              something. C(files) has for each drop-in in C(/etc/sysctl.d) with a record its C(sysctl_file), and
              C(settings) with the C(name), the value in the kernel (C(runtime)) and the C(lines) of the drop-in from
              before. C(settings) are the names of all of them, null if a record cannot be read. C(unreadable) then says
              why."
            - "C(unreadable): the files and directories that the module has no right to read, at most 64. They count as
              not there, so what the next boot sets may be another value. Since 1.0.0."
          returned: when asked for
          type: dict
          sample:
            settings:
              max:
                runtime: 262144
                boot: 1048576
                file: /etc/sysctl.d/90-netops-conntrack.conf
                line: 4
                drift: true
                owners: [kube-proxy]
                overridden: [{value: 524288, file: /etc/sysctl.d/50-router.conf, line: 2}]
            drift: [max]
            lost: null
            lost_settings: []
            undecided: null
            undecided_settings: []
            init: systemd
            sysctl_files: [/etc/sysctl.d/50-router.conf, /etc/sysctl.d/90-netops-conntrack.conf]
            invalid: []
            overridden: [max]
            contested: [max]
            module: early
            module_file: {file: /etc/modules-load.d/nf_conntrack.conf, line: 1}
            replayed_by: null
            hashsize: null
            owners: [{owner: kube-proxy, settings: [max, buckets], evidence: process 1234}]
            records:
              files:
                - sysctl_file: /etc/sysctl.d/90-netops-conntrack.conf
                  settings: {max: {name: net.netfilter.nf_conntrack_max, runtime: 262144, lines: null}}
              settings: [max]
              unreadable: null
            unreadable: []
        table:
          description:
            - What is in the table, in C(entries), C(families), C(protocols), C(states), C(status), C(evictable) (what
              the kernel may drop early), C(zones), C(marks), C(packets), C(bytes), the histograms C(remaining) and
              C(idle) in seconds, and C(top) talkers.
            - C(not_listed) is the number of entries that the kernel counts and does not list. They were deleted, but a
              program that listens for it with reliable delivery has not read that yet, or they belong to packets that
              wait in a queue. They take up room, and no prune frees them. Null where the kernel does not count.
            - C(filled_by) is what fills the table. It has at most O(explain) groups of similar entries, the most
              telling one first. Each has at least 5 % of the table. One can be a part of another, if it has all of its
              C(match) and more. Apart from that, they share few entries. C(match) is their selector, which you can give
              to M(netops.conntrack.conntrack_info) and M(netops.conntrack.conntrack_prune). C(entries) and C(percent)
              are counted in the whole table. C(prunable) is how many of them a prune can delete without cutting a
              connection that was ever answered, without what a prune keeps by default. It is 0 where they were
              answered. It is null where that is not known, because they have no counters, or the configuration of the
              conntrackd that runs may not be read. Since 1.0.0.
            - C(sources) in a group of C(filled_by) is how many different sources its entries have, and
              C(source_network) the smallest network that all of these are in. It is null if there is none, or if they
              are of both address families. Up to 4,096 sources are counted. If there are more, C(more_sources) is
              true. C(destinations), C(more_destinations) and C(destination_network) are the same for the destinations.
            - C(explained_percent) is what part of the table is in any group of C(filled_by). It is not there with
              O(explain=0), and neither is C(filled_by). Since 1.0.0.
            - C(nat_ports) is how many C(ports) of an C(address) that NAT puts in the place of sources are in use to one
              service, which is C(protocol), C(destination) and C(destination_port) after NAT, and C(zone). It has the
              eight pairs of an address and a service that have most entries among the first 5,000 of the table, if they
              have ten or more of these. C(ports) is counted in the whole table. Without a range in the rule of NAT
              there are 64,512, from 1024 on. Since 1.0.0.
            - C(zones) counts the entries by zone, as the selector C(zone) selects them, whether a zone holds for both
              directions or for one. C(zones_original) and C(zones_reply) count those whose zone holds for that
              direction only. C(zones_distinct), C(zones_original_distinct), C(zones_reply_distinct) and
              C(marks_distinct) are the numbers of different ones, of which O(top) are returned.
            - Of sources, destinations and marks, 131,072 different ones of each kind are counted exactly, so that
              nobody can fill the router's memory with them. Where there are more, the least frequent are left out.
              C(uncertainty) then says by how many entries the numbers in C(top) and C(marks) can be too small, and how
              many entries one that is not there can have, which is at most one for each 65,536 entries of the table.
              It is 0 where all were counted. C(marks_distinct) is null where marks were left out.
            - C(unknown) counts the entries that do not have the field.
          returned: when asked for
          type: dict
          sample:
            entries: 3
            families: {ipv4: 2, ipv6: 1}
            protocols: {tcp: 2, udp: 1}
            states: {tcp: {ESTABLISHED: 2}}
            not_listed: 0
            filled_by:
              - match: {protocol: tcp, state: ESTABLISHED, replied: true, destination_port: 443}
                entries: 2
                percent: 66.67
                prunable: 0
                sources: 2
                more_sources: false
                source_network: 198.51.100.0/29
                destinations: 1
                more_destinations: false
                destination_network: 203.0.113.80
            explained_percent: 66.67
            nat_ports:
              - protocol: tcp
                address: 192.0.2.1
                destination: 203.0.113.80
                destination_port: 443
                zone: 0
                ports: 51800
            zones: {"110": 2, "0": 1}
            zones_original: {"110": 2}
            zones_reply: {}
            uncertainty: {marks: 0, source: 0, destination: 0}
        selectors:
          description:
            - By name, C(entries) and C(percent) of the table, how many of them each protocol has (C(protocols)), and
              how many entries of the table were C(undecidable).
            - The first three are null, and C(unavailable) says why, where no entry is selected and some are undecidable
              because accounting or timestamps are off.
          returned: when asked for
          type: dict
          sample:
            stale: {entries: 825403, percent: 90.0, protocols: {tcp: 825403}, undecidable: 0, unavailable: null}
        forecast:
          description:
            - What the settings of O(forecast) would do to the entries that are there now.
            - C(governed) is how many of the C(entries) get their time from one of these timeouts. C(gone) is how many
              of them would not be there if the timeouts had been in force all the time, because they got their time
              longer ago than that. C(percent) is their share of all entries. C(unknown) is how many of the others
              cannot be told, because something else may have given them their time, such as a rule, a helper or a flow
              table, or because they do not say what they have left.
            - The kernel gives an entry a new timeout with its next packet only. So with the settings alone, those that
              are C(gone) go when their time is over, the last of them after C(last_in_seconds). If
              M(netops.conntrack.conntrack_update) shortens them once the settings are made, the last of them goes after
              C(shortened_in_seconds). M(netops.conntrack.conntrack_prune) deletes them at once. Both times are null if
              none is C(gone). An entry that sees a packet before stays.
            - Entries that are protected, such as those of BGP, are counted as well, because a timeout holds for them as
              for all others. Neither of these modules acts on them. So they go when their time is over, at most after
              C(last_in_seconds).
            - C(remaining) is the histogram of what the C(gone) ones have left, in seconds.
            - C(states) has these numbers by C(protocol) and C(state), which is null for a protocol without states.
            - C(settings) has them for each timeout as if it were the only one to change, with its C(present) value and
              the one that is C(wanted).
            - C(raised) are the timeouts that would be longer than now. They take away no entry. How many more there
              will be is not known. C(not_foretold) are the settings of which nothing can be foretold, such as V(acct).
            - C(now) is how full the table is, as in C(usage), and C(then) how full it would be with these settings and
              without those that are C(gone).
          returned: with O(forecast)
          type: dict
          version_added: 1.0.0
          sample:
            entries: 901500
            governed: 884120
            gone: 610200
            unknown: 1204
            last_in_seconds: 377990
            shortened_in_seconds: 54000
            percent: 67.69
            remaining: [{from: 300, below: 600, entries: 510}]
            states:
              - protocol: tcp
                state: ESTABLISHED
                governed: 884120
                gone: 610200
                unknown: 1204
                last_in_seconds: 377990
                shortened_in_seconds: 54000
            settings:
              tcp_timeout_established:
                present: 432000
                wanted: 54000
                governed: 884120
                gone: 610200
                unknown: 1204
                last_in_seconds: 377990
                shortened_in_seconds: 54000
            raised: []
            not_foretold: [acct]
            now:
              count: 901500
              max: 917504
              percent: 98.26
              headroom: 16004
              buckets: 262144
              load_factor: 6.878
            then:
              count: 291300
              max: 917504
              percent: 31.75
              headroom: 626204
              buckets: 262144
              load_factor: 2.222
        rates:
          description:
            - How fast the table fills, from two looks that began C(seconds) apart.
            - C(count_before) and C(count_after) are the kernel's counts of entries at the end of each look, null if it
              does not count.
            - C(full_in_seconds) is when the limit is reached if it goes on like this. It is 0 if it is reached. It is
              null if the table does not grow, has no limit, or would take more than a year, and if count or limit are
              not known.
            - C(new) is how many entries were there at the second look and not at the first, and C(gone) the opposite.
              Those that came and went in between are in neither. C(new_per_second) and C(gone_per_second) are the same
              for each second, C(growth_per_second) is their difference, C(new_protocols) and C(gone_protocols) are the
              numbers by protocol.
            - C(new_filled_by) is what the new entries are like, in groups as those of C(table.filled_by). C(percent) is
              the share of the new entries that each has, and C(per_second) how many that are. O(explain) is how many
              groups there are at most.
            - C(counters) is by how much the kernel's counters of losses grew meanwhile, such as C(drop) for packets
              that were dropped because the table was full.
          returned: with O(sample)
          type: dict
          version_added: 1.0.0
          sample:
            seconds: 10.0
            count_before: 200000
            count_after: 209000
            new: 12100
            gone: 3100
            new_per_second: 1210.0
            gone_per_second: 310.0
            growth_per_second: 900.0
            full_in_seconds: 59
            new_protocols: {udp: 11400, tcp: 700}
            gone_protocols: {tcp: 2900, udp: 200}
            new_filled_by:
              - match: {protocol: udp, replied: false, destination: 192.0.2.54, destination_port: 53}
                percent: 93.1
                per_second: 1126.51
                sources: 1284
                more_sources: false
                source_network: 10.0.0.0/8
                destinations: 1
                more_destinations: false
                destination_network: 192.0.2.54
            counters: {drop: 0, early_drop: 0, insert_failed: 0, invalid: 12}
        expectations:
          description:
            - How many connections are expected (C(count)), how many can be (C(max)), and C(percent) of that. C(max) is
              null if the kernel does not tell. C(percent) is null without it, or if it is 0. Since 1.0.0.
            - C(helpers) is the number by helper, C(without_helper) the number of those that have none, such as those of
              rules, and C(classes) the number by class, a number that means something to the helper alone.
            - C(masters) are the connections because of which most is expected, at most O(top), each with its helper.
              C(masters_distinct) is how many masters there are. C(sources) are the addresses of which connections
              most is expected, at most O(top).
            - All but C(max) are null, and C(unavailable) says why, if the kernel does not list what it expects.
            - M(netops.conntrack.conntrack_expect_info) lists them.
          returned: when asked for
          type: dict
          sample:
            count: 3012
            max: 4096
            percent: 73.54
            helpers: {sip: 3000, ftp: 12}
            without_helper: 0
            classes: {"1": 2400, "0": 612}
            masters:
              - master:
                  protocol: udp
                  source: 198.51.100.7
                  destination: 203.0.113.5
                  source_port: 5060
                  destination_port: 5060
                  source_key: null
                  destination_key: null
                helper: sip
                expectations: 5
            masters_distinct: 611
            sources:
              - {source: 198.51.100.7, expectations: 812}
            unavailable: null
        pair:
          description:
            - What the C(conntrackd) of the network namespace says, null where none runs. Since 1.0.0.
            - C(pid) is its number, and C(config) its configuration. It is asked with C(conntrackd -C CONFIG -s).
            - C(internal_cache) is what it keeps of this router's entries, C(external_cache) what it keeps of those of
              the other router. If C(enabled) is false for the external one, it writes them into this router's table
              instead. C(entries) is how many are in the cache, null without one. The other numbers count since its
              start. They are null where they are not known, and a cache is null if C(conntrackd) only counts.
            - C(malformed_messages), C(lost_messages), C(send_errors) and C(receive_errors) count since its start.
            - C(problem) says why it says nothing. All numbers are null then. If a C(conntrackd) runs and the module may
              not see whether it is that of this network namespace, C(pid) and C(config) are null as well.
          returned: when asked for
          type: dict
          sample:
            pid: 812
            config: /etc/conntrackd/conntrackd.conf
            internal_cache: {enabled: true, entries: 71204, created: 912044, updated: 81, destroyed: 840840, failed: 0}
            external_cache: {enabled: true, entries: 0, created: 0, updated: 0, destroyed: 0, failed: 0}
            malformed_messages: 0
            lost_messages: 0
            send_errors: 0
            receive_errors: 0
            problem: null
        namespaces:
          description:
            - By network namespace, C(count) and C(percent) of the limit. C(unavailable), since 1.0.0, says why a
              namespace could not be measured, and is null if it could. What is null next to it is unknown.
            - With O(namespaces), since 1.0.0, what follows as well.
            - The key is what O(netns) takes, namely the name, V(pid:1234) for a namespace without one, or the path
              where it is mounted. C(name) is the same. C(title) also says what holds a namespace that has no name.
            - C(names) are those that C(ip netns list) shows, at most 16. C(inode) is the number of the namespace, as
              C(lsns) shows it. C(own) is whether the other facts are about this one.
            - C(pid) and C(process) are the lowest number of a process in it and that one's name, null if there is none.
              C(processes) is how many are in it.
            - C(owner) is what that process belongs to. C(kind) is V(docker), V(podman), V(containerd), V(cri-o),
              V(kubernetes), V(lxc), V(machine) or V(unit), and C(name) the number or name of the container, machine or
              unit. C(label) is the name that people gave to the container, or namespace and name of its pod, if a file
              of the runtime says so. C(pod) is the number of its pod in Kubernetes. C(user) is the user in whose own
              control groups it is, who may have chosen the name. These three are null if there is none. C(owner) is
              null if the control groups name none of these kinds.
            - C(max) is the limit that holds for the namespace, 0 for none.
            - C(table) and C(selectors) are as the facts of these names. The one that is C(own) lacks them, and so do
              those without entries.
          returned: when asked for
          type: dict
          sample:
            blue: {count: 12, percent: 0.0, unavailable: null}
        across_namespaces:
          description:
            - What is known of the network namespaces together.
            - C(namespaces) is how many were found, and C(left_out) how many of them are not returned.
            - C(count) is the sum of their entries, null if that is not known. They share C(buckets). C(load_factor) is
              as in C(usage), for all entries of the machine. It is null unless O(namespaces=all) has found everything.
            - C(complete) is true if everything was found and measured. It is null if that is not known, and
              C(unavailable) says why. C(hidden_processes) is how many processes could not be looked at.
          returned: with O(namespaces)
          type: dict
          version_added: 1.0.0
          sample:
            namespaces: 12
            left_out: 0
            hidden_processes: 0
            count: 250310
            buckets: 262144
            load_factor: 1.91
            complete: true
            unavailable: null
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.options import ASSUME_DELETED_OPTION
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._facts.gather import gather
from ansible_collections.netops.conntrack.plugins.module_utils._facts.options import CHOICES, USUAL
from ansible_collections.netops.conntrack.plugins.module_utils._facts.subsets import ALL, SUBSETS, subsets_of
from ansible_collections.netops.conntrack.plugins.module_utils._facts.unread import unread
from ansible_collections.netops.conntrack.plugins.module_utils._module import NETNS_OPTION, ConntrackModule, guarded_run

if t.TYPE_CHECKING:
    from ansible_collections.netops.conntrack.plugins.module_utils._facts.forecast import LeaveOutFor

_TOP = 10


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Measure the router, and return the module's result."""
    options = module.params
    top = _TOP if options["top"] is None else options["top"]
    explain = USUAL if options["explain"] is None else options["explain"]
    subsets = subsets_of(options)
    facts = gather(
        subsets,
        top,
        options["selectors"],
        options["netns"],
        explain=explain,
        namespaces=options["namespaces"],
        forecast=options["forecast"],
        assume_deleted=_what_is_left(module),
        sample=options["sample"],
    )
    for warning in unread(facts, options["netns"]):
        module.warn(warning)
    return {"ansible_facts": {"conntrack": facts}}


def _what_is_left(module: AnsibleModule) -> LeaveOutFor | None:
    """Return what leaves out the entries that assume_deleted takes for gone, if it is given. Raises OptionError."""
    deleted = module.params["assume_deleted"]
    if deleted is None:
        return None
    # A router compiles all that is imported at each call, and this is a prune without its deletes.
    from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.rehearsal import (
        check_options,
        pruned_by,
        refuse_outside_check_mode,
    )

    refuse_outside_check_mode(deleted, module.check_mode)
    if module.params["forecast"] is None:
        raise OptionError("assume_deleted", deleted, "is for a forecast, and there is none", "Give forecast as well.")
    check_options(deleted)
    return lambda context: pruned_by(deleted, context)


def main() -> None:
    module = ConntrackModule(
        argument_spec={
            "gather_subset": {
                "type": "list",
                "elements": "str",
                "choices": [ALL, *SUBSETS],
            },
            "top": {"type": "int"},
            "explain": {"type": "int"},
            "namespaces": {"type": "str", "choices": list(CHOICES)},
            "selectors": {"type": "dict"},
            "forecast": {"type": "dict"},
            "sample": {"type": "str"},
            **ASSUME_DELETED_OPTION,
            **NETNS_OPTION,
        },
        supports_check_mode=True,
    )
    guarded_run(module, run)


if __name__ == "__main__":
    main()
