# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which virtual machines there are: a release of Debian each, with its own kernel, Python and conntrack."""

from __future__ import annotations

import dataclasses

from processes import LabError

ALL = "all"
"""What names all guests."""


@dataclasses.dataclass(frozen=True)
class Guest:
    """A release of Debian, with its kernel."""

    name: str
    suite: str
    kernel: str
    """The first two numbers of the kernel's version."""

    package: str
    """The package that always needs the newest build of the kernel."""

    security: bool = True
    """Whether the packages of the suite's security updates are used too."""


_CLOUD = "linux-image-cloud-amd64"
GUESTS = {
    guest.name: guest
    for guest in (
        # Its security suite names a kernel that the mirrors do not have.
        Guest("debian11", "bullseye", "5.10", _CLOUD, security=False),
        Guest("debian12", "bookworm", "6.1", _CLOUD),
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
    return next(guest for guest in GUESTS.values() if not release.startswith(f"{guest.kernel}."))
