# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The names of containers, in files as Docker, containerd and Podman write them."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._namespaces.container_names import ContainerNames

ID = "3f4e12ab0c11" + "0" * 52
OTHER = "aa" * 32
DOCKER = f"var/lib/docker/containers/{ID}/config.v2.json"
BUNDLE = f"run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json"
STORE = "var/lib/containers/storage/overlay-containers/containers.json"
VOLATILE = "run/containers/storage/overlay-containers/volatile-containers.json"
OF_POD = {
    "io.kubernetes.cri.container-name": "web",
    "io.kubernetes.cri.sandbox-name": "nginx-7848d4b86f-xztfp",
    "io.kubernetes.cri.sandbox-namespace": "default",
}


def write(root: pathlib.Path, path: str, value: t.Any) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(value if isinstance(value, str) else json.dumps(value))


@pytest.mark.parametrize(
    ("kind", "path", "value", "name"),
    [
        ("docker", DOCKER, {"ID": ID, "Name": "/web", "Config": {"Env": ["SECRET=1"]}}, "web"),
        ("containerd", BUNDLE, {"ociVersion": "1.1.0", "annotations": OF_POD}, "default/nginx-7848d4b86f-xztfp"),
        ("kubernetes", BUNDLE, {"annotations": OF_POD}, "default/nginx-7848d4b86f-xztfp"),
        ("podman", STORE, [{"id": OTHER, "names": ["no"]}, {"id": ID, "names": ["web", "b"]}], "web"),
        ("podman", VOLATILE, [{"id": ID, "names": ["passing"]}], "passing"),
        ("cri-o", STORE, [{"id": ID, "names": ["k8s_web_nginx_default_1_0"]}], "k8s_web_nginx_default_1_0"),
        # What another runtime writes says nothing, and neither does what is not as it should be.
        ("lxc", DOCKER, {"Name": "/web"}, None),
        ("docker", DOCKER, {"Name": "/"}, None),
        ("docker", DOCKER, {"Name": ["/web"]}, None),
        ("docker", DOCKER, ["/web"], None),
        ("docker", DOCKER, "[" * 100_000, None),
        ("docker", DOCKER, "no JSON", None),
        ("containerd", BUNDLE, {"annotations": {"io.kubernetes.cri.sandbox-namespace": "default"}}, None),
        ("containerd", BUNDLE, {"annotations": None}, None),
        ("podman", STORE, [{"id": ID, "names": []}, {"id": ID}, "x", {"names": ["y"]}], None),
        ("podman", STORE, {"id": ID, "names": ["web"]}, None),
    ],
)
def test_names(tmp_path: pathlib.Path, kind: str, path: str, value: t.Any, name: str | None) -> None:
    assert ContainerNames(str(tmp_path)).name_of(kind, ID) is None
    write(tmp_path, path, value)
    assert ContainerNames(str(tmp_path)).name_of(kind, ID) == name


def test_a_pipe_is_not_read(tmp_path: pathlib.Path) -> None:
    (tmp_path / DOCKER).parent.mkdir(parents=True)
    os.mkfifo(tmp_path / DOCKER)
    assert ContainerNames(str(tmp_path)).name_of("docker", ID) is None
