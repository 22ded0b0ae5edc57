# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import types
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.restore_plan import (
    RestorePlan,
    plan_of,
    refuse_foreign,
    refuse_incomplete,
    refuse_other_number,
    refuse_unread,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._listing.listing import Listing
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection

NOW = 1_700_000_000
ENTRY = "udp 17 9 src=10.0.0.5 dst=8.8.8.8 sport=1 dport=53 src=8.8.8.8 dst=10.0.0.5 sport=53 dport=1 mark=0\n"
BACKUP = "# netops.conntrack backup 1 at=2023-11-14T22:13:20Z\n"


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "listing"
    path.write_text(ENTRY, encoding="utf-8")
    path.chmod(0o600)
    return path


def planned(file: pathlib.Path, written_at: str | None = None, now: int = NOW) -> RestorePlan:
    with Listing(str(file)) as listing:
        return plan_of(listing, compile_selection(None, None, Context({}, 0)), written_at, now)


def read(file: pathlib.Path) -> Listing:
    """Return the listing, once the file was read."""
    with Listing(str(file), 1) as listing:
        listing.read(list)
    return listing


@pytest.mark.parametrize(
    ("written_at", "expected"),
    [
        ("now", NOW),
        ("1699999990", NOW - 10),
        ("99999999999", 99_999_999_999),
        ("2023-11-14T22:13:10Z", NOW - 10),
        ("2023-11-14T22:13:10z", NOW - 10),
        ("2023-11-14T22:13:10", NOW - 10),
        ("2023-11-14T23:13:10+01:00", NOW - 10),
    ],
)
def test_a_time_that_is_given_counts(file: pathlib.Path, written_at: str, expected: int) -> None:
    plan = planned(file, written_at)
    assert (plan.written_at, plan.elapsed) == (expected, max(0, NOW - expected))


@pytest.mark.parametrize("written_at", ["", "yesterday", "-1", "100000000000", "\u0661", "2023-13-14T22:13:20Z"])
def test_what_is_no_time(file: pathlib.Path, written_at: str) -> None:
    with pytest.raises(OptionError, match=r"^written_at: .*is no time"):
        planned(file, written_at)


def test_without_one_the_backup_tells_the_time(file: pathlib.Path) -> None:
    file.write_text(f"{BACKUP}{ENTRY}", encoding="utf-8")
    plan = planned(file, now=NOW + 7)
    assert (plan.written_at, plan.elapsed, plan.warnings) == (NOW, 7, ())
    assert plan.written_at_text == "2023-11-14T22:13:20Z"
    assert planned(file, "now", NOW + 7).elapsed == 0


def test_a_backup_with_a_bad_time_is_refused(file: pathlib.Path) -> None:
    file.write_text(f"# netops.conntrack backup 1 at=soon\n{ENTRY}", encoding="utf-8")
    with pytest.raises(OptionError, match=r"^src: .*says that it was written at 'soon', which is no time"):
        planned(file)


def test_a_plain_listing_counts_from_its_last_change_and_says_so(file: pathlib.Path) -> None:
    os.utime(file, (NOW - 90, NOW - 30))
    plan = planned(file)
    assert (plan.written_at, plan.elapsed) == (NOW - 30, 30)
    [warning] = plan.warnings
    assert "does not say when it was written" in warning


@pytest.mark.parametrize(("ahead", "is_told"), [(0, False), (60, False), (61, True)])
def test_a_file_of_the_future_is_told(file: pathlib.Path, ahead: int, is_told: bool) -> None:
    plan = planned(file, str(NOW + ahead))
    assert plan.elapsed == 0
    assert [f"written {ahead} seconds after" in warning for warning in plan.warnings] == [True] * is_told


def test_only_the_form_of_this_version_is_read(file: pathlib.Path) -> None:
    file.write_text(f"{BACKUP.replace('backup 1', 'backup 2')}{ENTRY}", encoding="utf-8")
    with pytest.raises(OptionError, match="of the form 2, and this version reads the form 1"):
        planned(file)


def test_what_xml_does_not_tell_is_needed(file: pathlib.Path) -> None:
    assert planned(file, "now").needed == {}
    file.write_text('<?xml version="1.0" encoding="utf-8"?>\n<conntrack>\n</conntrack>\n', encoding="utf-8")
    assert planned(file, "now").needed == {1: "icmp_type", 58: "icmp_type", 132: "state"}


OWN = 1000


@pytest.mark.parametrize(
    ("owner", "group", "mode", "words"),
    [
        (0, 0, 0o644, ""),
        (0, 0, 0o775, ""),
        (OWN, 0, 0o664, ""),
        (OWN, 5, 0o644, ""),
        (OWN, 5, 0o664, "can be written by others"),
        (OWN, 0, 0o646, "can be written by others"),
        (12345, 0, 0o600, "belongs to the user 12345"),
    ],
)
def test_whoever_may_write_the_file_decides_what_is_in_it(
    owner: int, group: int, mode: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: OWN)
    status = types.SimpleNamespace(st_uid=owner, st_gid=group, st_mode=mode)
    listing = t.cast(Listing, types.SimpleNamespace(status=status, path="/backup"))
    if not words:
        refuse_foreign(listing)
        return
    with pytest.raises(OptionError, match=words):
        refuse_foreign(listing)


def test_a_plan_of_a_foreign_file_is_refused(file: pathlib.Path) -> None:
    file.chmod(0o666)
    with pytest.raises(OptionError, match="can be written by others"):
        planned(file)


CUT = "src: the backup has no last line"


@pytest.mark.parametrize(
    ("text", "refused", "warned"),
    [
        (ENTRY, "", False),
        (f"{ENTRY}no entry\n", "has 1 line that cannot be read as an entry. The first is line 2: no entry", False),
        (f"no\n{ENTRY}entry\n", "has 2 lines that cannot be read as an entry. The first is line 1: no", False),
        (f"{BACKUP}{ENTRY}# complete 1\n", "", False),
        (f"{BACKUP}{ENTRY}", "", True),
        # What was cut is the last line.
        (f"{BACKUP}{ENTRY}udp 17 9 src=10.", "", True),
        (f"{BACKUP}udp 17 9 src=10.\n{ENTRY}", "has 1 line that cannot be read as an entry", False),
        (f"{BACKUP}no\n{ENTRY}udp 17 9 src=10.", "has 2 lines that cannot be read as an entry", False),
        (f"{BACKUP}{ENTRY}no entry\n# complete 1\n", "has 1 line that cannot be read", False),
    ],
)
def test_lines_that_are_no_entries(file: pathlib.Path, text: str, refused: str, warned: bool) -> None:
    file.write_text(text, encoding="utf-8")
    listing = read(file)
    if refused:
        with pytest.raises(OptionError, match=refused):
            list(refuse_unread(listing))
        return
    assert [warning.startswith(CUT) for warning in refuse_unread(listing)] == [True] * warned


def test_a_backup_with_another_number_of_entries_is_refused(file: pathlib.Path) -> None:
    file.write_text(f"{BACKUP}{ENTRY}# complete 1\n", encoding="utf-8")
    refuse_other_number(read(file), 1)
    with pytest.raises(OptionError, match="has 2 entries, and its last line says 1"):
        refuse_other_number(read(file), 2)
    file.write_text(ENTRY, encoding="utf-8")
    refuse_other_number(read(file), 2)


def test_entries_that_lack_what_the_kernel_needs_are_refused(file: pathlib.Path) -> None:
    listing = read(file)
    refuse_incomplete(listing, {})
    with pytest.raises(
        OptionError, match=r"has 3 entries of icmp and 2 entries of sctp .*exclude='protocol=icmp,sctp'"
    ):
        refuse_incomplete(listing, {132: 2, 1: 3})
