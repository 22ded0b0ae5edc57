# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What a profile, a sizing and a user's own values mean for one router."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import short_name_of

_OVERRIDE = "set by conntrack_tune_overrides"
_SIZED = ("max", "buckets")


def plan(
    profile: t.Mapping[str, t.Any],
    overrides: dict[str, t.Any],
    available: list[str],
    sizing: t.Mapping[str, t.Any] | None = None,
) -> dict[str, dict[str, t.Any] | list[str]]:
    """Return the ``settings`` to make by short name, ``why`` of each, and the names that are ``left_out``.

    ``profile`` maps a setting's name to its value and why. ``available`` lists the short names that the router's kernel
    has. ``sizing`` is the result of ``size``, if there was one. A sizing wins over the profile, an override over both.
    An override stays in if it is not available, because the module then refuses it by name.

    Raises OptionError for what is no dictionary, for an entry of the profile without value or why, and for two names of
    one setting.
    """
    _refuse_other_than_dict("the settings of the profile", profile, "{acct: {value: 1, why: Counters are needed.}}")
    _refuse_other_than_dict("conntrack_tune_overrides", overrides, "{max: 1M, tcp_loose: false}")
    _refuse_other_than_dict("sizing", sizing or {}, "what the filter conntrack_sizing returns")
    wanted = {short_name(name): _entry(name, entry) for name, entry in profile.items()}
    if sizing:
        wanted |= {name: {"value": sizing[name], "why": sizing["why"]} for name in _SIZED}
    own: dict[str, t.Any] = {}
    for name, value in overrides.items():
        if own.setdefault(short_name(name), value) != value:
            problem = "is another value for a setting that stands there under another name, too"
            raise OptionError(f"conntrack_tune_overrides, {name}", value, problem, "Give one of them.")
    left_out = sorted(wanted.keys() - own - set(available))
    settings = {name: entry["value"] for name, entry in wanted.items() if name not in left_out} | own
    why = {name: _OVERRIDE if name in own else str(wanted[name]["why"]) for name in settings}
    return {"settings": settings, "why": why, "left_out": left_out}


def short_name(name: str) -> str:
    """Return the short name of a setting. Return any other text as it is, for the module to refuse."""
    return short_name_of(name) or name


def _refuse_other_than_dict(option: str, value: t.Any, example: str) -> None:
    """Raise OptionError for a value that has no names and values, such as a text."""
    if not isinstance(value, dict):
        raise OptionError(option, value, "is not a dictionary of names and values", f"Give one, such as {example}.")


def _entry(name: str, entry: t.Any) -> dict[str, t.Any]:
    if not isinstance(entry, dict) or entry.get("value") is None or not entry.get("why"):
        raise OptionError(f"profile, {name}", entry, "is not complete", "Give it a value, and why it is good.")
    return entry
