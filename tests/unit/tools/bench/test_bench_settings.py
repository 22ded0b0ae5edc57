# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the benchmark of the settings makes of its measurements."""

from __future__ import annotations

import pathlib
import subprocess
import zipfile

import pytest
from bench import bench_settings, posix
from bench.bench_settings import LOOP, ONE_CALL, Results, Side, report, times_faster


def results(one: list[float], loop: list[float]) -> Results:
    sides = {name: Side(each, [10 + each[0]] * len(each), each, each) for name, each in ((ONE_CALL, one), (LOOP, loop))}
    return Results("2026-01-01", {"cores": 2}, 25, sides)


def test_ratio_is_the_median_of_rounds() -> None:
    assert times_faster(results([1.0, 2.0, 1.0], [13.0, 20.0, 11.0])) == 11.0


def test_round_without_its_pair_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        times_faster(results([1.0], [13.0, 20.0]))


def test_report_has_every_figure() -> None:
    lines = report(results([1.0], [13.0])).splitlines()
    assert lines[0] == "Measured 2026-01-01: cores 2."
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[4:]]
    assert cells == [
        ["first run, changed", "1.00", "13.0", "13.0", "12"],
        ["second run, changed=false", "1.00", "13.0", "13.0", ""],
        ["first run, all of ansible-playbook", "11.0", "23.0", "2.1", ""],
        ["second run, all of ansible-playbook", "1.00", "13.0", "13.0", ""],
    ]


def test_both_sides_set_the_same() -> None:
    task = bench_settings.TASKS[LOOP]
    assert {item["key"]: item["value"] for item in task["loop"]} == bench_settings.WANTED
    assert bench_settings.TASKS[ONE_CALL]["netops.conntrack.conntrack_settings"]["settings"] == bench_settings.WANTED
    assert len(bench_settings.WANTED) == 25


def test_only_the_collection_is_unpacked_and_only_once(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(command: list[str], **_options: object) -> object:
        wheels = pathlib.Path(command[command.index("--dest") + 1])
        wheels.mkdir()
        with zipfile.ZipFile(wheels / "ansible-1-py3-none-any.whl", "w") as archive:
            archive.writestr(f"{posix.COLLECTION}MANIFEST.json", '{"version": "2.1.0"}')
            archive.writestr("ansible_collections/other/one/MANIFEST.json", "")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", download)
    for _again in range(2):
        directory, version = posix.collections(tmp_path)
        assert version == "2.1.0"
        assert [path.name for path in (directory / "ansible_collections").iterdir()] == ["ansible"]
        assert list(tmp_path.iterdir()) == [directory]
