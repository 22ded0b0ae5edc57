# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What somebody means who writes a word of conntrack(8), nftables or iptables where a selector key is expected."""

from __future__ import annotations

import difflib
import typing as t

_KEYS_OF_WORDS = {
    "addr": "address",
    "bytes_orig": "bytes_original",
    "daddr": "destination",
    "dest": "destination",
    "dport": "destination_port",
    "dst": "destination",
    "dstkey": "destination_key",
    "expires": "remaining",
    "host": "address",
    "ip": "address",
    "l3proto": "family",
    "l4proto": "protocol",
    "labels": "label",
    "layer3": "family",
    "layer4": "protocol",
    "network": "address",
    "nfproto": "family",
    "orig_bytes": "bytes_original",
    "orig_dst": "destination",
    "orig_key_dst": "destination_key",
    "orig_key_src": "source_key",
    "orig_packets": "packets_original",
    "orig_port_dst": "destination_port",
    "orig_port_src": "source_port",
    "orig_src": "source",
    "orig_zone": "zone_original",
    "original_destination": "destination",
    "original_source": "source",
    "packets_orig": "packets_original",
    "proto": "protocol",
    "protonum": "protocol",
    "reply_bytes": "bytes_reply",
    "reply_dst": "reply_destination",
    "reply_key_dst": "reply_destination_key",
    "reply_key_src": "reply_source_key",
    "reply_packets": "packets_reply",
    "reply_port_dst": "reply_destination_port",
    "reply_port_src": "reply_source_port",
    "reply_src": "reply_source",
    "reply_zone": "zone_reply",
    "saddr": "source",
    "sport": "source_port",
    "src": "source",
    "srckey": "source_key",
    "timestamp": "age",
    "zone_orig": "zone_original",
}
"""Words that mean exactly what the key means."""

_SENTENCES = {
    "any_nat": "Did you mean nat: [snat, dnat]? For the address after translation use reply_source (DNAT) or "
    "reply_destination (SNAT).",
    "blocklist": "Did you mean address_list, source_list or destination_list? Give the path of a file.",
    "buffer_size": "It is no property of an entry.",
    "ct_state": "Did you mean replied: false (new), replied: true (established) or expected: true (related)?",
    "ctstate": "Did you mean replied: false (new), replied: true (established) or expected: true (related)?",
    "delta_time": "Did you mean age: {min: ...} or age: {max: ...}?",
    "dst_nat": "Did you mean nat: dnat? For the address after translation use reply_source.",
    "dying": "Entries that are dying are in no list of the kernel.",
    "event": "It is no property of an entry.",
    "fixed_timeout": "No key tells it.",
    "icmp": "Did you mean protocol: icmp?",
    "ipset": "Did you mean address_list, source_list or destination_list? Give the path of a file.",
    "mask": "Write the mask after the mark, such as mark: 0x10/0xff.",
    "mask_dst": "Write a network, such as destination: 203.0.113.0/24.",
    "mask_src": "Write a network, such as source: 203.0.113.0/24.",
    "mark_mask": "Write the mask after the mark, such as mark: 0x10/0xff.",
    "natted": "Did you mean nat: [snat, dnat]?",
    "offload": "Did you mean offloaded: true?",
    "port": "Did you mean source_port or destination_port?",
    "ports": "Did you mean source_port or destination_port?",
    "related": "Did you mean expected: true?",
    "secctx": "No key tells it.",
    "secmark": "No key tells it.",
    "seen_reply": "Did you mean replied: true?",
    "src_nat": "Did you mean nat: snat? For the address after translation use reply_destination.",
    "status": "Did you mean replied, assured, offloaded or expected (true or false), or nat (snat, dnat or none)?",
    "tcp": "Did you mean protocol: tcp?",
    "timeout": "Did you mean remaining: {max: ...}, the time that is left, or idle: {min: ...}?",
    "tuple": "Did you mean source, destination, source_port and destination_port?",
    "udp": "Did you mean protocol: udp?",
    "unreplied": "Did you mean replied: false?",
    "use": "No key tells it.",
}
"""Words that mean something else than a key by itself."""

_STATES = {
    "ASSURED": "Did you mean the key assured: true?",
    "EXPECTED": "Did you mean the key expected: true?",
    "NEW": "Did you mean the key replied: false, or state: SYN_SENT?",
    "OFFLOAD": "Did you mean the key offloaded: true?",
    "RELATED": "Did you mean the key expected: true?",
    "SEEN_REPLY": "Did you mean the key replied: true?",
    "UNREPLIED": "Did you mean the key replied: false?",
}


def hint_for_key(word: t.Any, keys: t.Collection[str]) -> str:
    """Return the remedy for a ``word`` that is none of the selector's ``keys``."""
    name = str(word).strip().lower().lstrip("-").replace("-", "_")
    if name in _SENTENCES:
        return _SENTENCES[name]
    if name.endswith((".min", ".max")) and name[:-4] in keys:
        return f"In a dict, write {name[:-4]}: {{{name[-3:]}: ...}}."
    if name.endswith("!"):
        return "What an entry must not have stands in exclude."
    nearest = [name] if name in keys else difflib.get_close_matches(name, keys, 1)
    meant = _KEYS_OF_WORDS.get(name) or (nearest[0] if nearest else None)
    return f"Did you mean {meant!r}?" if meant else f"The keys are {', '.join(sorted(keys))}."


def hint_for_state(name: str) -> str | None:
    """Return the remedy for a word in upper case that is no protocol's state, or None where there is no special one."""
    return _STATES.get(name)
