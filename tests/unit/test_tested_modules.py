# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where each module of plugins/ is tested: in the file of its name below tests/unit, or where a table here says."""

from __future__ import annotations

import re

import pytest
from draw_architecture import PLUGINS, imported
from helpers.support import CHECKOUT

_UNIT = "unit/plugins"
TESTED_IN = {
    "kernel/test_answers": "module_utils/_errors",
    "kernel/test_confirm": "modules/conntrack_settings",
    "kernel/test_conntrack_create": "modules/conntrack_create",
    "kernel/test_conntrack_facts": "modules/conntrack_facts module_utils/_facts/gather",
    "kernel/test_conntrack_info": "modules/conntrack_info module_utils/_query/export",
    "kernel/test_conntrack_prune": "modules/conntrack_prune",
    "kernel/test_conntrack_restore": "modules/conntrack_restore",
    "kernel/test_conntrack_timeout_policy": "modules/conntrack_timeout_policy "
    "module_utils/_timeout_policies/cttimeout module_utils/_timeout_policies/nft_objects",
    "kernel/test_conntrack_update": "modules/conntrack_update",
    "kernel/test_decoding": "module_utils/_uapi module_utils/_query/extended module_utils/_query/fields",
    "kernel/test_events": "modules/conntrack_events module_utils/_query/event_query module_utils/_table/events",
    "kernel/test_expectations": "modules/conntrack_expect_info modules/conntrack_expect_prune "
    "module_utils/_expectations/zones",
    "kernel/test_hostile_files": "module_utils/_files/run_directory",
    "kernel/test_kernel_filter": "module_utils/_table/kernel_filter",
    "kernel/test_malformed": "module_utils/_table/decoder",
    "kernel/test_modprobe": "module_utils/_boot_files/config_tree module_utils/_boot_files/modprobe_d",
    "kernel/test_never_the_controller": "action/conntrack_create action/conntrack_events action/conntrack_expect_info "
    "action/conntrack_expect_prune action/conntrack_facts action/conntrack_info action/conntrack_prune "
    "action/conntrack_restore action/conntrack_settings action/conntrack_timeout_policy action/conntrack_update",
    "kernel/test_namespaces": "module_utils/_facts/named_counts",
    "kernel/test_not_listed": "module_utils/_facts/listeners",
    "kernel/test_reader": "module_utils/_table/block module_utils/_table/table",
    "kernel/test_output_forms": "module_utils/_entry/label_names module_utils/_query/output "
    "module_utils/_query/xml_lines",
    "kernel/test_save": "module_utils/_query/save",
    "kernel/test_table": "module_utils/_netns",
    "kernel/test_timeout_policies": "module_utils/_entry/timeout_policies module_utils/_netlink/subsystems",
    "kernel/test_watch": "modules/conntrack_watch",
    "kernel/test_udev": "module_utils/_boot_files/udev_rules",
    "report/test_prometheus": "plugin_utils/_formats/prometheus",
    "unit/roles/test_conntrack_audit": "action/conntrack_audit modules/conntrack_audit",
    "unit/roles/test_preflight": "action/conntrack_preflight modules/conntrack_preflight",
    "unit/roles/test_report": "action/conntrack_report modules/conntrack_report",
    "fleet/test_find": "action/conntrack_found modules/conntrack_found",
    "unit/roles/test_rollout": "action/conntrack_rollout modules/conntrack_rollout",
    "unit/test_border": "plugin_utils/_report/records",
    f"{_UNIT}/action/test_conntrack_explain": "modules/conntrack_explain",
    f"{_UNIT}/action/test_router_action": "plugin_utils/_router/action",
    f"{_UNIT}/module_utils/_entry/test_timeouts": "module_utils/_entry/entry",
    f"{_UNIT}/module_utils/_entry_changes/test_guards": "module_utils/_entry_changes/options",
    f"{_UNIT}/module_utils/_expectations/test_expectation": "module_utils/_expectations/fields",
    f"{_UNIT}/module_utils/_facts/test_filled_by": "module_utils/_facts/clusters module_utils/_facts/cluster_counts "
    "module_utils/_facts/sample",
    f"{_UNIT}/module_utils/_files/test_replacement": "module_utils/_files/text",
    f"{_UNIT}/module_utils/_listing/test_decoder": "module_utils/_listing/rows",
    f"{_UNIT}/module_utils/_listing/test_listing": "module_utils/_listing/source",
    f"{_UNIT}/module_utils/_selector/test_compiler": "module_utils/_selector/key module_utils/_selector/keys",
    f"{_UNIT}/module_utils/_settings/test_change": "module_utils/_settings/setting_plan module_utils/_sysctl/sysctl",
    f"{_UNIT}/plugin_utils/_callback/test_fleet_table": "plugin_utils/_callback/figures",
    f"{_UNIT}/plugin_utils/_formats/test_render": "plugin_utils/_page/explanations",
    f"{_UNIT}/plugin_utils/_html/test_document": "plugin_utils/_html/advice",
    f"{_UNIT}/plugin_utils/_report/test_document_types": "plugin_utils/_report/audit_types",
}
"""By test file: the modules without a file of their own that it imports, or has Ansible run."""

PARTS = {
    "action/conntrack_audit": "plugin_utils/_tuning/leftover",
    "modules/conntrack_facts": "module_utils/_module",
    "modules/conntrack_info": "module_utils/_selected_listing module_utils/_selected_table",
    "modules/conntrack_create": "module_utils/_entry_changes/create module_utils/_entry_changes/expect_create",
    "module_utils/_entry_changes/expect_create": "module_utils/_expectations/creation",
    "modules/conntrack_settings": "module_utils/_settings/run",
    "module_utils/_boot/module_loading": "module_utils/_boot/initramfs",
    "module_utils/_boot/next_boot": "module_utils/_boot/init_system module_utils/_boot/module_loading",
    "module_utils/_boot/owners": "module_utils/_boot/appliances module_utils/_boot/boot_scripts",
    "module_utils/_facts/filled_by": "module_utils/_facts/cluster_search",
    "module_utils/_facts/cluster_search": "module_utils/_facts/cluster_items",
    "module_utils/_facts/gather": "module_utils/_facts/boot module_utils/_facts/table_facts",
    "module_utils/_facts/summary": "module_utils/_facts/histogram module_utils/_facts/kinds",
    "module_utils/_listing/decoder": "module_utils/_listing/columns module_utils/_listing/line_shapes "
    "module_utils/_listing/markup_shapes",
    "module_utils/_listing/listing": "module_utils/_listing/processes",
    "module_utils/_module": "module_utils/_interrupt",
    "module_utils/_namespaces/processes": "module_utils/_files/process_files",
    "module_utils/_query/query": "module_utils/_query/grouping",
    "module_utils/_selector/keys": "module_utils/_selector/amount_keys module_utils/_selector/tuple_keys",
    "module_utils/_selected_table": "module_utils/_selector/selection",
    "module_utils/_settings/change_plan": "module_utils/_sysctl/kernel_module",
    "module_utils/_timeout_policies/cttimeout": "module_utils/_timeout_policies/requests",
    "module_utils/_timeout_policies/run": "module_utils/_timeout_policies/attached_rules "
    "module_utils/_timeout_policies/for_boot module_utils/_timeout_policies/nft_file",
    "module_utils/_table/table": "module_utils/_table/cpu_stats",
    "module_utils/_table/writable": "module_utils/_table/creation",
    "plugin_utils/_formats/render": "plugin_utils/_page/first_screen plugin_utils/_page/whole_page",
    "plugin_utils/_html/document": "plugin_utils/_html/components plugin_utils/_html/explanations "
    "plugin_utils/_html/fleet plugin_utils/_html/router plugin_utils/_html/table_contents "
    "plugin_utils/_html_toolkit/script",
    "plugin_utils/_html/fleet": "plugin_utils/_html/findings plugin_utils/_html/fleet_table",
    "plugin_utils/_html/router": "plugin_utils/_html/figures",
    "plugin_utils/_html_toolkit/style": "plugin_utils/_html_toolkit/rules plugin_utils/_html_toolkit/widths",
    "plugin_utils/_page/whole_page": "plugin_utils/_page/changes plugin_utils/_page/findings "
    "plugin_utils/_page/parts plugin_utils/_page/routers plugin_utils/_page/trend",
    "plugin_utils/_report/document": "plugin_utils/_report/record_types plugin_utils/_report/router_report",
    "plugin_utils/_report/upgrade": "plugin_utils/_report/old_names",
    "plugin_utils/_router/facts_shapes": "plugin_utils/_router/boot_shapes plugin_utils/_router/forecast_shapes",
    "plugin_utils/_router/result_shapes": "plugin_utils/_router/change_shapes plugin_utils/_router/common_shapes "
    "plugin_utils/_router/expectation_shapes plugin_utils/_router/facts_shapes",
}
"""By module: the modules that are parts of it. It imports them, and its tests are theirs."""

MODULES = {
    str(path.relative_to(PLUGINS).with_suffix(""))
    for path in PLUGINS.rglob("*.py")
    if path.parent.name != "doc_fragments"
}
ROWS = [(place, module) for place, modules in TESTED_IN.items() for module in modules.split()]
PART_ROWS = [(whole, part) for whole, parts in PARTS.items() for part in parts.split()]


def has_its_file(module: str) -> bool:
    folder, _slash, name = module.rpartition("/")
    return (CHECKOUT / "tests" / _UNIT / folder / f"test_{name}.py").exists()


def imports(source: str, module: str) -> bool:
    dotted = module.replace("/", ".")
    return any(f"{name}.".startswith(f"{dotted}.") for name in imported(source))


def test_each_module_is_tested_somewhere() -> None:
    elsewhere = {module for _place, module in [*ROWS, *PART_ROWS]}
    missing = sorted(module for module in MODULES - elsewhere if not has_its_file(module))
    assert not missing, f"no test_NAME.py in the same folder below tests/{_UNIT}, and in none of the tables: {missing}"


def test_no_module_is_said_to_be_tested_twice() -> None:
    modules = [module for _place, module in [*ROWS, *PART_ROWS]]
    twice = sorted({module for module in modules if modules.count(module) > 1 or has_its_file(module)})
    assert not twice, f"take these out of the tables: {twice}"


@pytest.mark.parametrize(("place", "module"), ROWS)
def test_the_test_file_tests_it(place: str, module: str) -> None:
    assert module in MODULES
    source = (CHECKOUT / "tests" / f"{place}.py").read_text(encoding="utf-8")
    if "_utils/" in module:
        assert imports(source, module)
    else:
        assert re.search(rf"\b{module.rpartition('/')[2]}\b", source)


@pytest.mark.parametrize(("whole", "part"), PART_ROWS)
def test_a_part_is_used_by_what_it_is_a_part_of(whole: str, part: str) -> None:
    assert imports((PLUGINS / f"{whole}.py").read_text(encoding="utf-8"), part)


def test_what_has_parts_is_tested_itself() -> None:
    whole_of = {part: whole for whole, part in PART_ROWS}
    tested = {module for _place, module in ROWS}
    for whole in PARTS:
        above = whole
        for _step in PARTS:
            above = whole_of.get(above, above)
        assert above in tested or has_its_file(above), whole
