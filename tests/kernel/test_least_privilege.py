# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CAP_NET_ADMIN alone: what the modules do for a user who has no other right, and what they say of the rest."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import shortening
from ansible_collections.netops.conntrack.plugins.module_utils._files import run_directory
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from helpers.local_attacker import USER
from helpers.pairs import pair
from helpers.support import (
    CHECKOUT,
    SYSTEM_PYTHON,
    ModuleResult,
    assert_refused,
    module_path,
    network_namespace,
    run,
    run_module,
)

CAPABILITIES = ("--inh-caps=-all,+net_admin", "--ambient-caps=-all,+net_admin", "--bounding-set=-all,+net_admin")
NET_ADMIN = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *CAPABILITIES, "--no-new-privs")
SECURITY = (CHECKOUT / "docs" / "security.md").read_text(encoding="utf-8")
SSH = "198.51.100.9 40000 198.51.100.1 22"
ENTRIES = [
    "-p tcp -s 198.51.100.9 -d 198.51.100.1 --sport 40000 --dport 22 --state ESTABLISHED -u SEEN_REPLY,ASSURED",
    *(f"-p udp -s 198.18.0.{host} -d 203.0.113.1 --sport 4000 --dport 53" for host in range(1, 21)),
    "-p tcp -s 2001:db8::1 -d 2001:db8::2 --sport 5000 --dport 443 --state ESTABLISHED",
]
RUN = "/run/netops-conntrack"
SUDO_USER = 54321
"""The number of the page's user, whom no machine has."""


def insert(netns: str) -> None:
    run(["conntrack", "-R", "-"], netns=netns, text="".join(f"-I {entry} -t 1000\n" for entry in ENTRIES))


def count(netns: str) -> int:
    return int(run(["conntrack", "-C"], netns=netns))


@pytest.fixture(autouse=True)
def records(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Return the directory that stands in for the one in /run. It has what root has written there."""
    path = tmp_path_factory.mktemp("records") / "run"
    monkeypatch.setattr(run_directory, "DIRECTORY", str(path))
    run_directory.make()
    return path


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("least") as name:
        run(["sysctl", "-qw", "net.netfilter.nf_conntrack_acct=1"], netns=name)
        insert(name)
        yield name


def ask(netns: str, module: str, args: dict[str, t.Any], *, prepare: str = "true", **options: t.Any) -> ModuleResult:
    """Run a module with CAP_NET_ADMIN alone, after ``prepare`` was run as root in mounts of its own.

    It has the records of the test, and not those of the machine, which others change at the same time.
    """
    setup = f'mkdir -p {RUN}; mount --bind {run_directory.DIRECTORY} {RUN}; {prepare}; exec "$@"'
    wrapper = ("unshare", "--mount", "--propagation=private", "sh", "-ec", setup, "sh", *NET_ADMIN)
    return run_module(module, args, netns=netns, wrapper=wrapper, **options)


@pytest.fixture
def directory() -> t.Iterator[pathlib.Path]:
    """A directory that the user can write, and that nobody else can."""
    path = pathlib.Path(f"/tmp/least-{os.getpid()}-{time.monotonic_ns()}")
    path.mkdir(mode=0o700)
    os.chown(path, USER, USER)
    yield path
    shutil.rmtree(path)


def without_time(entries: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    passing = ("remaining", "idle", "age")
    return [{key: None if key in passing else value for key, value in entry.items()} for entry in entries]


def test_the_facts_are_those_of_root(netns: str) -> None:
    subsets = ["usage", "settings", "stats", "table", "selectors", "expectations", "boot"]
    own = ask(netns, "conntrack_facts", {"gather_subset": subsets})
    of_root = run_module("conntrack_facts", {"gather_subset": subsets}, netns=netns)
    facts, wanted = (each.data["ansible_facts"]["conntrack"] for each in (own, of_root))
    # What needs another right is unknown, and a warning says which.
    log, log_of_root = facts["stats"].pop("table_full"), wanted["stats"].pop("table_full")
    assert log["messages"] is None
    assert log["unreadable"]
    assert log_of_root["unreadable"] is None
    [warning] = [str(each) for each in own.data["warnings"]]
    assert "stats: " in warning
    assert "CAP_SYSLOG" in warning
    assert "become: true" in warning
    for each in (facts, wanted):
        each["stats"].pop("per_cpu")
        each["table"].pop("age", None)
    assert facts == wanted
    assert facts["table"]["entries"] == len(ENTRIES)


def test_the_entries_are_those_of_root(netns: str) -> None:
    args = {"entries": True, "limit": 100, "sort_by": ["source"]}
    own = ask(netns, "conntrack_info", args)
    of_root = run_module("conntrack_info", args, netns=netns)
    assert "warnings" not in own.data
    assert without_time(own.data["entries"]) == without_time(of_root.data["entries"])
    assert len(own.data["entries"]) == len(ENTRIES)


def test_a_prune_with_a_backup_that_the_user_can_write(netns: str, directory: pathlib.Path) -> None:
    args = {"match": "protocol=udp", "backup": True, "backup_dir": str(directory), "max_delete": "95%"}
    result = ask(netns, "conntrack_prune", args)
    assert (result.data["deleted"], count(netns)) == (20, 2)
    file = pathlib.Path(result.data["backup_file"])
    assert (file.parent, stat.S_IMODE(file.stat().st_mode), file.stat().st_uid) == (directory, 0o600, USER)
    run(["conntrack", "-R", str(file)], netns=netns)
    assert count(netns) == len(ENTRIES)


def test_a_prune_with_a_backup_that_the_user_cannot_write(netns: str, tmp_path: pathlib.Path) -> None:
    tmp_path.chmod(0o700)
    args = {"match": "protocol=udp", "backup": True, "backup_dir": str(tmp_path / "backups")}
    assert_refused(ask(netns, "conntrack_prune", args), "backup_dir", "Permission denied", "backup: false")
    assert count(netns) == len(ENTRIES)


def test_a_mark_needs_nothing_else(netns: str) -> None:
    result = ask(netns, "conntrack_update", {"match": "protocol=udp", "mark": "7"})
    assert result.data["updated"] == 20
    again = ask(netns, "conntrack_update", {"match": "protocol=udp", "mark": "7"})
    assert (again.data["updated"], again.data["unchanged"]) == (0, 20)
    assert "mark=7" in run(["conntrack", "-L", "-p", "udp"], netns=netns)


def test_a_shorter_time_needs_a_record_that_only_root_can_write(netns: str) -> None:
    args = {"match": "protocol=udp", "timeout": {"max": 60}}
    assert ask(netns, "conntrack_update", args, check=True).data["would_update"] == 20
    result = ask(netns, "conntrack_update", args)
    assert_refused(result, RUN, "Permission denied", "Nothing was changed", "become: true")
    assert ask(netns, "conntrack_update", args, check=True).data["would_update"] == 20


def test_the_record_of_changed_timeouts_is_read(netns: str, records: pathlib.Path) -> None:
    """Root has shortened entries to their 1,000 seconds. A user without other rights knows that, too."""
    args = {"match": "protocol=udp", "entries": True, "limit": 1}
    with inside(netns), shortening(1000):
        pass
    assert stat.S_IMODE(records.stat().st_mode) == 0o711
    result = ask(netns, "conntrack_info", args)
    assert "warnings" not in result.data
    [entry] = result.data["entries"]
    assert entry["idle"] is not None
    # Nothing else of root's is told to everybody.
    with inside(netns):
        run_directory.write(run_directory.path_of("pending"), "a change that waits")
    modes = {path.name.partition("-")[0] + path.suffix: stat.S_IMODE(path.stat().st_mode) for path in records.iterdir()}
    assert modes == {"timeouts": 0o644, "timeouts.lock": 0o600, "pending": 0o600}


# A directory as earlier releases have made it, or one that a security module guards.
_CLOSED = f"mkdir -p {RUN}; mount -t tmpfs none {RUN}; chmod 700 {RUN}"


def test_without_the_record_idle_is_unknown_and_named(netns: str) -> None:
    result = ask(netns, "conntrack_info", {"entries": True, "limit": 100}, prepare=_CLOSED)
    assert {entry["idle"] for entry in result.data["entries"]} == {None}
    [warning] = map(str, result.data["warnings"])
    for words in (RUN, "CAP_DAC_READ_SEARCH", "idle is null", "become: true"):
        assert words in warning
    result = ask(netns, "conntrack_facts", {"gather_subset": ["table"]}, prepare=_CLOSED)
    idle = result.data["ansible_facts"]["conntrack"]["table"]["idle"]
    assert idle["unknown"] == len(ENTRIES)
    [warning] = map(str, result.data["warnings"])
    assert "All idle times are unknown" in warning
    for module, args in (
        ("conntrack_info", {"match": [{"idle": {"min": "1s"}}]}),
        ("conntrack_prune", {"match": [{"idle": {"min": "1s"}}]}),
        ("conntrack_prune", {"match": "protocol=udp", "exclude": [{"idle": {"max": "1s"}}]}),
        ("conntrack_update", {"timeout": "settings"}),
    ):
        option = "timeout" if module == "conntrack_update" else "idle"
        refused = ask(netns, module, args, prepare=_CLOSED)
        assert_refused(refused, f"{option}: ", RUN, "CAP_DAC_READ_SEARCH", "become: true")
    assert count(netns) == len(ENTRIES)
    assert ask(netns, "conntrack_prune", {"match": "protocol=udp"}, prepare=_CLOSED).data["deleted"] == 20


def test_files_of_the_next_boot_that_cannot_be_read_are_named(netns: str) -> None:
    place = "/etc/sysctl.d"
    line = "net.netfilter.nf_conntrack_max=1"
    closed = f"mount -t tmpfs none {place}; echo {line} >{place}/9-secret.conf; chmod 600 {place}/*"
    result = ask(netns, "conntrack_facts", {"gather_subset": ["boot"]}, prepare=closed)
    assert result.data["ansible_facts"]["conntrack"]["boot"]["unreadable"] == [f"{place}/9-secret.conf"]
    [warning] = map(str, result.data["warnings"])
    for words in (f"{place}/9-secret.conf", "CAP_DAC_READ_SEARCH", "become: true"):
        assert words in warning
    open_file = closed.replace("chmod 600", "chmod 644")
    result = ask(netns, "conntrack_facts", {"gather_subset": ["boot"]}, prepare=open_file)
    assert result.data["ansible_facts"]["conntrack"]["boot"]["unreadable"] == []
    assert "warnings" not in result.data


@pytest.mark.parametrize(
    ("module", "args", "words"),
    [
        (
            "conntrack_settings",
            {"settings": {"acct": 0}, "persist": False},
            ("needs root", "CAP_NET_ADMIN is not", RUN),
        ),
        ("conntrack_settings", {"settings": {"acct": 0}}, ("needs root", "CAP_NET_ADMIN is not enough", RUN)),
        ("conntrack_info", {"netns": None}, ("netns", "CAP_SYS_ADMIN")),
        ("conntrack_info", {"dest": "/root/entries.csv", "format": "csv"}, ("dest", "/root/entries.csv")),
        ("conntrack_facts", {"gather_subset": ["namespaces"]}, ("netns", "CAP_SYS_ADMIN")),
    ],
)
def test_what_needs_more_says_what(netns: str, module: str, args: dict[str, t.Any], words: tuple[str, ...]) -> None:
    given = {**args, **({"netns": netns} if "netns" in args else {})}
    result = ask(netns, module, given, python=SYSTEM_PYTHON)
    assert_refused(result, *words)
    if module != "conntrack_info" or "netns" in args:
        assert "become: true" in result.msg
    assert run(["sysctl", "-n", "net.netfilter.nf_conntrack_acct"], netns=netns) == "1\n"


BELOW_SSHD = ("sh", "-c", 'printf sshd-session >/proc/$$/comm; "$@"; exit $?', "sh", *NET_ADMIN)


@pytest.mark.parametrize("module", ["conntrack_prune", "conntrack_update"])
def test_a_session_whose_connection_cannot_be_seen(netns: str, module: str) -> None:
    """Below an SSH server, whose processes nobody but root may look into, as after sudo to another user."""
    args: dict[str, t.Any] = {"match": "protocol=tcp", **({} if module == "conntrack_prune" else {"mark": "7"})}

    def below_sshd(**options: t.Any) -> ModuleResult:
        env = options.pop("env", {})
        environment = {"SSH_CONNECTION": "", **env}
        return run_module(module, {**args, **options}, netns=netns, wrapper=BELOW_SSHD, env=environment)

    refused = below_sshd()
    assert_refused(refused, "protect_management", "CAP_SYS_PTRACE", "become: true", "unprotect: [management]")
    assert count(netns) == len(ENTRIES)
    # A shell of the same user in between tells it.
    seen = below_sshd(env={"SSH_CONNECTION": SSH})
    assert seen.data["protected"] == 1
    assert " dport=22 " in run(["conntrack", "-L", "-p", "tcp"], netns=netns)
    blind = below_sshd(unprotect=["management"])
    assert (blind.failed, blind.data["protected"]) == (False, 0)


def test_a_conntrackd_that_cannot_be_seen(tmp_path: pathlib.Path) -> None:
    with pair(tmp_path) as both:
        netns = both.first.netns
        result = ask(netns, "conntrack_facts", {"gather_subset": ["pair"]})
        facts = result.data["ansible_facts"]["conntrack"]["pair"]
        assert "CAP_SYS_PTRACE" in facts["problem"]
        assert {value for key, value in facts.items() if key != "problem"} == {None}
        insert(netns)
        result = ask(netns, "conntrack_facts", {"gather_subset": ["table"]})
        groups = result.data["ansible_facts"]["conntrack"]["table"]["filled_by"]
        assert groups[0]["match"]["protocol"] == "udp"
        assert groups[0]["prunable"] is None
        warning = " ".join(map(str, result.data["warnings"]))
        assert "how many entries of a group a prune can delete is unknown. conntrackd runs as process" in warning
        assert "CAP_SYS_PTRACE" in warning
        args: dict[str, t.Any] = {"match": "protocol=udp"}
        refused = ask(netns, "conntrack_prune", {**args, "protect_pair": False})
        assert_refused(refused, "conntrackd runs as process", "CAP_SYS_PTRACE", "unprotect: [conntrackd]")
        refused = ask(netns, "conntrack_prune", {**args, "unprotect": ["conntrackd"]})
        assert_refused(refused, "protect_pair", "CAP_SYS_PTRACE", "active_address")
        args |= {"unprotect": ["conntrackd"], "protect_pair": False}
        assert not ask(netns, "conntrack_prune", args).failed


def documented(kind: str) -> str:
    """Return the block of the page about security that is of this kind."""
    return t.cast("re.Match[str]", re.search(rf"```{kind}\n(.*?)```", SECURITY, re.DOTALL))[1]


@contextlib.contextmanager
def user_of_the_page(directory: pathlib.Path) -> t.Iterator[str]:
    """Yield the script of the page for the user of the tests, with that user's number for the name on the page."""
    script = documented("sh")
    assert "conntrack" in script
    path = directory / "conntrack-python"
    numbered = re.sub(r"(--reuid|--regid)=conntrack", rf"\1={USER}", script).replace("--init-groups", "--clear-groups")
    path.write_text(numbered)
    path.chmod(0o755)
    yield str(path)


def test_the_documented_interpreter(netns: str, directory: pathlib.Path) -> None:
    with user_of_the_page(directory) as script:
        rights = "import os; print(os.getuid(), open('/proc/self/status').read())"
        told = run([script, "-c", rights], netns=netns)
        assert told.startswith(f"{USER} ")
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert f"{name}:\t{1 << 12:016x}\n" in told
        assert "NoNewPrivs:\t1\n" in told
        arguments = [script, "-m", "ansible_collections.netops.conntrack.plugins.modules.conntrack_prune"]
        command = ["ip", "netns", "exec", netns, *arguments]
        done = subprocess.run(
            command,
            input=json.dumps({"ANSIBLE_MODULE_ARGS": {"match": "protocol=udp"}}),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": module_path(SYSTEM_PYTHON), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert json.loads(done.stdout)["deleted"] == 20, done.stdout + done.stderr


_WITH_USER = """
mount --make-rprivate /
for name in etc/passwd etc/group etc/shadow etc/sudoers.d usr/local/sbin usr/local/bin; do
  mount --bind "$1/$name" "/$name"
done
shift
visudo -c -f /etc/sudoers.d/conntrack >&2
exec setpriv --reuid=conntrack --regid=conntrack --init-groups "$@"
"""
_MODULE = """
import runpy, sys
sys.path[:0] = {paths!r}
runpy.run_module("ansible_collections.netops.conntrack.plugins.modules.conntrack_prune", run_name="__main__")
"""


def user_with_sudo(directory: pathlib.Path) -> list[str]:
    """Return a command that runs another one as the user of the page, on a router that is as the page says."""
    made = {
        "etc/passwd": (0o644, f"conntrack:x:{SUDO_USER}:{SUDO_USER}::/nonexistent:/bin/sh\n"),
        "etc/group": (0o644, f"conntrack:x:{SUDO_USER}:\n"),
        "etc/shadow": (0o640, "conntrack:*:19000:0:99999:7:::\n"),
        "etc/sudoers.d/conntrack": (0o440, documented("sudoers")),
        "usr/local/sbin/conntrack-python": (0o755, documented("sh")),
        "usr/local/bin/conntrack-python": (0o755, documented("shell")),
    }
    for name, (mode, text) in made.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        present = pathlib.Path("/", name)
        path.write_text(present.read_text() + text if present.exists() else text)
        path.chmod(mode)
    os.chown(directory, SUDO_USER, SUDO_USER)
    return ["unshare", "--mount", "sh", "-ec", _WITH_USER, "sh", str(directory)]


def as_user(directory: pathlib.Path, netns: str, *command: str, text: str = "") -> subprocess.CompletedProcess[str]:
    whole = ["ip", "netns", "exec", netns, *user_with_sudo(directory), *command]
    return subprocess.run(whole, input=text, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not shutil.which("visudo"), reason="sudo is not installed")
def test_the_documented_interpreter_over_sudo(netns: str, directory: pathlib.Path) -> None:
    """As on the page, from the user's own interpreter to the capability that is left."""
    interpreter = "/usr/local/bin/conntrack-python"
    told = as_user(directory, netns, interpreter, "-c", "print(open('/proc/self/status').read())")
    assert f"Uid:\t{SUDO_USER}\t{SUDO_USER}" in told.stdout, told.stderr
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert f"{name}:\t{1 << 12:016x}\n" in told.stdout
    assert "NoNewPrivs:\t1\n" in told.stdout
    module = directory / "module.py"
    # sudo leaves no PYTHONPATH, and a module that Ansible sends has all that it needs in it.
    module.write_text(_MODULE.format(paths=module_path(SYSTEM_PYTHON).split(os.pathsep)))
    module.chmod(0o644)
    arguments = json.dumps({"ANSIBLE_MODULE_ARGS": {"match": "protocol=udp"}})
    done = as_user(directory, netns, interpreter, str(module), text=arguments)
    assert json.loads(done.stdout)["deleted"] == 20, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("visudo"), reason="sudo is not installed")
@pytest.mark.parametrize(
    "command", [["/usr/bin/id"], ["/usr/bin/python3", "-c", "pass"], ["-u", "nobody", "/usr/bin/id"]]
)
def test_the_documented_line_for_sudo_lets_nothing_else_run(
    netns: str, directory: pathlib.Path, command: list[str]
) -> None:
    refused = as_user(directory, netns, "sudo", "-n", *command)
    assert refused.returncode == 1
    assert "a password is required" in refused.stderr
    assert refused.stdout == ""


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_documented_properties_for_systemd(tmp_path: pathlib.Path) -> None:
    properties = re.findall(r"-p (\S+=\S+)", SECURITY)
    assert {"AmbientCapabilities=CAP_NET_ADMIN", "CapabilityBoundingSet=CAP_NET_ADMIN"} <= set(properties)
    unit = tmp_path / "conntrack-facts.service"
    lines = [each.replace("User=conntrack", "User=root") for each in properties]
    unit.write_text("\n".join(["[Service]", "Type=oneshot", "ExecStart=/bin/true", *lines, ""]))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert f"{unit.name}:" not in done.stderr, done.stderr
    assert str(unit) not in done.stderr, done.stderr
    unit.write_text(unit.read_text().replace("AmbientCapabilities", "AmbientCapability"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert "AmbientCapability" in done.stderr
