# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of a virtual machine: namespaces in it, which modules ask over SSH, and its own conntrack(8) judges."""

from __future__ import annotations

import contextlib
import json
import pathlib
import re
import shlex
import subprocess
import typing as t

from helpers.ansible_tasks import Result, Workplace
from helpers.conntrack_xml import entries_of
from helpers.on_routers import refused_requests, shared_code
from helpers.support import CHECKOUT, ON_ROUTERS, read_yaml
from vm import VirtualMachine

LIBRARY = "/run/collection"
"""Where the collection's module_utils lie in the machine, for programs that run there without Ansible."""

ON_GUEST = "/var/lib/of-tests"
"""Where what the modules of the machine share lies in it, also after a reboot."""
_ENVIRONMENT = {
    "PYTHONPATH": f"{ON_GUEST}/{ON_ROUTERS.name}",
    shared_code.VARIABLE: f"{ON_GUEST}/code",
    refused_requests.VARIABLE: f"{ON_GUEST}/requests",
}
_SHARE = f"""
mkdir {ON_GUEST}/code
touch {ON_GUEST}/requests
cat >/etc/ssh/sshd_config.d/of-tests.conf
systemctl reload ssh
"""

# With these names the tool prints the number of each label.
_LABELLED = """
unshare --mount sh -ec '
  mount -t tmpfs none /etc && mkdir /etc/xtables
  for number in $(seq 0 127); do echo $number $number; done >/etc/xtables/connlabel.conf
  for family in ipv4 ipv6; do ip netns exec "$0" conntrack -L -f $family -o "$1" || exit; echo "{end}"; done
' {netns} {output}
"""
_END = "<!-- end -->"


class GuestTable:
    """The table of one network namespace in the machine."""

    def __init__(self, machine: VirtualMachine, netns: str) -> None:
        self.machine = machine
        self.netns = netns

    def run(self, script: str, text: str = "") -> str:
        """Run the shell ``script`` in the namespace with ``text`` as its input, and return what it prints."""
        return self.machine.sh(f"ip netns exec {self.netns} sh -ec {shlex.quote(script)}", text=text)

    def python(self, program: str, text: str = "") -> str:
        """Run a Python ``program``, which can import the collection's module_utils, in the namespace."""
        return self.run(f"PYTHONPATH={LIBRARY} exec python3 -c {shlex.quote(program)}", text)

    def insert(self, *entries: str) -> None:
        """Make entries, each given as conntrack(8) options. The tool of Debian 11 takes only one at a time."""
        self.run("".join(f"conntrack -I {entry}\n" for entry in entries))

    def listed(self, output: str) -> list[str]:
        """Return what conntrack(8) of the machine lists in a format, by family."""
        printed = self.machine.sh(_LABELLED.format(netns=self.netns, output=output, end=_END))
        return [part.strip("\n") for part in printed.split(f"{_END}\n")][:2]

    def entries(self) -> dict[int, dict[str, t.Any]]:
        """Return the entries as conntrack(8) of the machine lists them as XML, by id."""
        listed = (entry for xml in self.listed("xml,id,labels,ktimestamp") if xml for entry in entries_of(xml))
        return {entry["id"]: entry for entry in listed}


@contextlib.contextmanager
def guest_table(machine: VirtualMachine, netns: str) -> t.Iterator[GuestTable]:
    """Make a namespace in the machine that tracks connections, with its loopback up, and delete it at the end."""
    rules = "table inet on { chain c { type filter hook prerouting priority 0; ct state established counter; }; }"
    machine.sh(f"ip netns add {netns}")
    try:
        table = GuestTable(machine, netns)
        table.run("ip link set lo up; nft -f -", rules)
        yield table
    finally:
        machine.sh(f"ip netns delete {netns}")


def kernel_version(machine: VirtualMachine) -> tuple[int, int]:
    """Return the first two numbers of the version of the machine's kernel."""
    major, minor, *_rest = re.split(r"[.-]", machine.sh("uname -r"))
    return int(major), int(minor)


def python_of(machine: VirtualMachine) -> str:
    """Return the first two numbers of the version of the machine's Python, such as 3.14."""
    return machine.sh("python3 -c 'import sys; print(*sys.version_info[:2], sep=\".\")'").strip()


def copy_collection(machine: VirtualMachine) -> None:
    """Give the machine the collection's module_utils."""
    copy_files(machine, CHECKOUT, ["plugins/module_utils"], f"{LIBRARY}/ansible_collections/netops/conntrack")


def share_code(machine: VirtualMachine) -> None:
    """Let the modules that come over SSH compile what they share once, which takes most of their time in an emulator.

    Their requests are looked at as those of others are (on_routers).
    """
    copy_files(machine, ON_ROUTERS.parent, [ON_ROUTERS.name], ON_GUEST)
    pairs = " ".join(f"{name}={value}" for name, value in _ENVIRONMENT.items())
    machine.sh(_SHARE, text=f"SetEnv {pairs}\n")
    # It takes no connections while it begins anew.
    machine.wait()


def refused(machine: VirtualMachine) -> str:
    """Return which requests were refused that modules in the machine were about to send."""
    return machine.sh(f"cat {_ENVIRONMENT[refused_requests.VARIABLE]}")


def copy_files(machine: VirtualMachine, directory: pathlib.Path, names: t.Iterable[str], target: str) -> None:
    """Copy files and directories, by their names below ``directory``, into the directory ``target`` of the machine."""
    packed = subprocess.run(
        ["tar", "--create", "--exclude=__pycache__", *names], cwd=directory, capture_output=True, check=True
    )
    command = machine.ssh_command([f"mkdir -p {target} && tar --extract --directory={target}"])
    subprocess.run(command, input=packed.stdout, capture_output=True, check=True, timeout=300)


class GuestTasks:
    """Tasks that Ansible runs in the machine."""

    def __init__(self, machine: VirtualMachine, directory: pathlib.Path) -> None:
        inventory = read_yaml(machine.inventory)["routers"]
        hosts = {name: {**inventory["vars"], **variables} for name, variables in inventory["hosts"].items()}
        self._workplace = Workplace(directory, hosts)

    def results(self, *tasks: tuple[str, dict[str, t.Any]], check: bool = False, **play: t.Any) -> list[Result]:
        """Run modules of the collection with these options in one play, and return their results. None failed."""
        results = self.ends(*tasks, check=check, **play)
        for result in results:
            assert not result.get("failed"), json.dumps(result, indent=1)
        return results

    def ends(self, *tasks: tuple[str, dict[str, t.Any]], check: bool = False, **play: t.Any) -> list[Result]:
        """Run modules in one ``play``, whether they fail or not, and return their results."""
        named = [{f"netops.conntrack.{name}": options, "check_mode": check} for name, options in tasks]
        [results] = self._workplace.results(named, **play).values()
        return results
