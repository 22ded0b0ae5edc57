# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expectations that are described, made in the kernel; conntrack(8) judges, and real connections meet them."""

from __future__ import annotations

import subprocess
import sys
import typing as t

import pytest
from helpers.expecting import LOOPBACK, Request, announce_dcc, announce_ftp, connect, expecting, listed, send
from helpers.support import ModuleResult, assert_refused, inside, run, run_module

COUNTS = ("wanted", "existing", "would_create", "created", "refused", "ended")
SIX = Request(source=LOOPBACK[6], destination=LOOPBACK[6])
DATA_PORT = 4000
MARK = 42
FIREWALL = """
add chain inet helpers input { type filter hook input priority 0; }
add chain inet helpers marks { type filter hook output priority 0; }
add rule inet helpers marks tcp dport 21 ct state new ct mark set numgen inc mod 2 map { 0 : 42, 1 : 7 }
add rule inet helpers input ct state established,related accept
add rule inet helpers input tcp dport 4000 drop
"""
"""The first connection to port 21 gets MARK, and the next one another mark."""

_DATA = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 2, source_address=("127.0.0.2", 0))
server, _address = listener.accept()
client.sendall(b"data")
assert server.recv(4) == b"data"
"""


@pytest.fixture
def netns() -> t.Iterator[str]:
    with expecting() as name:
        yield name


def create(netns: str, *expectations: t.Any, check: bool = False, **more: t.Any) -> ModuleResult:
    args = {"expectations": list(expectations), **more}
    return run_module("conntrack_create", args, netns=netns, check=check, diff=True)


def counts(result: ModuleResult) -> tuple[int, ...]:
    assert not result.failed, result.msg
    return tuple(result.data["expectations"][name] for name in COUNTS)


def of_client(port: int, data_port: int = DATA_PORT, service: int = 21, **more: t.Any) -> dict[str, t.Any]:
    """Return a connection of the server to a port of the client, whose own connection has ``port``."""
    return {
        "expected": {
            "protocol": "tcp",
            "source": "127.0.0.2",
            "destination": "127.0.0.1",
            "destination_port": data_port,
        },
        "master": {
            "protocol": "tcp",
            "source": "127.0.0.1",
            "source_port": port,
            "destination": "127.0.0.2",
            "destination_port": service,
        },
        **more,
    }


def info(netns: str) -> list[dict[str, t.Any]]:
    result = run_module("conntrack_expect_info", {"limit": 1000}, netns=netns)
    assert not result.failed, result.msg
    found: list[dict[str, t.Any]] = result.data["expectations"]
    return found


def judged(netns: str) -> list[str]:
    return sorted(map(str, listed(netns)))


def connects(netns: str) -> bool:
    """Return whether the data connection of the server reaches the client."""
    command = [sys.executable, "-c", _DATA, str(DATA_PORT)]
    done = subprocess.run(inside(netns, command), capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "timed out" in done.stderr, done.stderr
    return done.returncode == 0


def test_made_once(netns: str) -> None:
    wanted = of_client(connect(netns, 21), remaining="70s")
    predicted = create(netns, wanted, check=True)
    assert counts(predicted) == (1, 0, 1, 0, 0, 0)
    assert listed(netns) == []
    first = create(netns, wanted)
    assert counts(first) == (1, 0, 1, 1, 0, 0)
    assert predicted.data["changed"] is first.data["changed"] is True
    assert predicted.data["diff"] == first.data["diff"] == {"before": "", "after": "1  expectations ftp ipv4 tcp\n"}
    [found] = info(netns)
    assert 60 < found["remaining"] <= 70
    again = create(netns, wanted)
    assert counts(again) == (1, 1, 0, 0, 0, 0)
    assert (again.data["changed"], again.data["diff"]["after"]) == (False, "")
    assert info(netns)[0]["id"] == found["id"]


def test_twice_in_one_task_is_made_once(netns: str) -> None:
    wanted = of_client(connect(netns, 6667), service=6667)
    assert counts(create(netns, wanted, wanted)) == (2, 1, 1, 1, 0, 0)


def test_it_is_as_the_helper_makes_it(netns: str) -> None:
    port = announce_ftp(netns, DATA_PORT)
    of_helper = judged(netns)
    run(["conntrack", "-F", "expect"], netns=netns)
    assert counts(create(netns, of_client(port))) == (1, 0, 1, 1, 0, 0)
    assert judged(netns) == of_helper


def test_what_was_listed_is_made_again_as_it_was(netns: str) -> None:
    requests = [Request(), Request("127.0.0.3"), SIX, Request(port=7000), SIX._replace(port=7001), Request(port=7100)]
    send(netns, *requests, Request(destination="127.0.0.77"))
    announce_ftp(netns, 3000)
    announce_dcc(netns, 5000, 5001, 5002)
    before, found = judged(netns), info(netns)
    assert len(before) == len(found) == 11
    run(["conntrack", "-F", "expect"], netns=netns)
    assert counts(create(netns, *found)) == (11, 0, 11, 11, 0, 0)
    assert judged(netns) == before
    told = [{**one, "id": None, "remaining": None} for one in info(netns)]
    for one in found:
        assert {**one, "id": None, "remaining": None} in told
    assert counts(create(netns, *found)) == (11, 11, 0, 0, 0, 0)


def test_flags_class_and_time_are_those_that_are_wanted(netns: str) -> None:
    port = connect(netns, 6667)
    flags = ["PERMANENT", "INACTIVE", "USERSPACE"]
    assert not create(netns, of_client(port, service=6667, flags=flags, remaining="5m")).failed
    [found] = info(netns)
    assert (found["flags"], found["class"]) == (flags[:2], 0)
    assert 290 < found["remaining"] <= 300


def test_a_connection_meets_it_and_has_the_right_master(netns: str) -> None:
    run(["nft", "-f", "-"], netns=netns, text=FIREWALL)
    master, _other = connect(netns, 21), connect(netns, 21)
    assert not connects(netns)
    assert counts(create(netns, of_client(master, remaining="5m"))) == (1, 0, 1, 1, 0, 0)
    assert connects(netns)
    # The connection has the mark of its master, and the kernel counts it as expected.
    [entry] = run(
        ["conntrack", "-L", "-p", "tcp", "--dport", str(DATA_PORT), "-m", str(MARK)], netns=netns
    ).splitlines()
    assert "ASSURED" in entry
    assert "helper=" not in entry
    asked = {"match": f"protocol=tcp destination_port={DATA_PORT} mark={MARK}", "entries": True}
    [found] = run_module("conntrack_info", asked, netns=netns).data["entries"]
    assert found["expected"] is True
    assert listed(netns) == []


def test_master_and_expectation_are_handed_over_in_one_task(netns: str) -> None:
    port = announce_ftp(netns, DATA_PORT)
    entries = {"match": "destination_port=21", "entries": True, "limit": 10}
    given = {
        "entries": run_module("conntrack_info", entries, netns=netns).data["entries"],
        "expectations": info(netns),
    }
    with expecting() as new:
        run(["nft", "-f", "-"], netns=new, text=FIREWALL)
        predicted = run_module("conntrack_create", given, netns=new, check=True, diff=True)
        assert listed(new) == []
        done = run_module("conntrack_create", given, netns=new, diff=True)
        assert counts(predicted) == (1, 0, 1, 0, 0, 0)
        assert counts(done) == (1, 0, 1, 1, 0, 0)
        assert predicted.data["diff"] == done.data["diff"]
        assert done.data["created"] == 1
        assert judged(new) == judged(netns)
        assert connects(new)
        [found] = info(netns)
        assert found["master"]["source_port"] == port
        # Where the master is not made first, nothing is made.
    with expecting() as new:
        result = create(new, *given["expectations"])
        assert_refused(result, "expectations[0] has no master", "Nothing was created")


def test_each_that_cannot_be_made_is_named_and_nothing_is_made(netns: str) -> None:
    ftp, irc = connect(netns, 21), connect(netns, 6667)
    # The packet of another service has no helper.
    send(netns, Request(port=8000, source_port=40_000))
    without_helper = of_client(40_000, service=8000)
    without_helper["master"] = {**without_helper["master"], "protocol": "udp"}
    assert not create(netns, of_client(ftp)).failed
    before = judged(netns)
    of_reply = of_client(irc, 4009, 6667)
    of_reply["master"] = {
        **of_reply["master"],
        "source": "127.0.0.2",
        "destination": "127.0.0.1",
        "source_port": 6667,
        "destination_port": irc,
    }
    cases = [
        (of_client(1, 4001), "has no master"),
        (of_client(irc, 4002, 6667, zone=3), "has no master"),
        (of_reply, "has no master"),
        (without_helper, "has a master without a helper"),
        (of_client(irc, 4003, 6667, helper="ftp"), "has the helper 'ftp', and its master has 'irc'"),
        (of_client(irc, DATA_PORT, 6667), "is in the way of another expectation"),
        (of_client(ftp, 4004), "the helper ftp allows 1 for one master"),
    ]
    good = of_client(irc, 4005, 6667)
    for check in True, False:
        result = create(netns, good, *(one for one, _reason in cases), check=check)
        assert_refused(result, "7 of 8 cannot be made", "Nothing was created", "and 2 more")
        refusals = result.data["expectations"]["refusals"]
        assert [one["expectation"] for one in refusals] == [*range(1, 8)]
        for (_one, reason), refusal in zip(cases, refusals):
            assert reason in refusal["reason"]
    assert judged(netns) == before


def test_none_of_others_ends_because_its_master_has_as_many_as_the_helper_allows(netns: str) -> None:
    port = announce_dcc(netns, *range(5000, 5007))
    before = judged(netns)
    assert len(before) == 7
    two = [of_client(port, data_port, 6667) for data_port in (5100, 5101)]
    assert_refused(create(netns, *two), "expectations[1] is one too many: the helper irc allows 8")
    assert judged(netns) == before
    assert counts(create(netns, two[0])) == (1, 0, 1, 1, 0, 0)
    assert set(before) < set(judged(netns))


def test_what_the_kernel_refuses_is_named(netns: str) -> None:
    port = connect(netns, 6667)
    good, bad = (of_client(port, number, 6667) for number in (5000, 5001))
    result = create(netns, good, {**bad, "function": "no-such-function"})
    assert result.failed
    assert "expectations[1] has a class" in result.msg
    assert result.data["changed"] is True
    assert [result.data["expectations"][name] for name in COUNTS] == [2, 0, 2, 1, 1, 0]
    assert result.data["diff"]["after"] == "1  expectations irc ipv4 tcp\n"
    assert len(listed(netns)) == 1
    other = create(netns, {**bad, "class": 3})
    assert "function that this kernel does not know" in other.msg
    assert other.data["changed"] is False


def test_without_entries_and_expectations(netns: str) -> None:
    result = run_module("conntrack_create", {}, netns=netns)
    assert_refused(result, "entries, expectations")
