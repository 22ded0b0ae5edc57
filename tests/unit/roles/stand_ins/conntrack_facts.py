# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands in for conntrack_facts: the router is a JSON file, whose name is in the environment.

It writes the selectors that it is asked for, and what a forecast takes for deleted, to files beside that.
"""

from __future__ import annotations

import json
import os
import pathlib

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        {
            "gather_subset": {"type": "list"},
            "selectors": {"type": "dict"},
            "top": {"type": "int"},
            "namespaces": {"type": "str"},
            "forecast": {"type": "dict"},
            "assume_deleted": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    path = pathlib.Path(os.environ["ROUTER"])
    path.with_suffix(".selectors").write_text(json.dumps(module.params["selectors"]))
    router = json.loads(path.read_text())
    if "no_facts" in router:
        module.fail_json(msg=router["no_facts"], **router.get("no_facts_because", {}))
    facts = router["facts"]
    subsets = module.params["gather_subset"] or ["usage"]
    if subsets == ["all", "namespaces"]:
        facts |= router["namespaces"][module.params["namespaces"]]
    elif subsets != ["all"]:
        facts = {subset: facts[subset] for subset in subsets}
    if module.params["forecast"]:
        # The numbers are the router's, whatever it is asked.
        path.with_suffix(".foretold").write_text(json.dumps(module.params["assume_deleted"]))
        facts |= {"forecast": router["forecast"]} if "forecast" in router else {}
    module.exit_json(ansible_facts={"conntrack": facts})


if __name__ == "__main__":
    main()
