# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tool behind `make mutation`: what it has of parts and equivalent mutants, and what it counts."""

from __future__ import annotations

import contextlib
import pathlib

import judge
import mutation
import pytest
from helpers.support import CHECKOUT

PARTS = mutation.read_parts()
ROWS = [(module, test) for modules in PARTS.values() for module, tests in modules.items() for test in tests]
EQUIVALENTS = mutation.read_equivalents()


def source_of(module: str) -> str:
    return (CHECKOUT / mutation.MODULES / f"{module}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(("module", "test"), ROWS)
def test_each_module_and_its_tests_are_there(module: str, test: str) -> None:
    assert source_of(module)
    assert (CHECKOUT / "tests" / test).is_file()


def test_a_module_is_in_one_part() -> None:
    modules = [module for part in PARTS.values() for module in part]
    assert len(set(modules)) == len(modules)


@pytest.mark.parametrize("mutant", EQUIVALENTS)
def test_an_equivalent_mutant_is_of_a_line_that_is_there(mutant: mutation.Equivalent) -> None:
    """A line that was changed since has to be looked at again."""
    lines = " ".join(line.strip() for line in source_of(mutant.module).splitlines())
    assert mutant.before in lines
    assert mutant.after != mutant.before
    assert EQUIVALENTS[mutant]
    assert any(mutant.module in part for part in PARTS.values())


def test_what_was_noticed_is_not_tried_again(tmp_path: pathlib.Path) -> None:
    record = mutation.Record(tmp_path / "verdicts", goes_on=False)
    for source, verdict in (("a", "survived"), ("b", "killed"), ("c", "timeout")):
        assert not record.is_noticed(source)
        record[source] = verdict
    later = mutation.Record(tmp_path / "verdicts", goes_on=True)
    assert [later.is_noticed(source) for source in "abcd"] == [False, True, True, False]
    assert later["c"] == "timeout"
    assert not mutation.Record(tmp_path / "verdicts", goes_on=False).is_noticed("b")


def test_parts_and_modules_can_be_chosen() -> None:
    parts = {"delete": {"a": ["unit/a.py", "kernel/a.py"], "b": ["kernel/b.py"]}, "idle": {"c": ["unit/c.py"]}}
    every = {"delete": {"a": ["tests/unit/a.py", "tests/kernel/a.py"], "b": ["tests/kernel/b.py"]}}
    assert mutation.chosen(parts, ["delete"], unit=False) == every
    assert mutation.chosen(parts, ["b", "idle"], unit=False) == {
        "delete": {"b": ["tests/kernel/b.py"]},
        "idle": {"c": ["tests/unit/c.py"]},
    }
    assert mutation.chosen(parts, [], unit=True) == {
        "delete": {"a": ["tests/unit/a.py"], "b": []},
        "idle": {"c": ["tests/unit/c.py"]},
    }


def test_equivalent_mutants_do_not_count() -> None:
    counts = {"delete": {"killed": 6, "timeout": 1, "survived": 1, "equivalent": 9}, "idle": {"killed": 2}}
    assert [line.split() for line in mutation.table_of(counts).splitlines()] == [
        ["part", "mutants", "killed", "timeout", "survived", "equivalent", "score"],
        ["delete", "17", "6", "1", "1", "9", "87.5", "%"],
        ["idle", "2", "2", "0", "0", "0", "100.0", "%"],
        ["all", "19", "8", "1", "1", "9", "90.0", "%"],
    ]
    assert mutation.score_of({}) == "-"


DOUBLE = "def double(number):\n    return number + 2\n"
TEST_OF_DOUBLE = """
import doubled

def test_it():
    assert doubled.double(2) == 4
"""


@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        ("def double(number):\n    return number - 2\n", judge.KILLED),
        ("def double(number):\n    return number * 2\n", judge.SURVIVED),
        ("def double(number):\n    return number +\n", judge.KILLED),
        ("import os\ndef double(number):\n    os._exit(0)\n", judge.KILLED),
        ("def double(number):\n    import os\n    os._exit(0)\n", judge.KILLED),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", judge.KILLED),
        ("while True:\n    pass\n", judge.TIMEOUT),
    ],
)
def test_what_becomes_of_a_mutant(
    source: str, verdict: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "_LEAST_SECONDS", 2)
    with contextlib.closing(judge_of_double(tmp_path, monkeypatch)) as the_judge:
        assert the_judge.verdict(source) == verdict
    assert (tmp_path / "doubled.py").read_text(encoding="utf-8") == DOUBLE


def judge_of_double(directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> judge.Judge:
    (directory / "doubled.py").write_text(DOUBLE, encoding="utf-8")
    (directory / "test_double.py").write_text(TEST_OF_DOUBLE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(directory))
    return judge.Judge(directory, directory / "doubled.py", ["test_double.py"], directory / "log")


def test_a_fault_in_a_function_is_noticed_without_collecting_the_tests_again(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(_judge: judge.Judge, _seconds: float | None) -> int:
        raise AssertionError("the tests were collected again")

    with contextlib.closing(judge_of_double(tmp_path, monkeypatch)) as the_judge:
        monkeypatch.setattr(judge.Judge, "_run", again)
        for wrong in (DOUBLE.replace("+", "-"), DOUBLE.replace("2", "3"), DOUBLE.replace("return", "raise")):
            assert the_judge.verdict(wrong) == judge.KILLED
        with pytest.raises(AssertionError, match="collected again"):
            the_judge.verdict(DOUBLE.replace("+", "*"))


def test_tests_that_fail_anyway_judge_nothing(tmp_path: pathlib.Path) -> None:
    (tmp_path / "test_bad.py").write_text("def test_it():\n    assert False\n", encoding="utf-8")
    with pytest.raises(judge.FailingTestsError, match=r"test_bad\.py fail without a mutant"):
        judge.Judge(tmp_path, tmp_path / "test_bad.py", ["test_bad.py"], tmp_path / "log")
