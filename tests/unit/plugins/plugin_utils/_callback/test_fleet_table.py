# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ctypes
import json
import locale
import re
import typing as t

import pytest
from ansible.utils import color
from ansible_collections.netops.conntrack.plugins.plugin_utils._callback.figures import summary
from ansible_collections.netops.conntrack.plugins.plugin_utils._callback.fleet_table import NARROWEST, table
from helpers.documents import HOSTILE_NAMES, Document, fleet_document
from helpers.support import CHECKOUT
from hypothesis import example, given
from hypothesis import strategies as st

COLOURED = re.compile(r"\033\[[0-9;]+m(.*?)\033\[0m")
WIDE_TO_GLIBC_ONLY = re.compile("[㉈-㉏䷀-䷿]")
"""Unicode says that these are as wide as the context; glibc that they are wide."""


def row(router: str, verdict: str, **figures: t.Any) -> Document:
    """Return a router that had one audit, which found nothing."""
    known = {"audits": ["before"], "percent_before": 12.0, "max_before": 262_144, "stale_before": 0}
    unknown = dict.fromkeys(("percent_after", "max_after", "stale_after", "deleted", "would_delete", "batch"))
    return {"router": router, "verdict": verdict, **unknown, **known, "drift": 0, "findings": 0, **figures}


def again(percent: float | None, stale: int | None, **figures: t.Any) -> dict[str, t.Any]:
    """Return the figures of a second audit."""
    return {
        "audits": ["before", "after"],
        "percent_after": percent,
        "max_after": 262_144,
        "stale_after": stale,
    } | figures


def fleet(*rows: Document, **changes: t.Any) -> Document:
    shown = {"check_mode": False, "selectors": ["stale"], "rows": [*rows], "files": [], "not_written": {}}
    return {**shown, "stopped": None, **changes}


DEAD = row("edge-ams-2", "unreachable", audits=[], percent_before=None, stale_before=None, drift=None, findings=None)
WHOLE_RUN = fleet(
    DEAD,
    row("edge-fra-1", "high", percent_before=81.25, stale_before=900, drift=1, findings=2, **again(81.25, None)),
    row(
        "core-1",
        "medium",
        percent_before=None,
        max_before=0,
        stale_before=17,
        **again(None, 0, max_after=0, deleted=17),
    ),
    row("edge-ams-1", "passed", percent_before=97.1, stale_before=700, **again(27.06, 0, deleted=697)),
    files=["/srv/reports/fleet.html", "/srv/reports/fleet.json"],
)
REHEARSAL = fleet(
    DEAD,
    row("edge-ams-1", "critical", percent_before=97.1, stale_before=700, deleted=0, would_delete=699, findings=3),
    row("edge-fra-1", "high", percent_before=81.25, stale_before=None, drift=1, findings=2),
    check_mode=True,
)


def drawn(shown: Document, width: int = 100, unicode: bool = True, rows: int = 40) -> list[str]:
    return table(shown, width, colour=False, unicode=unicode, rows=rows).splitlines()


def cell(shown: Document, title: str) -> str:
    """Return what stands below a right-aligned ``title``, in the table of one router."""
    _headline, titles, line = drawn(fleet(shown), width=200)
    end = titles.index(title) + len(title)
    return re.split(r"  +", line[:end])[-1]


def test_a_whole_run() -> None:
    assert drawn(WHOLE_RUN) == [
        "CONNTRACK FLEET, 4 routers: 1 unreachable, 1 high, 1 medium, 1 passed",
        "router      usage              % full       stale  pruned  drift  findings  verdict",
        "edge-ams-2                          ?           ?       ?      ?         ?  unreachable",
        "edge-fra-1  █████████▊··         81.2  !  900 → ?       ?      1         2  high",
        "core-1                       no limit      17 → 0      17      0         0  medium",
        "edge-ams-1  ███▏░░░░░░░░  97.1 → 27.1     700 → 0     697      0         0  passed",
        "Report: /srv/reports/fleet.{html,json}",
    ]


def test_a_rehearsal_in_ascii_says_would() -> None:
    assert drawn(REHEARSAL, width=80, unicode=False) == [
        "CONNTRACK FLEET, 3 routers: 1 unreachable, 1 critical, 1 high. Check mode,",
        "nothing was changed.",
        "router      usage       % full      stale  would prune  drift  verdict",
        "edge-ams-2                   ?          ?            ?      ?  unreachable",
        "edge-ams-1  #########.    97.1  !!    700          699      0  critical",
        "edge-fra-1  ########..    81.2  !       ?            ?      1  high",
    ]


def test_forty_columns() -> None:
    assert drawn(fleet(DEAD, row("a-router-with-a-long-name", "critical", percent_before=95.0)), width=40) == [
        "CONNTRACK FLEET, 2 routers: 1",
        "unreachable, 1 critical",
        "router       usage   % full  verdict",
        "edge-ams-2                ?  unreachable",
        "a-rou…-name  █████▋    95.0  critical",
    ]


def test_the_documented_sample() -> None:
    sample = table(WHOLE_RUN, 100, colour=False, unicode=True)
    assert f"```text\n{sample}\n```" in (CHECKOUT / "docs" / "terminal.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("percent", "unicode", "gauge"),
    [
        (0, True, "·" * 20),
        (0.01, True, "▏" + "·" * 19),
        (50, True, "█" * 10 + "·" * 10),
        (52.5, True, "█" * 10 + "▌" + "·" * 9),
        (99.99, True, "█" * 19 + "▉"),
        (100, True, "█" * 20),
        (250, True, "█" * 20),
        (0.01, False, "#" + "." * 19),
        (99.99, False, "#" * 19 + "."),
    ],
)
def test_bar(percent: float, unicode: bool, gauge: str) -> None:
    assert drawn(fleet(row("r", "info", percent_before=percent)), 160, unicode)[2].split()[1] == gauge


@pytest.mark.parametrize(("percent", "mark"), [(79.99, ""), (80, "!"), (94.99, "!"), (95, "!!"), (100, "!!")])
def test_marks_stand_at_the_thresholds(percent: float, mark: str) -> None:
    line = drawn(fleet(row("r", "info", percent_before=percent)))[2]
    assert re.findall(r"[0-9]  (!*)", line)[0] == mark


@pytest.mark.parametrize(
    ("figures", "title", "text"),
    [
        ({"percent_before": None, "max_before": None}, "stale", "0"),
        ({"percent_before": None, "max_before": 0}, "% full", "no limit"),
        ({"percent_before": 90.0, **again(None, 0)}, "% full", "90.0 → ?"),
        ({"percent_before": None, "max_before": 0, **again(12.0, 0)}, "% full", "no limit → 12.0"),
        ({**again(12.0, 0)}, "% full", "12.0"),
        ({"deleted": 0}, "pruned", "0"),
        ({"drift": 3}, "drift", "3"),
        ({"batch": 2}, "batch", "2"),
    ],
)
def test_cell(figures: dict[str, t.Any], title: str, text: str) -> None:
    assert cell(row("r", "info", **figures), title) == text


def test_unknown_is_never_zero_and_a_column_without_knowledge_is_left_out() -> None:
    unknown = dict.fromkeys(("percent_before", "max_before", "stale_before", "drift", "findings"))
    assert drawn(fleet(row("r", "unknown", **unknown))) == [
        "CONNTRACK FLEET, 1 router: 1 unknown",
        "router  verdict",
        "r       unknown",
    ]


def test_the_rest_of_a_large_fleet_is_counted() -> None:
    shown = fleet(*[row(f"r{number:03}", "not_started" if number < 7 else "passed") for number in range(200)])
    assert drawn(shown, rows=5)[2:] == [*drawn(shown, rows=0)[2:7], "And 195 more: 2 not started, 193 passed"]
    assert len(drawn(shown)) == 43
    assert len(drawn(shown, rows=0)) == 202


def test_columns_stand_below_each_other_whatever_the_alphabet() -> None:
    assert drawn(
        fleet(row("東京", "passed"), row("ame\u0301lie-1", "info"), row("r\x1b[2J\n", "passed")), width=60
    ) == [
        "CONNTRACK FLEET, 3 routers: 2 passed, 1 info",
        "router      usage    % full  stale  drift  findings  verdict",
        "東京        ▊······    12.0      0      0         0  passed",
        "ame\u0301lie-1    ▊······    12.0      0      0         0  info",
        "r\\x1b[2J\\n  ▊······    12.0      0      0         0  passed",
    ]


def test_another_selector_gives_its_name_to_the_column() -> None:
    titles = drawn(fleet(row("r", "info"), selectors=["half-open-for-a-long-time", "idle"]))[1]
    assert titles.split() == ["router", "usage", "%", "full", "half-o…-time", "drift", "findings", "verdict"]


def test_names_in_running_text_are_not_broken() -> None:
    gate = {"host": "edge-ams-1-with-a-name", "title": "Packets were dropped", "value": 1, "reason": None}
    shown = fleet(row("r", "info"), stopped={"batch": 1, "gates": [gate]})
    assert "edge-ams-1-with-a-name: Packets were" in drawn(shown, width=40)


def test_what_was_not_written_is_said_last() -> None:
    shown = fleet(DEAD, not_written={"html": "No space left on device", "baseline": "x" * 4_000_000})
    lines = drawn(shown)
    assert "Not written: html: No space left on device" in lines
    assert sum(map(len, lines)) < 5_000


def test_no_router_no_table() -> None:
    assert drawn(fleet()) == ["CONNTRACK FLEET, no router"]


@pytest.mark.parametrize(
    "shown",
    [
        None,
        "text",
        {},
        fleet() | {"rows": 5},
        fleet({"router": "r1"}),
        fleet(row("r1", "info", percent_before="full")),
        fleet(row("r1", "info", percent_before=float("nan"))),
        fleet(row("r1", "info"), stopped=["batch"]),
        fleet(row("r1", "info"), files=[None]),
    ],
)
def test_what_is_no_fleet_raises_what_is_documented(shown: t.Any) -> None:
    with pytest.raises((LookupError, TypeError, ValueError, AttributeError)):
        drawn(shown)


def test_a_stopped_roll_out_names_its_gates() -> None:
    gate = {"host": "edge-1", "id": "drop", "title": "Packets were dropped", "value": 12, "reason": None}
    unknown = {**gate, "host": "edge-2", "value": None, "reason": "no statistics"}
    shown = fleet(row("edge-1", "critical", batch=2), stopped={"batch": 2, "gates": [gate, unknown, gate, gate, gate]})
    assert " ".join(drawn(shown)[3:]) == (
        "Stopped after batch 2: edge-1: Packets were dropped (12); edge-2: Packets were dropped (no statistics); "
        "edge-1: Packets were dropped (12); and 2 more"
    )


def test_colours_are_those_of_ansible_and_change_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = table(WHOLE_RUN, 100, colour=False, unicode=True)
    assert table(WHOLE_RUN, 100, colour=True, unicode=True) == plain, "Ansible itself has none here"
    monkeypatch.setattr(color, "ANSIBLE_COLOR", True)
    assert table(WHOLE_RUN, 100, colour=False, unicode=True) == plain
    painted = table(WHOLE_RUN, 100, colour=True, unicode=True)
    assert COLOURED.sub(r"\1", painted) == plain
    assert color.stringc("", "green") not in painted
    assert color.stringc("passed", "green") in painted
    assert color.stringc("unreachable", "bright red") in painted
    monkeypatch.setattr("ansible.constants.COLOR_OK", "blue")
    assert color.stringc("passed", "blue") in table(WHOLE_RUN, 100, colour=True, unicode=True)


@pytest.fixture(scope="module")
def wcwidth() -> t.Iterator[t.Callable[[str], int]]:
    """Yield what the C library says of the width of a character, -1 for one that is none."""
    before = locale.setlocale(locale.LC_CTYPE)
    locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    library = ctypes.CDLL(None)
    library.wcwidth.argtypes = (ctypes.c_wchar,)
    yield library.wcwidth
    locale.setlocale(locale.LC_CTYPE, before)


TEXTS = st.one_of(
    st.text(max_size=60).map(lambda text: WIDE_TO_GLIBC_ONLY.sub("", text)),
    st.text("a東\u0301\u202e\x1b[31m\r\n\x9b \u2028\ud800", max_size=60),
    st.sampled_from(HOSTILE_NAMES),
)
PERCENTS = st.none() | st.floats(0, 1000)
COUNTS = st.none() | st.integers(0, 10**12)
ROWS = st.fixed_dictionaries(
    {
        "router": TEXTS,
        "verdict": st.sampled_from(["unreachable", "not_started", "critical", "passed"]) | TEXTS,
        "audits": st.sampled_from([[], ["before"], ["after"], ["before", "after"]]),
        "percent_before": PERCENTS,
        "percent_after": PERCENTS,
        **dict.fromkeys(("max_before", "max_after", "stale_before", "stale_after"), COUNTS),
        **dict.fromkeys(("deleted", "would_delete", "drift", "findings", "batch"), COUNTS),
    }
)
GATES = st.fixed_dictionaries({"host": TEXTS, "title": TEXTS, "value": COUNTS, "reason": st.none() | TEXTS})
FLEETS = st.fixed_dictionaries(
    {
        "check_mode": st.booleans(),
        "selectors": st.lists(TEXTS, max_size=2),
        "rows": st.lists(ROWS, max_size=5),
        "files": st.lists(TEXTS, max_size=3),
        "not_written": st.dictionaries(TEXTS, TEXTS, max_size=2),
        "stopped": st.none() | st.fixed_dictionaries({"batch": COUNTS, "gates": st.lists(GATES, max_size=5)}),
    }
)


NO_NAME = dict.fromkeys(
    [*(f"{name}_{phase}" for name in ("percent", "max", "stale") for phase in ("before", "after")), "would_delete"]
)
NO_NAME |= {"router": "", "verdict": "critical", "audits": [], "deleted": 0}
NO_NAME |= dict.fromkeys(["drift", "findings", "batch"])


@example(
    shown={
        "check_mode": False,
        "selectors": [],
        "rows": [NO_NAME],
        "files": [],
        "not_written": {"html": "\x1b[2J"},
        "stopped": None,
    },
    width=23,
    unicode=False,
    rows=0,
)
@given(shown=FLEETS, width=st.integers(20, 200), unicode=st.booleans(), rows=st.integers(0, 5))
def test_no_line_is_wider_than_the_terminal_and_nothing_steers_it(
    wcwidth: t.Callable[[str], int], shown: Document, width: int, unicode: bool, rows: int
) -> None:
    text = table(shown, width, colour=False, unicode=unicode, rows=rows)
    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert unicode or text.isascii()
    for line in text.split("\n"):
        assert sum(max(wcwidth(character), 0) for character in line) <= width


@given(shown=FLEETS, width=st.integers(0, 200), unicode=st.booleans())
def test_colour_is_the_only_escape(shown: Document, width: int, unicode: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(color, "ANSIBLE_COLOR", True)
        painted = table(shown, width, colour=True, unicode=unicode)
    assert COLOURED.sub(r"\1", painted) == table(shown, width, colour=False, unicode=unicode)


@pytest.mark.slow
@pytest.mark.parametrize("width", [NARROWEST, 27, 40, 63, 80, 100, 132, 200])
@pytest.mark.parametrize("unicode", [True, False])
def test_synthetic_fleet_fits(width: int, unicode: bool) -> None:
    lines = drawn(summary(fleet_document(30, hostile=True)), width, unicode, rows=0)
    assert max(map(len, lines)) <= width
    assert sum(line.endswith(("unreachable", "failed", "not started")) for line in lines[1:-3]) > 2


def test_summary_is_compact_and_complete() -> None:
    document = fleet_document(40)
    shown: Document = summary(document)
    assert json.loads(json.dumps(shown)) == shown
    assert len(json.dumps(shown)) < 400 * 40 + 1000
    assert {each["router"] for each in shown["rows"]} == set(document["hosts"])
    assert shown["rows"][0]["verdict"] == "unreachable"
    assert shown["selectors"] == ["stale"]
    assert shown["stopped"] == document["rollout"]["stopped"]
    for each in shown["rows"]:
        host = document["hosts"][each["router"]]
        last = host["after"] or host["before"]
        assert each["audits"] == [phase for phase in ("before", "after") if host[phase]]
        for phase in each["audits"]:
            assert each[f"percent_{phase}"] == host[phase]["usage"]["percent"]
            assert each[f"max_{phase}"] == host[phase]["usage"]["max"]
            assert each[f"stale_{phase}"] == host[phase]["selectors"]["stale"]["entries"]
        assert each["drift"] == (len(last["drift"]) if last else None)
        assert each["findings"] == (sum(f["status"] == "finding" for f in last["findings"]) if last else None)


def test_summary_of_prunes() -> None:
    document = fleet_document(4)
    names = list(document["hosts"])
    account = {"deleted": 697, "would_delete": 699, "unavailable": None}
    for name, changes in zip(
        names,
        [
            {"prune": account},
            {"prune": {"deleted": None, "would_delete": None, "unavailable": "acct is off"}},
            {"prune": None, "verdict": "failed"},
            {"prune": None, "verdict": "not_started"},
        ],
        strict=True,
    ):
        document["hosts"][name].update(changes)
    rows = {each["router"]: (each["deleted"], each["would_delete"]) for each in summary(document)["rows"]}
    assert [rows[name] for name in names] == [(697, 699), (None, None), (None, None), (0, None)]


def test_summary_of_an_older_report_without_drift_or_roll_out() -> None:
    document = fleet_document(1, after=False)
    (host,) = document["hosts"].values()
    host["before"]["drift"] = None
    host["before"]["selectors"] = {"idle": {"entries": 5}, "asleep": {"entries": None}}
    (shown,) = summary(document)["rows"]
    assert (shown["drift"], shown["batch"], shown["stale_before"]) == (None, None, None)
    assert summary(document)["selectors"] == ["asleep", "idle"]
    host["before"]["selectors"]["stale"] = {"entries": 7}
    assert summary(document)["selectors"] == ["stale", "asleep", "idle"]
    assert summary(document)["rows"][0]["stale_before"] == 7
    host["before"]["selectors"]["prune"] = {"entries": 9}
    assert summary(document)["selectors"] == ["prune", "asleep", "idle"]
    assert summary(document)["rows"][0]["stale_before"] == 9
