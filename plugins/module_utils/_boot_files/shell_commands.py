# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The commands in scripts, units and rules that write sysctls or load modules.

Nothing is run, and no variable is known. A command whose files cannot be told is ``unclear``.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.sysctl_d import Assignment, assignments
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import HASHSIZE

_SYSCTL_CONF = "/etc/sysctl.conf"
_HASHSIZE_NAME = "net/netfilter/nf_conntrack_buckets"
_PROC_SYS = "/proc/sys/"

_SEPARATORS = frozenset(";&|()\n")
_TOKEN = re.compile(
    r"""
    (?P<operator> &>>? | [<>]+[&|]? | [;&|()\n]+ )
    | (?<![^\s;&|()<>]) \#[^\n]*
    | (?P<word> (?: [^\s;&|()<>'"\\] | \\. | '[^']*' | "(?:[^"\\]|\\.)*" )+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTED = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)""", re.DOTALL)
_SHELLS = ("sh", "bash", "dash", "ash")
_KEYWORDS = ("then", "do", "else", "elif", "if", "while", "until", "!", "{")
_WRAPPERS = ("exec", "sudo", "nohup", "command", "env", "busybox", "time", "nice", "ionice", "setsid")
_PREFIXES = frozenset([*_KEYWORDS, *_WRAPPERS])
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_UNKNOWN = re.compile(r"[$`]")

_SYSCTL_FLAGS = frozenset("neNqwaAXbhVdx")
"""The options of sysctl(8) without a value. The others are -p and -f (which load files) and -r (a pattern)."""

_MODPROBE_WITH_VALUE = ("-d", "--dirname", "-S", "--set-version", "-C", "--config")


class SysctlCall(t.NamedTuple):
    """What one command applies: all the files of the system, some ``files``, or ``assignments`` of its own.

    ``conf`` tells that /etc/sysctl.conf is read with all the files. ``pattern`` is the regular expression that the name
    of a line has to match (sysctl(8)). ``prefixes`` are the directories below /proc/sys one of which the line has to be
    in (systemd-sysctl(8)). Both are empty where there is no such condition. ``unclear`` tells that more may be applied.
    """

    everything: bool = False
    conf: bool = False
    files: tuple[str, ...] = ()
    assignments: tuple[Assignment, ...] = ()
    pattern: str = ""
    prefixes: tuple[str, ...] = ()
    unclear: bool = False


class Modprobe(t.NamedTuple):
    """A module that a command loads, and whether the command skips the module's own ``install`` line."""

    name: str
    ignores_install: bool


def sysctl_calls(text: str) -> list[SysctlCall]:
    """Return what a text for the shell applies, in its order."""
    return [call for words in simple_commands(text) for call in sysctl_calls_of(words)]


def sysctl_calls_of(words: t.Sequence[str]) -> list[SysctlCall]:
    """Return what the command of these ``words`` applies, its redirections included."""
    words = _without_prefixes(words)
    calls = _redirections(words)
    program = os.path.basename(words[0]) if words else ""
    if program in _SHELLS and "-c" in words[1:-1]:
        return sysctl_calls(words[words.index("-c") + 1])
    if program == "sysctl":
        calls.append(_sysctl(words[1:]))
    elif program == "systemd-sysctl":
        calls.append(_systemd_sysctl(words[1:]))
    elif program == "tee":
        calls += [call for word in words[1:] for call in _written_file(word, "")]
    return [call for call in calls if call != SysctlCall()]


def modprobes(text: str) -> list[Modprobe]:
    """Return the modules that a text for the shell loads."""
    found: list[Modprobe] = []
    for command in simple_commands(text):
        words = _without_prefixes(command)
        program = os.path.basename(words[0]) if words else ""
        if program in _SHELLS and "-c" in words[1:-1]:
            found += modprobes(words[words.index("-c") + 1])
        elif program == "modprobe":
            found += _modprobe(words[1:])
        elif program == "insmod" and len(words) > 1:
            found.append(Modprobe(os.path.basename(words[1]).partition(".ko")[0], True))
    return found


class _Operator(str):
    """An operator of the shell, which the same character in quotes is not."""


def simple_commands(text: str) -> list[list[str]]:
    """Return the words of each command in a text for the shell, without quotes, but with its redirections."""
    commands: list[list[str]] = [[]]
    for match in _TOKEN.finditer(text):
        operator = match["operator"]
        if operator is None:
            if match["word"] is not None:
                commands[-1].append(_without_quotes(match["word"]))
        elif _SEPARATORS.issuperset(operator):
            commands.append([])
        else:
            commands[-1].append(_Operator(operator))
    return [command for command in commands if command]


def _without_quotes(word: str) -> str:
    return _QUOTED.sub(lambda match: next(part for part in match.groups() if part is not None), word)


def logical_lines(text: str) -> t.Iterator[tuple[int, str]]:
    """Yield the lines of a text, those joined that a backslash continues, each with the number of its first one."""
    begun, first = "", 0
    for number, line in enumerate(text.split("\n"), start=1):
        first = first or number
        if line.endswith("\\"):
            begun += line[:-1] + " "
        else:
            yield first, begun + line
            begun, first = "", 0
    if begun:
        yield first, begun


def _without_prefixes(words: t.Sequence[str]) -> list[str]:
    """Return the words from the program on, without what runs it in a certain way, and the options for that."""
    rest = list(words)
    prefixed = False
    while rest and (
        os.path.basename(rest[0]) in _PREFIXES
        or _ASSIGNMENT.fullmatch(rest[0])
        or (prefixed and rest[0].startswith("-"))
    ):
        del rest[0]
        prefixed = True
    return rest


def _redirections(words: t.Sequence[str]) -> list[SysctlCall]:
    """Return what is written to files below /proc/sys, such as by ``echo 5 > /proc/sys/...``."""
    calls: list[SysctlCall] = []
    for operator, file in zip(words, words[1:]):
        if isinstance(operator, _Operator) and operator in (">", ">>"):
            place = list(words).index(operator)
            value = words[place - 1] if words[0] in ("echo", "printf") and place > 1 else ""
            calls += _written_file(file, value)
    return calls


def _written_file(path: str, value: str) -> list[SysctlCall]:
    if path == HASHSIZE:
        name = _HASHSIZE_NAME
    elif path.startswith(_PROC_SYS):
        name = path[len(_PROC_SYS) :]
    else:
        return []
    return [SysctlCall(assignments=(Assignment(1, name, value, False),))]


def _sysctl(words: t.Sequence[str]) -> SysctlCall:
    """Return what ``sysctl`` applies (sysctl(8); the one of busybox has fewer options)."""
    loads = everything = False
    pattern = ""
    names: list[str] = []
    rest = iter(_before_redirections(words))
    for word in rest:
        option, equals, value = word.partition("=")
        if word == "--system":
            everything = True
        elif option == "--pattern":
            pattern = value if equals else next(rest, "")
        elif option == "--load":
            loads = True
            names += [value] if equals else []
        elif word.startswith("--"):
            continue
        elif word.startswith("-") and "=" not in word:
            short = word.lstrip("-").lstrip("".join(_SYSCTL_FLAGS))
            if short[:1] in ("p", "f"):
                loads = True
                # Behind -p may stand more flags, as people write it for busybox, or the file.
                names += [short[1:]] if short[1:] and not _SYSCTL_FLAGS.issuperset(short[1:]) else []
            elif short[:1] == "r":
                pattern = short[1:] or next(rest, "")
        else:
            names.append(word)
    if everything:
        return SysctlCall(everything=True, conf=True, pattern=_sound(pattern), unclear=bool(_UNKNOWN.search(pattern)))
    if loads:
        return _of_files(names or [_SYSCTL_CONF], pattern=_sound(pattern))
    return SysctlCall(assignments=tuple(each for name in names for each in assignments(name)))


def _systemd_sysctl(words: t.Sequence[str]) -> SysctlCall:
    prefixes: list[str] = []
    files: list[str] = []
    rest = iter(_before_redirections(words))
    for word in rest:
        option, equals, value = word.partition("=")
        if option == "--prefix":
            prefixes.append(value if equals else next(rest, ""))
        elif not word.startswith("-"):
            files.append(word)
    below = tuple(prefix.strip("/").replace(".", "/").removeprefix("proc/sys/") for prefix in prefixes)
    known = tuple(prefix for prefix in below if not _UNKNOWN.search(prefix))
    if files:
        return _of_files(files, prefixes=known)
    return SysctlCall(everything=not below or bool(known), prefixes=known, unclear=known != below)


def _of_files(files: t.Sequence[str], pattern: str = "", prefixes: tuple[str, ...] = ()) -> SysctlCall:
    known = tuple(file for file in files if not _UNKNOWN.search(file))
    return SysctlCall(files=known, pattern=pattern, prefixes=prefixes, unclear=len(known) != len(files))


def _before_redirections(words: t.Sequence[str]) -> list[str]:
    """Return the words up to the first redirection. A number right before it belongs to it."""
    for place, word in enumerate(words):
        if isinstance(word, _Operator):
            end = place - 1 if place and words[place - 1].isdecimal() else place
            return list(words[:end])
    return list(words)


def _modprobe(words: t.Sequence[str]) -> list[Modprobe]:
    ignores = every = False
    names: list[str] = []
    rest = iter(_before_redirections(words))
    for word in rest:
        if word in _MODPROBE_WITH_VALUE:
            next(rest, None)
        elif word.startswith("--"):
            ignores = ignores or word == "--ignore-install"
            every = every or word == "--all"
            if word in ("--remove", "--show-depends", "--dry-run"):
                return []
        elif word.startswith("-"):
            ignores = ignores or "i" in word
            every = every or "a" in word
            if set(word) & set("rDn"):
                return []
        else:
            names.append(word)
    return [Modprobe(name.replace("-", "_"), ignores) for name in (names if every else names[:1])]


def _sound(pattern: str) -> str:
    """Return the regular expression, or None for one that only sysctl(8) understands."""
    try:
        re.compile(pattern)
    except re.error:
        return ""
    return pattern
