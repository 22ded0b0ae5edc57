# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a local user puts at the paths that root reads and writes: nothing of root's changes, and nothing hangs."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import time
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._files import run_directory
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._query.export import exporting
from helpers.local_attacker import (
    AS_USER,
    LINKS,
    NO_FILES,
    TRAPS,
    USER,
    Ground,
    as_user,
    directory,
    exchanging,
    link_to_directory,
)
from helpers.run_records import remove_records
from helpers.settings_module import KEPT, PREFIX, Settings, sysctl
from helpers.support import SYSTEM_PYTHON, ModuleResult, assert_refused, network_namespace, run_module

TIMEOUT = 30
"""Seconds after which a module hangs."""

Trap = t.Callable[[Ground, pathlib.Path], None]

PLACES = {
    "sticky": "to which everybody may write",
    "open": "to which everybody may write",
    "his": "which belongs to the user ",
}
"""The directories of the ground in which others make entries, with what a refusal says of them."""


@pytest.fixture(scope="module")
def netns() -> t.Iterator[str]:
    with network_namespace("hostile") as name:
        yield name
        remove_records(name)


@pytest.fixture
def ground() -> t.Iterator[Ground]:
    # Nobody but root comes to the directories of pytest.
    with tempfile.TemporaryDirectory(prefix="hostile-") as directory:
        yield Ground(pathlib.Path(directory))


@pytest.fixture
def settings(tmp_path: pathlib.Path) -> Settings:
    return Settings(tmp_path / "etc")


def export_to(dest: pathlib.Path, netns: str) -> ModuleResult:
    return run_module("conntrack_info", {"dest": str(dest), "format": "csv"}, netns=netns, timeout=TIMEOUT)


def assert_written(result: ModuleResult, dest: pathlib.Path) -> None:
    """Assert that root made a file of its own, which nobody else can read."""
    assert not result.failed, result.msg
    about = dest.lstat()
    assert (about.st_uid, stat.S_ISREG(about.st_mode), stat.S_IMODE(about.st_mode)) == (0, True, 0o600)
    assert dest.read_text().startswith("family,")
    assert not [path for path in dest.parent.iterdir() if path.name.startswith(".conntrack_info-")]


# dest


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("trap", LINKS.values(), ids=LINKS)
def test_dest_is_written_through_no_link_of_others(ground: Ground, netns: str, place: str, trap: Trap) -> None:
    dest = getattr(ground, place) / "out.csv"
    trap(ground, dest)
    before = ground.of_root()
    result = export_to(dest, netns)
    assert_refused(result, f"dest: '{dest}'", f"the symbolic link {dest}", "the user nobody", "Give the path")
    assert ground.of_root() == before


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("trap", NO_FILES.values(), ids=NO_FILES)
def test_dest_replaces_regular_files_only(ground: Ground, netns: str, place: str, trap: Trap) -> None:
    dest = getattr(ground, place) / "out.csv"
    trap(ground, dest)
    before = ground.of_root()
    words = "is a directory" if trap is directory else "is not a regular file"
    assert_refused(export_to(dest, netns), f"dest: '{dest}' {words}")
    assert ground.of_root() == before


@pytest.mark.parametrize("place", PLACES)
def test_dest_drops_a_name_of_roots_file_and_leaves_the_file(ground: Ground, netns: str, place: str) -> None:
    before = ground.of_root()
    dest = getattr(ground, place) / "out.csv"
    TRAPS["hard link to root's file"](ground, dest)
    assert_written(export_to(dest, netns), dest)
    dest.unlink()
    assert ground.of_root() == before


@pytest.mark.parametrize("place", ["sticky", "open", "his", "his/deeper", "sticky/deeper"])
def test_dest_can_be_in_a_directory_of_one_other_user(ground: Ground, netns: str, place: str) -> None:
    parent = ground.his.parent / place
    if not parent.exists():
        as_user("mkdir", str(parent))
    dest = parent / "out.csv"
    assert_written(export_to(dest, netns), dest)
    assert_written(export_to(dest, netns), dest)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("open", "leads through {place}, to which everybody may write: they decide what deeper in it is"),
        (
            "his",
            "leads through {place}/deeper, which belongs to the user root and lies in a directory of the user nobody",
        ),
    ],
)
def test_dest_is_in_no_directory_that_others_can_exchange(ground: Ground, netns: str, place: str, words: str) -> None:
    parent = getattr(ground, place)
    (parent / "deeper").mkdir()
    before = ground.of_root()
    assert_refused(export_to(parent / "deeper" / "out.csv", netns), "dest: ", words.format(place=parent))
    assert ground.of_root() == before


@pytest.mark.parametrize("place", PLACES)
def test_dest_is_reached_over_no_link_of_others(ground: Ground, netns: str, place: str) -> None:
    link = getattr(ground, place) / "way"
    link_to_directory(ground, link)
    before = ground.of_root()
    assert_refused(export_to(link / "out.csv", netns), f"the symbolic link {link}", "the user nobody")
    assert ground.of_root() == before


def test_dest_behind_links_that_only_root_can_make(ground: Ground, netns: str) -> None:
    (ground.roots / "way").symlink_to("directory")
    (ground.directory / "link.csv").symlink_to("../out.csv")
    result = export_to(ground.roots / "way" / "link.csv", netns)
    assert_written(result, ground.roots / "out.csv")
    assert (ground.directory / "link.csv").is_symlink()


def test_link_of_root_where_others_can_make_entries_is_not_followed(ground: Ground, netns: str) -> None:
    # Who may write to the directory can have moved it there.
    link = ground.sticky / "out.csv"
    link.symlink_to(ground.file)
    assert_refused(export_to(link, netns), f"the symbolic link {link}, where everybody may put one")
    assert ground.file.read_text() == "secret"


@pytest.mark.parametrize("dest", ["/dev/stdout", "/dev/null", "/proc/self/fd/1"])
def test_dest_is_no_device_and_no_open_file(netns: str, dest: str) -> None:
    # In a /dev of its own: a module that replaces /dev/null would break this machine.
    script = """
        mount --make-rprivate /
        mount -t tmpfs -o mode=755 tmpfs /dev
        mknod -m 666 /dev/null c 1 3
        ln -s /proc/self/fd/1 /dev/stdout
        code=0
        "$@" || code=$?
        test -c /dev/null
        exit $code
    """
    wrapper = ["unshare", "--mount", "sh", "-ec", script, "sh"]
    result = run_module("conntrack_info", {"dest": dest}, netns=netns, wrapper=wrapper, timeout=TIMEOUT)
    assert_refused(result, f"dest: '{dest}'")


def test_dest_that_no_path_can_be(netns: str) -> None:
    result = export_to(pathlib.Path("/tmp/a\0b"), netns)
    assert_refused(result, "dest: ", "has a character that no path can have")


def test_directory_that_is_replaced_by_a_link_while_the_table_is_read(ground: Ground) -> None:
    as_user("mkdir", str(ground.his / "out"))
    before = ground.of_root()
    with exporting(str(ground.his / "out" / "file"), "csv", Context({}, 0)) as export:
        as_user("mv", str(ground.his / "out"), str(ground.his / "moved"))
        link_to_directory(ground, ground.his / "out")
        export.restart()
    assert (ground.his / "moved" / "file").read_text().startswith("family,")
    (ground.his / "moved" / "file").unlink()
    assert ground.of_root() == before


@pytest.mark.parametrize("what", ["directory", "file"])
def test_user_who_exchanges_names_all_the_time_changes_nothing_of_root(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    name = ground.his / "name"
    dest = name / "file" if what == "directory" else name
    before = ground.of_root()
    ended = {"written": 0, "refused": 0}
    # To wait for a busy disk shows nothing.
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    end = time.monotonic() + TIMEOUT
    with exchanging(name, getattr(ground, what)):
        while min(ended.values()) < 200 and time.monotonic() < end:
            try:
                with exporting(str(dest), "csv", Context({}, 0)) as export:
                    export.restart()
                ended["written"] += 1
            except ConntrackError:
                ended["refused"] += 1
    # Both were met, so the names were exchanged in time.
    assert all(ended.values()), ended
    shutil.rmtree(ground.his)
    assert ground.of_root() == before


# sysctl_file, and what lies beside it


def set_in(settings: Settings, path: pathlib.Path | str, netns: str, **options: t.Any) -> ModuleResult:
    args = {"settings": {"acct": 1}, "sysctl_file": str(path)}
    return settings(args, netns=netns, timeout=TIMEOUT, **options)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("trap", [None, *TRAPS.values()], ids=["nothing", *TRAPS])
@pytest.mark.parametrize("ending", ["", ".before"], ids=["drop-in", "record"])
def test_settings_are_kept_where_only_root_makes_files(
    ground: Ground, settings: Settings, netns: str, place: str, trap: Trap | None, ending: str
) -> None:
    path = getattr(ground, place) / "90.conf"
    if trap is not None:
        trap(ground, path.with_name(f"90.conf{ending}"))
    before = ground.of_root(), settings.texts, sysctl(netns, "acct")
    result = set_in(settings, path, netns, diff=True)
    assert_refused(result, "sysctl_file: ", str(path))
    assert "secret" not in json.dumps(result.data)
    if trap is None:
        assert_refused(result, str(getattr(ground, place)), PLACES[place])
    assert (ground.of_root(), settings.texts, sysctl(netns, "acct")) == before


@pytest.mark.parametrize("place", PLACES)
def test_settings_are_reached_over_no_link_of_others(
    ground: Ground, settings: Settings, netns: str, place: str
) -> None:
    link = getattr(ground, place) / "way"
    link_to_directory(ground, link)
    before = ground.of_root()
    words = PLACES[place] if place == "his" else f"the symbolic link {link}"
    assert_refused(set_in(settings, link / "90.conf", netns), "sysctl_file: ", words)
    assert ground.of_root() == before


@pytest.mark.parametrize("name", ["modules-load.d", "modprobe.d", "sysctl.d"])
@pytest.mark.parametrize("mode", [0o755, 0o777, 0o1777, 0o775])
def test_directory_of_the_boot_that_is_not_roots(settings: Settings, netns: str, name: str, mode: int) -> None:
    place = settings.etc / name
    place.chmod(mode)
    os.chown(place, USER if mode == 0o755 else 0, USER)
    before = settings.texts, sysctl(netns, "acct")
    result = settings({"settings": {"acct": 1}}, netns=netns, timeout=TIMEOUT)
    assert_refused(result, "sysctl_file: ", f"/etc/{name}", "may write" if mode != 0o755 else "belongs to the user")
    assert (settings.texts, sysctl(netns, "acct")) == before


def test_directory_that_the_group_root_may_write_to_is_roots(settings: Settings, netns: str) -> None:
    (settings.etc / "sysctl.d").chmod(0o775)
    assert not settings({"settings": {"generic_timeout": 700}}, netns=netns).failed
    assert settings.files == KEPT


@pytest.mark.parametrize("ending", ["", ".before"], ids=["drop-in", "record"])
@pytest.mark.parametrize("trap", NO_FILES.values(), ids=NO_FILES)
def test_what_is_no_regular_file_is_not_read_even_if_root_made_it(
    ground: Ground, settings: Settings, netns: str, trap: Trap, ending: str
) -> None:
    trap(ground, ground.his / "it")
    (ground.his / "it").rename(ground.roots / f"90.conf{ending}")
    before = ground.of_root()
    result = set_in(settings, ground.roots / "90.conf", netns)
    assert_refused(result, "sysctl_file: ", f"90.conf{ending}", "not a regular file")
    assert ground.of_root() == before


@pytest.mark.parametrize(("ending", "most"), [("", 1 << 20), (".before", 32 << 20)], ids=["drop-in", "record"])
def test_file_without_an_end_is_not_read(
    ground: Ground, settings: Settings, netns: str, ending: str, most: int
) -> None:
    with (ground.roots / f"90.conf{ending}").open("w") as file:
        file.truncate(1 << 40)
    result = set_in(settings, ground.roots / "90.conf", netns)
    assert_refused(result, "sysctl_file: ", f"90.conf{ending}", f"it is larger than {most} bytes")


def test_largest_drop_in_comes_back_to_the_byte(ground: Ground, settings: Settings, netns: str) -> None:
    # In the record each of these characters takes six.
    text = "#" + "\x01" * ((1 << 20) - 1000) + "\n"
    path = ground.roots / "90.conf"
    path.write_text(text)
    for more in ({}, {"settings": {"acct": 0}}):
        assert not settings({"settings": {"acct": 1}, "sysctl_file": str(path), **more}, netns=netns).failed
    assert not settings({"state": "absent", "sysctl_file": str(path)}, netns=netns).failed
    assert path.read_text() == text
    assert not path.with_name("90.conf.before").exists()


# netns


def in_namespace(path: pathlib.Path | str) -> ModuleResult:
    return run_module("conntrack_info", {"netns": str(path), "limit": 0}, timeout=TIMEOUT)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("trap", [*TRAPS.values()], ids=TRAPS)
def test_namespace_is_not_what_others_put_there(ground: Ground, place: str, trap: Trap) -> None:
    path = getattr(ground, place) / "ns"
    trap(ground, path)
    by_link = trap in LINKS.values() and place != "his"
    assert_refused(in_namespace(path), "netns: ", str(path), "the symbolic link" if by_link else PLACES[place])


@pytest.mark.parametrize("trap", NO_FILES.values(), ids=NO_FILES)
def test_what_is_no_namespace_is_not_entered_even_if_root_made_it(ground: Ground, trap: Trap) -> None:
    trap(ground, ground.his / "it")
    (ground.his / "it").rename(ground.roots / "ns")
    assert_refused(in_namespace(ground.roots / "ns"), f"netns: {ground.roots}/ns is not a network namespace")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/etc/passwd", "/etc/passwd is not a network namespace"),
        ("/proc/self/ns/uts", "of a process"),
        ("/proc/1/root/run/netns/x", "the symbolic link /proc/1/root of a process"),
        ("..", "netns: '..' is neither the name of a network namespace nor a whole path"),
        ("", "netns: '' is neither"),
        ("../../etc/passwd", "netns: '../../etc/passwd' is neither"),
        ("/run/netns/../../etc/passwd", "is not a network namespace"),
        ("a\0b", "has a character that no path can have"),
        ("no-such-name", "/run/netns/no-such-name: No such file or directory"),
        ("/proc/4194305/ns/net", "/proc/4194305/ns/net: No such file or directory"),
    ],
)
def test_names_and_paths_of_no_namespace(path: str, words: str) -> None:
    assert_refused(in_namespace(path), "netns: ", words)


def test_another_kind_of_namespace_is_not_entered(ground: Ground, netns: str) -> None:
    (ground.roots / "ns").write_text("")
    script = f'mount --bind /proc/self/ns/uts {ground.roots}/ns; exec "$@"'
    wrapper = ["unshare", "--mount", "--propagation=private", "sh", "-ec", script, "sh"]
    args = {"netns": str(ground.roots / "ns"), "limit": 0}
    result = run_module("conntrack_info", args, wrapper=wrapper, timeout=TIMEOUT)
    assert_refused(result, f"netns: {ground.roots}/ns is not a network namespace (Invalid argument)")


def test_namespace_by_name_by_path_behind_a_link_of_root_and_of_a_process(ground: Ground, netns: str) -> None:
    (ground.roots / "ns").symlink_to(f"/var/run/netns/{netns}")
    for path in (netns, f"/run/netns/{netns}", f"/var/run/netns/{netns}", str(ground.roots / "ns")):
        assert not in_namespace(path).failed, path
    for path in ("/proc/self/ns/net", f"/proc/{os.getpid()}/ns/net", f"/proc/{os.getpid()}/task/{os.getpid()}/ns/net"):
        assert not in_namespace(path).failed, path


def test_link_of_a_user_to_a_namespace_is_not_followed(ground: Ground, netns: str) -> None:
    link = ground.sticky / "ns"
    as_user("ln", "-s", f"/run/netns/{netns}", str(link))
    assert_refused(in_namespace(link), f"the symbolic link {link}, which belongs to the user nobody")


# /run


def of_namespace(netns: str, what: str) -> str:
    with inside(netns):
        return os.path.basename(run_directory.path_of(what))


@pytest.mark.parametrize(
    ("makes", "words"),
    [
        (f"mkdir {run_directory.DIRECTORY}; chown {USER} {run_directory.DIRECTORY}", "belongs to the user"),
        (f"mkdir -m 777 {run_directory.DIRECTORY}", "to which everybody may write"),
        (f"mkdir -m 1777 {run_directory.DIRECTORY}", "to which everybody may write"),
        (f"ln -s {{his}} {run_directory.DIRECTORY}", "belongs to the user"),
    ],
)
@pytest.mark.parametrize("runtime", [True, False])
def test_run_directory_of_somebody_else_is_not_used(
    ground: Ground, settings: Settings, netns: str, makes: str, words: str, runtime: bool
) -> None:
    journal = {
        "version": 2,
        "boot": pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "id": "0",
        "within": 1,
        "deadline": 1.0,
        "written": [["generic_timeout", 1, 2]],
        "files": [[str(ground.directory / "new"), "his", "his", False]],
        "confirmed": False,
    }
    (ground.directory / ".new.old").write_text("his")
    (ground.his / "journal").write_text(json.dumps(journal))
    pending = f"{run_directory.DIRECTORY}/{of_namespace(netns, 'pending')}"
    mount = f"mount -t tmpfs -o mode=755 tmpfs /run; {makes.format(his=ground.his)}; cp {ground.his}/journal {pending}"
    before = ground.of_root(), settings.texts, sysctl(netns, "generic_timeout")
    args = {"settings": {"generic_timeout": 99}, "runtime": runtime}
    result = settings(args, netns=netns, mount=mount, timeout=TIMEOUT)
    assert_refused(result, run_directory.DIRECTORY, words, "remove it", "Nothing was changed")
    # The link leads to his directory, in which the test itself has put the journal.
    (ground.his / pathlib.Path(pending).name).unlink(missing_ok=True)
    assert (ground.of_root(), settings.texts, sysctl(netns, "generic_timeout")) == before


def test_nobody_but_root_can_list_or_write_the_run_directory(ground: Ground, settings: Settings, netns: str) -> None:
    mount = f"mount -t tmpfs -o mode=755 tmpfs /run; mkdir -m 755 {run_directory.DIRECTORY}"
    kept = ground.roots / "mode"
    wrapper = ["sh", "-ec", f'"$@"; stat -c %a {run_directory.DIRECTORY} > {kept}', "sh"]
    result = settings({"settings": {"generic_timeout": 601}}, netns=netns, mount=mount, wrapper=wrapper)
    assert not result.failed, result.msg
    # The record of timeouts in it is read by its name.
    assert kept.read_text().strip() == "711"


# What the next boot reads


def boot_facts(settings: Settings) -> dict[str, t.Any]:
    """Return the facts of a machine with this /etc, measured with little memory."""
    script = f'mount --make-rprivate /; mount --bind {settings.etc} /etc; exec prlimit --data=300000000 "$@"'
    wrapper = ["unshare", "--mount", "sh", "-ec", script, "sh"]
    args = {"gather_subset": ["boot"]}
    result = run_module("conntrack_facts", args, wrapper=wrapper, timeout=TIMEOUT)
    assert not result.failed, result.msg
    return t.cast("dict[str, t.Any]", result.data["ansible_facts"]["conntrack"]["boot"])


READ_AT_BOOT = {
    "sysctl.d": ".conf",
    "modprobe.d": ".conf",
    "modules-load.d": ".conf",
    "udev/rules.d": ".rules",
    "systemd/system/multi-user.target.wants": ".service",
    "systemd/system": ".service",
    "cron.d": "",
    "cloud/cloud.cfg.d": ".cfg",
    "network/if-up.d": "",
}


def test_facts_neither_hang_nor_fill_the_memory(ground: Ground, settings: Settings) -> None:
    for name, ending in READ_AT_BOOT.items():
        place = settings.etc / name
        place.mkdir(parents=True, exist_ok=True)
        for number, trap in enumerate(TRAPS.values()):
            trap(ground, ground.his / "it")
            (ground.his / "it").rename(place / f"{number}{ending}")
        (place / f"link{ending}").symlink_to("/dev/zero")
        with (place / f"endless{ending}").open("w") as file:
            file.write(f"{PREFIX}udp_timeout = 41\n")
            file.truncate(1 << 40)
    for name in ("rc.local", "crontab", "sysctl.conf", "modules"):
        os.mkfifo(settings.etc / name, 0o755)
    values = boot_facts(settings)["settings"]
    # What comes first in an endless file is read.
    assert values["udp_timeout"]["boot"] == 41


def test_process_of_a_user_owns_no_settings(settings: Settings, ground: Ground) -> None:
    (ground.roots / "kube-proxy").symlink_to(SYSTEM_PYTHON)
    command = [str(ground.roots / "kube-proxy"), "-c", "print(flush=True); input()"]
    for as_whom in ((), AS_USER):
        with subprocess.Popen([*as_whom, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/") as process:
            assert process.stdout
            process.stdout.readline()
            owners = [owner["evidence"] for owner in boot_facts(settings)["owners"] if owner["owner"] == "kube-proxy"]
            assert (f"process {process.pid}" in owners) is not bool(as_whom)
            process.communicate()
