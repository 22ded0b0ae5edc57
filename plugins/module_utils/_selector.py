# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The selector language, compiled to a predicate on entries.

A selector is a dict whose keys must all hold; a list of values means any of them. Tests answer True, False or None:
None where the entry lacks the field. ``and``, ``or`` and ``not`` are those of three-valued logic, so that an entry is
undecidable only where the missing field decides. A field that the protocol does not have at all (the state of UDP, the
port of ICMP) is not missing: the selector does not hold.
"""

from __future__ import annotations

import collections
import dataclasses
import difflib
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError, UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._kernel_filter import Condition
from ansible_collections.netops.conntrack.plugins.module_utils._selector_keys import KEYS, Answer, Context, Steps, Test

_REQUIRES = {
    "acct": frozenset(
        {"packets_original", "packets_reply", "bytes_original", "bytes_reply", "packets", "bytes"},
    ),
    "timestamp": frozenset({"age"}),
}


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which entries are selected: any of ``match`` holds and none of ``exclude`` does.

    ``decide`` tells of an entry, reading its fields in ``needs``. ``keys`` are the selector keys in ``match``;
    ``required`` the switches that must be on for them to be decidable. All entries but those that are surely not
    selected meet the ``conditions``, which the kernel can be asked for. ``steps`` has, for some of the fields, all
    numbers at which the answer may change when the field's number grows.
    """

    decide: Test
    needs: frozenset[str]
    keys: frozenset[str]
    required: frozenset[str]
    conditions: tuple[Condition, ...]
    steps: Steps

    def require(self, settings: t.Mapping[str, int]) -> None:
        """Raise UnavailableError where a switch is off without which entries lack what the selectors ask for."""
        for switch in sorted(self.required):
            if settings.get(switch) == 0:
                name = f"net.netfilter.nf_conntrack_{switch}"
                keys = ", ".join(sorted(_REQUIRES[switch]))
                raise UnavailableError(
                    f"{name} is 0, so that new entries do not have what a selector asks for ({keys}). Turn it on with "
                    f"'sysctl -w {name}=1' or netops.conntrack.conntrack_settings; it acts on entries that are made "
                    "from then on.",
                    unavailable=name,
                )


def compile_selection(
    match: list[t.Any] | None, exclude: list[t.Any] | None, context: Context, option: str = ""
) -> Selection:
    """Compile lists of selectors; ``match`` None selects every entry. ``option`` is where both stand, for errors.

    Raises OptionError for anything that is not a selector: nothing of a bad selection is ever used.
    """
    at = f"{option}." if option else ""
    tests: list[Test] = []
    if match is not None:
        tests.append(_any_of(_compile_list(_not_empty(match, f"{at}match"), f"{at}match", context)))
    if exclude:
        tests.append(_negated(_any_of(_compile_list(exclude, f"{at}exclude", context))))
    keys = frozenset(key for selector in match or [] for key in selector)
    every_key = keys.union(*(exclude or []))
    return Selection(
        decide=_all_of(tests),
        needs=frozenset(field for key in every_key for field in KEYS[key].needs),
        keys=keys,
        required=frozenset(switch for switch, needing in _REQUIRES.items() if needing & every_key),
        conditions=_conditions(match[0], f"{at}match[0]") if match and len(match) == 1 else (),
        steps=_steps([*(match or []), *(exclude or [])], context),
    )


def _conditions(selector: t.Mapping[str, t.Any], option: str) -> tuple[Condition, ...]:
    """Give what the kernel can be asked for instead of the selector's keys that have a single value."""
    found = []
    for key, value in selector.items():
        values = value if isinstance(value, list) else [value]
        if len(values) == 1:
            found.append(KEYS[key].condition(values[0], f"{option}.{key}"))
    return tuple(condition for condition in found if condition is not None)


def _steps(selectors: t.Iterable[t.Mapping[str, t.Any]], context: Context) -> Steps:
    """Give the steps of the fields of which every key that reads them has steps."""
    steps: collections.defaultdict[str, set[int]] = collections.defaultdict(set)
    without: set[str] = set()
    for selector in selectors:
        for key, value in selector.items():
            own = KEYS[key].steps(value if isinstance(value, list) else [value], key, context)
            without.update(set(KEYS[key].needs) - own.keys())
            for field, numbers in own.items():
                steps[field].update(numbers)
    return {field: numbers for field, numbers in steps.items() if field not in without}


def _compile_list(selectors: list[t.Any], option: str, context: Context) -> list[Test]:
    return [_compile(selector, f"{option}[{at}]", context) for at, selector in enumerate(selectors)]


def _not_empty(match: list[t.Any], option: str) -> list[t.Any]:
    if not match:
        remedy = "Give at least one selector, such as {protocol: tcp, replied: false}."
        raise OptionError(option, match, "selects nothing", remedy)
    return match


def _compile(selector: t.Any, option: str, context: Context) -> Test:
    if not isinstance(selector, dict):
        raise OptionError(
            option, selector, "is not a selector", "Give a dict, such as {protocol: tcp, replied: false}."
        )
    if not selector:
        raise OptionError(option, selector, "is empty and would select every entry", "Give at least one key.")
    for key in selector:
        if key not in KEYS:
            close = difflib.get_close_matches(str(key), KEYS, 1)
            remedy = f"Did you mean {close[0]!r}?" if close else f"The keys are {', '.join(sorted(KEYS))}."
            raise OptionError(option, key, "is not a selector key", remedy)
    return _all_of([_compile_key(key, value, f"{option}.{key}", context) for key, value in selector.items()])


def _compile_key(key: str, value: t.Any, option: str, context: Context) -> Test:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise OptionError(option, value, "is empty", "Give at least one value, or leave the key out.")
    return KEYS[key].compile(values, option, context)


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
