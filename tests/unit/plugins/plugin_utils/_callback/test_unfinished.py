# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.plugin_utils._callback.unfinished import Unfinished

PRUNE, SETTINGS, FACTS = (f"netops.conntrack.conntrack_{module}" for module in ("prune", "settings", "facts"))
EXPECT_PRUNE = "netops.conntrack.conntrack_expect_prune"


def test_a_run_that_changed_nothing_has_nothing_to_say() -> None:
    run = Unfinished()
    run.begin("router1", FACTS)
    run.begin("router2", PRUNE)
    run.end("router2", PRUNE, {"deleted": 0})
    run.begin("router3", SETTINGS)
    run.end("router3", SETTINGS, {"changed": False})
    assert run.lines() == []


def test_what_was_done_is_counted_and_what_was_at_work_is_named() -> None:
    run = Unfinished()
    for deleted in (1000, 200):
        run.begin("router1", PRUNE)
        run.end("router1", PRUNE, {"deleted": deleted})
    run.begin("router2", SETTINGS)
    run.end("router2", SETTINGS, {"changed": True})
    run.begin("router3", SETTINGS)
    for number in range(12):
        run.begin(f"edge{number:02}", "conntrack_prune")
    first, *lines = run.lines()
    assert first == "The run was interrupted. What is known of it here:"
    assert lines[:2] == ["router1: 1,200 entries were deleted.", "router2: the settings were changed."]
    assert lines[2].startswith(
        "edge00, edge01, edge02, edge03, edge04, edge05, edge06, edge07, edge08, edge09 and 2 more: "
    )
    assert lines[3].startswith("router3: conntrack_settings was at work. ")
    assert "With confirm_within, the router restores its old values by itself" in lines[3]


def test_a_rehearsal_in_between_ends_nothing_that_is_at_work_elsewhere() -> None:
    run = Unfinished()
    run.begin("router1", PRUNE)
    run.end("router1", PRUNE, {"deleted": 5})
    run.end("router1", PRUNE, {"deleted": None, "would_delete": 3})
    run.end("router2", PRUNE, "no mapping")
    assert run.lines()[1:] == ["router1: 5 entries were deleted."]


def test_what_a_router_is_called_steers_no_terminal() -> None:
    run = Unfinished()
    run.begin("\x1b[2Jrouter", PRUNE)
    assert "\x1b" not in "".join(run.lines())


def test_expectations_are_no_entries() -> None:
    run = Unfinished()
    for action, deleted in ((PRUNE, 5), (EXPECT_PRUNE, 3)):
        run.begin("router1", action)
        run.end("router1", action, {"deleted": deleted})
    run.begin("router2", EXPECT_PRUNE)
    lines = run.lines()[1:]
    assert lines[:2] == ["router1: 5 entries were deleted.", "router1: 3 expectations were deleted."]
    assert "Deleted expectations do not come back" in lines[2]


def test_timeout_policies_are_no_settings() -> None:
    run = Unfinished()
    policy = "netops.conntrack.conntrack_timeout_policy"
    for router, changed in (("router1", True), ("router2", False)):
        run.begin(router, policy)
        run.end(router, policy, {"changed": changed})
    run.begin("router3", policy)
    lines = run.lines()[1:]
    assert lines[0] == "router1: timeout policies were changed."
    assert lines[1].startswith("router3: conntrack_timeout_policy was at work.")


def test_what_is_skipped_is_not_at_work() -> None:
    run = Unfinished()
    for action in (PRUNE, SETTINGS):
        run.begin("router1", action)
        run.end("router1", action, {"changed": False, "skipped": True})
    assert run.lines() == []


def test_each_item_of_a_loop_counts_once_and_ends_nothing() -> None:
    run = Unfinished()
    run.begin("router1", PRUNE)
    for deleted in (3, 4):
        run.note("router1", PRUNE, {"deleted": deleted})
    assert run.lines()[1] == "router1: 7 entries were deleted."
    assert run.lines()[2].startswith("router1: conntrack_prune was at work.")
    run.end("router1", PRUNE, {"changed": True, "results": [{"deleted": 3}, {"deleted": 4}]})
    run.begin("router2", SETTINGS)
    for _item in range(2):
        run.note("router2", SETTINGS, {"changed": True})
    run.end("router2", SETTINGS, {"changed": True, "results": []})
    assert run.lines()[1:] == ["router1: 7 entries were deleted.", "router2: the settings were changed."]


def test_an_item_of_a_rehearsal_is_not_counted() -> None:
    run = Unfinished()
    run.note("router1", SETTINGS, {"changed": True})
    assert run.lines() == []
