# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a router that was taken over may answer instead of the truth."""

from __future__ import annotations

import copy
import random
import typing as t


def nested(depth: int) -> t.Any:
    """Return a list in lists."""
    value: list[t.Any] = []
    for _level in range(depth):
        value = [value]
    return value


ODD: tuple[t.Any, ...] = (
    None,
    True,
    -1,
    2**70,
    10**5000,
    float("nan"),
    float("inf"),
    1.5,
    "",
    "x" * 10**6,
    "\x1b]0;owned\x07\n# TYPE a b\r\u202e{{ 7 * 7 }}<script>=1+1",
    "\udce4\ud800",
    [],
    {},
    [None],
    ["x"] * 100_000,
    {f"key {number}": 1 for number in range(100_000)},
    {"x" * 1000: 1},
    {"\x1b[2J": {}},
    {1: 2},
    nested(50),
    nested(5000),
)

Path = tuple[t.Union[str, int], ...]


def places(value: t.Any, but: t.Collection[str] = (), path: Path = ()) -> t.Iterator[Path]:
    """Yield where something stands in the ``value``, itself first, ``but`` not under these keys."""
    yield path
    steps: t.Iterable[t.Any] = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for step in steps:
        if step not in but:
            yield from places(value[step], but, (*path, step))


def replaced(value: t.Any, path: Path, odd: t.Any) -> t.Any:
    """Return a copy of the ``value`` with something ``odd`` at the ``path``."""
    if not path:
        return odd
    changed = copy.copy(value)
    changed[path[0]] = replaced(value[path[0]], path[1:], odd)
    return changed


def lies(truth: t.Any, but: t.Collection[str] = ()) -> t.Iterator[t.Any]:
    """Yield the ``truth`` with each odd value in each place, ``but`` not under these keys."""
    for path in places(truth, but):
        for odd in ODD:
            yield replaced(truth, path, odd)


def random_lies(truth: t.Any, seed: int, but: t.Collection[str] = ()) -> t.Iterator[t.Any]:
    """Yield, without end, the ``truth`` with some of it replaced, left out, or exchanged with another part of it."""
    rng = random.Random(seed)
    every = list(places(truth, but))
    while True:
        lie = truth
        for _time in range(rng.randrange(1, 4)):
            path = rng.choice(every)
            try:
                lie = replaced(lie, path, _something(rng, truth, every))
            except (KeyError, IndexError, TypeError):
                # An earlier lie has taken the place away.
                continue
        yield lie


def _something(rng: random.Random, truth: t.Any, every: list[Path]) -> t.Any:
    kind = rng.randrange(4)
    if kind == 0:
        return rng.choice(ODD)
    if kind == 1:
        other = truth
        for step in rng.choice(every):
            other = other[step]
        return other
    if kind == 2:
        return rng.choice((rng.randrange(-(2**65), 2**65), rng.uniform(-1e300, 1e300), rng.random()))
    return "".join(chr(rng.randrange(0x3000)) for _letter in range(rng.randrange(200)))
