# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The journal of a change that waits, in a directory of the test's own."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    NotPermittedError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._files.replacement import FileChange
from ansible_collections.netops.conntrack.plugins.module_utils._settings import journal
from ansible_collections.netops.conntrack.plugins.module_utils._settings.change import Change
from ansible_collections.netops.conntrack.plugins.module_utils._settings.journal import Pending
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import Sysctl

NOW = 1000.0


class Memory(Sysctl):
    """A setting whose value is in memory."""

    values: t.ClassVar[dict[str, int | None]] = {}

    def read(self) -> int | None:
        return self.values[self.short_name]

    def write(self, value: int) -> None:
        self.values[self.short_name] = value


@pytest.fixture
def files(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Return the directory of the journal. It is the time NOW, and the boot "this"."""
    monkeypatch.setattr(journal, "path_of", lambda what: str(tmp_path / what))
    monkeypatch.setattr(journal, "boot_id", lambda: "this")
    monkeypatch.setattr(journal, "_now", lambda: NOW)
    monkeypatch.setattr(journal, "find_sysctls", lambda: {"max": setting("max"), "acct": setting("acct")})
    return tmp_path


def setting(short_name: str) -> Sysctl:
    return Memory(short_name, f"net.netfilter.nf_conntrack_{short_name}", f"/nowhere/{short_name}")


def change(short_name: str, wanted: int, before: int | None) -> Change:
    return Change(setting(short_name), wanted, before)


def pending(**fields: t.Any) -> Pending:
    written = [change("max", 200, 100), change("acct", 1, None)]
    paths = [FileChange("/etc/a", "old", "new", "sysctl_file", True), FileChange("/etc/b", None, "new", "sysctl_file")]
    return Pending(**{"id": "one", "within": 60, "deadline": NOW + 60, "written": written, "files": paths, **fields})


@pytest.mark.usefixtures("files")
def test_what_is_kept_is_what_waits() -> None:
    assert journal.waiting() is None
    assert not journal.is_kept(pending())
    journal.keep(pending())
    found = journal.waiting()
    assert found is not None
    assert found.as_json() == pending().as_json()
    assert [(each.sysctl.short_name, each.wanted, each.before) for each in found.written] == [
        ("max", 200, 100),
        ("acct", 1, None),
    ]
    assert found.files == pending().files
    assert journal.is_kept(pending())
    assert not journal.is_kept(pending(id="other"))
    journal.forget_pending()
    assert journal.waiting() is None


@pytest.mark.usefixtures("files")
def test_a_change_that_is_settled_waits_no_more() -> None:
    journal.keep(pending())
    journal.settle(pending())
    assert (journal.outcome("one"), journal.outcome("on"), journal.waiting()) == (journal.ROLLED_BACK, None, None)
    # Also if its journal is there again.
    journal.keep(pending())
    assert journal.waiting() is None
    assert journal.last_confirmed() is None
    journal.keep(pending(id="two"))
    journal.settle_confirmed(pending(id="two"))
    assert (journal.outcome("two"), journal.outcome("one")) == (journal.CONFIRMED, journal.ROLLED_BACK)
    found = journal.last_confirmed()
    assert found is not None
    assert (found.id, found.confirmed) == ("two", True)
    assert journal.waiting() is None


def test_a_confirmation_that_is_not_settled_is_none(files: pathlib.Path) -> None:
    (files / "confirmed").write_text(pending(confirmed=True).as_json(), encoding="utf-8")
    assert journal.last_confirmed() is None


def test_only_words_that_are_known_settle(files: pathlib.Path) -> None:
    (files / "settled").write_text("one\none nonsense\none taken-back\n", encoding="utf-8")
    assert journal.outcome("one") == journal.ROLLED_BACK


@pytest.mark.usefixtures("files")
def test_the_last_hundred_settled_changes_are_named() -> None:
    for number in range(101):
        journal.settle(pending(id=f"id-{number}"))
    assert [journal.outcome(f"id-{number}") for number in (0, 1, 100)] == [None, "taken-back", "taken-back"]


def test_a_change_that_waits_has_a_line_from_the_start(files: pathlib.Path) -> None:
    """It takes no room on a full disk to write over it what became of the change."""
    for _time in range(2):
        journal.keep(pending())
        assert (files / "settled").read_text() == "one waits\n\n\n\n\n\n"
    size = (files / "settled").stat().st_size
    journal.keep(pending(id="another"))
    journal.settle(pending())
    assert (files / "settled").read_text().split() == ["one", "taken-back", "another", "waits"]
    journal.keep(pending(id="another"))
    assert (files / "settled").stat().st_size == size + len("another waits\n\n\n\n\n\n")


def test_what_somebody_wrote_between_the_lines_is_dropped(files: pathlib.Path) -> None:
    (files / "settled").write_bytes(b"\xff waits\ntwo nonsense\nthree confirmed\n")
    journal.keep(pending())
    assert (files / "settled").read_text().split() == ["three", "confirmed", "one", "waits"]


@pytest.mark.parametrize("settle", [journal.settle, journal.settle_confirmed])
def test_a_link_in_the_place_of_the_outcomes_leads_nowhere(
    files: pathlib.Path, settle: t.Callable[[Pending], None]
) -> None:
    journal.keep(pending())
    (files / "settled").rename(files / "victim")
    (files / "settled").symlink_to(files / "victim")
    before = (files / "victim").read_text()
    with pytest.raises(UnavailableError, match="cannot be written"):
        settle(pending())
    assert (files / "victim").read_text() == before


@pytest.mark.usefixtures("files")
def test_no_descriptor_stays_open() -> None:
    journal.keep(pending())
    before = len(os.listdir("/proc/self/fd"))
    journal.settle(pending())
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("settle", "there"),
    [(journal.settle, {"settled"}), (journal.settle_confirmed, {"settled", "confirmed"})],
)
def test_what_is_settled_is_called_pending_no_more(
    files: pathlib.Path, settle: t.Callable[[Pending], None], there: set[str]
) -> None:
    journal.keep(pending())
    settle(pending())
    assert {path.name for path in files.iterdir()} == there


def test_only_what_was_confirmed_is_put_away(files: pathlib.Path) -> None:
    journal.put_away()
    journal.keep(pending())
    journal.settle_confirmed(pending())
    (files / "confirmed").rename(files / "pending")
    journal.put_away()
    assert not (files / "pending").exists()
    assert (files / "confirmed").read_text() == pending().as_json()
    journal.keep(pending(id="two"))
    journal.put_away()
    assert not (files / "pending").exists()
    assert (files / "confirmed").read_text() == pending().as_json()


def test_what_cannot_be_put_away_stays(files: pathlib.Path) -> None:
    (files / "pending").write_text("damaged", encoding="utf-8")
    journal.put_away()
    (files / "pending").unlink()
    (files / "pending").mkdir()
    journal.put_away()
    assert (files / "pending").is_dir()


def test_the_journal_of_another_boot_is_none(files: pathlib.Path) -> None:
    text = pending().as_json().replace('"boot": "this"', '"boot": "before"')
    (files / "pending").write_text(text, encoding="utf-8")
    assert journal.waiting() is None


def test_a_setting_that_the_kernel_has_no_more_is_left_out(files: pathlib.Path) -> None:
    data = json.loads(pending().as_json())
    data["written"].append(["gone", 1, 0])
    (files / "pending").write_text(json.dumps(data), encoding="utf-8")
    found = journal.waiting()
    assert found is not None
    assert [each.sysctl.short_name for each in found.written] == ["max", "acct"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", 1),
        ("version", 3),
        ("id", 7),
        ("within", 1.5),
        ("within", True),
        ("deadline", "soon"),
        ("deadline", float("inf")),
        ("deadline", None),
        ("written", [[1, 2, 3]]),
        ("written", [["max", "2", 3]]),
        ("written", [["max", 2, "3"]]),
        ("written", [["max", 2]]),
        ("files", [["etc/a", "old", "new", False]]),
        ("files", [["/etc/a", 1, "new", False]]),
        ("files", [["/etc/a", "old", 1, False]]),
        ("files", [["/etc/a", "old", "new", 0]]),
        ("files", 5),
    ],
)
def test_what_is_no_journal(files: pathlib.Path, key: str, value: t.Any) -> None:
    (files / "pending").write_text(json.dumps({**json.loads(pending().as_json()), key: value}), encoding="utf-8")
    with pytest.raises(ConntrackError, match="is not the record that this module wrote"):
        journal.waiting()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "[" * 100_000, '{"version": 2, "boot": "this", "id": "a"}'])
def test_what_is_no_json(files: pathlib.Path, text: str) -> None:
    (files / "pending").write_text(text, encoding="utf-8")
    with pytest.raises(ConntrackError, match="is not the record that this module wrote"):
        journal.waiting()


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("error", "kind"), [(PermissionError(13, "no"), NotPermittedError), (OSError(5, "no"), ConntrackError)]
)
def test_what_cannot_be_read(error: OSError, kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_path: str) -> str:
        raise error

    monkeypatch.setattr(journal, "read", denied)
    with pytest.raises(kind):
        journal.waiting()
    # The process that waits has to live with it.
    assert (journal.outcome("one"), journal.is_kept(pending()), journal.last_words()) == (None, False, "")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("settle", [journal.settle, journal.settle_confirmed])
def test_what_cannot_be_written(settle: t.Callable[[Pending], None], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str, _text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal, "write", full)
    with pytest.raises(UnavailableError, match=r"cannot be written \(No space left on device\)"):
        settle(pending())


@pytest.mark.usefixtures("files")
def test_words_are_kept_as_far_as_they_are_shown() -> None:
    assert journal.last_words() == ""
    journal.keep_words("x" * 3999 + "yz")
    assert journal.last_words() == "x" * 3999 + "y"
    journal.forget_words()
    assert journal.last_words() == ""


@pytest.mark.usefixtures("files")
def test_a_change_waits_until_its_deadline() -> None:
    files = [FileChange("/etc/a", "same", "same", "o"), FileChange("/etc/b", None, "new", "o")]
    begun = Pending.begin([change("max", 200, 100)], files, 60)
    assert (begun.deadline, begun.within, begun.confirmed) == (NOW + 60, 60, False)
    assert [file.path for file in begun.files] == ["/etc/b"]
    assert len(begun.id) == 16
    assert begun.id != Pending.begin([], [], 60).id
    assert begun.seconds_left == 60.0
    assert [pending(deadline=NOW + more).seconds_left for more in (1, 0, -1)] == [1.0, 0.0, 0.0]


class Recorded(FileChange):
    """A file that records what is done to it."""

    done: t.ClassVar[list[str]] = []

    def restore(self) -> None:
        if self.path == "/etc/bad":
            raise ConntrackError("It cannot be restored.")
        self.done.append(f"restore {self.path}")

    def clean_up(self) -> None:
        self.done.append(f"clean up {self.path}")


def test_all_is_restored_and_what_is_not_is_told() -> None:
    """The last file first, whatever becomes of one of them."""
    Recorded.done.clear()
    Memory.values.update({"max": 200, "acct": 0})
    recorded: list[FileChange] = [Recorded(path, None, "new", "o") for path in ("/etc/a", "/etc/bad", "/etc/c")]
    one = dataclasses.replace(pending(), written=[change("max", 200, 100), change("acct", 1, 0)], files=recorded)
    assert one.roll_back() == (
        "Restored: net.netfilter.nf_conntrack_max = 100. "
        "NOT restored: /etc/bad, it has the new text; the old one lies beside it."
    )
    assert Memory.values["max"] == 100
    assert Recorded.done == ["restore /etc/c", "clean up /etc/c", "restore /etc/a", "clean up /etc/a"]
