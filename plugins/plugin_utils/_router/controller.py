# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Which machine a module would run on: the router, or the controller under the router's name."""

from __future__ import annotations

import contextlib
import ipaddress
import pathlib
import socket
import typing as t

from ansible.plugins.connection import ConnectionBase, NetworkConnectionBase
from ansible_collections.netops.conntrack.plugins.module_utils._errors import RefusedError

_Address = tuple[t.Any, ...]
"""An address as the functions of sockets take it."""

_DISCARD = 9
_ANY_ADDRESS_CAN_BE_BOUND = {
    socket.AF_INET: "/proc/sys/net/ipv4/ip_nonlocal_bind",
    socket.AF_INET6: "/proc/sys/net/ipv6/ip_nonlocal_bind",
}


def refuse_controller(connection: ConnectionBase, name: str, host: str, address: str | None) -> None:
    """Raise RefusedError if a module for ``host`` would run on the controller, and that is not what was asked for.

    ``name`` is the ``ansible_connection`` in force, and ``address`` the ``ansible_host``. Ansible has the name of the
    host there if none is set.
    """
    if _is_for_network_devices(connection) or _is_replaced(connection, name):
        raise RefusedError(
            f"With ansible_connection={name}, Ansible runs the modules of {host} on the controller, which would be "
            f"measured and changed under the name of {host}. Nothing was touched. If {host} has a Linux shell and "
            f"Python 3.9 or newer, as VyOS has, set ansible_connection=ssh for it: its python3 is used then. Other "
            f"systems cannot be reached."
        )
    if _is_local(connection) and address and address != host and not is_this_machine(address):
        raise RefusedError(
            f"With ansible_connection={name}, Ansible runs the modules of {host} on the controller, which would be "
            f"measured and changed under the name of {host}: ansible_host={address} is another machine. Nothing was "
            f"touched. Set ansible_connection=ssh to reach {address}, or leave out ansible_host if the controller is "
            f"meant."
        )


def is_this_machine(address: str) -> bool:
    """Return whether ``address`` is a name or an address of the controller itself."""
    if address == socket.gethostname():
        return True
    try:
        found = socket.getaddrinfo(address, _DISCARD, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return False
    return all(_is_own(family, sockaddr) for family, _type, _protocol, _name, sockaddr in found)


def _is_for_network_devices(connection: ConnectionBase) -> bool:
    # A connection without the base class can still say that its other end is the controller.
    return isinstance(connection, NetworkConnectionBase) or bool(getattr(connection, "_remote_is_local", False))


def _is_replaced(connection: ConnectionBase, name: str) -> bool:
    """Return whether Ansible has put a local connection in the place of the one that the host has.

    It does so with a network connection when the action does not require one, so that nothing logs in to the device.
    """
    return _is_local(connection) and name.rpartition(".")[2] != "local"


def _is_local(connection: ConnectionBase) -> bool:
    return str(connection.transport).rpartition(".")[2] == "local"


def _is_own(family: socket.AddressFamily, address: _Address) -> bool:
    without_interface = str(address[0]).partition("%")[0]
    if ipaddress.ip_address(without_interface).is_loopback:
        return True
    return _is_its_own_source(family, address) or _can_be_bound(family, address)


def _is_its_own_source(family: socket.AddressFamily, address: _Address) -> bool:
    """Return whether packets to ``address`` would have it as their source. None is sent."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(address)
        return bool(probe.getsockname()[0] == address[0])
    return False


def _can_be_bound(family: socket.AddressFamily, address: _Address) -> bool:
    """Return whether ``address`` is one of an interface, which can be bound. That finds secondary addresses too."""
    with contextlib.suppress(OSError, KeyError):
        if pathlib.Path(_ANY_ADDRESS_CAN_BE_BOUND[family]).read_text(encoding="ascii").strip() != "0":
            return False
    with socket.socket(family, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.bind((address[0], 0, *address[2:]))
        return True
    return False
