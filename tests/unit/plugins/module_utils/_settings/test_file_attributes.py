# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module asks Ansible to do to the files; a machine with SELinux is the only one that has to be imitated."""

from __future__ import annotations

import pathlib
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._settings.file_attributes import FileAttributes

OLD = ["system_u", "object_r", "router_conf_t", "s0"]
DEFAULT = ["system_u", "object_r", "etc_t", "s0"]


class Module:
    """Stands in for AnsibleModule on a machine with SELinux, and notes what is asked for."""

    params: t.ClassVar[dict[str, t.Any]] = {"mode": "0640"}

    def __init__(self) -> None:
        self.asked: list[dict[str, t.Any]] = []

    def load_file_common_arguments(self, params: dict[str, t.Any], path: str) -> dict[str, t.Any]:
        return {"path": path, "mode": params["mode"], "owner": None, "group": None, "secontext": [None] * 4}

    def selinux_enabled(self) -> bool:
        return True

    def selinux_context(self, path: str) -> list[str]:
        assert pathlib.Path(path).exists()
        return OLD

    def selinux_default_context(self, path: str) -> list[str]:
        assert not pathlib.Path(path).exists()
        return DEFAULT

    def set_fs_attributes_if_different(self, wanted: dict[str, t.Any], changed: bool) -> bool:
        self.asked.append(wanted)
        return changed


def test_staged_file_has_what_the_one_in_its_place_has(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "90.conf"
    path.touch()
    module = Module()
    prepare = FileAttributes(t.cast(t.Any, module)).prepare
    prepare("/staged", str(path))
    present = path.stat()
    assert module.asked == [
        {"path": "/staged", "mode": "0640", "owner": present.st_uid, "group": present.st_gid, "secontext": OLD}
    ]


def test_staged_file_has_the_policys_context_where_there_is_none_yet(tmp_path: pathlib.Path) -> None:
    module = Module()
    FileAttributes(t.cast(t.Any, module)).prepare("/staged", str(tmp_path / "90.conf"))
    assert module.asked == [{"path": "/staged", "mode": "0640", "owner": None, "group": None, "secontext": DEFAULT}]
