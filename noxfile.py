# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sessions of nox for those who are used to it: one for each target of the Makefile, which it runs.

Where antsibull-nox is installed as well, its sessions that antsibull-nox.toml asks for are there too.
"""

from __future__ import annotations

import importlib.util
import pathlib
import re

import nox

MAKEFILE = pathlib.Path(__file__).resolve().parent / "Makefile"
TARGETS = dict(re.findall(r"^([a-z-]+):.*## (.+)$", MAKEFILE.read_text(encoding="utf-8"), re.MULTILINE))
"""By target of the Makefile, what ``make`` says about it."""

nox.needs_version = ">=2024.3.2"
nox.options.sessions = ["lint", "sanity", "unit"]


def make(session: nox.Session) -> None:
    """Run the target of the Makefile that is called like the session. It makes the environment that it needs."""
    session.run("make", session.name, *session.posargs, external=True)


for target, description in TARGETS.items():
    make.__doc__ = description
    nox.session(make, name=target, venv_backend="none")

if importlib.util.find_spec("antsibull_nox") is not None:
    importlib.import_module("antsibull_nox").load_antsibull_nox_toml()
