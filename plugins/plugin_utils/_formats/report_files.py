# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""The files of a report on the controller: each is written for itself, and an earlier one is read back."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import stat
import tempfile
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, OptionError
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.render import ENDINGS, parts_or_say_why
from ansible_collections.netops.conntrack.plugins.plugin_utils._formats.report_names import (
    LATEST,
    RETRY,
    own_name,
    point_latest,
    remove_old,
)
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.document_types import Document
from ansible_collections.netops.conntrack.plugins.plugin_utils._report.upgrade import read_back

MODES = ("0640", "0600", "0644", "0660", "0664")
"""Who may read and write a report, as chmod takes it. Nobody else may ever write one."""

_OLD = "keep"
"""How the removal of old reports is called among what could not be done."""

_DIRECTORY_MODE = 0o750
_REMEDY = "Give the .json file of an earlier report."


class Written(t.NamedTuple):
    """The paths of the files that were written, and why others were not, by their format.

    ``latest`` are the paths under which the newest files of each ending can be found.
    """

    files: list[str]
    latest: list[str]
    not_written: dict[str, str]

    @classmethod
    def nothing(cls, not_written: dict[str, str] | None = None) -> Written:
        """Return the outcome of a report of which no file was written."""
        return cls([], [], not_written or {})


@dataclasses.dataclass(frozen=True)
class Destination:
    """Where the files of a report go: the directory, their name without ending, and their mode.

    Without a name each report gets one of its own, with the ``playbook`` and the time in it. Then ``latest`` is the
    newest one, and of each playbook the newest ``keep`` stay, 0 being all.
    """

    directory: str
    name: str
    mode: int
    playbook: str = "report"
    keep: int = 0

    @classmethod
    def of(cls, options: dict[str, t.Any]) -> Destination:
        """Return the destination that the ``options`` of a report name. Raises OptionError for a bad one."""
        name, keep = options["name"], options["keep"]
        if name and (os.path.basename(name) != name or "\0" in name):
            raise OptionError("name", name, "is no name of a file", "Give it without directory and without ending.")
        if keep < 0:
            raise OptionError("keep", keep, "is no number of reports", "Give 1 or more, or 0 to keep all.")
        if keep and name:
            problem = f"has no meaning with the name {name!r}, which each report replaces"
            raise OptionError("keep", keep, problem, "Leave one of them out.")
        directory = os.path.abspath(os.path.expanduser(options["directory"]))
        return cls(directory, name, int(options["mode"], 8), options["playbook"], keep)

    def prepare(self) -> None:
        """Make the directory if it is not there. Raises OptionError if no file can be written to it."""
        try:
            _make_directory(self.directory)
            with tempfile.TemporaryFile(dir=self.directory):
                pass
        except (OSError, ValueError) as error:
            problem = f"cannot be written ({_reason(error)})"
            raise OptionError("directory", self.directory, problem, "Give another directory.") from None

    def write(self, document: Document, shown: Document, formats: t.Collection[str], fail_on: str) -> Written:
        """Write the files, those first that cannot be had in another way. One that fails is its own trouble only.

        ``shown`` is the document with short texts, from which all but JSON are written.
        """
        if self.name:
            return self._write_files(document, shown, formats, fail_on)
        try:
            with own_name(self.directory, self.playbook) as name:
                named = dataclasses.replace(self, name=name)
                written = named._write_files(document, shown, formats, fail_on)
                named._tidy(written, formats, check_mode=document["check_mode"])
        except OSError as error:
            return Written.nothing(dict.fromkeys([RETRY, *formats], _reason(error)))
        return written

    def _write_files(self, document: Document, shown: Document, formats: t.Collection[str], fail_on: str) -> Written:
        written = Written.nothing()
        with self._noted(RETRY, written):
            self._write_retry(document)
        for style in sorted(formats, key=list(ENDINGS).index):
            with self._noted(style, written):
                path = self._path(ENDINGS[style])
                source = document if style == "json" else shown
                write_file(path, parts_or_say_why(source, style, fail_on), self.mode)
                written.files.append(path)
        return written

    def _tidy(self, written: Written, formats: t.Collection[str], check_mode: bool) -> None:
        """Let ``latest`` be this report if it is the newest, and remove the old ones. A rehearsal removes nothing."""
        for ending in [*(ENDINGS[style] for style in formats), RETRY]:
            with self._noted(LATEST, written):
                latest = point_latest(self.directory, ending)
                written.latest.extend([latest] if latest else [])
        if self.keep and not check_mode:
            with self._noted(_OLD, written):
                remove_old(self.directory, self.playbook, self.keep, own=self.name)

    @contextlib.contextmanager
    def _noted(self, style: str, written: Written) -> t.Iterator[None]:
        """Note the reason if the file of a format cannot be written."""
        try:
            yield
        except OSError as error:
            written.not_written[style] = _reason(error)
        except ConntrackError as error:
            written.not_written[style] = error.message

    def _write_retry(self, document: Document) -> None:
        """Write the list of the routers that are not done. Where there are none, none is left of an earlier run."""
        not_done = sorted(document["unreachable"] + document["failed"] + document["not_started"])
        if not_done:
            write_file(self._path(RETRY), (f"{host}\n" for host in not_done), self.mode)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path(RETRY))

    def _path(self, ending: str) -> str:
        return os.path.join(self.directory, f"{self.name}.{ending}")


def _make_directory(path: str) -> None:
    """Make a directory, and those above it, for the user and the group. One that is there is left as it is."""
    if os.path.isdir(path):
        return
    _make_directory(os.path.dirname(path))
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, _DIRECTORY_MODE)


def write_file(path: str, parts: t.Iterable[str], mode: int) -> None:
    """Write the ``parts`` of a text to ``path``. Who reads it meanwhile sees the old text or the new one, each whole.

    Whatever stands at ``path``, a link for example, is replaced and never followed. The old text is not touched before
    the new one is on the disk as a whole.
    """
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".")
    try:
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.writelines(parts)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_report(option: str, path: str) -> Document:
    """Return the report that an earlier run wrote to ``path``, whatever its version.

    Raises OptionError, which names ``option``, the path and the remedy, for everything else.
    """
    try:
        document = json.loads(_text_of(path), parse_constant=_refuse_constant)
    except OSError as error:
        raise OptionError(option, path, f"cannot be read ({_reason(error)})", _REMEDY) from None
    except RecursionError:
        raise OptionError(option, path, "cannot be read (it is nested too deeply)", _REMEDY) from None
    except json.JSONDecodeError as error:
        problem = f"is no JSON from line {error.lineno}, column {error.colno} on"
        raise OptionError(option, path, f"cannot be read (it {problem})", _REMEDY) from None
    except UnicodeDecodeError:
        raise OptionError(option, path, "cannot be read (it is no text in UTF-8)", _REMEDY) from None
    except ValueError as error:
        reason = str(error) if isinstance(error, _WrongNumberError) else "has a number with too many digits"
        raise OptionError(option, path, f"cannot be read (it {reason})", _REMEDY) from None
    return read_back(document, f"{option}, {path}")


class _WrongNumberError(ValueError):
    """A number that JSON does not have."""


def _refuse_constant(name: str) -> t.NoReturn:
    raise _WrongNumberError(f"has {name}, which is no number")


def _text_of(path: str) -> str:
    """Return the text of a file. Raises OSError at once for what is none, such as a pipe that nobody writes to."""
    descriptor = os.open(os.path.expanduser(path).replace("\0", "\\0"), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(None, "it is no regular file")
        content = file.read()
    if not content.strip():
        raise OSError(None, "it is empty")
    return content.decode()


def _reason(error: OSError | ValueError) -> str:
    """Return the reason why a file cannot be used, in words."""
    return getattr(error, "strerror", None) or "the path is no path"
