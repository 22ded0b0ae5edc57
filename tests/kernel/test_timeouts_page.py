# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page docs/timeouts.md, typed word by word on a router whose phones send real packets."""

from __future__ import annotations

import json
import re
import shlex
import struct
import time
import typing as t

import pytest
import yaml
from ansible.parsing.splitter import parse_kv
from helpers.packet_injection import Router, injected_router
from helpers.support import CHECKOUT, ModuleResult, run, run_module

PAGE = (CHECKOUT / "docs" / "timeouts.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
UDP, PHONE, OTHER = 17, 5060, 53
CLIENT, SERVER = {4: "198.51.100.2", 6: "2001:db8:51::2"}, {4: "192.0.2.9", 6: "2001:db8:99::9"}


@pytest.fixture
def router() -> t.Iterator[Router]:
    with injected_router("page") as found:
        yield found


def blocks(section: str, language: str) -> list[str]:
    return [text for found, text in _FENCE.findall(SECTIONS[section]) if found == language]


def type_section(router: Router, section: str) -> None:
    """Do all that a section tells, in its order: the commands of the router, and the tasks."""
    for language, text in _FENCE.findall(SECTIONS[section]):
        if language == "yaml":
            [task] = yaml.safe_load(text)
            assert_done(policy(router, task["netops.conntrack.conntrack_timeout_policy"]))
        for command in re.findall(r"^# (.*)$", text, re.MULTILINE) if language == "console" else ():
            run(shlex.split(command), netns=router.netns)


def policy(router: Router, args: dict[str, t.Any], **more: t.Any) -> ModuleResult:
    return run_module("conntrack_timeout_policy", args, netns=router.netns, **more)


def assert_done(result: ModuleResult) -> None:
    assert not result.failed, result.msg
    assert result.data["changed"] is True


def task_of(section: str) -> dict[str, t.Any]:
    [task] = yaml.safe_load(blocks(section, "yaml")[0])
    args: dict[str, t.Any] = task["netops.conntrack.conntrack_timeout_policy"]
    return args


def arguments_of(section: str) -> dict[str, t.Any]:
    """Return the arguments of the command of the controller that makes or removes a policy."""
    [command] = re.findall(r"^\$ (.*conntrack_timeout_policy .*)$", section, re.MULTILINE)
    words = shlex.split(command)
    text = words[words.index("-a") + 1]
    return dict(json.loads(text) if text.startswith("{") else parse_kv(text))


def send(router: Router, port: int, service: int, version: int = 4, back: bool = False) -> None:
    ends = (SERVER[version], CLIENT[version]) if back else (CLIENT[version], SERVER[version])
    ports = (service, port) if back else (port, service)
    router.send(*ends, UDP, struct.pack("!HHHH", *ports, 8, 0))


def talk(router: Router, port: int, service: int, version: int = 4) -> None:
    """Have a stream that the server answers."""
    send(router, port, service, version)
    # An entry becomes a stream when it is two seconds old (udp_packet() in nf_conntrack_proto_udp.c).
    time.sleep(2.1)
    for _each in range(2):
        send(router, port, service, version, back=True)
        send(router, port, service, version)


def left(router: Router, port: int, version: int = 4) -> int:
    family = {4: "ipv4", 6: "ipv6"}[version]
    return int(run(["conntrack", "-L", "-f", family, "-p", "udp", "--sport", str(port)], netns=router.netns).split()[2])


def test_with_nftables(router: Router) -> None:
    type_section(router, "With nftables")
    for version in (4, 6):
        talk(router, 1000 + version, PHONE, version)
        assert left(router, 1000 + version, version) > 3500
    talk(router, 2000, OTHER)
    assert left(router, 2000) <= 120
    again = policy(router, task_of("With nftables"))
    assert (again.data["changed"], again.data["policy"]["users"]) == (False, 1)

    undo = task_of("How to undo it")
    refused = policy(router, undo)
    handle = re.search(r"handle (\d+)", refused.msg)
    assert handle, refused.msg
    run(["nft", "delete", "rule", "inet", "filter", "early", "handle", handle[1]], netns=router.netns)
    # Who has the policy keeps it while only the rule is gone.
    send(router, 1004, PHONE)
    assert left(router, 1004) > 3500
    assert_done(policy(router, undo))
    send(router, 1004, PHONE)
    assert left(router, 1004) <= 120


def test_with_iptables(router: Router) -> None:
    assert policy(router, arguments_of(PAGE[: PAGE.index("\n## ")]), check=True).data["changed"] is True
    type_section(router, "With iptables")
    talk(router, 1000, PHONE)
    talk(router, 2000, OTHER)
    assert left(router, 1000) > 3500
    assert left(router, 2000) <= 120
    assert policy(router, task_of("With iptables")).data["changed"] is False
    # The first command of the section deletes the rule, the second one is of the controller.
    [rule] = re.findall(r"^# (iptables .*)$", SECTIONS["How to undo it"], re.MULTILINE)
    run(shlex.split(rule), netns=router.netns)
    send(router, 1000, PHONE)
    assert left(router, 1000) > 3500
    assert_done(policy(router, arguments_of(SECTIONS["How to undo it"])))
    send(router, 1000, PHONE)
    assert left(router, 1000) <= 120


def test_files_of_nftables_make_what_the_task_makes(router: Router) -> None:
    _with_include, file = blocks("Keep it over a reboot", "nft")
    run(["nft", "-f", "-"], netns=router.netns, text=file)
    wanted = task_of("With nftables")
    result = policy(router, wanted)
    assert result.data["changed"] is False
    assert result.data["for_boot"] in file
    talk(router, 1000, PHONE)
    assert left(router, 1000) > 3500
    # Loaded again with another timeout, it changes nothing unless the table is removed first.
    other = file.replace("3600", "1800").replace("    udp dport", "    #")
    run(["nft", "-f", "-"], netns=router.netns, text=other)
    assert policy(router, wanted).data["changed"] is False
    run(["nft", "-f", "-"], netns=router.netns, text=f"delete table inet filter\n{other}")
    assert policy(router, wanted, check=True).data["changed"] is True
    send(router, 1000, PHONE)
    assert left(router, 1000) <= 120


def test_drop_in_of_iptables_makes_what_the_task_makes(router: Router) -> None:
    [file] = blocks("Keep it over a reboot", "ini")
    [command] = re.findall(r"^ExecStartPre=-(.*)$", file, re.MULTILINE)
    run(shlex.split(command), netns=router.netns)
    result = policy(router, task_of("With iptables"))
    assert result.data["changed"] is False
    assert command.endswith(result.data["for_boot"])


def test_rule_before_connection_tracking_does_nothing(router: Router) -> None:
    _with_include, file = blocks("Keep it over a reboot", "nft")
    run(["nft", "-f", "-"], netns=router.netns, text=file.replace("priority mangle", "priority raw"))
    talk(router, 1000, PHONE)
    assert left(router, 1000) <= 120


def test_sysctl_that_is_changed_later_is_nothing_to_a_policy(router: Router) -> None:
    type_section(router, "With iptables")
    router.set(udp_timeout=17)
    send(router, 1000, PHONE)
    send(router, 2000, OTHER)
    assert left(router, 1000) > 17
    assert left(router, 2000) <= 17
