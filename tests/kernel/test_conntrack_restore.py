# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module against the kernel: what was in a table is in it again, as ``conntrack -R`` makes it of the file."""

from __future__ import annotations

import os
import pathlib
import re
import socket
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._errors import RefusedError
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import WritableTable
from ansible_collections.netops.conntrack.plugins.modules import conntrack_restore
from helpers.kernel_entries import LASTING, MADE, RULES, fill, settable, shown
from helpers.support import ModuleResult, assert_refused, network_namespace, run, run_module

PASSING = 60
"""So many seconds may pass while a test runs."""

TCP = "-t {} -u SEEN_REPLY,ASSURED -s 10.0.0.2 -d 192.0.2.1 -r 192.0.2.1 {} -p tcp --sport {} --dport 80"
TCP += " --reply-port-src 80 --reply-port-dst {} --state {}"
TRANSLATED = f"-A {TCP.format(1000, '-n 203.0.113.1', 1000, 4000, 'ESTABLISHED')}"
PLAIN = f"-A {TCP.format(1000, '-q 10.0.0.2', 1001, 1001, 'ESTABLISHED')}"
COUNTS = ("entries", "expired", "existing", "restored", "refused")

KEPT = ("source", "destination", "source_port", "destination_port", "icmp_type", "icmp_code", "icmp_id")
FIELDS = (
    *("family", "protocol", "state", "mark", "zone", "zone_original", "zone_reply", "helper"),
    *KEPT,
    *(f"reply_{name}" for name in KEPT),
)
NAT = _uapi.SRC_NAT | _uapi.DST_NAT
BITS = _uapi.SEEN_REPLY | _uapi.ASSURED | _uapi.FIXED_TIMEOUT | NAT


def backup(*lines: str, at: float | None = None, end: str | None = None) -> str:
    """Return the text of a backup of these lines, which is whole unless ``end`` says something else."""
    entries = sum(line.startswith("-A") for line in lines)
    first = f"# netops.conntrack backup 1 at={int(time.time() if at is None else at)}"
    return "\n".join([first, *lines, f"# complete {entries}\n" if end is None else end])


def backup_of(netns: str) -> str:
    """Return a backup of the table, made of what conntrack(8) prints."""
    saved, extended = (shown(netns, output).splitlines() for output in ("save", "extended,labels"))
    assert len(saved) == len(extended)
    lines = []
    for line, details in zip(saved, extended):
        mark, helper = re.search(r" mark=(\d+)", details), re.search(r" helper=(\S+)", details)
        labels = re.search(r" labels=([\d,]+)", details)
        words = [f"labels={sum(1 << int(label) for label in labels[1].split(',')):#x}"] if labels else []
        words += [f"helper={helper[1]}"] if helper else []
        lines += [f"# {' '.join(words)}"] if words else []
        # The tool refuses EXPECTED, as the kernel does.
        line = line.replace("EXPECTED,", "")
        lines.append(f"{line} -m {mark[1]}" if mark and mark[1] != "0" else line)
    return backup(*lines)


def put(path: pathlib.Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def restore(netns: str, path: pathlib.Path, text: str, check: bool = False, **args: t.Any) -> ModuleResult:
    return run_module("conntrack_restore", {"src": put(path, text), **args}, netns=netns, check=check, diff=True)


def counts(result: ModuleResult) -> tuple[int, ...]:
    assert not result.failed, result.msg
    return tuple(result.data[name] for name in COUNTS)


def entries(netns: str) -> dict[tuple[t.Any, ...], int | None]:
    """Return what our own reading has of every entry that can be restored, and its remaining time."""
    with inside(netns), Table() as table:
        blocks = table.read(list)
    return {_comparable(entry): entry.remaining for block in blocks for entry in block.entries()}


def longest(netns: str) -> int:
    """Return the longest remaining time of an entry, in seconds."""
    return max(filter(None, entries(netns).values()))


def _comparable(entry: Entry) -> tuple[t.Any, ...]:
    labels = entry.labels if entry.labels and any(entry.labels) else None
    return (*(getattr(entry, name) for name in FIELDS), labels, (entry.status or 0) & BITS)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[tuple[str, str]]:
    """Yield a namespace with every kind of entry, and a backup of it."""
    with network_namespace("restore") as netns:
        run(["sysctl", "-qw", *LASTING], netns=netns)
        fill(netns)
        yield netns, backup_of(netns)


def test_every_kind_is_back(filled: tuple[str, str], tmp_path: pathlib.Path) -> None:
    netns, text = filled
    before, own_before = settable(netns), entries(netns)
    assert any("labels=" in line for line in before)
    assert any("helper=ftp" in line for line in before)
    run(["conntrack", "-F"], netns=netns)
    result = restore(netns, tmp_path / "table.save", text)
    assert counts(result) == (len(before), 0, 0, len(before), 0)
    assert result.data["complete"] is True
    assert result.data["without_labels"] == 0
    assert settable(netns) == before
    own_after = entries(netns)
    assert own_after.keys() == own_before.keys()
    for key, remaining in own_before.items():
        # The kernel goes on sending what ends the real connections, which gives these another timeout.
        if socket.inet_aton("127.0.0.1") not in key:
            assert remaining is not None
            assert 0 <= remaining - (own_after[key] or 0) <= PASSING
    again = restore(netns, tmp_path / "table.save", text)
    assert counts(again) == (len(before), 0, len(before), 0, 0)
    assert not again.data["changed"]


def test_the_tool_makes_the_same_of_the_file(filled: tuple[str, str], tmp_path: pathlib.Path) -> None:
    lines = [line for line in filled[1].splitlines() if "-p dccp" not in line]
    # What the tool has no option for, and what it refuses although it prints it.
    text = backup(*(line for line in lines if not line.startswith("#")))
    with network_namespace("restore") as own, network_namespace("restore") as other:
        for netns in (own, other):
            run(["nft", "-f", "-"], netns=netns, text=RULES)
        assert restore(own, tmp_path / "table.save", text).data["restored"] > len(MADE)
        run(["conntrack", "-R", str(tmp_path / "table.save")], netns=other)
        assert settable(own) == settable(other)
        # The tool asks for no translation of a port alone.
        without_nat = [{(*key[:-1], key[-1] & ~NAT) for key in entries(netns)} for netns in (own, other)]
        assert without_nat[0] == without_nat[1]


def test_check_mode_predicts_the_run(filled: tuple[str, str], tmp_path: pathlib.Path) -> None:
    """Of a table with a part of the entries, whose zones, numbers of ICMP and translations have to be compared."""
    with network_namespace("restore") as own:
        run(["nft", "-f", "-"], netns=own, text=RULES)
        for _round in range(4):
            for match in (
                "family=ipv4",
                "zone=5,7,8,9",
                "nat=snat,dnat",
                "protocol=icmp,icmpv6",
                "protocol=gre,udp,99",
            ):
                foreseen = restore(own, tmp_path / "table.save", filled[1], check=True, match=match)
                done = restore(own, tmp_path / "table.save", filled[1], match=match)
                assert foreseen.data["would_restore"] == done.data["restored"]
                assert foreseen.data["existing"] == done.data["existing"]
                assert foreseen.data["diff"] == done.data["diff"]
                assert foreseen.data["changed"] == done.data["changed"]
            lines = shown(own, "save").splitlines()[::2]
            run(["conntrack", "-F"], netns=own)
            restore(own, tmp_path / "half.save", backup(*(line.replace("EXPECTED,", "") for line in lines)))


@pytest.mark.parametrize("output", ["extended,labels", "xml"])
def test_a_listing_can_be_restored(filled: tuple[str, str], tmp_path: pathlib.Path, output: str) -> None:
    _netns, text = filled
    with network_namespace("restore") as own:
        run(["nft", "-f", "-"], netns=own, text=RULES)
        restore(own, tmp_path / "table.save", text)
        wanted, file = settable(own), shown(own, output)
        run(["conntrack", "-F"], netns=own)
        # In XML there are neither the numbers of ICMP nor the states of SCTP.
        exclude = [{"protocol": "icmp,icmpv6,sctp"}] if output == "xml" else []
        if output == "xml":
            refused = restore(own, tmp_path / "table.txt", file, match="family=ipv4,ipv6")
            numbers = (
                r"has \d+ entries of icmp and \d+ entries of icmpv6 and \d+ entries of sctp that cannot be restored"
            )
            assert refused.failed
            assert re.search(numbers, str(refused.msg))
            assert "exclude='protocol=icmp,icmpv6,sctp'" in str(refused.msg)
            assert settable(own) == []
        result = restore(own, tmp_path / "table.txt", file, match="family=ipv4,ipv6", exclude=exclude)
        assert not result.failed, result.msg
        restored = settable(own)
    if output == "xml":
        wanted = [line for line in wanted if not re.search(" icmp|sctp", line)]
        # A fixed timeout, and labels by number, are shown by no line.
        wanted, restored = (sorted(line.partition(" labels=")[0] for line in lines) for lines in (wanted, restored))
    assert restored == wanted
    assert result.data["complete"] is None
    assert any("does not say when it was written" in str(warning) for warning in result.data["warnings"])


def test_labels_need_a_rule_that_has_some(filled: tuple[str, str], tmp_path: pathlib.Path) -> None:
    with network_namespace("restore") as own:
        result = restore(own, tmp_path / "table.save", backup("# labels=0x20", TRANSLATED, PLAIN))
        assert counts(result) == (2, 0, 0, 2, 0)
        assert result.data["without_labels"] == 1
        assert "Load the ruleset first" in str(result.data["warnings"])


def test_entries_that_were_there_do_not_count_for_labels(tmp_path: pathlib.Path) -> None:
    """Their packets came before the ruleset, and made them without labels."""
    with network_namespace("restore") as own:
        run(["conntrack", "-I", *PLAIN.split()[1:]], netns=own)
        run(["nft", "-f", "-"], netns=own, text=RULES)
        result = restore(own, tmp_path / "table.save", backup("# labels=0x20", PLAIN, "# labels=0x20", TRANSLATED))
        assert counts(result) == (2, 0, 1, 1, 0)
        assert result.data["without_labels"] == 0


@pytest.mark.parametrize(
    ("there", "same"),
    [
        ("-t 77 -p tcp -s 10.0.0.2 -d 192.0.2.1 --sport 1000 --dport 80 --state SYN_SENT", "its tuple"),
        ("-t 77 -p tcp -s 10.9.9.9 -d 192.0.2.1 --sport 5 --dport 80 --state ESTABLISHED -n 203.0.113.1:4000", "port"),
        # The kernel would end this one to get its port, if it had to look for a port.
        ("-t 77 -p tcp -s 10.9.9.9 -d 192.0.2.1 --sport 5 --dport 80 --state TIME_WAIT -n 203.0.113.1:4000", "port"),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_what_is_there_stays(tmp_path: pathlib.Path, there: str, same: str, check: bool) -> None:
    with network_namespace("restore") as netns:
        run(["conntrack", "-I", *there.split()], netns=netns)
        before = settable(netns)
        result = restore(netns, tmp_path / "one.save", backup(TRANSLATED, PLAIN), check)
        assert counts(result) == (2, 0, 1, 0 if check else 1, 0), same
        assert result.data["would_restore"] == 1
        assert result.data["changed"]
        assert result.data["diff"] == {"before": "", "after": "1  ipv4 tcp ESTABLISHED\n"}
        assert set(before) <= set(settable(netns))
        assert len(settable(netns)) == 1 if check else 2


def test_another_zone_is_another_connection(tmp_path: pathlib.Path) -> None:
    zones = ("", " -w 3", " -w 4", " --orig-zone 5", " --reply-zone 6")
    with network_namespace("restore") as netns:
        for check in (True, False):
            result = restore(netns, tmp_path / "zones.save", backup(*(PLAIN + zone for zone in zones)), check)
            # Those with a zone in one direction have both tuples of the one without a zone.
            assert (result.data["would_restore"], result.data["existing"]) == (4, 1)
        zones_shown = sorted(re.findall(r"zone\S*=\d+", shown(netns, "extended")))
        assert zones_shown == ["zone-orig=5", "zone-reply=6", "zone=3", "zone=4"]


def test_an_entry_of_a_zone_of_one_direction_is_made_before_the_one_that_it_looks_like(tmp_path: pathlib.Path) -> None:
    """The tuple of the first is that of the second's reply, in another zone. Made after that, the kernel takes both
    for the same.
    """
    ends = "-s {} -d {} -r {} {} -p udp --sport {} --dport {} --reply-port-src {} --reply-port-dst {}"
    there = ends.format("198.19.1.2", "198.18.3.3", "198.18.3.3", "-q 198.19.1.2", 702, 1222, 1222, 702)
    back = ends.format("198.18.3.3", "198.19.1.2", "198.19.1.2", "-n 203.0.113.3", 1222, 702, 702, 1222)
    text = backup(f"-A -t 4998 -u UNSET {there}", f"-A -t 4998 -u UNSET --orig-zone 11 {back}")
    with network_namespace("restore") as netns:
        assert counts(restore(netns, tmp_path / "file", text)) == (2, 0, 0, 2, 0)
        assert len(entries(netns)) == 2


def test_the_translated_number_of_icmp_is_in_a_comment(tmp_path: pathlib.Path) -> None:
    line = "-A -t 1000 -u SEEN_REPLY -s 10.0.0.2 -d 192.0.2.1 -r 192.0.2.1 -n 203.0.113.1 -p icmp --icmp-type 8"
    with network_namespace("restore") as netns:
        text = backup("# reply-icmp-id=4711", f"{line} --icmp-code 0 --icmp-id 77 -m 5")
        assert counts(restore(netns, tmp_path / "icmp.save", text)) == (1, 0, 0, 1, 0)
        [shown_line] = settable(netns)
    assert "code=0 id=77 src=192.0.2.1 dst=203.0.113.1 type=0 code=0 id=4711 mark=5" in shown_line


def test_expired_entries_are_left_out(tmp_path: pathlib.Path) -> None:
    lines = [PLAIN, TRANSLATED.replace("-t 1000", "-t 2000")]
    with network_namespace("restore") as netns:
        result = restore(netns, tmp_path / "old.save", backup(*lines, at=time.time() - 1500))
        assert counts(result) == (2, 1, 0, 1, 0)
        assert 500 - PASSING <= longest(netns) <= 500
        run(["conntrack", "-F"], netns=netns)
        result = restore(netns, tmp_path / "old.save", backup(*lines, at=time.time() - 1500), written_at="now")
        assert counts(result) == (2, 0, 0, 2, 0)
        assert 2000 - PASSING <= longest(netns) <= 2000


def test_without_a_time_the_files_own_counts(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "listing"
    path.write_text(f"{PLAIN}\n")
    os.utime(path, (time.time() - 900,) * 2)
    with network_namespace("restore") as netns:
        result = run_module("conntrack_restore", {"src": str(path)}, netns=netns)
        assert counts(result) == (1, 0, 0, 1, 0)
        assert 100 - PASSING <= longest(netns) <= 100


def test_a_part_can_be_restored(tmp_path: pathlib.Path) -> None:
    with network_namespace("restore") as netns:
        result = restore(netns, tmp_path / "two.save", backup(PLAIN, TRANSLATED), match="nat=snat")
        assert counts(result) == (2, 0, 0, 1, 0)
        assert result.data["matched"] == 1
        assert "dst=203.0.113.1" in shown(netns, "extended")


def test_a_backup_that_was_cut_short(tmp_path: pathlib.Path) -> None:
    with network_namespace("restore") as netns:
        result = restore(netns, tmp_path / "cut.save", backup(PLAIN, TRANSLATED, end="-A -t 1000 -u SEEN"))
        assert counts(result) == (2, 0, 0, 2, 0)
        assert result.data["complete"] is False
        assert "cut short" in str(result.data["warnings"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (backup(PLAIN, "-A nonsense", TRANSLATED), ("line 3: -A nonsense", "Nothing was restored")),
        (backup(PLAIN, "-A nonsense", TRANSLATED, end="-A -t 1"), ("has 2 lines", "line 3")),
        (f"{PLAIN}\n{TRANSLATED[:50]}", ("line 2: -A -t 1000",)),
        (backup(PLAIN, end="# complete 2\n"), ("has 1 entries, and its last line says 2",)),
        (backup(PLAIN).replace("backup 1", "backup 2"), ("backup of the form 2",)),
        (backup(PLAIN).replace("at=", "at=x"), ("says that it was written at 'x", "written_at")),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_a_broken_file_is_refused(tmp_path: pathlib.Path, text: str, words: tuple[str, ...], check: bool) -> None:
    with network_namespace("restore") as netns:
        assert_refused(restore(netns, tmp_path / "broken.save", text, check), "src: ", *words)
        assert not shown(netns, "extended")


def test_a_file_of_others_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "table.save"
    with network_namespace("restore") as netns:
        put(path, backup(PLAIN))
        path.chmod(0o666)
        assert_refused(restore(netns, path, backup(PLAIN)), "src: ", "can be written by others", "chmod go-w")
        path.chmod(0o600)
        os.chown(path, 65534, 65534)
        assert_refused(restore(netns, path, backup(PLAIN)), "src: ", "belongs to the user 65534", "chown root")
        assert not shown(netns, "extended")


def test_bad_options_are_refused(tmp_path: pathlib.Path) -> None:
    with network_namespace("restore") as netns:
        result = restore(netns, tmp_path / "one.save", backup(PLAIN), written_at="yesterday")
        assert_refused(result, "written_at: 'yesterday' is no time", "2026-11-28T19:11:56Z")
        assert_refused(restore(netns, tmp_path / "one.save", backup(PLAIN), match="protocl=tcp"), "match", "protocl")


def test_a_table_without_room_is_left_alone(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel would drop connections for the new ones."""
    monkeypatch.setattr(WritableTable, "limit", lambda _table: 2)
    other = PLAIN.replace("10.0.0.2", "10.0.0.3")
    with network_namespace("restore") as netns:
        run(["conntrack", "-R", put(tmp_path / "there", f"{PLAIN}\n")], netns=netns)
        refused = in_process(netns, tmp_path, backup(PLAIN, TRANSLATED, other))
        assert "no room for 1 of them" in refused["msg"]
        assert (refused["would_restore"], refused["existing"], refused["restored"]) == (2, 1, 0)
        assert len(settable(netns)) == 1
        # What is there already needs no room.
        assert in_process(netns, tmp_path, backup(PLAIN, TRANSLATED))["restored"] == 1


def test_the_limit_of_the_machine_leaves_no_room_in_a_namespace_either(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on kernels with a limit for each namespace. It is read before the module enters one."""
    monkeypatch.setattr(conntrack_restore, "read_machine_limit", lambda: 1)
    with network_namespace("restore") as netns:
        refused = in_process(netns, tmp_path, backup(PLAIN, TRANSLATED))
        assert "the table has 0 of at most 1" in refused["msg"]
        assert settable(netns) == []


def in_process(netns: str, path: pathlib.Path, text: str) -> dict[str, t.Any]:
    """Run the module in this process, and return its result, also of a failure."""

    class Module:
        params: t.ClassVar[dict[str, t.Any]] = {
            "src": put(path / "file", text),
            "written_at": None,
            "active_address": [],
            "match": None,
            "exclude": [],
        }
        params.update({"select": [], "netns": netns})
        check_mode = _diff = False

        def warn(self, text: str) -> None:
            """Ignore it."""

    try:
        return conntrack_restore.run(Module())
    except RefusedError as error:
        return {"msg": error.message, **error.result}


def test_a_helper_that_is_not_there_is_refused_by_name(tmp_path: pathlib.Path) -> None:
    with network_namespace("restore") as netns:
        result = restore(netns, tmp_path / "help.save", backup("# helper=nosuch", PLAIN, TRANSLATED))
        assert result.failed
        assert result.data["failures"] == {"Operation not supported": 1}
        assert (result.data["restored"], result.data["refused"]) == (1, 1)
