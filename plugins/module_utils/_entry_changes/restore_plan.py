# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Which entries of a file are restored, whether the file can be trusted, and how old it is."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError
from ansible_collections.netops.conntrack.plugins.module_utils._listing.listing import Listing
from ansible_collections.netops.conntrack.plugins.module_utils._selector.compiler import Selection

VERSION = 1
"""The version of the form of backups that is read."""

_SLACK = 60
"""So many seconds may the clock have been set back since, before that is worth a warning."""

_UTC = datetime.timezone.utc

_NEEDED_OF_XML = {_uapi.ICMP: "icmp_type", _uapi.ICMPV6: "icmp_type", _uapi.SCTP: "state"}
"""What ``conntrack -L -o xml`` does not tell. The kernel refuses ICMP without it, and SCTP does not go on without."""


class Words(t.NamedTuple):
    """What the result and messages say: what is ``done`` to an entry, what ``would`` be, and of which ``option``."""

    done: str
    would: str
    option: str


_RESTORED = Words("restored", "would_restore", "src")


@dataclasses.dataclass(frozen=True)
class RestorePlan:
    """What to restore: the selected entries, each with the time that it has left ``elapsed`` seconds later.

    ``written_at`` is the time from which this is counted, in seconds since the epoch. ``needed`` is by the number of a
    protocol the field without which its entries cannot be made.
    """

    selection: Selection
    written_at: int
    elapsed: int
    warnings: tuple[str, ...] = ()
    words: Words = _RESTORED
    needed: t.Mapping[int, str] = dataclasses.field(default_factory=dict)

    @property
    def written_at_text(self) -> str:
        """The same time in UTC, as ISO 8601 has it."""
        return datetime.datetime.fromtimestamp(self.written_at, _UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def plan_of(listing: Listing, selection: Selection, written_at: str | None, now: int) -> RestorePlan:
    """Return the plan of restoring a file at the time ``now``, in seconds since the epoch.

    The times that entries have left are counted from ``written_at`` if that is given, else from what the backup says,
    else from when the file was last changed. Raises OptionError for a time that is none, and for a file that is not
    trusted, or has a newer form.
    """
    # Whoever writes it decides which packets pass as parts of connections, and where they are translated to.
    listing.refuse_other_writers()
    if (listing.backup_version or VERSION) != VERSION:
        problem = f"is a backup of the form {listing.backup_version}, and this version reads the form {VERSION}"
        raise OptionError("src", listing.path, problem, "Restore it with the version that has written it, or a newer.")
    warnings: list[str] = []
    if written_at is not None:
        at = now if written_at == "now" else _parsed(written_at, "written_at", written_at)
    elif listing.written_at is not None:
        at = _parsed(listing.written_at, "src", listing.path)
    else:
        at = int(listing.status.st_mtime)
        warnings.append(
            "src: the file does not say when it was written. The times that entries have left are counted from when "
            "it was last changed. Give written_at if that is not when the table was listed."
        )
    if at > now + _SLACK:
        warnings.append(
            f"src: the file was written {at - now} seconds after what the clock of this router says now. Entries get "
            "all of the time that the file gives them, so some may be restored that have ended. Set the clock, or "
            "give written_at."
        )
    needed = _NEEDED_OF_XML if listing.is_xml else {}
    return RestorePlan(selection, at, max(0, now - at), tuple(warnings), needed=needed)


def _parsed(text: str, option: str, value: str) -> int:
    """Return a time as seconds since the epoch. Without a zone, it is in UTC. Raises OptionError."""
    if text.isascii() and text.isdigit() and len(text) <= 11:
        return int(text)
    try:
        # Before 3.11, Python does not know the Z of UTC.
        time = datetime.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)
        return int((time if time.tzinfo else time.replace(tzinfo=_UTC)).timestamp())
    except (ValueError, OverflowError):
        problem = "is no time" if option == "written_at" else f"says that it was written at {text!r}, which is no time"
        remedy = "Give written_at a time such as 2026-11-28T19:11:56Z, seconds since the epoch, or now."
        raise OptionError(option, value, problem, remedy) from None


def refuse_unread(listing: Listing) -> t.Iterator[str]:
    """Yield warnings about a backup that was cut short. Raises OptionError for other lines that are not understood."""
    is_backup = listing.backup_version is not None
    lines = listing.not_understood_lines
    is_cut = is_backup and listing.complete is None
    if is_cut and listing.not_understood == 1 and lines[0]["line"] == listing.lines:
        lines = []
    if lines:
        number = "1 line" if listing.not_understood == 1 else f"{listing.not_understood} lines"
        first = f"line {lines[0]['line']}: {lines[0]['text']}"
        problem = f"has {number} that cannot be read as an entry. The first is {first}"
        raise OptionError("src", listing.path, problem, "Nothing was restored. Correct the line, or remove it.")
    if is_cut:
        yield (
            "src: the backup has no last line that says it is complete. It was cut short while it was written. What "
            "is in it is restored."
        )


def refuse_incomplete(listing: Listing, incomplete: t.Mapping[int, int]) -> None:
    """Raise OptionError if there are entries without what the plan needs. They are counted by their protocol."""
    if not incomplete:
        return
    names = {_uapi.PROTOCOL_NAMES[number]: count for number, count in sorted(incomplete.items())}
    counts = " and ".join(f"{count} entries of {name}" for name, count in names.items())
    problem = (
        f"has {counts} that cannot be restored, because conntrack -o xml tells neither the type, code and id of ICMP "
        "nor the state of SCTP"
    )
    remedy = (
        "Nothing was restored. Restore a file of the format save, or leave them out with "
        f"exclude='protocol={','.join(names)}'."
    )
    raise OptionError("src", listing.path, problem, remedy)


def refuse_other_number(listing: Listing, entries: int) -> None:
    """Raise OptionError for a backup that does not have as many entries as its last line says."""
    if listing.complete is not None and listing.complete != entries:
        problem = f"has {entries} entries, and its last line says {listing.complete}"
        raise OptionError("src", listing.path, problem, "Nothing was restored. Copy it again, or remove its last line.")
