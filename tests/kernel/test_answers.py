# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules really answer is let in whole by the controller, which knows the shape of every answer."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import AnswerError
from ansible_collections.netops.conntrack.plugins.module_utils._query.fields import ALL_FIELDS
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.answer import Expected
from helpers.expecting import LOOPBACK, Request, announce_ftp, expecting, send
from helpers.forged_answers import lies
from helpers.kernel_entries import ACCOUNTING, fill
from helpers.run_records import remove_records
from helpers.settings_module import Settings
from helpers.support import ModuleResult, network_namespace, run, run_module

ALL = {"match": "family=ipv4,ipv6"}
EVERY_SUBSET = ["usage", "settings", "stats", "boot", "table", "selectors", "expectations", "pair", "namespaces"]


@pytest.fixture(scope="module")
def netns() -> t.Iterator[str]:
    """Yield a namespace with every kind of entry."""
    with network_namespace("answers", tracking=False) as name:
        run(["sysctl", "-qw", *ACCOUNTING], netns=name)
        fill(name)
        yield name
        remove_records(name)


def assert_let_in(module: str, args: dict[str, t.Any], result: ModuleResult) -> None:
    """Assert that nothing of an honest answer is refused, changed or dropped."""
    honest = {key: value for key, value in result.data.items() if key != "invocation"}
    if "warnings" in honest:
        honest["warnings"] = [warning["event"]["msg"] for warning in honest["warnings"]]
    kept = Expected(module, args).accepted(result.data)
    assert {key: value for key, value in kept.items() if key != "invocation"} == honest


@pytest.mark.parametrize("subset", [*EVERY_SUBSET, "all"])
def test_facts(netns: str, subset: str) -> None:
    args = {"gather_subset": EVERY_SUBSET if subset == "all" else [subset], "top": 100, "netns": netns}
    assert_let_in("conntrack_facts", args, run_module("conntrack_facts", args))


def test_odd_values_in_real_facts(netns: str) -> None:
    args = {"gather_subset": EVERY_SUBSET, "netns": netns}
    real = run_module("conntrack_facts", args).data
    expected = Expected("conntrack_facts", args)
    refused = []
    for lie in lies(real):
        try:
            expected.accepted(lie)
        except AnswerError as error:
            refused.append(error.message)
    assert len(refused) > 2000
    assert all(message.startswith("Its facts are malformed (") and len(message) < 500 for message in refused)


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"gather_subset": "all"},
        {"top": 0},
        {"top": "3", "gather_subset": "usage,table"},
        {"selectors": {}},
        {"selectors": {"mine": {"match": "protocol=udp"}, "stale": {"select": ["stale"]}}},
        {
            "forecast": {
                "tcp_timeout_established": "1h",
                "net.netfilter.nf_conntrack_udp_timeout": 9,
                "max": 9,
                "acct": 1,
            }
        },
        {"gather_subset": "all", "forecast": {"generic_timeout": 9}},
        {"sample": "1s"},
        {"sample": 1, "explain": 0, "gather_subset": "stats"},
    ],
)
def test_facts_as_they_are_asked_for(netns: str, args: dict[str, t.Any]) -> None:
    assert_let_in("conntrack_facts", args, run_module("conntrack_facts", args, netns=netns))


def add_entry_without_counters(netns: str) -> None:
    run(["sysctl", "-qw", "net.netfilter.nf_conntrack_acct=0"], netns=netns)
    entry = "-I -p tcp -s 198.18.0.1 -d 198.18.0.2 -t 99 --sport 1 --dport 2 --state ESTABLISHED"
    run(["conntrack", *entry.split()], netns=netns)


EVERYTHING = {"gather_subset": "all"}


@pytest.mark.alone
@pytest.mark.parametrize(
    "args",
    [
        {"gather_subset": "all,namespaces", "namespaces": "named"},
        {"namespaces": "all", "top": "2", "explain": 1, "selectors": {"mine": {"match": "protocol=udp"}}},
    ],
)
def test_facts_of_other_namespaces(netns: str, args: dict[str, t.Any]) -> None:
    result = run_module("conntrack_facts", args)
    other = result.data["ansible_facts"]["conntrack"]["namespaces"][netns]
    assert other["table"]["filled_by"]
    assert other["selectors"]
    assert_let_in("conntrack_facts", args, result)


def test_facts_without_counters() -> None:
    with network_namespace("answers") as name:
        add_entry_without_counters(name)
        result = run_module("conntrack_facts", EVERYTHING, netns=name)
    assert any(counts["unavailable"] for counts in result.data["ansible_facts"]["conntrack"]["selectors"].values())
    assert_let_in("conntrack_facts", EVERYTHING, result)


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"limit": 1000, "entries": True},
        {"limit": 0},
        {"limit": 1000, "lines": True, "entries": True},
        *({"group_by": [field], "limit": 1000} for field in ALL_FIELDS if field not in ("packets", "bytes")),
        {"group_by": "source/24/64,protocol", "limit": "50"},
    ],
    ids=str,
)
def test_info(netns: str, args: dict[str, t.Any]) -> None:
    result = run_module("conntrack_info", args, netns=netns)
    assert not result.failed
    assert_let_in("conntrack_info", args, result)


@pytest.mark.parametrize(
    "args", [{}, {"limit": 1000, "entries": True, "group_by": ["source"]}, {"explain": 0, "limit": "0"}], ids=str
)
def test_events(netns: str, args: dict[str, t.Any]) -> None:
    result = run_module("conntrack_events", {"duration": "1s", **args}, netns=netns)
    assert not result.failed
    assert_let_in("conntrack_events", {"duration": "1s", **args}, result)


def test_info_of_a_file(netns: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "listing.txt"
    path.write_text(run(["conntrack", "-L", "-o", "extended,id"], netns=netns) + "no \x1b entry\n" * 20)
    args = {"src": str(path), "limit": 1000, "entries": True, "lines": True, "group_by": ["source"], "explain": 5}
    result = run_module("conntrack_info", {**args, "settings": {"udp_timeout": "30s"}})
    assert (result.data["not_understood"], len(result.data["not_understood_lines"])) == (20, 10)
    assert_let_in("conntrack_info", args, result)


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    "args",
    [
        {**ALL, "sample": 1000},
        {**ALL, "sample": 1000, "protect_helpers": False},
        {**ALL, "confirm_idle": "1s"},
        {**ALL, "backup": True, "backup_keep": 1},
        {"match": "protocol=tcp", "max_delete": 0},
        {"select": ["stale"]},
    ],
    ids=str,
)
def test_prune(args: dict[str, t.Any], check: bool, tmp_path: pathlib.Path) -> None:
    args = {**args, "backup_dir": str(tmp_path / "backups")}
    with network_namespace("answers", tracking=False) as name:
        run(["sysctl", "-qw", *ACCOUNTING], netns=name)
        fill(name)
        result = run_module("conntrack_prune", args, netns=name, check=check, diff=True)
        assert_let_in("conntrack_prune", args, result)


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    "args", [{**ALL, "mark": "7"}, {**ALL, "timeout": {"max": 50}}, {"timeout": "settings"}], ids=str
)
def test_update(args: dict[str, t.Any], check: bool) -> None:
    with network_namespace("answers", tracking=False) as name:
        fill(name)
        result = run_module("conntrack_update", args, netns=name, check=check, diff=True)
        remove_records(name)
        assert_let_in("conntrack_update", args, result)


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("helper", [None, "no-such-helper"])
def test_create(helper: str | None, check: bool) -> None:
    entry = {"protocol": "udp", "source": "10.0.0.5", "source_port": 5060, "remaining": "1h", "helper": helper}
    args = {"entries": [{**entry, "destination": "203.0.113.9", "destination_port": 5060}]}
    with network_namespace("answers") as name:
        result = run_module("conntrack_create", args, netns=name, check=check, diff=True)
    assert result.failed == (helper is not None and not check)
    assert_let_in("conntrack_create", args, result)


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("zone", [0, 3])
def test_create_expectations(zone: int, check: bool) -> None:
    with expecting() as name:
        port = announce_ftp(name, 3000)
        [found] = run_module("conntrack_expect_info", {}, netns=name).data["expectations"]
        run(["conntrack", "-F", "expect"], netns=name)
        args = {"expectations": [{**found, "zone": zone}]}
        result = run_module("conntrack_create", args, netns=name, check=check, diff=True)
    assert found["master"]["source_port"] == port
    assert result.failed == bool(zone)
    assert_let_in("conntrack_create", args, result)


@pytest.mark.parametrize("check", [True, False])
def test_restore(tmp_path: pathlib.Path, check: bool) -> None:
    with network_namespace("answers", tracking=False) as name:
        fill(name)
        path = tmp_path / "table.txt"
        path.write_text(run(["conntrack", "-L", "-o", "extended"], netns=name))
        run(["conntrack", "-D", "-p", "udp"], netns=name)
        args = {"src": str(path), "match": "family=ipv4,ipv6", "exclude": "protocol=dccp"}
        result = run_module("conntrack_restore", args, netns=name, check=check, diff=True)
        assert not result.failed, result.msg
        assert_let_in("conntrack_restore", args, result)


@pytest.fixture(scope="module")
def expectant() -> t.Iterator[str]:
    """Yield a namespace that expects connections of helpers and of a rule, with NAT, zones and IPv6."""
    with expecting() as name:
        send(name, *(Request(port=port) for port in (69, 7000, 7100, 7777)), Request(destination="127.0.0.77"))
        send(name, Request(source=LOOPBACK[6], destination=LOOPBACK[6]))
        announce_ftp(name, 3000)
        yield name


@pytest.mark.parametrize(
    "args", [{}, {"limit": 0, "group_by": ["helper"]}, {"group_by": "master,class,zone,protocol,family", "limit": "50"}]
)
def test_expect_info(expectant: str, args: dict[str, t.Any]) -> None:
    result = run_module("conntrack_expect_info", args, netns=expectant)
    assert result.data["matched"] == 7
    assert_let_in("conntrack_expect_info", args, result)


def test_facts_about_expectations(expectant: str) -> None:
    args = {"gather_subset": ["expectations"], "top": 3}
    result = run_module("conntrack_facts", args, netns=expectant)
    assert result.data["ansible_facts"]["conntrack"]["expectations"]["count"] == 7
    assert_let_in("conntrack_facts", args, result)


@pytest.mark.parametrize("args", [{**ALL, "sample": 100}, {**ALL, "max_delete": 1}, {"match": "helper=sip"}], ids=str)
def test_expect_prune(expectant: str, args: dict[str, t.Any]) -> None:
    result = run_module("conntrack_expect_prune", args, netns=expectant, check=True, diff=True)
    assert result.data["count_before"] == 7
    assert_let_in("conntrack_expect_prune", args, result)


def test_settings(tmp_path: pathlib.Path) -> None:
    settings = Settings(tmp_path / "etc")
    with network_namespace("answers") as name:
        for args in (
            {"settings": {"udp_timeout": 77, "tcp_loose": 0}},
            {"settings": {"udp_timeout": 77}, "exclusive": True},
            {"settings": {"udp_timeout": 78}, "confirm_within": "60s"},
            {"state": "confirmed"},
            {"settings": {"no_such": 1}},
            {"settings": {"no_such": 1, "acct": 1}, "unsupported": "warn"},
            {"state": "absent"},
        ):
            for check in (True, False):
                if check and args.get("state") == "confirmed":
                    continue
                result = settings(args, netns=name, check=check, diff=True)
                assert_let_in("conntrack_settings", args, result)
        remove_records(name)


def test_timeout_policy() -> None:
    about = {"name": "sip", "protocol": "udp"}
    with network_namespace("answers") as name:
        for args in (
            {**about, "timeouts": {"replied": "1h"}},
            {**about, "timeouts": {"replied": "2h"}},
            {**about, "timeouts": {"unreplied": "1m"}, "nft_table": "inet tracking"},
            {"name": "sip", "state": "absent"},
        ):
            for check in (True, False):
                result = run_module("conntrack_timeout_policy", args, netns=name, check=check, diff=True)
                assert not result.failed
                assert_let_in("conntrack_timeout_policy", args, result)
        remove_records(name)


def test_timeout_policy_that_persists() -> None:
    args = {"name": "sip", "protocol": "udp", "timeouts": {"replied": "1h"}, "nft_table": "inet tracking"}
    script = 'mount --make-rprivate /; mount -t tmpfs -o mode=755 tmpfs /etc; exec "$@"'
    with network_namespace("answers") as name:
        for more in {"persist": True}, {"persist": True, "state": "absent"}:
            wrapper = ["unshare", "--mount", "sh", "-ec", script, "sh"]
            result = run_module("conntrack_timeout_policy", {**args, **more}, netns=name, wrapper=wrapper, diff=True)
            assert not result.failed, result.msg
            assert_let_in("conntrack_timeout_policy", {**args, **more}, result)
        remove_records(name)


FAILURES: list[tuple[str, dict[str, t.Any]]] = [
    ("conntrack_facts", {"gather_subset": ["nothing"]}),
    ("conntrack_facts", {"top": -1}),
    ("conntrack_facts", {"netns": "no-such-namespace"}),
    ("conntrack_info", {"limit": "many"}),
    ("conntrack_info", {"match": "packets=1-"}),
    ("conntrack_info", {"src": "/dev/null"}),
    ("conntrack_expect_info", {"limit": -1}),
    ("conntrack_expect_prune", {}),
    ("conntrack_prune", {}),
    ("conntrack_prune", {"match": "packets=1-"}),
    ("conntrack_restore", {"src": "/nowhere/table.save"}),
    ("conntrack_update", {"timeout": {"max": 5}}),
    ("conntrack_settings", {"settings": {"udp_timeout": -1}}),
    ("conntrack_timeout_policy", {"name": "sip", "protocol": "udp", "timeouts": {"replied": -1}}),
]


@pytest.mark.parametrize(("module", "args"), FAILURES, ids=str)
def test_failures(module: str, args: dict[str, t.Any]) -> None:
    with network_namespace("answers") as name:
        add_entry_without_counters(name)
        result = run_module(module, args, netns=name)
    assert result.failed
    assert_let_in(module, args, result)


def test_a_kernel_that_tracks_nothing(netns: str) -> None:
    hidden = ("unshare", "--mount", "sh", "-ec", 'mount -t tmpfs none /proc/sys/net/netfilter; exec "$@"', "sh")
    result = run_module("conntrack_settings", {"settings": {"acct": 1}}, netns=netns, wrapper=hidden)
    assert result.data["no_conntrack"] is True
    assert_let_in("conntrack_settings", {"settings": {"acct": 1}}, result)
