# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""What a router printed as the answer of a module, before anything reads it.

Ansible acts on much that can stand in any result, such as ``add_host``, facts of any name, or ``unreachable``. An
honest module of this collection returns none of that, so what is let in is listed here and in
``_router.result_shapes``.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import AnswerError
from ansible_collections.netops.conntrack.plugins.module_utils._facts.namespaces import MOST_READ
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.common_shapes import Arguments, asked
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.result_shapes import (
    fields_of_failure,
    fields_of_success,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._router.shape import (
    FaultError,
    Shape,
    anything,
    boolean,
    checked,
    cut,
    list_of,
    optional,
    record,
    text,
    whole,
    words,
)

_FEW_BYTES = 4 << 20
"""More than any answer whose size no option decides."""

_BYTES_OF_ONE = 8192
"""More than an entry takes, as a dict and as a line, or one of the largest."""

_BYTES_OF_NAMESPACE = 1 << 16
"""More than what is returned of a namespace takes, without the largest."""

_LARGEST_OF_NAMESPACE = 1024
"""More than one of the largest takes in each list of them, all lists together."""

_OPTIONS_OF_SIZE = {"top": 10, "sample": 5, "limit": 10}

_OUTPUT = 4000
"""Characters of what is no JSON, for the error that shows it."""

_DIFF_LINES = 1000
"""Comparing two texts takes the callback quadratic time."""

_MESSAGES = 500


@dataclasses.dataclass(frozen=True)
class Expected:
    """What is expected of the answer of a ``module`` that was called with these ``arguments``."""

    module: str
    arguments: Arguments
    in_background: bool = False
    """Whether the module was only started, as with ``async``."""

    @property
    def name(self) -> str:
        """How the answer is called in an error."""
        return "Its facts are malformed" if self.module == "conntrack_facts" else "Its result is malformed"

    @property
    def most_bytes(self) -> int:
        """How many bytes the router may answer with. Only who asks for many entries gets many."""
        items = max(asked(self.arguments, option, default) for option, default in _OPTIONS_OF_SIZE.items())
        return _FEW_BYTES + items * _BYTES_OF_ONE + self._bytes_of_namespaces

    @property
    def _bytes_of_namespaces(self) -> int:
        if self.module != "conntrack_facts" or self.arguments.get("namespaces") is None:
            return 0
        largest = asked(self.arguments, "top", _OPTIONS_OF_SIZE["top"])
        return MOST_READ * (_BYTES_OF_NAMESPACE + largest * _LARGEST_OF_NAMESPACE)

    def read(self, stdout: str) -> dict[str, t.Any] | None:
        """Return what counts of a module's answer. None if it is no JSON. Raises AnswerError if it does not hold."""
        found = _json_of(stdout)
        if found is None:
            return None
        try:
            answer = json.loads(found)
        except ValueError:
            return None
        except RecursionError:
            raise AnswerError(self.name, "it is nested too deeply") from None
        return self.accepted(answer)

    def accepted(self, answer: t.Any) -> dict[str, t.Any]:
        """Return what counts of an answer. Raises AnswerError if it does not hold."""
        failed = checked(answer, record({}, {"failed": _flag}), self.name).get("failed")
        if failed:
            return t.cast("dict[str, t.Any]", checked(answer, self._failure, self.name))
        fields = fields_of_success(self.module, self.arguments)
        shape = record({}, _STARTED) if self.in_background else record(fields, _COMMON)
        return t.cast("dict[str, t.Any]", checked(answer, shape, self.name))

    @property
    def _failure(self) -> Shape:
        return record({"failed": _flag}, {**_COMMON, **_FAILED, **fields_of_failure(self.module, self.arguments)})


def _json_of(stdout: str) -> str | None:
    """Return the JSON in an output, around which there may be lines of others, such as a message of the day."""
    lines = stdout.split("\n")
    first = next((number for number, line in enumerate(lines) if line.lstrip().startswith("{")), None)
    after = next((number for number in range(len(lines), 0, -1) if lines[number - 1].rstrip().endswith("}")), 0)
    return None if first is None else "\n".join(lines[first:after])


def harmless(output: str) -> str:
    """Return an output that is no answer, for the error that shows it: its beginning, in which nobody finds JSON."""
    shown = cut(output, _OUTPUT, lines=True)
    return "\n".join(f"> {line}" if line.lstrip().startswith("{") else line for line in shown.split("\n"))


def _flag(value: t.Any) -> t.Any:
    """Take true or false, which Ansible's async_wrapper writes as a number before ansible-core 2.19."""
    return whole(0, 1)(value) if isinstance(value, int) and not isinstance(value, bool) else boolean(value)


def _invocation(value: t.Any) -> t.Any:
    """Take the options as the module read them. They are only shown, and can be too many for that."""
    try:
        return anything(value)
    except FaultError:
        return {}


def _message(value: t.Any) -> str:
    """Take a warning: a text, or from ansible-core 2.19 on a summary of what happened."""
    event = value.get("event") if isinstance(value, dict) else None
    return t.cast("str", words(2000, lines=True)(event.get("msg") if isinstance(event, dict) else value))


def _deprecation(value: t.Any) -> dict[str, t.Any]:
    known = {"version": optional(text()), "date": optional(text()), "collection_name": optional(text())}
    fields = record({}, known)(value)
    return {"msg": _message(value.get("msg", value)), **fields}


def _exception(value: t.Any) -> str | None:
    """Take a traceback: a text, or from ansible-core 2.19 on a summary that may have one."""
    event = value.get("event") if isinstance(value, dict) else None
    traceback = event.get("formatted_traceback") if isinstance(event, dict) else value
    return t.cast("str | None", optional(words(20_000, lines=True))(traceback))


def _text_of_diff(value: t.Any) -> str:
    shown: str = words(_FEW_BYTES, lines=True)(value)
    lines = shown.splitlines(keepends=True)
    if len(lines) <= _DIFF_LINES:
        return shown
    return "".join([*lines[:_DIFF_LINES], f"({len(lines) - _DIFF_LINES} more lines)\n"])


_DIFF = record({}, {"before": _text_of_diff, "after": _text_of_diff, "before_header": words(), "after_header": words()})


def _diff(value: t.Any) -> t.Any:
    return list_of(_DIFF, 10)(value) if isinstance(value, list) else _DIFF(value)


_COMMON: dict[str, Shape] = {
    "changed": boolean,
    "diff": _diff,
    "invocation": _invocation,
    "warnings": list_of(_message, _MESSAGES),
    "deprecations": list_of(_deprecation, _MESSAGES),
}
_FAILED: dict[str, Shape] = {
    "msg": words(lines=True),
    "rc": whole(-(2**31), 2**31),
    "exception": _exception,
    "no_conntrack": boolean,
}
_STARTED: dict[str, Shape] = {
    "failed": _flag,
    "started": _flag,
    "finished": _flag,
    "ansible_job_id": text(),
    "results_file": text(4096),
    "_ansible_suppress_tmpdir_delete": boolean,
}
"""What Ansible's async_wrapper prints."""
