# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A dump of expectations is whole, with each once, or it is an error."""

from __future__ import annotations

import errno
import pathlib
import socket
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    DumpError,
    InterruptedDumpError,
    MalformedError,
    NotPermittedError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._expectations import dump
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import subsystems, transport
from helpers.encoded_expectations import ZONE, expectation_message, numbered
from helpers.encoded_messages import NLM_F_MULTI, attribute, done, message

DUMP_INTR = 0x10


def ids(*datagrams: bytes) -> list[int]:
    return [one.id for one in dump.each_once(datagrams)]


def test_what_comes_twice_is_one() -> None:
    assert ids(numbered(1) + numbered(2) + numbered(3), numbered(2) + numbered(4), done()) == [1, 2, 3, 4]


def test_the_same_tuple_in_two_zones_is_two() -> None:
    zones = [expectation_message(zone=attribute(ZONE, bytes([0, zone]))) for zone in (1, 2)]
    assert [one.zone for one in dump.each_once([*zones, *zones, done()])] == [1, 2]


def test_other_messages_are_malformed() -> None:
    with pytest.raises(MalformedError, match="a message of type 0x100 in a list of type 0x200"):
        ids(message(0x100, bytes(4)) + numbered(1) + done())


@pytest.mark.parametrize(
    "datagrams",
    [
        [numbered(1)],
        [],
        [expectation_message(flags=NLM_F_MULTI | DUMP_INTR), done()],
        [numbered(1), message(3, bytes(4), flags=NLM_F_MULTI | DUMP_INTR)],
    ],
    ids=["broken off", "nothing", "an expectation says so", "the end says so"],
)
def test_a_dump_that_is_not_whole_is_an_error(datagrams: list[bytes]) -> None:
    with pytest.raises(InterruptedDumpError):
        dump.each_once(datagrams)


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.EPERM, NotPermittedError),
        (errno.EOPNOTSUPP, UnavailableError),
        (errno.EINVAL, UnavailableError),
        (errno.ENOMEM, DumpError),
    ],
)
def test_the_kernels_error_is_ours(number: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        dump.each_once([numbered(1), done(number)])


def test_malformed_messages_are_an_error() -> None:
    with pytest.raises(MalformedError):
        dump.each_once([expectation_message(id=None) + done()])


class Kernel:
    """Answers dumps in turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: t.Any) -> None:
        self.answers = list(answers)
        self.asked = 0
        monkeypatch.setattr(transport, "open_socket", lambda: socket.socketpair()[0])
        monkeypatch.setattr(transport, "send", lambda _socket, _datagram: None)
        monkeypatch.setattr(transport, "datagrams", self.answer)

    def answer(self, _socket: t.Any) -> t.Iterator[bytes]:
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return iter(answer)


def test_a_dump_that_lost_something_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(monkeypatch, InterruptedDumpError("ENOBUFS"), [numbered(1)], [numbered(1) + numbered(2) + done()])
    assert [one.id for one in dump.list_expectations()] == [1, 2]
    assert kernel.asked == 3


def test_after_five_attempts_it_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(monkeypatch, *[[numbered(1)]] * 9)
    with pytest.raises(DumpError, match="in 5 attempts"):
        dump.list_expectations()
    assert kernel.asked == 5


@pytest.fixture
def not_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pathlib.Path:
    """Let the module of ctnetlink be one that could be loaded, and return the place of the kernel's own list."""
    monkeypatch.setattr(subsystems, "is_there", lambda module: module != "nf_conntrack_netlink")
    monkeypatch.setattr(dump, "_LIST", str(tmp_path / "list"))
    return tmp_path / "list"


def test_nothing_is_loaded_where_nothing_is_expected(monkeypatch: pytest.MonkeyPatch, not_loaded: pathlib.Path) -> None:
    kernel = Kernel(monkeypatch)
    not_loaded.write_text("")
    assert dump.list_expectations() == []
    assert kernel.asked == 0


@pytest.mark.parametrize("text", ["299 l3proto = 2 proto=6\n", None])
def test_the_kernel_is_asked_where_something_is_expected_or_may_be(
    monkeypatch: pytest.MonkeyPatch, not_loaded: pathlib.Path, text: str | None
) -> None:
    Kernel(monkeypatch, [numbered(1) + done()])
    if text is not None:
        not_loaded.write_text(text)
    assert len(dump.list_expectations()) == 1
