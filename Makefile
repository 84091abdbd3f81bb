# The one door for every task. `make` alone lists them.

PYTHON := .venv/bin/python
NODE_JUDGE := backend/tests/sdk/node/node_modules/.package-lock.json
CLAUDE_CODE_VERSION := 2.1.330
CLAUDE_CODE := $(CURDIR)/.tools/claude-code-$(CLAUDE_CODE_VERSION)
# The generation of the Anthropic SDK before the one in the test requirements, as a second judge.
ANTHROPIC_0 := .tools/anthropic-0.125.0
PIN := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
LINTED := src tests $(if $(wildcard bench/*.py),../bench)
# How many processes the tests use: one more than two cores, since many tests wait for real time.
JOBS ?= 3

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test cover check fmt bench e2e docs image requirements clean

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## the environment with everything that the tests need (the other tasks do this themselves)
	@KIRO2API_PREPARE=dev backend/kiro2api

demo: ## the gateway with a built-in fake upstream: nothing to configure (PORT=8080)
	@backend/kiro2api demo

serve: ## the gateway with your settings
	@backend/kiro2api serve

test: setup $(NODE_JUDGE) $(ANTHROPIC_0) ## every test but the end-to-end ones
	cd backend && $(PYTHON) -m pytest -n $(JOBS) --dist worksteal

cover: setup ## the coverage gates of the pure core
	cd backend && $(PYTHON) -m tests.support.cover

check: setup ## style, types, architecture, container files
	cd backend && $(PYTHON) -m ruff check --config pyproject.toml $(LINTED)
	cd backend && $(PYTHON) -m ruff format --config pyproject.toml --check $(LINTED)
	cd backend && $(PYTHON) -m mypy src
	cd backend && .venv/bin/lint-imports --no-logo
	backend/.venv/bin/hadolint Dockerfile
	backend/.venv/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

fmt: setup ## format the code and repair what can be repaired
	cd backend && $(PYTHON) -m ruff check --config pyproject.toml --fix $(LINTED)
	cd backend && $(PYTHON) -m ruff format --config pyproject.toml $(LINTED)

bench: setup ## what a request and an event cost, as ratios to bare programs in the same run
	backend/$(PYTHON) -m bench

e2e: setup $(CLAUDE_CODE)/node_modules/.bin/claude ## a real Claude Code against the running gateway
	cd backend && CLAUDE_CODE=$(CLAUDE_CODE)/node_modules/.bin/claude $(PYTHON) -m pytest -m e2e tests/e2e

docs: setup ## write the generated parts of the documents
	cd backend && $(PYTHON) -m tests.support.documents

image: ## the container image kiro2api:latest
	docker build --tag kiro2api .

requirements: ## pin the newest requirements (needs uv)
	cd backend && uv pip compile --quiet --upgrade $(PIN) --output-file requirements/runtime.txt pyproject.toml
	cd backend && uv pip compile --quiet --upgrade $(PIN) --group dev --constraints requirements/runtime.txt \
		--output-file requirements/dev.txt pyproject.toml
	cd backend && uv pip compile --quiet --upgrade $(PIN) --output-file requirements/anthropic-0.txt \
		requirements/anthropic-0.in

clean: ## remove what the tasks have made, but no data
	rm -rf backend/.venv backend/.venv.lock .tools backend/tests/sdk/node/node_modules
	find backend bench -name __pycache__ -prune -exec rm -rf {} +

$(NODE_JUDGE): backend/tests/sdk/node/package-lock.json
	cd backend/tests/sdk/node && npm ci --no-audit --no-fund
	@touch $@

$(ANTHROPIC_0): backend/requirements/anthropic-0.txt | setup
	rm -rf $@ $@.new
	backend/$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		--target $@.new --requirement backend/requirements/anthropic-0.txt
	mv $@.new $@ && touch $@

# Installed beside and then renamed: an interrupted install leaves nothing that looks whole.
$(CLAUDE_CODE)/node_modules/.bin/claude:
	rm -rf $(CLAUDE_CODE) $(CLAUDE_CODE).new
	npm install --prefix $(CLAUDE_CODE).new --no-save --no-package-lock --no-audit --no-fund \
		@anthropic-ai/claude-code@$(CLAUDE_CODE_VERSION)
	mv $(CLAUDE_CODE).new $(CLAUDE_CODE)
