# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Situations that operators have reported, rebuilt with real packets, each next to others of its kind.

A router that forgot its connections, a timeout that was raised, a reset inside the window, zones of one direction,
rules with timeouts of their own, a listener that does not read, and counters that somebody zeroed.
"""

from __future__ import annotations

import pathlib
import re
import socket
import subprocess
import sys
import time
import typing as t

import pytest
from helpers import packets
from helpers.connections import CLIENT_PORT, SERVER_PORT, WITH_POLICY, Connection
from helpers.deaf_listener import deaf_listener
from helpers.packet_injection import Router, injected_router
from helpers.support import CHECKOUT, read_yaml, run, run_module, wait_until
from helpers.timeout_policies import POLICIES, give_policies
from jinja2.nativetypes import NativeEnvironment

IPV4, IPV6 = socket.AF_INET, socket.AF_INET6
FAMILIES = pytest.mark.parametrize("family", [IPV4, IPV6], ids=["ipv4", "ipv6"])
PORTS = (CLIENT_PORT, SERVER_PORT)
BEFORE, AFTER = 54_000, 432_000
"""The seconds of tcp_timeout_established before and after it is raised."""


@pytest.fixture
def router() -> t.Iterator[Router]:
    with injected_router("case") as made:
        yield made


def module(router: Router, name: str, args: dict[str, t.Any], **options: t.Any) -> dict[str, t.Any]:
    """Run a module on the router, which must succeed, and return its result."""
    result = run_module(name, args, netns=router.netns, **options)
    assert not result.failed, result.msg
    return result.data


def would_delete(router: Router, **args: t.Any) -> int:
    """Return how many entries a prune would delete."""
    return int(module(router, "conntrack_prune", args, check=True)["would_delete"])


def entries(router: Router, **args: t.Any) -> dict[str, dict[str, t.Any]]:
    """Return the entries that the module selects, by the address of the client."""
    result = module(router, "conntrack_info", {"entries": True, "limit": 10_000, **args})
    return {entry["source"]: entry for entry in result["entries"]}


def facts(router: Router) -> dict[str, t.Any]:
    """Return what the facts say of the table."""
    gathered = module(router, "conntrack_facts", {"gather_subset": ["table"]})["ansible_facts"]
    return t.cast("dict[str, t.Any]", gathered["conntrack"]["table"])


def set_by_us(router: Router, **settings: int) -> None:
    module(router, "conntrack_settings", {"settings": settings, "persist": False})


def made(router: Router, kind: str, family: int, number: int, *, policy: bool = False) -> Connection:
    """Return a connection of which the packets that make it have been sent."""
    connection = Connection(kind, family, number, policy=policy)
    connection.make(router)
    return connection


def seconds_left(router: Router) -> dict[str, int]:
    """Return what remains of each entry by its source, as conntrack(8) lists them."""
    lines = [
        line
        for family in ("ipv4", "ipv6")
        for line in run(["conntrack", "-L", "-f", family], netns=router.netns).splitlines()
    ]
    return {t.cast("re.Match[str]", re.search(r"src=(\S+)", line))[1]: int(line.split()[2]) for line in lines}


RENEWED_BY_NO_PACKET = ("SYN_SENT",)
"""States in which the same packet may have come again at any time, without a trace."""


def assert_right(router: Router, *connections: Connection) -> None:
    """Compare idle and age of each connection's entry with the clock of the one who sent its packets."""
    started = time.monotonic()
    found = entries(router)
    ended = time.monotonic()
    for connection in connections:
        entry = found[connection.client]
        told = f"{connection.kind}: {entry}"
        idle, age = entry["idle"], entry["age"]
        assert idle is not None, told
        assert idle <= ended - connection.last, told
        assert idle >= int(started - connection.last_after) - 2 or entry["state"] in RENEWED_BY_NO_PACKET, told
        assert age is not None, told
        assert idle <= age + 1, told
        assert int(started - connection.born_after) - 1 <= age <= ended - connection.born + 1, told


# A router that forgot its connections sees one keepalive, or one acknowledgement, of a connection that is dead.

ALIVE_AND_DEAD: dict[str, tuple[int, dict[str, t.Any], bool]] = {
    "plain": (IPV4, {}, True),
    "Linux": (IPV4, {"options": packets.TIMESTAMPS}, True),
    "Linux with SACK": (IPV4, {"options": packets.TIMESTAMPS + packets.SACK}, True),
    "Windows": (IPV4, {"size": 1}, True),
    "plain over IPv6": (IPV6, {}, True),
    "Linux over IPv6": (IPV6, {"options": packets.TIMESTAMPS}, True),
    "Linux with SACK over IPv6": (IPV6, {"options": packets.TIMESTAMPS + packets.SACK}, True),
    "Windows over IPv6": (IPV6, {"size": 1}, True),
    "data": (IPV4, {"size": 100, "options": packets.TIMESTAMPS}, False),
    "data over IPv6": (IPV6, {"size": 100, "options": packets.TIMESTAMPS}, False),
}
"""Single segments that a router without a memory sees: the family, the segment, and whether its entry is stale."""

OTHER_KINDS = ("tcp one way", "tcp established", "tcp picked up", "tcp syn_sent", "tcp close", "udp unreplied")
"""Kinds of which no entry is stale. Those of one way get a second packet."""


def test_a_lone_acknowledgement_is_stale_whatever_its_options(router: Router) -> None:
    stale = set()
    for number, (family, segment, is_stale) in enumerate(ALIVE_AND_DEAD.values(), start=1):
        connection = Connection("tcp one keepalive", family, number)
        payload = packets.tcp(PORTS, "A", 1000, 2000, **segment)
        router.send(connection.client, connection.server, socket.IPPROTO_TCP, payload)
        if is_stale:
            stale.add(connection.client)
    for number, kind in enumerate(OTHER_KINDS, start=100):
        for family in (IPV4, IPV6):
            connection = made(router, kind, family, number)
            if kind == "tcp one way":
                connection.go_on(router)
    assert router.invalid() == 0
    assert len(seconds_left(router)) == len(ALIVE_AND_DEAD) + 2 * len(OTHER_KINDS)
    assert set(entries(router, select=["stale"])) == stale
    assert would_delete(router, select=["stale"]) == len(stale)
    assert would_delete(router, **role_selection()) == len(stale)
    before = seconds_left(router)
    assert module(router, "conntrack_prune", role_selection())["deleted"] == len(stale)
    after = seconds_left(router)
    assert not stale & after.keys()
    # The kernel itself ends some kinds after ten seconds.
    assert after.keys() >= {client for client, seconds in before.items() if seconds > 30} - stale


def role_selection() -> dict[str, t.Any]:
    """Return what the role selects by default, as options of the module."""
    defaults = read_yaml(CHECKOUT / "roles/conntrack_prune/defaults/main.yml")
    select = NativeEnvironment().from_string(defaults["conntrack_prune_select"])
    options = {
        "select": select.render(conntrack_prune_match=defaults["conntrack_prune_match"]),
        "match": defaults["conntrack_prune_match"],
        "exclude": defaults["conntrack_prune_exclude"],
    }
    return {name: value for name, value in options.items() if value}


def test_the_role_prunes_by_name() -> None:
    assert role_selection() == {"select": ["stale"]}


KEEPALIVES = """
import socket, sys, time
TCP_REPAIR, TCP_REPAIR_OFF_NO_WP, TCP_REPAIR_OPTIONS, TCPOPT_TIMESTAMP = 19, -1, 22, 8
kept = []
for family, address in (socket.AF_INET, "203.0.113.2"), (socket.AF_INET6, "2001:db8:2::2"):
    connection = socket.socket(family)
    # The connection is there without a handshake, as after a reboot of the router.
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    connection.bind(("", 7000))
    connection.connect((address, 7000))
    timestamps = TCPOPT_TIMESTAMP.to_bytes(4, sys.byteorder) + bytes(4)
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_OPTIONS, timestamps)
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 60)
    kept.append(connection)
print("ready", flush=True)
time.sleep(60)
"""


def test_a_keepalive_of_this_kernel_is_stale(router: Router) -> None:
    client = ["ip", "netns", "exec", router.outside, sys.executable, "-c", KEEPALIVES]
    with subprocess.Popen(client, stdout=subprocess.PIPE) as sender:
        try:
            assert sender.stdout
            assert sender.stdout.readline() == b"ready\n"
            wait_until(lambda: len(entries(router, match=[{"protocol": "tcp"}])) == 2)
            found = entries(router, match=[{"protocol": "tcp", "bytes_original": {"min": 41}}])
            assert {entry["family"]: entry["bytes_original"] for entry in found.values()} == {"ipv4": 52, "ipv6": 72}
            assert would_delete(router, select=["stale"]) == 2
        finally:
            sender.kill()


# A timeout is raised, and every live connection looks idle for days until its next packet.


@FAMILIES
def test_a_timeout_that_others_raise_makes_nobody_idle(router: Router, family: int) -> None:
    router.set(tcp_timeout_established=BEFORE)
    made(router, "tcp established", family, 1)
    router.set(tcp_timeout_established=AFTER)
    assert would_delete(router, match=[{"protocol": "tcp", "idle": {"min": "12h"}}]) == 0
    (entry,) = entries(router).values()
    assert entry["idle"] is None or entry["idle"] <= entry["age"] + 1


def raise_by_settings(router: Router, _etc: pathlib.Path) -> None:
    set_by_us(router, tcp_timeout_established=AFTER)


def raise_by_another_namespace_option(router: Router, _etc: pathlib.Path) -> None:
    args = {"settings": {"tcp_timeout_established": "5d"}, "persist": False, "netns": router.netns}
    assert not run_module("conntrack_settings", args).failed


def raise_by_state_absent(router: Router, etc: pathlib.Path) -> None:
    with_files(router, etc, {"state": "absent"})


def raise_by_rolling_back(router: Router, _etc: pathlib.Path) -> None:
    """Let a change that nobody confirms be rolled back, to what was there before it was raised and lowered."""
    set_by_us(router, tcp_timeout_established=AFTER)
    args = {"settings": {"tcp_timeout_established": BEFORE}, "persist": False, "confirm_within": "1s"}
    module(router, "conntrack_settings", args)
    wait_until(lambda: established_timeout(router) == AFTER)


def with_files(router: Router, etc: pathlib.Path, args: dict[str, t.Any]) -> None:
    """Run conntrack_settings with an /etc of its own, where nf_conntrack is no module."""
    for name in ("sysctl.d", "modules-load.d", "modprobe.d"):
        (etc / name).mkdir(parents=True, exist_ok=True)
    built_in = "test ! -e /proc/modules || mount --bind /dev/null /proc/modules"
    script = f'mount --make-rprivate /; {built_in}; mount --bind {etc} /etc; exec "$@"'
    module(router, "conntrack_settings", args, wrapper=["unshare", "--mount", "sh", "-ec", script, "sh"])


def established_timeout(router: Router) -> int:
    name = "net.netfilter.nf_conntrack_tcp_timeout_established"
    return int(run(["sysctl", "-n", name], netns=router.netns))


@pytest.mark.parametrize(
    "raise_it",
    [raise_by_settings, raise_by_another_namespace_option, raise_by_state_absent, raise_by_rolling_back],
)
def test_a_timeout_that_we_raise_is_known(
    router: Router, tmp_path: pathlib.Path, raise_it: t.Callable[[Router, pathlib.Path], None]
) -> None:
    with_files(router, tmp_path / "etc", {"settings": {"tcp_timeout_established": BEFORE}})
    old = [made(router, "tcp established", family, 1) for family in (IPV4, IPV6)]
    woken = made(router, "tcp keepalives", IPV4, 2)
    time.sleep(2.5)
    raise_it(router, tmp_path / "etc")
    assert established_timeout(router) == AFTER
    woken.go_on(router)
    woken.go_on(router)
    new = made(router, "tcp established", IPV4, 3)
    assert would_delete(router, match=[{"protocol": "tcp", "idle": {"min": "12h"}}]) == 0
    assert_right(router, *old, woken, new)


RAISED = {
    "udp unreplied": {"udp_timeout": 200},
    "udp one answer": {"udp_timeout": 200},
    "udplite replied": {"udp_timeout_stream": 900},
    "icmp": {"icmp_timeout": 200},
    "icmpv6 replied": {"icmpv6_timeout": 200},
    "gre": {"gre_timeout": 200},
    "gre replied": {"gre_timeout_stream": 900},
    "dccp": {"generic_timeout": 900},
    "esp replied": {"generic_timeout": 900},
    "sctp established": {"sctp_timeout_established": 900},
    "tcp syn_sent": {"tcp_timeout_syn_sent": 200},
    "tcp close_wait": {"tcp_timeout_close_wait": 200},
    "tcp time_wait": {"tcp_timeout_time_wait": 200},
    "tcp one keepalive": {"tcp_timeout_unacknowledged": 900, "tcp_timeout_max_retrans": 900},
    "tcp unacknowledged": {"tcp_timeout_unacknowledged": 900, "tcp_timeout_max_retrans": 900},
}
"""Kinds, and what raises the timeout that governs them."""


def test_a_timeout_of_any_protocol_that_we_raise_is_known(router: Router) -> None:
    """Entries of GRE keep the timeouts of their birth, also over the packets that follow."""
    connections = [
        made(router, kind, IPV6 if kind.startswith("icmpv6") else IPV4, number)
        for number, kind in enumerate(RAISED, start=1)
    ]
    time.sleep(2.5)
    set_by_us(router, **{name: value for settings in RAISED.values() for name, value in settings.items()})
    assert_right(router, *connections)
    of_gre = [connection for connection in connections if connection.kind.startswith("gre")]
    assert of_gre
    for connection in of_gre:
        connection.go_on(router)
    assert_right(router, *of_gre)


# A reset inside the window, but not at the exact sequence number, leaves ESTABLISHED with the timeout of CLOSE.


@FAMILIES
def test_a_reset_in_the_window_makes_nobody_idle(router: Router, family: int) -> None:
    by_client = made(router, "tcp reset in window", family, 1)
    by_server = made(router, "tcp established", family, 2)
    by_server.send(router, "server R 100")
    later = made(router, "tcp after such a reset", family, 3)
    time.sleep(2)
    selector = {"protocol": "tcp", "state": "ESTABLISHED", "idle": {"min": "2m"}}
    assert would_delete(router, match=[selector]) == 0
    assert_right(router, by_client, by_server, later)
    assert router.invalid() == 0


def test_a_reset_in_the_window_of_a_rule_or_a_raised_timeout(router: Router) -> None:
    """The timeout of CLOSE is 35 s by a rule for one connection, and raised from 10 s between the two others."""
    policies = [policy for policy in POLICIES if (policy.family, policy.protocol) == ("ipv4", socket.IPPROTO_TCP)]
    give_policies(router.netns, policies, {"ipv4": WITH_POLICY[IPV4]})
    connections = [made(router, "tcp reset in window", IPV4, 1, policy=True)]
    connections.append(made(router, "tcp reset in window", IPV4, 2))
    set_by_us(router, tcp_timeout_close=40)
    connections.append(made(router, "tcp reset in window", IPV4, 3))
    time.sleep(2)
    found = entries(router)
    for connection in connections:
        # Which of the timeouts it is cannot be known, so idle may be too low, but not too high.
        entry = found[connection.client]
        assert entry["idle"] is not None
        assert entry["idle"] <= time.monotonic() - connection.last


# Zones of one direction, as for VRFs.

ZONES = """
table inet zones {{
  chain early {{
    type filter hook prerouting priority raw
    iifname "inside" {}
  }}
}}
"""


@FAMILIES
@pytest.mark.parametrize("direction", ["original", "reply"])
def test_a_zone_of_one_direction_is_a_zone(router: Router, family: int, direction: str) -> None:
    run(["nft", "-f", "-"], netns=router.netns, text=ZONES.format(f"ct {direction} zone set 110"))
    for number in (1, 2):
        made(router, "udp unreplied", family, number)
    other = {"original": "reply", "reply": "original"}[direction]
    option = {"original": "--orig-zone", "reply": "--reply-zone"}[direction]
    assert len(run(["conntrack", "-L", "-f", str_of(family), option, "110"], netns=router.netns).splitlines()) == 2
    grouped = module(router, "conntrack_info", {"group_by": ["zone"]})
    assert [(group["zone"], group["entries"]) for group in grouped["groups"]] == [(110, 2)]
    for entry in entries(router).values():
        assert (entry["zone"], entry[f"zone_{direction}"], entry[f"zone_{other}"]) == (110, 110, None)
    table = facts(router)
    assert table["zones"] == table[f"zones_{direction}"] == {"110": 2}
    assert table[f"zones_{other}"] == {}
    for key, count in (("zone", 2), (f"zone_{direction}", 2), (f"zone_{other}", 0)):
        assert would_delete(router, match=[{key: 110}]) == count
    assert would_delete(router, match=[{"zone": 0}]) == 0


def str_of(family: int) -> str:
    return "ipv4" if family == IPV4 else "ipv6"


def test_a_zone_of_both_directions_is_none_of_one(router: Router) -> None:
    run(["nft", "-f", "-"], netns=router.netns, text=ZONES.format("ct zone set 130"))
    made(router, "udp unreplied", IPV4, 1)
    table = facts(router)
    assert (table["zones"], table["zones_original"], table["zones_reply"]) == ({"130": 1}, {}, {})
    found = [would_delete(router, match=[{key: 130}]) for key in ("zone", "zone_original", "zone_reply")]
    assert found == [1, 0, 0]


# Rules and programs give entries timeouts of their own, to which a lower sysctl has no claim.


def insert(router: Router, connection: Connection, seconds: int, *more: str) -> None:
    """Put an entry in as a program does that keeps static ones."""
    ends = f"-s {connection.client} -d {connection.server} --sport {CLIENT_PORT} --dport {SERVER_PORT}"
    protocol = connection.kind.split()[0]
    run(["conntrack", "-I", "-p", protocol, *ends.split(), "-t", str(seconds), *more], netns=router.netns)


def test_a_lower_timeout_takes_only_what_is_governed_by_it(router: Router) -> None:
    give_policies(router.netns, POLICIES, {"ipv4": WITH_POLICY[IPV4], "ipv6": WITH_POLICY[IPV6]})
    phone = made(router, "udp replied", IPV4, 1, policy=True)
    ruled = made(router, "tcp established", IPV6, 2, policy=True)
    governed = [made(router, "tcp established", family, 3) for family in (IPV4, IPV6)]
    generic = made(router, "esp", IPV4, 4)
    of_another_protocol = made(router, "udp one answer", IPV4, 5)
    static, far_too_long = Connection("udp inserted", IPV4, 6), Connection("tcp inserted", IPV4, 7)
    insert(router, static, 3600)
    insert(router, far_too_long, 1_000_000, "--state", "ESTABLISHED", "-u", "SEEN_REPLY,ASSURED")
    # Only after two seconds it counts as a stream, which the rule gives an hour.
    time.sleep(2.1)
    phone.go_on(router)
    before = seconds_left(router)
    assert before[phone.client] > 3590
    settings = {"tcp_timeout_established": BEFORE, "generic_timeout": 120}
    set_by_us(router, **settings)
    args = {"timeout": {"settings": settings}, "unprotect": ["esp"]}
    rehearsed = module(router, "conntrack_update", args, check=True)
    result = module(router, "conntrack_update", args)
    assert (rehearsed["would_update"], result["updated"]) == (3, 3)
    after = seconds_left(router)
    for connection in (phone, ruled, of_another_protocol, static, far_too_long):
        assert after[connection.client] > before[connection.client] - 15, connection.kind
    assert after[phone.client] > 3500
    for connection in governed:
        assert BEFORE - 15 < after[connection.client] <= BEFORE
    assert 105 < after[generic.client] <= 120


@pytest.mark.parametrize("rule", [False, True])
def test_a_lower_timeout_of_the_same_protocol_spares_a_rule_and_a_program(router: Router, rule: bool) -> None:
    """Here the very sysctl is lowered that would govern the phone and the static entry."""
    if rule:
        give_policies(router.netns, POLICIES, {"ipv4": WITH_POLICY[IPV4], "ipv6": WITH_POLICY[IPV6]})
    phone = made(router, "udp replied", IPV4, 1, policy=True)
    stream = made(router, "udp replied", IPV4, 2)
    static = Connection("udp inserted", IPV4, 3)
    insert(router, static, 3600, "-u", "SEEN_REPLY,ASSURED")
    time.sleep(2.1)
    phone.go_on(router)
    stream.go_on(router)
    settings = {"udp_timeout_stream": 60}
    set_by_us(router, **settings)
    module(router, "conntrack_update", {"timeout": {"settings": settings}})
    after = seconds_left(router)
    assert after[static.client] > 3500
    if rule:
        # The other stream may have its two minutes from the rule, too, as far as anybody can tell.
        assert after[phone.client] > 3500
    else:
        assert max(after[phone.client], after[stream.client]) <= 60


# A listener that asked for reliable events and does not read keeps deleted entries in the kernel.

FLOWS = 2000


def counted(router: Router) -> int:
    return int(run(["conntrack", "-C"], netns=router.netns))


def test_entries_that_are_counted_and_not_listed_are_told(router: Router) -> None:
    # The kernel tells nobody of the end of entries that are older than the first listener.
    with deaf_listener(router.netns):
        for number in range(1, FLOWS + 1):
            made(router, "udp unreplied", IPV4 if number % 2 else IPV6, number)
        quiet = facts(router)
        assert (quiet["entries"], quiet["not_listed"]) == (FLOWS, 0)
        pruned = module(router, "conntrack_prune", {"match": [{"protocol": "udp"}]})
        assert pruned["deleted"] == FLOWS
        assert counted(router) > FLOWS * 0.9
        table = facts(router)
        assert table["entries"] == 0
        assert counted(router) <= table["not_listed"] <= FLOWS
        again = module(router, "conntrack_prune", {"match": [{"protocol": "udp"}]})
        assert (again["would_delete"], again["not_listed"]) == (0, table["not_listed"])
        update = {"match": [{"protocol": "udp"}], "timeout": {"max": 60}}
        assert module(router, "conntrack_update", update)["not_listed"] == table["not_listed"]
    wait_until(lambda: counted(router) == 0)
    assert facts(router)["not_listed"] == 0


# Somebody zeroed the counters, or put entries in, which then count from 0 though the connection is in use.


@FAMILIES
def test_zeroed_counters_make_nobody_stale(router: Router, family: int) -> None:
    in_use = made(router, "tcp one way", family, 1)
    for _packet in range(49):
        in_use.go_on(router)
    answered = made(router, "tcp established", family, 2)
    lone = made(router, "tcp one keepalive", family, 3)
    static = Connection("tcp inserted", family, 4)
    insert(router, static, 3600, "--state", "ESTABLISHED")
    assert set(entries(router, select=["stale"])) == {lone.client}
    run(["conntrack", "-L", "-z", "-f", str_of(family)], netns=router.netns)
    found = entries(router, match=[{"state": "ESTABLISHED"}])
    assert {entry["packets_original"] for entry in found.values()} == {0}
    assert would_delete(router, select=["stale"]) == 0
    assert would_delete(router, **role_selection()) == 0
    in_use.go_on(router)
    answered.go_on(router)
    assert entries(router)[in_use.client]["packets_original"] == 1
    assert would_delete(router, select=["stale"]) == 0
