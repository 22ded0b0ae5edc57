# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What makes a policy again at boot: the line or the object for the files of the firewall."""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.policy import NamedPolicy

_OF_NFCT = {"max_retrans": "retrans"}
_OF_NFT = {"max_retrans": "retrans", "unacknowledged": "unack"}
"""What nfct(8) and nft(8) call the timeouts that are called otherwise here."""

_NFCT_FAMILIES = {"ipv4": "inet", "ipv6": "inet6"}
_NFT_FAMILIES = {"ipv4": "ip", "ipv6": "ip6"}


def nfct_command(wanted: NamedPolicy) -> str:
    """Return the command of nfct(8) that makes the policy with the timeouts that are wanted."""
    timeouts = " ".join(f"{_OF_NFCT.get(name, name)} {seconds}" for name, seconds in wanted.timeouts.items())
    return f"nfct add timeout {wanted.name} {_NFCT_FAMILIES[wanted.family_name]} {wanted.protocol_name} {timeouts}"


def nft_object(wanted: NamedPolicy) -> str:
    """Return the object as it stands in a table of a file for nft(8)."""
    timeouts = ", ".join(f"{_OF_NFT.get(name, name)}: {seconds}" for name, seconds in wanted.timeouts.items())
    about = f"protocol {wanted.protocol_name}; l3proto {_NFT_FAMILIES[wanted.family_name]};"
    return f"ct timeout {wanted.name} {{ {about} policy = {{ {timeouts} }}; }}"
