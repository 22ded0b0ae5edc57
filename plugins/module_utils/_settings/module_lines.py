# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""A file of modules-load.d or modprobe.d in which one line is ours: the line is set or taken out, all others stay."""

from __future__ import annotations

import dataclasses
import re

from ansible_collections.netops.conntrack.plugins.module_utils._settings.record import Edit


@dataclasses.dataclass(frozen=True)
class OurLine:
    """Which lines of a file ``pattern`` says to be about the same as ours, and the ``head`` of a file that we make."""

    pattern: re.Pattern[str]
    head: str

    def set(self, text: str | None, original: str | None, line: str) -> Edit:
        """Return the text with our ``line`` in place of all such lines. ``original`` is the file before we came."""
        present, without = self._among(text), self._without(text, original)
        if present == [line]:
            return Edit(text, without)
        edited = without is None or text != self._exchanged(without, present[-1:])
        return Edit(self._exchanged(text if edited and present else without, [line]), without)

    def take_out(self, text: str | None, original: str | None) -> Edit:
        """Return the text as it would be without us."""
        without = self._without(text, original)
        return Edit(without, without)

    def _without(self, text: str | None, original: str | None) -> str | None:
        present, theirs = self._among(text), self._among(original)
        if not present or present == theirs:
            return text
        if text == self._exchanged(original, present[-1:]):
            return original
        # Somebody edited the file: only the lines are exchanged.
        return self._exchanged(text, theirs) or ("" if original == "" else None)

    def _among(self, text: str | None) -> list[str]:
        return [line for line in (text or "").split("\n") if self.pattern.fullmatch(line)]

    def _exchanged(self, text: str | None, lines: list[str]) -> str | None:
        """Return the text with these lines in place of ours, or None if nothing but our head is left."""
        present = (self.head if text is None else text).removesuffix("\n").split("\n")
        places = [place for place, line in enumerate(present) if self.pattern.fullmatch(line)]
        at = places[-1] if places else len(present)
        above = [line for place, line in enumerate(present[:at]) if place not in places]
        new = [*above, *lines, *present[at + 1 :]]
        return "\n".join([*new, ""]) if [line for line in new if line not in ("", self.head)] else None
