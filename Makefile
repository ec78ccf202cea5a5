# One command on a fresh machine is enough for every target: it makes .venv and installs what it needs by itself.
VENV := .venv
BIN := $(VENV)/bin
# Stamps: a newer requirements file than its stamp means that the installation is out of date.
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
MUTATION := $(VENV)/.mutation-installed
BENCH_OPTIONS = $(if $(SHORT),--short) $(if $(POSTGRES),--database postgresql) $(if $(DATABASE),--database $(DATABASE))
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help bench bench-memory bench-backlog demo tour screenshots faults input test check check-format check-lint check-types check-security audit format coverage ops-check mutation lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(RUNTIME) ## Start everything on this machine, with a stand-in Intercom and Koji
	$(BIN)/python -m sandbox

tour: $(RUNTIME) ## Walk the whole round trip without a person, and check each step
	$(BIN)/python -m sandbox.tour

screenshots: $(DEV) ## Take the pictures in docs/screenshots anew, of the real app beside the stand-ins
	@scripts/ensure-system.sh
	$(BIN)/python -m scripts.screenshots
	$(BIN)/python -m scripts.console_screenshots

faults: $(DEV) ## Let everything go wrong at random, and audit; SCENARIO=, POSTGRES=1, SEED=, JSON= (docs/reliability.md)
	@scripts/ensure-system.sh
	$(BIN)/python -m tests.faults --scenario $(or $(SCENARIO),kills) $(if $(POSTGRES),--postgres) \
		$(if $(SHORT),--short) $(if $(SEED),--seed $(SEED)) $(if $(INTERVIEWS),--interviews $(INTERVIEWS)) \
		$(if $(KILLS),--kills $(KILLS)) $(if $(DATABASE_URL),--database-url $(DATABASE_URL)) \
		$(if $(JSON),--json $(JSON))

input: $(DEV) ## Send 20,000 odd inputs through every door of a real web process; INPUTS=, SEED=, JSON=, DATABASE_URL= choose
	$(BIN)/python -m tests.input --inputs $(or $(INPUTS),20000) $(if $(SEED),--seed $(SEED)) \
		$(if $(JSON),--json $(JSON)) $(if $(DATABASE_URL),--database-url $(DATABASE_URL))

test: check ## Everything that CI runs: check, then all tests under coverage
	@scripts/ensure-system.sh
	@scripts/run-tests.sh

check: check-format check-lint check-types check-security ## Format, lint, types, and what bandit finds

check-format: $(DEV) ## Is everything formatted?
	$(BIN)/ruff format --check --quiet .

check-lint: $(DEV) ## Lint
	$(BIN)/ruff check --quiet .

check-types: $(DEV) ## Types
	$(BIN)/mypy

check-security: $(DEV) ## What bandit finds in the code that is deployed, the sandbox and the scripts
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive canvas_app migrations gunicorn.conf.py sandbox scripts

audit: $(DEV) ## Known vulnerabilities of what is installed in production, where their database can be reached
	@$(BIN)/python -m scripts.audit

format: $(DEV) ## Format the code, and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

coverage: $(DEV) ## Which lines did the last "make test" not reach?
	$(BIN)/coverage report

bench: $(DEV) ## Measure how fast it is, on both databases, in about 25 minutes; ONLY=, SHORT=1, DATABASE= choose
	@scripts/ensure-bench.sh
	$(BIN)/python -m bench $(BENCH_OPTIONS) $(if $(ONLY),--only $(ONLY))

bench-memory: $(DEV) ## Measure memory over ten minutes of load, on each database
	@scripts/ensure-bench.sh
	$(BIN)/python -m bench $(BENCH_OPTIONS) --only memory --out docs/figures --name memory

bench-backlog: $(DEV) ## Write back a backlog of 50,000 results, which takes half an hour on each database
	@scripts/ensure-bench.sh
	$(BIN)/python -m bench $(BENCH_OPTIONS) --only backlog --out docs/figures --name backlog

ops-check: $(DEV) ## Check the alert rules in docs/ops with Prometheus's own promtool
	@scripts/ensure-system.sh
	$(BIN)/python -m pytest -q tests/test_ops.py

mutation: $(MUTATION) ## Change the code in small ways, and see whether the tests notice (takes about five minutes)
	@$(BIN)/python -m scripts.mutation

lock: $(DEV) ## Compile requirements*.txt again from pyproject.toml; "make lock UPGRADE=1" takes newer versions
	scripts/lock.sh $(if $(UPGRADE),--upgrade)

clean: ## Remove .venv and what the tools left behind
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis htmlcov .coverage .coverage.*

$(BIN)/python:
	@scripts/make-venv.sh $(VENV)

$(RUNTIME): requirements.txt | $(BIN)/python
	$(PIP) install --quiet --require-hashes --requirement requirements.txt
	@touch $@

# requirements-dev.txt holds the runtime pins as well.
$(DEV): requirements-dev.txt requirements.txt | $(BIN)/python
	$(PIP) install --quiet --require-hashes --requirement requirements-dev.txt
	@touch $(RUNTIME) $@

# requirements-mutation.txt holds the runtime pins as well, and the same ones as requirements-dev.txt where both have a package.
$(MUTATION): requirements-mutation.txt $(DEV)
	$(PIP) install --quiet --require-hashes --requirement requirements-mutation.txt
	@touch $@
