# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to this collection: it can change without notice.

"""The options of the event source, checked before the first router is asked."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import typing as t
import urllib.parse

_ROUTER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""A name of one host. A pattern of Ansible, such as ``all:!edge`` or ``web*``, could mean several."""

_OF_ALL = frozenset({"all", "ungrouped"})
"""Groups that every inventory has."""

RELIEFS = ("none", "prune", "tune", "site")
METRICS = ("node", "report")

_GIVEN_BY_RULEBOOK = frozenset({"eda_feedback_queue"})
"""What ansible-rulebook adds to the options of every event source."""


class OptionError(ValueError):
    """An option that cannot be used: its name, its value, and what to write instead."""

    def __init__(self, name: str, value: t.Any, remedy: str) -> None:
        super().__init__(f"{name}: {value!r} cannot be used. {remedy} No router was asked.")


@dataclasses.dataclass(frozen=True)
class _Number:
    """What a number may be."""

    default: float
    least: float
    most: float
    unit: str


_NUMBERS = {
    "interval": _Number(15, 1, 3600, "seconds"),
    "timeout": _Number(5, 0.1, 600, "seconds"),
    "raise_percent": _Number(85, 0.001, 100, "percent of the limit"),
    "clear_percent": _Number(70, 0, 100, "percent of the limit"),
    "full_within": _Number(1800, 0, 604800, "seconds, 0 to leave the growth out"),
    "growth_from_percent": _Number(30, 0, 100, "percent of the limit"),
    "window": _Number(300, 2, 86400, "seconds"),
    "unknown_after": _Number(3, 1, 1000, "polls without an answer"),
    "report_stale_after": _Number(7200, 60, 604800, "seconds"),
    "remind_after": _Number(3600, 0, 604800, "seconds, 0 for never"),
}
_WHOLE = frozenset({"unknown_after"})
_SWITCHES = {"drops": True, "evictions": True, "verify_tls": True}
_OTHERS = ("routers", "url", "metrics", "relief", "headers", "ca_file")
_NAMES = (*_OTHERS, *_NUMBERS, *_SWITCHES)


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """When a router is under pressure, and when it no longer is."""

    raise_percent: float
    clear_percent: float
    full_within: float
    """Seconds. 0 where the growth does not count."""

    growth_from_percent: float
    """The growth of a table that is emptier says nothing."""

    window: float
    """The seconds over which the growth is measured, and after which a drop is forgotten."""

    unknown_after: int
    remind_after: float
    drops: bool
    evictions: bool


@dataclasses.dataclass(frozen=True)
class Options:
    """All that the event source is told."""

    urls: dict[str, str]
    """By router."""

    metrics: str
    relief: str
    interval: float
    timeout: float
    report_stale_after: float
    headers: dict[str, str]
    ca_file: str
    verify_tls: bool
    thresholds: Thresholds


def from_arguments(arguments: t.Mapping[str, t.Any]) -> Options:
    """Return the options that ``arguments`` of a rulebook give. Raise OptionError for one that cannot be used.

    A null is as good as no option.
    """
    given = {name: value for name, value in arguments.items() if value is not None and name not in _GIVEN_BY_RULEBOOK}
    for name in given:
        if name not in _NAMES:
            raise OptionError(name, given[name], _no_such_option(name))
    numbers = {name: _number(name, given.get(name, number.default)) for name, number in _NUMBERS.items()}
    switches = {name: _switch(name, given.get(name, default)) for name, default in _SWITCHES.items()}
    _check_together(numbers)
    return Options(
        urls=_urls(given),
        metrics=_choice("metrics", given.get("metrics", METRICS[0]), METRICS),
        relief=_choice("relief", given.get("relief", RELIEFS[0]), RELIEFS),
        interval=numbers["interval"],
        timeout=numbers["timeout"],
        report_stale_after=numbers["report_stale_after"],
        headers=_headers(given.get("headers", {})),
        ca_file=_text("ca_file", given.get("ca_file", "")),
        verify_tls=switches["verify_tls"],
        thresholds=Thresholds(
            raise_percent=numbers["raise_percent"],
            clear_percent=numbers["clear_percent"],
            full_within=numbers["full_within"],
            growth_from_percent=numbers["growth_from_percent"],
            window=numbers["window"],
            unknown_after=int(numbers["unknown_after"]),
            remind_after=numbers["remind_after"],
            drops=switches["drops"],
            evictions=switches["evictions"],
        ),
    )


def _no_such_option(name: str) -> str:
    near = difflib.get_close_matches(name, _NAMES, 1)
    meant = f" Did you mean {near[0]}?" if near else ""
    return f"There is no such option.{meant} There are {', '.join(_NAMES)}."


def _number(name: str, value: t.Any) -> float:
    allowed = _NUMBERS[name]
    remedy = f"Give a number from {allowed.least:g} to {allowed.most:g}: {allowed.unit}."
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise OptionError(name, value, remedy)
    try:
        number = float(value)
    except ValueError:
        raise OptionError(name, value, remedy) from None
    whole = name not in _WHOLE or number == number // 1
    if not (math.isfinite(number) and allowed.least <= number <= allowed.most and whole):
        raise OptionError(name, value, remedy)
    return number


def _switch(name: str, value: t.Any) -> bool:
    if not isinstance(value, bool):
        raise OptionError(name, value, "Give true or false.")
    return value


def _choice(name: str, value: t.Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise OptionError(name, value, f"Give one of {', '.join(choices)}.")
    return str(value)


def _text(name: str, value: t.Any) -> str:
    if not isinstance(value, str):
        raise OptionError(name, value, "Give a text.")
    return value


def _headers(value: t.Any) -> dict[str, str]:
    """Return the headers of each request. An error does not show their values, which may be secret."""
    is_dict = isinstance(value, dict) and all(isinstance(text, str) for pair in value.items() for text in pair)
    if not is_dict or any(character in text for pair in value.items() for text in pair for character in "\r\n"):
        names = sorted(map(str, value)) if isinstance(value, dict) else type(value).__name__
        raise OptionError("headers", names, "Give a dict of texts, such as {Authorization: Bearer abc}.")
    return dict(value)


def _check_together(numbers: dict[str, float]) -> None:
    if numbers["clear_percent"] >= numbers["raise_percent"]:
        remedy = f"Give less than raise_percent, which is {numbers['raise_percent']:g}."
        raise OptionError("clear_percent", numbers["clear_percent"], remedy)
    if numbers["timeout"] >= numbers["interval"]:
        remedy = f"Give less than interval, which is {numbers['interval']:g}."
        raise OptionError("timeout", numbers["timeout"], remedy)
    if numbers["window"] < 2 * numbers["interval"]:
        remedy = f"Give at least twice the interval, which is {numbers['interval']:g}."
        raise OptionError("window", numbers["window"], remedy)


def _urls(given: dict[str, t.Any]) -> dict[str, str]:
    routers = given.get("routers")
    if isinstance(routers, dict) and routers:
        if "url" in given:
            raise OptionError("url", given["url"], "Leave it out: routers has the URL of each router.")
        urls = routers
    elif isinstance(routers, list) and routers:
        urls = _from_template(routers, given.get("url"))
    else:
        remedy = "Give a dict of router and URL, or a list of routers together with url."
        raise OptionError("routers", routers, remedy)
    for name, url in urls.items():
        _check_router(name)
        _check_url(name, url)
    return dict(urls)


def _from_template(routers: list[t.Any], template: t.Any) -> dict[str, str]:
    if not isinstance(template, str):
        remedy = "Give the URL of each router of the list, such as http://{router}:9100/metrics."
        raise OptionError("url", template, remedy)
    for name in routers:
        _check_router(name)
        if routers.count(name) > 1:
            raise OptionError("routers", name, "Name each router once.")
    return {name: template.replace("{router}", name) for name in routers}


def _check_router(name: t.Any) -> None:
    if not isinstance(name, str) or not _ROUTER.fullmatch(name) or name in _OF_ALL:
        remedy = "Give the name of one host of the inventory, and no pattern or group. A playbook is limited to it."
        raise OptionError("routers", name, remedy)


def _check_url(router: str, url: t.Any) -> None:
    name, remedy = (
        f"routers.{router}",
        "Give a URL such as http://192.0.2.1:9100/metrics or http://[2001:db8::1]:9100/.",
    )
    if not isinstance(url, str):
        raise OptionError(name, url, remedy)
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        raise OptionError(name, url, remedy) from None
    if parts.username is not None or parts.password is not None:
        shown = f"{parts.scheme}://...@{parts.hostname}"
        raise OptionError(name, shown, "Leave user and password out of the URL. Give headers with an Authorization.")
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0 or re.search(r"\s", url):
        raise OptionError(name, url, remedy)
