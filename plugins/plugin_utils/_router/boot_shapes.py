# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The shape of the facts ``boot``: what the next boot makes of the settings."""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.plugin_utils._router.common_shapes import (
    NAMES,
    PATH,
    SETTINGS,
    VALUE,
    Fields,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.shape import (
    boolean,
    list_of,
    mapping,
    optional,
    record,
    text,
    whole,
    words,
)

_FILES = 4096

_FILE_AND_LINE: Fields = {"file": optional(text(PATH)), "line": optional(whole())}
_OPTIONAL_LINE = optional(record(_FILE_AND_LINE))
_VALUE_AND_LINE = record({"value": optional(VALUE), **_FILE_AND_LINE})

_BOOT_SETTING = record(
    {
        "runtime": optional(VALUE),
        "boot": optional(VALUE),
        **_FILE_AND_LINE,
        "drift": optional(boolean),
        "owners": NAMES,
        "overridden": list_of(_VALUE_AND_LINE, _FILES),
    }
)
_RECORDED = record({"name": text(), "runtime": optional(VALUE), "lines": optional(words(lines=True))})
_RECORDS = record(
    {
        "files": list_of(
            record({"sysctl_file": text(PATH), "settings": mapping(_RECORDED, SETTINGS)}),
            _FILES,
        ),
        "settings": optional(NAMES),
        "unreadable": optional(words()),
    }
)
BOOT = record(
    {
        "settings": mapping(_BOOT_SETTING, SETTINGS),
        "drift": NAMES,
        "lost": optional(words()),
        "lost_settings": NAMES,
        "undecided": optional(words()),
        "undecided_settings": NAMES,
        "invalid": NAMES,
        "overridden": NAMES,
        "contested": NAMES,
        "module": text(),
        "module_file": _OPTIONAL_LINE,
        "replayed_by": _OPTIONAL_LINE,
        "hashsize": optional(_VALUE_AND_LINE),
        "owners": list_of(record({"owner": text(PATH), "settings": NAMES, "evidence": text(2 * PATH)}), _FILES),
        "records": _RECORDS,
    },
    {"init": text(), "sysctl_files": optional(list_of(text(PATH), _FILES)), "unreadable": list_of(text(PATH), _FILES)},
)
