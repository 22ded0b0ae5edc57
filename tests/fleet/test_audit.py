# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an audit over SSH counts: the named selectors, and what the prune would delete. conntrack(8) is the judge."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import NAMED
from helpers.support import run

HALF_OPEN = (
    "-I -p tcp -s 198.18.0.1 -d 203.0.113.1 --sport 1 --dport 443 --state SYN_SENT -t 400\n"
    "-I -p tcp -s 198.18.0.1 -d 203.0.113.1 --sport 2 --dport 443 --state SYN_RECV -t 400\n"
)
UNANSWERED = (
    "-I -p udp -s 198.18.0.1 -d 203.0.113.1 --sport 1 --dport 9 -t 400\n"
    "-I -p icmp -s 198.18.0.1 -d 203.0.113.1 --icmp-type 8 --icmp-code 0 --icmp-id 7 -t 400\n"
)


def unreplied(netns: str) -> dict[str, int]:
    """Count by protocol, without TCP, what conntrack marks as without a reply."""
    listings = [run(["conntrack", "-L", "-f", family], netns=netns) for family in ("ipv4", "ipv6")]
    lines = [line for listing in listings for line in listing.splitlines() if "[UNREPLIED]" in line]
    return collections.Counter(line.split()[0] for line in lines if not line.startswith("tcp"))


def test_an_audit_counts_the_named_selectors_and_what_the_prune_would_delete(
    make_fleet: t.Callable[[str, int], t.Any],
) -> None:
    fleet = make_fleet("nctest", 1)
    router = fleet.routers[0].namespace
    run(["conntrack", "-R", "-"], netns=router, text=HALF_OPEN + UNANSWERED)
    outcome = fleet.play("audit")
    assert outcome.rc == 0, outcome.output
    counts = outcome.report["hosts"]["router1"]["before"]["selectors"]
    assert set(counts) == set(NAMED)
    assert counts["stale"]["entries"] == fleet.stale()["router1"] > 0
    assert counts["half_open"]["entries"] == 2
    expected = unreplied(router)
    assert {"udp", "icmp"} <= set(expected)
    assert counts["unanswered"]["protocols"] == expected
    assert counts["unanswered"]["entries"] == sum(expected.values())

    chosen = fleet.play("audit", "-e", "conntrack_prune_select=half_open,stale")
    assert chosen.rc == 0, chosen.output
    counts = chosen.report["hosts"]["router1"]["before"]["selectors"]
    assert set(counts) == {*NAMED, "prune"}
    assert counts["prune"]["entries"] == counts["stale"]["entries"] + 2
    assert f"prune {counts['prune']['entries']}; stale {counts['stale']['entries']};" in chosen.page
