# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import inspect
import json
import typing as t

import pytest
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError, UnavailableError
from ansible_collections.netops.conntrack.plugins.plugin_utils._tuning import sizing as sizing_module
from ansible_collections.netops.conntrack.plugins.plugin_utils._tuning.sizing import binary_size, size
from helpers.support import CHECKOUT, read_yaml
from hypothesis import given
from hypothesis import strategies as st

GIB = 1 << 30
VARIABLES = {"load": "conntrack_tune_load_factor"}
"""Variables of the role that are not called like the option of the filter."""

WALKS = "A lookup in the full table walks a chain of 2 entries."


def usage(count: int = 1000, limit: int = 65536, buckets: int = 65536, memory: int = 8 * GIB) -> dict[str, t.Any]:
    return {"count": count, "max": limit, "buckets": buckets, "entry_bytes": 256, "memory_total_bytes": memory}


@pytest.mark.parametrize(
    ("present", "options", "limited_by", "entries", "buckets"),
    [
        pytest.param(usage(412_000), {}, "peak", 917_504, 917_504, id="twice the entries now"),
        pytest.param(usage(), {"peak": 412_000}, "peak", 917_504, 917_504, id="twice the peak"),
        pytest.param(usage(), {"peak": "400k"}, "peak", 917_504, 917_504, id="the peak as people write it"),
        pytest.param(usage(), {"peak": "412000", "headroom": "3"}, "peak", 1_310_720, 1_310_720, id="three times"),
        pytest.param(usage(), {"peak": 1 << 18}, "peak", 1 << 19, 1 << 19, id="exactly a step"),
        pytest.param(usage(900_000, 2**20), {"peak": 1000}, "present", 2**20, 2**20, id="below what there is now"),
        pytest.param(usage(900_000, 0, 0), {"peak": 1000}, "peak", 917_504, 917_504, id="the entries now fit in"),
        pytest.param(usage(), {"peak": "3M"}, "memory", 1_835_008, 1_835_008, id="not above the share"),
        pytest.param(usage(), {"peak": "3M", "memory_share": "40"}, "peak", 6 << 20, 6 << 20, id="a larger share"),
        pytest.param(usage(), {}, "present", 65536, 65536, id="enough already"),
        pytest.param(usage(limit=2**20), {"peak": 1000}, "present", 2**20, 2**20, id="never lower, buckets grow"),
        pytest.param(usage(buckets=2**20), {}, "present", 65536, 2**20, id="buckets are never lower"),
        pytest.param(usage(60_000, memory=GIB // 2), {}, "memory", 114_688, 114_688, id="a small router"),
        pytest.param(usage(5, 0, 1024), {}, "peak", 16384, 16384, id="no limit, an idle router"),
        pytest.param(usage(5, 0, 1024, 64 << 20), {}, "memory", 14336, 14336, id="no limit, a tiny router"),
        pytest.param(usage(), {"peak": 412_000, "load": 4}, "peak", 917_504, 458_752, id="load 4"),
        pytest.param(usage(), {"peak": 412_000, "load": "0.5"}, "peak", 917_504, 3_670_016, id="load 0.5"),
        pytest.param(usage(), {"overrides": {"max": "1M"}}, "override", 2**20, 2**20, id="buckets for an own max"),
        pytest.param(
            usage(), {"overrides": {"net.netfilter.nf_conntrack_max": 1000}}, "override", 1000, 65536, id="own notation"
        ),
        pytest.param(usage(), {"peak": 412_000, "overrides": {"buckets": 512}}, "peak", 917_504, 512, id="own buckets"),
        pytest.param(usage(), {"overrides": {"tcp_loose": 0}}, "present", 65536, 65536, id="other overrides"),
        pytest.param(usage(memory=GIB // 8, limit=2**20), {}, "present", 2**20, 65536, id="above the share already"),
        pytest.param(
            usage(limit=2**19, memory=2_372_812_800),
            {},
            "present",
            2**19,
            300_032,
            id="buckets as far as there is room",
        ),
        pytest.param(
            usage(memory=2**50), {"peak": 2**31 - 1}, "peak", 7 << 28, 268_434_944, id="what the kernel takes"
        ),
    ],
)
def test_size(
    present: dict[str, t.Any], options: dict[str, t.Any], limited_by: str, entries: int, buckets: int
) -> None:
    sizing = size(present, **options)
    assert (sizing["limited_by"], sizing["max"], sizing["buckets"]) == (limited_by, entries, buckets)


@pytest.mark.parametrize(
    ("present", "options", "why"),
    [
        (usage(412_000), {}, f"2 times the 412000 entries of now makes 824000, rounded up. {WALKS}"),
        (usage(), {"peak": 412_000}, f"2 times the peak of 412000 entries makes 824000, rounded up. {WALKS}"),
        (usage(), {}, f"2 times the 1000 entries of now makes 2000. Sizing never lowers max. {WALKS}"),
        (
            usage(),
            {"peak": "1M"},
            f"2 times the peak of 1048576 entries makes 2097152, but 10 % of the memory holds 1835008. {WALKS}",
        ),
        (
            usage(),
            {"peak": "3M"},
            "2 times the peak of 3145728 entries makes 6291456, but 10 % of the memory holds 1835008. "
            f"That is less than the peak: give the table more memory. {WALKS}",
        ),
        (
            usage(limit=262_144, buckets=131_072, memory=GIB),
            {"memory_share": 2.5},
            "2 times the 1000 entries of now makes 2000. Sizing never lowers max. When full, it takes more than "
            "2.5 % of the memory. Lower max in conntrack_tune_overrides, or raise conntrack_tune_memory_share. "
            "A lookup in the full table walks a chain of 4 entries.",
        ),
        (usage(), {"overrides": {"max": "1M"}}, f"max is set by conntrack_tune_overrides. {WALKS}"),
        (
            usage(buckets=512),
            {"overrides": {"buckets": 512}},
            "2 times the 1000 entries of now makes 2000. Sizing never lowers max. A lookup in the full table walks a "
            "chain of 256 entries.",
        ),
    ],
)
def test_why(present: dict[str, t.Any], options: dict[str, t.Any], why: str) -> None:
    assert size(present, **options)["why"] == why


def test_the_cost_is_told() -> None:
    sizing = size(usage(412_000, 262_144))
    assert json.loads(json.dumps(sizing)) == sizing
    del sizing["why"]
    assert sizing == {
        "max": 917_504,
        "buckets": 917_504,
        "max_before": 262_144,
        "buckets_before": 65536,
        "per_entry_bytes": 448,
        "memory_bytes": 917_504 * (256 + 192 + 8),
        "memory_total_bytes": 8 * GIB,
        "memory_percent": 4.87,
        "above_share": False,
        "limited_by": "peak",
    }


@pytest.mark.parametrize(
    ("present", "options"),
    [
        (usage(limit=2**20, memory=GIB), {}),
        (usage(), {"overrides": {"max": "2M"}}),
        (usage(), {"overrides": {"buckets": "128M"}}),
    ],
)
def test_only_what_is_there_or_asked_for_is_above_the_share(
    present: dict[str, t.Any], options: dict[str, t.Any]
) -> None:
    assert size(present, **options)["above_share"] is True


@pytest.mark.parametrize("unknown", ["count", "max", "buckets", "entry_bytes", "memory_total_bytes"])
@pytest.mark.parametrize("gone", [True, False])
def test_unknown_is_not_zero(unknown: str, gone: bool) -> None:
    present = usage() | {unknown: None}
    if gone:
        del present[unknown]
    with pytest.raises(
        UnavailableError, match=rf"these are unknown: {unknown}\. Give max and buckets in conntrack_tune_ov"
    ):
        size(present)


@pytest.mark.parametrize("options", [{}, {"overrides": {"buckets": 512}}])
@pytest.mark.parametrize("present", [usage(200_000, 0, 512, GIB // 2), usage(200_000, 65536, 512, GIB // 2)])
def test_room_for_less_than_there_is_now_is_refused(present: dict[str, t.Any], options: dict[str, t.Any]) -> None:
    with pytest.raises(
        OptionError, match=r"^conntrack_tune_memory_share: 10 is room for 114688 entries, and there are 200000 now\. Ra"
    ):
        size(present, **options)


def test_no_room_at_all_is_refused_because_a_max_of_zero_is_no_limit() -> None:
    with pytest.raises(OptionError, match="is room for 0 entries"):
        size(usage(0, 0, 2**20, 1 << 20))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("memory_share", [0, -1, 101, "10%", None, True, "nan", "inf", []]),
        ("headroom", [0.5, 0, 101, "twice", None]),
        ("load", [0, 0.4, 17, None]),
        ("peak", [-1, "many", "", 1.5, 2**31, True]),
    ],
)
def test_bad_wishes_are_refused_by_name(name: str, values: list[t.Any]) -> None:
    variable = VARIABLES.get(name, f"conntrack_tune_{name}")
    for value in values:
        with pytest.raises(OptionError, match=f"^{variable}: .* cannot be used") as caught:
            size(usage(), **{name: value})
        assert caught.value.value == value


def test_overrides_that_are_no_dictionary_are_refused() -> None:
    with pytest.raises(OptionError, match=r"^conntrack_tune_overrides: 'max=5' is not a dictionary"):
        size(usage(), overrides=t.cast("t.Any", "max=5"))


@pytest.mark.parametrize("peak", [400000.0, "400000.0", " 400000 ", 400000])
def test_numbers_of_templates_are_taken(peak: object) -> None:
    assert size(usage(), peak=peak) == size(usage(), peak=400000)


def test_a_bad_override_is_refused_by_the_name_it_was_given() -> None:
    with pytest.raises(OptionError, match=r"^conntrack_tune_overrides\.nf_conntrack_max: 0 cannot be used"):
        size(usage(), overrides={"nf_conntrack_max": 0})


USAGES = st.builds(
    usage,
    st.integers(0, 2**22),
    st.integers(0, 2**22),
    st.integers(1, 2**13).map(lambda pages: pages * 512),
    st.integers(2**26, 2**38),
)
SHARES = st.floats(0.01, 100)
LOADS = st.floats(0.5, 16)


def sized(present: dict[str, t.Any], **options: t.Any) -> dict[str, t.Any] | None:
    """Return the sizing; None where the share has no room for the entries that there are."""
    try:
        return size(present, **options)
    except OptionError:
        return None


@given(USAGES, SHARES, LOADS, st.integers(0, 2**31 - 1), st.floats(1, 100))
def test_what_always_holds(present: dict[str, t.Any], share: float, load: float, peak: int, headroom: float) -> None:
    sizing = sized(present, memory_share=share, load=load, peak=peak, headroom=headroom)
    if sizing is None:
        return
    before = present["max"] * sizing["per_entry_bytes"] + present["buckets"] * 8
    assert sizing["memory_bytes"] == sizing["max"] * sizing["per_entry_bytes"] + sizing["buckets"] * 8
    assert sizing["memory_bytes"] <= max(present["memory_total_bytes"] * share / 100, before)
    assert sizing["above_share"] == (sizing["memory_bytes"] > int(present["memory_total_bytes"] * share / 100))
    assert sizing["max"] >= max(present["max"], present["count"], 1)
    assert sizing["buckets"] >= present["buckets"]
    assert sizing["buckets"] % 512 == 0
    if sizing["limited_by"] != "present":
        assert 2 * sizing["max"] / sizing["buckets"] <= load or sizing["buckets"] == 268_434_944
        assert bin(sizing["max"]).rstrip("0").count("1") <= 3


@given(USAGES, st.lists(st.integers(0, 2**22), min_size=2, max_size=2).map(sorted))
def test_a_higher_peak_never_gives_less(present: dict[str, t.Any], peaks: list[int]) -> None:
    low, high = (sized(present, peak=peak) for peak in peaks)
    assert (low is None) == (high is None)
    if low and high:
        assert (low["max"], low["buckets"]) <= (high["max"], high["buckets"])


@given(USAGES, st.lists(SHARES, min_size=2, max_size=2).map(sorted))
def test_a_larger_share_never_gives_less(present: dict[str, t.Any], shares: list[float]) -> None:
    low, high = (sized(present, memory_share=share) for share in shares)
    if low:
        assert high
        assert (low["max"], low["buckets"]) <= (high["max"], high["buckets"])


@given(USAGES, SHARES, LOADS)
def test_a_second_run_changes_nothing(present: dict[str, t.Any], share: float, load: float) -> None:
    first = sized(present, memory_share=share, load=load)
    if first:
        again = size(present | {name: first[name] for name in ("max", "buckets")}, memory_share=share, load=load)
        assert (again["max"], again["buckets"]) == (first["max"], first["buckets"])


@given(st.integers(1, 2**31 - 1))
def test_rounding_up_adds_a_quarter_at_most(peak: int) -> None:
    sizing = size(usage(0, 0, 0, 2**50), peak=peak, headroom=1)
    assert max(peak, 16384) <= sizing["max"] < max(peak * 1.25, 16385) or sizing["max"] == 7 << 28


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (418_381_824, "399 MiB"),
        (24_684_096 << 10, "23.5 GiB"),
        (5 << 50, "5120 TiB"),
    ],
)
def test_binary_size(count: int, text: str) -> None:
    assert binary_size(count) == text


def test_the_defaults_of_the_role_are_those_of_the_filter() -> None:
    defaults = read_yaml(CHECKOUT / "roles" / "conntrack_tune" / "defaults" / "main.yml")
    options = read_yaml(CHECKOUT / "plugins" / "filter" / "conntrack_sizing.yml")["DOCUMENTATION"]
    parameters = inspect.signature(size).parameters
    for name in ("memory_share", "peak", "headroom", "load"):
        stated = options["options"][name].get("default")
        assert parameters[name].default == stated
        if name not in VARIABLES:
            assert defaults[f"conntrack_tune_{name}"] == stated
    # A default that takes its value from the option's old name, see tests/unit/roles/test_specs.py.
    assert defaults["conntrack_tune_load_factor"] == "{{ conntrack_tune_load | default(2) }}"
    assert options["positional"].split(", ") == list(parameters)[1:]


def test_the_readme_states_the_costs() -> None:
    readme = (CHECKOUT / "roles" / "conntrack_tune" / "README.md").read_text()
    for number in (
        256 + sizing_module.EXTENSION_BYTES,
        sizing_module.EXTENSION_BYTES,
        sizing_module.SMALLEST,
        sizing_module.BUCKET_BYTES,
    ):
        assert f" {number}" in readme
