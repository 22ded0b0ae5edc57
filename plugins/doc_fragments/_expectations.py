# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This doc fragment is PRIVATE to this collection: it can change without notice.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  match:
    description:
      - Which expectations to select, a selector or a list of selectors. An expectation is selected when any of these
        holds.
      - A selector is a dictionary, or a text with blanks between its keys, such as V(helper=ftp) or
        V(helper=sip master_source=198.51.100.0/24). On the command line, put it in quotes.
      - The keys of a selector are listed in the notes.
      - Without it, M(netops.conntrack.conntrack_expect_info) selects all expectations, and
        M(netops.conntrack.conntrack_expect_prune) fails. For all of them, give V(family=ipv4,ipv6).
    type: raw
notes:
  - Every key of a selector must hold. A list means any of its values, and so does a text with commas between them.
  - "C(helper): the name of the helper, such as V(ftp), V(sip) or V(tftp)."
  - "C(family): V(ipv4) or V(ipv6). C(zone), C(id): a number."
  - "C(protocol), C(source), C(destination), C(source_port), C(destination_port): the expected tuple, as
    C(conntrack -L expect) prints it. What its mask leaves open is 0 there, such as the port of the client."
  - "C(source_list), C(destination_list): the absolute path of a file on the target with addresses and networks."
  - "C(source_key), C(destination_key): the keys of GRE, which a helper for PPTP expects."
  - "C(master_protocol), C(master_source), C(master_destination), C(master_source_port), C(master_destination_port) and
    the same with C(_list) and C(_key): the original tuple of the master, the connection whose helper expects another."
  - "C(remaining): the time until the expectation ends, a dictionary of C(min) and C(max)."
  - The values are written as in the selectors of entries, see M(netops.conntrack.conntrack_info).
"""
