# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""One run of conntrack_settings: what waited before it, the plan, the change and the result."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._interrupt import finished, note, words_of_change
from ansible_collections.netops.conntrack.plugins.module_utils._netns import inside
from ansible_collections.netops.conntrack.plugins.module_utils._settings import confirm
from ansible_collections.netops.conntrack.plugins.module_utils._settings.change_plan import (
    Options,
    check_options,
    plan_change,
    within_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._settings.file_attributes import FileAttributes
from ansible_collections.netops.conntrack.plugins.module_utils._settings.journal import Pending, waiting
from ansible_collections.netops.conntrack.plugins.module_utils._settings.lock import exclusive, exclusive_in_image
from ansible_collections.netops.conntrack.plugins.module_utils._settings.transaction import Transaction

_Result = dict[str, t.Any]
_ROLLED_BACK = "A change that waited was rolled back."


@dataclasses.dataclass(frozen=True)
class Run:
    """A run of the module with its options. In check mode, nothing is changed. ``warn`` shows a warning."""

    options: Options
    check_mode: bool
    with_diff: bool
    attributes: FileAttributes
    warn: t.Callable[[str], None]

    def result(self) -> _Result:
        """Do what the option state asks for, in the namespace, and return the module's result.

        Raises ConntrackError for what cannot be done.
        """
        check_options(self.options)
        with inside(self.options["netns"]):
            return self._confirm() if self.options["state"] == "confirmed" else self._change()

    def _change(self) -> _Result:
        """Plan the change, and carry it out unless in check mode."""
        within, pending = within_of(self.options), None
        with self._only_run(), finished():
            rolled_back = self._settle_what_waits()
            with _saying_changed(rolled_back and not self.check_mode):
                planned = plan_change(self.options, self.check_mode)
                transaction = planned.transaction
                if self.options["runtime"]:
                    transaction.require_room(within)
                if not self.check_mode:
                    pending = transaction.carry_out(self.attributes.prepare, within)
                    words = words_of_change(_describe_pending(pending) if pending else None)
                    note(words, {"changed": transaction.changed or rolled_back})
        attributes_changed = pending is None and self._correct_attributes(transaction)
        return {
            "changed": transaction.changed or attributes_changed or rolled_back,
            "settings": transaction.describe(self.check_mode),
            "restored": sorted(transaction.restored),
            "unsupported": planned.unsupported,
            "read_only": [],
            "confirm": _describe_pending(pending) if pending else None,
            "warnings": [*planned.warnings, *transaction.warnings()],
            **({"diff": transaction.differences()} if self.with_diff else {}),
        }

    def _confirm(self) -> _Result:
        """Keep the change that waits, unless in check mode."""
        change = self.options["change"]
        with self._only_run(), finished():
            found = confirm.find(change)
            pending = found if self.check_mode else confirm.confirm(change)
            changed = not found.confirmed
            note(words_of_change(_describe_pending(pending)), {"changed": changed})
        nothing: _Result = {"settings": {}, "restored": [], "unsupported": [], "read_only": []}
        return {"changed": changed, **nothing, "confirm": _describe_pending(pending)}

    def _only_run(self) -> contextlib.AbstractContextManager[None]:
        """Return the lock under which this run is the only one. There is none in check mode."""
        if self.check_mode:
            return contextlib.nullcontext()
        return exclusive() if self.options["runtime"] else exclusive_in_image()

    def _settle_what_waits(self) -> bool:
        """Roll back a change that waits for its confirmation, and say so in a warning. In check mode, only say so.

        Return whether there is one.
        """
        if not self.options["runtime"]:
            confirm.refuse_waiting()
            return False
        if self.check_mode:
            if waiting() is None:
                return False
            self.warn("A change waits for its confirmation, and would be rolled back before this one.")
            return True
        report = confirm.roll_back_pending()
        if report is None:
            return False
        self.warn(f"A change that waited for its confirmation was rolled back before this one. {report}")
        return True

    def _correct_attributes(self, transaction: Transaction) -> bool:
        """Give the files that keep the settings the attributes that were asked for. Say whether any had others."""
        boot_files = transaction.boot_files if self.options["state"] == "present" else None
        if boot_files is None:
            return False
        return self.attributes.correct(file.path for file in (boot_files.record, *boot_files.files))


@contextlib.contextmanager
def _saying_changed(changed: bool) -> t.Iterator[None]:
    """Let an error of the body say that a change was rolled back before it, if one was."""
    try:
        yield
    except ConntrackError as error:
        if changed:
            error.result["changed"] = True
            error.message = f"{_ROLLED_BACK} {error.message.replace('Nothing was', 'Nothing else was')}"
        raise


def _describe_pending(pending: Pending) -> _Result:
    """Return what the result says of a change that waits, or waited."""
    return {
        "change": pending.id,
        "within": pending.within,
        "seconds_left": round(pending.seconds_left, 1),
        "confirmed": pending.confirmed,
    }
