# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How programs of another architecture are registered. tests/vm/test_foreign_programs.py does it."""

from __future__ import annotations

import pathlib
import subprocess

import foreign
import pytest
from hardware import S390X, X86_64
from processes import LabError


def test_it_is_registered_as_its_package_would_have_it_under_another_name(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "FORMATS", tmp_path)
    (tmp_path / "qemu-s390x.conf").write_text(":qemu-s390x:M::\\x7f\\x45:\\xff\\xff:/usr/libexec/s390x:OPF\n")
    assert foreign.format_line(S390X, "own") == r":own:M::\x7f\x45:\xff\xff:/usr/libexec/s390x:OPF"


@pytest.mark.parametrize("text", [None, "", "qemu-s390x\n"])
def test_what_is_not_described_is_not_registered(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    monkeypatch.setattr(foreign, "FORMATS", tmp_path)
    if text is not None:
        (tmp_path / "qemu-s390x.conf").write_text(text)
    with pytest.raises(LabError, match=r"qemu-s390x\.conf does not say how programs of s390x are run"):
        foreign.format_line(S390X, "own")


def test_nothing_is_registered_for_what_this_machine_runs_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    with foreign.runnable(X86_64):
        pass
