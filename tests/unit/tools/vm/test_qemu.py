# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the emulator is told, and how the machine is reached."""

from __future__ import annotations

import pathlib

import access
import pytest
import qemu
import vm
from image import Image
from processes import LabError

IMAGE = Image(pathlib.Path("/cache/6.1-abc"))
CONSOLE = pathlib.Path("/cache/run/console.log")
PORTS = {22: 40022, 2222: 42222}


def words(*, kvm: bool) -> list[str]:
    return qemu.command(IMAGE, CONSOLE, PORTS, kvm=kvm)


@pytest.mark.parametrize("kvm", [True, False])
def test_the_image_stays_as_it_is(kvm: bool) -> None:
    (drive,) = (word for word in words(kvm=kvm) if word.startswith("file=/cache/6.1-abc/disk.img"))
    assert "snapshot=on" in drive.split(",")


def test_a_reboot_does_not_end_the_emulator() -> None:
    assert "-no-reboot" not in words(kvm=False)
    assert "-no-reboot" in qemu.probe_command(IMAGE)


def test_only_this_machine_gets_in_and_nobody_gets_out() -> None:
    (network,) = (word for word in words(kvm=False) if word.startswith("user,"))
    assert network.split(",")[2:] == [
        "restrict=on",
        "hostfwd=tcp:127.0.0.1:40022-:22",
        "hostfwd=tcp:127.0.0.1:42222-:2222",
    ]


@pytest.mark.parametrize(("kvm", "accelerator"), [(True, "kvm"), (False, "tcg,thread=multi")])
def test_the_accelerator(kvm: bool, accelerator: str) -> None:
    command = words(kvm=kvm)
    assert command[command.index("-accel") + 1] == accelerator


def test_free_ports_are_different_ones() -> None:
    assert len(set(vm._free_ports(5))) == 5


@pytest.mark.parametrize("works", [True, False])
def test_kvm_is_used_only_if_a_kernel_comes_up_with_it(monkeypatch: pytest.MonkeyPatch, works: bool) -> None:
    def probe(command: list[str], *, patience: float) -> str:
        assert command == qemu.probe_command(IMAGE)
        assert patience <= 10
        if not works:
            raise LabError("not finished")
        return ""

    monkeypatch.setattr(vm, "run", probe)
    assert vm._kvm_works(IMAGE) is works


def test_a_machine_that_ends_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr(vm, "_kvm_works", lambda _image: False)
    monkeypatch.setattr(qemu, "command", lambda *_arguments, **_options: ["sh", "-c", "echo no such disk >&2; exit 1"])
    monkeypatch.setattr(access, "masters_directory", lambda prefix: tmp_path / prefix)
    machine = vm.VirtualMachine(IMAGE, tmp_path)
    with pytest.raises(LabError, match="has ended: no such disk"):
        machine.wait()
    machine.stop()
