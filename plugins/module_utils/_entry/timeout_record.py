# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What this collection did to timeouts since the boot, kept on the router.

The time that an entry has left counts down from the timeout that was in force at its last packet. So a timeout that was
changed since then has to be known, with the time of the change, or the entry's idle time cannot be told. Every sysctl
that this collection writes, in either direction and also when a change is rolled back, is recorded here right before
and right after it is written. So is every policy that it changes or removes, as it was before. Times are in seconds of
CLOCK_MONOTONIC, on which the kernel's own timeouts run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import time
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_policies import Policy
from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    BECOME_ROOT,
    ConntrackError,
    NotPermittedError,
    UnavailableError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._files import run_directory
from ansible_collections.netops.conntrack.plugins.module_utils._uapi import GRE

_FILE = "timeouts"
_VERSION = 1
_MOST_SECONDS = 0xFFFFFFFF  # A timeout is an unsigned int (net/netfilter/nf_conntrack_standalone.c).
_MOST = 1000
"""So many changes are kept at most. Each is dropped once no entry can have a timeout from before it."""

RUN_SECONDS = 3600
"""So long after a record was read it tells the times of entries, also of those that are looked at again."""

_BYTES_OF_START = 200
_BYTES_OF_CHANGE = 500
"""More than the text of a record without changes has, and than that of a change: a policy has 14 timeouts at most."""

WITH_TIMEOUT_OF_BIRTH = "gre_"
"""GRE entries keep the timeouts of their birth (gre_packet() in net/netfilter/nf_conntrack_proto_gre.c)."""


class TimeoutChange(t.NamedTuple):
    """A write of the sysctl ``short_name``, between the times ``begun`` and ``done``.

    If it is not known to be done, ``done`` is None.
    """

    short_name: str
    old: int
    new: int
    begun: float
    done: float | None


class Shortening(t.NamedTuple):
    """A run that gave entries ``most`` seconds to live at most, whatever their sysctls say."""

    most: int
    begun: float
    done: float | None


class FormerPolicy(t.NamedTuple):
    """A timeout policy as it was until it was changed or removed, between the times ``begun`` and ``done``."""

    policy: Policy
    begun: float
    done: float | None


Edition = tuple[int, int, int]
"""The device, the inode and the time of change of a file. Each edition of the record is a new file."""


@dataclasses.dataclass(frozen=True)
class TimeoutRecord:
    """The changes, shortenings and policies of which entries in the table can still bear traces, oldest first.

    ``now`` is the time at which the record was read, ``path`` where. ``edition`` tells that file from a later one.
    ``unreadable`` says why nothing is known of all this, and is empty where it is known.
    """

    changes: tuple[TimeoutChange, ...] = ()
    shortenings: tuple[Shortening, ...] = ()
    now: float = 0.0
    former_policies: tuple[FormerPolicy, ...] = ()
    path: str = dataclasses.field(default="", compare=False)
    edition: Edition | None = dataclasses.field(default=None, compare=False)
    unreadable: str = ""

    def require(self, what: str) -> None:
        """Raise NotPermittedError, with ``what`` needs the record, if it may not be read."""
        if self.unreadable:
            raise NotPermittedError(f"{what}: {self.unreadable} {BECOME_ROOT}")

    def changes_of(self, short_name: str) -> list[TimeoutChange]:
        """Return the changes of one sysctl, oldest first."""
        return [change for change in self.changes if change.short_name == short_name]


def read_record() -> TimeoutRecord:
    """Return what is recorded for the network namespace that the process is in.

    Raises ConntrackError for a file that is damaged.
    """
    path = run_directory.path_of(_FILE)
    try:
        # Of a file that is replaced in between, the edition is the old one, and counts as changed.
        edition = _edition(os.stat(path))
        text = run_directory.read(path)
    except FileNotFoundError:
        text = None
    except PermissionError:
        return TimeoutRecord(now=time.monotonic(), path=path, unreadable=_unreadable(path))
    except OSError as error:
        raise _damaged(path) from error
    # Not sooner: another process may have recorded a change right before the file was read.
    now = time.monotonic()
    if text is None:
        return TimeoutRecord(now=now, path=path)
    return dataclasses.replace(_parse(text, path, now), path=path, edition=edition)


def refuse_changed(record: TimeoutRecord) -> None:
    """Raise UnavailableError if a timeout was changed since the record was read, or that is more than RUN_SECONDS ago.

    Who is about to change one is recorded first. So the times of entries that were read before this call can be told
    with the record. A prune asks for each block that it reads, so this is one stat(2).
    """
    try:
        present: Edition | None = _edition(os.stat(record.path))
    except OSError:
        present = None
    if time.monotonic() - record.now > RUN_SECONDS:
        raise UnavailableError(
            "The run has taken more than an hour, so that nobody can tell any more how long the entries have been "
            "idle. What was not deleted by then stays. Run this again."
        )
    if present != record.edition:
        raise UnavailableError(
            "A timeout was changed, or entries were shortened, while the table was read. So nobody can tell how long "
            "the entries that were read have been idle. Run this again."
        )


def _edition(about: os.stat_result) -> Edition:
    return about.st_dev, about.st_ino, about.st_mtime_ns


def require_room(changes: int = 1) -> None:
    """Raise UnavailableError if the disk does not take so many more changes on record. Nothing is written."""
    run_directory.require_room(*room_for(changes))


def room_for(changes: int) -> tuple[int, ...]:
    """Return the sizes in bytes of the files that are written to record so many more changes, at the most."""
    if not changes:
        return ()
    path = run_directory.path_of(_FILE)
    try:
        present = os.stat(path).st_size
    except OSError:
        present = 0
    size = present + _BYTES_OF_START + changes * _BYTES_OF_CHANGE
    # Each edition is written next to the one before it.
    return (size, size) if os.path.exists(_lock_of(path)) else (size, size, 0)


def _lock_of(path: str) -> str:
    return f"{path}.lock"


@contextlib.contextmanager
def _done_at_the_end(begun: float) -> t.Iterator[None]:
    """Record at the end of the body that what was begun at that time is done."""
    try:
        yield
    finally:
        # What is not known to be done counts for longer than it has to.
        with contextlib.suppress(ConntrackError):
            _set_done(begun)


@contextlib.contextmanager
def changing(short_name: str, old: int | None, new: int, required: bool = True) -> t.Iterator[None]:
    """Record that the body gives the sysctl ``short_name`` the value ``new``, and when.

    Nothing is recorded where the value stays, or is not known. Where it cannot be recorded and is ``required``, raises
    UnavailableError, or ConntrackError for a damaged file, before the body runs. If not, the body runs anyway.
    """
    if old is None or old == new:
        yield
        return
    begun = time.monotonic()
    try:
        # With a negative timeout, which the kernel takes, an entry ends at once, as with 0.
        _add(TimeoutChange(short_name, max(0, old), max(0, new), begun, None))
    except ConntrackError:
        if required:
            raise
    with _done_at_the_end(begun):
        yield


@contextlib.contextmanager
def shortening(most: int) -> t.Iterator[None]:
    """Record that the body gives entries ``most`` seconds to live at most, and when.

    Raises UnavailableError, or ConntrackError for a damaged file, before the body runs, where it cannot be recorded.
    """
    require_room()
    begun = time.monotonic()
    _add(Shortening(most, begun, None))
    with _done_at_the_end(begun):
        yield


@contextlib.contextmanager
def replacing(policy: Policy) -> t.Iterator[None]:
    """Record that the body changes or removes a timeout policy, which was ``policy`` until then, and when.

    Raises UnavailableError, or ConntrackError for a damaged file, before the body runs, where it cannot be recorded.
    """
    require_room()
    begun = time.monotonic()
    _add(FormerPolicy(policy, begun, None))
    with _done_at_the_end(begun):
        yield


def _add(what: TimeoutChange | Shortening | FormerPolicy) -> None:
    with _locked() as path:
        record = _present(path)
        if isinstance(what, TimeoutChange):
            _write(path, dataclasses.replace(record, changes=(*record.changes, what)[-_MOST:]))
        elif isinstance(what, Shortening):
            _write(path, dataclasses.replace(record, shortenings=(*record.shortenings, what)[-_MOST:]))
        else:
            _write(path, dataclasses.replace(record, former_policies=(*record.former_policies, what)[-_MOST:]))


def _set_done(begun: float) -> None:
    with _locked() as path:
        record = _present(path)
        done = time.monotonic()
        changes = (each._replace(done=done) if each.begun == begun else each for each in record.changes)
        shortenings = (each._replace(done=done) if each.begun == begun else each for each in record.shortenings)
        former = (each._replace(done=done) if each.begun == begun else each for each in record.former_policies)
        _write(path, TimeoutRecord(tuple(changes), tuple(shortenings), record.now, tuple(former)))


@contextlib.contextmanager
def _locked() -> t.Iterator[str]:
    """Yield the record's path, while no other process changes it. Raises UnavailableError."""
    path = run_directory.path_of(_FILE)
    try:
        run_directory.make()
        lock = os.open(_lock_of(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _not_writable(path, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path
    finally:
        os.close(lock)


def _present(path: str) -> TimeoutRecord:
    """Return the record without what no entry can bear traces of any more."""
    record = read_record()
    record.require("timeout")
    return TimeoutRecord(
        tuple(change for change in record.changes if _counts(change, record.now)),
        tuple(each for each in record.shortenings if each.done is None or record.now - each.done < each.most),
        record.now,
        tuple(each for each in record.former_policies if _may_be_seen(each, record.now)),
    )


def _may_be_seen(former: FormerPolicy, now: float) -> bool:
    if former.done is None or former.policy.protocol == GRE:
        return True
    return now - former.done < max(former.policy.timeouts.values(), default=0)


def _counts(change: TimeoutChange, now: float) -> bool:
    if change.done is None or change.short_name.startswith(WITH_TIMEOUT_OF_BIRTH):
        return True
    return now - change.done < max(change.old, change.new)


def _write(path: str, record: TimeoutRecord) -> None:
    data = {
        "version": _VERSION,
        "boot": run_directory.boot_id(),
        "changes": record.changes,
        "shortenings": record.shortenings,
        "former_policies": [(*each.policy, each.begun, each.done) for each in record.former_policies],
    }
    try:
        # Whoever may read the table needs it. It has no more than the names and values of sysctls and policies.
        run_directory.write(path, json.dumps(data), mode=0o644)
    except OSError as error:
        raise _not_writable(path, error) from error


def _parse(text: str, path: str, now: float) -> TimeoutRecord:
    try:
        data = json.loads(text)
        if data["boot"] != run_directory.boot_id():
            # Where /run is a disk, the file outlives its boot. The kernel's timeouts and its clock do not.
            return TimeoutRecord(now=now)
        changes = tuple(_change(*fields) for fields in data["changes"])
        shortenings = tuple(_shortening(*fields) for fields in data["shortenings"])
        # A release without policies of its own did not write them.
        former = tuple(_former_policy(*fields) for fields in data.get("former_policies", ()))
        if data["version"] != _VERSION:
            raise ValueError("it has another version")
        times = [time_of for change in changes for time_of in (change.begun, change.done)]
        times += [time_of for each in shortenings for time_of in (each.begun, each.done)]
        times += [time_of for policy in former for time_of in (policy.begun, policy.done)]
        if not all(_is_past(time_of, now) for time_of in times):
            raise ValueError("it has a time that is still to come")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise _damaged(path) from error
    return TimeoutRecord(changes, shortenings, now, former)


def _is_past(time_of: float | None, now: float) -> bool:
    # No number is larger than a NaN, or smaller.
    return time_of is None or time_of <= now


def _change(short_name: t.Any, old: t.Any, new: t.Any, begun: t.Any, done: t.Any) -> TimeoutChange:
    if not isinstance(short_name, str):
        raise TypeError("a change without its setting")
    return TimeoutChange(short_name, _seconds(old), _seconds(new), float(begun), None if done is None else float(done))


def _shortening(most: t.Any, begun: t.Any, done: t.Any) -> Shortening:
    return Shortening(_seconds(most), float(begun), None if done is None else float(done))


def _former_policy(family: t.Any, protocol: t.Any, timeouts: t.Any, begun: t.Any, done: t.Any) -> FormerPolicy:
    if not (family is None or isinstance(family, int)) or not isinstance(protocol, int):
        raise TypeError("a policy of no family, or of no protocol")
    values = {str(name): _seconds(value) for name, value in dict(timeouts).items()}
    return FormerPolicy(Policy(family, protocol, values), float(begun), None if done is None else float(done))


def _seconds(value: t.Any) -> int:
    """Return the value of a timeout. Raises TypeError for one that no kernel can hold."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_SECONDS:
        raise TypeError("no timeout")
    return value


def _unreadable(path: str) -> str:
    return (
        f"The record of changed timeouts, {path}, may not be read (it takes root, or CAP_DAC_READ_SEARCH), so that "
        "nobody can tell how long entries have been idle."
    )


def _damaged(path: str) -> ConntrackError:
    return ConntrackError(
        f"{path} is not the record that this collection wrote of changed timeouts, so that nobody can tell how long "
        "entries have been idle. Remove that file. Until the longest timeout has passed, idle times may then be too "
        "high: use confirm_idle."
    )


def _not_writable(path: str, error: OSError) -> UnavailableError:
    return run_directory.not_written(
        path,
        error,
        "Without the record of a changed timeout, the idle time of entries could not be told afterwards. "
        "Nothing was changed.",
    )
