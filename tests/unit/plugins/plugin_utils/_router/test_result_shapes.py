# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ast
import typing as t

import pytest
import yaml
from ansible_collections.netops.conntrack.plugins.module_utils._errors import AnswerError
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.answer import Expected
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.result_shapes import (
    fields_of_failure,
    fields_of_success,
)
from helpers.support import CHECKOUT


def documentation(module: str) -> dict[str, t.Any]:
    """Return what a module documents that it returns."""
    tree = ast.parse((CHECKOUT / "plugins" / "modules" / f"{module}.py").read_text())
    texts = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    return t.cast("dict[str, t.Any]", yaml.safe_load(str(texts["RETURN"])))


@pytest.mark.parametrize("module", ["facts", "info", "prune", "settings", "timeout_policy", "update"])
def test_the_shapes_have_what_is_documented(module: str) -> None:
    name = f"conntrack_{module}"
    # Any module may return that one. Not all document it, because not all can fail that way.
    documented = documentation(name).keys() - {"no_conntrack"}
    assert fields_of_success(name, {}).keys() | fields_of_failure(name, {}).keys() == documented


WITH_AN_OPTION: dict[str, dict[str, t.Any]] = {
    "across_namespaces": {"namespaces": "all"},
    "forecast": {"forecast": {"tcp_timeout_established": 54000}},
    "rates": {"sample": "2s"},
}
"""Facts that no subset has, by the option that asks for them."""


def test_the_subsets_of_the_facts_are_those_that_are_documented() -> None:
    facts = documentation("conntrack_facts")["ansible_facts"]["contains"]["conntrack"]["contains"]
    missing = {}
    # Of the selectors there are those that were asked for, perhaps none.
    for subset in facts.keys() - {"selectors", *WITH_AN_OPTION}:
        with pytest.raises(AnswerError) as caught:
            Expected("conntrack_facts", {"gather_subset": [subset]}).accepted({"ansible_facts": {"conntrack": {}}})
        missing[subset] = caught.value.message
    assert all(f"{subset} is missing" in message for subset, message in missing.items())


@pytest.mark.parametrize("fact", WITH_AN_OPTION)
def test_what_is_said_for_an_option_comes_with_it(fact: str) -> None:
    answer: dict[str, t.Any] = {"ansible_facts": {"conntrack": {"namespaces": {}}}}
    with pytest.raises(AnswerError, match=f"{fact} is missing"):
        Expected("conntrack_facts", {"gather_subset": ["namespaces"], **WITH_AN_OPTION[fact]}).accepted(answer)
