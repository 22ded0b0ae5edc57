# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What fills a table is told in a line, and the advice follows from that router's figures."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.cluster_words import described
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import (
    explain,
    is_prune_command,
)

SETTINGS = {
    "udp_timeout": 30,
    "udp_timeout_stream": 120,
    "icmp_timeout": 30,
    "tcp_timeout_syn_sent": 120,
    "tcp_timeout_time_wait": 120,
    "tcp_timeout_established": 432_000,
    "tcp_timeout_unacknowledged": 300,
}
DNS = {"protocol": "udp", "replied": False, "destination": "192.0.2.54", "destination_port": 53}
WEB = {"protocol": "tcp", "state": "ESTABLISHED", "replied": True, "destination_port": 443}
BARE_ACKS = {
    "protocol": "tcp",
    "state": "ESTABLISHED",
    "replied": False,
    "packets_original": {"min": 1, "max": 1},
}


def cluster(match: dict[str, t.Any], percent: float, prunable: int | None = 0) -> dict[str, t.Any]:
    return {"match": match, "entries": int(1000 * percent), "percent": percent, "prunable": prunable}


def facts(*clusters: dict[str, t.Any], full: float = 20.0, idle: float = 0, **settings: int) -> dict[str, t.Any]:
    return {
        "usage": {"percent": full},
        "settings": {**SETTINGS, **settings},
        "selectors": {"idle_hour": {"entries": int(1000 * idle), "percent": idle}},
        "table": {"entries": 100_000, "filled_by": list(clusters)},
    }


def told(*clusters: dict[str, t.Any], **given: t.Any) -> tuple[str, str]:
    explanation = explain(facts(*clusters, **given))
    assert explanation is not None
    commands = [f"{prune['command']} frees {prune['frees']:,}." for prune in explanation["prunes"]]
    return explanation["filled_by"], " ".join([*commands, *explanation["advice"]])


def test_a_storm_is_told_with_what_frees_it_and_what_helps_for_good() -> None:
    line, advice = told(cluster(DNS, 92.0, 92_000))
    assert line == "92 % of 100,000 entries: udp, unanswered, to 192.0.2.54 port 53"
    assert advice == (
        "ansible HOST -b -m netops.conntrack.conntrack_prune -a 'match=\"protocol=udp replied=false "
        "destination=192.0.2.54 destination_port=53\" backup=true' frees 92,000. They come back until 192.0.2.54 "
        "answers, or nobody asks it. They stay for udp_timeout, which is 30 s. "
        "For 10 s until the next boot, run ansible HOST -b -m netops.conntrack.conntrack_settings "
        "-a 'settings=\"udp_timeout=10\" persist=false'."
    )


def test_each_of_two_storms_is_told_and_what_helps_both_once() -> None:
    other = {**DNS, "destination": "192.0.2.99", "destination_port": 123}
    line, advice = told(cluster(DNS, 45.0, 45_000), cluster(other, 40.0, 40_000), cluster(WEB, 15.0))
    assert line == (
        "45 % of 100,000 entries: udp, unanswered, to 192.0.2.54 port 53; 40 %: udp, unanswered, to 192.0.2.99 port 123"
    )
    assert advice.count("conntrack_prune") == 2
    assert advice.count("udp_timeout,") == 1


@pytest.mark.parametrize(
    ("clusters", "line"),
    [
        ([], "nothing stands out"),
        ([cluster(WEB, 35.0)], "nothing stands out; the largest share is 35 %, tcp ESTABLISHED, answered, to port 443"),
        ([cluster(DNS, 0.05, 50)], "nothing stands out"),
        ([cluster(DNS, 12.0, 12_000), cluster(WEB, 55.0)], "nothing stands out; the largest share is 55 %"),
    ],
)
def test_a_healthy_table_is_told_to_be_one(clusters: list[dict[str, t.Any]], line: str) -> None:
    found, advice = told(*clusters, full=97.0)
    assert found.startswith(line)
    assert not advice


def test_what_was_not_measured_is_not_explained() -> None:
    assert explain({}) is None
    assert explain({"table": {"entries": 4}}) is None


@pytest.mark.parametrize("full", [20.0, 97.0])
def test_what_was_answered_is_never_to_be_deleted(full: float) -> None:
    client = {**WEB, "source": "10.7.7.7"}
    line, advice = told(cluster(client, 40.0), full=full)
    assert line == "40 % of 100,000 entries: tcp ESTABLISHED, answered, from 10.7.7.7, to port 443"
    assert "conntrack_prune" not in advice
    assert ("10.7.7.7" in advice) == (full > 50)


def test_idle_connections_are_told_with_the_timeout_that_keeps_them() -> None:
    _line, advice = told(cluster(WEB, 95.0), idle=90.0)
    assert advice == (
        "90,000 entries were idle for an hour or longer. Do not delete them, because they were answered and may be "
        "live. They stay for tcp_timeout_established, which is 432,000 s. To make that 54,000 s, also for those that "
        "are there, name tcp_timeout_established in conntrack_tune_overrides of the inventory, and run "
        "ansible-playbook netops.conntrack.tune."
    )


def test_bare_acks_are_told_with_the_setting_that_lets_them_in() -> None:
    line, advice = told(cluster(BARE_ACKS, 90.0, 90_000))
    assert line == "90 % of 100,000 entries: tcp ESTABLISHED, unanswered, a single packet"
    assert "packets_original.min=1 packets_original.max=1" in advice
    assert "tcp_loose" in advice


@pytest.mark.parametrize(("prunable", "words"), [(0, "asymmetric routing"), (None, "have no counters")])
def test_connections_that_may_be_live_are_not_to_be_deleted(prunable: int | None, words: str) -> None:
    match = {"protocol": "tcp", "state": "ESTABLISHED", "replied": False}
    _line, advice = told(cluster(match, 90.0, prunable))
    assert words in advice
    assert "conntrack_prune" not in advice


UDP = {"protocol": "udp", "replied": False}


def test_a_part_is_told_as_a_share_of_its_whole_and_freed_with_it() -> None:
    line, advice = told(cluster(DNS, 25.0, 25_000), cluster(UDP, 60.0, 60_000))
    assert line == "60 % of 100,000 entries: udp, unanswered (41.7 % of them to 192.0.2.54 port 53)"
    assert advice.count("conntrack_prune") == 1
    assert "frees 60,000." in advice
    assert "Those to 192.0.2.54 come back until 192.0.2.54 answers" in advice


def test_a_network_with_much_of_a_cluster_is_told_as_its_part() -> None:
    syn = {"protocol": "tcp", "state": "SYN_SENT", "replied": False}
    network = {**syn, "source": "2001:db8:66::/48"}
    line, advice = told(cluster(syn, 50.0, 50_000), cluster(network, 40.0, 40_000))
    assert line == "50 % of 100,000 entries: tcp SYN_SENT, unanswered (80 % of them from 2001:db8:66::/48)"
    assert "Those from 2001:db8:66::/48 come back until 2001:db8:66::/48 stops sending." in advice
    assert "frees 50,000." in advice
    assert "frees 40,000." not in advice


def test_a_host_is_a_part_of_its_network() -> None:
    network, host = {**UDP, "source": "10.0.0.0/8"}, {**UDP, "source": "10.7.7.7"}
    line, _advice = told(cluster(host, 30.0, 30_000), cluster(network, 60.0, 60_000))
    assert line == "60 % of 100,000 entries: udp, unanswered, from 10.0.0.0/8 (50 % of them from 10.7.7.7)"
    apart, _advice = told(cluster({**host, "source": "11.7.7.7"}, 30.0, 30_000), cluster(network, 60.0, 60_000))
    assert "of them" not in apart


def test_a_command_has_the_network_and_the_zone_of_a_cluster() -> None:
    match = {**UDP, "zone": 7, "source": "2001:db8::/32", "reply_destination": "2001:db8::1"}
    explanation = explain(facts(cluster(match, 92.0, 92_000)))
    assert explanation is not None
    [prune] = explanation["prunes"]
    words = "protocol=udp replied=false zone=7 source=2001:db8::/32 reply_destination=2001:db8::1"
    assert prune["command"] == f"ansible HOST -b -m netops.conntrack.conntrack_prune -a 'match=\"{words}\" backup=true'"
    assert is_prune_command(prune["command"])


@pytest.mark.parametrize(
    ("addresses", "words"),
    [
        ({"source": "10.7.7.7", "destination": "192.0.2.1"}, "until 10.7.7.7 stops sending"),
        ({"source": "10.0.0.0/8", "destination": "192.0.2.1"}, "until 192.0.2.1 answers"),
        ({"source": "10.0.0.0/8", "destination": "192.0.2.0/24"}, "until 10.0.0.0/8 stops sending"),
        ({"destination": "192.0.2.0/24"}, "as long as packets are sent that nobody answers"),
    ],
)
def test_who_makes_unanswered_entries_is_told_by_the_address_that_says_most(
    addresses: dict[str, str], words: str
) -> None:
    _line, advice = told(cluster({**UDP, **addresses}, 92.0, 92_000))
    assert f"They come back {words}" in advice


def test_an_answered_network_is_no_reason_to_worry() -> None:
    line, _advice = told(cluster({**WEB, "source": "10.0.0.0/8"}, 40.0))
    assert line.startswith("nothing stands out; the largest share is 40 %")


def test_a_part_is_freed_where_its_whole_may_be_live() -> None:
    of_several_packets = {key: value for key, value in BARE_ACKS.items() if key != "packets_original"}
    line, advice = told(cluster(of_several_packets, 60.0), cluster(BARE_ACKS, 30.0, 30_000))
    assert line == "60 % of 100,000 entries: tcp ESTABLISHED, unanswered (50 % of them a single packet)"
    assert "packets_original.min=1" in advice
    assert "frees 30,000." in advice


def test_a_part_of_what_does_not_stand_out_is_told_by_itself() -> None:
    client = {**WEB, "source": "10.7.7.7"}
    line, _advice = told(cluster(WEB, 60.0), cluster(client, 30.0))
    assert line == "30 % of 100,000 entries: tcp ESTABLISHED, answered, from 10.7.7.7, to port 443"


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ({"SYN_SENT": 60_000}, None),
        (
            {"SYN_SENT": 60_000, "ESTABLISHED": 4},
            "They have several states, and those that are ESTABLISHED may be live",
        ),
        ({}, "They have several states, and those that are ESTABLISHED may be live"),
    ],
)
def test_a_mix_of_states_is_said_to_be_live_only_where_some_are_established(
    states: dict[str, int], words: str | None
) -> None:
    given = facts(cluster({"protocol": "tcp", "replied": False}, 60.0))
    given["table"]["states"] = {"tcp": states}
    explanation: t.Any = explain(given)
    advice = " ".join(explanation["advice"])
    assert (words or "") in advice
    assert ("asymmetric" in advice) == (words is not None)
    assert not explanation["prunes"]


@pytest.mark.parametrize("match", [DNS, {"protocol": "tcp", "state": "SYN_SENT", "replied": False}, BARE_ACKS])
def test_what_a_prune_keeps_is_not_said_to_be_asymmetric(match: dict[str, t.Any]) -> None:
    _line, advice = told(cluster(match, 92.0, 500))
    assert "A prune keeps 91,500 of them, because they have a helper, or the router lives by them." in advice
    assert "asymmetric" not in advice


def test_what_a_prune_keeps_can_be_unknown() -> None:
    _line, advice = told(cluster(DNS, 92.0, None))
    assert "How many of them a prune keeps is unknown: the configuration of conntrackd may not be read." in advice


def test_commands_that_free_entries_are_apart_from_the_sentences() -> None:
    explanation = explain(facts(cluster(DNS, 92.0, 92_000)))
    assert explanation is not None
    [prune] = explanation["prunes"]
    words = "protocol=udp replied=false destination=192.0.2.54 destination_port=53"
    assert prune["command"] == f"ansible HOST -b -m netops.conntrack.conntrack_prune -a 'match=\"{words}\" backup=true'"
    assert prune["frees"] == 92_000
    assert [sentence.split()[0] for sentence in explanation["advice"]] == ["They", "They", "For"]


@pytest.mark.parametrize("match", [DNS, BARE_ACKS, {**DNS, "destination": "2001:db8::1", "source": "10.0.0.1"}])
def test_a_command_is_known_as_one_of_ours(match: dict[str, t.Any]) -> None:
    explanation = explain(facts(cluster(match, 92.0, 92_000)))
    assert explanation is not None
    [prune] = explanation["prunes"]
    assert is_prune_command(prune["command"])


@pytest.mark.parametrize(
    "command",
    [
        "reboot",
        "",
        "ansible HOST -b -m netops.conntrack.conntrack_prune -a 'match=\"protocol=udp\"'",
        "ansible r1 -b -m netops.conntrack.conntrack_prune -a 'match=\"protocol=udp\" backup=true'",
        "ansible HOST -b -m ansible.builtin.shell -a 'match=\"protocol=udp\" backup=true'",
        "ansible HOST -b -m netops.conntrack.conntrack_prune -a 'match=\"protocol=udp\" backup=true'; reboot",
        "ansible HOST -b -m netops.conntrack.conntrack_prune -a 'match=\"protocol=$(reboot)\" backup=true'",
        "ansible HOST -b -m netops.conntrack.conntrack_prune -a 'match=\"\" backup=true'",
        "ansible HOST -b -m netops.conntrack.conntrack_prune -a 'match=\"protocol=udpreplied=true\" backup=true'",
        f"ansible HOST -b -m netops.conntrack.conntrack_prune -a 'match=\"{'a=xxxxxxxxxx' * 100}\" backup=true'",
        f"ansible HOST -b -m netops.conntrack.conntrack_prune -a 'match=\"{'a=x ' * 500}!\" backup=true'",
        "ansible HOST -b -m netops.conntrack.conntrack_prune -a 'match=\"protocol=udp\" backup=true'\n",
    ],
)
def test_another_command_is_none_of_ours(command: str) -> None:
    assert not is_prune_command(command)


def test_what_frees_next_to_nothing_is_not_advised() -> None:
    _line, advice = told(cluster(DNS, 92.0, 500))
    assert "conntrack_prune" not in advice
    assert "udp_timeout" in advice


def test_a_timeout_that_is_short_already_is_not_advised() -> None:
    _line, advice = told(cluster(DNS, 92.0, 92_000), udp_timeout=5)
    assert "tune" not in advice


def test_a_share_that_is_not_all_is_not_rounded_to_it() -> None:
    line, _advice = told({**cluster(DNS, 99.97, 99_970), "entries": 99_970})
    assert line.startswith("99.9 % of")


def test_a_selector_from_elsewhere_is_in_no_command() -> None:
    _line, advice = told(cluster({**DNS, "destination": "1.2.3.4' -b; reboot #"}, 92.0, 92_000))
    assert "conntrack_prune" not in advice
    assert advice.count("ansible HOST") == advice.count("-a 'settings=\"udp_timeout=10\" persist=false'") == 1


def test_ipv6_and_protocols_without_ports_are_described() -> None:
    assert described({"protocol": "icmpv6", "replied": False, "source": "2001:db8::1"}) == (
        "icmpv6, unanswered, from 2001:db8::1"
    )
