# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Durations and plain numbers as people write them."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"([0-9]{1,18})([smhdw]?)", re.ASCII)
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20}", re.ASCII)


def parse_duration(value: t.Any, option: str) -> int:
    """Give ``value`` in seconds: a number of seconds, or a number with one of the units s, m, h, d, w.

    Raises OptionError, in which ``option`` names where the value came from.
    """
    match = None if isinstance(value, bool) else _DURATION.fullmatch(str(value).strip())
    if match is None:
        remedy = "Give seconds, or a number with a unit: 90s, 15m, 15h, 5d."
        raise OptionError(option, value, "is not a duration", remedy)
    return int(match.group(1)) * _SECONDS[match.group(2)]


def parse_number(value: t.Any, option: str, maximum: int) -> int:
    """Give ``value`` as an integer from 0 to ``maximum``, written in decimal or as 0x hexadecimal.

    Raises OptionError, in which ``option`` names where the value came from.
    """
    text = str(value).strip()
    if isinstance(value, bool) or _NUMBER.fullmatch(text) is None:
        raise OptionError(option, value, "is not a whole number", f"Give a number from 0 to {maximum}.")
    number = int(text, 0) if text[:2] in ("0x", "0X") else int(text)
    if number > maximum:
        raise OptionError(option, value, "is too large", f"Give a number from 0 to {maximum}.")
    return number
