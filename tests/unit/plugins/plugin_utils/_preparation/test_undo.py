# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is undone on a router: what is on record there, and not what others have changed or need."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._preparation.found import Found
from ansible_collections.netops.conntrack.plugins.plugin_utils._preparation.undo import Undo, plan_undo
from helpers.router_answers import SYSTEMS, answer, options, recorded

MADE: list[dict[str, str]] = [
    {"kind": "directory", "path": "/opt/outer"},
    {"kind": "directory", "path": "/opt/outer/inner"},
    {"kind": "tree", "path": "/opt/outer/inner/pyroute2-0.9.7-py3-none-any"},
    {"kind": "file", "path": "/usr/lib/python3/x.pth", "sha256": "a" * 64},
    {"kind": "package", "name": "py3-pyroute2", "system": "alpine"},
    {"kind": "pip", "name": "pyroute2", "path": "/usr/bin/python3"},
    {"kind": "user", "name": "conntrack"},
    {"kind": "file", "path": "/etc/sudoers.d/conntrack", "sha256": "b" * 64},
]
FILES = {"/usr/lib/python3/x.pth": "a" * 64, "/etc/sudoers.d/conntrack": "b" * 64}


def undo(given: dict[str, t.Any] | None = None, **found: t.Any) -> Undo:
    told = {"record": recorded(*MADE), "files": FILES, **found}
    return plan_undo(Found.from_answer(answer(**told)), options(state="absent", **(given or {})))


def test_everything_on_record_goes_the_last_first() -> None:
    undone = undo()
    assert undone.files == ["/etc/sudoers.d/conntrack", "/usr/lib/python3/x.pth"]
    assert undone.directories == ["/opt/outer/inner", "/opt/outer"]
    assert undone.trees == ["/opt/outer/inner/pyroute2-0.9.7-py3-none-any"]
    assert undone.user == "conntrack"
    assert undone.packages == [
        {
            "name": "py3-pyroute2",
            "query": [*SYSTEMS["alpine"]["installed"], "py3-pyroute2"],
            "remove": ["apk", "del", "py3-pyroute2"],
        },
        {
            "name": "pyroute2",
            "query": ["/usr/bin/python3", "-m", "pip", "show", "--quiet", "pyroute2"],
            "remove": ["/usr/bin/python3", "-m", "pip", "uninstall", "--yes", "pyroute2"],
        },
    ]
    assert (undone.left, undone.problems, undone.made) == ([], [], MADE)


def test_what_was_there_before_is_on_no_record_and_stays() -> None:
    undone = undo(record=None, home="/home/conntrack", pyroute2="0.9.7")
    assert not any((undone.files, undone.packages, undone.trees, undone.directories, undone.user, undone.problems))


def test_a_file_that_somebody_changed_stays_and_is_named() -> None:
    undone = undo(files={**FILES, "/etc/sudoers.d/conntrack": "c" * 64})
    assert undone.files == ["/usr/lib/python3/x.pth"]
    assert undone.left == ["/etc/sudoers.d/conntrack, which somebody has changed since"]
    gone = undo(files={**FILES, "/etc/sudoers.d/conntrack": None})
    assert (len(gone.files), gone.left) == (2, [])


def test_pip_needs_leave_to_remove_what_it_had_leave_to_install() -> None:
    assert "--break-system-packages" in undo(externally_managed=True).packages[1]["remove"]


def test_a_system_that_is_not_known_any_more_is_named() -> None:
    [problem] = undo({"systems": {}}).problems
    assert "py3-pyroute2 was installed as on alpine" in problem


def test_settings_that_another_role_has_set_since_are_not_restored_below_it() -> None:
    own = {"sysctl_file": "/etc/sysctl.d/80-netops-conntrack.conf", "settings": {"acct": {}}}
    tuned = {"sysctl_file": "/etc/sysctl.d/90-netops-conntrack.conf", "settings": {"acct": {}, "generic_timeout": {}}}
    [problem] = undo({"records": [own, tuned]}).problems
    assert problem.startswith("acct is set by /etc/sysctl.d/90-netops-conntrack.conf as well. Undo that first")
    assert undo({"records": [own]}).problems == []
    # A router can tell anything.
    template = "{{ lookup('pipe', 'id') }}"
    odd = {"sysctl_file": f"/etc/{template}", "settings": {"acct": {}, template: {}}}
    [problem] = undo({"records": [{**own, "settings": {"acct": {}, template: {}}}, odd]}).problems
    assert problem.startswith("acct is set by another drop-in as well.")
    assert undo({"records": [tuned]}).problems == []
