# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The table of expectations of the network namespace that the process is in, over netlink: whole, or an error."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._errors import DumpError, InterruptedDumpError
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.expectation import Expectation, decode
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing, listed, subsystems, transport
from ansible_collections.netops.conntrack.plugins.module_utils._table import dump

_MODULE = "nf_conntrack_netlink"
_LIST = "/proc/net/nf_conntrack_expect"
"""The kernel's own list as text. On some kernels it has the expectations of all namespaces, and it tells no ids."""

_ATTEMPTS = 5
_SEQUENCE = 1


def list_expectations() -> list[Expectation]:
    """Return every expectation once.

    A dump that was disturbed is thrown away, and another one is made. A kernel that has not loaded what the question
    needs is not asked if nothing is expected, because the question would load it.
    Raises DumpError when none of five dumps was whole, NotPermittedError without CAP_NET_ADMIN, UnavailableError where
    the kernel does not list them, MalformedError for bytes that cannot be decoded.
    """
    if not subsystems.is_there(_MODULE) and _is_empty(_LIST):
        return []
    for _attempt in range(_ATTEMPTS):
        try:
            return _list_once()
        except InterruptedDumpError:
            continue
    raise DumpError(
        f"The table of expectations could not be read as a whole in {_ATTEMPTS} attempts: it changed too much, or the "
        "kernel had no memory for the answer. Run it again."
    )


def _list_once() -> list[Expectation]:
    with transport.open_socket() as source:
        transport.send(source, framing.encode_request(_uapi.EXPECT_GET, _uapi.NLM_F_DUMP, _SEQUENCE))
        return each_once(transport.datagrams(source))


def each_once(datagrams: t.Iterable[bytes]) -> list[Expectation]:
    """Return the expectations in the datagrams of a dump, without copies.

    The kernel continues a dump at the expectation that did not fit into the datagram before. If that has vanished
    since, it repeats the hash chain from its start (see ctnetlink_exp_dump_table() of nf_conntrack_netlink.c).
    Raises InterruptedDumpError where the dump was not whole, MalformedError, and the error that the kernel answered.
    """
    expectations = map(decode, listed.each(datagrams, _uapi.EXPECT_NEW, dump.raise_for))
    return list({one.identity: one for one in expectations}.values())


def _is_empty(path: str) -> bool:
    """Return whether a list of the kernel is there and has no line."""
    try:
        with open(path, "rb") as file:
            return not file.read(1)
    except OSError:
        return False
