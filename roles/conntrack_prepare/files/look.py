# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prints as JSON what the role conntrack_prepare has to know of a router. It changes nothing.

Its only argument is JSON: the ``record`` of the role, and the ``commands``, ``files`` and the ``user`` to look for.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import pwd
import shutil
import site
import sys
import sysconfig

_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
_OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")


def main():
    """Print what was found."""
    asked = json.loads(sys.argv[1])
    home = home_of(asked["user"])
    libraries, missing_of_libraries = place_of_libraries()
    known = record(asked["record"])
    recorded = [item["path"] for item in (known or {}).get("made", []) if item["kind"] == "file"]
    told = {
        "python": sys.executable,
        "uid": os.geteuid(),
        "pyroute2": pyroute2(),
        "pip": importlib.util.find_spec("pip") is not None,
        "externally_managed": os.path.exists(os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")),
        "libraries": libraries,
        "missing_of_libraries": missing_of_libraries,
        "missing_of_directory": missing_of(asked["directory"])[1],
        "ids": distribution_ids(),
        "commands": {name: shutil.which(name, path=_PATH) for name in asked["commands"]},
        "files": {path: digest(path) for path in [*asked["files"], *recorded]},
        "home": home,
        "has_ssh_directory": home is not None and os.path.lexists(os.path.join(home, ".ssh")),
        "record": known,
    }
    print(json.dumps(told))


def pyroute2():
    """Return the version of the pyroute2 that this Python finds. None without one that can enter namespaces.

    Empty where it is there, and its version cannot be told.
    """
    try:
        from pyroute2.netns import setns  # noqa: F401  # whether it can be imported is the question
    except Exception:
        # Whatever is wrong with it, it cannot be used.
        return None
    for name in ("pyroute2", "pyroute2-minimal", "pyroute2-core"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def place_of_libraries():
    """Return the first directory in which this Python reads .pth files and that can be written, and what it lacks.

    None and nothing if there is no such place, as on a file system that can only be read.
    """
    read = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    usual = sysconfig.get_path("purelib")
    for place in sorted(read, key=lambda path: path != usual):
        present, missing = missing_of(place)
        if os.access(present, os.W_OK):
            return place, missing
    return None, []


def missing_of(path):
    """Return the innermost directory of a path that is there, and those below it that are not, outermost first."""
    missing = []
    while not os.path.isdir(path):
        missing.insert(0, path)
        path = os.path.dirname(path)
    return path, missing


def distribution_ids():
    """Return the names of this distribution and of those that it is like, nearest first (os-release(5))."""
    for path in _OS_RELEASE:
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                pairs = [line.strip().partition("=") for line in file]
            values = {name: value.strip("\"'") for name, _equals, value in pairs}
            return [values.get("ID", "linux"), *values.get("ID_LIKE", "").split()]
    return []


def digest(path):
    """Return the SHA-256 of a file. None if there is none, empty for what is no regular file."""
    if not os.path.lexists(path):
        return None
    if os.path.islink(path) or not os.path.isfile(path):
        return ""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def home_of(user):
    """Return the home of a user, or None without such a user."""
    try:
        return pwd.getpwnam(user).pw_dir if user else None
    except KeyError:
        return None


def record(path):
    """Return what the role has on record on this router. None without a record."""
    if not os.path.lexists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return json.load(file)


if __name__ == "__main__":
    main()
