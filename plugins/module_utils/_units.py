# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Durations and plain numbers as people write them, and shares."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"([0-9]{1,18})(?:\.0+)?([smhdw]?)", re.ASCII)
_HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]{1,16}", re.ASCII)
_DECIMAL = re.compile(r"([0-9]{1,20})(?:\.0+)?", re.ASCII)
_AMOUNT = re.compile(r"([0-9]{1,20})([kmg])", re.ASCII)

MULTIPLES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
"""What the units of an amount stand for."""


def parse_duration(value: t.Any, option: str) -> int:
    """Return ``value`` in seconds: a number of seconds, or a number with one of the units s, m, h, d, w.

    Raises OptionError, in which ``option`` names where the value came from.
    """
    match = None if isinstance(value, bool) else _DURATION.fullmatch(text_of(value))
    if match is None:
        remedy = "Give seconds, or a number with a unit: 90s, 15m, 15h, 5d."
        raise OptionError(option, value, "is not a duration", remedy)
    return int(match.group(1)) * _SECONDS[match.group(2)]


def parse_number(value: t.Any, option: str, maximum: int) -> int:
    """Return ``value`` as an integer from 0 to ``maximum``, written in decimal or as 0x hexadecimal.

    A decimal fraction is taken where it is whole, because arithmetic in templates gives numbers such as 54000.0.
    Raises OptionError, in which ``option`` names where the value came from.
    """
    text = text_of(value)
    decimal = _DECIMAL.fullmatch(text)
    if isinstance(value, bool) or (decimal is None and _HEXADECIMAL.fullmatch(text) is None):
        raise OptionError(option, value, "is not a whole number", f"Give a number from 0 to {maximum}.")
    number = int(decimal.group(1)) if decimal else int(text, 16)
    return _at_most(maximum, number, value, option)


def parse_boolean(value: t.Any, option: str) -> bool:
    """Return what YAML or a command line means by true and false. Raises OptionError for anything else."""
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("yes", "true", "on", "1"):
        return True
    if text in ("no", "false", "off", "0"):
        return False
    raise OptionError(option, value, "is neither true nor false", "Give true or false.")


def parse_amount(value: t.Any, option: str, maximum: int) -> int:
    """Return ``value`` as an integer like ``parse_number``, also with one of the units K, M and G (powers of 1024).

    Raises OptionError, in which ``option`` names where the value came from.
    """
    match = _AMOUNT.fullmatch(text_of(value).lower())
    if match is None:
        return parse_number(value, option, maximum)
    number, unit = match.groups()
    return _at_most(maximum, int(number) * MULTIPLES[unit], value, option)


def text_of(value: t.Any) -> str:
    """Return ``value`` as the text of a number without blanks around it. That of 54000.0 is ``54000``."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _at_most(maximum: int, number: int, value: t.Any, option: str) -> int:
    if number > maximum:
        raise OptionError(option, value, "is too large", f"Give a number from 0 to {maximum}.")
    return number


def require_natural(option: str, value: int) -> None:
    """Raise OptionError where an option that says how many is negative."""
    if value < 0:
        raise OptionError(option, value, "is negative", "Give 0 or more.")


def percent(part: int, whole: int) -> float:
    """Return ``part`` as a percentage of ``whole`` with two decimals, or 0 of an empty whole."""
    return round(100 * part / whole, 2) if whole else 0.0
