# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands in for conntrack_prune: the router is a JSON file, whose name is in the environment."""

from __future__ import annotations

import json
import os
import pathlib

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        {
            "match": {"type": "list"},
            "exclude": {"type": "list"},
            "protect_management": {"type": "bool"},
            "max_delete": {"type": "raw"},
            "sample": {"type": "int"},
        },
        supports_check_mode=True,
    )
    path = pathlib.Path(os.environ["ROUTER"])
    router = json.loads(path.read_text())
    usage, stale = router["facts"]["usage"], router["facts"]["selectors"]["stale"]
    if not router["facts"]["settings"]["acct"]:
        name = "net.netfilter.nf_conntrack_acct"
        module.fail_json(msg=f"{name} is off", unavailable=name)
    account = {"matched": stale["entries"], "protected": 0, "would_delete": stale["entries"], "undecidable": 0}
    account |= {"count_before": usage["count"], "count_after": usage["count"], "deleted": 0, "already_gone": 0}
    if router.get("gate") and module.params["max_delete"] is not None:
        module.fail_json(msg="max_delete: refused", **account)
    stuck = min(router.get("stuck", 0), stale["entries"])
    if not module.check_mode:
        deleted = stale["entries"] - stuck
        usage["count"] -= deleted
        usage["percent"] = round(100 * usage["count"] / usage["max"], 2)
        stale["entries"] = stuck
        account |= {"deleted": deleted, "failed": stuck, "count_after": usage["count"]}
        path.write_text(json.dumps(router))
    module.exit_json(changed=account["would_delete"] > 0, sample=[], **account)


if __name__ == "__main__":
    main()
