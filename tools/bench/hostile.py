# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a dump of entries whose senders chose what is in them, and prints as one line of JSON what it took.

The dump is made in memory, so that no table has to be filled, and only the engine's own half is measured. Each kind has
its control: as many entries of the same sort, with values by chance. The option --tree reads with the collection of
another checkout, to compare the two.
"""

from __future__ import annotations

import argparse
import itertools
import json
import pathlib
import random
import resource
import sys
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[2]

CHUNK = 128
"""So many entries are in a datagram."""

COLLIDING = 2**61 - 1
"""Python's hash of a number is the remainder of a division by this."""

_BASE = 0x2A00 << 112
_FIRST_SOURCE = 0x0A000001

Values = t.Iterator[int]
Rows = t.Iterator[dict[str, int]]


def spread(step: int, size: int) -> Values:
    """Return IPv6 addresses with a step between each and the next, as a router's table has them: in no order."""
    numbers = [_BASE + number * step for number in range(size)]
    random.Random(1).shuffle(numbers)
    return iter(numbers)


def chance(bits: int, size: int, seed: int) -> Values:
    """Return numbers of so many bits by chance."""
    source = random.Random(seed)
    return (source.getrandbits(bits) for _number in range(size))


def chains(size: int) -> Values:
    """Return IPv4 addresses that meet in long chains of a table of 65,536 places, if their bits are their hash.

    30,000 addresses fill a chain of places. The others walk through it, because each place where they are looked for
    first (lookdict() in Objects/dictobject.c) is in it.
    """
    place, chain = 1, []
    for _number in range(30_000):
        chain.append(place)
        place = (5 * place + 1) & 0xFFFF
    filled, source = set(chain), random.Random(1)
    walkers: list[int] = []
    while len(walkers) < 2_000:
        number = source.getrandbits(32)
        if all(each in filled for each in _first_places(number)):
            walkers.append(number)
    return itertools.islice(itertools.chain(chain, itertools.cycle(walkers)), size)


def _first_places(number: int) -> t.Iterator[int]:
    place, rest = number & 0xFFFF, number
    for _shift in range(8):
        yield place
        rest >>= 5
        place = (5 * place + rest + 1) & 0xFFFF


def same_low_bits(size: int) -> Values:
    """Return different IPv4 addresses of which only the upper half differs, as far as there are any."""
    numbers = [upper << 16 | lower for lower in range(1 + size // 65_536) for upper in range(65_536)][:size]
    random.Random(1).shuffle(numbers)
    return iter(numbers)


def _rows(size: int, **columns: t.Callable[[], Values]) -> Rows:
    """Return the fields of each entry; what is not given is the same in all of them, but for the source."""
    made = {name: column() for name, column in columns.items()}
    if not made.keys() & {"source", "source6"}:
        made["source"] = itertools.cycle(range(_FIRST_SOURCE, _FIRST_SOURCE + 4_000))
        made["id"] = itertools.count()
    for values in itertools.islice(zip(*made.values(), strict=False), size):
        yield dict(zip(made, values, strict=True))


def kinds(size: int) -> dict[str, t.Callable[[], Rows]]:
    """Return what makes the entries of each kind of table."""

    def by_chance(bits: int, seed: int = 1) -> t.Callable[[], Values]:
        return lambda: chance(bits, size, seed)

    def six(step: int) -> t.Callable[[], Values]:
        return lambda: spread(step, size)

    few = random.Random(7).sample(range(2**32), 32_000)
    return {
        "six-control": lambda: _rows(size, source6=six(2**61 + 12345), destination6=six(2**61 + 54321)),
        "six-source": lambda: _rows(size, source6=six(COLLIDING), destination6=six(2**61 + 54321)),
        "six-destination": lambda: _rows(size, source6=six(2**61 + 12345), destination6=six(COLLIDING)),
        "six-both": lambda: _rows(size, source6=six(COLLIDING), destination6=six(COLLIDING)),
        "four-control": lambda: _rows(size, source=by_chance(32), source_port=by_chance(16, 2)),
        "four-low-bits": lambda: _rows(size, source=lambda: same_low_bits(size), source_port=by_chance(16, 2)),
        "few-control": lambda: _rows(size, source=lambda: itertools.cycle(few)),
        "few-chains": lambda: _rows(size, source=lambda: chains(size)),
        "mark-control": lambda: _rows(size, mark=by_chance(32)),
        "mark-chains": lambda: _rows(size, mark=lambda: chains(size)),
        "ports-control": lambda: _rows(size, source_port=by_chance(16), destination_port=by_chance(16, 2)),
        "ports-pairs": lambda: _rows(
            size,
            source_port=lambda: itertools.cycle(range(0, 65_536, 32)),
            destination_port=lambda: (number % 65_536 for number in itertools.count()),
        ),
        "counters-control": lambda: _rows(size, packets_original=by_chance(5), bytes_original=by_chance(5, 2)),
        "counters": lambda: _rows(
            size, packets_original=by_chance(20), bytes_original=by_chance(30, 2), remaining=by_chance(19, 3)
        ),
        "protocols-control": lambda: _rows(size, protocol=lambda: itertools.repeat(99)),
        "protocols": lambda: _rows(size, protocol=lambda: (100 + number % 24 for number in itertools.count())),
        "all-protocols": lambda: _rows(size, protocol=lambda: (144 + number % 110 for number in itertools.count())),
        "kinds": lambda: _rows(size, remaining=by_chance(19), state=by_chance(3, 2), status=by_chance(4, 3)),
    }


def datagrams(rows: Rows) -> t.Iterator[bytes]:
    """Return the entries as the kernel would send them."""
    from helpers import encoded_messages

    encode = _encoder(encoded_messages)
    while True:
        part = list(itertools.islice(rows, CHUNK))
        if not part:
            break
        yield b"".join(map(encode, part))
    yield encoded_messages.done()


def _encoder(encoded_messages: t.Any) -> t.Callable[[dict[str, int]], bytes]:
    """Return what encodes an entry: a message with every field, into which the given ones are put."""
    from ansible_collections.netops.conntrack.plugins.module_utils._table.layouts import Layout

    templates: dict[t.Any, tuple[bytes, t.Any]] = {}

    def encode(row: dict[str, int]) -> bytes:
        values = dict(row)
        protocol = values.pop("protocol", 6)
        kind = protocol, "source6" in values
        if kind not in templates:
            message = encoded_messages.entry_message(_plain_entry(*kind))
            templates[kind] = message, Layout.of_message(message)
        message, layout = templates[kind]
        data = bytearray(message)
        for name, value in values.items():
            place = layout.fields[name.removesuffix("6")]
            data[place.start : place.end] = value.to_bytes(place.end - place.start, "big")
        return bytes(data)

    return encode


def _plain_entry(protocol: int, six: bool) -> dict[str, t.Any]:
    addresses = {"source": "2a00::1", "destination": "2a00::2"} if six else {}
    ports: dict[str, t.Any] = {"source_port": 40_000, "destination_port": 443, "state": 3} if protocol == 6 else {}
    counters = {"packets_original": 1, "bytes_original": 40, "packets_reply": 0, "bytes_reply": 0}
    common = {"protocol": protocol, "status": 8, "remaining": 400_000, "mark": 0, "id": 7, "use": 1}
    return {**common, **addresses, **ports, **counters}


class MemoryTable:
    """A table whose dump is in memory."""

    def __init__(self, answer: list[bytes]) -> None:
        self._answer = answer

    def read(self, collect: t.Callable[[t.Any], t.Any], _conditions: t.Any = (), _clock: t.Any = None) -> t.Any:
        """Return what ``collect`` makes of the blocks of the dump."""
        from ansible_collections.netops.conntrack.plugins.module_utils._table import dump

        return collect(dump.blocks(iter(self._answer), sequence=1, chain=16))

    def count(self) -> None:
        """Return None, because no kernel counts these entries."""


def works() -> dict[str, t.Callable[[t.Any], t.Any]]:
    """Return what can be done with a table, by name."""
    from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
    from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes import guards as guards_module
    from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes import prune as prune_module
    from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes import prune_plan
    from ansible_collections.netops.conntrack.plugins.module_utils._facts.table_facts import count_table
    from ansible_collections.netops.conntrack.plugins.module_utils._query import query as query_module
    from ansible_collections.netops.conntrack.plugins.module_utils._selector import compiler, named_selectors
    from ansible_collections.netops.conntrack.plugins.module_utils._sysctl import sysctl

    settings = sysctl.read_settings()
    context = Context.read(settings)

    def info(*group_by: str) -> t.Callable[[t.Any], t.Any]:
        query = query_module.Query(list(group_by), [], 10, entries=False)
        every = compiler.compile_selection(None, None, context)
        return lambda table: query_module.run_query(table, every, context, query)

    def prune(table: t.Any) -> t.Any:
        guards = guards_module.Guards(frozenset(), helpers=True)
        selection = compiler.compile_selection(None, None, context, "", ["stale", "unanswered", "multicast"])
        plan = prune_plan.PrunePlan(selection, guards, context, 5, whole=False)
        return prune_module.prune(table, plan, prune_plan.parse_limit(None), dry_run=True).result(None, with_diff=False)

    named = named_selectors.NAMED
    return {
        "facts": lambda table: count_table(table, settings, 10, named, with_summary=True),
        "summary": lambda table: count_table(table, settings, 10, {}, with_summary=True),
        "addresses": info("source", "destination"),
        "ports": info("source_port", "destination_port"),
        "source-and-port": info("source", "source_port"),
        "networks": info("source/16/48"),
        "prune": prune,
    }


def main() -> None:
    """Do the work on the table of one kind, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=kinds(1))
    parser.add_argument("works", nargs="+")
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--tree", type=pathlib.Path, default=ROOT)
    args = parser.parse_args()
    sys.path[:0] = [str(args.tree / ".collections"), str(args.tree / "tests")]
    answer = list(datagrams(kinds(args.entries)[args.kind]()))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took: dict[str, t.Any] = {}
    for name in args.works:
        started = time.process_time()
        works()[name](MemoryTable(answer))
        took[name] = round(time.process_time() - started, 3)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"kind": args.kind, **took, "megabytes": round(grown * 1024 / 1e6)}), flush=True)


if __name__ == "__main__":
    main()
