# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``exclusive``: what an earlier run set and this one does not name is as before, in the kernel and in the files."""

from __future__ import annotations

import itertools
import json
import pathlib
import time
import typing as t

import pytest
from helpers.settings_module import PREFIX, Settings, all_sysctls, sysctl
from helpers.support import CHECKOUT, assert_refused, network_namespace, read_yaml, run, wait_until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DROPIN = "sysctl.d/90-netops-conntrack.conf"
MINE = f"# mine\n-net/netfilter/nf_conntrack_generic_timeout=500\n{PREFIX}acct=0\n# end, without a newline"
DEFAULTS = read_yaml(CHECKOUT / "roles/conntrack_tune/defaults/main.yml")
PROFILES = {
    name: {setting: entry["value"] for setting, entry in profile["settings"].items()}
    for name, profile in DEFAULTS["conntrack_tune_profiles"].items()
}


@pytest.fixture
def netns() -> t.Iterator[str]:
    with network_namespace("exclusive") as name:
        yield name


@pytest.fixture
def router(tmp_path: pathlib.Path) -> Settings:
    return Settings(tmp_path / "etc")


def only(wanted: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
    return {"settings": wanted, "exclusive": True, **more}


def held(netns: str) -> dict[str, int]:
    """Return all settings of the namespace that it can change."""
    code = "import json; from ansible_collections.netops.conntrack.plugins.module_utils._sysctl.sysctl "
    code += "import read_settings; print(json.dumps(read_settings()))"
    text = run(["env", f"PYTHONPATH={CHECKOUT / '.collections'}", "python3", "-c", code], netns=netns)
    return t.cast("dict[str, int]", json.loads(text))


def test_what_is_not_named_any_more_is_as_before(router: Settings, netns: str) -> None:
    router.dropin.write_text(MINE)
    kernel = all_sysctls(netns)
    router({"settings": {"generic_timeout": 120, "acct": 1}, "at_least": {"udp_timeout": 50}}, netns=netns)
    args = only({"acct": 1, "icmp_timeout": 20})
    tuned, tuned_texts = all_sysctls(netns), router.texts

    predicted = router(args, netns=netns, check=True, diff=True)
    assert (all_sysctls(netns), router.texts) == (tuned, tuned_texts)
    done = router(args, netns=netns, diff=True)
    assert done.data == predicted.data
    assert done.data["restored"] == ["generic_timeout", "udp_timeout"]
    restored = {short: entry["restored"] for short, entry in done.data["settings"].items()}
    assert restored == {"acct": False, "icmp_timeout": False, "generic_timeout": True, "udp_timeout": True}
    assert done.data["settings"]["generic_timeout"]["runtime_after"] == 600
    assert f"{PREFIX}udp_timeout = 30\n" in done.data["diff"][0]["after"]
    assert "warnings" not in done.data
    assert [sysctl(netns, short) for short in ("generic_timeout", "udp_timeout", "icmp_timeout")] == [600, 30, 20]
    lines = MINE.replace(f"{PREFIX}acct=0", f"{PREFIX}acct = 1") + f"\n{PREFIX}icmp_timeout = 20\n"
    assert router.dropin.read_text() == lines

    assert router(args, netns=netns).data["changed"] is False
    again = router(args, netns=netns, check=True, diff=True).data
    assert (again["changed"], again["restored"], again["diff"]) == (False, [], [])
    router(only({}), netns=netns)
    assert (all_sysctls(netns), router.texts) == (kernel, {DROPIN: MINE})
    assert router(only({}), netns=netns).data["changed"] is False


def test_line_that_the_dropin_had_before_the_first_run(router: Settings, netns: str) -> None:
    router.dropin.write_text(f"{PREFIX}udp_timeout = 500\n")
    router({"settings": {"udp_timeout": 500}}, netns=netns)
    assert sysctl(netns, "udp_timeout") == 500
    result = router({"state": "absent"}, netns=netns)
    assert (sysctl(netns, "udp_timeout"), result.data["restored"]) == (30, ["udp_timeout"])
    assert router.texts == {DROPIN: f"{PREFIX}udp_timeout = 500\n"}


PROFILES_AND_NONE = ("under_attack", "expire_dead_connections", "kernel_defaults", "absent")


@pytest.mark.parametrize("order", list(itertools.permutations(PROFILES_AND_NONE)))
def test_profiles_in_any_order(
    router: Settings, netns: str, texts_of_each: dict[str, dict[str, str]], order: tuple[str, ...]
) -> None:
    router.dropin.write_text(MINE)
    run(["sysctl", "-w", f"{PREFIX}tcp_timeout_unacknowledged=432000", f"{PREFIX}timestamp=1"], netns=netns)
    before = held(netns)
    for name in order:
        router({"state": "absent"} if name == "absent" else only(PROFILES[name]), netns=netns)
        assert held(netns) == {**before, **PROFILES.get(name, {})}
        assert without_record(router.texts) == texts_of_each[name]
    router({"state": "absent"}, netns=netns)
    assert (held(netns), router.texts) == (before, {DROPIN: MINE})


@pytest.fixture(scope="module")
def texts_of_each(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The files of routers on which nothing but one profile was ever set."""
    found = {"absent": {DROPIN: MINE}}
    for name, profile in PROFILES.items():
        fresh = Settings(tmp_path_factory.mktemp("fresh") / "etc")
        fresh.dropin.write_text(MINE)
        with network_namespace("exclusive") as netns:
            fresh({"settings": profile}, netns=netns)
        found[name] = without_record(fresh.texts)
    return found


def without_record(texts: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in texts.items() if not name.endswith(".before")}


def test_failed_write_restores_nothing_and_keeps_the_record(router: Settings, netns: str) -> None:
    router({"settings": {"acct": 1, "generic_timeout": 120}}, netns=netns)
    before = all_sysctls(netns), router.texts
    result = router(only({"udp_timeout": 50, "frag6_high_thresh": 5}), netns=netns)
    assert_refused(result, "does not take 5 (Invalid argument)", "Restored: ")
    assert (all_sysctls(netns), router.texts) == before


def test_change_that_is_not_confirmed_goes_back_with_what_it_restored(router: Settings, netns: str) -> None:
    router({"settings": {"acct": 1, "generic_timeout": 120}}, netns=netns)
    before = all_sysctls(netns), router.texts
    waits = router(only({"udp_timeout": 50}, confirm_within="1s"), netns=netns).data["confirm"]
    assert waits["confirmed"] is False
    assert (sysctl(netns, "acct"), sysctl(netns, "udp_timeout")) == (0, 50)
    wait_until(lambda: all_sysctls(netns) == before[0])
    router({"settings": {"acct": 1}}, netns=netns)
    assert (all_sysctls(netns), router.texts) == before


def test_confirmed_change_keeps_what_it_restored(router: Settings, netns: str) -> None:
    kernel = all_sysctls(netns)
    router({"settings": {"acct": 1, "generic_timeout": 120}}, netns=netns)
    args = only({"udp_timeout": 50})
    router({**args, "confirm_within": "1h"}, netns=netns)
    router({"state": "confirmed"}, netns=netns)
    assert router(args, netns=netns).data["changed"] is False
    assert json.loads(router.record.read_text())["settings"].keys() == {"udp_timeout"}
    assert not [name for name in router.files if "/." in name]
    router({"state": "absent"}, netns=netns)
    assert (all_sysctls(netns), router.files) == (kernel, [])


def test_setting_that_this_kernel_does_not_have_is_restored_in_the_files(router: Settings, netns: str) -> None:
    router({"settings": {"acct": 1}}, netns=netns)
    data = json.loads(router.record.read_text())
    data["settings"]["helper"] = {"name": f"{PREFIX}helper", "runtime": 1, "lines": None}
    router.record.write_text(json.dumps(data))
    router.dropin.write_text(router.dropin.read_text() + f"{PREFIX}helper = 0\n")
    result = router(only({"acct": 1}), netns=netns)
    assert (result.data["restored"], sorted(result.data["settings"])) == (["helper"], ["acct"])
    assert "helper" not in router.dropin.read_text()
    router({"state": "absent"}, netns=netns)
    assert router.files == []


def test_setting_that_can_only_be_read_here_stays_with_a_warning(router: Settings, netns: str) -> None:
    router({"settings": {"acct": 1, "udp_timeout": 50}}, netns=netns)
    limit = sysctl(None, "max")
    data = json.loads(router.record.read_text())
    data["settings"]["max"] = {"name": f"{PREFIX}max", "runtime": limit - 1, "lines": None}
    router.record.write_text(json.dumps(data))
    router.dropin.write_text(router.dropin.read_text() + f"{PREFIX}max = {limit}\n")
    for changes in (True, False):
        result = router(only({"acct": 1}), netns=netns)
        assert (result.data["changed"], result.data["restored"]) == (changes, ["udp_timeout"] if changes else [])
        assert "max was set by an earlier run. It can only be read here" in str(result.data["warnings"])
    assert f"{PREFIX}max = {limit}\n" in router.dropin.read_text()
    assert_refused(router({"state": "absent"}, netns=netns), "settings: max: cannot be written here")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"exclusive": True, "persist": False}, ["exclusive: True needs the record", "persist: false"]),
        ({"exclusive": True, "state": "absent"}, ["exclusive: True cannot be combined with state: absent"]),
        ({"exclusive": True, "state": "confirmed"}, ["exclusive: True cannot be combined with state: confirmed"]),
    ],
)
def test_what_exclusive_cannot_be_combined_with(
    router: Settings, netns: str, args: dict[str, t.Any], words: list[str]
) -> None:
    assert_refused(router(args, netns=netns), *words)


VALUES: dict[str, tuple[t.Any, ...]] = {"acct": (0, 1), "generic_timeout": ("2m", 500), "udp_timeout": (30, 50)}
wanted = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in VALUES.items()})
runs = st.lists(
    st.builds(only, wanted)
    | wanted.filter(bool).map(lambda some: {"settings": some})
    | wanted.map(lambda some: {"state": "absent", "settings": some}),
    min_size=1,
    max_size=4,
)
texts = st.lists(
    st.sampled_from([MINE, f"{PREFIX}udp_timeout = 50\n", "net.netfilter.nf_conntrack_udp_timeout=7\r\n", "# mine"]),
    max_size=3,
).map("".join)


@given(runs, st.none() | texts)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_any_runs_all_can_be_as_before(
    tmp_path: pathlib.Path, steps: list[dict[str, t.Any]], dropin: str
) -> None:
    router = Settings(tmp_path / f"etc-{time.monotonic_ns()}")
    if dropin is not None:
        router.dropin.write_bytes(dropin.encode())
    with network_namespace("exclusive") as netns:
        kernel, files = all_sysctls(netns), router.texts
        for step in steps:
            assert not router(step, netns=netns).failed
            assert router(step, netns=netns).data["changed"] is False
        router({"state": "absent"}, netns=netns)
        assert (all_sysctls(netns), router.texts) == (kernel, files)
