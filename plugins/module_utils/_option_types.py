# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What is said of an option's value that has the wrong type: the value, and how to write it instead."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError

_WORDS_OF_ANSIBLE = re.compile(
    r"(?:argument|Elements value for option) '(?P<option>\w+)' is of type .+? "
    r"and we were unable to convert to (?P<kind>\w+)"
)
"""Said by AnsibleModule of a wrong type. The value, and what to write instead, are not in it."""

_LONGEST = 100
"""Characters of a value that are shown."""


def in_our_words(message: str, values: t.Mapping[str, t.Any]) -> str:
    """Return a message of AnsibleModule, in other words if it is about the type of one of the ``values``."""
    found = _WORDS_OF_ANSIBLE.search(message)
    if found is None or found["option"] not in values:
        return message
    option, kind = found["option"], found["kind"]
    if message.startswith("Elements"):
        kind = "list"
    problem, remedy = _NEEDED.get(kind, (f"is no {kind}", "See ansible-doc."))
    return OptionError(option, _Shortened(values[option]), problem, remedy.format(option=option)).message


class _Shortened:
    """A value as messages show it: as Python writes it, and cut if it is long."""

    def __init__(self, value: t.Any) -> None:
        self._value = value

    def __repr__(self) -> str:
        text = repr(self._value)
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


_NEEDED = {
    "bool": ("is neither true nor false", "Give true or false."),
    "dict": (
        "is not a dictionary",
        'Write it as {option}: {{KEY: VALUE}}, and on the command line as -a \'{{"{option}": {{"KEY": "VALUE"}}}}\'.',
    ),
    "float": ("is not a number", "Give a number, such as 10."),
    "int": ("is not a whole number", "Give a whole number, such as 10."),
    "list": ("is not a list of texts", "Write it as {option}: [A, B], and on the command line as {option}=A,B."),
    "str": ("is not a text", "Give a text."),
}
"""By the type that is needed: what is wrong with a value of another one, and what to write instead."""
