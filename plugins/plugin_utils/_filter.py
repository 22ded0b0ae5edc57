# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The border between Ansible's templates and plain Python: values come in, expected errors go out."""

from __future__ import annotations

import collections.abc
import functools
import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError


def plain(value: t.Any) -> t.Any:
    """Return ``value`` in the types of JSON: a template's own kinds of dict, list, str and number are made plain ones.

    Libraries such as jmespath look at the exact type of a value.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _plain_text(value)
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, collections.abc.Mapping):
        return {_plain_text(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, collections.abc.Iterable):
        return [plain(item) for item in value]
    # Such as a date, which YAML makes of some texts.
    return _plain_text(str(value))


def _plain_text(value: str) -> str:
    """Return ``value`` without its kind. Before ansible-core 2.19, ``str(value)`` keeps the one for unsafe texts."""
    return str.__str__(value)


_NOT_AS_DOCUMENTED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What Python raises for data of another form. Ansible's own errors, such as for what is undefined, are others."""


def as_filter(function: t.Callable[..., t.Any], name: str = "") -> t.Callable[..., t.Any]:
    """Return ``function`` as the filter ``name``: plain arguments go in, errors come out as AnsibleFilterError."""

    @functools.wraps(function)
    def call(*args: t.Any, **kwargs: t.Any) -> t.Any:
        try:
            return function(*plain(args), **plain(kwargs))
        except ConntrackError as error:
            # Ansible adds the words of the cause to a message, and those of its cause.
            raise AnsibleFilterError(error.message) from None
        except _NOT_AS_DOCUMENTED:
            filter_name = f"netops.conntrack.{name}"
            raise AnsibleFilterError(
                f"{filter_name}: something that was given to it is not as its documentation says. "
                f"See ansible-doc -t filter {filter_name}."
            ) from None

    return call
