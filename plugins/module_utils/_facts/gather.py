# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The facts of one host: usage, settings, statistics, and what is in the table, from one dump."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _netns
from ansible_collections.netops.conntrack.plugins.module_utils._boot.drift import compare
from ansible_collections.netops.conntrack.plugins.module_utils._boot.next_boot import next_boot
from ansible_collections.netops.conntrack.plugins.module_utils._boot.owners import competing_owners
from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError, UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._expectations import counts as expectation_counts
from ansible_collections.netops.conntrack.plugins.module_utils._expectations.dump import list_expectations
from ansible_collections.netops.conntrack.plugins.module_utils._facts.filled_by import (
    USUAL,
    FilledBy,
    ports_kept_here,
    require_clusters,
)
from ansible_collections.netops.conntrack.plugins.module_utils._facts.forecast import Forecast, LeaveOut
from ansible_collections.netops.conntrack.plugins.module_utils._facts.fullness import fullness
from ansible_collections.netops.conntrack.plugins.module_utils._facts.kernel_log import table_full
from ansible_collections.netops.conntrack.plugins.module_utils._facts.listeners import listeners
from ansible_collections.netops.conntrack.plugins.module_utils._facts.named_counts import count_named
from ansible_collections.netops.conntrack.plugins.module_utils._facts.namespaces import measure_namespaces
from ansible_collections.netops.conntrack.plugins.module_utils._facts.nat_ports import NatPorts
from ansible_collections.netops.conntrack.plugins.module_utils._facts.rates import Rates, parse_sample
from ansible_collections.netops.conntrack.plugins.module_utils._facts.received_packets import received_packets
from ansible_collections.netops.conntrack.plugins.module_utils._facts.summary import Summary
from ansible_collections.netops.conntrack.plugins.module_utils._facts.tallies import Tallies
from ansible_collections.netops.conntrack.plugins.module_utils._pair.conntrackd import pair_facts
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import (
    Selection,
    compile_selection,
    refuse_null,
)
from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import NAMED
from ansible_collections.netops.conntrack.plugins.module_utils._settings.record import describe_records
from ansible_collections.netops.conntrack.plugins.module_utils._settings.setting_plan import requested_values
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table, not_listed

_SLAB_INFO = "/proc/slabinfo"
_MEMORY_INFO = "/proc/meminfo"
_MOST_UNREADABLE = 64
"""So many files that may not be read are named at most."""

_ENTRY_BYTES = 256  # struct nf_conn on 64 bits, where slabinfo cannot be read
_BUCKET_BYTES = 8  # struct hlist_nulls_head

LeaveOutFor = t.Callable[[Context], LeaveOut]
NewForecast = t.Callable[[Context], Forecast]


def gather(
    subsets: t.Collection[str],
    top: int,
    selectors: t.Mapping[str, t.Any] | None,
    netns: str | None,
    explain: int = USUAL,
    namespaces: str | None = None,
    forecast: t.Mapping[str, t.Any] | None = None,
    assume_deleted: LeaveOutFor | None = None,
    sample: t.Any = None,
) -> dict[str, t.Any]:
    """Return the facts of ``subsets``, measured in the namespace ``netns``.

    The table is dumped at most once, and twice more for a ``sample``.
    ``selectors`` are match, exclude and select by name. None stands for all selectors that have a name. ``explain`` is
    in how many clusters it is said what fills the table. ``namespaces`` says which namespaces of the machine are
    measured besides, each as this one. With None, only the entries of those with a name are counted. ``forecast`` are
    settings whose effect on the entries of this one is foretold. None foretells nothing. ``assume_deleted`` returns
    what leaves out entries that the forecast takes for gone. ``sample`` is the time between two looks that tell how
    fast this one fills. With None there are none.
    Raises OptionError for a bad selector or number, and ConntrackError for bad settings, before anything is measured.
    """
    selectors = NAMED if selectors is None else selectors
    if top < 0:
        raise OptionError("top", top, "is negative", "Give how many of the largest to name; 0 names none.")
    require_clusters(explain)
    wanted = selectors if "selectors" in subsets else {}
    _compile_all(selectors, Context({}, 0))
    seconds = parse_sample(sample)
    new_forecast = _forecasts_of(forecast, netns, assume_deleted)
    facts: dict[str, t.Any] = {}
    if "boot" in subsets:
        # Outside the namespace: what a boot sets, it sets for the machine.
        facts["boot"] = _boot()
    with_summary = "table" in subsets
    with _netns.inside(netns):
        own = _netns.own_identity()
        settings = read_settings()
        with Table() as table:
            rates = None if seconds is None else Rates(table, seconds, explain)
            if "usage" in subsets:
                facts["usage"] = _usage(settings, table.count() or 0)
            if "settings" in subsets:
                facts["settings"] = settings
            if "stats" in subsets:
                facts["stats"] = _stats(table)
            if with_summary or wanted or new_forecast is not None:
                read = _table_facts(table, settings, top, wanted, with_summary, explain, new_forecast)
                facts.update(read)
            if "expectations" in subsets:
                facts["expectations"] = _expectations(settings.get("expect_max"), top)
            if "pair" in subsets:
                facts["pair"] = pair_facts()
            if rates is not None:
                # Whatever else was measured has used a part of the time between the looks.
                facts["rates"] = rates.result(settings.get("max", 0))
    if "namespaces" not in subsets:
        return facts
    if namespaces is None:
        return {**facts, "namespaces": count_named()}

    def read_table() -> dict[str, t.Any]:
        with Table() as other:
            return _table_facts(other, read_settings(), top, wanted, with_summary, explain)

    return {**facts, **measure_namespaces(namespaces, own, read_table if with_summary or wanted else None)}


def _table_facts(
    table: Table,
    settings: t.Mapping[str, int],
    top: int,
    selectors: t.Mapping[str, t.Any],
    with_summary: bool,
    explain: int,
    new_forecast: NewForecast | None = None,
) -> dict[str, t.Any]:
    """Return the facts about the entries of a table, with how many of them the kernel does not list."""
    before = table.count()
    facts = count_table(table, settings, top, selectors, with_summary, explain, new_forecast)
    if with_summary:
        facts["table"]["not_listed"] = not_listed(before, table.count(), facts["table"]["entries"])
    return facts


def _forecasts_of(
    settings: t.Mapping[str, t.Any] | None, netns: str | None, assume_deleted: LeaveOutFor | None
) -> NewForecast | None:
    """Return what makes a forecast of the ``settings``, or None if there are none. Raises ConntrackError."""
    if settings is None:
        return None
    if not settings:
        remedy = "Give settings that you think of making, such as {tcp_timeout_established: 15h}."
        raise OptionError("forecast", settings, "names no setting", remedy)
    with _netns.inside(netns):
        wanted = requested_values(settings, "forecast")

    def new_forecast(context: Context) -> Forecast:
        leave_out = None if assume_deleted is None else assume_deleted(context)
        return Forecast(wanted, context.timeouts, leave_out)

    return new_forecast


def _compile_all(selectors: t.Mapping[str, t.Any], context: Context) -> dict[str, Selection]:
    return {name: _compile(selector, context, f"selectors.{name}") for name, selector in selectors.items()}


def _compile(selector: t.Any, context: Context, option: str) -> Selection:
    remedy = "Give {match: [...]}, {select: [...]} or both, and {exclude: [...]} if need be."
    if not isinstance(selector, dict) or not selector or set(selector) - {"match", "exclude", "select"}:
        raise OptionError(option, selector, "is not a selection", remedy)
    refuse_null(selector, selector, option)
    names = selector.get("select", [])
    if "match" not in selector and not names and not selector.get("exclude"):
        raise OptionError(option, selector, "selects nothing", remedy)
    return compile_selection(selector.get("match"), selector.get("exclude"), context, option, names)


def _boot() -> dict[str, t.Any]:
    unreadable: set[str] = set()
    boot = next_boot()
    facts = compare(read_settings(), boot, competing_owners(unreadable=unreadable))
    denied = sorted(unreadable | boot.unreadable)
    return {**facts, "records": describe_records(), "unreadable": denied[:_MOST_UNREADABLE]}


def _usage(settings: t.Mapping[str, int], count: int) -> dict[str, t.Any]:
    entry_bytes = _entry_bytes()
    return {
        **fullness(count, settings),
        "memory_bytes": count * entry_bytes + settings.get("buckets", 0) * _BUCKET_BYTES,
        "entry_bytes": entry_bytes,
        "memory_total_bytes": _memory_total(),
        "listeners": _listeners(),
    }


def _listeners() -> list[dict[str, t.Any]] | None:
    found = listeners()
    return None if found is None else [listener._asdict() for listener in found]


def _expectations(limit: int | None, top: int) -> dict[str, t.Any]:
    try:
        return expectation_counts.summarize(list_expectations(), limit, top)
    except UnavailableError as error:
        # That is no reason to withhold the other facts.
        return expectation_counts.unavailable(limit, error.message)


def _entry_bytes() -> int:
    """Return the size of an entry without its extensions, as this kernel allocates it (slabinfo(5))."""
    try:
        with open(_SLAB_INFO, encoding="ascii") as file:
            sizes = [line.split()[3] for line in file if line.startswith("nf_conntrack ")]
    except OSError:
        sizes = []
    return int(sizes[0]) if sizes else _ENTRY_BYTES


def _memory_total() -> int | None:
    """Return the size of the machine's memory (proc_meminfo(5)), or None where it cannot be read."""
    try:
        with open(_MEMORY_INFO, encoding="ascii") as file:
            sizes = [int(line.split()[1]) for line in file if line.startswith("MemTotal:")]
    except OSError:
        sizes = []
    return sizes[0] * 1024 if sizes else None


def _stats(table: Table) -> dict[str, t.Any]:
    """Return the counters, or why the kernel has none. That is no reason to withhold the other facts."""
    per_cpu: list[tuple[int, dict[str, int]]] = []
    unavailable = None
    try:
        per_cpu = table.cpu_stats()
    except UnavailableError as error:
        unavailable = error.message
    total: collections.Counter[str] = collections.Counter()
    for _cpu, counters in per_cpu:
        total.update(counters)
    return {
        "total": dict(total),
        "per_cpu": [{"cpu": cpu, **counters} for cpu, counters in per_cpu],
        "unavailable": unavailable,
        "received_packets": received_packets(),
        "table_full": table_full(),
    }


def count_table(
    table: Table,
    settings: t.Mapping[str, int],
    top: int,
    selectors: t.Mapping[str, t.Any],
    with_summary: bool,
    explain: int = USUAL,
    new_forecast: NewForecast | None = None,
) -> dict[str, t.Any]:
    """Count the table and every selector, and foretell the effect of settings, in one dump."""
    context = Context.read(settings)
    compiled = _compile_all(selectors, context)
    before = table.count() or 0

    def collect(blocks: t.Iterator[Block]) -> dict[str, t.Any]:
        forecast = None if new_forecast is None else new_forecast(context)
        summary = Summary(context.timeouts, top)
        filled_by = FilledBy(explain, ports_kept_here)
        nat_ports = NatPorts()
        tallies = Tallies(compiled)
        for block in blocks:
            if with_summary:
                summary.add(block)
                filled_by.add(block)
                nat_ports.add(block)
            if forecast is not None:
                forecast.add(block)
            tallies.add(block)
        counts: dict[str, t.Any] = {}
        if with_summary:
            counts["table"] = {**summary.result(), **filled_by.result(), "nat_ports": nat_ports.result()}
        if compiled:
            counts["selectors"] = tallies.result(settings)
        if forecast is not None:
            # The dump frees the expired entries that it meets, which the kernel counts until then.
            counts["forecast"] = forecast.result(min(before, table.count() or 0))
        return counts

    return table.read(collect)
