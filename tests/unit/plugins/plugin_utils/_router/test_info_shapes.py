# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

from ansible_collections.netops.conntrack.plugins.module_utils._query.fields import ALL_FIELDS
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.info_shapes import ENTRY


def test_an_entry_has_the_fields_that_the_module_gives() -> None:
    assert ENTRY(dict.fromkeys(ALL_FIELDS)).keys() == ALL_FIELDS.keys()
    assert json.dumps(ENTRY({"helper": "ftp", "age": -5, "unknown": 1})) == '{"helper": "ftp", "age": -5}'
