# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Clusters of entries, which share their protocol and the values of some fields."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._facts.networks import Network


class FieldCondition(t.NamedTuple):
    """A field has a value in the bits of ``mask``, without one in all bits. ``size`` is that of the field in bytes."""

    field: str
    value: int
    mask: int | None = None
    size: int | None = None


class Cluster(t.NamedTuple):
    """What the entries of a cluster share. None: they do not share it.

    ``single_packet`` is whether each of them saw one packet and no more. ``reply_source`` and ``reply_destination`` are
    what NAT made of destination and source.
    """

    protocol: int
    replied: bool
    state: int | None = None
    single_packet: bool | None = None
    icmp_type: int | None = None
    destination_port: int | None = None
    destination: Network | None = None
    source: Network | None = None
    zone: int | None = None
    reply_source: Network | None = None
    reply_destination: Network | None = None

    @property
    def match(self) -> dict[str, t.Any]:
        """The selector of these entries."""
        match: dict[str, t.Any] = {
            "protocol": _uapi.PROTOCOL_NAMES.get(self.protocol, str(self.protocol)),
            "state": _uapi.state_name(self.protocol, self.state),
            "replied": self.replied,
            "packets_original": {"min": 1, "max": 1} if self.single_packet else None,
            "icmp_type": self.icmp_type,
            "zone": self.zone,
            "source": _text(self.source),
            "destination": _text(self.destination),
            "destination_port": self.destination_port,
            "reply_source": _text(self.reply_source),
            "reply_destination": _text(self.reply_destination),
        }
        return {key: value for key, value in match.items() if value is not None}

    @property
    def conditions(self) -> list[FieldCondition]:
        """What has to hold for the fields of an entry of the protocol."""
        conditions = [FieldCondition("status", _uapi.SEEN_REPLY if self.replied else 0, _uapi.SEEN_REPLY)]
        numbers = {
            "state": self.state,
            "icmp_type": self.icmp_type,
            "zone": self.zone,
            "destination_port": self.destination_port,
            "packets_original": 1 if self.single_packet else None,
        }
        conditions += [FieldCondition(name, number) for name, number in numbers.items() if number is not None]
        for name in ADDRESS_FIELDS:
            network: Network | None = getattr(self, name)
            if network is not None:
                number = int.from_bytes(network.address, "big")
                conditions.append(FieldCondition(name, number, network.mask, len(network.address)))
        return conditions

    def is_part_of(self, other: Cluster) -> bool:
        """Return whether all entries of this cluster are in the other one, as the two say it."""
        return all(_is_part(own, wanted) for own, wanted in zip(self, other))

    @property
    def has_host(self) -> bool:
        """Whether it has a single address, before NAT."""
        return any(network is not None and network.is_host for network in (self.source, self.destination))

    @property
    def addresses(self) -> int:
        """How much its addresses say, before NAT: 1 for each network, 2 for each single address."""
        return sum(1 + network.is_host for network in (self.source, self.destination) if network is not None)


ADDRESS_FIELDS = ("destination", "source", "reply_source", "reply_destination")
"""The fields of a cluster that are networks."""


def _is_part(own: t.Any, wanted: t.Any) -> bool:
    if isinstance(own, Network) and isinstance(wanted, Network):
        return wanted.contains(own)
    return wanted is None or bool(own == wanted)


def _text(network: Network | None) -> str | None:
    return None if network is None else network.text


def may_be_one_way(match: t.Mapping[str, t.Any]) -> bool:
    """Return whether a cluster, by its selector, may have live TCP connections whose answers take another way.

    With asymmetric routing these are ESTABLISHED and never answered. They see more than one packet.
    """
    if match["protocol"] != "tcp" or match["replied"] or match.get("packets_original"):
        return False
    return match.get("state") in (None, "ESTABLISHED")
