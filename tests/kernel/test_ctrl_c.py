# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of a module on a router when its run is interrupted on the controller, over a real SSH connection."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import typing as t

import pytest
from helpers.support import (
    COLLECTIONS,
    SYSTEM_PYTHON,
    inside,
    modules_at_work,
    network_namespace,
    of_processes,
    run,
    wait_until,
    with_default_signals,
)

ENTRIES = 200

_SSHD = """
Port 22
ListenAddress 127.0.0.1
HostKey {0}/host
AuthorizedKeysFile {0}/authorized
PermitRootLogin yes
StrictModes no
PidFile none
Subsystem sftp internal-sftp
"""


@pytest.fixture
def router(tmp_path: pathlib.Path) -> t.Iterator[str]:
    """A namespace with entries and an SSH server, whose key is in the directory of the test."""
    for name in ("host", "key"):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)])
    (tmp_path / "authorized").write_bytes((tmp_path / "key.pub").read_bytes())
    (tmp_path / "sshd_config").write_text(_SSHD.format(tmp_path))
    pathlib.Path("/run/sshd").mkdir(exist_ok=True)
    entries = [
        f"-A -p udp -s 10.0.0.{host} -d 10.1.0.1 --sport 1000 --dport 53 -t 600 -u SEEN_REPLY"
        for host in range(1, ENTRIES + 1)
    ]
    with network_namespace("ctrl-c") as netns:
        run(["conntrack", "-R", "-"], netns=netns, text="\n".join(entries) + "\n")
        with subprocess.Popen(inside(netns, ["/usr/sbin/sshd", "-D", "-f", str(tmp_path / "sshd_config")])) as server:
            yield netns
            server.terminate()


@pytest.fixture
def short_directory() -> t.Iterator[str]:
    """Yield a directory for a socket, whose name has room for 107 bytes only (unix(7))."""
    with tempfile.TemporaryDirectory(prefix="nc") as directory:
        yield directory


# On a busy machine it takes seconds until a router learns that its connection is gone.
@pytest.mark.parametrize(("pipelining", "looks_again_after", "left"), [("true", 6, 0), ("false", 40, ENTRIES)])
def test_a_module_goes_on_without_a_terminal_and_ends_with_one(
    router: str, tmp_path: pathlib.Path, short_directory: str, pipelining: str, looks_again_after: int, left: int
) -> None:
    """It is interrupted while the prune waits, before it deletes."""
    variables = (
        f"ansible_user=root ansible_ssh_private_key_file={tmp_path}/key ansible_python_interpreter={SYSTEM_PYTHON}"
    )
    arguments = f'match="protocol=udp" confirm_idle={looks_again_after}s'
    program = [str(pathlib.Path(sys.executable).parent / "ansible"), "all", "-i", "127.0.0.1,", "-e", variables]
    with subprocess.Popen(
        inside(router, [*program, "-m", "netops.conntrack.conntrack_prune", "-a", arguments]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=with_default_signals,
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")},
            "HOME": str(tmp_path),
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_HOST_KEY_CHECKING": "false",
            "ANSIBLE_PIPELINING": pipelining,
            "ANSIBLE_SSH_CONTROL_PATH_DIR": short_directory,
            "ANSIBLE_REMOTE_TMP": str(tmp_path / "remote"),
        },
    ) as controller:
        wait_until(lambda: _waits(router))
        os.killpg(controller.pid, signal.SIGINT)
        assert controller.stdout
        output = controller.stdout.read()
    assert controller.returncode == 99, output
    wait_until(lambda: not modules_at_work(router))
    assert int(run(["conntrack", "-C"], netns=router)) - _connections(router) == left


def _waits(router: str) -> bool:
    """Return whether a module sleeps there. One that is just sent would stay half read (see docs/terminal.md)."""
    return any(b"nanosleep" in function for function in of_processes("wchan", modules_at_work(router)))


def _connections(router: str) -> int:
    """Return how many entries are the SSH connections of the test itself."""
    return run(["conntrack", "-L", "-p", "tcp"], netns=router).count("dport=22 ")
