# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each field of each entry of another kernel, next to what conntrack(8) of the same machine lists."""

from __future__ import annotations

import dataclasses
import re
import typing as t

import pytest
from helpers.guest_tables import GuestTasks, guest_table
from helpers.kernel_entries import ACCOUNTING, LASTING, MADE, RULES, TRAFFIC
from vm import VirtualMachine

OWN = {"remaining", "start", "use"}
"""What passes while the test runs, or conntrack_info does not return. Compared by themselves, but for the last."""

DCCP = 33
"""Of its states, conntrack 1.4.6 has the names wrong."""
UDPLITE = 136
"""Linux 7.2 has no tracker for it, and sends no ports. The tool shows those as 0, and no entry here has that port."""
PORTS = ("source_port", "destination_port", "reply_source_port", "reply_destination_port")
REFUSED = {"99", "dccp", "udplite"}
"""What some kernels have no tracker for, and conntrack 1.4.6 cannot make."""


@dataclasses.dataclass(frozen=True)
class Compared:
    """The table as conntrack(8) listed it before and after the module did, and at which times."""

    before: dict[int, dict[str, t.Any]]
    entries: dict[int, dict[str, t.Any]]
    after: dict[int, dict[str, t.Any]]
    listed: list[str]
    lines: list[str]
    times: tuple[float, float]


@pytest.fixture(scope="module")
def compared(router: VirtualMachine, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    with guest_table(router, "decoded") as table:
        table.run(f"sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0 {' '.join((*ACCOUNTING, *LASTING))}")
        # Where it is a module, nothing loads it by itself.
        table.run("modprobe nf_nat_ftp; nft -f -", RULES)
        script = "".join(f"conntrack -I -p {arguments} || echo {arguments.split()[0]}\n" for arguments in MADE)
        assert set(table.run(script).split()) <= REFUSED
        table.python(TRAFFIC)
        began = float(router.sh("date +%s.%N"))
        before = table.entries()
        asked = {"netns": "decoded", "entries": True, "lines": True, "limit": 1000}
        [result] = GuestTasks(router, tmp_path_factory.mktemp("decoded")).results(("conntrack_info", asked))
        after = table.entries()
        ended = float(router.sh("date +%s.%N"))
        listed = [line for part in table.listed("id") for line in part.splitlines()]
    entries = {entry["id"]: entry for entry in result["entries"]}
    assert len(entries) == len(result["entries"]) == result["total"]
    return Compared(before, entries, after, listed, result["lines"], (began, ended))


def test_each_field_of_each_entry(compared: Compared) -> None:
    assert compared.entries.keys() == compared.after.keys() == compared.before.keys()
    assert len(compared.entries) > len(MADE) + 15
    for own, listed in compared.after.items():
        wanted = {name: value for name, value in listed.items() if name not in OWN}
        if listed["protocol_number"] == DCCP:
            del wanted["state"]
        if listed["protocol_number"] == UDPLITE and not any(listed[name] for name in PORTS):
            wanted.update(dict.fromkeys(PORTS))
        assert {name: compared.entries[own][name] for name in wanted} == wanted


def test_what_passes(compared: Compared) -> None:
    began, ended = compared.times
    for own, listed in compared.after.items():
        entry, before = compared.entries[own], compared.before[own]
        assert listed["remaining"] <= entry["remaining"] <= before["remaining"]
        made = listed["start"] / 1e9
        assert began - made - 1 <= entry["age"] <= ended - made + 1


def test_each_line(compared: Compared) -> None:
    assert sorted(map(untimed, compared.lines)) == sorted(map(untimed, compared.listed))


def untimed(line: str) -> str:
    """Return a line without what passes, what is only in that of conntrack(8), and what some of these say wrongly."""
    line = re.sub(r"^(\S+ +\d+) \d+", r"\1", line)
    # conntrack 1.4.6 calls the states of DCCP by the names that those of SCTP have.
    return re.sub(r"^(dccp +33) \S+| (?:delta-time|use|id)=\d+", r"\1", line)


@pytest.mark.parametrize(
    "name", ["zone", "zone_original", "zone_reply", "labels", "replied", "assured", "state", "helper", "mark"]
)
def test_the_comparison_covers(compared: Compared, name: str) -> None:
    found = [bool(entry.get(name)) for entry in compared.after.values()]
    assert any(found)
    assert not all(found)
