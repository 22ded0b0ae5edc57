# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""conntrack(8) in a namespace: what it lists, line by line, by the names of our fields, read by itself."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import typing as t

from helpers.conntrack_xml import entries_of
from helpers.support import run

Entry = dict[str, t.Any]
"""The fields of an entry. None is what it does not have, or what the kernel does not say."""

_BUCKETS = pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_buckets")
_DCCP = 33
_OF_ICMP = {"type": "icmp_type", "code": "icmp_code", "id": "icmp_id"}
_OF_A_DIRECTION = {
    "src": "source",
    "dst": "destination",
    "sport": "source_port",
    "dport": "destination_port",
    "srckey": "source_key",
    "dstkey": "destination_key",
    **_OF_ICMP,
}
_TUPLE = tuple(f"{prefix}{name}" for prefix in ("", "reply_") for name in _OF_A_DIRECTION.values())
_AMOUNTS = tuple(f"{name}_{direction}" for name in ("packets", "bytes") for direction in ("original", "reply"))
_FIELDS = (*_TUPLE, *_AMOUNTS, "remaining", "state", "zone_both", "zone_original", "zone_reply", "helper", "start")

IDENTITY = ("family", "protocol", *_TUPLE, "zone", "zone_original", "zone_reply")
"""What tells an entry from all others, also once it was deleted and made again."""

# With these names the tool prints the number of each label. The process holds the directory.
_HOLD = """
mount -t tmpfs none /etc && mkdir /etc/xtables && cat >/etc/xtables/connlabel.conf && echo ready && exec sleep infinity
"""
_LABELS = "".join(f"{number} {number}\n" for number in range(128))


def entry_of_line(line: str) -> Entry:
    """Return what a line of ``conntrack -L -o extended,id,labels`` says, which is all but when the entry was made."""
    family, _number, _name, protocol, *words = line.split()
    entry: Entry = {**dict.fromkeys(_FIELDS), "family": family, "protocol": int(protocol), "mark": None, "labels": []}
    flags = {word for word in words if word.startswith("[")}
    if words[0].isdigit():
        entry["remaining"] = int(words.pop(0))
    if "=" not in words[0]:
        entry["state"] = words.pop(0)
    directions = iter((("", "original"), ("reply_", "reply")))
    for name, _equals, value in (word.partition("=") for word in words if "=" in word):
        if name == "src":
            prefix, direction = next(directions)
        _note(entry, name, value, prefix, direction)
    if entry["protocol"] == _DCCP and entry["state"] is None:
        # A kernel without a tracker for it keeps no ports. The tool prints zeros then.
        entry.update({f"{prefix}{end}_port": None for prefix in ("", "reply_") for end in ("source", "destination")})
    entry["replied"] = "[UNREPLIED]" not in flags
    entry["assured"] = "[ASSURED]" in flags
    entry["offloaded"] = bool(flags & {"[OFFLOAD]", "[HW_OFFLOAD]"})
    entry["zone"] = next((zone for zone in map(entry.get, _ZONES) if zone is not None), 0)
    return entry


_ZONES = ("zone_both", "zone_original", "zone_reply")
_OF_THE_ENTRY = {"zone": "zone_both", "zone-orig": "zone_original", "zone-reply": "zone_reply", "mark": "mark"}


def _note(entry: Entry, name: str, value: str, prefix: str, direction: str) -> None:
    """Note one word of the line, of which those of the tuples come in both directions."""
    if name == "id" and (entry["protocol"] not in (1, 58) or entry[f"{prefix}icmp_id"] is not None):
        entry["id"] = int(value)
    elif name in ("src", "dst"):
        entry[f"{prefix}{_OF_A_DIRECTION[name]}"] = value
    elif name in _OF_A_DIRECTION:
        entry[f"{prefix}{_OF_A_DIRECTION[name]}"] = int(value, 0)
    elif name in ("packets", "bytes"):
        entry[f"{name}_{direction}"] = int(value)
    elif name in _OF_THE_ENTRY:
        entry[_OF_THE_ENTRY[name]] = int(value)
    elif name == "labels":
        entry["labels"] = sorted(map(int, value.split(",")))
    elif name == "helper":
        entry["helper"] = value


class Tool:
    """conntrack(8) in one namespace."""

    def __init__(self, process: int) -> None:
        self._command = ["nsenter", f"--target={process}", "--net", "--mount", "conntrack"]
        self._starts: dict[int, int | None] = {}
        self._listed: set[int] = set()
        self._fixed: set[int] = set()
        self._expected: set[int] = set()

    def run(self, *options: str, text: str | None = None) -> str:
        """Return what the tool prints with these options; AssertionError if it fails."""
        return run([*self._command, *options], text=text)

    def listed(self, *options: str) -> str:
        """Return a listing that is whole.

        A resize of the hash table, which all namespaces share, loses entries of a running dump without a trace. The
        tool does not notice.
        """
        while True:
            buckets = _BUCKETS.read_text(encoding="ascii")
            text = self.run("-L", *options)
            if _BUCKETS.read_text(encoding="ascii") == buckets:
                return text

    def ids(self, *options: str) -> set[int]:
        """Return the ids of the entries that the tool lists with these options."""
        return {entry_of_line(line)["id"] for line in self.listed("-o", "extended,id", *options).splitlines()}

    def entries(self) -> dict[int, Entry]:
        """Return every entry by its id.

        The lines do not tell which entries are expected and which have a fixed timeout, so the tool is asked for them.
        The time at which an entry was made, in nanoseconds since the epoch, is in the tool's XML alone. None of that
        ever changes, so it is looked up again only for new entries. These can have the id of one that was deleted.
        """
        lines = self.listed("-o", "extended,id,labels").splitlines()
        # An entry comes twice where the one at which the kernel went on had ended.
        entries = {entry["id"]: entry for entry in map(entry_of_line, lines)}
        is_new = not entries.keys() <= self._listed
        self._listed = set(entries)
        if is_new:
            of_xml = entries_of(self.listed("-o", "xml,id,ktimestamp"))
            self._starts = {entry["id"]: entry["start"] for entry in of_xml}
            self._fixed, self._expected = self.ids("-u", "FIXED_TIMEOUT"), self.ids("-u", "EXPECTED")
        for number, entry in entries.items():
            entry["start"] = self._starts.get(number)
            entry["fixed_timeout"], entry["expected"] = number in self._fixed, number in self._expected
            entry["nat"] = _translations(entry)
        return entries


def _translations(entry: Entry) -> set[str]:
    """Return how the entry is translated: its answers go to, or come from, somewhere its first packet does not say."""
    found = set()
    for kind, end, answer in (("snat", "source", "destination"), ("dnat", "destination", "source")):
        ends = ((end, f"reply_{answer}"), (f"{end}_port", f"reply_{answer}_port"))
        if any(entry[one] != entry[other] for one, other in ends):
            found.add(kind)
    if entry["icmp_id"] != entry["reply_icmp_id"]:
        found.add("snat")
    return found


@contextlib.contextmanager
def conntrack_tool(netns: str) -> t.Iterator[Tool]:
    """Yield the tool in a namespace, with a name for each label, which is its number."""
    command = ["ip", "netns", "exec", netns, "unshare", "--mount", "sh", "-c", _HOLD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdin
            assert holder.stdout
            holder.stdin.write(_LABELS)
            holder.stdin.close()
            assert holder.stdout.readline() == "ready\n"
            yield Tool(holder.pid)
        finally:
            holder.kill()
