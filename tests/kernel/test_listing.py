# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file that a router's programs wrote is the table of that router, in every output option, beside a real dump."""

from __future__ import annotations

import dataclasses
import gzip
import json
import pathlib
import re
import stat
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._listing.listing import Listing
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._query.query import Query, run_query
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
from helpers.kernel_entries import ACCOUNTING, LASTING, MADE, fill, shown
from helpers.support import ModuleResult, assert_refused, network_namespace, run, run_module

FORMATS = (
    "plain",
    "extended",
    "id",
    "labels",
    "ktimestamp",
    "extended,id,labels,ktimestamp,timestamp",
    "xml",
    "xml,id,labels,ktimestamp",
    "save",
    "proc",
)
UNPRIVILEGED = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@dataclasses.dataclass(frozen=True)
class Router:
    """A namespace with every kind of entry, a dump of it, and the files that were written there."""

    netns: str
    files: pathlib.Path
    blocks: list[Block]
    context: Context

    def file(self, form: str) -> str:
        return str(self.files / f"{form}.txt")

    def count(self) -> None:
        """Return that the kernel is not asked any more."""

    def read(
        self,
        collect: t.Callable[[t.Iterator[Block]], dict[str, t.Any]],
        _conditions: object = (),
        *,
        fields: object = None,
    ) -> t.Any:
        return collect(iter(self.blocks))


@pytest.fixture(scope="module", params=["accounting", "without counters"])
def router(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Router]:
    files = tmp_path_factory.mktemp("listings")
    with network_namespace("listing") as netns:
        run(["sysctl", "-qw", *LASTING, "net.netfilter.nf_conntrack_tcp_timeout_unacknowledged=9999"], netns=netns)
        if request.param == "accounting":
            run(["sysctl", "-qw", *ACCOUNTING], netns=netns)
        fill(netns)
        for form in FORMATS:
            if form == "plain":
                text = run(["conntrack", "-L"], netns=netns)
            elif form == "proc":
                text = run(["cat", "/proc/net/nf_conntrack"], netns=netns)
            else:
                text = shown(netns, form)
            (files / f"{form}.txt").write_text(text)
        with inside(netns), Table() as table:
            yield Router(netns, files, table.read(list), Context.read(read_settings()))


def query(router: Router, form: str | None, args: dict[str, t.Any]) -> ModuleResult:
    """Ask the file of this format, or the kernel."""
    if form is None:
        return run_module("conntrack_info", args, netns=router.netns)
    return run_module("conntrack_info", {"src": router.file(form), **args})


# What a format does not tell of an entry.
_XML_LACKS = ("icmp_type", "icmp_code", "icmp_id", "reply_icmp_type", "reply_icmp_code", "reply_icmp_id")
LACKS: dict[str, tuple[str, ...]] = {
    "save": ("mark", "packets_original", "reply_icmp_type", "reply_icmp_code", "reply_icmp_id"),
}
GROUPS = (
    ["family", "protocol", "state", "replied"],
    ["nat"],
    ["source", "destination"],
    ["source_port", "destination_port", "reply_source_port", "reply_destination_port"],
    ["source/24/64"],
    ["reply_source", "reply_destination"],
    ["zone", "zone_original", "zone_reply"],
    ["assured"],
    ["mark"],
    ["icmp_type", "icmp_code", "icmp_id", "reply_icmp_type", "reply_icmp_code", "reply_icmp_id"],
    ["source_key", "destination_key"],
)


# The tool shows ports 0 of DCCP, which this kernel does not track and which has none. The connection to port 2122 is
# still being closed, so that its counters grow.
EXCLUDED = [{"protocol": "dccp"}, {"destination_port": 2122}]


def asked(router: Router, form: str | None, match: t.Any, names: t.Sequence[str] = ()) -> dict[str, t.Any]:
    """Ask the file of this format, or the dump, in this process."""
    query = Query(names, [], 1000, entries=False)
    if form is None:
        selection = compile_selection(match, EXCLUDED, router.context)
        return run_query(router, selection, router.context, query)
    with Listing(router.file(form)) as listing:
        context = listing.context({})
        return run_query(listing, compile_selection(match, EXCLUDED, context), context, query)


def groups_of(router: Router, form: str | None, names: list[str]) -> dict[str, tuple[t.Any, ...]]:
    found = {}
    for group in asked(router, form, "family=ipv4,ipv6", names)["groups"]:
        key = json.dumps([group[name] for name in names])
        found[key] = (group["entries"], group["packets"], group["bytes"], group["without_counters"])
    return found


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_groups(router: Router, form: str) -> None:
    for names in GROUPS:
        if set(names) & set(LACKS.get(form, ())) or (form.startswith("xml") and set(names) & {*_XML_LACKS, "state"}):
            continue
        from_file, wanted = (groups_of(router, each, names) for each in (form, None))
        if form == "save":
            from_file = {key: counts[:1] for key, counts in from_file.items()}
            wanted = {key: counts[:1] for key, counts in wanted.items()}
        assert from_file == wanted, names


@pytest.mark.parametrize("form", FORMATS)
def test_every_line_is_understood(router: Router, form: str) -> None:
    result = query(router, form, {"limit": 0}).data
    assert result["not_understood"] == 0
    assert result["not_understood_lines"] == []
    assert result["total"] == result["matched"] > len(MADE)
    assert result["src"] == router.file(form)


SELECTORS = (
    "protocol=tcp state=ESTABLISHED",
    "protocol=tcp replied=false",
    "family=ipv6",
    "nat=snat",
    "nat=dnat",
    "source=198.18.0.0/16 destination_port=1-3 protocol=tcp,udp",
    "address=203.0.113.1",
    "protocol=sctp",
    "protocol=gre source_key=1",
    "protocol=99",
    "zone=9",
    "zone_original=9",
    "zone_reply=8",
    "remaining.min=1",
    "assured=true",
    "offloaded=true",
)


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_entries_are_selected(router: Router, form: str) -> None:
    for match in SELECTORS:
        if form.startswith(("xml", "save")) and match == "offloaded=true":
            continue
        from_file, from_kernel = (asked(router, each, match) for each in (form, None))
        assert from_file["matched"] == from_kernel["matched"], match
        assert from_file["undecidable"] == from_kernel["undecidable"] == 0


def test_what_is_shown_with_options_is_read(router: Router) -> None:
    form = "extended,id,labels,ktimestamp,timestamp"
    wanted = query(router, None, {"limit": 1000, "entries": True}).data["entries"]
    found = {entry["id"]: entry for entry in query(router, form, {"limit": 1000, "entries": True}).data["entries"]}
    assert len(found) == len(wanted)
    for entry in wanted:
        own = found[entry["id"]]
        assert own["labels"] == (entry["labels"] or None)
        assert own["helper"] == entry["helper"]
        assert (own["status"], own["expected"]) == (None, None)
        assert (own["age"] is None) == (entry["age"] is None)
        if own["age"] is not None:
            assert 0 <= entry["age"] - own["age"] < 600


@pytest.mark.parametrize(
    ("form", "match"),
    [
        ("extended", "expected=true"),
        ("proc", "helper=sip"),
        ("plain", "label=5"),
        ("extended", "idle.min=1"),
        ("xml", "protocol=icmp icmp_type=8"),
        ("xml", "offloaded=false"),
        ("plain", "id=1-4294967295"),
        ("save", "bytes.min=1"),
    ],
)
def test_what_a_file_does_not_tell_is_undecidable(router: Router, form: str, match: str) -> None:
    result = query(router, form, {"match": match})
    assert_refused(result, "entries cannot be decided", re.split("[.=]", match.split()[-1])[0])
    assert result.data["undecidable"] > 0


def test_a_part_that_cannot_be_decided_is_a_warning(router: Router) -> None:
    result = query(router, "extended", {"match": "helper=ftp", "limit": 0})
    assert (result.data["matched"], result.data["undecidable"]) == (2, result.data["total"] - 2)
    assert "entries cannot be decided" in str(result.data["warnings"])


def test_idle_with_the_routers_settings(router: Router) -> None:
    args = {"match": "protocol=tcp state=ESTABLISHED idle.min=100d", "group_by": ["destination_port"]}
    assert_refused(query(router, "extended", args), "give the timeouts of the router as settings")
    settings = {"tcp_timeout_established": 20_000_000}
    result = query(router, "extended", {**args, "settings": settings}).data
    established = query(router, None, {"match": "protocol=tcp state=ESTABLISHED"}).data["matched"]
    # What is younger than that has not been idle for so long.
    has_ages = router.context.settings["timestamp"] == 1
    assert (result["matched"], result["undecidable"]) == (0 if has_ages else established, 0)
    assert result["settings"] == settings
    assert_refused(query(router, None, {"settings": settings}), "settings", "only for a file")


def test_the_explanation_is_that_of_the_table(router: Router) -> None:
    args = {"explain": 5, "limit": 0}
    from_file, from_kernel = (query(router, form, args).data["filled_by"] for form in ("extended", None))
    assert from_file == from_kernel
    facts = run_module("conntrack_facts", {"gather_subset": ["table"]}, netns=router.netns).data
    assert from_kernel == facts["ansible_facts"]["conntrack"]["table"]["filled_by"]
    assert query(router, None, {"limit": 0}).data["filled_by"] is None


def test_without_root_without_connection_tracking_and_compressed(router: Router, tmp_path: pathlib.Path) -> None:
    for place in (tmp_path, *tmp_path.parents[:3]):
        # The last one can be /tmp, whose other bits stay.
        place.chmod(stat.S_IMODE(place.stat().st_mode) | 0o755)
    path = tmp_path / "dump.txt.gz"
    path.write_bytes(gzip.compress(pathlib.Path(router.file("extended")).read_bytes()))
    hidden = ("unshare", "--mount", "sh", "-ec", 'mount -t tmpfs none /proc/sys/net; exec "$@"', "sh", *UNPRIVILEGED)
    result = run_module("conntrack_info", {"src": str(path), "group_by": ["protocol"]}, wrapper=hidden)
    assert not result.failed, result.msg
    assert result.data["total"] == query(router, "extended", {}).data["total"]


def test_the_file_of_proc_itself(router: Router) -> None:
    result = run_module("conntrack_info", {"src": "/proc/net/nf_conntrack"}, netns=router.netns)
    assert result.data["total"] == query(router, None, {}).data["total"]


def test_lines_come_out_as_they_went_in(router: Router) -> None:
    wanted = sorted(pathlib.Path(router.file("plain")).read_text().splitlines())
    assert sorted(query(router, "plain", {"limit": 1000}).data["lines"]) == wanted


def test_entries_of_a_file_are_exported(router: Router, tmp_path: pathlib.Path) -> None:
    dest = tmp_path / "tcp.csv"
    args = {"match": "protocol=tcp", "dest": str(dest), "format": "csv", "limit": 0}
    matched = query(router, "extended", args).data["matched"]
    assert len(dest.read_text().splitlines()) == matched + 1


def test_lines_that_are_not_understood_are_shown(tmp_path: pathlib.Path, router: Router) -> None:
    path = tmp_path / "damaged.txt"
    good = pathlib.Path(router.file("extended")).read_text()
    path.write_text(f"{good}what is this\x07\n{good.splitlines()[0][:80]}")
    result = run_module("conntrack_info", {"src": str(path)}).data
    assert result["total"] == len(good.splitlines())
    assert result["not_understood"] == 2
    assert [line["line"] for line in result["not_understood_lines"]] == [result["total"] + 1, result["total"] + 2]
    assert result["not_understood_lines"][0]["text"] == "what is this\\x07"
    assert "2 lines were not understood" in str(result["warnings"])


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"src": "-"}, ("src", "'-'", "path of a file")),
        ({"src": "/nowhere/at/all"}, ("src", "/nowhere/at/all", "No such file")),
        ({"src": "/dev/zero"}, ("src", "/dev/zero", "not a regular file")),
        ({"src": "/proc/net/nf_conntrack", "netns": "x"}, ("src", "netns")),
        ({"src": "/proc/net/nf_conntrack", "settings": {"tcp_timout": 1}}, ("settings.tcp_timout",)),
        ({"src": "/proc/net/nf_conntrack", "match": "nothing=1"}, ("match", "nothing")),
    ],
    ids=str,
)
def test_refused(args: dict[str, t.Any], words: tuple[str, ...]) -> None:
    assert_refused(run_module("conntrack_info", args), *words)


def test_what_save_tells(router: Router) -> None:
    """Only -o save tells which entry was expected. It tells nothing of these others."""
    for match in ("label=5", "id=1-4294967295", "idle.min=1", "age.min=1", "helper=ftp", "packets.min=0"):
        assert_refused(query(router, "save", {"match": match}), "cannot be decided")
    told = query(router, "save", {"match": "expected=true"}).data
    assert (told["matched"], told["undecidable"]) == (1, 0)
