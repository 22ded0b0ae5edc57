# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a webhook is told, within what Slack takes: a message that it refuses tells nobody anything."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import with_short_texts
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.webhook_message import message_of
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import failing
from helpers.documents import kinds_of_fleets

FLEETS = kinds_of_fleets()
FILES = ("/srv/reports/fleet.json", "/srv/reports/fleet.html")


def told(document: t.Any, severity: str = "high", files: t.Sequence[str] = FILES) -> t.Any:
    return message_of(with_short_texts(document), "audit", severity, files)


@pytest.mark.parametrize("fleet", FLEETS)
@pytest.mark.parametrize("severity", ["critical", "info"])
def test_a_message_keeps_to_the_limits_of_slack(fleet: str, severity: str) -> None:
    message = told(FLEETS[fleet], severity)
    if message is None:
        return
    assert len(message["text"]) <= 40_000
    assert 0 < len(message["blocks"]) <= 50
    header, *sections = message["blocks"]
    assert header["type"] == "header"
    assert header["text"]["type"] == "plain_text"
    assert 0 < len(header["text"]["text"]) <= 150
    for section in sections:
        assert section["type"] == "section"
        assert section["text"]["type"] == "mrkdwn"
        assert 0 < len(section["text"]["text"]) <= 3000
    json.dumps(message, allow_nan=False).encode()


def test_the_text_has_what_the_blocks_have() -> None:
    message = told(FLEETS["an audit"])
    for block in message["blocks"][1:]:
        assert block["text"]["text"] in message["text"]


def test_findings_from_a_severity_on() -> None:
    document = FLEETS["an audit"]
    texts = {severity: told(document, severity)["text"] for severity in ("critical", "medium")}
    assert "*critical* The table is 95 % full or more" in texts["critical"]
    assert "*medium*" not in texts["critical"]
    assert "*medium*" in texts["medium"]
    assert "Report: `/srv/reports/fleet.html`" in texts["critical"]


def test_routers_that_were_not_done_are_told_with_the_reason() -> None:
    document = FLEETS["an audit"]
    message = told(document, "critical")
    host, reason = next(iter(failing(document).items()))
    assert "1 finding, 1 router not done" in message["blocks"][0]["text"]["text"]
    assert f"*not done* {host}: {reason[:40]}" in message["text"]


def healthy() -> t.Any:
    """Return the report on one router of which every check passed."""
    document = copy.deepcopy(FLEETS["an audit"])
    name, host = next((name, host) for name, host in document["hosts"].items() if host["before"] and not host["after"])
    for finding in host["before"]["findings"]:
        finding["status"] = "passed"
    return {**document, "hosts": {name: {**host, "failure": None, "verdict": "passed"}}, "rollout": None}


def test_a_healthy_fleet_is_no_message() -> None:
    assert told(healthy(), "info") is None


def test_a_roll_out_that_was_stopped_is_told_even_without_a_finding() -> None:
    document = {**healthy(), "rollout": FLEETS["a run that was stopped"]["rollout"]}
    assert told(document)["text"].startswith("conntrack audit of 1 router: the roll-out was stopped")


def test_a_word_of_a_router_is_no_command_of_slack() -> None:
    document = FLEETS["an audit"]
    host = next(iter(failing(document)))
    failure = {"step": "<!channel>", "message": "<https://evil.example.net|click>\n*x*\x1b[2J", "unreachable": False}
    document = {**document, "hosts": {host: {**document["hosts"][host], "failure": failure}}}
    text = told(document)["text"]
    assert "&lt;!channel&gt;: &lt;https://evil.example.net|click&gt;" in text
    assert "<" not in text
    assert "\x1b" not in text


def test_a_severity_that_is_none_is_refused() -> None:
    with pytest.raises(OptionError, match="'dreadful' is no severity"):
        told(FLEETS["an audit"], "dreadful")
