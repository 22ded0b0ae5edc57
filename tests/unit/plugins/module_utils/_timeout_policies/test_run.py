# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run with a kernel that is older, or that somebody else changes at the same time."""

from __future__ import annotations

import errno
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    NotPermittedError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import subsystems
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies import cttimeout, run
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.requests import Answer
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.run import Run

PARAMS: dict[str, t.Any] = {
    "name": "sip",
    "family": "ipv4",
    "protocol": "udp",
    "timeouts": {"replied": "1h"},
    "nft_table": None,
    "state": "present",
}
GONE = {**PARAMS, "state": "absent"}


class Kernel:
    """A kernel that answers each kind of request as it is told, and notes what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **errors: int) -> None:
        self.errors = errors
        self.asked: list[str] = []
        monkeypatch.setattr(cttimeout, "ask", self.ask)
        monkeypatch.setattr(subsystems, "is_there", lambda _module: True)

    def ask(self, datagram: bytes) -> Answer:
        kind = {0: "new", 1: "get", 2: "delete", 4: "default_get"}[datagram[4]]
        self.asked.append(kind)
        return Answer([], self.errors.get(kind, 0))


@pytest.mark.parametrize("check_mode", [True, False])
def test_kernel_without_the_subsystem(monkeypatch: pytest.MonkeyPatch, check_mode: bool) -> None:
    kernel = Kernel(monkeypatch, **dict.fromkeys(("new", "get", "delete", "default_get"), errno.EINVAL))
    with pytest.raises(UnavailableError, match="modprobe nfnetlink_cttimeout"):
        Run(PARAMS, check_mode, False).result()
    assert "new" not in kernel.asked
    assert Run(GONE, check_mode, False).result()["changed"] is False


def test_module_that_is_not_loaded_is_not_asked_in_check_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(monkeypatch)
    monkeypatch.setattr(subsystems, "is_there", lambda _module: False)
    result = Run(PARAMS, True, False).result()
    assert (result["changed"], result["policy"]["timeouts"]) == (True, {"replied": 3600})
    assert Run(GONE, False, False).result()["changed"] is False
    assert kernel.asked == []


@pytest.mark.parametrize("error", [errno.EEXIST, errno.EBUSY, errno.ENOMEM])
def test_what_the_kernel_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    Kernel(monkeypatch, get=errno.ENOENT, new=error, default_get=errno.EINVAL)
    monkeypatch.setattr(cttimeout, "kernel_defaults", lambda _wanted: {})
    with pytest.raises(ConntrackError, match="refused to make the policy sip"):
        Run(PARAMS, False, False).result()


def test_kernel_that_takes_a_policy_and_not_its_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    Kernel(monkeypatch, get=errno.ENOENT)
    monkeypatch.setattr(cttimeout, "kernel_defaults", lambda _wanted: {})
    with pytest.raises(ConntrackError, match="took the policy sip, but not replied") as caught:
        Run(PARAMS, False, False).result()
    assert caught.value.result == {"changed": True}


def test_answer_without_a_policy_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    Kernel(monkeypatch)
    with pytest.raises(ConntrackError, match="refused to look up the policy sip"):
        Run(PARAMS, False, False).result()


def test_missing_right_is_said_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(_datagram: bytes) -> Answer:
        raise NotPermittedError("root")

    monkeypatch.setattr(cttimeout, "ask", ask)
    monkeypatch.setattr(subsystems, "is_there", lambda _module: True)
    for params in (PARAMS, GONE):
        with pytest.raises(NotPermittedError):
            Run(params, False, False).result()


def test_options_are_checked_before_the_kernel_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(monkeypatch)
    mistakes: list[dict[str, t.Any]] = [{"timeouts": {}}, {"name": ""}, {"nft_table": "filter"}, {"protocol": None}]
    for wrong in mistakes:
        with pytest.raises(ConntrackError):
            run.Run({**PARAMS, **wrong}, False, False)
    assert kernel.asked == []


def test_only_a_new_policy_of_iptables_with_a_long_name_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    Kernel(monkeypatch, get=errno.ENOENT)
    monkeypatch.setattr(cttimeout, "kernel_defaults", lambda _wanted: {})
    assert "warnings" not in Run(PARAMS, True, False).result()
    [warning] = Run({**PARAMS, "name": "phone"}, True, False).result()["warnings"]
    assert "iptables-save writes no more than 'phon' of 'phone'" in warning


def test_no_delete_is_ever_encoded_without_a_name() -> None:
    """The kernel would remove every policy that no rule uses."""
    with pytest.raises(ValueError, match="must name its policy"):
        cttimeout.TimeoutSubsystem().delete("")
