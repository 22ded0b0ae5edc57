# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the emulator is told, and how the machine is reached."""

from __future__ import annotations

import itertools
import pathlib
import platform
import shutil
import typing as t

import access
import pytest
import qemu
import vm
from guests import GUESTS
from hardware import S390X, X86_64, Hardware
from image import Image
from processes import LabError, run

IMAGE = Image(pathlib.Path("/cache/debian12-abc"))
GUEST = GUESTS["debian12"]
HARDWARE = pytest.mark.parametrize("hardware", [X86_64, S390X], ids=lambda hardware: hardware.name)
CONSOLE = pathlib.Path("/cache/run/console.log")
PORTS = {22: 40022, 2222: 42222}


def words(hardware: Hardware = X86_64, *, kvm: bool) -> list[str]:
    return qemu.command(hardware, IMAGE, CONSOLE, PORTS, kvm=kvm)


@pytest.mark.parametrize("kvm", [True, False])
def test_the_image_stays_as_it_is(kvm: bool) -> None:
    (drive,) = (word for word in words(kvm=kvm) if word.startswith("file=/cache/debian12-abc/disk.img"))
    assert "snapshot=on" in drive.split(",")


def test_a_reboot_does_not_end_the_emulator() -> None:
    assert "-no-reboot" not in words(kvm=False)
    assert "-no-reboot" in qemu.probe_command(X86_64, IMAGE)


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


@HARDWARE
def test_each_device_is_one_that_the_emulator_has(hardware: Hardware) -> None:
    program = shutil.which(hardware.emulator)
    if program is None:
        pytest.skip(f"not run: {hardware.emulator} is not installed")
    command = words(hardware, kvm=False)
    devices = [word.split(",")[0] for before, word in itertools.pairwise(command) if before == "-device"]
    listed = run([program, *hardware.machine_options, "-device", "help"])
    assert len(devices) == 4
    assert [device for device in devices if f'name "{device}"' not in listed] == []


@HARDWARE
def test_the_kernel_prints_where_it_is_read(hardware: Hardware) -> None:
    command = words(hardware, kvm=False)
    assert command[0] == hardware.emulator
    assert f"file,id=console,path={CONSOLE},append=on" in command
    assert f"{hardware.console_device},chardev=console" in command


def test_free_ports_are_different_ones() -> None:
    assert len(set(vm._free_ports(5))) == 5


def cpuinfo(directory: pathlib.Path, flags: str) -> pathlib.Path:
    path = directory / "cpuinfo"
    path.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    return path


@pytest.mark.parametrize("works", [True, False])
def test_kvm_is_used_only_if_a_kernel_comes_up_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, works: bool
) -> None:
    def probe(command: list[str], *, patience: float) -> str:
        assert command == qemu.probe_command(X86_64, IMAGE)
        assert patience <= 10
        if not works:
            raise LabError("not finished")
        return ""

    monkeypatch.setattr(vm, "run", probe)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(vm, "_CPUINFO", cpuinfo(tmp_path, "fpu vmx sse"))
    assert vm._kvm_works(X86_64, IMAGE) is works
    assert vm._kvm_works(S390X, IMAGE) is False


def test_kvm_is_not_tried_without_a_processor_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr(vm, "run", pytest.fail)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(vm, "_CPUINFO", cpuinfo(tmp_path, "fpu vmx_not sse"))
    assert vm._kvm_works(X86_64, IMAGE) is False


def test_only_a_real_machine_gets_a_second_processor() -> None:
    assert words(kvm=True)[words(kvm=True).index("-smp") + 1] == "2"
    assert words(kvm=False)[words(kvm=False).index("-smp") + 1] == "1"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> t.Callable[[str], vm.VirtualMachine]:
    """Return what starts a shell script instead of the emulator; its console is the file CONSOLE."""

    def start(script: str) -> vm.VirtualMachine:
        console = f"CONSOLE={tmp_path}/console.log"
        monkeypatch.setattr(qemu, "command", lambda *_arguments, **_options: ["env", console, "sh", "-c", script])
        monkeypatch.setattr(vm, "_kvm_works", lambda *_arguments: False)
        monkeypatch.setattr(access, "masters_directory", lambda prefix: tmp_path / prefix)
        return vm.VirtualMachine(GUEST, IMAGE, tmp_path)

    return start


Start = t.Callable[[str], vm.VirtualMachine]
PANIC = "echo '[ 1.2] Kernel panic - not syncing: Fatal exception in interrupt' >>$CONSOLE"


def test_a_machine_that_ends_says_why(fake: Start) -> None:
    machine = fake("echo no such disk >&2; exit 1")
    with pytest.raises(LabError, match="has ended: no such disk"):
        machine.wait()
    machine.stop()


def test_a_kernel_that_panics_is_reset_and_waited_for_once_more(fake: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "panic=1 " in words(kvm=False)[words(kvm=False).index("-append") + 1]
    machine = fake(f"{PANIC}; sleep 60")
    answers: t.Iterator[LabError | str] = iter([LabError("no answer"), LabError("no answer"), "boot-2"])

    def boot_id() -> str:
        answer = next(answers)
        if isinstance(answer, LabError):
            raise answer
        return answer

    monkeypatch.setattr(machine, "boot_id", boot_id)
    machine.wait("boot-1")
    machine.check_kernel()
    machine.stop()


def test_a_kernel_that_panics_at_each_boot_is_not_waited_for(fake: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = fake(f"{PANIC}; {PANIC}; sleep 60")

    def no_answer() -> str:
        raise LabError("no answer")

    monkeypatch.setattr(machine, "boot_id", no_answer)
    with pytest.raises(LabError, match=r"panics at each boot.*Fatal exception in interrupt"):
        machine.wait()
    machine.stop()


def test_an_emulator_that_a_panic_ends_is_started_once_more(fake: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = fake(f"[ -e $CONSOLE ] && exec sleep 60; {PANIC}")
    machine._emulator.wait()
    answers: t.Iterator[str] = iter(["boot-1"])
    monkeypatch.setattr(machine, "boot_id", lambda: next(answers))
    machine.wait()
    machine.check_kernel()
    assert machine._emulator.poll() is None
    machine.stop()


def test_an_emulator_that_ends_again_without_a_panic_is_not_started(
    fake: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = fake(f"[ -e $CONSOLE ] || {PANIC}")

    def no_answer() -> str:
        machine._emulator.wait()
        raise LabError("no answer")

    monkeypatch.setattr(machine, "boot_id", no_answer)
    with pytest.raises(LabError, match="the emulator has ended"):
        machine.wait()
    machine.stop()


def test_an_emulator_that_ends_at_a_reboot_has_lost_what_was_written(fake: Start) -> None:
    machine = fake(PANIC)
    machine._emulator.wait()
    with pytest.raises(LabError, match=r"the emulator has ended.*\n.*Fatal exception"):
        machine.wait("boot-1")
    machine.stop()


def test_a_kernel_that_panics_under_the_tests_is_a_failure(fake: Start) -> None:
    machine = fake("sleep 60")
    machine.check_kernel()
    (machine.inventory.parent / "console.log").write_text("[ 9.9] Kernel panic - not syncing: Fatal exception\n")
    with pytest.raises(LabError, match=r"panicked while the tests ran.*Fatal exception"):
        machine.check_kernel()
    machine.stop()
