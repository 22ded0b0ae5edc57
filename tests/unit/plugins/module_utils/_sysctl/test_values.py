# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values as people write them: every form of each kind of setting, and what is refused."""

from __future__ import annotations

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.values import parse_value


@pytest.mark.parametrize(
    ("short", "value", "number"),
    [
        ("max", 1048576, 1048576),
        ("max", " 1048576 ", 1048576),
        ("max", "\t1M\n", 1 << 20),
        ("max", "1M", 1 << 20),
        ("max", "1m", 1 << 20),
        ("max", "512k", 512 << 10),
        ("max", "1G", 1 << 30),
        ("max", "007", 7),
        ("max", 2**31 - 1, 2**31 - 1),
        ("max", 1048576.0, 1048576),
        ("max", "1048576.0", 1048576),
        ("max", " 1.00K ", 1024),
        ("acct", 1.0, 1),
        ("tcp_timeout_established", 54000.0, 54000),
        ("buckets", "256K", 1 << 18),
        ("expect_max", "4K", 4096),
        ("frag6_high_thresh", "4M", 4 << 20),
        ("frag6_low_thresh", 0, 0),
        ("tcp_timeout_established", "15h", 54000),
        ("tcp_timeout_established", 54000, 54000),
        ("generic_timeout", "2m", 120),
        ("frag6_timeout", "1", 1),
        ("generic_timeout", 2147483, 2147483),
        ("acct", True, 1),
        ("acct", "no", 0),
        ("tcp_loose", "Off", 0),
        ("timestamp", "1", 1),
        ("acct", " YES ", 1),
        ("acct", "on", 1),
        ("acct", False, 0),
        ("events", 2, 2),
        ("events", True, 1),
        ("log_invalid", 255, 255),
        ("a_later_kernels_setting", 7, 7),
    ],
)
def test_value(short: str, value: object, number: int) -> None:
    assert parse_value(short, value, short) == number


@pytest.mark.parametrize(
    ("short", "value", "remedy"),
    [
        ("max", 0, "from 1 to 2147483647; 0 would mean no limit"),
        ("max", -1, "from 1 to"),
        ("max", 1.5, "from 1 to"),
        ("max", "1.5", "from 1 to"),
        ("max", True, "from 1 to"),
        ("max", float("inf"), "from 1 to"),
        ("max", 2**31, "from 1 to 2147483647"),
        ("max", "9" * 5000, "from 1 to"),
        ("max", "2G", "from 1 to 2147483647"),
        ("max", "9999999999G", "from 1 to 2147483647"),
        ("buckets", "256M", "from 1 to 268435455"),
        ("max", "0", "0 would mean no limit"),
        ("max", "0M", "0 would mean no limit"),
        ("max", "-1M", "whole number"),
        ("max", "1 M", "whole number"),
        ("max", "1MB", "whole number"),
        ("max", "1T", "whole number"),
        ("max", "1.5M", "whole number"),
        ("max", "M", "whole number"),
        ("max", " ", "whole number"),
        ("max", "0x10", "whole number"),
        ("max", "1_000", "whole number"),
        ("max", "1e6", "whole number"),
        ("max", "\u0661", "whole number"),
        ("max", "1;reboot", "whole number"),
        ("max", {"a": 1}, "whole number"),
        ("max", "many", "whole number"),
        ("max", "", "whole number"),
        ("max", None, "whole number"),
        ("max", 1.5, "whole number"),
        ("max", True, "whole number"),
        ("max", [1], "whole number"),
        ("buckets", 0, "from 1 to 268435455"),
        ("buckets", 2**28, "from 1 to 268435455"),
        ("expect_max", 0, "from 1 to"),
        ("log_invalid", 256, "from 0 to 255"),
        ("log_invalid", True, "from 0 to 255"),
        ("tcp_max_retrans", 256, "from 0 to 255"),
        ("events", 3, "from 0 to 2"),
        ("acct", 2, "true or false"),
        ("acct", "maybe", "true or false"),
        ("acct", "", "true or false"),
        ("acct", None, "true or false"),
        ("acct", "1K", "true or false"),
        ("acct", 0.5, "true or false"),
        ("tcp_loose", -1, "true or false"),
        ("generic_timeout", 0, "1 to 2147483 seconds"),
        ("generic_timeout", "0s", "every entry would expire at once"),
        ("generic_timeout", -1, "90s"),
        ("generic_timeout", 2147484, "1 to 2147483 seconds"),
        ("generic_timeout", "25d", "1 to 2147483 seconds"),
        ("generic_timeout", "soon", "90s"),
        ("generic_timeout", "", "90s"),
        ("generic_timeout", None, "90s"),
        ("generic_timeout", 1.5, "90s"),
        ("generic_timeout", "1 h", "90s"),
        ("generic_timeout", "1M", "90s"),
        ("generic_timeout", 2**31, "1 to 2147483 seconds"),
        ("flowtable_tcp_timeout", 0, "every entry would expire at once"),
        ("generic_timeout", True, "90s"),
    ],
)
def test_refused_value(short: str, value: object, remedy: str) -> None:
    with pytest.raises(OptionError, match=remedy) as caught:
        parse_value(short, value, f"settings.{short}")
    assert caught.value.message.startswith(f"settings.{short}: {value!r} ")
