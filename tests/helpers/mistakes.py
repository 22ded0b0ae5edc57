# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mistakes that are easily made, each with what has to be said of it: the option, the value, and what to do instead."""

from __future__ import annotations

import dataclasses
import json
import typing as t

NOBODY = ("setpriv", "--reuid=65534", "--clear-groups")
"""Runs a module as a user without rights: somebody forgot become."""

ROOT = "Run it as root: -b on the command line, become: true in a play."


@dataclasses.dataclass(frozen=True)
class OfModule:
    """A module that is called wrongly, as ``ansible HOST -m MODULE -a ARGUMENTS`` does."""

    module: str
    args: dict[str, t.Any]
    says: tuple[str, ...]
    wrapper: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.module} {json.dumps(self.args)}{' without root' if self.wrapper else ''}"


TCP = {"protocol": "tcp"}

OF_MODULES = [
    # Forgotten become
    OfModule("conntrack_prune", {"select": ["stale"]}, ("needs root", ROOT), NOBODY),
    OfModule("conntrack_facts", {"gather_subset": ["table"]}, ("needs root", ROOT), NOBODY),
    OfModule("conntrack_info", {}, ("needs root", ROOT), NOBODY),
    OfModule("conntrack_update", {"match": TCP, "mark": "1"}, ("needs root", ROOT), NOBODY),
    OfModule("conntrack_create", {"entries": []}, ("needs root", ROOT), NOBODY),
    OfModule("conntrack_events", {}, ("needs root", ROOT), NOBODY),
    OfModule("conntrack_expect_info", {}, ("needs root", ROOT), NOBODY),
    OfModule("conntrack_expect_prune", {"match": "helper=ftp"}, ("needs root", ROOT), NOBODY),
    OfModule("conntrack_settings", {"settings": {"acct": 1}}, ("needs root", ROOT), NOBODY),
    OfModule(
        "conntrack_timeout_policy",
        {"name": "sip", "protocol": "udp", "timeouts": {"replied": "1h"}},
        ("need root", ROOT),
        NOBODY,
    ),
    # Wrong types
    OfModule("conntrack_prune", {"select": {"stale": 1}}, ("select: {'stale': 1} is not a list", "select: [A, B]")),
    OfModule("conntrack_info", {"group_by": {"a": 1}}, ("group_by: {'a': 1} is not a list", "group_by=A,B")),
    OfModule("conntrack_facts", {"gather_subset": {"all": 1}}, ("gather_subset: {'all': 1} is not a list", "=A,B")),
    OfModule("conntrack_facts", {"selectors": ["stale"]}, ("selectors: ['stale'] is not a dictionary", "{KEY: VALUE}")),
    OfModule("conntrack_facts", {"selectors": "stale"}, ("selectors: 'stale' is not a dictionary", "{KEY: VALUE}")),
    OfModule("conntrack_facts", {"top": "many"}, ("top: 'many' is not a whole number", "such as 10")),
    OfModule("conntrack_settings", {"settings": ["max"]}, ("settings: ['max'] is not a dictionary", '{"settings": {')),
    OfModule("conntrack_settings", {"settings": "max"}, ("settings: 'max' is not a dictionary", "{KEY: VALUE}")),
    OfModule("conntrack_info", {"limit": "ten"}, ("limit: 'ten' is not a whole number", "Give a whole number")),
    OfModule("conntrack_prune", {"match": TCP, "sample": "few"}, ("sample: 'few' is not a whole number", "Give a")),
    OfModule(
        "conntrack_prune",
        {"match": TCP, "protect_management": "ja"},
        ("protect_management: 'ja' is neither true nor false", "Give true or false."),
    ),
    OfModule("conntrack_prune", {"match": 5}, ("match: 5 is not a selector", "Give a dict such as")),
    OfModule("conntrack_prune", {"match": TCP, "exclude": "x"}, ("exclude: 'x' is not one selector", 'exclude="')),
    OfModule("conntrack_update", {"match": TCP, "timeout": [5]}, ("timeout: [5] is not a timeout", "Give settings")),
    # Wrong values
    OfModule("conntrack_prune", {"match": TCP, "max_delete": "40pct"}, ("max_delete: '40pct' is neither", '"10%"')),
    OfModule("conntrack_prune", {"match": TCP, "max_delete": "140%"}, ("max_delete: '140%' is more", '"100%"')),
    OfModule("conntrack_prune", {"match": TCP, "confirm_idle": "soon"}, ("confirm_idle: 'soon'", "90s, 15m")),
    OfModule("conntrack_create", {"entries": [{"prtocol": "tcp"}]}, ("entries[0].prtocol", "Did you mean protocol?")),
    OfModule("conntrack_create", {"expectations": [{"mastr": {}}]}, ("expectations[0].mastr", "Did you mean master?")),
    OfModule("conntrack_create", {"expectations": [{"expected": {}}]}, ("expected.protocol: None is missing", "tcp")),
    OfModule("conntrack_events", {"duration": "11m"}, ("duration: '11m' is out of range", "Give 1s to 10m")),
    OfModule("conntrack_expect_info", {"limit": -1}, ("limit: -1 is negative", "Give 0 or more")),
    OfModule(
        "conntrack_expect_prune", {"match": "helper=ftp", "max_delete": "40pct"}, ("max_delete: '40pct'", '"10%"')
    ),
    OfModule("conntrack_info", {"limit": -1}, ("limit: -1 is below 0", "0 returns none")),
    OfModule("conntrack_update", {"match": TCP, "mark": "red"}, ("mark: 'red' is not a whole number", "Give a number")),
    OfModule("conntrack_restore", {"src": "/nowhere/table.save"}, ("src: '/nowhere/table.save'", "No such file")),
    OfModule("conntrack_settings", {"settings": {"max": "40pct"}}, ("settings.max: '40pct'", "Give a whole number")),
    OfModule("conntrack_settings", {"settings": {"acct": "maybe"}}, ("settings.acct: 'maybe'", "Give true or false")),
    OfModule("conntrack_settings", {"settings": {"udp_timeout": "1 parsec"}}, ("udp_timeout: '1 parsec'", "90s, 15m")),
    OfModule("conntrack_settings", {"settings": {"udp_timeout": -1}}, ("settings.udp_timeout: -1", "Give seconds")),
    OfModule(
        "conntrack_settings",
        {"settings": {"acct": 1}, "confirm_within": "later"},
        ("confirm_within: 'later' is not a duration", "Give seconds"),
    ),
    OfModule(
        "conntrack_settings",
        {"settings": {"acct": 1}, "sysctl_file": "mine.conf"},
        ("sysctl_file: 'mine.conf' is not the full path", "Give a file such as"),
    ),
    OfModule("conntrack_settings", {"state": "gone"}, ("state", "gone", "present, absent, confirmed")),
    # Nothing to do it to, and everything
    OfModule("conntrack_prune", {}, ("match: None selects nothing", "Give match or select")),
    OfModule("conntrack_prune", {"match": {}}, ("match: {} is empty and would select every entry", "Gi")),
    OfModule("conntrack_update", {"match": TCP}, ("timeout, mark", "required")),
    OfModule("conntrack_expect_prune", {}, ("match: None selects nothing", 'match="family=ipv4,ipv6"')),
    OfModule("conntrack_expect_prune", {"match": {}}, ("match: {} is empty and would select every entry", "Give")),
    OfModule(
        "conntrack_timeout_policy", {"name": "sip", "protocol": "udp"}, ("timeouts: {} has no timeout", "Give at least")
    ),
    OfModule(
        "conntrack_timeout_policy",
        {"name": "sip", "protocol": "udp", "timeouts": {"replied": 9}, "persist": True},
        ("persist: True is for objects of nftables only", "Give nft_table"),
    ),
    # Misspelt names
    OfModule(
        "conntrack_timeout_policy",
        {"name": "sip", "protocol": "udp", "timeouts": {"repleid": "1h"}},
        ("timeouts: 'repleid' is no timeout of this protocol", "Did you mean replied"),
    ),
    OfModule("conntrack_prune", {"matches": TCP}, ("matches", "Supported parameters include", "match")),
    OfModule("conntrack_prune", {"select": "stail"}, ("select: 'stail' is not the name", "Did you mean 'stale'?")),
    OfModule("conntrack_prune", {"match": {"protokol": "tcp"}}, ("match: 'protokol'", "Did you mean 'protocol'?")),
    OfModule("conntrack_prune", {"match": {"protocol": "tcpp"}}, ("match.protocol: 'tcpp'", "Did you mean 'tcp'?")),
    OfModule("conntrack_expect_prune", {"match": {"helpr": "ftp"}}, ("match: 'helpr'", "Did you mean 'helper'?")),
    OfModule("conntrack_info", {"sort_by": "packts"}, ("sort_by[0]: 'packts'", "Did you mean 'packets'?")),
    OfModule("conntrack_facts", {"gather_subset": "usge"}, ("gather_subset", "usge", "usage, settings")),
    OfModule(
        "conntrack_settings",
        {"settings": {"udp_timout": "15h"}},
        ("settings: 'udp_timout' is no connection-tracking setting", "Did you mean udp_timeout"),
    ),
    # Two selectors in one text, and a line break that a shell did not make
    OfModule(
        "conntrack_prune",
        {"match": "protocol=tcp,state=SYN_SENT"},
        ("match: 'protocol=tcp,state=SYN_SENT' is not one selector", 'match="protocol=tcp state=SYN_SENT"'),
    ),
    # What the router does not have
    OfModule("conntrack_prune", {"select": ["stale"]}, ("nf_conntrack_acct", "acct")),
    OfModule("conntrack_prune", {"match": TCP, "netns": "nowhere"}, ("netns: ", "'nowhere'", "ip netns list")),
    OfModule("conntrack_prune", {"match": TCP, "netns": "left-over"}, ("'left-over' is not mounted", "ip netns add")),
]

OF_PLAYBOOKS: dict[str, tuple[str, ...]] = {
    "tagret=all": ("tagret: nothing reads this variable", "Did you mean target?"),
    "conntrack_tune_profil=router": ("conntrack_tune_profil: nothing", "Did you mean conntrack_tune_profile?"),
    "conntrack_tune_overrides='max=5'": ("conntrack_tune_overrides is a text", "Write -e '{"),
    '{"conntrack_audit_extra_checks": {"id": "a"}}': ("is a dictionary, {'id': 'a'}, and a list", "Write -e '{"),
    '{"conntrack_audit_skipped_checks": {"a": 1}}': ("skipped_checks is a dictionary, {'a': 1}, and a list", "Write"),
    "conntrack_tune_persist=ja": ("conntrack_tune_persist is a text, 'ja'", "Give true or false."),
    "conntrack_audit_fail_on=dreadful": ("fail_on: 'dreadful' is no severity", "Give one of critical, high, medium, "),
    "fail_on=high": ("fail_on: this playbook does not read this variable", "Only audit, report and site do."),
    "conntrack_audit_report_formats=pdf": ("formats", "pdf", "json, html"),
    "conntrack_audit_report_keep=-1": ("keep: -1 is no number of reports", "or 0 to keep all"),
    "target=nowhere": ("target: 'nowhere' matches no host", "The inventory's groups are"),
}
"""By what is given with -e to the playbook tune, what it is refused for before a router is asked."""

ELSEWHERE = {
    "old core": "tests/unit/plugins/action/test_router_action.py::test_an_old_core_connects_to_nobody",
    "two runs at once": (
        "tests/unit/plugins/module_utils/_settings/test_lock.py::test_who_has_the_lock_is_told_with_the_remedy"
    ),
    "Ctrl-C over SSH": "tests/kernel/test_ctrl_c.py::test_a_module_goes_on_without_a_terminal_and_ends_with_one",
    "Ctrl-C": "tests/unit/roles/test_interrupted.py::test_an_interrupted_run_says_what_it_did",
    "a signal on the router": "tests/kernel/test_interrupted.py::test_a_prune_says_how_many_it_deleted_and_stops",
    "a read-only file system": "tests/kernel/test_conntrack_settings.py::test_etc_that_is_read_only_changes_nothing",
    "no file can be written": "tests/kernel/test_conntrack_settings.py::test_immutable_files_change_nothing",
    "a full disk": "tests/kernel/test_conntrack_settings.py::test_full_disk_changes_nothing",
    "no routers named": "tests/unit/roles/test_preflight.py::test_who_changes_routers_names_them",
    "an inventory without hosts": "tests/unit/roles/test_preflight.py::test_an_inventory_without_hosts",
    "a result that is given": "tests/unit/roles/test_preflight.py::test_a_result_cannot_be_given",
    "a host over network_cli": "tests/kernel/test_never_the_controller.py",
}
"""Mistakes that have a test of their own already, which shows that nothing was half done."""
