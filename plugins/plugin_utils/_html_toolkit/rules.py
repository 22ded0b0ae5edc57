# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The rules of the HTML report's style sheet for all widths. Colours are variables (see _html_toolkit.style)."""

from __future__ import annotations

RULES = """
  * { box-sizing: border-box }
  :root { --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace }
  html { font-size: 93.75%; scroll-padding-top: 5.5rem }
  body { margin: 0; background: var(--page); color: var(--text);
    font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
    font-variant-numeric: tabular-nums }
  main, body > header, footer { max-width: 1400px; margin: 0 auto; padding: 0 24px }
  body > header { padding-top: 28px }
  h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -.015em; font-weight: 650; margin: 0 }
  h2 { font-size: 1.333rem; letter-spacing: -.01em; font-weight: 650; margin: 48px 0 14px }
  h3 { font-size: .867rem; font-weight: 650; color: var(--soft); margin: 0 0 8px }
  p { margin: 0 0 8px }
  a { color: var(--link); text-decoration: none }
  a:hover { text-decoration: underline }
  :focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 3px }
  .soft, s, small { color: var(--soft); text-decoration: none }
  small { font-size: .867rem }
  .lead { color: var(--soft); margin: 6px 0 0 }
  .notice { display: inline-block; padding: 2px 10px; border: 1px solid var(--near); border-radius: 99px;
    color: var(--text); font-weight: 600; font-size: .867rem; margin-top: 12px }
  nav { position: sticky; top: 0; z-index: 3; background: var(--page); border-bottom: 1px solid var(--line);
    margin-top: 10px }
  nav div { max-width: 1400px; margin: 0 auto; padding: 9px 24px; display: flex; gap: 22px; font-size: .933rem }
  .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px }
  .tiles { display: flex; flex-wrap: wrap; gap: 10px; margin: 18px 0 10px }
  .tiles div { flex: 1 1 calc((100% + 10px) / var(--columns) - 11px); min-width: 0; padding: 9px 14px;
    display: flex; flex-direction: column-reverse; justify-content: flex-end }
  .tiles dt { color: var(--soft); font-size: .867rem; line-height: 1.35 }
  .tiles dd { margin: 0; font-size: 1.4rem; line-height: 1.35; font-weight: 620; letter-spacing: -.02em;
    color: var(--ink, var(--text)) }
  .tiles s { font-size: 1rem; font-weight: 400; letter-spacing: 0 }
  .two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr)); gap: 12px;
    margin-top: 20px }
  .two > div { display: flex; flex-direction: column; gap: 12px }
  .two + .card { margin-top: 12px }
  #overview > .card:first-child { margin-top: 14px }
  svg { display: block; width: 100%; height: auto }
  svg text { font-size: 11px; fill: var(--soft) }
  .mid, .axis text, .histogram text { text-anchor: middle }
  .axis text, .histogram text { font: 9.5px var(--mono); fill: var(--soft) }
  .end { text-anchor: end }
  .defs { position: absolute; width: 0; height: 0 }
  #hatch path { stroke: var(--was); stroke-width: 1.2 }
  .hatch { fill: url(#hatch) }
  .track { fill: var(--track) }
  .marks { stroke: var(--text); stroke-opacity: .55; fill: none; vector-effect: non-scaling-stroke }
  .fine, .now, .bars { fill: var(--now) }
  .near { fill: var(--near) }
  .full { fill: var(--full) }
  .gauge .was { fill: var(--text); fill-opacity: .55 }
  .was { fill: var(--was) }
  .pairs text.now, .pairs .name { fill: var(--text) }
  .pairs text.was { fill: var(--soft) }
  .stack { height: 14px; border-radius: 3px }
  .stack path { fill: var(--ink) }
  .stack .hatch { fill: url(#hatch) }
  .histogram .outline { fill: none; stroke: var(--soft); stroke-width: 1.3; stroke-dasharray: 3 2 }
  .axis path, .grid { stroke: var(--line); fill: none }
  .map .zone { opacity: .1 }
  .map .thread { fill: none; stroke: var(--soft); opacity: .35 }
  .map .circle, .map .diamond, .map .triangle, .map .square { fill: var(--ink); fill-opacity: .78; stroke: var(--card) }
  .map .ring { fill: var(--card); stroke: var(--ink); stroke-width: 1.6 }
  .badge { color: var(--ink); font-weight: 600; white-space: nowrap }
  .badge::before { display: inline-block; width: 1.25em; text-align: center; margin-right: .2em; font-size: .9em }
  button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer }
  .verdicts { display: flex; flex-wrap: wrap; gap: 4px 18px; list-style: none; margin: 12px 0 0; padding: 0 }
  .card > .stack { height: 18px }
  .batches { display: flex; flex-wrap: wrap; gap: 10px 4px; list-style: none; margin: 0 0 14px; padding: 0 }
  .batches li { flex: 1 1 76px; border-top: 5px solid var(--ink); padding-top: 6px; line-height: 1.35 }
  .batches .not_started { border-top-style: dotted }
  .batches b, .batches small { display: block }
  .scroll { overflow-x: auto }
  .card.scroll, .wide { padding: 0 }
  .wide { width: fit-content; min-width: 100% }
  table { border-collapse: separate; border-spacing: 0; width: 100% }
  th { text-align: left; font-weight: 600; font-size: .867rem; color: var(--soft); vertical-align: bottom }
  th, td { padding: 6px 10px; border-bottom: 1px solid var(--line) }
  tr:last-child > td { border-bottom: 0 }
  td { vertical-align: top }
  .n { text-align: right; white-space: nowrap }
  #fleet { font-size: .9rem }
  #fleet th { white-space: nowrap; font-size: .8rem; padding: 10px 7px; position: sticky; top: 40px; z-index: 1;
    background: var(--card) }
  #fleet th:first-child { border-top-left-radius: 10px }
  #fleet th:last-child { border-top-right-radius: 10px }
  #fleet td { white-space: nowrap; vertical-align: middle; padding: 5px 7px }
  #fleet td:first-child { max-width: 190px; overflow: hidden; text-overflow: ellipsis; padding-left: 16px }
  #fleet th:first-child { padding-left: 16px }
  #fleet tr:hover td { background: var(--page) }
  #fleet .gauge { width: 104px; height: 12px; border-radius: 3px }
  [aria-sort] button { font-weight: inherit }
  [aria-sort] button::after { content: "\\2195"; opacity: .3; margin-left: .2em }
  [aria-sort=ascending] button::after { content: "\\2191"; opacity: 1 }
  [aria-sort=descending] button::after { content: "\\2193"; opacity: 1 }
  .search { display: none; align-items: baseline; gap: 14px; margin-bottom: 10px }
  .scripted .search { display: flex }
  .show { display: none }
  .scripted .show { display: inline; color: var(--link) }
  input { font: inherit; width: min(340px, 100%); padding: 6px 12px; border: 1px solid var(--line); border-radius: 8px;
    background: var(--card); color: inherit }
  .finding { display: grid; grid-template-columns: 8em minmax(0, 1fr); gap: 3px 12px; margin-bottom: 10px }
  .finding > :not(.badge) { grid-column: 2; margin: 0 }
  .finding h4 { font-size: 1rem; font-weight: 620 }
  h4 a { color: inherit; text-decoration: underline; text-decoration-color: var(--was); text-underline-offset: 3px }
  .fills > div:not(.cure) { display: flex; flex-wrap: wrap; gap: 0 16px }
  .fills > div > p { margin: 0 }
  .cure { border-left: 3px solid var(--line); padding-left: 12px; overflow-wrap: anywhere }
  .cure p { margin: 0 }
  .command { display: block; width: fit-content; max-width: 100%; margin: 3px 0; padding: 2px 9px;
    border: 1px solid var(--line); border-radius: 6px; background: var(--page); font: .867rem/1.5 var(--mono);
    white-space: pre-wrap; overflow-wrap: anywhere; user-select: all }
  .command span { white-space: nowrap }
  .names { overflow-wrap: anywhere }
  .router { background: var(--card); border: 1px solid var(--line); border-radius: 10px; margin-bottom: 6px;
    content-visibility: auto; contain-intrinsic-size: auto 44px }
  summary { cursor: pointer; display: flex; gap: 14px; align-items: baseline }
  .router > summary { padding: 9px 18px }
  summary::before { content: "\\25B8"; color: var(--soft); transition: transform .12s }
  [open] > summary::before { transform: rotate(90deg) }
  summary b { font-weight: 620; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
  summary .badge { min-width: 8.2em }
  .fold { min-width: 0; position: relative }
  .fold > summary::before { position: absolute; left: -14px; opacity: 0 }
  .fold > summary:hover::before, .fold > summary:focus-visible::before { opacity: 1 }
  summary small { margin-left: auto; white-space: nowrap }
  .body { border-top: 1px solid var(--line); padding: 18px 20px 22px; overflow-wrap: anywhere;
    display: grid; grid-template-columns: minmax(0, 1fr); gap: 26px }
  .charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); gap: 24px 40px }
  .charts > div { display: flex; flex-direction: column; gap: 20px }
  .charts .gauge { height: 18px; border-radius: 3px; margin-bottom: 5px }
  .bar { display: grid; grid-template-columns: 3.6em 1fr 5.5em; gap: 10px; align-items: center; font-size: .867rem;
    text-align: right; margin-bottom: 3px }
  .bar small { text-align: left }
  .legend { display: flex; flex-wrap: wrap; gap: 2px 18px; list-style: none; margin: 7px 0 0; padding: 0;
    font-size: .867rem }
  .legend li::before { content: ""; display: inline-block; width: 10px; height: 10px; border-radius: 2px;
    background: var(--ink); margin-right: 6px }
  .legend .hatch::before { background: repeating-linear-gradient(135deg, var(--was) 0 1px, transparent 1px 4px) }
  .tops { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 20px 28px; font-size: .833rem;
    isolation: isolate }
  pre { position: relative; margin: 0; overflow-x: auto; font: 1em/1.6 var(--mono) }
  .shares { position: absolute; left: 0; top: 1.6em; height: calc(100% - 1.6em); z-index: -1 }
  .shares path { fill: var(--track) }
  .facts { display: flex; flex-wrap: wrap; gap: 8px 32px; margin: 0 }
  .since { margin: 0; display: grid; grid-template-columns: repeat(auto-fit, minmax(min(280px, 100%), 1fr));
    gap: 14px 32px }
  .since ul, .stops, .worst { list-style: none; margin: 0; padding: 0 }
  .since li { display: grid; grid-template-columns: 4em 1fr }
  .since li b { font-weight: 620 }
  .stops { margin-bottom: 10px }
  .worst li { display: grid; grid-template-columns: 6.4em 1fr auto; gap: 8px; padding: 3px 0 }
  .facts dt, .since dt { color: var(--soft); font-size: .867rem }
  .facts dd, .since dd { margin: 0 }
  .body p { max-width: 100ch }
  .body .scroll td:first-child { white-space: nowrap }
  footer { color: var(--soft); font-size: .867rem; padding-top: 40px; padding-bottom: 60px }
"""
