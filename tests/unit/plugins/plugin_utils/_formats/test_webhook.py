# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sending to a webhook: what cannot be one is refused, and its URL is never told."""

from __future__ import annotations

import json
import pathlib
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError, UnavailableError
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats import webhook
from helpers.monitoring import Received, reply, self_signed, web_server

SECRET = "/services/T00/B00/s3cret"


@pytest.mark.parametrize(
    "url", ["https://hooks.example.net" + SECRET, "http://127.0.0.1:1/", "http://[::1]/", "http://localhost/"]
)
def test_what_can_be_a_webhook(url: str) -> None:
    webhook.check(url)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://hooks.example.net" + SECRET, "would be sent to hooks.example.net for all on the way to read"),
        ("http://192.0.2.1" + SECRET, "https://"),
        ("ftp://hooks.example.net" + SECRET, "is no URL"),
        ("file://" + SECRET, "is no URL"),
        ("hooks.example.net" + SECRET, "is no URL"),
        ("https://[::1" + SECRET, "is no URL"),
        ("https://hooks.example.net:x" + SECRET, "is no URL"),
        ("https://hooks.example.net/\r\nHost: a" + SECRET, "is no URL"),
    ],
)
def test_what_can_be_none_is_refused_and_not_shown(url: str, problem: str) -> None:
    with pytest.raises(OptionError) as refused:
        webhook.check(url)
    assert "webhook: (not shown, because it is a secret)" in refused.value.message
    assert problem in refused.value.message
    assert "s3cret" not in refused.value.message


def test_a_message_arrives_as_json() -> None:
    with web_server(lambda _, handler: reply(handler, "ok")) as (url, received):
        webhook.send(url + SECRET, {"text": "ä"})
    assert [(request.path, json.loads(request.body)) for request in received] == [(SECRET, {"text": "ä"})]
    assert received[0].headers["Content-Type"] == "application/json"


def never(request: Received, handler: t.Any) -> None:
    time.sleep(1)


ANSWERS: dict[str, tuple[t.Callable[[Received, t.Any], None], str]] = {
    "refused": (lambda _, handler: reply(handler, "no_service", 404), "it answered 404 Not Found no_service"),
    "with the secret": (lambda request, handler: reply(handler, f"no {request.path}", 400), "it answered 400"),
    "sent elsewhere": (lambda _, handler: reply(handler, "", 307, Location="http://127.0.0.1:1/"), "it answered 307"),
    "no HTTP": (lambda _, handler: handler.wfile.write(b"SSH-2.0\r\n\x1b[2J") and None, "BadStatusLine"),
    "silence": (never, "timed out"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_why_it_was_not_told_without_the_secret(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    respond, reason = ANSWERS[case]
    monkeypatch.setattr(webhook, "_SECONDS", 0.3)
    with web_server(respond) as (url, received), pytest.raises(UnavailableError) as failed:
        webhook.send(url + SECRET, {"text": "x"})
    assert len(received) == 1
    assert "the webhook at 127.0.0.1 was not told" in failed.value.message
    assert reason in failed.value.message
    assert "s3cret" not in failed.value.message
    assert "\x1b" not in failed.value.message


def test_nobody_at_home() -> None:
    with pytest.raises(UnavailableError, match=r"the webhook at 127.0.0.1 was not told .*refused"):
        webhook.send("http://127.0.0.1:1" + SECRET, {})


def test_a_certificate_has_to_be_valid(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls, certificate = self_signed(tmp_path)
    with web_server(lambda _, handler: reply(handler, "ok"), tls=tls) as (url, received):
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1 was not told"):
            webhook.send(url + SECRET, {})
        assert received == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        webhook.send(url + SECRET, {})
        assert len(received) == 1
