# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look for inputs that a reader of the collection does not stand, guided by the code that they reach.

Usage: tools/fuzz.py [--seconds SECONDS] [READER ...]

Each reader of tests/helpers/fuzz_targets.py gets 600 seconds, or as many as are given. It fails where an input makes it
raise anything but a typed error, count wrongly, take more than 10 seconds, or more than 1 GiB. Such an input is written
to .work/fuzz/found/READER/: once the fault is mended, move it to tests/fuzz/corpus/READER/ and it is tried by each
`make test`.
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
WORK = CHECKOUT / ".work" / "fuzz"
SECONDS = 600
_LONGEST_INPUT = 1 << 16
_SECONDS_OF_ONE = 10
_MEBIBYTES = 1024

sys.path[:0] = [str(CHECKOUT / ".collections"), str(CHECKOUT / "tests")]


def main() -> int:
    """Fuzz the readers one after the other, and return how many failed."""
    parser = argparse.ArgumentParser(description="Fuzz the readers of what others wrote.")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="for each reader (default: %(default)s)")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("readers", nargs="*", metavar="READER", help="one of the readers (default: all of them)")
    given = parser.parse_args()
    if given.here:
        # Nothing of ours may be imported before it is instrumented.
        fuzz(given.readers[0], given.seconds)
    from helpers.fuzz_targets import READERS

    unknown = [name for name in given.readers if name not in READERS]
    if unknown:
        parser.error(f"there is no reader {unknown[0]}. They are {', '.join(READERS)}.")
    failed = [name for name in given.readers or READERS if not _fuzzed(name, given.seconds)]
    for name in failed:
        print(f"fuzz: {name} FAILED, see {WORK / 'found' / name}", file=sys.stderr)
    return len(failed)


def _fuzzed(name: str, seconds: int) -> bool:
    """Fuzz a reader in a process of its own, and return whether nothing was found."""
    print(f"fuzz: {name}, {seconds} s", flush=True)
    command = [sys.executable, __file__, "--here", "--seconds", str(seconds), name]
    return subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode == 0


def fuzz(name: str, seconds: int) -> None:
    """Fuzz a reader in this process, and end it: with 0 if nothing was found."""
    import atheris

    with atheris.instrument_imports(include=["ansible_collections.netops.conntrack"]):
        from helpers.fuzz_targets import kept, read, seeds
    corpus, found = WORK / "corpus" / name, WORK / "found" / name
    for directory in (corpus, found):
        directory.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate([*seeds()[name], *(path.read_bytes() for path in kept(name))]):
        (corpus / f"seed-{number}").write_bytes(data)
    options = {
        "max_total_time": seconds,
        "max_len": _LONGEST_INPUT,
        "timeout": _SECONDS_OF_ONE,
        "rss_limit_mb": _MEBIBYTES,
        "artifact_prefix": f"{found}/",
        "print_final_stats": 1,
        "verbosity": 0,
    }
    arguments = [f"-{option}={value}" for option, value in options.items()]
    atheris.Setup([sys.argv[0], *arguments, str(corpus)], lambda data: read(name, data) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
