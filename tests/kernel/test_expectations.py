# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expectations that helpers and rules of a namespace made of real packets; conntrack(8) judges what is there."""

from __future__ import annotations

import collections
import contextlib
import typing as t

import pytest
import yaml
from ansible_collections.netops.conntrack.plugins.module_utils import _netns
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.expect_prune import (
    ExpectSurvey,
    prune_expectations,
)
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.dump import list_expectations
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.expectation import Expectation
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.fields import as_dict
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.selection import compile_match
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.zones import with_zones
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import transport
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import find
from helpers.expecting import LOOPBACK, Request, announce_dcc, announce_ftp, expecting, listed, send
from helpers.mistakes import NOBODY, ROOT
from helpers.support import CHECKOUT, ModuleResult, assert_refused, run, run_module

ALL = "family=ipv4,ipv6"
SIX = Request(source=LOOPBACK[6], destination=LOOPBACK[6])
ZONE, ORIGINAL_ZONE = 7, 9
TFTP = [
    Request(),
    Request("127.0.0.3"),
    SIX,
    Request(port=7000),
    SIX._replace(port=7001),
    Request(port=7100),
    Request(destination="127.0.0.77"),
]
DCC_PORTS = (5000, 5001, 5002)
MOST_TO_FILL = 20_000
DEFAULTS = (CHECKOUT / "roles" / "conntrack_audit" / "defaults" / "main.yml").read_text(encoding="utf-8")
CHECKS = yaml.safe_load(DEFAULTS)["conntrack_audit_checks"]


@contextlib.contextmanager
def filled() -> t.Iterator[str]:
    """Make a namespace in which connections of every kind are expected: 7 of TFTP, 3 of IRC, 1 of FTP, 1 by a rule."""
    with expecting() as name:
        send(name, *TFTP, Request(port=7777))
        announce_ftp(name, 3000)
        announce_dcc(name, *DCC_PORTS)
        yield name


@pytest.fixture(scope="module")
def unchanged() -> t.Iterator[str]:
    with filled() as name:
        yield name


@pytest.fixture
def netns() -> t.Iterator[str]:
    with filled() as name:
        yield name


def info(netns: str, **args: t.Any) -> dict[str, t.Any]:
    result = run_module("conntrack_expect_info", {"limit": 10_000, **args}, netns=netns)
    assert not result.failed, result.msg
    return result.data


def prune(netns: str, match: t.Any, *, check: bool = False, diff: bool = False, **args: t.Any) -> ModuleResult:
    return run_module("conntrack_expect_prune", {"match": match, **args}, netns=netns, check=check, diff=diff)


def read(table: Table) -> list[Expectation]:
    return with_zones(list_expectations(), table)


def comparable(one: t.Mapping[str, t.Any]) -> tuple[t.Any, ...]:
    """Return what conntrack(8) tells of an expectation, also of ours."""

    def ends(name: str) -> tuple[t.Any, ...]:
        return tuple(one[name][key] for key in ("source", "destination", "source_port", "destination_port"))

    protocol = one["expected"]["protocol"]
    return one["family"], one["helper"], one["class"], protocol, ends("expected"), ends("mask"), ends("master")


def judged(netns: str) -> list[tuple[t.Any, ...]]:
    return sorted(map(comparable, listed(netns)), key=repr)


def test_each_expectation_is_as_conntrack_lists_it(unchanged: str) -> None:
    found = info(unchanged)["expectations"]
    assert sorted(map(comparable, found), key=repr) == judged(unchanged)
    assert len(found) == 12
    helpers = collections.Counter(one["helper"] for one in found)
    assert helpers == {"tftp": 7, "irc": 3, "ftp": 1, None: 1}
    assert all(one["flags"] == [] and one["remaining"] > 0 for one in found)
    assert len({one["id"] for one in found}) == len(found)


def test_remaining_counts_down_from_the_helpers_timeout(unchanged: str) -> None:
    text = run(["conntrack", "-L", "expect"], netns=unchanged)
    theirs = sorted(int(line.split()[0]) for line in text.splitlines())
    ours = sorted(one["remaining"] for one in info(unchanged, match="family=ipv4")["expectations"])
    assert len(ours) == len(theirs) > 0
    assert all(0 <= before - after < 60 for before, after in zip(theirs, ours))


def test_the_zone_is_that_of_the_master(unchanged: str) -> None:
    by_port = {one["master"]["destination_port"]: one["zone"] for one in info(unchanged)["expectations"]}
    assert by_port == {69: 0, 7000: ZONE, 7001: ZONE, 7100: ORIGINAL_ZONE, 7777: 0, 21: 0, 6667: 0}


def test_what_nat_does_with_the_expected_connection(unchanged: str) -> None:
    [one] = info(unchanged, match="master_destination=127.0.0.77")["expectations"]
    assert one["function"] == "nat-follow-master"
    assert one["nat"]["direction"] == "reply"
    assert one["nat"]["source_port"] == one["master"]["source_port"]
    assert one["expected"]["source"] == "127.0.0.78"


def test_groups_and_their_masters(unchanged: str) -> None:
    by_helper = info(unchanged, group_by=["helper"])["groups"]
    assert [(one["helper"], one["expectations"]) for one in by_helper[:2]] == [("tftp", 7), ("irc", 3)]
    largest = info(unchanged, group_by=["master", "helper"], limit=1)
    assert [one["expectations"] for one in largest["groups"]] == [3]
    assert largest["groups"][0]["master"]["destination_port"] == 6667
    assert largest["groups_distinct"] == 10
    assert (largest["total"], largest["matched"], len(largest["expectations"])) == (12, 12, 1)


MATCHES: list[tuple[t.Any, int]] = [
    ("helper=tftp", 7),
    ("helper=tftp family=ipv6", 2),
    ("helper=ftp destination_port=3000", 1),
    ("helper=irc destination_port=5001-5002", 2),
    ("master_source=127.0.0.3", 1),
    ("master_destination_port=6667", 3),
    ("master_protocol=udp protocol=tcp", 1),
    (f"zone={ZONE}", 2),
    (f"zone={ORIGINAL_ZONE},{ZONE}", 3),
    ("zone=0", 9),
    ("destination=::1", 2),
    ([{"helper": "ftp"}, {"helper": "irc"}], 4),
    ("helper=sip", 0),
]


def test_what_is_selected(unchanged: str) -> None:
    with _netns.inside(unchanged), Table() as table:
        found = read(table)
    assert [(match, len(ExpectSurvey.of(found, compile_match(match)).targets)) for match, _number in MATCHES] == MATCHES


@pytest.mark.parametrize("match", [f"zone={ORIGINAL_ZONE},{ZONE}", "helper=irc destination_port=5001-5002"])
def test_a_prune_deletes_what_check_mode_announces(netns: str, match: str) -> None:
    before = judged(netns)
    wanted = sorted(map(comparable, info(netns, match=match)["expectations"]), key=repr)
    rehearsed = prune(netns, match, check=True)
    assert judged(netns) == before
    result = prune(netns, match)
    assert judged(netns) == sorted(set(before) - set(wanted), key=repr)
    assert len(wanted) == rehearsed.data["would_delete"] == result.data["deleted"] > 0
    assert rehearsed.data["deleted"] == result.data["already_gone"] == result.data["without_zone"] == 0
    assert rehearsed.data["changed"] is result.data["changed"] is True
    assert result.data["count_before"] == len(before)
    # The masters stay.
    assert int(run(["conntrack", "-C"], netns=netns)) == 10


def test_a_second_prune_changes_nothing(netns: str) -> None:
    assert prune(netns, ALL).data["deleted"] == 12
    again = prune(netns, ALL).data
    assert (again["changed"], again["matched"], again["deleted"]) == (False, 0, 0)
    assert info(netns)["total"] == 0


def test_the_sample_shows_the_masters_and_the_diff_the_kinds(unchanged: str) -> None:
    result = prune(unchanged, "helper=irc", check=True, diff=True, sample=2).data
    assert [one["master"]["destination_port"] for one in result["sample"]] == [6667, 6667]
    assert result["diff"] == {"before": "3  irc ipv4 tcp\n", "after": "0  irc ipv4 tcp\n"}


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("most", [2, "24%"])
def test_more_than_allowed_is_refused_as_a_whole(unchanged: str, most: t.Any, check: bool) -> None:
    result = prune(unchanged, "helper=irc", max_delete=most, check=check, sample=1)
    assert_refused(result, f"max_delete: {most!r} allows 2 of the table's 12 expectations", "but 3 would be")
    assert (result.data["would_delete"], result.data["deleted"], len(result.data["sample"])) == (3, 0, 1)
    assert len(listed(unchanged)) == 12


@pytest.mark.parametrize("most", [3, "25%", "100%"])
def test_as_many_as_allowed_are_deleted(unchanged: str, most: t.Any) -> None:
    result = prune(unchanged, "helper=irc", max_delete=most, check=True, sample=0)
    assert (result.failed, result.data["would_delete"], result.data["sample"]) == (False, 3, [])


def test_equal_tuples_in_two_zones_are_deleted_each_by_itself() -> None:
    # Every second packet of the same client is in a zone.
    with expecting() as netns:
        run(["nft", "add rule inet helpers zones udp dport 69 numgen inc mod 2 1 ct zone set 11"], netns=netns)
        send(netns, *[Request(source_port=40000, port=69)] * 2)
        found = info(netns)["expectations"]
        assert sorted(one["zone"] for one in found) == [0, 11]
        assert comparable(found[0]) == comparable(found[1])
        assert prune(netns, "zone=11").data["deleted"] == 1
        assert [one["zone"] for one in info(netns)["expectations"]] == [0]
        assert prune(netns, "zone=0").data["deleted"] == 1
        assert listed(netns) == []


def test_what_took_its_place_survives() -> None:
    with expecting() as netns, _netns.inside(netns), Table() as table:
        send(netns, Request(source_port=40000))
        survey = ExpectSurvey.of(read(table), compile_match(ALL))
        [old] = survey.selected
        # The same client asks the same server again, over another port of the server. The tuples are equal.
        run(["conntrack", "-F"], netns=netns)
        send(netns, Request(source_port=40000, port=7050))
        [new] = list_expectations()
        assert new.name == old.name
        assert new.id != old.id
        result = prune_expectations(survey, 5, dry_run=False, with_diff=True)
        assert (result["deleted"], result["already_gone"], result["changed"]) == (0, 1, False)
        assert [one.id for one in list_expectations()] == [new.id]


def test_what_took_its_place_in_the_same_zone_survives() -> None:
    with expecting() as netns, _netns.inside(netns), Table() as table:
        announce_dcc(netns, 5000)
        survey = ExpectSurvey.of(read(table), compile_match("helper=irc"))
        # Another connection of the client offers the same port.
        run(["conntrack", "-F", "expect"], netns=netns)
        announce_dcc(netns, 5000)
        [new] = list_expectations()
        assert new.name == survey.selected[0].name
        result = prune_expectations(survey, 0, dry_run=False, with_diff=False)
        assert (result["deleted"], result["already_gone"]) == (0, 1)
        assert [one.id for one in list_expectations()] == [new.id]


def test_what_ended_has_no_zone_and_is_not_deleted() -> None:
    with expecting() as netns, _netns.inside(netns), Table() as table:
        send(netns, Request(port=7000), Request())
        before = list_expectations()
        run(["conntrack", "-F"], netns=netns)
        found = with_zones(before, table)
        assert [one.zone for one in found] == [None, None]
        result = prune_expectations(ExpectSurvey.of(found, compile_match(ALL)), 5, dry_run=False, with_diff=True)
    assert (result["matched"], result["without_zone"], result["would_delete"]) == (2, 2, 0)
    assert as_dict(found[0])["zone"] is None


def test_many_expectations_are_listed_and_deleted_each_once() -> None:
    number = 1000
    with expecting() as netns:
        requests = [Request(source_port=20_000 + at) for at in range(number)]
        send(netns, *requests, *(Request(source_port=40_000 + at, port=7000 + at) for at in range(90)))
        found = info(netns)["expectations"]
        ports = collections.Counter(one["expected"]["destination_port"] for one in found)
        assert ports == collections.Counter([*range(20_000, 20_000 + number), *range(40_000, 40_090)])
        assert prune(netns, "destination_port=20000-20499").data["deleted"] == 500
        assert prune(netns, f"zone={ZONE}").data["deleted"] == 90
        assert {one["expected"]["destination_port"] for one in listed(netns)} == set(range(20_500, 20_000 + number))


def test_the_facts(unchanged: str) -> None:
    result = run_module("conntrack_facts", {"gather_subset": ["expectations"], "top": 2}, netns=unchanged)
    facts = result.data["ansible_facts"]["conntrack"]["expectations"]
    limit = int(run(["cat", "/proc/sys/net/netfilter/nf_conntrack_expect_max"]))
    assert (facts["count"], facts["max"], facts["percent"]) == (12, limit, round(1200 / limit, 2))
    assert facts["helpers"] == {"tftp": 7, "irc": 3, "ftp": 1}
    assert (facts["without_helper"], facts["classes"], facts["masters_distinct"]) == (1, {"0": 12}, 10)
    assert [one["expectations"] for one in facts["masters"]] == [3, 1]
    assert facts["masters"][0]["master"]["destination_port"] == 6667
    by_source = collections.Counter(one["master"]["source"] for one in listed(unchanged))
    assert [one["expectations"] for one in facts["sources"]] == [number for _source, number in by_source.most_common(2)]
    assert all(by_source[one["source"]] == one["expectations"] for one in facts["sources"])


def verdict(netns: str) -> tuple[str, t.Any]:
    """Return what the check of the audit says of the namespace."""
    facts = run_module("conntrack_facts", {"gather_subset": ["expectations"]}, netns=netns).data["ansible_facts"]
    [check] = [each for each in CHECKS if each["id"] == "expectations_nearly_full"]
    [finding] = find(facts["conntrack"], [check])
    return finding["status"], finding["value"]


def test_a_table_that_clients_fill_is_found_and_the_advised_prune_cures_it() -> None:
    limit = int(run(["cat", "/proc/sys/net/netfilter/nf_conntrack_expect_max"]))
    if limit > MOST_TO_FILL:
        pytest.skip(f"the limit of this machine is {limit}")
    wanted = -(-limit * 80 // 100)
    with expecting() as netns:
        announce_dcc(netns, *DCC_PORTS)
        requests = [Request("127.0.0.3", 20_000 + at) for at in range(wanted - len(DCC_PORTS) - 1)]
        send(netns, *requests)
        assert verdict(netns)[0] == "passed"
        send(netns, Request())
        share = round(100 * wanted / limit, 2)
        most = f"{len(requests)} of {wanted} for connections of 127.0.0.3"
        assert verdict(netns) == ("finding", f"{share} %, of which {most}")
        assert prune(netns, "master_source=127.0.0.3").data["deleted"] == len(requests)
        assert verdict(netns)[0] == "passed"


def test_a_namespace_that_expects_nothing() -> None:
    with expecting() as netns:
        result = run_module("conntrack_facts", {"gather_subset": ["expectations"]}, netns=netns)
        facts = result.data["ansible_facts"]["conntrack"]["expectations"]
        assert (facts["count"], facts["helpers"], facts["masters"]) == (0, {}, [])
        assert info(netns)["expectations"] == []


def test_every_delete_that_is_sent_has_a_tuple(netns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    original = transport.send

    def spy(destination: t.Any, datagram: bytes) -> None:
        sent.append(bytes(datagram))
        original(destination, datagram)

    monkeypatch.setattr(transport, "send", spy)
    with _netns.inside(netns), Table() as table:
        survey = ExpectSurvey.of(read(table), compile_match(ALL))
        assert prune_expectations(survey, 0, dry_run=False, with_diff=False)["deleted"] == 12
    deletes = [message for datagram in sent for message in messages(datagram) if message[4:6] == b"\x02\x02"]
    assert len(deletes) == 12
    assert all(message[22:24] == b"\x02\x80" for message in deletes)


def messages(datagram: bytes) -> t.Iterator[bytes]:
    while datagram:
        size = int.from_bytes(datagram[:4], "little")
        yield datagram[:size]
        datagram = datagram[size:]


@pytest.mark.parametrize(
    ("module", "args"),
    [
        ("conntrack_expect_info", {}),
        ("conntrack_expect_prune", {"match": ALL}),
        ("conntrack_facts", {"gather_subset": ["expectations"]}),
    ],
)
def test_without_root(unchanged: str, module: str, args: dict[str, t.Any]) -> None:
    result = run_module(module, args, netns=unchanged, wrapper=NOBODY)
    assert_refused(result, "needs root", ROOT)
