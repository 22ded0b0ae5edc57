# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the next boot sets, judged by the programs that set it: systemd-sysctl and sysctl(8), in a namespace each."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import tempfile
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._boot.next_boot import next_boot
from helpers.support import DERANDOMIZE
from hypothesis import given, settings
from hypothesis import strategies as st

SYSTEMD = ("/usr/lib/systemd/systemd-sysctl",)
PROCPS = ("/usr/sbin/sysctl", "--quiet", "--system")
DIRECTORIES = ("etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d")

SCRIPT = """
tree=$1 root=$2; shift 2
mkdir "$root/usr" "$root/proc" "$root/dev" "$root/etc" "$root/run"
for name in lib lib64 bin sbin; do [ ! -L "/$name" ] || cp -P "/$name" "$root/"; done
mount --bind /usr "$root/usr"
mount -t tmpfs none "$root/usr/local/lib"
mkdir "$root/usr/local/lib/sysctl.d"
for name in dev proc; do mount --rbind "/$name" "$root/$name"; done
for name in etc run usr/local/lib/sysctl.d usr/lib/sysctl.d; do mount --bind "$tree/$name" "$root/$name"; done
cd /proc/sys/net/netfilter
grep -H . nf_conntrack_* > "$tree/before"
chroot "$root" "$@" > "$tree/messages" 2>&1 || :
grep -H . nf_conntrack_* > "$tree/after"
"""
"""Puts a tree in the place of the machine's configuration, in namespaces of its own, and applies it."""

KEYS = (
    "generic_timeout",
    "icmp_timeout",
    "udp_timeout",
    "udp_timeout_stream",
    "tcp_timeout_close",
    "log_invalid",
    "acct",
)
NAMES = (
    *(f"net.netfilter.nf_conntrack_{key}" for key in KEYS),
    *(f"net/netfilter/nf_conntrack_{key}" for key in KEYS[:3]),
    "/net//netfilter/./nf_conntrack_generic_timeout",
    "net.netfilter/nf_conntrack_generic_timeout",
    "net/netfilter.nf_conntrack_generic_timeout",
    "net.ipv4.netfilter.ip_conntrack_generic_timeout",
)
PATTERNS = (
    "net.netfilter.nf_conntrack_*_timeout",
    "net.netfilter.nf_conntrack_tcp_timeout_*",
    "net/*/nf_conntrack_udp_*",
    "net.*generic_timeout",
    "net.netfilter.nf_conntrack_[iu][!d]*p_timeout",
)
SPACE = st.sampled_from(["", " ", "\t", "  "])
VALUES = st.sampled_from(
    [
        "0",
        "1",
        "7",
        "11",
        "0x10",
        "010",
        "23",
        "many",
        "1,2",
        "1 2",
        "5 # five",
        "5#",
        "+9",
        "",
        "1.5",
        "0x",
        "08",
        "300",
        "5000000000",
    ]
)


def values_in(path: pathlib.Path) -> dict[str, str]:
    """Return what the kernel held, by short name."""
    pairs = (line.split(":", 1) for line in path.read_text().splitlines())
    return {name.removeprefix("nf_conntrack_"): value for name, value in pairs}


def make_tree(tree: pathlib.Path, files: t.Mapping[str, str]) -> None:
    for directory in DIRECTORIES:
        (tree / directory).mkdir(parents=True)
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("-> "):
            (tree / name).symlink_to(text[3:])
        else:
            (tree / name).write_text(text)
    (tree / "proc").symlink_to("/proc")


VOID = """
mkdir -p /run/chosen
for file in /run/sysctl.d/*.conf /etc/sysctl.d/*.conf /usr/local/lib/sysctl.d/*.conf /usr/lib/sysctl.d/*.conf; do
  if [ -e "$file" ] && [ ! -e "/run/chosen/${file##*/}" ]; then ln -s "$file" "/run/chosen/${file##*/}"; fi
done
for file in /run/chosen/*.conf /etc/sysctl.conf; do /usr/sbin/sysctl -p "$file"; done
rm -r /run/chosen
"""
OPENWRT = """
for file in /etc/sysctl.d/*.conf /etc/sysctl.conf; do [ ! -f "$file" ] || /etc/busybox sysctl -e -p "$file"; done
"""
ALPINE = """
apply() { [ ! -f "$1" ] || /etc/busybox sysctl -q -p "$1"; }
for file in /usr/lib/sysctl.d/*.conf; do
  [ -f "/etc/sysctl.d/${file##*/}" ] || [ -f "/run/sysctl.d/${file##*/}" ] || apply "$file"
done
for file in /etc/sysctl.d/*.conf; do [ -f "/run/sysctl.d/${file##*/}" ] || apply "$file"; done
apply /etc/sysctl.conf
for file in /run/sysctl.d/*.conf; do apply "$file"; done
"""
"""What the scripts of these systems do, in our own words, with the programs that they have."""

OTHER_INITS: dict[str, tuple[str, dict[str, str]]] = {
    "void": (VOID, {"etc/runit/1": "", "etc/runit/core-services/08-sysctl.sh": ""}),
    "openwrt": (OPENWRT, {"etc/openwrt_release": ""}),
    "alpine": (
        ALPINE,
        {
            "sbin/openrc": "",
            "sbin/sysctl": "-> /bin/busybox",
            "etc/init.d/sysctl": "",
            "etc/runlevels/boot/sysctl": "",
        },
    ),
}


def assert_foretold(tree: pathlib.Path, command: t.Sequence[str]) -> None:
    """Apply the tree with the real program, and compare what the kernel holds then with what was foretold."""
    boot = next_boot(root=str(tree))
    assert boot.module == "builtin"
    with tempfile.TemporaryDirectory(dir=tree.parent) as root:
        subprocess.run(
            ["unshare", "--mount", "--net", "sh", "-ec", SCRIPT, "sh", str(tree), root, *command],
            check=True,
            timeout=30,
        )
    before, after = values_in(tree / "before"), values_in(tree / "after")
    foretold = {short: str(value.value) for short, value in boot.values.items() if value.value is not None}
    assert after == {**before, **foretold}, (tree / "messages").read_text()


@st.composite
def lines(draw: st.DrawFn) -> str:
    """Return a line as people write them."""
    name = draw(st.sampled_from(NAMES + PATTERNS))
    kind = draw(st.sampled_from(["assignment"] * 6 + ["exclusion", "comment", "rubbish"]))
    if kind == "comment":
        return f"{draw(SPACE)}{draw(st.sampled_from('#;'))}{name} = 5"
    if kind == "rubbish":
        return name
    dash = "-" if kind == "exclusion" else draw(st.sampled_from(["", "", "-"]))
    value = "" if kind == "exclusion" else f"{draw(SPACE)}={draw(SPACE)}{draw(VALUES)}"
    return f"{draw(SPACE)}{dash}{name}{value}{draw(SPACE)}"


FILE_NAMES = [f"{directory}/{name}" for directory in DIRECTORIES for name in ("10-a.conf", "9-b.conf", "c.conf")]
OTHER_NAMES = ["etc/sysctl.conf", "etc/sysctl.d/.hidden.conf", "etc/sysctl.d/d.conf.bak"]
TREES = st.dictionaries(
    st.sampled_from(FILE_NAMES + OTHER_NAMES), st.lists(lines(), max_size=4).map("\n".join), max_size=5
)


@pytest.mark.skipif(not shutil.which(SYSTEMD[0]), reason="systemd-sysctl is not installed")
@given(files=TREES)
@settings(max_examples=150, deadline=None, derandomize=DERANDOMIZE)
def test_as_systemd_sysctl_does_it(files: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        tree = pathlib.Path(directory, "tree")
        make_tree(tree, files)
        (tree / "run/systemd/system").mkdir(parents=True)
        assert_foretold(tree, SYSTEMD)


CLOSE = "net.netfilter.nf_conntrack_tcp_timeout_close"
PROCPS_TREES: dict[str, dict[str, str]] = {
    "sysctl.conf comes last": {"etc/sysctl.conf": f"{CLOSE}=7", "etc/sysctl.d/zz.conf": f"{CLOSE}=11"},
    "names sort, not directories": {
        "etc/sysctl.d/10-a.conf": f"{CLOSE}=7",
        "usr/lib/sysctl.d/20-b.conf": f"{CLOSE}=11",
    },
    "the higher directory hides": {"etc/sysctl.d/a.conf": "", "run/sysctl.d/a.conf": f"{CLOSE}=11"},
    "run hides usr": {"run/sysctl.d/a.conf": f"{CLOSE}=7", "usr/lib/sysctl.d/a.conf": f"{CLOSE}=11"},
    "a name wins over a pattern": {
        "etc/sysctl.d/a.conf": f"{CLOSE}=7",
        "etc/sysctl.d/b.conf": "net.netfilter.nf_conntrack_tcp_timeout_*=11",
    },
    "an exclusion": {"etc/sysctl.d/a.conf": f"net.netfilter.nf_conntrack_tcp_timeout_c*=11\n-{CLOSE}"},
}


@pytest.mark.skipif(not shutil.which(PROCPS[0]), reason="sysctl is not installed")
@pytest.mark.parametrize("files", PROCPS_TREES.values(), ids=list(PROCPS_TREES))
def test_as_sysctl_system_does_it(files: dict[str, str], tmp_path: pathlib.Path) -> None:
    tree = tmp_path / "tree"
    make_tree(tree, files)
    assert_foretold(tree, PROCPS)
    assert values_in(tree / "before") != values_in(tree / "after") or "" in files.values()


@pytest.mark.skipif(not shutil.which(PROCPS[0]), reason="sysctl is not installed")
@pytest.mark.parametrize("name", OTHER_INITS)
@given(files=TREES)
@settings(max_examples=25, deadline=None, derandomize=DERANDOMIZE)
def test_as_other_inits_do_it(name: str, files: dict[str, str]) -> None:
    script, marks = OTHER_INITS[name]
    busybox = shutil.which("busybox")
    if "busybox" in script and not busybox:
        pytest.skip("busybox is not installed")
    if "busybox" in script:
        # It reads names that mix dots and slashes in a way of its own.
        files = {
            path: text.replace("net/netfilter.nf", "net/netfilter/nf").replace("net.netfilter/nf", "net.netfilter.nf")
            for path, text in files.items()
        }
    with tempfile.TemporaryDirectory() as directory:
        tree = pathlib.Path(directory, "tree")
        make_tree(tree, {**files, **marks})
        if busybox:
            shutil.copy(busybox, tree / "etc/busybox")
        assert_foretold(tree, ["/bin/sh", "-c", script])
