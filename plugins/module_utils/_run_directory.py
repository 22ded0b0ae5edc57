# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The directory on the router for what must not outlive a boot, with a file of its own for each network namespace."""

from __future__ import annotations

import os
import socket
import struct

DIRECTORY = "/run/netops-conntrack"
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_SO_NETNS_COOKIE = 71  # asm-generic/socket.h


def make() -> None:
    """Make the directory if it is not there. Raises OSError."""
    os.makedirs(DIRECTORY, mode=0o700, exist_ok=True)


def path_of(what: str) -> str:
    """Return the path of the file ``what`` of the network namespace that the process is in."""
    return os.path.join(DIRECTORY, f"{what}-{_namespace()}")


def write(path: str, text: str) -> None:
    """Write the file in full next to the old one, then replace that atomically. Raises OSError."""
    whole = f"{path}.new"
    with open(whole, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(whole, path)


def boot_id() -> str:
    """Return the name that the kernel has given to this boot; "" where it has none (random(4))."""
    try:
        with open(_BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _namespace() -> int:
    """Return the number of the network namespace that the process is in."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as any_socket:
            cookie: int = struct.unpack("=Q", any_socket.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8))[0]
            return cookie
    except OSError:
        # A kernel before 5.14; the number of a namespace's file comes again once the namespace is deleted.
        return os.stat("/proc/self/ns/net").st_ino
