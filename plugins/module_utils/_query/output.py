# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What the lines of ``conntrack -L`` can show in addition, by the names that its option ``-o`` has for it."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry, label_bits
from ansible_collections.netops.conntrack.plugins.module_utils._entry.label_names import label_names
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError

OUTPUTS = ("id", "labels", "ktimestamp", "timestamp")
"""What ``-o`` takes besides the formats. The tool shows a ``timestamp`` of events only, so it changes nothing here."""


@dataclasses.dataclass(frozen=True)
class Output:
    """What is shown: the ids, the labels, and when the entries began.

    ``names`` are those of labels, by their numbers. A label without a name is shown as its number, where the tool
    leaves it out.
    """

    ids: bool = False
    labels: bool = False
    starts: bool = False
    names: t.Mapping[int, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of_table(cls, given: t.Collection[str]) -> Output:
        """Return what the option ``output`` asks for, with the names that this machine has for labels."""
        labels = "labels" in given
        return cls("id" in given, labels, "ktimestamp" in given, label_names() if labels else {})

    @classmethod
    def of_file(cls, given: t.Collection[str]) -> Output:
        """Return the same for the entries of a file, in which labels are numbers. Raises OptionError."""
        if "ktimestamp" in given:
            problem = "cannot be shown of a file, which tells how old entries are and not when they began"
            raise OptionError("output", "ktimestamp", problem, "Leave it out. The age is shown without it.")
        return cls("id" in given, "labels" in given)

    def labels_of(self, entry: Entry) -> list[str]:
        """Return the names or the numbers of the entry's labels, in the order of their numbers."""
        bits = label_bits(entry.labels)
        return [self.names.get(number, str(number)) for number in range(bits.bit_length()) if bits >> number & 1]


PLAIN = Output()
"""What is shown if nothing is asked for."""
