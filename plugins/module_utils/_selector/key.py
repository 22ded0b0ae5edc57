# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What a key of a selector is, and what it is compiled to.

Each value of a key is parsed once, when the selector is read. The test of an entry, the condition for the kernel and
the breakpoints for a memo are all made from what was parsed.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._table.kernel_filter import Condition

Answer = t.Optional[bool]
Test = t.Callable[[Entry], Answer]
"""A test answers True, False, or None where the entry lacks the field."""

Breakpoints = t.Mapping[str, t.Collection[int]]
"""By field, all numbers at which an answer may change when the field's number grows."""

Kind = tuple[int, int]
"""A family and a protocol, both as numbers."""

EVERY_KIND: frozenset[Kind] = frozenset((family, protocol) for family in _uapi.FAMILY_NAMES for protocol in range(256))
"""All that an entry can be."""


def of_families(families: t.Collection[int]) -> frozenset[Kind]:
    """Return the kinds of these families."""
    return frozenset(kind for kind in EVERY_KIND if kind[0] in families)


def of_protocols(protocols: t.Collection[int]) -> frozenset[Kind]:
    """Return the kinds of these protocols."""
    return frozenset(kind for kind in EVERY_KIND if kind[1] in protocols)


class Compiled(t.NamedTuple):
    """What a key with its values is for an entry and for the kernel.

    Only entries of ``kinds`` can meet the test. ``condition`` is what the kernel can be asked for in place of a single
    value: every entry that meets the test, or for which it is undecidable, meets the condition. It is None where there
    is no such condition. ``breakpoints`` are those of the test. ``values`` is what was parsed.
    """

    test: Test
    kinds: frozenset[Kind] = EVERY_KIND
    condition: Condition | None = None
    breakpoints: Breakpoints = {}
    values: t.Sequence[t.Any] = ()


Parsed = t.TypeVar("Parsed")


@dataclasses.dataclass(frozen=True)
class Key(t.Generic[Parsed]):
    """A key: how a value is parsed, and what the parsed values are compiled to.

    ``parse`` takes a value, and the option's name for errors. It raises OptionError for a bad value. The tests read the
    ``fields`` of an entry.
    """

    parse: t.Callable[[t.Any, str], Parsed]
    compile_parsed: t.Callable[[list[Parsed], Context], Compiled]
    fields: tuple[str, ...]

    def compile(self, values: t.Iterable[t.Any], option: str, context: Context) -> Compiled:
        """Return what the key with these values is compiled to. Raises OptionError for a bad value."""
        parsed = [self.parse(value, option) for value in values]
        return self.compile_parsed(parsed, context)._replace(values=parsed)


def only(conditions: t.Sequence[Condition | None]) -> Condition | None:
    """Return the condition of a single value. There is none for several: the kernel cannot be asked for any of them."""
    return conditions[0] if len(conditions) == 1 else None


class Reader(t.Protocol):
    """What reads ``fields`` of an entry, and has ``breakpoints`` for some of them."""

    @property
    def fields(self) -> frozenset[str]:
        """The fields that it reads."""

    @property
    def breakpoints(self) -> Breakpoints:
        """The breakpoints of some of these."""


def common_breakpoints(readers: t.Collection[Reader]) -> dict[str, set[int]]:
    """Return the breakpoints of the fields that have some in every reader that reads them."""
    breakpoints: dict[str, set[int]] = {}
    for reader in readers:
        for field, numbers in reader.breakpoints.items():
            if all(field in other.breakpoints for other in readers if field in other.fields):
                breakpoints.setdefault(field, set()).update(numbers)
    return breakpoints
