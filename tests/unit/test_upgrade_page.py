# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page docs/upgrade.md: the paths and names on it are those of the code, and its commands work."""

from __future__ import annotations

import os
import pathlib
import re

import interface
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes import backup_directory
from ansible_collections.netops.conntrack.plugins.module_utils._files import run_directory
from ansible_collections.netops.conntrack.plugins.module_utils._settings import persistence, record
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies import nft_file
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.nft_objects import Table
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.renamed import RENAMED_PROFILES
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.variables import RENAMED
from helpers.first_time_user import ARTIFACT, BUILD, FROM_ARTIFACT, VERSION, Stranger
from helpers.support import CHECKOUT, read_yaml

PAGE = (CHECKOUT / "docs" / "upgrade.md").read_text(encoding="utf-8")


def defaults_of(role: str) -> dict[str, object]:
    path = CHECKOUT / "roles" / role / "defaults" / "main.yml"
    return dict(read_yaml(path))


def paths_of_the_code() -> set[str]:
    """Return every path on a router that a module writes to by default."""
    dropin = defaults_of("conntrack_tune")["conntrack_tune_sysctl_file"]
    assert isinstance(dropin, str)
    name = os.path.basename(dropin)
    settings = {
        dropin,
        record.path_of(dropin),
        f"{persistence._MODULES_LOAD}/{name}",
        f"{persistence._MODULES_OF_PROCD}/{name}",
        f"{persistence._MODPROBE}/{name}",
    }
    role = read_yaml(CHECKOUT / "roles/conntrack_prepare/vars/main.yml")
    policy = nft_file._default_path(Table("inet", "filter"), "sip")
    return settings | {run_directory.DIRECTORY, backup_directory.DIRECTORY, policy, role["conntrack_prepare_record"]}


def test_paths_are_those_of_the_code() -> None:
    assert set(re.findall(r"`(/(?:etc|run|var)/[^`\s]+)`", PAGE)) == paths_of_the_code()
    options = interface.documentation_of(CHECKOUT / "plugins" / "modules" / "conntrack_settings.py")["options"]
    assert options["sysctl_file"]["default"] in paths_of_the_code()


def test_commands_remove_these_paths() -> None:
    removed = {path for words in re.findall(r"^# rm -r?f (.*)$", PAGE, re.MULTILINE) for path in words.split()}
    missing = {path for path in paths_of_the_code() if not any(path.startswith(each) for each in removed)}
    by_others = {os.path.dirname(path) for path in missing}
    assert by_others == {"/etc/nftables.d", "/etc"}  # the module of the policy, and the role that prepares


def test_every_module_is_in_the_table_of_what_stays() -> None:
    table = PAGE.partition("## What stays on a router")[2].partition("\n## ")[0]
    names = {path.stem for path in CHECKOUT.glob("plugins/modules/*.py")}
    names |= {f"role {path.name}" for path in CHECKOUT.glob("roles/*")}
    assert [name for name in sorted(names) if name.replace("role ", "role `") not in table] == []


def test_every_old_name_is_on_the_page() -> None:
    gone = {name for _owner, name in set(interface.released()) - set(interface.documented())}
    since_0_4_0 = {*gone, *RENAMED, *RENAMED_PROFILES} - {"conntrack_audit_phase"}  # was gone in 0.4.0
    assert [name for name in sorted(since_0_4_0) if f"`{name}`" not in PAGE] == []


def test_commands_go_back_and_remove_the_collection(tmp_path: pathlib.Path) -> None:
    stranger = Stranger(tmp_path)
    listing, going_back, removing = re.findall(r"^\$ ((?:ansible-galaxy|rm) .*)$", PAGE, re.MULTILINE)
    stranger.types(BUILD, stranger.clone)
    galaxy = (stranger.clone / "galaxy.yml").read_text(encoding="utf-8")
    (stranger.clone / "galaxy.yml").write_text(galaxy.replace(VERSION, "0.4.0"), encoding="utf-8")
    stranger.types(BUILD, stranger.clone)
    stranger.types(FROM_ARTIFACT, stranger.clone)
    assert VERSION in stranger.types(listing, stranger.home)
    older = stranger.clone / ARTIFACT.replace(VERSION, "0.4.0")
    stranger.types(going_back.replace("FILE", str(older)), stranger.home)
    assert stranger.version() == "0.4.0"
    stranger.types(removing, stranger.home)
    left = [path for path in (stranger.home / ".ansible" / "collections").rglob("*") if not path.is_dir()]
    assert left == []
