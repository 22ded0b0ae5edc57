# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries that are looked at twice before they are deleted: those that saw a packet in between stay."""

from __future__ import annotations

import contextlib
import re
import socket
import time
import types
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes import prune as prune_module
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.guards import Guards
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune import prune
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import (
    PrunePlan,
    parse_limit,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_survey import PruneSurvey
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, InterruptedDumpError
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table import dump
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import WritableTable
from helpers.support import ModuleResult, network_namespace, run, run_module

WAIT = 4
"""Long enough for packets every second to move the time of expiry by more than the doubt of two looks."""

UDP_ENTRY = "-p udp -s 198.51.100.2 -d 203.0.113.9 --sport {} --dport 53"

_FORWARDING = """
table inet tracking {
  chain forward { type filter hook forward priority 0; ct state new counter; }
}
"""


class Router(t.NamedTuple):
    """The names of three network namespaces, of which the one in the middle forwards and tracks."""

    client: str
    router: str
    server: str

    def configure(self, **settings: int) -> None:
        """Set settings of connection tracking, by their short names."""
        words = [f"net.netfilter.nf_conntrack_{name}={value}" for name, value in settings.items()]
        run(["sysctl", "-qw", *words], netns=self.router)

    def table(self) -> set[str]:
        """Return the entries as conntrack(8) lists them, of both families."""
        families = ("ipv4", "ipv6")
        return {
            line
            for family in families
            for line in run(["conntrack", "-L", "-f", family], netns=self.router).splitlines()
        }

    def ports(self) -> set[int]:
        """Return the source port of every entry."""
        return {int(port) for line in self.table() for port in re.findall(r" sport=(\d+)", line)[:1]}

    def prune(self, *match: dict[str, t.Any], check: bool = False, **args: t.Any) -> ModuleResult:
        """Run the module on the router. It must succeed, and its counts must add up."""
        options = {
            "match": list(match),
            "confirm_idle": f"{WAIT}s",
            "protect_management": False,
            "entries": True,
            **args,
        }
        result = run_module("conntrack_prune", options, netns=self.router, check=check)
        assert not result.failed, result.msg
        assert_adds_up(result.data, check)
        return result

    def insert(self, *entries: str) -> None:
        """Make entries, each given as conntrack(8) options; they stay for 1000 seconds."""
        text = "".join(f"-I {entry} -t 1000\n" for entry in entries)
        run(["conntrack", "-R", "-"], netns=self.router, text=text)


def assert_adds_up(result: dict[str, t.Any], check: bool) -> None:
    """Each matched entry is counted once."""
    done = ("would_delete",) if check else ("deleted", "not_deleted")
    parts = [result[name] or 0 for name in ("protected", "woken", "already_gone", *done)]
    assert sum(parts) == result["matched"]


@pytest.fixture
def net() -> t.Iterator[Router]:
    """A client and a server with a router in between, over IPv4 and IPv6."""
    with contextlib.ExitStack() as stack:
        names = Router(*(stack.enter_context(network_namespace(name, tracking=False)) for name in Router._fields))
        for end, number in ((names.client, 100), (names.server, 200)):
            far = "to-client" if end == names.client else "to-server"
            run(["ip", "link", "add", "near", "netns", end, "type", "veth", "peer", "name", far, "netns", names.router])
            for netns, device, host in ((end, "near", 2), (names.router, far, 1)):
                run(["ip", "address", "add", f"192.0.{number}.{host}/24", "dev", device], netns=netns)
                run(["ip", "address", "add", f"2001:db8:{number}::{host}/64", "dev", device, "nodad"], netns=netns)
                run(["ip", "link", "set", device, "up"], netns=netns)
            run(["ip", "route", "add", "default", "via", f"192.0.{number}.1"], netns=end)
            run(["ip", "-6", "route", "add", "default", "via", f"2001:db8:{number}::1"], netns=end)
        run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"], netns=names.router)
        run(["nft", "-f", "-"], netns=names.router, text=_FORWARDING)
        names.configure(acct=1)
        yield names


@contextlib.contextmanager
def connection(net: Router, family: int = socket.AF_INET, keepalive: int = 0) -> t.Iterator[int]:
    """Open a TCP connection through the router and give its source port; keepalives every so many seconds."""
    address = "192.0.200.2" if family == socket.AF_INET else "2001:db8:200::2"
    with contextlib.ExitStack() as stack:
        with inside(net.server):
            listener = stack.enter_context(socket.create_server((address, 0), family=family))
        with inside(net.client):
            client = stack.enter_context(socket.socket(family))
        if keepalive:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, keepalive)
        for each in (listener, client):
            each.settimeout(5)
        client.connect(listener.getsockname()[:2])
        server, _peer = listener.accept()
        stack.enter_context(server)
        client.sendall(b"question")
        server.recv(8)
        server.sendall(b"answer")
        client.recv(6)
        # The last acknowledgement may be late, and it is a packet too.
        time.sleep(0.3)
        yield client.getsockname()[1]
        client.sendall(b"still there")


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("switches", [{"timestamp": 0}, {"timestamp": 1}, {"acct": 0}], ids=str)
def test_a_live_connection_survives_a_timeout_that_was_raised(
    net: Router, family: int, switches: dict[str, int]
) -> None:
    """Until its next packet it looks as if it had been idle for days. A dead one that looks the same goes."""
    net.configure(tcp_timeout_established=54_000, **switches)
    with connection(net, family, keepalive=1) as live, connection(net, family) as other:
        dead = "2001:db8:100::2" if family == socket.AF_INET6 else "192.0.100.2"
        ends = f"-s {dead} -d {dead[:-1]}9 --sport 4000 --dport 80"
        run(
            ["conntrack", "-I", "-p", "tcp", *ends.split(), "--state", "ESTABLISHED", "-t", "54000"],
            netns=net.router,
        )
        net.configure(tcp_timeout_established=432_000)
        # It takes its keepalive to get the new timeout.
        selector = {"protocol": "tcp", "state": "ESTABLISHED"}
        predicted = net.prune(selector, check=True)
        assert net.ports() == {live, other, 4000}
        result = net.prune(selector)
        assert net.ports() == {live}
        for each in (predicted, result):
            counts = [each.data[name] for name in ("matched", "woken", "would_delete", "already_gone")]
            assert counts == [3, 1, 2, 0]
            assert {entry["source_port"] for entry in each.data["sample"]} == {other, 4000}
        assert (predicted.data["deleted"], result.data["deleted"]) == (0, 2)
        # The entry of this one is gone; its next packet makes another.
        assert "SYN" not in "".join(net.table())


def test_datagrams_wake_their_entry(net: Router) -> None:
    with contextlib.ExitStack() as stack:
        with inside(net.client):
            senders = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _number in range(3)]
        for sender in senders:
            sender.sendto(b"q", ("192.0.200.2", 53))
        busy = senders[0].getsockname()[1]
        silent = {sender.getsockname()[1] for sender in senders[1:]}
        assert net.ports() == {busy, *silent}
        with in_the_wait(lambda: senders[0].sendto(b"q", ("192.0.200.2", 53))):
            result = pruned(net, {"protocol": "udp"})
        assert net.ports() == {busy}
        assert [result[name] for name in ("matched", "woken", "deleted")] == [3, 1, 2]


@contextlib.contextmanager
def in_the_wait(action: t.Callable[[], object]) -> t.Iterator[None]:
    """Have ``action`` done instead of the wait between both looks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prune_module, "time", types.SimpleNamespace(sleep=lambda _seconds: action()))
        yield


def plan_of(selector: dict[str, t.Any]) -> PrunePlan:
    context = Context(read_settings(), time.time_ns())
    selection = compile_selection([selector], None, context)
    return PrunePlan(selection, Guards((), helpers=True), context, sample=5, whole=True, confirm_idle=30)


def pruned(net: Router, selector: dict[str, t.Any], limit: str | None = None, check: bool = False) -> dict[str, t.Any]:
    """Prune in this process, and give the result; its numbers must add up."""
    with inside(net.router), WritableTable() as table:
        result = prune(table, plan_of(selector), parse_limit(limit), check).result(table.count(), with_diff=True)
    assert_adds_up(result, check)
    return result


@pytest.mark.parametrize("switch", [0, 1])
def test_entries_without_packets_all_go(net: Router, switch: int) -> None:
    net.configure(acct=switch)
    six = UDP_ENTRY.replace("198.51.100.2", "2001:db8::1").replace("203.0.113.9", "2001:db8::2")
    ports = range(1000, 2500)
    net.insert(*map(UDP_ENTRY.format, ports), *map(six.format, ports))
    result = net.prune({"protocol": "udp"})
    assert [result.data[name] for name in ("matched", "woken", "deleted", "already_gone")] == [3000, 0, 3000, 0]
    assert net.table() == set()


@pytest.mark.parametrize("switch", [0, 1])
def test_a_slow_reading_wakes_nothing(net: Router, switch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the reading takes seconds, each entry is held against the time at which it was read itself."""
    net.configure(acct=switch)
    net.insert(*map(UDP_ENTRY.format, range(1000, 4000)))
    monkeypatch.setattr(dump, "_CHUNK_BYTES", 1 << 15)
    monkeypatch.setattr(dump, "_BLOCK_BYTES", 1)
    sort_out = PruneSurvey.sort_out
    begun = time.monotonic()

    def slowly(self: PruneSurvey, block: Block) -> t.Any:
        time.sleep(0.5)
        return sort_out(self, block)

    with in_the_wait(lambda: None):
        monkeypatch.setattr(PruneSurvey, "sort_out", slowly)
        result = pruned(net, {"protocol": "udp"})
    assert time.monotonic() - begun > 3
    assert (result["woken"], result["deleted"]) == (0, 3000)


def test_a_reading_that_broke_off_is_forgotten(net: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    net.insert(*map(UDP_ENTRY.format, range(1000, 4000)))
    monkeypatch.setattr(dump, "_CHUNK_BYTES", 1 << 15)
    monkeypatch.setattr(dump, "_BLOCK_BYTES", 1)
    whole = dump.blocks
    broken: list[bool] = []

    def blocks(*args: t.Any, **named: t.Any) -> t.Iterator[Block]:
        for number, block in enumerate(whole(*args, **named)):
            if number == 3 and not broken:
                broken.append(True)
                # The next reading is three seconds later, and begins with the same entries.
                time.sleep(3)
                raise InterruptedDumpError("in the middle")
            yield block

    monkeypatch.setattr(dump, "blocks", blocks)
    with in_the_wait(lambda: None):
        result = pruned(net, {"protocol": "udp"})
    assert broken
    assert [result[name] for name in ("matched", "woken", "deleted", "count_before")] == [3000, 0, 3000, 3000]


@pytest.mark.parametrize("switch", [0, 1])
@pytest.mark.parametrize("seconds", ["990", "1003", "5000", "10"])
def test_an_expiry_that_moved_wakes(net: Router, switch: int, seconds: str) -> None:
    """Later or earlier, whatever moved it."""
    net.configure(acct=switch)
    net.insert(*map(UDP_ENTRY.format, range(1000, 1200)))
    moved = ["conntrack", "-U", *UDP_ENTRY.format(1100).split(), "-t", seconds]
    with in_the_wait(lambda: run(moved, netns=net.router)):
        result = pruned(net, {"protocol": "udp"})
    assert net.ports() == {1100}
    assert (result["woken"], result["deleted"]) == (1, 199)


@pytest.mark.parametrize(
    ("entry", "change"),
    [
        ("-p tcp -s 198.51.100.2 -d 203.0.113.9 --sport 1 --dport 80 --state SYN_RECV", "--state ESTABLISHED"),
        ("-p udp -s 198.51.100.2 -d 203.0.113.9 --sport 1 --dport 80", "-u SEEN_REPLY"),
    ],
)
def test_another_state_or_status_wakes(net: Router, entry: str, change: str) -> None:
    net.insert(entry, entry.replace("--sport 1", "--sport 2"))
    ends = entry.partition(" --state")[0].split()
    with in_the_wait(lambda: run(["conntrack", "-U", *ends, *change.split()], netns=net.router)):
        result = pruned(net, {"family": "ipv4"})
    assert net.ports() == {1}
    assert (result["woken"], result["deleted"]) == (1, 1)


def test_the_same_tuple_in_another_zone_sleeps_on(net: Router) -> None:
    entry = UDP_ENTRY.format(53)
    net.insert(entry, f"{entry} -w 7", f"{entry} -w 8")
    lowered = {"match": [{"zone": 7}], "timeout": {"max": 500}}
    with in_the_wait(lambda: run_module("conntrack_update", lowered, netns=net.router)):
        result = pruned(net, {"protocol": "udp"})
    (left,) = net.table()
    assert "zone=7" in left
    assert (result["woken"], result["deleted"]) == (1, 2)


@pytest.mark.parametrize("check", [False, True])
def test_what_ends_in_the_wait_is_gone_and_what_takes_its_place_stays(net: Router, check: bool) -> None:
    net.insert(*map(UDP_ENTRY.format, range(1, 101)))

    def happen() -> None:
        for port in ("7", "8"):
            run(["conntrack", "-D", *UDP_ENTRY.format(port).split()], netns=net.router)
        # Where the kernel reuses the memory at once, the new entry has the id of the old one, but not its time.
        run(["conntrack", "-I", *UDP_ENTRY.format(8).split(), "-t", "5000"], netns=net.router)

    with in_the_wait(happen):
        result = pruned(net, {"protocol": "udp"}, check=check)
    assert [result[name] for name in ("matched", "would_delete")] == [100, 98]
    assert (result["woken"], result["already_gone"]) in ((0, 2), (1, 1))
    assert (result["deleted"], result["changed"]) == (0 if check else 98, True)
    assert net.ports() == ({*range(1, 101)} - {7} if check else {8})
    assert result["diff"] == {"before": "100  ipv4 udp unreplied\n", "after": "2  ipv4 udp unreplied\n"}


def test_a_limit_is_held_before_the_wait(net: Router) -> None:
    net.insert(*map(UDP_ENTRY.format, range(1, 11)))
    options = {"match": [{"protocol": "udp"}], "confirm_idle": "10m", "max_delete": 9}
    result = run_module("conntrack_prune", options, netns=net.router, timeout=20)
    assert result.failed
    assert "max_delete" in result.msg
    assert [result.data[name] for name in ("would_delete", "woken", "deleted")] == [10, None, 0]
    assert len(net.ports()) == 10


def test_nothing_selected_is_not_waited_for(net: Router) -> None:
    result = run_module("conntrack_prune", {"match": [{"protocol": "udp"}], "confirm_idle": "10m"}, netns=net.router)
    assert [result.data[name] for name in ("changed", "matched", "woken")] == [False, 0, 0]


@pytest.mark.parametrize(
    ("selector", "woken"), [({"protocol": "udp"}, None), ({"protocol": "udp", "idle": {"min": 0}}, 0)]
)
def test_a_second_look_only_where_a_selector_reads_idle(
    net: Router, selector: dict[str, t.Any], woken: int | None
) -> None:
    net.configure(udp_timeout=1000)
    net.insert(UDP_ENTRY.format(1))
    begun = time.monotonic()
    result = net.prune(selector, confirm_idle_when="idle")
    assert (result.data["deleted"], result.data["woken"]) == (1, woken)
    assert (time.monotonic() - begun > WAIT) is (woken is not None)


@pytest.mark.parametrize("value", ["11m", "601", "-1", "soon", "1.5s", ""])
def test_a_wait_that_is_none(net: Router, value: str) -> None:
    net.insert(UDP_ENTRY.format(1))
    options = {"match": [{"protocol": "udp"}], "confirm_idle": value}
    result = run_module("conntrack_prune", options, netns=net.router)
    assert result.failed
    assert "confirm_idle" in result.msg
    assert repr(value) in result.msg
    assert len(net.ports()) == 1


def test_a_fixed_timeout_tells_nothing_without_counters(net: Router) -> None:
    net.configure(acct=0)
    net.insert(*(f"{UDP_ENTRY.format(port)} -u FIXED_TIMEOUT" for port in (1, 2)))
    net.configure(acct=1)
    net.insert(f"{UDP_ENTRY.format(3)} -u FIXED_TIMEOUT", UDP_ENTRY.format(4))
    with in_the_wait(lambda: None):
        result = pruned(net, {"protocol": "udp"})
    assert net.ports() == {1, 2}
    [kept] = result["kept"]
    assert [kept[key] for key in ("reason", "option", "entries")] == ["fixed_timeout", "confirm_idle: 0", 2]
    assert {entry["source_port"] for entry in kept["sample"]} == {1, 2}
    assert (result["protected"], result["deleted"]) == (2, 2)
    assert net.prune({"protocol": "udp"}, confirm_idle=0).data["deleted"] == 2


@pytest.mark.parametrize("answered", [0, 1, 100])
def test_what_was_deleted_before_an_error_is_told(net: Router, answered: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many batches of 64 the kernel does not answer any more."""
    net.insert(*map(UDP_ENTRY.format, range(1001, 1641)))
    looks = WritableTable.looks

    def cut(self: WritableTable, *args: t.Any) -> t.Any:
        for number, look in enumerate(looks(self, *args)):
            if number == answered:
                raise ConntrackError("No answer.")
            yield look

    monkeypatch.setattr(WritableTable, "looks", cut)
    with in_the_wait(lambda: None):
        if answered == 100:
            assert pruned(net, {"protocol": "udp"})["deleted"] == 640
            return
        with pytest.raises(ConntrackError, match="No answer") as caught:
            pruned(net, {"protocol": "udp"})
    assert caught.value.result == {"changed": answered > 0, "deleted": 64 * answered}
    assert len(net.ports()) == 640 - 64 * answered
