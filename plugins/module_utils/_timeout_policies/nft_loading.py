# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which files of nft(8) the boot loads: those that enabled units of systemd load, and what these include.

A file that nobody includes is no part of the firewall, however it is called. Units and ``include`` are read here, and
nothing is run.
"""

from __future__ import annotations

import os
import re
import shlex
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import Tree
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.systemd_units import enabled_commands

_INCLUDE = re.compile(r'^\s*include\s+"([^"]+)"')
_STRING = re.compile(r'"[^"]*"')
_INCLUDE_PATH = "/etc"
"""Where nft looks for relative names (its option -I). The default is where its own configuration is."""

_MOST_FILES = 200


class Place(t.NamedTuple):
    """A line of a file. ``is_inside`` says that it stands inside of a block, such as a table."""

    file: str
    line: int
    is_inside: bool = False

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Loading(t.NamedTuple):
    """What the boot loads: the ``mains``, which are files that units load themselves, and what includes a file.

    ``place`` is the line that has the file loaded, or None where none does. ``undone`` is a line that is loaded later,
    or may be, and removes what the file made.
    """

    mains: tuple[str, ...]
    place: Place | None
    undone: Place | None


class _Found(t.NamedTuple):
    """What a main file says: where it loads the file, and where it removes everything, before that and after."""

    place: Place | None
    before: Place | None
    after: Place | None


def loading_of(path: str, table: str, tree: Tree) -> Loading:
    """Return what has the file, which makes something in the ``table`` (``inet filter``), loaded at boot."""
    mains = tuple(dict.fromkeys(file for _unit, _source, text in enabled_commands(tree) for file in _loaded_by(text)))
    found = [_search(main, path, _removal_of(table), tree) for main in mains]
    for number, one in enumerate(found):
        if one.place:
            # In which order units load their files is not known.
            others = [other.before or other.after for other in [*found[:number], *found[number + 1 :]]]
            return Loading(mains, one.place, next(filter(None, [one.after, *others]), None))
    return Loading(mains, None, None)


def _loaded_by(command: str) -> t.Iterator[str]:
    """Yield the files that a command such as ``/usr/sbin/nft -f /etc/nftables.conf`` loads."""
    try:
        words = shlex.split(command)
    except ValueError:
        return
    if not words or os.path.basename(words[0]) != "nft":
        return
    for word, following in zip(words[1:], words[2:]):
        if (word == "--file" or re.fullmatch(r"-[a-z]*f", word)) and following.startswith("/"):
            yield following


def _removal_of(table: str) -> re.Pattern[str]:
    """Return the pattern of a statement that removes the table, or all tables."""
    family, name = table.split()
    # Without a family, a table is one of the family ip.
    optional = "?" if family == "ip" else ""
    one = rf"(delete|destroy)\s+table\s+({family}\s+){optional}{re.escape(name)}"
    return re.compile(rf"(^|;)\s*(flush\s+ruleset(\s+{family})?|{one})\s*(;|#|$)")


def _search(main: str, path: str, removal: re.Pattern[str], tree: Tree) -> _Found:
    """Return what a main file, with all that it includes, says of the file."""
    found = _Found(Place(main, 1), None, None) if tree.same_file(main, path) else _Found(None, None, None)
    for place, text in _lines(main, path, tree, []):
        if text is None:
            # It is loaded again, after what had been removed.
            found = found._replace(place=place, after=None)
        elif removal.search(text):
            found = found._replace(after=place) if found.place else found._replace(before=place)
    return found


def _lines(file: str, path: str, tree: Tree, above: list[str]) -> t.Iterator[tuple[Place, str | None]]:
    """Yield the lines of a file and of what it includes, as they are loaded.

    An include that loads ``path`` has no text. Blocks are told by their braces.
    """
    if file in above or len(above) >= _MOST_FILES:
        return
    depth = 0
    for number, line in enumerate((tree.read(file) or "").split("\n"), start=1):
        place = Place(file, number, depth > 0)
        match = _INCLUDE.match(line)
        if not match:
            yield place, line
            code = _STRING.sub("", line).partition("#")[0]
            depth = max(0, depth + code.count("{") - code.count("}"))
            continue
        for included in _matching(os.path.normpath(os.path.join(_INCLUDE_PATH, match[1])), path, tree):
            if included == path or tree.same_file(included, path):
                yield place, None
            for inner, text in _lines(included, path, tree, [*above, file]):
                yield inner._replace(is_inside=inner.is_inside or place.is_inside), text


def _matching(pattern: str, path: str, tree: Tree) -> list[str]:
    """Return the files that an include means. One of a whole directory means all that is in it."""
    if os.path.isdir(tree.path(pattern)) or os.path.dirname(path) == pattern:
        pattern = f"{pattern}/*"
    return tree.matching(pattern)
