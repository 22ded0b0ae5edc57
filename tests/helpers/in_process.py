# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module in the process of the tests: its own main(), without the half second that a process of its own takes."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import typing as t

from ansible.module_utils import basic
from helpers.support import ModuleResult

_MODULES = "ansible_collections.netops.conntrack.plugins.modules"


def call_module(name: str, args: dict[str, t.Any]) -> ModuleResult:
    """Call main() of the module ``name`` with ``args``, and give its result."""
    module = importlib.import_module(f"{_MODULES}.{name}")
    given = json.dumps({"ANSIBLE_MODULE_ARGS": {**args, "_ansible_no_log": True}}).encode()
    printed, code = io.StringIO(), 0
    with contextlib.redirect_stdout(printed):
        # As ansible.module_utils.testing.patch_module_args does, which ansible-core has since 2.19.
        before = (basic._ANSIBLE_ARGS, getattr(basic, "_ANSIBLE_PROFILE", None))
        basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = given, "legacy"
        try:
            module.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = before
    return ModuleResult(code, json.loads(printed.getvalue()))
