# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands in for conntrack_prune: the router is a JSON file, whose name is in the environment.

It appends the options of each call to a file beside that. Whatever it is asked to delete are the stale entries.
"""

from __future__ import annotations

import json
import os
import pathlib

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        {
            "select": {"type": "list", "elements": "str", "default": []},
            "match": {"type": "raw", "default": []},
            "exclude": {"type": "raw", "default": []},
            "confirm_idle": {"type": "str", "default": "0"},
            "confirm_idle_when": {"choices": ["always", "idle"], "default": "always"},
            "protect_management": {"type": "bool"},
            "protect_helpers": {"type": "bool"},
            "protect": {"type": "list", "elements": "str"},
            "unprotect": {"type": "list", "elements": "str"},
            "active_address": {"type": "list", "elements": "str", "default": []},
            "protect_pair": {"type": "bool"},
            "max_delete": {"type": "raw"},
            "sample": {"type": "int"},
            "entries": {"type": "bool"},
            "backup": {"type": "bool"},
            "backup_dir": {"type": "path"},
            "backup_keep": {"type": "int"},
        },
        supports_check_mode=True,
    )
    path = pathlib.Path(os.environ["ROUTER"])
    with path.with_suffix(".calls").open("a") as calls:
        calls.write(json.dumps({**module.params, "check_mode": module.check_mode}) + "\n")
    router = json.loads(path.read_text())
    if "no_facts" in router:
        module.fail_json(msg=router["no_facts"], **router.get("no_facts_because", {}))
    usage, stale = router["facts"]["usage"], router["facts"]["selectors"]["stale"]
    if not router["facts"]["settings"]["acct"]:
        name = "net.netfilter.nf_conntrack_acct"
        module.fail_json(msg=f"{name} is off", unavailable=name)
    looks_twice = module.params["confirm_idle"] != "0" and "idle" in json.dumps(module.params["match"])
    woken = router.get("woken", 0) if looks_twice else None
    found = stale["entries"]
    account = {"matched": found, "protected": 0, "kept": [], "woken": woken, "would_delete": found - (woken or 0)}
    account |= {"count_before": usage["count"], "undecidable": 0, "not_listed": 0, "deleted": 0}
    account["sample"] = router.get("sample", []) if module.params["entries"] else []
    account |= {"lines": [], "backup_file": None}
    account["standby"] = router.get("standby") if module.params["active_address"] else None
    if account["standby"]:
        module.exit_json(changed=False, already_gone=0, not_deleted=0, count_after=usage["count"], **account)
    if router.get("gate") and module.params["max_delete"] is not None:
        module.fail_json(msg="max_delete: refused", **account)
    stuck = min(router.get("stuck", 0), account["would_delete"])
    if not module.check_mode:
        if router.get("silent"):
            module.fail_json(msg="No answer. At least 7 entries had been deleted by then.", changed=True, deleted=7)
        account["deleted"] = account["would_delete"] - stuck
        if module.params["backup"] and account["deleted"]:
            backup = path.with_suffix(".save")
            backup.write_text("# netops.conntrack backup 1\n")
            account["backup_file"] = str(backup)
    if account["deleted"]:
        usage["count"] -= account["deleted"]
        usage["percent"] = round(100 * usage["count"] / usage["max"], 2)
        stale["entries"] -= account["deleted"]
        path.write_text(json.dumps(router))
    changed = bool(account["would_delete"] if module.check_mode else account["deleted"])
    account |= {"already_gone": 0, "not_deleted": 0 if module.check_mode else stuck, "count_after": usage["count"]}
    if account["not_deleted"]:
        module.fail_json(msg="The kernel refused them.", failures={"Device busy": stuck}, changed=changed, **account)
    module.exit_json(changed=changed, **account)


if __name__ == "__main__":
    main()
