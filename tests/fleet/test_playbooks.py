# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks over SSH: a dry run foretells, a run does, a second one rests, and dead routers are named."""

from __future__ import annotations

import pathlib
import typing as t

import lab
import pytest
from helpers.support import CHECKOUT, read_yaml, run
from topology import FLOWS, QUIET_CONNECTIONS

FOUR = {f"router{number}" for number in range(1, 5)}
TWO = ("--extra-vars", "target=router1:router2")

Make = t.Callable[[str, int], t.Any]


@pytest.fixture
def fleet(make_fleet: Make) -> t.Any:
    return make_fleet("nctest", 4)


@pytest.fixture
def pair(make_fleet: Make) -> t.Any:
    return make_fleet("nctest", 3)


def pruned(report: dict[str, t.Any], what: str) -> dict[str, int]:
    return {host: result["prune"][what] for host, result in report["hosts"].items()}


def changes(report: dict[str, t.Any]) -> dict[str, t.Any]:
    return {host: result["settings"]["changes"] for host, result in report["hosts"].items()}


def shortened(report: dict[str, t.Any], what: str) -> dict[str, int]:
    return {host: result["settings"]["shortened"][what] for host, result in report["hosts"].items()}


def test_site_foretells_does_and_rests(fleet: t.Any) -> None:
    stale, before = fleet.stale(), fleet.state()
    assert set(stale) == FOUR
    assert all(stale.values())
    assert fleet.flows_carry()

    rehearsal = fleet.play("site", "--check")
    assert rehearsal.rc == 0, rehearsal.output
    assert fleet.state() == before
    assert pruned(rehearsal.report, "would_delete") == stale

    first = fleet.play("site")
    assert first.rc == 0, first.output
    assert pruned(first.report, "deleted") == pruned(rehearsal.report, "would_delete")
    assert changes(first.report) == changes(rehearsal.report)
    # Flows that live get the new timeout by themselves before it comes to them; quiet connections never do.
    foretold, done = shortened(rehearsal.report, "would_update"), shortened(first.report, "updated")
    live = sum(flow.protocol == "tcp" for flow in FLOWS)
    assert all(foretold[host] - live <= done[host] <= foretold[host] for host in FOUR)
    assert all(done[host] >= QUIET_CONNECTIONS for host in FOUR)
    assert {result["settings"]["confirmed"] for result in first.report["hosts"].values()} == {True}
    assert fleet.stale() == dict.fromkeys(FOUR, 0)
    assert fleet.state() != before
    assert fleet.flows_carry()

    second = fleet.play("site")
    assert second.rc == 0, second.output
    assert second.changed == dict.fromkeys(FOUR, 0)
    assert fleet.flows_carry()


def test_serial_goes_past_a_dead_router_and_names_it(fleet: t.Any) -> None:
    stale = fleet.stale()
    directory = fleet.built.directory
    lab.stop_router(directory, "router2")
    outcome = fleet.play("site", "--extra-vars", "batch=1")
    lab.start_router(directory, "router2")
    assert outcome.rc != 0
    assert outcome.report["unreachable"] == ["router2"]
    assert outcome.report["failed"] == []
    assert fleet.stale() == {**dict.fromkeys(FOUR, 0), "router2": stale["router2"]}
    assert fleet.play("site", "--limit", "router2").rc == 0
    assert fleet.stale()["router2"] == 0


def test_audit_alone_changes_nothing(pair: t.Any) -> None:
    before = pair.state()
    outcome = pair.play("audit", *TWO)
    assert outcome.rc == 0, outcome.output
    assert set(outcome.report["hosts"]) == {"router1", "router2"}
    assert outcome.changed == {"router1": 0, "router2": 0}
    assert pair.state() == before


def test_prune_alone_prunes_its_target_only(pair: t.Any) -> None:
    stale = pair.stale()
    outcome = pair.play("prune", *TWO)
    assert outcome.rc == 0, outcome.output
    assert pair.stale() == {"router1": 0, "router2": 0, "router3": stale["router3"]}
    assert pair.flows_carry()
    for router in ("router1", "router2"):
        account = outcome.report["hosts"][router]["prune"]
        backup = pathlib.Path(account["backup_file"])
        assert router in backup.parts
        assert backup.read_text().endswith(f"\n# complete {account['would_delete']}\n")


def test_tune_acts_on_idle_entries_at_once(make_fleet: Make) -> None:
    fleet = make_fleet("nctest", 1)
    router = fleet.routers[0].namespace
    idle = "-I -p tcp -s 198.18.0.1 -d 203.0.113.1 --sport {} --dport 443 --state ESTABLISHED -t 431999 -u {}\n"
    text = "".join(idle.format(port, "SEEN_REPLY,ASSURED") for port in range(1_001, 11_001))
    text += "".join(idle.format(port, "SEEN_REPLY,ASSURED,FIXED_TIMEOUT") for port in range(20_001, 20_008))
    run(["conntrack", "-R", "-"], netns=router, text=text)

    def with_more(*selected: str) -> int:
        listing = run(["conntrack", "-L", "-o", "extended", *selected], netns=router)
        return sum(int(line.split()[4]) > 54_000 for line in listing.splitlines())

    assert with_more() >= 10_007
    outcome = fleet.play("tune")
    assert outcome.rc == 0, outcome.output
    assert (with_more(), with_more("-u", "FIXED_TIMEOUT")) == (7, 7)
    account = outcome.report["hosts"]["router1"]["settings"]["shortened"]
    assert account["updated"] >= 10_000
    assert account["fixed_timeout"] == 7
    assert fleet.flows_carry()


def test_tune_foretells_what_it_does_and_measures_it(make_fleet: Make) -> None:
    fleet = make_fleet("nctest", 1)
    router = fleet.routers[0].namespace
    # With timestamps, the entries below would be known to be younger than their last packet.
    sysctls = ("net.netfilter.nf_conntrack_tcp_timeout_established=1000", "net.netfilter.nf_conntrack_timestamp=0")
    run(["sysctl", "-qw", *sysctls], netns=router)
    idle = "-I -p tcp -s 198.18.0.1 -d 203.0.113.1 --sport {} --dport 4443 --state ESTABLISHED -t {} -u {}\n"
    # The last packet of these was 100 s ago.
    text = "".join(idle.format(port, 900, "SEEN_REPLY,ASSURED") for port in range(1_001, 2_001))
    run(["conntrack", "-R", "-"], netns=router, text=text)
    overrides = '{"conntrack_tune_overrides": {"tcp_timeout_established": 15}, "conntrack_tune_measure_after": 17}'

    rehearsal = fleet.play("tune", "--check", "--extra-vars", overrides)
    assert rehearsal.rc == 0, rehearsal.output
    foretold = rehearsal.report["hosts"]["router1"]["settings"]["forecast"]
    assert 1000 <= foretold["gone"] < 1000 + QUIET_CONNECTIONS + 50
    assert foretold["then"]["count"] == foretold["now"]["count"] - foretold["gone"]
    assert (foretold["shortened_in_seconds"], foretold["after"]) == (15, None)
    assert "What these settings do to the entries" in rehearsal.page
    assert f"{foretold['gone']} of {foretold['entries']} entries would be gone within 15 s" in rehearsal.page

    real = fleet.play("tune", "--extra-vars", overrides)
    assert real.rc == 0, real.output
    done = real.report["hosts"]["router1"]["settings"]["forecast"]
    listing = run(["conntrack", "-L", "-p", "tcp", "--orig-port-dst", "4443"], netns=router)
    assert listing == ""
    assert done["after_seconds"] == 17
    # Whatever else was silent for that time is gone as well, and a few connections of others come and go.
    assert done["after"]["count"] <= done["then"]["count"] + 20
    assert fleet.flows_carry()


def test_tune_alone_sets_its_target_only(pair: t.Any) -> None:
    stale, before = pair.stale(), pair.state()
    outcome = pair.play("tune", *TWO)
    assert outcome.rc == 0, outcome.output
    key = "net.netfilter.nf_conntrack_tcp_timeout_established"
    values = {host: state[1][key] for host, state in pair.state().items()}
    assert values == {"router1": "54000", "router2": "54000", "router3": before["router3"][1][key]}
    assert pair.stale() == stale


def test_each_profile_is_all_that_is_set_and_absent_restores_all(make_fleet: Make) -> None:
    fleet = make_fleet("nctest", 1)
    directory = pathlib.Path("/etc/netns") / fleet.routers[0].namespace / "sysctl.d"
    (directory / "90-netops-conntrack.conf").write_text("# mine\n-net/netfilter/nf_conntrack_generic_timeout=500")
    _entries, kernel, files = fleet.state()["router1"]
    profiles = load_defaults("conntrack_tune")["conntrack_tune_profiles"]
    for name in ("under_attack", "expire_dead_connections", "kernel_defaults", "under_attack"):
        outcome = fleet.play("tune", "--extra-vars", f"conntrack_tune_profile={name}")
        assert outcome.rc == 0, outcome.output
        profile = profiles[name]["settings"]
        values = {f"net.netfilter.nf_conntrack_{short}": str(entry["value"]) for short, entry in profile.items()}
        assert fleet.state()["router1"][1] == {**kernel, **values}
        audit = fleet.play("audit", "--extra-vars", f"conntrack_tune_profile={name}")
        assert leftover(audit.report) == "passed"

    assert leftover(fleet.play("audit").report) == "finding"
    outcome = fleet.play("tune", "--extra-vars", "conntrack_tune_state=absent")
    assert outcome.rc == 0, outcome.output
    assert fleet.state()["router1"][1:] == (kernel, files)
    assert leftover(fleet.play("audit").report) == "passed"
    assert fleet.flows_carry()


def load_defaults(role: str) -> dict[str, t.Any]:
    path = CHECKOUT / "roles" / role / "defaults" / "main.yml"
    return t.cast("dict[str, t.Any]", read_yaml(path))


def leftover(report: dict[str, t.Any]) -> str:
    findings = report["hosts"]["router1"]["before"]["findings"]
    return str(next(finding["status"] for finding in findings if finding["id"] == "leftover_settings"))
