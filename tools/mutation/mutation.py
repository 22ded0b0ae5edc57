# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put one fault after the other into the code that decides what is deleted, and see whether a test notices.

Usage: tools/mutation/mutation.py [--continue] [--unit] [PART ...]

The parts, their modules and the tests of each are in parts.yml. Each fault is in a copy of the checkout below
.work/mutation, with namespaces of its own, so that neither this checkout nor a table of the machine is touched. A
mutant that no test notices survives, and is printed. Write a test that notices it. If it changes nothing, name it in
equivalent.yml with the reason.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import typing as t

import yaml

HERE = pathlib.Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
WORK = CHECKOUT / ".work" / "mutation"
RECORD = WORK / "verdicts"
MODULES = pathlib.Path("plugins", "module_utils")

EQUIVALENT = "equivalent"
ANY = "any"
_VERDICTS = ("killed", "timeout", "survived", EQUIVALENT)
_APART = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
"""In namespaces of its own: no mutant can delete entries of the machine, and what one leaves ends with the part."""

Parts = dict[str, dict[str, list[str]]]


class Equivalent(t.NamedTuple):
    """A mutant that no test can notice: the module, and the line before and after. ANY stands for each mutant of it."""

    module: str
    before: str
    after: str


def read_parts() -> Parts:
    """Return the tests of each module of each part."""
    return t.cast(Parts, yaml.safe_load((HERE / "parts.yml").read_text(encoding="utf-8")))


def read_equivalents() -> dict[Equivalent, str]:
    """Return why each mutant that is listed changes nothing."""
    rows = yaml.safe_load((HERE / "equivalent.yml").read_text(encoding="utf-8"))
    return {Equivalent(row["module"], row["before"], row["after"]): row["why"] for row in rows}


class Record:
    """The verdicts on mutants, by their source, in a file that a later run can go on from."""

    def __init__(self, path: pathlib.Path, *, goes_on: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not goes_on:
            path.unlink(missing_ok=True)
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._verdicts: dict[str, str] = dict(json.loads(line) for line in lines)

    def is_noticed(self, source: str) -> bool:
        """Say whether a test noticed a mutant with this source. Those that survived are tried again."""
        return self._verdicts.get(_digest(source)) in ("killed", "timeout")

    def __getitem__(self, source: str) -> str:
        return self._verdicts[_digest(source)]

    def __setitem__(self, source: str, verdict: str) -> None:
        self._verdicts[_digest(source)] = verdict
        with self._path.open("a", encoding="utf-8") as file:
            print(json.dumps([_digest(source), verdict]), file=file)


def _digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()


def main() -> int:
    """Try the mutants of the parts, print how many were noticed, and return whether any survived."""
    parts = read_parts()
    parser = argparse.ArgumentParser(description="See whether the tests notice faults in what decides what is deleted.")
    parser.add_argument("--continue", dest="goes_on", action="store_true", help="try only what survived or is left")
    parser.add_argument("--unit", action="store_true", help="only with the tests that need no root")
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(parts)}, or a module of one")
    given = parser.parse_args()
    unknown = set(given.parts).difference(parts, *parts.values())
    if unknown:
        parser.error(f"there is no part {min(unknown)}. They are {', '.join(parts)}, and the modules in them.")
    if not given.unit and os.geteuid() != 0:
        parser.error("the tests with a real table need root. Give --unit to do without them.")
    if os.geteuid() == 0 and not given.apart:
        os.execvp(_APART[0], [*_APART, sys.executable, __file__, "--apart", *sys.argv[1:]])
    if given.apart:
        _prepare_namespaces()
    counts = try_parts(chosen(parts, given.parts, unit=given.unit), Record(RECORD, goes_on=given.goes_on))
    print(table_of(counts))
    return int(any(count["survived"] for count in counts.values()))


def _prepare_namespaces() -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def chosen(parts: Parts, names: t.Collection[str], *, unit: bool) -> Parts:
    """Return the tests of those parts and modules that have one of the names, or of all without any.

    With ``unit``, these are only the tests that need no root.
    """
    found: Parts = {}
    for name, modules in parts.items():
        for module, tests in modules.items():
            if not names or name in names or module in names:
                own = [f"tests/{test}" for test in tests if test.startswith("unit/") or not unit]
                found.setdefault(name, {})[module] = own
    return found


def try_parts(parts: Parts, record: Record) -> dict[str, collections.Counter[str]]:
    """Try the mutants of all parts. Return the number of each verdict by part."""
    from judge import copy_checkout

    counts = {name: collections.Counter[str]() for name in parts}
    with tempfile.TemporaryDirectory(prefix="tree-", dir=WORK) as directory:
        tree = copy_checkout(CHECKOUT, pathlib.Path(directory))
        for name, modules in parts.items():
            for module, tests in modules.items():
                if tests:
                    counts[name].update(try_module(tree, module, tests, record))
    return counts


def try_module(tree: pathlib.Path, module: str, tests: list[str], record: Record) -> collections.Counter[str]:
    """Try the mutants of a module, and print those that survive. Return the number of each verdict.

    ``tree`` is the copy of the checkout in which each takes the place of the module.
    """
    from judge import Judge
    from mutants import mutants_of

    path = MODULES / f"{module}.py"
    equivalents, counts, judge = read_equivalents(), collections.Counter[str](), None
    for mutant in mutants_of(module, (tree / path).read_text(encoding="utf-8")):
        if any(Equivalent(module, mutant.before, after) in equivalents for after in (mutant.after, ANY)):
            counts[EQUIVALENT] += 1
            continue
        if not record.is_noticed(mutant.source):
            judge = judge or Judge(tree, tree / path, tests, WORK / f"{path.parent.name}-{path.stem}.log")
            record[mutant.source] = judge.verdict(mutant.source)
        verdict = record[mutant.source]
        counts[verdict] += 1
        if verdict == "survived":
            print(f"survived: {path}:{mutant.line}: {mutant.before} -> {mutant.after}", flush=True)
    if judge:
        judge.close()
    print(f"{module}: {', '.join(f'{counts[verdict]} {verdict}' for verdict in _VERDICTS)}", flush=True)
    return counts


def table_of(counts: t.Mapping[str, t.Mapping[str, int]]) -> str:
    """Return a table with the numbers of each part, and of all."""
    whole = collections.Counter[str]()
    for count in counts.values():
        whole.update(count)
    rows: list[tuple[str, ...]] = [("part", "mutants", *_VERDICTS, "score")]
    for name, count in [*counts.items(), ("all", whole)]:
        numbers = [count.get(verdict, 0) for verdict in _VERDICTS]
        rows.append((name, *map(str, [sum(numbers), *numbers]), f"{score_of(count)} %"))
    return "\n".join(
        "  ".join(f"{cell:<12}" if not at else f"{cell:>10}" for at, cell in enumerate(row)) for row in rows
    )


def score_of(count: t.Mapping[str, int]) -> str:
    """Return the share in percent of those that a test notices. Equivalent ones do not count. Without any: ``-``."""
    noticed = count.get("killed", 0) + count.get("timeout", 0)
    able = noticed + count.get("survived", 0)
    return f"{100 * noticed / able:.1f}" if able else "-"


if __name__ == "__main__":
    sys.exit(main())
