# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users of the collection can name, and since which release: plugins, roles, their options and variables."""

from __future__ import annotations

import ast
import pathlib
import typing as t

import yaml

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
RECORD = CHECKOUT / "changelogs" / "interface.yml"
"""For each release the names that came with it, by plugin or role."""

ITSELF = "itself"
"""The name of a plugin or role, next to the names of its options."""

_COLLECTION = "netops.conntrack."
_HEAD = """---
# SPDX-License-Identifier: GPL-3.0-or-later
# Written by tools/release.py: which names came with which release.
"""

Interface = dict[tuple[str, str], str]
"""The release in which each name appeared, by plugin or role and name."""


def number(version: str) -> tuple[int, ...]:
    """Return a version without a suffix as numbers, by which versions can be compared."""
    return tuple(map(int, version.split(".")))


def documented() -> Interface:
    """Return all names with the release that ``version_added`` gives each, or that of what it belongs to."""
    names: Interface = {}
    for kind in ("modules", "callback"):
        for path in sorted(CHECKOUT.glob(f"plugins/{kind}/*.py")):
            names.update(_of_plugin(f"{kind.removesuffix('s')} {path.stem}", documentation_of(path)))
    for path in sorted(CHECKOUT.glob("plugins/filter/*.yml")):
        names.update(_of_plugin(f"filter {path.stem}", _read(path)["DOCUMENTATION"]))
    for path in sorted(CHECKOUT.glob("roles/*/meta/argument_specs.yml")):
        names.update(_of_role(f"role {path.parent.parent.name}", _read(path)["argument_specs"]))
    return names


def released() -> Interface:
    """Return all names on record, with the release in which each one appeared."""
    record = _read(RECORD)
    return {
        (owner, name): release
        for release, owners in record.items()
        for owner, names in owners.items()
        for name in names
    }


def write_record(names: Interface) -> None:
    """Write the names as the record of the releases."""
    record: dict[str, dict[str, list[str]]] = {}
    for (owner, name), release in names.items():
        record.setdefault(release, {}).setdefault(owner, []).append(name)
    lines = []
    for release in sorted(record, key=number):
        lines.append(f"{release}:")
        for owner, of_owner in sorted(record[release].items()):
            lines += [f"  {owner}:", *(f"    - {name}" for name in sorted(of_owner))]
    RECORD.write_text(_HEAD + "\n".join(lines) + "\n", encoding="utf-8")


def _of_plugin(owner: str, document: dict[str, t.Any]) -> Interface:
    release = document["version_added"]
    names = {(owner, ITSELF): release}
    for options in [document.get("options"), *_shared_options(document)]:
        names.update(_of_options(owner, options or {}, release))
    return names


def _of_role(owner: str, entry_points: dict[str, t.Any]) -> Interface:
    """Return the names of a role. A variable of several entry points came with the first of them."""
    first = entry_points["main"]["version_added"]
    names = {(owner, ITSELF): first}
    for entry_point, spec in entry_points.items():
        release = spec.get("version_added", first)
        names[owner, f"entry point {entry_point}"] = release
        for key, since in _of_options(owner, spec.get("options", {}), release).items():
            names[key] = min(since, names.get(key, since), key=number)
    return names


def _of_options(owner: str, options: dict[str, t.Any], release: str, prefix: str = "") -> Interface:
    names = {}
    for name, option in options.items():
        since = option.get("version_added", release)
        names[owner, prefix + name] = since
        inner = option.get("suboptions") or option.get("options") or {}
        names.update(_of_options(owner, inner, since, f"{prefix}{name}."))
    return names


def _shared_options(document: dict[str, t.Any]) -> t.Iterator[dict[str, t.Any] | None]:
    """Yield the options of each doc fragment of this collection that the plugin takes over."""
    for name in document.get("extends_documentation_fragment", []):
        fragment = name.removeprefix(_COLLECTION)
        if fragment != name and "." not in fragment:
            path = CHECKOUT / "plugins" / "doc_fragments" / f"{fragment}.py"
            yield documentation_of(path).get("options")


def documentation_of(path: pathlib.Path) -> dict[str, t.Any]:
    """Return the DOCUMENTATION of a plugin in Python, or of a doc fragment."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DOCUMENTATION":
            document: dict[str, t.Any] = yaml.safe_load(ast.literal_eval(node.value))
            return document
    raise ValueError(f"{path} has no DOCUMENTATION")


def _read(path: pathlib.Path) -> dict[str, t.Any]:
    document: dict[str, t.Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document
