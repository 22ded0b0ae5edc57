# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The units that keep the metrics fresh: by systemd itself, and their command while a node_exporter reads on and on."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import shutil
import threading
import typing as t

import pytest
import yaml
from helpers.monitoring import MONITORING, fetched, free_port, node_exporter
from helpers.namespace_hosts import NamespaceHost
from helpers.support import network_namespace, read_yaml, run, run_ansible, wait_until

UNITS = MONITORING / "systemd"
SERVICE = UNITS / "netops-conntrack-report.service"
TIMER = UNITS / "netops-conntrack-report.timer"


def setting(unit: pathlib.Path, name: str) -> str:
    found = re.findall(rf"^{name}=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(found) == 1, name
    return str(found[0])


def seconds(text: str) -> int:
    """Return a time of systemd in seconds, as systemd-analyze understands it."""
    microseconds = re.search(r"^ *.s: (\d+)$", run(["systemd-analyze", "timespan", text]), re.MULTILINE)
    assert microseconds
    return int(microseconds[1]) // 1_000_000


def test_systemd_accepts_the_units(tmp_path: pathlib.Path) -> None:
    for unit in (SERVICE, TIMER):
        shutil.copy(unit, tmp_path)
    # The program may be anywhere in systemd's path, and this machine need not have it there.
    service = (tmp_path / SERVICE.name).read_text(encoding="utf-8")
    (tmp_path / SERVICE.name).write_text(service.replace("ExecStart=ansible-playbook", "ExecStart=/bin/true"))
    complaints = run(["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))])
    assert SERVICE.stem not in complaints


def test_the_metrics_are_never_as_old_as_the_alert_says() -> None:
    elapses = run(["systemd-analyze", "calendar", "--iterations=2", setting(TIMER, "OnCalendar")])
    assert "*-*-* *:00/30:00" in elapses
    rules = read_yaml(MONITORING / "prometheus" / "conntrack.rules.yml")
    alerts = {rule.get("alert"): rule["expr"] for group in rules["groups"] for rule in group["rules"]}
    assert alerts["ConntrackReportTooOld"].endswith("> 2 * 3600")
    longest = seconds(setting(SERVICE, "TimeoutStartSec")) + seconds(setting(TIMER, "RandomizedDelaySec"))
    assert longest < 1800, "one report would run into the next"


def test_the_service_may_write_where_its_variables_say() -> None:
    variables = read_yaml(UNITS / "report.yml")
    assert variables["conntrack_audit_report_directory"] == setting(SERVICE, "ReadWritePaths")


def test_node_exporter_reads_whole_metrics_while_the_command_writes_them(tmp_path: pathlib.Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, for network namespaces")
    metrics, home, port = tmp_path / "metrics", tmp_path / "home", free_port()
    metrics.mkdir()
    home.mkdir()
    variables = read_yaml(UNITS / "report.yml")
    given = tmp_path / "report.yml"
    given.write_text(yaml.safe_dump({**variables, "conntrack_audit_report_directory": str(metrics)}))
    command, *options = shlex.split(setting(SERVICE, "ExecStart"))
    at = options.index("-i")
    options = [*options[:at], *options[at + 2 :]]
    options = [option.replace("@/etc/netops-conntrack/report.yml", f"@{given}") for option in options if option != "-b"]
    collectors = ("--collector.textfile", f"--collector.textfile.directory={metrics}")
    with network_namespace("nctimer") as netns:
        inventory = tmp_path / "inventory.json"
        host = NamespaceHost.make(tmp_path, netns)
        inventory.write_text(json.dumps({"all": {"hosts": {"router1": host.variables}}}))
        with node_exporter(None, "127.0.0.1", tmp_path / "exporter.log", *collectors, port=port) as url:
            answers: list[str] = []
            ended = threading.Event()
            reader = threading.Thread(target=_read_until, args=(url, ended, answers))
            reader.start()
            try:
                for _turn in range(2):
                    done = run_ansible([command, *options], inventory, home)
                    assert done.returncode == 0, done.stdout + done.stderr
                wait_until(lambda: "netops_conntrack_up" in answers[-1], "the metrics do not arrive")
            finally:
                ended.set()
                reader.join()
    assert [path.name for path in metrics.iterdir()] == ["conntrack.prom"]
    assert oct((metrics / "conntrack.prom").stat().st_mode)[-3:] == "644"
    assert all("node_textfile_scrape_error 0" in answer for answer in answers)
    # From the first report on, there is no moment without all of it.
    with_report = [answer.count("netops_conntrack_") for answer in answers if "netops_conntrack_" in answer]
    assert with_report
    assert min(with_report) == max(with_report)
    assert 'netops_conntrack_up{host="router1"} 1' in answers[-1]


def _read_until(url: str, ended: threading.Event, answers: list[t.Any]) -> None:
    while not ended.is_set():
        answers.append(fetched(url))
        ended.wait(0.02)
