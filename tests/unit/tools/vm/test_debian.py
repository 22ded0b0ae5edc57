# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the virtual machine is made of, and where that comes from."""

from __future__ import annotations

import dataclasses
import typing as t

import debian
import pytest
from debian import Mirrors, choose_kernel, find_mirrors, kept_apt_options, recipe

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


def test_the_mirrors_of_a_later_debian_give_the_guests_release() -> None:
    mirrors = find_mirrors([ONE_LINE.replace("bookworm", "trixie")], "trixie")
    assert mirrors == MIRRORS
    assert mirrors.sources.splitlines() == [
        "deb http://mirror.example/debian bookworm main",
        "deb http://mirror.example/security/ bookworm-security main",
    ]
    assert mirrors.releases == (
        "http://mirror.example/debian/dists/bookworm/InRelease",
        "http://mirror.example/security/dists/bookworm-security/InRelease",
    )


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
    ("release", "expected"),
    [("6.18.44", "6.1"), ("6.12.9-amd64", "6.1"), ("6.1.0-30-amd64", "6.12"), ("5.10.0-9-amd64", "6.1")],
)
def test_the_kernel_is_another_one(release: str, expected: str) -> None:
    assert choose_kernel(release) == expected


def test_the_name_is_the_same_for_the_same_recipe_only() -> None:
    wanted = recipe("6.1")
    assert wanted.name == recipe("6.1").name
    assert wanted.name.startswith("6.1-")
    others: list[dict[str, t.Any]] = [
        {"kernel": "6.12"},
        {"packages": wanted.packages[1:]},
        {"files": {**wanted.files, "etc/hostname": "another\n"}},
        {"initramfs": {}},
        {"enabled": ()},
        {"masked": ()},
        {"megabytes": 2000},
    ]
    names = {dataclasses.replace(wanted, **other).name for other in others}
    assert len(names | {wanted.name}) == len(others) + 1


@pytest.mark.parametrize("kernel", debian.KERNELS)
def test_each_recipe_has_its_kernel_and_what_a_router_needs(kernel: str) -> None:
    assert {debian.KERNELS[kernel], "openssh-server", "nftables", "python3-pyroute2"} < set(recipe(kernel).packages)


def test_what_the_bootstrap_starts_and_mounts_ends_with_it() -> None:
    command = debian.bootstrap_command(recipe("6.1"), "/cache/root", "/cache/apt.conf", "/cache/initramfs")
    unshare, mmdebstrap = command[: command.index("mmdebstrap")], command[command.index("mmdebstrap") :]
    assert {"--mount", "--pid", "--kill-child"} < set(unshare)
    assert mmdebstrap[-3:] == ["bookworm", "/cache/root", "-"]
    assert not any("://" in word for word in command), "addresses may hold passwords, and everybody sees command lines"


def test_no_module_is_loaded_by_the_lab_itself() -> None:
    files = recipe("6.1").files
    assert not any("modules-load.d" in name or "sysctl.d" in name for name in files)
    assert "ct state" in files["etc/nftables.conf"]
