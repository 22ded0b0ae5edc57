# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import stat
import threading
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_policies import Policy
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import (
    TimeoutRecord,
    changing,
    read_record,
    refuse_changed,
    replacing,
    room_for,
    shortening,
)
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    NotPermittedError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._files import run_directory as run_directory_module


@pytest.fixture(autouse=True)
def run_directory(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(run_directory_module, "DIRECTORY", str(tmp_path / "run"))
    return tmp_path / "run"


def record_file() -> pathlib.Path:
    return pathlib.Path(run_directory_module.path_of("timeouts"))


def pass_seconds(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    real = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: real + seconds)


def test_nothing_is_recorded_at_first(run_directory: pathlib.Path) -> None:
    assert read_record().changes == ()
    assert not run_directory.exists()


def test_change_is_recorded_before_and_after_it_is_made() -> None:
    with changing("udp_timeout", 30, 10):
        [begun] = read_record().changes
        assert (begun.short_name, begun.old, begun.new, begun.done) == ("udp_timeout", 30, 10, None)
    [change] = read_record().changes
    assert change.done is not None
    assert begun.begun == change.begun <= change.done <= time.monotonic()


def test_change_that_fails_is_recorded_as_one_that_may_have_been_made() -> None:
    with pytest.raises(ConntrackError, match="refused"), changing("udp_timeout", 30, 10):
        raise ConntrackError("refused")
    [change] = read_record().changes
    assert (change.old, change.new) == (30, 10)


@pytest.mark.parametrize("old", [None, 30])
def test_what_stays_or_is_not_known_is_not_recorded(old: int | None) -> None:
    with changing("udp_timeout", old, 30):
        pass
    assert read_record().changes == ()


def test_changes_come_in_their_order() -> None:
    for short, old, new in (("udp_timeout", 30, 10), ("icmp_timeout", 30, 5), ("udp_timeout", 10, 20)):
        with changing(short, old, new):
            pass
    assert [(change.old, change.new) for change in read_record().changes_of("udp_timeout")] == [(30, 10), (10, 20)]


def test_old_changes_are_dropped_once_no_entry_can_bear_their_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    for short in ("udp_timeout", "gre_timeout"):
        with changing(short, 30, 10):
            pass
    with changing("tcp_timeout_established", 432_000, 54_000):
        pass
    pass_seconds(monkeypatch, 31)
    with changing("icmp_timeout", 30, 40):
        pass
    names = [change.short_name for change in read_record().changes]
    assert names == ["gre_timeout", "tcp_timeout_established", "icmp_timeout"]


def test_shortening_is_recorded_from_its_beginning_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with shortening(3_600):
        [begun] = read_record().shortenings
        assert (begun.most, begun.done) == (3_600, None)
    [ended] = read_record().shortenings
    assert ended.done is not None
    assert ended.done >= ended.begun == begun.begun
    pass_seconds(monkeypatch, 3_601)
    with shortening(5):
        pass
    assert [each.most for each in read_record().shortenings] == [5]


def test_of_two_shortenings_at_once_each_ends_its_own() -> None:
    first, second = shortening(100), shortening(3_600)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert [each.done is None for each in read_record().shortenings] == [False, True]
    second.__exit__(None, None, None)
    assert [each.done is None for each in read_record().shortenings] == [False, False]


def test_policy_is_recorded_as_it_was_until_no_entry_can_have_its_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    phones = Policy(2, 17, {"udp_timeout": 60, "udp_timeout_stream": 600})
    tunnels = Policy(None, 47, {"gre_timeout": 60})
    with replacing(phones):
        [begun] = read_record().former_policies
        assert (begun.policy, begun.done) == (phones, None)
    with replacing(tunnels):
        pass
    assert [each.policy for each in read_record().former_policies if each.done is not None] == [phones, tunnels]
    pass_seconds(monkeypatch, 601)
    with shortening(5):
        pass
    # Entries of GRE keep the timeouts that they were made with.
    assert [each.policy for each in read_record().former_policies] == [tunnels]


def test_record_of_a_release_that_knew_no_policies(run_directory: pathlib.Path) -> None:
    with changing("udp_timeout", 30, 10):
        pass
    data = json.loads(record_file().read_text())
    del data["former_policies"]
    record_file().write_text(json.dumps(data))
    assert read_record().former_policies == ()
    assert len(read_record().changes) == 1


def test_record_of_an_earlier_boot_does_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """Its times are on a clock that began anew, and entries and timeouts are new as well."""
    with changing("udp_timeout", 30, 10):
        pass
    (tmp_path / "boot_id").write_text("another\n")
    monkeypatch.setattr(run_directory_module, "_BOOT_ID", str(tmp_path / "boot_id"))
    assert read_record().changes == ()
    with changing("icmp_timeout", 30, 10):
        pass
    assert [change.short_name for change in read_record().changes] == ["icmp_timeout"]


@pytest.mark.parametrize("text", ["NaN", "1e300", "Infinity"])
@pytest.mark.parametrize("place", [-2, -1])
@pytest.mark.parametrize("rows", ["changes", "shortenings", "former_policies"])
def test_time_that_is_still_to_come_is_damage(text: str, place: int, rows: str) -> None:
    with changing("udp_timeout", 30, 10), shortening(5), replacing(Policy(2, 17, {"udp_timeout": 60})):
        pass
    data = json.loads(record_file().read_text())
    data[rows][0][place] = float(text)
    record_file().write_text(json.dumps(data))
    with pytest.raises(ConntrackError, match="is not the record"):
        read_record()


def test_record_that_was_read_is_refused_once_a_timeout_changes() -> None:
    before = read_record()
    refuse_changed(before)
    with changing("udp_timeout", 30, 10):
        with pytest.raises(UnavailableError, match="while the table was read"):
            refuse_changed(before)
        during = read_record()
        refuse_changed(during)
    with pytest.raises(UnavailableError, match="while the table was read"):
        refuse_changed(during)
    after = read_record()
    refuse_changed(after)
    with shortening(5), pytest.raises(UnavailableError, match="entries were shortened"):
        refuse_changed(after)


def test_a_negative_timeout_is_recorded_such_that_it_can_be_read() -> None:
    with changing("udp_timeout", -1, 30):
        pass
    with changing("generic_timeout", 600, -1):
        pass
    assert [(each.old, each.new) for each in read_record().changes] == [(0, 30), (600, 0)]


def test_record_that_was_read_long_ago_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    record = read_record()
    pass_seconds(monkeypatch, 3_590)
    refuse_changed(record)
    pass_seconds(monkeypatch, 20)
    with pytest.raises(UnavailableError, match="taken more than an hour"):
        refuse_changed(record)


def test_pipe_in_the_place_of_the_record_hangs_nobody(run_directory: pathlib.Path) -> None:
    run_directory.mkdir()
    os.mkfifo(record_file())
    with pytest.raises(ConntrackError, match="is not the record"):
        read_record()


def test_what_cannot_be_recorded_is_not_done(run_directory: pathlib.Path) -> None:
    run_directory.write_text("a file where the directory belongs")
    for required in (True, False):
        done = []
        outcome = pytest.raises(UnavailableError, match="cannot be written") if required else contextlib.nullcontext()
        with outcome, changing("udp_timeout", 30, 10, required):
            done.append("changed")
        assert done == ([] if required else ["changed"])


def test_a_record_is_the_same_wherever_it_was_read() -> None:
    assert TimeoutRecord(now=1.0, path="/run/a") == TimeoutRecord(now=1.0, path="/run/b")
    assert TimeoutRecord(now=1.0, edition=(1, 2, 3)) == TimeoutRecord(now=1.0)
    assert TimeoutRecord(now=1.0) != TimeoutRecord(now=2.0)


def test_room_is_asked_for_two_editions_of_the_record_and_its_lock() -> None:
    assert room_for(0) == ()
    assert room_for(1) == (700, 700, 0)
    assert room_for(3) == (1700, 1700, 0)
    with changing("udp_timeout", 30, 10):
        pass
    size = record_file().stat().st_size
    assert size < 700
    assert room_for(0) == ()
    assert room_for(2) == (size + 1200, size + 1200)


@pytest.mark.parametrize("context", [lambda: shortening(5), lambda: replacing(Policy(None, 17, {"udp_timeout": 1}))])
def test_without_room_nothing_is_shortened_or_replaced(
    context: t.Callable[[], contextlib.AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, ...]] = []

    def has_room(_path: str, *sizes: int) -> bool:
        asked.append(sizes)
        return False

    monkeypatch.setattr(run_directory_module, "has_room", has_room)
    with pytest.raises(UnavailableError, match="No space left on device"), context():
        raise AssertionError("it was done")
    assert not record_file().exists()
    # The directory is made as well.
    assert asked == [(0, 700, 700, 0)]


def test_the_lock_is_for_root_alone_and_the_record_for_all() -> None:
    with changing("udp_timeout", 30, 10):
        pass
    assert [stat.S_IMODE(path.stat().st_mode) for path in sorted(record_file().parent.iterdir())] == [0o644, 0o600]


def test_a_policy_that_gave_no_timeout_leaves_no_traces() -> None:
    with replacing(Policy(2, 17, {})):
        assert len(read_record().former_policies) == 1
    with shortening(5):
        pass
    assert read_record().former_policies == ()


def test_one_process_at_a_time_changes_the_record() -> None:
    def change() -> None:
        with changing("udp_timeout", 10, 20):
            pass

    with changing("udp_timeout", 30, 10):
        pass
    with open(f"{record_file()}.lock", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        other = threading.Thread(target=change)
        other.start()
        other.join(0.2)
        assert other.is_alive()
        assert len(read_record().changes) == 1
    other.join()
    assert len(read_record().changes) == 2


def test_who_may_not_read_the_record_may_not_change_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    with changing("udp_timeout", 30, 10):
        pass

    def denied(_path: str) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(run_directory_module, "read", denied)
    record = read_record()
    assert (record.changes, record.path) == ((), str(record_file()))
    with pytest.raises(NotPermittedError, match=rf"^idle: The record of changed timeouts, {record_file()}, may not be"):
        record.require("idle")
    with pytest.raises(NotPermittedError, match=r"^timeout: "), changing("udp_timeout", 10, 30):
        raise AssertionError("it was changed")
    TimeoutRecord().require("idle")


@pytest.mark.parametrize(
    ("what", "seconds"),
    [
        (lambda: changing("udp_timeout", 30, 10), 30),
        (lambda: changing("udp_timeout", 10, 30), 30),
        (lambda: shortening(50), 50),
        (lambda: replacing(Policy(2, 17, {"udp_timeout": 60, "udp_timeout_stream": 600})), 600),
    ],
)
def test_traces_last_as_long_as_the_longest_timeout(
    what: t.Callable[[], contextlib.AbstractContextManager[None]], seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    with what():
        pass
    for passed, stays in ((seconds - 1, True), (seconds, False)):
        monkeypatch.setattr(time, "monotonic", lambda passed=passed: 1000.0 + passed)
        # Whatever is recorded next drops what is past.
        with changing("icmp_timeout", 1000, 2000):
            pass
        record = read_record()
        left = [each for each in record.changes if each.short_name == "udp_timeout"]
        assert bool([*left, *record.shortenings, *record.former_policies]) is stays


def test_a_timeout_of_0_is_one_as_well() -> None:
    with changing("udp_timeout", 30, 0):
        pass
    assert [(change.old, change.new) for change in read_record().changes] == [(30, 0)]


def test_a_disk_that_fills_up_meanwhile_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: t.Any, **_options: t.Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_directory_module, "write", full)
    with pytest.raises(UnavailableError, match=r"cannot be written \(No space left on device\)"), shortening(5):
        raise AssertionError("it was done")


def test_the_form_of_a_record_is_that_of_earlier_releases() -> None:
    with changing("udp_timeout", 30, 4_294_967_295):
        pass
    data = json.loads(record_file().read_text())
    assert data["version"] == 1
    assert [change.new for change in read_record().changes] == [4_294_967_295]
    data["changes"][0][2] += 1
    record_file().write_text(json.dumps(data))
    with pytest.raises(ConntrackError, match="is not the record"):
        read_record()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"version": 1}',
        '{"version": 2, "changes": [], "shortenings": []}',
        '{"version": 1, "changes": [["udp_timeout", 30]], "shortenings": []}',
        '{"version": 1, "changes": [["udp_timeout", 30, null, 1, 2]], "shortenings": []}',
        '{"version": 1, "changes": [[7, 30, 10, 1, 2]], "shortenings": []}',
        '{"version": 1, "changes": [[null, 30, 10, 1, 2]], "shortenings": []}',
        '{"version": 1, "changes": [["udp_timeout", 30, 10, "now", 2]], "shortenings": []}',
        '{"version": 1, "changes": [], "shortenings": [["x", 1, 2]]}',
        '{"version": 1, "changes": 7, "shortenings": []}',
        '{"version": 1, "changes": [], "shortenings": [], "former_policies": [[2, 17, {"udp_timeout": -1}, 1, 2]]}',
        '{"version": 1, "changes": [], "shortenings": [], "former_policies": [["ip", 17, {}, 1, 2]]}',
        '{"version": 1, "changes": [], "shortenings": [], "former_policies": [[2, 17, 30, 1, 2]]}',
        '{"version": 1, "changes": [["udp_timeout", true, 10, 1, 2]], "shortenings": []}',
        '{"version": 1, "changes": [["udp_timeout", -30, 10, 1, 2]], "shortenings": []}',
        '{"version": 1, "changes": [["udp_timeout", 30, 10, 1%s, 2]], "shortenings": []}' % ("0" * 400),
        '{"version": 1, "changes": [["udp_timeout", 30, 1%s, 1, 2]], "shortenings": []}' % ("0" * 4000),
        '{"version": 1, "changes": [], "shortenings": [[1%s, 1, 2]]}' % ("0" * 40),
        "[" * 100_000,
        "\udcff",
    ],
)
def test_damaged_record_is_named_with_the_remedy(run_directory: pathlib.Path, text: str) -> None:
    run_directory.mkdir()
    text = text.replace('"version"', f'"boot": "{run_directory_module.boot_id()}", "version"')
    record_file().write_bytes(text.encode("utf-8", "surrogateescape"))
    readings: list[t.Callable[[], object]] = [read_record, lambda: changing("udp_timeout", 30, 10).__enter__()]
    for reading in readings:
        with pytest.raises(ConntrackError, match="is not the record") as caught:
            reading()
        assert str(record_file()) in caught.value.message
        assert "Remove that file." in caught.value.message


def test_change_that_is_recorded_just_before_the_file_is_read_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    read = run_directory_module.read

    def read_after_a_change(path: str) -> str | None:
        monkeypatch.setattr(run_directory_module, "read", read)
        with changing("generic_timeout", 600, 120):
            pass
        return read(path)

    with changing("generic_timeout", 120, 600):
        pass
    monkeypatch.setattr(run_directory_module, "read", read_after_a_change)
    record = read_record()
    assert [(change.old, change.new) for change in record.changes] == [(120, 600), (600, 120)]
    assert all(change.done is not None and change.done <= record.now for change in record.changes)
