# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""conntrack_timeout_policy on a real kernel, next to nfct(8) and nft(8), with rules that attach its policies."""

from __future__ import annotations

import contextlib
import itertools
import re
import struct
import subprocess
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_policies import Policy, list_policies
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.cttimeout import TimeoutSubsystem
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.nft_objects import (
    ObjectsOfTable,
    Table,
)
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.timeout_names import (
    PROTOCOLS,
    timeout_names,
)
from helpers.packet_injection import Router, injected_router
from helpers.run_records import remove_records
from helpers.support import ModuleResult, assert_refused, network_namespace, run, run_module, wait_until

CLIENT, SERVER = "198.51.100.2", "192.0.2.9"
UDP, PHONE = 17, 5060
PHONES: dict[str, t.Any] = {"name": "phones", "protocol": "udp", "timeouts": {"replied": "1h"}}
TABLE = "inet filter"
WHERE = pytest.mark.parametrize("where", [{}, {"nft_table": TABLE}], ids=["cttimeout", "nftables"])
ATTACH = {
    "iptables-nft": "iptables-nft -t raw -A PREROUTING -p udp --dport 5060 -j CT --timeout phones",
    "iptables-legacy": "iptables-legacy -t raw -A PREROUTING -p udp --dport 5060 -j CT --timeout phones",
    "nft": 'nft add rule inet filter early udp dport 5060 ct timeout set "phones"',
}
_PORTS = itertools.count(20000)


def make_table(netns: str) -> None:
    chain = "chain early { type filter hook prerouting priority 0; }"
    run(["nft", "-f", "-"], netns=netns, text=f"table {TABLE} {{ {chain}; }}")


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("policy") as name:
        make_table(name)
        yield name
        remove_records(name)


@pytest.fixture
def router() -> t.Iterator[Router]:
    with injected_router("policy") as found:
        make_table(found.netns)
        yield found


def policy(netns: str, args: dict[str, t.Any], **more: t.Any) -> ModuleResult:
    return run_module("conntrack_timeout_policy", args, netns=netns, diff=True, **more)


def by_nfct(netns: str) -> dict[str, dict[str, int]]:
    """Return the policies of cttimeout as nfct(8) lists them: by name, the seconds by its names."""
    listed = run(["nfct", "list", "timeout"], netns=netns)
    return {
        name: {key.lower(): int(value) for key, value in re.findall(r"\.(\w+) = (\d+)", text)}
        for name, text in re.findall(r"^\.(\S+) = \{(.*?)^\};", listed, re.MULTILINE | re.DOTALL)
    }


def by_nft(netns: str) -> dict[str, dict[str, int]]:
    """Return the objects of the table as nft(8) lists them, with the timeouts that differ from its own defaults."""
    listed = run(["nft", "list", "table", *TABLE.split()], netns=netns)
    return {
        name: {key: int(value) for key, value in re.findall(r"(\w+)\s*: (\d+)", text)}
        for name, text in re.findall(r"ct timeout (\S+) \{(.*?)\}", listed, re.DOTALL)
    }


def judged(netns: str, where: dict[str, t.Any]) -> dict[str, dict[str, int]]:
    return by_nft(netns) if where else by_nfct(netns)


def send(router: Router, source_port: int) -> None:
    """Let a packet of a phone arrive."""
    router.send(CLIENT, SERVER, UDP, struct.pack("!HHHH", source_port, PHONE, 8, 0))


def answer(router: Router, source_port: int) -> None:
    router.send(SERVER, CLIENT, UDP, struct.pack("!HHHH", PHONE, source_port, 8, 0))


def left(router: Router, source_port: int) -> int:
    """Return the seconds that the entry of a phone has left, as conntrack(8) says."""
    listed = run(["conntrack", "-L", "-p", "udp", "--sport", str(source_port)], netns=router.netns)
    return int(listed.split()[2])


@WHERE
def test_a_policy_is_made_changed_and_removed_and_each_second_run_changes_nothing(
    netns: str, where: dict[str, t.Any]
) -> None:
    steps: list[tuple[dict[str, t.Any], dict[str, int] | None]] = [
        ({**PHONES, **where}, {"unreplied": 30, "replied": 3600}),
        ({**PHONES, **where, "timeouts": {"unreplied": 61}}, {"unreplied": 61, "replied": 3600}),
        ({**PHONES, **where, "timeouts": {"replied": "2h", "udp_timeout": 62}}, {"unreplied": 62, "replied": 7200}),
        ({"name": "phones", "state": "absent", **where}, None),
    ]
    before = None
    for args, expected in steps:
        there = judged(netns, where)
        predicted = policy(netns, args, check=True)
        assert judged(netns, where) == there
        done = policy(netns, args)
        again = policy(netns, args)
        assert not done.failed, done.msg
        assert predicted.data == done.data
        assert (done.data["changed"], again.data["changed"]) == (True, False)
        assert done.data["policy_before"] == before
        before = done.data["policy"]
        assert (before and before["timeouts"]) == expected
        assert again.data["policy"] == before
        assert done.data["diff"]["before"] != done.data["diff"]["after"]
        assert again.data["diff"]["before"] == again.data["diff"]["after"]
        found = judged(netns, where).get("phones")
        assert (found is None) == (expected is None)
        # nfct(8) lists protocol and family there as well, and nft(8) leaves out what is its own default.
        shown = {name: value for name, value in (found or {}).items() if not name.endswith("proto")}
        assert {**(expected or {}), **shown} == (expected or {})


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("protocol", sorted(PROTOCOLS.keys() - {"dccp"}))
def test_each_timeout_of_each_protocol_is_the_one_of_its_name(netns: str, protocol: str, family: str) -> None:
    names = timeout_names(PROTOCOLS[protocol])
    timeouts = {name: 1000 + number for number, name in enumerate(names)}
    args = {"name": "all", "protocol": protocol, "family": family, "timeouts": timeouts}
    result = policy(netns, args)
    if protocol == {"ipv4": "icmpv6", "ipv6": "icmp"}[family]:
        assert_refused(result, f"protocol: '{protocol}' does not exist over {family}", "Give protocol: icmp with")
        return
    assert result.data["policy"] == {**args, "users": 0}
    ours = {"retrans": "max_retrans"}
    found = {ours.get(name, name): value for name, value in by_nfct(netns)["all"].items()}
    assert found.pop("l4proto") == PROTOCOLS[protocol]
    assert found.pop("l3proto") == {"ipv4": 2, "ipv6": 10}[family]
    # nfct 1.4.7 does not know the last timeout of SCTP.
    assert {"heartbeat_sent": timeouts.get("heartbeat_sent"), **found} == {"heartbeat_sent": None, **timeouts}


def test_sysctls_fill_in_what_a_new_policy_does_not_say(netns: str) -> None:
    run(["sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=77"], netns=netns)
    for number, where in enumerate(({}, {"nft_table": TABLE})):
        args = {**PHONES, **where, "name": f"phones{number}"}
        predicted, done = policy(netns, args, check=True), policy(netns, args)
        assert predicted.data == done.data
        assert done.data["policy"]["timeouts"] == {"unreplied": 77, "replied": 3600}
        # The policy keeps that, and a later run does not give it the sysctl's new value.
        run(["sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=78"], netns=netns)
        changed = policy(netns, {**args, "timeouts": {"replied": 99}})
        assert changed.data["policy"]["timeouts"] == {"unreplied": 77, "replied": 99}
        run(["sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=77"], netns=netns)


@pytest.mark.parametrize("program", ATTACH)
def test_real_packets_get_the_timeout_of_a_policy_that_a_rule_attaches(router: Router, program: str) -> None:
    where = {"nft_table": TABLE} if program == "nft" else {}
    old, new, later = (next(_PORTS) for _each in range(3))
    send(router, old)
    timeouts = {"unreplied": 500, "replied": "1h"}
    assert policy(router.netns, {**PHONES, **where, "timeouts": timeouts}).data["changed"] is True
    run(ATTACH[program].split() if program != "nft" else ["nft", "-f", "-"], netns=router.netns, text=ATTACH["nft"][4:])
    send(router, new)
    assert 490 < left(router, new) <= 500
    time.sleep(2.1)
    for _each in range(2):
        answer(router, new)
        send(router, new)
    assert 3590 < left(router, new) <= 3600
    # An entry that was there before keeps the timeouts of the sysctls, also with its next packet.
    send(router, old)
    assert left(router, old) <= 30

    second = policy(router.netns, {**PHONES, **where, "timeouts": timeouts})
    assert (second.data["changed"], second.data["policy"]["users"]) == (False, 1)
    changed = policy(router.netns, {**PHONES, **where, "timeouts": {"replied": "2h"}})
    if program == "nft":
        assert_refused(
            changed, "'phones' cannot be changed", 'ct timeout set "phones" # handle', "remove the table first"
        )
        assert "phones { protocol udp; l3proto ip; policy = { replied: 7200 }; }" in changed.msg
        return
    assert changed.data["changed"] is True
    # Entries that have the policy get the new timeout with their next packet.
    assert left(router, new) <= 3600
    send(router, new)
    send(router, later)
    assert 7190 < left(router, new) <= 7200
    assert 490 < left(router, later) <= 500


@pytest.mark.parametrize("program", ATTACH)
def test_a_policy_that_a_rule_uses_is_not_removed_and_the_rule_is_named(router: Router, program: str) -> None:
    where = {"nft_table": TABLE} if program == "nft" else {}
    port = next(_PORTS)
    policy(router.netns, {**PHONES, **where, "timeouts": {"unreplied": 500}})
    run(ATTACH[program].split() if program != "nft" else ["nft", "-f", "-"], netns=router.netns, text=ATTACH["nft"][4:])
    send(router, port)
    absent = {"name": "phones", "state": "absent", **where}
    for check in (True, False):
        result = policy(router.netns, absent, check=check)
        rule = (
            'udp dport 5060 ct timeout set "phones" # handle' if where else "-A PREROUTING -p udp -m udp --dport 5060"
        )
        assert_refused(result, "name: 'phones' cannot be removed, because a rule uses it", rule, "Nothing was changed")
    assert "phones" in judged(router.netns, where)
    flush = "nft flush chain inet filter early" if where else f"{program} -t raw -F"
    run(flush.split(), netns=router.netns)
    assert policy(router.netns, absent).data["changed"] is True
    assert judged(router.netns, where) == {}
    send(router, port)
    assert left(router, port) <= 30


@pytest.mark.parametrize("family", ["ip", "ip6"])
@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_a_name_that_iptables_cannot_save_is_warned_of(netns: str, kind: str, family: str) -> None:
    save, restore = (f"{family}tables-{kind}-{what}" for what in ("save", "restore"))
    about = {"protocol": "udp", "timeouts": {"replied": 5}, "family": {"ip": "ipv4", "ip6": "ipv6"}[family]}
    for name, warned in (("voip", False), ("phone", True)):
        made = policy(netns, {**about, "name": name})
        assert bool(made.data.get("warnings")) == warned
        assert "warnings" not in policy(netns, {**about, "name": name}).data
        rule = f"{family}tables-{kind} -t raw -A PREROUTING -p udp --dport 5060 -j CT --timeout {name}"
        run(rule.split(), netns=netns)
        saved = run([save], netns=netns)
        run([f"{family}tables-{kind}", "-t", "raw", "-F"], netns=netns)
        is_cut = f"--timeout {name}\n" not in saved
        assert warned or not is_cut
        with pytest.raises(AssertionError) if is_cut else contextlib.nullcontext():
            run([restore], netns=netns, text=saved)
        if warned:
            assert "writes no more than 'phon' of 'phone'" in str(made.data["warnings"])


def test_a_rule_that_nobody_can_list_is_searched_for_with_the_command_of_the_message(netns: str) -> None:
    policy(netns, PHONES)
    run(ATTACH["iptables-legacy"].split(), netns=netns)
    nowhere = ("env", "PATH=/nonexistent")
    result = run_module(
        "conntrack_timeout_policy",
        {"name": "phones", "state": "absent"},
        netns=netns,
        wrapper=("unshare", "--mount", "sh", "-ec", 'mount -t tmpfs none /usr/sbin; exec "$@"', "sh", *nowhere),
    )
    assert_refused(result, "find them with: iptables-save | grep -- '--timeout phon'")


@WHERE
def test_what_is_for_the_boot_makes_the_same_policy(netns: str, where: dict[str, t.Any]) -> None:
    protocols = ["tcp", "udp"] if where else sorted(PROTOCOLS.keys() - {"dccp", "icmpv6"})
    for protocol in protocols:
        names = [name for name in timeout_names(PROTOCOLS[protocol]) if name != "heartbeat_sent"]
        timeouts = {name: 2000 + number for number, name in enumerate(names)}
        args = {"name": f"a-{protocol}", "protocol": protocol, "timeouts": timeouts, **where}
        text = policy(netns, args, check=True).data["for_boot"]
        if where:
            run(["nft", "-f", "-"], netns=netns, text=f"table {TABLE} {{\n{text}\n}}")
        else:
            run(text.split(), netns=netns)
        assert policy(netns, args).data["changed"] is False, text


@WHERE
@pytest.mark.parametrize("other", [{"protocol": "tcp", "timeouts": {"close": 5}}, {"family": "ipv6"}])
def test_a_policy_of_this_name_for_something_else_is_refused(
    netns: str, where: dict[str, t.Any], other: dict[str, t.Any]
) -> None:
    policy(netns, {**PHONES, **where})
    there = judged(netns, where)
    result = policy(netns, {**PHONES, **where, **other})
    assert_refused(result, "name: 'phones' is a policy for udp over ipv4 already", "Give another name")
    assert judged(netns, where) == there


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"timeouts": {"established": 5}}, ["timeouts: 'established' is no timeout", "unreplied, replied"]),
        ({"timeouts": {"replyed": 5}}, ["timeouts: 'replyed' is no timeout", "Did you mean replied"]),
        ({"timeouts": {"replied": 0}}, ["timeouts.replied: 0", "Give 1 to 2147483 seconds"]),
        ({"timeouts": {"replied": -5}}, ["timeouts.replied: -5", "Give seconds"]),
        ({"timeouts": {"replied": "30d"}}, ["timeouts.replied: '30d'", "Give 1 to 2147483 seconds"]),
        ({"timeouts": {"replied": 5, "udp_timeout_stream": 6}}, ["two values are given for replied", "Give one"]),
        ({"timeouts": {}}, ["timeouts: {} has no timeout", "unreplied, replied"]),
        ({"name": "p" * 32}, ["has 32 characters", "31 at most"]),
        ({"name": "a b"}, ["name: 'a b' is no name of a policy", "Begin with a letter"]),
        ({"name": ""}, ["name: '' is no name of a policy"]),
        ({"protocol": "dccp", "timeouts": {"open": 5}}, ["does not track dccp itself", "Give protocol: generic"]),
        ({"nft_table": "filter"}, ["nft_table: 'filter' is no table", "inet filter"]),
        ({"nft_table": "bridge filter"}, ["nft_table: 'bridge filter' is no table"]),
        ({"nft_table": "inet other"}, ["nft_table: 'inet other' is not there", "nft add table inet other"]),
        ({"nft_table": "ip6 filter"}, ["family: 'ipv4' is not in the table ip6 filter", "Give family: ipv6"]),
        (
            {"nft_table": TABLE, "protocol": "icmp", "timeouts": {"timeout": 5}},
            ["protocol: 'icmp' has no object in nftables", "Give tcp or udp"],
        ),
    ],
    ids=str,
)
def test_a_bad_option_changes_nothing(netns: str, args: dict[str, t.Any], words: list[str]) -> None:
    for check in (True, False):
        assert_refused(policy(netns, {**PHONES, **args}, check=check), *words)
    assert by_nfct(netns) == by_nft(netns) == {}


def test_a_policy_without_a_protocol_is_refused(netns: str) -> None:
    assert_refused(policy(netns, {"name": "phones", "timeouts": {"replied": 5}}), "protocol: None is missing", "Give")


def test_removing_touches_no_other_policy(netns: str) -> None:
    """A delete without a name would take all of them."""
    for name in ("phones", "phones2", "phon"):
        policy(netns, {**PHONES, "name": name})
        policy(netns, {**PHONES, "name": name, "nft_table": TABLE})
    policy(netns, {"name": "phones", "state": "absent"})
    policy(netns, {"name": "phones2", "state": "absent", "nft_table": TABLE})
    assert by_nfct(netns).keys() == {"phones2", "phon"}
    assert by_nft(netns).keys() == {"phones", "phon"}
    with inside(netns), pytest.raises(ValueError, match="must name"):
        TimeoutSubsystem().delete("")


def test_a_table_that_another_program_owns_is_left_to_it(netns: str) -> None:
    """As firewalld owns its table. Its owner is the process that made it."""
    with subprocess.Popen(["ip", "netns", "exec", netns, "nft", "-i"], stdin=subprocess.PIPE, text=True) as owner:
        assert owner.stdin
        owner.stdin.write("add table inet owned { flags owner; }\n")
        owner.stdin.flush()
        try:
            wait_until(lambda: "inet owned" in run(["nft", "list", "tables"], netns=netns))
            result = policy(netns, {**PHONES, "nft_table": "inet owned"})
            assert_refused(result, "the table inet owned belongs to another program", "nft add table inet timeouts")
        finally:
            owner.stdin.close()


def test_without_root_and_in_a_namespace_by_name(netns: str) -> None:
    nobody = ("setpriv", "--reuid=65534", "--clear-groups")
    assert_refused(policy(netns, PHONES, wrapper=nobody), "need root", "become: true")
    done = run_module("conntrack_timeout_policy", {**PHONES, "netns": netns})
    assert done.data["changed"] is True
    assert by_nfct(netns).keys() == {"phones"}


def test_a_table_that_goes_while_its_object_is_made(netns: str) -> None:
    """A batch is done as a whole or not at all, and the error says which step was refused."""
    with inside(netns):
        objects = ObjectsOfTable(Table("inet", "gone"))
        wanted = TimeoutSubsystem()
        policy(netns, PHONES)
        found = wanted.find("phones")
        assert found is not None
        with pytest.raises(Exception, match="refused to change the object phones: No such file"):
            objects.change(found)
        assert objects.find("phones") is None


def test_idle_knows_the_timeout_that_a_policy_gave_until_it_was_changed(router: Router) -> None:
    """An entry with ten minutes left is no idle one because its policy gives an hour now."""
    policy(router.netns, {**PHONES, "timeouts": {"unreplied": 600}})
    run(ATTACH["iptables-nft"].split(), netns=router.netns)
    send(router, next(_PORTS))
    policy(router.netns, {**PHONES, "timeouts": {"unreplied": "1h"}})
    with inside(router.netns):
        assert [listed.timeouts["udp_timeout"] for listed in list_policies()] == [3600]
    result = run_module("conntrack_info", {"match": "protocol=udp", "entries": True}, netns=router.netns)
    [entry] = result.data["entries"]
    assert 500 < entry["remaining"] <= 600
    assert entry["idle"] < 60


@WHERE
def test_idle_and_shortened_timeouts_know_the_policies_that_were_made(netns: str, where: dict[str, t.Any]) -> None:
    policy(netns, {**PHONES, **where})
    with inside(netns):
        [found] = list_policies()
    assert isinstance(found, Policy)
    assert found.timeouts == {"udp_timeout": 30, "udp_timeout_stream": 3600}
