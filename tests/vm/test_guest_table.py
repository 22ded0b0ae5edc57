# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole table of another kernel: counted, listed in a file, backed up, deleted and restored."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

import pytest
from helpers.ansible_tasks import Result
from helpers.guest_tables import GuestTasks, guest_table
from vm import VirtualMachine

FOUR = "-s 198.18.{network}.{host} -d 203.0.113.{host} -t {seconds}"
SIX = "-s 2001:db8:{network}::{host} -d 2001:db8:ffff::{host} -t {seconds}"
TCP = "-p tcp --sport {port} --dport 443"
UDP = "-p udp --sport {port} --dport 53"
KINDS = (
    f"{TCP} {FOUR} --state ESTABLISHED -u SEEN_REPLY,ASSURED --mark 0x10203040",
    f"{TCP} {FOUR} --state SYN_SENT -w 258 --mark 1",
    f"{TCP} {FOUR} --state TIME_WAIT -u SEEN_REPLY --orig-zone 7",
    f"{TCP} {FOUR} --state ESTABLISHED -u SEEN_REPLY -n 192.0.2.1:{{port}}",
    f"{TCP} {SIX} --state ESTABLISHED -u SEEN_REPLY,ASSURED",
    f"{UDP} {FOUR} -u SEEN_REPLY -g 192.0.2.2",
    f"{UDP} {SIX} --reply-zone 515",
    f"-p sctp --sport {{port}} --dport 2905 {FOUR} --state ESTABLISHED --orig-vtag 1 --reply-vtag 2",
    f"-p icmp {FOUR} --icmp-type 8 --icmp-code 0 --icmp-id {{port}}",
    f"-p icmpv6 {SIX} --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id {{port}}",
    f"-p gre --srckey {{port}} --dstkey 0x2ab {FOUR}",
)
OF_EACH = 6
TOP = 5
GROUPS: tuple[dict[str, t.Any], ...] = (
    {"group_by": ["protocol", "state", "replied", "assured"], "limit": 100},
    {"group_by": ["source/24/48", "destination_port", "zone", "mark"], "limit": 100},
)
PASSING = {"id", "use", "start", "remaining"}
"""What a restored entry has another value of."""


@dataclasses.dataclass(frozen=True)
class Told:
    """What conntrack(8) lists of a table, and what the modules tell of it."""

    listed: list[dict[str, t.Any]]
    facts: dict[str, t.Any]
    groups: list[Result]
    groups_of_file: list[Result]
    pruned: Result
    restored: Result
    listed_again: list[dict[str, t.Any]]


@pytest.fixture(scope="module")
def told(router: VirtualMachine, tmp_path_factory: pytest.TempPathFactory) -> Told:
    tasks = GuestTasks(router, tmp_path_factory.mktemp("told"))
    with guest_table(router, "told") as table:
        table.insert(*entries())
        own, file = {"netns": table.netns}, "/run/told.listing"
        listed = list(table.entries().values())
        table.run(f"for family in ipv4 ipv6; do conntrack -L -f $family -o extended; done >{file}")
        pruned = {"match": [{"family": ["ipv4", "ipv6"]}], "backup": True, "backup_dir": "/run/told"}
        restored = {"src": f"{{{{ result_{1 + 2 * len(GROUPS)}.backup_file }}}}", "written_at": "now"}
        facts, *groups, prune, restore = tasks.results(
            ("conntrack_facts", {**own, "gather_subset": ["table"], "top": TOP}),
            *(("conntrack_info", {**own, **asked}) for asked in GROUPS),
            *(("conntrack_info", {"src": file, **asked}) for asked in GROUPS),
            ("conntrack_prune", {**own, **pruned}),
            ("conntrack_restore", {**own, **restored}),
        )
        again = list(table.entries().values())
        router.sh(f"rm -r /run/told {file}")
    counted = facts["ansible_facts"]["conntrack"]["table"]
    return Told(listed, counted, groups[: len(GROUPS)], groups[len(GROUPS) :], prune, restore, again)


def entries() -> list[str]:
    """Return the options that make OF_EACH entries of each kind."""
    return [
        kind.format(network=turn % 3, host=1 + turn, port=1000 + 300 * number + turn, seconds=1500 + 80_000 * turn)
        for number, kind in enumerate(KINDS)
        for turn in range(OF_EACH)
    ]


def lasting(listed: t.Iterable[dict[str, t.Any]]) -> list[str]:
    return sorted(str({name: value for name, value in entry.items() if name not in PASSING}) for entry in listed)


def most_frequent(listed: t.Iterable[dict[str, t.Any]], name: str) -> list[tuple[t.Any, int]]:
    counts = collections.Counter(entry[name] for entry in listed if entry.get(name) is not None)
    return counts.most_common()


def test_the_facts_are_the_counts_of_the_listing(told: Told) -> None:
    listed, facts = told.listed, told.facts
    assert facts["entries"] == len(listed) == OF_EACH * len(KINDS)
    assert facts["families"] == dict(most_frequent(listed, "family"))
    assert facts["status"]["assured"] == sum(entry["assured"] for entry in listed)
    assert facts["status"]["unreplied"] == sum(not entry["replied"] for entry in listed)
    assert facts["zones"] == {str(zone): count for zone, count in most_frequent(listed, "zone")}
    assert facts["zones"].keys() == {"0", "7", "258", "515"}
    assert facts["marks"] == {hex(mark): count for mark, count in most_frequent(listed, "mark")}
    assert facts["marks"].keys() == {"0x0", "0x1", "0x10203040"}


@pytest.mark.parametrize("name", ["source", "destination", "source_port", "destination_port"])
def test_the_most_frequent_values_are_those_of_the_listing(told: Told, name: str) -> None:
    counts = dict(most_frequent(told.listed, name))
    found = {item["value"]: item["entries"] for item in told.facts["top"][name]}
    assert len(found) == min(TOP, len(counts))
    assert found.items() <= counts.items()
    assert sorted(found.values()) == sorted(sorted(counts.values())[-TOP:])


def test_remaining_times_are_in_the_bins_of_the_listing(told: Told) -> None:
    found = [(item["from"], item["below"], item["entries"]) for item in told.facts["remaining"]["histogram"]]
    remaining = [entry["remaining"] for entry in told.listed]
    wanted = [
        (start, below, sum(start <= seconds and (below is None or seconds < below) for seconds in remaining))
        for start, below, _entries in found
    ]
    assert found == wanted
    assert sum(entries for _start, _below, entries in found) == len(remaining)


def test_a_listing_in_a_file_has_the_groups_of_the_table(told: Told) -> None:
    for of_table, of_file in zip(told.groups, told.groups_of_file, strict=True):
        assert of_table["total"] == of_file["total"] == len(told.listed)
        # Groups of the same size are in no order.
        assert sorted(map(str, of_file["groups"])) == sorted(map(str, of_table["groups"]))
        assert of_table["groups_distinct"] > 3


def test_what_was_deleted_is_restored_from_its_backup(told: Told) -> None:
    number = len(told.listed)
    assert told.pruned["deleted"] == number
    counts = ("entries", "existing", "restored", "refused")
    assert tuple(told.restored[name] for name in counts) == (number, 0, number, 0)
    assert lasting(told.listed_again) == lasting(told.listed)
