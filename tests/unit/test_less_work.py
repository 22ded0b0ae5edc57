# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

from helpers.support import ON_CONTROLLERS, PATIENCE

# What a playbook is read as: each value knows the place that it comes from.
PROGRAM = """
import copy, gc, json
import less_work
from ansible._internal._datatag._tags import Origin, TrustedAsTemplate
from ansible.parsing.dataloader import DataLoader

less_work.do_less()
from ansible import constants
read = DataLoader().load(TrustedAsTemplate().tag("a: ['{{ x }}', 1, 2.5]"), "/play.yml")
copied = copy.deepcopy(read)
places = [Origin.get_tag(value) for value in (copied, copied["a"], *copied["a"])]
shared = [one is other for one, other in ((copied, read), (copied["a"], read["a"]), *zip(copied["a"], read["a"]))]
is_trusted = TrustedAsTemplate.is_tagged_on(copied["a"][0])
copied["a"].append(3)
looks = [constants.DEFAULT_INTERNAL_POLL_INTERVAL, gc.get_threshold()[0]]
print(json.dumps([read, copied, shared, all(place.path == "/play.yml" for place in places), is_trusted, *looks]))
"""


def ended(program: str, directory: pathlib.Path) -> str:
    environment = {**os.environ, **ON_CONTROLLERS}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    return done.stdout


def test_a_copy_is_a_copy_that_shares_no_more_than_what_cannot_change(tmp_path: pathlib.Path) -> None:
    read, copied, shared, has_places, is_trusted, interval, threshold = json.loads(ended(PROGRAM, tmp_path))
    assert (read, copied) == ({"a": ["{{ x }}", 1, 2.5]}, {"a": ["{{ x }}", 1, 2.5, 3]})
    assert shared == [False, False, True, True, True]
    assert has_places
    assert is_trusted
    assert (interval, threshold) == (0.005, 1_000_000)


def test_a_configuration_that_is_wrong_is_left_to_the_program(tmp_path: pathlib.Path) -> None:
    (tmp_path / "ansible.cfg").write_text("[defaults]\nforks = many\n")
    assert ended("import less_work\nless_work.do_less()\nprint('goes on')", tmp_path) == "goes on\n"
