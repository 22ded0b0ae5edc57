#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_events
short_description: See which connection-tracking entries are made and which end
version_added: 1.0.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Listens to the kernel's events for some seconds. Returns how many entries were made and how many ended or were
    deleted, how they group, and what most of them have in common. So you see who fills a table, and who loses entries.
  - Can also write all of them to files on the target, such as the translations of a NAT that you have to keep.
  - It changes nothing in the table.
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._selection
  - netops.conntrack._netns
  - netops.conntrack._python
attributes:
  check_mode:
    support: full
    details:
      - The module listens, and the result is complete. The files are checked, but not written.
  diff_mode:
    support: none
    details:
      - The events of each run are others.
  idempotent:
    support: partial
    details:
      - Without O(dest) and O(dest_destroyed) the module changes nothing. With them, every run writes the files anew and
        reports a change.
options:
  duration:
    description:
      - For how long to listen, V(1s) to V(10m).
      - If something between Ansible and the router ends silent connections sooner, set C(ServerAliveInterval) of
        C(ssh), or run the task with C(async).
    type: str
    default: 10s
  explain:
    description:
      - In how many groups of similar entries C(filled_by) says what most of the entries have in common. At most 10.
        V(0) does not look for them.
    type: int
    default: 5
  group_by:
    description:
      - Fields to count by, as in M(netops.conntrack.conntrack_info).
    type: list
    elements: str
    default: []
  limit:
    description:
      - How many entries, lines and groups are returned at most, of each. The counts are always those of all events.
    type: int
    default: 10
  entries:
    description:
      - Whether C(entries) are returned, each as a dict of all its fields.
    type: bool
    default: false
  dest:
    description:
      - A file on the target that gets each selected entry that was made, as O(dest) of
        M(netops.conntrack.conntrack_info) does.
    type: path
  dest_destroyed:
    description:
      - The same for the entries that ended or were deleted.
    type: path
  format:
    description:
      - The format of these files, as in M(netops.conntrack.conntrack_info).
    type: str
    choices: [extended, ndjson, csv]
    default: extended
notes:
  - An entry that was made has no counters and no age yet. One that was deleted before its time has the remaining time
    that the kernel tells. One that expired has none. What an event does not tell is unknown, and an entry for which a
    selector asks for it is undecidable.
  - C(nf_conntrack_timestamp) has to be on for the ages of entries that have ended, which are those at their end.
    C(nf_conntrack_acct) has to be on for their counters.
  - Where C(nf_conntrack_events) is V(2), which is the default since Linux 5.19, the kernel tells of the end of those
    connections only that began while somebody listened. Compare RV(count_before) and RV(count_after).
seealso:
  - module: netops.conntrack.conntrack_info
  - module: netops.conntrack.conntrack_facts
"""

EXAMPLES = r"""
- name: See for 30 seconds who makes entries, and who loses them
  netops.conntrack.conntrack_events:
    duration: 30s
  become: true

- name: Count new connections by source
  netops.conntrack.conntrack_events:
    group_by: [source]
    limit: 20
  become: true

- name: Keep the translations of five minutes, each with its beginning and its end
  netops.conntrack.conntrack_events:
    duration: 5m
    match:
      nat: snat
    dest: /var/tmp/translations-begun.csv
    dest_destroyed: /var/tmp/translations-ended.csv
    format: csv
    limit: 0
  become: true
"""

RETURN = r"""
no_conntrack:
  description: True if the module failed because the kernel tracks no connections. C(msg) says what to do.
  returned: failure, where connections are not tracked
  type: bool
  sample: true
seconds:
  description: For how many seconds the module listened.
  returned: success
  type: int
  sample: 10
losses:
  description:
    - How often the kernel had no room for events, each time for an unknown number of them. If there are any, more
      happened than the numbers say, and the module warns.
  returned: success
  type: int
  sample: 0
count_before:
  description: The number of entries that the kernel counted before. Null if it does not count.
  returned: success
  type: int
  sample: 98311
count_after:
  description: The number of entries that the kernel counted after that. Null if it does not count.
  returned: success
  type: int
  sample: 107411
not_told:
  description:
    - How many entries ended without an event, as the kernel's counts tell (see the notes). Null where RV(losses) or a
      missing count leaves that unknown.
  returned: success
  type: int
  sample: 0
undecidable:
  description: The number of events of both kinds that lack what the selectors ask for. None of them is selected.
  returned: success
  type: int
  sample: 0
new:
  description:
    - The entries that were made. C(total) is their number, and C(matched) that of the selected ones.
    - All keys are as M(netops.conntrack.conntrack_info) returns them.
  returned: success
  type: dict
  sample: &events
    total: 12100
    matched: 12100
    undecidable: 0
    entries: []
    lines:
      - udp      17 30 src=10.0.0.7 dst=192.0.2.54 sport=40001 dport=53 [UNREPLIED] src=192.0.2.54 dst=10.0.0.7 sport=53
        dport=40001
    groups: []
    groups_distinct: 0
    groups_uncertainty: 0
    filled_by:
      - match: {protocol: udp, replied: false, destination: 192.0.2.54, destination_port: 53}
        entries: 11265
        percent: 93.1
        sources: 1284
        more_sources: false
        source_network: 10.0.0.0/8
        destinations: 1
        more_destinations: false
        destination_network: 192.0.2.54
    explained_percent: 93.1
destroyed:
  description: The entries that ended or were deleted, with the same keys.
  returned: success
  type: dict
  sample: *events
dest:
  description: The file that was written. Null without O(dest).
  returned: success
  type: str
  sample: /var/tmp/translations-begun.csv
dest_destroyed:
  description: The file that was written. Null without O(dest_destroyed).
  returned: success
  type: str
  sample: /var/tmp/translations-ended.csv
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
from ansible_collections.netops.conntrack.plugins.module_utils._facts.filled_by import FilledBy
from ansible_collections.netops.conntrack.plugins.module_utils._facts.options import require_clusters
from ansible_collections.netops.conntrack.plugins.module_utils._module import (
    MATCH_OPTIONS,
    NETNS_OPTION,
    ConntrackModule,
    guarded_run,
)
from ansible_collections.netops.conntrack.plugins.module_utils._query.event_query import (
    account_of,
    parse_listening_time,
    run_event_query,
)
from ansible_collections.netops.conntrack.plugins.module_utils._query.export import check_dest, exporting
from ansible_collections.netops.conntrack.plugins.module_utils._query.query import Query
from ansible_collections.netops.conntrack.plugins.module_utils._selected_table import selected
from ansible_collections.netops.conntrack.plugins.module_utils._table.events import DESTROYED, NEW, Events
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table

_FILES = {NEW: "dest", DESTROYED: "dest_destroyed"}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Check every option, listen, write the files unless in check mode, and return the module's result."""
    params = module.params
    seconds = parse_listening_time(params["duration"])
    query = Query(params["group_by"], [], params["limit"], entries=params["entries"], lines=True)
    query.check()
    require_clusters(params["explain"])
    files = {kind: params[option] for kind, option in _FILES.items() if params[option] is not None}
    for kind, path in files.items():
        check_dest(path, _FILES[kind])
    observe = functools.partial(FilledBy, params["explain"]) if params["explain"] else None
    with contextlib.ExitStack() as stack:
        table, selection, context = stack.enter_context(selected(params, Table))
        exports = {
            kind: stack.enter_context(exporting(path, params["format"], context, _FILES[kind]))
            for kind, path in files.items()
            if not module.check_mode
        }
        events = stack.enter_context(Events(context.settings, table.count))
        answers = run_event_query(events, seconds, selection, context, query, exports, observe)
        account = account_of(answers, events.count_before, events.count_after, events.losses)
    paths = {option: params[option] for option in _FILES.values()}
    return {"changed": bool(files), "seconds": seconds, **paths, **account, **answers}


def main() -> None:
    module = ConntrackModule(
        argument_spec={
            "duration": {"type": "str", "default": "10s"},
            "explain": {"type": "int", "default": 5},
            "group_by": {"type": "list", "elements": "str", "default": []},
            "limit": {"type": "int", "default": 10},
            "entries": {"type": "bool", "default": False},
            "dest": {"type": "path"},
            "dest_destroyed": {"type": "path"},
            "format": {"type": "str", "choices": ["extended", "ndjson", "csv"], "default": "extended"},
            **MATCH_OPTIONS,
            **NETNS_OPTION,
        },
        supports_check_mode=True,
    )
    guarded_run(module, run)


if __name__ == "__main__":
    main()
