# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""A sysctl.d file (sysctl.d(5)) that keeps settings over a boot: ours are set in it, all other lines stay."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.sysctl_d import (
    Assignment,
    assignments,
    number_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._files.replacement import FileChange, plan_file
from ansible_collections.netops.conntrack.plugins.module_utils._settings.record import SYSCTL_FILE, Before, Edit
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import short_name_of_sysctl

_LOW, _HIGH = "frag6_low_thresh", "frag6_high_thresh"
_DEFAULT_OF_HIGH = 4 << 20
"""IPV6_FRAG_HIGH_THRESH in include/net/ipv6_frag.h and net/ipv6.h."""

_HEADER = (
    "# Connection-tracking settings, kept by Ansible (netops.conntrack.conntrack_settings).",
    "# Lines that the module does not set itself are left as they are.",
    "",
)


def plan_dropin(path: str, new_text: t.Callable[[str | None], str | None]) -> FileChange:
    """Return the change of the drop-in ``path`` to what ``new_text`` makes of its text. Nothing is written.

    Raises OptionError or NotPermittedError when the file could not be read or replaced.
    """
    if not os.path.isabs(path) or not path.endswith(".conf"):
        problem = "is not the full path of a file that is read at boot, its name has to end in .conf"
        raise _unusable(path, problem, "Give a file such as /etc/sysctl.d/90-conntrack.conf.")
    directory = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(directory):
        raise _unusable(path, f"needs the directory {directory}", "Create it, or give another file.")
    return plan_file(path, new_text, SYSCTL_FILE)


def merge(text: str, wanted: t.Mapping[str, int]) -> str:
    """Return ``text`` with each sysctl in ``wanted`` set once. The same text when it says so already."""
    lines = text.removesuffix("\n").split("\n") if text else list(_HEADER)
    before = list(lines)
    for name in sorted(wanted):
        _set(lines, name, wanted[name])
    _order_thresholds(lines, {short_name_of_sysctl(name): number for name, number in wanted.items()})
    return text if lines == before else "\n".join(lines) + "\n"


def boot_values(text: str) -> dict[str, int]:
    """Return what a drop-in's ``text`` sets, by short name: the last assignment counts, if it is a whole number."""
    last = {each.short_name: number_of(each.value or "") for each in _assignments(text.split("\n"))}
    return {name: number for name, number in last.items() if name and number is not None}


def lines_of(text: str, name: str) -> str | None:
    """Return the lines that set the sysctl ``name`` under any of its names, as one text, or None if there are none."""
    lines = text.split("\n")
    places = _places_of(short_name_of_sysctl(name), lines)
    return "\n".join(lines[place] for place in places) if places else None


def restore(text: str, lines: t.Mapping[str, str | None]) -> str:
    """Return ``text`` with the lines that each setting (by short name) had. "" if only our own head is left."""
    new_lines = text.split("\n")
    for short_name, old in lines.items():
        new = [] if old is None else old.split("\n")
        for place in reversed(_places_of(short_name, new_lines)):
            new_lines[place : place + 1] = new
            new = []
    return "" if [line for line in new_lines if line] == [line for line in _HEADER if line] else "\n".join(new_lines)


def edit(
    text: str | None,
    original: str | None,
    before: t.Mapping[str, Before],
    restored: t.Collection[str],
    wanted: t.Mapping[str, int],
) -> Edit:
    """Return the text in which the settings ``restored`` are as before, and each sysctl in ``wanted`` is set.

    ``before`` has what was there of each setting, by short name, that was set in ``text`` until now.

    As long as nobody else edited the file, it is its original with our settings merged in. So the new text is made of
    the original, and what was there comes back to the byte. An edited file has only our own lines exchanged.
    """
    ours = _our_values(text, before)
    untouched = all(lines_of(original or "", each.name) == each.lines for each in before.values())
    if untouched and text == _merged(original, ours):
        dropped = {*restored, *map(short_name_of_sysctl, wanted)}
        stays = {name: number for name, number in ours.items() if short_name_of_sysctl(name) not in dropped}
        return Edit(_merged(original, {**stays, **wanted}), original)
    some = {name: before[name].lines for name in restored}
    everything = {name: each.lines for name, each in before.items()}
    return Edit(_merged(_restored(text, some, original), wanted), _restored(text, everything, original))


def _our_values(text: str | None, before: t.Mapping[str, Before]) -> dict[str, int]:
    """Return what our lines set, by full name: the lines of settings that are no longer what they were."""
    values = boot_values(text or "")
    return {
        each.name: values[name]
        for name, each in before.items()
        if name in values and lines_of(text or "", each.name) != each.lines
    }


def _merged(text: str | None, wanted: t.Mapping[str, int]) -> str | None:
    return merge(text or "", wanted) if wanted else text


def _restored(text: str | None, lines: t.Mapping[str, str | None], original: str | None) -> str | None:
    """Return ``restore``, or None for a file of which only our own head is left."""
    if not text or not lines:
        return text
    restored = restore(text, lines)
    return restored or ("" if original == "" else None)


def _assignments(lines: t.Sequence[str]) -> list[Assignment]:
    return [each for each in assignments("\n".join(lines)) if each.value is not None]


def _places_of(short_name: str | None, lines: t.Sequence[str]) -> list[int]:
    """Return the places of the lines that set this setting under any of its names."""
    return [each.line - 1 for each in _assignments(lines) if short_name and each.short_name == short_name]


def _set(lines: list[str], name: str, value: int) -> None:
    places = _places_of(short_name_of_sysctl(name), lines)
    if not places:
        lines.insert(_place_for(name, lines), f"{name} = {value}")
        return
    (last,) = assignments(lines[places[-1]])
    if (last.key, last.value) != (name.replace(".", "/"), str(value)):
        lines[places[-1]] = f"{'-' if last.dash else ''}{name} = {value}"
    for place in reversed(places[:-1]):
        del lines[place]


def _order_thresholds(lines: list[str], wanted: t.Mapping[str | None, int]) -> None:
    """Exchange the lines of the two thresholds of fragments, unless a kernel with its defaults takes them in order.

    It refuses a lower one above the upper one, and an upper one below the lower one. Whatever they are to be, it takes
    the lower one first as long as that is not above its default of the upper one.
    """
    if not wanted.keys() >= {_LOW, _HIGH}:
        return
    low, high = (_places_of(name, lines)[-1] for name in (_LOW, _HIGH))
    if (low < high) != (wanted[_LOW] <= _DEFAULT_OF_HIGH):
        lines[low], lines[high] = lines[high], lines[low]


def _place_for(name: str, lines: t.Sequence[str]) -> int:
    """Return where a new line keeps a sorted file sorted: above the next name and the comment that belongs to it."""
    for each in _assignments(lines):
        if each.key.replace("/", ".") > name:
            place = each.line - 1
            while place and lines[place - 1].lstrip().startswith(("#", ";")):
                place -= 1
            return place
    return len(lines)


def _unusable(path: str, problem: str, remedy: str) -> OptionError:
    return OptionError(SYSCTL_FILE.option, path, problem, remedy)
