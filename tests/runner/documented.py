# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files and commands that docs/ci.md and docs/scale-out.md show, for the tests that use them as they stand."""

from __future__ import annotations

import pathlib
import re
import shlex
import typing as t

import yaml
from helpers.support import CHECKOUT

CI = CHECKOUT / "docs" / "ci.md"
SCALE_OUT = CHECKOUT / "docs" / "scale-out.md"

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def block(page: pathlib.Path, language: str, holding: str) -> str:
    """Return the one code block of ``page`` in ``language`` that holds this text."""
    found: list[str] = [text for kind, text in _BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]
    (wanted,) = [text for text in found if holding in text]
    return wanted


def command(page: pathlib.Path, beginning: str) -> list[str]:
    """Return the words of the one console command of ``page`` with this ``beginning``, without its comment."""
    pattern = rf"^\$ ({re.escape(beginning)}.*)$"
    (line,) = re.findall(pattern, page.read_text(encoding="utf-8"), re.MULTILINE)
    return shlex.split(line, comments=True)


def github() -> dict[str, t.Any]:
    """Return the workflow for GitHub Actions."""
    return _pipeline(".github/workflows/")


def gitlab() -> dict[str, t.Any]:
    """Return the pipeline for GitLab."""
    return _pipeline(".gitlab-ci.yml")


def github_step(job: str, name: str) -> str:
    """Return what the step ``name`` of a ``job`` of the workflow runs."""
    (step,) = [step for step in github()["jobs"][job]["steps"] if step.get("name") == name]
    script: str = step["run"]
    return script


def _pipeline(holding: str) -> dict[str, t.Any]:
    pipeline: dict[str, t.Any] = yaml.safe_load(block(CI, "yaml", holding))
    return pipeline
