# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab keeps its promises: what is on its routers, that its checks can fail, and that it leaves nothing."""

from __future__ import annotations

import collections
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import typing as t

import lab
import pytest
from helpers.support import CHECKOUT, PATIENCE, SYSTEM_PYTHON, of_processes, run, wait_until
from processes import NETNS_DIRECTORY, LabError, end_inside, inside
from record import Lab, load
from removal import remains
from stale import KINDS, kind_of, lone_packet
from topology import FLOWS, STALE_DESTINATIONS, STALE_SECONDS, STALE_TIMEOUTS

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for network namespaces")

LAB_PY = (SYSTEM_PYTHON, str(CHECKOUT / "tools" / "lab" / "lab.py"))
MAX = pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_max")
PREFIX, OWN, STALE = "labtest", "labtest2", 200
ENTRIES = {
    "tcp": ["-p", "tcp", "--orig-port-dst", "7001"],
    "tcp-masqueraded": ["-p", "tcp", "--orig-port-dst", "7002"],
    "tcp-dnat": ["-p", "tcp", "--orig-port-dst", "7003"],
    "tcp-marked": ["-p", "tcp", "--orig-port-dst", "7004"],
    "tcp-zoned": ["-p", "tcp", "--orig-port-dst", "7005"],
    "tcp6": ["-f", "ipv6", "-p", "tcp", "--orig-port-dst", "7006"],
    "udp": ["-p", "udp", "--orig-port-dst", "7007"],
    "udp6": ["-f", "ipv6", "-p", "udp", "--orig-port-dst", "7008"],
    "icmp": ["-p", "icmp"],
}
"""How the conntrack tool is asked for the entry of each flow."""


@pytest.fixture(scope="module")
def max_before() -> str:
    return MAX.read_text()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, max_before: str) -> t.Iterator[Lab]:
    """Two routers, built with one command."""
    directory = tmp_path_factory.mktemp("lab")
    command = [
        *LAB_PY,
        "up",
        "--routers",
        "2",
        "--stale",
        str(STALE),
        "--prefix",
        PREFIX,
        "--directory",
        str(directory),
    ]
    run(command)
    yield load(directory)
    lab.down(directory)


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """Where a test may build a lab of its own, with its own prefix."""
    yield tmp_path / "lab"
    lab.down(tmp_path / "lab", OWN)


def listing(namespace: str, *options: str) -> list[str]:
    return run(["conntrack", "-L", *options], netns=namespace).splitlines()


def delete(namespace: str, flow: str) -> None:
    run(["conntrack", "-D", *ENTRIES[flow]], netns=namespace)


def broken(verdicts: lab.Verdicts) -> set[tuple[str, str]]:
    return {(router, name) for router, flows in verdicts.items() for name, flow in flows.items() if not flow["ok"]}


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        (
            ENTRIES["tcp"],
            r"ESTABLISHED src=198\.51\.100\.2 dst=203\.0\.113\.2 .* src=203\.0\.113\.2 .*\[ASSURED\] mark=0",
        ),
        (
            ENTRIES["tcp-masqueraded"],
            r"src=198\.51\.100\.2 dst=203\.0\.113\.2 .* src=203\.0\.113\.2 dst=203\.0\.113\.1 ",
        ),
        (ENTRIES["tcp-dnat"], r"src=198\.51\.100\.2 dst=198\.51\.100\.1 .* src=203\.0\.113\.2 dst=198\.51\.100\.2 "),
        (ENTRIES["tcp-marked"], r"mark=16 "),
        (ENTRIES["tcp-zoned"], r"mark=0 zone=5 "),
        (ENTRIES["tcp6"], r"ESTABLISHED src=2001:db8:c::2 dst=2001:db8:5::2 .*\[ASSURED\]"),
        (ENTRIES["udp"], r"src=198\.51\.100\.2 dst=203\.0\.113\.2 .* src=203\.0\.113\.2 dst=198\.51\.100\.2 "),
        (ENTRIES["udp6"], r"src=2001:db8:c::2 dst=2001:db8:5::2 "),
        (ENTRIES["icmp"], r"src=198\.51\.100\.2 dst=203\.0\.113\.2 type=8 code=0 id=\d+ .* type=0 code=0 "),
        (["-p", "udp", "--orig-port-dst", "7009"], r"dst=203\.0\.113\.201 .* \[UNREPLIED\]"),
    ],
    ids=[*ENTRIES, "udp-unreplied"],
)
def test_each_promised_entry_is_there_once(built: Lab, options: list[str], pattern: str) -> None:
    for router in built.routers:
        (entry,) = listing(router.namespace, *options)
        assert re.search(pattern, entry)
        # Accounting and timestamps were on before its first packet.
        assert re.search(r" packets=[1-9]\d* bytes=[1-9]\d* .* delta-time=", entry)


def stale_entries_of(namespace: str) -> list[re.Match[str]]:
    """Return what conntrack shows of each TCP entry without a reply, of both families."""
    lines = [*listing(namespace, "-f", "ipv4", "-p", "tcp"), *listing(namespace, "-f", "ipv6", "-p", "tcp")]
    pattern = re.compile(
        r"tcp +6 (\d+) ESTABLISHED src=(\S+) dst=(\S+) sport=(\d+) dport=80 packets=1 bytes=(\d+) \[UNREPLIED\]"
    )
    found = [pattern.match(line) for line in lines if "[UNREPLIED]" in line]
    assert None not in found
    return [match for match in found if match]


def test_stale_entries_are_those_of_the_story(built: Lab) -> None:
    sent = collections.Counter(len(lone_packet(KINDS[kind_of(index)], index)) for index in range(STALE))
    for router in built.routers:
        stale = stale_entries_of(router.namespace)
        assert len(stale) == STALE
        assert len({match.group(2, 4) for match in stale}) == STALE
        assert all(int(match.group(1)) > 400_000 for match in stale)
        assert collections.Counter(int(match.group(5)) for match in stale) == sent
        assert {(":" in match.group(3), int(match.group(5)) >= 60) for match in stale} >= {(False, False), (True, True)}


def test_a_kernel_since_3_12_would_keep_stale_entries_for_minutes_only(directory: pathlib.Path) -> None:
    """The two settings of the lab are what makes them stay, and both are needed."""
    (router,) = lab.up(directory, prefix=OWN, routers=1, stale=0).routers
    sender = [SYSTEM_PYTHON, str(CHECKOUT / "tools" / "lab" / "stale.py")]
    for number, setting in enumerate(STALE_TIMEOUTS):
        kernels_own = run(["sysctl", "-n", setting], netns=router.client).strip()
        run(["sysctl", "-qw", f"{setting}={kernels_own}"], netns=router.namespace)
        run([*sender, str(number * 20), "20"], netns=router.client)
        remaining = [int(match.group(1)) for match in stale_entries_of(router.namespace)]
        assert len(remaining) == 20
        assert max(remaining) <= int(kernels_own) == 300
        run(["sysctl", "-qw", f"{setting}={STALE_SECONDS}"], netns=router.namespace)
        run(["conntrack", "-F"], netns=router.namespace)


def test_flows_carry_data_on_and_on(built: Lab) -> None:
    first = json.loads(run([*LAB_PY, "flows", "--directory", str(built.directory)]))
    second = json.loads(run([*LAB_PY, "flows", "--directory", str(built.directory)]))
    names = {flow.name for flow in FLOWS}
    assert {router: set(flows) for router, flows in first.items()} == {"router1": names, "router2": names}
    assert all(flow["ok"] and flow["errors"] == 0 for flows in second.values() for flow in flows.values())
    assert all(second[router][name]["received"] > first[router][name]["received"] for router in first for name in names)


def test_status_shows_each_router(built: Lab) -> None:
    lines = lab.status(built.directory).splitlines()[1:]
    for line, router in zip(lines, built.routers, strict=True):
        assert re.fullmatch(rf"{router.name} +{router.namespace} +{router.address} +runs +\d+ +{STALE} +9/9", line)


def test_the_machines_limit_is_untouched(built: Lab, max_before: str) -> None:
    assert MAX.read_text() == max_before


def test_ssh_leads_into_the_router(built: Lab) -> None:
    for router in built.routers:
        shown = run(lab.ssh_command(built.directory, router.name, ["ip", "-o", "-4", "address", "show", "mgmt"]))
        assert f" {router.address}/30 " in shown


def test_ssh_takes_no_password(built: Lab) -> None:
    command = lab.ssh_command(built.directory, "router1", ["true"])
    command[1:1] = ["-o", "PubkeyAuthentication=no", "-o", "BatchMode=yes"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 255
    assert "Permission denied (publickey)." in done.stderr


@pytest.mark.parametrize("name", ["sysctl.d", "modules-load.d", "modprobe.d"])
def test_each_router_has_its_own_boot_settings(built: Lab, name: str) -> None:
    file = f"/etc/{name}/90-labtest.conf"
    run(lab.ssh_command(built.directory, "router1", [f"echo mine > {file}"]))
    assert run(lab.ssh_command(built.directory, "router1", ["cat", file])) == "mine\n"
    assert run(lab.ssh_command(built.directory, "router2", ["ls", f"/etc/{name}"])) == ""
    assert not pathlib.Path(file).exists()


def ping(built: Lab) -> tuple[int, str]:
    """Ask Ansible who is there; its exit status is 4 when a host is unreachable."""
    command = ["ansible", "routers", "-i", str(built.inventory), "-m", "ansible.builtin.ping", "--one-line"]
    environment = {**os.environ, "ANSIBLE_SSH_ARGS": "-C -o ControlMaster=auto -o ControlPersist=60s"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.returncode, done.stdout


def test_ansible_reaches_the_routers_and_sees_one_stopped(built: Lab) -> None:
    rc, output = ping(built)
    assert (rc, output.count("SUCCESS")) == (0, 2), output
    lab.stop_router(built.directory, "router2")
    rc, output = ping(built)
    assert rc == 4
    assert re.search(r"router1 \| SUCCESS", output)
    assert re.search(r"router2 \| UNREACHABLE", output)
    assert not broken(lab.flows(built.directory))
    lab.start_router(built.directory, "router2")
    assert ping(built)[0] == 0


def test_two_labs_side_by_side(built: Lab, directory: pathlib.Path) -> None:
    other = lab.up(directory, prefix=OWN, routers=1, stale=0)
    assert not broken(lab.flows(other.directory))
    assert other.routers[0].address not in [router.address for router in built.routers]
    lab.down(other.directory)
    assert not broken(lab.flows(built.directory))
    assert remains(PREFIX)


def test_a_flow_whose_entry_is_deleted_is_not_ok(directory: pathlib.Path) -> None:
    one, two = lab.up(directory, prefix=OWN, routers=2, stale=0).routers
    delete(one.namespace, "tcp")
    expected = {("router1", "tcp")}
    assert broken(lab.flows(directory, wait=1.5)) == expected
    for name in ENTRIES:
        delete(two.namespace, name)
    expected |= {("router2", flow.name) for flow in FLOWS}
    assert broken(lab.flows(directory, wait=1.5)) == expected
    done = subprocess.run(
        [*LAB_PY, "flows", "--wait", "0.5", "--directory", str(directory)], capture_output=True, check=False
    )
    assert done.returncode == 1


def test_deleting_stale_entries_breaks_no_flow(directory: pathlib.Path) -> None:
    (router,) = lab.up(directory, prefix=OWN, routers=1, stale=100).routers
    for destination in STALE_DESTINATIONS.values():
        run(["conntrack", "-D", "-p", "tcp", "--orig-dst", destination], netns=router.namespace)
    assert stale_entries_of(router.namespace) == []
    assert not broken(lab.flows(directory))


def test_an_ssh_connection_is_cut_with_its_entry(directory: pathlib.Path) -> None:
    (router,) = lab.up(directory, prefix=OWN, routers=1, stale=0).routers
    command = lab.ssh_command(directory, "router1", ["cat"])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as ssh:
        assert ssh.stdin
        assert ssh.stdout
        ssh.stdin.write(b"before\n")
        assert ssh.stdout.readline() == b"before\n"
        run(["conntrack", "-D", "-p", "tcp", "--orig-port-dst", "22"], netns=router.namespace)
        ssh.stdin.write(b"after\n")
        os.set_blocking(ssh.stdout.fileno(), False)
        time.sleep(1)
        assert ssh.stdout.read() is None
        ssh.kill()


def assert_nothing_is_left(directory: pathlib.Path) -> None:
    assert remains(OWN) == []
    assert not directory.exists()
    assert OWN not in run(["ip", "link"])
    # A command whose caller was killed is about to die, and may still be seen.
    wait_until(lambda: not commands_of(directory), lambda: commands_of(directory))


def commands_of(directory: pathlib.Path) -> list[bytes]:
    """Return the command lines of the machine that name the lab's directory, or that of its connections."""
    names = str(directory).encode(), f"/run/{OWN}-ssh".encode()
    return [line for line in of_processes("cmdline") if any(name in line for name in names)]


def test_down_leaves_nothing_and_may_come_twice(directory: pathlib.Path) -> None:
    built = lab.up(directory, prefix=OWN, routers=1, stale=10)
    assert ping(built)[0] == 0
    # Now the connection master, which Ansible left behind, does not learn that its router dies.
    run(["conntrack", "-D", "-p", "tcp", "--orig-port-dst", "22"], netns=built.routers[0].namespace)
    run([*LAB_PY, "down", "--directory", str(directory)])
    assert_nothing_is_left(directory)
    run([*LAB_PY, "down", "--directory", str(directory), "--prefix", OWN])


def test_down_ends_processes_whose_namespaces_lost_their_names(directory: pathlib.Path) -> None:
    (router,) = lab.up(directory, prefix=OWN, routers=1, stale=0).routers
    for name in router.namespaces:
        run(["ip", "netns", "delete", name])
    lab.down(directory)
    assert_nothing_is_left(directory)


MOMENTS: dict[str, t.Callable[[pathlib.Path], pathlib.Path]] = {
    "the record": lambda directory: directory / "lab.json",
    "a namespace": lambda directory: NETNS_DIRECTORY / f"{OWN}-c1",
    "an sshd": lambda directory: directory / "ssh" / "router1.pid",
    "flows": lambda directory: directory / "flows" / "router1.json",
    "the last router": lambda directory: NETNS_DIRECTORY / f"{OWN}-s4",
}
"""What appears while a lab is built, in this order."""


def interrupt_up(directory: pathlib.Path, moment: str, number: signal.Signals) -> int:
    """Build a lab, send it a signal as soon as ``moment`` has come, and give its exit status."""
    command = [*LAB_PY, "up", "--routers", "4", "--stale", "500", "--prefix", OWN, "--directory", str(directory)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as building:
        give_up = time.monotonic() + 20
        while not MOMENTS[moment](directory).exists() and time.monotonic() < give_up:
            time.sleep(0.002)
        building.send_signal(number)
    return building.returncode


@pytest.mark.parametrize("moment", MOMENTS)
def test_down_after_up_was_killed(directory: pathlib.Path, moment: str) -> None:
    assert interrupt_up(directory, moment, signal.SIGKILL) == -signal.SIGKILL
    assert remains(OWN) or moment == "the record"
    lab.down(directory)
    assert_nothing_is_left(directory)


def test_down_without_a_record_goes_by_the_prefix(directory: pathlib.Path) -> None:
    interrupt_up(directory, "flows", signal.SIGKILL)
    (directory / "lab.json").unlink()
    lab.down(directory, OWN)
    assert remains(OWN) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_takes_down_what_it_made_when_interrupted(directory: pathlib.Path, number: signal.Signals) -> None:
    assert interrupt_up(directory, "flows", number) == 128 + number
    assert_nothing_is_left(directory)


def test_up_takes_down_what_it_made_when_it_fails(directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("construction.ruleset_variables", dict)
    with pytest.raises(LabError, match="nft"):
        lab.up(directory, prefix=OWN, routers=1)
    assert_nothing_is_left(directory)


def test_up_on_remains_takes_them_down_first(directory: pathlib.Path) -> None:
    interrupt_up(directory, "the last router", signal.SIGKILL)
    (router,) = lab.up(directory, prefix=OWN, routers=1, stale=5).routers
    assert not broken(lab.flows(directory))
    assert {path.name for path in NETNS_DIRECTORY.glob(f"{OWN}-*")} == set(router.namespaces)


def test_a_dead_client_is_noticed(directory: pathlib.Path) -> None:
    (router,) = lab.up(directory, prefix=OWN, routers=1, stale=0).routers
    end_inside([router.client])
    assert not inside([router.client])
    verdicts = lab.flows(directory, wait=0.5)["router1"]
    assert {flow["reason"] for flow in verdicts.values()} == {"its client does not run any more"}
