# `make` alone lists the targets. Everything is installed into .venv, and nothing outside the checkout is touched.

PYTHON ?= python3
VENV ?= .venv
UV ?= $(or $(wildcard $(VENV)/bin/uv),uv)
PYTEST_ARGS ?= -n 3 --dist loadfile --no-loadscope-reorder
BENCHMARKS ?=
OUT ?= .bench/results.json

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup run test slow chaos stateful lint check mutants bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s  %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(INSTALLED) ## make .venv and install dispatch with its pinned dependencies (PYTHON=python3.12 to choose one)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "dispatch needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

run: $(INSTALLED) ## show dispatch at work on a sample project (PROJECT=/path for yours, GO=1 to let agents start)
ifdef PROJECT
	$(BIN)/dispatch demo --project "$(PROJECT)" $(if $(GO),--go)
else
	$(BIN)/dispatch demo
endif

test: $(INSTALLED) ## run the tests (PYTEST_ARGS="tests/settings -q" to choose)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

slow: $(INSTALLED) ## run the tests that `test` leaves out: RabbitMQ, TLS, each benchmark in short, agent programs out of npm
	$(BIN)/python -m pytest $(PYTEST_ARGS) -m slow

chaos: $(INSTALLED) ## kill everything at random for about 5 minutes while beads are done (SEED=1 BEADS=300 KILLS=60)
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(BEADS),--beads $(BEADS)) $(if $(KILLS),--kills $(KILLS))

stateful: $(INSTALLED) ## play random operations from several threads, others each time (EXAMPLES=100)
	STATEFUL_EXAMPLES=$(or $(EXAMPLES),100) $(BIN)/python -m pytest tests/stateful

lint: $(INSTALLED) ## check format, style, types and the import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy beat_schedule.py flowerconfig.py
	$(BIN)/lint-imports

check: lint test ## all that a change has to pass: lint, then test

mutants: $(INSTALLED) ## take each rule of the protocol out and see its tests fail, in about 20 minutes (MUTANTS="11 lease" to choose)
	$(BIN)/python -m tests.protocol.mutants $(MUTANTS)

bench: $(INSTALLED) ## measure, in about 3 minutes (BENCHMARKS=benchmarks/tick.py to choose, OUT=file.json, SHORT=1 to try)
	$(BIN)/python -m benchmarks $(BENCHMARKS) --out "$(OUT)" $(if $(SHORT),--short)

lock: ## pin the dependencies anew, with hashes (needs uv; LOCK_ARGS=--upgrade for the newest)
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--extra test --extra check $(LOCK_ARGS) pyproject.toml requirements.in --output-file requirements.lock
	@{ echo "# Every package that dispatch, its tests and its checks need, pinned with hashes, for Python 3.11 and newer."; \
		echo "# Made by \`make lock\` from pyproject.toml and requirements.in; do not edit."; \
		cat requirements.lock; } > requirements.lock.new
	@mv requirements.lock.new requirements.lock

clean: ## remove .venv, caches and build products (data in .dispatch stays)
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
