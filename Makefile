# Set-up is a file that stands for it, .venv/.ready: made once, and again when pyproject.toml changes. .venv/.docs and .venv/.lab stand
# for what only the site and the notebooks need.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo lab notebooks docs test test-full lint types clean

demo: .venv/.ready
	$(BIN)/circuits demo

lab: .venv/.lab
	$(BIN)/jupyter-lab notebooks

notebooks: .venv/.ready
	$(BIN)/python notebooks/run.py

docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

test: .venv/.ready lint types
	$(BIN)/pytest

test-full: .venv/.ready lint types
	EQPROP_TEST_FULL=1 $(BIN)/pytest

lint: .venv/.ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/.ready
	$(BIN)/pyright

.venv/.ready: pyproject.toml setup.sh
	PYTHON="$(PYTHON)" sh setup.sh
	touch $@

.venv/.docs .venv/.lab: .venv/.%: .venv/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	touch $@

clean:
	rm -rf .venv demo site
