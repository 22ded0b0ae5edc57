# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An event source of ansible-rulebook: routers whose connection-tracking table fills."""

from __future__ import annotations

import asyncio
import pathlib
import ssl
import sys
import time
from typing import Any, Union

import aiohttp

# ansible-rulebook runs this file alone, and not as a part of a package.
sys.path.append(str(pathlib.Path(__file__).absolute().parents[1] / "plugin_utils"))

from _conntrack_pressure.options import OptionError, Options, from_arguments
from _conntrack_pressure.readings import (
    Reading,
    ReadingError,
    Report,
    from_node_exporter,
)
from _conntrack_pressure.watch import Watch

DOCUMENTATION = r"""
---
short_description: Routers whose connection-tracking table fills
version_added: 1.0.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Polls the metrics of routers, and sends an event when a table is nearly full, fills fast, or had to drop packets.
    Another one follows when that is over, or when nobody knows.
  - No router is changed. It needs nothing but what ansible-rulebook brings along.
options:
  routers:
    description:
      - The routers, with the URL of the metrics of each. The names are those of the inventory, because a playbook that
        an event starts is limited to its router.
      - Or a list of names, together with O(url).
    type: raw
    required: true
  url:
    description: The URL of the metrics of each router of a list. C({router}) in it is replaced with the name.
    type: str
  metrics:
    description:
      - V(node) are those of a C(node_exporter) on each router.
      - V(report) are those of a report of this collection, which a node_exporter on the controller hands out. They are
        as old as the report.
    type: str
    choices: [node, report]
    default: node
  relief:
    description:
      - Stands in each event, so that a rulebook can decide by it. The event source does nothing with it.
    type: str
    choices: [none, prune, tune, site]
    default: none
  interval:
    description: Seconds from one poll to the next.
    type: float
    default: 15
  timeout:
    description: Seconds that a router may take for an answer, less than O(interval).
    type: float
    default: 5
  raise_percent:
    description: From how many percent of its limit on a table is under pressure.
    type: float
    default: 85
  clear_percent:
    description: Below how many percent a table that was full clears, less than O(raise_percent).
    type: float
    default: 70
  full_within:
    description:
      - A table that is full within so many seconds, if it goes on to grow, is under pressure. It is no longer when it
        lasts twice as long. V(0) leaves the growth out.
    type: float
    default: 1800
  growth_from_percent:
    description: How full a table has to be for its growth to count.
    type: float
    default: 30
  window:
    description:
      - Seconds over which the growth is measured. After as many seconds without a drop, a router that dropped packets
        is no longer under pressure.
    type: float
    default: 300
  drops:
    description: Whether packets that the kernel dropped for want of room or memory are pressure.
    type: bool
    default: true
  evictions:
    description: Whether entries that the kernel evicted to make room are pressure.
    type: bool
    default: true
  unknown_after:
    description: After how many polls without an answer a router is C(unknown).
    type: int
    default: 3
  report_stale_after:
    description: From how many seconds on a report tells nothing any more, with O(metrics=report).
    type: float
    default: 7200
  remind_after:
    description: Seconds after which an event comes again while nothing has changed for the better. V(0) for never.
    type: float
    default: 3600
  headers:
    description: Headers of each request, such as an C(Authorization). Their values are never shown.
    type: dict
    default: {}
  ca_file:
    description: A file with the certificates of those who sign the certificates of the routers, in PEM.
    type: str
    default: ""
  verify_tls:
    description: Whether the certificate of a router has to be valid.
    type: bool
    default: true
"""

EXAMPLES = r"""
- netops.conntrack.conntrack_pressure:
    routers:
      router1: http://192.0.2.1:9100/metrics
      router2: http://[2001:db8::2]:9100/metrics

- netops.conntrack.conntrack_pressure:
    routers: [router1, router2]
    url: https://{router}.example.net:9100/metrics
    ca_file: /etc/ssl/routers.pem
    raise_percent: 90
    clear_percent: 75
"""

_MOST_BYTES = 64 * 1024 * 1024
"""Of an answer. A report has some 12 KB about each router."""

_AT_ONCE = 64
"""Requests at the same time."""

Answer = Union[tuple[str, float], Report, ReadingError]
"""The metrics and when they came, or a report, or why there is neither."""


async def main(queue: asyncio.Queue[Any], args: dict[str, Any]) -> None:
    """Poll the routers for ever, and put what happens to them into ``queue``. Raise OptionError for a bad option."""
    options = from_arguments(args)
    watches = {router: Watch(router, options.thresholds, options.relief) for router in options.urls}
    connector = aiohttp.TCPConnector(limit=_AT_ONCE, ssl=_tls(options))
    async with aiohttp.ClientSession(connector=connector, headers=options.headers) as session:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            for event in await _poll(session, options, watches, due):
                await queue.put(event)
            # Of the beats that were missed, because the queue or the machine was busy, none is made up for.
            due += options.interval * max(1, -((due - loop.time()) // options.interval))
            await asyncio.sleep(max(0.0, due - loop.time()))


async def _poll(
    session: aiohttp.ClientSession, options: Options, watches: dict[str, Watch], due: float
) -> list[dict[str, Any]]:
    """Return the events of the round that was ``due``. Each URL is asked once, however many routers it is about."""
    urls = list(dict.fromkeys(options.urls.values()))
    free = asyncio.Semaphore(_AT_ONCE)
    answers = dict(zip(urls, await asyncio.gather(*(_fetched(session, options, url, free) for url in urls))))
    events = []
    for router, watch in watches.items():
        try:
            event = watch.answered(_reading(answers[options.urls[router]], options, router), due)
        except ReadingError as error:
            event = watch.failed(str(error), due)
        if event:
            events.append(event)
    return events


def _reading(answer: Answer, options: Options, router: str) -> Reading:
    """Return what ``answer`` says of a router. Raise ReadingError if it says nothing."""
    if isinstance(answer, ReadingError):
        raise answer
    if isinstance(answer, Report):
        return answer.reading(router, time.time(), options.report_stale_after)
    return from_node_exporter(*answer)


async def _fetched(session: aiohttp.ClientSession, options: Options, url: str, free: asyncio.Semaphore) -> Answer:
    """Return the answer of ``url``, or the error that says why there is none."""
    try:
        async with free:  # a router whose turn has not come is not late
            text, at = await asyncio.wait_for(_fetch(session, url), options.timeout)
    except asyncio.TimeoutError:
        return ReadingError(f"no answer within {options.timeout:g} seconds")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return ReadingError(f"{type(error).__name__}: {error}")
    except ReadingError as error:
        return error
    return Report(text) if options.metrics == "report" else (text, at)


async def _fetch(session: aiohttp.ClientSession, url: str) -> tuple[str, float]:
    # Never to where a router sends us.
    async with session.get(url, allow_redirects=False) as response:
        if response.status != 200:
            raise ReadingError(f"the answer has the status {response.status}")
        content = bytearray()
        async for part in response.content.iter_chunked(65536):
            content += part
            if len(content) > _MOST_BYTES:
                raise ReadingError(f"the answer has more than {_MOST_BYTES} bytes")
        return content.decode("utf-8", "replace"), time.monotonic()


def _tls(options: Options) -> ssl.SSLContext | bool:
    """Return how certificates are checked."""
    if not options.verify_tls:
        return False
    if not options.ca_file:
        return True
    try:
        return ssl.create_default_context(cafile=options.ca_file)
    except OSError as error:
        remedy = f"Give a file with certificates in PEM, which can be read ({error.strerror or error})."
        raise OptionError("ca_file", options.ca_file, remedy) from None
