# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Old names of variables and profiles: each works until 2.0.0, with a warning, and never next to the new name."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.variables import (
    RENAMED,
    Variables,
    names_in_templates,
    of_hosts,
)

RENAMED_PROFILES = {"story": "expire_dead_connections"}
"""Profiles of the collection that have another name since 1.0.0: by old name, the new one."""

_SINCE = "1.0.0"
_UNTIL = "2.0.0"


def deprecations(sources: t.Iterable[Variables]) -> list[dict[str, str]]:
    """Return the deprecations of a task's result for the old names in ``sources``, each once, however many have it.

    They name no routers, so Ansible shows a text once in a run, although many tasks return it.
    """
    found = {message for variables in sources for message in _messages(variables)}
    return [{"msg": message, "version": _UNTIL, "collection_name": "netops.conntrack"} for message in sorted(found)]


def given_twice(*sources: Variables) -> list[str]:
    """Return the old names that stand next to their new ones in ``sources``, of which the last one wins.

    A new name whose value is a template that reads the old one is not given twice. The defaults of the roles are such.
    """
    found = []
    for old, new in RENAMED.items():
        values = [variables[new] for variables in sources if new in variables]
        if values and any(old in variables for variables in sources) and old not in names_in_templates(values[-1:]):
            found.append(old)
    return found


def given_twice_message(old: str, hosts: t.Sequence[str] = ()) -> str:
    """Return the sentence for a variable that has a value under both of its names, with the routers whose it is."""
    return f"{old}{of_hosts(hosts)} is the old name of {RENAMED[old]}, and both are given. Remove {old}."


def _messages(variables: Variables) -> t.Iterator[str]:
    for old, new in RENAMED.items():
        if old in variables:
            yield f"The variable {old} is called {new} since {_SINCE}. Use that name."
    old_profile = variables.get("conntrack_tune_profile")
    if isinstance(old_profile, str) and old_profile in RENAMED_PROFILES and not _is_own(old_profile, variables):
        new_profile = RENAMED_PROFILES[old_profile]
        yield f"The profile {old_profile} is called {new_profile} since {_SINCE}. Use that in conntrack_tune_profile."


def _is_own(profile: str, variables: Variables) -> bool:
    own = variables.get("conntrack_tune_extra_profiles")
    return isinstance(own, dict) and profile in own
