# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Timeout policies as objects ``ct timeout`` in a table of nftables, which ``ct timeout set`` gives to entries.

A change of nf_tables is a batch, which the kernel does as a whole or not at all. It cannot change an object in place,
and takes ``add`` for one that is there without doing anything (nf_tables_newobj() in net/netfilter/nf_tables_api.c).
"""

from __future__ import annotations

import errno
import struct
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    NotPermittedError,
    OptionError,
    RefusedError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing, subsystems
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.cttimeout import (
    kernel_defaults,
    untracked,
)
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

# linux/netfilter/nfnetlink.h, and nf_tables.h, enum nf_tables_msg_types
_BATCH_BEGIN, _BATCH_END, _RESOURCE = 16, 17, 10
_NF_TABLES = _RESOURCE << 8
_GET_TABLE, _NEW_OBJECT, _GET_OBJECT, _DELETE_OBJECT = (_NF_TABLES | kind for kind in (1, 18, 19, 20))
# nf_tables.h, enum nft_table_attributes, nft_object_attributes, and nft_ct_timeout_timeout_attributes
_TABLE_NAME = 1
_TABLE, _NAME, _TYPE, _DATA, _USE = range(1, 6)
_L3PROTO, _L4PROTO, _TIMEOUTS = range(1, 4)
_CT_TIMEOUT = 7

_FAMILIES = {"inet": 1, "ip": 2, "ip6": 10}
"""The families of tables in which rules see connections of IP (linux/netfilter.h, NFPROTO_*)."""

_ONLY = {"ip": "ipv4", "ip6": "ipv6"}
_PROTOCOLS = (_uapi.TCP, _uapi.UDP)
_NO_WORDS = "nft(8) has no words for that, so that the ruleset could not be saved and loaded again"


class Table(t.NamedTuple):
    """A table of nftables: ``inet``, ``ip`` or ``ip6``, and its name."""

    family: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Table:
        """Return the table of the option ``nft_table``. Raises OptionError."""
        words = text.split()
        if len(words) != 2 or words[0] not in _FAMILIES:
            remedy = "Give its family, which is inet, ip or ip6, and its name: inet filter."
            raise OptionError("nft_table", text, "is no table", remedy)
        return cls(*words)

    def __str__(self) -> str:
        return f"{self.family} {self.name}"


class ObjectsOfTable:
    """The objects of a table in the network namespace that the process is in."""

    can_change_in_use = False
    """Whether a policy that rules use can get other timeouts."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._family = _FAMILIES[table.family]

    def require_fit(self, policy: NamedPolicy) -> None:
        """Raise OptionError for a policy that cannot be in this table, or that nft(8) could not write."""
        if policy.protocol not in _PROTOCOLS:
            remedy = "Give tcp or udp, or leave nft_table out."
            raise OptionError("protocol", policy.protocol_name, f"has no object in nftables: {_NO_WORDS}", remedy)
        only = _ONLY.get(self.table.family)
        if only not in (None, policy.family_name):
            remedy = f"Give family: {only}, or a table of the family inet."
            raise OptionError("family", policy.family_name, f"is not in the table {self.table}", remedy)

    def require_table(self) -> None:
        """Raise OptionError if there is no such table, and what ``find`` raises."""
        if subsystems.is_there("nf_tables"):
            answer = self._ask(_GET_TABLE, text_attribute(_TABLE_NAME, self.table.name))
            if not answer.error:
                return
        remedy = f"See 'nft list tables', or make it with 'nft add table {self.table}'."
        raise OptionError("nft_table", str(self.table), "is not there", remedy)

    def find(self, name: str) -> NamedPolicy | None:
        """Return the object of this name, or None. Raises as ``TimeoutSubsystem.find``."""
        if not subsystems.is_there("nf_tables"):
            return None
        answer = self._ask(_GET_OBJECT, self._encode_name(name))
        if answer.error in (errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP):
            return None
        if answer.error or not answer.messages:
            raise refused(f"look up the object {name}", answer.error or errno.EIO)
        return _decode(name, attributes_of(answer.messages[0]))

    def defaults(self, wanted: NamedPolicy) -> dict[str, int]:
        """Return the timeouts of a new object that nobody says others of, as far as the kernel tells them."""
        return kernel_defaults(wanted) or {}

    def create(self, policy: NamedPolicy) -> None:
        """Make the object, which is not there yet. Raises as ``TimeoutSubsystem.create``."""
        error = self._batch([self._new(policy)])
        if error == errno.EOPNOTSUPP:
            raise untracked(policy)
        if error:
            raise refused(f"make the object {policy.name}", error)

    def change(self, policy: NamedPolicy) -> None:
        """Put the object with these timeouts in the place of the one of its name, which no rule may use.

        Raises ConntrackError where the kernel refuses, and what ``find`` raises.
        """
        error = self._batch([self._delete(policy.name), self._new(policy)])
        if error:
            raise refused(f"change the object {policy.name}", error)

    def delete(self, name: str) -> None:
        """Remove the object. Raises ConntrackError where the kernel refuses, and what ``find`` raises."""
        error = self._batch([self._delete(name)])
        if error not in (0, errno.ENOENT):
            raise refused(f"remove the object {name}", error)

    def _ask(self, kind: int, attributes: bytes) -> Answer:
        return ask(framing.encode_request(kind, _uapi.NLM_F_ACK, 1, self._family, attributes))

    def _encode_name(self, name: str) -> bytes:
        kind = framing.encode_attribute(_TYPE, struct.pack("!I", _CT_TIMEOUT))
        return text_attribute(_TABLE, self.table.name) + text_attribute(_NAME, name) + kind

    def _new(self, policy: NamedPolicy) -> tuple[int, int, bytes]:
        timeouts = encode_timeouts(policy.protocol, policy.timeouts)
        data = (
            framing.encode_attribute(_L3PROTO, struct.pack("!H", policy.family))
            + framing.encode_attribute(_L4PROTO, bytes([policy.protocol]))
            + framing.encode_attribute(_TIMEOUTS | _uapi.NLA_F_NESTED, timeouts)
        )
        nested = framing.encode_attribute(_DATA | _uapi.NLA_F_NESTED, data)
        return _NEW_OBJECT, _uapi.NLM_F_CREATE | _uapi.NLM_F_EXCL, self._encode_name(policy.name) + nested

    def _delete(self, name: str) -> tuple[int, int, bytes]:
        return _DELETE_OBJECT, 0, self._encode_name(name)

    def _batch(self, steps: t.Sequence[tuple[int, int, bytes]]) -> int:
        """Have the kernel do all the steps or none, and return its errno."""
        datagram = _border(_BATCH_BEGIN)
        for number, (kind, flags, attributes) in enumerate(steps, 1):
            # The answer to the last step comes after those of all others that failed.
            flags |= _uapi.NLM_F_ACK if number == len(steps) else 0
            datagram += framing.encode_request(kind, flags, number, self._family, attributes)
        try:
            return ask(datagram + _border(_BATCH_END), last=len(steps)).error
        except NotPermittedError as error:
            # Who may look up an object may change it, but in a table with an owner (NFT_TABLE_F_OWNER).
            raise RefusedError(
                f"nft_table: the table {self.table} belongs to another program, which alone may change it. Make one of "
                f"your own, such as with 'nft add table {self.table.family} timeouts'. Nothing was changed."
            ) from error


def _border(kind: int) -> bytes:
    """Encode the message that begins or ends a batch for nf_tables."""
    message = framing.encode_request(kind, 0, 0)
    return message[: -struct.calcsize("!H")] + struct.pack("!H", _RESOURCE)


def _decode(name: str, fields: t.Mapping[int, bytes]) -> NamedPolicy:
    data = attributes_of(fields.get(_DATA, b""), 0)
    protocol = number_in(data, _L4PROTO)
    timeouts = decode_timeouts(protocol, data.get(_TIMEOUTS, b""))
    return NamedPolicy(name, number_in(data, _L3PROTO), protocol, timeouts, number_in(fields, _USE))
