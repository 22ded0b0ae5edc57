# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What looks at every request of the tests sees those that would empty a table.

They are sent to the kernel's routing, which has no such messages, so nothing is lost should one get through.
"""

from __future__ import annotations

import os
import pathlib
import socket
import struct
import subprocess
import sys
import typing as t

import pytest
from helpers.encoded_messages import attribute, nested
from helpers.on_routers import refused_requests as recorder
from helpers.support import PATIENCE, SYSTEM_PYTHON, module_path

NETLINK_ROUTE = 0
TUPLE = nested(1, nested(1, attribute(1, bytes(4))))


def request(kind: int, attributes: bytes = b"", family: int = 0) -> bytes:
    return struct.pack("=IHHIIBBH", 20 + len(attributes), kind, 1, 1, 0, family, 0, 0) + attributes


DELETE = 0x102
REFUSED: dict[str, bytes] = {
    "everything": request(DELETE),
    "a family": request(DELETE, family=2),
    "an attribute that no kernel knows": request(DELETE, attribute(60, bytes(4))),
    "an id alone": request(DELETE, attribute(12, bytes(4))),
    "a mark": request(DELETE, attribute(8, bytes(4)) + attribute(21, bytes(4))),
    "a zone": request(DELETE, attribute(18, bytes(2))),
    "an empty tuple": request(DELETE, nested(1)),
    "a cut tuple": request(DELETE, TUPLE)[:23],
    "the second of two": request(DELETE, TUPLE) + request(DELETE),
    "behind another request": request(0x101) + request(DELETE),
    "zeroed counters": request(0x103),
    "all expectations": request(0x202),
    "the expectations of a helper": request(0x202, attribute(6, b"ftp\0")),
    "all policies": request(0x802),
}
ALLOWED: dict[str, bytes] = {
    "an entry": request(DELETE, TUPLE + attribute(12, bytes(4))),
    "an entry by its reply": request(DELETE, nested(2, nested(1, attribute(1, bytes(4))))),
    "an expectation": request(0x202, nested(2, nested(1, attribute(1, bytes(4))))),
    "a policy": request(0x802, attribute(1, b"voip\0")),
    "a dump": request(0x101),
}


@pytest.fixture
def record(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Return the file to which refused requests are written, which is not that of the run."""
    path = tmp_path / "record"
    path.touch()
    monkeypatch.setenv(recorder.VARIABLE, str(path))
    return path


@pytest.fixture
def routing() -> t.Iterator[socket.socket]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE) as opened:
        yield opened


@pytest.mark.parametrize("name", REFUSED)
def test_what_empties_a_table_is_refused_and_recorded(name: str, record: pathlib.Path, routing: socket.socket) -> None:
    for send in (routing.send, lambda data: routing.sendmsg([data]), lambda data: routing.sendto(data, (0, 0))):
        with pytest.raises(recorder.RefusedRequestError):
            send(REFUSED[name])
    assert record.read_text().count("\n") == 3


@pytest.mark.parametrize("name", ALLOWED)
def test_all_else_is_sent(name: str, record: pathlib.Path, routing: socket.socket) -> None:
    assert routing.send(memoryview(ALLOWED[name])) == len(ALLOWED[name])
    assert record.read_text() == ""


@pytest.mark.parametrize("python", [sys.executable, SYSTEM_PYTHON])
def test_it_is_in_the_processes_of_modules(python: str, record: pathlib.Path) -> None:
    sends = f"socket.socket({int(socket.AF_NETLINK)}, {int(socket.SOCK_RAW)}, 0).send({REFUSED['a family']!r})"
    code = f"import socket; {sends}"
    env = {**os.environ, "PYTHONPATH": module_path(python)}
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, env=env, timeout=PATIENCE)
    assert done.returncode == 1
    assert "empties the table" in done.stderr
    assert "empties the table" in record.read_text()


@pytest.mark.slow
def test_a_run_fails_although_the_error_was_handled(tmp_path: pathlib.Path) -> None:
    test = tmp_path / "test_hidden.py"
    test.write_text(
        "import socket\n\n\ndef test_hidden():\n"
        "    try:\n"
        f"        socket.socket({int(socket.AF_NETLINK)}, {int(socket.SOCK_RAW)}, 0).send({REFUSED['everything']!r})\n"
        "    except BaseException:\n        pass\n"
    )
    conftest = pathlib.Path(__file__).resolve().parents[1]
    env = {key: value for key, value in os.environ.items() if key != recorder.VARIABLE}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider", str(test)]
    env["PYTHONPATH"] = str(conftest)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=tmp_path, timeout=120)
    assert "1 passed" in done.stdout
    assert "REFUSED REQUESTS" in done.stdout
    assert done.returncode == 1
