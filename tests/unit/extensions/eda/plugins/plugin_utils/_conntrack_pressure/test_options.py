# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the event source: what is wrong is refused before a router is asked."""

from __future__ import annotations

import typing as t

import pytest
import yaml
from _conntrack_pressure.options import OptionError, from_arguments
from helpers.support import CHECKOUT

SOURCE = CHECKOUT / "extensions" / "eda" / "plugins" / "event_source" / "conntrack_pressure.py"
ROUTERS = {"r1": "http://192.0.2.1:9100/metrics"}


def documented() -> dict[str, dict[str, t.Any]]:
    """Return the options that the documentation of the event source has. It is not imported, as it needs aiohttp."""
    text = SOURCE.read_text(encoding="utf-8").split('DOCUMENTATION = r"""\n')[1].split('"""')[0]
    options: dict[str, dict[str, t.Any]] = yaml.safe_load(text)["options"]
    return options


def test_the_defaults_are_the_documented_ones() -> None:
    options = from_arguments({"routers": ROUTERS})
    known = {**vars(options), **vars(options.thresholds)}
    for name, option in documented().items():
        if "default" in option:
            assert known[name] == option["default"], name


def test_the_documented_options_are_all_that_there_are() -> None:
    with pytest.raises(OptionError) as refused:
        from_arguments({"rooters": ROUTERS})
    told = str(refused.value)
    assert "Did you mean routers?" in told
    assert set(told.split("There are ")[1].split(". No router")[0].split(", ")) == set(documented())


def test_a_list_of_routers_and_one_url() -> None:
    options = from_arguments({"routers": ["r1", "r2"], "url": "https://{router}.example.net:9100/metrics"})
    assert options.urls == {f"r{n}": f"https://r{n}.example.net:9100/metrics" for n in (1, 2)}


@pytest.mark.parametrize("url", ["http://[2001:db8::1]:9100/metrics", "https://r1/", "http://r1:80/a?b=c"])
def test_urls_of_any_family(url: str) -> None:
    assert from_arguments({"routers": {"r1": url}}).urls == {"r1": url}


def test_numbers_may_be_texts_as_templates_make_them() -> None:
    assert from_arguments({"routers": ROUTERS, "raise_percent": "90", "interval": 60}).thresholds.raise_percent == 90


def test_what_rulebook_adds_is_no_option() -> None:
    from_arguments({"routers": ROUTERS, "eda_feedback_queue": object()})


BAD: list[tuple[dict[str, t.Any], list[str]]] = [
    ({}, ["routers: None", "Give a dict of router and URL"]),
    ({"routers": {}}, ["routers: {}", "Give a dict"]),
    ({"routers": "r1"}, ["routers: 'r1'", "Give a dict"]),
    ({"routers": ["r1"]}, ["url: None", "http://{router}:9100/metrics"]),
    ({"routers": ["r1", "r1"], "url": "http://{router}"}, ["routers: 'r1'", "Name each router once."]),
    ({"routers": ["all"], "url": "http://{router}"}, ["routers: 'all'", "no pattern or group"]),
    ({"routers": {"all:!r1": "http://r1"}}, ["routers: 'all:!r1'", "no pattern or group"]),
    ({"routers": {"web*": "http://r1"}}, ["routers: 'web*'", "no pattern or group"]),
    ({"routers": {"@file": "http://r1"}}, ["routers: '@file'", "no pattern or group"]),
    ({"routers": {"-r1": "http://r1"}}, ["routers: '-r1'", "no pattern or group"]),
    ({"routers": {1: "http://r1"}}, ["routers: 1", "no pattern or group"]),
    ({"routers": ROUTERS, "url": "http://r1"}, ["url: 'http://r1'", "Leave it out"]),
    ({"routers": {"r1": "r1:9100"}}, ["routers.r1: 'r1:9100'", "http://[2001:db8::1]:9100/"]),
    ({"routers": {"r1": "file:///etc/passwd"}}, ["routers.r1", "Give a URL"]),
    ({"routers": {"r1": "http://[2001:db8::1"}}, ["routers.r1", "Give a URL"]),
    ({"routers": {"r1": "http://r1:99999/"}}, ["routers.r1", "Give a URL"]),
    ({"routers": {"r1": "http://r1/a b"}}, ["routers.r1", "Give a URL"]),
    ({"routers": {"r1": None}}, ["routers.r1: None", "Give a URL"]),
    ({"routers": ROUTERS, "metrics": "nodes"}, ["metrics: 'nodes'", "node, report"]),
    ({"routers": ROUTERS, "relief": True}, ["relief: True", "none, prune, tune, site"]),
    ({"routers": ROUTERS, "raise_percent": 0}, ["raise_percent: 0", "percent of the limit"]),
    ({"routers": ROUTERS, "raise_percent": True}, ["raise_percent: True", "Give a number"]),
    ({"routers": ROUTERS, "raise_percent": "high"}, ["raise_percent: 'high'", "Give a number"]),
    ({"routers": ROUTERS, "raise_percent": float("nan")}, ["raise_percent: nan", "Give a number"]),
    ({"routers": ROUTERS, "clear_percent": 85}, ["clear_percent: 85", "less than raise_percent, which is 85"]),
    ({"routers": ROUTERS, "interval": 0}, ["interval: 0", "1 to 3600: seconds"]),
    ({"routers": ROUTERS, "timeout": 15}, ["timeout: 15", "less than interval, which is 15"]),
    ({"routers": ROUTERS, "window": 29}, ["window: 29", "at least twice the interval"]),
    ({"routers": ROUTERS, "unknown_after": 1.5}, ["unknown_after: 1.5", "polls without an answer"]),
    ({"routers": ROUTERS, "drops": "yes"}, ["drops: 'yes'", "true or false"]),
    ({"routers": ROUTERS, "ca_file": 3}, ["ca_file: 3", "Give a text"]),
]


@pytest.mark.parametrize(("arguments", "words"), BAD, ids=lambda value: str(value)[:60])
def test_a_bad_option_is_refused_with_its_name_its_value_and_a_remedy(
    arguments: dict[str, t.Any], words: list[str]
) -> None:
    with pytest.raises(OptionError) as refused:
        from_arguments(arguments)
    for word in [*words, "No router was asked."]:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"routers": {"r1": "http://user:s3cret@r1/"}},
        {"routers": ROUTERS, "headers": {"Authorization": ["s3cret"]}},
        {"routers": ROUTERS, "headers": {"Authorization": "s3cret\r\nHost: other"}},
        {"routers": ROUTERS, "headers": "Authorization: s3cret"},
    ],
)
def test_a_secret_is_not_shown(arguments: dict[str, t.Any]) -> None:
    with pytest.raises(OptionError) as refused:
        from_arguments(arguments)
    assert "s3cret" not in str(refused.value)
    assert "Authorization" in str(refused.value)
