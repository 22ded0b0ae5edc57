# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report on the fleet: works on the controller alone, on what the roles registered on the routers."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import tempfile
import typing as t

from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._checks import SEVERITIES
from ansible_collections.netops.conntrack.plugins.plugin_utils._filter import plain
from ansible_collections.netops.conntrack.plugins.plugin_utils._invocation import pasteable
from ansible_collections.netops.conntrack.plugins.plugin_utils._merge import merge
from ansible_collections.netops.conntrack.plugins.plugin_utils._records import left_out, record, rollout
from ansible_collections.netops.conntrack.plugins.plugin_utils._render import ENDINGS, render
from ansible_collections.netops.conntrack.plugins.plugin_utils._report import NOT_FINISHED, Record, failing, roll_up
from ansible_collections.netops.conntrack.plugins.plugin_utils._targets import given_to
from ansible_collections.netops.conntrack.plugins.plugin_utils._terminal import summary
from ansible_collections.netops.conntrack.plugins.plugin_utils._trend import with_trend
from ansible_collections.netops.conntrack.plugins.plugin_utils._versions import read_back

_SPEC = {
    "directory": {"type": "str", "default": ""},
    "name": {"type": "str", "default": ""},
    "formats": {"type": "list", "elements": "str", "choices": list(ENDINGS), "default": ["json"]},
    "baseline": {"type": "str", "default": ""},
    "slices": {"type": "list", "elements": "str", "default": []},
    "fail_on": {"type": "str", "choices": ["", *SEVERITIES], "default": ""},
    "only_prepare": {"type": "bool", "default": False},
}
_PLAN = "Plan the batches"
"""What a router that is left out is reported to have failed in: the name of that task."""
_RETRY = "retry"
"""The ending of the list of routers that are not done, for ``--limit @FILE``."""


class ActionModule(ActionBase):
    """Rolls up the fleet, and writes the reports; to be run once in a play over all routers."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Give the page as ``text``, the ``files``, the ``fleet`` in short, and which routers are ``failing`` and why.

        Raises AnsibleActionFail for a bad option, a file that is no report, and one that cannot be written.
        """
        super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(_SPEC)
        try:
            return self._report(plain(options), task_vars or {})
        except ConntrackError as error:
            raise AnsibleActionFail(error.message) from error

    def _report(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        slices = [_read("slices", path) for path in options["slices"]]
        merged = merge(slices) if slices else None
        baseline = _read("baseline", options["baseline"]) if options["baseline"] else None
        if options["directory"]:
            _make_directory(options)
        if options["only_prepare"]:
            return {"changed": False}
        document = merged or self._with_commands(self._roll_up(task_vars))
        if baseline:
            document = with_trend(document, baseline)
        reasons = failing(document, options["fail_on"])
        text = render(document).splitlines()
        try:
            files = _write_all(document, options) if options["directory"] else []
        except OptionError as error:
            # What was done on the routers is known to nobody else.
            return {"failed": True, "msg": error.message, "text": text, "failing": reasons}
        return {
            "changed": False,
            "text": text,
            "files": files,
            "fleet": {**summary(document), "files": files},
            "failing": reasons,
        }

    def _with_commands(self, document: Record) -> Record:
        """Return the document with its commands as they can be pasted, for the routers of this run."""
        target = self._templar.template(given_to(self._task, self._loader).get("target"))
        return pasteable(document, context.CLIARGS, plain(target))

    def _roll_up(self, task_vars: dict[str, t.Any]) -> Record:
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


def _read(option: str, path: str) -> Record:
    """Give the report that an earlier run wrote to ``path``, whatever its version."""
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            document = json.load(file)
    except (OSError, ValueError) as error:
        remedy = "Give the .json file of an earlier report."
        raise OptionError(option, path, f"cannot be read ({error})", remedy) from None
    try:
        complete = read_back(document, f"{option}, {path}")
        render(merge([complete]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise OptionError(option, path, f"is damaged ({error!r})", "Give a .json file as it was written.") from error
    return complete


def _make_directory(options: dict[str, t.Any]) -> None:
    directory, name = _directory(options), options["name"]
    if not name or os.path.basename(name) != name:
        raise OptionError("name", name, "is no name of a file", "Give it without directory and without ending.")
    try:
        os.makedirs(directory, mode=0o755, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise _not_writable(directory, error) from None


def _write_all(document: Record, options: dict[str, t.Any]) -> list[str]:
    """Write the files, those first that cannot be had in another way, and give their paths. Raises OptionError."""
    directory = _directory(options)
    stem = os.path.join(directory, options["name"])
    files = []
    try:
        _write_retry(document, f"{stem}.{_RETRY}")
        for style in sorted(options["formats"], key=list(ENDINGS).index):
            files.append(f"{stem}.{ENDINGS[style]}")
            _write(files[-1], render(document, style, options["fail_on"]))
    except OSError as error:
        raise _not_writable(directory, error) from None
    return files


def _write_retry(document: Record, path: str) -> None:
    """Write the list of the routers that are not done; where there are none, none is left of an earlier run."""
    not_done = sorted(document["unreachable"] + document["failed"] + document["not_begun"])
    if not_done:
        _write(path, "".join(f"{host}\n" for host in not_done))
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _directory(options: dict[str, t.Any]) -> str:
    return os.path.abspath(os.path.expanduser(str(options["directory"])))


def _not_writable(directory: str, error: OSError) -> OptionError:
    return OptionError("directory", directory, f"cannot be written ({error})", "Give another directory.")


def _write(path: str, text: str) -> None:
    """Write ``text`` to ``path`` in one step, so that who reads it meanwhile sees the old text or the new one."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="", dir=os.path.dirname(path), prefix=".", delete=False
    ) as file:
        try:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
