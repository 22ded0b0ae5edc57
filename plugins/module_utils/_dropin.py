# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""A sysctl.d file (sysctl.d(5)) that keeps settings over a boot: ours are set in it, all other lines stay."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import tempfile
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    NotPermittedError,
    OptionError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl import short_of_sysctl

_HEADER = (
    "# Connection-tracking settings, kept by Ansible (netops.conntrack.conntrack_settings).",
    "# Lines that the module does not set itself are left as they are.",
    "",
)
_ASSIGNMENT = re.compile(r"\s*(?P<dash>-?)\s*(?P<name>[^\s#;=-][^\s=]*)\s*=\s*(?P<value>.*?)\s*")


@dataclasses.dataclass(frozen=True)
class DropIn:
    """A drop-in file: the text that it holds (empty when there is no file), and the text that it shall hold."""

    path: str
    text: str
    new_text: str

    @property
    def changed(self) -> bool:
        """Whether the file has to be written."""
        return self.text != self.new_text


def plan_dropin(path: str, wanted: t.Mapping[str, int]) -> DropIn:
    """Give what becomes of the file ``path`` when it sets each sysctl in ``wanted`` (full name with dots) to its value.

    Nothing is written. Raises OptionError or NotPermittedError when the file could not be read or replaced.
    """
    if not os.path.isabs(path) or not path.endswith(".conf"):
        problem = "is not the full path of a file that is read at boot, its name has to end in .conf"
        raise _unusable(path, problem, "Give a file such as /etc/sysctl.d/90-conntrack.conf.")
    target = os.path.realpath(path)
    directory = os.path.dirname(target)
    if not os.path.isdir(directory):
        raise _unusable(path, f"needs the directory {directory}", "Create it, or give another file.")
    if os.path.lexists(target) and not os.path.isfile(target):
        raise _unusable(path, "is not a regular file", "Give another file, or remove what is there.")
    text = _read(target)
    dropin = DropIn(target, text, merge(text, wanted))
    if dropin.changed and not os.access(directory, os.W_OK | os.X_OK):
        raise NotPermittedError(
            f"sysctl_file: {path!r} cannot be written, {directory} is read-only for this user. "
            "Set become: true, give another file, or set persist: false."
        )
    return dropin


def merge(text: str, wanted: t.Mapping[str, int]) -> str:
    """Give ``text`` with each sysctl in ``wanted`` set once; the same text when it says so already."""
    lines = text.removesuffix("\n").split("\n") if text else list(_HEADER)
    before = list(lines)
    for name in sorted(wanted):
        _set(lines, name, wanted[name])
    return text if lines == before else "\n".join(lines) + "\n"


def boot_values(text: str) -> dict[str, int]:
    """Give what a drop-in's ``text`` sets, by short name: the last assignment counts, if it is a whole number."""
    matches = [match for match in map(_ASSIGNMENT.fullmatch, text.split("\n")) if match]
    last = {short_of_sysctl(match["name"]): match["value"] for match in matches}
    return {short: int(value) for short, value in last.items() if short and value.isdecimal()}


@contextlib.contextmanager
def staged(dropin: DropIn | None) -> t.Iterator[t.Callable[[], None]]:
    """Lay the new text complete beside the file, and give the function that puts it in the file's place at one stroke.

    Raises UnavailableError when the disk does not take it. Without the call, nothing remains of it.
    """
    if dropin is None or not dropin.changed:
        yield lambda: None
        return
    directory, name = os.path.split(dropin.path)
    with _explained(dropin.path):
        # No loader reads a name that does not end in .conf.
        handle, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".new", dir=directory)
    try:
        with _explained(dropin.path), open(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(dropin.new_text)
            file.flush()
            os.fchmod(handle, 0o644)
            os.fsync(handle)
        yield lambda: _replace(temporary, dropin.path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _identity(name: str) -> str:
    """Give one name for all the names of a setting; a sysctl outside the subsystem has only its own."""
    short = short_of_sysctl(name)
    return f"net.netfilter.nf_conntrack_{short}" if short else _dotted(name)


def _dotted(name: str) -> str:
    return name.replace("/", ".")


def _set(lines: list[str], name: str, value: int) -> None:
    matches = {place: match for place, match in enumerate(map(_ASSIGNMENT.fullmatch, lines)) if match}
    places = [place for place, match in matches.items() if _identity(match["name"]) == _identity(name)]
    if not places:
        lines.insert(_place_for(name, lines), f"{name} = {value}")
        return
    last = matches[places[-1]]
    if (_dotted(last["name"]), last["value"]) != (name, str(value)):
        lines[places[-1]] = f"{last['dash']}{name} = {value}"
    for place in reversed(places[:-1]):
        del lines[place]


def _place_for(name: str, lines: t.Sequence[str]) -> int:
    """Give where a new line keeps a sorted file sorted: above the next name and the comment that belongs to it."""
    for place, match in enumerate(map(_ASSIGNMENT.fullmatch, lines)):
        if match and _dotted(match["name"]) > name:
            while place and lines[place - 1].lstrip().startswith(("#", ";")):
                place -= 1
            return place
    return len(lines)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise NotPermittedError(
            f"sysctl_file: {path!r} cannot be read ({error.strerror}). Set become: true."
        ) from error


def _replace(temporary: str, path: str) -> None:
    with _explained(path):
        os.replace(temporary, path)
    # The file is in force now; without this sync only a power cut in the next seconds could still lose it.
    with contextlib.suppress(OSError):
        directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


@contextlib.contextmanager
def _explained(path: str) -> t.Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"sysctl_file: {path!r} cannot be written ({error.strerror}); it is as it was."
        ) from error


def _unusable(path: str, problem: str, remedy: str) -> OptionError:
    return OptionError("sysctl_file", path, problem, remedy)
