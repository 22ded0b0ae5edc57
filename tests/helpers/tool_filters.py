# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Selectors as options of ``conntrack -L``, where the tool has the same filter, and where it means the same."""

from __future__ import annotations

import itertools
import typing as t

from helpers.selector_oracle import PROTOCOLS, Selector, members

MOST_COMMANDS = 6
"""Every command is one more process. A selector that takes more of them is not compared."""

_WITH_PORTS = {6: "", 17: "", 132: "", 136: ""}
_GRE, _TCP = 47, 6
_ICMP = {1: "icmp", 58: "icmpv6"}
_PORTS = {
    "source_port": "--sport",
    "destination_port": "--dport",
    "reply_source_port": "--reply-port-src",
    "reply_destination_port": "--reply-port-dst",
}
_KEYS = {
    "source_key": "--srckey",
    "destination_key": "--dstkey",
    "reply_source_key": "--reply-key-src",
    "reply_destination_key": "--reply-key-dst",
}
_NETWORKS = {"source": "-s", "destination": "-d"}
_TCP_STATES = {"SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE"}
_NAT = {"snat": "--src-nat", "dnat": "--dst-nat"}

Ways = list[list[str]]
"""Options, any of which list what a value selects."""


def commands_of(match: t.Sequence[Selector]) -> Ways | None:
    """Return the options of the commands that together list what any selector selects, None where the tool cannot."""
    commands: Ways = []
    for selector in match:
        if len(_NETWORKS.keys() & selector.keys()) + ("family" in selector) > 1:
            # The tool refuses options of two families.
            return None
        protocols = [_number(value) for value in members(selector.get("protocol", []))]
        # The tool knows the options of a protocol once it has read which one it is.
        keys = sorted(selector, key=lambda key: key != "protocol")
        ways = [_ways_of(key, members(selector[key]), protocols) for key in keys]
        if not all(ways) or sum(option == ["-u"] for way in ways for option in way) > 1:
            return None
        asked = [options[0] for way in ways for options in way[:1]]
        if asked.count("-u") > 1 or {"-u", "-m"} <= set(asked):
            # Of several bits of the status, the tool lists the entries with any. Of a bit and a mark, 1.4.7 lists none.
            return None
        commands += [list(itertools.chain(*chosen)) for chosen in itertools.product(*ways)]
    return commands if len(commands) <= MOST_COMMANDS else None


def _number(protocol: t.Any) -> int:
    return PROTOCOLS.get(protocol) or int(protocol)


def _ways_of(key: str, values: list[t.Any], protocols: list[int]) -> Ways:
    """Return the options for a key, none where the tool has no filter that means the same."""
    alone = protocols[0] if len(set(protocols)) == 1 else None
    if key in ("replied", "assured", "expected"):
        return _status(key, values)
    if key == "nat":
        # Without a protocol, the tool lists plain entries of ICMP as well.
        known = alone is not None and alone not in _ICMP and "none" not in values
        return [[_NAT[value]] for value in values] if known else []
    if key == "state":
        # With a state of another protocol, 1.4.7 ends by a segmentation fault.
        return [["--state", value] for value in values] if alone == _TCP and set(values) <= _TCP_STATES else []
    if key in _PORTS:
        return _exact(_PORTS[key], values) if alone in _WITH_PORTS else []
    if key in _KEYS:
        return _exact(_KEYS[key], values) if alone == _GRE else []
    if key in ("icmp_type", "icmp_code", "icmp_id"):
        return _exact(f"--{_ICMP[alone]}-{key[5:]}", values) if alone in _ICMP else []
    if key in _NETWORKS:
        return [[_NETWORKS[key], value] for value in values] if _are_plain(values) else []
    return _of_the_entry(key, values)


def _of_the_entry(key: str, values: list[t.Any]) -> Ways:
    if key == "family":
        return [["-f", value] for value in values]
    if key == "protocol":
        return [["-p", str(_number(value))] for value in values]
    if key == "mark":
        return [["-m", str(value)] for value in values]
    if key == "label":
        return [["-l", str(value)] for value in values]
    if key in ("zone_original", "zone_reply"):
        return [[f"--{'orig' if key == 'zone_original' else 'reply'}-zone", str(value)] for value in values]
    if key == "zone" and all(map(int, values)):
        return [[option, str(value)] for value in values for option in ("-w", "--orig-zone", "--reply-zone")]
    return []


def _status(key: str, values: list[t.Any]) -> Ways:
    """Return the option for one bit of the status. The tool has none for entries that are not assured or expected."""
    names = {("replied", True): "SEEN_REPLY", ("replied", False): "UNREPLIED"}
    names |= {("assured", True): "ASSURED", ("expected", True): "EXPECTED"}
    name = names.get((key, values[0]))
    return [["-u", name]] if name else []


def _exact(option: str, values: list[t.Any]) -> Ways:
    """Return the options for single numbers. The tool has no ranges."""
    texts = list(map(str, values))
    return [[option, text] for text in texts] if all(text.isdigit() for text in texts) else []


def _are_plain(values: list[str]) -> bool:
    # The tool lists none of IPv6 for half of all addresses.
    return not any("::ffff:" in value or value.startswith("::/") for value in values)
