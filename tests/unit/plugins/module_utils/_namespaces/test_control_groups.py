# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a process belongs to, by control groups as each runtime makes them, of both versions."""

from __future__ import annotations

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._namespaces.control_groups import KINDS, Owner, owner_of

ID = "3f4e12ab0c11" + "0" * 52
POD = "0a1b2c3d-1111-2222-3333-444455556666"
POD_SLICE = f"kubepods-burstable-pod{POD.replace('-', '_')}.slice"

KNOWN = {
    "docker": (f"0::/system.slice/docker-{ID}.scope", Owner("docker", ID, None, None)),
    "docker, version 1": (
        f"12:pids:/docker/{ID}\n3:cpuset:/\n1:name=systemd:/docker/{ID}\n0::/system.slice/containerd.service",
        Owner("docker", ID, None, None),
    ),
    "docker, a controller that does not know it": (
        f"9:memory:/system.slice/docker.service\n4:pids:/docker/{ID}",
        Owner("docker", ID, None, None),
    ),
    "a service in a container": (
        f"0::/system.slice/docker-{ID}.scope/system.slice/nginx.service",
        Owner("docker", ID, None, None),
    ),
    "podman": (f"0::/machine.slice/libpod-{ID}.scope/container", Owner("podman", ID, None, None)),
    "podman without root": (
        f"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope",
        Owner("podman", ID, None, 1000),
    ),
    "podman, split": (f"0::/system.slice/web.service/libpod-payload-{ID}", Owner("podman", ID, None, None)),
    "podman, cgroupfs": (f"0::/libpod_parent/libpod-{ID}", Owner("podman", ID, None, None)),
    "containerd in Kubernetes": (
        f"0::/kubepods.slice/kubepods-burstable.slice/{POD_SLICE}/cri-containerd-{ID}.scope",
        Owner("containerd", ID, POD, None),
    ),
    "CRI-O in Kubernetes": (f"0::/kubepods.slice/{POD_SLICE}/crio-{ID}.scope", Owner("cri-o", ID, POD, None)),
    "Kubernetes, cgroupfs": (
        f"11:memory:/kubepods/besteffort/pod{POD}/{ID}",
        Owner("kubernetes", ID, POD, None),
    ),
    "nerdctl": (f"0::/system.slice/nerdctl-{ID}.scope", Owner("containerd", ID, None, None)),
    "seen from a container": (f"0::/../../docker-{ID}.scope", Owner("docker", ID, None, None)),
    "LXC": ("0::/lxc.payload.web1/system.slice/ssh.service", Owner("lxc", "web1", None, None)),
    "LXC, version 1": ("7:devices:/lxc/web1", Owner("lxc", "web1", None, None)),
    "LXC 4.0": ("7:devices:/lxc.payload/web1", Owner("lxc", "web1", None, None)),
    "machine": (r"0::/machine.slice/machine-deb\x2dian.scope", Owner("machine", "deb-ian", None, None)),
    "nspawn": (
        "0::/machine.slice/systemd-nspawn@web.service/payload",
        Owner("machine", "web", None, None),
    ),
    "service": ("0::/system.slice/frr.service", Owner("unit", "frr.service", None, None)),
    "instance": (
        "0::/system.slice/system-openvpn.slice/openvpn@a.service",
        Owner("unit", "openvpn@a.service", None, None),
    ),
    "of a user": (
        "0::/user.slice/user-1000.slice/user@1000.service/app.slice/ssh-agent.service",
        Owner("unit", "ssh-agent.service", None, 1000),
    ),
    "session": ("0::/user.slice/user-0.slice/session-3.scope", Owner("unit", "session-3.scope", None, 0)),
}


@pytest.mark.parametrize("case", KNOWN)
def test_owner(case: str) -> None:
    groups, owner = KNOWN[case]
    assert owner_of(groups + "\n") == owner


def test_each_kind_is_tried() -> None:
    assert {owner.kind for _groups, owner in KNOWN.values()} == set(KINDS)


@pytest.mark.parametrize(
    "groups",
    [
        "",
        "0::/",
        "9:name=systemd:/\n0::/",
        "no groups at all",
        "0::/system.slice",
        "0::/user.slice",
        f"0::/docker-{ID[:-1]}.scope".replace(".scope", ""),
        "0::/docker",
        "0::/kubepods/besteffort/podx/y",
        "\0\n::\n:\n",
    ],
)
def test_no_owner(groups: str) -> None:
    assert owner_of(groups) is None


def test_a_name_with_colons_and_control_characters_is_kept_whole() -> None:
    assert owner_of("0::/lxc/a:b\x1b[31m") == Owner("lxc", "a:b\x1b[31m", None, None)
