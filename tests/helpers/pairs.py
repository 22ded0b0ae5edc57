# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two routers with a real conntrackd each, a client before them and a server behind them, all of them namespaces.

The active one has the virtual addresses, and translates the client's address. A fail-over does what the script of
conntrackd for keepalived does, in its order.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import subprocess
import sys
import typing as t

from helpers.support import inside, network_namespace, run, wait_until

CLIENT, SERVER = "10.1.0.10", "203.0.113.80"
VIRTUAL = {"lan": "10.1.0.1", "wan": "203.0.113.1"}
"""The addresses that only the active router has, by interface."""

PORT = 7
_SYNC = "192.168.100"
_TRANSLATION = f"""
table ip nat {{
  chain postrouting {{ type nat hook postrouting priority srcnat; oifname "wan" snat to {VIRTUAL["wan"]}; }}
}}
"""
_CONFIGURATION = """
Sync {{
  Mode {mode} {{
    {options}
  }}
  UDP {{
    IPv4_address {sync}.{own}
    IPv4_Destination_Address {sync}.{other}
    Port {port}
    Interface sync
    Checksum on
  }}
}}
General {{
  HashSize 32768
  HashLimit 131072
  LogFile {path}.log
  LockFile {path}.lock
  UNIX {{
    Path {path}.ctl
  }}
  NetlinkBufferSize 2097152
  NetlinkBufferSizeMaxGrowth 8388608
  Filter From Userspace {{
    Address Ignore {{
      IPv4_address 127.0.0.1
      IPv4_address {sync}.1
      IPv4_address {sync}.2
    }}
  }}
}}
"""
_ECHO = """
import socket, threading
def answer(one):
    while True:
        data = one.recv(4096)
        if not data:
            return
        one.sendall(data)
listener = socket.create_server(("", {port}))
print("ready", flush=True)
while True:
    threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
"""
_TALK = """
import socket, sys, time
one = socket.create_connection(("{server}", {port}), timeout=20)
print(one.getsockname()[1], flush=True)
give_up = time.monotonic() + float(sys.argv[1])
said = 0
while time.monotonic() < give_up:
    one.sendall(b"%010d" % said)
    heard = b""
    while len(heard) < 10:
        more = one.recv(10 - len(heard))
        if not more:
            sys.exit("closed after %d" % said)
        heard += more
    said += 1
    time.sleep(0.05)
print(said, flush=True)
"""


class Script(t.NamedTuple):
    """What conntrackd is told on the router that becomes active, and on the one that stands by, in this order."""

    active: tuple[str, ...]
    standby: tuple[str, ...]


KEEPALIVED = Script(("-c", "-f", "-R", "-B"), ("-t", "-n"))
"""primary-backup.sh, which comes with conntrackd."""


@dataclasses.dataclass
class Member:
    """One router of the pair."""

    netns: str
    path: pathlib.Path
    """What its files begin with."""

    def conntrackd(self, *options: str) -> str:
        """Run conntrackd's own client, and return what it prints."""
        return run(["conntrackd", "-C", f"{self.path}.conf", *options], netns=self.netns)

    def conntrack(self, *options: str) -> str:
        return run(["conntrack", *options], netns=self.netns)

    def table(self) -> str:
        """Return the entries that go through the router, in the words of the tool."""
        return self.conntrack("-L", "-o", "extended")

    def take_over(self, script: Script = KEEPALIVED) -> None:
        """Become active: the script, then the virtual addresses."""
        for option in script.active:
            self.conntrackd(option)
        for interface, address in VIRTUAL.items():
            run(["ip", "address", "add", f"{address}/24", "dev", interface], netns=self.netns)

    def stand_by(self, script: Script = KEEPALIVED) -> None:
        """Stop being active, as the script does it for a backup."""
        for interface, address in VIRTUAL.items():
            run(["ip", "address", "del", f"{address}/24", "dev", interface], netns=self.netns)
        for option in script.standby:
            self.conntrackd(option)


@dataclasses.dataclass
class Pair:
    """Both routers, of which ``first`` is active at the beginning, and the two that talk through them."""

    first: Member
    second: Member
    client: str
    server: str

    def fail_over(self, active: Member, standby: Member, script: Script = KEEPALIVED) -> None:
        """Let ``standby`` take the place of ``active``, and let all others know that the addresses have moved."""
        active.stand_by(script)
        standby.take_over(script)
        for end in self.client, self.server:
            run(["ip", "neighbour", "flush", "all"], netns=end)

    @contextlib.contextmanager
    def talking(self, seconds: float) -> t.Iterator[subprocess.Popen[str]]:
        """Keep a connection busy through the pair. It prints its port, and at the end how often it was answered."""
        command = inside(self.client, [sys.executable, "-c", _TALK.format(server=SERVER, port=PORT), str(seconds)])
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.kill()


@contextlib.contextmanager
def pair(directory: pathlib.Path, mode: str = "FTFW", options: str = "", port: int = 3780) -> t.Iterator[Pair]:
    """Make a pair whose conntrackd run in this ``mode`` with these ``options`` of it, over a UDP ``port``.

    It ends with the block.
    """
    with contextlib.ExitStack() as stack:
        make = stack.enter_context
        names = [make(network_namespace(f"pair-{name}", tracking=name in "ab")) for name in ("a", "b", "client")]
        first, second = (Member(netns, directory / which) for which, netns in zip("ab", names))
        both = Pair(first, second, names[2], make(network_namespace("pair-server", tracking=False)))
        switch = make(network_namespace("pair-switch", tracking=False))
        _cable(both, switch)
        for number, member in enumerate((first, second), 1):
            _set_up(member, number, mode, options, port)
            stack.callback(_stop, member)
        first.take_over()
        make(_echoing(both.server))
        yield both


def _cable(both: Pair, switch: str) -> None:
    """Join the client to one side of both routers and the server to the other side, and the routers to each other."""
    for bridge in VIRTUAL:
        run(["ip", "link", "add", bridge, "type", "bridge"], netns=switch)
        run(["ip", "link", "set", bridge, "up"], netns=switch)
    plugs = [(both.client, "lan"), (both.server, "wan")]
    plugs += [(member.netns, side) for member in (both.first, both.second) for side in VIRTUAL]
    for number, (netns, side) in enumerate(plugs):
        run(["ip", "link", "add", side, "netns", netns, "type", "veth", "peer", f"port{number}", "netns", switch])
        run(["ip", "link", "set", f"port{number}", "master", side, "up"], netns=switch)
        run(["ip", "link", "set", side, "up"], netns=netns)
    run(
        [
            "ip",
            "link",
            "add",
            "sync",
            "netns",
            both.first.netns,
            "type",
            "veth",
            "peer",
            "sync",
            "netns",
            both.second.netns,
        ]
    )
    for number, member in enumerate((both.first, both.second), 1):
        run(["ip", "address", "add", f"{_SYNC}.{number}/24", "dev", "sync"], netns=member.netns)
        run(["ip", "link", "set", "sync", "up"], netns=member.netns)
    run(["ip", "address", "add", f"{CLIENT}/24", "dev", "lan"], netns=both.client)
    run(["ip", "route", "add", "default", "via", VIRTUAL["lan"]], netns=both.client)
    run(["ip", "address", "add", f"{SERVER}/24", "dev", "wan"], netns=both.server)


def _set_up(member: Member, number: int, mode: str, options: str, port: int) -> None:
    run(["nft", "-f", "-"], netns=member.netns, text=_TRANSLATION)
    # A connection that is picked up in the middle would get another port, so such packets find no entry.
    run(["sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.netfilter.nf_conntrack_tcp_loose=0"], netns=member.netns)
    configuration = _CONFIGURATION.format(
        mode=mode, options=options, sync=_SYNC, own=number, other=3 - number, path=member.path, port=port
    )
    pathlib.Path(f"{member.path}.conf").write_text(configuration, encoding="utf-8")
    member.conntrackd("-d")
    wait_until(pathlib.Path(f"{member.path}.ctl").exists)


def _stop(member: Member) -> None:
    with contextlib.suppress(AssertionError):
        member.conntrackd("-k")


@contextlib.contextmanager
def _echoing(netns: str) -> t.Iterator[None]:
    """Answer each connection to the server with what it says."""
    command = inside(netns, [sys.executable, "-c", _ECHO.format(port=PORT)])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.kill()
