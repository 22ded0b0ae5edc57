# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The values of settings as people write them, made the one number that the kernel takes."""

from __future__ import annotations

import os
import re
import struct
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._units import MULTIPLES, parse_duration, text_of

_INT_MAX = 2**31 - 1
_BYTE = 255
_LOWEST_HZ = 100
_SWITCH = (0, 1)
_LONGEST_TIMEOUT = _INT_MAX // 1000
"""Seconds: the kernel takes up to INT_MAX/HZ (proc_dointvec_jiffies, kernel/sysctl.c), and HZ may be 1000."""

_LIMITS = {
    "acct": _SWITCH,
    "buckets": (1, _INT_MAX // 8),
    "checksum": _SWITCH,
    "dccp_loose": _SWITCH,
    "events": (0, 2),
    "expect_max": (1, _INT_MAX),
    "helper": _SWITCH,
    "log_invalid": (0, 255),
    "max": (1, _INT_MAX),
    "tcp_be_liberal": _SWITCH,
    "tcp_ignore_invalid_rst": _SWITCH,
    "tcp_loose": _SWITCH,
    "tcp_max_retrans": (0, 255),
    "tcp_no_window_check": _SWITCH,
    "timestamp": _SWITCH,
}
"""The values that make sense (net/netfilter/nf_conntrack_standalone.c; buckets: nf_ct_alloc_hashtable)."""

_PAGE_OF_BUCKETS = os.sysconf("SC_PAGE_SIZE") // struct.calcsize("P")

_WORDS = {"yes": 1, "true": 1, "on": 1, "no": 0, "false": 0, "off": 0}
_NUMBER = re.compile(r"([0-9]{1,10})(?:\.0+)?([kmg]?)", re.ASCII)


def parse_value(short_name: str, value: t.Any, option: str) -> int:
    """Return the number that ``value`` means for the setting ``short_name``: a timeout in seconds, a size, or a switch.

    A decimal fraction is taken where it is whole, because arithmetic in templates gives numbers such as 54000.0.
    Raises OptionError, which names ``option``, for a value that the setting cannot usefully have.
    """
    if "timeout" in short_name:
        return _parse_timeout(value, option)
    lowest, highest = _LIMITS.get(short_name, (0, _INT_MAX))
    number = _number(text_of(value).lower(), highest)
    if number is None or not lowest <= number <= highest:
        allowed = "true or false" if highest == 1 else f"a whole number from {lowest} to {highest}"
        reason = "; 0 would mean no limit, and the table could take all memory" if short_name == "max" else ""
        raise OptionError(option, value, "cannot be used", f"Give {allowed}{reason}.")
    return number


def whole_pages(buckets: int) -> int:
    """Return the size that the kernel makes of a hash size: whole pages of memory (nf_ct_alloc_hashtable)."""
    return -(-buckets // _PAGE_OF_BUCKETS) * _PAGE_OF_BUCKETS


def stored_value(short_name: str, number: int) -> int:
    """Return what the kernel makes of a number that it takes: the number itself, but for the hash size."""
    return whole_pages(number) if short_name == "buckets" else number


def kernel_takes(short_name: str, number: int) -> bool:
    """Say whether the kernel takes the number. It takes some that make no sense, such as a timeout of 0 or of -1."""
    if "timeout" in short_name:
        return abs(number) <= _INT_MAX // _LOWEST_HZ
    lowest, highest = _LIMITS.get(short_name, (0, _INT_MAX))
    # Those of one byte have their bounds in the kernel, too (proc_dou8vec_minmax, kernel/sysctl.c).
    return lowest <= number <= highest if highest <= _BYTE else -_INT_MAX - 1 <= number <= _INT_MAX


def _number(text: str, highest: int) -> int | None:
    if highest <= 2 and text in _WORDS:
        return _WORDS[text]
    match = _NUMBER.fullmatch(text)
    return int(match.group(1)) * MULTIPLES[match.group(2)] if match else None


def _parse_timeout(value: t.Any, option: str) -> int:
    seconds = parse_duration(value, option)
    if not 1 <= seconds <= _LONGEST_TIMEOUT:
        remedy = f"Give 1 to {_LONGEST_TIMEOUT} seconds (24 days); with 0 every entry would expire at once."
        raise OptionError(option, value, "cannot be used", remedy)
    return seconds
