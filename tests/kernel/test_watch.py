# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks that look at the tables of routers now: watch, which repeats, and explain, which says what helps.

The routers are namespaces with real packets.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest
from helpers.ansible_tasks import Workplace
from helpers.namespace_hosts import NamespaceHost
from helpers.packet_injection import Router, injected_router
from helpers.packets import udp
from helpers.support import (
    COLLECTIONS,
    PATIENCE,
    network_namespace,
    of_processes,
    run,
    wait_until,
    with_default_signals,
)
from helpers.terminals import interrupted, operator, whole_page

UDP = 17
STORM = "udp, unanswered, to 192.0.2.54 port 53"
_AT_REST = ("-i", "inventory.yml", "-e", "interval=2s")


class Fleet(t.NamedTuple):
    """Two routers, of which the first takes packets, and where Ansible is run on them."""

    router: Router
    other: str
    hosts: dict[str, NamespaceHost]
    directory: pathlib.Path
    workplace: Workplace

    def storm(self, first: int, sources: int) -> None:
        """Let so many clients ask a server that does not answer."""
        for number in range(first, first + sources):
            self.router.send(f"10.0.{number >> 8}.{number & 255}", "192.0.2.54", UDP, udp((1024 + number, 53)))

    @contextlib.contextmanager
    def watch(self, *options: str) -> t.Iterator[subprocess.Popen[str]]:
        """Begin to watch, into a pipe. It ends with the block, however that ends."""
        with subprocess.Popen(
            [_program("ansible-playbook"), "netops.conntrack.watch", *_AT_REST, *options],
            cwd=self.directory,
            env=self.environment(PYTHONUNBUFFERED="1"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=with_default_signals,
        ) as process:
            try:
                yield process
            finally:
                process.terminate()

    def environment(self, **more: str) -> dict[str, str]:
        ours = {"ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PIPELINING": "false"}
        return operator(self.directory, **ours, **more)


def _program(name: str) -> str:
    return str(pathlib.Path(sys.executable).parent / name)


@pytest.fixture
def fleet(tmp_path: pathlib.Path) -> t.Iterator[Fleet]:
    with injected_router("watch") as router, network_namespace("watch") as other:
        router.set(udp_timeout=PATIENCE)
        names = {"router1": router.netns, "router2": other}
        hosts = {name: NamespaceHost.make(tmp_path, netns) for name, netns in names.items()}
        workplace = Workplace(tmp_path, {name: host.variables for name, host in hosts.items()})
        yield Fleet(router, other, hosts, tmp_path, workplace)


def until(process: subprocess.Popen[str], words: str) -> str:
    """Return what a process prints up to the end of the line with these words."""
    assert process.stdout
    lines = ""
    for line in process.stdout:
        lines += line
        if words in line:
            return lines
    raise AssertionError(lines)


def rest_of(process: subprocess.Popen[str]) -> str:
    """Return what a process prints from now to its end."""
    assert process.stdout
    shown = process.stdout.read()
    process.wait(PATIENCE)
    return shown


def pages_of(output: str) -> list[str]:
    return re.split(r"^(?=Look \d+ of )", output, flags=re.MULTILINE)[1:]


def cells(page: str, router: str) -> list[str]:
    [line] = re.findall(rf"^{router}  .*  .*  .*  .*$", page, re.MULTILINE)[:1]
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_it_sees_the_packets_between_two_looks(fleet: Fleet) -> None:
    fleet.storm(0, 300)
    with fleet.watch("-e", "rounds=3") as process:
        shown = until(process, "Look 1 of 3 at 2 routers, one every 2s")
        fleet.storm(300, 200)
        shown += rest_of(process)
    assert process.returncode == 0, shown
    assert "\x1b" not in shown
    pages = pages_of(shown)
    assert len(pages) == 3
    assert cells(pages[0], "router1")[:2] + cells(pages[0], "router1")[4:] == ["router1", "300", *"???????"]
    assert f"router1  100 % of 300 entries: {STORM}, from 300 sources" in pages[0]
    # The packets came before the second look at the router, or between the second and the third.
    moved = next(page for page in pages[1:] if "+200, now 500" in page)
    assert f"router1  +200, now 500: {STORM}" in moved
    change, new, gone = (float(cell) for cell in cells(moved, "router1")[4:7])
    assert change > 0
    assert new >= 0
    assert gone >= 0
    assert cells(pages[2], "router1")[1] == "500"
    assert cells(pages[2], "router2")[1:2] + cells(pages[2], "router2")[4:] == ["0", "0", "?", "?", *"0000"]
    assert "router2  nothing stands out" in pages[2]


def test_ctrl_c_ends_it_and_leaves_everything_as_it_was(fleet: Fleet) -> None:
    fleet.storm(0, 120)
    before = run(["sysctl", "-a", "--pattern", "^net.netfilter"], netns=fleet.router.netns)
    done = interrupted(
        [_program("ansible-playbook"), "netops.conntrack.watch", *_AT_REST],
        whole_page("Look 2 at 2 routers"),
        size=(40, 110),
        cwd=fleet.directory,
        env=fleet.environment(),
    )
    assert done.rc == 99, done.shown
    assert done.same_modes
    # Nothing but the cursor to the top, and what is old cleared: no other screen, no hidden cursor, no colour.
    assert set(re.findall(r"\x1b(?:\[[0-9;?]*[A-Za-z]|.)", done.shown)) == {"\x1b[H", "\x1b[K", "\x1b[J"}
    pages = done.shown.split("\x1b[H")[1:]
    assert all(page.count("\n") < 40 for page in pages[:-1])
    assert f"router1  100 % of 120 entries: {STORM}" in pages[-1]
    assert "Ctrl-C ends this. Nothing is changed." in pages[-1]
    # The message of Ansible stands below the last page.
    assert "User interrupted execution" in pages[-1].rpartition("\x1b[J")[2]
    assert run(["sysctl", "-a", "--pattern", "^net.netfilter"], netns=fleet.router.netns) == before
    assert run(["conntrack", "-C"], netns=fleet.router.netns).strip() == "120"
    assert list((fleet.directory / ".ansible" / "tmp").glob("*")) == []
    no_more(fleet)


def no_more(fleet: Fleet) -> None:
    """Wait until nothing of the run is at work any more. Its processes have the home of the test."""
    directory = str(fleet.directory).encode()
    mine = pathlib.Path("/proc/self/environ").read_bytes()
    wait_until(lambda: not [one for one in of_processes("environ") if directory in one and one != mine])


def test_nothing_of_it_stays_on_a_router_while_it_waits(fleet: Fleet) -> None:
    with fleet.watch("-e", "interval=1h", "--limit", "router1") as process:
        until(process, "Ctrl-C ends this.")
        remote = pathlib.Path(fleet.hosts["router1"].variables["ansible_remote_tmp"])
        wait_until(lambda: not list(remote.glob("*")))


def test_a_router_that_stops_to_answer_is_asked_again(fleet: Fleet) -> None:
    broken = fleet.hosts["router1"].broken
    with fleet.watch("-e", "rounds=5", "--limit", "router1") as process:
        shown = until(process, "Look 1 of 5")
        broken.touch()
        shown += until(process, "No answer since ")
        broken.unlink()
        shown += rest_of(process)
    assert process.returncode == 0, shown
    [without] = [page for page in pages_of(shown) if "No answer since " in page][:1]
    assert cells(without, "router1") == ["router1", *"??????????"]
    assert cells(pages_of(shown)[-1], "router1")[1] == "0"


def test_a_router_that_cannot_be_asked_fails_at_once_and_the_others_go_on(fleet: Fleet) -> None:
    fleet.hosts["router1"].broken.touch()
    with fleet.watch("-e", "rounds=2") as process:
        shown = rest_of(process)
    assert process.returncode == 2, shown
    assert "fatal: [router1]: FAILED!" in shown
    last = pages_of(shown)[-1]
    assert cells(last, "router1") == ["router1", *"??????????"]
    assert cells(last, "router2")[:2] == ["router2", "0"]
    assert last.startswith("Look 2 of 2 at 2 routers")


def test_what_a_task_registers(fleet: Fleet) -> None:
    fleet.storm(0, 120)
    task = {"netops.conntrack.conntrack_watch": {"rounds": 2, "interval": 2}}
    [watched] = fleet.workplace.results([task])["router1"]
    assert not watched["failed"], watched
    assert (watched["changed"], watched["looks"]) == (False, 2)
    look = watched["look"]
    assert (look["entries"], look["movers"], look["rates"]["change"]) == (120, [], 0)
    assert look["filled_by"].startswith(f"100 % of 120 entries: {STORM}")
    # The pause is at least 1 s. The second look can be shorter than the first, so 2 s from begin to begin say no more.
    assert look["seconds"] > 1


@pytest.mark.parametrize(
    ("task", "play", "titles"),
    [
        ({"loop": [1, 2]}, {}, ["Look 1 of 1 at 2 routers"] * 2),
        ({"until": "false", "retries": 1, "delay": 0}, {}, ["Look 1 of 1 at 2 routers"] * 2),
        ({}, {"serial": 1}, ["Look 1 of 1 at 1 router"] * 2),
    ],
    ids=["loop", "until", "serial"],
)
def test_each_run_of_a_task_shows_its_page(
    fleet: Fleet, task: dict[str, t.Any], play: dict[str, t.Any], titles: list[str]
) -> None:
    watch = {"netops.conntrack.conntrack_watch": {"rounds": 1, "interval": 2}, "ignore_errors": True, **task}
    whole = [{"hosts": "routers", "gather_facts": False, **play, "tasks": [watch]}]
    (fleet.directory / "play.yml").write_text(json.dumps(whole))
    done = fleet.workplace.run("ansible-playbook", "play.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    pages = pages_of(done.stdout)
    assert [page.partition(",")[0].strip() for page in pages] == titles, done.stdout
    assert "It was not looked at yet." not in done.stdout


def test_what_cannot_be_done_is_refused_before_the_first_look(fleet: Fleet) -> None:
    refused = [
        ({"interval": "1s"}, "interval: '1s' is out of range. Give 2s to 1h."),
        ({"interval": "2h"}, "interval: '2h' is out of range"),
        ({"interval": "soon"}, "interval: 'soon' is not a duration"),
        ({"rounds": 0}, "rounds: 0 is less than 1"),
    ]
    tasks: list[dict[str, t.Any]] = [{"netops.conntrack.conntrack_watch": options} for options, _words in refused]
    for host in fleet.hosts.values():
        host.broken.touch()
    results = fleet.workplace.results(tasks)["router1"]
    assert [
        words for result, (_options, words) in zip(results, refused, strict=True) if words not in result["msg"]
    ] == []


def test_each_router_needs_a_process(fleet: Fleet) -> None:
    fleet.workplace.environment = {"ANSIBLE_FORKS": "1"}
    done = fleet.workplace.run("ansible-playbook", "netops.conntrack.watch")
    assert done.returncode == 2
    assert "forks is 1 for 2 routers. Call it with --forks 2" in done.stdout
    assert "TASK [Look again" not in done.stdout
    [watched] = fleet.workplace.results([{"netops.conntrack.conntrack_watch": {}}])["router1"]
    assert "forks is 1 for 2 routers" in watched["msg"]


def test_where_a_program_reads_the_output_there_is_no_page_and_an_end(fleet: Fleet) -> None:
    """The callback has the name of the one that prints JSON, which is not a part of ansible-core."""
    callbacks = fleet.directory / "callback_plugins"
    callbacks.mkdir()
    (callbacks / "json.py").write_text(
        "from ansible.plugins.callback.minimal import CallbackModule as Minimal\n"
        "DOCUMENTATION = 'name: json\\ntype: stdout\\nshort_description: a stand-in\\ndescription: [a stand-in]\\n'\n"
        "class CallbackModule(Minimal):\n"
        "    CALLBACK_NAME = 'json'\n"
    )
    fleet.workplace.environment = {
        "ANSIBLE_STDOUT_CALLBACK": "json",
        "ANSIBLE_CALLBACK_PLUGINS": str(callbacks),
    }
    done = fleet.workplace.run("ansible-playbook", "netops.conntrack.watch", "--limit", "router1")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "rounds: None is needed here." in done.stdout
    done = fleet.workplace.run("ansible-playbook", "netops.conntrack.watch", "--limit", "router1", "-e", "rounds=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"filled_by": "nothing stands out"' in done.stdout
    assert "Look 1 of 1" not in done.stdout


def test_more_routers_than_a_screen_has_room_for(tmp_path: pathlib.Path) -> None:
    hosts = {f"router{number}": {"ansible_connection": "local"} for number in range(9)}
    done = Workplace(tmp_path, hosts).run("ansible-playbook", "netops.conntrack.watch", "--forks", "9")
    assert done.returncode == 2
    assert "At most 8 routers can be watched at the same time, and these are 9." in done.stdout
    assert "TASK [Look again" not in done.stdout


def test_the_tables_of_routers_are_explained(fleet: Fleet) -> None:
    fleet.storm(0, 900)
    done = fleet.workplace.run("ansible-playbook", "netops.conntrack.explain")
    assert done.returncode == 0, done.stdout + done.stderr
    page = done.stdout[done.stdout.index("What fills 2 tables with 900 entries") :]
    assert re.search(r"^router1 +900 +[\d,]+ +[\d.<]+$", page, re.MULTILINE)
    assert page.index("router1  900") < page.index("router2  0")
    assert f"100 % of 900 entries: {STORM}, from 900 sources" in page
    assert "router2: no entries." in page
    assert "This frees 900 entries:" in page
    # The command can be pasted, and frees what the page says.
    [command] = re.findall(r"^  ansible (router1 -i .*) \\\n  ('match=.*')$", page, re.MULTILINE)
    arguments = command[0].removesuffix(" -a").split()
    pruned = fleet.workplace.run("ansible", *arguments[:1], *arguments[3:], "-a", command[1].strip("'"))
    assert pruned.returncode == 0, pruned.stdout + pruned.stderr
    assert '"deleted": 900' in pruned.stdout


def test_a_router_that_gives_no_answer_is_named_with_the_reason(fleet: Fleet) -> None:
    fleet.hosts["router1"].broken.touch()
    done = fleet.workplace.run("ansible-playbook", "netops.conntrack.explain", "-e", "target=router1:router2")
    assert done.returncode == 2
    assert "What fills 1 table with 0 entries" in done.stdout
    assert "Not asked, or without an answer" in done.stdout
    assert "fatal: [router1]" in done.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-e", "src=/tmp/dump.txt", "-e", "target=router1"), "src is a file on the controller, and target names rout"),
        (("-e", "src=/tmp/dump.txt", "--limit", "router1"), "and --limit names routers"),
        (
            (
                "-e",
                "scr=/tmp/dump.txt",
            ),
            "scr: nothing reads this variable. Did you mean src?",
        ),
        (("-e", "target=router1", "-e", "settings=x"), "Only a file needs settings"),
        (
            (
                "-e",
                "src=",
            ),
            "Which routers, or which file?",
        ),
    ],
)
def test_what_explain_refuses(fleet: Fleet, options: tuple[str, ...], words: str) -> None:
    done = fleet.workplace.run("ansible-playbook", "netops.conntrack.explain", *options)
    assert done.returncode == 2
    assert words in done.stdout
    assert "Nothing was touched." in done.stdout
