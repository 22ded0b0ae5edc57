# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines of sysctl.d: which file below /proc/sys a name means, and which number the kernel takes from a value."""

from __future__ import annotations

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.sysctl_d import (
    Assignment,
    assignments,
    number_of,
    short_name_of_key,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("54000", 54000),
        ("0", 0),
        ("-1", -1),
        ("0x10", 16),
        ("0X1F", 31),
        ("010", 8),
        ("-0x10", -16),
        ("  5\t", 5),
        ("5 # a comment to nobody but people", 5),
        ("08", None),
        ("1e3", None),
        ("5s", None),
        ("1.5", None),
        ("--5", None),
        ("+5", None),
        ("0x", None),
        ("", None),
        (" ", None),
        ("\N{ARABIC-INDIC DIGIT FIVE}", None),
    ],
)
def test_the_number_is_the_one_that_the_kernel_takes(text: str, number: int | None) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("net.netfilter.nf_conntrack_max", "net/netfilter/nf_conntrack_max"),
        ("net/netfilter/nf_conntrack_max", "net/netfilter/nf_conntrack_max"),
        # The first separator decides: an interface may have a dot in its name.
        ("net/ipv4/conf/eth0.100/forwarding", "net/ipv4/conf/eth0.100/forwarding"),
        ("net.ipv4.conf.eth0/100.forwarding", "net/ipv4/conf/eth0.100/forwarding"),
        ("//net//netfilter/./nf_conntrack_max", "net/netfilter/nf_conntrack_max"),
        ("net.netfilter.nf_conntrack_*", "net/netfilter/nf_conntrack_*"),
    ],
)
def test_a_name_means_a_file(name: str, key: str) -> None:
    assert Assignment(1, name, "1", dash=False).key == key


@pytest.mark.parametrize(
    ("key", "short"),
    [
        ("net/netfilter/nf_conntrack_max", "max"),
        ("net/nf_conntrack_max", "max"),
        ("net/netfilter/nf_conntrack_tcp_timeout_established", "tcp_timeout_established"),
        ("net/netfilter/nf_conntrack_count", None),
        ("net/netfilter/nf_log/2", None),
        ("net/ipv4/ip_forward", None),
        ("net/netfilter/nf_conntrack_max.old", None),
    ],
)
def test_which_files_are_settings_of_connection_tracking(key: str, short: str | None) -> None:
    assert short_name_of_key(key) == short


def test_what_is_no_assignment_is_left_out() -> None:
    text = "# a = 1\n; b = 2\n\nc = 3\n  d=4  \n- e = 5\n-f\nnothing\ng =\n=7\n"
    assert list(assignments(text)) == [
        Assignment(4, "c", "3", dash=False),
        Assignment(5, "d", "4", dash=False),
        Assignment(6, "e", "5", dash=True),
        Assignment(7, "f", None, dash=True),
        Assignment(9, "g", "", dash=False),
        Assignment(10, "", "7", dash=False),
    ]
