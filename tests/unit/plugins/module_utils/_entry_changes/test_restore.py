# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A restore step by step: what is refused before the first entry is made, what is made, and what is told of it."""

from __future__ import annotations

import errno
import pathlib
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.restore import RestoreOutcome, restore
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.restore_plan import RestorePlan
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, OptionError, RefusedError
from ansible_collections.netops.conntrack.plugins.module_utils._listing.listing import Listing
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from helpers.table_in_memory import TableInMemory

BACKUP = "# netops.conntrack backup 1 at=2023-11-14T22:13:20Z\n"
UDP = 17
COUNTS = ("entries", "matched", "expired", "without_timeout", "existing", "would_restore", "restored", "refused")


def line(port: int, remaining: str = "30 ", more: str = "") -> str:
    """Return the line of an entry with this source port."""
    back = f"src=203.0.113.1 dst=198.18.0.1 sport=53 dport={port}"
    return f"udp 17 {remaining}src=198.18.0.1 dst=203.0.113.1 sport={port} dport=53 {back} mark=0{more}\n"


def there(port: int) -> dict[str, t.Any]:
    return {"id": port, "protocol": UDP, "source_port": port, "destination_port": 53}


def restored(
    table: TableInMemory, path: pathlib.Path, text: str, *, dry_run: bool = False, elapsed: int = 0, **plan: t.Any
) -> RestoreOutcome:
    """Return what becomes of a restore of the entries in the text, without the one with the source port 9."""
    file = path / "listing"
    file.write_text(text, encoding="utf-8")
    selection = compile_selection([{"source_port": "1-8"}, {"protocol": "icmp"}], None, Context({}, 0))
    with Listing(str(file), 1) as listing:
        return restore(t.cast(t.Any, table), listing, RestorePlan(selection, 0, elapsed, **plan), dry_run)


@pytest.mark.parametrize("dry_run", [False, True])
def test_what_is_not_there_is_made(tmp_path: pathlib.Path, dry_run: bool) -> None:
    table = TableInMemory(there(2))
    text = "".join(map(line, (1, 2, 3, 9))) + line(4, "5 ")
    outcome = restored(table, tmp_path, text, dry_run=dry_run, elapsed=5)
    result = outcome.result(table.count(), with_diff=True)
    assert [result[name] for name in COUNTS] == [5, 4, 1, 0, 1, 2, 0 if dry_run else 2, 0]
    assert (result["changed"], result["undecidable"], result["count_after"]) == (True, 0, 1 if dry_run else 3)
    assert result["diff"] == {"before": "", "after": "2  ipv4 udp\n"}
    assert table.created == ([] if dry_run else [1, 3])
    assert list(outcome.every_warning()) == []


@pytest.mark.parametrize("dry_run", [False, True])
def test_where_all_is_there_nothing_changes(tmp_path: pathlib.Path, dry_run: bool) -> None:
    table = TableInMemory(there(1), there(2))
    result = restored(table, tmp_path, line(1) + line(2), dry_run=dry_run).result(2, with_diff=True)
    assert (result["changed"], result["existing"], result["would_restore"], table.created) == (False, 2, 0, [])
    assert result["diff"] == {"before": "", "after": ""}
    assert "diff" not in restored(table, tmp_path, line(1), dry_run=dry_run).result(2, with_diff=False)


def test_the_table_is_read_only_where_it_has_to_be(tmp_path: pathlib.Path) -> None:
    for most, readings in ((None, 0), (0, 0), (4, 0), (3, 0), (2, 1)):
        table = TableInMemory(there(1))
        table.most = most
        restored(table, tmp_path, line(1) + line(2))
        assert (table.readings, table.created) == (readings, [2])


@pytest.mark.parametrize("dry_run", [False, True])
def test_more_than_there_is_room_for_is_refused_before_the_first(tmp_path: pathlib.Path, dry_run: bool) -> None:
    table = TableInMemory(there(1), there(2))
    table.most = 4
    text = "".join(map(line, range(1, 7)))
    with pytest.raises(RefusedError, match="4 entries would be restored, and the table has 2 of at most 4") as caught:
        restored(table, tmp_path, text, dry_run=dry_run)
    assert "There is no room for 2 of them" in caught.value.message
    assert [caught.value.result[name] for name in COUNTS] == [6, 6, 0, 0, 2, 4, 0, 0]
    assert table.created == []


def test_what_the_kernel_refuses_is_told_with_what_was_made(tmp_path: pathlib.Path) -> None:
    table = TableInMemory()
    table.refused = {2: errno.EINVAL}
    outcome = restored(table, tmp_path, line(1) + line(2))
    with pytest.raises(ConntrackError, match="refused 1 of 2") as caught:
        outcome.result(1, with_diff=True)
    assert [caught.value.result[name] for name in COUNTS] == [2, 2, 0, 0, 0, 2, 1, 1]
    assert caught.value.result["diff"]["after"] == "1  ipv4 udp\n"


def test_an_error_in_the_middle_tells_what_was_made(tmp_path: pathlib.Path) -> None:
    class Silent(TableInMemory):
        def create(self, block: t.Any, tag: t.Any, outcomes: t.Any) -> t.Any:
            super().create(block, tag, outcomes)
            raise ConntrackError("No answer.")

    with pytest.raises(ConntrackError) as caught:
        restored(Silent(), tmp_path, line(1) + line(2))
    assert caught.value.message == "No answer. At least 2 entries had been restored by then."
    assert caught.value.result == {"changed": True, "restored": 2}


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (line(1) + "no entry\n", "has 1 line that cannot be read"),
        (f"{BACKUP}{line(1)}# complete 2\n", "has 1 entries, and its last line says 2"),
    ],
)
def test_a_file_that_is_not_whole_restores_nothing(
    tmp_path: pathlib.Path, text: str, words: str, dry_run: bool
) -> None:
    table = TableInMemory()
    with pytest.raises(OptionError, match=words):
        restored(table, tmp_path, text, dry_run=dry_run)
    assert table.created == []


def test_entries_that_lack_something_restore_nothing(tmp_path: pathlib.Path) -> None:
    table = TableInMemory()
    with pytest.raises(OptionError, match="1 entries of udp"):
        restored(table, tmp_path, line(1), needed={UDP: "icmp_type"})
    assert table.created == []


def test_what_is_worth_knowing_is_told(tmp_path: pathlib.Path) -> None:
    outcome = restored(TableInMemory(), tmp_path, f"{BACKUP}{line(1)}{line(2, '')}", warnings=("The first.",))
    warnings = list(outcome.every_warning())
    assert (warnings[0], len(warnings)) == ("The first.", 3)
    assert "It was cut short" in warnings[1]
    assert warnings[2].startswith("src: 1 entries have no remaining time")


@pytest.mark.parametrize(("has_labels", "lacking"), [(False, 2), (True, 0)])
def test_labels_that_the_kernel_ignored_are_told(tmp_path: pathlib.Path, has_labels: bool, lacking: int) -> None:
    table = TableInMemory(there(3))
    table.has_labels = has_labels
    text = "".join(line(port, more=" labels=1") for port in (1, 2)) + line(4)
    outcome = restored(table, tmp_path, text)
    assert outcome.without_labels == outcome.result(None, with_diff=False)["without_labels"] == lacking
    warnings = [warning for warning in outcome.every_warning() if "without their labels" in warning]
    assert [warning.split()[0] for warning in warnings] == [str(lacking)] * bool(lacking)


def test_labels_are_counted_for_those_that_were_made_alone(tmp_path: pathlib.Path) -> None:
    """Two parts of one group, of each of which one entry is there."""
    table = TableInMemory(there(2), there(4))
    text = line(1, more=" labels=1") + line(2, more=" labels=1")
    text += line(3, more=" labels=1 zone=7") + line(4, more=" labels=1 zone=7")
    outcome = restored(table, tmp_path, text)
    assert (sorted(table.created), outcome.without_labels) == ([1, 3], 2)


def test_of_entries_that_are_there_no_labels_are_missing(tmp_path: pathlib.Path) -> None:
    table = TableInMemory(there(1), there(2))
    assert restored(table, tmp_path, "".join(line(port, more=" labels=1") for port in (1, 2))).without_labels == 0


def test_of_entries_that_were_there_without_labels_nothing_is_told(tmp_path: pathlib.Path) -> None:
    """A packet has made four of them before the restore, and the first rule that gives labels comes later."""
    table = TableInMemory(*map(there, (1, 2, 3, 4)))
    table.has_labels = True
    outcome = restored(table, tmp_path, "".join(line(port, more=" labels=1") for port in range(1, 9)))
    assert (table.created, outcome.without_labels) == ([5, 6, 7, 8], 0)


def test_of_entries_that_are_gone_again_nothing_is_told(tmp_path: pathlib.Path) -> None:
    class ShortLived(TableInMemory):
        def create(self, block: t.Any, tag: t.Any, outcomes: t.Any) -> t.Any:
            made = super().create(block, tag, outcomes)
            del self.entries[2]
            return made

    text = "".join(line(port, more=" labels=1") for port in (1, 2, 3))
    assert restored(ShortLived(), tmp_path, text).without_labels == 2
