# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which names load nf_conntrack, judged by modprobe(8), on lists that depmod(8) made of modules built here."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import tempfile
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import Tree
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.modprobe_d import ModprobeConfig
from helpers.support import DERANDOMIZE
from hypothesis import given, settings
from hypothesis import strategies as st

RELEASE = "6.1.0-test"
NEEDED = ("modprobe", "depmod", "gcc")
SOURCE = """
const char exported[] __attribute__((section("__ksymtab_strings"))) = "{name}_symbol";
const char information[] __attribute__((section(".modinfo"))) = "license=GPL\\0name={name}\\0{information}";
{needs}
"""
MODULES = {
    "nf_conntrack": ("", "alias=ip_conntrack\\0alias=nf-conntrack-2"),
    "nf_conntrack_ftp": ("nf_conntrack", "alias=ip_conntrack_ftp\\0alias=nfct-helper-ftp"),
    "nf_nat": ("nf_conntrack", ""),
    "nf_nat_ftp": ("nf_nat nf_conntrack_ftp", ""),
    "other": ("", "alias=foo-bar\\0alias=pci:v00008086d*"),
    "br_netfilter": ("other", "softdep=pre: nf-conntrack"),
    "wireguard": ("", "softdep=post: nf_nat"),
}
"""By name: the modules that it needs, and the rest of its information."""

NAMES = (
    *MODULES,
    "nf-conntrack",
    "nf-conntrack_ftp",
    "ip_conntrack",
    "ip-conntrack",
    "nf-conntrack-2",
    "ip_conntrack_ftp",
    "nfct-helper-ftp",
    "nfct_helper_ftp",
    "foo-bar",
    "pci:v00008086d00001234",
    "made_up",
    "unheard_of",
)
TARGETS = ("nf_conntrack", "nf-conntrack", "nf_conntrack_ftp", "ip_conntrack", "other", "br_netfilter", "off")


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        pytest.skip(f"not installed: {' '.join(missing)}")
    root = tmp_path_factory.mktemp("modules")
    directory = root / "lib/modules" / RELEASE / "kernel/net"
    directory.mkdir(parents=True)
    for name, (needs, information) in MODULES.items():
        uses = "".join(f"extern int {each}_symbol; void *of_{each} = &{each}_symbol;" for each in needs.split())
        text = SOURCE.format(name=name, information=information, needs=uses)
        command = ["gcc", "-x", "c", "-c", "-o", str(directory / f"{name}.ko"), "-"]
        subprocess.run(command, input=text, text=True, check=True)
    subprocess.run(["depmod", "-b", str(root), RELEASE], check=True, capture_output=True)
    return root


def lines_of_modprobe(root: pathlib.Path, config: pathlib.Path, name: str, blacklist: str) -> list[str]:
    """Return what modprobe would do."""
    obeys = ["--use-blacklist"] if blacklist == "all" else []
    where = ["-d", str(root), "-S", RELEASE, "-C", str(config)]
    done = subprocess.run(
        ["modprobe", "--dry-run", "--verbose", *obeys, *where, "--", name], check=False, capture_output=True, text=True
    )
    return done.stdout.splitlines()


def assert_as_modprobe_does_it(root: pathlib.Path, text: str, name: str, blacklist: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        tree = pathlib.Path(directory)
        config = tree / "etc/modprobe.d"
        config.mkdir(parents=True)
        (config / "a.conf").write_text(text)
        (tree / "lib").symlink_to(root / "lib")
        (tree / "proc/sys/kernel").mkdir(parents=True)
        (tree / "proc/sys/kernel/osrelease").write_text(f"{RELEASE}\n")
        lines = lines_of_modprobe(root, config, name, blacklist)
        # An install line is run in the place of the module; the ones here load nothing.
        loads = any(line.startswith("insmod ") and "/nf_conntrack.ko" in line for line in lines)
        assert ModprobeConfig(Tree(directory)).loads(name, "nf_conntrack", blacklist) == loads, (text, lines)


@st.composite
def config_lines(draw: st.DrawFn) -> str:
    command = draw(
        st.sampled_from(["alias", "alias", "blacklist", "install", "softdep", "options", "#alias", "nonsense"])
    )
    subject = draw(st.sampled_from([*NAMES, "nf_*", "made_*", "br?netfilter"]))
    # Nobody writes that a module needs itself.
    target = draw(st.sampled_from(TARGETS).filter(lambda name: name.replace("-", "_") != subject.replace("-", "_")))
    rest = {
        "blacklist": "",
        "install": "/bin/true",
        "softdep": f"{draw(st.sampled_from(['pre:', 'post:', 'pre: other post:', '']))} {target}",
        "options": "hashsize=5",
    }.get(command, target)
    continued = draw(st.sampled_from([" ", " ", "\t", " \\\n  "]))
    return f"{command} {subject}{continued}{rest}"


@given(
    text=st.lists(config_lines(), max_size=4).map("\n".join),
    name=st.sampled_from(NAMES),
    blacklist=st.sampled_from(["all", "aliases"]),
)
@settings(max_examples=300, deadline=None, derandomize=DERANDOMIZE)
def test_as_modprobe_does_it(modules: pathlib.Path, text: str, name: str, blacklist: str) -> None:
    assert_as_modprobe_does_it(modules, text, name, blacklist)


CASES: dict[str, tuple[str, str, t.Literal["all", "aliases"]]] = {
    "a blacklisted alias": ("blacklist nf_conntrack\n", "ip_conntrack", "aliases"),
    "a blacklisted name": ("blacklist nf_conntrack\n", "nf_conntrack", "all"),
    "a blacklisted name that is asked for by name": ("blacklist nf_conntrack\n", "nf_conntrack", "aliases"),
    "what needs a blacklisted one": ("blacklist nf_conntrack\n", "nf_conntrack_ftp", "all"),
    "an alias of one's own": ("alias made_up nf_conntrack\n", "made-up", "all"),
    "an alias that hides a module": ("alias nf_conntrack other\n", "nf_conntrack", "all"),
    "a soft dependency": ("softdep other post: nf-conntrack\n", "foo-bar", "all"),
    "the first of two soft dependencies": (
        "softdep other pre: br_netfilter\nsoftdep other pre: nf_conntrack\n",
        "other",
        "all",
    ),
    "an install line for what is asked for": ("install nf_conntrack_ftp /bin/true\n", "nf_conntrack_ftp", "all"),
    "an install line in its place": ("install nf_conntrack /bin/true\n", "nf_conntrack", "all"),
}


@pytest.mark.parametrize(("text", "name", "blacklist"), CASES.values(), ids=list(CASES))
def test_cases_that_people_have(modules: pathlib.Path, text: str, name: str, blacklist: str) -> None:
    assert_as_modprobe_does_it(modules, text, name, blacklist)
