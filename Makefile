# Two commands for every visitor: `make demo` shows memweld at work, `make test` proves it. Each target installs what it
# needs into .venv, from nothing but Python 3.10 to 3.13. CONTRIBUTING.md says when to run which.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
UV := $(BIN)/python -m uv
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test test-quick browser test-exhaustive test-services strangers test-strangers check format notebooks docs docs-serve docs-reference requirements clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(INSTALLED): requirements/dev.txt requirements/uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "memweld needs Python 3.10 to 3.13; name one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/uv.txt
	$(UV) pip install --quiet --python $(BIN)/python -r requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

install: $(INSTALLED) ## Make .venv with memweld, its extras and the test tools

demo: $(INSTALLED) ## See one memory shared by LangChain, CrewAI, AutoGen and MCP (ARGS="--conversation FILE")
	$(BIN)/memweld demo $(ARGS)

test-quick: $(INSTALLED) ## Run unit tests and the backend suite on SQLite, without slow tests: two minutes
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not exhaustive and not services" \
		tests/unit tests/conformance/test_embedded.py $(ARGS)

browser: ## Install Chromium for the tests of the inspector, where apt-get and root are at hand
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq chromium; } \
		|| echo "There is no Chromium: the tests of the inspector are skipped."

test: check browser ## Check the code and run all tests that need no server
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-exhaustive: $(INSTALLED) ## Run the tests that take minutes: the backend suite over more transports and stores, kills, concurrency, isolation
	$(BIN)/python -m pytest -n 2 -m "exhaustive and not services" $(ARGS)

test-services: $(INSTALLED) ## Test on a real Postgres and Neo4j, which the tests start themselves (Neo4j needs java and mvn)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "services and not exhaustive" $(ARGS)

strangers: $(INSTALLED) ## Install MCP clients by other authors (npm packages, crewai-tools) into .strangers
	$(BIN)/python tests/strangers/install.py

test-strangers: strangers ## Test the server with MCP clients by other authors
	CI=true $(BIN)/python -m pytest -n 2 --dist loadfile tests/strangers $(ARGS)

check: $(INSTALLED) ## Check style, formatting, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

format: $(INSTALLED) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: $(INSTALLED) ## Start JupyterLab with the notebooks
	$(BIN)/jupyter lab --notebook-dir notebooks $(ARGS)

docs: $(INSTALLED) ## Build the documentation site into site/; a dead link or a page without a place fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build $(ARGS)

docs-serve: $(INSTALLED) ## Show the documentation site on http://127.0.0.1:8000, and again after each change
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve $(ARGS)

docs-reference: $(INSTALLED) ## Write the pages that come from the code: command line, settings, MCP tools, HTTP API
	$(BIN)/python tests/reference/pages.py

requirements: $(INSTALLED) ## Pin the dependencies anew, without the address of any index
	$(UV) pip compile --quiet --universal --python-version 3.10 --no-emit-index-url --no-annotate --upgrade \
		--extra all --group dev pyproject.toml --custom-compile-command 'make requirements' -o requirements/dev.txt

clean: ## Remove .venv, .strangers and the caches of tools
	rm -rf $(VENV) .strangers .services site .pytest_cache .ruff_cache .import_linter_cache
