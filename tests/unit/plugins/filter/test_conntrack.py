# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters as Ansible's own templates call them."""

from __future__ import annotations

import pathlib
import subprocess
import sys

from ansible_collections.netops.conntrack.plugins.filter import conntrack
from helpers.support import CHECKOUT, PATIENCE

PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  vars:
    limit: 80
    facts:
      usage:
        percent: 91.5 # before ansible-core 2.19, a template would make a text of it
        name: "{{ 'full' }}"
    checks:
      - id: full
        title: Full
        when: usage.percent > `{{ limit }}` && starts_with(usage.name, 'fu')
        value: usage.percent
        severity: high
        advice: Prune.
    findings: "{{ facts | netops.conntrack.conntrack_findings(checks) }}"
    records:
      r1: {before: {usage: {count: 1, percent: 0.1}, selectors: {}, findings: "{{ findings }}"}}
    document: "{{ records | netops.conntrack.conntrack_rollup(['r1', 'r2'], 'now', check_mode=true) }}"
  tasks:
    - ansible.builtin.assert:
        that:
          - findings[0].status == 'finding'
          - findings[0].value == 91.5
          - document.failed == ['r2']
          - document.check_mode
          - "'high  Full: 1 router' in document | netops.conntrack.conntrack_render"
          - "'- **high** Full: 1 router' in document | netops.conntrack.conntrack_render('markdown')"
          - plan.settings == dict(acct=1, tcp_loose=0)
          - plan.left_out == ['dccp_loose']
      vars:
        profile:
          acct: {value: 1, why: Counters.}
          dccp_loose: {value: 0, why: No pick-up.}
        plan: "{{ profile | netops.conntrack.conntrack_plan({'nf_conntrack_tcp_loose': 0}, ['acct']) }}"
    - ansible.builtin.debug:
        msg: "{{ facts | netops.conntrack.conntrack_findings([{'id': 'half', 'when': 'a'}]) }}"
"""


def test_ansible_finds_them_and_hands_them_templates(tmp_path: pathlib.Path) -> None:
    playbook = tmp_path / "filters.yml"
    playbook.write_text(PLAYBOOK)
    command = [
        str(pathlib.Path(sys.executable).parent / "ansible-playbook"),
        "-i",
        "localhost,",
        "-c",
        "local",
        str(playbook),
    ]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "ok=1" in done.stdout, done.stdout + done.stderr
    assert "check half: {'id': 'half', 'when': 'a'} lacks title, severity, advice" in done.stdout + done.stderr
    assert done.returncode == 2


def test_each_filter_is_documented_in_a_file_of_its_name() -> None:
    documented = {path.stem for path in (CHECKOUT / "plugins" / "filter").glob("*.yml")}
    assert documented == conntrack.FilterModule().filters().keys()


def test_without_jmespath_the_checks_name_the_remedy_and_the_others_work(tmp_path: pathlib.Path) -> None:
    code = (
        "import sys; sys.modules['jmespath'] = None\n"
        "from ansible_collections.netops.conntrack.plugins.filter.conntrack import FilterModule\n"
        "filters = FilterModule().filters()\n"
        "print(filters['conntrack_render'](filters['conntrack_rollup']({}, [], 'now')))\n"
        "check = dict.fromkeys(('id', 'title', 'when', 'advice'), 'a') | {'severity': 'low'}\n"
        "filters['conntrack_findings']({}, [check])\n"
    )
    # Ansible makes a directory in the home, and not every user has one.
    environment = {"HOME": str(tmp_path), "PYTHONPATH": str(CHECKOUT / ".collections")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert "Connection tracking of 0 routers" in done.stdout
    assert "Checks need the Python library jmespath" in done.stderr
    assert "pip install jmespath" in done.stderr
