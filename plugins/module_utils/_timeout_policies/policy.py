# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""A timeout policy with a name, and what somebody wants of it."""

from __future__ import annotations

import re
import socket
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_policies import Policy
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.timeout_names import (
    PROTOCOLS,
    by_sysctl,
    parse_timeouts,
)

FAMILIES = {"ipv4": int(socket.AF_INET), "ipv6": int(socket.AF_INET6)}
_PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}

LONGEST_NAME = 31
"""Of a policy, without the NUL behind it: CTNL_TIMEOUT_NAME_MAX in linux/netfilter/nfnetlink_cttimeout.h."""

_NAME = re.compile(r"[A-Za-z_.][A-Za-z0-9/_.-]*", re.ASCII)
"""What nft(8) takes as a name, and a shell as a word."""


class NamedPolicy(t.NamedTuple):
    """A policy: the family (AF_INET or AF_INET6), the protocol's number, and the timeouts in seconds by name.

    ``users`` is the number of the rules that use it.
    """

    name: str
    family: int
    protocol: int
    timeouts: t.Mapping[str, int]
    users: int = 0

    @property
    def kind(self) -> str:
        """Family and protocol in words."""
        return f"{self.protocol_name} over {self.family_name}"

    @property
    def family_name(self) -> str:
        """The family as the option says it."""
        return _uapi.FAMILY_NAMES.get(self.family, str(self.family))

    @property
    def protocol_name(self) -> str:
        """The protocol as the option says it."""
        return _PROTOCOL_NAMES.get(self.protocol, str(self.protocol))

    @property
    def own_timeouts(self) -> Policy:
        """What entries may get from it, as the rest of the collection knows policies. It may be of both families."""
        return Policy(None, self.protocol, by_sysctl(self.protocol, self.timeouts))

    def with_timeouts(self, timeouts: t.Mapping[str, int]) -> NamedPolicy:
        """Return the policy with these timeouts. The others stay as they are."""
        return self._replace(timeouts={**self.timeouts, **timeouts})

    def as_dict(self) -> dict[str, t.Any]:
        """Return the policy as the module returns it."""
        return {
            "name": self.name,
            "family": self.family_name,
            "protocol": self.protocol_name,
            "timeouts": dict(self.timeouts),
            "users": self.users,
        }

    def as_text(self) -> str:
        """Return the policy as a diff shows it."""
        lines = [f"{self.name}: {self.kind}", *(f"  {name}: {value}" for name, value in self.timeouts.items())]
        return "\n".join(lines) + "\n"


def parse_name(name: str) -> str:
    """Return the name of a policy. Raises OptionError for one that cannot be used."""
    if not _NAME.fullmatch(name):
        remedy = "Begin with a letter, and go on with letters, digits, and the signs _ . - and /."
        raise OptionError("name", name, "is no name of a policy", remedy)
    if len(name) > LONGEST_NAME:
        raise OptionError("name", name, f"has {len(name)} characters", f"The kernel takes {LONGEST_NAME} at most.")
    return name


def parse_wanted(params: t.Mapping[str, t.Any]) -> NamedPolicy:
    """Return the policy that the module's options want, with the given timeouts only.

    Raises OptionError, or ConntrackError with every problem of the timeouts.
    """
    name = parse_name(params["name"])
    if params["protocol"] is None:
        raise OptionError("protocol", None, "is missing", f"Give one of {', '.join(PROTOCOLS)}.")
    protocol, family = PROTOCOLS[params["protocol"]], FAMILIES[params["family"]]
    if (family, protocol) in _uapi.IMPOSSIBLE_KINDS:
        remedy = "Give protocol: icmp with family: ipv4, or protocol: icmpv6 with family: ipv6."
        raise OptionError("protocol", params["protocol"], f"does not exist over {params['family']}", remedy)
    return NamedPolicy(name, family, protocol, parse_timeouts(protocol, params["timeouts"] or {}))
