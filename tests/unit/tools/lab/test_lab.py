# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lab refuses before it touches anything, and its record."""

from __future__ import annotations

import ipaddress
import os
import pathlib
import shutil
import typing as t

import lab
import pytest
import record
from processes import LabError, Process

BLOCK = ipaddress.IPv4Address("198.18.4.0")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"prefix": "Not-One"}, "--prefix: 'Not-One'"),
        ({"routers": 0}, "--routers: 0 is out of range"),
        ({"routers": 257}, "from 1 to 256"),
        ({"stale": -1}, "--stale: -1"),
        ({"interval": 0}, "--interval: 0"),
        ({"directory": pathlib.Path("/tmp/two words")}, "two words"),
        ({"directory": pathlib.Path("/usr")}, "holds other files"),
    ],
)
def test_up_refuses(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(LabError, match=words):
        lab.up(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("base", ["198.18.0.1", "10.0.0.0", "198.19.255.252", "here"])
def test_up_refuses_a_base_that_does_not_fit(base: str) -> None:
    with pytest.raises(LabError, match=f"--base: '{base}'"):
        lab._parse_base(base, 2)


def test_the_last_base_that_fits() -> None:
    assert lab._parse_base("198.19.255.248", 2) == ipaddress.IPv4Address("198.19.255.248")


@pytest.mark.parametrize("act", [lab.up, lab.down])
def test_without_root_it_says_so(
    act: t.Callable[[pathlib.Path], object], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="needs root"):
        act(tmp_path)


def test_a_missing_tool_is_named_with_its_package(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda command: None if command in ("nft", "sshd") else command)
    with pytest.raises(LabError, match=r"nft, sshd: .* apt-get install nftables openssh-server$"):
        lab.up(tmp_path)


def test_without_a_lab_the_remedy_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(LabError, match=f"lab.py up --directory {tmp_path}"):
        lab.flows(tmp_path)


@pytest.mark.parametrize(("default", "expected"), [(False, []), (True, ["nclab"])])
def test_down_without_a_record_touches_no_lab_but_the_default_one(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, default: bool, expected: list[str]
) -> None:
    taken: list[str] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(lab, "take_down", lambda prefix, _processes: taken.append(prefix))
    if default:
        monkeypatch.setattr(lab, "DEFAULT_DIRECTORY", tmp_path)
    lab.down(tmp_path)
    assert taken == expected


def test_the_record_is_read_back(tmp_path: pathlib.Path) -> None:
    planned = record.plan(tmp_path, "nclab", BLOCK, 3)
    record.write(planned, [])
    assert record.load(tmp_path) == planned


def test_recorded_processes_are_forgotten_at_a_reboot(tmp_path: pathlib.Path) -> None:
    record.write(record.plan(tmp_path, "nclab", BLOCK, 1), [])
    recorded = record.read(tmp_path) | {"processes": [{"pid": 7, "started": 9}]}
    assert record.processes(recorded) == [Process(7, 9)]
    assert record.processes(recorded | {"boot": "another"}) == []
    assert record.processes({}) == []


def test_an_unknown_router_is_named_with_those_that_exist(tmp_path: pathlib.Path) -> None:
    with pytest.raises(LabError, match=r"router9: no such router. The lab has router1, router2\."):
        record.plan(tmp_path, "nclab", BLOCK, 2).router("router9")


def test_only_the_files_of_the_lab_are_removed(tmp_path: pathlib.Path) -> None:
    mine = tmp_path / "lab"
    mine.mkdir()
    record.write(record.plan(mine, "nclab", BLOCK, 1), [])
    (mine / "flows").mkdir()
    (mine / "notes").touch()
    record.remove(mine)
    assert [path.name for path in mine.iterdir()] == ["notes"]
    assert not record.is_free(mine)


def test_a_directory_that_was_left_half_written_is_free(tmp_path: pathlib.Path) -> None:
    (tmp_path / "lab.new").touch()
    assert record.is_free(tmp_path)
