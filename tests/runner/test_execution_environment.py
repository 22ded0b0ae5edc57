# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Execution environments, up to the container engine: what ansible-builder makes of the collection."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml
from runner.conftest import BIN
from runner.documented import SCALE_OUT, block, command

IMAGE_COLLECTIONS = "/usr/share/ansible/collections"
"""Where the image has its collections (ansible_builder.constants.base_collections_path)."""


def run(words: list[str], directory: pathlib.Path, **environment: str) -> str:
    """Run a command in ``directory`` with a home of its own, and give what it prints."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    mine = {"HOME": str(directory), "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(
        words,
        cwd=directory,
        env=inherited | mine | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def requirements(collections: pathlib.Path, directory: pathlib.Path) -> dict[str, list[str]]:
    """Return what ansible-builder finds that installed ``collections`` need, by kind, without where it comes from."""
    found = yaml.safe_load(run(["ansible-builder", "introspect", str(collections)], directory))
    return {kind: [line.partition("  #")[0] for line in lines] for kind, lines in found.items()}


@pytest.fixture
def context(archive: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """Return the build context that ``ansible-builder create`` makes of the documented definition."""
    definition = block(SCALE_OUT, "yaml", "# execution-environment.yml")
    (tmp_path / "execution-environment.yml").write_text(definition, encoding="utf-8")
    (needed,) = yaml.safe_load(definition)["additional_build_files"]
    shutil.copy(archive, tmp_path / needed["src"])
    _builder, _build, *options = command(SCALE_OUT, "ansible-builder build")
    tag = options.index("-t")
    without_tag = options[:tag] + options[tag + 2 :]
    run(["ansible-builder", "create", *without_tag, "--output-filename", "Containerfile"], tmp_path)
    return tmp_path / "context"


def test_needs_of_the_collection_come_out(collections: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert requirements(collections, tmp_path) == {
        "python": ["jmespath"],
        "system": ["openssh-client [platform:dpkg]", "openssh-clients [platform:rpm]"],
    }


def test_system_packages_are_known_to_bindep(collections: pathlib.Path, tmp_path: pathlib.Path) -> None:
    packages = tmp_path / "bindep.txt"
    run(["ansible-builder", "introspect", "--write-bindep", str(packages), str(collections)], tmp_path)
    wanted = {"apt-get": "openssh-client", "dnf": "openssh-clients"}
    (here,) = [package for manager, package in wanted.items() if shutil.which(manager)]
    assert run(["bindep", "--list_all", "newline", "--file", str(packages)], tmp_path).split() == [here]


def test_documented_definition_makes_a_build_context(context: pathlib.Path) -> None:
    text = (context / "Containerfile").read_text(encoding="utf-8")
    (installed,) = re.findall(r'^ARG ANSIBLE_INSTALL_REFS="(.*)"$', text, re.MULTILINE)
    assert re.findall(r"ansible-[a-z]+", installed) == ["ansible-core", "ansible-runner"]
    assert "introspect.py introspect" in text


def test_documented_definition_installs_the_collection(context: pathlib.Path, tmp_path: pathlib.Path) -> None:
    containerfile = (context / "Containerfile").read_text(encoding="utf-8")
    (install,) = re.findall(r"^RUN (.*ansible-galaxy collection install .*)$", containerfile, re.MULTILINE)
    image = tmp_path / "image"
    offline = {"ANSIBLE_GALAXY_CLI_COLLECTION_OPTS": "--offline"}
    run(["sh", "-c", install.replace(IMAGE_COLLECTIONS, str(image))], context / "_build", **offline)
    assert requirements(image, tmp_path)["python"] == ["jmespath"]
