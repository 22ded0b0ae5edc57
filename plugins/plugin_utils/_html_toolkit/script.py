# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What the HTML report does by itself: sort and filter the table, open what a link leads to, fold on a narrow screen.

On the page of a large fleet it also makes the section of a router when that is opened: what a noscript holds is a text
where scripts run. Without scripts the page shows all there is, the worst first.
It runs before the sections of the routers are read.
"""

from __future__ import annotations

from ansible_collections.netops.conntrack.plugins.plugin_utils._html_toolkit.widths import NARROW

SCRIPT = """
"use strict";
document.documentElement.classList.add("scripted");
const table = document.getElementById("fleet"), body = table.tBodies[0], rows = [...body.rows];
const order = new Intl.Collator("en", { numeric: true });

function keyOf(row, column, numeric) {
  const cell = row.cells[column], text = cell.dataset.key ?? cell.textContent;
  if (!numeric) return text || null;
  const number = Number.parseFloat(text.replaceAll(",", ""));
  return Number.isNaN(number) ? null : number;
}

function sort(heading) {
  const numeric = "numeric" in heading.dataset, now = heading.getAttribute("aria-sort");
  const other = { ascending: "descending", descending: "ascending" };
  const wanted = other[now] ?? heading.dataset.first, sign = wanted === "ascending" ? 1 : -1;
  for (const each of heading.parentNode.querySelectorAll("[aria-sort]"))
    each.setAttribute("aria-sort", each === heading ? wanted : "none");
  const keys = new Map(rows.map(row => [row, keyOf(row, heading.cellIndex, numeric)]));
  body.append(...[...rows].sort((left, right) => {
    const a = keys.get(left), b = keys.get(right);
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (numeric ? Math.sign(a - b) || 0 : order.compare(a, b));
  }));
}

function filter(words) {
  let shown = 0;
  for (const row of rows) {
    row.hidden = !words.every(word => texts.get(row).includes(word));
    shown += !row.hidden;
  }
  count.textContent = `${shown} of ${rows.length} shown`;
}

const input = document.getElementById("search"), count = document.getElementById("count");
const texts = new Map(rows.map(row => [row,
  `${row.cells[0].textContent} ${row.cells[1].textContent} ${row.dataset.checks ?? ""}`.toLowerCase()]));
const search = () => filter(input.value.toLowerCase().split(/\\s+/));
input.addEventListener("input", search);
for (const button of table.tHead.querySelectorAll("button"))
  button.addEventListener("click", () => sort(button.closest("th")));
for (const button of document.querySelectorAll("button[data-search]"))
  button.addEventListener("click", () => {
    input.value = button.dataset.search;
    search();
    table.scrollIntoView();
  });
search();

const narrow = matchMedia("NARROW");
const fold = part => part.querySelectorAll(".fold").forEach(each => { each.open = !narrow.matches; });
narrow.addEventListener("change", () => fold(document));

function make(router) {
  const kept = router.querySelector(":scope > noscript");
  if (!kept) return false;
  kept.outerHTML = kept.textContent;
  if (narrow.matches) fold(router);
  return true;
}

document.addEventListener("toggle", event => { if (event.target.open) make(event.target); }, true);
addEventListener("beforeprint", () => document.querySelectorAll(".router").forEach(make));

function reveal() {
  const id = location.hash.slice(1);
  const holder = document.querySelector(`.router[data-holds~="${CSS.escape(id)}"]`);
  const isNew = holder && make(holder), place = document.getElementById(id), details = place?.closest("details");
  if (details) details.open = true;
  if (isNew) place.scrollIntoView();
}
addEventListener("hashchange", reveal);
addEventListener("DOMContentLoaded", () => {
  if (narrow.matches) fold(document);
  reveal();
});
""".replace("NARROW", NARROW)
