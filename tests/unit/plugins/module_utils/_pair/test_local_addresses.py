# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The router's own addresses, of this machine and of files as other kernels have them."""

from __future__ import annotations

import json
import pathlib
import re
import socket

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._pair.local_addresses import (
    local_addresses,
    parse_address,
)
from helpers.support import run

TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 1
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.1
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
Local:
  +-- 127.0.0.0/8 2 0 2
     |-- 127.0.0.0
        /8 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
Id 10:
  |-- 198.51.100.7
     /32 host LOCAL
     /32 link UNICAST
"""
INTERFACES = """20010db8000000000000000000000001 02 40 00 80     eth0
fe80000000000000025056fffec00008 02 40 20 80     eth0
20010db8000000000000000000000002 02 40 00 c8     eth0
"""


def written(directory: pathlib.Path, **files: str) -> str:
    (directory / "net").mkdir()
    for name, text in files.items():
        (directory / "net" / name).write_text(text)
    return str(directory)


def test_the_addresses_of_a_router_with_a_vrf(tmp_path: pathlib.Path) -> None:
    found = local_addresses(written(tmp_path, fib_trie=TRIE, if_inet6=INTERFACES))
    of_version_4 = {"192.0.2.1", "127.0.0.1", "198.51.100.7"}
    # Another machine has 2001:db8::2.
    of_version_6 = {"2001:db8::1", "fe80::250:56ff:fec0:8"}
    assert found == set(map(parse_address, of_version_4 | of_version_6))


def test_a_kernel_without_version_6(tmp_path: pathlib.Path) -> None:
    assert local_addresses(written(tmp_path, fib_trie=TRIE)) >= {socket.inet_aton("192.0.2.1")}


def test_this_machine() -> None:
    interfaces = json.loads(run(["ip", "-j", "address"]))
    shown = {parse_address(each["local"]) for interface in interfaces for each in interface["addr_info"]}
    assert local_addresses() == shown


@pytest.mark.parametrize("text", ["", "192.0.2", "192.0.2.1/32", "::1::", "router1", "192.0.2.1 "])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text) or None):
        parse_address(text)
