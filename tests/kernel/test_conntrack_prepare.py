# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role conntrack_prepare on a router with real files, packages and users: what it makes, and that it goes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
import re
import shutil
import typing as t
import zipfile

import pytest
import yaml
from helpers.json_routers import DEAD, RECAP
from helpers.overlaid_router import OverlaidRouter, overlaid_router
from helpers.support import SYSTEM_PYTHON, run, run_ansible

RECORD = "/etc/netops-conntrack-prepared.json"
DROPIN = "/etc/sysctl.d/80-netops-conntrack.conf"
LIBRARIES = pathlib.Path("/usr/lib/python3/dist-packages")
ACCT = "sysctl -n net.netfilter.nf_conntrack_acct"
_SAID = re.compile(r'"msg": "(.*)"')


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run of the playbook ended on the router."""

    rc: int
    output: str

    @property
    def changed(self) -> int:
        """How many tasks changed something, as the recap says."""
        return int(t.cast("re.Match[str]", re.search(r"^r1 .* changed=(\d+)", self.output, re.MULTILINE))[1])

    @property
    def said(self) -> str:
        """What the last task says."""
        return str(_SAID.findall(self.output)[-1])


class Prepared:
    """A router without pyroute2, and the playbook on it."""

    def __init__(self, router: OverlaidRouter, directory: pathlib.Path) -> None:
        self.router = router
        self.directory = directory
        self.inventory = directory / "inventory.yml"
        self.inventory.write_text(yaml.safe_dump({"routers": {"hosts": {"r1": router.variables}}}))
        (directory / "operator").mkdir()

    def play(self, *options: str, check: bool = False, **variables: t.Any) -> Outcome:
        """Run the playbook with variables of the role, without the beginning of their names."""
        given = {f"conntrack_prepare_{name}": value for name, value in variables.items()}
        extra = json.dumps({"target": "all", **given})
        command = [
            "ansible-playbook",
            "netops.conntrack.prepare",
            "-e",
            extra,
            *(["--check"] if check else []),
            *options,
        ]
        done = run_ansible(command, self.inventory, self.directory / "operator")
        return Outcome(done.returncode, done.stdout + done.stderr)

    def enters(self) -> bool:
        """Return whether the Python of the router has a pyroute2 that enters namespaces."""
        return self.router.attempt(f"{SYSTEM_PYTHON} -c 'from pyroute2.netns import setns'").returncode == 0

    def makes_and_undoes(self, **variables: t.Any) -> Outcome:
        """Prepare the router, in check mode, really and once more, and undo it. Return how the real run ended."""
        before = self.router.changes()
        predicted = self.play(check=True, **variables)
        assert predicted.rc == 0, predicted.output
        assert (self.router.changes(), self.router.run(ACCT)) == (before, "0\n")
        done = self.play(**variables)
        assert done.rc == 0, done.output
        assert done.said == predicted.said.replace("Would be made", "Made").replace("Would be turned", "Turned")
        assert (self.enters(), self.router.run(ACCT)) == (True, "1\n")
        again = self.play(**variables)
        assert (again.rc, again.changed, again.said) == (0, 0, "Nothing had to be done."), again.output
        self.undone_to(before)
        return done

    def undone_to(self, before: dict[str, str]) -> None:
        """Undo it, in check mode and really, and once more. Afterwards, the router has the files from before."""
        prepared = self.router.changes()
        predicted = self.play(check=True, state="absent")
        assert predicted.rc == 0, predicted.output
        assert self.router.changes() == prepared
        undone = self.play(state="absent")
        assert undone.rc == 0, undone.output
        assert undone.said == predicted.said.replace("Would be undone", "Undone").replace("Would be rest", "Rest")
        assert (self.router.changes(), self.router.run(ACCT)) == (before, "0\n")
        again = self.play(state="absent")
        assert (again.rc, again.changed, again.said) == (0, 0, "Nothing was on record."), again.output


@pytest.fixture
def bare(tmp_path: pathlib.Path) -> t.Iterator[Prepared]:
    """A router without pyroute2, and with accounting off."""
    with overlaid_router(tmp_path) as router:
        router.run("dpkg --remove python3-pyroute2; rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*")
        router.run("sysctl -qw net.netfilter.nf_conntrack_acct=0")
        prepared = Prepared(router, tmp_path)
        assert not prepared.enters()
        yield prepared


def wheel_of(directory: pathlib.Path, version: str = "0.9.7") -> pathlib.Path:
    """Make a wheel of the machine's pyroute2, which says that it has this version."""
    path = directory / f"pyroute2-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((LIBRARIES / "pyroute2").rglob("*.py")):
            archive.write(file, str(file.relative_to(LIBRARIES)))
        metadata = f"Metadata-Version: 2.1\nName: pyroute2\nVersion: {version}\n"
        archive.writestr(f"pyroute2-{version}.dist-info/METADATA", metadata)
    return path


def package(directory: pathlib.Path, name: str, control: str) -> pathlib.Path:
    """Build a package of Debian with what is in a directory of its name."""
    tree = directory / name
    (tree / "DEBIAN").mkdir(parents=True)
    head = f"Package: {name}\nVersion: 1:0.7.2\nArchitecture: all\nMaintainer: nobody <nobody@example.net>\n"
    (tree / "DEBIAN" / "control").write_text(f"{head}{control}Description: for a test\n")
    run(["dpkg-deb", "--build", "--root-owner-group", str(tree), str(directory)])
    return next(directory.glob(f"{name}_*.deb"))


def repository(directory: pathlib.Path, router: OverlaidRouter) -> None:
    """Have apt-get on the router find the machine's pyroute2 as a package, and nothing else."""
    tree = directory / "python3-pyroute2" / "usr" / "lib" / "python3" / "dist-packages"
    tree.mkdir(parents=True)
    for source in LIBRARIES.glob("pyroute2*"):
        shutil.copytree(source, tree / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    built = package(directory, "python3-pyroute2", "Depends: python3\n")
    digest = hashlib.sha256(built.read_bytes()).hexdigest()
    control = run(["dpkg-deb", "--field", str(built)])
    described = f"{control}Filename: ./{built.name}\nSize: {built.stat().st_size}\nSHA256: {digest}\n"
    (directory / "Packages").write_text(described)
    # Where the user of apt can read it.
    place = "/var/local/repository"
    router.run(f"mkdir --mode=755 {place}; install --mode=644 {built} {directory / 'Packages'} {place}")
    router.run(f"echo 'deb [trusted=yes] file:{place} ./' > /etc/apt/sources.list")


def test_a_wheel_for_a_router_without_internet(bare: Prepared, tmp_path: pathlib.Path) -> None:
    done = bare.makes_and_undoes(wheel=str(wheel_of(tmp_path)))
    unpacked = "/usr/local/lib/netops-conntrack/pyroute2-0.9.7-py3-none-any"
    assert unpacked in done.said
    assert "netops-conntrack.pth" in done.said
    assert not bare.router.has("/usr/local/lib/netops-conntrack")


def test_the_package_of_the_distribution(bare: Prepared, tmp_path: pathlib.Path) -> None:
    repository(tmp_path, bare.router)
    before = bare.router.changes()
    predicted = bare.play(check=True)
    done = bare.play()
    assert (done.rc, done.said) == (0, "Made: the package python3-pyroute2. Turned on: acct."), done.output
    assert predicted.said == "Would be made: the package python3-pyroute2. Would be turned on: acct."
    assert bare.enters()
    assert bare.router.run(ACCT) == "1\n"
    undone = bare.play(state="absent")
    assert (undone.rc, undone.said) == (0, "Undone: the package python3-pyroute2. Restored: acct."), undone.output
    assert bare.router.attempt("dpkg --status python3-pyroute2").returncode == 1
    assert not_of_apt(bare.router.changes()) == not_of_apt(before)


def not_of_apt(changes: dict[str, str]) -> dict[str, str]:
    """Return the files without those in which apt and dpkg note what they did, and without what is gone again."""
    return {path: told for path, told in changes.items() if not path.startswith(("/var/lib/", "/usr/lib/python3"))}


def test_a_package_that_others_need_by_then_is_left(bare: Prepared, tmp_path: pathlib.Path) -> None:
    repository(tmp_path, bare.router)
    assert bare.play(accounting=False).rc == 0
    bare.router.run(f"dpkg --install {package(tmp_path, 'needs-it', 'Depends: python3-pyroute2' + chr(10))}")
    undone = bare.play(state="absent")
    assert undone.rc == 0, undone.output
    assert "Left: python3-pyroute2, which could not be removed" in undone.said
    assert bare.enters()
    assert not bare.router.has(RECORD)


def test_a_run_that_is_cut_short_can_be_undone(bare: Prepared) -> None:
    """There is no package, so the installation fails, once it is on record what was to be made."""
    before = bare.router.changes()
    failed = bare.play()
    assert failed.rc == 2
    assert "Unable to locate package python3-pyroute2" in failed.output
    assert bare.router.has(RECORD)
    undone = bare.play(state="absent")
    assert (undone.rc, undone.said) == (0, "Undone: the package python3-pyroute2."), undone.output
    assert not_of_apt(bare.router.changes()) == not_of_apt(before)


def test_a_system_whose_usr_cannot_be_written(bare: Prepared, tmp_path: pathlib.Path) -> None:
    bare.router.run("mount -o remount,ro /usr")
    before = bare.router.changes()
    wheel, directory = str(wheel_of(tmp_path)), "/var/lib/netops-conntrack/python"
    done = bare.play(wheel=wheel, directory=directory)
    assert done.rc == 0, done.output
    # The libraries of the user that the modules run as, in his home.
    libraries = bare.directory / "operator" / ".local"
    assert list(libraries.rglob("netops-conntrack.pth"))
    assert bare.play(wheel=wheel, directory=directory).changed == 0
    undone = bare.play(state="absent", directory=directory)
    assert undone.rc == 0, undone.output
    assert not libraries.exists()
    assert bare.router.changes() == before


def test_a_router_that_has_all_of_it_is_left_alone(tmp_path: pathlib.Path) -> None:
    with overlaid_router(tmp_path) as router:
        router.run("sysctl -qw net.netfilter.nf_conntrack_acct=1")
        router.run("echo net.netfilter.nf_conntrack_acct=1 >/etc/sysctl.d/50-router.conf")
        before = router.changes()
        prepared = Prepared(router, tmp_path)
        done = prepared.play()
        assert (done.rc, done.changed, done.said) == (0, 0, "Nothing had to be done."), done.output
        assert router.changes() == before
        # The same in a play of one's own, in which a variable that nothing reads is refused as well.
        role = {"role": "netops.conntrack.conntrack_prepare"}
        own = tmp_path / "own.yml"
        own.write_text(yaml.safe_dump([{"hosts": "routers", "gather_facts": False, "roles": [role]}]))
        command = ["ansible-playbook", str(own)]
        alone = run_ansible(command, prepared.inventory, tmp_path / "operator")
        assert alone.returncode == 0, alone.stdout + alone.stderr
        misspelt = run_ansible([*command, "-e", "conntrack_prepare_whel=x"], prepared.inventory, tmp_path / "operator")
        assert misspelt.returncode == 2
        assert "Did you mean conntrack_prepare_wheel?" in misspelt.stdout + misspelt.stderr
        assert router.changes() == before


def test_a_batch_that_fails_does_not_hold_up_the_others(tmp_path: pathlib.Path) -> None:
    with overlaid_router(tmp_path) as router:
        prepared = Prepared(router, tmp_path)
        pythonless = {"ansible_connection": "local", "ansible_python_interpreter": "/no/such/python"}
        hosts = {"dead": DEAD, "pythonless": pythonless, "r1": router.variables}
        prepared.inventory.write_text(yaml.safe_dump({"routers": {"hosts": hosts}}))
        router.run("sysctl -qw net.netfilter.nf_conntrack_acct=0")
        done = prepared.play("-e", "batch=1", pyroute2=False)
        assert done.rc == 2
        assert router.run(ACCT) == "1\n", done.output
        recap = {name: line.split() for name, line in RECAP.findall(done.output)}
        assert {name for name, counts in recap.items() if "failed=1" in counts} == {"dead", "pythonless"}
        named = done.output.split("TASK [Fail by name]")[1]
        assert re.search("dead, .*Connection refused", named)
        assert re.search("pythonless, .*/no/such/python", named)


with_sudo = pytest.mark.skipif(not shutil.which("visudo"), reason="sudo is not installed")
ONLY_NET_ADMIN = f"{1 << 12:016x}"
TELL = 'import os; print(os.getuid(), [line.split()[1] for line in open("/proc/self/status") if line[:3] == "Cap"])'


@with_sudo
def test_a_user_with_one_right(bare: Prepared) -> None:
    router = bare.router
    before = router.changes()
    options: dict[str, t.Any] = {"user": "conntrack", "user_keys": ["ssh-ed25519 AAAAC3Nz op"], "pyroute2": False}
    predicted = bare.play(check=True, **options)
    assert router.changes() == before
    done = bare.play(**options)
    assert (predicted.rc, done.rc) == (0, 0), done.output
    assert done.said == predicted.said.replace("Would be made", "Made").replace("Would be turned", "Turned")
    assert done.said.startswith("Made: the user conntrack, /usr/local/sbin/conntrack-python, ")
    keys = router.run("stat -c '%U %a' ~conntrack/.ssh ~conntrack/.ssh/authorized_keys; cat ~conntrack/.ssh/*")
    assert keys == "conntrack 700\nconntrack 600\nssh-ed25519 AAAAC3Nz op\n"
    router.run("visudo -c")
    user = "setpriv --reuid=conntrack --regid=conntrack --init-groups"
    told = router.run(f"{user} /usr/local/bin/conntrack-python -c '{TELL}'")
    uid = router.run("id -u conntrack").strip()
    assert told == f"{uid} {[ONLY_NET_ADMIN] * 5}\n"
    refused = router.attempt(f"{user} sudo -n true")
    assert refused.returncode == 1, refused.stdout
    # From now on, the keys and the home are his.
    router.run("rm ~conntrack/.ssh/authorized_keys; echo mine >~conntrack/backup")
    again = bare.play(**options)
    assert (again.rc, again.changed, again.said) == (0, 0, "Nothing had to be done."), again.output
    # What somebody has changed by then is left.
    router.run("echo '# mine' >>/usr/local/bin/conntrack-python")
    undone = bare.play(state="absent")
    assert undone.rc == 0, undone.output
    assert "Left: /usr/local/bin/conntrack-python, which somebody has changed since." in undone.said
    assert router.attempt("id conntrack").returncode == 1
    left = router.changes().keys() - before.keys()
    assert {path for path in left if not path.startswith(("/home/conntrack/", "/var/", "/etc/"))} == {
        "/usr/local/bin/conntrack-python"
    }
    assert "/home/conntrack/backup" in left
    assert {path for path in left if path.startswith("/etc/") and "conntrack" in path} == set()


@with_sudo
def test_files_of_others_are_neither_replaced_nor_removed(bare: Prepared) -> None:
    bare.router.run("echo '%admin ALL=(ALL) ALL' >/etc/sudoers.d/conntrack; chmod 440 /etc/sudoers.d/conntrack")
    before = bare.router.changes()
    done = bare.play(user="conntrack", pyroute2=False)
    assert done.rc == 2
    assert "needs /etc/sudoers.d/conntrack, which is there with other contents." in done.output
    assert "Nothing was changed." in done.output
    assert bare.router.changes() == before
    assert bare.router.run(ACCT) == "0\n"
