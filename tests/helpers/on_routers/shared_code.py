# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What would be compiled anew by each program that a run of the tests starts, compiled once for all of them.

Ansible keeps no compiled code of what plugins import of a collection, which is a hundred files, nor of templates, which
each task has some of. Nor does Python of what it imports from the archive of a module, which is two hundred. And each
program parses the same YAML, which is a quarter of what it does before the first task.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import pathlib
import sys
import types
import typing as t
import zipimport

VARIABLE = "CODE_OF_TESTS"
"""The environment variable that names the directory of the compiled code."""

_DEFINITIONS = b"ansible/config/base.yml"
"""The one file that each program lets YAML read itself. It names it by bytes."""


def _compiled(source: bytes, how: str, compile_it: t.Callable[[], types.CodeType]) -> types.CodeType:
    """Return what this source is compiled to by this Python: from the file of another program, if there is one."""
    return t.cast("types.CodeType", _made(source, how, compile_it, marshal))


def _made(source: bytes, how: str, make: t.Callable[[], t.Any], format_of: t.Any) -> t.Any:
    """Return what this Python makes of the source: from the file of another program, if there is one.

    ``format_of`` is the module that writes and reads it, such as marshal.
    """
    # It takes longer to import than most programs need, and not all of them get here.
    import hashlib

    name = hashlib.sha256(f"{sys.version} {how}\0".encode() + source).hexdigest()
    path = pathlib.Path(os.environ[VARIABLE], name)
    if path.exists():
        return format_of.loads(path.read_bytes())
    made = make()
    new = path.with_suffix(f".{os.getpid()}")
    # A test may have filled the disk, and not all that YAML can say can be written.
    with contextlib.suppress(Exception):
        new.write_bytes(format_of.dumps(made))
        new.replace(path)
    return made


def _can_share() -> bool:
    directory = os.environ.get(VARIABLE)
    return directory is not None and os.access(directory, os.W_OK)


def share_parsed_yaml() -> None:
    """Let this program of Ansible use what others parsed already. Call this before anything of Ansible is imported."""
    if not _can_share():
        return
    import pickle

    import yaml

    load = yaml.load

    def parsed(stream: t.Any, Loader: t.Any) -> t.Any:  # callers give it by this name
        name = getattr(stream, "name", None)
        if isinstance(name, bytes) and name.endswith(_DEFINITIONS):
            stream = stream.read()
        if not isinstance(stream, (str, bytes)):
            return load(stream, Loader)
        from ansible.module_utils._internal._datatag import AnsibleTagHelper

        # Of these, each value knows its place.
        tags = sorted(map(repr, AnsibleTagHelper.tags(stream)))
        how = f"yaml {Loader.__module__}.{Loader.__qualname__} {type(stream)} {tags}"
        source = stream if isinstance(stream, bytes) else stream.encode("utf-8", "surrogatepass")
        return _made(source, how, lambda: load(stream, Loader), pickle)

    yaml.load = parsed


def share_with_plugins() -> None:
    """Let this program of Ansible use what others compiled of collections already."""
    if not _can_share():
        return
    from ansible.utils.collection_loader import _collection_finder

    def compiled(source: bytes, filename: str, **options: t.Any) -> types.CodeType:
        # Many tests have a collection of their own, of the same files.
        member = filename.rpartition("ansible_collections")[2]
        return _compiled(source, f"{member} {options}", lambda: compile(source, filename, **options))

    # The loader of a collection calls it by this name, with these arguments.
    _collection_finder.compile = compiled


def share_with_templates() -> None:
    """Let this program of Ansible use what others compiled of templates already: each task compiles its own anew."""
    if not _can_share():
        return
    from ansible._internal._templating import _jinja_bits

    kind = _jinja_bits.AnsibleEnvironment
    compile_template = kind.compile

    def compiled(self: t.Any, source: t.Any, *rest: t.Any, **options: t.Any) -> t.Any:
        # An expression comes parsed.
        if not isinstance(source, str):
            return compile_template(self, source, *rest, **options)
        context = _jinja_bits._TemplateCompileContext.current(optional=True)
        syntax = [getattr(self, name) for name in _jinja_bits._TEMPLATE_OVERRIDE_FIELD_NAMES]
        embeds = _jinja_bits._TemplateConfig.allow_embedded_templates
        how = f"template {rest} {options} {context and context.escape_backslashes} {syntax} {embeds}"
        return _compiled(source.encode(), how, lambda: compile_template(self, source, *rest, **options))

    kind.compile = compiled


def share_with_modules() -> None:
    """Let this program use what others compiled of archives already."""
    if not _can_share():
        return
    compile_source = zipimport._compile_source  # type: ignore[attr-defined]  # there is no public way

    def compiled(path: str, source: bytes, *rest: t.Any) -> types.CodeType:
        # The archive is in another directory each time.
        member = path.rpartition(".zip")[2]
        return _compiled(source, member, lambda: compile_source(path, source, *rest))

    zipimport._compile_source = compiled  # type: ignore[attr-defined]  # there is no public way
