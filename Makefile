# Thin calls of the command line; every target sets up .venv first if it is missing or out of date.
SCENARIO ?= active
DATASET ?=
QUICK ?=
ARGS ?=
PYTHON ?= python3
EXTRAS ?= neural,pictures,browser,test,dev
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
NAMED = $(if $(filter command environment,$(firstword $(origin SCENARIO))),$(SCENARIO))
WHICH = $(if $(DATASET),--dataset $(DATASET)) $(if $(QUICK),--quick)
.PHONY: help install bench thesis leaderboard plots report test test-slow test-cpus lint benchmark audit audit-ope docs tables clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  SCENARIO=$(SCENARIO) (any of 'lersbench ls scenarios'), DATASET=livestream, ARGS='--seeds 3' go to the command"

install: $(READY) ## create .venv with the package, its extras and the exact versions of constraints.txt

$(READY): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "lersbench needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Try: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

bench: $(READY) ## replay SCENARIO: leaderboard, curves, figures, report
	@$(BIN)/lersbench bench $(SCENARIO) $(WHICH) $(ARGS)

thesis: $(READY) ## every part of the livestream study and its page, resumable; QUICK=1 for a short version
	@$(BIN)/lersbench bench thesis $(WHICH) $(ARGS)

leaderboard: $(READY) ## rank the policies of the last run of SCENARIO=..., or of every run there is
	@$(BIN)/lersbench leaderboard $(NAMED) $(WHICH) $(ARGS)

plots: $(READY) ## draw the figures of SCENARIO=... again, or of every run there is
	@$(BIN)/lersbench plot $(NAMED) $(WHICH) $(ARGS)

report: $(READY) ## write the report of SCENARIO=... again, or of every run there is
	@$(BIN)/lersbench report $(NAMED) $(WHICH) $(ARGS)

test: $(READY) ## the test suite (minutes)
	@$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

test-slow: $(READY) ## the proofs that take long: memory of a 2 GB stream, 200 kills, networks as they stand, siblings of what test has, the wheel in an empty environment
	@$(BIN)/python -m pytest -m "slow or sibling" $(ARGS)

test-cpus: $(READY) ## the test suite as on other processors, five times
	@$(BIN)/python -m tests.support.cpus $(ARGS)

lint: $(READY) ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

benchmark: $(READY) ## speed of the workloads beside tuned NumPy, one thread: in memory, then from disk (ten minutes)
	@$(BIN)/python -m pytest benchmarks --benchmark-enable $(ARGS)
	@$(BIN)/python -m benchmarks.speed
	@$(BIN)/python -m benchmarks.offpolicy
	@$(BIN)/python -m benchmarks.public

audit: $(READY) ## intervals, ranks and replays against worlds of known truth, and their page docs/ranks.md (15 minutes); QUICK=1 for a look
	@$(BIN)/python -m lersbench.audit.ranks $(if $(QUICK),--quick,--page docs/ranks.md) $(ARGS)

audit-ope: $(READY) ## estimates, intervals and verdicts against worlds of known truth, and their page docs/truth.md (20 minutes); QUICK=1 for a look
	@$(BIN)/python -m lersbench.audit $(if $(QUICK),--quick,--page docs/truth.md) $(ARGS)

docs: $(READY) ## the documentation site in docs/_build/html; warnings are errors
	@$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html $(ARGS)

tables: $(READY) ## compare the tables of README and docs with what the code gives now; ARGS=--write writes them anew
	@$(BIN)/python -m benchmarks.tables $(ARGS)

clean: ## remove .venv and what tools left behind; results stay
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .benchmarks .hypothesis
