# The front door: one word for each thing a developer does. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Hundreds of programs are started here, each of which would compile all of its modules anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup run test check fix packages bench campaign fuzz scenario clean

help: ## Say what can be done here
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make the virtual environment from uv.lock, and what browsers load from front/
	@scripts/setup
	@scripts/front-end

run: setup ## Run the whole system with sample devices; Ctrl-C ends it, running it again continues
	@scripts/debian-packages nft ip clamd
	@exec python -m samples.run

test: setup ## Run every test, in three processes for two cores; installs the Debian packages it needs where it may
	@scripts/debian-packages
	@scripts/front-end tools
	@scripts/client-environment || [ "$$CI" != true ]
	@pytest --numprocesses=$(or $(PROCESSES),3) --dist=loadfile --no-loadscope-reorder $(ARGS)

check: setup ## Formatter, linter, types and import contracts: before every commit
	@ruff format --check --quiet . || { echo 'Run: make fix'; exit 1; }
	@ruff check --quiet .
	@mypy
	@mypy --config-file scripts/mypy-elsewhere.ini --platform win32 --exclude agent/macos/ --cache-dir .mypy_cache/win32
	@mypy --config-file scripts/mypy-elsewhere.ini --platform darwin --exclude agent/windows/ --cache-dir .mypy_cache/darwin
	@lint-imports
	@scripts/front-end tools
	@npm run --prefix front --silent check

fix: setup ## Let the formatter and the linter mend what they can
	@ruff format .
	@ruff check --fix .
	@scripts/front-end tools
	@npm run --prefix front --silent fix

packages: setup ## Build the packages for devices into dist/: Linux, Windows, macOS
	@scripts/build-packages
	@scripts/build-windows-package
	@scripts/build-macos-package

bench: setup ## Measure, as ratios in one run; the figures are kept in benchmarks/README.md
	@scripts/debian-packages
	@scripts/debian-packages cf-serverd puppetserver
	@python -m benchmarks $(ARGS)

campaign: setup ## Try kills, power cuts, lost connections, bad policies and laws of policies by the thousand; hours, CI tries them briefly
	@scripts/debian-packages
	@CAMPAIGN=$(or $(CAMPAIGN),full) pytest -p no:randomly --hypothesis-profile=campaign --timeout=0 --capture=no \
	  --durations=0 --durations-min=1 $(or $(ARGS),tests/campaigns tests/policy)

fuzz: setup ## Ask for everything that the API describes, allowed and forbidden, hundreds of times (FUZZ_SEED: from elsewhere); CI asks a few times
	@FUZZ_EXAMPLES=$(or $(EXAMPLES),200) pytest -p no:xdist --timeout=0 tests/graph/test_fuzzed_api.py $(ARGS)

scenario: setup ## Take two hundred devices and three real agents through every life there is, and show where each ended
	@scripts/debian-packages
	@pytest -p no:randomly --capture=no --show-capture=no tests/life $(ARGS)

clean: ## Remove what was built; keeps the data of `make run` in var/run
	rm -rf .venv .venv-clients .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
