# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What a webhook is told of a run that found something, in the JSON of Slack."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import VALUE, shorten, some
from ansible_collections.netops.conntrack.plugins.plugin_utils._display import counted
from ansible_collections.netops.conntrack.plugins.plugin_utils._page.findings import titles_found
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import failing, severities_from
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Document
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.view import findings_by_check, stop_of

_MOST_LINES = 12
"""Of findings and of routers that were not done, each."""

_LONGEST = 2900
"""Characters of a section. Slack takes 3,000, and refuses the whole message for one more."""

_LONGEST_HEADER = 150
"""Slack's own limit (docs.slack.dev, Header block)."""

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
"""What Slack reads as a command, such as a mention of a whole channel."""

Message = dict[str, t.Any]


def message_of(document: Document, playbook: str, severity: str, files: t.Sequence[str]) -> Message | None:
    """Return the message about a ``document``. None if there is nothing to tell.

    That is told: findings of ``severity`` or a worse one, routers that were not done, and a roll-out that was stopped.
    ``files`` are the report's. Services that know no blocks show the text, which has the same.
    Raises OptionError for a word that is no severity.
    """
    worth_telling = severities_from(severity)
    found = [item for item in titles_found(document, findings_by_check(document)).items if item[0] in worth_telling]
    not_done = failing(document)
    if not found and not not_done and not stop_of(document):
        return None
    title = _title(document, playbook, len(found), len(not_done))
    sections = [
        _section([f"*{label}* {_escaped(' '.join(lines))}" for label, lines in found]),
        _section([f"*not done* {_escaped(f'{host}: {reason}')}" for host, reason in not_done.items()]),
        _section([f"Report: `{_escaped(path)}`" for path in files if path.endswith((".html", ".txt"))][:1]),
    ]
    bodies = [section for section in sections if section]
    header = {"type": "header", "text": {"type": "plain_text", "text": title[:_LONGEST_HEADER]}}
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": body}} for body in bodies]
    return {"text": "\n".join([_escaped(title), *bodies]), "blocks": [header, *blocks]}


def _title(document: Document, playbook: str, findings: int, not_done: int) -> str:
    parts = [counted(findings, "finding")] if findings else []
    if not_done:
        parts.append(f"{counted(not_done, 'router')} not done")
    if stop_of(document):
        parts.append("the roll-out was stopped")
    routers = counted(len(document["hosts"]), "router")
    mode = " --check" if document["check_mode"] else ""
    return f"conntrack {playbook}{mode} of {routers}: {', '.join(parts)}"


def _section(lines: list[str]) -> str:
    """Return ``lines`` as the text of a section, with how many are left out."""
    kept: list[str] = []
    for line in lines[:_MOST_LINES]:
        if sum(map(len, kept)) + len(kept) + len(line) > _LONGEST:
            break
        kept.append(line)
    _shown, others = some(lines, len(kept))
    return "\n".join([*kept, *([f"and {others:,} more"] if others else [])])


def _escaped(text: str) -> str:
    """Return a text, which may come from a router, so that it is one line and no command."""
    return visible(shorten(text, VALUE)).translate(_ESCAPES)
