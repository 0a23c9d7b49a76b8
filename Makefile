# Everything happens in a virtual environment in this folder; nothing is installed anywhere else.
PYTHON ?= python3
VENV ?= .venv
# What the tests of training were written with; any version that the extra allows will do.
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo test test-training lint format clean

help:
	@echo "make demo           find edited copies of real photographs; ends with a page of pictures"
	@echo "make test           run the tests"
	@echo "make test-training  run the tests of training, which need PyTorch"
	@echo "make lint           check style, types and layers"
	@echo "make format         bring the code into the project's style"
	@echo "make clean          remove what the others made"

demo: $(VENV)/installed
	$(BIN)/ectype demo

test: $(VENV)/installed-for-tests
	$(BIN)/python -m pytest

test-training: $(VENV)/installed-for-training
	$(BIN)/python -m pytest tests/training

lint: $(VENV)/installed-for-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed-for-lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) ectype-demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/pip:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	touch $@

$(VENV)/installed: $(VENV)/pip pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[demo]"
	touch $@

$(VENV)/installed-for-tests: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable ".[demo,releases]" --group test
	touch $@

$(VENV)/installed-for-training: $(VENV)/installed-for-tests
	$(BIN)/python -m pip install --quiet --editable ".[demo,releases,training]" "$(TORCH)"
	touch $@

$(VENV)/installed-for-lint: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --group lint
	touch $@
