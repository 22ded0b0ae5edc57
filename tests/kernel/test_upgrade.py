# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page docs/upgrade.md: what 0.4.0 left on a router is changed and restored by this version, and the other way."""

from __future__ import annotations

import os
import pathlib
import re
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._files.run_directory import DIRECTORY
from helpers import earlier_release
from helpers.run_records import remove_records
from helpers.settings_module import KEPT, PREFIX, Settings, all_sysctls, sysctl
from helpers.support import CHECKOUT, ON_ROUTERS, ModuleResult, network_namespace, run, run_module, wait_until

PAGE = (CHECKOUT / "docs" / "upgrade.md").read_text(encoding="utf-8")

HAND_MADE = f"# of the administrator\n{PREFIX}udp_timeout = 45\n"
WANTED_BY_0_4_0 = {"tcp_timeout_established": "15h", "generic_timeout": "2m", "udp_timeout": 40}


@pytest.fixture(scope="module")
def old_collection(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The directory of collections with 0.4.0, as its archive would be installed."""
    collections = tmp_path_factory.mktemp("collections-of-0.4.0")
    earlier_release.unpack(collections / "ansible_collections" / "netops" / "conntrack", "plugins")
    return collections


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("upgrade") as name:
        yield name
        remove_records(name)


@pytest.fixture
def settings(tmp_path: pathlib.Path) -> Settings:
    return Settings(tmp_path / "etc")


class Old:
    """Calls conntrack_settings of 0.4.0 on the same router."""

    def __init__(self, collections: pathlib.Path, settings: Settings, netns: str) -> None:
        self._env = {"PYTHONPATH": os.pathsep.join([str(collections), str(ON_ROUTERS)])}
        self._settings = settings
        self._netns = netns

    def __call__(self, args: dict[str, t.Any]) -> ModuleResult:
        return self._settings(args, netns=self._netns, env=self._env)


@pytest.fixture
def old(old_collection: pathlib.Path, settings: Settings, netns: str) -> Old:
    return Old(old_collection, settings, netns)


def test_what_the_old_version_set_is_seen_changed_and_restored(old: Old, settings: Settings, netns: str) -> None:
    settings.dropin.write_text(HAND_MADE, encoding="utf-8")
    run(["sysctl", "-qw", f"{PREFIX}udp_timeout=45"], netns=netns)
    before = all_sysctls(netns)
    first = old({"settings": WANTED_BY_0_4_0})
    assert not first.failed, first.msg
    assert settings.files == KEPT

    seen = settings({"settings": WANTED_BY_0_4_0}, netns=netns)
    assert seen.data["changed"] is False
    changed = settings({"settings": {"udp_timeout": 50, "tcp_timeout_established": "10h"}}, netns=netns)
    assert changed.data["changed"] is True
    assert [sysctl(netns, name) for name in WANTED_BY_0_4_0] == [36_000, 120, 50]

    gone = settings({"state": "absent"}, netns=netns)
    assert gone.data["changed"] is True
    assert all_sysctls(netns) == before
    assert settings.texts == {KEPT[0]: HAND_MADE}


def test_a_profile_restores_what_the_old_version_set_besides(old: Old, settings: Settings, netns: str) -> None:
    before = sysctl(netns, "generic_timeout")
    old({"settings": WANTED_BY_0_4_0})
    profile = {"settings": {"tcp_timeout_established": "15h"}, "exclusive": True}
    assert settings(profile, netns=netns).data["restored"] == ["generic_timeout", "udp_timeout"]
    assert sysctl(netns, "generic_timeout") == before
    assert sysctl(netns, "tcp_timeout_established") == 54_000


def test_the_old_version_restores_what_this_one_set(old: Old, settings: Settings, netns: str) -> None:
    assert "Unsupported parameters" in old({"exclusive": True}).msg  # it is the old one
    settings.dropin.write_text(HAND_MADE, encoding="utf-8")
    before = all_sysctls(netns)
    settings({"settings": WANTED_BY_0_4_0}, netns=netns)
    assert all_sysctls(netns) != before
    assert old({"state": "absent"}).data["changed"] is True
    assert all_sysctls(netns) == before
    assert settings.texts == {KEPT[0]: HAND_MADE}


def test_a_change_of_the_old_version_that_waits_is_left_to_it(old: Old, settings: Settings, netns: str) -> None:
    before = all_sysctls(netns)
    waiting = old({"settings": WANTED_BY_0_4_0, "confirm_within": "5s"})
    assert waiting.data["confirm"]["confirmed"] is False
    refused = settings({"settings": {"udp_timeout": 55}}, netns=netns)
    assert refused.failed
    assert "Nothing was changed" in refused.msg
    wait_until(lambda: all_sysctls(netns) == before)
    # The process removes its journal after that.
    wait_until(lambda: not settings({"settings": {"udp_timeout": 55}}, netns=netns).failed)
    settings({"state": "absent"}, netns=netns)
    assert all_sysctls(netns) == before
    assert settings.texts == {}


def test_a_change_that_the_old_version_confirmed_holds_up_no_other(old: Old, settings: Settings, netns: str) -> None:
    before = all_sysctls(netns)
    old({"settings": WANTED_BY_0_4_0, "confirm_within": "60s"})
    assert old({"state": "confirmed"}).data["confirm"]["confirmed"] is True
    again = settings({"settings": {"udp_timeout": 50}, "confirm_within": "60s"}, netns=netns)
    assert again.data["confirm"]["confirmed"] is False, again.msg
    confirmed = settings({"state": "confirmed", "change": again.data["confirm"]["change"]}, netns=netns)
    assert confirmed.data["confirm"]["confirmed"] is True
    settings({"state": "absent"}, netns=netns)
    assert all_sysctls(netns) == before


def test_timeouts_that_the_old_version_lowered_shorten_nothing(old: Old, settings: Settings, netns: str) -> None:
    entry = "-I -p tcp -s 10.0.0.1 -d 192.0.2.1 --sport 1 --dport 2 --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 432000"
    run(["conntrack", *entry.split()], netns=netns)
    old({"settings": WANTED_BY_0_4_0})
    result = run_module("conntrack_update", {"timeout": "settings"}, netns=netns).data
    assert result["would_update"] == 0
    assert result["kept"]["not_lowered"] == 1
    assert "No timeout is on record here" in str(result["warnings"])


@pytest.fixture
def mounted(tmp_path: pathlib.Path) -> str:
    """The command that gives the router its own /run/netops-conntrack and /var/lib."""
    for name in ("run", "lib"):
        (tmp_path / name).mkdir()
    binds = (f"mount --bind {tmp_path}/{name} {path}" for name, path in (("run", DIRECTORY), ("lib", "/var/lib")))
    return "; ".join([f"mkdir -p -m 711 {DIRECTORY}", *binds])


def below(tmp_path: pathlib.Path) -> list[str]:
    """Return the files of the router in /etc, /run/netops-conntrack and /var/lib, and all directories in the last."""
    files = [path for name in ("etc", "run", "lib") for path in (tmp_path / name).rglob("*")]
    return sorted(str(path.relative_to(tmp_path)) for path in files if path.is_file() or "lib" in path.parts)


def test_the_page_names_all_that_stays_and_removes_it(
    settings: Settings, netns: str, tmp_path: pathlib.Path, mounted: str
) -> None:
    def call(module: str, args: dict[str, t.Any]) -> dict[str, t.Any]:
        script = f'mount --make-rprivate /; {mounted}; exec "$@"'
        wrapper = ["unshare", "--mount", "sh", "-ec", script, "sh"]
        done = run_module(module, args, netns=netns, wrapper=wrapper)
        assert not done.failed, done.msg
        return done.data

    entry = "-I -p udp -s 10.0.0.1 -d 192.0.2.1 --sport 1 --dport 2 -t 900"
    run(["conntrack", *entry.split()], netns=netns)
    for module in ("conntrack_facts", "conntrack_info", "conntrack_expect_info"):
        call(module, {})
    call("conntrack_events", {"duration": "1s"})
    call("conntrack_prune", {"match": "protocol=tcp"})
    assert below(tmp_path) == []

    call("conntrack_prune", {"match": "protocol=udp", "backup": True})
    settings({"settings": WANTED_BY_0_4_0, "confirm_within": "60s"}, netns=netns, mount=mounted)
    settings({"state": "confirmed"}, netns=netns, mount=mounted)
    call("conntrack_update", {"timeout": "settings"})
    left = below(tmp_path)
    assert {path.partition("/")[0] for path in left} == {"etc", "run", "lib"}
    assert [path for path in left if path.startswith("etc/")] == [f"etc/{name}" for name in KEPT]

    settings({"state": "absent"}, netns=netns, mount=mounted)
    assert [path for path in below(tmp_path) if path.startswith("etc/")] == []
    [remove] = re.findall(r"^# (rm -rf .*)$", PAGE, re.MULTILINE)
    # What is mounted there can be emptied, and not removed.
    emptied = remove.replace(DIRECTORY, f"{DIRECTORY}/*")
    run(["unshare", "--mount", "sh", "-ec", f"mount --make-rprivate /; {mounted}; {emptied}"])
    assert below(tmp_path) == []


def test_the_page_removes_the_files_by_hand(settings: Settings, netns: str, tmp_path: pathlib.Path) -> None:
    settings({"settings": WANTED_BY_0_4_0}, netns=netns)
    commands = re.findall(r"^# ((?:cat|rm -f) .*)$", PAGE, re.MULTILINE)
    assert len(commands) == 4
    (settings.etc / "modules.d").mkdir()
    for name in ("modules-load.d", "modules.d", "modprobe.d"):
        (settings.etc / name / settings.dropin.name).write_text("", encoding="utf-8")
    script = f"mount --make-rprivate /; mount --bind {settings.etc} /etc; {'; '.join(commands)}"
    assert '"runtime"' in run(["unshare", "--mount", "sh", "-ec", script])
    assert settings.texts == {}
