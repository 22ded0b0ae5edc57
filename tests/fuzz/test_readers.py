# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever bytes a reader gets: what it does not accept is a typed error, what it accepts is counted right, in bounds.

With FUZZ_EXAMPLES=100000, each reader gets so many inputs. ``make fuzz`` looks for inputs by the code that they reach.
"""

from __future__ import annotations

import os
import pathlib
import random
import time
import tracemalloc

import pytest
from helpers.fuzz_targets import READERS, inputs, kept, read, seeds
from helpers.support import DERANDOMIZE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
_EXAMPLES_OF = {"report": 25, "answer": 60}
"""Those whose seeds are large get fewer in each run."""

_LARGE = 1 << 17
"""Bytes of an input whose time and memory are measured."""

_MOST_SECONDS = 20
_MOST_BYTES = 64 << 20
"""Far above what any of them takes: an honest input of that size takes a tenth at most."""

CORPUS = [(name, path) for name in READERS for path in kept(name)]


@pytest.mark.parametrize("name", READERS)
def test_an_honest_input_is_accepted(name: str) -> None:
    accepted = [read(name, data) for data in seeds()[name]]
    assert any(accepted)


@pytest.mark.parametrize(("name", "path"), CORPUS, ids=[f"{name}-{path.name}" for name, path in CORPUS])
def test_what_was_found_once_is_read(name: str, path: pathlib.Path) -> None:
    read(name, path.read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_any_input_is_read_or_refused(name: str) -> None:
    @settings(
        max_examples=EXAMPLES or _EXAMPLES_OF.get(name, 150),
        derandomize=DERANDOMIZE and not EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.data())
    def reads(choice: st.DataObject) -> None:
        read(name, choice.draw(inputs(name)))

    reads()


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", ["honest", "one byte", "nested", "random"])
def test_a_large_input_takes_bounded_time_and_memory(name: str, kind: str) -> None:
    first = seeds()[name][0]
    data = {
        "honest": first + first * (_LARGE // max(1, len(first))),
        "one byte": first[:1] * _LARGE,
        "nested": first[:1] + b"[{(" * (_LARGE // 3),
        "random": first[:1] + random.Random(1).randbytes(_LARGE),
    }[kind]
    tracemalloc.start()
    begun = time.process_time()
    try:
        read(name, data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - begun < _MOST_SECONDS
    assert peak < _MOST_BYTES
