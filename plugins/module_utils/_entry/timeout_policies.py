# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What else than the sysctls gives entries their timeouts: policies that rules attach, and flow tables.

A rule of nftables (``ct timeout``) or iptables (``-j CT --timeout``) can give the entries that it matches timeouts of
their own. No dump of the table says which entries these are, but the policies themselves can be listed: as objects of
nf_tables, and from the subsystem of cttimeout. Only lists are asked for here. A subsystem that the kernel could load as
a module, and has not loaded, has no policies, and is not asked, because the question would load it.
"""

from __future__ import annotations

import errno
import os
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    BECOME_ROOT,
    DumpError,
    InterruptedDumpError,
    NotPermittedError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing, listed, subsystems, transport

# linux/netfilter/nfnetlink.h, NFNL_SUBSYS_*, and linux/netfilter/nf_tables.h, enum nf_tables_msg_types
_NF_TABLES = 10 << 8
_GET_OBJECTS = _NF_TABLES | 19
_NEW_OBJECT = _NF_TABLES | 18
_GET_FLOW_TABLES = _NF_TABLES | 23
_NEW_FLOW_TABLE = _NF_TABLES | 22
# linux/netfilter/nfnetlink_cttimeout.h, enum ctnl_timeout_msg_types
_CTTIMEOUT = 8 << 8
_NEW_TIMEOUT = _CTTIMEOUT | 0
_GET_TIMEOUTS = _CTTIMEOUT | 1

# linux/netfilter/nf_tables.h, enum nft_object_attributes, and the type of ct timeout objects
_OBJECT_TYPE, _OBJECT_DATA = 3, 4
_CT_TIMEOUT = 7

_MODULES = {_NF_TABLES: "nf_tables", _CTTIMEOUT: "nfnetlink_cttimeout"}
_ATTEMPTS = 5
_LACKING = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOENT, errno.EPROTONOSUPPORT)
"""How kernels answer for a subsystem, or a list, that they do not have."""

_TCP = (
    "syn_sent",
    "syn_recv",
    "established",
    "fin_wait",
    "close_wait",
    "last_ack",
    "time_wait",
    "close",
    "syn_sent2",
    "max_retrans",
    "unacknowledged",
)
_SCTP = (
    "closed",
    "cookie_wait",
    "cookie_echoed",
    "established",
    "shutdown_sent",
    "shutdown_recd",
    "shutdown_ack_sent",
    "heartbeat_sent",
)
_DCCP = ("request", "respond", "partopen", "open", "closereq", "closing", "timewait")
_UDP = ("udp_timeout", "udp_timeout_stream")

SYSCTL_NAMES: dict[int, tuple[str, ...]] = {
    _uapi.TCP: tuple(f"tcp_timeout_{state}" for state in _TCP),
    _uapi.SCTP: tuple(f"sctp_timeout_{state}" for state in _SCTP),
    _uapi.DCCP: tuple(f"dccp_timeout_{state}" for state in _DCCP),
    _uapi.UDP: _UDP,
    _uapi.UDPLITE: _UDP,
    _uapi.GRE: ("gre_timeout", "gre_timeout_stream"),
    _uapi.ICMP: ("icmp_timeout",),
    _uapi.ICMPV6: ("icmpv6_timeout",),
}
"""The attributes of a policy's timeouts, which are numbered from 1: linux/netfilter/nfnetlink_cttimeout.h, enum
ctattr_timeout_tcp and those after it. They are named like the sysctls."""

GENERIC = 255
"""The protocol of a policy for all protocols that the kernel does not know (nf_conntrack_l4proto_generic)."""

GENERIC_NAMES = ("generic_timeout",)


class Policy(t.NamedTuple):
    """The timeouts that a rule may give entries of a protocol, in seconds, named like the sysctls.

    ``family`` is that of the entries (AF_INET or AF_INET6). None: both. An object of nf_tables has the family of its
    table, because the kernel does not look at the object's own (nft_ct_timeout_obj_eval() in net/netfilter/nft_ct.c).
    """

    family: int | None
    protocol: int
    timeouts: t.Mapping[str, int]


def list_policies() -> list[Policy]:
    """Return the policies of the network namespace that the process is in, whether rules use them or not.

    Raises NotPermittedError without CAP_NET_ADMIN, DumpError where the kernel does not give a whole list,
    MalformedError for bytes that cannot be decoded.
    """
    kind_of_object = framing.encode_attribute(_OBJECT_TYPE, _CT_TIMEOUT.to_bytes(4, "big"))
    objects = [
        (message[framing.HEADER_LENGTH], _attributes(message))
        for message in _list(_GET_OBJECTS, _NEW_OBJECT, kind_of_object)
    ]
    of_nftables = [
        _policy(_nested(fields[_OBJECT_DATA]), _family(table_family), protocol=2, data=3)
        for table_family, fields in objects
        # An old kernel does not know the attribute that asks for one type only.
        if int.from_bytes(fields.get(_OBJECT_TYPE, b""), "big") == _CT_TIMEOUT and _OBJECT_DATA in fields
    ]
    listed = [_attributes(message) for message in _list(_GET_TIMEOUTS, _NEW_TIMEOUT)]
    of_cttimeout = [
        _policy(fields, _family(int.from_bytes(fields.get(2, b""), "big")), protocol=3, data=4) for fields in listed
    ]
    return [policy for policy in [*of_nftables, *of_cttimeout] if policy is not None]


def has_flow_tables() -> bool:
    """Return whether nf_tables has a flow table in this network namespace. Raises as ``list_policies``."""
    return bool(_list(_GET_FLOW_TABLES, _NEW_FLOW_TABLE))


def _family(number: int) -> int | None:
    """Return the family, or None for a number that stands for more than one."""
    return number if number in _uapi.FAMILY_NAMES else None


def _policy(fields: t.Mapping[int, bytes], family: int | None, protocol: int, data: int) -> Policy | None:
    """Return the policy in these attributes, of which the others are the numbers, or None where one is missing."""
    if protocol not in fields or data not in fields:
        return None
    number = int.from_bytes(fields[protocol], "big")
    names = SYSCTL_NAMES.get(number, GENERIC_NAMES)
    values = {
        names[kind - 1]: int.from_bytes(value, "big")
        for kind, value in _nested(fields[data]).items()
        if 1 <= kind <= len(names)
    }
    return Policy(family, number, values)


def _attributes(message: bytes) -> dict[int, bytes]:
    """Return the attributes of a message of nfnetlink by type."""
    return {kind: message[start:end] for kind, start, end in framing.walk(message, framing.ATTRIBUTES_AT, len(message))}


def _nested(value: bytes) -> dict[int, bytes]:
    return {kind: value[start:end] for kind, start, end in framing.walk(value, 0, len(value))}


def _list(request: int, answer: int, attributes: bytes = b"") -> list[bytes]:
    """Return the messages of a whole list, or None where the kernel does not have it."""
    if not subsystems.is_there(_MODULES[request & 0xFF00]):
        return []
    for _attempt in range(_ATTEMPTS):
        try:
            return _list_once(request, answer, attributes)
        except InterruptedDumpError:
            continue
    raise DumpError(f"The list of timeout policies changed in each of {_ATTEMPTS} attempts to read it. Run it again.")


def _list_once(request: int, answer: int, attributes: bytes) -> list[bytes]:
    with transport.open_socket() as source:
        transport.send(source, framing.encode_request(request, _uapi.NLM_F_DUMP, 1, 0, attributes))
        try:
            return list(listed.each(transport.datagrams(source), answer, _raise_for))
        except UnavailableError:
            return []


def _raise_for(number: int) -> None:
    if number in (errno.EPERM, errno.EACCES):
        raise NotPermittedError(f"Listing the timeout policies of rules needs root (CAP_NET_ADMIN). {BECOME_ROOT}")
    if number in _LACKING:
        raise UnavailableError(f"The kernel has no timeout policies of rules ({os.strerror(number)}).")
    if number == errno.EINTR:
        raise InterruptedDumpError("The list changed while it was read.")
    if number:
        raise DumpError(
            f"The kernel does not list the timeout policies of rules ({os.strerror(number)}). Run it again."
        )
