# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The selectors that have a name, and what the documentation says of them."""

from __future__ import annotations

import re
import typing as t

import pytest
import yaml
from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector.key import Answer
from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import (
    NAMED,
    NAMED_SELECTORS,
    names_of,
)
from helpers.encoded_messages import Fields, entry_of
from helpers.support import CHECKOUT

CONTEXT = Context({"tcp_timeout_established": 432000}, 0)
NONE, SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE, SYN_SENT2 = range(10)


def tcp(state: int = ESTABLISHED, **others: t.Any) -> Fields:
    return {"protocol": _uapi.TCP, "state": state, "status": 0, **others}


def six(**others: t.Any) -> Fields:
    return tcp(source="2001:db8::1", destination="2001:db8::2", **others)


def counted(packets: int, byte_count: int) -> Fields:
    return {"packets_original": packets, "bytes_original": byte_count, "packets_reply": 0, "bytes_reply": 0}


CASES: list[tuple[str, Fields, Answer]] = [
    *(("stale", tcp(**counted(1, size)), True) for size in (40, 41, 52, 64)),
    *(("stale", tcp(**counted(1, size)), False) for size in (39, 65, 72, 1500)),
    *(("stale", six(**counted(1, size)), True) for size in (60, 61, 72, 84)),
    *(("stale", six(**counted(1, size)), False) for size in (40, 52, 59, 85)),
    ("stale", tcp(**counted(0, 0)), False),
    ("stale", tcp(**counted(2, 80)), False),
    ("stale", tcp(**{**counted(1, 52), "status": _uapi.SEEN_REPLY}), False),
    ("stale", tcp(SYN_SENT, **counted(1, 52)), False),
    ("stale", tcp(), None),
    ("stale", {"protocol": _uapi.UDP, "status": 0, **counted(1, 52)}, False),
    ("one_way", tcp(**counted(2, 80)), True),
    ("one_way", tcp(**counted(1, 1500)), False),
    ("one_way", tcp(**{**counted(9, 900), "status": _uapi.SEEN_REPLY}), False),
    *(("half_open", tcp(state), True) for state in (SYN_SENT, SYN_SENT2, SYN_RECV)),
    *(("half_open", tcp(state), False) for state in (NONE, ESTABLISHED, FIN_WAIT, CLOSE)),
    *(("closing", tcp(state), True) for state in (FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE)),
    *(("closing", tcp(state), False) for state in (NONE, SYN_SENT, SYN_RECV, ESTABLISHED, SYN_SENT2)),
    ("idle_hour", tcp(remaining=432000 - 3610, status=_uapi.ASSURED | _uapi.SEEN_REPLY), True),
    ("idle_hour", tcp(remaining=432000 - 3500, status=_uapi.ASSURED | _uapi.SEEN_REPLY), False),
    ("idle_hour", tcp(), None),
    ("idle_day", tcp(remaining=432000 - 86410, status=_uapi.ASSURED | _uapi.SEEN_REPLY), True),
    ("idle_day", tcp(remaining=432000 - 86300, status=_uapi.ASSURED | _uapi.SEEN_REPLY), False),
    ("unanswered", {"protocol": _uapi.UDP, "status": 0}, True),
    ("unanswered", {"protocol": _uapi.ICMP, "status": 0}, True),
    ("unanswered", {"protocol": 50, "status": 0}, True),
    ("unanswered", {"protocol": _uapi.UDP, "status": _uapi.SEEN_REPLY}, False),
    ("unanswered", tcp(), False),
    ("dns", {"protocol": _uapi.UDP, "source_port": 4000, "destination_port": 53}, True),
    ("dns", {"protocol": _uapi.UDP, "source_port": 53, "destination_port": 4000}, False),
    ("dns", tcp(source_port=4000, destination_port=53), False),
    *(("multicast", {"protocol": 112, "destination": address}, True) for address in ("224.0.0.18", "239.255.255.250")),
    ("multicast", {"protocol": _uapi.UDP, "destination": "255.255.255.255"}, True),
    ("multicast", {"protocol": _uapi.UDP, "source": "2001:db8::1", "destination": "ff02::fb"}, True),
    ("multicast", {"protocol": _uapi.UDP, "destination": "223.255.255.255"}, False),
    ("multicast", {"protocol": _uapi.UDP, "destination": "240.0.0.1"}, False),
]


@pytest.mark.parametrize(("name", "fields", "answer"), CASES)
def test_what_a_name_means(name: str, fields: Fields, answer: Answer) -> None:
    assert compile_selection(None, None, CONTEXT, select=[name]).decide(entry_of(fields)) is answer


def test_every_name_is_tried() -> None:
    for wanted in (True, False):
        assert {name for name, _fields, answer in CASES if answer is wanted} == NAMED.keys()


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ([], []),
        ("stale", ["stale"]),
        (["stale", "idle_day"], ["stale", "idle_day"]),
        ("stale,idle_day", ["stale", "idle_day"]),
        ("stale idle_day", ["stale", "idle_day"]),
        ([" stale, idle_day ", "dns"], ["stale", "idle_day", "dns"]),
        ("stale,stale,", ["stale"]),
    ],
)
def test_names(value: t.Any, names: list[str]) -> None:
    assert names_of(value, "select") == names


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("stael", "select: 'stael' is not the name of a selector. Did you mean 'stale'?"),
        (["stale", "Half-Open"], "select: 'Half-Open' is not the name of a selector. Did you mean 'half_open'?"),
        ("everything", "select: 'everything' is not the name of a selector. The names are stale, one_way, half_open, "),
        (None, "select: None is not a list of names."),
        ("", "select: '' is not a list of names."),
        ([""], "select: [''] is not a list of names."),
        (",", "select: ',' is not a list of names."),
        (["stale", " , "], "select: ['stale', ' , '] is not a list of names."),
        ([None], "select: [None] is not a list of names."),
        ([{"protocol": "tcp"}], "select: [{'protocol': 'tcp'}] is not a list of names."),
    ],
)
def test_no_names(value: t.Any, words: str) -> None:
    with pytest.raises(OptionError) as caught:
        names_of(value, "select")
    assert caught.value.message.startswith(words)


PAGE = (CHECKOUT / "docs" / "selectors.md").read_text(encoding="utf-8")


def section(name: str) -> str:
    """Return what the page says of a selector, on one line."""
    found = re.search(rf"^### `{name}`\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, name
    return " ".join(found.group(1).split())


def test_the_page_has_all_names_in_their_order() -> None:
    assert re.findall(r"^### `(\w+)`$", PAGE, re.MULTILINE) == list(NAMED)


@pytest.mark.parametrize("name", NAMED)
def test_the_page_says_what_the_name_means_and_risks(name: str) -> None:
    selector = NAMED_SELECTORS[name]
    text = section(name).replace("`", "")
    assert selector.meaning in text
    assert f"**Kernels:** {selector.kernels}" in text
    assert f"**Risk:** {selector.risk}" in text


@pytest.mark.parametrize("name", NAMED)
def test_the_page_has_the_selector_as_it_is(name: str) -> None:
    [text] = re.findall(rf"^### `{name}`\n.*?```yaml\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)[:1]
    written = yaml.safe_load(text)
    assert {"exclude": [], **written} == NAMED[name]


def test_the_documentation_of_the_modules_has_all_names() -> None:
    fragment = (CHECKOUT / "plugins" / "doc_fragments" / "_selection.py").read_text(encoding="utf-8")
    assert set(NAMED) <= set(re.findall(r"V\((\w+)\)", fragment))
