# SPDX-License-Identifier: GPL-3.0-or-later
# `make` alone lists the targets. PYTHON=... names the interpreter to make .venv with, KEEP=1 lets the demo's lab stand,
# GUESTS="debian13 s390x" chooses the virtual machines, CORES="2.16 2.21" the ansible-cores of `make versions`, MINUTES=5 how
# long a soak takes, PARTS="delete idle" what to mutate.

RUN := tools/requirements-run.txt
QUICK := $(RUN) tools/requirements-quick.txt
TEST := $(QUICK) tools/requirements-test.txt
# They wait for downloads, so that several take little more time than one.
AT_ONCE := $(MAKE) --no-print-directory --jobs --output-sync=target
IN_VENV := PATH="$(CURDIR)/.venv/bin:$$PATH:/usr/sbin:/sbin"

# The tests of a file stay together. Those of all kinds get two workers for each processor, because most of them wait.
ONE_EACH := --numprocesses=auto --dist=loadscope --no-loadscope-reorder
TWO_EACH := --numprocesses=$$((2 * $$(nproc))) --dist=loadscope --no-loadscope-reorder

export PYTHON KEEP PAIRS SEED TABLE GUESTS
MINUTES ?= 60
.DEFAULT_GOAL := help
.PHONY: help demo test quick setup lint gates sanity unit differential versions vm kernels soak fuzz mutation docs bench \
	case-study lab-up lab-down rehearsal release publish clean .rulebook .navigator .controllers .routers .lint .packages

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## build a lab of routers, run the playbooks on it, show before and after (as root)
	@tools/setup --lab $(RUN)
	@$(IN_VENV) python tools/demo.py

test: ## run every test but those on other ansible-cores, of which it runs some (as root)
	@tools/setup --lab --boot --report --pair --sudo --monitoring --vm $(RUN)
	@$(AT_ONCE) .rulebook .navigator .controllers .routers .lint
	@$(IN_VENV) tools/run-tests $(TWO_EACH)

.rulebook:
	@tools/setup-apart rulebook $(RUN) tools/requirements-rulebook.txt

.navigator:
	@tools/setup-apart navigator $(RUN) tools/requirements-navigator.txt

.controllers:
	@$(IN_VENV) python tools/controllers.py

.routers:
	@$(IN_VENV) python tools/routers.py

.lint: .packages
	@tools/lint

.packages:
	@tools/setup $(TEST)

# Left out: what runs Ansible, builds the collection or takes long (the marker "slow").
quick: ## run in half a minute the unit tests that need nothing but pytest (no root, no linters, no browser)
	@tools/setup $(QUICK)
	@$(IN_VENV) python -m pytest $(addprefix tests/unit/plugins/,module_utils plugin_utils filter) tests/unit/extensions \
		$(addprefix tests/unit/,test_documentation.py test_floors.py test_tested_modules.py) \
		-m "not slow" $(ONE_EACH)

setup: ## install what is missing for all the targets (as root)
	@tools/setup --lab --boot --report --pair --sudo --monitoring --vm $(TEST)
	@$(AT_ONCE) .rulebook .navigator

lint: ## run ruff, mypy, ansible-lint, yamllint and antsibull-changelog
	@tools/setup $(TEST)
	@tools/lint

gates: ## run antsibull-nox, REUSE, antsibull-docs and galaxy-importer
	@tools/setup $(TEST)
	@tools/setup-apart gates $(RUN) tools/requirements-gates.txt
	@tools/setup-apart importer $(RUN) tools/requirements-importer.txt
	@tools/gates

sanity: ## run ansible-test sanity on every Python that is present
	@tools/setup $(TEST)
	@tools/sanity

unit: ## run the tests that need neither root nor a lab
	@tools/setup $(TEST)
	@$(IN_VENV) python -m pytest tests/unit $(ONE_EACH)

# PAIRS is their number, SEED chooses others, TABLE is one table of a seed.
differential: export PAIRS := $(or $(PAIRS),10000)
differential: ## compare the modules with a plain reading of conntrack, on random selectors and tables (as root)
	@tools/setup $(TEST)
	@$(IN_VENV) python -m pytest tests/differential -rP

# CORES="2.16 2.21" takes these alone, without the pairs of a router. ansible-test sanity of the ansible-core that is only
# announced is information: it does not fail the target.
versions: ## run the tests on each ansible-core, and on each Python and pyroute2 of a router (as root, an hour)
	@tools/setup --lab $(TEST)
	@$(IN_VENV) python tools/controllers.py $(or $(CORES),--all)
	@$(if $(CORES),:,$(IN_VENV) python tools/routers.py --all)
	@$(IN_VENV) VERSIONS="$(or $(CORES),all)" python -m pytest $(if $(CORES),tests/versions/test_controllers.py,tests/versions) \
		--durations=0 --durations-min=1

vm: ## boot a virtual machine with another kernel, change its table, tune and reboot it (as root)
	@tools/setup --vm $(TEST)
	@$(IN_VENV) python -m pytest tests/vm --durations=0 --durations-min=1

# Debian 11, 12, 13 and unstable, and Debian 12 on s390x: half an hour, and longer for the first time.
kernels: export GUESTS := $(or $(GUESTS),all)
kernels: ## the same on each of the virtual machines, or on those that GUESTS names (as root)
	@tools/setup --vm $(TEST)
	@$(IN_VENV) python tools/routers.py --all
	@$(IN_VENV) python -m pytest tests/vm --durations=0 --durations-min=1

soak: ## audit, prune, restore and tune a router under traffic for an hour, or for MINUTES (as root)
	@tools/setup --lab $(TEST)
	@$(IN_VENV) SOAK_MINUTES=$(MINUTES) python -m pytest tests/fleet/test_soak.py

fuzz: ## look for inputs that a reader does not stand, FUZZ_SECONDS=600 for each of FUZZ="listing udev"
	@tools/setup $(TEST)
	@tools/setup-apart fuzz $(QUICK) tools/requirements-fuzz.txt
	@.work/fuzz/bin/python tools/fuzz.py --seconds "$${FUZZ_SECONDS:-600}" $$FUZZ

docs: ## build the documentation site in .work/site/html, without a warning
	@tools/setup $(RUN)
	@tools/setup-apart site $(RUN) tools/requirements-site.txt
	@$(IN_VENV) .work/site/bin/python tools/site/build.py

# MUTATION=--continue tries again what survived, MUTATION=--unit does without the tests that need root.
mutation: ## put faults into what deletes and restores, and see whether a test notices, PARTS="delete idle" (as root)
	@tools/setup --lab $(TEST)
	@tools/setup-apart mutation $(QUICK) tools/requirements-mutation.txt
	@PATH="/usr/sbin:/sbin:$$PATH" .work/mutation/bin/python -m pytest -q tests/unit/tools/mutation
	@PATH="/usr/sbin:/sbin:$$PATH" .work/mutation/bin/python tools/mutation/mutation.py $$MUTATION $$PARTS

bench: ## measure time and memory on a large table (as root)
	@tools/setup --lab $(TEST)
	@set -e; for script in tools/bench/bench_*.py; do echo "bench: $$script"; $(IN_VENV) python "$$script"; done

case-study: ## build a router with 917,115 entries, cure it by hand and with the playbooks, and measure both (as root)
	@tools/setup --lab $(RUN)
	@$(IN_VENV) python tools/case_study.py

lab-up: ## build the lab and leave it standing (as root)
	@tools/setup --lab $(RUN)
	@$(IN_VENV) python tools/lab/lab.py up

lab-down: ## take the lab down
	@$(IN_VENV) python3 tools/lab/lab.py down

rehearsal: ## make, build, install and publish the next release in a copy of the checkout. Nothing leaves the machine
	@tools/setup $(TEST)
	@$(IN_VENV) python tools/rehearse_release.py

release: ## check that the checkout is a release, that of the TAG if there is one, and build it in .work/release
	@tools/setup $(RUN)
	@$(IN_VENV) python tools/publish.py check $${TAG:+"$$TAG"}
	@$(IN_VENV) python tools/publish.py build

publish: ## publish the archive in .work/release on Ansible Galaxy, with the token in GALAXY_TOKEN
	@tools/setup $(RUN)
	@$(IN_VENV) python tools/publish.py send

clean: ## remove what make has written here: .venv, .work and the caches
	rm -rf .venv .work .mypy_cache .pytest_cache .ruff_cache .hypothesis
