# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files for the boot and the record of what was before, on machines whose /etc and /proc are a directory each."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._settings.persistence import keep, number_at_boot
from ansible_collections.netops.conntrack.plugins.module_utils._settings.record import Before, Record
from helpers.machine_files import (
    ACCT,
    BUCKETS,
    DROPIN,
    GENERIC,
    HEAD,
    KERNEL,
    LOAD,
    MAX,
    OPTIONS,
    PREFIX,
    RECORD,
    Machine,
)


@pytest.fixture
def machine(tmp_path: pathlib.Path) -> t.Iterator[Machine]:
    built = Machine(tmp_path)
    with built.in_charge():
        yield built


# Which files are written


def test_built_in_needs_the_dropin_only(machine: Machine) -> None:
    kept = machine.set({"max": 131072, "buckets": 131072})
    assert sorted(machine.files) == [DROPIN, RECORD]
    assert machine.files[DROPIN].endswith(f"\n{BUCKETS} = 131072\n{MAX} = 131072\n")
    assert [file.path for file in kept.changed] == [machine.sysctl_file]
    assert number_at_boot(kept.before, "max") is None
    assert number_at_boot(kept.after, "max") == 131072


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"acct": 1}, [LOAD, DROPIN, RECORD]),
        ({"max": 131072}, [LOAD, DROPIN, RECORD]),
        ({"buckets": 131072}, [LOAD, DROPIN, RECORD]),
        ({"max": 131072, "buckets": 131072}, [OPTIONS, LOAD, DROPIN, RECORD]),
    ],
)
def test_module_is_loaded_early_and_with_its_hash_size(
    machine: Machine, settings: dict[str, object], names: list[str]
) -> None:
    machine.has_a_module()
    kept = machine.set(settings)
    assert sorted(machine.files) == names
    assert machine.files[LOAD] == HEAD.format(machine.sysctl_file) + "nf_conntrack\n"
    if OPTIONS in names:
        assert machine.files[OPTIONS] == HEAD.format(machine.sysctl_file) + "options nf_conntrack hashsize=131072\n"
    assert (kept.before.module, kept.after.module) == ("late", "early")
    for short, value in settings.items():
        assert number_at_boot(kept.after, short) == value
    again = keep(machine.sysctl_file, machine.changes(settings), True)
    assert not any(file.changed for file in (again.record, *again.files))


def test_limits_that_are_set_one_after_the_other_make_a_hash_size_too(machine: Machine) -> None:
    machine.has_a_module()
    machine.set({"buckets": 131072})
    machine.set({"max": 131072})
    assert "hashsize=131072\n" in machine.files[OPTIONS]
    machine.set({"buckets": "256K"})
    assert "hashsize=262144\n" in machine.files[OPTIONS]


def test_module_that_somebody_else_loads_early_is_left_to_them(machine: Machine) -> None:
    machine.has_a_module()
    machine.write("etc/modules-load.d/theirs.conf", "nf_conntrack\n")
    machine.set({"acct": 1})
    assert sorted(machine.files) == ["modules-load.d/theirs.conf", DROPIN, RECORD]


def test_openwrt_loads_the_module_from_its_own_directory(machine: Machine) -> None:
    machine.has_a_module()
    machine.has_procd()
    before = machine.files
    kept = machine.set({"acct": 1})
    assert sorted(machine.files) == ["modules.d/90.conf", DROPIN, RECORD]
    assert machine.files["modules.d/90.conf"] == HEAD.format(machine.sysctl_file) + "nf_conntrack\n"
    assert (kept.before.module, kept.after.module) == ("late", "early")
    assert number_at_boot(kept.after, "acct") == 1
    machine.forget()
    assert machine.files == before


def test_module_that_is_not_to_be_loaded_early(machine: Machine) -> None:
    machine.has_a_module()
    kept = machine.set({"acct": 1}, load=False)
    assert sorted(machine.files) == [DROPIN, RECORD]
    assert kept.after.lost == {"acct"}


def test_symbolic_links_in_etc_are_followed_and_all_goes_again(machine: Machine) -> None:
    machine.has_a_module()
    for directory in ("modules-load.d", "modprobe.d", "sysctl.d"):
        (machine.root / "etc" / directory).rename(machine.root / "etc" / f"real-{directory}")
        (machine.root / "etc" / directory).symlink_to(f"real-{directory}")
    machine.set({"max": 131072, "buckets": 131072})
    assert sorted(machine.files) == [f"real-{name}" for name in (OPTIONS, LOAD, DROPIN, RECORD)]
    assert machine.forget() == {"max": 65536, "buckets": 65536}
    assert machine.files == {}


# At least


@pytest.mark.parametrize(
    ("name", "line", "text"),
    [
        ("99-more.conf", f"{MAX} = 262144\n", None),
        ("10-same.conf", f"{MAX} = 131072\n", None),
        ("99-less.conf", f"{MAX} = 131071\n", f"{MAX} = 131072\n"),
        ("10-text.conf", f"{MAX} = many\n", f"{MAX} = 131072\n"),
        ("10-other.conf", f"{ACCT} = 1\n", f"{MAX} = 131072\n"),
    ],
)
def test_at_least_is_not_set_at_boot_where_another_file_gives_as_much(
    machine: Machine, name: str, line: str, text: str | None
) -> None:
    machine.write(f"etc/sysctl.d/{name}", line)
    machine.set({}, {"max": 131072})
    if text is None:
        assert DROPIN not in machine.files
        assert machine.record["settings"] == {"max": {"name": MAX, "runtime": 65536, "lines": None}}
    else:
        assert machine.files[DROPIN].endswith(f"\n{text}")
    assert not keep(machine.sysctl_file, machine.changes({}, {"max": 131072}), True).changed


@pytest.mark.parametrize(("line", "after"), [("200000", "200000"), ("131072", "131072"), ("100", "131072")])
def test_at_least_raises_its_own_line_and_never_lowers_it(machine: Machine, line: str, after: str) -> None:
    machine.write(f"etc/{DROPIN}", f"{MAX} = {line}\n")
    machine.set({}, {"max": 131072})
    assert machine.files[DROPIN] == f"{MAX} = {after}\n"


def test_at_least_below_the_kernels_own_value_does_not_lower_it_at_boot(machine: Machine) -> None:
    kept = machine.set({}, {"generic_timeout": "1m"})
    at_boot = number_at_boot(kept.after, "generic_timeout")
    assert at_boot is None or at_boot >= KERNEL["generic_timeout"]


def test_at_least_with_a_module_counts_what_the_boot_sets_once_it_is_loaded_early(machine: Machine) -> None:
    machine.has_a_module()
    machine.write("etc/sysctl.d/10-more.conf", f"{MAX} = 262144\n")
    kept = machine.set({}, {"max": 131072})
    assert number_at_boot(kept.before, "max") is None
    assert number_at_boot(kept.after, "max") == 262144
    assert sorted(machine.files) == [LOAD, "sysctl.d/10-more.conf", RECORD]


# The record


def test_record_says_what_was_there_before(machine: Machine) -> None:
    machine.write(f"etc/{DROPIN}", f"# mine\n-{GENERIC}=500\n")
    machine.set({"generic_timeout": 120, "acct": True, "tcp_loose": 1})
    assert machine.record == {
        "version": 1,
        "settings": {
            "acct": {"name": ACCT, "runtime": 0, "lines": None},
            "generic_timeout": {"name": GENERIC, "runtime": 600, "lines": f"-{GENERIC}=500"},
            "tcp_loose": {"name": f"{PREFIX}tcp_loose", "runtime": 1, "lines": None},
        },
        "files": {machine.sysctl_file: f"# mine\n-{GENERIC}=500\n"},
    }


def test_record_of_the_first_run_outlives_the_later_ones(machine: Machine) -> None:
    machine.set({"acct": 1})
    machine.set({"acct": 0, "generic_timeout": 100})
    machine.set({"acct": 1, "generic_timeout": 200})
    before = {short: (entry["runtime"], entry["lines"]) for short, entry in machine.record["settings"].items()}
    assert before == {"acct": (0, None), "generic_timeout": (600, None)}
    assert machine.record["files"] == {machine.sysctl_file: None}
    assert machine.forget() == {"acct": 0, "generic_timeout": 600}
    assert machine.files == {}


def test_nothing_to_do_leaves_no_record(machine: Machine) -> None:
    machine.write(f"etc/{DROPIN}", f"{ACCT} = 0\n")
    machine.set({"acct": 0})
    assert sorted(machine.files) == [DROPIN]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "5",
        "{}",
        '{"settings": {}}',
        '{"settings": [], "files": {}}',
        '{"settings": {"acct": {}}, "files": {}}',
        '{"settings": {"acct": {"name": "n", "runtime": 0, "lines": null, "more": 1}}, "files": {}}',
        '{"settings": {"acct": {"name": "n", "runtime": "many", "lines": null}}, "files": {}}',
        '{"settings": {"acct": {"name": "n", "runtime": 0, "lines": 5}}, "files": {}}',
        '{"settings": {"acct": null}, "files": {}}',
        '{"settings": {}, "files": 5}',
        '{"settings": {}, "files": {"/etc/modprobe.d/90.conf": 5}}',
    ],
)
def test_record_that_is_not_whole_is_named(machine: Machine, text: str) -> None:
    machine.write(f"etc/{RECORD}", text)
    before = machine.files
    with pytest.raises(OptionError) as caught:
        machine.set({"acct": 1})
    with pytest.raises(OptionError):
        machine.forget()
    assert caught.value.message.startswith(f"sysctl_file: '{machine.sysctl_file}.before' is not the record ")
    assert "remove it" in caught.value.message
    assert caught.value.message.endswith(".")
    assert machine.files == before


def test_record_comes_back_from_its_text() -> None:
    files = {"/etc/a": None, "/etc/b": "caf\udce9\r\n"}
    record = Record({"acct": Before(ACCT, None, "-x=\udce9")}, files)
    text = record.text()
    assert text is not None
    assert text.isascii()
    assert Record.from_text(text, "/etc/a.before") == record
    assert Record({}, {}).text() is None


# Restoring


USERS_DROPIN = f"# mine\nkernel.panic = 1\n-net/netfilter/nf_conntrack_acct=0\n{GENERIC}=500\n"


@pytest.mark.parametrize("dropin", [None, "", "# mine\n", USERS_DROPIN])
def test_forget_restores_every_file(machine: Machine, dropin: str | None) -> None:
    machine.has_a_module()
    if dropin is not None:
        machine.write(f"etc/{DROPIN}", dropin)
    machine.write(f"etc/{OPTIONS}", "options nf_conntrack hashsize=1024\n")
    machine.write("etc/sysctl.d/other.conf", f"{ACCT} = 0\n")
    before = machine.files
    machine.set({"acct": 1, "max": 131072})
    machine.set({"acct": 0, "generic_timeout": 100, "buckets": 131072})
    assert len(machine.files) > len(before)
    values = machine.forget()
    assert values == {"acct": 0, "max": 65536, "generic_timeout": 600, "buckets": 65536}
    assert machine.files == before
    assert machine.forget() == {}
    assert machine.files == before


def test_forget_leaves_no_hash_size_that_was_not_there(machine: Machine) -> None:
    machine.has_a_module()
    machine.write(f"etc/{DROPIN}", f"{BUCKETS} = 65536\n{MAX} = 65536\n")
    before = machine.files
    assert machine.forget() == {}
    assert machine.files == before
    machine.set({"acct": 1})
    assert sorted(machine.files) == [OPTIONS, LOAD, DROPIN, RECORD]
    machine.forget()
    assert machine.files == before


def test_forget_of_some_leaves_the_others_and_what_they_need(machine: Machine) -> None:
    machine.has_a_module()
    machine.write(f"etc/{DROPIN}", f"{GENERIC}=500\n")
    before = machine.files
    machine.set({"acct": 1, "generic_timeout": 100, "max": 131072, "buckets": 131072})
    assert machine.forget("acct", "generic_timeout") == {"acct": 0, "generic_timeout": 600}
    assert machine.files[DROPIN] == f"{BUCKETS} = 131072\n{GENERIC}=500\n{MAX} = 131072\n"
    assert sorted(machine.files) == [OPTIONS, LOAD, DROPIN, RECORD]
    assert sorted(machine.record["settings"]) == ["buckets", "max"]
    assert machine.forget("max") == {"max": 65536}
    assert sorted(machine.files) == [LOAD, DROPIN, RECORD]
    assert machine.forget("buckets") == {"buckets": 65536}
    assert machine.files == before


def test_forget_of_a_setting_that_was_never_set_changes_nothing(machine: Machine) -> None:
    machine.set({"generic_timeout": 100})
    before = machine.files
    assert machine.forget("acct") == {}
    assert machine.files == before


def test_forget_leaves_the_users_line_of_a_setting_that_was_never_set(machine: Machine) -> None:
    machine.write(f"etc/{DROPIN}", f"{ACCT} = 0\n")
    machine.set({"generic_timeout": 100})
    machine.forget("acct")
    assert f"{ACCT} = 0\n" in machine.files[DROPIN]


def test_forget_without_a_file_or_a_record(machine: Machine) -> None:
    assert machine.forget() == {}
    assert machine.files == {}


def test_lines_of_others_stay_in_every_file(machine: Machine) -> None:
    machine.has_a_module()
    modules, options = (
        "8021q\nbonding\n",
        "options bonding mode=1\noptions nf_conntrack hashsize=1024\nblacklist pcspkr\n",
    )
    machine.write(f"etc/{LOAD}", modules)
    machine.write(f"etc/{OPTIONS}", options)
    machine.set({"max": 131072, "buckets": 131072})
    assert machine.files[LOAD] == f"{modules}nf_conntrack\n"
    assert machine.files[OPTIONS] == options.replace("1024", "131072")

    # What somebody adds afterwards outlives the next run, and restoring.
    machine.write(f"etc/{LOAD}", f"{machine.files[LOAD]}dummy\n")
    machine.write(f"etc/{OPTIONS}", f"{machine.files[OPTIONS]}options nf_conntrack enable_hooks=1\n")
    machine.set({"max": 262144, "buckets": 262144})
    machine.forget()
    assert machine.files == {
        LOAD: f"{modules}dummy\n",
        OPTIONS: f"{options}options nf_conntrack enable_hooks=1\n",
    }


def test_lines_that_others_add_to_our_own_files_stay(machine: Machine) -> None:
    machine.has_a_module()
    machine.set({"max": 131072, "buckets": 131072})
    machine.write(f"etc/{LOAD}", f"{machine.files[LOAD]}dummy\n")
    machine.forget()
    assert machine.files == {LOAD: f"{HEAD.format(machine.sysctl_file)}dummy\n"}


def test_empty_file_comes_back_empty(machine: Machine) -> None:
    machine.has_a_module()
    machine.write(f"etc/{LOAD}", "")
    machine.set({"acct": 1})
    assert machine.files[LOAD].endswith("nf_conntrack\n")
    machine.forget()
    assert machine.files == {LOAD: ""}


def test_kernel_that_did_not_have_what_the_dropin_says_gets_its_value_back(machine: Machine) -> None:
    machine.write(f"etc/{DROPIN}", f"{ACCT} = 1\n")
    assert machine.set({"acct": 1}).changed == []
    assert machine.record["settings"] == {"acct": {"name": ACCT, "runtime": 0, "lines": f"{ACCT} = 1"}}
    assert machine.forget() == {"acct": 0}
    assert machine.files == {DROPIN: f"{ACCT} = 1\n"}


def test_files_that_a_setting_needed_which_was_right_all_along_go_again(machine: Machine) -> None:
    machine.has_a_module()
    machine.write(f"etc/{DROPIN}", f"{ACCT} = 0\n")
    before = machine.files
    machine.set({"acct": 0})
    assert sorted(machine.files) == [LOAD, DROPIN, RECORD]
    machine.forget("generic_timeout")
    assert LOAD in machine.files
    machine.forget()
    assert machine.files == before


def test_lines_that_a_user_added_to_our_file_stay(machine: Machine) -> None:
    machine.set({"acct": 1})
    ours = machine.files[DROPIN]
    machine.write(f"etc/{DROPIN}", ours + "kernel.panic = 1\n")
    assert machine.forget() == {"acct": 0}
    assert machine.files == {DROPIN: ours.replace(f"{ACCT} = 1\n", "kernel.panic = 1\n")}


def test_every_line_of_a_setting_comes_back(machine: Machine) -> None:
    machine.write(f"etc/{DROPIN}", f"{ACCT} = 0\n# and again\n-net/netfilter/nf_conntrack_acct=0\n{GENERIC} = 5\n")
    machine.set({"acct": 1})
    assert machine.files[DROPIN].count("acct") == 1
    machine.forget()
    lines = machine.files[DROPIN].splitlines()
    assert sorted(lines) == sorted(
        [f"{ACCT} = 0", "# and again", "-net/netfilter/nf_conntrack_acct=0", f"{GENERIC} = 5"]
    )
    assert lines.index(f"{ACCT} = 0") < lines.index("-net/netfilter/nf_conntrack_acct=0")


def test_dropin_that_a_user_removed_is_not_made_again(machine: Machine) -> None:
    machine.write(f"etc/{DROPIN}", f"{ACCT} = 0\n")
    machine.set({"acct": 1})
    pathlib.Path(machine.sysctl_file).unlink()
    assert machine.forget() == {"acct": 0}
    assert machine.files == {}


def test_setting_that_could_not_be_read_is_not_restored_in_the_kernel(machine: Machine) -> None:
    machine.write("proc/sys/net/netfilter/nf_conntrack_new", "a b\n")
    machine.set({"new": 5})
    assert machine.record["settings"]["new"]["runtime"] is None
    assert machine.forget() == {}
    assert machine.files == {}
