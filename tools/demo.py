# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo: the site playbook on a lab of routers, and the proof that it did what it said and nothing else.

Exit status 0 means proven: the stale entries are gone by conntrack's own listing, every live flow carried data
throughout, the rehearsal changed nothing and foretold the counts, and a second run changed nothing. The lab is taken
down in any case, unless the environment has KEEP=1.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import typing as t

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT / "tools" / "lab"))

# ruff: noqa: E402  (they are found through the line above)
import lab
from processes import LabError, run
from record import Lab
from topology import FLOWS, STALE_SECONDS, STALE_TIMEOUTS, Router

REPORTS = CHECKOUT / ".work" / "demo"
ROUTERS = 3
STALE = 2000
STORY = (
    "for family in ipv4 ipv6; do conntrack -L -f $family 2>/dev/null; done"
    " | grep ESTABLISHED | grep 'packets=1 bytes=[0-9]* .UNREPLIED.'"
)
"""How the founding story finds its stale entries: with conntrack and grep, and no code of this collection."""
COUNT = f"{STORY} | wc -l"
LENGTHS = f"{STORY} | grep -o 'packets=1 bytes=[0-9]*' | sort | uniq -c"

_RECAP = re.compile(r"^(\S+) +: ok=\d+ +changed=(\d+) ", re.MULTILINE)


class NotProvenError(Exception):
    """Something did not come out as the demo claims it does; the message says what."""


def main() -> None:
    """Run the demo; the exit status is 1 when a proof fails."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    started = time.monotonic()
    try:
        with standing_lab(keep=os.environ.get("KEEP", "") not in ("", "0")) as built:
            proof = demonstrate(built)
    except (NotProvenError, LabError) as error:
        sys.exit(f"demo: NOT PROVEN: {error}")
    except KeyboardInterrupt:
        sys.exit("demo: interrupted")
    say(f"PROVEN in {time.monotonic() - started:.0f} s: {proof}")


@contextlib.contextmanager
def standing_lab(keep: bool) -> t.Iterator[Lab]:
    """Build the lab, give it, and take it down in the end, whatever happens; or ``keep`` it."""
    say(f"build a lab of {ROUTERS} routers, each with {len(FLOWS)} live flows and {STALE} stale entries")
    built = lab.up(routers=ROUTERS, stale=STALE)
    try:
        yield built
    finally:
        if keep:
            say(how_to_use(built))
        else:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # an impatient second Ctrl-C would leave half a lab
            say("take the lab down")
            lab.down()


def demonstrate(built: Lab) -> str:
    """Rehearse, run, and run again, with every proof in between; give what was proven. Raises NotProvenError."""
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    say(kernel_imitated(built.routers[0]))
    show_lengths(built.routers[0])
    blocks_before = require_live_flows("before")
    require("stale entries before", count_stale(built.routers), ROUTERS * STALE)

    rehearsal, _changes = play(built, "rehearsal", "--check")
    foretold = rehearsal["totals"]["would_delete"]
    require("stale entries after the rehearsal", count_stale(built.routers), ROUTERS * STALE)
    require("deletions that the rehearsal foretells", foretold, ROUTERS * STALE)

    first, _changes = play(built, "first")
    require("stale entries after the run", count_stale(built.routers), 0)
    require("deletions of the run", first["totals"]["deleted"], foretold)
    require_live_flows("after the run")

    _second, changes = play(built, "second")
    require("changes of the second run", changes, 0)
    blocks = require_live_flows("at the end") - blocks_before

    print((REPORTS / "first.txt").read_text(encoding="utf-8"))
    say(f"the reports and the output of all three runs: {REPORTS.relative_to(CHECKOUT)}/")
    return (
        f"{foretold} stale entries foretold, deleted and gone; {len(built.routers) * len(FLOWS)} live flows carried "
        f"{blocks} blocks meanwhile and lost none; the second run changed nothing"
    )


def play(built: Lab, name: str, *options: str) -> tuple[dict[str, t.Any], int]:
    """Run the site playbook with ``options``; give its report, and how many tasks say that they changed a router.

    The files of the run are called ``name``. Raises NotProvenError when a router was not done.
    """
    inventory = str(built.inventory.relative_to(CHECKOUT))
    command = ["ansible-playbook", "netops.conntrack.site", "-i", inventory, "-e", "target=routers", *options]
    log = REPORTS / f"{name}.log"
    say(f"{shlex.join(command)}   # output: {log.relative_to(CHECKOUT)}")
    report = {"conntrack_audit_report_directory": str(REPORTS), "conntrack_audit_report_name": name}
    # Named, for Ansible takes no ansible.cfg from a directory that everybody may write to.
    environment = {**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    with log.open("w", encoding="utf-8") as output:
        rc = subprocess.call(
            [*command, "--extra-vars", json.dumps(report)],
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    text = log.read_text(encoding="utf-8")
    changes = changes_by_host(text)
    if rc != 0 or len(changes) != ROUTERS:
        print(text, file=sys.stderr)
        raise NotProvenError(f"ansible-playbook ended with status {rc}; its output stands above")
    document: dict[str, t.Any] = json.loads((REPORTS / f"{name}.json").read_text(encoding="utf-8"))
    return document, sum(changes.values())


def changes_by_host(text: str) -> dict[str, int]:
    """Return how many tasks changed something on each host, from the recap that ansible-playbook printed."""
    return {host: int(changed) for host, changed in _RECAP.findall(text)}


def kernel_imitated(router: Router) -> str:
    """Return what the routers of the lab do differently from the kernel that they run on."""
    own = min(int(run(["sysctl", "-n", name], netns=router.client)) for name in STALE_TIMEOUTS)
    names = " and ".join(name.rpartition("nf_conntrack_")[2] for name in STALE_TIMEOUTS)
    return (
        f"these routers keep a stale entry for {STALE_SECONDS} s (5 days), as the story's kernel did, like all before "
        f"3.12. This one ({platform.release()}) would let it go after {own} s: for the demo, {names} are raised to "
        f"{STALE_SECONDS}"
    )


def show_lengths(router: Router) -> None:
    """Show how long the packets are that left the stale entries of a router."""
    say(f"{LENGTHS}   # {router.name}")
    print(run(["sh", "-c", LENGTHS], netns=router.namespace), end="", flush=True)


def count_stale(routers: list[Router]) -> int:
    """Count the stale entries of all ``routers`` as the founding story does."""
    counts = {router.name: int(run(["sh", "-c", COUNT], netns=router.namespace)) for router in routers}
    say(f"{COUNT}   # {', '.join(f'{name}: {count}' for name, count in counts.items())}")
    return sum(counts.values())


def require_live_flows(when: str) -> int:
    """Return how many blocks all flows have carried so far.

    Raises NotProvenError when one does not carry data now, or ever had an error.
    """
    flows = [(router, flow) for router, verdicts in lab.flows().items() for flow in verdicts.items()]
    broken = [f"{router} {name}: {verdict['reason']}" for router, (name, verdict) in flows if not verdict["ok"]]
    say(f"live flows {when}: {len(flows) - len(broken)} of {len(flows)} carry data, without an error since they began")
    if broken:
        raise NotProvenError(f"live flows are broken {when}: {'; '.join(broken)}")
    return sum(verdict["received"] for _router, (_name, verdict) in flows)


def require(what: str, found: int, wanted: int) -> None:
    """Raise NotProvenError unless ``found`` is ``wanted``."""
    if found != wanted:
        raise NotProvenError(f"{what}: {found}, not {wanted}")


def how_to_use(built: Lab) -> str:
    """Return what a user types to go on with a lab that stands."""
    return f"""the lab stands, as KEEP=1 asks
  look at it       .venv/bin/python tools/lab/lab.py status
  log in           .venv/bin/python tools/lab/lab.py ssh {built.routers[0].name}
  run a playbook   .venv/bin/ansible-playbook netops.conntrack.audit -i {built.inventory.relative_to(CHECKOUT)}
  take it down     make lab-down"""


def say(line: str) -> None:
    """Print a line of the demo's own, apart from what its commands print."""
    print(f"demo: {line}", flush=True)


if __name__ == "__main__":
    main()
