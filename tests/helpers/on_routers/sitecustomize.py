# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets modules be forked (forked.py). Else looks at what they send to the kernel (refused_requests.py), and lets them
compile less (shared_code.py).

Python imports this by its name where PYTHONPATH names its directory, as it does for the modules that tests call
(helpers.support.module_path) and on the routers of a lab (conftest.py). Nothing but the standard library is needed.
"""

from __future__ import annotations

import forked  # type: ignore[import-not-found]  # Python finds it beside this file

forked.hand_over_module()

import refused_requests  # type: ignore[import-not-found]  # noqa: E402  # most modules need none of this
import shared_code  # type: ignore[import-not-found]  # noqa: E402  # the same

refused_requests.install_if_recorded()
shared_code.share_with_modules()
