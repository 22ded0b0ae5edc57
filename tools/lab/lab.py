# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab: real routers, each with a client and a server, in network namespaces.

`lab.py up` builds it, `lab.py down` takes it down and leaves nothing; README.md in this directory shows what it is.
Tests call the functions of the same names.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import pathlib
import re
import shutil
import signal
import sys
import time
import types
import typing as t

import access
import live
import record
from construction import build_router, stale_entries, state_file
from processes import LabError, end_inside, inside, run
from record import Lab
from removal import take_down
from topology import FLOWS, MANAGEMENT, MAX_ROUTERS, choose_block, is_prefix

Verdicts = dict[str, dict[str, dict[str, t.Any]]]
"""By router and flow: the flow's state, with ``ok``."""

DEFAULT_DIRECTORY = pathlib.Path(__file__).resolve().parent.parent.parent / ".work" / "lab"
DEFAULT_PREFIX = "nclab"
PACKAGES = {
    "ip": "iproute2",
    "nft": "nftables",
    "conntrack": "conntrack",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sysctl": "procps",
    "setpriv": "util-linux",
}
"""The commands that the lab calls, and the Debian packages that hold them."""

_MAX_STALE = 1_000_000
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def up(
    directory: pathlib.Path = DEFAULT_DIRECTORY,
    *,
    prefix: str = DEFAULT_PREFIX,
    routers: int = 3,
    stale: int = 2000,
    base: str | None = None,
    interval: float | None = None,
) -> Lab:
    """Build a lab and give it; what is left of an earlier one with this ``prefix`` or ``directory`` goes first.

    ``stale`` is the number of stale entries on each router, ``base`` the first management address (default: one that
    follows from the prefix), ``interval`` the seconds between two blocks of a flow (default: 0.1, and more above ten
    routers). Takes down what it made when it fails or is interrupted. Raises LabError.
    """
    directory = directory.resolve()
    interval = max(0.1, routers / 100) if interval is None else interval
    _check_arguments(directory, prefix, routers, stale, interval)
    wanted = None if base is None else _parse_base(base, routers)
    _check_machine()
    down(directory, prefix)
    lab = record.plan(directory, prefix, _management_block(prefix, wanted, routers), routers)
    try:
        _build(lab, stale, interval)
    except BaseException:
        down(directory, prefix)
        raise
    return lab


def down(directory: pathlib.Path = DEFAULT_DIRECTORY, prefix: str | None = None) -> None:
    """Take down the lab that the record in ``directory`` names and the one called ``prefix``, whole or half made.

    Without either, it is the one with the default prefix if ``directory`` is the default too, and else none. Raises
    LabError when something could not be removed.
    """
    _check_root()
    directory = directory.resolve()
    recorded = record.read(directory)
    prefixes = {name for name in (prefix, recorded.get("prefix")) if name}
    if not prefixes and directory == DEFAULT_DIRECTORY.resolve():
        prefixes = {DEFAULT_PREFIX}
    for name in prefixes:
        take_down(name, record.processes(recorded))
    if recorded:
        access.remove_directories(recorded["made"])
        record.remove(directory)


def flows(directory: pathlib.Path = DEFAULT_DIRECTORY, wait: float = 5.0) -> Verdicts:
    """Return the state of every flow, with ``ok``: a block sent after this call came back, and there was no error.

    Returns as soon as all flows are ok, after ``wait`` seconds at the latest. Raises LabError when there is no lab.
    """
    lab = record.load(directory)
    asked = time.monotonic()
    while True:
        time.sleep(0.1)
        verdicts = {router.name: _judge_flows(state_file(lab, router), asked) for router in lab.routers}
        if all_ok(verdicts) or time.monotonic() > asked + wait:
            return verdicts


def all_ok(verdicts: Verdicts) -> bool:
    """Return whether every flow is ok."""
    return all(flow["ok"] for router in verdicts.values() for flow in router.values())


def stop_router(directory: pathlib.Path, name: str) -> None:
    """Make the router ``name`` unreachable for ssh: end its sshd with all connections. It goes on forwarding."""
    end_inside([record.load(directory).router(name).namespace])


def start_router(directory: pathlib.Path, name: str) -> None:
    """Make the router ``name`` reachable again, if it is not."""
    lab = record.load(directory)
    router = lab.router(name)
    if not inside([router.namespace]):
        access.start_sshd(lab.ssh, router)


def ssh_command(directory: pathlib.Path, name: str, command: t.Sequence[str] = ()) -> list[str]:
    """Return the ssh command line that runs ``command``, or a shell, on the router ``name``."""
    lab = record.load(directory)
    return access.ssh_command(lab.ssh, lab.router(name), command)


def status(directory: pathlib.Path = DEFAULT_DIRECTORY) -> str:
    """Return a line for each router: names, whether its sshd runs, entries and stale ones, flows that are ok."""
    verdicts = flows(directory)
    lines = [f"{'router':10} {'namespace':16} {'address':16} {'sshd':8} {'entries':>8} {'stale':>8}  flows ok"]
    for router in record.load(directory).routers:
        sshd = "runs" if inside([router.namespace]) else "stopped"
        entries = int(run(["conntrack", "-C"], netns=router.namespace))
        carrying = sum(flow["ok"] for flow in verdicts[router.name].values())
        lines.append(
            f"{router.name:10} {router.namespace:16} {router.address:16} {sshd:8} "
            f"{entries:8} {stale_entries(router):8}  {carrying}/{len(FLOWS)}"
        )
    return "\n".join(lines)


def _build(lab: Lab, stale: int, interval: float) -> None:
    lab.directory.mkdir(parents=True, exist_ok=True)
    made = access.missing_directories()
    record.write(lab, made)
    lab.flows.mkdir()
    access.masters_directory(lab.prefix).mkdir(mode=0o700)
    access.make_keys(lab.ssh, lab.routers)
    for router in lab.routers:
        build_router(lab, router, stale, interval)
        print(f"{router.name} {router.address}: {len(FLOWS)} live flows, {stale} stale entries", file=sys.stderr)
    lab.inventory.write_text(access.inventory(lab.ssh, lab.prefix, lab.routers))
    record.write(lab, made, [name for router in lab.routers for name in router.namespaces])


def _judge_flows(file: pathlib.Path, asked: float) -> dict[str, dict[str, t.Any]]:
    states = live.read_state(file)
    return {flow.name: live.judge(states.get(flow.name), asked) for flow in FLOWS}


def _management_block(prefix: str, wanted: ipaddress.IPv4Address | None, routers: int) -> ipaddress.IPv4Address:
    interfaces = json.loads(run(["ip", "-json", "-4", "address", "show"]))
    used = [ipaddress.IPv4Address(address["local"]) for each in interfaces for address in each["addr_info"]]
    if wanted is None:
        return choose_block(prefix, used)
    taken = [str(address) for address in used if wanted <= address < wanted + 4 * routers]
    if taken:
        raise LabError(f"--base: {wanted} overlaps with {', '.join(taken)}, in use on this machine. Give another one.")
    return wanted


def _parse_base(base: str, routers: int) -> ipaddress.IPv4Address:
    remedy = f"Give an address in {MANAGEMENT} that is a multiple of four and leaves room for four for each router."
    try:
        first = ipaddress.IPv4Address(base)
    except ValueError:
        raise LabError(f"--base: {base!r} is not an IPv4 address. {remedy}") from None
    if int(first) % 4 or first not in MANAGEMENT or first + 4 * routers - 1 not in MANAGEMENT:
        raise LabError(f"--base: {base!r} does not fit. {remedy}")
    return first


def _check_arguments(directory: pathlib.Path, prefix: str, routers: int, stale: int, interval: float) -> None:
    if not is_prefix(prefix):
        raise LabError(f"--prefix: {prefix!r} cannot begin names. Give 2 to 10 of a-z, 0-9 and '-', a letter first.")
    if not 1 <= routers <= MAX_ROUTERS:
        raise LabError(f"--routers: {routers} is out of range. Give a number from 1 to {MAX_ROUTERS}.")
    if not 0 <= stale <= _MAX_STALE:
        raise LabError(f"--stale: {stale} is out of range. Give a number from 0 to {_MAX_STALE}.")
    if not 0.01 <= interval <= 5:
        raise LabError(f"--interval: {interval} is out of range. Give seconds from 0.01 to 5.")
    if re.fullmatch(r"[A-Za-z0-9/._+=,@-]+", str(directory)) is None:
        raise LabError(
            f"--directory: {str(directory)!r} would be misread by ssh. Give a path without blanks and quotes."
        )
    if not record.is_free(directory):
        raise LabError(f"--directory: {str(directory)!r} holds other files. Give a new or an empty directory.")


def _check_machine() -> None:
    _check_root()
    missing = [command for command in PACKAGES if shutil.which(command) is None]
    if missing:
        packages = " ".join(sorted({PACKAGES[command] for command in missing}))
        raise LabError(f"{', '.join(missing)}: not found. Install what is missing: apt-get install {packages}")
    access.check_login()


def _check_root() -> None:
    if os.geteuid() != 0:
        raise LabError(
            "The lab makes network namespaces, links and firewall rules, which needs root. Run it with sudo."
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Routers, clients and servers in network namespaces, with real traffic."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.add_argument("--directory", type=pathlib.Path, default=DEFAULT_DIRECTORY, help="default: .work/lab")
        return added

    making = command("up", "build the lab; what is left of an earlier one goes first")
    making.add_argument("--routers", type=int, default=3, help="default: 3")
    making.add_argument("--stale", type=int, default=2000, help="stale entries on each router, default: 2000")
    making.add_argument("--prefix", default=DEFAULT_PREFIX, help="begins all names, default: nclab")
    making.add_argument("--base", help="first management address, default: follows from the prefix")
    making.add_argument("--interval", type=float, help="seconds between two blocks of a flow, default: 0.1")
    taking = command("down", "take the lab down, whatever is left of it")
    taking.add_argument("--prefix", help="of a lab whose record is lost")
    command("status", "show the routers, their entries and flows")
    checking = command("flows", "check the live flows; exit status 1 when one does not carry data")
    checking.add_argument("--wait", type=float, default=5.0, help="seconds that each has for it, default: 5")
    command("stop-router", "make a router unreachable: stop its sshd and cut its connections").add_argument("router")
    command("start-router", "make it reachable again").add_argument("router")
    shell = command("ssh", "run a command on a router, or a shell")
    shell.add_argument("router")
    shell.add_argument("remote", nargs=argparse.REMAINDER, metavar="COMMAND")
    return parser


def _obey(options: argparse.Namespace) -> int:
    directory: pathlib.Path = options.directory
    if options.command == "up":
        lab = up(
            directory,
            prefix=options.prefix,
            routers=options.routers,
            stale=options.stale,
            base=options.base,
            interval=options.interval,
        )
        _ignore_signals()
        print(f"inventory: {lab.inventory}")
    elif options.command == "down":
        down(directory, options.prefix)
    elif options.command == "status":
        print(status(directory))
    elif options.command == "flows":
        verdicts = flows(directory, options.wait)
        print(json.dumps(verdicts, indent=2))
        return 0 if all_ok(verdicts) else 1
    elif options.command == "stop-router":
        stop_router(directory, options.router)
    elif options.command == "start-router":
        start_router(directory, options.router)
    else:
        command = ssh_command(directory, options.router, options.remote)
        os.execvp(command[0], command)
    return 0


def _interrupt(number: int, _frame: types.FrameType | None) -> None:
    _ignore_signals()
    raise SystemExit(128 + number)


def _ignore_signals() -> None:
    """Let nothing interrupt what follows: a lab that is being taken down, or one that is complete and said to be."""
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def main() -> int:
    """Run the command that the arguments name, and return the exit status."""
    for each in _SIGNALS:
        signal.signal(each, _interrupt)
    # After `su` without a dash, root's path lacks them.
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    try:
        return _obey(_parser().parse_args())
    except LabError as error:
        print(f"lab.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
