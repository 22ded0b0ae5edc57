# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How to get into a router: keys, its sshd, the inventory for Ansible, and the ssh command."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import subprocess
import time
import typing as t

from processes import LabError, run
from topology import PRIVATE_DIRECTORIES, Router

ETC = pathlib.Path("/etc")
ETC_NETNS = pathlib.Path("/etc/netns")
"""What lies in /etc/netns/NAME is seen as /etc by a process that `ip netns exec NAME` starts (ip-netns(8))."""
SSHD_RUN = pathlib.Path("/run/sshd")
"""Where sshd locks up the process that talks to strangers; its package makes it when the service starts."""
ENVIRONMENT = "LAB_SETENV"
"""The environment variable with what else is in that of programs on a router, as SetEnv of sshd_config(5) has it."""
_START_SECONDS = 10.0


def make_keys(ssh: pathlib.Path, routers: list[Router]) -> None:
    """Make in the directory ``ssh`` the key that opens the routers, a host key for each router, and known_hosts."""
    ssh.mkdir()
    _make_key(ssh / "id")
    shutil.copy(ssh / "id.pub", ssh / "authorized_keys")
    for router in routers:
        _make_key(ssh / f"{router.name}.key")
    lines = [f"{router.address} {(ssh / f'{router.name}.key.pub').read_text()}" for router in routers]
    (ssh / "known_hosts").write_text("".join(lines))


def check_login() -> None:
    """Raise LabError when sshd would turn root away: without PAM it takes a password that begins with ! for a lock."""
    for line in (ETC / "shadow").read_text().splitlines():
        if line.startswith("root:!"):
            raise LabError(
                "root's account is locked, so that sshd lets nobody in. Keep it without password: usermod -p '*' root"
            )


def make_private_etc(router: Router) -> None:
    """Give ``router`` its own, empty directories for boot settings, to be mounted on those of the machine."""
    for name in PRIVATE_DIRECTORIES:
        (ETC_NETNS / router.namespace / name).mkdir(parents=True)
        (ETC / name).mkdir(exist_ok=True)


def missing_directories() -> list[str]:
    """Return the directories that this machine lacks, all labs share, and the first one makes."""
    shared = (ETC_NETNS, *(ETC / name for name in PRIVATE_DIRECTORIES), SSHD_RUN)
    return [str(path) for path in shared if not path.exists()]


def remove_directories(made: t.Iterable[str]) -> None:
    """Remove those shared directories that a lab ``made``, if they are empty and no other lab needs them."""
    if any(ETC_NETNS.glob("*")):
        return
    for path in made:
        with contextlib.suppress(OSError):
            pathlib.Path(path).rmdir()


def start_sshd(ssh: pathlib.Path, router: Router) -> None:
    """Start the sshd of ``router`` and wait until it listens; LabError when it does not."""
    SSHD_RUN.mkdir(mode=0o755, exist_ok=True)
    pid_file, log = ssh / f"{router.name}.pid", ssh / f"{router.name}.log"
    pid_file.unlink(missing_ok=True)
    config = ssh / f"{router.name}.conf"
    config.write_text(_sshd_config(ssh, router))
    # Its own: a shell that is killed half-way through somebody's start-up files would leave locks in them.
    (ssh / f"{router.name}.home").mkdir(exist_ok=True)
    # By its full path: sshd starts itself again for each connection.
    run([shutil.which("sshd") or "/usr/sbin/sshd", "-f", str(config), "-E", str(log)], netns=router.namespace)
    give_up = time.monotonic() + _START_SECONDS
    while not pid_file.exists():
        if time.monotonic() > give_up:
            raise LabError(f"the sshd of {router.name} does not listen on {router.address}: {log.read_text().strip()}")
        time.sleep(0.01)


def inventory(ssh: pathlib.Path, prefix: str, routers: list[Router]) -> str:
    """Return the inventory for Ansible: the group ``routers``.

    They share the file system of the machine, so each has a directory of its own for its backups.
    """
    variables = {
        router.name: {
            "ansible_host": router.address,
            "conntrack_prune_backup_dir": backups_directory(prefix) / router.name,
        }
        for router in routers
    }
    return inventory_of(ssh, prefix, variables)


def inventory_of(ssh: pathlib.Path, prefix: str, variables: t.Mapping[str, t.Mapping[str, t.Any]]) -> str:
    """Return the inventory for Ansible with the hosts that ``variables`` names, and with these variables of theirs."""
    hosts = "".join(
        f"    {host}:\n" + "".join(f"      {name}: {value}\n" for name, value in of_host.items())
        for host, of_host in variables.items()
    )
    return f"""---
routers:
  hosts:
{hosts}  vars:
    ansible_user: root
    ansible_python_interpreter: /usr/bin/python3
    ansible_ssh_private_key_file: {ssh}/id
    ansible_ssh_common_args: {" ".join(ssh_options(ssh))}
    ansible_control_path_dir: {masters_directory(prefix)}
"""


def ssh_command(ssh: pathlib.Path, router: Router, command: t.Sequence[str]) -> list[str]:
    """Return the ssh command that runs ``command`` on ``router``; without a ``command``, a shell."""
    return ["ssh", *ssh_options(ssh), "-i", f"{ssh}/id", f"root@{router.address}", *command]


def ssh_options(ssh: pathlib.Path) -> list[str]:
    """Return the options for every ssh to a router: nothing that this machine or its user has set. Every wait ends."""
    options = {
        "UserKnownHostsFile": ssh / "known_hosts",
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        # A connection whose entry was deleted hangs: this ends it within 15 s.
        "ServerAliveInterval": 5,
        "ServerAliveCountMax": 3,
        "ConnectTimeout": 30,
    }
    return ["-F", "none", *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))]


def masters_directory(prefix: str) -> pathlib.Path:
    """Return the directory of the sockets of ssh's connection masters.

    It lies outside of the lab's directory, for the name of a socket has room for 107 bytes only (unix(7)).
    """
    return pathlib.Path("/run") / f"{prefix}-ssh"


def backups_directory(prefix: str) -> pathlib.Path:
    """Return the directory of the backups of all routers. Nobody but root decides what is in it."""
    return pathlib.Path("/run") / f"{prefix}-backups"


def end_masters(prefix: str) -> None:
    """End the connection masters that Ansible left behind, and remove their directory."""
    masters = masters_directory(prefix)
    for socket in masters.glob("*"):
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                ["ssh", "-F", "none", "-O", "exit", "-o", f"ControlPath={socket}", "router"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=5,
                check=False,
            )
    shutil.rmtree(masters, ignore_errors=True)


def _make_key(path: pathlib.Path) -> None:
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.stem, "-f", str(path)])


def _sshd_config(ssh: pathlib.Path, router: Router) -> str:
    # StrictModes would refuse a lab below /tmp, which everybody may write to.
    return f"""ListenAddress {router.address}
HostKey {ssh}/{router.name}.key
PidFile {ssh}/{router.name}.pid
AuthorizedKeysFile {ssh}/authorized_keys
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
UseDNS no
PrintMotd no
MaxStartups 200
MaxSessions 100
SetEnv HOME={ssh}/{router.name}.home {os.environ.get(ENVIRONMENT, "")}
Subsystem sftp internal-sftp
"""
