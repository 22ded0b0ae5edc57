#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_expect_prune
short_description: Delete what helpers expect
version_added: 1.0.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Reads the table of expectations once, decides which the selectors select, and deletes exactly those.
  - Each is deleted by its expected tuple, its zone and the kernel's id of it. If it ended and another one took its
    place, that one has another id, and stays. The module never asks the kernel to empty the table.
  - The master of a deleted expectation goes on, and its helper may expect the next connection. The connection that was
    announced is no C(related) one any more, so a firewall may drop it, such as a transfer of FTP or the voice of a
    call.
  - You cannot restore a deleted expectation. Run it with C(--check) first to see what would be deleted.
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._netns
  - netops.conntrack._expectations
  - netops.conntrack._python
attributes:
  check_mode:
    support: full
    details:
      - In check mode RV(deleted) is V(0), and RV(would_delete) is what the real run would delete.
  diff_mode:
    support: full
    details:
      - The diff shows the number of expectations by helper, family and protocol, for those that change.
  idempotent:
    support: full
options:
  max_delete:
    description:
      - The most that may be deleted, as a number of expectations such as V(50), or as a share of all expectations such
        as V(40%). If more would be deleted, the module fails and deletes none. This holds in check mode, too.
      - V(100%) means no limit.
    type: raw
    default: 100%
  sample:
    description:
      - How many of the expectations to be deleted RV(sample) shows, each with its master.
    type: int
    default: 5
seealso:
  - module: netops.conntrack.conntrack_expect_info
  - module: netops.conntrack.conntrack_prune
"""

EXAMPLES = r"""
- name: Show what would be deleted, and delete nothing
  netops.conntrack.conntrack_expect_prune:
    match: helper=sip
  become: true
  check_mode: true
  diff: true

- name: Delete what one client made the helper of FTP expect, but never more than 100
  netops.conntrack.conntrack_expect_prune:
    match:
      helper: ftp
      master_source: 198.51.100.7
    max_delete: 100
  become: true
"""

RETURN = r"""
no_conntrack:
  description: True if the module failed because the kernel tracks no connections. C(msg) says what to do.
  returned: failure, where connections are not tracked
  type: bool
  sample: true
matched:
  description: The number of expectations that O(match) selects.
  returned: success, or when the deletes are refused
  type: int
  sample: 14
without_zone:
  description:
    - The number of RV(matched) expectations that stay because the kernel does not find them in any zone. They ended
      while the table was read, or their master has no entry in the table yet.
  returned: success, or when the deletes are refused
  type: int
  sample: 0
would_delete:
  description: RV(matched) without RV(without_zone).
  returned: success, or when the deletes are refused
  type: int
  sample: 14
deleted:
  description: The number of expectations that were deleted. V(0) in check mode.
  returned: success, or when the deletes are refused
  type: int
  sample: 13
already_gone:
  description: The number of expectations that ended, or were replaced, between the reading and the delete.
  returned: success, or when the kernel refuses deletes
  type: int
  sample: 1
not_deleted:
  description:
    - The number of expectations that could not be deleted. If there are any, the module fails.
    - Together with RV(without_zone), RV(deleted) and RV(already_gone) it makes up RV(matched).
  returned: success, or when the kernel refuses deletes
  type: int
  sample: 0
failures:
  description: The number of expectations that could not be deleted, by the kernel's reason.
  returned: when the kernel refuses deletes
  type: dict
  sample:
    Operation not supported: 2
undecidable:
  description: The number of expectations that lack what O(match) asks for. None of them is selected.
  returned: success, or when the deletes are refused
  type: int
  sample: 0
count_before:
  description: The number of expectations in the table when it was read.
  returned: success, or when the deletes are refused
  type: int
  sample: 20
sample:
  description:
    - Some of the expectations to be deleted, at most O(sample), each with its master, as
      M(netops.conntrack.conntrack_expect_info) gives them.
  returned: success, or when the deletes are refused
  type: list
  elements: dict
  sample: []
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.expect_prune import (
    ExpectSurvey,
    prune_expectations,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import parse_limit
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.dump import list_expectations
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.selection import compile_match
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.zones import with_zones
from ansible_collections.netops.conntrack.plugins.module_utils._module import NETNS_OPTION, ConntrackModule, guarded_run
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
from ansible_collections.netops.conntrack.plugins.module_utils._units import require_natural


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Check the options, delete what is selected unless in check mode, and return the module's result."""
    params = module.params
    sample = params["sample"]
    require_natural("sample", sample)
    if params["max_delete"] is None:
        raise OptionError("max_delete", None, "is null, which is never a value", "Give a number, a share, or 100%.")
    limit = parse_limit(params["max_delete"])
    selection = compile_match(params["match"], or_all=False)
    with inside(params["netns"]), Table() as table:
        survey = ExpectSurvey.of(with_zones(list_expectations(), table), selection)
        survey.enforce(limit, sample)
        return prune_expectations(survey, sample, dry_run=module.check_mode, with_diff=module._diff)


def main() -> None:
    module = ConntrackModule(
        argument_spec={
            "match": {"type": "raw"},
            "max_delete": {"type": "raw", "default": "100%"},
            "sample": {"type": "int", "default": 5},
            **NETNS_OPTION,
        },
        supports_check_mode=True,
    )
    guarded_run(module, run)


if __name__ == "__main__":
    main()
