# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTML read back as a browser would: elements with their attributes and text, for tests of what is written."""

from __future__ import annotations

import dataclasses
import html.parser
import typing as t

_VOID = frozenset({"meta", "input", "img", "link", "br"})
_ENDS = {
    "li": {"li"},
    "dt": {"dt", "dd"},
    "dd": {"dt", "dd"},
    "tr": {"tr", "td", "th"},
    "td": {"td", "th"},
    "th": {"td", "th"},
}
"""What is open, and ends where such an element begins."""


@dataclasses.dataclass
class Element:
    """An element: its name, attributes, children, and the text in it and its children."""

    name: str
    attributes: dict[str, str]
    children: list[Element] = dataclasses.field(default_factory=list)
    text: str = ""

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()

    def all(self, name: str = "", style: str = "") -> t.Iterator[Element]:
        """Yield the elements in this one, in the order of the page; of this name and class, if given."""
        for child in self.children:
            if name in ("", child.name) and (not style or style in child.classes):
                yield child
            yield from child.all(name, style)

    def one(self, name: str = "", style: str = "", id_: str = "") -> Element:
        """Return the only such element; AssertionError if there are more or none."""
        found = [each for each in self.all(name, style) if not id_ or each.attributes.get("id") == id_]
        assert len(found) == 1, f"{len(found)} of {name} {style} {id_}"
        return found[0]


class _Reader(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        while self.open[-1].name in _ENDS.get(tag, ()):
            self.open.pop()
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        while self.open[-1].name != tag:
            assert self.open[-1].name in _ENDS, f"</{tag}> ends <{self.open[-1].name}>"
            self.open.pop()
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data


def read(text: str) -> Element:
    """Return what stands in ``text``; AssertionError if a tag ends an element in which another is open."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    left = {element.name for element in reader.open[1:]}
    assert left <= {*_ENDS, "html", "body"}, f"{left} are open at the end"
    return reader.open[0]
