# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._page.found import Found, found_of, found_page

ENDS = ("source", "destination", "reply_source", "reply_destination")


def entry(**fields: t.Any) -> dict[str, t.Any]:
    """Make an entry as conntrack_info returns it, of a connection without NAT."""
    addresses = dict(zip(ENDS, ("198.51.100.9", "203.0.113.9", "203.0.113.9", "198.51.100.9")))
    ports = {f"{end}_port": None for end in ENDS}
    more = {"zone": 0, "remaining": 30, "offloaded": False, "nat": [], "replied": True, "state": None}
    return {"protocol": "tcp", **addresses, **ports, **more, **fields}


def rows(*entries: dict[str, t.Any]) -> list[list[str]]:
    """Return the cells of the rows for the entries of one router."""
    page = found_page({"router1": Found(len(entries), entries, None)})
    lines = page.splitlines()
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines[4:]]


def test_each_protocol_has_what_tells_its_ends() -> None:
    assert rows(
        entry(protocol="icmp", icmp_id=77, reply_icmp_id=78, nat=["snat"], reply_destination="203.0.113.1"),
        entry(protocol="gre", source_key=1, destination_key=0x2AB, replied=False),
        entry(protocol="esp", state=None),
    ) == [
        ["router1", "icmp", "answered", "198.51.100.9 id 77", "203.0.113.9", "from 203.0.113.1 id 78", "30"],
        ["router1", "gre", "unanswered", "198.51.100.9 key 0x1", "203.0.113.9 key 0x2ab", "no", "30"],
        ["router1", "esp", "answered", "198.51.100.9", "203.0.113.9", "no", "30"],
    ]


def test_both_ends_can_be_translated() -> None:
    ports = {"source_port": 1, "destination_port": 2, "reply_source_port": 3, "reply_destination_port": 4}
    both = entry(**ports, nat=["snat", "dnat"], reply_source="2001:db8::1", reply_destination="2001:db8::2")
    assert rows(both)[0][5] == "from [2001:db8::2]:4, to [2001:db8::1]:3"


def test_a_zone_has_a_column_where_there_is_one() -> None:
    [first, second] = rows(entry(zone=7), entry(remaining=None, offloaded=True))
    assert first[-2:] == ["7", "30"]
    assert second[-1] == "offloaded"
    assert "zone" not in found_page({"router1": Found(1, [entry()], None)})


def test_what_is_not_known_is_no_number() -> None:
    assert rows(entry(remaining=None))[0][-1] == "?"


def test_nothing_found_and_nobody_asked() -> None:
    page = found_page(
        {
            "router1": found_of({"matched": 0, "entries": []}),
            "router2": found_of({"failed": True, "msg": "permission denied\x1b[31m"}),
            "router3": found_of({"unreachable": True, "msg": "no route"}),
            "router4": found_of(None),
            "router5": found_of({"skipped": True}),
        }
    )
    assert page.startswith("Found no entry on 0 of 1 router\n")
    for line in (
        "No such entry: router1",
        "router2  permission denied\\x1b[31m",
        "router3  Unreachable: no route",
        "router4  It was not asked.",
        "router5  It gave no answer.",
    ):
        assert line in page.splitlines()
