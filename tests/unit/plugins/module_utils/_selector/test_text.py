# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever a selector is written as, it selects the same; a text that is not surely one selector is refused."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import Selection, compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector.keys import KEYS
from ansible_collections.netops.conntrack.plugins.module_utils._selector.text import Given, selectors_of
from helpers.address_files import address_file
from helpers.encoded_messages import Fields, entry_of
from helpers.strategies import NOW, SETTINGS, fields
from hypothesis import assume, given, settings
from hypothesis import strategies as st

CONTEXT = Context(SETTINGS, NOW)


def refusal(value: t.Any, option: str = "match") -> str:
    with pytest.raises(OptionError) as caught:
        selectors_of(value, option)
    return caught.value.message


@pytest.mark.parametrize(
    ("value", "selectors"),
    [
        ({"protocol": "tcp"}, [Given({"protocol": "tcp"}, "match")]),
        ([{"protocol": "tcp"}], [Given({"protocol": "tcp"}, "match[0]")]),
        ("protocol=tcp", [Given({"protocol": "tcp"}, "match")]),
        ("  protocol=tcp\tstate=SYN_SENT\n", [Given({"protocol": "tcp", "state": "SYN_SENT"}, "match")]),
        ("destination_port=80,443", [Given({"destination_port": "80,443"}, "match")]),
        ("protocol='tcp' source=\"198.51.100.1\"", [Given({"protocol": "tcp", "source": "198.51.100.1"}, "match")]),
        ("idle.min=1h", [Given({"idle": {"min": "1h"}}, "match")]),
        ("packets.max=1 packets.min=1", [Given({"packets": {"max": "1", "min": "1"}}, "match")]),
        (["protocol=tcp", {"zone": 5}], [Given({"protocol": "tcp"}, "match[0]"), Given({"zone": 5}, "match[1]")]),
        ('{"protocol": "tcp"}', [Given({"protocol": "tcp"}, "match")]),
        (
            ' [{"protocol": "tcp"}, "zone=5"]',
            [Given({"protocol": "tcp"}, "match[0]"), Given({"zone": "5"}, "match[1]")],
        ),
        ("[{'replied': False}]", [Given({"replied": False}, "match[0]")]),
        ([], []),
        ("[]", []),
    ],
)
def test_selectors(value: t.Any, selectors: list[Given]) -> None:
    assert selectors_of(value, "match") == selectors


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("protocol=tcp,state=SYN_SENT", "protocol=tcp state=SYN_SENT"),
        ("protocol=tcp, state=SYN_SENT", "protocol=tcp state=SYN_SENT"),
        ("protocol=tcp ,state=SYN_SENT", "protocol=tcp state=SYN_SENT"),
        ("protocol=tcp , state=SYN_SENT", "protocol=tcp state=SYN_SENT"),
        ("protocol=tcp;state=SYN_SENT", "protocol=tcp state=SYN_SENT"),
        ("protocol=tcp&idle.min=1h", "protocol=tcp idle.min=1h"),
        ("destination_port=80,443,protocol=tcp", "destination_port=80,443 protocol=tcp"),
        ("protocol=tcp,", "protocol=tcp"),
        ("protocol=,tcp", "protocol=tcp state=SYN_SENT idle.min=1h"),
        ("protocol = tcp", "protocol=tcp state=SYN_SENT idle.min=1h"),
        ("protocol: tcp", "protocol=tcp state=SYN_SENT idle.min=1h"),
        ("protocol=tcp replied", "protocol=tcp state=SYN_SENT idle.min=1h"),
        ("stale", "protocol=tcp state=SYN_SENT idle.min=1h"),
        ("match=protocol=tcp", "protocol=tcp state=SYN_SENT idle.min=1h"),
    ],
)
def test_text_that_is_not_surely_one_selector(text: str, written: str) -> None:
    message = refusal(text)
    assert message.startswith(f"match: {text!r} is not one selector, because of ")
    assert message.endswith(f' and quotes around all of it: match="{written}".')


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "match: '' is empty and would select every entry."),
        ("  ", "match: '  ' is empty and would select every entry."),
        ({}, "match: {} is empty and would select every entry. Give at least one key."),
        (None, "match: None is null, which is never a selector."),
        ([None], "match[0]: None is null, which is never a selector."),
        (5, "match: 5 is not a selector. Give a dict such as "),
        ([["protocol=tcp"]], "match[0]: ['protocol=tcp'] is not a selector."),
        ("protocol='tcp", 'match: "protocol=\'tcp" has a quotation mark without its partner.'),
        (
            "protocol=tcp protocol=udp",
            "match.protocol: 'udp' is given when the key has a value already. Write all of its ",
        ),
        ("idle=5 idle.min=5", "match.idle: '5' is given when the key has a value already."),
        ("idle.min=5 idle=5", "match.idle: '5' is given when the key has a value already."),
        ("idle.min=5 idle.min=6", "match.idle: '6' is given when the key has a value already."),
        (
            "[{protocol: tcp}]",
            "match: '[{protocol: tcp}]' looks like a list or a dict, and is no JSON. Names and texts ",
        ),
        ("{protocol: tcp, state: SYN_SENT}", "looks like a list or a dict, and is no JSON."),
        ("{{ undefined }}", "looks like a list or a dict, and is no JSON."),
        ('[{{"min": 1}: 2}]', "looks like a list or a dict, and is no JSON."),
        ("{'protocol', 'tcp'}", "is not a selector."),
        ('{"nat": null, }', "looks like a list or a dict"),
        ("[" * 100000, "looks like a list or a dict"),
        ("{'protocol': 'tcp', 'protocol': 'udp'}", " is given twice. Give a list of its values"),
        ("['zone=1', {'replied': False, 'idle': {'min': 5, 'min': 6}}]", "min: "),
        ("{**{'protocol': 'tcp'}}", "looks like a list or a dict"),
    ],
)
def test_what_is_no_selector(value: t.Any, words: str) -> None:
    assert words in refusal(value)


Notations = list[tuple[t.Any, ...]]

_BOOLEANS: Notations = [(True, "yes", "1", "on"), (False, "no", "off", 0)]
_ADDRESSES: Notations = [
    ("198.18.0.1", "198.18.0.1/32", "::ffff:198.18.0.1", "::ffff:c612:1", "198.18.0.1/255.255.255.255"),
    ("198.18.0.0/24", "::ffff:198.18.0.0/120"),
    ("2001:db8::1", "2001:DB8:0::1/128"),
]
_NUMBERS: Notations = [(80, "80", 80.0, "80:80", "0x50"), ("0-443", "0:443", "0 - 443")]
_PORTS: Notations = [*_NUMBERS, (80, "http", "HTTP", "80.0"), (53, "domain")]
_BYTES: Notations = [(8, "8", 8.0), ("0-20", "0:20")]
_ZONES: Notations = [(1, "1", 1.0), (2, "0x2"), (65535, "0xffff")]
_FILES = [
    address_file("notations-four", "198.18.0.0/24", "203.0.113.1"),
    address_file("notations-both", "198.18.0.1", "2001:db8::/126"),
]
_LISTS: Notations = [(path, f" {path}", path.replace("/", "//")) for path in _FILES]
NOTATIONS: dict[str, Notations] = {
    "family": [("ipv4", "IPV4"), ("ipv6", " ipv6")],
    "protocol": [
        ("tcp", 6, "6", 6.0, "TCP"),
        ("udp", "17"),
        ("icmp", 1),
        ("gre", 47, "0x2f"),
        ("esp", 50, "IPSEC-ESP"),
    ],
    "state": [("ESTABLISHED", "established"), ("SYN_SENT", " Syn_Sent ")],
    "nat": [("snat", "SNAT"), ("dnat", "Dnat"), ("none", "NONE")],
    "id": [(5, "5", 5.0, "0x5"), ("0-2147483647", "0:2147483647")],
    "mark": [(16, "16", "0x10", 16.0, "0x10/0xffffffff"), ("0x1/0x1", "1/1")],
    "label": [(5, "5", 5.0), (64, "64")],
    "helper": [("ftp", " ftp"), ("sip", "sip ")],
    **dict.fromkeys(("replied", "assured", "offloaded", "expected"), _BOOLEANS),
    **dict.fromkeys(("source", "destination", "reply_source", "reply_destination", "address"), _ADDRESSES),
    **{key: _LISTS for key in KEYS if key.endswith("_list")},
    **{key: _PORTS for key in KEYS if key.endswith("_port")},
    **{key: _NUMBERS for key in KEYS if key.endswith(("_key", "icmp_id"))},
    **{key: _BYTES for key in KEYS if key.endswith(("icmp_type", "icmp_code"))},
    **dict.fromkeys(("zone", "zone_original", "zone_reply"), _ZONES),
}
"""Of each key some values, each in several notations, that of YAML first."""

_COUNTS: Notations = [(0, "0", 0.0), (2, "2"), (1024, "1K", "1k", 1024.0), (2**20, "1M"), (2**40, "1024G")]
_DURATIONS: Notations = [(0, "0s"), (60, "1m", "60s", 60.0), (86400, "1d", "24h", "86400.0")]
AMOUNTS: dict[str, Notations] = {
    **{key: _COUNTS for key in KEYS if key.startswith(("packets", "bytes"))},
    **dict.fromkeys(("remaining", "idle", "age"), _DURATIONS),
}


@st.composite
def notations(draw: st.DrawFn) -> list[t.Any]:
    """Draw one selector in several notations, as match may be given."""
    keys = draw(st.lists(st.sampled_from(sorted(KEYS)), min_size=1, max_size=3, unique=True))
    plain: dict[str, t.Any] = {}
    other: dict[str, t.Any] = {}
    words: list[str] = []
    for key in keys:
        if key in AMOUNTS:
            low, high = sorted(draw(st.tuples(*[st.integers(0, len(AMOUNTS[key]) - 1)] * 2)))
            ends = draw(st.sampled_from([["min"], ["max"], ["min", "max"]]))
            chosen = {end: AMOUNTS[key][low if end == "min" else high] for end in ends}
            plain[key] = {end: values[0] for end, values in chosen.items()}
            other[key] = {end: draw(st.sampled_from(values)) for end, values in chosen.items()}
            words += [f"{key}.{end}={draw(st.sampled_from(values))}" for end, values in chosen.items()]
        else:
            choices = draw(st.lists(st.sampled_from(NOTATIONS[key]), min_size=1, max_size=3))
            plain[key] = [values[0] for values in choices]
            spelled = [draw(st.sampled_from(values)) for values in choices]
            as_text = ",".join(map(str, spelled))
            other[key] = spelled[0] if len(spelled) == 1 else draw(st.sampled_from([spelled, as_text]))
            words.append(f'{key}="{",".join(str(draw(st.sampled_from(values))) for values in choices)}"')
    text = " ".join(words)
    return [[plain], plain, other, [other], json.dumps([plain]), json.dumps(other), repr([other]), text, [text]]


def compiled(match: t.Any) -> Selection | str:
    """Compile a selection; of one that no entry can meet, which all notations have in common, say why."""
    try:
        return compile_selection(match, None, CONTEXT)
    except OptionError as error:
        reasons = [reason for reason in ("contradicts itself", "holds for no entry in") if reason in error.message]
        if not reasons:
            raise
        return reasons[0]


def test_an_idle_time_of_first_packets_is_refused_in_every_notation() -> None:
    selector = {"state": "SYN_SENT", "idle": {"min": 60}}
    notations = (selector, [selector], json.dumps(selector), repr([selector]), "state=SYN_SENT idle.min=60")
    assert set(map(compiled, notations)) == {"holds for no entry in"}


def test_every_key_has_notations() -> None:
    assert NOTATIONS.keys() | AMOUNTS.keys() == KEYS.keys()


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(given_as=notations(), entries=st.lists(fields(), min_size=1, max_size=12))
def test_every_notation_selects_the_same(given_as: list[t.Any], entries: list[Fields]) -> None:
    first, *others = map(compiled, given_as)
    if isinstance(first, str):
        assert set(others) == {first}
        assume(False)
        return
    decoded = [entry_of(fields) for fields in entries]
    for other in others:
        assert isinstance(other, Selection)
        assert [other.decide(entry) for entry in decoded] == [first.decide(entry) for entry in decoded]
        assert (other.fields, other.kinds, other.every_key) == (first.fields, first.kinds, first.every_key)
        assert set(other.conditions) == set(first.conditions)
        assert {field: set(breakpoints) for field, breakpoints in other.breakpoints.items()} == {
            field: set(breakpoints) for field, breakpoints in first.breakpoints.items()
        }


@settings(max_examples=500, deadline=None)
@given(
    words=st.lists(
        st.sampled_from(["protocol=tcp", "state=SYN_SENT", "replied=false", "protocol", "tcp", "zone=5", "="]),
        min_size=2,
        max_size=4,
    ),
    between=st.sampled_from([",", ", ", " ,", ";", ":", "&", "|"]),
)
def test_no_text_with_something_else_than_blanks_between_two_keys(words: list[str], between: str) -> None:
    """Only commas between the values of one key are understood, and never as another key."""
    text = between.join(words)
    try:
        found = selectors_of(text, "match")
        compile_selection(text, None, CONTEXT)
    except OptionError:
        return
    [selector] = found
    assert between == ","
    assert [text.count("="), len(selector.selector)] == [1, 1]


def test_key_that_is_given_twice_in_json() -> None:
    message = refusal('{"protocol": "tcp", "protocol": "udp"}')
    assert "is given twice" in message
