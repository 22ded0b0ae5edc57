# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""How long an entry has been without a packet, at the least.

What an entry has left counts down from the timeout that was in force at its last packet, and the kernel does not say
which one that was. So everything is collected that it may have been: the sysctl of its protocol and state as it is now,
and as it was before this collection changed it, TCP's caps, the policies that rules attach, and what a run of
conntrack_update gave it. Of those that explain what remains, the shortest counts. An entry is therefore never held to
be idle for longer than it is, as long as nobody else has raised a timeout since its last packet. What others raised is
bounded by the age of the entry and by the uptime of the machine.
"""

from __future__ import annotations

import dataclasses
import math
import os
import time
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._entry.entry import Entry
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_policies import (
    GENERIC,
    Policy,
    has_flow_tables,
    list_policies,
)
from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import (
    RUN_SECONDS,
    WITH_TIMEOUT_OF_BIRTH,
    TimeoutRecord,
    read_record,
)

TIMEOUT_FIELDS = frozenset({"protocol", "state", "status", "has_ports"})
"""The fields of an entry that tell which sysctls govern it."""

IDLE_FIELDS = TIMEOUT_FIELDS | {"family", "remaining", "start", "helper"}
"""The fields of an entry that ``idle`` reads."""

_SECOND = 1_000_000_000

CAPS = ("tcp_timeout_unacknowledged", "tcp_timeout_max_retrans")
"""What shortens TCP's own timeout: data or a picked-up connection without an answer, too many retransmissions, a window
of zero (tcp_packet() in net/netfilter/nf_conntrack_proto_tcp.c). They act without a trace in a dump."""

RESET = "tcp_timeout_close"
"""What a reset inside the window gives, that is not at the exact sequence number: the state stays (tcp_packet())."""

_FIXED = {"tcp_timeout_syn_sent2": 120}
"""The timeouts without a sysctl, in seconds (tcp_timeouts[] in nf_conntrack_proto_tcp.c)."""

_NOT_RENEWED = frozenset({"tcp_timeout_syn_sent", "tcp_timeout_syn_recv", "sctp_timeout_closed"})
"""In these states the kernel lets a repeated SYN or INIT pass without counting it, and without renewing the timeout
(tcp_packet(), nf_conntrack_sctp_packet()). So the last packet may have come at any time."""

STATES_OF_FIRST_PACKETS = frozenset(name.rpartition("timeout_")[2].upper() for name in _NOT_RENEWED)
"""The same states by name. Nobody can tell how long an entry in one of them has been idle, so that it is 0."""

_STATES = {_uapi.TCP: "tcp_timeout", _uapi.DCCP: "dccp_timeout", _uapi.SCTP: "sctp_timeout"}

_GENERIC_NAMES = ("generic_timeout",)

_MAY_LACK_A_TRACKER = frozenset({_uapi.DCCP, _uapi.GRE, _uapi.SCTP, _uapi.UDPLITE})
"""What a kernel can be built without, or has no more. Its entries are generic then, and without ports."""

_TWO_TIMEOUTS: dict[int, tuple[str, str]] = {
    _uapi.UDP: ("udp_timeout", "udp_timeout_stream"),
    _uapi.UDPLITE: ("udp_timeout", "udp_timeout_stream"),
    _uapi.GRE: ("gre_timeout", "gre_timeout_stream"),
}
"""Of protocols without states: the timeout before a reply, and after it one of both (a stream, once it has lasted)."""

_OLD_UDPLITE = ("udplite_timeout", "udplite_timeout_stream")
"""The sysctls of kernels before 5.0, which had a tracker of its own for UDP-Lite."""

_FIRST = {_uapi.TCP: "tcp_timeout_syn_sent", _uapi.SCTP: "sctp_timeout_closed", _uapi.DCCP: "dccp_timeout_request"}
"""What a policy gives at an entry's first packet, whatever its state (nft_ct_timeout_obj_eval() in nft_ct.c)."""

_PPTP = (600, 18_000)
"""What the helper of PPTP gives the GRE entries that it expects, in seconds (nf_conntrack_pptp.h)."""

_HELPERS_WITHOUT_TIMEOUTS = frozenset({"ftp", "irc", "tftp", "sane", "pptp", "Q.931", "H.245"})
"""The helpers that leave the timeouts of an entry alone. Those of SIP, H.323's RAS, Amanda, NetBIOS, SNMP and those in
user space give an entry others than the sysctls (nf_ct_refresh() in net/netfilter/nf_conntrack_*.c)."""

_FLOW_TABLE_SYSCTLS = {_uapi.TCP: "flowtable_tcp_timeout", _uapi.UDP: "flowtable_udp_timeout"}
_OLD_PICK_UP = {_uapi.TCP: 120, _uapi.UDP: 30}
"""The most that an entry has left when it leaves a flow table: its own timeout less the flow table's, on kernels before
5.13 these seconds. The kernel only lowers it to that (flow_offload_fixup_ct() in net/netfilter/nf_flow_table_core.c).
While its packets went through the flow table, it counted down from whatever it had, so that it may have any less."""

DUMP_SECONDS = 60
"""So long after the context was made an entry may be read by a dump. What is looked up again is read later."""

_SLOW_RENEWAL_BEFORE = (4, 9)
"""Kernels before 4.9 renew a timeout only where that makes at least a second of difference (__nf_ct_refresh_acct())."""

_FOREVER = math.inf
_NOTHING = TimeoutRecord()


class Explanation(t.NamedTuple):
    """A timeout that an entry may have got at its last packet, which was ``newest`` to ``oldest`` seconds ago.

    With ``from_a_packet`` false, the entry may have counted down from it before its last packet. ``sysctl`` is the
    short name of the sysctl that has or had this value, None if something else than a sysctl gives it.
    """

    timeout: int
    newest: float = 0.0
    oldest: float = _FOREVER
    from_a_packet: bool = True
    sysctl: str | None = None

    @property
    def least_remaining(self) -> float:
        """The least seconds that an entry has left that got this timeout, whenever in the run it is looked at."""
        return self.timeout - self.oldest - RUN_SECONDS

    @property
    def most_remaining(self) -> float:
        """The most seconds that an entry has left that got this timeout."""
        return min(self.timeout, self.timeout - self.newest + 1)

    def explains(self, remaining: int) -> bool:
        """Return whether an entry can have so many seconds left by this timeout."""
        return self.least_remaining <= remaining <= self.most_remaining


@dataclasses.dataclass(frozen=True)
class Timeouts:
    """All that is known of the timeouts which entries may have got, in the network namespace that the process is in.

    ``settings`` are the sysctls by short name, ``now`` is in nanoseconds since the epoch, ``uptime`` in seconds.
    ``slow_renewal`` says that the kernel does not renew a timeout for less than a second (see _SLOW_RENEWAL_BEFORE).
    """

    settings: t.Mapping[str, int]
    now: int
    policies: t.Sequence[Policy] = ()
    record: TimeoutRecord = _NOTHING
    uptime: float = _FOREVER
    flow_tables: bool = False
    slow_renewal: bool = False
    _known: dict[tuple[t.Any, ...], tuple[Explanation, ...]] = dataclasses.field(default_factory=dict, compare=False)

    @classmethod
    def read(cls, settings: t.Mapping[str, int]) -> Timeouts:
        """Return what is known now, with the ``settings`` that were read before.

        Raises what ``list_policies`` and ``read_record`` raise.
        """
        # A policy that is changed after the record was read makes the record another one: see refuse_changed.
        record = read_record()
        return cls(
            settings=settings,
            now=time.time_ns(),
            policies=[*list_policies(), *(former.policy for former in record.former_policies)],
            record=record,
            uptime=time.clock_gettime(time.CLOCK_BOOTTIME),
            flow_tables=has_flow_tables(),
            slow_renewal=kernel_release() < _SLOW_RENEWAL_BEFORE,
        )

    @property
    def rounding(self) -> int:
        """By how many seconds the time since the last packet may be shorter than timeout less remaining time."""
        # The kernel cuts what remains to whole seconds.
        return 2 if self.slow_renewal else 1

    def possible(self, entry: Entry) -> tuple[Explanation, ...]:
        """Return every timeout that the entry may have got at its last packet."""
        replied = bool((entry.status or 0) & _uapi.SEEN_REPLY)
        expected = bool((entry.status or 0) & _uapi.EXPECTED)
        key = (entry.family, entry.protocol, entry.state_name, entry.has_ports, replied, expected)
        if key not in self._known:
            self._known[key] = tuple(self._collect(entry, replied, expected))
        return self._known[key]

    def everything(self) -> set[Explanation]:
        """Return every timeout that any entry may have got."""
        names = {name for name in self.settings if "timeout" in name} | {
            change.short_name for change in self.record.changes
        }
        found = {Explanation(seconds) for seconds in (*_FIXED.values(), *_PPTP)}
        for name in names:
            found.update(self._of_sysctl(name))
        for policy in self.policies:
            found.update(Explanation(seconds) for seconds in policy.timeouts.values())
        if self.flow_tables:
            for protocol in _FLOW_TABLE_SYSCTLS:
                found.update(self._after_flow_table(protocol, tuple(found)))
        return found | set(self._shortened())

    def _collect(self, entry: Entry, replied: bool, expected: bool) -> t.Iterator[Explanation]:
        names = _names(entry, self.settings)
        own = [each for name in names for each in self._of_sysctl(name)]
        yield from own
        if replied:
            yield from self._after_flow_table(entry.protocol, own)
        if entry.protocol == _uapi.TCP:
            longest = max((each.timeout for each in own), default=0)
            caps = [each for cap in CAPS for each in self._of_sysctl(cap)]
            yield from (each for each in caps if each.timeout < longest)
            yield from self._of_sysctl(RESET) if own else ()
        if entry.protocol == _uapi.GRE and expected:
            yield from map(Explanation, _PPTP)
        protocol = GENERIC if names == _GENERIC_NAMES else entry.protocol
        for policy in self.policies:
            if policy.protocol in (protocol, entry.protocol) and policy.family in (None, entry.family):
                yield from map(Explanation, policy_timeouts(policy, names))
        yield from self._shortened()

    def _of_sysctl(self, name: str) -> list[Explanation]:
        """Return the values that the sysctl has and had, with the times at which packets may have got them."""
        if name in _FIXED:
            return [Explanation(_FIXED[name])]
        return [each._replace(sysctl=name) for each in self._values_of(name)]

    def _values_of(self, name: str) -> list[Explanation]:
        present = self.settings.get(name)
        changes = self.record.changes_of(name)
        if not changes:
            return [] if present is None else [Explanation(present)]
        if name.startswith(WITH_TIMEOUT_OF_BIRTH):
            # An entry keeps the timeouts of its birth.
            values = {value for change in changes for value in (change.old, change.new)}
            values.update([] if present is None else [present])
            return [Explanation(value) for value in sorted(values)]
        begun = [self.record.now - change.begun for change in changes]
        done = [0.0 if change.done is None else self.record.now - change.done for change in changes]
        found = [Explanation(changes[0].old, newest=done[0])]
        for at, change in enumerate(changes[1:], 1):
            found.append(Explanation(changes[at - 1].new, newest=done[at], oldest=begun[at - 1]))
            if change.old != changes[at - 1].new:
                # Somebody else had changed it in between.
                found.append(Explanation(change.old, newest=done[at], oldest=begun[at - 1]))
        found.append(Explanation(changes[-1].new, oldest=begun[-1]))
        if present is not None and present != changes[-1].new:
            found.append(Explanation(present, oldest=begun[-1]))
        return found

    def _after_flow_table(self, protocol: int, own: t.Iterable[Explanation]) -> t.Iterator[Explanation]:
        if not self.flow_tables or protocol not in _FLOW_TABLE_SYSCTLS:
            return
        less = [each.timeout for each in self._of_sysctl(_FLOW_TABLE_SYSCTLS[protocol])]
        most = [each.timeout - min(less) for each in own] if less else [_OLD_PICK_UP[protocol]]
        yield from (Explanation(seconds, from_a_packet=False) for seconds in most if seconds >= 0)

    def _shortened(self) -> t.Iterator[Explanation]:
        for each in self.record.shortenings:
            newest = 0.0 if each.done is None else self.record.now - each.done
            yield Explanation(each.most, newest=newest, oldest=self.record.now - each.begun)


def idle(entry: Entry, timeouts: Timeouts) -> int | None:
    """Return for how many seconds the entry has seen no packet, at the least, or None where that cannot be known.

    It is unknown for an entry without a timeout of its own (offloaded, or fixed), with a helper that sets timeouts, and
    for one with more left than anything known explains. It is unknown for all where the record of changed timeouts may
    not be read. It is never more than the entry's age and the uptime.
    """
    remaining = entry.remaining
    if timeouts.record.unreadable:
        return None
    if remaining is None or (entry.status or 0) & _uapi.FIXED_TIMEOUT or has_timeouts_of_helper(entry):
        return None
    explaining = [each for each in timeouts.possible(entry) if each.explains(remaining)]
    if not explaining:
        return None
    if not all(each.from_a_packet for each in explaining):
        return 0
    if not _NOT_RENEWED.isdisjoint(_names(entry, timeouts.settings)):
        return 0
    known = [max(0, min(each.timeout for each in explaining) - remaining - timeouts.rounding)]
    age_seconds = age(entry.start, timeouts)
    if age_seconds is not None:
        known.append(age_seconds)
    if timeouts.uptime < _FOREVER:
        known.append(int(timeouts.uptime))
    return min(known)


def age(start: int | None, timeouts: Timeouts) -> int | None:
    """Return for how many seconds an entry has been there that began at ``start``, in nanoseconds since the epoch.

    None where it is not known: without a timestamp, or where the clock was stepped since then, so that the entry would
    have begun before the boot, or not yet.
    """
    if start is None or start > timeouts.now + DUMP_SECONDS * _SECOND:
        return None
    seconds = max(0, timeouts.now - start) // _SECOND
    return seconds if seconds <= timeouts.uptime else None


def age_changes(bounds: t.Iterable[int], timeouts: Timeouts) -> set[int]:
    """Return all starting times at which the age may become known or unknown, or reach one of the bounds."""
    changes = {timeouts.now - bound * _SECOND + 1 for bound in bounds}
    changes.add(timeouts.now + DUMP_SECONDS * _SECOND + 1)
    if timeouts.uptime < _FOREVER:
        changes.add(timeouts.now - (int(timeouts.uptime) + 1) * _SECOND + 1)
    return changes


def idle_changes(bounds: t.Iterable[int], timeouts: Timeouts) -> set[int]:
    """Return all remaining times at which the time idle may reach one of the bounds, whatever explains it."""
    bounds = {0, *bounds}
    changes: set[int] = set()
    for each in timeouts.everything():
        changes.update(each.timeout - timeouts.rounding - bound + 1 for bound in bounds)
        changes.add(math.floor(each.most_remaining) + 1)
        if each.oldest < _FOREVER:
            changes.add(math.ceil(each.least_remaining))
    return changes


def longest_timeout(entry: Entry, settings: t.Mapping[str, int]) -> int | None:
    """Return the most seconds that the sysctls let the entry be idle for, or None where none is known for it.

    That is the longest timeout of its protocol and state, without TCP's caps, which are in force at times only.
    """
    return max((settings[name] for name in governing_sysctls(entry, settings)), default=None)


def governing_sysctls(entry: Entry, settings: t.Mapping[str, int]) -> list[str]:
    """Return the sysctls that give the entry its timeout, by short name, as far as ``settings`` has them."""
    return [name for name in _names(entry, settings) if name in settings]


def _names(entry: Entry, settings: t.Mapping[str, int]) -> tuple[str, ...]:
    if entry.protocol in _uapi.ICMP_PROTOCOLS:
        return (f"{entry.protocol_name}_timeout",)
    if entry.protocol in _MAY_LACK_A_TRACKER and not entry.has_ports:
        return _GENERIC_NAMES
    if entry.protocol in _STATES:
        state = entry.state_name
        return () if state is None else (f"{_STATES[entry.protocol]}_{state.lower()}",)
    names = _TWO_TIMEOUTS.get(entry.protocol, _GENERIC_NAMES)
    if entry.protocol == _uapi.UDPLITE and _OLD_UDPLITE[0] in settings:
        names = _OLD_UDPLITE
    replied = bool((entry.status or 0) & _uapi.SEEN_REPLY)
    return names if replied else names[:1]


def policy_timeouts(policy: Policy, names: t.Iterable[str]) -> t.Iterator[int]:
    """Yield the seconds that a policy may give an entry of its protocol which ``names`` govern."""
    if policy.protocol not in _STATES and policy.protocol not in _TWO_TIMEOUTS:
        yield from policy.timeouts.values()
        return
    own = [policy.timeouts[name] for name in names if name in policy.timeouts]
    yield from own
    if policy.protocol in _FIRST and _FIRST[policy.protocol] in policy.timeouts:
        yield policy.timeouts[_FIRST[policy.protocol]]
    if policy.protocol == _uapi.TCP:
        yield from (policy.timeouts[name] for name in (*CAPS, RESET) if name in policy.timeouts)


def has_timeouts_of_helper(entry: Entry) -> bool:
    """Return whether the entry has a helper that may give it timeouts of its own."""
    if entry.helper is None:
        return False
    # A helper for another port than the usual one has that in its name: ftp-2121.
    name, _dash, port = entry.helper.partition("-")
    return name not in _HELPERS_WITHOUT_TIMEOUTS or not (port == "" or port.isdigit())


def kernel_release() -> tuple[int, ...]:
    """Return the first two numbers of the kernel's release."""
    parts = os.uname().release.split("-")[0].split(".")[:2]
    return tuple(int(part) for part in parts if part.isdigit())
