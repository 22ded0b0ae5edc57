# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The functions that checks have besides those of JMESPath."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.cluster_words import (
    Facts,
    described_with_peers,
    selector_words,
    share_of,
)

_Library: t.Any = object
try:
    from jmespath import functions
except ImportError:
    # An expression then says what is missing, before it calls any function.
    pass
else:
    _Library = functions.Functions

_NUMBER = {"types": ["number"]}
_OBJECT = {"types": ["object"]}


Function = t.TypeVar("Function", bound=t.Callable[..., t.Any])


def _takes(*types: dict[str, list[str]]) -> t.Callable[[Function], Function]:
    """Return a decorator that says what a function of checks takes, as the library reads it."""

    def note(function: Function) -> Function:
        vars(function)["signature"] = types
        return function

    return note


class Functions(_Library):  # type: ignore[misc]  # the library has no types, so its classes are Any
    """The functions of JMESPath and those of checks. ``document`` is what the whole expression is evaluated on."""

    def __init__(self, document: t.Any) -> None:
        super().__init__()
        self._document = document

    @_takes({"types": []})
    def _func_to_string(self, value: t.Any) -> t.Any:
        """Return a value as text. JMESPath itself says ``null`` for what is not known."""
        return None if value is None else super()._func_to_string(value)

    @_takes(_NUMBER, _NUMBER)
    def _func_percent(self, part: float, whole: float) -> float | None:
        return 100 * part / whole if whole else None

    @_takes(_NUMBER, _NUMBER, _NUMBER)
    def _func_scaled(self, number: float, before: float, after: float) -> int | None:
        """Return what becomes of a number that is proportional to another one, as a whole number."""
        return round(number * after / before) if before else None

    @_takes()
    def _func_root(self) -> t.Any:
        """Return the whole document. Inside of a list, names are those of its items."""
        return self._document

    @_takes(_OBJECT)
    def _func_described(self, cluster: Facts) -> str:
        """Return a cluster of ``table.filled_by`` in words, with its figures."""
        return f"{share_of(cluster)} % of the table, {cluster['entries']:,} entries: {described_with_peers(cluster)}"

    @_takes(_OBJECT)
    def _func_selector(self, match: Facts) -> str:
        """Return the selector of a cluster as the words of a text, as the modules take it."""
        return " ".join(selector_words(match))
