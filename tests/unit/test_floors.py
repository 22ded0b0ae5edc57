# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may import whom: a wing imports itself and the floors below it, so that there is no circle between wings."""

from __future__ import annotations

from draw_architecture import MODULES, PLUGINS, floors_of, graph_of, imported, wing_of

FLOORS = {
    "module_utils": (
        "_interrupt _printable _uapi",
        "_errors",
        "_files _netlink _option_types _units",
        "_entry _module _netns _sysctl",
        "_boot_files _namespaces _pair _table",
        "_boot _listing _selector _timeout_policies",
        "_query _selected_listing _selected_table _settings",
        "_expectations",
        "_entry_changes _facts",
    ),
    "plugin_utils": (
        "_bounds _filter _router _terminal _tuning",
        "_display _preflight _preparation",
        "_checks",
        "_html_toolkit _report _rollout",
        "_callback _html _page",
        "_formats _watch",
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


def test_the_picture_has_these_floors() -> None:
    """The picture shows the floors that the imports need. A wing that could be lower has to be moved there."""
    drawn = {package: tuple(" ".join(floor) for floor in floors_of(graph_of(package))) for package in FLOORS}
    assert drawn == FLOORS
