# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was selected and does not match any more when it is to be deleted: a handshake that is complete by then."""

from __future__ import annotations

import os
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.guards import Guards
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune import prune
from ansible_collections.netops.conntrack.plugins.module_utils._entry_changes.prune_plan import PrunePlan, parse_limit
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import compile_selection
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table.writable import WritableTable
from helpers.packet_injection import Router, injected_router
from helpers.packets import tcp, udp
from helpers.support import run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for network namespaces")

ENTRIES, ANSWERED = 500, 100
CLIENT, SERVER = "198.18.0.1", "203.0.113.1"
TCP, UDP = 6, 17


def connect(router: Router) -> None:
    """Send the first packet of each handshake."""
    for port in range(1000, 1000 + ENTRIES):
        router.send(CLIENT, SERVER, TCP, tcp((port, 443), "S", 1, 0))


def complete(router: Router) -> None:
    """Send the others of some."""
    for port in range(1000, 1000 + ANSWERED):
        router.send(SERVER, CLIENT, TCP, tcp((443, port), "SA", 1, 2))
        router.send(CLIENT, SERVER, TCP, tcp((port, 443), "A", 2, 2))


def ask(router: Router) -> None:
    for port in range(1000, 1000 + ENTRIES):
        router.send(CLIENT, SERVER, UDP, udp((port, 5000)))


def answer(router: Router) -> None:
    for port in range(1000, 1000 + ANSWERED):
        router.send(SERVER, CLIENT, UDP, udp((5000, port)))


class Delayed(WritableTable):
    """A table for which something comes once it is read, or a part of it is."""

    def __init__(self, come: t.Callable[[], None]) -> None:
        super().__init__(read_ahead=False)
        self._to_come = [come]

    def delete(self, targets: t.Any, outcome: t.Any = None) -> t.Any:
        self._let_come()
        return super().delete(targets, outcome)

    def looks(self, targets: t.Any, outcome: t.Any) -> t.Iterator[t.Any]:
        self._let_come()
        yield from super().looks(targets, outcome)

    def _let_come(self) -> None:
        while self._to_come:
            self._to_come.pop()()


@pytest.mark.parametrize("limit", ["100%", ENTRIES])
@pytest.mark.parametrize(
    ("begin", "go_on", "select", "match", "kept"),
    [
        (connect, complete, ["half_open"], None, "ESTABLISHED"),
        (ask, answer, [], "protocol=udp replied=false", "udp"),
    ],
)
def test_what_is_answered_by_then_stays(
    begin: t.Callable[[Router], None],
    go_on: t.Callable[[Router], None],
    select: list[str],
    match: str | None,
    kept: str,
    limit: t.Any,
) -> None:
    with injected_router("last") as router:
        begin(router)
        assert run(["conntrack", "-C"], netns=router.netns).strip() == str(ENTRIES)
        with inside(router.netns), Delayed(lambda: go_on(router)) as table:
            context = Context.read(read_settings())
            selection = compile_selection(match, None, context, select=select)
            plan = PrunePlan(selection, Guards((), helpers=True), context, sample=3, whole=True)
            result = prune(table, plan, parse_limit(limit), dry_run=False).result(table.count(), with_diff=False)
        assert (result["matched"], result["woken"], result["deleted"]) == (ENTRIES, ANSWERED, ENTRIES - ANSWERED)
        assert (result["already_gone"], result["not_deleted"], result["count_after"]) == (0, 0, ANSWERED)
        lines = run(["conntrack", "-L"], netns=router.netns).splitlines()
        assert len(lines) == ANSWERED
        assert all(kept in line and "[UNREPLIED]" not in line for line in lines)
