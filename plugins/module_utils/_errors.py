# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The errors that the collection raises itself: each says what is wrong, and what to do about it."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible

BECOME_ROOT = "Run it as root: -b on the command line, become: true in a play."
"""The remedy for a missing right. A module does not know which of the two it was started by."""


class ConntrackError(Exception):
    """An expected failure, with a message for the operator.

    The message may hold the name of a file, or what a program said. Ansible prints it as it is, so it has no control
    characters. ``result`` holds what was done or measured before the failure, for the module's answer.
    """

    def __init__(self, message: str, **result: t.Any) -> None:
        self.message = visible(message)
        super().__init__(self.message)
        self.result = result


class OptionError(ConntrackError):
    """An option's value cannot be used. Nothing was touched.

    The message names the option, shows the value as it was given, says what is wrong with it and how to mend it.
    """

    def __init__(self, option: str, value: t.Any, problem: str, remedy: str) -> None:
        super().__init__(f"{option}: {value!r} {problem}. {remedy}")
        self.option = option
        self.value = value


class UnavailableError(ConntrackError):
    """The host lacks something that was asked for: a kernel feature, a library, a switched-on setting, a namespace."""


class NotPermittedError(ConntrackError):
    """The process may not do what was asked: it is not root and has no CAP_NET_ADMIN, or the file is read-only."""


class MalformedError(ConntrackError):
    """The kernel's bytes do not form a message that can be decoded: no count that is based on them can be trusted."""


class DumpError(ConntrackError):
    """The table could not be read as a whole: the result is withheld instead of being reported as complete."""


class InterruptedDumpError(DumpError):
    """A dump was not whole, but another one may be."""


class AnswerError(ConntrackError):
    """What a router answered, or what is on record of it, is not what the documentation says.

    ``of`` says what of it is malformed, and ``problem`` where and why.
    """

    def __init__(self, of: str, problem: str) -> None:
        remedy = "Log in to the router, and find out what changes the answers of the modules there."
        super().__init__(f"{of} ({problem}). Nothing of it is used. {remedy}")


class RefusedError(ConntrackError):
    """A guard that the user set (such as ``max_delete``) refuses the whole action before its first step."""
