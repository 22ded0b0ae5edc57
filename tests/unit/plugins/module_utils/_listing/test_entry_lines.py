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


@pytest.mark.parametrize("name", [*ENTRY, "status", "mark", "zone", "labels", "helper", "reply_source", "family"])
@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_what_is_no_value_is_refused_by_its_name(name: str, odd: t.Any) -> None:
    with pytest.raises(OptionError) as caught:
        line_of({**ENTRY, name: odd}, "entries[0]").encode("ascii")
    assert caught.value.message.startswith("entries[0].")
