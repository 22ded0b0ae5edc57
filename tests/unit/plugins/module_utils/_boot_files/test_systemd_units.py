# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which commands systemd runs at boot: those of enabled units, with their drop-ins, in their order."""

from __future__ import annotations

import pathlib

from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import Tree
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.systemd_units import enabled_commands
from helpers import systems

ENABLED = "etc/systemd/system/multi-user.target.wants"


def commands(root: pathlib.Path, files: dict[str, str]) -> list[tuple[str, str]]:
    """Return the unit and the text of each command on a machine with these files."""
    systems.build(root, files)
    return [(unit, command) for unit, _source, command in enabled_commands(Tree(str(root)))]


def unit(*lines: str) -> str:
    return "\n".join(["[Service]", *lines, ""])


def test_the_commands_run_before_during_and_after_the_start(tmp_path: pathlib.Path) -> None:
    text = unit("ExecStartPost=/c", "ExecStart=/b", "ExecStartPre=-/a", "ExecStop=/never", "ExecReload=/never")
    files = {f"{ENABLED}/x.service": "", "usr/lib/systemd/system/x.service": text}
    assert commands(tmp_path, files) == [("x.service", "/a"), ("x.service", "/b"), ("x.service", "/c")]


def test_the_place_is_the_line_of_the_file_that_counts(tmp_path: pathlib.Path) -> None:
    files = {
        f"{ENABLED}/x.service": "",
        "etc/systemd/system/x.service": unit("ExecStart=/sbin/sysctl \\", "  -p"),
        "usr/lib/systemd/system/x.service": unit("ExecStart=/hidden"),
    }
    systems.build(tmp_path, files)
    [(_unit, source, command)] = enabled_commands(Tree(str(tmp_path)))
    assert (source.file, source.line) == ("/etc/systemd/system/x.service", 2)
    assert command.split() == ["/sbin/sysctl", "-p"]


def test_what_is_not_enabled_does_not_run(tmp_path: pathlib.Path) -> None:
    files = {
        "usr/lib/systemd/system/x.service": unit("ExecStart=/a"),
        # A timer is no service, and systemd's own are looked at elsewhere.
        f"{ENABLED}/x.timer": "",
        f"{ENABLED}/systemd-sysctl.service": "",
        "usr/lib/systemd/system/systemd-sysctl.service": unit("ExecStart=/own"),
    }
    assert commands(tmp_path, files) == []


def test_a_masked_unit_does_not_run(tmp_path: pathlib.Path) -> None:
    files = {f"{ENABLED}/x.service": "", "usr/lib/systemd/system/x.service": unit("ExecStart=/a")}
    assert commands(tmp_path, files)
    (tmp_path / "etc/systemd/system/x.service").symlink_to("/dev/null")
    assert list(enabled_commands(Tree(str(tmp_path)))) == []


def test_an_empty_assignment_in_a_dropin_takes_the_commands_back(tmp_path: pathlib.Path) -> None:
    files = {
        f"{ENABLED}/x.service": "",
        "usr/lib/systemd/system/x.service": unit("ExecStart=/old"),
        "etc/systemd/system/x.service.d/20-new.conf": unit("ExecStart=", "ExecStart=/new"),
        "etc/systemd/system/x.service.d/10-added.conf": unit("ExecStartPost=/added"),
    }
    assert commands(tmp_path, files) == [("x.service", "/new"), ("x.service", "/added")]


def test_an_instance_has_the_file_and_the_dropins_of_its_template(tmp_path: pathlib.Path) -> None:
    files = {
        f"{ENABLED}/x@lan.service": "",
        "usr/lib/systemd/system/x@.service": unit("ExecStart=/start"),
        "etc/systemd/system/x@.service.d/a.conf": unit("ExecStartPost=/all"),
        "etc/systemd/system/x@lan.service.d/b.conf": unit("ExecStartPost=/lan"),
    }
    assert [command for _unit, command in commands(tmp_path, files)] == ["/start", "/all", "/lan"]
