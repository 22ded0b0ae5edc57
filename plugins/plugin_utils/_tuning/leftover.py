# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Which settings an earlier profile left on a router: those on record that the profile of today does not name."""

from __future__ import annotations

import os
import pathlib
import typing as t

import yaml
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.netops.conntrack.plugins.module_utils._errors import UnavailableError
from ansible_collections.netops.conntrack.plugins.plugin_utils._tuning.profiles import short_name

_DEFAULTS = pathlib.Path(__file__).parents[3] / "roles" / "conntrack_tune" / "defaults" / "main.yml"
_SIZED = frozenset({"max", "buckets"})

Values = t.Mapping[str, t.Any]


def describe(records: Values, variables: Values | None) -> dict[str, t.Any]:
    """Return for the checks which settings are ``leftover``. None if that is unknown, with the reason.

    ``records`` is of the facts ``boot``. ``variables`` are those of the role conntrack_tune, without the beginning of
    their names, as far as they are set for the router. None stands for a profile that is not known.
    """
    try:
        return {"leftover": _leftover(records, variables), "unavailable": None}
    except UnavailableError as error:
        return {"leftover": None, "unavailable": error.message}


def _leftover(records: Values, given: Values | None) -> list[str]:
    if given is None:
        raise UnavailableError("the profile of the router is not known")
    variables = {**_defaults(), **{name: value for name, value in given.items() if value is not None}}
    if records["settings"] is None:
        raise UnavailableError(records["unreadable"])
    sysctl_file = os.path.normpath(variables["sysctl_file"])
    if os.path.dirname(sysctl_file) != "/etc/sysctl.d":
        raise UnavailableError(f"the record of {sysctl_file} is not read, only those in /etc/sysctl.d")
    recorded = {short for file in records["files"] if file["sysctl_file"] == sysctl_file for short in file["settings"]}
    return sorted(recorded - _wanted(variables))


def _wanted(variables: Values) -> set[str]:
    """Return the short names of all that the role would set."""
    if variables["state"] == "absent":
        return set()
    profiles = {**variables["profiles"], **variables["extra_profiles"]}
    profile = variables["profile"]
    if profile not in profiles:
        raise UnavailableError(f"conntrack_tune_profile: {profile} is no profile")
    names = [*profiles[profile]["settings"], *variables["overrides"]]
    return {short_name(name) for name in names} | (_SIZED if boolean(variables["sizing"], strict=False) else set())


def _defaults() -> dict[str, t.Any]:
    """Return the defaults of the role conntrack_tune that say what it sets."""
    defaults = yaml.load(_DEFAULTS.read_text(encoding="utf-8"), Loader=_LOADER)
    names = ("profile", "state", "overrides", "extra_profiles", "profiles", "sizing", "sysctl_file")
    return {name: defaults[f"conntrack_tune_{name}"] for name in names}


_LOADER: t.Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
