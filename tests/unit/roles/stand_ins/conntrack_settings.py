# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands in for conntrack_settings: the router is a JSON file, whose name is in the environment."""

from __future__ import annotations

import json
import os
import pathlib

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        {
            "settings": {"type": "dict"},
            "persist": {"type": "bool"},
            "sysctl_file": {"type": "path"},
            "exclusive": {"type": "bool"},
            "state": {"type": "str"},
            "change": {"type": "str"},
            "confirm_within": {"type": "str"},
        },
        supports_check_mode=True,
    )
    path = pathlib.Path(os.environ["ROUTER"])
    router = json.loads(path.read_text())
    refused: dict[str, list[str]] = {"unsupported": [], "read_only": []}
    confirm = {"change": "one", "within": 60, "seconds_left": 59.0, "confirmed": False}
    if module.params["state"] == "confirmed":
        if router.get("gone_back") or module.params["change"] != "one":
            module.fail_json(msg="No change waits for its confirmation. Restored: all of it.")
        module.exit_json(changed=True, settings={}, restored=[], confirm={**confirm, "confirmed": True}, **refused)
    present, boot, wanted = router["facts"]["settings"], router["boot"], module.params["settings"]
    record = router.setdefault("record", {})
    back = module.params["exclusive"] or module.params["state"] == "absent"
    restored = {short: before for short, before in record.items() if back and short not in wanted}
    new = {**wanted, **{short: before[0] for short, before in restored.items()}}
    new_boot = {**wanted, **{short: before[1] for short, before in restored.items()}}
    unsupported = sorted(wanted.keys() - present.keys())
    read_only = sorted(wanted.keys() & set(router.get("read_only", [])))
    if unsupported or read_only:
        module.fail_json(msg=f"refused: {unsupported + read_only}", unsupported=unsupported, read_only=read_only)
    settings = {
        short: {
            "name": f"net.netfilter.nf_conntrack_{short}",
            "wanted": value,
            "runtime_before": present[short],
            "runtime_after": value,
            "boot_before": boot.get(short),
            "boot": new_boot[short],
            "boot_file": module.params["sysctl_file"],
            "restored": short in restored,
        }
        for short, value in new.items()
    }
    changed = any(present[short] != value or boot.get(short) != new_boot[short] for short, value in new.items())
    if not module.check_mode:
        record.update({short: [present[short], boot.get(short)] for short in wanted if short not in record})
        for short in restored:
            del record[short]
        present.update(new)
        present.update(router.get("overwritten", {}))
        boot.update(new_boot)
        path.write_text(json.dumps(router))
    waits = changed and not module.check_mode and module.params["confirm_within"] != "0"
    waiting = confirm if waits else None
    module.exit_json(changed=changed, settings=settings, restored=sorted(restored), confirm=waiting, **refused)


if __name__ == "__main__":
    main()
