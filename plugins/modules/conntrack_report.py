#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_report
short_description: Report on all routers of a play
version_added: 0.4.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Rolls up what the roles of this collection registered on the routers of the play, and writes the reports on the
    controller. No router is asked, and none is changed.
  - Run it once, in a play without C(serial). The entry point C(report) of the role
    P(netops.conntrack.conntrack_audit#role) does that.
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._attributes.controller
attributes:
  check_mode:
    details:
      - Nothing on the routers changes. The reports are written in check mode, too.
options:
  directory:
    description: The directory of the files, on the controller. It is created if it does not exist. Empty for no files.
    type: str
    default: ""
  name:
    description:
      - The name of the files, without ending. Each report replaces the one before it that has the same name.
      - Without it no two reports have the same name. It has the O(playbook) and the time in it, as in
        C(conntrack-audit-20261128T120000Z), and a number where another report of that second is there. The newest
        report is also found as C(latest) with its endings, such as C(latest.html).
    type: str
    default: ""
  playbook:
    description: The playbook's name in the names of the files, if there is no O(name).
    type: str
    choices: [audit, prune, report, site, tune]
    default: report
    version_added: 1.0.0
  keep:
    description:
      - How many reports of the O(playbook) stay in O(directory), this one included. V(0) keeps all.
      - Older ones are removed with all their endings, but nothing that this collection did not name itself. In check
        mode nothing is removed.
      - It cannot be given with O(name).
    type: int
    default: 0
    version_added: 1.0.0
  formats:
    description:
      - Which files to write. Their endings are C(.json), C(.html), C(.md), C(.txt), C(.csv), C(.prom), and C(.xml) for
        V(junit).
      - The file with the ending C(.retry) lists the routers that were not done, for C(--limit @FILE). It is written if
        there are such routers.
    type: list
    elements: str
    choices: [json, html, markdown, text, csv, prometheus, junit]
    default: [json]
  mode:
    description:
      - Who may read and write the files, in the notation of C(chmod). They hold the addresses of your customers. So by
        default the user who runs Ansible may read and write them, and his group may read them.
      - V(0644) lets everybody read them, such as a node_exporter or a web server that runs as another user.
      - New directories get the mode 0750. An existing one keeps its mode.
    type: str
    choices: ["0640", "0600", "0644", "0660", "0664"]
    default: "0640"
    version_added: 1.0.0
  baseline:
    description: The C(.json) file of an earlier report, which this one is compared with.
    type: str
    default: ""
  slices:
    description: The C(.json) files of reports on parts of a fleet. They are put together instead of the play's routers.
    type: list
    elements: str
    default: []
  fail_on:
    description: The severity from which a finding puts its router among the RV(failing). Empty for none.
    type: str
    choices: ["", critical, high, medium, low, info]
    default: ""
  webhook:
    description:
      - The URL of a service that takes messages as Slack does, such as Mattermost. It gets one if there is a finding of
        O(webhook_on) or a worse one, if a router was not done, or if the roll-out was stopped. Empty for none.
      - It has to begin with C(https://), and the certificate has to be valid. C(http://) is for this machine only.
      - Whoever knows the URL can write there, so no message and no report has it.
    type: str
    default: ""
    version_added: 1.0.0
  webhook_on:
    description: The severity from which on the O(webhook) is told of a finding.
    type: str
    choices: [critical, high, medium, low, info]
    default: high
    version_added: 1.0.0
  show:
    description:
      - Whether to show the page and the paths of the files, as text, while the task runs.
      - It is not shown if the callback for standard output is for programs, such as C(json).
    type: bool
    default: true
    version_added: 1.0.0
  only_prepare:
    description:
      - Only check whether the report can be written later. The directory is created, and O(baseline) and O(slices) are
        read. So a wrong option is refused before a router is changed.
    type: bool
    default: false
seealso:
  - module: netops.conntrack.conntrack_audit
  - plugin: netops.conntrack.conntrack_rollup
    plugin_type: filter
  - plugin: netops.conntrack.conntrack_render
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Report on the fleet
  netops.conntrack.conntrack_report:
    directory: ./conntrack-reports
    name: fleet
    formats: [json, html]
    fail_on: critical
  register: reported
  run_once: true

- name: Put together the reports of two slices
  netops.conntrack.conntrack_report:
    directory: ./conntrack-reports
    name: all
    slices:
      - conntrack-reports/north.json
      - conntrack-reports/south.json
  run_once: true
  when: false # until both are there
"""

RETURN = r"""
text:
  description: The report as a page for the terminal, line by line.
  returned: when it was not shown, see O(show)
  type: list
  elements: str
files:
  description: The paths of the files.
  returned: without O(only_prepare)
  type: list
  elements: str
latest:
  description: The paths under which the newest file of each ending can be found.
  returned: without O(only_prepare)
  type: list
  elements: str
  version_added: 1.0.0
failing:
  description: The routers that were not done, or have a finding to fail on, each with the reason.
  returned: without O(only_prepare)
  type: dict
  sample: {router2: "Measure and check: Connection timed out"}
fleet:
  description: The routers in short, worst first, as a callback shows them on a terminal.
  returned: without O(only_prepare)
  type: dict
not_written:
  description:
    - The parts of the report that could not be written, each with the reason. They are formats, C(retry) for the list
      of routers, C(comparison) with the baseline, C(terminal) for the page, C(webhook) that was not told, C(latest),
      and C(keep) for old reports that could not be removed. The task fails if there are any. All other parts are
      written.
  returned: without O(only_prepare)
  type: dict
  sample: {html: No space left on device}
"""
