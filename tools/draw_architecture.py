# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Draws docs/architecture.svg: the wings of module_utils and plugin_utils, and what they import.

Boxes, floors and lines come from the imports of the code, the sentences from docs/architecture.md. A wing stands one
floor above the highest wing that it imports. A line that follows from others is left out.
"""

from __future__ import annotations

import ast
import html
import pathlib
import re
import textwrap
import typing as t

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
PLUGINS = CHECKOUT / "plugins"
PICTURE = CHECKOUT / "docs" / "architecture.svg"
PACKAGES = ("module_utils", "plugin_utils")
MODULES = sorted(path for package in PACKAGES for path in (PLUGINS / package).rglob("*.py"))

Graph = dict[str, set[str]]
"""By wing, which wings it imports."""

_OURS = "ansible_collections.netops.conntrack.plugins."
_WIDTH, _BOX, _HEIGHT, _GAP, _FLOOR, _TITLE = 960, 216, 62, 20, 92, 40
_STYLE = """
text{font:10.5px system-ui,sans-serif;fill:#333}
.title{font-size:15px;font-weight:600}
.name{font:600 12px ui-monospace,monospace;fill:#111}
rect{fill:#fff;fill-opacity:.82;stroke:#57606a}
rect.wing{fill:#eaf2fb}
line{stroke:#8c959f}
.back{fill:#fff;stroke:none}
@media(prefers-color-scheme:dark){
text{fill:#c9d1d9}.name{fill:#fff}.back{fill:#0d1117}rect{fill:#161b22;stroke:#8b949e}rect.wing{fill:#12304f}line{stroke:#6e7681}
}
"""


def wing_of(path: pathlib.Path) -> tuple[str, ...]:
    """Return package and wing of a file; a module next to the wings is one by itself."""
    return path.relative_to(PLUGINS).with_suffix("").parts[:2]


def imported(source: str) -> t.Iterator[str]:
    """Yield what a file imports from the collection, also inside functions: ``module_utils._table.dump.blocks``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_OURS):
            yield from (f"{node.module}.{alias.name}"[len(_OURS) :] for alias in node.names)


def graph_of(package: str) -> Graph:
    """Return which wings of a package import which others of it."""
    graph: Graph = {}
    for path in MODULES:
        own_package, wing = wing_of(path)
        if own_package != package:
            continue
        names = [name.split(".") for name in imported(path.read_text(encoding="utf-8"))]
        others = {name[1] for name in names if name[0] == package}
        graph.setdefault(wing, set()).update(others - {wing})
    return graph


def floors_of(graph: Graph) -> list[list[str]]:
    """Return the wings of each floor, the lowest first."""
    floors: list[list[str]] = []
    left = dict(graph)
    while left:
        floor = sorted(wing for wing, others in left.items() if not others & left.keys())
        if not floor:
            raise ValueError(f"These import each other in a circle: {', '.join(sorted(left))}")
        floors.append(floor)
        left = {wing: others for wing, others in left.items() if wing not in floor}
    return floors


def needed_lines(graph: Graph) -> Graph:
    """Return the graph without the imports that follow from others."""
    below: Graph = {}
    for floor in floors_of(graph):
        for wing in floor:
            below[wing] = graph[wing].union(*(below[other] for other in graph[wing]))
    return {
        wing: {other for other in others if not any(other in below[between] for between in others)}
        for wing, others in graph.items()
    }


def sentences() -> dict[str, str]:
    """Return what docs/architecture.md says of each wing, and of each module next to the wings."""
    page = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
    wings = re.findall(r"^### `(\w+_utils/_\w+)/`\n\n(.*)\.$", page, re.MULTILINE)
    rows = re.findall(r"^\| `(_\w+)` \| (.*) \| .* \|$", page, re.MULTILINE)
    plain = re.compile(r"\[(.*?)\]\(.*?\)|`")
    return {name: plain.sub(r"\1", text) for name, text in [*wings, *rows]}


def panel(package: str, title: str, top: int, texts: dict[str, str]) -> tuple[list[str], int]:
    """Return the picture of a package as lines of SVG, and where it ends."""
    graph = graph_of(package)
    floors = floors_of(graph)
    places: dict[str, tuple[int, int]] = {}
    for height, wings in enumerate(reversed(floors)):
        width = len(wings) * (_BOX + _GAP) - _GAP
        for number, wing in enumerate(wings):
            places[wing] = (_WIDTH - width) // 2 + number * (_BOX + _GAP), top + _TITLE + height * _FLOOR
    lines = [
        f'<line x1="{places[wing][0] + _BOX // 2}" y1="{places[wing][1] + _HEIGHT}" '
        f'x2="{places[other][0] + _BOX // 2}" y2="{places[other][1]}"/>'
        for wing, others in sorted(needed_lines(graph).items())
        for other in sorted(others)
    ]
    boxes = [part for wing, place in places.items() for part in box(package, wing, place, texts)]
    heading = f'<text class="title" x="{_GAP}" y="{top + 24}">{html.escape(title)}</text>'
    return [heading, *lines, *boxes], top + _TITLE + len(floors) * _FLOOR


def box(package: str, wing: str, place: tuple[int, int], texts: dict[str, str]) -> t.Iterator[str]:
    """Yield the box of a wing: its name, how many modules it has, and what it is for."""
    left, top = place
    modules = len(list((PLUGINS / package / wing).glob("*.py")))
    name = f"{wing}/ ({modules})" if modules else wing
    sentence = texts.get(f"{package}/{wing}" if modules else wing, "")
    text = sentence[:1].upper() + sentence[1:]
    kind = "wing" if modules else "module"
    yield f'<rect class="{kind}" x="{left}" y="{top}" width="{_BOX}" height="{_HEIGHT}" rx="5"/>'
    yield f'<text class="name" x="{left + 9}" y="{top + 18}">{name}</text>'
    for number, line in enumerate(textwrap.wrap(text, 34, max_lines=3, placeholder=" …")):
        yield f'<text x="{left + 9}" y="{top + 32 + 12 * number}">{html.escape(line)}</text>'


def picture() -> str:
    """Return the whole picture."""
    texts = sentences()
    controller, end = panel("plugin_utils", "On the controller: plugin_utils", 0, texts)
    router, end = panel(
        "module_utils", "On the router: module_utils, which plugin_utils may import as well", end, texts
    )
    size = f'viewBox="0 0 {_WIDTH} {end}" width="{_WIDTH}" height="{end}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="The wings on their floors">',
            "<!-- SPDX-License-Identifier: GPL-3.0-or-later; made by tools/draw_architecture.py -->",
            f"<style>{_STYLE}</style>",
            f'<rect class="back" width="{_WIDTH}" height="{end}"/>',
            *controller,
            *router,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
