# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The variables that this collection reads, and which of them somebody meant who wrote another name."""

from __future__ import annotations

import collections.abc
import difflib
import functools
import re
import typing as t

PREFIX = "conntrack_"

OPTIONS = {
    "conntrack_audit_baseline": "str",
    "conntrack_audit_batch": "raw",
    "conntrack_audit_checks": "list of dict",
    "conntrack_audit_extra_checks": "list of dict",
    "conntrack_audit_extra_gates": "list of dict",
    "conntrack_audit_fail_on": "str",
    "conntrack_audit_gates": "list of dict",
    "conntrack_audit_namespace_checks": "list of dict",
    "conntrack_audit_namespaces": "str",
    "conntrack_audit_new_connection": "bool",
    "conntrack_audit_report_directory": "str",
    "conntrack_audit_report_formats": "list of str",
    "conntrack_audit_report_keep": "int",
    "conntrack_audit_report_mode": "str",
    "conntrack_audit_report_name": "str",
    "conntrack_audit_report_show": "bool",
    "conntrack_audit_report_webhook": "str",
    "conntrack_audit_report_webhook_on": "str",
    "conntrack_audit_sample": "str",
    "conntrack_audit_selectors": "dict",
    "conntrack_audit_settle": "int",
    "conntrack_audit_skipped_checks": "list of str",
    "conntrack_audit_skipped_gates": "list of str",
    "conntrack_audit_slices": "list of str",
    "conntrack_audit_top": "int",
    "conntrack_prepare_accounting": "bool",
    "conntrack_prepare_directory": "str",
    "conntrack_prepare_extra_systems": "dict",
    "conntrack_prepare_method": "str",
    "conntrack_prepare_package": "str",
    "conntrack_prepare_pip_options": "list of str",
    "conntrack_prepare_pyroute2": "bool",
    "conntrack_prepare_state": "str",
    "conntrack_prepare_sysctl_file": "path",
    "conntrack_prepare_systems": "dict",
    "conntrack_prepare_timestamps": "bool",
    "conntrack_prepare_user": "str",
    "conntrack_prepare_user_keys": "list of str",
    "conntrack_prepare_wheel": "str",
    "conntrack_prune_active_address": "list of str",
    "conntrack_prune_assume_enabled": "list of str",
    "conntrack_prune_backup": "bool",
    "conntrack_prune_backup_dir": "str",
    "conntrack_prune_backup_fetch": "str",
    "conntrack_prune_backup_keep": "int",
    "conntrack_prune_confirm_idle": "str",
    "conntrack_prune_exclude": "raw",
    "conntrack_prune_match": "raw",
    "conntrack_prune_max_delete": "raw",
    "conntrack_prune_protect": "list of str",
    "conntrack_prune_protect_helpers": "bool",
    "conntrack_prune_protect_management": "bool",
    "conntrack_prune_protect_pair": "bool",
    "conntrack_prune_sample": "int",
    "conntrack_prune_select": "raw",
    "conntrack_prune_unprotect": "list of str",
    "conntrack_tune_confirm_within": "str",
    "conntrack_tune_extra_profiles": "dict",
    "conntrack_tune_forecast": "bool",
    "conntrack_tune_headroom": "float",
    "conntrack_tune_load_factor": "float",
    "conntrack_tune_measure_after": "int",
    "conntrack_tune_memory_share": "float",
    "conntrack_tune_overrides": "dict",
    "conntrack_tune_peak": "str",
    "conntrack_tune_persist": "bool",
    "conntrack_tune_profile": "str",
    "conntrack_tune_profiles": "dict",
    "conntrack_tune_protect": "list of str",
    "conntrack_tune_shorten": "bool",
    "conntrack_tune_sizing": "bool",
    "conntrack_tune_state": "str",
    "conntrack_tune_sysctl_file": "path",
    "conntrack_tune_unprotect": "list of str",
}
"""The options of the roles with their types, as their argument specifications have them."""

RENAMED = {
    "conntrack_prune_turned_on": "conntrack_prune_assume_enabled",
    "conntrack_tune_load": "conntrack_tune_load_factor",
    "conntrack_tune_recap": "conntrack_tune_shorten",
    "conntrack_tune_size": "conntrack_tune_sizing",
}
"""Options whose old names still work, with a warning, until 2.0.0: by old name, the new one."""

OPTIONS |= {old: OPTIONS[new] for old, new in RENAMED.items()}

READERS = {
    "batch": ("audit", "prepare", "prune", "restore", "site", "tune"),
    "fail_on": ("audit", "report", "site"),
}
"""The short names that several playbooks read, and no other one does: by name, these playbooks."""

OF_PLAYBOOKS = (*READERS, "target")
"""What the playbooks read under a short name, from the command line or the variables of an import."""

KNOWN_VARIABLES = "conntrack_known_variables"
"""The user's own list of names that something else reads, such as an inventory plugin."""

OF_INVENTORY = (KNOWN_VARIABLES, "conntrack_pair", "conntrack_protect")
"""What is read of a router's variables, and is no option of a role."""

SET_BY_US = frozenset(
    {
        "conntrack_audit_after",
        "conntrack_audit_all_gates",
        "conntrack_audit_batches",
        "conntrack_audit_before",
        "conntrack_audit_failure",
        "conntrack_audit_health",
        "conntrack_audit_judged",
        "conntrack_audit_left_out",
        "conntrack_audit_patterns",
        "conntrack_audit_plan",
        "conntrack_audit_planned",
        "conntrack_audit_prune_selection",
        "conntrack_audit_reference",
        "conntrack_audit_report_playbook",
        "conntrack_audit_reported",
        "conntrack_audit_stopped",
        "conntrack_audit_tune",
        "conntrack_audit_wanted_checks",
        "conntrack_audit_wanted_selectors",
        "conntrack_explain_read",
        "conntrack_explain_result",
        "conntrack_explain_shown",
        "conntrack_find_result",
        "conntrack_find_shown",
        "conntrack_preflight_at_once",
        "conntrack_preflight_changes",
        "conntrack_preflight_message",
        "conntrack_preflight_reads",
        "conntrack_preflight_routers",
        "conntrack_preflight_that",
        "conntrack_prepare_installed",
        "conntrack_prepare_known_systems",
        "conntrack_prepare_looked",
        "conntrack_prepare_plan",
        "conntrack_prepare_present",
        "conntrack_prepare_read",
        "conntrack_prepare_record",
        "conntrack_prepare_removed",
        "conntrack_prepare_result",
        "conntrack_prepare_rmdir",
        "conntrack_prepare_set",
        "conntrack_prepare_user_made",
        "conntrack_prepare_wheel_copy",
        "conntrack_prune_done",
        "conntrack_prune_fetched",
        "conntrack_prune_now",
        "conntrack_prune_rehearsed",
        "conntrack_prune_result",
        "conntrack_restore_brought",
        "conntrack_restore_copy",
        "conntrack_restore_directory",
        "conntrack_restore_found",
        "conntrack_restore_removed",
        "conntrack_restore_result",
        "conntrack_tune_applied",
        "conntrack_tune_available",
        "conntrack_tune_fitted_size",
        "conntrack_tune_foretold",
        "conntrack_tune_only_looks",
        "conntrack_tune_plan",
        "conntrack_tune_present",
        "conntrack_tune_read_back",
        "conntrack_tune_result",
        "conntrack_tune_shortened",
        "conntrack_tune_turns_on",
    }
)
"""What the roles and playbooks set themselves: results, and values between two tasks."""

_READ = (*OPTIONS, *OF_INVENTORY)
_SUGGESTIONS = tuple(name for name in _READ if name not in RENAMED)
_KNOWN = {*_READ, *SET_BY_US}

_PREFIXES_OF_OTHERS = ("ansible_", "awx_", "semaphore_", "tower_")
"""Ansible's own variables, and what AWX, Automation Platform and Semaphore add to the command line of each job."""

_MEANT = {
    "group": "target",
    "groups": "target",
    "host": "target",
    "hosts": "target",
    "limit": "target",
    "profile": "conntrack_tune_profile",
    "serial": "batch",
}
"""Words of Ansible, and of this collection, for what has another name here."""

_SELECTION = {name: f"conntrack_prune_{name}" for name in ("exclude", "match", "select")}
"""What the modules call it, and the playbook find. The others read it of the role's variables."""

_NEAR = 0.9
"""From which likeness (difflib) on a long name can only be a slip of the pen."""

_NEAR_A_WORD = 0.8
"""The same for the short names of the playbooks."""

_SUGGESTED = 0.6
"""From which likeness on a name is worth a suggestion, where it is wrong anyway."""

_MOST_NAMES = 5
"""Routers that a message names."""

_ROLES = ("audit", "prepare", "prune", "tune")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Variables = t.Mapping[str, t.Any]


def is_unread(name: str, value: t.Any = None) -> bool:
    """Return whether nothing of ours reads a variable of a router that has our prefix, or one that is nearly it.

    What a task registered under such a name is nobody's typo.
    """
    if name in _KNOWN or _is_registered(value):
        return False
    return name.startswith(PREFIX) or meant_by(name) is not None


@functools.lru_cache(maxsize=4096)
def meant_by(name: str) -> str | None:
    """Return which of our variables a misspelt name stands for, or None."""
    if name[:1] not in "cC" or name in _KNOWN:
        return None
    return _closest(_normalized(name), _SUGGESTIONS, _NEAR)


def is_unread_extra(name: str) -> bool:
    """Return whether nothing of ours reads an extra variable, and neither Ansible nor what started it gave its name."""
    return name not in (*_READ, *OF_PLAYBOOKS) and not name.startswith(_PREFIXES_OF_OTHERS)


def is_near_ours(name: str, given: t.Collection[str], reads: t.Collection[str] = ()) -> bool:
    """Return whether a variable of a run or of an import, which nothing of ours reads, may have been meant for us.

    In a playbook of the user's own, his plays may read all the others. A word such as ``group`` is his own too if what
    it could have meant is among the ``given`` names. ``reads`` are the short names that this playbook reads.
    """
    if name in _MEANT:
        return _MEANT[name] not in given
    if name.startswith(PREFIX) or meant_by(name):
        return True
    words = (word for word in {*OF_PLAYBOOKS, *reads} if word[:1] == name[:1] and abs(len(word) - len(name)) <= 1)
    return name not in reads and _closest(name, words, _NEAR_A_WORD) is not None


def nearest(name: str) -> str | None:
    """Return the variable that somebody who wrote ``name`` may have meant, or None."""
    written = _normalized(name)
    # What all of our names have in common says nothing about which of them is meant.
    rest = written.removeprefix(PREFIX)
    meant = meant_by(name) or _MEANT.get(rest) or _SELECTION.get(rest) or _closest(rest, OF_PLAYBOOKS, _NEAR_A_WORD)
    if meant:
        return meant
    role = next((role for role in _ROLES if rest.startswith(f"{role}_")), None)
    beginnings = [f"{PREFIX}{role}_"] if role else [f"{PREFIX}{each}_" for each in _ROLES]
    rests = {name.removeprefix(start): name for start in beginnings for name in _SUGGESTIONS if name.startswith(start)}
    rests |= {} if role else {name.removeprefix(PREFIX): name for name in _SUGGESTIONS}
    closest = _closest(rest.removeprefix(f"{role}_") if role else rest, rests, _SUGGESTED)
    return rests[closest] if closest else None


def names_in_templates(values: t.Iterable[t.Any]) -> set[str]:
    """Return every word that stands in a template text anywhere in ``values``: the names that they may read."""
    found: set[str] = set()
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if is_template(value):
            found.update(_IDENTIFIER.findall(value))
        elif isinstance(value, collections.abc.Mapping):
            waiting.extend(value.values())
        elif isinstance(value, (list, tuple)):
            waiting.extend(value)
    return found


def is_template(value: t.Any) -> bool:
    """Return whether ``value`` is a text that Ansible would template."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def unread_message(name: str, hosts: t.Sequence[str] = (), reads: t.Collection[str] = ()) -> str:
    """Return the sentences for a variable that nothing reads, with the routers that have it.

    ``reads`` are the short names that this playbook reads.
    """
    if name in SET_BY_US:
        return f"{name} is a result of this collection, and cannot be given."
    if name in READERS:
        return f"{name}: this playbook does not read this variable. Only {_readers(name)} do. Leave it out."
    of_its_own = [word for word in reads if word not in OF_PLAYBOOKS]
    meant = _closest(_normalized(name), of_its_own, _SUGGESTED) or nearest(name)
    question = f" Did you mean {meant}?" if meant else ""
    if reads and meant in READERS and meant not in reads:
        question += f" Only {_readers(meant)} read that."
    return f"{name}{of_hosts(hosts)}: nothing reads this variable.{question}"


def of_hosts(hosts: t.Sequence[str]) -> str:
    """Return the part of a message that says whose variable it is. Empty if no router has it."""
    return f" (a variable of {_named(hosts)})" if hosts else ""


def _readers(name: str) -> str:
    *others, last = READERS[name]
    return f"{', '.join(others)} and {last}"


def _named(names: t.Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return f"{', '.join(names[:_MOST_NAMES])}{f' and {more} more' if more > 0 else ''}"


def _closest(name: str, names: t.Iterable[str], cutoff: float) -> str | None:
    close = difflib.get_close_matches(name, names, 1, cutoff)
    return close[0] if close else None


def _normalized(name: str) -> str:
    return name.lower().replace("-", "_")


def _is_registered(value: t.Any) -> bool:
    return isinstance(value, collections.abc.Mapping) and "changed" in value and "failed" in value
