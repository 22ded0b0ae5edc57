# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The policies of cttimeout, which nfct(8) lists and the target CT of iptables gives to entries.

Each request names its policy. **A delete without a name would remove every policy that no rule uses**, so that none is
ever encoded (cttimeout_del_timeout() in net/netfilter/nfnetlink_cttimeout.c).
"""

from __future__ import annotations

import errno
import struct
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing, subsystems
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.policy import NamedPolicy
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.requests import (
    Answer,
    ask,
    attributes_of,
    number_in,
    refused,
    text_attribute,
)
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.timeout_names import (
    decode_timeouts,
    encode_timeouts,
)

# linux/netfilter/nfnetlink.h, NFNL_SUBSYS_CTNETLINK_TIMEOUT, and nfnetlink_cttimeout.h, enum ctnl_timeout_msg_types
_SUBSYSTEM = 8 << 8
_NEW, _GET, _DELETE, _DEFAULT_GET = (_SUBSYSTEM | kind for kind in (0, 1, 2, 4))
# nfnetlink_cttimeout.h, enum ctattr_timeout
_NAME, _L3PROTO, _L4PROTO, _DATA, _USE = range(1, 6)

_MODULE = "nfnetlink_cttimeout"


class TimeoutSubsystem:
    """The policies of cttimeout in the network namespace that the process is in."""

    can_change_in_use = True
    """Whether a policy that rules use can get other timeouts."""

    def find(self, name: str) -> NamedPolicy | None:
        """Return the policy of this name, or None. A kernel module that is not loaded has none, and is not loaded.

        Raises NotPermittedError without CAP_NET_ADMIN, DumpError without an answer, MalformedError for wrong bytes.
        """
        if not subsystems.is_there(_MODULE):
            return None
        answer = _ask(_GET, text_attribute(_NAME, name))
        # A kernel without the subsystem does not know the request.
        if answer.error in (errno.ENOENT, errno.EINVAL):
            return None
        if answer.error or not answer.messages:
            raise refused(f"look up the policy {name}", answer.error or errno.EIO)
        return _decode(name, attributes_of(answer.messages[0]))

    def defaults(self, wanted: NamedPolicy) -> dict[str, int]:
        """Return the timeouts of a new policy that nobody says others of, as far as the kernel tells them.

        Raises UnavailableError where the kernel has no policies, or none for the protocol, and what ``find`` raises.
        """
        found = kernel_defaults(wanted)
        if found is None:
            raise _unavailable()
        return found

    def create(self, policy: NamedPolicy) -> None:
        """Make the policy, which is not there yet. The kernel may load a module for that.

        Raises UnavailableError where the kernel has no such policies, ConntrackError where it refuses, and what
        ``find`` raises.
        """
        error = _ask(_NEW, _encode(policy), _uapi.NLM_F_CREATE | _uapi.NLM_F_EXCL).error
        if error == errno.EOPNOTSUPP:
            raise untracked(policy)
        if error == errno.EINVAL:
            raise _unavailable()
        if error:
            raise refused(f"make the policy {policy.name}", error)

    def change(self, policy: NamedPolicy) -> None:
        """Give the policy, which is there, these timeouts. It has to name all of them, or the kernel resets the others.

        Raises ConntrackError where the kernel refuses, and what ``find`` raises.
        """
        error = _ask(_NEW, _encode(policy), _uapi.NLM_F_REPLACE).error
        if error:
            raise refused(f"change the policy {policy.name}", error)

    def delete(self, name: str) -> None:
        """Remove the policy. Raises ConntrackError where the kernel refuses, and what ``find`` raises."""
        error = _ask(_DELETE, _encode_name(name)).error
        if error not in (0, errno.ENOENT):
            raise refused(f"remove the policy {name}", error)


def kernel_defaults(wanted: NamedPolicy) -> dict[str, int] | None:
    """Return the timeouts that the kernel gives a new policy of this kind. None: it has no cttimeout.

    They are those of the sysctls. They are unknown, and so left out, while the kernel module is not loaded. Raises
    UnavailableError where the kernel does not track the protocol, and what ``TimeoutSubsystem.find`` raises.
    """
    if not subsystems.is_there(_MODULE):
        return {}
    answer = _ask(_DEFAULT_GET, _encode_kind(wanted))
    if answer.error == errno.EINVAL:
        return None
    if answer.error == errno.EOPNOTSUPP:
        raise untracked(wanted)
    if answer.error or not answer.messages:
        raise refused("tell its own timeouts", answer.error or errno.EIO)
    return decode_timeouts(wanted.protocol, attributes_of(answer.messages[0]).get(_DATA, b""))


def untracked(policy: NamedPolicy) -> ConntrackError:
    """Return the error for a protocol that the kernel does not track."""
    return UnavailableError(
        f"protocol: this kernel does not track {policy.protocol_name} itself, so it has no policies for it. "
        "Give protocol: generic, which is for all such protocols."
    )


def _unavailable() -> UnavailableError:
    return UnavailableError(
        f"This kernel has no timeout policies of its own (cttimeout). Load them with 'modprobe {_MODULE}', or give "
        "nft_table to make an object of nftables in place of it."
    )


def _ask(kind: int, attributes: bytes, flags: int = 0) -> Answer:
    return ask(framing.encode_request(kind, flags | _uapi.NLM_F_ACK, 1, 0, attributes))


def _encode_name(name: str) -> bytes:
    if not name:
        raise ValueError("a delete must name its policy")
    return text_attribute(_NAME, name)


def _encode_kind(policy: NamedPolicy) -> bytes:
    return framing.encode_attribute(_L3PROTO, struct.pack("!H", policy.family)) + framing.encode_attribute(
        _L4PROTO, bytes([policy.protocol])
    )


def _encode(policy: NamedPolicy) -> bytes:
    data = encode_timeouts(policy.protocol, policy.timeouts)
    nested = framing.encode_attribute(_DATA | _uapi.NLA_F_NESTED, data)
    return _encode_name(policy.name) + _encode_kind(policy) + nested


def _decode(name: str, fields: t.Mapping[int, bytes]) -> NamedPolicy:
    protocol = number_in(fields, _L4PROTO)
    timeouts = decode_timeouts(protocol, fields.get(_DATA, b""))
    # The policy itself counts as one user.
    users = max(0, number_in(fields, _USE) - 1)
    return NamedPolicy(name, number_in(fields, _L3PROTO), protocol, timeouts, users)
