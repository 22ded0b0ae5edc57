# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checks of the role are data: each is tried on the facts of a healthy router with one thing wrong."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import NAMED
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import find
from ansible_collections.netops.conntrack.plugins.plugin_utils._tuning.sizing import EXTENSION_BYTES
from helpers.json_routers import Fleet
from helpers.support import CHECKOUT, read_yaml

ROLE = CHECKOUT / "roles" / "conntrack_audit"
FACTS = pathlib.Path(__file__).parent / "facts"
DEFAULTS = read_yaml(ROLE / "defaults" / "main.yml")
CHECKS: list[dict[str, str]] = DEFAULTS["conntrack_audit_checks"]


def cluster(entries: int, percent: float, **match: t.Any) -> dict[str, t.Any]:
    """Return a group of entries with something in common, which 1,284 sources sent to one destination."""
    prunable = 0 if match["replied"] or match.get("state") == "ESTABLISHED" else entries
    return {
        "match": match,
        "entries": entries,
        "percent": percent,
        "prunable": entries if "packets_original" in match else prunable,
        "sources": 1284,
        "more_sources": False,
        "source_network": "10.0.0.0/8",
        "destinations": 1,
        "more_destinations": False,
        "destination_network": match.get("destination", "203.0.113.0/24"),
    }


ESTABLISHED = {"protocol": "tcp", "state": "ESTABLISHED"}
BARE_ACKS = {**ESTABLISHED, "replied": False, "packets_original": {"min": 1, "max": 1}}
SERVER = {"destination": "203.0.113.7", "destination_port": 443}
SYNS = {"protocol": "tcp", "state": "SYN_SENT", "replied": False, **SERVER}
HALF_OPEN = {"protocol": "tcp", "state": "SYN_RECV", "replied": True, **SERVER}
DNS = {"protocol": "udp", "replied": False, "destination": "192.0.2.54", "destination_port": 53}
SCAN = {"protocol": "tcp", "state": "SYN_SENT", "replied": False, "source": "198.51.100.66"}
CLIENT = {**ESTABLISHED, "replied": True, "source": "10.7.7.7"}


def filled(entries: int, percent: float, match: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
    return {"table.filled_by": [cluster(entries, percent, **match)], **more}


def nat_ports(ports: int) -> dict[str, t.Any]:
    service = {"protocol": "tcp", "destination": "203.0.113.7", "destination_port": 443}
    return {**service, "address": "192.0.2.1", "zone": 0, "ports": ports}


WRONG: dict[str, dict[str, t.Any]] = {
    "asymmetric_routing": {"selectors.one_way.entries": 1000, "selectors.one_way.percent": 20.0},
    "bare_ack_pickup": filled(1000, 20, BARE_ACKS, **{"settings.tcp_loose": 1}),
    "idle_connections": {
        "selectors.idle_hour.entries": 1000,
        "selectors.idle_hour.percent": 50,
        "usage.percent": 50,
    },
    "nat_ports": {"table.nat_ports": [nat_ports(32_256)]},
    "one_peer": filled(1000, 50, CLIENT, **{"usage.percent": 50}),
    "scan": filled(1000, 20, SCAN),
    "syn_flood": filled(1000, 20, SYNS),
    "unanswered_service": filled(1000, 20, DNS),
    "accounting_off": {"settings.acct": 0},
    "contested_settings": {"boot.contested": ["max"]},
    "drift": {"boot.drift": ["buckets", "max"]},
    "entries_evicted": {"stats.total.early_drop": 1},
    "established_timeout": {"settings.tcp_timeout_established": 86401},
    "expectations_nearly_full": {"expectations.percent": 80.0},
    "full_and_not_evictable": {"usage.percent": 80, "table.evictable": 1199},
    "generic_timeout": {"settings.generic_timeout": 600},
    "insert_failed": {"stats.total.insert_failed": 1},
    "undecided_at_boot": {"boot.undecided_settings": ["max"]},
    "invalid_at_boot": {"boot.invalid": ["max"]},
    "invalid_packets": {"stats.total.invalid": 10_000, "stats.received_packets": 200_000},
    "leftover_settings": {"profile.leftover": ["tcp_loose"]},
    "long_chains": {"usage.load_factor": 4.01},
    "loose_pickup": {"settings.tcp_loose": 1},
    "not_listed": {"table.not_listed": 1200},
    "no_limit": {"usage.max": 0, "usage.percent": None, "usage.headroom": None},
    "overridden_line": {"boot.overridden": ["max"]},
    "packets_dropped": {"stats.total.drop": 1},
    "settings_lost_at_boot": {"boot.lost_settings": ["max"]},
    "stale_majority": {"selectors.stale.percent": 50.0, "selectors.stale.entries": 100},
    "stale_share": {"selectors.stale.percent": 49.9, "selectors.stale.entries": 100},
    "stale_unknown": {"selectors.stale.undecidable": 100, "usage.count": 1000},
    "table_full": {"usage.percent": 95, "table.not_listed": 5999},
    "table_full_logged": {"stats.table_full.messages": 1, "stats.table_full.last_seconds_ago": 86399.5},
    "table_full_not_listed": {"usage.percent": 95, "table.not_listed": 6000},
    "table_nearly_full": {"usage.percent": 94.9},
    "timestamps_off": {"settings.timestamp": 0},
}
"""What makes a check a finding, and just so."""

FINE: dict[str, dict[str, t.Any]] = {
    "invalid_packets": {"stats.total.invalid": 10_000, "stats.received_packets": 200_001},
    "asymmetric_routing": {"selectors.one_way.entries": 1000, "selectors.one_way.percent": 19.9},
    "bare_ack_pickup": filled(1000, 20, BARE_ACKS),
    "idle_connections": {"selectors.idle_hour.entries": 1000, "selectors.idle_hour.percent": 50, "usage.percent": 49},
    "nat_ports": {"table.nat_ports": [nat_ports(32_255)]},
    "one_peer": filled(1000, 50, CLIENT, **{"usage.percent": 49}),
    "scan": filled(999, 20, SCAN),
    "syn_flood": filled(1000, 19.9, SYNS),
    "unanswered_service": filled(1000, 20, {**DNS, "destination_port": 514}),
    "established_timeout": {"settings.tcp_timeout_established": 86400},
    "expectations_nearly_full": {"expectations.percent": 79.99},
    "full_and_not_evictable": {"usage.percent": 80, "table.evictable": 1200},
    "generic_timeout": {"settings.generic_timeout": 599},
    "long_chains": {"usage.load_factor": 4},
    "not_listed": {"table.not_listed": 1199},
    "stale_majority": {"selectors.stale.percent": 100, "selectors.stale.entries": 99},
    "stale_share": {"selectors.stale.percent": 9.9, "selectors.stale.entries": 100},
    "stale_unknown": {"selectors.stale.undecidable": 100, "usage.count": 1001},
    "table_full": {"usage.percent": 94.9},
    "table_full_logged": {"stats.table_full.messages": 1, "stats.table_full.last_seconds_ago": 86400},
    "table_full_not_listed": {"usage.percent": 94.9, "table.not_listed": 6000},
    "table_nearly_full": {"usage.percent": 79.9},
}
"""What just does not."""


IDLE = {"protocol": "tcp", "idle": {"min": "12h"}}
SELECTORS: dict[str, tuple[dict[str, t.Any], dict[str, t.Any]]] = {
    "default": ({}, {}),
    "default-as-text": ({"conntrack_prune_select": "stale"}, {}),
    "default-in-full": (
        {"conntrack_prune_select": ["stale"], "conntrack_prune_match": [], "conntrack_prune_exclude": []},
        {},
    ),
    "named": (
        {"conntrack_prune_select": "idle_day,unanswered"},
        {"prune": {"select": "idle_day,unanswered"}},
    ),
    "own": (
        {"conntrack_prune_match": [IDLE]},
        {"prune": {"match": [IDLE]}},
    ),
    "own-as-text": (
        {"conntrack_prune_select": [], "conntrack_prune_match": "protocol=tcp idle=43200-"},
        {"prune": {"match": "protocol=tcp idle=43200-"}},
    ),
    "more": (
        {"conntrack_prune_select": ["stale"], "conntrack_prune_match": [IDLE]},
        {"prune": {"select": ["stale"], "match": [IDLE]}},
    ),
    "less": (
        {"conntrack_prune_exclude": [{"zone": 5}]},
        {"prune": {"select": ["stale"], "exclude": [{"zone": 5}]}},
    ),
    "nothing": ({"conntrack_prune_select": [], "conntrack_prune_exclude": [{"zone": 5}]}, {}),
    "counted": (
        {"conntrack_audit_selectors": {"idle": {"match": [IDLE]}, "stale": {"match": [{"zone": 5}]}}},
        {"idle": {"match": [IDLE]}, "stale": {"match": [{"zone": 5}]}},
    ),
    "counted-as-prune": (
        {"conntrack_prune_select": "dns", "conntrack_audit_selectors": {"prune": {"match": [IDLE]}}},
        {"prune": {"match": [IDLE]}},
    ),
}
"""Variables of a router, and what is counted beside the named selectors of the collection, or instead of one."""

ASKING = """
- hosts: all
  gather_facts: false
  roles: [netops.conntrack.conntrack_audit]
"""


def load(name: str) -> dict[str, t.Any]:
    """Return what checks see: the facts, and what conntrack_audit adds to them."""
    return {**json.loads((FACTS / f"{name}.json").read_text()), "profile": {"leftover": [], "unavailable": None}}


def facts_with(changes: dict[str, t.Any]) -> dict[str, t.Any]:
    facts = load("healthy")
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = facts
        for key in parents:
            place = place[key]
        place[last] = value
    return facts


def status(check_id: str, facts: dict[str, t.Any]) -> str:
    return str(next(finding["status"] for finding in find(facts, CHECKS) if finding["id"] == check_id))


@pytest.mark.parametrize("percent", [85.0, 97.0])
def test_a_prune_is_advised_only_where_it_frees_something(percent: float) -> None:
    facts = facts_with({"usage.percent": percent, "selectors.stale.entries": 592, "selectors.stale.percent": 0.6})
    found = [finding for finding in find(facts, CHECKS) if finding["status"] == "finding"]
    assert found
    assert not [finding["id"] for finding in found if ".prune" in finding["advice"] or ".site" in finding["advice"]]


def test_nothing_is_wrong_with_a_healthy_router() -> None:
    assert {finding["status"] for finding in find(load("healthy"), CHECKS)} == {"passed"}


def test_every_check_is_tried() -> None:
    assert sorted(check["id"] for check in CHECKS) == sorted(WRONG)


@pytest.mark.parametrize("check_id", WRONG)
def test_the_check_finds_what_it_is_for(check_id: str) -> None:
    assert status(check_id, facts_with(WRONG[check_id])) == "finding"


@pytest.mark.parametrize("check_id", FINE)
def test_the_check_leaves_alone_what_is_just_fine(check_id: str) -> None:
    assert status(check_id, facts_with(FINE[check_id])) == "passed"


NETWORK = {"destination": "203.0.113.0/24"}
NO_CAUSE: dict[str, dict[str, t.Any]] = {
    "few bare ACKs": filled(999, 99, BARE_ACKS, **{"settings.tcp_loose": 1}),
    "SYNs to a network": filled(5000, 50, {**SYNS, **NETWORK}),
    "SYNs to no server": filled(5000, 50, {"protocol": "tcp", "state": "SYN_SENT", "replied": False}),
    "answered DNS": filled(5000, 90, {**DNS, "replied": True}),
    "UDP to a network": filled(5000, 50, {**DNS, **NETWORK}),
    "UDP to any port": filled(5000, 50, {"protocol": "udp", "replied": False, "destination": "192.0.2.54"}),
    "VXLAN": filled(5000, 50, {**DNS, "destination_port": 4789}),
    "one resolver": filled(5000, 15, {**DNS, "source": "10.7.7.7"}),
    "a source that answers": filled(5000, 90, CLIENT),
    "a network of sources": filled(5000, 50, {**SCAN, "source": "198.51.100.0/24"}),
    "a service with all": filled(11000, 92, {**ESTABLISHED, "replied": True, **SERVER}),
    "a port with all": filled(11000, 92, {**ESTABLISHED, "replied": True, "destination_port": 443}),
    "offloaded": {"stats.total.invalid": 10**6, "stats.received_packets": 10**6, "table.status.offloaded": 1},
    "pings": filled(5000, 50, {"protocol": "icmp", "replied": False, "destination": "192.0.2.54"}),
}
"""Tables of which somebody could think that they have a cause."""


@pytest.mark.parametrize("name", NO_CAUSE)
def test_a_share_that_says_nothing_is_no_cause(name: str) -> None:
    facts = facts_with({"usage.percent": 49, **NO_CAUSE[name]})
    found = {finding["id"] for finding in find(facts, CHECKS) if finding["status"] == "finding"}
    assert found <= {"loose_pickup"}


@pytest.mark.parametrize("name", ["healthy", "sick"])
def test_no_value_has_words_for_what_is_not_known(name: str) -> None:
    facts = load(name)
    facts["selectors"]["one_way"] |= {"entries": None, "percent": None}
    facts["stats"]["received_packets"] = None
    values = [finding["value"] for finding in find(facts, CHECKS)]
    assert not [value for value in values if isinstance(value, str) and "null" in value]


def test_a_table_without_a_limit_leaves_nothing_unknown() -> None:
    facts = facts_with({**filled(6000, 90, CLIENT), **WRONG["no_limit"]})
    assert [each["id"] for each in find(facts, CHECKS) if each["status"] != "passed"] == ["no_limit"]


def test_a_cure_counts_what_a_shorter_timeout_leaves() -> None:
    facts = facts_with({**filled(6000, 50, SYNS), "settings.tcp_timeout_syn_sent": 120})
    [finding] = [each for each in find(facts, CHECKS) if each["id"] == "syn_flood"]
    assert "about 1,000 of 6,000 are left" in " ".join(finding["cures"])
    facts["settings"]["tcp_timeout_syn_sent"] = 20
    [finding] = [each for each in find(facts, CHECKS) if each["id"] == "syn_flood"]
    assert "are left" not in " ".join(finding["cures"])


COUNTED = {"packets_dropped": "drop", "entries_evicted": "early_drop", "insert_failed": "insert_failed"}


@pytest.mark.parametrize("check_id", [*COUNTED, "invalid_packets"])
def test_counters_that_the_kernel_does_not_tell_are_unknown(check_id: str) -> None:
    facts = load("healthy")
    facts["stats"] |= {"total": {}, "per_cpu": [], "unavailable": "The kernel does not tell them."}
    facts["rates"] = {"counters": {}}
    [found] = [each for each in find(facts, CHECKS) if each["id"] == check_id]
    assert (found["status"], found["value"]) == ("unknown", None)


@pytest.mark.parametrize("check_id", COUNTED)
def test_losses_of_long_ago_are_no_finding_where_somebody_watched(check_id: str) -> None:
    counter = COUNTED[check_id]
    facts = facts_with({f"stats.total.{counter}": 4711})
    for watched, expected in ({}, ("finding", 4711)), ({counter: 0}, ("passed", 0)), ({counter: 3}, ("finding", 3)):
        facts["rates"] = {"counters": watched}
        [finding] = [each for each in find(facts, CHECKS) if each["id"] == check_id]
        assert (finding["status"], finding["value"]) == expected


def test_a_higher_limit_says_what_it_costs() -> None:
    usage = {"max": 4000, "count": 3900, "percent": 97.5, "entry_bytes": 320, "memory_total_bytes": 1 << 28}
    facts = facts_with({f"usage.{name}": value for name, value in usage.items()})
    [finding] = [each for each in find(facts, CHECKS) if each["id"] == "table_full"]
    share = 100 * 8000 * (usage["entry_bytes"] + EXTENSION_BYTES) / usage["memory_total_bytes"]
    [cure] = finding["cures"]
    assert '"at_least": {"max": 8000}' in cure
    assert "then 48.75 % of it" in cure
    assert f"take {share:.2f} % of the memory" in cure
    facts["usage"]["memory_total_bytes"] = None
    [finding] = [each for each in find(facts, CHECKS) if each["id"] == "table_full"]
    assert "cures" not in finding


@pytest.mark.parametrize("check_id", WRONG)
def test_the_check_is_unknown_without_the_facts_that_it_reads(check_id: str) -> None:
    facts = facts_with(WRONG[check_id])
    del facts[next(iter(WRONG[check_id])).split(".")[0]]
    assert status(check_id, facts) == "unknown"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check["id"])
def test_the_value_of_a_finding_is_shown(check: dict[str, str]) -> None:
    (finding,) = find(facts_with(WRONG[check["id"]]), [check])
    assert (finding["value"] is not None) == ("value" in check)


LISTENER = {"process": "conntrackd", "pid": 812, "port_id": 812, "receive_queue_bytes": 4096, "drops": 7}
BEHIND = [LISTENER, {**LISTENER, "process": None, "pid": None}, {**LISTENER, "process": "collector", "pid": 9}]
FINE_LISTENERS = [{**LISTENER, "drops": 0}, {**LISTENER, "receive_queue_bytes": 0}]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"table.not_listed": 0}, {"table_full"}),
        ({"table.not_listed": None}, {"table_full"}),
        # Half of a small table may be packets in a queue, or what came and went while it was read.
        ({"table.not_listed": 999, "usage.count": 1000}, {"table_full"}),
        ({"table.not_listed": 1000, "usage.count": 1000}, {"table_full_not_listed"}),
        ({"table.not_listed": 1200}, {"table_full", "not_listed"}),
        ({"table.not_listed": 6000}, {"table_full_not_listed"}),
        ({"table.not_listed": 6000, "usage.percent": 80}, {"not_listed"}),
        ({"table.not_listed": 6000, "usage.percent": 80, "table.evictable": 0}, {"not_listed"}),
        ({"table.not_listed": 12000, "table.entries": 0, "table.evictable": 0}, {"table_full_not_listed"}),
        ({"table.not_listed": 6000, "usage.max": 0, "usage.percent": None}, {"not_listed", "no_limit"}),
        ({"table.not_listed": 0, "usage.count": 0, "usage.percent": 0}, set()),
    ],
)
def test_no_prune_is_advised_that_cannot_free_entries(changes: dict[str, t.Any], expected: set[str]) -> None:
    findings = find(facts_with({"usage.percent": 95, **changes}), CHECKS)
    found = [finding for finding in findings if finding["status"] == "finding"]
    assert {finding["id"] for finding in found} == expected
    for finding in found:
        assert ("No prune frees them" in finding["advice"]) == ("not_listed" in finding["id"])


@pytest.mark.parametrize(
    ("listeners", "value"),
    [
        (BEHIND, "6000 (conntrackd 812, collector 9)"),
        ([*FINE_LISTENERS, BEHIND[0]], "6000 (conntrackd 812)"),
        (FINE_LISTENERS, 6000),
        ([BEHIND[1]], 6000),
        ([], 6000),
        (None, 6000),
    ],
)
@pytest.mark.parametrize("check_id", ["not_listed", "table_full_not_listed"])
def test_the_program_is_named_that_does_not_read(check_id: str, listeners: t.Any, value: t.Any) -> None:
    percent = {"not_listed": 94, "table_full_not_listed": 95}[check_id]
    facts = facts_with({"table.not_listed": 6000, "usage.percent": percent, "usage.listeners": listeners})
    assert [finding["value"] for finding in find(facts, CHECKS) if finding["id"] == check_id] == [value]


SIP_PHONE = {"source": "198.51.100.7", "expectations": 812}


@pytest.mark.parametrize(
    ("sources", "value"),
    [
        (
            [SIP_PHONE, {"source": "198.51.100.8", "expectations": 1}],
            "97.66 %, of which 812 of 1000 for connections of 198.51.100.7",
        ),
        ([], "97.66 %"),
    ],
)
def test_who_fills_the_table_of_expectations_is_named(sources: list[t.Any], value: str) -> None:
    facts = facts_with(
        {"expectations.percent": 97.66, "expectations.count": 1000, "expectations.sources": sources},
    )
    check_id = "expectations_nearly_full"
    assert [finding["value"] for finding in find(facts, CHECKS) if finding["id"] == check_id] == [value]


def test_a_kernel_that_does_not_list_expectations_says_why() -> None:
    unknown = {"count": None, "percent": None, "masters": None, "unavailable": "The kernel cannot show them."}
    facts = facts_with({f"expectations.{name}": value for name, value in unknown.items()})
    [finding] = [each for each in find(facts, CHECKS) if each["id"] == "expectations_nearly_full"]
    assert (finding["status"], finding["reason"]) == (
        "unknown",
        "not known: expectations.percent (The kernel cannot show them.)",
    )


def test_a_sick_router() -> None:
    findings = find(load("sick"), CHECKS)
    found = [finding["id"] for finding in findings if finding["status"] == "finding"]
    assert found == [
        "table_full",
        "full_and_not_evictable",
        "settings_lost_at_boot",
        "stale_majority",
        "table_full_logged",
        "bare_ack_pickup",
        "established_timeout",
        "long_chains",
        "packets_dropped",
        "entries_evicted",
        "generic_timeout",
        "insert_failed",
        "overridden_line",
        "loose_pickup",
        "timestamps_off",
    ]
    assert {finding["status"] for finding in findings} == {"finding", "passed"}


def test_what_the_router_cannot_tell_is_unknown_and_says_why() -> None:
    facts = load("sick")
    facts["settings"]["acct"] = 0
    unavailable = "net.netfilter.nf_conntrack_acct is off"
    facts["selectors"]["stale"] = {"entries": None, "percent": None, "undecidable": 0, "unavailable": unavailable}
    facts["stats"]["table_full"] = {"messages": None, "last_seconds_ago": None, "unreadable": "/dev/kmsg: no such file"}
    reasons = {finding["id"]: finding["reason"] for finding in find(facts, CHECKS) if finding["status"] == "unknown"}
    assert sorted(reasons) == ["stale_majority", "stale_share", "table_full_logged"]
    assert unavailable in reasons["stale_majority"]
    assert "/dev/kmsg: no such file" in reasons["table_full_logged"]
    assert status("accounting_off", facts) == "finding"


def test_what_an_earlier_profile_left_is_unknown_where_the_profile_is() -> None:
    facts = facts_with({"profile.leftover": None, "profile.unavailable": "the record cannot be read"})
    (finding,) = find(facts, [check for check in CHECKS if check["id"] == "leftover_settings"])
    assert (finding["status"], finding["reason"]) == (
        "unknown",
        "not known: profile.leftover (the record cannot be read)",
    )


RECORDS: dict[str, t.Any] = {
    "files": [
        {
            "sysctl_file": "/etc/sysctl.d/90-netops-conntrack.conf",
            "settings": {short: {"name": short, "runtime": 1, "lines": None} for short in ("acct", "max", "tcp_loose")},
        },
        {
            "sysctl_file": "/etc/sysctl.d/50-ours.conf",
            "settings": {"log_invalid": {"name": "log_invalid", "runtime": 1, "lines": None}},
        },
    ],
    "settings": ["acct", "log_invalid", "max", "tcp_loose"],
    "unreadable": None,
}
UNREADABLE: dict[str, t.Any] = {"files": [], "settings": None, "unreadable": "sysctl_file: no record"}
PROFILES: dict[str, tuple[dict[str, t.Any], dict[str, t.Any], list[str] | None]] = {
    "default": ({}, RECORDS, ["max", "tcp_loose"]),
    "sized": ({"conntrack_tune_sizing": True}, RECORDS, ["tcp_loose"]),
    "sized-by-its-old-name": ({"conntrack_tune_size": True}, RECORDS, ["tcp_loose"]),
    "sized-as-text": ({"conntrack_tune_sizing": "false"}, RECORDS, ["max", "tcp_loose"]),
    "own": ({"conntrack_tune_overrides": {"net.netfilter.nf_conntrack_max": 5}}, RECORDS, ["tcp_loose"]),
    "attacked": ({"conntrack_tune_profile": "under_attack"}, RECORDS, ["max"]),
    "absent": ({"conntrack_tune_state": "absent"}, RECORDS, ["acct", "max", "tcp_loose"]),
    "extra": (
        {"conntrack_tune_profile": "mine", "conntrack_tune_extra_profiles": {"mine": {"settings": {"tcp_loose": {}}}}},
        RECORDS,
        ["acct", "max"],
    ),
    "another-file": ({"conntrack_tune_sysctl_file": "/etc/sysctl.d/50-ours.conf"}, RECORDS, ["log_invalid"]),
    "no-file": ({"conntrack_tune_sysctl_file": "/etc/sysctl.d/60-new.conf"}, RECORDS, []),
    "elsewhere": ({"conntrack_tune_sysctl_file": "/usr/lib/sysctl.d/50.conf"}, RECORDS, None),
    "misspelt": ({"conntrack_tune_profile": "fast"}, RECORDS, None),
    "old-name": ({"conntrack_tune_profile": "story"}, RECORDS, ["max", "tcp_loose"]),
    "unreadable": ({}, UNREADABLE, None),
}
"""Variables of a router, its records, and what an earlier profile left; None where nobody can tell."""


def test_what_an_earlier_profile_left_is_found_with_the_variables_of_each_router(fleet: Fleet) -> None:
    for name, (variables, records, _left) in PROFILES.items():
        fleet.add(name, records=records)
        fleet.hosts[name].update(variables)
    run = fleet.play("audit")
    found = {
        name: next(each for each in host["before"]["findings"] if each["id"] == "leftover_settings")
        for name, host in run.document["hosts"].items()
    }
    values = {name: finding["value"] for name, finding in found.items()}
    assert values == {name: " ".join(left) if left is not None else None for name, (*_given, left) in PROFILES.items()}
    unknown = {name for name, finding in found.items() if finding["status"] == "unknown"}
    assert unknown == {name for name, (*_given, left) in PROFILES.items() if left is None}
    assert found["no-file"]["status"] == "passed"
    assert "fast is no profile" in found["misspelt"]["reason"]
    assert "sysctl_file: no record" in found["unreadable"]["reason"]


FULL_CONTAINER: dict[str, t.Any] = {
    "name": "pid:7",
    "title": "pid:7 (nginx)",
    "names": [],
    "inode": 4026532384,
    "own": False,
    "pid": 7,
    "process": "nginx",
    "processes": 1,
    "owner": None,
    "count": 990,
    "max": 1000,
    "percent": 99.0,
    "unavailable": None,
}
ACROSS = {
    "namespaces": 1,
    "left_out": 0,
    "hidden_processes": 0,
    "count": 990,
    "buckets": 1024,
    "load_factor": 1.9,
    "complete": True,
    "unavailable": None,
}


def test_the_namespaces_of_a_router_are_measured_if_its_variables_say_so(fleet: Fleet) -> None:
    found = {"namespaces": {"pid:7": FULL_CONTAINER}, "across_namespaces": ACROSS}
    for name, wanted in (("r-all", "all"), ("r-named", "named"), ("r-own", "own"), ("r-default", None)):
        fleet.add(name, namespaces={"all": found, "named": {**found, "namespaces": {}}})
        fleet.hosts[name].update({"conntrack_audit_namespaces": wanted} if wanted else {})
    run = fleet.play("audit")
    audits = {name: host["before"] for name, host in run.document["hosts"].items()}
    statuses = {
        name: [each["status"] for each in audit["findings"] if each["id"] == "namespace_nearly_full"]
        for name, audit in audits.items()
    }
    assert statuses == {"r-all": ["finding"], "r-named": ["passed"], "r-own": [], "r-default": []}
    account = {key: FULL_CONTAINER[key] for key in ("title", "own", "count", "max", "percent", "unavailable")}
    assert audits["r-all"]["namespaces"] == {"pid:7": {**account, "filled_by": None}}
    assert audits["r-all"]["across_namespaces"] == ACROSS
    assert (audits["r-named"]["namespaces"], audits["r-own"]["namespaces"]) == ({}, None)


def test_a_time_that_nobody_can_watch_is_refused_before_the_router_is_asked(fleet: Fleet) -> None:
    fleet.add("r1", no_facts="It was asked.")
    fleet.hosts["r1"]["conntrack_audit_sample"] = "2h"
    message = fleet.play("audit").document["hosts"]["r1"]["failure"]["message"]
    assert "sample: '2h' is not in 1 to 60 seconds" in message


def test_stale_is_what_the_prune_deletes_where_that_is_counted_by_itself() -> None:
    facts = facts_with({"selectors.stale.percent": 0, "selectors.stale.entries": 0})
    facts["selectors"]["prune"] = {"entries": 100, "percent": 60, "undecidable": 0, "unavailable": None}
    assert [status(check_id, facts) for check_id in ("stale_majority", "stale_share")] == ["finding", "passed"]
    facts["selectors"]["stale"] |= {"entries": 7000, "percent": 90}
    facts["selectors"]["prune"] |= {"entries": 0, "percent": 0}
    assert [status(check_id, facts) for check_id in ("stale_majority", "stale_share")] == ["passed", "passed"]
    facts["selectors"]["prune"] |= {"entries": None, "percent": None, "unavailable": "timestamps are off"}
    (finding,) = find(facts, [check for check in CHECKS if check["id"] == "stale_majority"])
    assert (finding["status"], finding["value"]) == ("unknown", None)
    assert finding["reason"] == "not known: selectors.prune.entries, selectors.prune.percent (timestamps are off)"


def test_the_named_selectors_those_of_ones_own_and_what_the_prune_deletes_are_counted(fleet: Fleet) -> None:
    for name, (variables, _expected) in SELECTORS.items():
        fleet.add(name)
        fleet.hosts[name].update(variables)
    playbook = fleet.directory / "ask.yml"
    playbook.write_text(ASKING)
    done = fleet.run_file(str(playbook))
    assert done.returncode == 0, done.stdout + done.stderr
    asked = {name: json.loads((fleet.directory / f"{name}.selectors").read_text()) for name in SELECTORS}
    assert asked == {name: {**NAMED, **expected} for name, (_variables, expected) in SELECTORS.items()}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check["id"])
def test_the_readme_tells_of_the_check(check: dict[str, str]) -> None:
    assert f"| `{check['id']}` | {check['severity']} | {check['title']} |" in (ROLE / "README.md").read_text()
