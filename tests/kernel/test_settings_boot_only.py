# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``runtime: false``: the files of the next boot only, in images and chroots, whatever kernel runs outside of them."""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t

import pytest
from helpers.settings_module import PREFIX, Settings, all_sysctls, sysctl
from helpers.support import CHECKOUT, assert_refused, network_namespace

NAME = "90-netops-conntrack.conf"
IMAGE = {"max": "1M", "buckets": "256K", "tcp_timeout_established": "15h"}
NOT_IN_THE_IMAGE = ("etc", "proc", "run", "sys", "tmp")
NO_PROC = "mount -t tmpfs tmpfs /proc"
NO_RUN = "mount -t tmpfs tmpfs /run"


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("image") as name:
        yield name


@pytest.fixture
def image(tmp_path: pathlib.Path) -> Settings:
    return Settings(tmp_path / "etc")


def next_time(settings: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
    return {"settings": settings, "runtime": False, **more}


@pytest.mark.parametrize("mount", [":", NO_RUN, f"{NO_RUN}; {NO_PROC}"])
@pytest.mark.parametrize("existing", ["", f"# mine\n{PREFIX}max=5"])
def test_files_of_an_image(image: Settings, netns: str, mount: str, existing: str) -> None:
    if existing:
        image.dropin.write_text(existing)
    before = all_sysctls(netns), image.texts
    args = next_time(IMAGE)
    predicted = image(args, netns=netns, mount=mount, check=True, diff=True)
    assert (all_sysctls(netns), image.texts) == before
    done = image(args, netns=netns, mount=mount, diff=True)
    assert done.data == predicted.data
    assert done.data["changed"] is True
    entry = done.data["settings"]["max"]
    assert (entry["runtime_before"], entry["runtime_after"], entry["wanted"], entry["boot"]) == (
        None,
        None,
        *[1 << 20] * 2,
    )
    assert {difference["after_header"] for difference in done.data["diff"]} == {
        f"/etc/{directory}/{NAME}" for directory in ("modprobe.d", "modules-load.d", "sysctl.d")
    }
    # Whatever kernel the build host runs, with the module built in or not: the image's own may have it as a module.
    assert image.texts[f"modules-load.d/{NAME}"].endswith("\nnf_conntrack\n")
    assert image.texts[f"modprobe.d/{NAME}"].endswith("\noptions nf_conntrack hashsize=262144\n")
    assert f"{PREFIX}tcp_timeout_established = 54000\n" in image.dropin.read_text()
    assert "warnings" not in done.data
    assert image(args, netns=netns, mount=mount).data["changed"] is False
    assert all_sysctls(netns) == before[0]

    exclusive = next_time({"max": "1M"}, exclusive=True)
    result = image(exclusive, netns=netns, mount=mount)
    assert result.data["restored"] == ["buckets", "tcp_timeout_established"]
    assert f"modprobe.d/{NAME}" not in image.texts
    absent = image({"state": "absent", "runtime": False}, netns=netns, mount=mount)
    assert (absent.data["changed"], absent.data["restored"]) == (True, ["max"])
    assert (all_sysctls(netns), image.texts) == before


def test_nothing_is_left_behind_in_run(image: Settings, netns: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "run").mkdir()
    image(next_time(IMAGE), netns=netns, mount=f"mount --bind {tmp_path / 'run'} /run")
    assert list((tmp_path / "run").iterdir()) == []


def test_module_that_a_file_of_the_image_loads(image: Settings, netns: str) -> None:
    (image.etc / "modules-load.d" / "firewall.conf").write_text("nf_conntrack\n")
    image(next_time({"acct": 1}), netns=netns)
    assert f"modules-load.d/{NAME}" not in image.texts
    assert image(next_time({"acct": 1}), netns=netns).data["changed"] is False


def test_module_that_is_not_to_be_loaded_early(image: Settings, netns: str) -> None:
    result = image(next_time({"acct": 1}, load_module=False), netns=netns)
    assert f"modules-load.d/{NAME}" not in image.texts
    assert "nf_conntrack is loaded after the sysctls are applied" in str(result.data["warnings"])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tcp_timout_established": 5}, ["any kernel", "Did you mean tcp_timeout_established"]),
        ({"count": 5}, ["'count' is no connection-tracking setting of any kernel"]),
        ({"max": "lots"}, ["settings.max: 'lots' cannot be used"]),
        ({"max": 5, "nf_conntrack_max": 6}, ["mean the same setting"]),
        ({"acct": 1, "generic_timeout": 0, "a/b": 3}, ["settings.generic_timeout: 0 ", "'a/b' is no"]),
    ],
)
def test_names_and_values_are_checked_all_the_same(
    image: Settings, netns: str, settings: dict[str, t.Any], words: list[str]
) -> None:
    assert_refused(image(next_time(settings), netns=netns, mount=NO_PROC), *words)
    assert image.files == []


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"persist": False}, ["runtime: False leaves nothing to do with persist: false"]),
        ({"confirm_within": "60s"}, ["runtime: False changes nothing that could be confirmed"]),
        ({"state": "confirmed"}, ["runtime: False changes nothing that could be confirmed"]),
        ({"at_least": {"max": 5}}, ["runtime: False cannot be combined with at_least"]),
    ],
)
def test_what_it_cannot_be_combined_with(image: Settings, netns: str, args: dict[str, t.Any], words: list[str]) -> None:
    assert_refused(image(next_time({"acct": 1}, **args), netns=netns), *words)
    assert image.files == []


def test_change_that_waits_is_left_alone(image: Settings, netns: str) -> None:
    image({"settings": {"acct": 1}, "confirm_within": "1h"}, netns=netns)
    for check in (True, False):
        refused = image(next_time({"udp_timeout": 50}), netns=netns, check=check)
        assert_refused(refused, "waits for its confirmation", "Nothing was changed")
    image({"state": "confirmed"}, netns=netns)
    image(next_time({"udp_timeout": 50}), netns=netns)
    assert (sysctl(netns, "acct"), sysctl(netns, "udp_timeout")) == (1, 30)


def test_kernel_that_is_set_later_is_restored_too(image: Settings, netns: str) -> None:
    image(next_time({"udp_timeout": 50, "acct": 1}), netns=netns)
    assert {before["runtime"] for before in json.loads(image.record.read_text())["settings"].values()} == {None}
    image({"settings": {"udp_timeout": 50}}, netns=netns)
    result = image({"state": "absent"}, netns=netns)
    assert (result.data["restored"], sorted(result.data["settings"])) == (["acct", "udp_timeout"], ["udp_timeout"])
    assert (sysctl(netns, "udp_timeout"), image.files) == (30, [])


def test_inside_a_chroot(image: Settings, netns: str, tmp_path: pathlib.Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    of_the_host = [path for path in pathlib.Path("/").iterdir() if path.is_dir() and path.name not in NOT_IN_THE_IMAGE]
    # The checkout and its interpreter may lie below a directory that the image does not have.
    of_the_tests = [CHECKOUT, pathlib.Path(sys.prefix), pathlib.Path(sys.base_prefix)]
    bound = [*of_the_host, *(path for path in of_the_tests if path.parts[1] in NOT_IN_THE_IMAGE)]
    for path in bound:
        (root / path.relative_to("/")).mkdir(parents=True, exist_ok=True)
    binds = [f"mount --rbind {path} {root}{path}" for path in bound]
    before = all_sysctls(netns)
    result = image(
        next_time(IMAGE),
        netns=netns,
        mount="; ".join([*binds, f"mount --bind {image.etc} {root}/etc"]),
        wrapper=["chroot", str(root)],
    )
    assert result.data["changed"] is True
    assert f"{PREFIX}max = 1048576\n" in image.dropin.read_text()
    assert (all_sysctls(netns), (root / "run").exists()) == (before, False)
