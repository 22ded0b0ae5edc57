# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The records as facts: what is there, what is gone, and what cannot be read."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._settings.record import (
    Before,
    Record,
    describe_records,
    read_record,
)

ACCT = "net.netfilter.nf_conntrack_acct"
RECORD = Record({"acct": Before(ACCT, 0, f"-{ACCT}=0\udce9")}, {}).text() or ""
SETTINGS = {"acct": {"name": ACCT, "runtime": 0, "lines": f"-{ACCT}=0\N{REPLACEMENT CHARACTER}"}}


@pytest.fixture
def sysctl_d(tmp_path: pathlib.Path) -> pathlib.Path:
    directory = tmp_path / "etc" / "sysctl.d"
    directory.mkdir(parents=True)
    return directory


def test_no_directory_and_no_record(tmp_path: pathlib.Path) -> None:
    assert describe_records(str(tmp_path)) == {"files": [], "settings": [], "unreadable": None}


@pytest.mark.parametrize("dropin", [None, f"{ACCT} = 1\n"])
def test_what_was_there_before_each_dropin(tmp_path: pathlib.Path, sysctl_d: pathlib.Path, dropin: str | None) -> None:
    if dropin:
        (sysctl_d / "90.conf").write_text(dropin)
    (sysctl_d / "90.conf.before").write_text(RECORD)
    (sysctl_d / "other.conf").write_text("")
    (sysctl_d / "theirs.before").write_text("no record of ours")
    (sysctl_d / ".90.conf.before.new").write_text("staged")
    expected = [{"sysctl_file": "/etc/sysctl.d/90.conf", "settings": SETTINGS}]
    assert describe_records(str(tmp_path)) == {"files": expected, "settings": ["acct"], "unreadable": None}


def test_dropin_that_is_a_link_has_its_record_elsewhere(tmp_path: pathlib.Path, sysctl_d: pathlib.Path) -> None:
    (tmp_path / "elsewhere.conf").write_text("")
    (tmp_path / "elsewhere.conf.before").write_text(RECORD)
    (sysctl_d / "90.conf").symlink_to(tmp_path / "elsewhere.conf")
    assert describe_records(str(tmp_path))["settings"] == ["acct"]


def test_record_that_cannot_be_read_leaves_the_names_unknown(tmp_path: pathlib.Path, sysctl_d: pathlib.Path) -> None:
    (sysctl_d / "80.conf.before").write_text(RECORD)
    (sysctl_d / "90.conf.before").write_text("{")
    described = describe_records(str(tmp_path))
    assert [file["sysctl_file"] for file in described["files"]] == ["/etc/sysctl.d/80.conf"]
    assert described["settings"] is None
    assert "90.conf.before' is not the record" in described["unreadable"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"version"',
        '{"version": 2, "settings": {}, "files": {}}',
        '{"settings": {}, "files": {}}',
        '{"version": 1, "settings": {}}',
        '{"version": 1, "settings": [], "files": {}}',
        '{"version": 1, "settings": {"acct": {}}, "files": {}}',
        '{"version": 1, "settings": {"acct": {"name": 7, "runtime": 0, "lines": null}}, "files": {}}',
        '{"version": 1, "settings": {"acct": {"name": "a", "runtime": true, "lines": null}}, "files": {}}',
        '{"version": 1, "settings": {"acct": {"name": "a", "runtime": 1e400, "lines": null}}, "files": {}}',
        '{"version": 1, "settings": {}, "files": {"/etc/x": 7}}',
        "[" * 100_000,
        "\udcff",
    ],
)
def test_damaged_record_is_named_with_the_remedy(sysctl_d: pathlib.Path, text: str) -> None:
    path = sysctl_d / "90.conf.before"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(OptionError, match="is not the record that this module wrote") as caught:
        read_record(str(sysctl_d / "90.conf"))
    assert str(path) in caught.value.message
    assert "remove it" in caught.value.message
