# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The facts about the entries of a table, from one dump."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._facts.filled_by import FilledBy, ports_kept_here
from ansible_collections.netops.conntrack.plugins.module_utils._facts.nat_ports import NatPorts
from ansible_collections.netops.conntrack.plugins.module_utils._facts.options import USUAL
from ansible_collections.netops.conntrack.plugins.module_utils._facts.summary import Summary
from ansible_collections.netops.conntrack.plugins.module_utils._facts.tallies import Tallies
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import (
    Selection,
    compile_selection,
    refuse_null,
)
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table, not_listed, smaller_count

if t.TYPE_CHECKING:
    from ansible_collections.netops.conntrack.plugins.module_utils._facts.forecast import NewForecast


def table_facts(
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
    before = table.count()

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
            counts["forecast"] = forecast.result(smaller_count(before, table.count()), table.limit())
        return counts

    return table.read(collect)


def check_selectors(selectors: t.Mapping[str, t.Any]) -> None:
    """Raise OptionError for a selector that cannot be used."""
    _compile_all(selectors, Context({}, 0))


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
