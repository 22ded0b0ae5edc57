# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The shapes of what the modules return that change entries, settings and timeout policies."""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.plugin_utils._router.common_shapes import (
    COUNT,
    NAMES,
    OPTIONAL_COUNT,
    PATH,
    SETTINGS,
    VALUE,
    Arguments,
    Fields,
    asked,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.info_shapes import ENTRY
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.shape import (
    Shape,
    boolean,
    list_of,
    mapping,
    number,
    optional,
    record,
    text,
    whole,
)

_MOST_TIMEOUTS = 32
"""More than a policy of any protocol has."""

_MOST_REFUSALS = 100_000
"""More expectations than anybody gives to a task."""

PRUNE_COUNTS = (
    "matched",
    "protected",
    "would_delete",
    "deleted",
    "already_gone",
    "not_deleted",
    "undecidable",
    "count_before",
)
PRUNE_UNSURE_COUNTS = ("woken", "count_after", "not_listed")
"""Those that are null where nobody looked, or the kernel does not say."""


def prune(arguments: Arguments) -> Fields:
    """Return the fields of what conntrack_prune returns for these ``arguments``."""
    size = asked(arguments, "sample", 5)
    sample = list_of(ENTRY, size)
    return {
        **dict.fromkeys(PRUNE_COUNTS, COUNT),
        **dict.fromkeys(PRUNE_UNSURE_COUNTS, OPTIONAL_COUNT),
        "standby": optional(boolean),
        "kept": kept_entries(sample),
        "backup_file": optional(text(PATH)),
        "lines": list_of(text(2000), size),
        "sample": sample,
    }


def kept_entries(sample: Shape) -> Shape:
    """Return the shape of what a prune says of entries that a guard keeps."""
    group = record({"reason": text(), "option": text(), "entries": COUNT}, {"sample": sample})
    return list_of(group, 16)


UPDATE: Fields = {
    **dict.fromkeys(
        (
            "matched",
            "protected",
            "would_update",
            "updated",
            "unchanged",
            "already_gone",
            "fixed_timeout",
            "without_timeout",
            "undecidable",
            "not_updated",
        ),
        COUNT,
    ),
    "not_listed": OPTIONAL_COUNT,
    "kept": mapping(COUNT, 16),
    "protected_by": mapping(COUNT, 16),
}

_CREATED = ("wanted", "existing", "would_create", "created", "refused")
_EXPECTATIONS = record(
    {
        **dict.fromkeys((*_CREATED, "ended"), COUNT),
        "refusals": list_of(record({"expectation": COUNT, "reason": text(500)}), _MOST_REFUSALS),
    }
)


def create(arguments: Arguments) -> Fields:
    """Return the fields of what conntrack_create returns for these ``arguments``."""
    fields: Fields = {**dict.fromkeys((*_CREATED, "without_labels"), COUNT), "count_after": OPTIONAL_COUNT}
    return fields if arguments.get("expectations") is None else {**fields, "expectations": _EXPECTATIONS}


RESTORE: Fields = {
    **dict.fromkeys(
        (
            "entries",
            "matched",
            "undecidable",
            "expired",
            "without_timeout",
            "existing",
            "would_restore",
            "restored",
            "refused",
            "without_labels",
        ),
        COUNT,
    ),
    "count_after": OPTIONAL_COUNT,
    "src": text(PATH),
    "written_at": text(),
    "complete": optional(boolean),
    "standby": optional(boolean),
}

_SETTING = record(
    {
        "name": text(),
        "wanted": VALUE,
        "runtime_before": optional(VALUE),
        "runtime_after": optional(VALUE),
        "boot_before": optional(VALUE),
        "boot": optional(VALUE),
        "restored": boolean,
    },
    {"boot_file": optional(text(PATH)), "boot_line": OPTIONAL_COUNT},
)
_CONFIRM = record({"change": text(), "within": whole(0, 3600), "seconds_left": number(0, 3600), "confirmed": boolean})
CHANGED_SETTINGS: Fields = {
    "settings": mapping(_SETTING, SETTINGS),
    "restored": NAMES,
    "confirm": optional(_CONFIRM),
    "unsupported": NAMES,
    "read_only": NAMES,
}

_POLICY = record(
    {"name": text(), "family": text(), "protocol": text(), "timeouts": mapping(COUNT, _MOST_TIMEOUTS), "users": COUNT}
)
TIMEOUT_POLICY: Fields = {
    "policy": optional(_POLICY),
    "policy_before": optional(_POLICY),
    "for_boot": optional(text(2000)),
    "boot": optional(
        record({"file": optional(text(PATH)), "loaded_by": optional(text(PATH)), "checked": optional(boolean)})
    ),
}
