# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.netops.conntrack.plugins.module_utils._errors import AnswerError
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.output_limit import limited

MOST = 1000
OF = "Its result is malformed"
ENDLESS = f"{sys.executable} -c 'import sys\nwhile True: sys.stdout.write(65536 * chr(65))'"


class Local:
    """Runs a command in a shell, and reads all that it prints."""

    def exec_command(self, command: str) -> tuple[int, bytes, bytes]:
        done = subprocess.run(["sh", "-c", f"{command} && sleep 0"], capture_output=True, check=False, timeout=60)
        return done.returncode, done.stdout, done.stderr


class Breaking(Local):
    """Says that the connection broke when a command ends with an error, as the ssh connection does."""

    def exec_command(self, command: str) -> tuple[int, bytes, bytes]:
        rc, stdout, stderr = super().exec_command(command)
        if rc:
            raise AnsibleConnectionFailure("Data could not be sent to the host.")
        return rc, stdout, stderr


@pytest.mark.parametrize(("stdout", "stderr"), [(MOST, 0), (0, MOST), (1, MOST - 1)])
def test_an_output_that_is_short_enough_is_as_it_was(stdout: int, stderr: int) -> None:
    connection = Local()
    with limited(connection, MOST, OF):
        found = connection.exec_command(f"printf %{stdout}s; printf %{stderr}s >&2")
    assert found == (0, b" " * stdout, b" " * stderr)


@pytest.mark.parametrize(("stdout", "stderr"), [(MOST + 1, 0), (0, MOST + 1), (1, MOST)])
def test_a_longer_one_is_an_error(stdout: int, stderr: int) -> None:
    connection = Local()
    command = f"printf %{stdout}s; printf %{stderr}s >&2"
    with limited(connection, MOST, OF), pytest.raises(AnswerError, match="has more than 1000"):
        connection.exec_command(command)
    assert connection.exec_command(command)[0] == 0


@pytest.mark.parametrize("connection", [Local(), Breaking()])
def test_one_without_end_is_ended(connection: Local) -> None:
    threads = threading.active_count()
    began = time.monotonic()
    with limited(connection, MOST, OF), pytest.raises(AnswerError, match="has more than 1000 bytes"):
        connection.exec_command(ENDLESS)
    assert time.monotonic() - began < 60
    assert threading.active_count() == threads


class Slow(Local):
    """Returns what a command printed a while after that has ended, as on a busy controller."""

    def exec_command(self, command: str) -> tuple[int, bytes, bytes]:
        found = super().exec_command(command)
        time.sleep(0.3)
        return found


def test_what_a_command_reads_is_no_output() -> None:
    connection = Slow()
    with limited(connection, MOST, OF):
        found = connection.exec_command("head -c 8000000 /dev/zero | tail -c 1")
    assert found == (0, b"\0", b"")


def test_other_failures_of_a_connection_stay_what_they_are() -> None:
    connection = Breaking()
    with limited(connection, MOST, OF), pytest.raises(AnsibleConnectionFailure):
        connection.exec_command("exit 3")


def test_other_processes_go_on() -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        connection = Local()
        with limited(connection, MOST, OF), pytest.raises(AnswerError):
            connection.exec_command(ENDLESS)
        assert other.poll() is None
        other.kill()
