# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What conntrack(8) lists as XML, by the names of our fields."""

from __future__ import annotations

import typing as t
from xml.etree import ElementTree

_SCTP, _GRE = 132, 47
_WITH_PORTS = (6, 17, 132, 136)
_OWN = "meta[@direction='independent']"


def entries_of(text: str) -> list[dict[str, t.Any]]:
    """Return the entries in the tool's XML; None is what it does not say of them, or what an entry does not have.

    Where the XML has something wrong, or nothing, of what the kernel sends, the field is not there: the numbers of
    ICMP, the ports of DCCP, the states of SCTP, and most of the status.
    """
    return [_entry_of(flow) for flow in ElementTree.fromstring(text).findall("flow")]


def _number(flow: ElementTree.Element, path: str) -> int | None:
    found = flow.findtext(path)
    return None if found is None else int(found, 0)


def _protocol_of(flow: ElementTree.Element, layer: int) -> dict[str, str]:
    found = flow.find(f"meta[@direction='original']/layer{layer}")
    assert found is not None
    return found.attrib


def _direction_of(flow: ElementTree.Element, direction: str, prefix: str) -> dict[str, t.Any]:
    """Return what the XML has of one direction; a zone in it is of this direction only."""
    at = f"meta[@direction='{direction}']"
    fields = {
        f"{prefix}source": flow.findtext(f"{at}/layer3/src"),
        f"{prefix}destination": flow.findtext(f"{at}/layer3/dst"),
        f"zone_{direction}": _number(flow, f"{at}/zone"),
        f"packets_{direction}": _number(flow, f"{at}/counters/packets"),
        f"bytes_{direction}": _number(flow, f"{at}/counters/bytes"),
    }
    protocol = int(_protocol_of(flow, 4)["protonum"])
    if protocol in _WITH_PORTS:
        fields[f"{prefix}source_port"] = _number(flow, f"{at}/layer4/sport")
        fields[f"{prefix}destination_port"] = _number(flow, f"{at}/layer4/dport")
    if protocol == _GRE:
        fields[f"{prefix}source_port"] = fields[f"{prefix}destination_port"] = None
        fields[f"{prefix}source_key"] = _number(flow, f"{at}/layer4/srckey")
        fields[f"{prefix}destination_key"] = _number(flow, f"{at}/layer4/dstkey")
    return fields


def _entry_of(flow: ElementTree.Element) -> dict[str, t.Any]:
    protocol = int(_protocol_of(flow, 4)["protonum"])
    fields = {
        "family": _protocol_of(flow, 3)["protoname"],
        "protocol_number": protocol,
        **_direction_of(flow, "original", ""),
        **_direction_of(flow, "reply", "reply_"),
        "remaining": _number(flow, f"{_OWN}/timeout"),
        "mark": _number(flow, f"{_OWN}/mark"),
        "use": _number(flow, f"{_OWN}/use"),
        "id": _number(flow, f"{_OWN}/id"),
        "start": _number(flow, f"{_OWN}/timestamp/start"),
        "labels": [int(label.text or "") for label in flow.findall(f"{_OWN}/labels/label")],
        "assured": flow.find(f"{_OWN}/assured") is not None,
        "replied": flow.find(f"{_OWN}/unreplied") is None,
        "helper": flow.findtext("helper"),
    }
    zones = (_number(flow, f"{_OWN}/zone"), fields["zone_original"], fields["zone_reply"])
    fields["zone"] = next((zone for zone in zones if zone is not None), 0)
    if protocol != _SCTP:
        fields["state"] = flow.findtext(f"{_OWN}/state")
    return fields
