# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may import whom: a wing imports itself and the floors below it, so that there is no circle between wings."""

from __future__ import annotations

from draw_architecture import MODULES, PLUGINS, imported, wing_of

FLOORS = {
    "module_utils": (
        "_printable _uapi _interrupt",
        "_errors",
        "_units _option_types _files _netlink",
        "_netns _sysctl _entry _module",
        "_boot_files _table _namespaces",
        "_boot _selector _listing",
        "_settings _query _selected_table",
        "_expectations",
        "_facts _entry_changes",
    ),
    "plugin_utils": (
        "_bounds _filter _terminal",
        "_display _router _preflight",
        "_checks _tuning",
        "_rollout _report",
        "_page _html_toolkit _callback",
        "_html _watch",
        "_formats",
    ),
}
"""The wings, and the modules that stand beside them, lowest floor first."""

FLOOR_OF: dict[tuple[str, ...], int] = {
    (package, wing): floor
    for floor, (package, wings) in enumerate((package, wings) for package in FLOORS for wings in FLOORS[package])
    for wing in wings.split()
}


def test_no_module_imports_upwards() -> None:
    upwards = []
    for path in MODULES:
        for name in imported(path.read_text(encoding="utf-8")):
            wing, below = wing_of(path), tuple(name.split(".")[:2])
            # What is on no floor, such as a module, is above all of them.
            if below != wing and FLOOR_OF.get(below, len(FLOOR_OF)) >= FLOOR_OF[wing]:
                upwards.append(f"{path.relative_to(PLUGINS)} imports {name}")
    assert not upwards, "\n".join(upwards)


def test_each_wing_has_a_floor() -> None:
    assert {wing_of(path) for path in MODULES} == FLOOR_OF.keys()
