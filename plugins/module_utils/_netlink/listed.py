# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The messages of a list that the kernel was asked for, which is whole or an error."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils import _uapi
from ansible_collections.netops.conntrack.plugins.module_utils._errors import InterruptedDumpError, MalformedError
from ansible_collections.netops.conntrack.plugins.module_utils._netlink import framing

_ENDS = (_uapi.NLMSG_DONE, _uapi.NLMSG_ERROR)


def each(datagrams: t.Iterable[bytes], kind: int, raise_for: t.Callable[[int], None]) -> t.Iterator[bytes]:
    """Yield each message of the list, all of which are of this ``kind``.

    ``raise_for`` raises the error that an errno means which the kernel ends the list with; 0 means none. Raises
    InterruptedDumpError where the list changed meanwhile or broke off, MalformedError for any other message.
    """
    ended = False
    for datagram in datagrams:
        for message in framing.messages(datagram):
            content = datagram[message.start : message.end]
            if ended or message.type not in (kind, *_ENDS):
                raise MalformedError(f"netlink: a message of type {message.type:#x} in a list of type {kind:#x}")
            if message.flags & _uapi.NLM_F_DUMP_INTR:
                raise InterruptedDumpError("The list changed while it was read.")
            if message.type == kind:
                yield content
            else:
                raise_for(framing.error_of(content))
                ended = True
    if not ended:
        raise InterruptedDumpError("The kernel's answer broke off.")
