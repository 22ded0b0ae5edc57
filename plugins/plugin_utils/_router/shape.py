# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The shapes of data that somebody else sent: what it may be, and what of it is kept.

A shape is a function. You give it a value, and it returns a copy in plain types with only what the shape names. A value
that does not hold raises a fault, and ``checked`` makes an AnswerError of that, which says where and what. A shape
follows its own parts and never the depth of the data, so nothing that is sent can exhaust the stack.
"""

from __future__ import annotations

import collections.abc
import ipaddress
import itertools
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import AnswerError
from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible, visible_lines

Shape = t.Callable[[t.Any], t.Any]

LARGEST = 2**64 - 1
"""The largest count that a kernel keeps."""

_KEY = 128
_SHOWN = 40
"""How much of a key or a value a message shows."""

_MOST_VALUES = 10_000
_DEEPEST = 8


class FaultError(Exception):
    """What is wrong with a value, and the keys that lead to it, the last one first."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.keys: list[str | int] = []


def checked(value: t.Any, shape: Shape, of: str) -> t.Any:
    """Return what the ``shape`` keeps of ``value``.

    Raises AnswerError, which begins with ``of``, such as "Its facts are malformed".
    """
    try:
        return shape(value)
    except FaultError as fault:
        where = _path(fault.keys)
        raise AnswerError(of, f"{where}: {fault.what}" if where else fault.what) from None


def cut(value: str, longest: int, lines: bool = False) -> str:
    """Return a ``visible`` text of at most ``longest`` characters, which shows that there were more.

    With ``lines`` it keeps its line feeds and tabs.
    """
    start = str.__str__(value)[:longest]
    text = visible_lines(start) if lines else visible(start)
    if len(value) <= longest and len(text) <= longest:
        return text
    return f"{text[: longest - 1]}…"


def boolean(value: t.Any) -> bool:
    """Take true and false."""
    if not isinstance(value, bool):
        raise _wrong(value, "true or false")
    return value


def whole(lowest: int = 0, highest: int = LARGEST) -> Shape:
    """Return the shape of a whole number in this range. True and false are no numbers."""

    def shape(value: t.Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong(value, "a whole number")
        if not lowest <= value <= highest:
            raise FaultError(f"{_shown(value)} is not in the range of {lowest} to {highest}")
        return int(value)

    return shape


def number(lowest: float = 0, highest: float = LARGEST) -> Shape:
    """Return the shape of a finite number in this range, whole or not."""

    def shape(value: t.Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _wrong(value, "a number")
        # NaN is in no range.
        if not lowest <= value <= highest:
            raise FaultError(f"{_shown(value)} is not in the range of {lowest} to {highest}")
        return int(value) if isinstance(value, int) else float(value)

    return shape


def text(longest: int = _KEY) -> Shape:
    """Return the shape of a text that stands for something, such as a name. What is longer does not hold."""

    def shape(value: t.Any) -> str:
        if not isinstance(value, str):
            raise _wrong(value, "a text")
        if len(value) > longest:
            raise FaultError(f"has {len(value)} characters, at most {longest} are expected")
        return _plain(value)

    return shape


def words(longest: int = 4000, lines: bool = False) -> Shape:
    """Return the shape of a text for people, such as an error. What is longer is cut.

    With ``lines`` it may have several lines.
    """

    def shape(value: t.Any) -> str:
        if not isinstance(value, str):
            raise _wrong(value, "a text")
        return cut(value, longest, lines)

    return shape


def one_of(*choices: str) -> Shape:
    """Return the shape of a text that is one of these."""

    def shape(value: t.Any) -> str:
        if not isinstance(value, str):
            raise _wrong(value, "a text")
        for choice in choices:
            if value == choice:
                return choice
        raise FaultError(f"{_shown(value)} is none of {', '.join(choices)}")

    return shape


def address(value: t.Any) -> str:
    """Take the text of an IPv4 or IPv6 address, as Python writes it. A zone, which may have any text, is none of it."""
    try:
        if isinstance(value, str) and "%" not in value:
            return str(ipaddress.ip_address(value))
    except ValueError:
        pass
    raise FaultError(f"{_shown(value)} is no address")


def network(value: t.Any) -> str:
    """Take the text of an address, or of a network with the length of its prefix, as Python writes them."""
    try:
        if isinstance(value, str) and "/" in value and "%" not in value:
            return str(ipaddress.ip_network(value))
    except ValueError:
        raise FaultError(f"{_shown(value)} is no network") from None
    return address(value)


def optional(shape: Shape) -> Shape:
    """Return the shape of what may be null."""
    return lambda value: None if value is None else shape(value)


def text_or(other: Shape, longest: int = _KEY) -> Shape:
    """Return the shape of what is a text, or something else."""
    as_text = text(longest)
    return lambda value: as_text(value) if isinstance(value, str) else other(value)


def list_of(shape: Shape, most: int) -> Shape:
    """Return the shape of a list with at most so many items of a ``shape``."""

    def whole_list(value: t.Any) -> list[t.Any]:
        if not isinstance(value, (list, tuple)):
            raise _wrong(value, "a list")
        _refuse_more(len(value), most, "items")
        items: list[t.Any] = []
        try:
            items.extend(shape(item) for item in value)
        except FaultError as fault:
            fault.keys.append(len(items))
            raise
        return items

    return whole_list


def start_of_list(shape: Shape, most: int) -> Shape:
    """Return the shape of a list of which no more than the first ``most`` items are kept."""
    start = list_of(shape, most)
    return lambda value: start(value[:most] if isinstance(value, (list, tuple)) else value)


def start_of_mapping(shape: Shape, most: int) -> Shape:
    """Return the shape of a mapping of which no more than the first ``most`` keys are kept."""
    start = mapping(shape, most)
    return lambda value: start(dict(itertools.islice(value.items(), most)) if _is_mapping(value) else value)


def mapping(shape: Shape, most: int, longest: int = _KEY) -> Shape:
    """Return the shape of a mapping with at most so many keys, texts of at most ``longest`` characters."""

    def whole_mapping(value: t.Any) -> dict[str, t.Any]:
        if not _is_mapping(value):
            raise _wrong(value, "a mapping")
        _refuse_more(len(value), most, "keys")
        checked_items = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise FaultError(f"the key {_shown(key)} is {_kind(key)}, not a text")
            if len(key) > longest:
                raise FaultError(f"a key has {len(key)} characters, at most {longest} are expected")
            try:
                checked_items[_plain(key)] = shape(item)
            except FaultError as fault:
                fault.keys.append(key)
                raise
        return checked_items

    return whole_mapping


def record(required: t.Mapping[str, Shape], other: t.Mapping[str, Shape] | None = None) -> Shape:
    """Return the shape of a mapping with these keys, and perhaps the ``other`` ones. Keys that it has besides go."""
    shapes = {**required, **(other or {})}

    def whole_record(value: t.Any) -> dict[str, t.Any]:
        if not _is_mapping(value):
            raise _wrong(value, "a mapping")
        fields = {}
        for key, shape in shapes.items():
            if key in value:
                try:
                    fields[key] = shape(value[key])
                except FaultError as fault:
                    fault.keys.append(key)
                    raise
            elif key in required:
                raise FaultError(f"{key} is missing")
        return fields

    return whole_record


def known_of(fields: t.Mapping[str, Shape]) -> Shape:
    """Return the shape of a mapping with these keys. What is missing in it is unknown, and becomes null."""
    known = record({}, fields)
    unknown = dict.fromkeys(fields)
    return lambda value: {**unknown, **known(value)}


def anything(value: t.Any) -> t.Any:
    """Take any data of JSON that is small enough to be shown, such as the value of a check."""
    return _Anything().bounded(value, _DEEPEST)


def shown(value: t.Any) -> t.Any:
    """Return any data of JSON if it is small enough to be shown, and a text that says so if it is not."""
    try:
        return anything(value)
    except FaultError as fault:
        return f"not shown, because it {fault.what}"


class _Anything:
    """Data of no shape in particular, of which the values are counted."""

    def __init__(self) -> None:
        self._values = 0

    def bounded(self, value: t.Any, deepest: int) -> t.Any:
        self._values += 1
        if self._values > _MOST_VALUES:
            raise FaultError(f"has more than {_MOST_VALUES} values in it")
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return cut(value, 4000)
        if isinstance(value, (int, float)):
            return number(-LARGEST, LARGEST)(value)
        if not deepest:
            raise FaultError(f"is nested more than {_DEEPEST} times")
        if isinstance(value, (list, tuple)):
            return [self.bounded(item, deepest - 1) for item in value]
        if _is_mapping(value):
            return {self._key(key): self.bounded(item, deepest - 1) for key, item in value.items()}
        raise _wrong(value, "data of JSON")

    def _key(self, key: t.Any) -> str:
        # Ansible itself reads keys that begin like this.
        if not isinstance(key, str) or key.startswith("__ansible"):
            raise FaultError(f"the key {_shown(key)} is not expected")
        return cut(key, _KEY)


def _is_mapping(value: t.Any) -> bool:
    return isinstance(value, (dict, collections.abc.Mapping))


def _refuse_more(number_of_them: int, most: int, of_what: str) -> None:
    if number_of_them > most:
        raise FaultError(f"has {number_of_them} {of_what}, at most {most} are expected")


def _wrong(value: t.Any, expected: str) -> FaultError:
    is_shown = isinstance(value, (int, float, str)) and not isinstance(value, bool)
    return FaultError(f"{f'{_shown(value)} is' if is_shown else 'is'} {_kind(value)}, not {expected}")


def _kind(value: t.Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    kinds = (("a text", str), ("a number", (int, float)), ("a list", (list, tuple)))
    named = (name for name, kind in kinds if isinstance(value, kind))
    return next(named, "a mapping" if _is_mapping(value) else "something else")


def _shown(value: t.Any) -> str:
    """Return a value as a message shows it, whatever it is."""
    if isinstance(value, str):
        return f"'{cut(value, _SHOWN)}'"
    if isinstance(value, int):
        # A number of any size takes quadratic time to write.
        return str(int(value)) if abs(value) < 10**_SHOWN else "a number of more than 40 digits"
    return repr(float(value)) if isinstance(value, float) else _kind(value)


def _path(keys: t.Sequence[str | int]) -> str:
    """Return the place of something as a path, such as ``table.top.source[3].value``."""
    steps = (f"[{key}]" if isinstance(key, int) else f".{cut(key, _SHOWN)}" for key in reversed(keys))
    return "".join(steps).lstrip(".")


def _plain(value: str) -> str:
    """Return a text without the marks that Ansible gives it, ``visible``."""
    return visible(str.__str__(value))
