# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What programs of Ansible do often and need not. Together it is a third of what the first process of each does."""

from __future__ import annotations

import contextlib
import copy
import gc
import typing as t

_LOOKS_EVERY = 0.005
"""Seconds between two looks for a worker that ended, in place of 0.001: most of them find none."""


def do_less() -> None:
    """Let this program of Ansible look for garbage and for ended workers seldom, and copy no constants."""
    # Programs end after seconds, so that nothing piles up.
    gc.set_threshold(1_000_000, 100, 100)
    # A test may have written an ansible.cfg that is wrong. The program says so itself.
    with contextlib.suppress(Exception):
        from ansible import constants

        constants.DEFAULT_INTERNAL_POLL_INTERVAL = _LOOKS_EVERY
    _copy_no_constants()


def _copy_no_constants() -> None:
    """Let a deep copy of what was read from YAML share the strings and the numbers, as it does without their tags."""
    from ansible._internal._datatag import _tags
    from ansible.module_utils._internal import _datatag

    dispatch: dict[type, t.Any] = copy._deepcopy_dispatch  # type: ignore[attr-defined]  # there is no public way
    for name in ("Str", "Bytes", "Int", "Float"):
        dispatch[getattr(_datatag, f"_AnsibleTagged{name}")] = dispatch[str]
    for kind in (_datatag._AnsibleTagsMapping, _tags.Origin, _tags.TrustedAsTemplate):
        dispatch[kind] = dispatch[str]
