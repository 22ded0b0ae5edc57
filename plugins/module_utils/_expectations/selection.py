# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which expectations are meant: the keys of a selector that an expectation has, each with its meaning for an entry.

A key without a prefix is about what is expected, one with the prefix ``master_`` about the tuple of the master. Each is
parsed and compared by the key of the same name of the selector language (see _selector.keys).
"""

from __future__ import annotations

import difflib
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.expectation import Expectation
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.fields import NO_CONTEXT
from ansible_collections.netops.conntrack.plugins.module_utils._selector.key import EVERY_KIND, Answer, Compiled
from ansible_collections.netops.conntrack.plugins.module_utils._selector.keys import KEYS
from ansible_collections.netops.conntrack.plugins.module_utils._selector.text import Given, selectors_of
from ansible_collections.netops.conntrack.plugins.module_utils._selector.values import values_of

_Test = t.Callable[[Expectation], Answer]

_MASTER = "master_"
_ENDS = (
    "protocol",
    "source",
    "destination",
    "source_list",
    "destination_list",
    "source_port",
    "destination_port",
    "source_key",
    "destination_key",
)
EXPECTATION_KEYS = ("family", *_ENDS, *(f"{_MASTER}{key}" for key in _ENDS), "helper", "zone", "id", "remaining")
"""Every key that a selector of expectations can have."""


class ExpectationSelection:
    """One or more selectors, of which any selects an expectation. Without any, all are selected."""

    def __init__(self, tests: t.Sequence[_Test]) -> None:
        self._tests = tests

    def decide(self, expectation: Expectation) -> Answer:
        """Return whether the expectation is selected, or None where it lacks what decides that."""
        if not self._tests:
            return True
        answers = [test(expectation) for test in self._tests]
        if True in answers:
            return True
        return None if None in answers else False


def compile_match(match: t.Any, or_all: bool = True) -> ExpectationSelection:
    """Return what the option ``match`` selects. ``or_all`` says that without it all expectations are meant.

    Raises OptionError for a selector that is empty, contradicts itself, or has keys or values that do not hold.
    """
    if match is None and not or_all:
        remedy = 'Give a selector. For all expectations: match="family=ipv4,ipv6".'
        raise OptionError("match", None, "selects nothing", remedy)
    given = [] if match is None else selectors_of(match, "match")
    if match is not None and not given:
        raise OptionError("match", match, "selects nothing", "Give a selector, such as helper=ftp.")
    return ExpectationSelection([_compile(one) for one in given])


def _compile(given: Given) -> _Test:
    compiled = {key: _compile_key(key, value, given.option) for key, value in given.selector.items()}
    for prefix in ("", _MASTER):
        _require_possible(given, compiled, prefix)
    tests = [_test_of(key, one) for key, one in compiled.items()]

    def test(expectation: Expectation) -> Answer:
        answers = [one(expectation) for one in tests]
        if False in answers:
            return False
        return None if None in answers else True

    return test


def _compile_key(key: str, value: t.Any, option: str) -> Compiled:
    if key not in EXPECTATION_KEYS:
        close = difflib.get_close_matches(str(key), EXPECTATION_KEYS, 1)
        remedy = f"Did you mean {close[0]!r}?" if close else f"The keys are {', '.join(EXPECTATION_KEYS)}."
        raise OptionError(option, key, "is not a key of expectations", remedy)
    at = f"{option}.{key}"
    return KEYS[_without_prefix(key)].compile(values_of(value, at), at, NO_CONTEXT)


def _without_prefix(key: str) -> str:
    return key[len(_MASTER) :] if key.startswith(_MASTER) else key


def _test_of(key: str, compiled: Compiled) -> _Test:
    test = compiled.test
    if key.startswith(_MASTER):
        return lambda expectation: test(expectation.master)
    if key == "zone":
        return lambda expectation: None if expectation.zone is None else test(expectation.expected)
    return lambda expectation: test(expectation.expected)


def _require_possible(given: Given, compiled: t.Mapping[str, Compiled], prefix: str) -> None:
    """Raise OptionError where no tuple can have all the keys of one ``prefix``, as a port with a protocol without."""
    keys = [key for key in compiled if key.startswith(_MASTER) == bool(prefix)]
    kinds = EVERY_KIND.intersection(*(compiled[key].kinds for key in keys)) - _uapi.IMPOSSIBLE_KINDS
    if not kinds:
        problem = f"contradicts itself: no tuple can have these values of {' and '.join(keys)}"
        raise OptionError(given.option, given.selector, problem, "Leave one out, or give two selectors.")
