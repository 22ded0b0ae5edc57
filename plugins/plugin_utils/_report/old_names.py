# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Names and forms that parts of the document had in reports of earlier versions, turned into those of today."""

from __future__ import annotations

import typing as t

_Part = dict[str, t.Any]
"""A part of a document that nobody has checked yet."""

_OF_DOCUMENT = {"not_begun": "not_started"}
_OF_TOTALS = {"not_begun": "not_started", "would_recap": "would_shorten", "recapped": "shortened"}
_OF_SETTINGS = {"recap": "shortened"}
_OF_SHORTENED = {"failed": "not_updated"}
"""Old name to new name. The last ones are in the account of the entries whose timeouts were shortened."""

_VERDICTS = {"not_begun": "not_started"}


def with_present_names(document: _Part) -> _Part:
    """Return a document with the names and forms of today. What is malformed is left for the check that follows."""
    renamed = _renamed(document, _OF_DOCUMENT)
    changes = {"totals": _totals, "hosts": _hosts}
    return _with_changed_parts(renamed, changes)


def _totals(totals: _Part) -> _Part:
    return _renamed(totals, _OF_TOTALS)


def _hosts(hosts: _Part) -> _Part:
    return {name: _in_mapping(_host, host) for name, host in hosts.items()}


def _in_mapping(change: t.Callable[[_Part], _Part], part: t.Any) -> t.Any:
    """Return a part with a ``change``, if it is a mapping."""
    return change(part) if isinstance(part, dict) else part


def _with_changed_parts(part: _Part, changes: dict[str, t.Callable[[_Part], _Part]]) -> _Part:
    """Return what has parts, those that are mappings with their change."""
    changed = {key: _in_mapping(change, part[key]) for key, change in changes.items() if key in part}
    return {**part, **changed}


def _host(host: _Part) -> _Part:
    changed = _with_changed_parts(host, {"before": _audit, "after": _audit, "settings": _settings})
    verdict = changed.get("verdict")
    if isinstance(verdict, str):
        changed["verdict"] = _VERDICTS.get(verdict, verdict)
    return changed


def _audit(audit: _Part) -> _Part:
    return _with_changed_parts(audit, {"explanation": _explanation})


def _explanation(explanation: _Part) -> _Part:
    """Return an explanation with its sentences and commands apart. One text is one sentence, with what is in it."""
    advice = explanation.get("advice")
    if isinstance(advice, list):
        return explanation
    sentences = [] if advice is None else [advice]
    return {**explanation, "prunes": [], "advice": sentences}


def _settings(settings: _Part) -> _Part:
    return _with_changed_parts(_renamed(settings, _OF_SETTINGS), {"shortened": _shortened})


def _shortened(account: _Part) -> _Part:
    renamed = _renamed(account, _OF_SHORTENED)
    # Since ansible-core 2.19, a result that is called failed is true or false: 0.4.0 got no number to report.
    if isinstance(renamed.get("not_updated"), bool):
        renamed["not_updated"] = None if renamed["not_updated"] else 0
    return renamed


def _renamed(part: _Part, names: t.Mapping[str, str]) -> _Part:
    """Return a part with the keys of today. A key that is there under its name of today stays as it is."""
    old = {key: name for key, name in names.items() if key in part and name not in part}
    return {old.get(key, key): value for key, value in part.items()}
