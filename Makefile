# Everything happens in .venv, which the first target that needs it makes: nothing but make and Python 3.11+ is asked for.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
# Processes for the tests: two are as fast as the tests' own servers let them be on a small machine.
TEST_JOBS ?= 2
# Anything more for pytest: make test ARGS="-k claim -x"
ARGS ?=

PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

# Two sets of requirements in the one environment: what runs the sidecar and its demo, and what develops it. Each is
# installed once, and again when its file or the project's metadata changes.
RUN := $(VENV)/.run
DEV := $(VENV)/.dev

PREVIEW := dashboards/preview

.PHONY: help
help: ## Show this list
	@echo "Usage: make TARGET"
	@echo
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12 | sed 's/^/  /'

.PHONY: demo
demo: $(RUN) ## Watch tokens flow: a Redis of its own, the sidecar and synthetic traffic, until Ctrl-C
	@exec $(BIN)/rlb demo

.PHONY: top
top: $(DEV) ## Open rlb-top on a sidecar, as that of a running make demo (ARGS="--redis redis://localhost")
	@exec $(BIN)/rlb-top $(ARGS)

.PHONY: test
test: $(DEV) ## Run the tests, on servers that they start themselves (ARGS="-k word" for some)
	@$(BIN)/python -m pytest -n $(TEST_JOBS) $(ARGS)

.PHONY: stalls
stalls: $(DEV) ## Run the tests while they stand still now and then, to find those that count on time (ARGS=tests/api)
	@$(BIN)/python -m tests.stalls -- $(BIN)/python -m pytest -n $(TEST_JOBS) $(ARGS)

.PHONY: check
check: $(DEV) ## Lint, format, types and who may import whom; changes nothing
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: fix
fix: $(DEV) ## Format, and mend what the linter can
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.PHONY: docs
docs: $(DEV) ## Write the generated parts of docs/ and of the chart anew
	@PYTHONPATH=. $(BIN)/python tests/settings_table.py
	@PYTHONPATH=. $(BIN)/python tests/metrics_tables.py
	@PYTHONPATH=. $(BIN)/python tests/top_tables.py
	@PYTHONPATH=. $(BIN)/python tests/acl_tables.py
	@$(BIN)/python -m tests.helm.generated

.PHONY: dashboards
dashboards: $(DEV) ## Write the dashboards, the rules and the chart's copies of them anew
	@$(BIN)/python -m dashboards.build

.PHONY: pictures
pictures: $(DEV) $(PREVIEW)/node_modules/.package-lock.json $(PREVIEW)/data/scene.json ## Draw docs/dashboards/*.png from a staged incident (Node.js, Prometheus, Chromium)
	@cd $(PREVIEW) && npm run --silent pictures -- $(ARGS)

.PHONY: scene
scene: $(DEV) ## Stage that incident anew (a quarter of an hour)
	@$(BIN)/python -m dashboards.preview.scene.stage

$(PREVIEW)/data/scene.json: | $(DEV)
	@$(MAKE) scene

$(PREVIEW)/node_modules/.package-lock.json: $(PREVIEW)/package-lock.json
	@cd $(PREVIEW) && npm ci --silent
	@touch $@

.PHONY: screenshot
screenshot: $(DEV) ## Draw docs/rlb-top.svg anew, from the recorded incident
	@PYTHONPATH=. $(BIN)/python tests/top/screenshot.py

.PHONY: docs-lag
docs-lag: $(DEV) ## Measure lag against the truth on every server, and write docs/lag.md anew (minutes)
	@PYTHONPATH=. $(BIN)/python tests/bench/lag_table.py $(ARGS)

.PHONY: incident
incident: $(DEV) ## Record the incident that rlb-top's tests and pictures replay (a minute)
	@PYTHONPATH=. $(BIN)/python tests/top/incident.py $(ARGS)

.PHONY: bench
bench: $(DEV) ## Measure against redis-py in the same run: a table, and a JSON file
	@PYTHONPATH=. $(BIN)/python tests/bench/run.py $(ARGS)

.PHONY: venv
venv: $(DEV) ## Only make .venv, with all that development needs

# Only the search path, a home for uv's cache and the certificates reach uv: settings of this machine stay out of the
# files, and so does the address of any registry. All others follow dev.txt, so that one environment can hold them, and
# what an image runs on is what the tests ran on.
COMPILE := env -i PATH="$$PATH" HOME="$$HOME" $${SSL_CERT_FILE:+SSL_CERT_FILE="$$SSL_CERT_FILE"} \
  UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile pyproject.toml --no-config --no-sources --quiet --universal \
  --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links

.PHONY: lock
lock: $(DEV) ## Write requirements/*.txt anew from pyproject.toml (ARGS=--upgrade for newer versions)
	@$(COMPILE) --all-extras --group dev --override requirements/unneeded.in --output-file requirements/dev.txt $(ARGS)
	@$(COMPILE) --extra embedded --group build --constraints requirements/dev.txt --upgrade --output-file requirements/run.txt
	@$(COMPILE) --constraints requirements/dev.txt --upgrade --output-file requirements/image.txt
	@$(COMPILE:pyproject.toml=--group pyproject.toml:build) --constraints requirements/dev.txt --upgrade --output-file requirements/build.txt
	@! grep -nE '://|index-url|find-links' requirements/*.txt || { echo "requirements/ names an address; it must not." >&2; exit 1; }

.PHONY: clean
clean: ## Remove .venv, caches and builds
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A shim may answer to a name and then fail, so each candidate is asked for its version.
$(BIN)/python:
	@for python in $(PYTHON) python3.13 python3.12 python3.11 python3.14 python3; do \
	  if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$("$$python" --version)"; \
	    exec "$$python" -m venv $(VENV); \
	  fi; \
	done; \
	echo "rlb needs Python 3.11 or newer, with its venv module (Debian: apt-get install python3-venv)." >&2; exit 1

$(RUN): requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the sidecar needs"
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements/dev.txt $(RUN)
	@echo "Installing what development needs"
	@$(PIP) install --no-deps --require-hashes -r requirements/dev.txt
	@touch $@
