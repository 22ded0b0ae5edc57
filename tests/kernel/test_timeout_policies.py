# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The policies of rules, and the record of changed timeouts, as this kernel and our own modules leave them."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import struct
import sys
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry import timeout_policies
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_policies import (
    Policy,
    has_flow_tables,
    list_policies,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import read_record
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing, subsystems, transport
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from helpers.packet_injection import injected_router
from helpers.run_records import remove_records
from helpers.support import network_namespace, run, run_module

INET, INET6 = int(socket.AF_INET), int(socket.AF_INET6)


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("policies") as name:
        yield name
        remove_records(name)


def listed(netns: str) -> list[Policy]:
    with inside(netns):
        return list_policies()


def add_object(netns: str, table: str, text: str) -> None:
    run(["nft", "-f", "-"], netns=netns, text=f"table {table} {{\n{text}\n}}\n")


def ct_timeout(name: str, rest: str) -> str:
    return f"ct timeout {name} {{ {rest}; }}"


def cttimeout(name: str, family: int, protocol: int, values: dict[int, int]) -> None:
    """Make a policy as nfct(8) does, in the present namespace."""
    data = b"".join(framing.encode_attribute(kind, struct.pack("!I", value)) for kind, value in values.items())
    attributes = (
        framing.encode_attribute(1, name.encode() + b"\0")
        + framing.encode_attribute(2, struct.pack("!H", family))
        + framing.encode_attribute(3, struct.pack("!B", protocol))
        + framing.encode_attribute(4 | _uapi.NLA_F_NESTED, data)
    )
    create, acknowledge = 0x400, _uapi.NLM_F_ACK
    with transport.open_socket() as kernel:
        kernel.send(framing.encode_request(8 << 8, create | acknowledge, 1, 0, attributes))
        assert framing.error_of(kernel.recv(4096)) == 0


def test_there_are_none_at_first(netns: str) -> None:
    assert listed(netns) == []
    with inside(netns):
        assert has_flow_tables() is False


def test_objects_of_nftables(netns: str) -> None:
    add_object(netns, "ip p", ct_timeout("voip", "protocol udp; policy = { unreplied: 61, replied: 3601 }"))
    add_object(netns, "ip6 p", ct_timeout("web", "protocol tcp; policy = { established: 1001, close: 7 }"))
    add_object(netns, "inet p", ct_timeout("sip", "protocol udp; l3proto ip6; policy = { replied: 77 }"))
    add_object(netns, "ip q", "counter c { packets 5 bytes 6; }")
    found = {(policy.family, policy.protocol): policy.timeouts for policy in listed(netns)}
    assert found.keys() == {(INET, _uapi.UDP), (INET6, _uapi.TCP), (None, _uapi.UDP)}
    assert found[INET, _uapi.UDP] == {"udp_timeout": 61, "udp_timeout_stream": 3601}
    assert found[None, _uapi.UDP]["udp_timeout_stream"] == 77
    web = found[INET6, _uapi.TCP]
    assert (web["tcp_timeout_established"], web["tcp_timeout_close"]) == (1001, 7)
    # What the policy does not name has the sysctl's value.
    sysctls = {name: f"net.netfilter.nf_conntrack_{name}" for name in web if name != "tcp_timeout_syn_sent2"}
    others = sysctls.keys() - {"tcp_timeout_established", "tcp_timeout_close"}
    assert len(others) == 8
    for name in others:
        assert web[name] == int(run(["sysctl", "-n", sysctls[name]], netns=netns)), name


def test_an_object_of_one_family_gives_entries_of_the_other_its_timeout_and_idle_knows_that() -> None:
    with injected_router("policies") as router:
        policy = ct_timeout("voip", "protocol udp; l3proto ip; policy = { unreplied: 3601 }")
        chain = 'chain p { type filter hook prerouting priority 0; udp dport 53 ct timeout set "voip"; }'
        add_object(router.netns, "inet p", f"{policy}\n{chain}")
        router.send("2001:db8:51::2", "2001:db8:99::9", _uapi.UDP, struct.pack("!HHHH", 1001, 53, 8, 0))
        result = run_module("conntrack_info", {"match": "protocol=udp", "entries": True}, netns=router.netns)
    [entry] = result.data["entries"]
    assert (entry["family"], entry["remaining"] > 3500) == ("ipv6", True)
    assert entry["idle"] is not None


@pytest.mark.parametrize("protocol", sorted(timeout_policies.SYSCTL_NAMES.keys() - {_uapi.DCCP, _uapi.UDPLITE}))
def test_each_attribute_of_each_protocol_is_the_timeout_of_its_name(netns: str, protocol: int) -> None:
    names = timeout_policies.SYSCTL_NAMES[protocol]
    values = {kind: 1000 + kind for kind in range(1, len(names) + 1)}
    with inside(netns):
        cttimeout("all", INET, protocol, values)
        [policy] = list_policies()
    assert policy == Policy(INET, protocol, {name: 1000 + kind for kind, name in enumerate(names, 1)})


def test_policy_of_protocols_that_the_kernel_does_not_know(netns: str) -> None:
    with inside(netns):
        cttimeout("generic", INET6, timeout_policies.GENERIC, {1: 99})
        assert list_policies() == [Policy(INET6, timeout_policies.GENERIC, {"generic_timeout": 99})]


def test_many_policies_are_listed_whole(netns: str) -> None:
    policies = (ct_timeout(f"t{n}", f"protocol udp; policy = {{ replied: {n + 1} }}") for n in range(1500))
    add_object(netns, "ip p", "\n".join(policies))
    assert sorted(policy.timeouts["udp_timeout_stream"] for policy in listed(netns)) == list(range(1, 1501))


def test_module_that_is_not_loaded_is_not_asked(
    netns: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_object(netns, "ip p", ct_timeout("voip", "protocol udp; policy = { replied: 3601 }"))
    directory = tmp_path / os.uname().release
    directory.mkdir()
    (directory / "modules.dep").write_text("kernel/net/netfilter/nf_tables.ko.xz: kernel/net/netfilter/nfnetlink.ko\n")
    monkeypatch.setattr(subsystems, "_LOADABLE", str(tmp_path))
    monkeypatch.setattr(subsystems, "_LOADED", str(tmp_path / "none"))
    assert listed(netns) == []
    (tmp_path / "none" / "nf_tables").mkdir(parents=True)
    assert len(listed(netns)) == 1


def test_our_own_changes_are_recorded_in_each_namespace(netns: str) -> None:
    args = {"persist": False, "settings": {"udp_timeout": 17, "tcp_timeout_established": 54000, "acct": 1}}
    assert run_module("conntrack_settings", args, netns=netns).data["changed"] is True
    with inside(netns):
        record = read_record()
    found = {change.short_name: (change.old, change.new) for change in record.changes}
    assert found == {"udp_timeout": (30, 17), "tcp_timeout_established": (432000, 54000)}
    with network_namespace("policies") as other, inside(other):
        assert read_record().changes == ()


def test_change_that_is_rolled_back_is_recorded_both_ways(netns: str) -> None:
    args = {"persist": False, "confirm_within": "1s", "settings": {"udp_timeout": 17}}
    assert run_module("conntrack_settings", args, netns=netns).data["confirm"] is not None
    code = (
        "import json, time\n"
        "from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import read_record\n"
        "end = time.monotonic() + 20\n"
        "while len(read_record().changes) < 2 and time.monotonic() < end: time.sleep(0.1)\n"
        "print(json.dumps(read_record().changes))"
    )
    changes = json.loads(run(["env", "PYTHONPATH=.collections", sys.executable, "-c", code], netns=netns))
    assert [change[:3] for change in changes] == [["udp_timeout", 30, 17], ["udp_timeout", 17, 30]]
