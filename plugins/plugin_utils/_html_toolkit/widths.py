# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What differs in the HTML report on narrow screens, and on paper.

The tiles with figures fill each of their rows, and none stands alone: there are five to nine of them.
"""

from __future__ import annotations

NARROW = "(max-width: 600px)"
"""Where parts of a router's section are closed at first."""

WIDTHS = """
  @media (min-width: 1200px) {
    .tiles div { --columns: 8 }
    .tiles div:first-child:nth-last-child(9), .tiles div:first-child:nth-last-child(9) ~ div { --columns: 5 }
  }
  @media (min-width: 600.02px) and (max-width: 1199.98px) {
    body > header { padding-top: 16px }
    .tiles div { --columns: 4 }
    .tiles div:first-child:nth-last-child(4n+1), .tiles div:first-child:nth-last-child(4n+1) ~ div { --columns: 5 }
    .tiles div:first-child:nth-last-child(6), .tiles div:first-child:nth-last-child(6) ~ div { --columns: 3 }
  }
  @media screen and (max-width: 1300px) {
    .wide { width: auto; overflow-x: auto }
    #fleet th { position: static }
    #fleet :is(th, td):first-child { position: sticky; left: 0; top: auto; z-index: 1;
      background: var(--card) }
  }
  @media NARROW {
    .tiles div { --columns: 3 }
    .tiles div:first-child:nth-last-child(7) ~ div:nth-last-child(-n+4) { --columns: 2 }
    .tiles div:first-child:nth-last-child(10) ~ div:nth-last-child(-n+4) { --columns: 2 }
    .tiles div:first-child:nth-last-child(9) ~ div:nth-last-child(-n+6) { --columns: 2 }
  }
  @media screen and NARROW {
    main, body > header, footer, nav div { padding-left: 16px; padding-right: 16px }
    body > header { padding-top: 14px }
    h1 { font-size: 1.333rem }
    h2 { margin-top: 30px }
    .lead { margin-top: 2px; font-size: .867rem }
    .notice { margin-top: 6px }
    nav { margin-top: 0 }
    nav div { gap: 16px; overflow-x: auto }
    .card:not(.wide, .scroll) { padding: 12px 14px }
    .tiles { gap: 6px; margin: 10px 0 4px }
    .tiles .card { flex-basis: calc((100% + 6px) / var(--columns) - 7px); padding: 5px 8px }
    .tiles dt { font-size: .733rem; overflow-wrap: anywhere }
    .tiles dd { font-size: 1.133rem }
    .tiles s { font-size: .867rem }
    #overview > .card:first-child { margin-top: 8px }
    .finding { display: block }
    .finding > :is(.badge, h4), .fills .names { display: inline; margin-right: 6px }
    .fills > div:not(.cure) { display: inline }
    .finding > p, .finding > .cure { margin-top: 4px }
    .cure { padding-left: 10px }
    .command { padding: 2px 6px; font-size: .767rem }
    .worst li { grid-template-columns: minmax(60px, 1fr) minmax(60px, auto); gap: 0 8px }
    .worst a { grid-area: 2 / 1 / 2 / 3 }
    .since li { grid-template-columns: 64px 1fr }
    #fleet :is(th, td), .scroll :is(th, td) { min-width: 60px }
    #fleet :is(th, td):first-child { padding-left: 12px; max-width: none }
    #fleet td a { display: block; width: max-content; max-width: 42vw; white-space: normal; overflow-wrap: anywhere }
    .scroll :is(th, td):last-child { min-width: 220px }
    .router { contain-intrinsic-size: auto 68px }
    .router > summary { padding: 9px 14px; gap: 0 10px; flex-wrap: wrap }
    summary b { white-space: normal; overflow-wrap: anywhere; min-width: 60px }
    summary .badge { min-width: 0 }
    summary small { margin-left: 24px; flex-basis: 100%; white-space: normal }
    .body { padding: 14px; gap: 16px }
    .charts, .charts > div { gap: 0 }
    .charts > div > div { margin-bottom: 14px }
    .charts + .tops, .body > .fold { margin-top: -16px }
    .tops { display: block }
    .fold { border-top: 1px solid var(--line) }
    .fold > summary { padding: 8px 0; gap: 8px }
    .fold > summary::before { position: static; opacity: 1 }
    .fold h3 { margin: 0 }
    .fold[open] { padding-bottom: 14px }
    .bar { grid-template-columns: 60px 1fr 72px }
  }
""".replace("NARROW", NARROW)

PAPER = """
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
