# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The fleet's document as metrics, for the textfile collector of Prometheus' node_exporter."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import VALUE, is_finite, shorten
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.expression import follow
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import VERDICTS, Document
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.ranking import protocols_of, worst_first
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import last_audit, stop_of

_PREFIX = "netops_conntrack_"

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\""})
"""What the text format wants escaped in the value of a label that is one line of visible characters."""

_MOST = 500
"""Samples of one metric for one router. Each is a series in the monitoring system, and more than this has no router."""

_Samples = t.Iterable[tuple[dict[str, t.Any], t.Any]]
"""Labels and value; a value of None is not known, and is left out."""


_Source = t.Any
"""What samples are taken from: the document, or what it says of a router, with ``now`` and ``checks``."""


class _Metric(t.NamedTuple):
    """A metric, and how to get its samples from their source."""

    name: str
    help: str
    samples: t.Callable[[_Source], _Samples]
    type: str = "gauge"


def as_prometheus(document: Document) -> str:
    """Return what ``prometheus_parts`` yields, as one text."""
    return "".join(prometheus_parts(document))


def prometheus_parts(document: Document) -> t.Iterator[str]:
    """Yield the fleet's ``document`` (see roll_up) in Prometheus' text format, metric by metric, without timestamps.

    All metrics of a router have the label ``host``. What is not known has no sample. What is no finite number, or would
    be a second sample with the same labels, has none either, and is counted in a metric of its own: one such sample
    makes a monitoring system refuse the whole file.
    """
    routers = [
        (name, {**host, "now": last_audit(host), "checks": document["checks"]}) for name, host in worst_first(document)
    ]
    left_out: dict[str, int] = {}
    for metric in _OF_THE_REPORT:
        yield _written(metric, [({}, document)], left_out)
    sources = [({"host": name}, router) for name, router in routers]
    for metric in _OF_A_ROUTER:
        yield _written(metric, sources, left_out)
    counts = [({"host": name}, count) for name, count in left_out.items()]
    yield _lines(_LEFT_OUT_METRIC, [f"{_labels(labels)} {count}" for labels, count in counts])


def _written(metric: _Metric, sources: list[tuple[dict[str, str], _Source]], left_out: dict[str, int]) -> str:
    """Return the lines of a metric, and count what cannot stand there as ``left_out`` of its router."""
    samples: dict[str, str] = {}
    for common, source in sources:
        shown = 0
        for labels, value in metric.samples(source):
            if value is None:
                continue
            written, number = _labels({**common, **labels}), _sample(value)
            if number is None or written in samples or shown == _MOST:
                host = common.get("host", "")
                left_out[host] = left_out.get(host, 0) + 1
                continue
            samples[written] = number
            shown += 1
    return _lines(metric, [f"{labels} {number}" for labels, number in samples.items()])


def _lines(metric: _Metric, samples: list[str]) -> str:
    """Return a metric with its ``samples``, nothing if there are none."""
    if not samples:
        return ""
    name = f"{_PREFIX}{metric.name}"
    head = f"# HELP {name} {metric.help}\n# TYPE {name} {metric.type}\n"
    return head + "".join(f"{name}{sample}\n" for sample in samples)


def _sample(value: t.Any) -> str | None:
    """Return a number as Prometheus reads it. None for all else, and for one that is too large for it."""
    return str(value) if is_finite(value) else None


def _labels(labels: dict[str, t.Any]) -> str:
    pairs = [f'{name}="{_escaped(str(value))}"' for name, value in labels.items()]
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _escaped(text: str) -> str:
    return shorten(visible(text), VALUE).translate(_ESCAPES)


def _time(document: Document) -> _Samples:
    try:
        # Before 3.11, Python does not read the Z of UTC.
        yield {}, int(datetime.datetime.fromisoformat(document["time"].replace("Z", "+00:00")).timestamp())
    except ValueError:
        return


def _info(document: Document) -> _Samples:
    mode = "true" if document["check_mode"] else "false"
    yield {"schema_version": document["schema_version"], "check_mode": mode}, 1


def _verdicts(document: Document) -> _Samples:
    verdicts = [host["verdict"] for host in document["hosts"].values()]
    return [({"verdict": verdict}, verdicts.count(verdict)) for verdict in VERDICTS]


def _stopped(document: Document) -> _Samples:
    if document["rollout"]:
        yield {}, int(stop_of(document) is not None)


def _up(router: _Source) -> _Samples:
    """Yield 1 for a router that answered, 0 for one that did not. One whose turn did not come is neither."""
    if router["verdict"] == "unreachable":
        yield {}, 0
    elif router["now"] or router["verdict"] == "done":
        yield {}, 1
    elif router["verdict"] == "failed":
        yield {}, 0


def _verdict(router: _Source) -> _Samples:
    yield {"verdict": router["verdict"]}, 1


def _figure(path: str) -> t.Callable[[_Source], _Samples]:
    """Return the function to get the number at ``path``, or the length of the list or dict there."""

    def samples(router: _Source) -> _Samples:
        value = follow(router, path.split("."))
        yield {}, len(value) if isinstance(value, (list, dict)) else value

    return samples


def _counter(name: str) -> t.Callable[[_Source], _Samples]:
    return _figure(f"now.stats.total.{name}")


def _utilisation(router: _Source) -> _Samples:
    percent = follow(router, ("now", "usage", "percent"))
    yield {}, percent if _sample(percent) is None else round(percent / 100, 4)


def _counts(path: str, label: str) -> t.Callable[[_Source], _Samples]:
    """Return the function to get a number for each key of the dict at ``path``, the key as ``label``."""

    def samples(router: _Source) -> _Samples:
        counts = follow(router, path.split(".")) or {}
        return [({label: key}, value) for key, value in counts.items()]

    return samples


def _states(router: _Source) -> _Samples:
    protocols = follow(router, ("now", "table", "states")) or {}
    return [
        ({"protocol": protocol, "state": state}, entries)
        for protocol, states in protocols.items()
        for state, entries in states.items()
    ]


def _selectors(key: str) -> t.Callable[[_Source], _Samples]:
    def samples(router: _Source) -> _Samples:
        selectors = follow(router, ("now", "selectors")) or {}
        return [({"selector": name}, counts.get(key)) for name, counts in selectors.items()]

    return samples


def _selector_protocols(router: _Source) -> _Samples:
    selectors = follow(router, ("now", "selectors")) or {}
    return [
        ({"selector": name, "protocol": protocol}, entries)
        for name, counts in selectors.items()
        for protocol, entries in protocols_of(counts)
    ]


def _histogram(name: str) -> t.Callable[[_Source], _Samples]:
    """Return the function that gets the ranges. A histogram of Prometheus would also need the sum of the seconds."""

    def samples(router: _Source) -> _Samples:
        ranges = follow(router, ("now", "table", name, "histogram")) or []
        return [
            ({"from": each["from"], "below": "+Inf" if each["below"] is None else each["below"]}, each["entries"])
            for each in ranges
        ]

    return samples


def _findings(router: _Source) -> _Samples:
    return [(labels, int(status == "finding")) for labels, status in _statuses(router) if status != "unknown"]


def _unknown_checks(router: _Source) -> _Samples:
    return [(labels, 1) for labels, status in _statuses(router) if status == "unknown"]


def _statuses(router: _Source) -> t.Iterator[tuple[dict[str, t.Any], str]]:
    for finding in follow(router, ("now", "findings")) or []:
        check = router["checks"][finding["id"]]
        yield {"check": finding["id"], "severity": check["severity"]}, finding["status"]


def _gates(router: _Source) -> _Samples:
    gates = router["health"] or []
    return [({"gate": gate["id"]}, int(gate["status"] == "finding")) for gate in gates if gate["status"] != "unknown"]


_OF_THE_REPORT = (
    _Metric("report_timestamp_seconds", "When the report was made.", _time),
    _Metric("report_info", "The version of the document, and whether the run was one with --check.", _info),
    _Metric("routers", "Routers by verdict.", _verdicts),
    _Metric("rollout_stopped", "Whether a gate stopped the roll-out.", _stopped),
)

_OF_A_ROUTER = (
    _Metric("up", "Whether the run could measure the router.", _up),
    _Metric("verdict_info", "What the report says of the router in one word.", _verdict),
    _Metric("entries", "Entries in the connection-tracking table.", _figure("now.usage.count")),
    _Metric("entries_limit", "Entries that the table may hold, 0 for no limit.", _figure("now.usage.max")),
    _Metric("utilisation_ratio", "Entries as a share of the limit.", _utilisation),
    _Metric("buckets", "Buckets of the hash table.", _figure("now.usage.buckets")),
    _Metric("memory_bytes", "Memory of buckets, and entries without extensions.", _figure("now.usage.memory_bytes")),
    _Metric("evictable_entries", "Entries that the kernel may evict to make room.", _figure("now.table.evictable")),
    _Metric(
        "not_listed_entries",
        "Entries that are counted and not listed: deleted, not freed.",
        _figure("now.table.not_listed"),
    ),
    _Metric("zone_entries", "Entries by zone, of the zones with most.", _counts("now.table.zones", "zone")),
    _Metric(
        "zone_original_entries",
        "Those whose zone holds for the original direction only.",
        _counts("now.table.zones_original", "zone"),
    ),
    _Metric(
        "zone_reply_entries",
        "Those whose zone holds for the reply direction only.",
        _counts("now.table.zones_reply", "zone"),
    ),
    _Metric("family_entries", "Entries by address family.", _counts("now.table.families", "family")),
    _Metric("protocol_entries", "Entries by protocol.", _counts("now.table.protocols", "protocol")),
    _Metric("state_entries", "Entries by protocol and its state.", _states),
    _Metric("status_entries", "Entries by status; an entry can have several.", _counts("now.table.status", "status")),
    _Metric("selector_entries", "Entries that a selector selects.", _selectors("entries")),
    _Metric("selector_protocol_entries", "Of these, entries by protocol, if not all are TCP.", _selector_protocols),
    _Metric("selector_undecidable_entries", "Entries that lack what a selector asks for.", _selectors("undecidable")),
    _Metric("remaining_entries", "Entries by the seconds until they expire.", _histogram("remaining")),
    _Metric("remaining_unknown_entries", "Entries that lack this time.", _figure("now.table.remaining.unknown")),
    _Metric("idle_entries", "Entries by the seconds since their last packet.", _histogram("idle")),
    _Metric("idle_unknown_entries", "Entries that lack this time.", _figure("now.table.idle.unknown")),
    _Metric("drop_total", "Packets dropped since boot, for want of room or memory.", _counter("drop"), "counter"),
    _Metric("early_drop_total", "Entries evicted since boot, to make room.", _counter("early_drop"), "counter"),
    _Metric("insert_failed_total", "Entries not inserted since boot.", _counter("insert_failed"), "counter"),
    _Metric("table_full_messages", "Its lines in the kernel log.", _figure("now.stats.table_full.messages")),
    _Metric("drift_settings", "Settings that will have another value after the next boot.", _figure("now.drift")),
    _Metric("check_finding", "Whether a check is a finding.", _findings),
    _Metric("check_unknown", "Checks that could not be evaluated.", _unknown_checks),
    _Metric("gate_finding", "Whether a gate of the roll-out held the router up.", _gates),
    _Metric("changed_settings", "Settings that the run changed, or is to change.", _figure("settings.changes")),
    _Metric("shortened_entries", "Entries whose timeouts the run shortened.", _figure("settings.shortened.updated")),
    _Metric("would_delete_entries", "Entries that the run was to delete.", _figure("prune.would_delete")),
    _Metric("deleted_entries", "Entries that the run deleted.", _figure("prune.deleted")),
    _Metric("woken_entries", "Entries left because they saw a packet or changed meanwhile.", _figure("prune.woken")),
)

_LEFT_OUT_METRIC = _Metric(
    "left_out_samples", "Values of the router that are no samples: no finite numbers, or too many.", lambda _router: ()
)
