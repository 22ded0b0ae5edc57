# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import re
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.variables import (
    OF_INVENTORY,
    OF_PLAYBOOKS,
    OPTIONS,
    PREFIX,
    READERS,
    SET_BY_US,
    is_near_ours,
    is_unread,
    meant_by,
    names_in_templates,
    nearest,
)
from helpers.support import CHECKOUT, read_yaml

SPECIFICATIONS = sorted(CHECKOUT.glob("roles/*/meta/argument_specs.yml"))
TASK_FILES = [*CHECKOUT.glob("playbooks/*.yml"), *CHECKOUT.glob("roles/*/tasks/*.yml")]
VARIABLE_FILES = sorted(CHECKOUT.glob("roles/*/vars/*.yml"))
SETS = ("vars", "ansible.builtin.set_fact")


def of_specifications() -> dict[str, str]:
    kinds = {}
    for path in SPECIFICATIONS:
        for entry in read_yaml(path)["argument_specs"].values():
            for name, option in entry["options"].items():
                elements = f" of {option['elements']}" if "elements" in option else ""
                kinds[name] = f"{option['type']}{elements}"
    return kinds


def set_in(node: t.Any) -> t.Iterator[str]:
    """Yield the names that tasks and plays register, set or hand on."""
    if isinstance(node, list):
        yield from itertools.chain.from_iterable(map(set_in, node))
    if isinstance(node, dict):
        for key, value in node.items():
            yield from value if key in SETS else set_in(value)
            if key == "register":
                yield value


def test_the_table_has_the_options_of_the_roles_with_their_types() -> None:
    assert of_specifications() == OPTIONS


def test_the_table_has_what_roles_and_playbooks_set() -> None:
    names = set(set_in([read_yaml(path) for path in TASK_FILES]))
    names.update(*(read_yaml(path) for path in VARIABLE_FILES))
    ours = {name for name in names if name.startswith(PREFIX)}
    # A task that sets an option for another one adds nothing.
    assert ours - OPTIONS.keys() == SET_BY_US


def test_the_table_has_what_the_playbooks_and_defaults_read_by_short_names() -> None:
    texts = [path.read_text() for path in (*TASK_FILES, *CHECKOUT.glob("roles/*/defaults/main.yml"))]
    found = set(itertools.chain.from_iterable(re.findall(r"\b(\w+) \| default\(", text) for text in texts))
    assert {name for name in found if name in OF_PLAYBOOKS} == set(OF_PLAYBOOKS)
    of_routers = {"conntrack_pair", "conntrack_known_variables", "conntrack_protect"}
    assert set(OF_INVENTORY) == of_routers


def test_each_playbook_names_what_it_reads_by_short_names() -> None:
    readers: dict[str, list[str]] = {name: [] for name in READERS}
    for path in sorted(CHECKOUT.glob("playbooks/*.yml")):
        reads = read_yaml(path)[0].get("vars", {}).get("conntrack_preflight_reads", [])
        text = "\n".join(line for line in path.read_text().splitlines() if "conntrack_preflight_reads" not in line)
        assert bool(reads) == (path.stem not in ("preflight", "report")), path
        assert reads == sorted(reads), path
        for name in reads:
            readers.get(name, []).append(path.stem)
            assert name == "fail_on" or re.search(rf"\b{name}\b", text), (path, name)
        assert "batch" in reads or "batch |" not in text, path
    readers["fail_on"].append("report")  # which has no preflight of its own
    assert {name: sorted(playbooks) for name, playbooks in readers.items()} == {
        name: list(playbooks) for name, playbooks in READERS.items()
    }


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("tagret", "target"),
        ("targets", "target"),
        ("Target", "target"),
        ("fail-on", "fail_on"),
        ("serial", "batch"),
        ("hosts", "target"),
        ("conntrack_target", "target"),
        ("conntrack_prune_maxdelete", "conntrack_prune_max_delete"),
        ("conntrack_prune_limit", None),
        ("conntrack_tune_over_rides", "conntrack_tune_overrides"),
        ("conntrack_audit_skip_checks", "conntrack_audit_skipped_checks"),
        ("conntrack_profile", "conntrack_tune_profile"),
        ("conntrack_pairs", "conntrack_pair"),
        ("tune_profile", "conntrack_tune_profile"),
        ("overrides", "conntrack_tune_overrides"),
        ("conn_track_prune_match", "conntrack_prune_match"),
        ("something_else", None),
    ],
)
def test_the_nearest_name(written: str, meant: str | None) -> None:
    assert nearest(written) == meant


@pytest.mark.parametrize(
    "name", ["contrack_pair", "conntract_prune_match", "Conntrack_tune_profile", "conntrack_pairs"]
)
def test_a_slip_of_the_pen(name: str) -> None:
    assert meant_by(name) is not None
    assert is_unread(name)


@pytest.mark.parametrize("name", ["contract_id", "connection_pair", "conntrack_pair", "target", "cluster"])
def test_a_name_of_its_own(name: str) -> None:
    assert meant_by(name) is None
    assert not is_unread(name)


def test_what_a_task_registered_is_no_typo() -> None:
    assert is_unread("conntrack_mine", {"value": 1})
    assert not is_unread("conntrack_mine", {"changed": False, "failed": False})


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("tagret", True),
        ("batchs", True),
        ("conntrack_x", True),
        ("contrack_pair", True),
        ("patch", False),
        ("match", False),
        ("target_os", False),
        ("branch", False),
        ("tune_profile", False),
    ],
)
def test_what_is_near_enough_beside_other_plays(name: str, near: bool) -> None:
    assert is_near_ours(name, ()) is near


@pytest.mark.parametrize(("name", "near"), [("mtach", True), ("matches", False), ("watch", False), ("match", False)])
def test_what_is_near_enough_to_what_this_playbook_reads(name: str, near: bool) -> None:
    assert is_near_ours(name, (), ["directory", "match"]) is near
    assert not is_near_ours(name, ())


def test_a_word_for_ours_is_the_users_own_where_ours_is_given() -> None:
    assert is_near_ours("group", ())
    assert not is_near_ours("group", ("target",))


def test_names_in_templates() -> None:
    values = ["no {template", "{{ one | default(two) }}", {"key": ["{% if three %}x{% endif %}"]}, 7, None]
    assert {"one", "two", "three"} <= names_in_templates(values)
    assert "template" not in names_in_templates(values)
