# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each mistake of the table is refused as a whole, with the option, the value and the remedy."""

from __future__ import annotations

import collections
import contextlib
import pathlib
import typing as t

import pytest
from helpers.json_routers import DEAD, Fleet
from helpers.mistakes import ELSEWHERE, OF_MODULES, OF_PLAYBOOKS, OfModule
from helpers.settings_module import all_sysctls
from helpers.support import CHECKOUT, assert_refused, network_namespace, run, run_module

_ENTRIES = "".join(
    f"-A -p tcp -s 10.0.0.{host} -d 10.1.0.1 --sport 1 --dport 80 --state ESTABLISHED -t 600\n" for host in range(1, 6)
)


@pytest.fixture(scope="module")
def netns() -> t.Iterator[str]:
    with network_namespace("mistakes") as name:
        run(["conntrack", "-R", "-"], netns=name, text=_ENTRIES)
        yield name


@contextlib.contextmanager
def left_over(name: str | None) -> t.Iterator[None]:
    """Have the file of a network namespace that nobody mounted, if that is its name."""
    if name != "left-over":
        yield
        return
    path = pathlib.Path("/run/netns") / name
    path.touch()
    try:
        yield
    finally:
        path.unlink()


@pytest.mark.parametrize("mistake", OF_MODULES, ids=lambda mistake: mistake.name)
def test_a_module_refuses(mistake: OfModule, netns: str) -> None:
    before = all_sysctls(netns)
    with left_over(mistake.args.get("netns")):
        result = run_module(mistake.module, mistake.args, netns=netns, wrapper=mistake.wrapper)
    assert_refused(result, *mistake.says)
    assert "Traceback" not in result.msg
    assert "\n" not in result.msg
    assert run(["conntrack", "-C"], netns=netns).strip() == "5"
    assert all_sysctls(netns) == before


@pytest.mark.parametrize("extra", OF_PLAYBOOKS)
def test_a_playbook_refuses(extra: str, tmp_path: pathlib.Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("router1")
    done = fleet.run_file("netops.conntrack.tune", "-e", "target=all", "-e", extra)
    output = " ".join((done.stdout + done.stderr).replace('\\"', '"').split())
    assert done.returncode == 2, output
    for words in OF_PLAYBOOKS[extra]:
        assert words in output
    assert not fleet.asked
    assert not (tmp_path / "reports").exists() or not list((tmp_path / "reports").iterdir())


_OLD_PYTHON = """#!/bin/sh
case "$2" in *version_info*) echo 3.6.15; exit;; esac
cat > /dev/null
echo "SyntaxError: future feature annotations is not defined" >&2
exit 1
"""
_REFUSED_KEY = """#!/bin/sh
echo "root@router: Permission denied (publickey,password)." >&2
exit 255
"""

WORDS = {
    "down": ("Failed to connect", "127.0.0.1 port 1"),
    "keyless": ("Permission denied (publickey,password)",),
    "sealed": ("decrypt",),
    "old": ("netops.conntrack needs Python 3.9 or newer on the router, found 3.6.15", "ansible_python_interpreter"),
    "pythonless": ("/no/such/python",),
    "undefined": ("'management_address' is undefined",),
    "profile": ("conntrack_tune_profile: rooter is no profile", "Give one of"),
    "sudoless": ("no.such.become",),
}
"""What has to be said of a router with a mistake in its variables, or none in reach."""


@pytest.fixture
def strange(tmp_path: pathlib.Path) -> Fleet:
    """A fleet in which one router is right, and each other one is wrong in a way of its own."""
    fleet = Fleet(tmp_path)
    fleet.add("good")
    fleet.add("profile")
    fleet.hosts["profile"]["conntrack_tune_profile"] = "rooter"
    for name, text in (("old-python", _OLD_PYTHON), ("no-key", _REFUSED_KEY)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    local = {"ansible_connection": "local"}
    vaulted = "{{ '$ANSIBLE_VAULT;1.1;AES256' | ansible.builtin.unvault('wrong') }}"
    fleet.hosts |= {
        "down": dict(DEAD),
        "keyless": {
            "ansible_connection": "ssh",
            "ansible_host": "192.0.2.1",
            "ansible_ssh_executable": str(tmp_path / "no-key"),
        },
        "sealed": {**local, "ansible_become": True, "ansible_become_password": vaulted},
        "old": {**local, "ansible_python_interpreter": str(tmp_path / "old-python")},
        "pythonless": {**local, "ansible_python_interpreter": "/no/such/python"},
        "undefined": {"ansible_host": "{{ management_address }}"},
        "sudoless": {**local, "ansible_become": True, "ansible_become_method": "no.such.become"},
    }
    return fleet


def test_what_is_wrong_with_one_router_is_said_of_that_one(strange: Fleet) -> None:
    run_of_all = strange.play("tune", "-e", "target=all")
    hosts = run_of_all.document["hosts"]
    assert run_of_all.rc == 2
    messages = {name: hosts[name]["failure"]["message"] for name in WORDS}
    missing = {
        name: messages[name] for name, words in WORDS.items() if not all(word in messages[name] for word in words)
    }
    assert missing == {}
    assert hosts["good"]["settings"]
    assert not any(hosts[name]["settings"] for name in WORDS)


def test_there_are_sixty_mistakes_and_each_is_in_the_table_once() -> None:
    names = [*(mistake.name for mistake in OF_MODULES), *OF_PLAYBOOKS, *WORDS, *ELSEWHERE]
    assert [name for name, times in collections.Counter(names).items() if times > 1] == []
    assert len(names) >= 60
    for place in ELSEWHERE.values():
        file, _colons, test = place.partition("::")
        assert f"def {test}" in (CHECKOUT / file).read_text(), place
