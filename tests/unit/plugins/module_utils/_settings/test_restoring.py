# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever files there were and whatever was set, in the end all is as before: files to the byte, the kernel's values.

Where somebody else edited the files in between, his lines stay.
"""

from __future__ import annotations

import contextlib
import pathlib
import tempfile
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.sysctl_d import assignments
from ansible_collections.netops.conntrack.plugins.module_utils._settings.persistence import keep
from ansible_collections.netops.conntrack.plugins.module_utils._settings.record import read_record
from helpers.machine_files import ACCT, DROPIN, GENERIC, KERNEL, LOAD, MAX, OPTIONS, PREFIX, RECORD, Machine
from hypothesis import given, settings
from hypothesis import strategies as st

SETTABLE = {"acct": (0, 1), "tcp_loose": (0, 1), "generic_timeout": (30, 600), "max": (65536, 99999), "buckets": (512,)}
NAMES = [MAX, ACCT, GENERIC, f"{PREFIX}buckets", "net/netfilter/nf_conntrack_max", "net.nf_conntrack_max"]

line_ends = st.sampled_from(["\n", "\n", "\n", "\r\n", "\n\n", ""])
assignment = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "-", "  "]),
    st.sampled_from(NAMES),
    st.sampled_from([" = ", "=", "\t= "]),
    st.sampled_from(["0", "1", "500", "65536", "99999", "many", ""]),
)
dropin_line = assignment | st.sampled_from(["# mine", "; why", "kernel.panic = 1", "", "rubbish", f"-{PREFIX}*"])
module_line = st.sampled_from(["nf_conntrack", " nf_conntrack ", "# mine", "8021q", ""])
option_line = st.sampled_from(
    ["options nf_conntrack hashsize=1024", "options nf_conntrack hashsize=512", "blacklist pcspkr", "# mine", ""]
)


def text_of(line: st.SearchStrategy[str]) -> st.SearchStrategy[str | None]:
    """The text of a file of such lines, some of them without a newline at the end; None for no file."""
    parts = st.lists(st.tuples(line, line_ends), max_size=7)
    return st.none() | parts.map(lambda each: "".join(f"{text}{end}" for text, end in each))


values = st.fixed_dictionaries({}, optional={name: st.sampled_from(chosen) for name, chosen in SETTABLE.items()})


class Step(t.NamedTuple):
    """One run: what it sets, what it sets at least, whether that is all there shall be, or what becomes as before."""

    settings: dict[str, int]
    at_least: dict[str, int]
    exclusive: bool
    absent: frozenset[str]


steps = st.lists(
    st.builds(Step, values, values, st.booleans(), st.just(frozenset()))
    | st.builds(Step, st.just({}), st.just({}), st.just(False), st.frozensets(st.sampled_from(sorted(SETTABLE)))),
    max_size=5,
)
files = st.fixed_dictionaries({DROPIN: text_of(dropin_line), LOAD: text_of(module_line), OPTIONS: text_of(option_line)})


def take(machine: Machine, step: Step) -> None:
    """Do what the module does for one run."""
    if step.absent:
        put_in_kernel(machine, machine.forget(*step.absent))
        return
    at_least = {name: value for name, value in step.at_least.items() if name not in step.settings}
    recorded = read_record(machine.sysctl_file).settings
    named = {*step.settings, *at_least}
    restored = {short: before for short, before in recorded.items() if step.exclusive and short not in named}
    machine.set(dict(step.settings), dict(at_least), restored=restored)
    put_in_kernel(machine, {short: t.cast("int", before.runtime) for short, before in restored.items()})
    again = keep(machine.sysctl_file, machine.changes(dict(step.settings), dict(at_least)), True)
    assert not any(file.changed for file in again.in_order)


def put_in_kernel(machine: Machine, held: dict[str, int]) -> None:
    for short, value in held.items():
        machine.write(f"proc/sys/net/netfilter/nf_conntrack_{short}", f"{value}\n")


@contextlib.contextmanager
def built(found: dict[str, str | None], is_module: bool) -> t.Iterator[Machine]:
    with tempfile.TemporaryDirectory() as directory:
        machine = Machine(pathlib.Path(directory))
        for name, text in found.items():
            if text is not None:
                machine.write(f"etc/{name}", text)
        if is_module:
            machine.has_a_module()
        with machine.in_charge():
            yield machine


@pytest.mark.slow
@given(files, steps, st.booleans())
@settings(max_examples=150, deadline=None)
def test_all_becomes_what_it_was(found: dict[str, str | None], runs: list[Step], is_module: bool) -> None:
    with built(found, is_module) as machine:
        before = machine.files
        for step in runs:
            take(machine, step)
        put_in_kernel(machine, machine.forget())
        assert machine.files == before
        assert machine.kernel == KERNEL


@pytest.mark.slow
@given(files, steps, st.data())
@settings(max_examples=150, deadline=None)
def test_lines_that_somebody_adds_or_removes_in_between(
    found: dict[str, str | None], runs: list[Step], data: st.DataObject
) -> None:
    theirs = {name: others(text or "") for name, text in found.items()}
    with built(found, is_module=True) as machine:
        for number, step in enumerate(runs):
            take(machine, step)
            name = data.draw(st.sampled_from([DROPIN, LOAD, OPTIONS]))
            theirs[name] = edit(machine, name, number, data)
        put_in_kernel(machine, machine.forget())
        assert {name: others(machine.files.get(name, "")) for name in theirs} == theirs
        assert machine.kernel == KERNEL
        assert RECORD not in machine.files


def edit(machine: Machine, name: str, number: int, data: st.DataObject) -> list[str]:
    """Add a line somewhere in a file, and perhaps take one out that is not about our settings; give those that stay."""
    lines = machine.files.get(name, "").removesuffix("\n").split("\n")
    others_here = [place for place, line in enumerate(lines) if is_other(line)]
    removed = data.draw(st.none() | st.sampled_from(others_here)) if others_here else None
    if removed is not None:
        del lines[removed]
    lines.insert(data.draw(st.integers(0, len(lines))), f"# user {number}")
    machine.write(f"etc/{name}", "\n".join([*lines, ""]))
    return others(machine.files[name])


def others(text: str) -> list[str]:
    return [line for line in text.split("\n") if is_other(line)]


def is_other(line: str) -> bool:
    """Whether a line is neither empty, nor about our settings, nor of the heads that the collection writes."""
    ours = any(each.short_name for each in assignments(line)) or "nf_conntrack" in line
    return bool(line.strip()) and not ours and "conntrack_settings" not in line and "the module does not" not in line


TWICE = f"# the limit\n{MAX} = 4\n# and again\n-net/netfilter/nf_conntrack_max=4\n{GENERIC} = 5"


@pytest.mark.parametrize("dropin", [TWICE, f"{TWICE}\n", f"# first\n\n# why\n{GENERIC}=500", "", "\n", "# mine"])
@pytest.mark.parametrize("order", [("max", "generic_timeout", "acct"), ("acct", "generic_timeout", "max")])
def test_one_after_the_other_in_any_order(tmp_path: pathlib.Path, dropin: str, order: tuple[str, ...]) -> None:
    machine = Machine(tmp_path)
    machine.write(f"etc/{DROPIN}", dropin)
    with machine.in_charge():
        machine.set({"max": 99999, "generic_timeout": 30, "acct": 1})
        for short in order:
            machine.forget(short)
    assert machine.files == {DROPIN: dropin}


def test_line_that_is_removed_and_set_again_returns_to_its_comment(tmp_path: pathlib.Path) -> None:
    machine = Machine(tmp_path)
    machine.write(f"etc/{DROPIN}", f"# zulu\n{MAX} = 4\n# alpha\n{GENERIC} = 5\n")
    with machine.in_charge():
        for _again in range(3):
            machine.set({"max": 99999, "generic_timeout": 30})
            assert machine.files[DROPIN] == f"# zulu\n{MAX} = 99999\n# alpha\n{GENERIC} = 30\n"
            machine.forget("max")
            assert machine.files[DROPIN] == f"# zulu\n{MAX} = 4\n# alpha\n{GENERIC} = 30\n"


def test_what_others_set_stays_where_a_record_of_the_first_version_is_read(tmp_path: pathlib.Path) -> None:
    machine = Machine(tmp_path)
    machine.write(f"etc/{DROPIN}", f"# mine\n{ACCT} = 1\n{GENERIC} = 30\n# added since\nkernel.panic = 1\n")
    machine.write(
        f"etc/{RECORD}",
        f"""{{"version": 1, "files": {{"{machine.sysctl_file}": "# mine\\n{GENERIC} = 5"}}, "settings": {{
          "acct": {{"name": "{ACCT}", "runtime": 0, "lines": null}},
          "generic_timeout": {{"name": "{GENERIC}", "runtime": 600, "lines": "{GENERIC} = 5"}}}}}}""",
    )
    with machine.in_charge():
        assert machine.forget() == {"acct": 0, "generic_timeout": 600}
    assert machine.files == {DROPIN: f"# mine\n{GENERIC} = 5\n# added since\nkernel.panic = 1\n"}


@pytest.mark.parametrize("again", [1, 2])
def test_settings_of_somebody_else_get_no_file_of_ours(tmp_path: pathlib.Path, again: int) -> None:
    """A run that sets nothing, and has nothing to restore, leaves a drop-in with max and buckets to its owner."""
    machine = Machine(tmp_path)
    machine.has_a_module()
    theirs = f"{MAX} = 65536\n{PREFIX}buckets = 512\n"
    machine.write(f"etc/{DROPIN}", theirs)
    before = machine.files
    with machine.in_charge():
        machine.set({"acct": 1})
        for _run in range(again):
            machine.set({}, restored=read_record(machine.sysctl_file).settings)
    assert machine.files == before
