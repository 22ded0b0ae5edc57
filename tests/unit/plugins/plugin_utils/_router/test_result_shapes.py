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


@pytest.mark.parametrize("module", ["facts", "info", "prune", "settings", "update"])
def test_the_shapes_have_what_is_documented(module: str) -> None:
    name = f"conntrack_{module}"
    known = fields_of_success(name, {}).keys() | fields_of_failure(name, {}).keys() | {"no_conntrack"}
    assert known == documentation(name).keys()


def test_the_subsets_of_the_facts_are_those_that_are_documented() -> None:
    facts = documentation("conntrack_facts")["ansible_facts"]["contains"]["conntrack"]["contains"]
    missing = {}
    # Of the selectors there are those that were asked for, perhaps none. What is said across namespaces has an option.
    for subset in facts.keys() - {"selectors", "across_namespaces"}:
        with pytest.raises(AnswerError) as caught:
            Expected("conntrack_facts", {"gather_subset": [subset]}).accepted({"ansible_facts": {"conntrack": {}}})
        missing[subset] = caught.value.message
    assert all(f"{subset} is missing" in message for subset, message in missing.items())


def test_what_is_said_across_namespaces_comes_with_the_option() -> None:
    arguments = {"gather_subset": ["namespaces"], "namespaces": "all"}
    with pytest.raises(AnswerError, match="across_namespaces is missing"):
        Expected("conntrack_facts", arguments).accepted({"ansible_facts": {"conntrack": {"namespaces": {}}}})
