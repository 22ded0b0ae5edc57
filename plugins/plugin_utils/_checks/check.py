# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Audit checks, which are data, evaluated on the facts of one router."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.cure import Cure
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.expression import Expression, follow, is_true
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.shape import shown

Severity = t.Literal["critical", "high", "medium", "low", "info"]
"""Worst first."""

Status = t.Literal["finding", "unknown", "passed"]
"""Worst first: what is not known may well be bad."""

SEVERITIES: tuple[Severity, ...] = t.get_args(Severity)
STATUSES: tuple[Status, ...] = t.get_args(Status)

NEARLY_FULL, FULL = 80, 95
"""Percent at which the checks table_nearly_full and table_full of the role conntrack_audit begin."""

Fullness = t.Literal["full", "near", "fine"]


def fullness(percent: float) -> Fullness:
    """Return how full a table is, by the two thresholds."""
    if percent >= FULL:
        return "full"
    return "near" if percent >= NEARLY_FULL else "fine"


_REQUIRED = ("id", "title", "when", "severity", "advice")
_KEYS = frozenset(_REQUIRED) | {"value", "unit", "cures"}
_FOUND = "found"
"""Under this name, the expressions of value and figures see what the one of when resulted in, next to the facts."""

_REASON_KEYS = ("unavailable", "unreadable")
"""The keys under which the facts say why a value next to them is null."""


@dataclasses.dataclass(frozen=True)
class Check:
    """A check that was found sound."""

    id: str
    title: str
    severity: str
    advice: str
    when: Expression
    value: Expression | None
    unit: str
    cures: list[Cure]

    @classmethod
    def parse(cls, check: t.Any, position: int) -> Check:
        """Return the check that stands at ``position`` (from 0) of the list. Raises OptionError if it is not sound."""
        option = f"checks[{position}]"
        if not isinstance(check, dict):
            raise OptionError(option, check, "is not a check", f"Give a mapping with {', '.join(_REQUIRED)}.")
        option = f"check {check.get('id', position)}"
        missing = [key for key in _REQUIRED if not check.get(key)]
        if missing:
            raise OptionError(option, check, f"lacks {', '.join(missing)}", "Give each of them a text.")
        wrong = [key for key in (*_REQUIRED, "unit") if not isinstance(check.get(key, ""), str)]
        if wrong:
            raise OptionError(f"{option}, {wrong[0]}", check[wrong[0]], "is no text", "Give it as a text, in quotes.")
        unknown = sorted(set(check) - _KEYS)
        if unknown:
            raise OptionError(option, unknown[0], "is no key of a check", f"The keys are {', '.join(sorted(_KEYS))}.")
        if check["severity"] not in SEVERITIES:
            raise OptionError(
                f"{option}, severity", check["severity"], "is unknown", f"Give one of {', '.join(SEVERITIES)}."
            )
        value = Expression(check["value"], f"{option}, value") if check.get("value") else None
        when = Expression(check["when"], f"{option}, when")
        unit = check.get("unit", "")
        cures = _parse_cures(check.get("cures", []), option)
        return cls(str(check["id"]), check["title"], check["severity"], check["advice"], when, value, unit, cures)

    def finding(self, facts: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return what the check says of ``facts``: status finding, passed or unknown, with the value and the reason.

        A finding has the texts of the cures whose figures are known.
        """
        answer = self.when.evaluate(facts)
        status = "unknown" if answer is None else "finding" if is_true(answer) else "passed"
        facts_and_found = {**facts, _FOUND: answer}
        # They are always evaluated, so that a bad expression does not wait for a finding.
        cures = [text for cure in self.cures for text in cure.texts(facts_and_found)]
        return {
            "id": self.id,
            "title": self.title,
            "severity": self.severity,
            "advice": self.advice,
            **({"unit": self.unit} if self.unit else {}),
            "status": status,
            "value": shown(self.value.evaluate(facts_and_found)) if self.value else None,
            "reason": self._reason(facts) if status == "unknown" else None,
            **({"cures": cures} if cures and status == "finding" else {}),
        }

    def _reason(self, facts: dict[str, t.Any]) -> str:
        unknowns = self.when.unknowns(facts)
        if not unknowns:
            return "the expression has no value on these facts"
        reasons = sorted({reason for path in unknowns for reason in _reasons_beside(path, facts)})
        explained = f" ({'; '.join(reasons)})" if reasons else ""
        return f"not known: {', '.join(unknowns)}{explained}"


def _parse_cures(cures: t.Any, option: str) -> list[Cure]:
    if not isinstance(cures, list):
        raise OptionError(f"{option}, cures", cures, "is no list", "Give a list of mappings with text and figures.")
    return [Cure.parse(cure, f"{option}, cures[{place}]") for place, cure in enumerate(cures)]


def find(facts: dict[str, t.Any], checks: list[t.Any]) -> list[dict[str, t.Any]]:
    """Evaluate ``checks`` on ``facts`` (the dict under ``ansible_facts.conntrack``), worst findings first.

    Raises OptionError, which names the check, for one that is incomplete, given twice, or no JMESPath.
    """
    return findings(facts, parse(checks))


def parse(checks: list[t.Any]) -> list[Check]:
    """Return the ``checks`` ready to be evaluated. Raises OptionError as ``find`` does."""
    parsed = [Check.parse(check, position) for position, check in enumerate(checks)]
    _refuse_duplicates(parsed)
    return parsed


def findings(facts: dict[str, t.Any], checks: list[Check]) -> list[dict[str, t.Any]]:
    """Return what ``parse``d checks say of ``facts``, worst first.

    Raises OptionError for one that cannot be evaluated.
    """
    return sorted((check.finding(facts) for check in checks), key=_rank)


def _refuse_duplicates(checks: list[Check]) -> None:
    for check_id, count in collections.Counter(check.id for check in checks).items():
        if count > 1:
            raise OptionError("checks", check_id, f"is the id of {count} checks", "Give each check an id of its own.")


def _rank(finding: dict[str, t.Any]) -> tuple[int, int, str]:
    return STATUSES.index(finding["status"]), SEVERITIES.index(finding["severity"]), finding["id"]


def _reasons_beside(path: str, facts: dict[str, t.Any]) -> list[str]:
    siblings = follow(facts, path.split(".")[:-1])
    reasons = [siblings.get(key) for key in _REASON_KEYS] if isinstance(siblings, dict) else []
    return [reason for reason in reasons if reason and isinstance(reason, str)]
