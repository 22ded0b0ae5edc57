# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The arithmetic of charts: from values to places, widths, marks and colours. Knows nothing of what is drawn."""

from __future__ import annotations

import math
import typing as t
import zlib

Scale = t.Callable[[float], float]
"""From a value to its place; a value outside of the domain gets the nearer end."""

Span = tuple[float, float]
"""Two ends; those of a place may run backwards, as upwards on a page."""

_STEPS = (1, 2, 5, 10, 20)
"""20 is only reached where a logarithm was rounded down."""


def linear(domain: Span, places: Span) -> Scale:
    """Return the scale on which equal differences are equally far apart. Raises ValueError for an empty ``domain``."""
    low, high = domain
    if not low < high:
        raise ValueError(f"the domain {domain} is empty")
    start, end = places

    def place(value: float) -> float:
        inside = min(max(value, low), high)
        return start + (end - start) * ((inside - low) / (high - low))

    return place


def logarithmic(domain: Span, places: Span) -> Scale:
    """Return the scale on which equal ratios are equally far apart.

    Raises ValueError for a ``domain`` that is empty or does not begin above 0.
    """
    low, high = domain
    if low <= 0:
        raise ValueError(f"the domain {domain} does not begin above 0")
    place = linear((math.log10(low), math.log10(high)), places)
    return lambda value: place(math.log10(max(value, low)))


def linear_marks(most: float, wanted: int) -> list[float]:
    """Return the marks of an axis from 0 to ``most`` or a little further: steps of 1, 2 or 5 times a power of ten.

    There are ``wanted`` steps at most, and two marks at least. Raises ValueError unless both are above 0.
    """
    if most <= 0 or wanted <= 0:
        raise ValueError(f"no {wanted} steps lead to {most}")
    power = 10.0 ** math.floor(math.log10(most / wanted))
    # What is short of a step by a rounding error is no step short.
    enough = most * (1 - 1e-9)
    step = next(factor * power for factor in _STEPS if factor * power * wanted >= enough)
    count = math.ceil(most / step - 1e-9)
    return [number * step for number in range(count + 1)]


def logarithmic_marks(least: float, most: float) -> list[float]:
    """Return the powers of ten from the last one not above ``least`` to the first one not below ``most``.

    There are two at least. Raises ValueError unless 0 < least <= most.
    """
    if not 0 < least <= most:
        raise ValueError(f"no powers of ten lead from {least} to {most}")
    first, last = math.floor(math.log10(least)), math.ceil(math.log10(most))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]


def apportion(parts: t.Sequence[int], units: int) -> list[int]:
    """Return each part's share of ``units``, in whole units that add up to exactly ``units``.

    A share is the exact one rounded up or down. But a part above 0 gets at least one unit where the largest can spare
    it. Without any part above 0 all shares are 0. Raises ValueError for a part below 0.
    """
    if min(parts, default=0) < 0:
        raise ValueError("a part is below 0")
    total = sum(parts)
    if not total:
        return [0] * len(parts)
    shares = [part * units // total for part in parts]
    cut_off = [part * units % total for part in parts]
    most_cut_off = sorted(range(len(parts)), key=lambda place: (-cut_off[place], place))
    for place in most_cut_off[: units - sum(shares)]:
        shares[place] += 1
    for place, part in enumerate(parts):
        if part and not shares[place]:
            largest = max(range(len(parts)), key=lambda other: (shares[other], -parts[other], other))
            if shares[largest] <= 1:
                # No other part can spare one either. So this runs once for each unit at most.
                break
            shares[largest] -= 1
            shares[place] = 1
    return shares


def stacked(widths: t.Iterable[int]) -> list[tuple[int, int]]:
    """Return the offset and the width of each of the ``widths``, laid end to end from 0."""
    offset, places = 0, []
    for width in widths:
        places.append((offset, width))
        offset += width
    return places


def colours(names: t.Iterable[str], fixed: t.Mapping[str, int], slots: int) -> dict[str, int]:
    """Return the number of a colour for each of the ``names``, below ``slots``, whatever order they come in.

    Those in ``fixed`` always get the number that stands there. The others get one that follows from the name, or the
    next that is free. Names share numbers only where there are more names than ``slots``.
    """
    wanted = sorted(set(names))
    chosen = {name: fixed[name] for name in wanted if name in fixed}
    taken = set(chosen.values())
    for name in wanted:
        if name not in chosen:
            first = zlib.crc32(name.encode("utf-8", "backslashreplace")) % slots
            places = [(first + step) % slots for step in range(slots)]
            chosen[name] = next((place for place in places if place not in taken), first)
            taken.add(chosen[name])
    return chosen


def rounded(place: float) -> str:
    """Return a coordinate with one decimal at most, as short as it can be written."""
    if isinstance(place, int):
        return str(place)
    return f"{round(place, 1) + 0.0:g}" if abs(place) < 1e5 else f"{place:.0f}"
