# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import copy
import json
import os
import pathlib
import resource
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import with_short_texts
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats import render as render_module
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.render import ENDINGS, render, render_or_say_why
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.report_files import (
    Destination,
    read_report,
    write_file,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.merge import merge
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.trend import with_trend
from helpers.documents import Document, fleet_document

FLEET: Document = fleet_document(20, hostile=True)
HELD_UP = FLEET["rollout"]["stopped"]["gates"][0]["host"]
ONE: Document = {**FLEET, "hosts": {HELD_UP: FLEET["hosts"][HELD_UP]}}
"""A document with something under every key."""

ODD: list[t.Any] = [None, True, -1, 0.5, 10**30, "\x1b[2J", [], [1], {}, {"a": 1}]


def destination(directory: pathlib.Path, mode: int = 0o640) -> Destination:
    return Destination(str(directory), "report", mode)


def deep(levels: int) -> t.Any:
    value: t.Any = 1
    for _level in range(levels):
        value = [value]
    return value


@contextlib.contextmanager
def no_file_larger_than(count: int) -> t.Iterator[None]:
    """Let each write beyond so many bytes fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_all_formats_are_written_each_with_the_mode(tmp_path: pathlib.Path) -> None:
    written = destination(tmp_path, 0o604).write(FLEET, with_short_texts(FLEET), list(ENDINGS), "")
    assert written.not_written == {}
    assert sorted(written.files) == sorted(str(tmp_path / f"report.{ending}") for ending in ENDINGS.values())
    assert {path.stat().st_mode & 0o7777 for path in tmp_path.iterdir()} == {0o604}
    assert len(list(tmp_path.iterdir())) == len(ENDINGS) + 1


@pytest.mark.slow
@pytest.mark.parametrize("broken", ENDINGS)
@pytest.mark.parametrize("error", [KeyError("usage"), RecursionError(), MemoryError(), UnicodeError("x"), OSError()])
def test_a_writer_that_fails_takes_no_other_along(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, broken: str, error: Exception
) -> None:
    many = 10_000

    def fail(_document: Document, _fail_on: str = "") -> t.Iterator[str]:
        yield "a part" * many
        raise error

    monkeypatch.setitem(render_module._WRITERS, broken, (ENDINGS[broken], fail))
    monkeypatch.setattr(render_module, f"{broken}_parts", fail, raising=False)
    written = destination(tmp_path).write(FLEET, with_short_texts(FLEET), list(ENDINGS), "")
    assert list(written.not_written) == [broken]
    assert "something in the document cannot be shown in this format" in written.not_written[broken]
    assert type(error).__name__ not in written.not_written[broken]
    assert {path.name for path in tmp_path.iterdir()} == {
        f"report.{ending}" for style, ending in ENDINGS.items() if style != broken
    } | {"report.retry"}


def test_a_full_disk_leaves_the_earlier_file_of_a_format_and_all_others_are_written(tmp_path: pathlib.Path) -> None:
    (tmp_path / "report.html").write_text("earlier")
    (tmp_path / "report.json").write_text("earlier")
    with no_file_larger_than(60_000):
        fleet = fleet_document(20)
        written = destination(tmp_path).write(fleet, with_short_texts(fleet), list(ENDINGS), "")
    assert {written.not_written[style] for style in ("html", "json")} == {"File too large"}
    assert (tmp_path / "report.html").read_text() == (tmp_path / "report.json").read_text() == "earlier"
    assert "Connection tracking of" in (tmp_path / "report.txt").read_text()
    assert (tmp_path / "report.retry").exists()
    assert not list(tmp_path.glob(".*")), "what was written in part is taken away"


def test_a_text_that_the_disk_does_not_take_replaces_nothing(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("earlier")
    with no_file_larger_than(10), pytest.raises(OSError, match="File too large"):
        write_file(str(path), "x" * 100, 0o640)
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, deep(100_000), {"a": deep(100_000)}])
def test_text_and_json_always_come(value: t.Any) -> None:
    document = copy.deepcopy(ONE)
    document["hosts"][HELD_UP]["after"]["findings"][0] |= {"status": "finding", "value": value}
    written = json.loads(render(document, "json"), parse_constant=pytest.fail)
    assert written["hosts"][HELD_UP]["verdict"] == ONE["hosts"][HELD_UP]["verdict"]
    for style in ENDINGS:
        assert render_or_say_why(document, style)


def test_directories_are_for_the_user_and_the_group(tmp_path: pathlib.Path) -> None:
    before = os.umask(0)
    try:
        Destination(str(tmp_path / "new" / "newer"), "report", 0o640).prepare()
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "new", tmp_path / "new" / "newer")] == [0o750] * 2


@pytest.mark.parametrize("name", ["a/b", "..//x", "a\0b"])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(OptionError, match=r"^name: .* is no name of a file"):
        Destination.of({"directory": "/nowhere", "name": name, "mode": "0640", "playbook": "audit", "keep": 0})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"{", "it is no JSON from line 1, column 2 on"),
        (b"\xff\xfe", "it is no text in UTF-8"),
        (b"[" * 100_000 + b"]" * 100_000, "it is nested too deeply"),
        (b'{"a":' * 100_000, "it is nested too deeply"),
        (b"NaN", "it has NaN, which is no number"),
        (b"9" * 10_000, "it has a number with too many digits"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_path_and_the_remedy(
    tmp_path: pathlib.Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "baseline.json"
    path.write_bytes(content)
    with pytest.raises(OptionError) as caught:
        read_report("baseline", str(path))
    remedy = "Give the .json file of an earlier report."
    assert caught.value.message == f"baseline: {str(path)!r} cannot be read ({reason}). {remedy}"


@pytest.mark.parametrize("kind", ["fifo", "directory", "missing", "loop"])
def test_what_is_no_file_neither_hangs_nor_is_read(tmp_path: pathlib.Path, kind: str) -> None:
    path = tmp_path / "baseline.json"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    with pytest.raises(OptionError, match=r"^slices: '.*baseline.json' cannot be read \(.+\)\. Give the \.json file"):
        read_report("slices", str(path))


def test_a_report_that_was_cut_anywhere_is_refused(tmp_path: pathlib.Path) -> None:
    path, whole = tmp_path / "slice.json", render(FLEET, "json").encode()
    for end in range(1, len(whole) - 1, len(whole) // 50):
        path.write_bytes(whole[:end])
        with pytest.raises(OptionError, match=r"cannot be read \(it is no JSON from line 1"):
            read_report("slices", str(path))


BY_NAME = {
    *("checks", "selectors", "total", "protocols", "zones", "zones_original", "zones_reply", "status", "families"),
    *("marks", "changes", "states", "tcp", "sctp"),
}
"""Keys below which all names have values of the same kind."""


def places(value: t.Any, path: tuple[t.Any, ...] = ()) -> t.Iterator[tuple[t.Any, ...]]:
    """Yield the path to each kind of value: of a list, or of what has names, only the first one."""
    yield path
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if isinstance(value, list) or (path and path[-1] in BY_NAME):
        keys = keys[:1]
    for key in keys:
        if key not in ("totals", "after", "destination", "source_port", "destination_port", "remaining"):
            yield from places(value[key], (*path, key))


@pytest.mark.slow
@pytest.mark.parametrize("place", [path for path in places(ONE) if path], ids=str)
def test_a_report_with_an_odd_value_anywhere_is_refused_by_its_place_or_shown_in_all_formats(
    tmp_path: pathlib.Path, place: tuple[t.Any, ...]
) -> None:
    path = tmp_path / "slice.json"
    for odd in ODD:
        document = copy.deepcopy(ONE)
        holder: t.Any = document
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] = odd
        path.write_text(json.dumps(document))
        message = ""
        try:
            read = read_report("slices", str(path))
        except OptionError as error:
            message = error.message
        if message:
            assert message.startswith(f"slices, {path}")
            assert message.isprintable()
        else:
            merged = merge([read])
            for shown in (merged, with_trend(merged, ONE), with_trend(ONE, merged)):
                for style in ENDINGS if place[-1] in ("value", "batches", "time") else ("text",):
                    render(shown, style)
