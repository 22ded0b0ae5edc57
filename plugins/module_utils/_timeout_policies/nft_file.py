# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""The file that makes an object of nftables again at boot: its text, and putting it where nft(8) accepts it.

It is a file of this collection alone. No other one is changed. What loads it is found (see nft_loading), and what nft
says of the whole ruleset with it is asked before the kernel is changed. Where the ruleset held before and would not
hold with it, the file is put back, because the next boot would be one without a firewall.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import subprocess
import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._boot_files.config_tree import Tree
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError, RefusedError
from ansible_collections.netops.conntrack.plugins.module_utils._files.replacement import (
    FileChange,
    Prepare,
    Purpose,
    plan_file,
    put_all,
    restore_all,
    staged,
)
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.for_boot import nft_object
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.nft_loading import (
    Loading,
    loading_of,
)
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.nft_objects import Table
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.policy import NamedPolicy

_DIRECTORY = "/etc/nftables.d"
_OPTION = "nft_file"
_FIT_FOR_NAME = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_VYOS = ("/etc/vyos-release", "/usr/libexec/vyos")
_SECONDS = 60
_MOST_OF_MESSAGE = 500


class NftFile:
    """The file of the object ``name`` in a table."""

    def __init__(self, path: str | None, table: Table, name: str, prepare: Prepare) -> None:
        """Check where it is to be. ``prepare`` gives a new file its security context. Raises OptionError."""
        self.path = path or _default_path(table, name)
        if not os.path.isabs(self.path):
            remedy = "Give a file such as /etc/nftables.d/timeouts.nft."
            raise OptionError(_OPTION, self.path, "is not the full path of a file", remedy)
        if not self.path.endswith(".nft") or os.path.basename(self.path).startswith("."):
            remedy = "Give a name that ends in .nft, such as /etc/nftables.d/timeouts.nft."
            raise OptionError(_OPTION, self.path, "is no name that an include of *.nft finds", remedy)
        self._table = table
        self._prepare = prepare
        self._header = (
            f"# The timeout policy {name} of the table {table}, by netops.conntrack.conntrack_timeout_policy.\n"
            "# Changes are overwritten.\n"
        )
        self._nft = _find_nft()
        self.change: FileChange | None = None
        self.is_checked: bool | None = None
        """Whether nft accepts the file, and with it all that the boot loads. None: there is no nft to ask."""

    def plan(self, policy: NamedPolicy | None) -> FileChange:
        """Return the change to a file that makes this policy, or to none. Raises OptionError for a foreign file."""
        _refuse_vyos()
        self.change = plan_file(self.path, lambda text: self._new_text(text, policy), _PURPOSE)
        place = self.loading.place
        if policy and place and place.is_inside:
            problem = f"is included inside of a block ({place}), where no table may stand"
            raise OptionError(_OPTION, self.path, problem, "Give a file in another directory.")
        return self.change

    @property
    def loading(self) -> Loading:
        """What loads the file at boot."""
        overlay = {self.path: self.change.new_text} if self.change else None
        return loading_of(self.path, str(self._table), Tree(overlay=overlay))

    @contextlib.contextmanager
    def kept(self, policy: NamedPolicy | None) -> t.Iterator[None]:
        """Put the file in its place, and change the kernel in the body. If that fails, the file is put back.

        Raises RefusedError where nft does not accept the file, or the whole ruleset with it, and what ``plan`` raises.
        """
        with staged([self.plan(policy)], self._prepare) as changed:
            before = {main: self._complaint_about(main) for main in self.loading.mains}
            put_all(changed)
            try:
                self._require_accepted(policy, before)
                yield
            except BaseException:
                restore_all(changed)
                raise

    def correct(self, policy: NamedPolicy | None) -> None:
        """Replace the file by one of what the kernel made, where that could not be known before."""
        first = self.change
        with staged([self.plan(policy)], self._prepare) as changed:
            put_all(changed)
        if first and self.change:
            self.change = dataclasses.replace(self.change, text=first.text)

    @property
    def is_changed(self) -> bool:
        """Whether the file is changed, or in check mode would be."""
        return self.change is not None and self.change.changed

    def warnings(self, policy: NamedPolicy | None) -> t.Iterator[str]:
        """Yield why the next boot will not make the policy, if it will not."""
        loading = self.loading
        own = f'include "{os.path.dirname(self.path)}/*.nft"'
        never = "persist: the next boot does NOT make the policy, because"
        if policy is None:
            return
        if loading.undone:
            yield (
                f"{never} {loading.undone} removes it again after {loading.place} has loaded it. Move the line {own} "
                "behind that, and before the rules that use the policy."
            )
        elif not loading.place and loading.mains:
            yield (
                f"{never} {' and '.join(loading.mains)} does not include {self.path}. Add this line to it, behind "
                f"'flush ruleset', and before the rules that use the policy: {own}"
            )
        elif not loading.place:
            yield (
                f"{never} no enabled unit of systemd loads a file with 'nft -f'. Where nftables.service is what loads "
                f"your firewall, run 'systemctl enable nftables', and have its file say: {own}"
            )

    def as_result(self, policy: NamedPolicy | None) -> dict[str, t.Any]:
        """Return what the module returns of the file."""
        loading = self.loading
        is_loaded = policy is not None and loading.place is not None and loading.undone is None
        return {
            "file": self.path if policy else None,
            "loaded_by": str(loading.place) if is_loaded else None,
            "checked": self.is_checked,
        }

    def _new_text(self, text: str | None, policy: NamedPolicy | None) -> str | None:
        if text is not None and not text.startswith(self._header):
            problem = "is there, and is not the file of this policy"
            raise OptionError(_OPTION, self.path, problem, "Give another name, or remove it.")
        if policy is None:
            return None
        return f"{self._header}table {self._table} {{\n  {nft_object(policy)}\n}}\n"

    def _require_accepted(self, policy: NamedPolicy | None, before: t.Mapping[str, str | None]) -> None:
        """Raise RefusedError where nft refuses the file, or a ruleset that it took without the change."""
        if self._nft is None:
            return
        complaint = self._complaint_about(self.path) if policy else None
        if complaint:
            raise RefusedError(f"{_OPTION}: nft refuses the file {self.path}: {complaint} Nothing was changed.")
        for main, earlier in before.items():
            complaint = self._complaint_about(main)
            if complaint and not earlier:
                what = "includes it before the table or the rules are as it needs them" if policy else "needs it"
                raise RefusedError(
                    f"{_OPTION}: the next boot would be one without a firewall, because {main} {what}. nft says: "
                    f"{complaint} Nothing was changed. Change {main} first."
                )
        self.is_checked = True

    def _complaint_about(self, path: str) -> str | None:
        """Return what ``nft -c -f`` says of a file that it refuses. Nothing is changed by that."""
        if self._nft is None or not os.path.exists(path):
            return None
        command = [self._nft, "-c", "-f", path]
        try:
            # run_command of Ansible has no timeout.  # pylint: disable-next=ansible-bad-function
            done = subprocess.run(command, check=False, capture_output=True, timeout=_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            return f"{error}."
        words = " ".join((done.stderr or done.stdout).decode("utf-8", "replace").split())
        return f"{words[:_MOST_OF_MESSAGE]}." if done.returncode else None


def warn_of_leftover(table: Table, name: str, after: NamedPolicy | None) -> t.Iterator[str]:
    """Yield what is to be known of a policy that is changed or removed without the file that persists it."""
    try:
        path = _default_path(table, name)
    except OptionError:
        return
    if os.path.exists(path):
        what = "the policy again, because" if after is None else "another policy of this name, because"
        yield f"persist: the next boot may make {what} {path} is still there. Give persist: true."


_PURPOSE = Purpose(_OPTION, "set persist: false")


def _default_path(table: Table, name: str) -> str:
    for part, option in ((name, "name"), (table.name, "nft_table")):
        if not _FIT_FOR_NAME.fullmatch(part):
            raise OptionError(option, part, "does not fit into the name of a file", "Give nft_file.")
    return f"{_DIRECTORY}/netops-conntrack-{table.family}-{table.name}-{name}.nft"


def _refuse_vyos() -> None:
    if any(map(os.path.exists, _VYOS)):
        remedy = "Use 'timeout custom' in its configuration."
        raise OptionError("persist", True, "is not possible: VyOS writes its ruleset itself", remedy)


def _find_nft() -> str | None:
    return shutil.which("nft", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
