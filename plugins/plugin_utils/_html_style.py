# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""How the HTML report looks, in light, in dark and on paper."""

from __future__ import annotations

SLOTS = 9
"""Colours for the parts of stacked bars. They differ for people who do not see red, green or blue, too."""

LIGHT = {
    "page": "#f6f7f8",
    "card": "#ffffff",
    "text": "#1d2129",
    "soft": "#5b6470",
    "line": "#e1e5ea",
    "track": "#e9edf1",
    "link": "#0b5cad",
    "was": "#8492a3",
    "now": "#1f6886",
    "near": "#c26a00",
    "full": "#b42318",
    "unreachable": "#6b3fa0",
    "failed": "#9b1c4a",
    "not_begun": "#5b6470",
    "critical": "#b42318",
    "high": "#b04a00",
    "medium": "#856100",
    "low": "#0b63b6",
    "info": "#4a6378",
    "unknown": "#5b6470",
    "no_conntrack": "#5b6470",
    "passed": "#0b7168",
    "done": "#0b7168",
    "slot0": "#1f6886",
    "slot1": "#d07a1c",
    "slot2": "#134733",
    "slot3": "#d34463",
    "slot4": "#5c2fa9",
    "slot5": "#ab7041",
    "slot6": "#4e9ad0",
    "slot7": "#734724",
    "slot8": "#839693",
}

DARK = {
    "page": "#12161b",
    "card": "#1a1f26",
    "text": "#e6e9ee",
    "soft": "#9aa4b2",
    "line": "#2c333c",
    "track": "#2a313a",
    "link": "#7db8f5",
    "was": "#77879a",
    "now": "#5fb3d4",
    "near": "#f0a24a",
    "full": "#ff8a75",
    "unreachable": "#c3a6f0",
    "failed": "#f58fb0",
    "not_begun": "#9aa4b2",
    "critical": "#ff8a75",
    "high": "#ffa95c",
    "medium": "#e3c04e",
    "low": "#7db8f5",
    "info": "#9fb6c9",
    "unknown": "#9aa4b2",
    "no_conntrack": "#9aa4b2",
    "passed": "#5fd0c3",
    "done": "#5fd0c3",
    "slot0": "#5e88b5",
    "slot1": "#c7aa3e",
    "slot2": "#45af81",
    "slot3": "#b5338b",
    "slot4": "#9371d8",
    "slot5": "#ead1ab",
    "slot6": "#9dbed8",
    "slot7": "#a66450",
    "slot8": "#dbe2e2",
}

SIGNS = {
    "unreachable": "✕",
    "failed": "✕",
    "not_begun": "○",
    "critical": "■",
    "high": "▲",
    "medium": "◆",
    "low": "●",
    "info": "●",
    "unknown": "?",
    "no_conntrack": "○",
    "passed": "✓",
    "done": "✓",
}
"""What stands before the word for a verdict, so that its colour is not needed."""


def style() -> str:
    """Give the style sheet of the page."""
    return "".join(
        [
            f":root{{color-scheme:light dark;{_variables(LIGHT)}}}",
            f"@media screen and (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}",
            *(
                f'.{verdict}{{--ink:var(--{verdict})}}.badge.{verdict}::before{{content:"{sign}"}}'
                for verdict, sign in SIGNS.items()
            ),
            *(f".slot{number}{{--ink:var(--slot{number})}}" for number in range(SLOTS)),
            _without_indents(_STYLE),
        ]
    )


def _variables(palette: dict[str, str]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in palette.items())


def _without_indents(text: str) -> str:
    return "".join(line.strip() for line in text.splitlines())


_STYLE = """
  * { box-sizing: border-box }
  :root { --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace }
  html { font-size: 93.75%; scroll-padding-top: 5.5rem }
  body { margin: 0; background: var(--page); color: var(--text);
    font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
    font-variant-numeric: tabular-nums }
  main, body > header, footer { max-width: 1400px; margin: 0 auto; padding: 0 24px }
  body > header { padding-top: 40px }
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
    margin-top: 20px }
  nav div { max-width: 1400px; margin: 0 auto; padding: 9px 24px; display: flex; gap: 22px; font-size: .933rem }
  .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px }
  .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(146px, 1fr)); gap: 12px; margin: 26px 0 12px }
  .tiles div { display: flex; flex-direction: column-reverse; justify-content: flex-end; padding: 13px 16px }
  .tiles dt { color: var(--soft); font-size: .867rem }
  .tiles dd { margin: 0; font-size: 1.533rem; line-height: 1.35; font-weight: 620; letter-spacing: -.02em;
    white-space: nowrap; color: var(--ink, var(--text)) }
  .tiles s { font-size: 1rem; font-weight: 400; letter-spacing: 0 }
  .two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr)); gap: 12px;
    margin-top: 20px }
  .two > div { display: flex; flex-direction: column; gap: 12px }
  .two + .card { margin-top: 12px }
  #overview > .card:first-child { margin-top: 20px }
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
  .batches .not_begun { border-top-style: dotted }
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
  @media (max-width: 1300px) {
    .wide { width: auto; overflow-x: auto }
    #fleet th { position: static }
  }
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
  .finding { display: grid; grid-template-columns: 7em minmax(0, 1fr); gap: 3px 12px; margin-bottom: 10px }
  .finding > :not(.badge) { grid-column: 2; margin: 0 }
  .finding h4 { font-size: 1rem; font-weight: 620 }
  .cure { border-left: 3px solid var(--line); padding-left: 12px; overflow-wrap: anywhere }
  .names { overflow-wrap: anywhere }
  .router { background: var(--card); border: 1px solid var(--line); border-radius: 10px; margin-bottom: 6px;
    content-visibility: auto; contain-intrinsic-size: auto 44px }
  summary { cursor: pointer; padding: 9px 18px; display: flex; gap: 14px; align-items: baseline }
  summary::before { content: "\\25B8"; color: var(--soft); transition: transform .12s }
  [open] > summary::before { transform: rotate(90deg) }
  summary b { font-weight: 620; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
  summary .badge { min-width: 8.2em }
  summary small { margin-left: auto; white-space: nowrap }
  .body { border-top: 1px solid var(--line); padding: 18px 20px 22px; display: grid; gap: 26px;
    overflow-wrap: anywhere }
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
  .tops div { min-width: 0 }
  pre { position: relative; margin: 0; overflow-x: auto; font: 1em/1.6 var(--mono) }
  .shares { position: absolute; left: 0; top: 1.6em; height: calc(100% - 1.6em); z-index: -1 }
  .shares path { fill: var(--track) }
  .facts { display: flex; flex-wrap: wrap; gap: 8px 32px; margin: 0 }
  .since { margin: 0; display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 14px 32px }
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
  @media print {
    * { print-color-adjust: exact; -webkit-print-color-adjust: exact }
    html { font-size: 62.5% }
    body { background: none }
    nav, .search, .show, summary::before { display: none !important }
    main, body > header { max-width: none; padding: 0 }
    details::details-content { content-visibility: visible; display: block; height: auto; overflow: visible }
    .router { content-visibility: visible }
    .card, .router, tr, .charts > * { break-inside: avoid }
    .router { break-inside: auto }
    #fleet th { position: static }
    #fleet td, #fleet th { padding: 2px 4px; white-space: normal }
    #fleet .gauge { width: 80px }
  }
"""
