# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the pages of Ansible's documentation are that the generated reference refers to by a label.

Sphinx would fetch a list of them from the internet.
"""

from __future__ import annotations

import re

SITE = "https://docs.ansible.com/projects/ansible/latest"
PAGES = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "callback_plugins": "plugins/callback.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}
"""By label."""

_PLUGIN = re.compile(r"ansible_collections\.(\w+)\.(\w+)\.(\w+)")


def address(label: str) -> str | None:
    """Return the address of what has this label, or None if that is nothing of Ansible's."""
    if plugin := _PLUGIN.fullmatch(label):
        return f"{SITE}/collections/{'/'.join(plugin.groups())}.html"
    page = PAGES.get(label)
    return f"{SITE}/{page}" if page else None
