# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report on the fleet: works on the controller alone, on what the roles registered on the routers."""

from __future__ import annotations

import datetime
import typing as t

from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible
from ansible_collections.netops.conntrack.plugins.plugin_utils._bounds import with_short_texts
from ansible_collections.netops.conntrack.plugins.plugin_utils._callback.figures import FleetFigures, summary
from ansible_collections.netops.conntrack.plugins.plugin_utils._callback.fleet_table import report_lines
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks.check import SEVERITIES
from ansible_collections.netops.conntrack.plugins.plugin_utils._filter import plain
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.render import (
    ENDINGS,
    first_screen_or_say_why,
    render_or_say_why,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.report_files import (
    MODES,
    Destination,
    Written,
    read_report,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.report_names import PLAYBOOKS, RETRY
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.webhook import check, send
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.webhook_message import message_of
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.targets import given_to
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document import (
    NOT_FINISHED,
    failing,
    roll_up,
    severities_from,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Document
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.invocation import pasteable
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.merge import merge_read
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.records import left_out, record, rollout
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.trend import with_trend
from ansible_collections.netops.conntrack.plugins.plugin_utils._terminal import is_for_people, show

_SPEC = {
    "directory": {"type": "str", "default": ""},
    "name": {"type": "str", "default": ""},
    "playbook": {"type": "str", "choices": list(PLAYBOOKS), "default": "report"},
    "keep": {"type": "int", "default": 0},
    "formats": {"type": "list", "elements": "str", "choices": list(ENDINGS), "default": ["json"]},
    "mode": {"type": "str", "choices": list(MODES), "default": MODES[0]},
    "baseline": {"type": "str", "default": ""},
    "slices": {"type": "list", "elements": "str", "default": []},
    "fail_on": {"type": "str", "default": ""},
    "webhook": {"type": "str", "default": "", "no_log": True},
    "webhook_on": {"type": "str", "choices": list(SEVERITIES), "default": "high"},
    "show": {"type": "bool", "default": True},
    "only_prepare": {"type": "bool", "default": False},
}
_PAGES = frozenset({"html", "markdown", "text"})
"""The formats that people read."""
_PLAN = "Plan the batches"
"""What a router that is left out is reported to have failed in: the name of that task."""
_TERMINAL, _COMPARISON, _WEBHOOK = "terminal", "comparison", "webhook"
"""How parts of the report that are no files are called among those that could not be written."""


class ActionModule(ActionBase):
    """Rolls up the fleet, and writes the reports; to be run once in a play over all routers."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Show the page, and return the ``files``, the ``fleet`` in short, and the routers that are ``failing``.

        A page that is not shown is returned as ``text``.

        Where a part of the report cannot be written, all others are there, and the task fails for ``not_written``.
        Raises AnsibleActionFail for a bad option, and for slices that are no reports.
        """
        super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(_SPEC)
        try:
            return self._report(plain(options), task_vars or {})
        except ConntrackError as error:
            # Ansible adds the words of the cause to a message, and those of its cause.
            raise AnsibleActionFail(error.message) from None

    def _report(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        if options["fail_on"]:
            severities_from(options["fail_on"])
        if options["webhook"]:
            check(options["webhook"])
        slices = [read_report("slices", path) for path in options["slices"]]
        merged = merge_read(slices) if slices else None
        destination = Destination.of(options) if options["directory"] else None
        if options["only_prepare"]:
            if options["baseline"]:
                read_report("baseline", options["baseline"])
            if destination:
                destination.prepare()
            return {"changed": False}
        problems: dict[str, str] = {}
        document = merged or self._with_commands(self._roll_up(task_vars))
        document = _compared(document, options["baseline"], problems)
        shown = with_short_texts(document)
        reasons = {host: visible(reason) for host, reason in failing(shown, options["fail_on"]).items()}
        written = _written(document, shown, destination, options)
        problems |= written.not_written
        _tell(shown, written.files, options, problems)
        has_page = bool(destination and _PAGES.intersection(options["formats"]) - written.not_written.keys())
        text = _text(shown, reasons, problems, has_page)
        shows = options["show"] and is_for_people()
        if shows:
            show([*text, *report_lines(written.files)])
        result = {
            "changed": False,
            **({} if shows else {"text": text}),
            "files": written.files,
            "latest": written.latest,
            "fleet": _fleet(shown, written.files, problems),
            "failing": reasons,
            "not_written": problems,
        }
        return {**result, "failed": True, "msg": _message(problems)} if problems else result

    def _with_commands(self, document: Document) -> Document:
        """Return the document with its commands as they can be pasted, for the routers of this run."""
        target = self._templar.template(given_to(self._task, self._loader).get("target"))
        return pasteable(document, context.CLIARGS, plain(target))

    def _roll_up(self, task_vars: dict[str, t.Any]) -> Document:
        hosts = list(task_vars["ansible_play_hosts_all"])
        hostvars = task_vars["hostvars"]
        controller = hostvars.raw_get("localhost")
        records = {host: record(hostvars.raw_get(host)) for host in hosts}
        for host, reason in left_out(controller).items():
            if host in records:
                records[host].setdefault("failure", {"step": _PLAN, "message": reason, "unreachable": False})
        for host in set(hosts) - set(task_vars["ansible_play_hosts"]):
            records[host].setdefault("failure", NOT_FINISHED)
        return roll_up(
            {host: of_host for host, of_host in records.items() if of_host},
            hosts,
            datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            self._task.check_mode,
            rollout(controller),
        )


def _compared(document: Document, baseline: str, problems: dict[str, str]) -> Document:
    """Return the document with what has changed since the ``baseline``. What was done is more than a comparison."""
    try:
        return with_trend(document, read_report("baseline", baseline)) if baseline else document
    except ConntrackError as error:
        problems[_COMPARISON] = error.message
        return document


def _tell(document: Document, files: list[str], options: dict[str, t.Any], problems: dict[str, str]) -> None:
    """Tell the webhook what was found, if there is one. The report is written by then."""
    if not options["webhook"]:
        return
    try:
        message = message_of(document, options["playbook"], options["webhook_on"], files)
        if message:
            send(options["webhook"], message)
    except ConntrackError as error:
        problems[_WEBHOOK] = error.message


def _text(document: Document, reasons: dict[str, str], problems: dict[str, str], has_page: bool) -> list[str]:
    """Return the page for the terminal: all of it, or what fits a screen where a file has all of it.

    Without it, what a run fails for is said all the same.
    """
    try:
        text = first_screen_or_say_why(document) if has_page else render_or_say_why(document, "text")
        return text.splitlines()
    except ConntrackError as error:
        problems[_TERMINAL] = error.message
        return [visible(f"{host}: {reason}") for host, reason in reasons.items()]


def _fleet(document: Document, files: list[str], problems: dict[str, str]) -> FleetFigures | None:
    """Return what the callback draws, if it can be worked out."""
    try:
        fleet = summary(document)
    except Exception:
        problems.setdefault(_TERMINAL, "the table of the fleet cannot be drawn from the document.")
        return None
    return {**fleet, "files": files, "not_written": problems}


def _written(
    document: Document, shown: Document, destination: Destination | None, options: dict[str, t.Any]
) -> Written:
    """Return which files were written, and why others were not."""
    if not destination:
        return Written.nothing()
    try:
        destination.prepare()
    except ConntrackError as error:
        return Written.nothing(dict.fromkeys([RETRY, *options["formats"]], error.message))
    return destination.write(document, shown, options["formats"], options["fail_on"])


def _message(problems: dict[str, str]) -> str:
    """Return why the task fails: each reason once, with the formats that it kept from being written."""
    parts: dict[str, list[str]] = {}
    for part, reason in problems.items():
        parts.setdefault(reason.rstrip("."), []).append(part)
    told = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in parts.items())
    return visible(f"A part of the report could not be written. {told}. All other parts are there.")
