# Set-up is a file that stands for it, .venv/.ready: made once, and again when pyproject.toml changes.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-full lint types clean

demo: .venv/.ready
	$(BIN)/circuits demo

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

clean:
	rm -rf .venv demo
