# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""How large the table of a router should be: max, buckets, and the memory that a full table takes."""

from __future__ import annotations

import dataclasses
import math
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError, UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import short_name_of
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.values import parse_value

EXTENSION_BYTES = 192
"""Memory of an entry's extensions: its counters, timestamps, NAT, labels and events, in one piece beside the entry.

Measured on Linux 6.18 with 64 bits, as the growth of /proc/slabinfo by 100,000 entries. Entries of packets take none
without extensions, and 128 with any set of these five (NF_CT_EXT_PREALLOC, net/netfilter/nf_conntrack_extend.c). Those
that are made through netlink, as by conntrackd, take 128, or 192 with counters, timestamps and events.
"""

BUCKET_BYTES = 8
"""Memory of a bucket, struct hlist_nulls_head, with 64 bits."""

BUCKETS_STEP = 512
"""Buckets in a page of 4 KiB: the kernel rounds up to whole pages (nf_ct_alloc_hashtable)."""

SMALLEST = 16384
"""Entries that even an idle router gets. They take 7 MiB."""

_LARGEST = 7 << 28
"""The last step below INT_MAX, which is what the kernel takes for max."""

_MOST_BUCKETS = (2**31 - 1) // 8 // BUCKETS_STEP * BUCKETS_STEP
"""What the module takes for buckets, in whole pages."""

_NEEDED = ("count", "max", "buckets", "entry_bytes", "memory_total_bytes")
_ABOVE = (
    "When full, it takes more than {:g} % of the memory. Lower max in conntrack_tune_overrides, or raise "
    "conntrack_tune_memory_share."
)
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


@dataclasses.dataclass(frozen=True)
class _Table:
    """The table of one router: the bytes of an entry, the wanted load, the buckets now, and those of the overrides."""

    entry_bytes: int
    load: float
    present_buckets: int
    own_buckets: int | None

    def buckets(self, entries: int) -> int:
        """Return the buckets for ``entries``: as many as the load needs, in whole pages, and never less than now."""
        if self.own_buckets is not None:
            return self.own_buckets
        needed = math.ceil(2 * entries / self.load / BUCKETS_STEP) * BUCKETS_STEP
        return max(min(needed, _MOST_BUCKETS), self.present_buckets)

    def buckets_within(self, budget: int, entries: int) -> int:
        """Return the buckets for ``entries``, but no more than fit into ``budget`` bytes, and never less than now."""
        if self.own_buckets is not None:
            return self.own_buckets
        room = (budget - entries * self.entry_bytes) // BUCKET_BYTES // BUCKETS_STEP * BUCKETS_STEP
        return max(min(self.buckets(entries), room), self.present_buckets)

    def memory(self, entries: int, buckets: int) -> int:
        """Return the bytes that the table takes when it is full."""
        return entries * self.entry_bytes + buckets * BUCKET_BYTES

    def most_entries(self, budget: int) -> int:
        """Return the largest step of max that takes no more than ``budget`` bytes, or 0."""
        entries = min(_step_down(budget // self.entry_bytes), _LARGEST)
        while entries and self.memory(entries, self.buckets(entries)) > budget:
            entries = _step_down(entries - 1)
        return entries


@dataclasses.dataclass(frozen=True)
class _Demand:
    """The entries that are wanted: ``headroom`` times the ``peak``, or times the ``count`` of now if that is None."""

    peak: int | None
    count: int
    headroom: float

    @property
    def most(self) -> int:
        """The most entries that are known of."""
        return max(self.peak or 0, self.count)

    @property
    def entries(self) -> int:
        return max(math.ceil(self.headroom * (self.count if self.peak is None else self.peak)), self.count)

    @property
    def rounded(self) -> int:
        """The step of max for it: coarse, so that a few entries more or less make no other value."""
        return min(max(_step_up(self.entries), SMALLEST), _LARGEST)

    def __str__(self) -> str:
        basis = f"the {self.count} entries of now" if self.peak is None else f"the peak of {self.peak} entries"
        return f"{self.headroom:g} times {basis} makes {self.entries}"


def size(
    usage: t.Mapping[str, t.Any],
    memory_share: t.Any = 10,
    peak: t.Any = None,
    headroom: t.Any = 2,
    load: t.Any = 2,
    overrides: t.Mapping[str, t.Any] | None = None,
) -> dict[str, t.Any]:
    """Return ``max`` and ``buckets`` for a router with ``usage`` (of conntrack_facts), what they cost, and ``why``.

    ``memory_share`` is the percentage of the memory that a full table may take, ``peak`` the most entries that were
    observed (None: those there are now), ``headroom`` the factor over it, ``load`` the mean length of a chain in a full
    table, 2 * max / buckets. With 2 there are as many buckets as entries, which is what the kernel takes by itself. A
    bucket costs 8 bytes, beside the 448 of an entry. A max or buckets of ``overrides``, setting to value, is kept, and
    the other one is calculated from it.

    Neither is ever lowered, or raised above the share. ``limited_by`` says what decided on max: peak, memory, present
    or override. ``above_share`` is true if what there is now, or what an override asks for, costs more.

    Raises OptionError for a bad value, or if the share has no room for the entries that there are now. Raises
    UnavailableError if a figure of usage is not known.
    """
    known = _known(usage)
    share = _number(memory_share, "conntrack_tune_memory_share", 0.01, 100)
    observed = None if peak is None else parse_value("peak", peak, "conntrack_tune_peak")
    demand = _Demand(observed, known["count"], _number(headroom, "conntrack_tune_headroom", 1, 100))
    wanted_load = _number(load, "conntrack_tune_load_factor", 0.5, 16)
    own = _own(overrides or {})
    table = _Table(known["entry_bytes"] + EXTENSION_BYTES, wanted_load, known["buckets"], own.get("buckets"))
    budget = int(known["memory_total_bytes"] * share / 100)
    affordable = table.most_entries(budget)
    entries, limited_by = _choose(own.get("max"), demand.rounded, affordable, known["max"])
    if limited_by != "override" and entries < max(demand.count, 1):
        problem = f"is room for {affordable} entries, and there are {demand.count} now"
        remedy = "Raise it, prune the table, or give max in conntrack_tune_overrides."
        raise OptionError("conntrack_tune_memory_share", memory_share, problem, remedy)
    buckets = table.buckets_within(budget, entries) if limited_by == "present" else table.buckets(entries)
    memory = table.memory(entries, buckets)
    return {
        "max": entries,
        "buckets": buckets,
        "max_before": known["max"],
        "buckets_before": known["buckets"],
        "per_entry_bytes": table.entry_bytes,
        "memory_bytes": memory,
        "memory_total_bytes": known["memory_total_bytes"],
        "memory_percent": round(100 * memory / known["memory_total_bytes"], 2),
        "above_share": memory > budget,
        "limited_by": limited_by,
        "why": " ".join(
            [
                _why_max(limited_by, demand, affordable, entries, share),
                *([_ABOVE.format(share)] if memory > budget else []),
                f"A lookup in the full table walks a chain of {round(2 * entries / buckets, 1):g} entries.",
            ]
        ),
    }


def binary_size(count: int) -> str:
    """Return a number of bytes as people read it: ``392 MiB``, ``23.5 GiB``."""
    power = min(max(count.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    return f"{round(count / 1024**power, 1):g} {_UNITS[power]}"


def _known(usage: t.Mapping[str, t.Any]) -> dict[str, int]:
    unknown = [name for name in _NEEDED if usage.get(name) is None]
    if unknown:
        raise UnavailableError(
            f"The size of the table cannot be calculated, because these are unknown: {', '.join(unknown)}. "
            "Give max and buckets in conntrack_tune_overrides, and conntrack_tune_sizing: false."
        )
    return {name: int(usage[name]) for name in _NEEDED}


def _number(value: t.Any, option: str, lowest: float, highest: float) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not lowest <= number <= highest:
        raise OptionError(option, value, "cannot be used", f"Give a number from {lowest:g} to {highest:g}.")
    return number


def _own(overrides: t.Any) -> dict[str, int]:
    if not isinstance(overrides, dict):
        problem = "is not a dictionary of names and values"
        raise OptionError("conntrack_tune_overrides", overrides, problem, "Give one, such as {max: 1M}.")
    return {
        short: parse_value(short, value, f"conntrack_tune_overrides.{name}")
        for name, value in overrides.items()
        for short in [short_name_of(name)]
        if short in ("max", "buckets")
    }


def _choose(own: int | None, wanted: int, affordable: int, present: int) -> tuple[int, str]:
    """Return max, and what decided on it. A ``present`` max of 0 means no limit, so any is better."""
    if own is not None:
        return own, "override"
    if min(wanted, affordable) <= present:
        return present, "present"
    return (wanted, "peak") if wanted <= affordable else (affordable, "memory")


def _why_max(limited_by: str, demand: _Demand, affordable: int, entries: int, share: float) -> str:
    if limited_by == "override":
        return "max is set by conntrack_tune_overrides."
    if limited_by == "peak":
        return f"{demand}, rounded up."
    if demand.entries <= entries:
        return f"{demand}. Sizing never lowers max."
    lacking = f"{demand}, but {share:g} % of the memory holds {affordable}."
    return lacking if demand.most <= entries else f"{lacking} That is less than the peak: give the table more memory."


def _step_up(number: int) -> int:
    """Round up to 4, 5, 6 or 7 times a power of two, by a quarter at most."""
    unit = _quarter(number)
    return -(-number // unit) * unit


def _step_down(number: int) -> int:
    unit = _quarter(number)
    return number // unit * unit


def _quarter(number: int) -> int:
    return 1 << max(number.bit_length() - 3, 0)
