# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The event source, with the Python of ansible-rulebook: real tables, and servers that answer wrongly or not at all."""

from __future__ import annotations

import pathlib
import time
import typing as t

import pytest
from helpers.monitoring import Received, node_exporter, polling, reply, self_signed, web_server
from helpers.support import network_namespace, run, wait_until

HALF_FULL = "node_nf_conntrack_entries 50\nnode_nf_conntrack_entries_limit 100\n"
FAST = {"interval": 1, "timeout": 0.5, "window": 2, "unknown_after": 2}


def entries(numbers: t.Iterable[int]) -> str:
    """Return commands of ``conntrack -R`` for so many entries."""
    made = "-A -p udp -s 192.0.2.1 -d 192.0.2.2 --sport {} --dport 53 -r 192.0.2.2 -q 192.0.2.1 --reply-port-src 53"
    return "".join(f"{made.format(number)} --reply-port-dst {number} -t 600\n" for number in numbers)


def test_a_real_table_that_fills_and_is_emptied(tmp_path: pathlib.Path) -> None:
    with (
        network_namespace("ncpress") as netns,
        node_exporter(netns, "127.0.0.1", tmp_path / "exporter.log") as url,
    ):
        limit = int(run(["sysctl", "-n", "net.netfilter.nf_conntrack_max"], netns=netns))
        thresholds = {"raise_percent": 100 * 100 / limit, "clear_percent": 100 * 50 / limit, "full_within": 0}
        options = {**FAST, **thresholds, "routers": {"r1": url}}
        with polling(options, tmp_path / "events", netns) as source:
            time.sleep(3)
            assert source.events == []
            run(["conntrack", "-R", "-"], netns=netns, text=entries(range(1000, 1200)))
            told = source.wait_for("r1", "pressure")
            assert told["reasons"] == ["full"]
            # The table may be read while it fills.
            assert 100 <= told["entries"] <= int(run(["conntrack", "-C"], netns=netns))
            assert told["limit"] == limit
            run(["conntrack", "-D", "-p", "udp", "--dport", "53"], netns=netns)
            assert source.wait_for("r1", "normal")["entries"] < 50


def test_a_router_that_goes_away_is_unknown_and_not_empty(tmp_path: pathlib.Path) -> None:
    with network_namespace("ncpress") as netns:
        url = "http://127.0.0.1:9100/metrics"
        with polling({**FAST, "routers": {"r1": url}}, tmp_path / "events", netns) as source:
            told = source.wait_for("r1", "unknown")
            assert told["failures"] == 2
            assert "ConnectorError" in told["reason"]
            assert "entries" not in told
            with node_exporter(netns, "127.0.0.1", tmp_path / "exporter.log"):
                source.wait_for("r1", "normal")


def slow(request: Received, handler: t.Any) -> None:
    time.sleep(3)
    reply(handler, HALF_FULL)


def endless(request: Received, handler: t.Any) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _turn in range(2000):
        handler.wfile.write(b"x" * 65536)


WRONG: dict[str, tuple[t.Callable[[Received, t.Any], None], str]] = {
    "an error": (lambda request, handler: reply(handler, HALF_FULL, 503), "the answer has the status 503"),
    "a redirect": (
        lambda request, handler: reply(handler, "", 302, Location="/elsewhere"),
        "the answer has the status 302",
    ),
    "no metrics": (lambda request, handler: reply(handler, "<html>\xff"), "node_nf_conntrack_entries is missing"),
    "no module": (lambda request, handler: reply(handler, "node_load1 1\n"), "is nf_conntrack loaded"),
    "silence": (slow, "no answer within 0.5 seconds"),
    "no HTTP": (lambda request, handler: handler.wfile.write(b"SSH-2.0\r\n") and None, "ClientResponseError"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_answer_is_unknown_with_the_reason(case: str, tmp_path: pathlib.Path) -> None:
    respond, reason = WRONG[case]
    with web_server(respond) as (url, received):
        options = {**FAST, "routers": {"r1": url}}
        with polling(options, tmp_path / "events") as source:
            assert reason in source.wait_for("r1", "unknown")["reason"]
        assert "/elsewhere" not in {request.path for request in received}


def test_an_answer_without_an_end_takes_neither_memory_nor_time(tmp_path: pathlib.Path) -> None:
    with web_server(endless) as (url, _received):
        times = {"interval": 30, "timeout": 29, "window": 60, "unknown_after": 1}
        options = {**FAST, **times, "routers": {"r1": url}}
        with polling(options, tmp_path / "events") as source:
            assert "the answer has more than 67108864 bytes" in source.wait_for("r1", "unknown")["reason"]


def test_a_router_that_hangs_does_not_hold_up_the_others(tmp_path: pathlib.Path) -> None:
    nearly_full = HALF_FULL.replace(" 50", " 90")
    answering = web_server(lambda _request, handler: reply(handler, nearly_full))
    with web_server(slow) as (hanging, _one), answering as (url, _two):
        options = {**FAST, "routers": {"r1": hanging, "r2": url}}
        with polling(options, tmp_path / "events") as source:
            source.wait_for("r2", "pressure")


@pytest.mark.alone
def test_the_beat_is_kept_however_long_an_answer_takes(tmp_path: pathlib.Path) -> None:
    def respond(request: Received, handler: t.Any) -> None:
        time.sleep(0.4)
        reply(handler, HALF_FULL)

    with web_server(respond) as (url, received):
        options = {**FAST, "timeout": 0.9, "routers": {"r1": url}}
        with polling(options, tmp_path / "events"):
            wait_until(lambda: len(received) > 8, "it does not poll")
    seconds = (received[8].at - received[0].at) / 8
    assert 0.95 < seconds < 1.2


def test_an_address_of_ipv6(tmp_path: pathlib.Path) -> None:
    with web_server(lambda _request, handler: reply(handler, HALF_FULL.replace("50", "99")), "::1") as (url, _received):
        assert url.startswith("http://[::1]:")
        with polling({**FAST, "routers": {"r1": url}}, tmp_path / "events") as source:
            assert source.wait_for("r1", "pressure")["percent"] == 99


def test_a_certificate_has_to_be_valid_unless_the_options_say_otherwise(tmp_path: pathlib.Path) -> None:
    tls, certificate = self_signed(tmp_path)
    full = HALF_FULL.replace("50", "99")

    def respond(request: Received, handler: t.Any) -> None:
        is_known = request.headers.get("Authorization") == "Bearer s3cret"
        reply(handler, full if is_known else "", 200 if is_known else 401)

    with web_server(respond, tls=tls) as (url, received):
        options = {**FAST, "routers": {"r1": url}, "headers": {"Authorization": "Bearer s3cret"}}
        with polling(options, tmp_path / "refused") as source:
            told = source.wait_for("r1", "unknown")
            assert "certificate verify failed" in told["reason"]
            assert received == []
            assert "s3cret" not in source.log.read_text(encoding="utf-8")
        with polling({**options, "ca_file": str(certificate)}, tmp_path / "known") as source:
            source.wait_for("r1", "pressure")
        with polling({**options, "verify_tls": False}, tmp_path / "anybody") as source:
            source.wait_for("r1", "pressure")
        with polling({**options, "ca_file": str(certificate), "headers": {}}, tmp_path / "stranger") as source:
            assert source.wait_for("r1", "unknown")["reason"] == "the answer has the status 401"


def test_a_report_is_fetched_once_for_all_its_routers(tmp_path: pathlib.Path) -> None:
    lines = [f"netops_conntrack_report_timestamp_seconds {int(time.time())}"]
    for number in range(200):
        lines += [
            f'netops_conntrack_entries{{host="r{number}"}} {number}',
            f'netops_conntrack_entries_limit{{host="r{number}"}} 200',
        ]
    with web_server(lambda _request, handler: reply(handler, "\n".join([*lines, HALF_FULL]))) as (url, received):
        options = {**FAST, "timeout": 0.9, "metrics": "report", "routers": {f"r{number}": url for number in range(201)}}
        with polling(options, tmp_path / "events") as source:
            source.wait_for("r199", "pressure")
            # Not in the report, whatever the node_exporter says of the controller itself.
            source.wait_for("r200", "unknown")
            told = {event["router"] for event in source.events if event["status"] == "pressure"}
        assert told == {f"r{number}" for number in range(170, 200)}
        assert len(received) < 60
