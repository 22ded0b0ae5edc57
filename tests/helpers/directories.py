# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories that another process makes at the same time."""

from __future__ import annotations

import typing as t

Mkdir = t.Callable[..., None]


def making_twice(mkdir: Mkdir) -> Mkdir:
    """Return what makes each directory as another process would, and then once more, which fails as mkdir(2) does."""

    def twice(*args: t.Any, **kwargs: t.Any) -> None:
        mkdir(*args, **kwargs)
        mkdir(*args, **kwargs)

    return twice
