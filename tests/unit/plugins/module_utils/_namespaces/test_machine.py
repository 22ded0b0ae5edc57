# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mounts of namespaces, as the kernel writes them. Real namespaces are in tests/kernel/test_namespaces.py."""

from __future__ import annotations

import pathlib

from ansible_collections.netops.conntrack.plugins.module_utils._namespaces import machine
from ansible_collections.netops.conntrack.plugins.module_utils._namespaces.processes import Holder

MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
90 22 0:4 net:[4026532281] /run/docker/netns/1a2b rw shared:40 - nsfs nsfs rw
91 22 0:4 mnt:[4026532282] /run/snapd/ns/lxd.mnt rw - nsfs nsfs rw
92 22 0:4 net:[4026532283] /srv/with\040blank\134slash rw - nsfs nsfs rw
93 22 0:4 net:[4026532284]
94
"""


def test_mount_points(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    assert list(machine._mount_points(str(tmp_path / "mountinfo"))) == [
        "/run/docker/netns/1a2b",
        "/srv/with blank\\slash",
    ]
    assert list(machine._mount_points(str(tmp_path / "none"))) == []


def test_references_of_a_namespace() -> None:
    holder = Holder(12, "x", None)
    namespace = machine.Namespace((4, 1), ("blue", "azure"), holder, (12, 14), 2, ("/srv/ns",))
    assert namespace.references == ["blue", "azure", "pid:12", "pid:14", "/srv/ns"]
    # A name that reads like another reference is given as a path.
    assert machine.Namespace((4, 1), ("pid:7",), None, (), 0, ()).references == ["/run/netns/pid:7"]
