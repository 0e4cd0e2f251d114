# Requires make, Python 3.10 to 3.13 with venv, and a package registry. Everything else is installed here.
#
# Options: PYTHON=/path/to/python   KEEP=1 (demo: keep the pages open)   YES=1 (demo with a key: do not wait)
#          ARGS="-k name -x"        (passed to the command: test to pytest, bench to benchmarks.polling)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CONSTRAINTS := constraints/airflow-3.3.txt
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

# If it were set, every Airflow process would compile thousands of modules again.
unexport PYTHONDONTWRITEBYTECODE
export KEEP YES

# A name on the path is not enough: it may be the shim of a version manager, which fails when it is run.
FIND_PYTHON := for p in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.10 python; do \
	if "$$p" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; \
	then echo "$$p"; exit 0; fi; done; \
	echo "No Python 3.10 to 3.13 with venv found. Set one: make PYTHON=/path/to/python" >&2; exit 1

.PHONY: help demo test lint docs sheets bench bench-local bench-batch bench-parse test-matrix crash install clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## create .venv with pinned dependencies and this package, editable

# The pins are complete, so nothing is resolved; "pip check" confirms that they are compatible.
$(STAMP): $(CONSTRAINTS) pyproject.toml
	@python=$$($(FIND_PYTHON)); \
	echo "Installing into $(VENV) with $$("$$python" -V) (once, a few minutes)"; \
	"$$python" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps -r $(CONSTRAINTS)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e '.[local]'
	@$(BIN)/python -m pip check
	@touch $@

demo: $(STAMP) ## render a movie file in a real Airflow on this machine (KEEP=1 keeps the pages open)
	@$(BIN)/python -m tools.demo

# Most tests wait more than they compute, so six processes share them, whatever the number of cores. Timed tests and the
# real Airflow run afterwards, one at a time. With ARGS, "make test" is one plain pytest: ARGS="-m long" runs the rest.
test: $(STAMP) ## run the unit tests, and the demo in a real Airflow (ARGS="-m long": what only CI runs)
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	$(BIN)/python -m pytest -n 6 --dist worksteal -m "not (integration or timed or long)"
	$(BIN)/python -m pytest -m "(integration or timed) and not long"
endif

# Prints the name of a check, then runs it: $(call check,name,command).
define check
	@printf '== %s\n' '$(1)'
	@$(2)

endef

lint: $(STAMP) ## run ruff, mypy and the import contracts
	$(call check,ruff check: rules,$(BIN)/ruff check .)
	$(call check,ruff format: layout,$(BIN)/ruff format --check .)
	$(call check,mypy: types of the package (strict),$(BIN)/mypy)
	$(call check,import contracts: layers and cycles,$(BIN)/lint-imports --no-logo)

docs: $(STAMP) ## build the documentation into docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

sheets: $(STAMP) ## draw the contact sheets of docs/movies, which the docs show
	@$(BIN)/python docs/movies/make_sheets.py

# The peers require other versions, so they are installed into an environment of their own.
BENCH := .venv-bench
$(BENCH)/installed: benchmarks/peers.txt pyproject.toml
	@python=$$($(FIND_PYTHON)); \
	echo "Installing the peers into $(BENCH) with $$("$$python" -V) (once, a few minutes)"; \
	"$$python" -m venv --clear $(BENCH)
	@$(BENCH)/bin/python -m pip install -qq --disable-pip-version-check -r benchmarks/peers.txt -e .
	@touch $@

bench: $(BENCH)/installed ## measure what waiting costs, next to the triggers of other providers (half an hour)
	@$(BENCH)/bin/python -m benchmarks.polling $(ARGS)

# moviepy requires an older Pillow, and none of the peers needs Airflow.
DRAWING := .venv-bench-local
$(DRAWING)/installed: benchmarks/local/peers.txt
	@python=$$($(FIND_PYTHON)); \
	echo "Installing the peers into $(DRAWING) with $$("$$python" -V) (once, a minute)"; \
	"$$python" -m venv --clear $(DRAWING)
	@$(DRAWING)/bin/python -m pip install -qq --disable-pip-version-check -r benchmarks/local/peers.txt
	@$(DRAWING)/bin/python -m pip install -qq --disable-pip-version-check --no-deps -e .
	@touch $@

bench-local: $(DRAWING)/installed ## measure how fast ten movies are drawn, next to moviepy and an FFmpeg filter graph
	@$(DRAWING)/bin/python -m benchmarks.local $(ARGS)

bench-batch: $(STAMP) ## run a batch of 2,000 in a real Airflow with faults and killed workers (ARGS=compare: next to .expand())
	@$(BIN)/python -m benchmarks.batch $(ARGS)

bench-parse: $(BENCH)/installed ## measure what importing the operator costs a DAG file, next to other providers
	@$(BENCH)/bin/python benchmarks/parse_time.py $(ARGS)

crash: $(STAMP) ## kill a real Airflow at every point of the path; fails if a render is paid for twice or lost
	$(BIN)/python -m tests.crash $(ARGS)

test-matrix: $(STAMP) ## run the tests on Airflow 2.11 to 3.3 and Python 3.10 to 3.13 (long)
	$(BIN)/python -m tools.matrix $(ARGS)

clean: ## remove everything that these targets created
	rm -rf $(VENV) $(BENCH) $(DRAWING) .crash .demo .matrix build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .grimp_cache
