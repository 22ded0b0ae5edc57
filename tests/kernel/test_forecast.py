# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is foretold, beside entries of known remaining times, and beside a table that had the new timeouts."""

from __future__ import annotations

import contextlib
import re
import socket
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._facts.rates import Rates
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
from helpers.run_records import remove_records
from helpers.support import assert_refused, network_namespace, run, run_module

PREFIX = "net.netfilter.nf_conntrack_"
# All timeouts that are foretold below are 60 s. The entries got theirs just now, or 100 s and more ago. That is not
# much longer than any machine has been up that runs this, and nobody needs 60 s for one of these tests.
PRESENT = {
    "tcp_timeout_established": 1000,
    "tcp_timeout_syn_sent": 200,
    "tcp_timeout_unacknowledged": 300,
    "tcp_timeout_max_retrans": 300,
    "tcp_timeout_close": 10,
    "udp_timeout": 500,
    "udp_timeout_stream": 900,
}
REPLIED = "-u ASSURED,SEEN_REPLY"
TABLE = {
    f"tcp ESTABLISHED {REPLIED}": (1000, 1000, 900, 890, 895),
    f"tcp ESTABLISHED {REPLIED},FIXED_TIMEOUT": (880,),
    "tcp ESTABLISHED": (300, 200),
    "tcp SYN_SENT": (200, 100, 90, 95),
    "udp": (500, 400, 390),
    f"udp {REPLIED}": (900, 800),
}


def set_timeouts(netns: str, seconds: t.Mapping[str, int]) -> None:
    run(["sysctl", "-qw", *(f"{PREFIX}{name}={value}" for name, value in seconds.items())], netns=netns)


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("foretold") as name:
        set_timeouts(name, PRESENT)
        port = 0
        for kind, times in TABLE.items():
            protocol, *state = kind.split(" ")
            if state and state[0].isupper():
                state.insert(0, "--state")
            for seconds in times:
                port += 1
                tuple_of = f"-s 198.18.0.1 -d 198.18.0.2 --sport {port} --dport 9"
                run(["conntrack", "-I", "-p", protocol, *tuple_of.split(), "-t", str(seconds), *state], netns=name)
        yield name
        remove_records(name)


def foretold(netns: str, settings: dict[str, t.Any], **options: t.Any) -> t.Any:
    result = run_module("conntrack_facts", {"forecast": settings, **options}, netns=netns)
    assert not result.failed, result.msg
    return result.data["ansible_facts"]["conntrack"]["forecast"]


def listed(netns: str, *options: str) -> list[int]:
    """Return what each entry has left that conntrack(8) lists with these options."""
    lines = run(["conntrack", "-L", *options], netns=netns).splitlines()
    return [int(re.split(" +", line)[2]) for line in lines]


def test_entries_of_known_remaining_times(netns: str) -> None:
    wanted = {"tcp_timeout_established": 60, "udp_timeout": "1m", f"{PREFIX}udp_timeout_stream": "60s"}
    forecast = foretold(netns, wanted)
    assert forecast["entries"] == len(listed(netns)) == 17
    settings = forecast["settings"]
    established = listed(netns, "-p", "tcp", "--state", "ESTABLISHED", *REPLIED.split())
    assert settings["tcp_timeout_established"]["governed"] == len(established) + 2
    would_be_gone = [left for left in established if left < 1000 - 60]
    # That of the fixed one is not known, and a picked-up one gets the shorter of two timeouts.
    assert len(would_be_gone) == 4
    assert settings["tcp_timeout_established"]["gone"] == len(would_be_gone) - 1 + 1
    assert settings["tcp_timeout_established"]["unknown"] == 1
    assert settings["udp_timeout"]["gone"] == 2
    assert settings["udp_timeout_stream"]["gone"] == 1
    assert (forecast["governed"], forecast["gone"], forecast["unknown"], forecast["percent"]) == (13, 7, 1, 41.18)
    assert 900 - 50 < forecast["last_in_seconds"] <= 900
    assert forecast["shortened_in_seconds"] == 60


def test_half_open_and_picked_up_connections(netns: str) -> None:
    forecast = foretold(netns, {"tcp_timeout_syn_sent": 60, "tcp_timeout_unacknowledged": 60})
    half_open = listed(netns, "-p", "tcp", "--state", "SYN_SENT")
    assert forecast["settings"]["tcp_timeout_syn_sent"]["gone"] == sum(left < 200 - 60 for left in half_open) == 3
    assert forecast["settings"]["tcp_timeout_unacknowledged"]["gone"] == 1
    rows = [(group["protocol"], group["state"], group["gone"]) for group in forecast["states"]]
    assert rows == [("tcp", "SYN_SENT", 3), ("tcp", "ESTABLISHED", 1)]


def test_counts_are_those_that_a_prune_by_idle_time_deletes(netns: str) -> None:
    match = {"protocol": "tcp", "state": "ESTABLISHED", "idle": {"min": "60s"}}
    pruned = run_module("conntrack_prune", {"match": [match]}, netns=netns, check=True)
    forecast = foretold(netns, {"tcp_timeout_established": 60})
    assert forecast["gone"] == pruned.data["would_delete"] == 4


def test_protected_entries_are_among_those_that_go(netns: str) -> None:
    """A sysctl holds for them as for all others. Who shortens or prunes afterwards leaves them alone."""
    bgp = f"-p tcp -s 198.18.0.1 -d 198.18.0.3 --sport 40000 --dport 179 --state ESTABLISHED {REPLIED}"
    run(["conntrack", "-I", *bgp.split(), "-t", "880"], netns=netns)
    wanted = {"tcp_timeout_established": 60}
    of_established = {"protocol": "tcp", "state": "ESTABLISHED", "idle": {"min": "60s"}}
    forecast = foretold(netns, wanted)
    pruned = run_module("conntrack_prune", {"match": [of_established]}, netns=netns, check=True).data
    assert [(kept["reason"], kept["entries"]) for kept in pruned["kept"]] == [("bgp", 1)]
    assert forecast["gone"] == pruned["would_delete"] + pruned["protected"] == 5
    lowered = run_module("conntrack_settings", {"settings": wanted, "persist": False}, netns=netns)
    assert not lowered.failed, lowered.msg
    options = {"match": [{"protocol": "tcp", "state": "ESTABLISHED"}], "timeout": "settings"}
    updated = run_module("conntrack_update", options, netns=netns).data
    assert updated["updated"] > 0
    assert updated["protected_by"] == {"bgp": 1}
    [left] = listed(netns, "-p", "tcp", "--dport", "179")
    assert left > 60


def test_together_with_the_summary_and_selectors_of_the_same_pass(netns: str) -> None:
    alone = foretold(netns, {"udp_timeout": 60})
    args = {"gather_subset": "all", "forecast": {"udp_timeout": 60}}
    facts = run_module("conntrack_facts", args, netns=netns).data["ansible_facts"]["conntrack"]
    assert facts["table"]["entries"] == facts["forecast"]["entries"]
    for key in ("governed", "gone", "unknown", "percent"):
        assert facts["forecast"][key] == alone[key]


def test_sizes(netns: str) -> None:
    forecast = foretold(netns, {"max": 180, "buckets": 512, "acct": True})
    limit = int(run(["sysctl", "-n", f"{PREFIX}max"]))
    count = int(run(["sysctl", "-n", f"{PREFIX}count"], netns=netns))
    assert forecast["now"]["count"] == count
    assert forecast["now"]["max"] == limit
    assert (forecast["then"]["max"], forecast["then"]["percent"]) == (180, round(100 * count / 180, 2))
    assert (forecast["then"]["buckets"], forecast["then"]["load_factor"]) == (512, round(2 * count / 512, 3))
    assert forecast["not_foretold"] == ["acct"]
    assert (forecast["governed"], forecast["settings"]) == (0, {})


def test_nothing_is_changed(netns: str) -> None:
    before = run(["sysctl", "-a", "-r", "netfilter"], netns=netns)
    entries = len(listed(netns))
    foretold(netns, {"tcp_timeout_established": 1, "max": 1})
    after = run(["sysctl", "-a", "-r", "netfilter"], netns=netns)
    assert re.sub("count = .*", "", after) == re.sub("count = .*", "", before)
    assert len(listed(netns)) == entries


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tcp_timeout_establishd": 5}, ("tcp_timeout_establishd", "Did you mean tcp_timeout_established")),
        ({"udp_timeout": "soon", "max": 0}, ("forecast.udp_timeout", "forecast.max", "0 would mean no limit")),
        ({"count": 5}, ("'count' is no connection-tracking setting",)),
        ({"ip_conntrack_max": 5, "max": 6}, ("forecast.ip_conntrack_max", "mean the same setting")),
        ({"udp_timeout": None}, ("forecast.udp_timeout",)),
        ({}, ("forecast: {} names no setting",)),
    ],
)
def test_settings_that_cannot_be_made_are_refused(
    netns: str, settings: dict[str, t.Any], words: t.Sequence[str]
) -> None:
    assert_refused(run_module("conntrack_facts", {"forecast": settings}, netns=netns), *words)


SHORT = {"udp_timeout": 3}
PORTS_OF_FIRST, PORTS_OF_SECOND = range(1001, 1008), range(1101, 1105)


def bound_sender(netns: str) -> socket.socket:
    """Return a socket of the namespace, with a port of its own."""
    with inside(netns):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.bind(("127.0.0.1", 0))
    return sender


def send(sender: socket.socket, ports: t.Iterable[int]) -> None:
    """Send a datagram to each of the ports, and close the socket."""
    with contextlib.closing(sender):
        for port in ports:
            sender.sendto(b"x", ("127.0.0.1", port))


def test_table_that_had_the_new_timeout_all_the_time_has_what_is_foretold() -> None:
    quiet = "table inet quiet { chain in { type filter hook input priority 0; udp dport 1000-1200 drop; }; }"
    with network_namespace("foretold") as here, network_namespace("foretold") as twin:
        set_timeouts(here, {"udp_timeout": 60})
        set_timeouts(twin, SHORT)
        both = (here, twin)
        for name in both:
            run(["nft", "-f", "-"], netns=name, text=quiet)
            send(bound_sender(name), PORTS_OF_FIRST)
        # More than a second beyond the timeout, because what is left is cut to whole seconds.
        time.sleep(4.5)
        for name in both:
            send(bound_sender(name), PORTS_OF_SECOND)
        forecast = foretold(here, SHORT)
        assert len(listed(here, "-p", "udp")) == forecast["governed"]
        assert len(listed(twin, "-p", "udp")) == forecast["governed"] - forecast["gone"]
        assert forecast["gone"] > 0
        assert forecast["unknown"] == 0


def test_after_the_change_the_table_has_what_was_foretold() -> None:
    quiet = "table inet quiet { chain in { type filter hook input priority 0; udp dport 1000-1200 drop; }; }"
    seconds = 5
    with network_namespace("foretold") as name:
        set_timeouts(name, {"udp_timeout": 60})
        run(["nft", "-f", "-"], netns=name, text=quiet)
        live = bound_sender(name)
        send(bound_sender(name), PORTS_OF_FIRST)
        time.sleep(seconds + 1.5)
        try:
            keep_alive(live)
            forecast = foretold(name, {"udp_timeout": seconds})
            assert (forecast["governed"], forecast["gone"]) == (11, 7)
            here = {"netns": name}
            settings = {"settings": {"udp_timeout": seconds}, "persist": False, **here}
            assert run_module("conntrack_settings", settings).data["changed"]
            keep_alive(live)
            assert run_module("conntrack_update", {"timeout": "settings", **here}).data["updated"] == 7
            until = time.monotonic() + forecast["shortened_in_seconds"] + 1
            while time.monotonic() < until:
                keep_alive(live)
                time.sleep(0.5)
            assert len(listed(name, "-p", "udp")) == forecast["then"]["count"] == 4
        finally:
            live.close()
            remove_records(name)


def keep_alive(sender: socket.socket) -> None:
    for port in PORTS_OF_SECOND:
        sender.sendto(b"x", ("127.0.0.1", port))


def test_entries_that_a_prune_deletes_before_are_left_out(netns: str) -> None:
    deleted = {"match": {"protocol": "tcp", "state": "ESTABLISHED", "replied": True, "idle": {"min": "60s"}}}
    settings = {"tcp_timeout_established": 60, "udp_timeout": 60}
    args = {"forecast": settings, "assume_deleted": deleted}
    assert_refused(run_module("conntrack_facts", args, netns=netns), "assume_deleted: ", "is for rehearsals")
    no_forecast = {"assume_deleted": deleted}
    assert_refused(run_module("conntrack_facts", no_forecast, netns=netns, check=True), "Give forecast as well")
    bad = {**args, "assume_deleted": {"match": "protocoll=tcp"}}
    assert_refused(run_module("conntrack_facts", bad, netns=netns, check=True), "assume_deleted.match", "protocoll")
    result = run_module("conntrack_facts", args, netns=netns, check=True)
    forecast = result.data["ansible_facts"]["conntrack"]["forecast"]
    pruned = run_module("conntrack_prune", deleted, netns=netns)
    assert pruned.data["deleted"] == 3
    real = foretold(netns, settings)
    same = ("entries", "governed", "gone", "unknown", "shortened_in_seconds", "now", "then")
    assert {key: forecast[key] for key in same} == {key: real[key] for key in same}


def test_rates_of_real_packets() -> None:
    quiet = "table inet quiet { chain in { type filter hook input priority 0; udp dport 1000-3000 drop; }; }"
    with network_namespace("rates") as name:
        run(["nft", "-f", "-"], netns=name, text=quiet)
        senders = [bound_sender(name) for _number in range(2)]
        send(senders[0], range(1000, 1100))
        with inside(name), Table() as table:
            looks = Rates(table, 1, 5)
            send(senders[1], range(2000, 2200))
            run(["conntrack", "-D", "-p", "udp", "--dport", "1005"], netns=name)
            rates = looks.result(1000)
    assert (rates["new"], rates["gone"]) == (200, 1)
    assert (rates["new_protocols"], rates["gone_protocols"]) == ({"udp": 200}, {"udp": 1})
    assert rates["seconds"] >= 1
    assert (rates["count_before"], rates["count_after"]) == (100, 299)
    assert rates["growth_per_second"] == pytest.approx(199 / rates["seconds"], rel=0.06)
    assert [group["percent"] for group in rates["new_filled_by"]] == [100.0]
    assert rates["full_in_seconds"] == pytest.approx((1000 - 299) * rates["seconds"] / 199, rel=0.3)


def test_expired_entries_that_are_still_counted_do_not_hide_the_growth() -> None:
    quiet = "table inet quiet { chain in { type filter hook input priority 0; udp dport 1000-3000 drop; }; }"
    with network_namespace("rates") as name:
        run(["nft", "-f", "-"], netns=name, text=quiet)
        set_timeouts(name, {"udp_timeout": 1})
        send(bound_sender(name), range(1000, 1100))
        time.sleep(2.5)
        set_timeouts(name, {"udp_timeout": 60})
        later = bound_sender(name)
        with inside(name), Table() as table:
            looks = Rates(table, 1, 5)
            send(later, range(2000, 2020))
            rates = looks.result(1000)
    assert (rates["new"], rates["gone"]) == (20, 0)
    assert (rates["count_before"], rates["count_after"]) == (0, 20)
    assert rates["growth_per_second"] == rates["new_per_second"]


@pytest.mark.parametrize("sample", ["0", "61s", "soon"])
def test_a_time_that_is_too_short_or_too_long_is_refused(sample: str) -> None:
    assert_refused(run_module("conntrack_facts", {"sample": sample}), f"sample: '{sample}'")
