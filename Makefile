# The developer's whole interface. Every target does its own set-up; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
PYTHON := $(VENV)/bin/python
PYTEST := $(PYTHON) -m pytest
JOBS := 2
# Plays wait more than they compute, so a third lab fits on two cores.
LABS := 3
# loadfile: tests of one file share their fixtures.
PARALLEL := -n $(JOBS) --dist loadfile
# The parts that need neither Go nor a compiler.
QUICK := tests/test_repository.py tests/packaging/test_role_docs.py tests/lab/test_cache.py tests/lab/test_k3s_standin.py tests/lab/test_poller.py $(wildcard $(addprefix tests/,policy events verification provisioning cli tables matcher plugins))
SCRIPTS := .ci/run $(wildcard tools/*.sh tests/lab/*.sh tests/lab/files/usr/local/sbin/*)
HEADERS := $(wildcard kaudit_core/matcher/*.hpp tests/fuzz/*.cpp)

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

.PHONY: setup
setup: ## the virtual environment with kaudit and its development tools
	@tools/setup.sh $(VENV)

.PHONY: tools
tools: setup ## setup, and a Go toolchain for the oracle
	@tools/go.sh $(VENV) >/dev/null

.PHONY: compilers
compilers: ## clang and a cross-compiler with its emulator, for the tests of the compiled matcher
	@tools/compilers.sh

.PHONY: demo
demo: lab-build ## three real masters: turn auditing on, make requests, verify every record (root)
	@PYTHONPATH=. $(PYTHON) demo/masters_demo.py

.PHONY: demo-verify
demo-verify: setup ## verify a real log, then a copy that was tampered with
	@$(PYTHON) demo/verify_demo.py

.PHONY: oracle
oracle: setup ## the upstream evaluator, built once and kept outside the repository
	@KAUDIT_GO=$$(tools/go.sh $(VENV)) $(PYTHON) -c 'from tests.oracle import upstream; [upstream.build(pin) for pin in upstream.PINS]'

.PHONY: lab-build
lab-build: tools ## what the lab boots from, built once and kept outside the repository (about 8 minutes)
	@KAUDIT_GO=$$(tools/go.sh $(VENV)) $(PYTHON) -m tests.lab build

.PHONY: lab-up
lab-up: lab-build ## three real masters to look around in
	@$(PYTHON) -m tests.lab up

.PHONY: lab-down
lab-down: setup ## take them down
	@$(PYTHON) -m tests.lab down

.PHONY: lab-test
lab-test: lab-build ## the tests on real masters (root)
	@$(PYTEST) -m lab tests/lab

# The masters are built beside the fast tests; the tests that need them wait. The last line is pytest's summary.
define RUN_TESTS
export KAUDIT_GO=$$(tools/go.sh $(VENV)); \
$(PYTHON) -m tests.lab build & trap 'kill %1 2>/dev/null || true' EXIT; \
$(PYTEST) -n $(LABS) --dist loadfile
endef

.PHONY: test
test: oracle compilers ## everything
	@$(RUN_TESTS)

.PHONY: test-full
test-full: oracle compilers ## everything, with the long Hypothesis and oracle runs
	@export KAUDIT_FULL=1; $(RUN_TESTS)

.PHONY: quick
quick: setup ## under 1 minute: units, tables, ruff
	@$(PYTHON) -m ruff check
	@$(PYTEST) $(PARALLEL) -m "not oracle and not lab" $(QUICK)

.PHONY: check
check: lint ## under 4 minutes: quick, properties, types, linters
	@$(PYTEST) $(PARALLEL) -m "not oracle and not lab" $(QUICK) $(wildcard tests/properties)

.PHONY: lint
lint: setup ## types and linters
	@$(PYTHON) -m ruff check
	@$(PYTHON) -m ruff format --check
	@$(PYTHON) -m mypy
	@$(PYTHON) -m yamllint --strict .
	@$(PYTHON) tools/role_docs.py --check
	@$(PYTHON) tools/preset_docs.py --check
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" ansible-lint --offline --strict
	@$(VENV)/bin/shellcheck -x $(SCRIPTS)
	@$(VENV)/bin/clang-format --dry-run --Werror $(HEADERS)
	@tools/warnings.sh $(PYTHON)

.PHONY: docs
docs: setup ## the READMEs of the roles, from their argument_specs, and docs/presets.md
	@$(PYTHON) tools/role_docs.py
	@$(PYTHON) tools/preset_docs.py

.PHONY: bundle
bundle: setup ## what a site without a network installs kaudit from, in dist/kaudit-bundle (or BUNDLE=)
	@tools/bundle.sh $(PYTHON) $(or $(BUNDLE),dist/kaudit-bundle)

.PHONY: fuzz
fuzz: setup compilers ## libFuzzer on the compiled matcher for MINUTES (5), then its corpus through both engines
	@nice $(PYTHON) -m tests.fuzz $(or $(MINUTES),5)

.PHONY: bench
bench: setup ## start-up and policy reading against their bounds, verify and the receiver against their peers
	@$(PYTHON) bench/startup.py
	@KAUDIT_GO=$$(tools/go.sh $(VENV)) $(PYTHON) bench/verify.py
	@$(PYTHON) bench/receive.py

.PHONY: bench-lab
bench-lab: lab-build ## what the plays take on real masters (root)
	@$(PYTHON) -m bench.plays

.PHONY: clean
clean: ## remove what make made, the virtual environment too
	rm -rf $(VENV) $(VENV).lock build dist *.egg-info *.tar.gz .hypothesis .mypy_cache .pytest_cache .ruff_cache .ansible
	rm -f kaudit_core/matcher/*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
