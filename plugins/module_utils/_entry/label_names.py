# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The names that this machine gives to labels, read as conntrack(8) reads them."""

from __future__ import annotations

import re

from ansible_collections.netops.conntrack.plugins.module_utils._files.regular_files import read_regular

LABELS_FILE = "/etc/xtables/connlabel.conf"
"""CONNLABEL_CFG in src/conntrack/labels.c of libnetfilter_conntrack."""

_MOST_BITS = 1024
_LINE = re.compile(
    r"[ \f\r\t\v]*\+?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)[ \f\r\t\v]*([a-zA-Z0-9 -]*[a-zA-Z0-9-])[ \f\r\t\v]*"
)
"""A number as strtoul(3) reads it, and a name as label_is_sane() in the same file accepts it."""


def label_names() -> dict[int, str]:
    """Return the names of labels by their numbers. There are none without the file, or where it cannot be read."""
    try:
        text = read_regular(LABELS_FILE).decode("latin-1")
    except OSError:
        return {}
    names: dict[int, str] = {}
    for line in text.split("\n"):
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        number, name = _number(found.group(1)), found.group(2)
        # The first name of a label counts, and the first label of a name.
        if number < _MOST_BITS and number not in names and name not in names.values():
            names[number] = name
    return names


def _number(digits: str) -> int:
    """Return a number whose base strtoul(3) tells by its beginning."""
    if digits[:2].lower() == "0x":
        return int(digits, 16)
    return int(digits, 8 if digits.startswith("0") else 10)
