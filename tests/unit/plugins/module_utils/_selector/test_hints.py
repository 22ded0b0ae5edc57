# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._selector import hints
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._selector.keys import KEYS


def error_of(selector: dict[str, t.Any]) -> str:
    with pytest.raises(OptionError) as caught:
        compile_selection([selector], None, Context({}, 0))
    return caught.value.message


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("dport", "'destination_port'"),
        ("--dport", "'destination_port'"),
        ("orig-port-dst", "'destination_port'"),
        ("sport", "'source_port'"),
        ("orig-port-src", "'source_port'"),
        ("reply-port-src", "'reply_source_port'"),
        ("reply-port-dst", "'reply_destination_port'"),
        ("proto", "'protocol'"),
        ("src", "'source'"),
        ("dst", "'destination'"),
        ("orig-src", "'source'"),
        ("orig_dst", "'destination'"),
        ("reply-src", "'reply_source'"),
        ("reply-dst", "'reply_destination'"),
        ("srckey", "'source_key'"),
        ("reply-key-dst", "'reply_destination_key'"),
        ("orig-zone", "'zone_original'"),
        ("reply-zone", "'zone_reply'"),
        ("labels", "'label'"),
        ("reply-source", "'reply_source'"),
        ("any-nat", "nat: [snat, dnat]"),
        ("src-nat", "nat: snat"),
        ("dst-nat", "nat: dnat"),
        ("timeout", "remaining: {max: ...}"),
        ("status", "replied, assured, offloaded or expected"),
        ("UNREPLIED", "replied: false"),
        ("port", "source_port or destination_port"),
    ],
)
def test_words_of_other_tools(word: str, meant: str) -> None:
    message = error_of({word: 1})
    assert message.startswith(f"match[0]: {word!r} is not a selector key. Did you mean {meant}")


def test_every_hint_names_a_key() -> None:
    assert set(hints._KEYS_OF_WORDS.values()) <= KEYS.keys()
    assert not KEYS.keys() & (hints._KEYS_OF_WORDS.keys() | hints._SENTENCES.keys())


@pytest.mark.parametrize(
    ("state", "meant"),
    [
        ("NEW", "replied: false"),
        ("related", "expected: true"),
        ("UNREPLIED", "replied: false"),
        ("assured", "assured: true"),
    ],
)
def test_states_of_other_tools(state: str, meant: str) -> None:
    message = error_of({"state": state})
    assert message.startswith(f"match[0].state: {state!r} is not a protocol state.")
    assert meant in message


def test_a_word_near_to_no_key_gets_all_of_them() -> None:
    assert hints.hint_for_key("xyzzy", KEYS) == f"The keys are {', '.join(sorted(KEYS))}."


@pytest.mark.parametrize(
    ("word", "remedy"),
    [
        ("idle.min", "In a dict, write idle: {min: ...}."),
        ("source!", "What an entry must not have stands in exclude."),
        ("protokol", "Did you mean 'protocol'?"),
    ],
)
def test_words_that_are_nearly_right(word: str, remedy: str) -> None:
    assert hints.hint_for_key(word, KEYS) == remedy


def test_a_state_that_is_a_state_has_no_hint() -> None:
    assert hints.hint_for_state("ESTABLISHED") is None
