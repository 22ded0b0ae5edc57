# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which virtual machines there are: a release of Debian each, with its own kernel, Python and conntrack."""

from __future__ import annotations

import dataclasses
import re

from hardware import S390X, X86_64, Hardware
from processes import LabError

ALL = "all"
"""What names all guests."""


@dataclasses.dataclass(frozen=True)
class Guest:
    """A release of Debian on some hardware, with its kernel."""

    name: str
    suite: str
    kernel: str
    """The first two numbers of the kernel's version. Where the suite rolls, those of the oldest that will do."""

    hardware: Hardware = X86_64
    security: bool = True
    """Whether the packages of the suite's security updates are used too."""

    rolling: bool = False
    """Whether the suite gets a newer kernel now and then."""

    def may_run(self, release: str) -> bool:
        """Return whether a kernel of this ``release``, as `uname -r` says it, can be the guest's."""
        found, own = _version(release), _version(self.kernel)
        return found >= own if self.rolling else found == own


GUESTS = {
    guest.name: guest
    for guest in (
        # Its security suite names a kernel that the mirrors do not have.
        Guest("debian11", "bullseye", "5.10", security=False),
        Guest("debian12", "bookworm", "6.1"),
        Guest("debian13", "trixie", "6.12"),
        Guest("unstable", "sid", "7.0", security=False, rolling=True),
        Guest("s390x", "bookworm", "6.1", S390X),
    )
}
"""By name. The first one is what `make test` runs."""


def choose_guests(names: str, release: str) -> list[Guest]:
    """Return the guests with these ``names``, which spaces separate. ALL means each.

    Without names it is the first guest whose kernel is another one than that of this machine, whose `uname -r` is
    ``release``. Raises LabError for a name that no guest has.
    """
    wanted = list(GUESTS) if names.split() == [ALL] else names.split()
    if unknown := [name for name in wanted if name not in GUESTS]:
        raise LabError(f"GUESTS: {unknown[0]!r} is none of {', '.join(GUESTS)}, and not {ALL!r}.")
    return [GUESTS[name] for name in wanted] or [_other_than(release)]


def _other_than(release: str) -> Guest:
    return next(guest for guest in GUESTS.values() if not guest.may_run(release))


def _version(release: str) -> tuple[int, int]:
    numbers = re.match(r"(\d+)\.(\d+)", release)
    assert numbers, release
    return int(numbers.group(1)), int(numbers.group(2))
