# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The names that people gave to containers, as the files of their runtimes have them.

Control groups only have the number of a container. These files also have secrets, of which nothing is returned. They
are those of the runtimes of root, in the places where they are by default.
"""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._files.regular_files import read_regular

_DOCKER = "var/lib/docker/containers/{}/config.v2.json"
_BUNDLE = "run/containerd/io.containerd.runtime.v2.task/k8s.io/{}/config.json"
_STORES = (
    "var/lib/containers/storage/overlay-containers/containers.json",
    # Of those that are removed when they end.
    "run/containers/storage/overlay-containers/volatile-containers.json",
    "var/lib/containers/storage/overlay-containers/volatile-containers.json",
)
"""The containers of Podman and CRI-O, all in one file (containers-storage.conf(5))."""

_POD = "io.kubernetes.cri.sandbox-{}"
"""The annotations that containerd gives to a container of Kubernetes."""

_MOST_BYTES = 8 << 20
"""Of a file of all containers, of which each takes about a kilobyte."""


class ContainerNames:
    """Looks names up, below the directory ``root``. A file is read once."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._stored: dict[str, str] | None = None

    def name_of(self, kind: str, number: str) -> str | None:
        """Return the name of the container of this kind and number, for one of Kubernetes that of its pod, else None.

        The number is 64 hexadecimal digits, so that it leads to no other file.
        """
        if kind == "docker":
            return _text_at(self._read(_DOCKER.format(number)), "Name", "/")
        if kind in ("podman", "cri-o"):
            return self._stored_names().get(number)
        if kind in ("containerd", "kubernetes"):
            return self._name_of_pod(number)
        return None

    def _name_of_pod(self, number: str) -> str | None:
        bundle = self._read(_BUNDLE.format(number))
        annotations = bundle.get("annotations") if isinstance(bundle, dict) else None
        parts = [_text_at(annotations, _POD.format(part)) for part in ("namespace", "name")]
        return "/".join(part for part in parts if part) if parts[1] else None

    def _stored_names(self) -> dict[str, str]:
        if self._stored is None:
            self._stored = {}
            for path in _STORES:
                self._stored.update(_names_in(self._read(path)))
        return self._stored

    def _read(self, path: str) -> t.Any:
        """Return what the JSON in a file says. None for a file that is not there, or is none."""
        try:
            return json.loads(read_regular(os.path.join(self._root, path), _MOST_BYTES))
        except (OSError, ValueError, RecursionError):
            return None


def _names_in(store: t.Any) -> t.Iterator[tuple[str, str]]:
    for container in store if isinstance(store, list) else ():
        number = _text_at(container, "id")
        names = container.get("names") if isinstance(container, dict) else None
        if number and isinstance(names, list) and names and isinstance(names[0], str):
            yield number, names[0]


def _text_at(values: t.Any, key: str, before: str = "") -> str | None:
    """Return the text that a mapping has for a key, without what stands ``before`` it. None if there is none."""
    text = values.get(key) if isinstance(values, dict) else None
    if not isinstance(text, str):
        return None
    return (text[len(before) :] if text.startswith(before) else text) or None
