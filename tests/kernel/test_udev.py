# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which programs udev runs when nf_conntrack was loaded, judged by ``udevadm test``."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import Tree
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.udev_rules import programs_for
from helpers.support import DERANDOMIZE, PATIENCE
from hypothesis import given, settings
from hypothesis import strategies as st

DIRECTORIES = ("etc", "run", "usr/local/lib", "usr/lib")
SCRIPT = """
tree=$1 work=$2
mount -t tmpfs none "$work"
for name in etc run usr/local/lib usr/lib; do
  mkdir -p "$work/$name/upper" "$work/$name/work"
  mount -t overlay -o "lowerdir=/$name,upperdir=$work/$name/upper,workdir=$work/$name/work" none "/$name"
  mkdir -p "/$name/udev/rules.d"
  mount --bind "$tree/$name/udev/rules.d" "/$name/udev/rules.d"
done
udevadm test --action=add /module/nf_conntrack 2>/dev/null
"""
"""Puts the rules of a tree in the place of the machine's, in a mount namespace of its own."""

SYSCTL = "/usr/lib/systemd/systemd-sysctl"

pytestmark = [
    pytest.mark.skipif(not shutil.which("udevadm"), reason="udevadm is not installed"),
    pytest.mark.skipif(not pathlib.Path("/sys/module/nf_conntrack").exists(), reason="no /sys/module/nf_conntrack"),
]


def programs_of_udev(tree: str, work: str) -> list[str]:
    command = ["unshare", "--mount", "sh", "-ec", SCRIPT, "sh", tree, work]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
    return re.findall(r"^run: '(.*)'$", done.stdout, re.MULTILINE)


def assert_as_udev_does_it(files: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as tree, tempfile.TemporaryDirectory() as work:
        for directory in DIRECTORIES:
            pathlib.Path(tree, directory, "udev/rules.d").mkdir(parents=True)
        for name, text in files.items():
            path = pathlib.Path(tree, name)
            if text.startswith("-> "):
                path.symlink_to(text[3:])
            else:
                path.write_text(text)
        found = [" ".join(program.words) for program in programs_for(Tree(tree), "nf_conntrack")]
        assert found == [command.replace("'", "") for command in programs_of_udev(tree, work)], files


MATCHES = (
    'ACTION=="add"',
    'ACTION=="add|change"',
    'ACTION!="remove"',
    'ACTION=="remove"',
    'SUBSYSTEM=="module"',
    'SUBSYSTEM!="net"',
    'SUBSYSTEM=="net"',
    'KERNEL=="nf_conntrack"',
    'KERNEL=="nf_conn*"',
    'KERNEL=="nf_conntrack_ftp|nf_conntrack"',
    'KERNEL=="nf_conntrack?"',
    'KERNEL=="nf_[a-m]*"',
    'KERNEL!="nf_conntrack"',
    'DEVPATH=="/module/nf_*"',
    'ENV{ACTION}=="add"',
    'ENV{unset}==""',
    'ENV{unset}!="?*"',
    'TAG=="systemd"',
    'TAG!="systemd"',
    'TEST=="/proc/cmdline"',
)
ACTIONS = (
    f'RUN+="{SYSCTL} --prefix=/net/netfilter"',
    f'RUN+="{SYSCTL}"',
    'RUN{program}+="/sbin/sysctl -p /etc/sysctl.d/a.conf"',
    f'RUN="{SYSCTL} --prefix=/net"',
    'RUN:="/sbin/sysctl --system"',
    f'RUN-="{SYSCTL}"',
    'MADE_UP="x"',
    "RUN+=\"/bin/sh -c '/sbin/sysctl -p'\"",
    'GOTO="end"',
    'LABEL="end"',
    'ENV{unset}="set"',
    "nonsense",
)


@st.composite
def rules(draw: st.DrawFn) -> str:
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from(["# a comment", "# one that ends in \\", "", "   "]))
    parts = draw(st.lists(st.sampled_from(MATCHES), max_size=3)) + draw(
        st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=2)
    )
    between = draw(st.sampled_from([", ", ",", " ", ", \\\n  ", " \\\n  # between\n "]))
    return draw(st.sampled_from(["", "  ", "\t"])) + between.join(parts)


NAMES = [f"{directory}/udev/rules.d/{name}.rules" for directory in DIRECTORIES for name in ("10-a", "9-b")]
TREES = st.dictionaries(
    st.sampled_from(NAMES), st.lists(rules(), max_size=4).map(lambda lines: "\n".join([*lines, ""])), max_size=4
)


@given(files=TREES)
@settings(max_examples=60, deadline=None, derandomize=DERANDOMIZE)
def test_as_udev_does_it(files: dict[str, str]) -> None:
    # The tree that is looked at from outside has no /proc of its own.
    visible = {name: text.replace('TEST=="/proc/cmdline"', 'TEST!="/nowhere"') for name, text in files.items()}
    assert_as_udev_does_it(visible)


RULE = f'ACTION=="add", SUBSYSTEM=="module", KERNEL=="nf_conntrack", RUN+="{SYSCTL} --prefix=/net/netfilter"\n'
CASES: dict[str, dict[str, str]] = {
    "as sysctl.d(5) has it": {"etc/udev/rules.d/99-a.rules": RULE},
    "continued": {"etc/udev/rules.d/99-a.rules": RULE.replace("KERNEL", "\\\n  KERNEL")},
    "of a package": {"usr/lib/udev/rules.d/99-a.rules": RULE},
    "masked": {"usr/lib/udev/rules.d/99-a.rules": RULE, "etc/udev/rules.d/99-a.rules": "-> /dev/null"},
    "hidden by an empty file": {"usr/lib/udev/rules.d/99-a.rules": RULE, "run/udev/rules.d/99-a.rules": ""},
    "a later file takes it back": {
        "usr/lib/udev/rules.d/1.rules": RULE,
        "etc/udev/rules.d/2.rules": 'RUN="/bin/true"\n',
    },
    "no newline at the end": {"etc/udev/rules.d/99-a.rules": RULE.rstrip("\n")},
    "a line that goes on at the end of the file": {"etc/udev/rules.d/99-a.rules": RULE.rstrip("\n") + " \\"},
    "another module": {"etc/udev/rules.d/99-a.rules": RULE.replace("nf_conntrack", "xt_conntrack")},
    "another name": {"etc/udev/rules.d/99-a.txt": RULE},
}


@pytest.mark.parametrize("files", CASES.values(), ids=list(CASES))
def test_rules_that_people_have(files: dict[str, str]) -> None:
    assert_as_udev_does_it(files)
