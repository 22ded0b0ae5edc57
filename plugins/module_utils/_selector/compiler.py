# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The selector language, compiled to a predicate on entries.

A selector is a dict whose keys must all hold. A list of values means any of them. Tests answer True, False or None:
None where the entry lacks the field. ``and``, ``or`` and ``not`` are those of three-valued logic, so that an entry is
undecidable only where the missing field decides. A field that the protocol does not have at all (the state of UDP, the
port of ICMP) is not missing: the selector does not hold.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeouts import STATES_OF_FIRST_PACKETS
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError, UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._selector.key import (
    EVERY_KIND,
    Answer,
    Breakpoints,
    Compiled,
    Kind,
    Test,
)
from ansible_collections.netops.conntrack.plugins.module_utils._selector.keys import KEYS
from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import NAMED, names_of
from ansible_collections.netops.conntrack.plugins.module_utils._selector.text import Given, selectors_of
from ansible_collections.netops.conntrack.plugins.module_utils._selector.values import values_of
from ansible_collections.netops.conntrack.plugins.module_utils._table.kernel_filter import Condition
from ansible_collections.netops.conntrack.plugins.module_utils._uapi import (
    FAMILY_NAMES,
    IMPOSSIBLE_KINDS,
    PROTOCOL_NAMES,
)

_KEYS_OF_SWITCHES = {
    "acct": ("packets_original", "packets_reply", "bytes_original", "bytes_reply", "packets", "bytes"),
    "timestamp": ("age",),
}
"""The keys that read what entries have only where a switch was on when they were made."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which entries are selected: those that match, without those that are excluded.

    ``decide`` tells of an entry, of which it reads ``fields``. It is False for all that are not of ``kinds``.
    ``every_key`` are all selector keys that are asked for, ``common_keys`` those that each of the selectors that match
    has. All entries but those that are surely not selected meet the ``conditions``, which the kernel can be asked for.
    ``breakpoints`` has, for some of the fields, all numbers at which the answer may change when the field's number
    grows.
    ``lacking`` collects, while ``decide`` is asked, the switches (acct, timestamp) without which an entry was made that
    cannot be decided.
    """

    decide: Test
    fields: frozenset[str]
    kinds: frozenset[Kind]
    every_key: frozenset[str]
    common_keys: frozenset[str]
    conditions: tuple[Condition, ...]
    breakpoints: Breakpoints
    lacking: set[str]

    def problem(self, settings: t.Mapping[str, int]) -> tuple[str, str] | None:
        """Return the sysctl that is off and leaves entries undecidable, and what to do, or None where there is none."""
        for switch in sorted(self.lacking):
            if settings.get(switch) == 0:
                name = f"net.netfilter.nf_conntrack_{switch}"
                return name, (
                    f"{name} is 0, so that entries do not have what a selector asks for "
                    f"({', '.join(_KEYS_OF_SWITCHES[switch])}). Turn it on with 'sysctl -w {name}=1' or "
                    "netops.conntrack.conntrack_settings; it acts on entries that are made from then on."
                )
        return None

    def checked(self, result: dict[str, t.Any], settings: t.Mapping[str, int]) -> dict[str, t.Any]:
        """Return the ``result`` of a reading, with a warning if entries are undecidable because a switch is off.

        Raises UnavailableError if there are such entries and none is selected: then nobody knows what would be.
        """
        problem = self.problem(settings)
        if problem is None:
            return result
        name, message = problem
        if not result["matched"]:
            raise UnavailableError(message, unavailable=name, undecidable=result["undecidable"])
        return {**result, "warnings": [f"{result['undecidable']} entries cannot be decided. {message}"]}


class _Selector(t.NamedTuple):
    """One selector of a list, by key."""

    keys: dict[str, Compiled]

    @property
    def test(self) -> Test:
        return _all_of([compiled.test for compiled in self.keys.values()])

    @property
    def kinds(self) -> frozenset[Kind]:
        """Of what kinds the entries are for which it can hold."""
        return frozenset(EVERY_KIND).intersection(*(compiled.kinds for compiled in self.keys.values()))

    @property
    def whole_kinds(self) -> frozenset[Kind]:
        """The kinds for all entries of which it holds."""
        return self.kinds if self.keys.keys() <= {"family", "protocol"} else frozenset()


class _Part(t.NamedTuple):
    """Selectors any of which is enough, unless one of others holds."""

    match: list[_Selector]
    exclude: list[_Selector]

    @property
    def kinds(self) -> frozenset[Kind]:
        possible = frozenset(kind for selector in self.match for kind in selector.kinds)
        return possible.difference(*(selector.whole_kinds for selector in self.exclude))

    @property
    def test(self) -> Test:
        matches = _any_of([selector.test for selector in self.match])
        if not self.exclude:
            return matches
        return _all_of([matches, _negated(_any_of([selector.test for selector in self.exclude]))])


def compile_selection(
    match: t.Any, exclude: t.Any, context: Context, option: str = "", select: t.Any = ()
) -> Selection:
    """Compile what ``match``, ``exclude`` and ``select`` (names of selectors) are given. None is what is not given.

    Without match and select, every entry is selected. ``option`` is where they stand, for errors.
    Raises OptionError for anything that is not a selection: nothing of a bad one is ever used.
    """
    at = f"{option}." if option else ""
    names = names_of(select, f"{at}select")
    own = _Part(_compile_list(match, f"{at}match", context), [])
    excluded = _compile_list(exclude, f"{at}exclude", context)
    if not names and not own.match:
        _refuse_no_match(match, exclude if excluded else None, at)
    parts = [_named(name, context) for name in names] + ([own] if own.match else [])
    whole = [_any_of([part.test for part in parts])] if parts else []
    without = [_negated(_any_of([selector.test for selector in excluded]))] if excluded else []
    matching = [selector for part in parts for selector in part.match]
    every = matching + [selector for part in parts for selector in part.exclude] + excluded
    lacking: set[str] = set()
    return Selection(
        decide=_noting_lacks(_all_of(whole + without), every, lacking),
        fields=frozenset(field for selector in every for key in selector.keys for field in KEYS[key].fields),
        kinds=frozenset(kind for part in parts for kind in part.kinds) if parts else EVERY_KIND,
        every_key=frozenset(key for selector in every for key in selector.keys),
        common_keys=_common([frozenset(selector.keys) for selector in matching]),
        conditions=_conditions(matching[0]) if len(matching) == 1 else (),
        breakpoints=_breakpoints(every),
        lacking=lacking,
    )


def _named(name: str, context: Context) -> _Part:
    selectors = NAMED[name]
    return _Part(
        _compile_list(selectors["match"], f"{name}.match", context),
        _compile_list(selectors["exclude"], f"{name}.exclude", context),
    )


def _refuse_no_match(match: t.Any, exclude: t.Any, at: str) -> None:
    """Raise OptionError for a match without a selector, and for a selection that says only what it is not."""
    if match is not None:
        remedy = "Give at least one selector, such as {protocol: tcp, replied: false}."
        raise OptionError(f"{at}match", match, "selects nothing", remedy)
    if exclude is not None:
        remedy = 'Give match or select. For all entries but these: match="family=ipv4,ipv6".'
        raise OptionError(f"{at}exclude", exclude, "alone is no selection", remedy)


def _conditions(selector: _Selector) -> tuple[Condition, ...]:
    """Return what the kernel can be asked for instead of the selector's keys that have a single value."""
    conditions = (compiled.condition for compiled in selector.keys.values())
    return tuple(condition for condition in conditions if condition is not None)


def _breakpoints(selectors: t.Iterable[_Selector]) -> Breakpoints:
    """Return the breakpoints of the fields of which every key that reads them has some."""
    found: collections.defaultdict[str, list[t.Collection[int]]] = collections.defaultdict(list)
    without: set[str] = set()
    for selector in selectors:
        for key, compiled in selector.keys.items():
            without.update(set(KEYS[key].fields) - compiled.breakpoints.keys())
            for field, numbers in compiled.breakpoints.items():
                found[field].append(numbers)
    return {field: _joined(of_field) for field, of_field in found.items() if field not in without}


def _joined(of_field: list[t.Collection[int]]) -> t.Collection[int]:
    """Return all numbers. Those of a long list of addresses, which several fields share, are not copied."""
    return of_field[0] if len(of_field) == 1 else frozenset().union(*of_field)


def _noting_lacks(test: Test, selectors: t.Iterable[_Selector], lacking: set[str]) -> Test:
    """Make a test that answers like ``test`` and notes in ``lacking`` what an undecidable entry was made without."""
    used = {key for selector in selectors for key in selector.keys}
    fields = {
        switch: frozenset(field for key in used.intersection(keys) for field in KEYS[key].fields)
        for switch, keys in _KEYS_OF_SWITCHES.items()
        if used.intersection(keys)
    }
    if not fields:
        return test

    def noting(entry: Entry) -> Answer:
        answer = test(entry)
        if answer is None:
            lacking.update(
                switch for switch, needed in fields.items() if any(getattr(entry, field) is None for field in needed)
            )
        return answer

    return noting


# From what is given to tests


def refuse_null(options: t.Mapping[str, t.Any], names: t.Iterable[str], option: str = "") -> None:
    """Raise OptionError where one of the options ``names``, which stand in ``option``, is given as null."""
    for name in names:
        if name in options and options[name] is None:
            remedy = "YAML reads an empty value as null. Give a value, or leave the option out."
            raise OptionError(f"{option}.{name}" if option else name, None, "is null, which is never a value", remedy)


def _compile_list(given: t.Any, option: str, context: Context) -> list[_Selector]:
    if given is None:
        return []
    return [_compile(selector, context) for selector in selectors_of(given, option)]


def _compile(given: Given, context: Context) -> _Selector:
    for key in given.selector:
        if key not in KEYS:
            from ansible_collections.netops.conntrack.plugins.module_utils._selector.hints import hint_for_key

            raise OptionError(given.option, key, "is not a selector key", hint_for_key(key, KEYS))
    compiled = {key: _compile_key(key, value, given.option, context) for key, value in given.selector.items()}
    _require_possible(given, compiled)
    _refuse_idle_of_first_packets(given, compiled)
    return _Selector(compiled)


def _compile_key(key: str, value: t.Any, option: str, context: Context) -> Compiled:
    at = f"{option}.{key}"
    return KEYS[key].compile(values_of(value, at), at, context)


def _common(keys: list[frozenset[str]]) -> frozenset[str]:
    return keys[0].intersection(*keys[1:]) if keys else frozenset()


def _refuse_idle_of_first_packets(given: Given, compiled: t.Mapping[str, Compiled]) -> None:
    """Raise OptionError for a least idle time in states of which it is never known, so that none would be selected."""
    if not {"state", "idle"} <= compiled.keys():
        return
    states = set(compiled["state"].values)
    every_range_has_a_least = all(each.least for each in compiled["idle"].values)
    if states <= STATES_OF_FIRST_PACKETS and every_range_has_a_least:
        problem = f"holds for no entry in {' or '.join(sorted(states))}, whose timeout a repeated packet does not renew"
        remedy = "Give remaining instead, such as {max: 30s}, or age."
        raise OptionError(f"{given.option}.idle", given.selector["idle"], problem, remedy)


def _require_possible(given: Given, compiled: t.Mapping[str, Compiled]) -> None:
    """Raise OptionError where no entry can have all of the keys, because of what family or protocol they are of."""
    if _possible(compiled, compiled):
        return
    pairs = itertools.combinations(compiled, 2)
    contradictions = [pair for pair in pairs if not _possible(compiled, pair)]
    keys = contradictions[0] if contradictions else tuple(compiled)
    problem = f"contradicts itself: no entry can have these values of {' and '.join(keys)}"
    remedy = " ".join(f"{key} is of {_described(_possible(compiled, [key]))}." for key in keys)
    raise OptionError(given.option, given.selector, problem, f"{remedy} Leave one out, or give two selectors.")


def _possible(compiled: t.Mapping[str, Compiled], keys: t.Iterable[str]) -> frozenset[Kind]:
    """Return of what kinds the entries are that can have all of the ``keys``."""
    return _Selector({key: compiled[key] for key in keys}).kinds - IMPOSSIBLE_KINDS


def _described(kinds: t.Collection[tuple[int, int]]) -> str:
    """Say of which families and protocols the kinds are, as far as they do not have all."""
    families = sorted({FAMILY_NAMES[family] for family, _protocol in kinds})
    protocols = sorted({protocol for _family, protocol in kinds})
    names = [PROTOCOL_NAMES.get(protocol, str(protocol)) for protocol in protocols]
    of_families = [] if len(families) == len(FAMILY_NAMES) else families
    of_protocols = [] if len(protocols) > len(PROTOCOL_NAMES) else names
    return " ".join(filter(None, [", ".join(of_families), ", ".join(of_protocols)])) or "every entry"


# Three-valued logic


def _all_of(tests: list[Test]) -> Test:
    return _combined(tests, decisive=False)


def _any_of(tests: list[Test]) -> Test:
    return _combined(tests, decisive=True)


def _combined(tests: list[Test], decisive: bool) -> Test:
    """Make a test that answers ``decisive`` where one of the tests does, else None where one does not know."""
    if len(tests) == 1:
        return tests[0]

    def test(entry: Entry) -> Answer:
        answer: Answer = not decisive
        for one in tests:
            held = one(entry)
            if held is decisive:
                return decisive
            if held is None:
                answer = None
        return answer

    return test


def _negated(test: Test) -> Test:
    def negated(entry: Entry) -> Answer:
        held = test(entry)
        return None if held is None else not held

    return negated
