# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""From the options of conntrack_settings to the change as a whole, in the kernel and in the files."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._settings.change import Change
from ansible_collections.netops.conntrack.plugins.module_utils._settings.persistence import keep
from ansible_collections.netops.conntrack.plugins.module_utils._settings.record import Before, read_record
from ansible_collections.netops.conntrack.plugins.module_utils._settings.setting_plan import (
    Desired,
    desired_settings,
    lacking,
    nearly_full_warnings,
    plan,
    plan_boot_only,
    plan_restored,
    plan_unloaded,
    read_only_among,
    refuse_unknown,
    restored_at_boot_only,
)
from ansible_collections.netops.conntrack.plugins.module_utils._settings.transaction import Transaction
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl import kernel_module
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import find_sysctls, short_name_of
from ansible_collections.netops.conntrack.plugins.module_utils._units import parse_duration

Options = t.Mapping[str, t.Any]
"""The options of the module, as its documentation has them."""

_LIMITS = ("max", "buckets", "expect_max")


def check_options(params: Options) -> None:
    """Refuse options that contradict each other. Raises OptionError."""
    state, settings, at_least = params["state"], params["settings"], params["at_least"]
    if params["netns"] is not None and params["persist"] and state != "confirmed":
        problem = (
            "cannot be combined with netns, because drop-in files are applied to the machine and not to a namespace"
        )
        raise OptionError("persist", True, problem, "Set persist: false.")
    if state == "present" and not settings and not at_least and not params["exclusive"]:
        remedy = "Give settings, at_least, or both. With exclusive: true, nothing is what remains of earlier runs."
        raise OptionError("settings", settings, "names nothing to set", remedy)
    if state != "present" and at_least:
        problem = "is for values that are to be set"
        raise OptionError("at_least", at_least, problem, "Name the settings in the option settings.")
    if state == "absent" and not params["persist"]:
        problem = "leaves no record of what was there before, so that nothing can be restored"
        raise OptionError("persist", False, problem, "Set the values that you want with state: present.")
    if params["exclusive"]:
        _check_exclusive(params)
    if not params["runtime"]:
        _check_boot_only(params)
    if state == "confirmed":
        _check_confirmed(params)
    elif params["change"] is not None:
        problem = "is for a change that waits for its confirmation"
        raise OptionError("change", params["change"], problem, "Leave it out, or give state: confirmed.")


def _check_confirmed(params: Options) -> None:
    """Refuse what is to be set while nothing is set. Raises OptionError."""
    remedy = "Leave it out: state: confirmed keeps the change that waits, and sets nothing."
    if params["settings"]:
        raise OptionError("settings", params["settings"], "cannot be combined with state: confirmed", remedy)
    if within_of(params):
        problem = "cannot be combined with state: confirmed"
        raise OptionError("confirm_within", params["confirm_within"], problem, remedy)


def _check_exclusive(params: Options) -> None:
    """Refuse what ``exclusive`` cannot be combined with. Raises OptionError."""
    if params["state"] != "present":
        problem = f"cannot be combined with state: {params['state']}"
        raise OptionError("exclusive", True, problem, "Leave it out: state: absent restores all if settings is empty.")
    if not params["persist"]:
        problem = "needs the record of what earlier runs set, and with persist: false there is none"
        raise OptionError("exclusive", True, problem, "Leave one of them out.")


def _check_boot_only(params: Options) -> None:
    """Refuse what ``runtime: false`` cannot be combined with. Raises OptionError."""
    if not params["persist"]:
        problem = "leaves nothing to do with persist: false"
        raise OptionError("runtime", False, problem, "Leave one of them out.")
    if params["state"] == "confirmed" or within_of(params):
        problem = "changes nothing that could be confirmed"
        raise OptionError("runtime", False, problem, "Leave out confirm_within and state: confirmed.")
    if params["at_least"]:
        problem = "cannot be combined with at_least, because the value that the kernel will start with is not known"
        raise OptionError("runtime", False, problem, "Give the values in settings.")


def within_of(params: Options) -> int:
    """Return the seconds in which the change is to be confirmed. 0 if it need not be."""
    seconds = parse_duration(params["confirm_within"], "confirm_within")
    if seconds > 3600:
        raise OptionError("confirm_within", params["confirm_within"], "is too long", "Give up to 1h; 0 for no need.")
    return seconds


class PlannedChange(t.NamedTuple):
    """The change to carry out, the settings left out because this kernel lacks them, and what to warn of."""

    transaction: Transaction
    unsupported: list[str]
    warnings: list[str]


class _Back(t.NamedTuple):
    """The settings of the record that become what they were before, what that takes in the kernel, and warnings."""

    settings: t.Mapping[str, Before]
    changes: list[Change]
    warnings: list[str]


def plan_change(params: Options, check_mode: bool) -> PlannedChange:
    """Plan what ``state`` asks for. Load nf_conntrack if it is missing, which is no change of any setting.

    Nothing else is changed. Raises ConntrackError for what cannot be done.
    """
    return _plan_present(params, check_mode) if params["state"] == "present" else _plan_absent(params)


def _plan_present(params: Options, check_mode: bool) -> PlannedChange:
    """Plan to set what is wanted and, with ``exclusive``, to restore what earlier runs set and this one does not."""
    wanted = desired_settings(params["settings"], params["at_least"])
    missing = bool(wanted) and params["runtime"] and params["load_module"] and not find_sysctls()
    if missing:
        _load(wanted, check_mode)
    left_out = lacking(wanted) if params["runtime"] and params["unsupported"] == "warn" else set()
    supported = [desired for desired in wanted if desired.short_name not in left_out]
    unloaded = missing and check_mode
    changes = _plan_wanted(supported, unloaded, params["runtime"])
    back = (
        _plan_exclusive(params, {desired.short_name for desired in wanted})
        if params["exclusive"]
        else _Back({}, [], [])
    )
    boot_files = None
    if params["persist"]:
        boot_files = keep(params["sysctl_file"], changes, params["load_module"], back.settings, not params["runtime"])
    transaction = Transaction([*changes, *back.changes], boot_files, back.settings, missing)
    warnings = [*_unloaded_warnings(unloaded), *_unsupported_warnings(left_out), *back.warnings]
    warnings += nearly_full_warnings(transaction.changes)
    return PlannedChange(transaction, sorted(left_out), warnings)


def _load(wanted: list[Desired], check_mode: bool) -> None:
    """Load nf_conntrack, unless in check mode. Raises ConntrackError for a value that no kernel takes, before that."""
    plan_unloaded(wanted)
    if not check_mode:
        kernel_module.load()


def _plan_wanted(wanted: list[Desired], unloaded: bool, runtime: bool) -> list[Change]:
    if not wanted:
        return []
    if not runtime:
        return plan_boot_only(wanted)
    return plan_unloaded(wanted) if unloaded else plan(wanted)


def _plan_exclusive(params: Options, named: set[str]) -> _Back:
    """Plan to restore what the record has besides the settings that are ``named``.

    What can only be read here, as max in a container, stays as it is, with a warning: nothing here could restore it.
    """
    recorded = read_record(params["sysctl_file"]).settings
    settings = {name: before for name, before in recorded.items() if name not in named}
    warnings = []
    for short_name in read_only_among(_values_of(settings)) if params["runtime"] else ():
        was = settings.pop(short_name).runtime
        warnings.append(
            f"{short_name} was set by an earlier run. It can only be read here, and is not restored to {was}."
        )
    back = _plan_back(settings, params["runtime"], warnings)
    return back._replace(warnings=[*warnings, *_lower_limit_warnings(back.changes)])


def _lower_limit_warnings(changes: t.Iterable[Change]) -> t.Iterator[str]:
    """Yield that a limit goes down which nobody named. It may have been raised by hand when the table was full."""
    for change in changes:
        if change.sysctl.short_name in _LIMITS and change.before is not None and change.wanted < change.before:
            yield (
                f"{change.sysctl.short_name} goes back from {change.before} to {change.wanted}, what it was before the "
                "first run, because nothing names it any more. To keep it, name it in settings or at_least (in the "
                "role conntrack_tune: conntrack_tune_overrides)."
            )


def _plan_back(settings: t.Mapping[str, Before], runtime: bool, warnings: list[str]) -> _Back:
    values = _values_of(settings)
    return _Back(settings, plan_restored(values) if runtime else restored_at_boot_only(values), warnings)


def _values_of(settings: t.Mapping[str, Before]) -> dict[str, int]:
    """Return what the kernel held before of ``settings``. What is not known is left out."""
    return {name: before.runtime for name, before in settings.items() if before.runtime is not None}


def _plan_absent(params: Options) -> PlannedChange:
    """Plan to restore what was there before the first run."""
    recorded = read_record(params["sysctl_file"]).settings
    refuse_unknown(params["settings"], recorded, find_sysctls() if params["runtime"] else ())
    short_names = {short_name_of(name) for name in params["settings"]}
    settings = {name: before for name, before in recorded.items() if not short_names or name in short_names}
    boot_files = keep(params["sysctl_file"], [], False, settings if short_names else None, not params["runtime"])
    back = _plan_back(settings, params["runtime"], [])
    warnings = nearly_full_warnings(back.changes)
    return PlannedChange(Transaction(back.changes, boot_files, back.settings), [], warnings)


def _unloaded_warnings(unloaded: bool) -> list[str]:
    words = "nf_conntrack would be loaded first. Which settings this kernel has is known only then."
    return [words] if unloaded else []


def _unsupported_warnings(unsupported: t.Collection[str]) -> list[str]:
    names = ", ".join(sorted(unsupported))
    return [f"This kernel does not have {names}, so that nothing is set for it."] if unsupported else []
