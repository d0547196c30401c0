PYTHON ?= python3
BIN := .venv/bin
RUNS := .venv/runs
READY := .venv/ready
INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt

.PHONY: setup demo test test-slow check format docs clean

setup: $(READY)

$(RUNS): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	$(INSTALL) --editable .
	touch $(RUNS)

$(READY): $(RUNS)
	$(INSTALL) --editable '.[dev,docs,mlflow,search,tensorboard,wandb]'
	touch $(READY)

demo: $(RUNS)
	$(BIN)/preceptor demo

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: check
	$(BIN)/python -m pytest -n 2 -m 'not slow'

test-slow: $(READY)
	$(BIN)/python -m pytest -n 2 -m slow

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY)
	$(BIN)/preceptor methods --markdown > docs/methods.md
	$(BIN)/preceptor recipe-schema --markdown > docs/recipe.md
	$(BIN)/preceptor data sources --markdown > docs/sources.md
	$(BIN)/preceptor plan recipes/phantom.yaml --svg docs/cohort.svg
	$(BIN)/python -m preceptor.reference.rooms > docs/rooms.svg
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf .venv runs .cache
