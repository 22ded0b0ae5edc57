# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file is read whole, however it is cut into pieces, by one process or several, and nothing else than a file is."""

from __future__ import annotations

import functools
import gzip
import os
import pathlib
import random
import sys
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import FIELDS
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    NotPermittedError,
    OptionError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._facts.filled_by import FilledBy
from ansible_collections.netops.conntrack.plugins.module_utils._listing import source
from ansible_collections.netops.conntrack.plugins.module_utils._listing.decoder import LONGEST_LINE, SHOWN, Decoder
from ansible_collections.netops.conntrack.plugins.module_utils._listing.listing import Listing, settings_of
from ansible_collections.netops.conntrack.plugins.module_utils._query.fields import ALL_FIELDS
from ansible_collections.netops.conntrack.plugins.module_utils._query.query import Query, run_query
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from bench.bench_listing import mix_lines
from helpers.support import left_over
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def line(number: int) -> str:
    """Return a line of an entry that has this number as its mark."""
    there = "src=10.0.0.5 dst=8.8.8.8 sport=1 dport=53"
    back = "src=8.8.8.8 dst=10.0.0.5 sport=53 dport=1"
    return f"udp      17 9 {there} {back} mark={number} use=1"


def marks(path: pathlib.Path, jobs: int | None = None) -> tuple[list[int], Listing]:
    with Listing(str(path), jobs) as listing:
        found = listing.read(lambda blocks: [mark for block in blocks for mark in block.column("mark")])
    return found, listing


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PIECE", 500)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("jobs", [1, 2, 3])
@pytest.mark.parametrize("lines", [0, 1, 2, 3, 4, 5, 7, 100])
def test_each_line_is_read_once(tmp_path: pathlib.Path, lines: int, jobs: int) -> None:
    path = tmp_path / "listing"
    text = "".join(f"{line(number)}\n" for number in range(lines)) + "no entry\n"
    path.write_text(text)
    before = left_over()
    found, listing = marks(path, jobs)
    assert found == list(range(lines))
    assert listing.not_understood == 1
    assert listing.not_understood_lines == [{"line": lines + 1, "text": "no entry"}]
    assert left_over() == before


@pytest.mark.usefixtures("small_pieces")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=3000) | st.lists(st.sampled_from([b"\n", b"x" * 100, b"ab\n"]), max_size=80).map(b"".join))
def test_pieces_and_stripes_are_the_file(tmp_path: pathlib.Path, data: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(data)
    # Or it would be taken for a compressed one.
    file = source.Source(str(path)) if not data.startswith(b"\x1f\x8b") else None
    if file is None:
        return
    pieces = list(file.pieces())
    stripes = [file.stripe(number) for number in range(file.stripes)]
    file.close()
    assert b"".join(pieces) == data
    assert b"".join(stripes) == data
    for parts in (pieces, [stripe for stripe in stripes if stripe]):
        assert all(part.endswith(b"\n") for part in parts[:-1])


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("longest", [LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1, 3 * LONGEST_LINE])
def test_a_line_without_end_is_one_that_is_not_understood(tmp_path: pathlib.Path, longest: int, jobs: int) -> None:
    path = tmp_path / "long"
    path.write_text(f"{line(1)}\n{'x' * longest}\n{line(2)}\n{line(3)}\n")
    found, listing = marks(path, jobs)
    assert (found, listing.not_understood) == ([1, 2, 3], 1)
    assert listing.not_understood_lines[0]["line"] == 2
    assert len(listing.not_understood_lines[0]["text"]) < 1000


@pytest.mark.usefixtures("small_pieces")
def test_a_compressed_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "listing.gz"
    path.write_bytes(gzip.compress("".join(f"{line(number)}\n" for number in range(50)).encode()))
    assert marks(path)[0] == list(range(50))
    path.write_bytes(path.read_bytes()[:-20])
    before = left_over()
    with pytest.raises(OptionError, match="is not a whole file of gzip"):
        marks(path)
    assert left_over() == before


def test_what_only_begins_like_a_compressed_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "listing.gz"
    path.write_bytes(b"\x1f\x8bno")
    before = left_over()
    with pytest.raises(OptionError, match="is not a whole file of gzip"):
        Listing(str(path))
    assert left_over() == before


def test_the_first_lines_that_are_not_understood_are_shown(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "listing"
    path.write_bytes(b"".join(b"\x1b[31mno %d \xff\n" % number for number in range(25)))
    found, listing = marks(path)
    assert (found, listing.not_understood, len(listing.not_understood_lines)) == ([], 25, SHOWN)
    assert listing.not_understood_lines[3] == {"line": 4, "text": "\\x1b[31mno 3 \\xff"}


@pytest.mark.parametrize("kind", ["missing", "directory", "fifo", "minus", "null"])
def test_what_is_no_file_is_refused(tmp_path: pathlib.Path, kind: str) -> None:
    path = str(tmp_path / kind)
    if kind == "directory":
        os.mkdir(path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "minus":
        path = "-"
    elif kind == "null":
        path += "\0"
    with pytest.raises(OptionError, match=r"^src: "):
        Listing(path)


def test_a_file_of_others_names_the_remedy(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: str) -> t.NoReturn:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(source, "open_regular", refuse)
    with pytest.raises(NotPermittedError, match="Run it as root"):
        Listing(str(tmp_path))


@pytest.mark.usefixtures("small_pieces")
def test_a_process_that_ends_early_is_an_error(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "listing"
    path.write_text("".join(f"{line(number)}\n" for number in range(100)))
    monkeypatch.setattr(Decoder, "decode", lambda *_unused: os._exit(3))
    before = left_over()
    with pytest.raises(ConntrackError, match="has ended early"):
        marks(path, 2)
    assert left_over() == before


@pytest.mark.usefixtures("small_pieces")
def test_reading_can_end_early(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "listing"
    path.write_text("".join(f"{line(number)}\n" for number in range(5000)))
    before = left_over()
    with Listing(str(path), 2) as listing:
        assert listing.read(lambda blocks: len(next(blocks))) > 0
    assert left_over() == before


def test_a_small_file_starts_no_process(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "listing"
    path.write_text(f"{line(1)}\n")
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("it forks"))
    assert marks(path)[0] == [1]


class WholeListing(Listing):
    """A file of which every field is decoded, whichever are read."""

    def __enter__(self) -> WholeListing:
        return self

    def read(self, collect: t.Any, conditions: t.Any = (), *, fields: t.Any = None) -> t.Any:
        self.asked_for = fields
        return super().read(collect, conditions)


QUESTIONS = [
    *([name] for name in ALL_FIELDS if name not in ("packets", "bytes")),
    ["source/24/64", "state"],
    ["protocol", "destination_port", "nat"],
    [],
]


def answer(listing: Listing, group_by: list[str], match: str | None, explain: int = 0) -> dict[str, t.Any]:
    context = listing.context({"tcp_timeout_established": 432_000, "udp_timeout": 180})
    selection = compile_selection(match, None, context)
    observe = functools.partial(FilledBy, explain) if explain else None
    result = run_query(listing, selection, context, Query(group_by, [], 50, entries=False), None, observe)
    return {**result, "not_understood": listing.not_understood_lines}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("mixed") / "listing"
    gre = "gre      47 9 src=10.0.0.5 dst=10.0.0.7 srckey=0x1 dstkey=0x4a2b src=10.0.0.7 dst=10.0.0.5 srckey=0x4a2b"
    lines = [*mix_lines(2000), *(f"{line(mark)} labels=5,{mark}\n" for mark in range(10)), f"{gre} dstkey=0x1 use=1\n"]
    random.Random(1).shuffle(lines)
    path.write_text("".join(lines) + line(1).replace("sport=1 ", "sport=65536 ") + "\n")
    return str(path)


@pytest.mark.parametrize("group_by", QUESTIONS, ids=" ".join)
@pytest.mark.parametrize("match", [None, "protocol=tcp replied=false", "nat=snat packets.min=5", "idle.min=60"])
def test_an_answer_needs_no_other_fields_than_are_decoded(mixed: str, group_by: list[str], match: str | None) -> None:
    with Listing(mixed, 1) as listing, WholeListing(mixed, 1) as whole:
        assert answer(listing, group_by, match) == answer(whole, group_by, match)
        assert whole.asked_for is not None
        assert len(whole.asked_for) < len(FIELDS) / 2
        assert listing.not_understood == 1


def test_what_fills_the_table_needs_no_other_fields_either(mixed: str) -> None:
    with Listing(mixed, 1) as listing, WholeListing(mixed, 1) as whole:
        found = answer(listing, [], None, explain=10)
        assert found == answer(whole, [], None, explain=10)
        assert len(found["filled_by"]) > 1


def test_entries_have_all_fields(mixed: str) -> None:
    with WholeListing(mixed, 1) as whole:
        context = whole.context({})
        run_query(whole, compile_selection(None, None, context), context, Query([], [], 1, entries=True))
        assert whole.asked_for is None


def test_settings_by_any_of_their_names() -> None:
    given_settings = {
        "net.netfilter.nf_conntrack_tcp_timeout_established": "5d",
        "net.ipv4.netfilter.ip_conntrack_udp_timeout": 30,
        "icmp_timeout": "30",
        "acct": 0,
    }
    assert settings_of(given_settings) == {
        "tcp_timeout_established": 432_000,
        "udp_timeout": 30,
        "icmp_timeout": 30,
        "acct": 0,
    }
    assert settings_of(None) == {}
    with pytest.raises(OptionError, match="Did you mean tcp_timeout_established"):
        settings_of({"tcp_timeout_establishd": 1})
    with pytest.raises(OptionError, match="is not a duration"):
        settings_of({"udp_timeout": "soon"})


def backup(entries: int, end: str = "") -> str:
    """Return a backup in which every other entry has a comment."""
    tuples = "-s 10.0.0.5 -d 8.8.8.8 -r 8.8.8.8 -q 10.0.0.5 -p udp --sport 1 --dport 53"
    line = f"-A -t 9 -u SEEN_REPLY {tuples} --reply-port-src 53 --reply-port-dst 1 -m {{}}\n"
    lines = [("# labels=0x20 helper=ftp\n" if number % 2 else "") + line.format(number) for number in range(entries)]
    return "# netops.conntrack backup 1 at=1795949779 seconds=1795949779\n" + "".join(lines) + end


@pytest.mark.parametrize(("jobs", "packed"), [(1, False), (2, False), (1, True)])
@pytest.mark.parametrize("piece", [*range(90, 250, 7), 1000])
def test_a_comment_stays_with_its_entry(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, jobs: int, piece: int, packed: bool
) -> None:
    monkeypatch.setattr(source, "PIECE", piece)
    text = backup(9, "# complete 9\n").encode()
    path = tmp_path / "backup"
    path.write_bytes(gzip.compress(text) if packed else text)
    names = ("mark", "helper", "labels")
    with Listing(str(path), jobs) as listing:
        found = listing.read(lambda blocks: [entry for block in blocks for entry in block.entries(names)])
    assert sorted(entry.mark or 0 for entry in found) == list(range(9))
    for entry in found:
        labels = (1 << 5).to_bytes(4, sys.byteorder) + bytes(12)
        wanted = ("ftp", labels) if (entry.mark or 0) % 2 else (None, None)
        assert (entry.helper, entry.labels) == wanted
    assert (listing.not_understood, listing.complete) == (0, 9)
    assert (listing.backup_version, listing.written_at) == (1, "1795949779")


@pytest.mark.parametrize(
    ("end", "complete"),
    [("# complete 3", 3), ("# complete 3\r\n\n", 3), ("", None), ("# complete\n", None), ("# complete 3\n# x\n", None)],
)
def test_a_backup_says_whether_it_is_complete(tmp_path: pathlib.Path, end: str, complete: int | None) -> None:
    path = tmp_path / "backup"
    path.write_text(backup(3, end), newline="")
    _found, listing = marks(path)
    assert listing.complete == complete
    assert listing.not_understood == 0


def test_a_line_behind_a_comment_keeps_its_number(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "backup"
    path.write_text(backup(4, "-A nonsense\n"))
    _found, listing = marks(path)
    assert listing.not_understood_lines == [{"line": 8, "text": "-A nonsense"}]
