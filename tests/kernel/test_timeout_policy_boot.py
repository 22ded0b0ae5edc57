# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""conntrack_timeout_policy with persist, on routers with an /etc of their own, which nft(8) loads as a boot does."""

from __future__ import annotations

import contextlib
import pathlib
import re
import typing as t

import pytest
import yaml
from helpers.run_records import remove_records
from helpers.support import CHECKOUT, ModuleResult, assert_refused, network_namespace, run, run_module

TABLE = "inet filter"
CHAIN = "chain early { type filter hook prerouting priority mangle; }"
RULE = """
table inet filter {
  chain early {
    type filter hook prerouting priority mangle
    udp dport 5060 ct timeout set "sip"
  }
}
"""
SIP: dict[str, t.Any] = {"name": "sip", "protocol": "udp", "timeouts": {"replied": "1h"}, "nft_table": TABLE}
KEPT: dict[str, t.Any] = {**SIP, "persist": True}
GONE = {"name": "sip", "nft_table": TABLE, "persist": True, "state": "absent"}
FILE = "/etc/nftables.d/netops-conntrack-inet-filter-sip.nft"
INCLUDE = 'include "/etc/nftables.d/*.nft"'
UNIT = """
[Service]
Type=oneshot
ExecStart=/usr/sbin/nft -f /etc/nftables.conf
"""


class Boot:
    """A router with a network namespace, and an /etc with the files of a boot."""

    def __init__(self, netns: str, etc: pathlib.Path) -> None:
        self.netns = netns
        self.etc = etc
        self.enable()
        self.conf = f"flush ruleset\n{INCLUDE}\ntable {TABLE} {{ {CHAIN}\n}}\n"
        self.write("nftables.conf", self.conf)
        self.load(netns)

    def write(self, name: str, text: str) -> None:
        path = self.etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def enable(self) -> None:
        self.write("systemd/system/nftables.service", UNIT)
        wants = self.etc / "systemd" / "system" / "sysinit.target.wants"
        wants.mkdir()
        (wants / "nftables.service").symlink_to("/etc/systemd/system/nftables.service")

    def wrapper(self, mount: str = ":") -> list[str]:
        script = f'mount --make-rprivate /; mount --bind {self.etc} /etc; {mount}; exec "$@"'
        return ["unshare", "--mount", "sh", "-ec", script, "sh"]

    def load(self, netns: str) -> None:
        """Do in a namespace what the unit does at boot."""
        run([*self.wrapper(), "nft", "-f", "/etc/nftables.conf"], netns=netns)

    def __call__(self, args: dict[str, t.Any], *, mount: str = ":", **more: t.Any) -> ModuleResult:
        options = {"netns": self.netns, "diff": True, **more}
        return run_module("conntrack_timeout_policy", args, wrapper=self.wrapper(mount), **options)

    @property
    def file(self) -> str | None:
        path = self.etc / pathlib.Path(FILE).relative_to("/etc")
        return path.read_text(encoding="utf-8") if path.exists() else None

    @property
    def files(self) -> list[str]:
        directory = self.etc / "nftables.d"
        return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


@contextlib.contextmanager
def namespace() -> t.Iterator[str]:
    with network_namespace("boot") as name:
        try:
            yield name
        finally:
            remove_records(name)


@pytest.fixture
def boot(tmp_path: pathlib.Path) -> t.Iterator[Boot]:
    with namespace() as name:
        etc = tmp_path / "etc"
        etc.mkdir()
        yield Boot(name, etc)


def objects(netns: str, table: str = TABLE) -> str:
    return run(["nft", "list", "table", *table.split()], netns=netns)


def warnings(result: ModuleResult) -> str:
    return str(result.data.get("warnings", ""))


def test_file_is_made_changed_and_removed_and_each_second_run_changes_nothing(boot: Boot) -> None:
    steps = [KEPT, {**KEPT, "timeouts": {"unreplied": 61}}, {**KEPT, "timeouts": {"replied": "2h"}}, GONE]
    for args in steps:
        before = boot.file
        predicted = boot(args, check=True)
        assert boot.file == before
        done = boot(args)
        again = boot(args)
        assert not done.failed, done.msg
        assert not warnings(done)
        assert (predicted.data["changed"], done.data["changed"], again.data["changed"]) == (True, True, False)
        assert predicted.data["diff"] == done.data["diff"]
        [_kernel, of_file] = done.data["diff"]
        assert of_file["before_header"] == FILE
        assert (of_file["before"], of_file["after"]) == (before or "", boot.file or "")
        assert done.data["boot"]["checked"] is True
    assert boot.files == []
    assert done.data["boot"] == {"file": None, "loaded_by": None, "checked": True}
    assert "ct timeout" not in objects(boot.netns)


def test_file_alone_is_written_if_only_that_is_missing(boot: Boot) -> None:
    assert boot(SIP).data["changed"] is True
    assert boot(SIP).data["boot"] is None
    assert boot.file is None
    result = boot(KEPT)
    assert result.data["changed"] is True
    assert result.data["policy"] == result.data["policy_before"]
    assert result.data["boot"] == {"file": FILE, "loaded_by": "/etc/nftables.conf:2", "checked": True}
    path = boot.etc / pathlib.Path(FILE).relative_to("/etc")
    assert (path.stat().st_mode & 0o7777, path.stat().st_uid) == (0o644, 0)
    assert boot.files == [path.name]


@pytest.mark.parametrize(
    ("table", "about"),
    [
        ("inet filter", {"protocol": "udp", "timeouts": {"replied": "1h"}}),
        ("ip filter", {"protocol": "udp", "timeouts": {"unreplied": 61}}),
        ("ip6 filter", {"protocol": "udp", "family": "ipv6", "timeouts": {"replied": 61}}),
        ("inet filter", {"protocol": "tcp", "timeouts": {"max_retrans": 61, "unacknowledged": 62, "syn_sent2": 63}}),
    ],
)
def test_next_boot_makes_what_the_module_made(boot: Boot, table: str, about: dict[str, t.Any]) -> None:
    boot.write("nftables.conf", f"flush ruleset\n{INCLUDE}\ntable {table} {{ {CHAIN}\n}}\n")
    boot.load(boot.netns)
    # The policy has timeouts that are neither those of nft(8) nor those of a kernel that has just started.
    for name in "udp_timeout", "udp_timeout_stream", "tcp_timeout_established":
        run(["sysctl", "-qw", f"net.netfilter.nf_conntrack_{name}=77"], netns=boot.netns)
    args = {"name": "sip", "nft_table": table, **about, "persist": True}
    made = boot(args)
    assert not made.failed, made.msg
    with namespace() as fresh:
        boot.load(fresh)
        assert objects(fresh, table) == objects(boot.netns, table)
        again = boot(args, netns=fresh)
        assert (again.data["changed"], again.data["policy"]) == (False, made.data["policy"])
    with namespace() as fresh:
        name = f"/etc/nftables.d/netops-conntrack-{table.replace(' ', '-')}-sip.nft"
        run([*boot.wrapper(), "nft", "-f", name], netns=fresh)
        assert run_module("conntrack_timeout_policy", {**args, "persist": False}, netns=fresh).data["changed"] is False


def test_boot_that_does_not_load_it_is_warned_of_with_the_line_that_is_missing(boot: Boot) -> None:
    boot.write("nftables.conf", boot.conf.replace(INCLUDE, f"# {INCLUDE}"))
    for args in KEPT, KEPT:
        result = boot(args)
        assert result.data["boot"] == {"file": FILE, "loaded_by": None, "checked": True}
        assert "does NOT make the policy, because /etc/nftables.conf does not include" in warnings(result)
        assert INCLUDE in warnings(result)
    boot.write("nftables.conf", boot.conf.replace("table", f"{INCLUDE}\ntable").replace(INCLUDE, "", 1))
    result = boot(KEPT)
    assert (result.data["changed"], warnings(result)) == (False, "")
    assert result.data["boot"]["loaded_by"] == "/etc/nftables.conf:4"
    with namespace() as fresh:
        boot.load(fresh)
        assert "ct timeout sip" in objects(fresh)


def test_unit_that_is_not_enabled_loads_nothing(boot: Boot) -> None:
    (boot.etc / "systemd/system/sysinit.target.wants/nftables.service").unlink()
    result = boot(KEPT)
    assert "no enabled unit of systemd loads a file" in warnings(result)
    assert "systemctl enable nftables" in warnings(result)
    assert result.data["boot"]["loaded_by"] is None


def test_ruleset_that_would_not_load_with_the_file_is_refused_and_nothing_is_changed(boot: Boot) -> None:
    # The file makes the table, and so the statement behind it is refused.
    boot.write("nftables.conf", f"flush ruleset\n{INCLUDE}\ncreate table {TABLE}\n")
    boot.load(boot.netns)
    before = objects(boot.netns)
    result = boot(KEPT)
    assert_refused(result, "the next boot would be one without a firewall", "/etc/nftables.conf", "Nothing was changed")
    assert boot.files == []
    assert objects(boot.netns) == before


@pytest.mark.parametrize("statement", ["flush ruleset", "delete table inet filter", "flush ruleset inet # all"])
def test_ruleset_that_removes_it_again_is_warned_of(boot: Boot, statement: str) -> None:
    begin = f"flush ruleset\n{INCLUDE}\n"
    boot.write("nftables.conf", f"{begin}{statement}\ntable {TABLE} {{ {CHAIN}\n}}\n")
    result = boot(KEPT)
    assert result.data["boot"]["loaded_by"] is None
    assert "/etc/nftables.conf:3 removes it again after /etc/nftables.conf:2 has loaded it" in warnings(result)
    with namespace() as fresh:
        boot.load(fresh)
        assert "ct timeout" not in objects(fresh)


def test_rule_in_the_files_keeps_a_policy_from_being_removed(boot: Boot) -> None:
    assert not boot(KEPT).failed
    boot.write("nftables.conf", boot.conf + RULE)
    text, before = boot.file, objects(boot.netns)
    result = boot(GONE)
    assert_refused(result, "the next boot would be one without a firewall", "/etc/nftables.conf needs it")
    assert (boot.file, objects(boot.netns)) == (text, before)
    boot.write("nftables.conf", boot.conf)
    assert boot(GONE).data["changed"] is True
    assert boot.file is None


def test_ruleset_that_does_not_load_anyway_is_left_to_its_operator(boot: Boot) -> None:
    boot.write("nftables.conf", boot.conf + "no such word\n")
    assert boot(KEPT).data["changed"] is True
    assert boot.file is not None


def test_removed_without_its_file_is_warned_of(boot: Boot) -> None:
    assert not boot(KEPT).failed
    result = boot({**GONE, "persist": False})
    assert f"{FILE} is still there" in warnings(result)
    assert boot.file is not None
    result = boot(GONE)
    assert (result.data["changed"], warnings(result)) == (True, "")
    assert boot.files == []


def test_changed_without_its_file_is_warned_of(boot: Boot) -> None:
    assert not boot(KEPT).failed
    text = boot.file
    result = boot({**KEPT, "timeouts": {"replied": "30m"}, "persist": False})
    assert result.data["changed"] is True
    assert f"may make another policy of this name, because {FILE} is still there" in warnings(result)
    assert boot.file == text


def test_file_that_nothing_would_write_is_refused(boot: Boot) -> None:
    result = boot({**KEPT, "persist": False, "nft_file": FILE})
    assert_refused(result, f"nft_file: '{FILE}' is for a policy that the next boot makes again. Set persist: true")
    assert "ct timeout" not in objects(boot.netns)


@pytest.mark.parametrize(
    "text", ["table inet filter { }\n", "", "# The timeout policy other of the table inet filter\n"]
)
def test_file_of_others_is_not_touched(boot: Boot, text: str) -> None:
    boot.write("nftables.d/netops-conntrack-inet-filter-sip.nft", text)
    for args in KEPT, GONE:
        assert_refused(boot(args), f"nft_file: '{FILE}' is there, and is not the file of this policy")
    assert boot.file == text
    assert "ct timeout" not in objects(boot.netns)


def test_what_the_page_says_is_loaded_at_boot(boot: Boot) -> None:
    page = (CHECKOUT / "docs" / "timeouts.md").read_text(encoding="utf-8")
    section = page[page.index("## Keep it over a reboot") : page.index("## What gets which timeout")]
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    conf = next(text for language, text in blocks if language == "nft")
    [task] = next(yaml.safe_load(text) for language, text in blocks if language == "yaml")
    args = task["netops.conntrack.conntrack_timeout_policy"]
    boot.write("nftables.conf", conf.replace("udp dport", "#"))
    boot.load(boot.netns)
    result = boot(args)
    assert (result.data["changed"], warnings(result)) == (True, "")
    assert result.data["boot"]["loaded_by"] == "/etc/nftables.conf:3"
    assert FILE in section
    boot.write("nftables.conf", conf)
    with namespace() as fresh:
        boot.load(fresh)
        again = boot(args, netns=fresh)
        assert (again.data["changed"], again.data["policy"]["users"]) == (False, 1)
        refused = boot({**args, "timeouts": {"replied": "2h"}}, netns=fresh)
        assert_refused(refused, "'sip' cannot be changed, because a rule uses it", "Delete the rules first")
    # The rule stands in the file before there is a policy.
    with namespace() as fresh:
        (boot.etc / pathlib.Path(FILE).relative_to("/etc")).unlink()
        with pytest.raises(AssertionError, match="No such file or directory"):
            boot.load(fresh)


def test_file_of_another_policy_is_not_touched(boot: Boot) -> None:
    named = {"nft_file": "/etc/nftables.d/timeouts.nft"}
    assert not boot({**KEPT, **named}).failed
    assert_refused(boot({**KEPT, **named, "name": "dns"}), "is not the file of this policy")
    assert boot.files == ["timeouts.nft"]


def test_include_inside_of_a_table_is_refused(boot: Boot) -> None:
    boot.write("nftables.conf", f"flush ruleset\ntable {TABLE} {{\n  {INCLUDE}\n  {CHAIN}\n}}\n")
    assert_refused(boot(KEPT), "is included inside of a block (/etc/nftables.conf:3)")
    assert boot.files == []


def test_without_nft_nothing_is_checked(boot: Boot) -> None:
    result = boot(KEPT, mount="mount --bind /dev/null /usr/sbin/nft")
    assert not result.failed, result.msg
    assert result.data["boot"] == {"file": FILE, "loaded_by": "/etc/nftables.conf:2", "checked": None}
    assert boot(KEPT).data["boot"]["checked"] is True


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nft_table": None}, ("persist: True is for objects of nftables only", "for_boot")),
        ({"netns": "no-such"}, ("persist: True cannot be combined with netns",)),
        ({"nft_file": "/etc/nftables.d/sip.conf"}, ("nft_file: '/etc/nftables.d/sip.conf'", "ends in .nft")),
        ({"nft_file": "sip.nft"}, ("nft_file: 'sip.nft' is not the full path", "Give a file such as")),
        ({"nft_file": "/etc/nftables.d/.sip.nft"}, ("nft_file: '/etc/nftables.d/.sip.nft'",)),
        ({"name": "a/b"}, ("name: 'a/b' does not fit into the name of a file", "Give nft_file")),
    ],
    ids=str,
)
def test_mistakes(boot: Boot, change: dict[str, t.Any], words: tuple[str, ...]) -> None:
    assert_refused(boot({**KEPT, **change}), *words)
    assert boot.files == []
    assert "ct timeout" not in objects(boot.netns)
