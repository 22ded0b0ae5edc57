# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the case study makes of its measurements, the packets that it sends, and the page with its figures."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import typing as t
from xml.etree import ElementTree

import pytest
from casestudy import by_hand, chart, commands, figures, page, router, traffic
from helpers.support import PATIENCE

SVG = "{http://www.w3.org/2000/svg}"
MEASURED: dict[str, t.Any] = json.loads(page.DATA.read_text(encoding="utf-8"))

STALE_LINE = (
    "tcp      6 377999 ESTABLISHED src=100.64.0.10 dst=192.0.2.1 sport=1024 dport=443 packets=1 bytes=40 [UNREPLIED] "
    "src=192.0.2.1 dst=100.64.0.10 sport=443 dport=1024 packets=0 bytes=0 mark=0 use=1"
)
ANSWERED_LINE = STALE_LINE.replace(" [UNREPLIED]", "").replace("377999", "378001")


# The packets


def test_connections_of_a_sort_all_differ() -> None:
    for sort in (traffic.STALE, traffic.TCP, traffic.DNS, traffic.QUIC):
        assert len({traffic.connection(sort, index) for index in range(50_000)}) == 50_000


def test_ordinary_and_stale_connections_share_no_tuple() -> None:
    ports = {sort: traffic.connection(sort, 60_000).client_port for sort in (traffic.STALE, traffic.TCP)}
    last_stale = traffic.connection(traffic.STALE, router.ENTRIES).client_port
    assert last_stale < traffic.connection(traffic.TCP, 0).client_port <= ports[traffic.TCP]


def test_no_address_has_much_more_than_its_share() -> None:
    clients = [traffic.connection(traffic.STALE, index).client for index in range(40_010)]
    assert max(clients.count(client) for client in clients[:50]) == 10


def test_a_stale_packet_is_a_bare_ack_of_40_bytes_with_a_right_checksum() -> None:
    _sort, make = traffic.STAGES["stale"]
    packet = make(traffic.connection(traffic.STALE, 7))
    assert len(packet) == 40
    pseudo = packet[12:20] + struct.pack("!HH", 6, 20) + packet[20:]
    total = sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo))
    assert total % 0xFFFF == 0
    assert packet[33] == 0x10


# The judges


def test_the_storys_entries_are_counted_line_by_line() -> None:
    other = STALE_LINE.replace("bytes=40", "bytes=52")
    assert router.stale_by_hand([STALE_LINE, ANSWERED_LINE, other]) == 1
    assert router.unanswered_by_hand([STALE_LINE, ANSWERED_LINE, other]) == 2


def test_an_entry_is_over_if_it_has_been_idle_for_longer_than_the_new_timeout() -> None:
    assert by_hand.expired_by_hand([STALE_LINE, ANSWERED_LINE, STALE_LINE.replace("ESTABLISHED", "SYN_SENT")]) == 1


def test_only_the_page_of_explain_is_shown() -> None:
    text = "TASK [Show] ***\n\nWhat fills 1 table with 5 entries\n====\n\nrouter1 \nok: [router1 -> localhost]\nrecap\n"
    assert commands.screen(text) == ["What fills 1 table with 5 entries", "====", "", "router1"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--entries", "100"], "--entries: 100 "),
        (["--limit", "917115"], "--limit: 917115 "),
        (["--deletes", "0"], "--deletes: 0 "),
    ],
)
def test_a_wrong_number_is_refused_before_anything_is_touched(options: list[str], word: str) -> None:
    command = [sys.executable, str(page.TOOLS / "case_study.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert word in done.stderr
    assert "Nothing was touched." in done.stderr


# The figures


def test_deleting_all_is_extrapolated_over_a_table_that_shrinks() -> None:
    measured = {"by_hand": {"stale": 900, "deletes": 10, "delete_seconds": 20.0}, "filled": {"entries": 1000}}
    assert figures.delete_all_seconds(measured) == pytest.approx(2.0 * 900 * 0.55)


@pytest.mark.parametrize(
    ("seconds", "said"), [(1.04, "1.0 s"), (119, "119.0 s"), (120, "2.0 min"), (7_200, "2.0 h"), (172_800, "2.0 days")]
)
def test_duration(seconds: float, said: str) -> None:
    assert figures.duration(seconds) == said


def test_the_stale_entries_go_with_the_prune_and_return_with_the_restore() -> None:
    stale = MEASURED["by_hand"]["stale"]
    names = ("audit", "prune", "tune", "restore --check", "restore")
    assert [figures.stale_after(MEASURED, name) for name in names] == [stale, 0, 0, 0, stale]


# The page


def test_the_study_is_of_the_storys_size() -> None:
    assert (MEASURED["limit"], MEASURED["filled"]["entries"]) == (917_504, 917_115)


def test_each_command_is_in_the_table_with_what_it_showed() -> None:
    made = figures.report(MEASURED)
    for each in MEASURED["steps"]:
        assert f"| {each['name']} " in made
    assert f"{MEASURED['by_hand']['stale']:,} deleted" in made


def test_chart_is_for_light_and_dark_and_for_those_who_do_not_see_it() -> None:
    drawn = chart.draw(MEASURED)
    description = ElementTree.fromstring(drawn).findtext(f"{SVG}desc")
    assert description == chart.alternative(MEASURED)
    assert "prefers-color-scheme: dark" in drawn


def test_page_and_chart_in_docs_are_made_from_the_data() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.with_figures(text, MEASURED) == text
    assert page.CHART.read_text(encoding="utf-8") == chart.draw(MEASURED)
