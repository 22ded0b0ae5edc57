# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""A file of entries, decoded by several processes at a time.

Each process decodes every nth piece of the file, and writes what it has into a pipe. They are asked in turn, so the
entries come in the order of the pieces, and no process is more than a piece ahead.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pickle
import struct
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from ansible_collections.netops.conntrack.plugins.module_utils._files.text import unreadable
from ansible_collections.netops.conntrack.plugins.module_utils._interrupt import forget
from ansible_collections.netops.conntrack.plugins.module_utils._listing.decoder import Decoded, Decoder
from ansible_collections.netops.conntrack.plugins.module_utils._listing.source import Source

_MOST_PROCESSES = 4
"""More of them give pieces faster than they are counted."""

_LEAST_STRIPES = 2
"""Of a file with fewer pieces than this, another process has nothing to do at the same time."""

_LENGTH = struct.Struct("=I")
_PIPE_BYTES = 1 << 20


@contextlib.contextmanager
def decoded(
    source: Source, processes: int | None = None, fields: frozenset[str] | None = None
) -> t.Iterator[t.Iterator[Decoded]]:
    """Yield what each piece of the file has. Without ``processes``, as many are started as it takes.

    ``fields`` are those that rows get, or all if it is None.

    They are gone when the context is left. Raises ConntrackError where one of them ended early, and what
    ``Source.reading`` raises.
    """
    wanted = _processes_for(source) if processes is None else processes
    with contextlib.ExitStack() as stack:
        if wanted > 1:
            # Where there can be no other process, this one does it all.
            with contextlib.suppress(BlockingIOError):
                pipes = [_start(stack, source, Decoder(fields), number, wanted) for number in range(wanted)]
                yield _collected(source, pipes)
                return
        yield map(Decoder(fields).decode, source.pieces())


def _processes_for(source: Source) -> int:
    if source.is_compressed or source.stripes < _LEAST_STRIPES:
        return 1
    return min(len(os.sched_getaffinity(0)), source.stripes, _MOST_PROCESSES)


def _start(stack: contextlib.ExitStack, source: Source, decoder: Decoder, first: int, step: int) -> io.BufferedReader:
    """Start a process that decodes each ``step``-th piece from the ``first`` one on. Return where its answers are."""
    read, write = os.pipe()
    pipe = stack.enter_context(os.fdopen(read, "rb"))
    try:
        with contextlib.suppress(OSError):
            fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        pid = os.fork()
        if pid == 0:
            _run(source, decoder, write, range(first, source.stripes, step))
        stack.callback(_end, pid, pipe)
    finally:
        os.close(write)
    return pipe


def _end(pid: int, pipe: t.BinaryIO) -> None:
    """Let the process end, which it does at its next answer, and wait for it."""
    pipe.close()
    # Where SIGCHLD is ignored, the kernel has taken it away already.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _run(source: Source, decoder: Decoder, write: int, stripes: t.Iterable[int]) -> t.NoReturn:
    """Write what is in these pieces of the file, and end the process. No cleaning up: that is the parent's."""
    try:
        forget()
        with open(write, "wb", buffering=0, closefd=False) as pipe:
            for number in stripes:
                try:
                    answer: Decoded | OSError = decoder.decode(source.stripe(number))
                except OSError as error:
                    answer = error
                data = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
                _write_all(pipe, _LENGTH.pack(len(data)) + data)
    finally:
        os._exit(0)


def _write_all(pipe: io.FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[pipe.write(rest) :]


def _collected(source: Source, pipes: list[io.BufferedReader]) -> t.Iterator[Decoded]:
    for number in range(source.stripes):
        answer = _answer(pipes[number % len(pipes)])
        if isinstance(answer, OSError):
            raise unreadable(source.path, "src", answer) from answer
        yield answer


def _answer(pipe: io.BufferedReader) -> Decoded | OSError:
    header = pipe.read(_LENGTH.size)
    length = _LENGTH.unpack(header)[0] if len(header) == _LENGTH.size else 0
    data = pipe.read(length)
    if not length or len(data) < length:
        raise ConntrackError("src: a process that decoded the file has ended early. Run it again.")
    # It comes from a process of our own.
    answer: Decoded | OSError = pickle.loads(data)
    return answer
