# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What the kernel log says of a full table."""

from __future__ import annotations

import errno
import os
import re
import stat
import time
import typing as t

_TABLE_FULL = re.compile(rb"(?:nf|ip)_conntrack: table full")
_RECORD = 8192  # PRINTK_MESSAGE_MAX in kernel/printk/internal.h is smaller
_RECORDS = 1_000_000
_DEVICE = os.makedev(1, 11)  # kmsg in Documentation/admin-guide/devices.txt


def table_full(path: str = "/dev/kmsg") -> dict[str, t.Any]:
    """Return the number of ``table full`` lines that the kernel log still holds, and the seconds since the last one.

    The log is one for the machine, and the kernel limits the rate of these lines: each stands for one dropped packet
    or more. Where the log cannot be read, ``messages`` is None and ``unreadable`` says why.
    """
    try:
        log = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        return _result(None, None, f"{path}: {error.strerror}")
    messages = 0
    last: float | None = None
    try:
        if not _is_log(os.fstat(log)):
            # Some containers have a link to the console there.
            return _result(None, None, f"{path}: it is not the kernel's log")
        for record in _records(log):
            if _TABLE_FULL.search(record):
                messages += 1
                last = _seconds_ago(record)
    except OSError as error:
        return _result(None, None, f"{path}: {error.strerror}")
    finally:
        os.close(log)
    return _result(messages, last, None)


def _is_log(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == _DEVICE


def _result(messages: int | None, last: float | None, unreadable: str | None) -> dict[str, t.Any]:
    return {"messages": messages, "last_seconds_ago": last, "unreadable": unreadable}


def _records(log: int) -> t.Iterator[bytes]:
    """Yield the records of the log, one a read, to its present end (Documentation/ABI/testing/dev-kmsg)."""
    for _count in range(_RECORDS):
        try:
            record = os.read(log, _RECORD)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno == errno.EPIPE:  # overwritten while we read: the next read goes on behind the gap
                continue
            raise
        if not record:
            return
        yield record


def _seconds_ago(record: bytes) -> float | None:
    """Return the age of a record "priority,sequence,microseconds since boot,flags;text"."""
    fields = record.split(b";", 1)[0].split(b",")
    if len(fields) < 3 or not fields[2].isdigit():
        return None
    logged = int(fields[2]) / 1e6
    seconds = time.clock_gettime(time.CLOCK_MONOTONIC) - logged
    return round(max(0.0, seconds), 1)
