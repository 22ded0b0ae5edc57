# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Making the disk of a virtual machine, once for each recipe: it is kept, and every start begins from it anew."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import pathlib
import shutil
import sys
import tempfile
import time
import typing as t

import access
import foreign
from debian import Mirrors, Recipe, bootstrap_command, kept_apt_options
from processes import run

_BUILD_SECONDS = 3600.0
"""Half a minute is the rule, 6 minutes with programs that are emulated, and many times as much on a busy machine."""
_BUILDING = "building-"


@dataclasses.dataclass(frozen=True)
class Image:
    """A disk with what is needed to start it and to get in, all in one directory."""

    directory: pathlib.Path

    @property
    def disk(self) -> pathlib.Path:
        """The disk: one ext4 file system without partitions."""
        return self.directory / "disk.img"

    @property
    def kernel(self) -> pathlib.Path:
        """The kernel that is installed on the disk."""
        return self.directory / "vmlinuz"

    @property
    def initramfs(self) -> pathlib.Path:
        """Its initial RAM disk."""
        return self.directory / "initrd.img"

    @property
    def ssh(self) -> pathlib.Path:
        """The directory of the key that opens the machine, and of known_hosts with the machine's own."""
        return self.directory / "ssh"


def find(cache: pathlib.Path, wanted: Recipe) -> Image | None:
    """Return the image of this recipe that the directory ``cache`` holds, or None."""
    image = Image(cache / wanted.name)
    return image if image.directory.is_dir() else None


def build(cache: pathlib.Path, wanted: Recipe, mirrors: Mirrors) -> Image:
    """Return the image of this recipe; where the directory ``cache`` has none, build it from ``mirrors`` first.

    It is built aside and renamed when it is complete. Images of other recipes of the same guest are removed. Raises
    LabError.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache):
        image = find(cache, wanted)
        if image is None:
            print(f"building the virtual machine {wanted.guest.name}", file=sys.stderr)
            began = time.monotonic()
            try:
                image = _build_aside(cache, wanted, mirrors)
            finally:
                # Also what a build that was killed has left.
                _remove(cache.glob(f"{_BUILDING}*"))
            print(f"built in {time.monotonic() - began:.0f} s: {image.directory}", file=sys.stderr)
    return image


def _build_aside(cache: pathlib.Path, wanted: Recipe, mirrors: Mirrors) -> Image:
    aside = Image(pathlib.Path(tempfile.mkdtemp(prefix=_BUILDING, dir=cache)))
    _fill(aside, wanted, mirrors)
    _remove(cache.glob(f"{wanted.guest.name}-*"))
    return Image(aside.directory.rename(cache / wanted.name))


def _fill(image: Image, wanted: Recipe, mirrors: Mirrors) -> None:
    root = image.directory / "root"
    apt_options, initramfs = image.directory / "apt.conf", image.directory / "initramfs"
    apt_options.write_text(kept_apt_options(run(["apt-config", "dump"])))
    _write_files(initramfs, wanted.initramfs)
    command = bootstrap_command(wanted, str(root), str(apt_options), str(initramfs))
    with foreign.runnable(wanted.guest.hardware):
        run(command, text=mirrors.sources(wanted.guest), patience=_BUILD_SECONDS)
    _make_router(image, root, wanted)
    for name, file in (("vmlinuz", image.kernel), ("initrd.img", image.initramfs)):
        shutil.copy(root / name, file)
    run(["truncate", "--size", f"{wanted.megabytes}M", str(image.disk)])
    run(["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(image.disk)], patience=_BUILD_SECONDS)
    _remove([root, initramfs, apt_options])


def _make_router(image: Image, root: pathlib.Path, wanted: Recipe) -> None:
    _write_files(root, wanted.files)
    run(["systemctl", "--quiet", f"--root={root}", "enable", *wanted.enabled])
    run(["systemctl", "--quiet", f"--root={root}", "mask", *wanted.masked])
    access.make_keys(image.ssh, [])
    (root / "root" / ".ssh").mkdir(mode=0o700, exist_ok=True)
    shutil.copy(image.ssh / "authorized_keys", root / "root" / ".ssh")
    host_key = (root / "etc" / "ssh" / "ssh_host_ed25519_key.pub").read_text()
    (image.ssh / "known_hosts").write_text(f"{wanted.files['etc/hostname'].strip()} {host_key}")


def _write_files(root: pathlib.Path, files: t.Mapping[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@contextlib.contextmanager
def _locked(cache: pathlib.Path) -> t.Iterator[None]:
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove(paths: t.Iterable[pathlib.Path]) -> None:
    for path in paths:
        # Not beyond: what a build that was cut short may have mounted below it is this machine's.
        run(["rm", "-rf", "--one-file-system", str(path)])
