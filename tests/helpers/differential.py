# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random selectors on random tables: what the modules select, delete, change and restore, next to the oracle."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import math
import pathlib
import random
import time
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.context import Context
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._query.query import Query, run_query
from ansible_collections.netops.conntrack.plugins.module_utils._selector.selection import selection_of
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import read_settings
from ansible_collections.netops.conntrack.plugins.module_utils._table.block import Block
from ansible_collections.netops.conntrack.plugins.module_utils._table.table import Table
from helpers.conntrack_tool import IDENTITY, Entry, Tool, conntrack_tool
from helpers.idle_oracle import Moment, age, idle
from helpers.in_process import call_module
from helpers.packet_injection import Router, injected_router
from helpers.random_selectors import NAMES, Selection, Selectors
from helpers.random_tables import make_table
from helpers.selector_oracle import OF_TIME, Answer, is_selected
from helpers.support import PATIENCE, ModuleResult, run
from helpers.tool_filters import commands_of

PAIRS_OF_A_TABLE = 100
TABLE_SIZE = 240

_OF_ONE_DUMP = 40
_BY_THE_MODULE = 4
_OF_THE_TOOL = 2
"""So many selections of a round are asked of one dump, of the module by itself, and of the filters of the tool.

Each dump goes through the hash table that all namespaces share, so that their number is what takes time.
"""

_CHANGED_BY_TIME = ("remaining",)
_NOT_RESTORED = ("id", "start", "expected", *(f"{n}_{d}" for n in ("packets", "bytes") for d in ("original", "reply")))
_SAME_NAME = (
    *("family", "state", "replied", "assured", "offloaded", "expected", "mark", "zone", "zone_original", "zone_reply"),
    *("helper", "labels", "id", "packets_original", "packets_reply", "bytes_original", "bytes_reply"),
    *(f"{way}{end}{what}" for way in ("", "reply_") for end in ("source", "destination") for what in ("", "_port")),
    *(f"{way}icmp_{name}" for way in ("", "reply_") for name in ("type", "code", "id")),
)
_KEYS_OF_GRE = ("source_key", "destination_key", "reply_source_key", "reply_destination_key")


_PROTECTIONS = ("management", "expectation", "address", "ah", "bgp", "esp", "ike", "ospf", "vrrp", "conntrackd")
"""What a change leaves alone unless it is told to act on it. That of helpers is tried both ways."""


@dataclasses.dataclass
class Tally:
    """What was compared. ``doubtful`` are answers that changed while the table was read, which nobody can judge."""

    pairs: int = 0
    answers: int = 0
    selected: int = 0
    undecidable: int = 0
    doubtful: int = 0
    refused: int = 0
    by_the_tool: int = 0
    deleted: int = 0
    restored: int = 0
    updated: int = 0
    keys: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    protocols: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)


class Pairs:
    """The pairs of one table, each of which is a selection and what the table is by then."""

    def __init__(
        self, router: Router, tool: Tool, chance: random.Random, directory: pathlib.Path, tally: Tally, origin: str
    ) -> None:
        self._router, self._tool, self._chance = router, tool, chance
        self._directory, self._tally, self._origin = directory, tally, origin
        listed = run(["sysctl", "-a", "-r", r"^net\.netfilter\.nf_conntrack_"], netns=router.netns)
        pairs = (line.removeprefix("net.netfilter.nf_conntrack_").split(" = ") for line in listed.splitlines())
        self._settings = {name: int(value) for name, value in pairs if value.lstrip("-").isdigit()}
        self._booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        self._of_idle = True

    def try_some(self, number: int) -> None:
        """Compare so many pairs: many questions, some changes, and so on."""
        last = self._tally.pairs + number
        while self._tally.pairs < last:
            self._ask(min(_OF_ONE_DUMP, last - self._tally.pairs), self._of_one_dump)
            self._ask(min(_BY_THE_MODULE, last - self._tally.pairs), self._by_the_module)
            for change in (self._prune_and_restore, self._mark):
                if self._tally.pairs < last:
                    change(self._selection())
        # With other remaining times, the time idle cannot be known from the listing.
        self._of_idle = False
        self._shorten(self._selection())
        self._prune_and_restore(self._selection())

    def _selection(self) -> Selection:
        return self._selections(1, self._tool.entries())[0]

    def _moment(self, now: float) -> Moment:
        return Moment(now, self._settings, now - self._booted)

    def _selections(self, number: int, entries: dict[int, Entry]) -> list[Selection]:
        maker = Selectors(entries.values(), self._moment(time.time()), self._chance, self._directory)
        made = [maker.make(of_idle=self._of_idle) for _number in range(number)]
        self._tally.protocols.update(entry["protocol"] for entry in entries.values())
        for selection in made:
            self._tally.keys.update(selection.keys)
        self._tally.pairs += number
        return made

    # What is selected

    def _ask(self, number: int, ask: t.Callable[[list[Selection]], t.Iterable[ModuleResult]]) -> None:
        """Ask for so many selections, between two listings of the tool, and compare all that is returned."""
        before, begun = self._tool.entries(), time.time()
        selections = self._selections(number, before)
        results = ask(selections)
        ended, after = time.time(), self._tool.entries()
        # The last acknowledgements of real connections may still be on their way.
        still = {number for number in before.keys() & after.keys() if _is_still(before[number], after[number])}
        variants = {number: _in_between(before[number], after[number]) for number in still}
        judged: set[int] = set()
        tried_filters = 0
        for selection, result in zip(selections, results):
            answers = {
                number: self._answers(selection, of_entry, begun, ended) for number, of_entry in variants.items()
            }
            self._judge_query(selection, result, answers, before)
            self._judge_fields(selection, result, variants, _every_second(begun, ended), judged)
            if tried_filters < _OF_THE_TOOL:
                tried_filters += self._judge_by_the_tool(selection, answers, before)

    def _of_one_dump(self, selections: list[Selection]) -> t.Iterable[ModuleResult]:
        """Ask the engine of conntrack_info about one dump, which is read at once, and decided later."""
        with inside(self._router.netns), Table() as table:
            context = Context.read(read_settings())
            dump = t.cast(Table, _OneDump(table.read(list)))
        return (_query(dump, selection, context) for selection in selections)

    def _by_the_module(self, selections: list[Selection]) -> t.Iterable[ModuleResult]:
        """Ask conntrack_info itself, which lets the kernel leave out what it can."""
        options = {"entries": True, "limit": 100_000, "netns": self._router.netns}
        return [call_module("conntrack_info", {**each.options, **options}) for each in selections]

    def _answers(self, selection: Selection, variants: list[Entry], begun: float, ended: float) -> set[Answer]:
        """Return every answer of the oracle for an entry that changed, at most, as its variants say."""
        moments = [self._moment(now) for now in _every_second(begun, ended)]
        names = [NAMES[name] for name in selection.names]
        if not selection.keys & OF_TIME:
            variants, moments = variants[:1], moments[:1]
        return {
            is_selected(selection.match, selection.exclude, names, entry, moment)
            for entry in variants
            for moment in moments
        }

    def _judge_query(
        self, selection: Selection, result: ModuleResult, answers: dict[int, set[Answer]], before: dict[int, Entry]
    ) -> None:
        certain = {number: next(iter(found)) for number, found in answers.items() if len(found) == 1}
        selected = {number for number, answer in certain.items() if answer}
        undecidable = sum(answer is None for answer in certain.values())
        doubtful = len(before) - len(certain)
        if self._is_rightly_refused(selection, result, bool(selected), undecidable + doubtful, before):
            return
        found = {entry["id"] for entry in result.data["entries"]}
        self._require(selection, result, found & certain.keys(), selected, before)
        least, most = undecidable, undecidable + doubtful
        if not least <= result.data["undecidable"] <= most or result.data["matched"] != len(found):
            counts = f"undecidable {result.data['undecidable']}, and by the oracle {least} to {most}"
            unknown = [("undecidable", before[number]) for number, found in answers.items() if None in found]
            self._report(selection, f"{counts}; matched {result.data['matched']} of {len(found)} entries", unknown)
        self._tally.answers += len(certain)
        self._tally.doubtful += doubtful
        self._tally.selected += len(selected)
        self._tally.undecidable += undecidable

    def _require(
        self, selection: Selection, result: ModuleResult, found: set[int], wanted: set[int], entries: dict[int, Entry]
    ) -> None:
        if found != wanted:
            differing = [("only ours", entries[number]) for number in found - wanted]
            differing += [("only the oracle's", entries[number]) for number in wanted - found]
            self._report(selection, f"{len(found)} entries, and {len(wanted)} by the oracle", differing)

    def _is_rightly_refused(
        self, selection: Selection, result: ModuleResult, selects: bool, undecidable: int, entries: dict[int, Entry]
    ) -> bool:
        """Return whether the module failed, as it has to: where nothing is selected and nobody knows what would be.

        It also refuses a selector that no entry can meet.
        """
        if not result.failed:
            return False
        if "unavailable" in result.data:
            is_off = self._settings[result.data["unavailable"].rpartition("_")[2]] == 0
            if selects or not undecidable or not is_off:
                self._report(selection, result.msg, [])
        else:
            moment, every = self._moment(time.time()), (*selection.match, *selection.exclude)
            meets = [any(is_selected([each], [], [], entry, moment) for entry in entries.values()) for each in every]
            if all(meets):
                self._report(selection, result.msg, [])
        self._tally.refused += 1
        return True

    def _judge_fields(
        self,
        selection: Selection,
        result: ModuleResult,
        variants: dict[int, list[Entry]],
        times: t.Sequence[float],
        judged: set[int],
    ) -> None:
        """Compare every field of the entries that were found, each once, with what the tool lists of them."""
        for found in result.data.get("entries", ()):
            if found["id"] in variants.keys() - judged:
                judged.add(found["id"])
                possible = [self._as_ours(entry, now) for entry in variants[found["id"]] for now in times]
                wrong = [
                    (name, found.get(name), sorted({str(each[name]) for each in possible}))
                    for name in possible[0]
                    if not any(_same(found.get(name), each[name]) for each in possible)
                ]
                if wrong:
                    self._report(selection, f"other fields: {wrong}", [("by the tool", variants[found["id"]][0])])

    def _as_ours(self, entry: Entry, now: float) -> dict[str, t.Any]:
        """Return the fields of an entry as conntrack_info has to return them."""
        moment = self._moment(now)
        ours = {name: entry[name] for name in _SAME_NAME}
        ours |= {"protocol_number": entry["protocol"], "nat": sorted(entry["nat"]), "remaining": entry["remaining"]}
        ours |= {"idle": idle(entry, moment), "age": age(entry, moment)}
        return ours | {name: entry[name] for name in _KEYS_OF_GRE if entry[name] is not None}

    def _judge_by_the_tool(
        self, selection: Selection, answers: dict[int, set[Answer]], before: dict[int, Entry]
    ) -> bool:
        """Compare the oracle with the filters of the tool itself, and return whether these can mean the same."""
        commands = None if selection.exclude or selection.names else commands_of(selection.match)
        if commands is None:
            return False
        listed = set().union(*(self._tool.ids(*command) for command in commands)) & answers.keys()
        selected = {number for number, found in answers.items() if found == {True}}
        if listed != selected:
            differing = [("only the tool's", before[number]) for number in listed - selected]
            differing += [("only the oracle's", before[number]) for number in selected - listed]
            self._report(selection, f"the filters of conntrack list other entries: {commands}", differing)
        self._tally.by_the_tool += 1
        return True

    # What is changed

    def _prune_and_restore(self, selection: Selection) -> None:
        """Delete what is selected, and put it back."""
        protects = self._chance.random() < 0.5
        by_helper = not selection.names and all("helper" in each for each in selection.match)
        args = {"backup": True, "backup_dir": str(self._directory / "backups"), "unprotect": list(_PROTECTIONS)}
        args["protect_helpers"] = protects
        before, begun = self._tool.entries(), time.time()
        result = call_module("conntrack_prune", {**selection.options, **args, "netns": self._router.netns})
        ended, after = time.time(), self._tool.entries()
        answers = self._answers_of_change(selection, before, begun, ended)
        if result.failed:
            self._require_refusal(selection, result, answers, before, after)
            return
        spared = {number for number, entry in before.items() if entry["helper"] and protects and not by_helper}
        certain = {number for number, found in answers.items() if len(found) == 1 or number in spared}
        wanted = {number for number in certain - spared if answers[number] == {True}}
        gone = before.keys() - after.keys()
        self._require(selection, result, gone & certain, wanted, before)
        self._require_same(selection, before, after, before.keys() & after.keys())
        if result.data["deleted"] != len(gone):
            self._report(selection, f"{len(gone)} entries are gone, deleted is {result.data['deleted']}", [])
        self._tally.deleted += len(gone)
        if gone:
            self._restore(selection, result.data["backup_file"], {number: before[number] for number in gone}, after)

    def _restore(self, selection: Selection, backup: str, gone: dict[int, Entry], left: dict[int, Entry]) -> None:
        begun = time.time()
        result = call_module("conntrack_restore", {"src": backup, "netns": self._router.netns})
        if result.failed:
            self._report(selection, f"not restored: {result.msg} {result.data.get('failures')}", [])
        restored = self._tool.entries()
        self._require_same(selection, left, restored, left.keys())
        made = {_identity(restored[number]): restored[number] for number in restored.keys() - left.keys()}
        wanted = {_identity(entry): entry for entry in gone.values()}
        missing = [("not restored", wanted[key]) for key in wanted.keys() - made.keys()]
        missing += [("not there before", made[key]) for key in made.keys() - wanted.keys()]
        # The backup has what was left when it was written, so some seconds may have passed on the way.
        slack = time.time() - begun + 5
        for key in wanted.keys() & made.keys():
            names = [name for name in _differing(wanted[key], made[key]) if name not in _NOT_RESTORED]
            if names or not _has_passed(wanted[key], made[key], slack):
                missing += [(f"before: {names}", wanted[key]), ("after", made[key])]
        if missing:
            counts = {name: value for name, value in result.data.items() if isinstance(value, int)}
            self._report(selection, f"the restored entries are other ones: {counts}", missing)
        self._tally.restored += len(made)

    def _mark(self, selection: Selection) -> None:
        """Set some bits of the mark."""
        mask = self._chance.choice((0xFF, 0xF0, 0xFFFF0000, 0xFFFFFFFF))
        value = self._chance.randrange(1 << 32) & mask

        def marked(entry: Entry) -> Entry:
            return {**entry, "mark": entry["mark"] & ~mask | value}

        self._update(selection, {"mark": f"{value:#x}/{mask:#x}"}, marked)

    def _shorten(self, selection: Selection) -> None:
        """Shorten the remaining time."""
        most = self._chance.choice((700, 3000, 4000))

        def shortened(entry: Entry) -> Entry:
            remaining = entry["remaining"]
            return entry if entry["fixed_timeout"] else {**entry, "remaining": min(remaining, most)}

        self._update(selection, {"timeout": {"max": most}}, shortened)

    def _update(self, selection: Selection, args: dict[str, t.Any], expected: t.Callable[[Entry], Entry]) -> None:
        before, begun = self._tool.entries(), time.time()
        args = {**args, "unprotect": [*_PROTECTIONS, "helper"]}
        result = call_module("conntrack_update", {**selection.options, **args, "netns": self._router.netns})
        ended, after = time.time(), self._tool.entries()
        answers = self._answers_of_change(selection, before, begun, ended)
        if result.failed:
            self._require_refusal(selection, result, answers, before, after)
            return
        certain = [number for number, found in answers.items() if len(found) == 1]
        wanted = {
            number: expected(before[number]) if answers[number] == {True} else before[number] for number in certain
        }
        self._require_same(selection, wanted, after, wanted.keys())
        changed = sum(bool(_differing(wanted[number], before[number], ())) for number in certain)
        doubtful = len(before) - len(certain)
        if not changed <= result.data["updated"] <= changed + doubtful:
            self._report(selection, f"updated is {result.data['updated']}, and {changed} by the oracle", [])
        self._tally.updated += changed

    def _answers_of_change(
        self, selection: Selection, before: dict[int, Entry], begun: float, ended: float
    ) -> dict[int, set[Answer]]:
        """Return the oracle's answers for entries whose remaining time ran on until they were read."""
        ticks = range(math.ceil(ended - begun) + 1)
        found = {}
        for number, entry in before.items():
            left = entry["remaining"]
            variants = [{**entry, "remaining": left if left is None else max(0, left - tick)} for tick in ticks]
            found[number] = self._answers(selection, variants, begun, ended)
        self._tally.answers += len(found)
        self._tally.doubtful += sum(len(answers) > 1 for answers in found.values())
        return found

    def _require_refusal(
        self,
        selection: Selection,
        result: ModuleResult,
        answers: dict[int, set[Answer]],
        before: dict[int, Entry],
        after: dict[int, Entry],
    ) -> None:
        selects = any(found == {True} for found in answers.values())
        undecidable = sum(None in found for found in answers.values())
        self._is_rightly_refused(selection, result, selects, undecidable, before)
        self._require_same(selection, before, after, before.keys())

    def _require_same(
        self,
        selection: Selection,
        before: t.Mapping[int, Entry],
        after: t.Mapping[int, Entry],
        numbers: t.Iterable[int],
    ) -> None:
        """Require that these entries are in the table, as they were but for the time that passed."""
        differing: list[tuple[str, Entry]] = []
        for number in numbers:
            if number not in after:
                differing.append(("is gone", before[number]))
                continue
            names = _differing(before[number], after[number])
            if not _is_still(before[number], after[number]):
                differing += [(f"expected: {names}", before[number]), ("is", after[number])]
        if differing:
            self._report(selection, "entries are not what they have to be", differing)

    def _report(self, selection: Selection, problem: str, entries: list[tuple[str, Entry]]) -> t.NoReturn:
        known = [(why, {name: value for name, value in entry.items() if value is not None}) for why, entry in entries]
        shown = "\n".join(f"  {why}: {entry}" for why, entry in known[:5])
        raise AssertionError(
            f"{problem}\nselector: {selection.options}\nentries that differ: {len(entries)}\n{shown}\n{self._origin}"
        )


class _OneDump:
    """The blocks of one dump, of which several selections are asked."""

    def __init__(self, blocks: list[Block]) -> None:
        self._blocks = blocks

    def read(self, collect: t.Callable[[t.Iterator[Block]], t.Any], *_unused: t.Any, **_fields: t.Any) -> t.Any:
        return collect(iter(self._blocks))

    def count(self) -> None:
        """Return None, so that nothing is left to the kernel."""


def _query(table: Table, selection: Selection, context: Context) -> ModuleResult:
    """Return what conntrack_info returns of the table for a selection."""
    params = {"match": None, "exclude": [], "select": [], **selection.options}
    try:
        compiled = selection_of(params, context)
        return ModuleResult(0, run_query(table, compiled, context, Query([], [], 100_000)))
    except ConntrackError as error:
        return ModuleResult(1, {"failed": True, "msg": error.message, **error.result})


def _every_second(begun: float, ended: float) -> list[float]:
    """Return the times from one to the other, between which an amount of whole seconds grows by one at most."""
    return [min(begun + second, ended) for second in range(math.ceil(ended - begun) + 1)]


def _identity(entry: Entry) -> tuple[t.Any, ...]:
    return tuple(entry[name] for name in IDENTITY)


def _differing(one: Entry, other: Entry, leave_out: t.Collection[str] = _CHANGED_BY_TIME) -> list[str]:
    return [name for name in one if one[name] != other[name] and name not in leave_out]


def _is_still(before: Entry, after: Entry) -> bool:
    """Return whether nothing happened to the entry but that some seconds passed."""
    return not _differing(before, after) and _has_passed(before, after, PATIENCE)


def _has_passed(before: Entry, after: Entry, most: float) -> bool:
    """Return whether no more than these seconds passed for the entry, and none came back."""
    if before["remaining"] is None or after["remaining"] is None:
        return bool(before["remaining"] == after["remaining"])
    return bool(0 <= before["remaining"] - after["remaining"] <= most)


def _same(ours: t.Any, theirs: t.Any) -> bool:
    return sorted(ours) == sorted(theirs) if isinstance(theirs, (list, set)) else bool(ours == theirs)


def _in_between(before: Entry, after: Entry) -> list[Entry]:
    """Return the entry as it was, as it is, and with each remaining time in between."""
    first, last = before["remaining"], after["remaining"]
    if first is None or last is None or first - last < 2:
        return [before, after]
    return [before, after, *({**before, "remaining": seconds} for seconds in range(last + 1, first))]


@contextlib.contextmanager
def random_table(seed: int, number: int, directory: pathlib.Path, tally: Tally) -> t.Iterator[Pairs]:
    """Yield the pairs of a random table, which is the same for the same ``seed`` and ``number``."""
    chance = random.Random(f"table {number} of {seed}")
    origin = f"Run it again: make differential SEED={seed} TABLE={number}"
    with injected_router("oracle") as router, conntrack_tool(router.netns) as tool:
        make_table(router, tool, chance, TABLE_SIZE)
        yield Pairs(router, tool, chance, directory, tally, origin)
