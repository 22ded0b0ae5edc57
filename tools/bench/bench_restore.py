# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores a large file of entries with conntrack_restore, next to ``conntrack -R``, which reads the same file.

Both run in turn, round by round, in a namespace whose table is emptied in between, so that whatever else the machine
does meets both. On a busy machine only the time of the processors says something. What is measured is the whole
process: of the module as Ansible sends it to a router, and of the tool. The tool stops at the first entry that is there
already, so only the module runs a second time, on the full table.

Run it as root. It raises nf_conntrack_max and the buckets of the machine meanwhile, and restores them.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t

TOOLS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TOOLS), str(TOOLS.parent / "tests")]

from bench.errors import BenchError  # noqa: E402  (found through the line above)
from bench.machine import limits, setting, tracking_namespace  # noqa: E402  (found through the line above)
from bench.wrapped import wrap  # noqa: E402  (found through the line above)

BAR = 0.8
"""Which share of the time of ``conntrack -R`` the module may take."""

_ROOM = 1.1
_PER_HOST = 50_000
_PATIENCE = 60


def plain_lines(number: int) -> t.Iterator[str]:
    """Yield lines of established connections, with NAT of none."""
    for at in range(number):
        yield _tcp_line(at, None)


def mix_lines(number: int) -> t.Iterator[str]:
    """Yield lines of a router: seven of ten are TCP, two UDP, and of each kind every third is translated."""
    for at in range(number):
        kind, translated = at % 10, f"203.0.113.{at // _PER_HOST}" if at % 3 == 0 else None
        if kind < 7:
            yield _tcp_line(at, translated)
        elif kind < 9:
            yield _line(at, "udp", "-t 179 -u SEEN_REPLY,ASSURED", translated)
        else:
            yield _line(at, "tcp", "-t 119 -u SEEN_REPLY,ASSURED", None, six=True) + " --state TIME_WAIT"


def _tcp_line(at: int, translated: str | None) -> str:
    return _line(at, "tcp", f"-t {431_999 - at % 3000} -u SEEN_REPLY,ASSURED", translated) + " --state ESTABLISHED"


def _line(at: int, protocol: str, status: str, translated: str | None, six: bool = False) -> str:
    host, port = at // _PER_HOST, 1024 + at % _PER_HOST
    client, server = (f"2001:db8::{host:x}", "2001:db8:1::1") if six else (f"10.0.{host}.{at % 250}", "192.0.2.1")
    reply = f"-n {translated}" if translated else f"-q {client}"
    ports = f"--sport {port} --dport 443 --reply-port-src 443 --reply-port-dst {port}"
    return f"-A {status} -s {client} -d {server} -r {server} {reply} -p {protocol} {ports}"


FILES: dict[str, t.Callable[[int], t.Iterator[str]]] = {"plain": plain_lines, "mix": mix_lines}


class Run(t.NamedTuple):
    """What a process took: seconds by the clock and of the processors, and megabytes."""

    seconds: float
    processor_seconds: float
    megabytes: float


class Round(t.NamedTuple):
    """The runs of the tool, of the module, and of the module once all is there."""

    tool: Run
    module: Run
    again: Run


def _run(command: t.Sequence[str]) -> tuple[Run, str]:
    """Run a command, and return what it took, and what it printed. Raises BenchError if it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    with process.stdout:
        printed = process.stdout.read()
    # What subprocess waits with does not tell what this one process took.
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise BenchError(f"{' '.join(command)}: rc {process.returncode}\n{printed}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6), printed


def _empty() -> None:
    subprocess.run(["conntrack", "-F"], check=True, capture_output=True)
    deadline = time.monotonic() + _PATIENCE
    while setting("nf_conntrack_count") and time.monotonic() < deadline:
        time.sleep(0.1)


def _tool_run(path: str, lines: int) -> Run:
    run, _printed = _run(["conntrack", "-R", path])
    if setting("nf_conntrack_count") != lines:
        raise BenchError(f"conntrack -R made {setting('nf_conntrack_count')} entries of {lines}")
    return run


def _module_run(module: pathlib.Path, restored: int, existing: int) -> Run:
    run, printed = _run([sys.executable, str(module)])
    result = json.loads(printed)
    if (result["restored"], result["existing"]) != (restored, existing):
        raise BenchError(f"{module.name}: {result}")
    return run


def one_round(path: str, module: pathlib.Path, lines: int) -> Round:
    """Run both. Raises BenchError if one of them does not make all entries."""
    _empty()
    tool = _tool_run(path, lines)
    _empty()
    return Round(tool, _module_run(module, lines, 0), _module_run(module, 0, lines))


def row_of(name: str, lines: int, rounds: t.Sequence[Round]) -> str:
    """Return the line of the table for these rounds."""
    tool, module, again = (statistics.median(run.seconds for run in runs) for runs in zip(*rounds))
    ratio = statistics.median(each.module.seconds / each.tool.seconds for each in rounds)
    of_processors = statistics.median(each.module.processor_seconds / each.tool.processor_seconds for each in rounds)
    megabytes = max(each.module.megabytes for each in rounds)
    cells = (name, f"{lines:,}", f"{tool:.1f}", f"{module:.1f}", f"{ratio:.2f}", f"{of_processors:.2f}")
    return f"| {' | '.join(cells)} | {'met' if ratio <= BAR else 'missed'} | {again:.1f} | {megabytes:.0f} |"


HEAD = f"""| file | entries | conntrack -R s | module s | ratio | of the processors | bar of {BAR} | all there s | MB |
| --- | --: | --: | --: | --: | --: | --- | --: | --: |"""


def main() -> None:
    """Print the table of all files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    print(HEAD)
    with tempfile.TemporaryDirectory() as directory, limits(int(_ROOM * args.entries)), tracking_namespace():
        for name, lines_of in FILES.items():
            path = str(pathlib.Path(directory, name))
            with open(path, "w", encoding="ascii") as file:
                file.writelines(f"{line}\n" for line in lines_of(args.entries))
            module = wrap("conntrack_restore", {"src": path, "written_at": "now"}, directory)
            rounds = [one_round(path, module, args.entries) for _round in range(args.rounds)]
            print(row_of(name, args.entries, rounds), flush=True)


if __name__ == "__main__":
    main()
