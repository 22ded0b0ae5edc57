# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The facts of one host: usage, settings, statistics, and what is in the table, from one dump."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _netns
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError, UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._facts.fullness import fullness
from ansible_collections.netops.conntrack.plugins.module_utils._facts.listeners import listeners
from ansible_collections.netops.conntrack.plugins.module_utils._facts.options import (
    USUAL,
    parse_sample,
    require_clusters,
)
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.limits import read_machine_limit
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table

if t.TYPE_CHECKING:
    from ansible_collections.netops.conntrack.plugins.module_utils._facts.forecast import LeaveOutFor, NewForecast
    from ansible_collections.netops.conntrack.plugins.module_utils._facts.rates import Rates

_SLAB_INFO = "/proc/slabinfo"
_MEMORY_INFO = "/proc/meminfo"
_ENTRY_BYTES = 256  # struct nf_conn on 64 bits, where slabinfo cannot be read
_BUCKET_BYTES = 8  # struct hlist_nulls_head

Facts = dict[str, t.Any]
ReadTable = t.Callable[[Table, t.Mapping[str, int]], Facts]

# A router compiles all that is imported at each call, which takes it longer than to measure. So what only some subsets
# need is imported where these are gathered.


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
    if top < 0:
        raise OptionError("top", top, "is negative", "Give how many of the largest to name; 0 names none.")
    require_clusters(explain)
    wanted = _selectors_of(selectors, "selectors" in subsets)
    seconds = parse_sample(sample)
    new_forecast = None if forecast is None else _forecasts_of(forecast, netns, assume_deleted)
    facts: Facts = {}
    if "boot" in subsets:
        # Outside the namespace: what a boot sets, it sets for the machine.
        facts["boot"] = _boot()
    with_summary = "table" in subsets
    counts_entries = bool(with_summary or wanted)

    def read_table(table: Table, settings: t.Mapping[str, int], foretell: NewForecast | None = None) -> Facts:
        from ansible_collections.netops.conntrack.plugins.module_utils._facts.table_facts import table_facts

        return table_facts(table, settings, top, wanted, with_summary, explain, foretell)

    machine_limit = read_machine_limit()
    with _netns.inside(netns):
        own = _netns.own_identity()
        settings = read_settings()
        with Table(machine_limit=machine_limit) as table:
            rates = None if seconds is None else _first_look(table, seconds, explain)
            facts.update(_of_kernel(table, settings, subsets))
            if counts_entries or new_forecast is not None:
                facts.update(read_table(table, settings, new_forecast))
            if "expectations" in subsets:
                facts["expectations"] = _expectations(settings.get("expect_max"), top)
            if "pair" in subsets:
                facts["pair"] = _pair()
            if rates is not None:
                # Whatever else was measured has used a part of the time between the looks.
                facts["rates"] = rates.result(table.limit())
    if "namespaces" in subsets:
        facts.update(_namespaces(namespaces, own, read_table if counts_entries else None))
    return facts


def _selectors_of(given: t.Mapping[str, t.Any] | None, are_wanted: bool) -> t.Mapping[str, t.Any]:
    """Return the selectors to count by. Raises OptionError for a given one that is bad, also if none is counted by."""
    if given is not None:
        from ansible_collections.netops.conntrack.plugins.module_utils._facts.table_facts import check_selectors

        check_selectors(given)
        return given if are_wanted else {}
    if not are_wanted:
        return {}
    from ansible_collections.netops.conntrack.plugins.module_utils._selector.named_selectors import NAMED

    return NAMED


def _forecasts_of(
    settings: t.Mapping[str, t.Any], netns: str | None, assume_deleted: LeaveOutFor | None
) -> NewForecast:
    """Return what makes a forecast of the ``settings``. Raises ConntrackError for bad ones."""
    from ansible_collections.netops.conntrack.plugins.module_utils._facts.forecast import forecasts_of

    with _netns.inside(netns):
        return forecasts_of(settings, assume_deleted)


def _first_look(table: Table, seconds: int, explain: int) -> Rates:
    from ansible_collections.netops.conntrack.plugins.module_utils._facts.rates import Rates

    return Rates(table, seconds, explain)


def _boot() -> Facts:
    from ansible_collections.netops.conntrack.plugins.module_utils._facts.boot import boot_facts

    return boot_facts()


def _pair() -> Facts | None:
    from ansible_collections.netops.conntrack.plugins.module_utils._pair.conntrackd import pair_facts

    return pair_facts()


def _namespaces(wanted: str | None, own: _netns.Identity, read_table: ReadTable | None) -> Facts:
    """Return the facts about the namespaces of the machine. Each table that is read is that of another one."""
    if wanted is None:
        from ansible_collections.netops.conntrack.plugins.module_utils._facts.named_counts import count_named

        return {"namespaces": count_named()}
    from ansible_collections.netops.conntrack.plugins.module_utils._facts.namespaces import measure_namespaces

    def read_other() -> Facts:
        with Table() as other:
            return read_table(other, read_settings()) if read_table else {}

    return measure_namespaces(wanted, own, read_other if read_table else None)


def _of_kernel(table: Table, settings: t.Mapping[str, int], subsets: t.Collection[str]) -> Facts:
    """Return the facts that the kernel tells without a dump."""
    facts: Facts = {}
    if "usage" in subsets:
        facts["usage"] = _usage(table.count(), table.limit(), settings.get("buckets"))
    if "settings" in subsets:
        facts["settings"] = settings
    if "stats" in subsets:
        facts["stats"] = _stats(table)
    return facts


def _usage(count: int | None, limit: int | None, buckets: int | None) -> dict[str, t.Any]:
    entry_bytes = _entry_bytes()
    return {
        **fullness(count, limit, buckets),
        "memory_bytes": None if count is None or buckets is None else count * entry_bytes + buckets * _BUCKET_BYTES,
        "entry_bytes": entry_bytes,
        "memory_total_bytes": _memory_total(),
        "listeners": _listeners(),
    }


def _listeners() -> list[dict[str, t.Any]] | None:
    found = listeners()
    return None if found is None else [listener._asdict() for listener in found]


def _expectations(limit: int | None, top: int) -> Facts:
    from ansible_collections.netops.conntrack.plugins.module_utils._expectations import counts as expectation_counts
    from ansible_collections.netops.conntrack.plugins.module_utils._expectations.dump import list_expectations

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
    from ansible_collections.netops.conntrack.plugins.module_utils._facts.kernel_log import table_full
    from ansible_collections.netops.conntrack.plugins.module_utils._facts.received_packets import received_packets

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
