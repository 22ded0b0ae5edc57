# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Loading nf_conntrack, which a router without a rule on the state of connections does not have."""

from __future__ import annotations

import os
import shutil
import subprocess

from ansible_collections.netops.conntrack.plugins.module_utils._errors import UnavailableError

_SECONDS = 60


def load() -> None:
    """Load nf_conntrack. Raises UnavailableError, with the reason, when that does not work."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    command = [shutil.which("modprobe", path=path) or "modprobe", "nf_conntrack"]
    try:
        # run_command of Ansible has no timeout.  # pylint: disable-next=ansible-bad-function
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip()
        raise UnavailableError(
            f"load_module: nf_conntrack is not there, and '{' '.join(command)}' did not load it: {reason}. Load it by "
            "hand (a firewall rule that matches on ct state loads it, too), as root, and outside of any container.",
            no_conntrack=True,
        ) from error
