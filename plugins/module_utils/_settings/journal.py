# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""What /run holds of changes that have to be confirmed, in files of each network namespace.

``pending`` is the change that waits, ``confirmed`` the one that was confirmed last. ``settled`` says of each change
what became of it, whatever the other files say. ``taken-back`` has the words on the last one that nobody confirmed.

A disk that fills up while a change waits must not keep it from being confirmed or rolled back for good. So ``settled``
has a line for the change from the start, which is written over, and ``pending`` is renamed to ``confirmed``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import secrets
import time
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import (
    ConntrackError,
    NotPermittedError,
)
from ansible_collections.netops.conntrack.plugins.module_utils._files.replacement import FileChange, remove
from ansible_collections.netops.conntrack.plugins.module_utils._files.run_directory import (
    boot_id,
    not_written,
    path_of,
    read,
    write,
)
from ansible_collections.netops.conntrack.plugins.module_utils._files.text import printable
from ansible_collections.netops.conntrack.plugins.module_utils._settings.change import (
    Change,
    change_of,
    in_order,
    restore_values,
)
from ansible_collections.netops.conntrack.plugins.module_utils._settings.lock import NEEDS_ROOT
from ansible_collections.netops.conntrack.plugins.module_utils._settings.record import SYSCTL_FILE
from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl import find_sysctls

_ROLLED_BACK_FILE = "taken-back"
CONFIRMED, ROLLED_BACK = "confirmed", "taken-back"
"""What becomes of a change. A process that an older version started reads these words, so they stay as they are."""

_WAITS = "waits"
_LONGEST_WORD = max(len(CONFIRMED), len(ROLLED_BACK), len(_WAITS))

_VERSION = 2
_MOST_SETTLED = 100
"""So many changes are named. A process that waits looks four times a second."""
_BYTES_OF_SETTLED = _MOST_SETTLED * 32
_MOST_WORDS = 4000


@dataclasses.dataclass(frozen=True)
class Pending:
    """A change that waits: what was ``written``, in this order, the ``files`` that are staged, and until when.

    ``deadline`` is in seconds since the boot, suspended time included.
    """

    id: str
    within: int
    deadline: float
    written: list[Change]
    files: list[FileChange]
    confirmed: bool = False

    @classmethod
    def begin(cls, changes: t.Iterable[Change], files: t.Iterable[FileChange], within: int) -> Pending:
        """Return the change that is to be confirmed ``within`` so many seconds from now."""
        deadline = _now() + within
        return cls(secrets.token_hex(8), within, deadline, in_order(changes), [file for file in files if file.changed])

    @property
    def seconds_left(self) -> float:
        """How long it still waits, in seconds. 0 from the deadline on."""
        return max(0.0, self.deadline - _now())

    def as_json(self) -> str:
        """Return the journal's text."""
        return json.dumps(
            {
                "version": _VERSION,
                "boot": boot_id(),
                "id": self.id,
                "within": self.within,
                "deadline": self.deadline,
                "written": [[change.sysctl.short_name, change.wanted, change.before] for change in self.written],
                "files": [[file.path, file.text, file.new_text, file.again] for file in self.files],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Pending | None:
        """Read a journal's text. A setting that the kernel no longer has is left out. None is of another boot.

        Raises ValueError, KeyError, TypeError, OverflowError or RecursionError for a text that is no journal.
        """
        data = json.loads(text)
        if data["version"] != _VERSION:
            raise ValueError("it has another version")
        if data["boot"] != boot_id():
            # Where /run is a disk, the file outlives its boot. The kernel's values do not.
            return None
        if not isinstance(data["id"], str):
            raise TypeError("a change without its name")
        sysctls = find_sysctls()
        recorded = [_written(*fields) for fields in data["written"]]
        written = [change_of(sysctls, *fields) for fields in recorded if fields[0] in sysctls]
        files = [_file(*fields) for fields in data["files"]]
        return cls(data["id"], _whole(data["within"]), _finite(data["deadline"]), written, files)

    def roll_back(self) -> str:
        """Give the kernel its old values, and the boot its old files. Say in words what was restored."""
        report = [restore_values(self.written)]
        for file in reversed(self.files):
            try:
                file.restore()
                file.clean_up()
            except ConntrackError:
                report.append(f"NOT restored: {file.path}, it has the new text; the old one lies beside it.")
        return " ".join(report)


def waiting() -> Pending | None:
    """Return the change that waits for its confirmation, or None if none does.

    Raises NotPermittedError without root, ConntrackError for a file that is damaged.
    """
    pending = _read("pending")
    return None if pending is None or outcome(pending.id) else pending


def last_confirmed() -> Pending | None:
    """Return the change that was confirmed last, or None if none is known. Raises what ``waiting`` raises."""
    # It is still called pending if the process that confirmed it was killed before it could rename it.
    for what in ("pending", "confirmed"):
        found = _read(what)
        if found and outcome(found.id) == CONFIRMED:
            return dataclasses.replace(found, confirmed=True)
    return None


def room_for(pending: Pending) -> tuple[int, ...]:
    """Return the sizes in bytes of the files that ``keep`` writes."""
    return _BYTES_OF_SETTLED, len(pending.as_json())


def keep(pending: Pending) -> None:
    """Write down that the change waits. Raises UnavailableError."""
    settled = _settled()
    with _explained(path_of("settled")):
        if not any(line.startswith(f"{pending.id} ") for line in settled):
            _write_settled([*settled, f"{pending.id} {_WAITS}"])
    with _explained(path_of("pending")):
        write(path_of("pending"), pending.as_json())


def is_kept(pending: Pending) -> bool:
    """Return whether the journal is as it was written for this change."""
    return _text_of("pending") == pending.as_json()


def put_away() -> None:
    """Forget what waits no more, unless it was confirmed last. Belongs where nothing waits."""
    with contextlib.suppress(ConntrackError, OSError):
        pending = _read("pending")
        if pending and outcome(pending.id) == CONFIRMED:
            os.replace(path_of("pending"), path_of("confirmed"))
        else:
            forget_pending()


def forget_pending() -> None:
    """Forget the change that waits. Raises OSError."""
    remove(path_of("pending"))


def settle_confirmed(pending: Pending) -> None:
    """Write down that the change is confirmed, for its process and for whoever asks again. Raises UnavailableError."""
    _settle(pending, CONFIRMED)
    # It is found under the other name as well.
    with contextlib.suppress(OSError):
        os.replace(path_of("pending"), path_of("confirmed"))


def settle(pending: Pending) -> None:
    """Write down that the change is rolled back, and forget it as the one that waits. Raises UnavailableError."""
    _settle(pending, ROLLED_BACK)
    with _explained(path_of("pending")):
        forget_pending()


def _settle(pending: Pending, became: str) -> None:
    """Write down what became of the change.

    The process that waits goes by this, not by the journal alone: who damages or removes the journal must not keep the
    old values from being restored.
    """
    with _explained(path_of("settled")):
        if not _write_over(_line(f"{pending.id} {_WAITS}"), _line(f"{pending.id} {became}")):
            # Somebody removed the line.
            _write_settled([*_settled(), f"{pending.id} {became}"])


def _write_over(line: bytes, new_line: bytes) -> bool:
    """Write a line of ``settled`` over another one, which takes no room. Return whether that was there."""
    try:
        descriptor = os.open(path_of("settled"), os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        start = os.pread(descriptor, _BYTES_OF_SETTLED, 0).find(line)
        if start >= 0:
            os.pwrite(descriptor, new_line, start)
        return start >= 0
    finally:
        os.close(descriptor)


def _write_settled(lines: list[str]) -> None:
    write(path_of("settled"), b"".join(map(_line, lines[-_MOST_SETTLED:])).decode())


def _line(text: str) -> bytes:
    """Return a line of ``settled``, as long as any other one of its change, with what is left as empty lines."""
    change, _space, became = text.partition(" ")
    return f"{change} {became.ljust(_LONGEST_WORD, chr(10))}\n".encode()


def outcome(change: str) -> str | None:
    """Return what became of a change, CONFIRMED or ROLLED_BACK, or None as long as it waits."""
    for line in _settled():
        name, _space, became = line.partition(" ")
        if name == change and became in (CONFIRMED, ROLLED_BACK):
            return became
    return None


def forget_words() -> None:
    """Forget what was said of the change before. Raises OSError."""
    remove(path_of(_ROLLED_BACK_FILE))


def keep_words(words: str) -> None:
    """Write down what was said of a change that was rolled back. Raises OSError."""
    write(path_of(_ROLLED_BACK_FILE), words)


def last_words() -> str:
    """Return what was said of the last change that nobody confirmed, or "" where nothing is known."""
    return printable(_text_of(_ROLLED_BACK_FILE) or "")[:_MOST_WORDS]


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _settled() -> list[str]:
    lines = (line.partition(" ") for line in (_text_of("settled") or "").splitlines())
    known = (CONFIRMED, ROLLED_BACK, _WAITS)
    return [f"{change} {became}" for change, _space, became in lines if change.isascii() and became in known]


def _text_of(what: str) -> str | None:
    """Return the text of a file, or None where it cannot be read, which the process that waits has to live with."""
    try:
        return read(path_of(what))
    except (OSError, ConntrackError):
        return None


def _read(what: str) -> Pending | None:
    path = path_of(what)
    try:
        text = read(path)
        return None if text is None else Pending.from_json(text)
    except PermissionError as error:
        raise NotPermittedError(NEEDS_ROOT) from error
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ConntrackError(
            f"{path} is not the record that this module wrote of a change that has to be confirmed. Nothing was "
            "changed. A process that still waits for the confirmation writes it anew within seconds, so run this "
            "again. If the file is the same then, nothing waits any more: remove it, and look at the settings."
        ) from error


def _written(short_name: t.Any, wanted: t.Any, before: t.Any) -> tuple[str, int, int | None]:
    if not isinstance(short_name, str):
        raise TypeError("a change without its setting")
    return short_name, _whole(wanted), None if before is None else _whole(before)


def _file(path: t.Any, text: t.Any, new_text: t.Any, again: t.Any) -> FileChange:
    texts = (path, *(each for each in (text, new_text) if each is not None))
    if not all(isinstance(each, str) for each in texts) or not os.path.isabs(path) or not isinstance(again, bool):
        raise TypeError("a file without its texts")
    return FileChange(path, text, new_text, SYSCTL_FILE.option, again)


def _whole(number: t.Any) -> int:
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError("no number")
    return number


def _finite(number: t.Any) -> float:
    if not isinstance(number, (int, float)) or not math.isfinite(number):
        raise TypeError("no time")
    return float(number)


@contextlib.contextmanager
def _explained(path: str) -> t.Iterator[None]:
    try:
        yield
    except OSError as error:
        raise not_written(path, error, "") from error
