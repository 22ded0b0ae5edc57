# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files, command lines and environments that the modules look at hold secrets: none comes into what they return."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import typing as t

import pytest
from helpers.run_records import remove_records
from helpers.settings_module import PREFIX, Settings
from helpers.support import ModuleResult, network_namespace, run_module

SECRET = "correct-horse-battery"
SETS = f"sysctl -w {PREFIX}acct=1"

FILES = {
    "sysctl.d/10-others.conf": f"# {SECRET}\nkernel.{SECRET} = {SECRET}\n{PREFIX}acct = 1\n",
    "sysctl.d/91-later.conf": f"# {SECRET}\n{PREFIX}acct = 0\n",
    "sysctl.d/92-of-us.conf": "",
    "sysctl.d/92-of-us.conf.before": f"{{{SECRET}",
    "modprobe.d/a.conf": f"install nf_conntrack TOKEN={SECRET} modprobe --ignore-install nf_conntrack; {SETS}\n",
    "modules-load.d/a.conf": f"# {SECRET}\nnf_conntrack\n",
    "udev/rules.d/a.rules": f'ACTION=="add", SUBSYSTEM=="module", RUN+="/bin/sh -c \'A={SECRET} {SETS}\'"\n',
    "systemd/system/a.service": f"[Service]\nEnvironment=A={SECRET}\nExecStart=/bin/sh -c 'A={SECRET} {SETS}'\n",
    "systemd/system/multi-user.target.wants/a.service": f"{SECRET}\n",
    "cron.d/a": f"@reboot root curl -H {SECRET}; {SETS}\n",
    "rc.local": f"#!/bin/sh\nexport TOKEN={SECRET}\n{SETS}; sysctl -p /etc/accounts; curl {SECRET}\n",
    "accounts": f"root:{SECRET}:0\npassword = {SECRET}\n{PREFIX}udp_timeout = 30\n",
    "shadow": f"root:{SECRET}:0\n",
    "default/ufw": f"IPT_SYSCTL=/etc/accounts\n# {SECRET}\n",
    "ufw/ufw.conf": "ENABLED=yes\n",
    "cloud/cloud.cfg": f"password: {SECRET}\nbootcmd:\n  - A={SECRET} {SETS}\n",
}


@pytest.fixture(scope="module")
def netns() -> t.Iterator[str]:
    with network_namespace("secrets") as name:
        yield name
        remove_records(name)


@pytest.fixture
def settings(tmp_path: pathlib.Path) -> t.Iterator[Settings]:
    """A router with these files, on which kube-proxy runs."""
    made = Settings(tmp_path / "etc")
    for name, text in FILES.items():
        path = made.etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (made.etc / "rc.local").chmod(0o755)
    (tmp_path / "kube-proxy").symlink_to(sys.executable)
    command = [
        str(tmp_path / "kube-proxy"),
        "-c",
        "import time; print(flush=True); time.sleep(600)",
        f"--token={SECRET}",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={"PASSWORD": SECRET}) as process:
        assert process.stdout
        process.stdout.readline()
        yield made
        process.kill()


def assert_no_secret(result: ModuleResult) -> None:
    assert SECRET not in json.dumps(result.data)


def test_facts_have_places_names_and_our_own_lines_only(settings: Settings, netns: str) -> None:
    script = f'mount --make-rprivate /; mount --bind {settings.etc} /etc; exec "$@"'
    wrapper = ["unshare", "--mount", "sh", "-ec", script, "sh"]
    result = run_module("conntrack_facts", {"gather_subset": "all"}, netns=netns, wrapper=wrapper)
    boot = result.data["ansible_facts"]["conntrack"]["boot"]
    owners = {owner["owner"] for owner in boot["owners"]}
    # What holds the secrets was looked at.
    assert {"kube-proxy", "cron", "rc.local", "ufw", "cloud-init"} <= owners
    assert "92-of-us.conf.before" in boot["records"]["unreadable"]
    assert_no_secret(result)


@pytest.mark.parametrize("args", [{}, {"confirm_within": "1s"}, {"sysctl_file": "/etc/sysctl.d/92-of-us.conf"}])
@pytest.mark.parametrize("check", [True, False])
def test_change_of_settings_shows_its_own_files_only(
    settings: Settings, netns: str, args: dict[str, t.Any], check: bool
) -> None:
    wanted = {"acct": False, "udp_timeout": 31}
    assert_no_secret(settings({"settings": wanted, **args}, netns=netns, diff=True, check=check))


def test_file_of_others_is_not_shown_in_a_message(settings: Settings, netns: str) -> None:
    result = settings({"settings": {"acct": 1}, "sysctl_file": "/etc/shadow"}, netns=netns, diff=True)
    assert result.failed
    assert_no_secret(result)
    result = run_module("conntrack_info", {"netns": str(settings.etc / "shadow")})
    assert result.failed
    assert_no_secret(result)
