# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that finds something tells a webhook, and a run that cannot tell it loses nothing."""

from __future__ import annotations

import json
import typing as t

import pytest
from helpers.json_routers import DEAD, Fleet
from helpers.monitoring import Received, reply, web_server

SECRET = "/services/s3cret"


def accepted(_request: Received, handler: t.Any) -> None:
    reply(handler, "ok")


def extra(**variables: t.Any) -> tuple[str, str]:
    return "-e", json.dumps(variables)


def messages(received: list[Received]) -> list[t.Any]:
    return [json.loads(request.body) for request in received]


def test_a_webhook_is_told_once_what_was_found(fleet: Fleet) -> None:
    fleet.add("good")
    fleet.add("sick")
    fleet.hosts["dead"] = DEAD
    with web_server(accepted) as (url, received):
        variables = {"conntrack_audit_report_webhook": url + SECRET, "conntrack_audit_report_formats": ["html"]}
        run = fleet.run("audit", *extra(**variables), "-vvv")
    assert len(received) == 1
    assert received[0].path == SECRET
    message = messages(received)[0]
    assert message["blocks"][0]["text"]["text"].startswith("conntrack audit of 3 routers: ")
    assert "*critical* The table is 95 % full or more: good 97.7 %, sick 97.7 %" in message["text"]
    assert "*not done* dead: " in message["text"]
    assert f"Report: `{fleet.directory / 'reports' / 'report.html'}`" in message["text"]
    # Ansible itself shows the command line with -vvv, and what is on it.
    shown = (run.stdout + run.stderr).replace(json.dumps(variables), "")
    assert "s3cret" not in shown


def test_a_run_that_finds_nothing_is_no_message(fleet: Fleet) -> None:
    fleet.add("good")
    with web_server(accepted) as (url, received):
        done = fleet.play("audit", *extra(conntrack_audit_report_webhook=url, conntrack_audit_checks=[]))
    assert (done.rc, received) == (0, [])


def test_a_webhook_that_fails_costs_no_report_and_is_told(fleet: Fleet) -> None:
    fleet.add("sick")
    with web_server(lambda _, handler: reply(handler, "no_service", 404)) as (url, received):
        run = fleet.run("audit", *extra(conntrack_audit_report_webhook=url + SECRET))
    assert len(received) == 1
    assert run.returncode == 2
    told = run.stdout + run.stderr
    assert "A part of the report could not be written. webhook: the webhook at 127.0.0.1 was not told" in told
    assert "404 Not Found no_service" in told
    assert "s3cret" not in told
    assert "The table is 95 % full or more" in told
    assert (fleet.directory / "reports" / "report.json").exists()


@pytest.mark.parametrize(
    "webhook", ["http://hooks.example.net" + SECRET, "hooks.example.net" + SECRET, [SECRET], {"url": SECRET}]
)
def test_what_can_be_no_webhook_is_refused_before_a_router_is_asked_and_not_shown(fleet: Fleet, webhook: t.Any) -> None:
    fleet.add("good")
    (fleet.directory / "variables.json").write_text(json.dumps({"conntrack_audit_report_webhook": webhook}))
    done = fleet.run("site", "-e", f"@{fleet.directory / 'variables.json'}")
    told = done.stdout + done.stderr
    assert done.returncode == 2
    assert "webhook" in told
    assert "Measure and check" not in told
    assert "s3cret" not in told
