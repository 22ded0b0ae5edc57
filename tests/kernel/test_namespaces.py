# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every network namespace of the machine, with real ones.

They are alone, because the fixtures of other tests end all processes in their namespaces, and so a module that is there
to read. What is called in the process of the tests itself only enters namespaces of this file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import subprocess
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils import _netns
from ansible_collections.netops.conntrack.plugins.module_utils._errors import UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._facts import named_counts, namespaces
from ansible_collections.netops.conntrack.plugins.module_utils._facts.gather import gather
from ansible_collections.netops.conntrack.plugins.module_utils._namespaces import machine
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_count
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import findings
from helpers.audited_router import NAMESPACE_CHECKS
from helpers.support import assert_refused, module_path, network_namespace, run, run_module, wait_until

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for network namespaces"),
]

UNPRIVILEGED = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
ENTRY = "-I -p udp -s 198.18.0.{} -d 203.0.113.1 --sport 1000 --dport 53 -t 1000"
WAITS = "read line"

Facts = dict[str, t.Any]


@contextlib.contextmanager
def unnamed(script: str = WAITS, entries: int = 0) -> t.Iterator[subprocess.Popen[str]]:
    """Yield a process in a network namespace of its own, without a name, that has so many entries in its table."""
    pipe = subprocess.PIPE
    command = ["unshare", "--net", "sh", "-c", f"echo started; {script}"]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "started\n"
            enter = ["nsenter", f"--net=/proc/{process.pid}/ns/net"]
            text = "".join(f"{ENTRY.format(number)}\n" for number in range(1, entries + 1))
            run([*enter, "conntrack", "-R", "-"], text=text)
            yield process
        finally:
            process.kill()


def facts(args: Facts, **options: t.Any) -> Facts:
    result = run_module("conntrack_facts", args, **options)
    assert not result.failed, result.msg
    gathered: Facts = result.data["ansible_facts"]["conntrack"]
    return gathered


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("spaces") as name:
        yield name


def inode(pid: int) -> int:
    return os.stat(f"/proc/{pid}/ns/net").st_ino


def test_named_and_unnamed_ones_in_one_call(netns: str) -> None:
    run(["conntrack", *ENTRY.format(1).split()], netns=netns)
    with unnamed(entries=3) as process:
        found = facts({"namespaces": "all"}, netns=netns)["namespaces"]
        other = found[f"pid:{process.pid}"]
        assert (other["count"], other["own"], other["inode"]) == (3, False, inode(process.pid))
        assert (other["pid"], other["process"], other["processes"], other["names"]) == (process.pid, "sh", 1, [])
        assert other["max"] == int(run(["sysctl", "-n", "net.netfilter.nf_conntrack_max"]))
    assert (found[netns]["count"], found[netns]["own"], found[netns]["names"]) == (1, True, [netns])
    inodes = [each["inode"] for each in found.values()]
    assert len(inodes) == len(set(inodes))
    assert inode(os.getpid()) in inodes


def test_only_named_ones(netns: str) -> None:
    with unnamed() as process:
        found = facts({"namespaces": "named"})["namespaces"]
        assert f"pid:{process.pid}" not in found
    assert netns in found
    assert all(each["names"] for each in found.values())


def test_without_the_option_named_ones_are_counted_as_before(netns: str) -> None:
    gathered = facts({"gather_subset": ["namespaces"]}, netns=netns)
    assert gathered["namespaces"][netns] == {"count": 0, "percent": 0.0, "unavailable": None}
    assert "across_namespaces" not in gathered


def test_the_table_of_each_is_explained(netns: str) -> None:
    selectors = {"dns": {"match": "protocol=udp destination_port=53"}, "web": {"match": "protocol=tcp"}}
    with unnamed(entries=40) as process:
        gathered = facts({"namespaces": "all", "explain": 2, "top": 3, "selectors": selectors}, netns=netns)
    other = gathered["namespaces"][f"pid:{process.pid}"]
    assert other["table"]["entries"] == 40
    assert len(other["table"]["top"]["source"]) == 3
    [cluster] = other["table"]["filled_by"]
    assert cluster["entries"] == 40
    assert cluster["match"]["destination"] == "203.0.113.1"
    assert (other["selectors"]["dns"]["entries"], other["selectors"]["web"]["entries"]) == (40, 0)
    # Its own table is among the facts, once.
    assert "table" not in gathered["namespaces"][netns]
    assert gathered["table"]["entries"] == 0


def test_one_that_a_process_is_in_and_that_has_a_name_comes_once() -> None:
    with unnamed(entries=2) as process:
        name = f"attached-{process.pid}"
        run(["ip", "netns", "attach", name, str(process.pid)])
        try:
            found = facts({"namespaces": "all"})["namespaces"]
        finally:
            run(["ip", "netns", "delete", name])
    same = [key for key, each in found.items() if each["inode"] == found[name]["inode"]]
    assert same == [name]
    assert (found[name]["pid"], found[name]["count"], found[name]["title"]) == (process.pid, 2, name)


def test_one_that_is_mounted_somewhere_else(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a place"
    path.touch()
    with unnamed(entries=4) as process:
        run(["mount", "--bind", f"/proc/{process.pid}/ns/net", str(path)])
    try:
        process.wait()
        found = facts({"namespaces": "all"})["namespaces"]
        assert (found[str(path)]["count"], found[str(path)]["pid"]) == (4, None)
        assert facts({"netns": str(path)})["usage"]["count"] == 4
    finally:
        run(["umount", str(path)])


def found_before(monkeypatch: pytest.MonkeyPatch, process: subprocess.Popen[str], work: t.Callable[[], object]) -> None:
    """Let something happen after the namespace of a process was found, and before it is measured, alone."""

    def find() -> machine.Machine:
        found = machine.find_namespaces()
        [one] = [each for each in found.namespaces if each.identity[1] == wanted]
        work()
        return dataclasses.replace(found, namespaces=(one,))

    wanted = inode(process.pid)

    monkeypatch.setattr(namespaces, "find_namespaces", find)


def wait_for(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    wait_until(lambda: not os.path.exists(f"/proc/{process.pid}"))


def test_a_process_that_ends_meanwhile_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with unnamed(entries=1) as process:
        found_before(monkeypatch, process, lambda: wait_for(process))
        gathered = gather(["usage", "namespaces"], 3, {}, None, namespaces="all")
    assert gathered["namespaces"] == {}
    assert f"pid:{process.pid}" not in (gathered["across_namespaces"]["unavailable"] or "")


def test_one_whose_name_goes_meanwhile_is_read_through_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    with unnamed(entries=5) as process:
        name = f"goes-{process.pid}"
        run(["ip", "netns", "attach", name, str(process.pid)])
        found_before(monkeypatch, process, lambda: run(["ip", "netns", "delete", name]))
        found = gather(["table", "namespaces"], 3, {}, None, namespaces="all")["namespaces"]
    assert list(found) == [f"pid:{process.pid}"]
    assert found[f"pid:{process.pid}"]["table"]["entries"] == 5


def test_one_whose_first_process_ends_meanwhile_is_read_through_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with unnamed(entries=5) as process:
        enter = ["nsenter", f"--net=/proc/{process.pid}/ns/net", "sh", "-c", f"echo started; {WAITS}"]
        pipe = subprocess.PIPE
        with subprocess.Popen(enter, stdin=pipe, stdout=pipe, text=True) as other:
            assert other.stdout
            assert other.stdout.readline() == "started\n"
            found_before(monkeypatch, process, lambda: wait_for(process))
            found = gather(["namespaces"], 3, {}, None, namespaces="all")["namespaces"]
            other.kill()
    assert [each["count"] for each in found.values()] == [5]
    assert list(found) == [f"pid:{other.pid}"]


def test_a_name_like_that_of_a_process_is_a_name() -> None:
    name = f"pid:{os.getpid()}"
    run(["ip", "netns", "add", name])
    path = f"{_netns.NETNS_DIRECTORY}/{name}"
    try:
        run(["conntrack", *ENTRY.format(1).split()], netns=name)
        assert facts({"gather_subset": ["namespaces"]})["namespaces"][name]["count"] == 1
        assert facts({"namespaces": "named"})["namespaces"][path]["count"] == 1
        assert facts({"netns": path})["usage"]["count"] == 1
    finally:
        run(["ip", "netns", "delete", name])


def test_one_that_goes_before_its_table_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with unnamed(entries=6) as process:
        real = namespaces._read_table

        def read_table(one: namespaces._Measured, read: namespaces.ReadTable) -> None:
            wait_for(process)
            real(one, read)

        found_before(monkeypatch, process, lambda: None)
        monkeypatch.setattr(namespaces, "_read_table", read_table)
        gathered = gather(["table", "namespaces"], 3, {}, None, namespaces="all")
    assert gathered["namespaces"] == {}
    across = gathered["across_namespaces"]
    assert (across["namespaces"], across["count"]) == (0, 0)


def test_another_namespace_of_the_same_number_is_not_entered() -> None:
    before = open_namespaces()
    with unnamed() as process, unnamed() as other:
        expected = _netns.identity_of(f"pid:{other.pid}")
        with (
            pytest.raises(UnavailableError, match="was replaced by another one"),
            _netns.inside(f"pid:{process.pid}", expected),
        ):
            raise AssertionError("it was entered")
        with _netns.inside(f"pid:{other.pid}", expected):
            assert _netns.own_identity() == expected
    assert open_namespaces() == before


def open_namespaces() -> list[str]:
    """Return the descriptors of network namespaces that this process has."""
    return [fd for fd in os.listdir("/proc/self/fd") if "net:[" in link_of(fd)]


def link_of(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""


def test_netns_takes_the_number_of_a_process() -> None:
    with unnamed(entries=7) as process:
        where = {"netns": f"pid:{process.pid}"}
        assert facts(where)["usage"]["count"] == 7
        assert run_module("conntrack_info", where).data["matched"] == 7
        deleted = run_module("conntrack_prune", {**where, "match": "source=198.18.0.1/32"})
        assert deleted.data["deleted"] == 1
        updated = run_module("conntrack_update", {**where, "match": "protocol=udp", "mark": "5"})
        assert updated.data["updated"] == 6
        changed = run_module("conntrack_settings", {**where, "persist": False, "settings": {"udp_timeout": 31}})
        assert changed.data["changed"] is True
        assert facts({**where, "gather_subset": ["settings"]})["settings"]["udp_timeout"] == 31


@pytest.mark.parametrize("where", ["pid:999999999", "pid:0", "pid:", "pid:-1", "pid:1x"])
def test_a_process_that_is_not_there(where: str) -> None:
    assert_refused(
        run_module("conntrack_facts", {"netns": where}), f"netns: the network namespace '{where}'", "pid:PID"
    )


def test_a_name_of_a_process_that_steers_terminals() -> None:
    with unnamed(f"printf '\\033[31mroot\\n' >/proc/self/comm; echo ready; {WAITS}") as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        other = facts({"namespaces": "all"})["namespaces"][f"pid:{process.pid}"]
    assert other["process"].startswith(r"\x1b[31mroot")
    assert other["title"].isprintable()


def test_a_name_without_a_namespace_is_said(netns: str) -> None:
    leftover = pathlib.Path(_netns.NETNS_DIRECTORY, f"{netns}-left")
    leftover.touch()
    try:
        across = facts({"namespaces": "named"})["across_namespaces"]
    finally:
        leftover.unlink()
    assert across["complete"] is None
    assert f"{leftover.name}: " in across["unavailable"]
    assert f"ip netns delete {leftover.name}" in across["unavailable"]


def left_by_ip_netns(path: pathlib.Path) -> None:
    path.touch()


def without_permission(path: pathlib.Path) -> None:
    path.touch(mode=0)


def no_file(path: pathlib.Path) -> None:
    path.mkdir()


def a_pipe(path: pathlib.Path) -> None:
    os.mkfifo(path)


def a_link_to_nowhere(path: pathlib.Path) -> None:
    path.symlink_to("/nowhere")


def something_else(path: pathlib.Path) -> None:
    path.write_text("notes\n")


def of_another_kind(path: pathlib.Path) -> None:
    path.symlink_to("/proc/1/ns/uts")


@pytest.mark.parametrize(
    "make",
    [left_by_ip_netns, without_permission, no_file, a_pipe, a_link_to_nowhere, something_else, of_another_kind],
)
@pytest.mark.parametrize("wanted", [None, "named", "all"])
def test_a_broken_name_is_unknown_and_holds_up_no_other(
    netns: str, make: t.Callable[[pathlib.Path], None], wanted: str | None
) -> None:
    run(["conntrack", *ENTRY.format(1).split()], netns=netns)
    broken = pathlib.Path(_netns.NETNS_DIRECTORY, f"{netns}-left")
    make(broken)
    try:
        asked = {"namespaces": wanted} if wanted else {}
        gathered = facts({"gather_subset": ["namespaces"], **asked})
        refused = run_module("conntrack_facts", {"gather_subset": ["usage"], "netns": broken.name})
    finally:
        if os.path.isdir(broken):
            broken.rmdir()
        else:
            broken.unlink()
    assert gathered["namespaces"][netns]["count"] == 1
    assert_refused(refused, "netns: ", broken.name)
    if wanted is None:
        unknown = gathered["namespaces"][broken.name]
        assert (unknown["count"], unknown["percent"]) == (None, None)
        assert broken.name in unknown["unavailable"]
        assert gathered["namespaces"][netns]["unavailable"] is None
    else:
        across = gathered["across_namespaces"]
        assert across["complete"] is None
        assert f"{broken.name}: " in across["unavailable"]


def test_a_name_that_goes_while_all_are_counted_is_left_out(netns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with network_namespace("spaces") as going:
        first, second = sorted([netns, going])

        def deleting() -> int | None:
            with contextlib.suppress(AssertionError):
                run(["ip", "netns", "delete", second])
            return read_count()

        monkeypatch.setattr(named_counts, "read_count", deleting)
        monkeypatch.setattr(_netns, "names", lambda: [first, second])
        try:
            assert list(named_counts.count_named()) == [first]
        finally:
            # The fixtures delete both at their ends.
            run(["ip", "netns", "add", second])


def test_a_directory_that_may_not_be_listed_is_said(netns: str) -> None:
    closed = f'mount -t tmpfs -o mode=700 tmpfs {_netns.NETNS_DIRECTORY}; exec "$@"'
    wrapper = ("unshare", "--mount", "sh", "-ec", f"mount --make-rprivate /; {closed}", "sh", *UNPRIVILEGED)
    gathered = facts({"gather_subset": ["usage", "namespaces"]}, netns=netns, wrapper=wrapper)
    assert gathered["namespaces"][_netns.NETNS_DIRECTORY]["unavailable"] == "Permission denied"
    assert gathered["usage"]["count"] == 0
    refused = run_module("conntrack_facts", {"gather_subset": ["usage"], "netns": netns}, wrapper=wrapper)
    assert_refused(refused, f"netns: the network namespace {netns!r} cannot be opened")


def test_who_may_not_look_is_told_so(netns: str) -> None:
    with network_namespace("other"):
        gathered = facts({"namespaces": "all"}, netns=netns, wrapper=UNPRIVILEGED)
    across = gathered["across_namespaces"]
    assert across["hidden_processes"] > 1
    assert (across["complete"], across["count"], across["load_factor"]) == (None, None, None)
    assert "cannot be seen. Run it as root" in across["unavailable"]
    assert gathered["namespaces"][netns]["count"] == 0
    others = [each for each in gathered["namespaces"].values() if not each["own"]]
    assert all(each["count"] is None and "needs root" in each["unavailable"] for each in others)


def test_without_pyroute2_the_others_are_unknown_and_the_own_one_is_not(netns: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['pyroute2'] = None\n")
    without = {"PYTHONPATH": f"{tmp_path}:{module_path()}"}
    with network_namespace("other") as other:
        gathered = facts({"namespaces": "named"}, netns=netns, env=without)
    assert gathered["usage"]["count"] == gathered["namespaces"][netns]["count"] == 0
    assert gathered["namespaces"][other]["count"] is None
    assert "pyroute2 >= 0.5.14" in gathered["namespaces"][other]["unavailable"]
    assert "netops.conntrack.prepare" in gathered["namespaces"][other]["unavailable"]
    assert gathered["across_namespaces"]["complete"] is None
    assert lacking(gathered) == "finding"
    assert lacking(facts({"namespaces": "named"}, netns=netns)) == "passed"


def lacking(gathered: Facts) -> str:
    """Return what the check for the library says of the facts."""
    found = {finding["id"]: finding for finding in findings(gathered, NAMESPACE_CHECKS)}
    return str(found["namespaces_without_pyroute2"]["status"])


def test_hidden_processes_are_told(netns: str) -> None:
    hidden = "mount -t proc -o hidepid=2 proc /proc"
    wrapper = ("unshare", "--mount", "sh", "-ec", f'{hidden}; exec "$@"', "sh", *UNPRIVILEGED)
    across = facts({"namespaces": "all"}, netns=netns, wrapper=wrapper)["across_namespaces"]
    assert across["complete"] is None
    assert "hidepid" in across["unavailable"]


def test_in_a_container_only_its_processes_are_seen(netns: str) -> None:
    wrapper = ("unshare", "--pid", "--fork", "--mount-proc")
    across = facts({"namespaces": "all"}, netns=netns, wrapper=wrapper)["across_namespaces"]
    assert across["complete"] is None
    assert "PID namespace of its own" in across["unavailable"]
