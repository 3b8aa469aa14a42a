# What a command needs is installed when it is first asked for, and again when pyproject.toml or setup.sh changes. Files stand for what is
# there: .venv/.ready for the packages and ngspice, which are all that the demo needs, and .venv/.test, .venv/.docs and .venv/.lab for what the
# tests, the site and the notebooks need besides.
PYTHON ?= python3
NUMBER ?= 20
SEED ?= 0
BIN := .venv/bin

.PHONY: demo lab notebooks docs check fast test test-full mutants lint types clean

demo: .venv/.ready
	$(BIN)/circuits demo

lab: .venv/.lab
	$(BIN)/jupyter-lab notebooks

notebooks: .venv/.test
	$(BIN)/python notebooks/run.py

docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

check: .venv/.test
	$(MAKE) --jobs 2 lint types fast

fast: .venv/.test
	$(BIN)/pytest @tests/check.txt

test: .venv/.test lint types
	$(BIN)/pytest

test-full: .venv/.test lint types
	EQPROP_TEST_FULL=1 $(BIN)/pytest

mutants: .venv/.test
	$(BIN)/python -m benchmarks.mutants --number $(NUMBER) --seed $(SEED)

lint: .venv/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/.test
	$(BIN)/pyright

.venv/.ready: pyproject.toml setup.sh
	PYTHON="$(PYTHON)" sh setup.sh ready
	touch $@

.venv/.test .venv/.docs .venv/.lab: .venv/.%: .venv/.ready
	PYTHON="$(PYTHON)" sh setup.sh $*
	touch $@

clean:
	rm -rf .venv demo site
