# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of the tables that are explained by themselves."""

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.explanation import Explanation
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import WIDTH
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.explained_tables import text_of
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.invocation import pasteable_explanation
from helpers.support import CHECKOUT

STORM = {
    "match": {"protocol": "udp", "replied": False, "destination": "192.0.2.54", "destination_port": 53},
    "entries": 9200,
    "percent": 92.0,
    "prunable": 9200,
}


def table(entries: int, *clusters: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
    return {"table": {"entries": entries, "filled_by": list(clusters)}, **more}


def test_what_fills_a_table_and_what_helps() -> None:
    text = text_of({"dump.txt": table(10_000, STORM, settings={"udp_timeout": 30})})
    assert text.startswith("What fills 1 table with 10,000 entries\n======")
    assert "dump.txt  92 % of 10,000 entries: udp, unanswered, to 192.0.2.54 port 53" in text
    assert "This frees 9,200 entries:" in text
    assert "'match=\"protocol=udp replied=false destination=192.0.2.54 destination_port=53\" backup=true'" in text
    assert "They stay for udp_timeout, which is 30 s." in text
    assert text.index("with --check first") < text.index("This frees 9,200 entries:")
    assert max(map(len, text.splitlines())) <= WIDTH


def test_what_is_the_same_for_several_is_said_once() -> None:
    text = text_of({"one": table(10_000, STORM), "other": table(10_000, STORM)})
    assert "What fills 2 tables with 20,000 entries" in text
    assert text.count("They come back until 192.0.2.54 answers") == 1


def router(entries: int, limit: int, *clusters: dict[str, t.Any]) -> dict[str, t.Any]:
    """Make the facts of a router, whose limit is known. 0 is none."""
    percent = 100 * entries / limit if limit else None
    usage = {"count": entries, "max": limit, "percent": percent}
    return {**table(entries, *clusters), "usage": usage, "settings": {"udp_timeout": 30}}


def test_the_page_of_the_documentation() -> None:
    peers = {"sources": 1284, "more_sources": False, "source_network": "10.0.0.0/8"}
    storm = {**STORM, **peers, "entries": 843_745, "percent": 92.0, "prunable": 843_745}
    arguments = {"inventory": ("inventory.yml",), "become": True}
    text = text_of(
        {"router1": router(917_115, 917_504, storm)},
        paste=lambda explanation, routers: pasteable_explanation(explanation, routers, arguments),
    )
    page = (CHECKOUT / "docs" / "playbooks.md").read_text(encoding="utf-8")
    assert f"-e target=router1\n\n{text}```\n" in page


def test_the_fullest_table_comes_first_and_only_so_many_are_shown() -> None:
    tables = {f"router{number:02}": router(100 * number, 10_000) for number in range(15)}
    text = text_of({"without": router(50_000, 0), **tables})
    shown = [line.split()[0] for line in text.splitlines() if re.match(r"\w+ +[\d,]+ +", line)]
    assert shown == [f"router{number:02}" for number in range(14, 4, -1)]
    assert "6 more routers are not shown. Choose fewer routers with -e target=PATTERN." in text


def test_a_table_without_a_limit_has_no_percentage() -> None:
    assert "router1  50,000   no limit" in text_of({"router1": router(50_000, 0)}).splitlines()


def test_a_limit_that_is_not_known_is_told_apart_from_none() -> None:
    unknown = router(50_000, 0)
    unknown["usage"]["max"] = None
    assert "router1  50,000   ?    ?" in text_of({"router1": unknown}).splitlines()


def test_routers_that_are_too_many_for_a_command_have_each_their_own() -> None:
    commands: list[list[str]] = []

    def paste(explanation: Explanation, routers: list[str]) -> Explanation:
        commands.append(routers)
        return explanation

    text_of({f"router{number}": router(10_000, 100_000, STORM) for number in range(10)}, paste=paste)
    assert len(commands.pop()) == 10
    text = text_of({f"router{number}": router(10_000, 100_000, STORM) for number in range(11)}, paste=paste)
    assert commands == [[f"router{number}"] for number in range(10)]
    assert "1 more of these are not shown." in text


def test_routers_without_an_answer_are_named() -> None:
    text = text_of({}, {"router1": "Unreachable: \x1b[2Jtimed out"})
    assert "Not asked, or without an answer" in text
    assert "router1  Unreachable: \\x1b[2Jtimed out" in text


def test_what_of_a_file_is_not_in_the_table() -> None:
    text = text_of({"dump.txt": table(0, not_understood=12)})
    assert "dump.txt: no entries." in text
    assert "dump.txt: 12 lines not understood" in text
    assert "nothing stands out" in text


@pytest.mark.parametrize("facts", [None, {}, {"usage": {"count": 5}}, {"table": None}, {"table": {"filled_by": []}}])
def test_a_table_that_nobody_measured_is_refused_and_not_empty(facts: t.Any) -> None:
    with pytest.raises(OptionError) as refused:
        text_of({"one": table(10), "other": facts})
    assert str(refused.value) == (
        "tables: 'other' has no facts about what is in its table. "
        "Its table was not measured. Give conntrack_facts gather_subset: [usage, settings, table]."
    )


def test_no_title_counts_what_is_unknown() -> None:
    assert "0 entries" not in text_of({}, {"router1": "It was not asked."})


def test_a_name_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in text_of({"\x1b[31mdump": table(10_000, STORM, not_understood=1)})


def test_no_tables() -> None:
    with pytest.raises(OptionError, match="has no table"):
        text_of({})
