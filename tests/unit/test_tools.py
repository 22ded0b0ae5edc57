# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scripts behind the make targets: what they refuse, and what ansible-test gets to see."""

from __future__ import annotations

import configparser
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types
import typing as t

import pytest
from helpers.support import CHECKOUT, SYSTEM_PYTHON

NOBODY = 65534 if os.geteuid() == 0 else None
"""A user without rights; None leaves the process the one that it is."""


def load_tool(name: str) -> types.ModuleType:
    """Import a script of tools/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, CHECKOUT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


demo = load_tool("demo")
prepare = load_tool("prepare_ansible_test")


@pytest.fixture
def bare_checkout() -> t.Iterator[pathlib.Path]:
    """Yield a directory that holds the scripts and no .venv, in a place that any user may write to."""
    with tempfile.TemporaryDirectory() as name:
        checkout = pathlib.Path(name)
        checkout.chmod(0o777)
        shutil.copytree(CHECKOUT / "tools", checkout / "tools", ignore=shutil.ignore_patterns("__pycache__"))
        yield checkout


def run_setup(checkout: pathlib.Path, *arguments: str, there: t.Collection[str] = ("tools",), **options: t.Any) -> str:
    """Run tools/setup, which must refuse, and give what it says; PATH is Debian's unless ``env`` has another.

    It makes nothing besides what was ``there``.
    """
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [shutil.which("bash") or "bash", "tools/setup", *arguments],
        **{"cwd": checkout, "env": {"PATH": "/usr/bin:/bin"}, "stdin": subprocess.DEVNULL, "timeout": 60, **options},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert {path.name for path in checkout.iterdir()} == {*there}
    return done.stderr


def executable(path: pathlib.Path, text: str) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def test_the_lab_asks_for_root_before_anything_is_done(bare_checkout: pathlib.Path) -> None:
    output = run_setup(bare_checkout, "--lab", "tools/requirements-run.txt", user=NOBODY)
    assert "needs root" in output
    assert "Nothing was changed" in output


def test_packages_to_install_by_hand_are_named_without_apt_get(
    bare_checkout: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    for name in ("dirname", "id"):
        (tmp_path / name).symlink_to(t.cast(str, shutil.which(name)))
    output = run_setup(bare_checkout, "tools/requirements-run.txt", env={"PATH": str(tmp_path), "PYTHON": "python3"})
    assert "missing: git python3-venv." in output
    assert "run make again" in output


@pytest.fixture
def old_python(tmp_path: pathlib.Path) -> str:
    return str(
        executable(
            tmp_path / "python3.9",
            """#!/bin/sh
case "$*" in
  --version) echo Python 3.9.18 ;;
  *version_info*) exit 1 ;;
esac
""",
        )
    )


def test_an_old_python_is_named(bare_checkout: pathlib.Path, old_python: str) -> None:
    output = run_setup(bare_checkout, "tools/requirements-run.txt", env={"PATH": "/usr/bin:/bin", "PYTHON": old_python})
    assert f"{old_python} is Python 3.9.18" in output
    assert "3.11 or newer" in output


def is_recent(python: str) -> bool:
    return (
        subprocess.run([python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False).returncode == 0
    )


@pytest.mark.skipif(not is_recent(SYSTEM_PYTHON), reason="the distribution's Python is too old")
def test_the_distribution_s_python_is_taken_before_others(bare_checkout: pathlib.Path, old_python: str) -> None:
    programs = pathlib.Path(old_python).with_name("programs")
    executable(programs / "python3", pathlib.Path(old_python).read_text(encoding="utf-8"))
    (bare_checkout / ".venv").symlink_to(programs)
    output = run_setup(
        bare_checkout,
        "tools/requirements-run.txt",
        env={"PATH": f"{programs}:{os.environ['PATH']}"},
        there={".venv", "tools"},
    )
    assert "Python 3.9" not in output
    assert "Remove the link" in output


def test_an_environment_of_another_checkout_stays(bare_checkout: pathlib.Path, tmp_path: pathlib.Path) -> None:
    theirs = executable(tmp_path / "theirs" / "bin" / "python", "")
    (bare_checkout / ".venv").symlink_to(tmp_path / "theirs")
    output = run_setup(
        bare_checkout, "tools/requirements-run.txt", env={"PATH": os.environ["PATH"]}, there={".venv", "tools"}
    )
    assert "Remove the link" in output
    assert theirs.exists()


@pytest.mark.parametrize(
    ("guests", "foreign"), [("", False), ("debian13 unstable", False), ("debian11 s390x", True), ("all", True)]
)
def test_without_the_packages_of_the_virtual_machine_setup_goes_on(
    bare_checkout: pathlib.Path, tmp_path: pathlib.Path, old_python: str, guests: str, foreign: bool
) -> None:
    programs = tmp_path / "bin"
    for name in ("dirname", "git", "id", "ssh-keygen"):
        (programs / name).parent.mkdir(exist_ok=True)
        (programs / name).symlink_to(t.cast(str, shutil.which(name)))
    executable(programs / "uname", "#!/bin/sh\necho x86_64\n")
    environment = {"PATH": str(programs), "PYTHON": old_python, "GUESTS": guests}
    output = run_setup(bare_checkout, "--vm", "tools/requirements-run.txt", env=environment)
    assert "missing: mmdebstrap qemu-system-x86." in output
    assert "The tests in a virtual machine will not be run." in output
    assert ("missing: arch-test qemu-system-misc qemu-user-static." in output) is foreign
    assert ("The tests in the virtual machine s390x will not be run." in output) is foreign
    assert f"{old_python} is Python 3.9.18" in output, "it did not go on"


def test_an_unknown_option_is_refused(bare_checkout: pathlib.Path) -> None:
    assert "--wm: no such option" in run_setup(bare_checkout, "--lab", "--wm", "tools/requirements-run.txt")


def test_a_stub_that_runs_no_python_is_no_interpreter(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(tmp_path / "python3.9", "#!/bin/sh\necho command not found >&2\nexit 127\n")
    executable(tmp_path / "python3.10", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert prepare.find_interpreter("3.9") is None
    assert prepare.find_interpreter("3.10") == sys.executable


def test_pip_of_ansible_test_gets_the_configuration_in_force(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_TIMEOUT", "77")
    prepare.write_pip_configuration(tmp_path / "pip" / "pip.conf")
    written = configparser.RawConfigParser()
    written.read(tmp_path / "pip" / "pip.conf")
    assert written["global"]["timeout"] == "77"


def test_pip_bootstrap_is_where_ansible_test_looks(tmp_path: pathlib.Path) -> None:
    prepare.write_pip_bootstrap(tmp_path)
    (script,) = tmp_path.iterdir()
    version = script.stem.removeprefix("get_pip_").replace("_", ".")
    assert f"pip=={version}" in script.read_text(encoding="utf-8")
    compile(script.read_text(encoding="utf-8"), script.name, "exec")


def test_demo_reads_the_changes_of_each_router_from_the_recap() -> None:
    recap = """PLAY RECAP *********
router1                    : ok=20   changed=2    unreachable=0    failed=0    skipped=1    rescued=0    ignored=0
router2.example            : ok=9    changed=0    unreachable=1    failed=0    skipped=1    rescued=0    ignored=0
"""
    assert demo.changes_by_host(recap) == {"router1": 2, "router2.example": 0}
