# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import re
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import with_short_texts
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats import report_names
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.report_files import Destination, Written
from helpers.documents import Document, fleet_document

DONE: Document = {**fleet_document(2), "unreachable": [], "failed": [], "not_started": []}
FLEET: Document = {**DONE, "unreachable": ["router1"]}
FORMATS = ("json", "html")


def write(directory: str, playbook: str = "audit", keep: int = 0, document: Document = FLEET) -> Written:
    """Write a report with a name of its own, as a run does."""
    destination = Destination(directory, "", 0o640, playbook, keep)
    return destination.write(document, with_short_texts(document), FORMATS, "")


def names(directory: pathlib.Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def time_and_number(path: str) -> tuple[str, int]:
    """Return what says which of two reports is the newer one: the second, and which one of it."""
    found = re.fullmatch(r"conntrack-audit-(\d{8}T\d{6})Z(?:-(\d+))?\.json", os.path.basename(path))
    assert found, path
    return found[1], int(found[2] or 1)


def make(directory: pathlib.Path, *files: str) -> None:
    for name in files:
        (directory / name).write_text(name)


def test_two_reports_of_one_second_have_two_names(tmp_path: pathlib.Path) -> None:
    first, second = write(str(tmp_path)), write(str(tmp_path))
    assert not set(first.files) & set(second.files)
    assert all(
        re.fullmatch(r"conntrack-audit-\d{8}T\d{6}Z(-2)?\.(json|html)", os.path.basename(path))
        for path in first.files + second.files
    )
    assert not [name for name in names(tmp_path) if name.startswith(".")]


def test_controllers_that_write_at_once_have_a_name_each(tmp_path: pathlib.Path) -> None:
    with concurrent.futures.ProcessPoolExecutor(8, multiprocessing.get_context("fork")) as controllers:
        written = list(controllers.map(write, [str(tmp_path)] * 24))
    files = [path for each in written for path in each.files]
    assert len(files) == len(set(files)) == 48
    assert not any(each.not_written for each in written)
    newest = max((path for path in files if path.endswith(".json")), key=time_and_number)
    assert (tmp_path / "latest.json").samefile(newest)


def test_a_name_that_another_one_holds_is_not_taken(tmp_path: pathlib.Path) -> None:
    with report_names.own_name(str(tmp_path), "site") as one, report_names.own_name(str(tmp_path), "site") as other:
        assert one != other
    assert names(tmp_path) == set()


def test_latest_is_the_newest_with_its_mode_and_its_text(tmp_path: pathlib.Path) -> None:
    write(str(tmp_path))
    written = write(str(tmp_path), "prune", document=DONE)
    assert (tmp_path / "latest.html").read_text() == pathlib.Path(written.files[1]).read_text()
    assert oct((tmp_path / "latest.html").stat().st_mode)[-3:] == "640"
    assert written.latest == [str(tmp_path / "latest.json"), str(tmp_path / "latest.html")]
    assert not (tmp_path / "latest.retry").exists(), "it would name routers that are done"
    assert list(tmp_path.glob("conntrack-audit-*.retry"))


def test_an_older_report_does_not_take_the_place_of_a_newer_one(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "conntrack-site-20991231T235959Z.html", "conntrack-site-20991231T235959Z-10.html")
    write(str(tmp_path))
    assert (tmp_path / "latest.html").read_text() == "conntrack-site-20991231T235959Z-10.html"


def test_a_link_at_latest_is_replaced_and_never_followed(tmp_path: pathlib.Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("untouched")
    for name in ("latest.html", "latest.json", "latest.retry"):
        (tmp_path / name).symlink_to(mine)
    (tmp_path / "conntrack-site-20991231T235959Z.html").symlink_to(mine)
    write(str(tmp_path))
    assert mine.read_text() == "untouched"
    assert not (tmp_path / "latest.html").is_symlink()
    assert json.loads((tmp_path / "latest.json").read_text())["schema_version"]


def test_latest_is_a_copy_where_a_file_has_one_name_only(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: t.Any, **_options: t.Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    written = write(str(tmp_path))
    assert (tmp_path / "latest.html").read_bytes() == pathlib.Path(written.files[1]).read_bytes()
    assert (tmp_path / "latest.html").stat().st_nlink == 1
    assert written.not_written == {}


def test_what_is_in_the_way_of_latest_costs_nothing_else(tmp_path: pathlib.Path) -> None:
    (tmp_path / "latest.json" / "in the way").mkdir(parents=True)
    written = write(str(tmp_path))
    assert written.not_written == {"latest": "Is a directory"}
    assert written.latest == [str(tmp_path / "latest.html"), str(tmp_path / "latest.retry")]
    assert not list(tmp_path.glob(".*"))


def test_old_reports_of_the_same_playbook_are_removed_and_nothing_else(tmp_path: pathlib.Path) -> None:
    old = ["conntrack-audit-20260101T000000Z", "conntrack-audit-20260101T000000Z-2", "conntrack-audit-20260102T000000Z"]
    others = {
        "conntrack-prune-20260101T000000Z.json",
        "conntrack-20260101T000000Z.json",
        "conntrack-audit-20260101T000000Z.json.bak",
        "conntrack-audit-20260101.json",
        "conntrack-audit-fleet.html",
        "my-conntrack-audit-20260101T000000Z.json",
        "notes.txt",
    }
    make(tmp_path, *others, *(f"{name}.{ending}" for name in old for ending in ("json", "html", "md", "retry", "prom")))
    (tmp_path / "conntrack-audit-20250101T000000Z.json").mkdir()
    written = write(str(tmp_path), keep=2)
    left = {name for name in names(tmp_path) if not name.startswith("latest.")}
    own = {os.path.basename(path) for path in written.files}
    own |= {own_file.replace(".json", ".retry") for own_file in own if own_file.endswith("json")}
    kept = {name for name in left if name.startswith(old[2])}
    assert left - own - kept - {"conntrack-audit-20250101T000000Z.json"} == others
    assert len(kept) == 5
    assert own < left


@pytest.mark.parametrize("keep", range(1, 31))
def test_so_many_reports_as_are_kept_are_left_after_each(tmp_path: pathlib.Path, keep: int) -> None:
    made = [f"conntrack-audit-202601{day:02}T{hour:02}0000Z" for day in range(1, 31) for hour in (6, 18)]
    for number, name in enumerate(made, start=1):
        make(tmp_path, f"{name}.json", f"{name}.html")
        report_names.remove_old(str(tmp_path), "audit", keep, name)
        left = {f"{name}.{ending}" for name in made[max(0, number - keep) : number] for ending in ("json", "html")}
        assert names(tmp_path) == left


def test_one_report_that_is_kept_is_this_one_whatever_the_clock_says(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "conntrack-audit-20991231T235959Z.json")
    written = write(str(tmp_path), keep=1)
    assert {name for name in names(tmp_path) if name.endswith(".json")} - {"latest.json"} == {
        os.path.basename(written.files[0])
    }


def test_a_rehearsal_removes_nothing(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "conntrack-audit-20260101T000000Z.json")
    write(str(tmp_path), keep=1, document={**FLEET, "check_mode": True})
    assert (tmp_path / "conntrack-audit-20260101T000000Z.json").exists()


@pytest.mark.parametrize(
    ("name", "keep", "message"),
    [
        ("", -1, "keep: -1 is no number of reports. Give 1 or more, or 0 to keep all."),
        (
            "fleet",
            3,
            "keep: 3 has no meaning with the name 'fleet', which each report replaces. Leave one of them out.",
        ),
    ],
)
def test_a_number_that_cannot_be_kept_is_refused(name: str, keep: int, message: str) -> None:
    options = {"directory": "/nowhere", "name": name, "mode": "0640", "playbook": "audit", "keep": keep}
    with pytest.raises(OptionError) as refused:
        Destination.of(options)
    assert str(refused.value) == message
