# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The formats xml and extended with each output option, next to what ``conntrack -L -o`` prints, and read again."""

from __future__ import annotations

import pathlib
import re
import typing as t
from xml.etree import ElementTree

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry import label_names
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._query.extended import ExtendedLines
from ansible_collections.netops.conntrack.plugins.module_utils._query.output import Output
from ansible_collections.netops.conntrack.plugins.module_utils._query.xml_lines import FIRST_LINES, LAST_LINE, XmlLines
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
from helpers.encoded_messages import blocks_of
from helpers.kernel_entries import ACCOUNTING, LASTING, MADE, fill, shown
from helpers.support import assert_refused, network_namespace, run, run_module

NUMBERS = {number: str(number) for number in range(128)}
SECOND = 1_000_000_000
CONTEXT = Context({}, 1_700_000_100 * SECOND)
FORMS = (
    ("plain", "id"),
    ("plain", "id,labels,ktimestamp"),
    ("extended", "timestamp"),
    ("extended", "labels"),
    ("extended", "ktimestamp"),
    ("extended", "id,timestamp,labels"),
    ("extended", "id,labels,ktimestamp,timestamp"),
    ("xml", ""),
    ("xml", "labels,id"),
    ("xml", "ktimestamp,timestamp,labels"),
)
SCTP_STATES = _uapi.STATE_NAMES[_uapi.SCTP][1:8]
"""Those that the tool can set. It crashes at HEARTBEAT_SENT."""


@pytest.fixture(scope="module", params=["accounting", "plain"])
def filled(request: pytest.FixtureRequest) -> t.Iterator[str]:
    with network_namespace("forms") as netns:
        run(["sysctl", "-qw", *LASTING], netns=netns)
        fill(netns)
        if request.param == "accounting":
            run(["sysctl", "-qw", *ACCOUNTING], netns=netns)
            # Now each kind is there with counters and without.
            run(["conntrack", "-R", "-"], netns=netns, text="".join(_further()))
        yield netns


def _further() -> t.Iterator[str]:
    """Yield what the tool makes entries with: those of MADE from other addresses, and all states of SCTP."""
    for arguments in MADE:
        others = arguments.replace("198.18.0.", "198.18.1.").replace("203.0.113.1:", "203.0.113.2:")
        yield f"-I -p {others.replace('2001:db8::1 ', '2001:db8::f:1 ')}\n"
    for number, state in enumerate(SCTP_STATES, 20):
        tags = "--orig-vtag 1 --reply-vtag 2"
        yield f"-I -p sctp -s 198.18.0.1 -d 198.18.0.2 -t 1000 --sport {number} --dport 9 --state {state} {tags}\n"


def lines_of(form: str, blocks: t.Iterable[Block], context: Context, output: Output) -> list[str]:
    writer = XmlLines(context, output) if form == "xml" else ExtendedLines(context, form == "plain", output)
    return [line for block in blocks for line in writer(block)]


def _file_of(blocks: t.Iterable[Block], context: Context, output: Output) -> str:
    return "\n".join([FIRST_LINES, *lines_of("xml", blocks, context, output), LAST_LINE])


def read(netns: str) -> tuple[list[Block], Context]:
    with inside(netns), Table() as table:
        context = Context.read(read_settings())
        return table.read(list), context


def _flows(text: str) -> list[dict[str, t.Any]]:
    """Return the id and the labels of each entry in XML, as they are written."""
    return [
        {"id": flow.findtext(".//id"), "labels": [label.text for label in flow.findall(".//label")]}
        for flow in ElementTree.fromstring(text)
    ]


def output_of(names: str) -> Output:
    given = names.split(",")
    return Output("id" in given, "labels" in given, "ktimestamp" in given, NUMBERS)


_TIMES = re.compile(
    r"(?P<before>^(?:ipv\d +\d+ )?\S+ +\d+ |<timeout>)(?P<timeout>\d+)|(?P<age>delta-time=|<deltatime>)(?P<seconds>\d+)"
)


def by_line(lines: t.Iterable[str]) -> dict[str, list[int]]:
    """Return the seconds in each line, by the line without them. They go on while one listing is made after another."""
    found: dict[str, list[int]] = {}
    for line in lines:
        seconds = [int(each["timeout"] or each["seconds"]) for each in _TIMES.finditer(line)]
        key = _TIMES.sub(lambda each: f"{each['before'] or each['age']}N", line)
        found[key] = seconds
    return found


def entries_in(listed: str, form: str) -> dict[str, list[int]]:
    """Return what the tool lists, without what is around the entries."""
    lines = listed.splitlines()
    if form == "xml":
        assert [*FIRST_LINES.split("\n"), LAST_LINE] == [*lines[:2], lines[-1]]
        lines = lines[2:-1]
    return by_line(lines)


@pytest.mark.parametrize(("form", "names"), FORMS)
def test_lines_are_those_of_the_tool(filled: str, form: str, names: str) -> None:
    option = ",".join(word for word in (form, names) if word not in ("", "plain"))
    for _attempt in range(10):
        before = entries_in(shown(filled, option), form)
        blocks, context = read(filled)
        after = entries_in(shown(filled, option), form)
        # Where the kernel's hash table is resized meanwhile, the tool lists a part, or an entry twice.
        if before.keys() == after.keys():
            break
    lines = lines_of(form, blocks, context, output_of(names))
    ours = by_line(lines)
    assert len(ours) == len(lines)
    assert sorted(ours) == sorted(before)
    assert len(ours) > len(MADE) + 20
    for line, seconds in ours.items():
        for number, *ends in zip(seconds, before[line], after[line]):
            # A packet that comes meanwhile begins the time anew.
            assert min(ends) - 1 <= number <= max(ends) + 1, line


@pytest.mark.parametrize(
    "part",
    [
        *(f'<layer4 protonum="{number}" protoname="{name}">' for number, name in _uapi.PROTOCOL_NAMES.items()),
        '<layer4 protonum="99" protoname="unknown">',
        '<layer3 protonum="10" protoname="ipv6">',
        "</layer4><zone>9</zone>",
        "</layer4><zone>8</zone>",
        "<zone>65535</zone>",
        "<mark>4294967295</mark>",
        "<labels><label>127</label></labels>",
        "<srckey>0x1</srckey><dstkey>0x2ab</dstkey>",
        "<dst>203.0.113.1</dst>",
        "<helper>ftp</helper></flow>",
        "<assured/>",
        "<unreplied/>",
    ],
)
def test_the_comparison_covers(filled: str, part: str) -> None:
    assert part in shown(filled, "xml,labels")


def test_the_comparison_covers_accounting_and_states(filled: str, request: pytest.FixtureRequest) -> None:
    text = shown(filled, "xml,ktimestamp")
    with_accounting = "[accounting]" in request.node.name
    for part in "<counters>", "<timestamp><start>", "<deltatime>":
        assert (part in text) is with_accounting
        assert any(part not in line for line in text.splitlines()[2:-1])
    # The tool has the names of TCP's states for those of SCTP.
    assert with_accounting == ("<dport>9</dport></layer4>" in text)


TCP = {"protocol": _uapi.TCP, "source_port": 1, "destination_port": 2, "status": _uapi.SEEN_REPLY, "remaining": 7}
START = {"start": 1_700_000_000 * SECOND + 5, "use": 1, "id": 9}
SECCTX = {"secctx": "system_u:object_r:unlabeled_t:s0"}


def line_of(form: str, fields: dict[str, t.Any], output: Output) -> str:
    [line] = lines_of(form, blocks_of({**TCP, **fields}), CONTEXT, output)
    return line


def test_what_this_kernel_does_not_send_is_where_the_tool_prints_it() -> None:
    """Written from snprintf_xml.c and snprintf_default.c. This kernel has no security module that gives contexts."""
    fields = {**START, **SECCTX, "mark": 3, "labels": b"\x21" + bytes(15)}
    everything = Output(True, True, True)
    assert line_of("xml", fields, everything).partition('"independent">')[2] == (
        "<timeout>7</timeout><mark>3</mark><labels><label>0</label><label>5</label></labels>"
        "<secctx>system_u:object_r:unlabeled_t:s0</secctx><use>1</use><id>9</id>"
        "<timestamp><start>1700000000000000005</start></timestamp><deltatime>100</deltatime></meta></flow>"
    )
    words = line_of("extended", fields, everything).partition(" mark=")[2]
    begin, _bracket, rest = words.partition(" [start=")
    assert begin == "3 secctx=system_u:object_r:unlabeled_t:s0 delta-time=100"
    assert rest.partition("]")[2] == " use=1 id=9 labels=0,5"


@pytest.mark.parametrize("helper", ["a b", "<x>", 'q"q', "a=b", "&amp;", "\x1b[2J"])
def test_a_file_is_xml_whatever_a_helper_is_called(helper: str) -> None:
    line = line_of("xml", {"helper": helper}, Output())
    name = ElementTree.fromstring(line).findtext("helper")
    assert name is not None
    assert set(name) <= set("abxqmp;[2J?")
    assert "?" in name


NAMES = (
    "5 five\n7 seven\n",
    "5 five\n",
    '5 "a b"\n7 a&b<\n64 c d\n',
    "  5 five \n7   seven x # y\n64\tsixty-four\t\n",
    "# 5 five\n0x5 hex\n0100 octal\n",
    "5 five\n5 again\n7 five\n64 64\n",
    "5five\n7 \n127 -",
    "1024 x\n2000 five\n5 five\n99999999999999999999 y\n",
    "bad\n08 nine\n+5 plus\n-5 minus\n\n127 last",
)


@pytest.mark.parametrize("text", NAMES)
def test_the_names_of_labels_are_those_of_the_tool(
    filled: str, text: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "connlabel.conf"
    file.write_text(text)
    monkeypatch.setattr(label_names, "LABELS_FILE", str(file))
    names = label_names.label_names()
    listed = {entry["id"]: entry["labels"] for entry in _flows(shown(filled, "xml,labels", labels=text))}
    blocks, context = read(filled)
    found = {
        entry["id"]: entry["labels"] for entry in _flows(_file_of(blocks, context, Output(labels=True, names=names)))
    }
    assert found.keys() == listed.keys()
    # The tool leaves out a label without a name.
    assert {number: [name for name in labels if name in names.values()] for number, labels in found.items()} == listed
    assert sum(map(len, found.values())) >= 4


@pytest.mark.parametrize("text", NAMES)
def test_a_selector_takes_the_names_of_labels_that_the_tool_takes(
    filled: str, text: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "connlabel.conf"
    file.write_text(text)
    monkeypatch.setattr(label_names, "LABELS_FILE", str(file))
    blocks, _context = read(filled)
    words = {word for line in text.split("\n") for word in (line.strip().partition(" ")[2], *line.split())}
    for name in sorted(word for word in words if word and not word.isdecimal()):
        listed = _listed_with_label(filled, name, text)
        if listed is None:
            with pytest.raises(OptionError, match="is not a label"):
                compile_selection([{"label": name}], None, Context({}, 0))
            continue
        selection = compile_selection([{"label": name}], None, Context({}, 0))
        found = [entry for block in blocks for entry in block.entries() if selection.decide(entry)]
        assert len(found) == listed


def _listed_with_label(netns: str, name: str, labels: str) -> int | None:
    """Return how many entries the tool lists with a label, None if it does not know that."""
    try:
        listed = [shown(netns, "id", "-f", family, "-l", name, labels=labels) for family in ("ipv4", "ipv6")]
    except AssertionError as error:
        if f"unknown label '{name}'" not in str(error):
            raise
        return None
    return len("".join(listed).splitlines())


def info(netns: str, **args: t.Any) -> dict[str, t.Any]:
    result = run_module("conntrack_info", {"limit": 1000, "entries": True, **args}, netns=netns)
    assert not result.failed, result.msg
    return result.data


def key_of(entry: dict[str, t.Any]) -> tuple[t.Any, ...]:
    """Return what tells an entry, also where the form does not have the numbers of ICMP."""
    ends = ("source", "destination", "source_port", "destination_port", "source_key", "reply_destination", "zone")
    return (entry["protocol"], *(str(entry.get(name)) for name in ends))


_NOT_IN_XML = {"icmp", "icmpv6", "sctp", "dccp"}
_NEVER_THERE = {"status", "expected", "idle", "offloaded"}
"""What no file has but ours, and what a file tells without the settings of its router."""


@pytest.mark.parametrize(
    ("form", "output"),
    [("xml", ["labels"]), ("extended", ["id", "labels", "ktimestamp"]), ("extended", ["id", "labels"])],
)
def test_what_was_written_is_read_again(filled: str, tmp_path: pathlib.Path, form: str, output: list[str]) -> None:
    path = str(tmp_path / "table")
    written = info(filled, dest=path, format=form, output=output)
    read_again = info(filled, src=path)
    assert read_again["not_understood"] == 0
    assert read_again["total"] == written["total"] > len(MADE) + 20
    again: dict[t.Any, list[dict[str, t.Any]]] = {}
    for entry in read_again["entries"]:
        again.setdefault(key_of(entry), []).append(entry)
    compared = 0
    for entry in written["entries"]:
        if entry["protocol"] in _NOT_IN_XML and (form == "xml" or entry["protocol"] == "dccp"):
            continue
        [other, *more] = again[key_of(entry)]
        if more:
            continue
        names = entry.keys() - _NEVER_THERE
        expected = {name: entry[name] for name in names}
        expected["labels"] = entry["labels"] or None
        # The tool cuts both times to whole seconds before it subtracts.
        if entry["age"] is not None and other["age"] == entry["age"] + 1:
            expected["age"] += 1
        assert {name: other[name] for name in names} == expected
        compared += 1
    assert compared > 15


def test_what_was_written_as_ndjson_is_read_again(filled: str, tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "table")
    written = info(filled, dest=path, format="ndjson")
    read_again = info(filled, src=path)
    assert read_again["not_understood"] == 0

    def comparable(found: dict[str, t.Any]) -> list[str]:
        return sorted(
            repr({name: entry[name] for name in sorted(entry.keys() - _NEVER_THERE)}) for entry in found["entries"]
        )

    assert comparable(read_again) == comparable(written)
    assert len(read_again["entries"]) > len(MADE) + 20


def test_files_of_the_module(filled: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "table.xml"
    written = info(filled, dest=str(path), format="xml", match=[{"protocol": "udp"}])
    assert len(ElementTree.fromstring(path.read_text()).findall("flow")) == written["matched"] > 10
    info(filled, dest=str(path), format="xml", match=[{"source": "192.0.2.77"}])
    assert path.read_text() == f"{FIRST_LINES}\n{LAST_LINE}\n"
    assert info(filled, src=str(path))["total"] == 0


def test_lines_show_it_as_well(filled: str) -> None:
    [line] = info(
        filled, match=[{"protocol": "icmp", "icmp_type": 13, "source": "198.18.0.1"}], lines=True, output=["id"]
    )["lines"]
    assert re.search(r" use=1 id=\d+$", line)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"output": ["id"], "group_by": ["protocol"]}, ("output", "'id'", "lines=true")),
        ({"output": ["id"], "dest": "/var/tmp/t", "format": "save"}, ("output", "format extended or xml")),
        ({"output": ["ktimestamp"], "src": "/var/tmp/t"}, ("output", "'ktimestamp'", "not when they began")),
        ({"output": ["secmark"]}, ("output", "secmark", "id, labels, ktimestamp, timestamp")),
    ],
)
def test_refused(filled: str, args: dict[str, t.Any], words: tuple[str, ...]) -> None:
    assert_refused(run_module("conntrack_info", args, netns=filled), *words)
