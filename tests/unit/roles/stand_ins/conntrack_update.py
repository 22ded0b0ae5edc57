# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands in for conntrack_update: the router is a JSON file, whose name is in the environment."""

from __future__ import annotations

import json
import os
import pathlib

from ansible.module_utils.basic import AnsibleModule

ZEROS = ("updated", "already_gone", "not_updated", "undecidable", "protected", "without_timeout", "not_listed")


def main() -> None:
    module = AnsibleModule(
        {
            "timeout": {"type": "raw", "required": True},
            "assume_deleted": {"type": "dict"},
            "protect": {"type": "list", "elements": "str"},
            "unprotect": {"type": "list", "elements": "str"},
        },
        supports_check_mode=True,
    )
    path = pathlib.Path(os.environ["ROUTER"])
    with path.with_suffix(".updates").open("a") as calls:
        calls.write(json.dumps(module.params) + "\n")
    router = json.loads(path.read_text())
    count, settings = router["facts"]["usage"]["count"], module.params["timeout"]["settings"]
    if module.params["assume_deleted"]:
        if not module.check_mode:
            module.fail_json(msg="assume_deleted is for rehearsals")
        count -= router["facts"]["selectors"]["stale"]["entries"]
    # All idle entries of the file have the kernel's five days.
    idle = router.get("idle", 0) if settings.get("tcp_timeout_established", 432000) < 432000 else 0
    account: dict[str, object] = dict.fromkeys(ZEROS, 0)
    account["protected_by"] = {}
    account["kept"] = {"not_lowered": router.get("phones", 0), "rule": 0, "helper": 0, "longer_than_before": 0}
    account |= {"matched": count, "would_update": idle, "unchanged": count - idle, "fixed_timeout": 3 if idle else 0}
    if not module.check_mode:
        account["updated"] = idle
        router["idle"] = 0
        path.write_text(json.dumps(router))
    module.exit_json(changed=idle > 0, **account)


if __name__ == "__main__":
    main()
