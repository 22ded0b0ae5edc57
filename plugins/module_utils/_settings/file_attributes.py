# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Owner, mode and security context of the files that keep settings, as the options of the module ask for them."""

from __future__ import annotations

import os
import stat
import typing as t

from ansible.module_utils.basic import AnsibleModule


class FileAttributes:
    """The attributes that the options mode, owner and group of a module ask for."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module

    def prepare(self, staged: str, path: str) -> None:
        """Give a staged file the attributes of the one at ``path`` that it replaces, and those asked for."""
        module = self._module
        exists = os.path.exists(path)
        wanted = module.load_file_common_arguments(module.params, path=path)
        if exists:
            present = os.stat(path)
            attributes = {"mode": stat.S_IMODE(present.st_mode), "owner": present.st_uid, "group": present.st_gid}
            wanted.update({key: value for key, value in attributes.items() if wanted[key] is None})
        if module.selinux_enabled():
            context_of = module.selinux_context if exists else module.selinux_default_context
            wanted["secontext"] = context_of(path)
        module.set_fs_attributes_if_different({**wanted, "path": staged}, False)

    def correct(self, paths: t.Iterable[str]) -> bool:
        """Give the files the attributes that were asked for if they have others. Say whether any had."""
        module = self._module
        existing = [path for path in paths if os.path.exists(path)]
        wanted = [module.load_file_common_arguments(module.params, path=path) for path in existing]
        changes = [module.set_fs_attributes_if_different(arguments, False) for arguments in wanted]
        return any(changes)
