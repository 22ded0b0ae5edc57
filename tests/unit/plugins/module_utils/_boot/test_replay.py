# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What applies sysctls besides the system's own service; in tests/kernel/test_udev.py, udev judges its rules."""

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._boot.next_boot import NextBoot, next_boot
from helpers import systems
from helpers.systems import assignment

BASE = {**systems.MODULE, **systems.SYSTEMD, "etc/sysctl.d/a.conf": assignment("max", 5) + assignment("acct", 1)}
MATCH = 'ACTION=="add", SUBSYSTEM=="module", KERNEL=="nf_conntrack"'
RULES = "etc/udev/rules.d/9.rules"
SYSCTL = "/usr/lib/systemd/systemd-sysctl"
EARLY = {"etc/modules-load.d/a.conf": "nf_conntrack\n"}


def boot_of(root: pathlib.Path, files: dict[str, str]) -> NextBoot:
    systems.build(root, {**BASE, **files})
    return next_boot(root=str(root))


def set_by(boot: NextBoot) -> dict[str, str]:
    pairs = [(short, boot.in_force(short)) for short in sorted({*boot.values, *boot.loaded_with})]
    return {short: f"{value.value} {value.source.file}:{value.source.line}" for short, value in pairs if value}


A_CONF = {"acct": "1 /etc/sysctl.d/a.conf:2", "max": "5 /etc/sysctl.d/a.conf:1"}
REPLAYS: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    "a file of its own": (
        {
            "etc/modprobe.d/a.conf": "install nf_conntrack modprobe -i nf_conntrack; sysctl -q -p /etc/ct.conf\n",
            "etc/ct.conf": assignment("udp_timeout", 9),
        },
        {"udp_timeout": "9 /etc/ct.conf:1"},
        "acct max",
    ),
    "a value of its own": (
        {"etc/modprobe.d/a.conf": "#\ninstall nf_conntrack modprobe -i nf_conntrack; sysctl net.nf_conntrack_max=9\n"},
        {"max": "9 /etc/modprobe.d/a.conf:2"},
        "acct",
    ),
    "only the first install line is run": (
        {
            "etc/modprobe.d/a.conf": "install nf_conntrack modprobe -i nf_conntrack\n",
            "etc/modprobe.d/b.conf": "install nf_conntrack modprobe -i nf_conntrack && sysctl --system\n",
        },
        {},
        "acct max",
    ),
    "an install line with a pattern": (
        {"etc/modprobe.d/a.conf": "install nf_* modprobe -i $MODPROBE_MODULE && sysctl --system\n"},
        A_CONF,
        "",
    ),
    "an install line of another module": (
        {"etc/modprobe.d/a.conf": "install nf_conntrack_ftp sysctl --system\n"},
        {},
        "acct max",
    ),
    "a rule with the words of a shell, which nobody reads": (
        {RULES: f'{MATCH}, RUN+="/bin/true && /sbin/sysctl --system"\n'},
        {},
        "acct max",
    ),
    "a rule with a shell": (
        {RULES: f"{MATCH}, RUN+=\"/bin/sh -c 'true; sysctl -p /etc/sysctl.d/a.conf'\"\n"},
        A_CONF,
        "",
    ),
    "a rule of a package": ({"usr/lib/udev/rules.d/9.rules": f'{MATCH}, RUN+="{SYSCTL}"\n'}, A_CONF, ""),
    "a rule that goes on, with a comment in it": (
        {"run/udev/rules.d/9.rules": f'{MATCH}, \\\n# why\n  RUN+="{SYSCTL}"\n'},
        A_CONF,
        "",
    ),
    "a rule that is masked": (
        {"usr/lib/udev/rules.d/9.rules": f'{MATCH}, RUN+="{SYSCTL}"\n', RULES: "-> /dev/null"},
        {},
        "acct max",
    ),
    "a rule with a value": (
        {RULES: f'{MATCH}, RUN{{program}}+="/sbin/sysctl -w net.netfilter.nf_conntrack_max=7"\n'},
        {"max": f"7 /{RULES}:1"},
        "acct",
    ),
    "a program without a path is not found": ({RULES: f'{MATCH}, RUN+="sysctl --system"\n'}, {}, "acct max"),
    "a builtin is no program": ({RULES: f'{MATCH}, RUN{{builtin}}+="{SYSCTL}"\n'}, {}, "acct max"),
    "another module, with a name that begins alike": (
        {RULES: f'{MATCH}, RUN+="{SYSCTL}"\n'.replace('"nf_conntrack"', '"nf_conntrack_ftp|nf_nat"')},
        {},
        "acct max",
    ),
    "with alternatives and wildcards": (
        {RULES: f'{MATCH}, RUN+="{SYSCTL}"\n'.replace('"nf_conntrack"', '"br_*|nf_conn*ck"')},
        A_CONF,
        "",
    ),
    "a rule that a later file takes back": (
        {
            RULES: f'{MATCH}, RUN+="{SYSCTL}"\n',
            "usr/lib/udev/rules.d/99-x.rules": 'SUBSYSTEM=="module", RUN="/bin/true"\n',
        },
        {},
        "acct max",
    ),
    "a rule that nobody can take back": (
        {
            RULES: f'{MATCH}, RUN:="{SYSCTL}"\n',
            "usr/lib/udev/rules.d/99-x.rules": 'SUBSYSTEM=="module", RUN="/bin/true"\n',
        },
        A_CONF,
        "",
    ),
    "a script that loads the module first": (
        {"etc/rc.local": "#!/bin/sh\nmodprobe nf_conntrack\nsysctl -p /etc/sysctl.d/a.conf\n"},
        A_CONF,
        "",
    ),
    "a script that is not run": ({"etc/rc.local": "modprobe nf_conntrack\nsysctl --system\n"}, {}, "acct max"),
    "behind the end of a script": (
        {"etc/rc.local": "#!/bin/sh\nexit 0\nmodprobe nf_conntrack\nsysctl --system\n"},
        {},
        "acct max",
    ),
}


@pytest.mark.parametrize(("files", "in_force", "lost"), REPLAYS.values(), ids=list(REPLAYS))
def test_what_applies_the_lines_to_a_late_module(
    files: dict[str, str], in_force: dict[str, str], lost: str, tmp_path: pathlib.Path
) -> None:
    boot = boot_of(tmp_path, files)
    assert (set_by(boot), sorted(boot.lost), boot.undecided) == (in_force, lost.split(), frozenset())


UNDECIDED: dict[str, tuple[dict[str, str], str]] = {
    "a script at a time that is not known": ({"etc/rc.local": "#!/bin/sh\nsysctl --system\n"}, "acct max"),
    "a script with files that are not known": (
        {"etc/rc.local": '#!/bin/sh\nmodprobe nf_conntrack\nfor f in /etc/sysctl.d/*; do sysctl -p "$f"; done\n'},
        "acct max",
    ),
    "a rule with a condition that is not known": (
        {RULES: f'{MATCH}, ATTR{{initstate}}=="live", RUN+="{SYSCTL}"\n'},
        "acct max",
    ),
    "a rule that asks a program": ({RULES: f'{MATCH}, PROGRAM="/bin/x", RUN+="{SYSCTL}"\n'}, "acct max"),
    "a rule with another value, and the module in time": (
        {**EARLY, RULES: f'{MATCH}, RUN+="/sbin/sysctl -w net.netfilter.nf_conntrack_max=7"\n'},
        "max",
    ),
    "a rule with the same values, and the module in time": ({**EARLY, RULES: f'{MATCH}, RUN+="{SYSCTL}"\n'}, ""),
}


@pytest.mark.parametrize(("files", "undecided"), UNDECIDED.values(), ids=list(UNDECIDED))
def test_what_nobody_can_tell(files: dict[str, str], undecided: str, tmp_path: pathlib.Path) -> None:
    boot = boot_of(tmp_path, files)
    assert (sorted(boot.undecided), boot.lost) == (undecided.split(), frozenset())
    assert not {*undecided.split()} & set_by(boot).keys()
    assert (boot.why_undecided is None) == (not undecided)


@pytest.mark.parametrize(
    ("files", "kernel", "in_force"),
    [
        ({"proc/cmdline": "sysctl.net.netfilter.nf_conntrack_udp_timeout=9"}, systems.KERNEL, "9 /proc/cmdline:1"),
        ({"proc/cmdline": "sysctl/net/netfilter/nf_conntrack_udp_timeout=9"}, systems.KERNEL, "9 /proc/cmdline:1"),
        (
            {
                "proc/cmdline": "sysctl.net.netfilter.nf_conntrack_udp_timeout=9",
                "etc/sysctl.d/b.conf": assignment("udp_timeout", 8),
            },
            systems.KERNEL,
            "8 /etc/sysctl.d/b.conf:1",
        ),
        ({"proc/cmdline": "sysctl.net.netfilter.nf_conntrack_udp_timeout=9"}, systems.MODULE, None),
    ],
)
def test_the_kernels_command_line_sets_what_is_built_in(
    files: dict[str, str], kernel: dict[str, str], in_force: str | None, tmp_path: pathlib.Path
) -> None:
    systems.build(tmp_path, {**kernel, **systems.SYSTEMD, **EARLY, **files})
    boot = next_boot(root=str(tmp_path))
    assert set_by(boot).get("udp_timeout") == in_force
    assert boot.lost == (frozenset() if in_force else {"udp_timeout"})


OPTIONS: dict[str, tuple[str, dict[str, int | None]]] = {
    "switches": ("options nf_conntrack acct=1 tstamp=Y nf_conntrack_helper=off\n", {"acct": 1, "timestamp": 1}),
    "a bare name": ("options nf_conntrack acct\n", {"acct": 1}),
    "no switch": ("options nf_conntrack acct=maybe\n", {"acct": None}),
    "expectations": ("options nf_conntrack expect_hashsize=100\n", {"expect_max": 400}),
    "what sets no sysctl": ("options nf_conntrack enable_hooks=1\n", {}),
    "another module": ("options nf_conntrack_ftp acct=1\n", {}),
    "the last one": ("options nf_conntrack acct=1\noptions nf-conntrack acct=0\n", {"acct": 0}),
    "an alias by which it is not loaded": ("options ip_conntrack acct=1\n", {}),
}


@pytest.mark.parametrize(("text", "values"), OPTIONS.values(), ids=list(OPTIONS))
def test_the_options_of_the_module(text: str, values: dict[str, int | None], tmp_path: pathlib.Path) -> None:
    systems.build(tmp_path, {**systems.MODULE, **systems.SYSTEMD, "etc/modprobe.d/a.conf": text})
    loaded_with = next_boot(root=str(tmp_path)).loaded_with
    assert {short: value.value for short, value in loaded_with.items()} == values


def test_options_for_the_alias_that_is_asked_for(tmp_path: pathlib.Path) -> None:
    files = {
        "etc/modprobe.d/a.conf": "options ip_conntrack hashsize=512\n",
        "etc/modules-load.d/a.conf": "ip_conntrack\n",
    }
    systems.build(tmp_path, {**systems.MODULE, **systems.SYSTEMD, **files})
    size = next_boot(root=str(tmp_path)).hashsize
    assert size is not None
    assert size.value == 512


IMAGES = {
    "etc/initramfs-tools/modules": ("# list\nnf_conntrack\n", f"boot/initrd.img-{systems.RELEASE}"),
    "etc/dracut.conf.d/a.conf": ('force_drivers+=" nf_conntrack "\n', f"boot/initramfs-{systems.RELEASE}.img"),
    "etc/mkinitcpio.conf": ("MODULES=(ip_conntrack)\n", "boot/initramfs-linux-lts.img"),
}


@pytest.mark.parametrize(("path", "text", "image"), [(path, *rest) for path, rest in IMAGES.items()])
def test_the_initial_ram_disk_loads_it(path: str, text: str, image: str, tmp_path: pathlib.Path) -> None:
    systems.build(tmp_path, {**BASE, path: text, image: "built"})
    os.utime(tmp_path / path, (1000, 1000))
    assert next_boot(root=str(tmp_path)).module == "early"
    # An image that is older than its configuration was built without it.
    os.utime(tmp_path / image, (999, 999))
    assert next_boot(root=str(tmp_path)).module == "late"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("etc/dracut.conf.d/a.conf", 'add_drivers+=" nf_conntrack "\n'),
        ("etc/mkinitcpio.conf", "#MODULES=(nf_conntrack)\nHOOKS=(nf_conntrack)\n"),
        ("etc/initramfs-tools/modules", "# nf_conntrack\n"),
    ],
)
def test_what_is_only_copied_to_the_ram_disk_is_not_loaded(path: str, text: str, tmp_path: pathlib.Path) -> None:
    images = {image: "built" for _text, image in IMAGES.values()}
    assert boot_of(tmp_path, {path: text, **images}).module == "late"
