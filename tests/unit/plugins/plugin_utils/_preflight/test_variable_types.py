# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

import pytest
import yaml
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.variable_types import explain
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.variables import OPTIONS, RENAMED
from helpers.support import CHECKOUT, read_yaml


def defaults() -> dict[str, t.Any]:
    files = [read_yaml(path) for path in CHECKOUT.glob("roles/*/defaults/main.yml")]
    return {name: value for file in files for name, value in file.items()}


def without_old_name(value: t.Any) -> t.Any:
    """Return what a default is where nobody gave the old name of the option, or the variable for all roles."""
    found = re.fullmatch(r"\{\{ (\w+) \| default\((.*)\) \}\}", str(value))
    return yaml.safe_load(found[2]) if found and found[1] in {*RENAMED, "conntrack_protect"} else value


def test_each_default_has_the_type_of_its_option() -> None:
    found = {name: explain(name, without_old_name(value), False) for name, value in defaults().items()}
    assert found == dict.fromkeys(OPTIONS.keys() - RENAMED.keys())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("conntrack_tune_sizing", "yes"),
        ("conntrack_tune_sizing", 0),
        ("conntrack_tune_sizing", " TRUE"),
        ("conntrack_tune_headroom", "1.5"),
        ("conntrack_audit_top", 10.0),
        ("conntrack_audit_top", "10.0"),
        ("conntrack_tune_peak", None),
        ("conntrack_tune_peak", 400000),
        ("conntrack_tune_overrides", {"max": "1M"}),
        ("conntrack_audit_report_formats", "json,html"),
        ("conntrack_prune_match", "protocol=tcp"),
        ("conntrack_prune_match", None),
    ],
)
def test_what_can_be_used(name: str, value: t.Any) -> None:
    assert explain(name, value, True) is None


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("conntrack_tune_sizing", "ja", "is a text, 'ja', and a yes or no is needed. Give true or false."),
        ("conntrack_tune_sizing", [True], "is a list, [True], and a yes or no is needed. Give true or false."),
        (
            "conntrack_audit_top",
            1.5,
            "is a number, 1.5, and a whole number is needed. Give a whole number, such as 10.",
        ),
        ("conntrack_audit_top", True, "is true or false, True, and a whole number is needed. Give"),
        ("conntrack_audit_top", "nan", "is a text, 'nan', and a whole number is needed."),
        ("conntrack_audit_top", "inf", "is a text, 'inf', and a whole number is needed."),
        ("conntrack_tune_headroom", "nan", "is a text, 'nan', and a number is needed."),
        ("conntrack_tune_profile", ["router"], "is a list, ['router'], and a text is needed. Give a text."),
        ("conntrack_tune_profile", None, "is null, and a text is needed. Leave the variable out for its default."),
        (
            "conntrack_tune_overrides",
            "max=1M buckets=512k",
            "is a text, 'max=1M buckets=512k', and a dictionary is needed. Ansible takes -e NAME=VALUE for a text. "
            'Write -e \'{"conntrack_tune_overrides": {"max": "1M", "buckets": "512k"}}\'.',
        ),
        (
            "conntrack_tune_overrides",
            "{max: 5}",
            "is a text, '{max: 5}', and a dictionary is needed. Ansible takes -e NAME=VALUE for a text. "
            'Write -e \'{"conntrack_tune_overrides": {"max": 5}}\'.',
        ),
        (
            "conntrack_tune_overrides",
            "{max: it's}}",
            'is a text, "{max: it\'s}}", and a dictionary is needed. Ansible takes -e NAME=VALUE for a text. '
            'Write -e \'{"conntrack_tune_overrides": {"KEY": "VALUE"}}\'.',
        ),
        (
            "conntrack_audit_skipped_checks",
            "drift, no_limit",
            "is a text, 'drift, no_limit', and a list is needed. Ansible takes -e NAME=VALUE for a text. "
            'Write -e \'{"conntrack_audit_skipped_checks": ["drift", "no_limit"]}\'.',
        ),
        (
            "conntrack_audit_extra_checks",
            ["drift"],
            "has a text, 'drift', for its item 1, and a dictionary is needed in its place.",
        ),
        ("conntrack_audit_skipped_checks", [["a"]], "has a list, ['a'], for its item 1, and a text is needed in its"),
    ],
)
def test_what_cannot_be_used_is_explained(name: str, value: t.Any, problem: str) -> None:
    assert (explain(name, value, True) or "").startswith(problem)


def test_a_value_of_the_inventory_is_to_be_written_as_there() -> None:
    problem = explain("conntrack_audit_extra_gates", {"id": "a"}, False) or ""
    assert problem.endswith('Write it as in conntrack_audit_extra_gates: [{"id": "a"}].')
