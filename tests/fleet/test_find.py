# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One connection, looked for on all routers, and the table that conntrack_found makes of it."""

from __future__ import annotations

import subprocess
import typing as t

import lab
import pytest
from helpers.support import run, run_ansible

CLIENT, SERVER, PUBLIC, INSIDE = "198.51.100.9", "203.0.113.9", "203.0.113.1", "198.51.100.77"
TCP = f"-I -p tcp -s {CLIENT} -d {SERVER} --sport 40000 --dport 443 --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 1000"


@pytest.fixture
def fleet(make_fleet: t.Callable[[str, int], t.Any]) -> t.Any:
    """Build three routers. Two have connections of the client, one translates its source and one its destination."""
    fleet = make_fleet("ncfind", 3)
    more = [
        f"-I -p udp -s {CLIENT} -d {SERVER} --sport {port} --dport 53 -t 1000 --src-nat {PUBLIC}"
        for port in range(5000, 5007)
    ]
    half_open = "-I -p tcp -s 2001:db8:9::9 -d 2001:db8::1 --sport 1 --dport 2 --state SYN_SENT -t 1000"
    entries = {0: [f"{TCP} --src-nat {PUBLIC}", *more], 1: [f"{TCP} --dst-nat {INSIDE}", half_open]}
    for number, lines in entries.items():
        run(["conntrack", "-R", "-"], netns=fleet.routers[number].namespace, text="\n".join([*lines, ""]))
    return fleet


def find(fleet: t.Any, *options: str) -> subprocess.CompletedProcess[str]:
    return run_ansible(["ansible-playbook", "netops.conntrack.find", *options], fleet.built.inventory, fleet.home)


def page_of(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    """Return the lines from the heading on, each as its columns."""
    lines = done.stdout[done.stdout.index("Found ") :].splitlines()
    return [line.split("  ") for line in lines]


def cells(line: list[str]) -> list[str]:
    return [cell.strip() for cell in line if cell.strip()]


def test_a_connection_is_found_with_its_translation(fleet: t.Any) -> None:
    done = find(fleet, "-e", f"match='protocol=tcp address={CLIENT},2001:db8:9::/48'")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [cells(line) for line in page_of(done)]
    assert rows[0] == ["Found 3 entries on 2 of 3 routers"]
    assert ["router", "protocol", "state", "from", "to", "translated", "seconds left"] in rows
    tcp = [f"{CLIENT}:40000", f"{SERVER}:443"]
    found = [row[:-1] for row in rows if row and row[0].startswith("router") and "tcp" in row]
    assert found[0] == ["router1", "tcp", "ESTABLISHED", *tcp, f"from {PUBLIC}:40000"]
    assert sorted(found[1:]) == [
        ["router2", "tcp", "ESTABLISHED", *tcp, f"to {INSIDE}:443"],
        ["router2", "tcp", "SYN_SENT, unanswered", "[2001:db8:9::9]:1", "[2001:db8::1]:2", "no"],
    ]
    assert ["No such entry: router3"] in rows


def test_it_is_found_by_its_public_address_and_cut_to_what_was_asked(fleet: t.Any) -> None:
    lab.stop_router(fleet.built.directory, "router3")
    done = find(fleet, "-e", f"match='protocol=udp reply_destination={PUBLIC}'", "-e", "most=3")
    assert done.returncode == 2, done.stdout + done.stderr
    rows = [cells(line) for line in page_of(done)]
    assert rows[0] == ["Found 7 entries on 1 of 2 routers"]
    assert len([row for row in rows if row[:2] == ["router1", "udp"]]) == 3
    assert ["router1", "4 more. Show them with -e most=7"] in rows
    assert ["No such entry: router2"] in rows
    assert any(row[0] == "router3" and row[1].startswith("Unreachable: ") for row in rows if row)
    assert "fatal: [router3]" in done.stdout


def test_nobody_has_it(fleet: t.Any) -> None:
    done = find(fleet, "-e", "match=zone=4711")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [cells(line) for line in page_of(done)][:4] == [
        ["Found no entry on 0 of 3 routers"],
        ["================================"],
        [],
        ["No such entry: router1, router2, router3"],
    ]
