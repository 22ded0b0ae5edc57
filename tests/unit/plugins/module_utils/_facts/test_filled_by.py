# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What fills a table is found in a sample, counted in all of it, and said as a selector that selects the same."""

from __future__ import annotations

import ipaddress
import random
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._facts import sample as sample_module
from ansible_collections.netops.conntrack.plugins.module_utils._facts.cluster_counts import ClusterCounts
from ansible_collections.netops.conntrack.plugins.module_utils._facts.clusters import Cluster
from ansible_collections.netops.conntrack.plugins.module_utils._facts.filled_by import FilledBy
from ansible_collections.netops.conntrack.plugins.module_utils._facts.networks import Network
from ansible_collections.netops.conntrack.plugins.module_utils._facts.options import USUAL
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from helpers.encoded_messages import Fields, blocks_of
from hypothesis import given
from hypothesis import strategies as st

TCP, UDP, ICMP = 6, 17, 1
CONFIRMED, ANSWERED, ASSURED = 8, 10, 14
SYN_SENT, ESTABLISHED, TIME_WAIT = 1, 3, 7
RESOLVER = "192.0.2.54"


def filled_by(*entries: Fields, shuffled: bool = True) -> list[dict[str, t.Any]]:
    rows = list(entries)
    if shuffled:
        random.Random(1).shuffle(rows)
    result = FilledBy()
    for start in range(0, len(rows), 500):
        for block in blocks_of(*rows[start : start + 500]):
            result.add(block)
    found: list[dict[str, t.Any]] = result.result()["filled_by"]
    return found


def selected(match: dict[str, t.Any], *entries: Fields) -> int:
    """Return how many entries the selector language selects, one by one."""
    decide = compile_selection([match], None, Context({}, 0)).decide
    return sum(decide(entry) is True for block in blocks_of(*entries) for entry in block.entries())


def unanswered_dns(number: int) -> list[Fields]:
    return [
        {
            "protocol": UDP,
            "status": CONFIRMED,
            "source": f"10.0.{at >> 8}.{at & 255}",
            "source_port": 1024 + at,
            "destination": RESOLVER,
            "destination_port": 53,
        }
        for at in range(number)
    ]


def answered_web(number: int, state: int = ESTABLISHED) -> list[Fields]:
    return [
        {
            "protocol": TCP,
            "status": ASSURED,
            "state": state,
            "source": f"10.1.{at >> 8}.{at & 255}",
            "source_port": 1024 + at,
            "destination": f"203.0.{at % 199}.{at % 97}",
            "destination_port": (443, 80, 22)[at % 3],
        }
        for at in range(number)
    ]


def bare_acks(number: int, packets: int | None = 1) -> list[Fields]:
    return [{**entry, "status": CONFIRMED, "packets_original": packets} for entry in answered_web(number)]


def test_an_empty_table_is_filled_by_nothing() -> None:
    assert filled_by() == []


def test_a_storm_is_told_with_its_address_and_port() -> None:
    storm, others = unanswered_dns(920), answered_web(80)
    first, *_others = filled_by(*storm, *others)
    assert first == {
        "match": {"protocol": "udp", "replied": False, "destination": RESOLVER, "destination_port": 53},
        "entries": 920,
        "percent": 92.0,
        "prunable": 920,
        "sources": 920,
        "more_sources": False,
        "source_network": "10.0.0.0/22",
        "destinations": 1,
        "more_destinations": False,
        "destination_network": RESOLVER,
    }


def test_each_of_two_storms_is_told_by_itself() -> None:
    other = [{**entry, "destination": "192.0.2.99", "destination_port": 123} for entry in unanswered_dns(400)]
    found = filled_by(*unanswered_dns(450), *other, *answered_web(150))
    assert [(each["entries"], each["match"].get("destination")) for each in found[:2]] == [
        (450, RESOLVER),
        (400, "192.0.2.99"),
    ]


def test_a_scan_is_told_by_its_source() -> None:
    scan = [
        {**entry, "status": CONFIRMED, "state": SYN_SENT, "source": "198.51.100.66", "destination_port": 1 + at}
        for at, entry in enumerate(answered_web(600))
    ]
    first, *_others = filled_by(*scan, *answered_web(400))
    assert first["match"] == {"protocol": "tcp", "state": "SYN_SENT", "replied": False, "source": "198.51.100.66"}
    # Port 179 is one of those that were scanned, and what has it is kept.
    assert (first["entries"], first["prunable"]) == (600, 599)


def test_a_client_with_much_of_the_table_is_told_and_is_not_to_be_pruned() -> None:
    client = [
        {**entry, "source": "10.7.7.7", "destination": "10.8.0.20", "destination_port": 6379}
        for entry in answered_web(400, TIME_WAIT)
    ]
    first, *_others = filled_by(*client, *answered_web(600))
    assert first["match"] == {
        "protocol": "tcp",
        "state": "TIME_WAIT",
        "replied": True,
        "source": "10.7.7.7",
        "destination": "10.8.0.20",
        "destination_port": 6379,
    }
    assert (first["entries"], first["prunable"]) == (400, 0)


def test_the_clusters_of_a_table_tell_each_entry_once() -> None:
    found = filled_by(*unanswered_dns(500), *answered_web(300), *answered_web(200, TIME_WAIT))
    assert 1 <= len(found) <= 3
    assert sum(each["entries"] for each in found) <= 1000


def scattered_udp(number: int) -> list[Fields]:
    """Return unanswered entries of UDP that share no address and no port."""
    return [
        {
            **entry,
            "source": f"10.2.{at >> 8}.{at & 255}",
            "destination": f"198.51.{at % 199}.{at % 97}",
            "destination_port": 2000 + at,
        }
        for at, entry in enumerate(unanswered_dns(number))
    ]


def to_everywhere(entries: list[Fields]) -> list[Fields]:
    """Return the entries with sources of one network, and destinations from all over the world."""
    chance = random.Random(len(entries))
    return [
        {**entry, "source": f"10.0.{at >> 8}.{at & 255}", "destination": f"{chance.randrange(1, 200)}.{at % 251}.3.4"}
        for at, entry in enumerate(entries)
    ]


def test_a_network_tells_a_cluster_from_another_one() -> None:
    found = filled_by(*unanswered_dns(250), *scattered_udp(350), *answered_web(400))
    shares = [(each["match"].get("destination"), each["match"].get("source"), each["percent"]) for each in found]
    assert (RESOLVER, None, 25.0) in shares
    assert (None, "10.2.0.0/23", 35.0) in shares


def test_what_has_a_cluster_as_a_part_is_told_with_it() -> None:
    found = filled_by(*unanswered_dns(250), *to_everywhere(scattered_udp(350)), *to_everywhere(answered_web(400)))
    shares = {each["match"].get("destination"): each["percent"] for each in found if not each["match"]["replied"]}
    assert shares == {RESOLVER: 25.0, None: 60.0}


def test_an_address_with_much_of_a_cluster_is_told_as_its_part() -> None:
    ping: list[Fields] = [
        {"protocol": ICMP, "status": CONFIRMED, "icmp_type": 8, "icmp_code": 0, "icmp_id": at, "source": f"10.0.0.{at}"}
        for at in range(1, 250)
    ]
    of_one = [{**entry, "destination": "192.0.2.7"} for entry in ping]
    others = [
        {**entry, "destination": f"198.51.{at & 1}.{at >> 1}", "icmp_id": 999} for at, entry in enumerate(ping * 2)
    ]
    found = filled_by(*of_one, *others)
    assert [each["match"].get("destination") for each in found] == [None, "192.0.2.7"]
    assert [each["percent"] for each in found] == [100.0, 33.33]


def test_a_part_without_an_address_of_its_own_is_not_told() -> None:
    [found] = filled_by(*unanswered_dns(600), *({**entry, "destination_port": 853} for entry in unanswered_dns(400)))
    assert found["match"] == {"protocol": "udp", "replied": False, "destination": RESOLVER}


def test_clusters_of_which_none_is_a_part_share_hardly_an_entry() -> None:
    from_one = [{**entry, "source": "10.9.9.9", "destination_port": 7} for entry in scattered_udp(500)]
    both = [{**entry, "source": "10.9.9.9"} for entry in unanswered_dns(300)]
    found = filled_by(*unanswered_dns(300), *from_one, *both)
    for one in found:
        for other in found:
            shared = {**one["match"], **other["match"]}
            is_nested = shared in (one["match"], other["match"])
            is_apart = any(one["match"].get(key, value) != value for key, value in other["match"].items())
            assert is_nested or is_apart or selected(shared, *unanswered_dns(300), *from_one, *both) <= 110


def test_what_has_less_than_a_twentieth_does_not_fill_a_table() -> None:
    found = filled_by(*unanswered_dns(49), *answered_web(951))
    assert not any(each["match"]["protocol"] == "udp" for each in found)


@pytest.mark.parametrize(("port", "prunable"), [(500, 0), (501, 400)])
def test_what_a_prune_protects_is_not_prunable(port: int, prunable: int) -> None:
    entries = [{**entry, "destination_port": port} for entry in unanswered_dns(400)]
    first, *_others = filled_by(*entries)
    assert (first["entries"], first["prunable"]) == (400, prunable)


@pytest.mark.parametrize(("packets", "prunable"), [(1, 500), (2, 0), (None, None)])
def test_of_connections_never_answered_only_single_packets_are_prunable(
    packets: int | None, prunable: int | None
) -> None:
    [found] = filled_by(*bare_acks(500, packets))
    assert found["match"]["state"] == "ESTABLISHED"
    assert (found["entries"], found["prunable"]) == (500, prunable)


def test_entries_with_a_helper_are_not_prunable() -> None:
    first = filled_by(*({**entry, "helper": "sip"} for entry in unanswered_dns(300)), *unanswered_dns(700))[0]
    assert (first["entries"], first["prunable"]) == (1000, 700)


def test_keys_of_gre_and_ids_of_icmp_are_no_ports() -> None:
    gre: list[Fields] = [
        {"protocol": 47, "status": CONFIRMED, "source_port": 7, "destination_port": 9, "source": f"10.0.0.{at % 250}"}
        for at in range(500)
    ]
    ping: list[Fields] = [
        {"protocol": ICMP, "status": CONFIRMED, "icmp_type": 8, "icmp_code": 0, "icmp_id": at, "source": "10.0.0.1"}
        for at in range(500)
    ]
    found = filled_by(*gre, *ping)
    assert sorted(each["match"]["protocol"] for each in found) == ["gre", "icmp"]
    assert all("destination_port" not in each["match"] for each in found)


def test_an_ipv6_address_is_told() -> None:
    entries = [
        {**entry, "source": f"2001:db8::{at:x}", "destination": "2001:db8:53::53"}
        for at, entry in enumerate(unanswered_dns(500))
    ]
    [found] = filled_by(*entries)
    assert (found["match"]["destination"], found["entries"]) == ("2001:db8:53::53", 500)


def test_entries_without_a_status_are_not_told_to_be_unanswered() -> None:
    assert filled_by(*({**entry, "status": None} for entry in unanswered_dns(500))) == []


def test_clusters_of_a_sample_are_counted_in_the_whole_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_module, "SAMPLE", 1000)
    found = filled_by(*unanswered_dns(3000), *answered_web(2000))
    assert (found[0]["entries"], found[0]["percent"]) == (3000, 60.0)


@pytest.mark.parametrize(("ports", "prunable"), [({UDP: {3999}}, 800), (None, None), ({}, 900)])
def test_the_ports_that_a_prune_keeps_are_those_of_the_machine(
    ports: dict[int, set[int]] | None, prunable: int | None
) -> None:
    synced = [{**entry, "source_port": 3999} for entry in unanswered_dns(100)]
    result = FilledBy(USUAL, lambda: ports)
    for block in blocks_of(*unanswered_dns(800), *synced):
        result.add(block)
    assert result.result()["filled_by"][0]["prunable"] == prunable


def test_nobody_asks_for_ports_where_nothing_could_be_pruned() -> None:
    result = FilledBy(USUAL, pytest.fail)
    for block in blocks_of(*answered_web(900)):
        result.add(block)
    assert result.result()["filled_by"][0]["prunable"] == 0


def test_of_long_messages_a_smaller_sample_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_module, "_SAMPLE_BYTES", 50_000)
    result = FilledBy()
    for start in range(0, 3000, 100):
        for block in blocks_of(*unanswered_dns(3000)[start : start + 100]):
            result.add(block)
            assert sum(len(each.data) for each in result._clusters._sample) < 100_000
    assert result.result()["filled_by"][0]["entries"] == 3000


_VALUES = {
    "protocol": st.sampled_from([TCP, UDP, ICMP, 47, 99, 132]),
    "status": st.sampled_from([None, CONFIRMED, ANSWERED, ASSURED, 0x2008]),
    "state": st.sampled_from([1, 3, 7, 0, 200]),
    "source": st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.1.1"]),
    "destination": st.sampled_from(["10.0.0.1", "192.0.2.1"]),
    "destination_port": st.sampled_from([53, 443, 0x3535]),
    "packets_original": st.sampled_from([None, 1, 2, 257, 2**32 + 1]),
    "six": st.booleans(),
    "zone": st.sampled_from([None, 7]),
    "zone_original": st.sampled_from([None, 7, 8]),
    "reply_destination": st.sampled_from([None, "10.0.1.1"]),
    "icmp_type": st.sampled_from([8, 13]),
}


def _entry(values: dict[str, t.Any]) -> Fields:
    six, fields = values["six"], {name: value for name, value in values.items() if name != "six"}
    if fields["protocol"] not in (TCP, 132):
        del fields["state"]
    if fields["protocol"] in (ICMP, 99):
        del fields["destination_port"]
    else:
        fields["source_port"] = 7
    if fields["protocol"] == ICMP:
        fields |= {"icmp_code": 0, "icmp_id": 7}
    else:
        del fields["icmp_type"]
    if fields["zone"] is not None:
        # The kernel sends the one zone of an entry once.
        del fields["zone_original"]
    fields = {name: value for name, value in fields.items() if value is not None or name in ("status", "state")}
    if six:
        fields |= {"source": "2001:db8::1", "destination": "2001:db8::a00:1"}
        fields.pop("reply_destination", None)
    return fields


_entries = st.lists(st.fixed_dictionaries(_VALUES).map(_entry), min_size=1, max_size=20)


@pytest.mark.slow
@given(_entries)
def test_a_pasted_selector_counts_the_same(entries: list[Fields]) -> None:
    for each in filled_by(*entries, shuffled=False):
        assert selected(each["match"], *entries) == each["entries"] > 0


@pytest.mark.slow
@given(_entries, st.data())
def test_a_cluster_counts_what_its_selector_selects(entries: list[Fields], data: st.DataObject) -> None:
    cluster = Cluster(
        data.draw(st.sampled_from([TCP, UDP])),
        data.draw(st.booleans()),
        data.draw(st.sampled_from([None, SYN_SENT, ESTABLISHED])),
        data.draw(st.sampled_from([None, True])),
        destination_port=data.draw(st.sampled_from([None, 53])),
        destination=data.draw(st.sampled_from([None, network("10.0.0.1")])),
        source=data.draw(st.sampled_from([None, network("10.0.0.2"), network("10.0.0.0/24")])),
        zone=data.draw(st.sampled_from([None, 7, 8])),
        reply_source=data.draw(st.sampled_from([None, network("192.0.2.1")])),
        reply_destination=data.draw(st.sampled_from([None, network("10.0.0.1"), network("10.0.1.1")])),
    )
    if cluster.protocol == UDP:
        cluster = cluster._replace(state=None)
    six = Cluster(cluster.protocol, cluster.replied, source=network("2001:db8::/32"))
    others = [six, Cluster(TCP, not cluster.replied), Cluster(ICMP, False, icmp_type=8)] * data.draw(st.integers(1, 4))
    assert counted([*others, cluster], entries) == [selected(each.match, *entries) for each in (*others, cluster)]


def network(text: str) -> Network:
    parsed = ipaddress.ip_network(text)
    return Network(parsed.network_address.packed, parsed.prefixlen)


def counted(clusters: list[Cluster], entries: list[Fields]) -> list[int]:
    """Return how many entries each cluster has, by the patterns of all of them."""
    counts = ClusterCounts(clusters)
    result = [0] * len(clusters)
    for block in blocks_of(*entries):
        rows = counts.rows_of(block)
        if rows is not None:
            for number in range(len(clusters)):
                found = sum(each for pattern, each in rows.patterns().items() if pattern >> number & 1)
                assert sum(rows.of(number)) == found
                result[number] += found
    return result
