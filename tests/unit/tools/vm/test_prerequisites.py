# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where no virtual machine can be had, the tests say why; whatever else goes wrong is a failure."""

from __future__ import annotations

import os
import pathlib
import platform
import shutil
import typing as t

import image
import prerequisites
import pytest
import vm
from debian import Mirrors, recipe
from guests import GUESTS
from hardware import S390X, X86_64, Hardware
from image import Image
from prerequisites import NotRun
from processes import LabError

DEBIAN = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
SOURCES = "deb http://mirror.example/debian bookworm main\ndeb http://mirror.example/security bookworm-security main\n"
Usage = type(shutil.disk_usage("/"))
GUEST = GUESTS["debian12"]


@pytest.fixture
def machine(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A machine on which nothing is missing; gives its /etc/apt."""
    keyring = tmp_path / "keyring.gpg"
    keyring.touch()
    (tmp_path / "apt" / "sources.list.d").mkdir(parents=True)
    (tmp_path / "apt" / "sources.list").write_text(SOURCES)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: DEBIAN)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(prerequisites, "_available_megabytes", lambda: 4000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**11, 0, 10**11))
    monkeypatch.setattr(prerequisites, "KEYRING", str(keyring))
    monkeypatch.setattr(prerequisites, "_APT", tmp_path / "apt")
    monkeypatch.setattr(prerequisites, "run", lambda _command, **_options: "")
    return tmp_path / "apt"


def test_nothing_is_missing(machine: pathlib.Path, tmp_path: pathlib.Path) -> None:
    prerequisites.check_machine(tmp_path / "cache", X86_64)
    assert prerequisites.reachable_mirrors(GUEST) == Mirrors(
        "http://mirror.example/debian", "http://mirror.example/security"
    )


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("where", "name", "found", "words"),
    [
        (platform, "machine", "aarch64", "this machine is aarch64"),
        (os, "geteuid", 1000, "needs root"),
        (prerequisites, "_available_megabytes", 1000, "1000 MB of memory are available, and 1536 MB"),
        (shutil, "disk_usage", Usage(10**11, 0, 2 * 10**9), "2.0 GB are free in .*, and 3 GB"),
    ],
)
def test_what_the_machine_lacks_is_named(
    where: object, name: str, found: object, words: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, name, lambda *_arguments: found)
    with pytest.raises(NotRun, match=f"^not run: .*{words}"):
        prerequisites.check_machine(tmp_path, X86_64)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("hardware", "packages"),
    [
        (X86_64, "mmdebstrap qemu-system-x86"),
        (S390X, "arch-test mmdebstrap qemu-system-misc qemu-user-static"),
    ],
    ids=["x86_64", "s390x"],
)
def test_missing_programs_are_named_with_their_packages(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, hardware: Hardware, packages: str
) -> None:
    missing = ("qemu-system-x86_64", "qemu-system-s390x", "qemu-s390x-static", "arch-test", "mmdebstrap")
    monkeypatch.setattr(shutil, "which", lambda name: None if name in missing else name)
    with pytest.raises(NotRun, match=f"^not run: .* apt-get install {packages}$"):
        prerequisites.check_machine(tmp_path, hardware)


@pytest.mark.parametrize(
    ("release", "sources"), [({"ID": "ubuntu"}, SOURCES), ({}, SOURCES), (DEBIAN, ""), (DEBIAN, SOURCES[:47])]
)
def test_no_mirrors(
    machine: pathlib.Path, monkeypatch: pytest.MonkeyPatch, release: dict[str, str], sources: str
) -> None:
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)
    (machine / "sources.list").write_text(sources)
    with pytest.raises(NotRun, match=r"^not run: the apt sources of this machine name no Debian mirror"):
        prerequisites.reachable_mirrors(GUEST)


@pytest.mark.usefixtures("machine")
def test_no_keys_of_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prerequisites, "KEYRING", "/no/such/keyring.gpg")
    with pytest.raises(NotRun, match=r"^not run: .* apt-get install debian-archive-keyring$"):
        prerequisites.reachable_mirrors(GUEST)


@pytest.mark.usefixtures("machine")
def test_a_mirror_without_the_suite_is_not_named_but_the_suite_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_command: list[str], **_options: float) -> t.NoReturn:
        raise LabError("http://name:password@mirror.example: no answer")

    monkeypatch.setattr(prerequisites, "run", fail)
    with pytest.raises(
        NotRun,
        match=r"^not run: a Debian mirror .* or no longer has bookworm, .* debian12 is made of$",
    ):
        prerequisites.reachable_mirrors(GUEST)


@pytest.mark.usefixtures("machine")
def test_a_build_that_fails_is_a_failure(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(made: Image, *_arguments: object) -> t.NoReturn:
        made.disk.touch()
        raise LabError("mmdebstrap: exit status 1")

    monkeypatch.setattr(image, "_fill", fail)
    with pytest.raises(LabError, match="mmdebstrap"):
        prerequisites.get_image(tmp_path / "cache", recipe(GUEST))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"], "a half-built image is left"


@pytest.mark.usefixtures("machine")
def test_an_image_is_built_once_and_replaces_the_one_of_an_older_recipe(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []

    def fill(made: Image, *_arguments: object) -> None:
        built.append(made.directory.name)
        made.disk.touch()

    monkeypatch.setattr(image, "_fill", fill)
    for name in ("debian12-older", "debian11-other", "building-killed"):
        (tmp_path / name).mkdir()
    wanted = recipe(GUEST)
    assert prerequisites.get_image(tmp_path, wanted) == prerequisites.get_image(tmp_path, wanted)
    assert len(built) == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("debian")) == [
        "debian11-other",
        wanted.name,
    ]
    assert not (tmp_path / "building-killed").exists()


def test_the_guests_are_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUESTS", "debian12 debian11")
    assert [guest.name for guest in vm.wanted_guests()] == ["debian12", "debian11"]
    monkeypatch.delenv("GUESTS")
    assert len(vm.wanted_guests()) == 1
