# SPDX-License-Identifier: GPL-3.0-or-later
# `make` alone lists the targets. PYTHON=... names the interpreter to make .venv with, KEEP=1 lets the demo's lab stand,
# GUESTS="debian12" chooses the virtual machines, MINUTES=5 how long a soak takes.

RUN := tools/requirements-run.txt
QUICK := $(RUN) tools/requirements-quick.txt
TEST := $(QUICK) tools/requirements-test.txt
IN_VENV := PATH="$(CURDIR)/.venv/bin:$$PATH:/usr/sbin:/sbin"

# The tests of a file stay together. Those of all kinds get two workers for each processor, because most of them wait.
ONE_EACH := --numprocesses=auto --dist=loadscope --no-loadscope-reorder
TWO_EACH := --numprocesses=$$((2 * $$(nproc))) --dist=loadscope --no-loadscope-reorder

export PYTHON KEEP PAIRS SEED TABLE
MINUTES ?= 60
.DEFAULT_GOAL := help
.PHONY: help demo test quick setup lint gates sanity unit differential versions vm kernels soak fuzz docs bench lab-up lab-down clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## build a lab of routers, run the playbooks on it, show before and after (as root)
	@tools/setup --lab $(RUN)
	@$(IN_VENV) python tools/demo.py

test: ## run every test but those on other ansible-cores, of which it runs some (as root)
	@tools/setup --lab --boot --report --pair --vm $(TEST)
	@$(IN_VENV) python tools/controllers.py
	@$(IN_VENV) python tools/routers.py
	@tools/lint
	@tools/sanity
	@$(IN_VENV) tools/run-tests $(TWO_EACH)

# Left out: what runs Ansible, builds the collection or takes long (the marker "slow").
quick: ## run in half a minute the unit tests that need nothing but pytest (no root, no linters, no browser)
	@tools/setup $(QUICK)
	@$(IN_VENV) python -m pytest $(addprefix tests/unit/plugins/,module_utils plugin_utils filter) \
		$(addprefix tests/unit/,test_documentation.py test_floors.py test_tested_modules.py) \
		-m "not slow" $(ONE_EACH)

setup: ## install what is missing for all the targets (as root)
	@tools/setup --lab --boot --report --pair --vm $(TEST)

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
differential: PAIRS ?= 10000
differential: ## compare the modules with a plain reading of conntrack, on random selectors and tables (as root)
	@tools/setup $(TEST)
	@$(IN_VENV) python -m pytest tests/differential -rP

versions: ## run the tests on each ansible-core, and on each Python and pyroute2 of a router (as root, an hour)
	@tools/setup --lab $(TEST)
	@$(IN_VENV) python tools/controllers.py --all
	@$(IN_VENV) python tools/routers.py --all
	@$(IN_VENV) VERSIONS=all python -m pytest tests/versions --durations=0 --durations-min=1

vm: ## boot a virtual machine with another kernel, change its table, tune and reboot it (as root)
	@tools/setup --vm $(TEST)
	@$(IN_VENV) python -m pytest tests/vm --durations=0 --durations-min=1

kernels: ## the same on each of the virtual machines, or on those that GUESTS names (as root)
	@tools/setup --vm $(TEST)
	@$(IN_VENV) GUESTS="$${GUESTS:-all}" python -m pytest tests/vm --durations=0 --durations-min=1

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

bench: ## measure time and memory on a large table (as root)
	@tools/setup --lab $(TEST)
	@set -e; for script in tools/bench/bench_*.py; do echo "bench: $$script"; $(IN_VENV) python "$$script"; done

lab-up: ## build the lab and leave it standing (as root)
	@tools/setup --lab $(RUN)
	@$(IN_VENV) python tools/lab/lab.py up

lab-down: ## take the lab down
	@$(IN_VENV) python3 tools/lab/lab.py down

clean: ## remove what make has written here: .venv, .work and the caches
	rm -rf .venv .work .mypy_cache .pytest_cache .ruff_cache .hypothesis
