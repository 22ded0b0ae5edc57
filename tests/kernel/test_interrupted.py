# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module that a signal ends says what it has done by then, and leaves nothing half done."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import typing as t

import pytest
from helpers.settings_module import sysctl
from helpers.support import (
    give_arguments,
    module_path,
    network_namespace,
    run,
    run_module,
    wait_until,
    with_default_signals,
)

ENTRIES = 5000
SIGNALS = [signal.SIGHUP, signal.SIGINT, signal.SIGTERM]

# The kernel deletes 5,000 entries in some milliseconds: the test stops the module in the middle of them.
_SLOW = """
import os, time
import ansible_collections.netops.conntrack.plugins.module_utils.{module} as module

def slow(*arguments, wrapped={name}, **options):
    answer = wrapped(*arguments, **options)
    slow.calls += 1
    if slow.calls == {calls}:
        open(os.environ["REACHED"], "w").close()
        time.sleep({seconds})
    return answer

slow.calls = 0
{name} = slow
"""


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("stopped") as name:
        yield name


def fill(netns: str) -> None:
    ports = ((number // 250, number % 250) for number in range(ENTRIES))
    lines = [
        f"-A -p udp -s 10.0.{high}.{low} -d 10.1.0.1 --sport 1000 --dport 53 -t 600 -u SEEN_REPLY"
        for high, low in ports
    ]
    run(["conntrack", "-R", "-"], netns=netns, text="\n".join(lines) + "\n")


def count(netns: str) -> int:
    return int(run(["conntrack", "-C"], netns=netns))


class Interruptible:
    """Runs a module that is slow at one point, and sends it a signal there."""

    def __init__(self, directory: pathlib.Path, netns: str) -> None:
        self.directory = directory
        self.netns = netns

    def __call__(
        self,
        module: str,
        args: dict[str, t.Any],
        number: signal.Signals,
        *,
        at: str,
        calls: int = 1,
        ignored: bool = False,
    ) -> tuple[int, dict[str, t.Any]]:
        """Return the exit code and the answer of the module, which gets the signal after some ``calls`` of ``at``."""
        util, _colon, name = at.partition(":")
        slow = _SLOW.format(module=util, name=f"module.{name}", calls=calls, seconds=1)
        (self.directory / "sitecustomize.py").write_text(slow)
        reached = self.directory / "reached"
        begin = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"] if ignored else []
        command = [*begin, sys.executable, "-m", f"ansible_collections.netops.conntrack.plugins.modules.{module}"]
        with subprocess.Popen(
            ["ip", "netns", "exec", self.netns, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{self.directory}:{module_path()}", "REACHED": str(reached)},
            preexec_fn=with_default_signals,
        ) as process:
            assert process.stdout
            give_arguments(process, args)
            wait_until(reached.exists)
            process.send_signal(number)
            answer = json.loads(process.stdout.read())
        return process.returncode, answer


@pytest.fixture
def interrupted(tmp_path: pathlib.Path, netns: str) -> Interruptible:
    return Interruptible(tmp_path, netns)


SELECTED: dict[str, t.Any] = {"match": {"protocol": "udp"}}


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("limit", ["99%", None])
def test_a_prune_says_how_many_it_deleted_and_stops(
    netns: str, interrupted: Interruptible, number: signal.Signals, limit: str | None
) -> None:
    fill(netns)
    args = {**SELECTED, "max_delete": ENTRIES} if limit else SELECTED
    rc, answer = interrupted("conntrack_prune", args, number, at="_table.writable:WritableTable._send", calls=2)
    left = count(netns)
    assert 0 < left < ENTRIES
    of_all = f" of {ENTRIES:,}" if limit else ""
    assert rc == 1
    assert answer["msg"] == (
        f"Interrupted by {number.name}: {ENTRIES - left:,}{of_all} selected entries were deleted by then. "
        "They do not come back by themselves. Run it again for the rest."
    )
    assert (answer["deleted"], answer["changed"]) == (ENTRIES - left, True)
    assert run_module("conntrack_prune", SELECTED, netns=netns).data["deleted"] == left


def test_a_prune_that_is_done_already_says_so(netns: str, interrupted: Interruptible) -> None:
    fill(netns)
    args = {**SELECTED, "max_delete": ENTRIES}
    # The fifth call is the count after the deletes.
    _rc, answer = interrupted("conntrack_prune", args, signal.SIGTERM, at="_table.table:Table.count", calls=5)
    assert count(netns) == 0
    assert f"{ENTRIES:,} of {ENTRIES:,} selected entries were deleted" in answer["msg"]


def test_before_its_first_step_nothing_was_changed(netns: str, interrupted: Interruptible) -> None:
    fill(netns)
    rc, answer = interrupted("conntrack_prune", SELECTED, signal.SIGTERM, at="_table.table:Table.count")
    assert (rc, answer["msg"]) == (1, "Interrupted by SIGTERM: Nothing was changed.")
    assert answer["changed"] is False
    assert count(netns) == ENTRIES


def test_an_update_says_how_many_it_updated(netns: str, interrupted: Interruptible) -> None:
    fill(netns)
    args = {**SELECTED, "mark": "7"}
    _rc, answer = interrupted(
        "conntrack_update", args, signal.SIGTERM, at="_table.writable:WritableTable._send", calls=4
    )
    marked = run(["conntrack", "-L", "--mark", "7"], netns=netns).count("mark=7")
    assert 0 < marked < ENTRIES
    assert f"{marked:,} of {ENTRIES:,} selected entries were updated by then. They keep" in answer["msg"]
    assert answer["updated"] == marked


WANTED = {"acct": 1, "generic_timeout": 120}


def test_a_change_of_settings_is_finished_as_a_whole(netns: str, interrupted: Interruptible) -> None:
    args = {"settings": WANTED, "persist": False}
    rc, answer = interrupted("conntrack_settings", args, signal.SIGHUP, at="_sysctl.sysctl:Sysctl.write")
    assert rc == 0
    assert (sysctl(netns, "acct"), sysctl(netns, "generic_timeout")) == (1, 120)
    assert "Interrupted by SIGHUP: The change was finished as a whole.'" in str(answer["warnings"])


def test_a_change_that_waits_goes_back_by_itself_and_says_when(netns: str, interrupted: Interruptible) -> None:
    before = sysctl(netns, "acct"), sysctl(netns, "generic_timeout")
    args = {"settings": WANTED, "persist": False, "confirm_within": "4s"}
    _rc, answer = interrupted("conntrack_settings", args, signal.SIGTERM, at="_sysctl.sysctl:Sysctl.write")
    assert "The change was finished as a whole. It is rolled back in " in str(answer["warnings"])
    assert sysctl(netns, "acct") == 1
    wait_until(lambda: (sysctl(netns, "acct"), sysctl(netns, "generic_timeout")) == before)


def test_a_hang_up_that_is_ignored_stays_ignored(netns: str, interrupted: Interruptible) -> None:
    fill(netns)
    at = "_table.writable:WritableTable._send"
    rc, answer = interrupted("conntrack_prune", SELECTED, signal.SIGHUP, at=at, ignored=True)
    assert (rc, answer["deleted"]) == (0, ENTRIES)


def test_a_signal_after_the_change_does_not_say_that_nothing_was_changed(
    netns: str, interrupted: Interruptible
) -> None:
    args = {"settings": WANTED, "persist": False}
    at = "_settings.transaction:Transaction.describe"
    rc, answer = interrupted("conntrack_settings", args, signal.SIGTERM, at=at)
    assert (rc, answer["msg"]) == (1, "Interrupted by SIGTERM: The change was finished as a whole.")
    assert answer["changed"] is True
    assert sysctl(netns, "acct") == 1
