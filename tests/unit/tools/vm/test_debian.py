# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the virtual machine is made of, and where that comes from."""

from __future__ import annotations

import dataclasses
import typing as t

import debian
import pytest
from debian import Mirrors, find_mirrors, kept_apt_options, recipe
from guests import GUESTS, Guest, choose_guests
from hardware import S390X
from processes import LabError

MIRRORS = Mirrors("http://mirror.example/debian", "http://mirror.example/security/")

ONE_LINE = """# deb http://commented.example/debian bookworm main
deb [signed-by=/usr/share/keyrings/debian.gpg arch=amd64] http://mirror.example/debian bookworm main contrib
deb http://mirror.example/debian bookworm-updates main
deb-src http://source.example/debian bookworm main
deb http://mirror.example/security/ bookworm-security main
"""
DEB822 = """Types: deb deb-src
URIs: http://mirror.example/debian
# a comment between the fields
Suites: bookworm bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 URIs: http://not-a-field.example
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs:
 http://mirror.example/security/
Suites: bookworm-security
Components: main
"""
OTHERS = """Types: deb
URIs: https://packages.example/node
Suites: nodistro
Components: main
"""


@pytest.mark.parametrize("sources", [[ONE_LINE], [DEB822], [OTHERS, DEB822]])
def test_the_mirrors_are_those_of_this_machine(sources: list[str]) -> None:
    assert find_mirrors(sources, "bookworm") == MIRRORS


def test_the_first_mirror_wins() -> None:
    second = "deb http://second.example/debian bookworm main\n"
    assert find_mirrors([ONE_LINE, second], "bookworm") == MIRRORS


@pytest.mark.parametrize(
    ("sources", "codename"),
    [
        ([], "bookworm"),
        ([OTHERS], "bookworm"),
        ([ONE_LINE], "trixie"),
        (["deb http://mirror.example/debian bookworm main\n"], "bookworm"),
        ([DEB822.replace("Suites: bookworm-security", "Suites: bookworm-security\nEnabled: no")], "bookworm"),
        ([DEB822.replace("Types: deb deb-src", "Types: deb-src")], "bookworm"),
    ],
)
def test_no_mirror_is_made_up(sources: list[str], codename: str) -> None:
    assert find_mirrors(sources, codename) is None


def test_the_mirrors_of_another_debian_give_the_guests_release() -> None:
    mirrors = find_mirrors([ONE_LINE.replace("bookworm", "trixie")], "trixie")
    assert mirrors == MIRRORS
    assert mirrors.sources(GUESTS["debian12"]).splitlines() == [
        "deb http://mirror.example/debian bookworm main",
        "deb http://mirror.example/security/ bookworm-security main",
    ]
    assert mirrors.releases(GUESTS["debian12"]) == [
        "http://mirror.example/debian/dists/bookworm/InRelease",
        "http://mirror.example/security/dists/bookworm-security/InRelease",
    ]


def test_a_guest_can_have_no_security_updates() -> None:
    guest = GUESTS["debian11"]
    assert MIRRORS.sources(guest) == f"deb http://mirror.example/debian {guest.suite} main\n"
    assert MIRRORS.releases(guest) == [f"http://mirror.example/debian/dists/{guest.suite}/InRelease"]


def test_only_what_reaches_the_mirrors_is_kept_of_the_apt_options() -> None:
    dump = """APT::Architecture "amd64";
Acquire "";
Acquire::Check-Valid-Until "false";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::https::Verify-Peer "true";
Acquire::IndexTargets::deb::Packages::MetaKey "$(COMPONENT)/Packages";
Acquire::Languages:: "none";
Dir::Etc "etc/apt";
"""
    assert kept_apt_options(dump).splitlines() == [
        'Acquire::Check-Valid-Until "false";',
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::https::Verify-Peer "true";',
    ]


@pytest.mark.parametrize(
    ("names", "release", "expected"),
    [
        ("", "6.18.44", ["debian11"]),
        (" ", "5.10.0-9-amd64", ["debian12"]),
        ("", "5.1.0", ["debian11"]),
        ("debian12", "6.18.44", ["debian12"]),
        (" debian12  debian11", "5.10.0", ["debian12", "debian11"]),
        ("all", "6.18.44", list(GUESTS)),
    ],
)
def test_which_guests_are_meant(names: str, release: str, expected: list[str]) -> None:
    assert [guest.name for guest in choose_guests(names, release)] == expected


@pytest.mark.parametrize("names", ["debian10", "debian11 all", "Debian11"])
def test_an_unknown_guest_is_an_error(names: str) -> None:
    with pytest.raises(LabError, match=r"GUESTS: '\S+' is none of debian11, debian12, .*s390x, and not 'all'\."):
        choose_guests(names, "6.18.44")


def test_no_guest_takes_the_image_of_another_away() -> None:
    """An image replaces all whose names begin with that of the guest and a dash."""
    assert not any(other.startswith(f"{name}-") for name in GUESTS for other in GUESTS)


def test_the_name_is_the_same_for_the_same_recipe_only() -> None:
    wanted = recipe(GUESTS["debian12"])
    assert wanted.name == recipe(GUESTS["debian12"]).name
    assert wanted.name.startswith("debian12-")
    others: list[dict[str, t.Any]] = [
        {"guest": GUESTS["debian11"]},
        {"guest": dataclasses.replace(GUESTS["debian12"], hardware=S390X)},
        {"packages": wanted.packages[1:]},
        {"files": {**wanted.files, "etc/hostname": "another\n"}},
        {"initramfs": {}},
        {"enabled": ()},
        {"masked": ()},
        {"megabytes": 2000},
    ]
    names = {dataclasses.replace(wanted, **other).name for other in others}
    assert len(names | {wanted.name}) == len(others) + 1


@pytest.mark.parametrize("guest", GUESTS.values(), ids=list(GUESTS))
def test_each_recipe_has_its_kernel_and_what_a_router_needs(guest: Guest) -> None:
    wanted = recipe(guest)
    assert {guest.hardware.kernel_package, "openssh-server", "nftables", "python3-pyroute2"} < set(wanted.packages)
    assert f"virtio_{guest.hardware.bus}" in wanted.initramfs["usr/share/initramfs-tools/modules.d/vm"].split()


@pytest.mark.parametrize(
    ("name", "release", "expected"),
    [
        ("debian12", "6.1.0-52-cloud-amd64", True),
        ("debian12", "6.12.118+deb13-cloud-amd64", False),
        ("debian13", "6.1.0-52-cloud-amd64", False),
        ("unstable", "7.2.13-cloud-amd64", True),
        ("unstable", "8.0-rc1-cloud-amd64", True),
        ("unstable", "6.18.44", False),
    ],
)
def test_only_a_rolling_suite_may_have_another_kernel(name: str, release: str, expected: bool) -> None:
    assert GUESTS[name].may_run(release) is expected


def test_what_the_bootstrap_starts_and_mounts_ends_with_it() -> None:
    command = debian.bootstrap_command(recipe(GUESTS["debian12"]), "/cache/root", "/cache/apt.conf", "/cache/initramfs")
    unshare, mmdebstrap = command[: command.index("mmdebstrap")], command[command.index("mmdebstrap") :]
    assert {"--mount", "--pid", "--kill-child"} < set(unshare)
    assert mmdebstrap[-3:] == ["bookworm", "/cache/root", "-"]
    assert "--architectures=amd64" in mmdebstrap
    assert not any("://" in word for word in command), "addresses may hold passwords, and everybody sees command lines"


def test_no_module_is_loaded_by_the_lab_itself() -> None:
    files = recipe(GUESTS["debian12"]).files
    assert not any("modules-load.d" in name or "sysctl.d" in name for name in files)
    assert "ct state" in files["etc/nftables.conf"]
