# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a router loses connections, where the limit or the hash table is too small, made by real packets.

Both are values of the machine, which a network namespace cannot write. So the packets are those of a namespace, and the
printed cures run in the initial one.
"""

from __future__ import annotations

import contextlib
import pathlib
import re
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.audit_types import Finding
from helpers.audited_router import (
    NAMESPACE_CHECKS,
    answer_of,
    document_of,
    facts_of,
    findings_of,
    for_now,
    printed_by_shell,
)
from helpers.expecting import Request, expecting, send
from helpers.packet_injection import Router, injected_router
from helpers.packets import tcp, udp
from helpers.run_records import remove_records
from helpers.support import network_namespace, run

pytestmark = pytest.mark.alone

UDP, TCP = 17, 6
LIMIT = 16_000
"""Entries that the tests fill a table with. Other tables on the machine have fewer, so that these are not disturbed."""

_SETTINGS = "net.netfilter.nf_conntrack_"
_COMMAND = re.compile("`([^`]+)`")


def setting(short: str) -> int:
    return int(run(["sysctl", "-n", _SETTINGS + short]))


def set_machine(**values: int) -> None:
    for short, value in values.items():
        run(["sysctl", "-qw", f"{_SETTINGS}{short}={value}"])


@pytest.fixture(autouse=True)
def machine() -> t.Iterator[None]:
    """Restore all settings of the initial namespace."""
    lines = run(["sysctl", "-a", "--pattern", f"^{re.escape(_SETTINGS)}"]).splitlines()
    before = [line.replace(" = ", "=") for line in lines if not line.startswith(f"{_SETTINGS}count")]
    try:
        yield
    finally:
        run(["sysctl", "-qw", *before])
        remove_records(None)


@contextlib.contextmanager
def router() -> t.Iterator[Router]:
    """Yield a router whose entries do not expire while a test runs."""
    with injected_router("machine") as made:
        made.set(udp_timeout=600, udp_timeout_stream=600)
        yield made


def paced(numbers: range) -> t.Iterator[int]:
    """Yield the numbers with pauses, so that the router takes all packets also on a busy machine."""
    for place, number in enumerate(numbers):
        if place % 200 == 0:
            time.sleep(0.01)
        yield number


def query(made: Router, first: int, last: int) -> None:
    """Let clients ask servers that do not answer."""
    for at in paced(range(first, last)):
        made.send(client(at), server(at), UDP, udp((1024 + at, 53)))


def connect(made: Router, first: int, last: int) -> None:
    """Open connections, which the kernel does not evict."""
    for at in paced(range(first, last)):
        there, back = (1024 + at, 443), (443, 1024 + at)
        made.send(client(at), server(at), TCP, tcp(there, "S", 1, 0))
        made.send(server(at), client(at), TCP, tcp(back, "SA", 1, 2))
        made.send(client(at), server(at), TCP, tcp(there, "A", 2, 2))


def client(number: int) -> str:
    return f"10.1.{number >> 8}.{number & 255}"


def server(number: int) -> str:
    return f"77.85.{number & 255}.{1 + (number >> 8)}"


def audited(made: Router, directory: pathlib.Path, sample: str | None = None) -> dict[str, Finding]:
    return findings_of(document_of(made.netns, directory, facts_of(made.netns, sample=sample)))


def audited_namespaces(netns: str, directory: pathlib.Path) -> dict[str, Finding]:
    """Return what is found on the other namespaces of the machine."""
    facts = facts_of(netns, namespaces="all")
    across = facts["across_namespaces"]
    # Unknown where a process hides its namespace, such as the first one of some containers.
    across["load_factor"] = across["load_factor"] or 2 * across["count"] / across["buckets"]
    return findings_of(document_of(netns, directory, facts, NAMESPACE_CHECKS))


def losses(made: Router, name: str) -> int:
    """Return what the kernel has counted, by conntrack(8)."""
    return sum(map(int, re.findall(rf"\b{name}=(\d+)", run(["conntrack", "-S"], netns=made.netns))))


def cure(finding: Finding, directory: pathlib.Path) -> str:
    """Run the command of the last cure of a finding, as it is printed, and return what it is said to do."""
    text = finding["cures"][-1]
    [command] = _COMMAND.findall(text)
    printed_by_shell(for_now(command), None, directory)
    return text


def test_a_table_that_is_nearly_full_is_found_and_a_higher_limit_makes_it_go(tmp_path: pathlib.Path) -> None:
    set_machine(max=LIMIT)
    with router() as made:
        query(made, 0, LIMIT * 85 // 100)
        found = audited(made, tmp_path)["table_nearly_full"]
        assert found["value"] == 85.0
        text = cure(found, tmp_path)
        assert f'{{"max": {2 * LIMIT}}}' in text
        assert "then 42.5 % of it" in text
        assert setting("max") == 2 * LIMIT
        facts = facts_of(made.netns)
        assert facts["usage"]["percent"] == 42.5
        assert not findings_of(document_of(made.netns, tmp_path, facts)).keys() & {"table_full", "table_nearly_full"}


def test_packets_that_are_dropped_are_found_and_a_higher_limit_ends_it(tmp_path: pathlib.Path) -> None:
    set_machine(max=LIMIT)
    with router() as made:
        connect(made, 0, LIMIT)
        assert "packets_dropped" not in audited(made, tmp_path)
        query(made, LIMIT, LIMIT + 500)
        found = audited(made, tmp_path)
        assert found["packets_dropped"]["value"] == losses(made, "drop") == 500
        assert found["table_full"]["value"] == 100.0
        assert found["full_and_not_evictable"]["value"] == 0.0
        assert "table_full_logged" in found
        assert "then 50 % of it" in cure(found["packets_dropped"], tmp_path)
        query(made, LIMIT, LIMIT + 500)
        after = audited(made, tmp_path)
        assert not after.keys() & {"table_full", "full_and_not_evictable"}
        # The kernel never resets its counter, so only those who watch see that it is over.
        assert after["packets_dropped"]["value"] == 500
        assert "packets_dropped" not in audited(made, tmp_path, "1s")


def test_too_small_a_hash_table_is_found_and_its_chains_get_as_short_as_was_foretold(tmp_path: pathlib.Path) -> None:
    set_machine(max=LIMIT, buckets=4096)
    with router() as made:
        query(made, 0, 8192)
        assert "long_chains" not in audited(made, tmp_path)
        query(made, 8192, 12_000)
        found = audited(made, tmp_path)["long_chains"]
        assert found["value"] == 5.859
        text = cure(found, tmp_path)
        [foretold] = re.findall(r"chains of ([\d.]+) instead of 5.86", text)
        facts = facts_of(made.netns)
        assert facts["usage"]["load_factor"] == pytest.approx(float(foretold), abs=0.006)
        assert '{"buckets": 16384}' in text
        assert (setting("buckets"), setting("max")) == (16_384, LIMIT)
        assert "long_chains" not in findings_of(document_of(made.netns, tmp_path, facts))


def test_entries_that_are_evicted_are_found_and_a_higher_limit_ends_it(tmp_path: pathlib.Path) -> None:
    set_machine(max=LIMIT, buckets=8192)
    with router() as made:
        query(made, 0, LIMIT)
        assert "entries_evicted" not in audited(made, tmp_path)
        query(made, LIMIT, LIMIT + 3000)
        evicted = losses(made, "early_drop")
        assert evicted > 0
        found = audited(made, tmp_path)["entries_evicted"]
        assert found["value"] == evicted
        cure(found, tmp_path)
        query(made, LIMIT + 3000, LIMIT + 6000)
        assert audited(made, tmp_path)["entries_evicted"]["value"] == evicted
        assert "entries_evicted" not in audited(made, tmp_path, "1s")


def test_a_namespace_near_the_limit_is_found_and_a_higher_limit_makes_it_go(tmp_path: pathlib.Path) -> None:
    set_machine(max=LIMIT)

    with network_namespace("audited") as netns, router() as made:
        query(made, 0, LIMIT * 79 // 100)
        assert "namespace_nearly_full" not in audited_namespaces(netns, tmp_path)
        query(made, LIMIT * 79 // 100, LIMIT * 90 // 100)
        found = audited_namespaces(netns, tmp_path)["namespace_nearly_full"]
        assert found["value"] == f"{made.netns} 90.0 %"
        assert "then at 45 % of it" in cure(found, tmp_path)
        assert "namespace_nearly_full" not in audited_namespaces(netns, tmp_path)


def test_the_chains_of_all_namespaces_together_are_found_and_get_short(tmp_path: pathlib.Path) -> None:
    set_machine(buckets=4096)

    with network_namespace("audited") as netns, router() as made:
        assert "shared_hash_table" not in audited_namespaces(netns, tmp_path)
        query(made, 0, 12_000)
        found = audited_namespaces(netns, tmp_path)["shared_hash_table"]
        assert float(str(found["value"])) == pytest.approx(5.86, abs=0.2)
        assert "chains of 2 or less" in cure(found, tmp_path)
        assert "shared_hash_table" not in audited_namespaces(netns, tmp_path)


def test_a_full_table_of_expectations_is_found_with_who_fills_it_and_both_cures_make_it_go(
    tmp_path: pathlib.Path,
) -> None:
    check = "expectations_nearly_full"
    set_machine(expect_max=100)
    with expecting() as netns:
        send(netns, *(Request("127.0.0.4", 30_000 + at) for at in range(20)))
        send(netns, *(Request("127.0.0.3", 20_000 + at) for at in range(59)))
        assert check not in findings_of(document_of(netns, tmp_path))
        flood = [Request("127.0.0.3", 21_000 + at) for at in range(21)]
        send(netns, *flood)
        with pytest.raises(AssertionError, match="Operation not permitted"):
            send(netns, Request("127.0.0.4", 32_000))
        found = findings_of(document_of(netns, tmp_path))[check]
        assert found["value"] == "100.0 %, of which 80 of 100 for connections of 127.0.0.3"
        assert "then 50 % of it" in cure(found, tmp_path)
        assert setting("expect_max") == 200
        assert check not in findings_of(document_of(netns, tmp_path))
        send(netns, Request("127.0.0.4", 32_000))

        set_machine(expect_max=101)
        found = findings_of(document_of(netns, tmp_path))[check]
        prune, _limit = found["cures"]
        [command] = _COMMAND.findall(prune)
        assert "deletes 80 of 101." in prune
        assert answer_of(command, netns, tmp_path)["deleted"] == 80
        assert check not in findings_of(document_of(netns, tmp_path))
        send(netns, *flood)
