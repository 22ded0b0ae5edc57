# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to this collection: it can change without notice.

"""Prometheus' text format, read as far as the metrics of a connection-tracking table need."""

from __future__ import annotations

import math
import re
import typing as t

_SAMPLE = re.compile(
    r"""([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?[ \t]+(\S+)(?:[ \t]+-?[0-9]+)?[ \t]*"""
)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")

Samples = dict[str, float]
"""By name of the metric. One without a value, or with NaN, is not among them."""


def read(text: str, names: t.Collection[str], label: str = "") -> dict[str, Samples]:
    """Return the samples of ``text`` with these names, by the value of ``label``, which is "" where it is missing.

    What is no sample is passed over, because other metrics are no concern of ours. If a metric has two samples with one
    value of the label, nobody knows which one is meant, and both are left out.
    """
    samples: dict[str, Samples] = {}
    seen = set()
    beginnings = tuple(names)
    for line in text.splitlines():
        found = _SAMPLE.fullmatch(line) if line.startswith(beginnings) else None
        if not found or found[1] not in names:
            continue
        name, value = found[1], _labels(found[2] or "").get(label, "")
        of_value = samples.setdefault(value, {})
        number = _number(found[3])
        if (name, value) in seen or number is None:
            of_value.pop(name, None)
        else:
            of_value[name] = number
        seen.add((name, value))
    return samples


def _labels(text: str) -> dict[str, str]:
    return {name: _ESCAPED.sub(_unescaped, value) for name, value in _LABEL.findall(text)}


def _unescaped(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
