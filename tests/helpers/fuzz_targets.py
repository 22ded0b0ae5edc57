# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The readers of what others wrote, by name, with the inputs that a fuzzer begins with.

``tests/fuzz/test_readers.py`` tries inputs that hypothesis makes of them, ``tools/fuzz.py`` those that atheris finds by
what code they reach. What one of them found is kept in ``tests/fuzz/corpus/NAME/``, and tried from then on.
"""

from __future__ import annotations

import functools
import pathlib
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError
from helpers import hostile_documents, hostile_files, hostile_netlink
from helpers.support import CHECKOUT
from hypothesis import strategies as st

CORPUS = CHECKOUT / "tests" / "fuzz" / "corpus"

_MODULES = (hostile_netlink, hostile_files, hostile_documents)
READERS: dict[str, t.Callable[[bytes], None]] = {
    name: reader for module in _MODULES for name, reader in module.READERS.items()
}

_ODD = (
    *(b"\0", b"\n", b"\r\n", b"\t", b" ", b"\xff", b"\x1b[2J", "\u0663\u2028".encode(), b"\xed\xa0\x80"),
    *(b"0", b"-1", b"255", b"65536", b"4294967296", b"99999999999999999999", b"1e999", b"NaN", b"0x", b"null"),
    *(b"{", b"}", b"[", b"]", b'"', b"'", b"\\", b"=", b",", b".", b"*", b"..", b"/", b"# ", b"<", b"$", b"%"),
    *(b"\0\0\0\0", b"\4\0\0\0", b"\x10\0\0\0", b"\xff\xff\xff\xff", b"\2\0", b"\3\0", b"\0\x14", b"\x14\0\0\0\3\0"),
)
"""What is put into inputs: ends of numbers and texts, and lengths and types of netlink."""


def read(name: str, data: bytes) -> bool:
    """Give ``data`` to the reader ``name``, and return whether it was accepted. All but a typed error is raised."""
    message = ""
    try:
        READERS[name](data)
    except ConntrackError as error:
        message = error.message
    assert message.isprintable()
    return not message


@functools.cache
def seeds() -> dict[str, list[bytes]]:
    """Return the honest inputs of each reader."""
    return {name: inputs for module in _MODULES for name, inputs in module.seeds().items()}


def kept(name: str) -> list[pathlib.Path]:
    """Return the files of the corpus of a reader."""
    return sorted((CORPUS / name).glob("*"))


@st.composite
def inputs(draw: st.DrawFn, name: str) -> bytes:
    """Draw an input that is an honest one with some of it changed, left out, repeated, or taken from another one."""
    every = seeds()[name]
    data = draw(st.sampled_from(every))
    for _change in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 0, 1, 1, 2, 4, 8, 20, 100, 1 << 20])))
        other = draw(st.sampled_from(every))
        at = draw(st.integers(0, len(other)))
        new = draw(
            st.sampled_from(_ODD)
            | st.binary(max_size=6)
            | st.just(data[start:end] * 2)
            | st.just(other[at : at + draw(st.integers(0, 40))])
        )
        data = data[:start] + new + data[end:]
    return data
