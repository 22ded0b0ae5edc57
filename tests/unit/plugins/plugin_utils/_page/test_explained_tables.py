# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of the tables that are explained by themselves."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.blocks import WIDTH
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.explained_tables import text_of

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
    assert "'match=\"protocol=udp replied=false destination=192.0.2.54 destination_port=53\"'" in text
    assert "They stay for udp_timeout, which is 30 s." in text
    assert "None of these entries was ever answered." in text
    assert max(map(len, text.splitlines())) <= WIDTH


def test_what_is_the_same_for_several_is_said_once() -> None:
    text = text_of({"one": table(10_000, STORM), "other": table(10_000, STORM)})
    assert "What fills 2 tables with 20,000 entries" in text
    assert text.count("They come back until 192.0.2.54 answers") == 1


def test_what_of_a_file_is_not_in_the_table() -> None:
    text = text_of({"dump.txt": table(0, not_understood=12)})
    assert "dump.txt: no entries." in text
    assert "dump.txt: 12 lines not understood" in text
    assert "nothing stands out" in text


def test_a_name_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in text_of({"\x1b[31mdump": table(10_000, STORM, not_understood=1)})


def test_no_tables() -> None:
    with pytest.raises(OptionError, match="has no table"):
        text_of({})
