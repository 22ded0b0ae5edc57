# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may be given as a selector, a report or an answer: each function gives these bytes to one reader of ours.

Bytes that a reader refuses with a typed error are fine. What it accepts has to be fit for all that is done with it.
"""

from __future__ import annotations

import copy
import functools
import json
import typing as t

import yaml
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes import create
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.memo import Memo
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.render import ENDINGS, render
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.merge import merge
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.trend import compare
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.upgrade import read_back
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.answer import Expected, harmless
from helpers.documents import fleet_document
from helpers.encoded_messages import blocks_of
from helpers.old_reports import as_version_1, as_version_2, with_old_names
from helpers.support import CHECKOUT

_CONTEXT = Context({"tcp_timeout_established": 432000, "udp_timeout": 30, "acct": 1}, 0)
_MODULES = (
    *("facts", "info", "events", "prune", "update", "restore", "create", "settings", "timeout_policy"),
    *("expect_info", "expect_prune"),
)
_MOST_YAML = 1 << 13
_GIVEN = {"gather_subset": "all"}


@functools.lru_cache(maxsize=1)
def _table() -> list[Block]:
    return blocks_of(
        {"id": 1, "status": 14, "source_port": 1, "destination_port": 80, "state": 3, "remaining": 9, "mark": 1},
        {"id": 2, "source": "2001:db8::7", "protocol": 17, "status": 8, "remaining": 30, "zone": 7},
        {"id": 3, "protocol": 1, "icmp_type": 8, "icmp_code": 0, "icmp_id": 9, "status": 2, "packets_original": 1},
    )


def selector(data: bytes) -> None:
    """Compile a selection, which is JSON, YAML or a text: by columns it says the same as entry by entry."""
    for given in _as_options(data):
        match, exclude, select = given if isinstance(given, list) and len(given) == 3 else (given, None, ())
        selection = compile_selection(match, exclude, _CONTEXT, select=select)
        of_block = Memo(selection.fields, selection.decide, selection.breakpoints)
        for block in _table():
            assert of_block(block) == [selection.decide(entry) for entry in block.entries()]
        selection.problem(_CONTEXT.settings)


def _as_options(data: bytes) -> t.Iterator[t.Any]:
    """Yield what an option may get of a text: the text itself, and what Ansible makes of it."""
    text = data.decode("utf-8", "replace")
    try:
        # PyYAML alone takes a minute for a large one.
        yield yaml.safe_load(text) if len(text) < _MOST_YAML else text
    except Exception:
        # Ansible refuses it before anything of ours sees it.
        yield text


def entry(data: bytes) -> None:
    """Make entries of what conntrack_create is given: each of them is one, or the option is refused by its name."""
    for given in _as_options(data):
        entries = given if isinstance(given, list) else [given]
        assert sum(map(len, create.blocks_of(entries))) == len(entries)


def report(data: bytes) -> None:
    """Read a report of any version: it can be merged, compared and written in every format."""
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        return
    before = copy.deepcopy(given)
    document = read_back(given, "report")
    assert json.dumps(given) == json.dumps(before)
    assert len(document["hosts"]) == len(given["hosts"])
    try:
        compare(document, given)
        assert len(merge([given])["hosts"]) == len(given["hosts"])
        for style in ENDINGS:
            render(document, style, "high" if style == "junit" else "")
    except ConntrackError as error:
        raise AssertionError(f"a report that was accepted cannot be used: {error.message}") from error


def answer(data: bytes) -> None:
    """Read what a router printed as the answer of a module. The first byte says of which."""
    module = _MODULES[data[0] % len(_MODULES)] if data else _MODULES[0]
    stdout = data[1:].decode("utf-8", "surrogateescape")
    shown = harmless(stdout)
    assert not any(line.lstrip().startswith("{") for line in shown.split("\n"))
    accepted = Expected(f"conntrack_{module}", _GIVEN).read(stdout)
    if accepted is not None:
        # Nothing in it is a text that a terminal obeys, and it is no larger than what was said.
        assert "\x1b" not in json.dumps(accepted, ensure_ascii=False)


READERS: dict[str, t.Callable[[bytes], None]] = {
    "selector": selector,
    "entry": entry,
    "report": report,
    "answer": answer,
}


def seeds() -> dict[str, list[bytes]]:
    """Return inputs for each of the functions, as honest users and routers give them."""
    selectors = (
        "protocol=tcp state=SYN_SENT idle.min=1h",
        '[{"protocol": ["tcp", 17], "destination_port": "1-99,443"}, {"source": "10.0.0.0/8", "replied": false}]',
        '[{"packets": {"min": 1, "max": "9k"}}, [{"mark": "0x1/0xff"}], ["dead"]]',
        "[null, {zone: 7}, [idle_tcp]]",
        '{"status": ["ASSURED"], "remaining": {"max": "5m"}, "labels": "1", "helper": "ftp", "age": {"min": "1d"}}',
        "{destination: '!2001:db8::/32', icmp_type: 8, bytes: {min: 1M}, nat: source, family: ipv4}",
    )
    created = (
        "[{protocol: tcp, source: 192.0.2.1, destination: 192.0.2.2, source_port: 1, destination_port: 2, "
        "state: ESTABLISHED, remaining: 1h, status: [ASSURED, SEEN_REPLY], mark: 7, zone: 3, labels: [1, 5]}]",
        "[{protocol: icmpv6, source: '2001:db8::1', destination: '2001:db8::2', icmp_type: 128, icmp_code: 0, "
        "icmp_id: 9, remaining: 30, helper: ftp, reply_source: '2001:db8::2'}, {protocol: gre, remaining: 9, "
        "source: 192.0.2.1, destination: 192.0.2.2, source_key: 1, destination_key: 2, replied: true}]",
    )
    small = fleet_document(2)
    reports = (
        small,
        as_version_1(small),
        as_version_2(small),
        with_old_names(small),
        fleet_document(1, check_mode=True),
    )
    facts = json.loads((CHECKOUT / "tests" / "unit" / "roles" / "facts" / "sick.json").read_text())
    answers: list[tuple[str, t.Any]] = [
        ("facts", {"changed": False, "ansible_facts": {"conntrack": facts}}),
        ("prune", {"failed": True, "msg": "no", "failures": {"EPERM": 1}, "rc": 1}),
        ("update", {"changed": True, "matched": 1, "updated": 1, "already_gone": 0, "diff": {"before": "a\n"}}),
        ("settings", {"changed": True, "warnings": ["a", {"event": {"msg": "b"}}], "deprecations": [{"msg": "c"}]}),
        ("info", {"changed": False, "count": 1, "entries": [{"source": "192.0.2.1"}], "groups": []}),
    ]
    return {
        "selector": [each.encode() for each in selectors],
        "entry": [each.encode() for each in created],
        "report": [json.dumps(each, separators=(",", ":")).encode() for each in reports],
        "answer": [bytes([_MODULES.index(module)]) + json.dumps(value).encode() for module, value in answers],
    }
