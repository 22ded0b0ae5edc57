# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks on routers that go wrong in ways in which a real one seldom does: the modules are stand-ins."""

from __future__ import annotations

import json
import re
import typing as t

import pytest
import yaml
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.renamed import RENAMED_PROFILES
from helpers.json_routers import DEAD, Fleet
from helpers.support import CHECKOUT


def test_a_dry_run_predicts_the_run_and_the_run_after_it_changes_nothing(fleet: Fleet) -> None:
    fleet.add("good")
    fleet.hosts["dead"] = DEAD
    fleet.add("limited", read_only=["generic_timeout"], without=["tcp_timeout_established"])
    fleet.add("uncounted", acct=0)
    before = {path: path.read_text() for path in fleet.directory.glob("*.json")}

    predicted = fleet.play("site", "--check")

    assert {path: path.read_text() for path in before} == before
    assert predicted.rc == 2, predicted.output
    assert predicted.column("prune", "would_delete") == {"good": 90000, "limited": 90000, "uncounted": None}
    assert predicted.column("prune", "deleted") == {"good": None, "limited": None, "uncounted": None}
    assert (predicted.document["totals"]["would_delete"], predicted.document["totals"]["deleted"]) == (180000, None)
    assert predicted.column("prune", "unavailable")["uncounted"] == "net.netfilter.nf_conntrack_acct is off"
    assert predicted.column("settings", "shortened")["good"]["matched"] == 10000
    assert predicted.column("settings", "left_out")["limited"] == ["generic_timeout", "tcp_timeout_established"]
    assert predicted.document["hosts"]["good"]["after"] is None
    # In the real run, they are gone when the profile is set.
    assert taken_for_deleted(fleet, "good")["select"] == ["stale"]
    assert taken_for_deleted(fleet, "uncounted") is None

    uncounted = fleet.directory / "uncounted.json"
    router = json.loads(uncounted.read_text())
    router["facts"]["selectors"]["stale"]["entries"] = 0
    router["facts"]["usage"]["percent"] = 50
    uncounted.write_text(json.dumps(router))
    real = fleet.play("site", "-e", "{batch: [1, 1, 100%]}")

    assert real.rc == 2, real.output
    assert real.document["unreachable"] == ["dead"]
    assert real.column("prune", "deleted") == predicted.column("prune", "would_delete")
    assert real.column("settings", "changes") == predicted.column("settings", "changes")
    assert real.column("prune", "unavailable") == predicted.column("prune", "unavailable")
    assert real.column("settings", "shortened")["good"]["matched"] == 10000
    assert taken_for_deleted(fleet, "good") is None
    assert real.document["hosts"]["good"]["after"]["usage"]["count"] == 10000
    assert re.search("dead, Measure and check: (Failed to connect|Data could not be sent) to", real.output)
    assert [name for name, counts in real.recap.items() if counts["failed"]] == ["dead"]

    again = fleet.play("site")

    assert {name: counts["changed"] for name, counts in again.recap.items()} == dict.fromkeys(fleet.hosts, 0)
    assert (again.document["totals"]["settings_changed"], again.document["totals"]["deleted"]) == (0, 0)


def taken_for_deleted(fleet: Fleet, router: str) -> t.Any:
    """Return what the last forecast of a router left out."""
    return json.loads((fleet.directory / f"{router}.foretold").read_text())


def test_what_goes_wrong_on_one_router_is_named_and_the_others_are_done(fleet: Fleet) -> None:
    fleet.add("broken", no_facts="pyroute2 is missing")
    fleet.add("gated", gate=True)
    fleet.add("good")
    fleet.add("limited", read_only=["max"])
    fleet.hosts["limited"]["conntrack_tune_overrides"] = {"net.netfilter.nf_conntrack_max": 5}
    fleet.add("silent", silent=True)
    fleet.add("stuck", stuck=3)
    fleet.add("uncounted", acct=0)
    fleet.hosts["uncounted"]["conntrack_tune_overrides"] = {"acct": 0}
    fleet.add("undone", overwritten={"generic_timeout": 600})
    fleet.add("untuned")
    fleet.hosts["untuned"]["conntrack_tune_profile"] = "fast"
    before = (fleet.directory / "limited.json").read_text()

    run = fleet.play("site", "-e", "batch=100%")

    assert run.rc == 2, run.output
    assert run.document["failed"] == sorted(fleet.hosts.keys() - {"good"})
    messages = run.column("failure", "message")
    assert messages["broken"] == "pyroute2 is missing"
    assert messages["gated"] == "max_delete: refused"
    assert messages["limited"] == "refused: ['max']"
    assert messages["stuck"].startswith(
        "Of 90000 entries, 89997 were deleted and 0 were gone already, 3 were not deleted. The kernel refused them."
    )
    assert messages["uncounted"] == "net.netfilter.nf_conntrack_acct is off"
    assert "'generic_timeout': 600" in messages["undone"]
    assert messages["untuned"].startswith(
        "conntrack_tune_profile: fast is no profile. Give one of expire_dead_connections, kernel_defaults, nat_"
    )
    assert messages["silent"] == "No answer. At least 7 entries had been deleted by then."
    assert run.column("prune", "not_deleted") == {"good": 0, "silent": None, "stuck": 3, "undone": 0}
    assert run.column("prune", "deleted") == {"good": 90000, "silent": 7, "stuck": 89997, "undone": 90000}
    assert run.column("settings", "profile") == {"good": "expire_dead_connections", "undone": "expire_dead_connections"}
    assert run.document["hosts"]["good"]["after"]["selectors"]["stale"]["entries"] == 0
    assert (fleet.directory / "limited.json").read_text() == before


def test_old_names_do_the_same_and_are_said_once(fleet: Fleet) -> None:
    for name in ("small", "sized", "unasked"):
        fleet.add(name, idle=437)
    fleet.hosts["small"].update(conntrack_tune_size=False)
    fleet.hosts["sized"].update(conntrack_tune_size=True, conntrack_tune_load=4, conntrack_tune_recap=False)
    run = fleet.play("tune", "-e", "conntrack_tune_profile=story", "-e", "conntrack_tune_peak=150k")

    assert run.rc == 0, run.output
    sizings = run.column("settings", "sizing")
    assert sizings["sized"]["max"] == 2 * sizings["sized"]["buckets"]
    assert (sizings["small"], sizings["unasked"]) == (None, None)
    shortened = {name: bool(account) for name, account in run.column("settings", "shortened").items()}
    assert shortened == {"small": True, "sized": False, "unasked": True}
    assert {settings["tcp_timeout_established"] for settings in settings_of(fleet).values()} == {54000}
    output = " ".join(run.output.split())
    for old, new in [("conntrack_tune_size", "conntrack_tune_sizing"), *RENAMED_PROFILES.items()]:
        assert output.count(f"{old} is called {new} since 1.0.0.") == 1, output
    assert output.count("DEPRECATION WARNING]: The ") == 4


@pytest.mark.parametrize("playbook", ["prune", "site"])
def test_the_old_name_for_what_a_later_step_turns_on(fleet: Fleet, playbook: str) -> None:
    fleet.add("uncounted", acct=0)
    fleet.hosts["uncounted"]["conntrack_prune_turned_on"] = "net.netfilter.nf_conntrack_acct"
    run = fleet.play(
        playbook, "-e", '{"conntrack_audit_skipped_gates": ["usage", "stale"]}', "-e", "conntrack_tune_state=absent"
    )
    assert run.column("failure", "message") == {}
    assert run.column("prune", "unavailable") == {"uncounted": "net.netfilter.nf_conntrack_acct is off"}
    assert "is called conntrack_prune_assume_enabled since 1.0.0." in " ".join(run.output.split())


@pytest.mark.parametrize("playbook", ["prune", "site"])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_the_new_name_for_what_a_later_step_turns_on(fleet: Fleet, playbook: str, state: str) -> None:
    acct = "net.netfilter.nf_conntrack_acct"
    for name in ("uncounted", "unnamed"):
        fleet.add(name, acct=0)
    fleet.hosts["uncounted"]["conntrack_prune_assume_enabled"] = [acct]
    gates = '{"conntrack_audit_skipped_gates": ["usage", "stale"], "conntrack_audit_batch": "100%"}'
    run = fleet.play(playbook, "-e", gates, "-e", f"conntrack_tune_state={state}")
    turned_on = playbook == "site" and state == "present"
    assert run.column("failure", "message").keys() == (set() if turned_on else {"unnamed"}), run.output
    assert run.column("prune", "unavailable")["uncounted"] == f"{acct} is off"


def test_the_roles_alone_say_old_names_once_and_refuse_both(fleet: Fleet) -> None:
    for name in ("one", "two", "both"):
        fleet.add(name)
        fleet.hosts[name]["conntrack_tune_recap"] = False
    fleet.hosts["both"]["conntrack_tune_shorten"] = True
    role = {"name": "netops.conntrack.conntrack_tune"}
    own = fleet.directory / "own.yml"
    own.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [{"include_role": role}]}]))
    done = fleet.run_file(str(own))
    output = " ".join((done.stdout + done.stderr).split())
    assert output.count("conntrack_tune_recap is called conntrack_tune_shorten since 1.0.0.") == 1, output
    assert "conntrack_tune_recap is the old name of conntrack_tune_shorten, and both are given." in output
    assert settings_of(fleet)["one"]["tcp_timeout_established"] == 54000
    assert settings_of(fleet)["both"]["tcp_timeout_established"] == 432000


def test_another_profile_leaves_nothing_of_the_one_before(fleet: Fleet) -> None:
    fleet.add("router")
    fleet.add("limited", read_only=["tcp_loose"])
    before = settings_of(fleet)
    fleet.play("tune", "-e", "conntrack_tune_profile=under_attack")
    attacked = settings_of(fleet)
    assert attacked["router"]["tcp_timeout_syn_sent"] == 20

    run = fleet.play("tune")

    assert run.rc == 0, run.output
    changes = run.column("settings", "changes")["router"]
    assert changes["tcp_timeout_syn_sent"]["after"] == before["router"]["tcp_timeout_syn_sent"]
    assert changes["tcp_timeout_syn_sent"]["why"].startswith("The value from before the first run.")
    profile = {"acct": 1, "tcp_timeout_established": 54000, "generic_timeout": 120}
    caps = {"tcp_timeout_unacknowledged": 300, "tcp_timeout_max_retrans": 300}
    for name, settings in settings_of(fleet).items():
        assert settings == {**before[name], **profile, **{short: caps[short] for short in caps if short in settings}}

    rehearsal = fleet.play("tune", "-e", "conntrack_tune_state=absent", "--check")
    undone = fleet.play("tune", "-e", "conntrack_tune_state=absent")
    assert undone.rc == 0, undone.output
    assert undone.column("settings", "changes") == rehearsal.column("settings", "changes")
    assert undone.column("settings", "profile") == {"limited": "absent", "router": "absent"}
    assert settings_of(fleet) == before
    again = fleet.play("site", "-e", "conntrack_tune_state=absent")
    assert again.document["totals"]["settings_changed"] == 0, again.output


def settings_of(fleet: Fleet) -> dict[str, dict[str, int]]:
    """Return what the kernels of the routers hold."""
    return {path.stem: json.loads(path.read_text())["facts"]["settings"] for path in fleet.directory.glob("*.json")}


def test_the_size_that_fits_each_router_is_set_and_explained(fleet: Fleet) -> None:
    fleet.add("busy")
    fleet.add("contained", read_only=["buckets", "max"])
    fleet.add("crowded")
    fleet.hosts["crowded"]["conntrack_tune_memory_share"] = 0.5
    fleet.add("own")
    fleet.hosts["own"]["conntrack_tune_overrides"] = {"nf_conntrack_max": 120000}
    fleet.add("unasked")
    for name in fleet.hosts.keys() - {"unasked"}:
        fleet.hosts[name]["conntrack_tune_sizing"] = True

    predicted = fleet.play("tune", "-e", "conntrack_tune_peak=150k", "--check")
    real = fleet.play("tune", "-e", "conntrack_tune_peak=150k")

    assert real.rc == 0, real.output
    assert real.column("settings", "changes") == predicted.column("settings", "changes")
    sizings = real.column("settings", "sizing")
    assert [name for name, sizing in sizings.items() if sizing is None] == ["contained", "unasked"]
    assert real.column("settings", "left_out")["contained"] == ["buckets", "max"]
    limits = {
        name: (sizing["limited_by"], sizing["max"], sizing["buckets"]) for name, sizing in sizings.items() if sizing
    }
    assert limits == {
        "busy": ("peak", 327680, 327680),
        "crowded": ("present", 102400, 16384),
        "own": ("override", 120000, 120320),
    }
    changes = real.column("settings", "changes")
    assert {short: changes["busy"][short]["after"] for short in ("max", "buckets")} == {
        "max": 327680,
        "buckets": 327680,
    }
    assert (changes["own"]["max"]["after"], changes["own"]["buckets"]["after"]) == (120000, 120320)
    assert not {"max", "buckets"} & (changes["contained"].keys() | changes["unasked"].keys())
    assert "max 102400 → 327680, buckets 16384 → 327680, 162.5 MiB of memory when full" in real.output


def test_a_change_is_confirmed_and_idle_entries_are_shortened(fleet: Fleet) -> None:
    fleet.add("busy", idle=437)
    fleet.add("forgetful", gone_back=True)
    fleet.add("quiet", phones=12)
    options = ("-e", "conntrack_tune_confirm_within=60s")

    predicted = fleet.play("tune", "--check", *options)
    assert predicted.rc == 0, predicted.output
    assert {name: each["would_update"] for name, each in predicted.column("settings", "shortened").items()} == {
        "busy": 437,
        "forgetful": 0,
        "quiet": 0,
    }
    assert set(predicted.column("settings", "confirmed").values()) == {None}
    assert {account["updated"] for account in predicted.column("settings", "shortened").values()} == {None}

    real = fleet.play("tune", *options)
    assert real.document["failed"] == ["forgetful"]
    message = real.document["hosts"]["forgetful"]["failure"]["message"]
    assert message == "No change waits for its confirmation. Restored: all of it."
    assert real.column("settings", "confirmed") == {"busy": True, "quiet": True}
    assert {name: each["updated"] for name, each in real.column("settings", "shortened").items()} == {
        "busy": 437,
        "quiet": 0,
    }
    assert real.document["hosts"]["quiet"]["settings"]["shortened"]["kept"]["not_lowered"] == 12
    assert "437 timeouts shortened (3 with a fixed timeout left)" in real.output

    second = fleet.play("tune", "--limit", "busy", "-e", "conntrack_tune_shorten=false", *options)
    assert second.rc == 0, second.output
    assert second.recap["busy"]["changed"] == 0
    assert second.column("settings", "shortened") == {"busy": None}
    assert second.column("settings", "confirmed") == {"busy": None}


FORECAST: dict[str, t.Any] = {
    "entries": 900,
    "governed": 890,
    "gone": 600,
    "unknown": 12,
    "percent": 66.67,
    "last_in_seconds": 377990,
    "shortened_in_seconds": 54000,
    "remaining": [],
    "states": [],
    "settings": {},
    "raised": [],
    "not_foretold": [],
    "now": {"count": 900, "max": 1000, "percent": 90.0, "headroom": 100, "buckets": 512, "load_factor": 3.516},
    "then": {"count": 300, "max": 1000, "percent": 30.0, "headroom": 700, "buckets": 512, "load_factor": 1.172},
}


def test_what_a_profile_does_is_foretold_and_measured(fleet: Fleet) -> None:
    fleet.add("busy", idle=437, forecast=FORECAST)
    fleet.add("silent")
    kept = {key: FORECAST[key] for key in ("entries", "governed", "gone", "unknown", "percent", "now", "then")}

    predicted = fleet.play("tune", "--check")
    assert predicted.rc == 0, predicted.output
    foretold = predicted.column("settings", "forecast")
    assert foretold["silent"] is None
    assert {key: foretold["busy"][key] for key in kept} == kept
    assert (foretold["busy"]["after"], foretold["busy"]["after_seconds"]) == (None, None)
    assert "600 of 900 entries would be gone within 15 h" in " ".join(predicted.output.split())

    real = fleet.play("tune", "-e", "conntrack_tune_measure_after=1")
    assert real.rc == 0, real.output
    done = real.column("settings", "forecast")["busy"]
    assert {key: done[key] for key in kept} == kept
    assert done["after"] == FORECAST["now"]
    assert done["after_seconds"] == 1

    without = fleet.play("tune", "--check", "-e", "conntrack_tune_forecast=false")
    assert without.column("settings", "forecast") == {"busy": None, "silent": None}


def test_nothing_but_dead_routers_is_a_report_too(fleet: Fleet) -> None:
    fleet.hosts.update(dead1=DEAD, dead2=DEAD)
    run = fleet.play("prune", "--limit", "dead2")
    assert (run.rc, run.document["unreachable"], list(run.document["hosts"])) == (2, ["dead2"], ["dead2"])


def test_the_documented_play_takes_a_router_without_accounting(fleet: Fleet) -> None:
    fleet.add("uncounted", acct=0)
    text = (CHECKOUT / "docs" / "playbooks.md").read_text(encoding="utf-8")
    [play] = [block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "hosts: edge" in block]
    own = fleet.directory / "own.yml"
    own.write_text(play.replace("hosts: edge", "hosts: all").replace("become: true", "become: false"))
    done = fleet.run_file(str(own))
    assert done.returncode == 0, done.stdout + done.stderr
    facts = json.loads((fleet.directory / "uncounted.json").read_text())["facts"]
    assert facts["settings"]["acct"] == 1
    assert facts["selectors"]["stale"]["entries"] == 90000
