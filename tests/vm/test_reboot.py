# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook `site`, what a reboot leaves of its settings, and a router that a change makes unreachable."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import platform
import subprocess
import typing as t

import pytest
from helpers.support import run_ansible
from vm import VirtualMachine

OVERRIDES = {"max": 131072, "buckets": 32768}
CAPS = {"tcp_timeout_unacknowledged": 300, "tcp_timeout_max_retrans": 300}
NEW = {**OVERRIDES, "acct": 1, "tcp_timeout_established": 54000, "generic_timeout": 120}
WANTED = {**NEW, **CAPS}
"""The overrides and what the profile `expire_dead_connections` sets. A stock kernel has the caps already."""
STALE = "-p tcp -s 198.18.0.1 -d 203.0.113.1 --sport %d --dport 443 --state ESTABLISHED -t 400000"
STALE_ENTRIES = 20
HASH_SIZE = "/sys/module/nf_conntrack/parameters/hashsize"
PLAIN = "/etc/sysctl.d/90-plain.conf"

ANSIBLE_SECONDS = 1800
CONFIRM_SECONDS = 15
SLACK_SECONDS = 3
"""What an emulated processor may take to start restoring, and to notice."""
RULES = """
table inet cut {
  chain input { type filter hook input priority -10; tcp dport 22 %s drop; }
}
"""
CUT = """
import os, pathlib, subprocess, time

setting = pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established")
before = setting.read_text()
while setting.read_text() == before:
    time.sleep(0.05)
changed = time.monotonic()
subprocess.run(["nft", "--file", "/run/cut.nft"], check=True)
while setting.read_text() != before:
    time.sleep(0.05)
pathlib.Path("/run/cut.new").write_text(f"{time.monotonic() - changed}")
os.rename("/run/cut.new", "/run/cut")
"""
"""Cuts the connection as soon as a value changes, and writes down after how many seconds the old one was back."""


@dataclasses.dataclass(frozen=True)
class State:
    """What a router holds now, and the files that decide what it will hold after a reboot."""

    values: dict[str, int]
    hash_size: int
    files: str


@dataclasses.dataclass(frozen=True)
class Tuned:
    """A router before and after the playbook, and after its reboot."""

    before: State
    after: State
    rebooted: State
    pruned: dict[str, t.Any]
    """What the report says of the prune."""

    left: str
    """The entries that conntrack(8) lists afterwards, but for those of SSH."""


@pytest.fixture(scope="module")
def tuned(router: VirtualMachine, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    before = look(router)
    router.sh("".join(f"conntrack -I {STALE % port}\n" for port in range(1, 1 + STALE_ENTRIES)))
    router.sh("".join(f"conntrack -I {STALE % port} -u SEEN_REPLY\n" for port in range(1001, 1006)))
    home = tmp_path_factory.mktemp("tuned")
    variables = {
        "target": "all",
        "conntrack_prune_match": [
            {"protocol": "tcp", "state": "ESTABLISHED", "replied": False, "destination_port": 443}
        ],
        "conntrack_prune_confirm_idle": "2s",
        "conntrack_tune_overrides": OVERRIDES,
        "conntrack_audit_report_directory": str(home / "reports"),
        "conntrack_audit_report_name": "site",
    }
    command = ["ansible-playbook", "netops.conntrack.site", "--extra-vars", json.dumps(variables)]
    done = run_ansible(command, router.inventory, home, timeout=ANSIBLE_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    [result] = json.loads((home / "reports" / "site.json").read_text())["hosts"].values()
    left = router.sh("conntrack -L -p tcp --dport 443")
    after = look(router)
    router.reboot()
    return Tuned(before, after, look(router), result["prune"], left)


@pytest.fixture
def cut_off(router: VirtualMachine) -> t.Iterator[t.Callable[[str], None]]:
    """Yield what arms the router to drop those packets to its ssh port that match, once a setting changes."""

    def arm(match: str) -> None:
        router.sh("cat >/run/cut.nft && nft --check --file /run/cut.nft", text=RULES % match)
        router.sh("cat >/run/cut.py && systemd-run --quiet --unit=cut python3 /run/cut.py", text=CUT)

    yield arm
    router.sh("systemctl stop cut; systemctl reset-failed cut; rm -f /run/cut; nft delete table inet cut || true")


def look(router: VirtualMachine) -> State:
    """Read everything in one go, through the way in that nothing here cuts."""
    directories = "/etc/sysctl.d /etc/modules-load.d /etc/modprobe.d"
    settings = "net/netfilter/nf_conntrack_"
    listing = router.sh(
        f"cd /proc/sys && grep -H '' {' '.join(settings + name for name in WANTED)} && cat {HASH_SIZE} && "
        f"find {directories} -type f | sort | xargs grep -H ''"
    ).splitlines()
    values = dict(line.removeprefix(settings).split(":") for line in listing[: len(WANTED)])
    hash_size, *files = listing[len(WANTED) :]
    return State({name: int(value) for name, value in values.items()}, int(hash_size), "\n".join(files))


def test_it_is_the_kernel_that_the_guest_is_for(router: VirtualMachine) -> None:
    kernel, machine = router.sh("uname -rm").split()
    assert router.guest.may_run(kernel)
    assert machine == router.guest.hardware.name
    assert kernel != platform.release()


def test_a_plain_file_in_sysctl_d_is_lost_at_boot(router: VirtualMachine) -> None:
    before = look(router)
    text = "".join(f"net.netfilter.nf_conntrack_{name} = {value}\n" for name, value in WANTED.items())
    router.sh(f"cat >{PLAIN} && sysctl --quiet --load {PLAIN}", text=text)
    assert look(router).values == WANTED
    router.reboot()
    router.sh(f"rm {PLAIN}")
    found = look(router)
    results = router.sh("systemctl show --property=Result --value systemd-sysctl.service nftables.service")
    assert results.split() == ["success", "success"]
    assert found.values == before.values
    assert not found.values.items() & NEW.items()


def test_site_deletes_what_nobody_answered_and_no_more(tuned: Tuned) -> None:
    assert (tuned.pruned["would_delete"], tuned.pruned["deleted"]) == (STALE_ENTRIES, STALE_ENTRIES)
    assert tuned.left.count(" dport=443 ") == 5
    assert "[UNREPLIED]" not in tuned.left


def test_what_site_sets_is_in_force_after_a_reboot(tuned: Tuned) -> None:
    assert not tuned.before.values.items() & NEW.items()
    assert tuned.after.values == WANTED
    assert tuned.rebooted.values == WANTED
    assert tuned.rebooted.hash_size == WANTED["buckets"]
    assert tuned.rebooted.files == tuned.after.files != tuned.before.files


def test_absent_brings_back_what_was_before_the_first_run(
    router: VirtualMachine, tuned: Tuned, tmp_path: pathlib.Path
) -> None:
    done = settings(router, {"state": "absent"}, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert look(router) == tuned.before


@pytest.mark.parametrize("match", ["tcp flags & (syn | ack) == syn", ""], ids=["new connections", "every packet"])
def test_a_router_that_was_cut_off_goes_back_in_time(
    router: VirtualMachine, tmp_path: pathlib.Path, cut_off: t.Callable[[str], None], match: str
) -> None:
    before = look(router)
    cut_off(match)
    wanted = {"tcp_timeout_established": "1h", "max": 100000, "buckets": 16384}
    done = settings(router, {"settings": wanted, "confirm_within": CONFIRM_SECONDS}, tmp_path)
    assert done.returncode != 0, done.stdout
    assert "UNREACHABLE" in done.stdout
    assert "its old values by itself" in done.stdout
    seconds = float(wait_for_text(router, "/run/cut"))
    print(f"the old values were back after {seconds:.1f} s")
    assert seconds <= CONFIRM_SECONDS + SLACK_SECONDS
    assert look(router) == before


def test_a_kernel_that_panics_is_waited_for(router: VirtualMachine) -> None:
    before = router.boot_id()
    router.sh("sync; (sleep 1; echo c >/proc/sysrq-trigger) >/dev/null 2>&1 &")
    print(f"it answers again after {router.wait(before):.0f} s")
    router.check_kernel()


def settings(
    router: VirtualMachine, arguments: dict[str, t.Any], home: pathlib.Path
) -> subprocess.CompletedProcess[str]:
    command = ["ansible", "routers", "-m", "netops.conntrack.conntrack_settings", "-a", json.dumps(arguments)]
    return run_ansible(command, router.inventory, home, timeout=ANSIBLE_SECONDS)


def wait_for_text(router: VirtualMachine, file: str) -> str:
    """Return what a file of the router holds, once it is there."""
    return router.sh(f"for _ in $(seq 100); do [ -e {file} ] && break; sleep 0.5; done; cat {file}")
