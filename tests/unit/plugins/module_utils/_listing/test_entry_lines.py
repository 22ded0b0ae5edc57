# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is given of an entry is refused by the name of its option. tests/kernel/test_conntrack_create.py makes them."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._listing.entry_lines import line_of

ENTRY = {
    "protocol": "tcp",
    "source": "192.0.2.1",
    "destination": "192.0.2.2",
    "source_port": 1,
    "destination_port": 2,
    "state": "ESTABLISHED",
    "remaining": 9,
}
ODD: tuple[t.Any, ...] = (
    *(
        "a\0b",
        "\ud800",
        "x\ny",
        "1 2",
        "é",
        "\uff11",
        "# helper=x",
        "9" * 5000,
        10**400,
        float("nan"),
        float("inf"),
        -1.5,
    ),
    *({"file": "a"}, {1: 2}, ["a\0"], ["\ud800"], [{}], [[1]]),
)


def test_what_is_an_entry_is_a_line() -> None:
    assert line_of(ENTRY, "entries[0]").startswith("-A -t 9 -u UNSET")


@pytest.mark.parametrize("yes", [True, "true", "yes", "1", 1])
def test_what_a_template_or_a_command_line_means_by_true(yes: t.Any) -> None:
    assert line_of({**ENTRY, "replied": yes}, "entries[0]").startswith("-A -t 9 -u SEEN_REPLY ")
    assert line_of({**ENTRY, "replied": yes, "assured": "no"}, "entries[0]").startswith("-A -t 9 -u SEEN_REPLY ")


@pytest.mark.parametrize("no", [False, "false", "no", "0"])
def test_an_entry_that_is_not_offloaded_needs_its_state(no: t.Any) -> None:
    entry = {name: value for name, value in ENTRY.items() if name != "state"}
    assert line_of({**entry, "offloaded": True}, "entries[0]")
    with pytest.raises(OptionError, match=r"entries\[0\]\.state"):
        line_of({**entry, "offloaded": no}, "entries[0]")


@pytest.mark.parametrize(("labels", "words"), [(0, "labels=0x1"), ([0, 5], "labels=0x21"), (5, "labels=0x20")])
def test_labels(labels: t.Any, words: str) -> None:
    assert f"# {words}" in line_of({**ENTRY, "labels": labels}, "entries[0]")
    assert "labels" not in line_of({**ENTRY, "labels": []}, "entries[0]")


@pytest.mark.parametrize(
    "name",
    [*ENTRY, "status", "mark", "zone", "labels", "helper", "reply_source", "family", "replied", "assured", "offloaded"],
)
@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_what_is_no_value_is_refused_by_its_name(name: str, odd: t.Any) -> None:
    with pytest.raises(OptionError) as caught:
        line_of({**ENTRY, name: odd}, "entries[0]").encode("ascii")
    assert caught.value.message.startswith("entries[0].")
