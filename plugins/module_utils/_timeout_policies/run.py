# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""One run of conntrack_timeout_policy: what is there, what is wanted, and what it takes."""

from __future__ import annotations

import typing as t

from ansible_collections.netops.conntrack.plugins.module_utils._entry.timeout_record import replacing, require_room
from ansible_collections.netops.conntrack.plugins.module_utils._errors import ConntrackError, OptionError, RefusedError
from ansible_collections.netops.conntrack.plugins.module_utils._files.replacement import Prepare
from ansible_collections.netops.conntrack.plugins.module_utils._interrupt import finished
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.attached_rules import (
    SHOWN_BY_IPTABLES,
    rules_of_iptables,
    rules_of_nftables,
)
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.cttimeout import TimeoutSubsystem
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.for_boot import (
    nfct_command,
    nft_object,
)
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.nft_file import (
    NftFile,
    warn_of_leftover,
)
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.nft_objects import (
    ObjectsOfTable,
    Table,
)
from ansible_collections.netops.conntrack.plugins.module_utils._timeout_policies.policy import (
    NamedPolicy,
    parse_name,
    parse_wanted,
)

Store = t.Union[TimeoutSubsystem, ObjectsOfTable]
"""Where the policies are."""


class Run:
    """A run with the module's options, in the network namespace that the process is in."""

    def __init__(
        self, params: t.Mapping[str, t.Any], check_mode: bool, with_diff: bool, prepare: Prepare | None = None
    ) -> None:
        """Check the options. ``prepare`` is for the file that ``persist`` writes.

        Raises OptionError, or ConntrackError with every problem of the timeouts.
        """
        self._check_mode = check_mode
        self._with_diff = with_diff
        self._name = parse_name(params["name"])
        self._wanted = parse_wanted(params) if params["state"] == "present" else None
        self._table = None if params["nft_table"] is None else Table.parse(params["nft_table"])
        self._store: Store = TimeoutSubsystem() if self._table is None else ObjectsOfTable(self._table)
        if isinstance(self._store, ObjectsOfTable) and self._wanted:
            self._store.require_fit(self._wanted)
        self._file = _file_of(params, self._table, prepare)

    def result(self) -> dict[str, t.Any]:
        """Do what is wanted, unless in check mode, and return the module's result.

        Raises RefusedError where a rule is in the way, before anything is changed, and what the store raises.
        """
        if isinstance(self._store, ObjectsOfTable) and self._wanted:
            self._store.require_table()
        before = self._store.find(self._name)
        if self._file is None or self._check_mode:
            after = self._done(before, self._check_mode)
            if self._file:
                self._file.plan(after)
            return self._as_result(before, after)
        # The file and the kernel are changed together, or neither is.
        predicted = self._done(before, dry_run=True)
        with finished():
            with self._file.kept(predicted):
                after = self._done(before, dry_run=False)
            if after != predicted:
                self._file.correct(after)
        return self._as_result(before, after)

    def _done(self, before: NamedPolicy | None, dry_run: bool) -> NamedPolicy | None:
        """Do what is wanted unless it is a dry run, and return the policy as it is then."""
        if self._wanted is None:
            self._remove(before, dry_run)
            return None
        if before is None:
            return self._create(self._wanted, dry_run)
        return self._change(before, self._wanted, dry_run)

    def _remove(self, before: NamedPolicy | None, dry_run: bool) -> None:
        if before is None:
            return
        if before.users:
            raise self._in_use(before, "removed", "Delete them first.")
        if dry_run:
            require_room()
            return
        with finished(), replacing(before.own_timeouts):
            self._store.delete(before.name)

    def _create(self, wanted: NamedPolicy, dry_run: bool) -> NamedPolicy:
        defaults = self._store.defaults(wanted)
        if dry_run:
            return wanted._replace(timeouts={**defaults, **wanted.timeouts})
        with finished():
            self._store.create(wanted)
            return self._require_done(wanted)

    def _change(self, before: NamedPolicy, wanted: NamedPolicy, dry_run: bool) -> NamedPolicy:
        if (before.family, before.protocol) != (wanted.family, wanted.protocol):
            raise OptionError(
                "name",
                wanted.name,
                f"is a policy for {before.kind} already, and the kernel cannot make it one for {wanted.kind}",
                "Give another name, or remove it first with state: absent.",
            )
        after = before.with_timeouts(wanted.timeouts)
        if after == before:
            return before
        if before.users and not self._store.can_change_in_use:
            raise self._in_use(before, "changed", self._remedy_for_change(wanted))
        if dry_run:
            require_room()
            return after
        with finished(), replacing(before.own_timeouts):
            self._store.change(after)
            return self._require_done(wanted)

    def _remedy_for_change(self, wanted: NamedPolicy) -> str:
        if self._file:
            return "Delete the rules first, run this again, and load the rules again with 'nft -f'."
        return (
            f"Write '{nft_object(wanted)}' into the file with the ruleset, and load that again with 'nft -f'. The file "
            "has to remove the table first, as flush ruleset does, or the object stays as it is. Or delete the rules "
            "first."
        )

    def _require_done(self, wanted: NamedPolicy) -> NamedPolicy:
        """Return the policy as it is now. Raises ConntrackError where it is not as it is wanted."""
        after = self._store.find(wanted.name)
        present: t.Mapping[str, int] = after.timeouts if after else {}
        wrong = [name for name, seconds in wanted.timeouts.items() if present.get(name) != seconds]
        if after is None or wrong:
            raise ConntrackError(
                f"The kernel took the policy {wanted.name}, but not {', '.join(wrong)}. It may be too old for that, or "
                "somebody changed the policy at the same time. Leave it out, or run this again.",
                changed=True,
            )
        return after

    def _in_use(self, policy: NamedPolicy, what: str, remedy: str) -> RefusedError:
        """Return the error for a policy that cannot be changed or removed because of its rules."""
        if self._table is None:
            rules = rules_of_iptables(policy.name)
            search = f"iptables-save | grep -- '--timeout {policy.name[:SHOWN_BY_IPTABLES]}'"
        else:
            rules = rules_of_nftables(str(self._table), policy.name)
            search = f"nft -a list table {self._table}"
        found = "; ".join(rules) if rules else f"find them with: {search}"
        number = f"{policy.users} rules use" if policy.users > 1 else "a rule uses"
        return RefusedError(
            f"name: {policy.name!r} cannot be {what}, because {number} it ({found}). {remedy} Nothing was changed."
        )

    def _as_result(self, before: NamedPolicy | None, after: NamedPolicy | None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = {
            "changed": before != after or bool(self._file and self._file.is_changed),
            "policy": after.as_dict() if after else None,
            "policy_before": before.as_dict() if before else None,
            "for_boot": None,
            "boot": self._file.as_result(after) if self._file else None,
        }
        if self._wanted:
            result["for_boot"] = (nft_object if self._table else nfct_command)(self._wanted)
        warnings = list(self._warnings(before, after))
        if warnings:
            result["warnings"] = warnings
        if self._with_diff:
            result["diff"] = self._diff(before, after)
        return result

    def _warnings(self, before: NamedPolicy | None, after: NamedPolicy | None) -> t.Iterator[str]:
        if before is None and after and self._table is None and len(after.name) > SHOWN_BY_IPTABLES:
            yield _cut_name(after.name)
        if self._file:
            yield from self._file.warnings(after)
        elif self._table and before != after:
            yield from warn_of_leftover(self._table, self._name, after)

    def _diff(self, before: NamedPolicy | None, after: NamedPolicy | None) -> t.Any:
        diff = {"before": before.as_text() if before else "", "after": after.as_text() if after else ""}
        if self._file is None or self._file.change is None:
            return diff
        change = self._file.change
        headers = {"before_header": change.path, "after_header": change.path}
        return [diff, {"before": change.text or "", "after": change.new_text or "", **headers}]


def _file_of(params: t.Mapping[str, t.Any], table: Table | None, prepare: Prepare | None) -> NftFile | None:
    """Return the file that ``persist`` asks for, or None. Raises OptionError where there can be none."""
    if not params.get("persist"):
        if params.get("nft_file") is not None:
            problem = "is for a policy that the next boot makes again"
            raise OptionError("nft_file", params["nft_file"], problem, "Set persist: true, or leave it out.")
        return None
    if params.get("netns") is not None:
        remedy = "Set persist: false."
        raise OptionError(
            "persist", True, "cannot be combined with netns, because a boot is one of the machine", remedy
        )
    if table is None:
        problem = "is for objects of nftables only: no service of a system loads policies of cttimeout at boot"
        remedy = "Give nft_table, or put the command in for_boot into the unit that loads the rules (docs/timeouts.md)."
        raise OptionError("persist", True, problem, remedy)
    return NftFile(params.get("nft_file"), table, params["name"], prepare or (lambda _staged, _path: None))


def _cut_name(name: str) -> str:
    return (
        f"name: iptables-save writes no more than {name[:SHOWN_BY_IPTABLES]!r} of {name!r} into a rule, because "
        "kernels from 4.11 to a fix of 2026 show it no more. iptables-restore then refuses the whole file. Give a name "
        f"of at most {SHOWN_BY_IPTABLES} characters if your firewall is saved with iptables-save."
    )
