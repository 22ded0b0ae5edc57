# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages on findings, settings and sizes have an entry for all that there is, with the values of the roles."""

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.known_settings import KNOWN
from ansible_collections.netops.conntrack.plugins.plugin_utils._preflight.renamed import RENAMED_PROFILES
from ansible_collections.netops.conntrack.plugins.plugin_utils._tuning.sizing import (
    BUCKET_BYTES,
    EXTENSION_BYTES,
    SMALLEST,
    size,
)
from helpers import tuning_page
from helpers.support import CHECKOUT, read_yaml

FINDINGS = (CHECKOUT / "docs" / "findings.md").read_text(encoding="utf-8")
SIZING = (CHECKOUT / "docs" / "sizing.md").read_text(encoding="utf-8")
AUDIT = read_yaml(CHECKOUT / "roles" / "conntrack_audit" / "defaults" / "main.yml")
TUNE = read_yaml(CHECKOUT / "roles" / "conntrack_tune" / "defaults" / "main.yml")
CHECKS: list[dict[str, t.Any]] = [*AUDIT["conntrack_audit_checks"], *AUDIT["conntrack_audit_namespace_checks"]]
PROFILES: dict[str, dict[str, t.Any]] = TUNE["conntrack_tune_profiles"]
DEFAULTS = "kernel_defaults"

_FINDING = re.compile(r"^### `(\w+)`\n((?:(?!^##).*\n?)*)", re.MULTILINE)
ENTRIES: dict[str, str] = dict(_FINDING.findall(FINDINGS))

MIB = 1 << 20
ENTRY_BYTES = 256
"""Of Linux 6.18 with 64 bits, which the page on sizes is about."""


def rows_below(header: str) -> list[list[str]]:
    """Return the cells of the table of the page on sizes that has this header."""
    table = SIZING.split(f"| {header} ", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def number(text: str) -> int:
    return int(text.replace(",", ""))


def bytes_of(text: str) -> int:
    """Return the bytes of a text such as ``64 MiB``."""
    amount, unit = text.split()
    return number(amount) * {"MiB": MIB, "GiB": 1024 * MIB}[unit]


# findings.md


def test_every_check_has_an_entry_and_nothing_else() -> None:
    headings = re.findall(r"^### (.*)$", FINDINGS, re.MULTILINE)
    assert sorted(headings) == sorted(f"`{check['id']}`" for check in CHECKS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: str(check["id"]))
def test_the_entry_has_the_title_a_command_and_its_undo(check: dict[str, t.Any]) -> None:
    title, command, rest = ENTRIES[check["id"]].strip().split("\n\n", 2)
    assert title == f"**{check['severity']}**: {check['title']}"
    assert command.startswith("```console\n$ ansible")
    assert "**Undo:** " in " ".join(rest.split())


def test_the_table_of_subjects_has_every_check() -> None:
    table = FINDINGS.split("| subject |", 1)[1].split("\n\n", 1)[0]
    listed = re.findall(r"`(\w+)`", table)
    assert sorted(listed) == sorted(check["id"] for check in CHECKS)


# tuning.md


def test_every_known_setting_is_on_the_page_once() -> None:
    names = [name for name, _default in tuning_page.stated_defaults()]
    assert sorted(names) == sorted(KNOWN)


@pytest.mark.parametrize("name", tuning_page.ENTRIES)
def test_the_entry_of_a_setting_says_what_is_suggested(name: str) -> None:
    assert "**Suggested:** " in tuning_page.ENTRIES[name].replace("\n", " ")


def test_the_table_of_profiles_has_the_values_of_the_role() -> None:
    header = re.search(r"^\| setting \| default \|(.*)\|$", tuning_page.SECTIONS[tuning_page.MATRIX], re.MULTILINE)
    assert header
    profiles = re.findall(r"`(\w+)`", header.group(1))
    assert {*profiles, DEFAULTS} == PROFILES.keys() - RENAMED_PROFILES.keys()
    columns = [DEFAULTS, *profiles]
    assert tuning_page.profile_rows() == {
        setting: [PROFILES[column]["settings"].get(setting, {}).get("value") for column in columns]
        for setting in PROFILES[DEFAULTS]["settings"]
    }


def test_the_defaults_of_the_page_are_those_of_the_profile() -> None:
    stated = dict(tuning_page.stated_defaults())
    wanted = {setting: entry["value"] for setting, entry in PROFILES[DEFAULTS]["settings"].items()}
    assert {setting: stated[setting] for setting in wanted} == wanted


# sizing.md


def test_entries_are_what_comes_times_how_long_it_stays() -> None:
    rows = rows_below("what comes | per second")
    assert len(rows) == 8
    for what, per_second, seconds, entries in rows:
        assert number(entries) == number(per_second) * number(seconds), what


def test_the_sizes_are_what_the_role_chooses() -> None:
    rows = rows_below("memory | limit before")
    assert {row[-1] for row in rows} == {"peak", "memory", "present"}
    for memory, limit, peak, entries, buckets, mebibytes, decided_by in rows:
        present = {"count": 0, "max": number(limit), "buckets": number(limit), "entry_bytes": ENTRY_BYTES}
        sizing = size({**present, "memory_total_bytes": bytes_of(memory)}, peak=number(peak))
        chosen = (sizing["max"], sizing["buckets"], sizing["limited_by"])
        assert chosen == (number(entries), number(buckets), decided_by), memory
        assert float(mebibytes.replace(",", "")) == pytest.approx(sizing["memory_bytes"] / MIB, abs=0.051), memory


def test_chains_and_memory_of_buckets() -> None:
    for buckets, memory, chain, _why in rows_below("buckets for 1,048,576 entries"):
        assert bytes_of(memory) == number(buckets) * BUCKET_BYTES
        assert number(chain) == 2 * MIB // number(buckets)


def test_the_example_is_calculated_from_the_table() -> None:
    example = " ".join(SIZING.split("### An example", 1)[1].split("\n## ", 1)[0].split())
    sizing = size(
        {"count": 0, "max": 262_144, "buckets": 262_144, "entry_bytes": ENTRY_BYTES, "memory_total_bytes": 8192 * MIB},
        peak=30_000 + 62_500 + 54_000,
    )
    assert "30,000 + 62,500 + 54,000 = 146,500 entries" in example
    assert f"rounds up to {sizing['max']:,}" in example
    assert f"{sizing['memory_bytes'] / MIB:g} MiB" in example
    assert f"{sizing['memory_percent']:.1f} % of a router" in example
    assert f"{30_000 + 62_500 + 432_000:,} entries" in example


def test_the_page_on_sizes_states_the_costs() -> None:
    assert f"counts {ENTRY_BYTES + EXTENSION_BYTES} bytes for an entry" in SIZING
    assert f"| its extensions | {EXTENSION_BYTES} |" in SIZING
    assert f"| a bucket | {BUCKET_BYTES} |" in SIZING
    assert f"gives {SMALLEST:,} entries at the least" in SIZING
    megabytes = 10 * 262_144 * (ENTRY_BYTES + EXTENSION_BYTES) // 10**6
    assert f"{megabytes:,} MB" in SIZING
